#include <stdlib.h>
#include <string.h>

#include "backends/git/history_private.h"
#include "backends/git/layout.h"
#include "backends/git/mailbox_text.h"
#include "backends/git/repo.h"
#include "backends/git/tree.h"
#include "core/base/buf.h"
#include "core/base/mem.h"

/* A tree being read, and its entry in work. */
struct side {
	struct buf data;
	struct bytes rest;
	struct tree_entry entry;
	bool there;
};

static int side_next(struct side *s, struct err *err)
{
	int got = tree_next(&s->rest, &s->entry, err);

	s->there = got > 0;
	return got < 0 ? -1 : 0;
}

/* Zeros are the empty tree. */
static int side_open(struct side *s, const struct history *h, const struct object_id *tree,
		     struct err *err)
{
	buf_init(&s->data, TREE_MAX);
	s->there = false;
	if (object_id_is_zero(tree))
		return 0;
	if (repo_read(h->repo, tree, GIT_TREE, &s->data, err) < 0)
		return -1;
	s->rest = buf_bytes(&s->data);
	return side_next(s, err);
}

static int order(const struct side *old, const struct side *now)
{
	if (!old->there || !now->there)
		return old->there ? -1 : 1;
	return layout_tree_order(old->entry.name, old->entry.mode == MODE_TREE, now->entry.name,
				 now->entry.mode == MODE_TREE);
}

/* Walk both in step. */
int history_diff_trees(struct history *h, const struct pair *trees, entry_fn *fn, void *ctx,
		       struct err *err)
{
	struct side old = { 0 }, now = { 0 };
	int ret = 0;

	if (side_open(&old, h, &trees->old, err) < 0 ||
	    side_open(&now, h, &trees->now, err) < 0)
		ret = -1;
	while (ret == 0 && (old.there || now.there)) {
		int c = order(&old, &now);
		struct entry_difference d = { .name = c <= 0 ? old.entry.name : now.entry.name };

		if (c <= 0) {
			d.ids.old = old.entry.id;
			d.old_is_tree = old.entry.mode == MODE_TREE;
		}
		if (c >= 0) {
			d.ids.now = now.entry.id;
			d.is_tree = now.entry.mode == MODE_TREE;
		}
		if (!object_id_equal(&d.ids.old, &d.ids.now))
			ret = fn(ctx, &d, err);
		if (ret == 0 && c <= 0)
			ret = side_next(&old, err);
		if (ret == 0 && c >= 0)
			ret = side_next(&now, err);
	}
	buf_release(&old.data);
	buf_release(&now.data);
	return ret;
}

/* --- the levels: mailboxes, groups, leaves --- */

/* A mailbox that one side has alone: perhaps it was renamed. */
struct single {
	char *dir;
	struct object_id tree; /* of what is compared; never zeros */
	bool used;
};

struct walk {
	struct history *h;
	const char *what;
	leaf_fn *fn;
	void *ctx;
	struct single *gone, *come;
	size_t n_gone, cap_gone, n_come, cap_come;
	struct leaf_difference at;
	uint32_t group;
};

static int on_leaf(void *ctx, const struct entry_difference *d, struct err *err)
{
	struct walk *w = ctx;

	if (!layout_leaf_parse(d->name, w->group, &w->at.leaf))
		return 0; /* not ours, so not to be judged */
	w->at.ids = d->ids;
	return w->fn(w->ctx, &w->at, err);
}

static int on_group(void *ctx, const struct entry_difference *d, struct err *err)
{
	struct walk *w = ctx;
	struct pair trees = d->ids;

	if (!layout_group_parse(d->name, &w->group))
		return 0;
	return history_diff_trees(w->h, &trees, on_leaf, w, err);
}

static int diff_contents(struct walk *w, struct bytes dir, const struct pair *trees,
			 struct err *err)
{
	if (object_id_equal(&trees->old, &trees->now))
		return 0;
	w->at.dir = dir;
	return history_diff_trees(w->h, trees, on_group, w, err);
}

/* The tree of what is compared in a mailbox's directory; zeros when there is none. */
static int contents_of(struct walk *w, const struct object_id *dir, bool is_tree,
		       struct object_id *out, struct err *err)
{
	*out = (struct object_id){ 0 };
	if (!is_tree || object_id_is_zero(dir))
		return 0;
	return repo_lookup(w->h->repo, dir, w->what, NULL, out, err) < 0 ? -1 : 0;
}

static void remember(struct single **v, size_t *n, size_t *cap, struct bytes dir,
		     const struct object_id *tree)
{
	if (object_id_is_zero(tree))
		return; /* it holds nothing */
	*v = xgrow(*v, *n, cap, sizeof(**v));
	(*v)[(*n)++] = (struct single){ .dir = bytes_dup(dir), .tree = *tree };
}

