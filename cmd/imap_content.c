/* What a message is made of, as `fetch` shows it: preview, labels, envelope, structure. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "core/base/buf.h"
#include "core/imap/envelope.h"
#include "core/imap/tree.h"
#include "core/mail/mutf7.h"

#include "cmd/imap_cli.h"

static void say_line(const char *name, struct bytes text)
{
	if (!text.p)
		return;
	printf("  %s ", name);
	imap_say(text);
	putchar('\n');
}

/* --- labels --- */

typedef void label_fn(void *ctx, struct bytes label);

/* Each decoded where it can be. */
static void each_label(const struct imap_cli *cli, struct bytes labels, label_fn *take, void *ctx)
{
	char *own = bytes_dup(labels);
	struct imap_scan scan = imap_scan_init(own, labels.n);
	struct bytes label;

	while (imap_scan_astring(&scan, &label)) {
		struct buf text = BUF_INIT(1 << 20);

		if (!imap_session_utf8(cli->session) && mutf7_decode(label, &text))
			label = buf_bytes(&text);
		take(ctx, label);
		buf_release(&text);
	}
	free(own);
}

static void say_label(void *ctx, struct bytes label)
{
	(void)ctx;
	printf("  label ");
	imap_say_words(label);
	putchar('\n');
}

static void add_label(void *ctx, struct bytes label)
{
	json_array_append_new(ctx, imap_json_text(label));
}

/* --- envelope --- */

static const struct {
	const char *name;
	size_t offset;
} people[] = {
	{ "from", offsetof(struct imap_envelope, from) },
	{ "sender", offsetof(struct imap_envelope, sender) },
	{ "reply-to", offsetof(struct imap_envelope, reply_to) },
	{ "to", offsetof(struct imap_envelope, to) },
	{ "cc", offsetof(struct imap_envelope, cc) },
	{ "bcc", offsetof(struct imap_envelope, bcc) },
};

static const struct imap_addresses *people_of(const struct imap_envelope *env, size_t i)
{
	return (const struct imap_addresses *)(const void *)((const char *)env + people[i].offset);
}

/* `Anna <anna@example.org>`; a group is `team:` ... `;`. */
static void say_address(const char *name, const struct imap_address *a)
{
	printf("  %s ", name);
	if (!a->host.p) {
		imap_say(a->mailbox.p ? a->mailbox : bytes_of(""));
		printf(a->mailbox.p ? ":\n" : ";\n");
		return;
	}
	if (a->name.n) {
		imap_say(a->name);
		printf(" <");
	}
	imap_say(a->mailbox.p ? a->mailbox : bytes_of(""));
	putchar('@');
	imap_say(a->host);
	printf(a->name.n ? ">\n" : "\n");
}

static void say_envelope(struct bytes text)
{
	struct imap_envelope env;

	if (!imap_envelope_read(&env, text))
		say_line("envelope", text);
	say_line("date", env.date);
	say_line("subject", env.subject);
	for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
		const struct imap_addresses *a = people_of(&env, i);

		for (size_t j = 0; j < a->n; j++)
			say_address(people[i].name, &a->list[j]);
	}
	say_line("in-reply-to", env.in_reply_to);
	say_line("message-id", env.message_id);
	imap_envelope_release(&env);
}

static json_t *json_addresses(const struct imap_addresses *a)
{
	json_t *list = json_array();

	for (size_t i = 0; i < a->n; i++) {
		const struct imap_address *one = &a->list[i];
		json_t *address = json_object();

		json_object_set_new(address, "name", imap_json_nstring(one->name));
		json_object_set_new(address, "mailbox", imap_json_nstring(one->mailbox));
		json_object_set_new(address, "host", imap_json_nstring(one->host));
		json_array_append_new(list, address);
	}
	return list;
}

/* null when it cannot be read. */
static json_t *json_envelope(struct bytes text)
{
	struct imap_envelope env;
	json_t *object = imap_envelope_read(&env, text) ? json_object() : json_null();

	if (json_is_object(object)) {
		json_object_set_new(object, "date", imap_json_nstring(env.date));
		json_object_set_new(object, "subject", imap_json_nstring(env.subject));
		for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++)
			json_object_set_new(object, people[i].name,
					    json_addresses(people_of(&env, i)));
		json_object_set_new(object, "in-reply-to", imap_json_nstring(env.in_reply_to));
		json_object_set_new(object, "message-id", imap_json_nstring(env.message_id));
	}
	imap_envelope_release(&env);
	return object;
}

/* --- structure --- */

