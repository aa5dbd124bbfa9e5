#include "backends/git/box.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/tokens_text.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/mem.h"

/* All mailboxes of a store: finding one, and reading what there are. */

bool gitstore_is_broken(const struct gitstore *g, struct err *err)
{
	if (g->broken)
		err_set(err, ERR_FATAL, "%s: an earlier step of this run failed", g->path);
	return g->broken;
}

static size_t box_place(const struct gitstore *g, const struct mailbox_name *name, bool *there)
{
	size_t lo = 0, hi = g->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = mailbox_name_compare(&g->box[mid]->mb.name, name);

		*there = c == 0;
		if (c == 0)
			return mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*there = false;
	return lo;
}

struct gitbox *gitbox_find(const struct gitstore *g, const struct mailbox_name *name)
{
	bool there;
	size_t at = box_place(g, name, &there);

	return there ? g->box[at] : NULL;
}

void gitbox_insert(struct gitstore *g, struct gitbox *box)
{
	bool there;
	size_t at = box_place(g, &box->mb.name, &there);

	g->box = xgrow(g->box, g->n, &g->cap, sizeof(struct gitbox *));
	memmove(&g->box[at + 1], &g->box[at], (g->n - at) * sizeof(struct gitbox *));
	g->box[at] = box;
	g->n++;
}

void gitbox_take_out(struct gitstore *g, struct gitbox *box)
{
	size_t at = 0;

	while (g->box[at] != box)
		at++;
	g->n--;
	memmove(&g->box[at], &g->box[at + 1], (g->n - at) * sizeof(struct gitbox *));
}

static int compare_boxes(const void *a, const void *b)
{
	const struct gitbox *const *x = a, *const *y = b;

	return mailbox_name_compare(&(*x)->mb.name, &(*y)->mb.name);
}

/* One mailbox of the tip, by its text. Unsorted for now. */
static int add_box(struct gitstore *g, const char *dir, struct bytes text, struct err *err)
{
	struct mailbox_text t;
	struct gitbox *box;

	mailbox_text_init(&t);
	if (mailbox_text_read(text, dir, &t, err) < 0)
		return err_prefix(err, "%s: " LAYOUT_MAILBOXES "/%s/" LAYOUT_MAILBOX, g->path, dir);
	box = gitbox_new(g, &t.name);
	mailbox_text_copy(&box->text, &t);
	mailbox_text_copy(&box->saved, &t);
	mailbox_text_release(&t);
	box->in_tip = true;
	g->box = xgrow(g->box, g->n, &g->cap, sizeof(struct gitbox *));
	g->box[g->n++] = box;
	return 0;
}

/* 1: the tokens file tells every mailbox; 0: it does not, nothing was added. */
static int load_tokens(struct gitstore *g, struct err *err)
{
	char *path = xasprintf("%s/" TOKENS_FILE, g->repo->dir);
	struct buf text = BUF_INIT(TOKENS_TEXT_MAX);
	struct bytes dir, mailbox;
	struct tokens_reader r;
	struct err ignored;
	int ret = 0;

	if (file_read(path, &text, &ignored) == 0 &&
	    tokens_reader_init(&r, buf_bytes(&text), g->tips.tip.b)) {
		ret = 1;
		while (ret > 0 && tokens_next(&r, &dir, &mailbox)) {
			char *name = bytes_dup(dir);

			ret = add_box(g, name, mailbox, err) < 0 ? -1 : 1;
			free(name);
		}
	}
	buf_release(&text);
	free(path);
	return ret;
}

/* The tree `mailboxes` of the tip; empty when there is none. */
static int read_mailboxes(struct gitstore *g, struct buf *data, struct err *err)
{
	struct object_id id;
	int got = repo_lookup(g->repo, &g->tips.root, LAYOUT_MAILBOXES, NULL, &id, err);

	buf_clear(data);
	return got > 0 ? repo_read(g->repo, &id, GIT_TREE, data, err) : got;
}

