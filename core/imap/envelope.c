#include "core/imap/envelope.h"

#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/tree.h"

/* The text of a value; p is NULL when it is NIL, a list or not there. */
static struct bytes text_at(const struct imap_node *list, size_t i)
{
	const struct imap_node *node = i < list->n ? &list->children[i] : NULL;

	if (!node || (node->type != IMAP_NODE_STRING && node->type != IMAP_NODE_ATOM))
		return bytes_from(NULL, 0);
	return bytes_from(node->text, node->size);
}

static const struct imap_node *list_at(const struct imap_node *list, size_t i)
{
	return i < list->n && list->children[i].type == IMAP_NODE_LIST ? &list->children[i] : NULL;
}

/* --- ENVELOPE --- */

static void read_addresses(struct imap_addresses *out, const struct imap_node *list)
{
	for (size_t i = 0; list && i < list->n; i++) {
		const struct imap_node *a = list_at(list, i);

		if (!a)
			continue;
		out->list = xgrow(out->list, out->n, &out->cap, sizeof(*out->list));
		out->list[out->n++] = (struct imap_address){
			.name = text_at(a, 0),
			.route = text_at(a, 1),
			.mailbox = text_at(a, 2),
			.host = text_at(a, 3),
		};
	}
}

bool imap_envelope_read(struct imap_envelope *env, struct bytes text)
{
	struct imap_node *tree = imap_tree_new(text);

	*env = (struct imap_envelope){ .tree = tree };
	if (!tree)
		return false;
	env->date = text_at(tree, 0);
	env->subject = text_at(tree, 1);
	read_addresses(&env->from, list_at(tree, 2));
	read_addresses(&env->sender, list_at(tree, 3));
	read_addresses(&env->reply_to, list_at(tree, 4));
	read_addresses(&env->to, list_at(tree, 5));
	read_addresses(&env->cc, list_at(tree, 6));
	read_addresses(&env->bcc, list_at(tree, 7));
	env->in_reply_to = text_at(tree, 8);
	env->message_id = text_at(tree, 9);
	return true;
}

void imap_envelope_release(struct imap_envelope *env)
{
	free(env->from.list);
	free(env->sender.list);
	free(env->reply_to.list);
	free(env->to.list);
	free(env->cc.list);
	free(env->bcc.list);
	imap_tree_free(env->tree);
	*env = (struct imap_envelope){ .tree = NULL };
}

/* --- BODYSTRUCTURE --- */

struct walk {
	imap_part_fn *each;
	void *ctx;
};

static bool is_multipart(const struct imap_node *body)
{
	return body->n > 0 && body->children[0].type == IMAP_NODE_LIST;
}

/* Where the extension data of a single part begins: behind its MD5. */
static size_t disposition_index(const struct imap_part *part)
{
	if (bytes_is_nocase(part->type, "TEXT"))
		return 9;
	if (bytes_is_nocase(part->type, "MESSAGE") && (bytes_is_nocase(part->subtype, "RFC822") ||
						       bytes_is_nocase(part->subtype, "GLOBAL")))
		return 11;
	return 8;
}

static const struct imap_node *disposition_at(const struct imap_node *body, size_t i)
{
	const struct imap_node *d = list_at(body, i);

	return d && text_at(d, 0).p ? d : NULL;
}

static bool walk_body(const struct walk *w, const struct imap_node *body, const char *section);

/* "2" and 3 make "2.3". */
static bool walk_child(const struct walk *w, const struct imap_node *body, const char *section,
		       size_t number)
{
	char *name = xasprintf("%s%s%zu", section, *section ? "." : "", number);
	bool ok = walk_body(w, body, name);

	free(name);
	return ok;
}

static bool walk_multipart(const struct walk *w, const struct imap_node *body, const char *section)
{
	struct imap_part part = { .section = section, .type = bytes_of("multipart") };
	size_t n = 0;

	while (list_at(body, n))
		n++;
	part.subtype = text_at(body, n);
	part.params = list_at(body, n + 1);
	part.disposition = disposition_at(body, n + 2);
	if (!part.subtype.p)
		return false;
	w->each(w->ctx, &part);
	for (size_t i = 0; i < n; i++)
		if (!walk_child(w, &body->children[i], section, i + 1))
			return false;
	return true;
}

/* Of an attached message. Its parts stand directly below it (RFC 9051, section 6.4.5.1). */
static bool walk_message(const struct walk *w, const struct imap_node *body, const char *section)
{
	return is_multipart(body) ? walk_multipart(w, body, section) :
				    walk_child(w, body, section, 1);
}

static bool walk_single(const struct walk *w, const struct imap_node *body, const char *section)
{
	struct imap_part part = {
		.section = section,
		.type = text_at(body, 0),
		.subtype = text_at(body, 1),
		.params = list_at(body, 2),
		.id = text_at(body, 3),
		.description = text_at(body, 4),
		.encoding = text_at(body, 5),
	};
	size_t disposition;

	if (!part.type.p || !part.subtype.p || !part.encoding.p)
		return false;
	bytes_to_u64(text_at(body, 6), &part.size);
	disposition = disposition_index(&part);
	part.disposition = disposition_at(body, disposition);
	w->each(w->ctx, &part);
	return disposition != 11 || !list_at(body, 8) || walk_message(w, list_at(body, 8), section);
}

static bool walk_body(const struct walk *w, const struct imap_node *body, const char *section)
{
	return is_multipart(body) ? walk_multipart(w, body, section) :
				    walk_single(w, body, section);
}

bool imap_structure_read(struct bytes text, imap_part_fn *each, void *ctx)
{
	const struct walk walk = { .each = each, .ctx = ctx };
	struct imap_node *tree = imap_tree_new(text);
	bool ok = tree && walk_message(&walk, tree, "");

	imap_tree_free(tree);
	return ok;
}
