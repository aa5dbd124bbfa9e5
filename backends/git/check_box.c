/* The directory of a mailbox: its texts, kept messages, and that they agree with the live ones. */
#include <stdlib.h>
#include <string.h>

#include "backends/git/check.h"
#include "backends/git/entry_text.h"
#include "backends/git/layout.h"
#include "backends/git/mailbox_text.h"
#include "backends/git/quarantine_text.h"
#include "backends/git/text_line.h"
#include "backends/git/tree.h"
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/msgset/uidset.h"

/* What a mailbox is called whose directory is this: as `ls` shows it, where that can be made out. */
static char *name_of_dir(const char *dir)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct buf display = BUF_INIT(LAYOUT_DIR_SIZE);
	char own[LAYOUT_DIR_SIZE] = "", *shown = NULL;
	struct err err;

	if (text_unescape(bytes_of(dir), &display) &&
	    mailbox_name_from_display(&name, buf_bytes(&display), &err) == 0) {
		layout_dir(&name, own);
		shown = mailbox_name_text(&name);
	}
	if (strcmp(own, dir) != 0) {
		free(shown);
		shown = xstrdup(dir);
	}
	mailbox_name_release(&name);
	buf_release(&display);
	return shown;
}

/* A mailbox being looked at. */
struct box_check {
	struct checking *c;
	const char *dir;
	char *name; /* for findings */
	struct object_id mailbox, messages, flags, kept, quarantine; /* zeros: not there */
	struct mailbox_text text;
	bool readable; /* `text` is good */
	struct sums sums;
	struct uidset_builder sources;
	struct uidset quarantined;
	uint64_t kept_n, kept_bytes, held, pending;
};

static void tell(struct box_check *b, const char *what)
{
	if (!b->c->naming)
		check_tell(b->c, b->name, 0, NULL, what, check_advice_texts);
}

/* A text that is an object of this archive; false when it cannot be had, which is told. */
static bool read_text(struct box_check *b, const struct object_id *id, const char *what,
		      struct buf *out)
{
	struct err why;

	if (repo_read(b->c->repo, id, GIT_BLOB, out, &why) == 0)
		return true;
	check_unreadable(b->c, b->name, id, what, &why);
	b->sums.gap = true;
	return false;
}

static void read_mailbox(struct box_check *b)
{
	struct buf text = BUF_INIT(MAILBOX_TEXT_MAX);
	struct err why;
	char *what;

	if (object_id_is_zero(&b->mailbox)) {
		tell(b, "it has no file `mailbox`");
	} else if (read_text(b, &b->mailbox, "the file `mailbox`", &text)) {
		b->readable = mailbox_text_read(buf_bytes(&text), b->dir, &b->text, &why) == 0;
		if (!b->readable) {
			what = xasprintf("the file `mailbox`: %s", why.text);
			tell(b, what);
			free(what);
		}
	}
	if (b->readable) {
		free(b->name);
		b->name = mailbox_name_text(&b->text.name);
	}
	buf_release(&text);
}

static void read_quarantine(struct box_check *b)
{
	struct buf text = BUF_INIT(QUARANTINE_TEXT_MAX);
	struct quarantined *v = NULL;
	struct err why;
	size_t n = 0;
	char *what;

	if (!object_id_is_zero(&b->quarantine) &&
	    read_text(b, &b->quarantine, "the list of quarantined messages", &text) &&
	    quarantine_text_read(buf_bytes(&text), &v, &n, &why) < 0) {
		what = xasprintf("the file `quarantine`: %s", why.text);
		tell(b, what);
		free(what);
		b->sums.gap = true;
	}
	for (size_t i = 0; i < n; i++) {
		b->pending += !v[i].accepted;
		uidset_add(&b->quarantined, v[i].uid);
	}
	quarantine_free(v, n);
	buf_release(&text);
}

/* --- kept messages --- */

struct id_list {
	struct object_id *v;
	size_t n, cap;
};

static void add_id(struct id_list *l, const struct object_id *id)
{
	l->v = xgrow(l->v, l->n, &l->cap, sizeof(*l->v));
	l->v[l->n++] = *id;
}

static int by_id(const void *a, const void *b)
{
	return object_id_compare(a, b);
}

static void sort_ids(struct id_list *l)
{
	size_t to = 0;

	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_id);
	for (size_t i = 0; i < l->n; i++)
		if (to == 0 || !object_id_equal(&l->v[to - 1], &l->v[i]))
			l->v[to++] = l->v[i];
	l->n = to;
}

/* The lines of the list, each with its content looked for. */
static int read_kept_list(struct box_check *b, const struct object_id *id, struct id_list *out,
			  struct err *err)
{
	struct buf text = BUF_INIT(KEPT_TEXT_MAX);
	struct entry_reader r;
	struct kept_line k;
	struct err why;
	int got = 0, ret = 0;
	char *what;

	if (!read_text(b, id, "the list of kept messages", &text))
		goto out;
	kept_reader_init(&r, buf_bytes(&text));
	while (ret == 0 && (got = kept_next(&r, &k, &why)) > 0) {
		struct object_id content;

		memcpy(content.b, k.id, OBJECT_ID_SIZE);
		add_id(out, &content);
		b->kept_n++;
		b->kept_bytes += k.entry.size;
		b->held += k.held;
		if (b->c->is_base && !b->c->naming)
			b->c->ck->compared++;
		ret = check_content(b->c, b->name, k.entry.uid, k.entry.size, &content, err);
	}
	if (got < 0) {
		what = xasprintf("kept/list: %s", why.text);
		tell(b, what);
		free(what);
		b->sums.gap = true;
	}
out:
	buf_release(&text);
	return ret;
}