static int load_box(struct gitstore *g, const struct tree_entry *e, struct err *err)
{
	struct buf text = BUF_INIT(MAILBOX_TEXT_MAX);
	char *dir = bytes_dup(e->name);
	struct object_id id;
	int got = repo_lookup(g->repo, &e->id, LAYOUT_MAILBOX, NULL, &id, err);

	if (got == 0)
		got = err_set(err, ERR_FATAL, "%s: " LAYOUT_MAILBOXES "/%s: no file "
			      LAYOUT_MAILBOX, g->path, dir);
	if (got > 0)
		got = repo_read(g->repo, &id, GIT_BLOB, &text, err);
	if (got == 0)
		got = add_box(g, dir, buf_bytes(&text), err);
	if (got == 0)
		g->box[g->n - 1]->tree = e->id;
	buf_release(&text);
	free(dir);
	return got;
}

static int load_tree(struct gitstore *g, struct err *err)
{
	struct buf data = BUF_INIT(TREE_MAX);
	struct tree_entry e;
	struct bytes rest;
	int got = read_mailboxes(g, &data, err);

	rest = buf_bytes(&data);
	while (got == 0 && (got = tree_next(&rest, &e, err)) > 0)
		got = e.mode == MODE_TREE ? load_box(g, &e, err) : 0;
	buf_release(&data);
	g->trees_known = true;
	return got;
}

int gitstore_load(struct gitstore *g, struct err *err)
{
	int got = g->st.cfg->snapshot ? 0 : load_tokens(g, err);

	if (got < 0 || (got == 0 && load_tree(g, err) < 0))
		return -1;
	if (g->n > 0)
		qsort(g->box, g->n, sizeof(struct gitbox *), compare_boxes);
	for (size_t i = 1; i < g->n; i++)
		if (compare_boxes(&g->box[i - 1], &g->box[i]) == 0)
			return err_set(err, ERR_FATAL, "%s: two directories for one mailbox (%s)",
				       g->path, g->box[i]->dir);
	return 0;
}

static int compare_dirs(const void *a, const void *b)
{
	const struct gitbox *const *x = a, *const *y = b;

	return strcmp((*x)->dir, (*y)->dir);
}

static void set_tree(struct gitbox **by_dir, size_t n, const struct tree_entry *e)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = bytes_compare(bytes_of(by_dir[mid]->dir), e->name);

		if (c == 0) {
			if (by_dir[mid]->in_tip)
				by_dir[mid]->tree = e->id;
			return;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
}

struct gitbox **gitstore_by_dir(const struct gitstore *g)
{
	struct gitbox **v = xcalloc(g->n + 1, sizeof(struct gitbox *));

	if (g->n > 0) {
		memcpy(v, g->box, g->n * sizeof(struct gitbox *));
		qsort(v, g->n, sizeof(struct gitbox *), compare_dirs);
	}
	return v;
}

int gitstore_know_trees(struct gitstore *g, struct err *err)
{
	struct gitbox **by_dir = gitstore_by_dir(g);
	struct buf data = BUF_INIT(TREE_MAX);
	struct tree_entry e;
	struct bytes rest;
	int got = read_mailboxes(g, &data, err);

	rest = buf_bytes(&data);
	while (got == 0 && (got = tree_next(&rest, &e, err)) > 0) {
		set_tree(by_dir, g->n, &e);
		got = 0;
	}
	for (size_t i = 0; i < g->n && got == 0; i++)
		if (by_dir[i]->in_tip && object_id_is_zero(&by_dir[i]->tree))
			got = err_set(err, ERR_FATAL, "%s: " LAYOUT_MAILBOXES "/%s is not in the "
				      "tree; remove %s/" TOKENS_FILE " and run again",
				      g->path, by_dir[i]->dir, g->repo->dir);
	g->trees_known = got == 0;
	buf_release(&data);
	free(by_dir);
	return got;
}