static int on_mailbox(void *ctx, const struct entry_difference *d, struct err *err)
{
	struct walk *w = ctx;
	struct pair trees;

	if (contents_of(w, &d->ids.old, d->old_is_tree, &trees.old, err) < 0 ||
	    contents_of(w, &d->ids.now, d->is_tree, &trees.now, err) < 0)
		return -1;
	if (d->old_is_tree && d->is_tree)
		return diff_contents(w, d->name, &trees, err);
	if (d->old_is_tree)
		remember(&w->gone, &w->n_gone, &w->cap_gone, d->name, &trees.old);
	else if (d->is_tree)
		remember(&w->come, &w->n_come, &w->cap_come, d->name, &trees.now);
	return 0;
}

static int by_tree(const void *a, const void *b)
{
	const struct single *x = a, *y = b;

	return object_id_compare(&x->tree, &y->tree);
}

/* What came with exactly the content of what went was renamed; neither is told. */
static void match_renames(struct walk *w)
{
	if (w->n_come == 0 || w->n_gone == 0)
		return;
	qsort(w->come, w->n_come, sizeof(*w->come), by_tree);
	qsort(w->gone, w->n_gone, sizeof(*w->gone), by_tree);
	for (size_t i = 0, k = 0; i < w->n_gone && k < w->n_come;) {
		int c = by_tree(&w->gone[i], &w->come[k]);

		if (c == 0)
			w->gone[i].used = w->come[k].used = true;
		i += c <= 0;
		k += c >= 0;
	}
}

static int diff_singles(struct walk *w, struct err *err)
{
	match_renames(w);
	for (size_t i = 0; i < w->n_gone; i++) {
		struct pair trees = { .old = w->gone[i].tree };

		if (!w->gone[i].used &&
		    diff_contents(w, bytes_of(w->gone[i].dir), &trees, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < w->n_come; i++) {
		struct pair trees = { .now = w->come[i].tree };

		if (!w->come[i].used &&
		    diff_contents(w, bytes_of(w->come[i].dir), &trees, err) < 0)
			return -1;
	}
	return 0;
}

static void free_singles(struct single *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].dir);
	free(v);
}

int history_mailboxes(struct history *h, const struct object_id *root, struct object_id *out,
		      struct err *err)
{
	*out = (struct object_id){ 0 };
	if (object_id_is_zero(root))
		return 0;
	return repo_lookup(h->repo, root, LAYOUT_MAILBOXES, NULL, out, err) < 0 ? -1 : 0;
}

int history_diff(struct history *h, const struct pair *roots, const char *what, leaf_fn *fn,
		 void *ctx, struct err *err)
{
	struct walk w = { .h = h, .what = what, .fn = fn, .ctx = ctx };
	struct pair trees;
	int ret = -1;

	if (history_mailboxes(h, &roots->old, &trees.old, err) < 0 ||
	    history_mailboxes(h, &roots->now, &trees.now, err) < 0)
		return -1;
	if (!object_id_equal(&trees.old, &trees.now) &&
	    history_diff_trees(h, &trees, on_mailbox, &w, err) < 0)
		goto out;
	ret = diff_singles(&w, err);
out:
	free_singles(w.gone, w.n_gone);
	free_singles(w.come, w.n_come);
	return ret;
}

int flags_lines_next(struct flags_lines *l, struct err *err)
{
	int got = entry_next(&l->reader, &l->line, err);

	l->there = got > 0;
	return got < 0 ? -1 : 0;
}

int flags_lines_open(struct flags_lines *l, struct history *h, const struct object_id *id, uint32_t leaf,
		     struct buf *text, struct err *err)
{
	buf_clear(text);
	if (!object_id_is_zero(id) && repo_read(h->repo, id, GIT_BLOB, text, err) < 0)
		return -1;
	entry_reader_init(&l->reader, buf_bytes(text), leaf);
	return flags_lines_next(l, err);
}

int history_read_mailbox(struct history *h, const struct object_id *tree, const char *dir,
			 struct buf *data, struct mailbox_text *out, struct err *err)
{
	struct object_id id;
	int there = repo_lookup(h->repo, tree, LAYOUT_MAILBOX, NULL, &id, err);

	if (there < 0)
		return -1;
	if (there == 0)
		return err_set(err, ERR_FATAL, "%s/%s has no file %s: the archive is damaged",
			       LAYOUT_MAILBOXES, dir, LAYOUT_MAILBOX);
	if (repo_read(h->repo, &id, GIT_BLOB, data, err) < 0)
		return -1;
	if (mailbox_text_read(buf_bytes(data), dir, out, err) == 0)
		return 0;
	return err_prefix(err, "%s/%s/%s", LAYOUT_MAILBOXES, dir, LAYOUT_MAILBOX);
}

static int count_entry(void *ctx, const struct entry_difference *d, struct err *err)
{
	(void)err;
	*(uint64_t *)ctx += d->is_tree;
	return 0;
}

int history_count_mailboxes(struct history *h, const struct object_id *root, uint64_t *n,
			    struct err *err)
{
	struct pair trees = { 0 };

	*n = 0;
	if (history_mailboxes(h, root, &trees.now, err) < 0)
		return -1;
	return history_diff_trees(h, &trees, count_entry, n, err);
}