/* The files of one directory of kept messages. */
static void read_kept_dir(struct box_check *b, const struct tree_entry *dir, struct id_list *out)
{
	struct buf data = BUF_INIT(TREE_MAX);
	struct bytes rest;
	struct tree_entry e;
	struct err why;

	if (!check_read_tree(b->c, b->name, &dir->id, &data)) {
		b->sums.gap = true;
		goto out;
	}
	rest = buf_bytes(&data);
	while (tree_next(&rest, &e, &why) > 0) {
		struct object_id named;

		if (layout_kept_parse(dir->name, e.name, named.b) &&
		    object_id_equal(&named, &e.id))
			add_id(out, &e.id);
		else
			tell(b, "a kept message has a name that is not its own");
	}
out:
	buf_release(&data);
}

static int check_kept(struct box_check *b, struct err *err)
{
	struct buf data = BUF_INIT(TREE_MAX);
	struct id_list listed = { 0 }, files = { 0 };
	struct tree_entry e;
	struct bytes rest;
	struct err why;
	int ret = 0;

	if (object_id_is_zero(&b->kept))
		return 0;
	if (!check_read_tree(b->c, b->name, &b->kept, &data)) {
		b->sums.gap = true;
		goto out;
	}
	rest = buf_bytes(&data);
	while (ret == 0 && tree_next(&rest, &e, &why) > 0) {
		if (bytes_is(e.name, LAYOUT_KEPT_LIST))
			ret = read_kept_list(b, &e.id, &listed, err);
		else
			read_kept_dir(b, &e, &files);
	}
	sort_ids(&listed);
	sort_ids(&files);
	if (ret == 0 && !b->sums.gap &&
	    (listed.n != files.n ||
	     (files.n > 0 && memcmp(listed.v, files.v, files.n * sizeof(*files.v)) != 0)))
		tell(b, "the kept messages are not those of their list");
out:
	free(listed.v);
	free(files.v);
	buf_release(&data);
	return ret;
}

/* --- sums --- */

static void compare(struct box_check *b, uint64_t says, uint64_t has, const char *what)
{
	char *text;

	if (says == has)
		return;
	text = xasprintf("the file `mailbox` counts %llu %s, and there are %llu",
			 (unsigned long long)says, what, (unsigned long long)has);
	tell(b, text);
	free(text);
}

static void compare_known(struct box_check *b)
{
	struct uidset known = UIDSET_INIT;

	uidset_builder_finish(&b->sources, &known);
	if (uidset_count(&known) != b->sums.stored)
		tell(b, "two messages are bound to one message of the account");
	uidset_union(&known, &known, &b->quarantined);
	uidset_union(&known, &known, &b->text.known_also);
	uidset_subtract(&known, &known, &b->text.known_not);
	compare(b, b->text.known, uidset_count(&known), "known messages of the account");
	uidset_release(&known);
}

static void compare_all(struct box_check *b)
{
	const struct mailbox_text *t = &b->text;

	if (!b->readable)
		return;
	if (b->c->is_base && !b->c->naming) {
		b->c->ck->messages += t->live + t->kept;
		b->c->ck->bytes += t->bytes + b->kept_bytes;
	}
	if (b->sums.gap)
		return;
	compare(b, t->live, b->sums.live, "messages");
	compare(b, t->bytes, b->sums.bytes, "bytes");
	compare(b, t->stored, b->sums.stored, "messages bound to the account");
	compare(b, t->remapped, b->sums.remapped, "messages with another UID than at the account");
	compare(b, t->kept, b->kept_n, "kept messages");
	compare(b, t->held, b->held, "messages held back");
	compare(b, t->pending, b->pending, "messages in quarantine");
	if (b->c->is_base)
		compare_known(b);
}

static void find_parts(struct box_check *b, const struct buf *data)
{
	const struct {
		const char *name;
		struct object_id *id;
	} parts[] = {
		{ LAYOUT_MAILBOX, &b->mailbox },       { LAYOUT_MESSAGES, &b->messages },
		{ LAYOUT_FLAGS, &b->flags },	       { LAYOUT_KEPT, &b->kept },
		{ LAYOUT_QUARANTINE, &b->quarantine },
	};
	struct bytes rest = buf_bytes(data);
	struct tree_entry e;
	struct err why;

	while (tree_next(&rest, &e, &why) > 0)
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
			if (bytes_is(e.name, parts[i].name))
				*parts[i].id = e.id;
}

static int check_parts(struct box_check *b, struct err *err)
{
	read_mailbox(b);
	read_quarantine(b);
	if (check_messages(b->c, b->name, &b->messages, &b->flags, &b->sums,
			   b->c->is_base ? &b->sources : NULL, err) < 0 ||
	    check_kept(b, err) < 0)
		return -1;
	compare_all(b);
	return 0;
}

int check_box(struct checking *c, const char *dir, const struct object_id *tree, struct err *err)
{
	struct box_check b = { .c = c, .dir = dir, .name = name_of_dir(dir) };
	struct buf data = BUF_INIT(TREE_MAX);
	int ret = 0;

	if (!c->is_base && pack_table_find(&c->seen, tree))
		goto out;
	mailbox_text_init(&b.text);
	uidset_builder_init(&b.sources);
	if (check_read_tree(c, b.name, tree, &data)) {
		find_parts(&b, &data);
		ret = check_parts(&b, err);
	}
	if (!pack_table_find(&c->seen, tree))
		pack_table_add(&c->seen, &(struct pack_record){ .id = *tree });
	uidset_builder_release(&b.sources);
	uidset_release(&b.quarantined);
	mailbox_text_release(&b.text);
out:
	buf_release(&data);
	free(b.name);
	return ret;
}