static struct bytes node_text(const struct imap_node *node)
{
	return node->type == IMAP_NODE_LIST || node->type == IMAP_NODE_NIL ?
		       bytes_from(NULL, 0) : bytes_from(node->text, node->size);
}

static const struct imap_node *disposition_params(const struct imap_part *part)
{
	const struct imap_node *d = part->disposition;

	return d && d->n > 1 && d->children[1].type == IMAP_NODE_LIST ? &d->children[1] : NULL;
}

/* ` charset="utf-8"` */
static void say_params(const struct imap_node *params)
{
	for (size_t i = 0; params && i + 1 < params->n; i += 2) {
		struct bytes name = node_text(&params->children[i]);
		struct bytes value = node_text(&params->children[i + 1]);

		if (!name.p || !value.p)
			continue;
		putchar(' ');
		imap_say(name);
		printf("=\"");
		imap_say(value);
		putchar('"');
	}
}

/* `  part 1.2 image/png base64 bytes 99 name="x" attachment filename="x"` */
static void say_part(void *ctx, const struct imap_part *part)
{
	(void)ctx;
	printf("  part %s%s", part->section, *part->section ? " " : "");
	imap_say(part->type);
	putchar('/');
	imap_say(part->subtype);
	if (part->encoding.p) {
		putchar(' ');
		imap_say(part->encoding);
		printf(" bytes %llu", (unsigned long long)part->size);
	}
	say_params(part->params);
	if (part->disposition) {
		putchar(' ');
		imap_say(node_text(&part->disposition->children[0]));
	}
	say_params(disposition_params(part));
	putchar('\n');
}

static json_t *json_params(const struct imap_node *params)
{
	json_t *object = json_object();

	for (size_t i = 0; params && i + 1 < params->n; i += 2) {
		json_t *name = imap_json_nstring(node_text(&params->children[i]));

		if (json_is_string(name))
			json_object_set_new(object, json_string_value(name),
					    imap_json_nstring(node_text(&params->children[i + 1])));
		json_decref(name);
	}
	return object;
}

static void add_part(void *ctx, const struct imap_part *part)
{
	json_t *object = json_object();

	json_object_set_new(object, "section", json_string(part->section));
	json_object_set_new(object, "type", imap_json_text(part->type));
	json_object_set_new(object, "subtype", imap_json_text(part->subtype));
	json_object_set_new(object, "params", json_params(part->params));
	if (part->encoding.p) {
		json_object_set_new(object, "encoding", imap_json_text(part->encoding));
		json_object_set_new(object, "bytes", json_integer((json_int_t)part->size));
		json_object_set_new(object, "id", imap_json_nstring(part->id));
		json_object_set_new(object, "description", imap_json_nstring(part->description));
	}
	if (part->disposition) {
		json_object_set_new(object, "disposition",
				    imap_json_text(node_text(&part->disposition->children[0])));
		json_object_set_new(object, "disposition-params",
				    json_params(disposition_params(part)));
	}
	json_array_append_new(ctx, object);
}

static void say_structure(struct bytes text)
{
	if (!imap_structure_read(text, say_part, NULL))
		say_line("bodystructure", text);
}

/* null when it cannot be read. */
static json_t *json_structure(struct bytes text)
{
	json_t *parts = json_array();

	if (imap_structure_read(text, add_part, parts))
		return parts;
	json_decref(parts);
	return json_null();
}

/* --- all of it --- */

void imap_say_content(const struct imap_cli *cli, const struct imap_fetch *m)
{
	if (m->present & IMAP_FETCH_PREVIEW)
		say_line("preview", m->preview);
	if (m->present & IMAP_FETCH_GM_LABELS)
		each_label(cli, m->gm_labels, say_label, NULL);
	if (m->present & IMAP_FETCH_ENVELOPE)
		say_envelope(m->envelope);
	if (m->present & IMAP_FETCH_STRUCTURE)
		say_structure(m->structure);
}

void imap_json_content(const struct imap_cli *cli, json_t *event, const struct imap_fetch *m)
{
	json_t *labels;

	if (m->present & IMAP_FETCH_PREVIEW)
		json_object_set_new(event, "preview", imap_json_nstring(m->preview));
	if (m->present & IMAP_FETCH_GM_LABELS) {
		labels = json_array();
		each_label(cli, m->gm_labels, add_label, labels);
		json_object_set_new(event, "x-gm-labels", labels);
	}
	if (m->present & IMAP_FETCH_ENVELOPE)
		json_object_set_new(event, "envelope", json_envelope(m->envelope));
	if (m->present & IMAP_FETCH_STRUCTURE)
		json_object_set_new(event, "bodystructure", json_structure(m->structure));
}
