/* A commit and its trees down to the mailboxes. */
#include <stdlib.h>
#include <string.h>

#include "backends/git/check.h"
#include "backends/git/format_text.h"
#include "backends/git/identify.h"
#include "backends/git/layout.h"
#include "backends/git/tree.h"
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"

bool check_read_tree(struct checking *c, const char *mailbox, const struct object_id *id,
		     struct buf *data)
{
	struct tree_entry e;
	struct bytes rest;
	struct err why;
	int got;

	if (repo_read(c->repo, id, GIT_TREE, data, &why) < 0) {
		check_unreadable(c, mailbox, id, "a directory of the archive", &why);
		return false;
	}
	rest = buf_bytes(data);
	while ((got = tree_next(&rest, &e, &why)) > 0)
		;
	if (got < 0)
		check_unreadable(c, mailbox, id, "a directory of the archive", &why);
	return got == 0;
}

static void judge_format(struct checking *c, struct bytes text)
{
	struct format_text format;
	struct err why = { 0 };
	char *what = NULL;

	format_text_init(&format);
	switch (format_text_read(text, &format, &why)) {
	case FORMAT_OURS:
		break;
	case FORMAT_FOREIGN:
		what = xasprintf("the file FORMAT does not say that this is an archive of mailcask");
		break;
	case FORMAT_NEWER:
		what = xasprintf("the file FORMAT is version %u, this mailcask knows %u",
				 format.version, FORMAT_VERSION);
		break;
	case FORMAT_DAMAGED:
		what = xasprintf("the file FORMAT: %s", why.text);
		break;
	}
	if (what)
		check_tell(c, NULL, 0, NULL, what, check_advice_texts);
	free(what);
	format_text_release(&format);
}

int check_refuse_newer(struct checking *c, struct err *err)
{
	struct format_text format;
	struct err why;
	int ret = 0;

	format_text_init(&format);
	if (identify_format(c->repo, &c->tips.root, &format, &why) < 0 &&
	    format.version > FORMAT_VERSION) {
		*err = why;
		ret = -1;
	}
	format_text_release(&format);
	return ret;
}

/* One file for all snapshots. */
static void check_format(struct checking *c, const struct object_id *root)
{
	struct buf text = BUF_INIT(FORMAT_TEXT_MAX);
	struct object_id id;
	struct err why;
	int got = repo_lookup(c->repo, root, LAYOUT_FORMAT, NULL, &id, &why);

	if (got == 0 && !c->naming)
		check_tell(c, NULL, 0, NULL, "there is no file FORMAT that says what this is",
			   check_advice_texts);
	if (got <= 0 || pack_table_find(&c->seen, &id))
		return;
	pack_table_add(&c->seen, &(struct pack_record){ .id = id });
	if (repo_read(c->repo, &id, GIT_BLOB, &text, &why) < 0)
		check_unreadable(c, NULL, &id, "the file FORMAT", &why);
	else if (!c->naming)
		judge_format(c, buf_bytes(&text));
	buf_release(&text);
}

static int check_boxes(struct checking *c, const struct object_id *id, struct err *err)
{
	struct buf data = BUF_INIT(TREE_MAX);
	struct tree_entry e;
	struct bytes rest;
	int ret = 0;

	if (!check_read_tree(c, NULL, id, &data))
		goto out;
	rest = buf_bytes(&data);
	while (ret == 0 && tree_next(&rest, &e, err) > 0) {
		char *dir = bytes_dup(e.name);

		if (c->is_base && !c->naming)
			c->ck->mailboxes++;
		if ((e.mode & 0170000) != MODE_TREE) {
			char *safe = escape_text(e.name, 300);
			char *what = xasprintf("mailboxes/%s is no directory", safe);

			check_tell(c, NULL, 0, NULL, what, check_advice_texts);
			free(safe);
			free(what);
		} else {
			ret = check_box(c, dir, &e.id, err);
		}
		free(dir);
	}
out:
	buf_release(&data);
	return ret;
}

static int check_root(struct checking *c, const struct object_id *root, struct err *err)
{
	struct object_id mailboxes;
	struct buf data = BUF_INIT(TREE_MAX);
	bool readable = check_read_tree(c, NULL, root, &data);
	struct err why;
	int got;

	buf_release(&data);
	if (!readable)
		return 0;
	check_format(c, root);
	got = repo_lookup(c->repo, root, LAYOUT_MAILBOXES, NULL, &mailboxes, &why);
	return got > 0 ? check_boxes(c, &mailboxes, err) : 0;
}

int check_commit(struct checking *c, const struct object_id *id, struct object_id *parent,
		 struct err *err)
{
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	struct commit_text commit;
	struct object_id root;
	struct err why;
	int ret = 0;

	*parent = (struct object_id){ 0 };
	if (repo_read_commit(c->repo, id, &text, &commit, &why) < 0) {
		check_unreadable(c, NULL, id, "a snapshot", &why);
	} else {
		root = commit.tree;
		if (commit.parents > 0)
			*parent = commit.parent;
		ret = check_root(c, &root, err);
	}
	buf_release(&text);
	return ret;
}
