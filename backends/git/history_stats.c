#include <stdlib.h>

#include "backends/git/history_private.h"
#include "backends/git/entry_text.h"
#include "backends/git/layout.h"
#include "backends/git/mailbox_text.h"
#include "backends/git/repo.h"
#include "core/base/buf.h"
#include "core/base/mem.h"

/* Differences of flags files, added up. */
struct tally {
	struct history *h;
	uint64_t added, added_bytes, removed, removed_bytes, flags;
	struct buf old, now; /* kept from one file to the next */
};

/* A UID may come again for another message: when the source gave all of them anew. */
static bool is_same(const struct entry_line *a, const struct entry_line *b)
{
	return a->size == b->size && bytes_equal(a->date, b->date);
}

static void count_line(struct tally *t, const struct entry_line *old, const struct entry_line *now)
{
	bool same = old && now && is_same(old, now);

	if (old && !same) {
		t->removed++;
		t->removed_bytes += old->size;
	}
	if (now && !same) {
		t->added++;
		t->added_bytes += now->size;
	}
	t->flags += same && !bytes_equal(old->flags, now->flags);
}

static int compare_leaf(void *ctx, const struct leaf_difference *d, struct err *err)
{
	struct tally *t = ctx;
	struct flags_lines old, now;

	if (flags_lines_open(&old, t->h, &d->ids.old, d->leaf, &t->old, err) < 0 ||
	    flags_lines_open(&now, t->h, &d->ids.now, d->leaf, &t->now, err) < 0)
		return -1;
	while (old.there || now.there) {
		bool only_old = old.there && (!now.there || old.line.uid < now.line.uid);
		bool only_now = now.there && (!old.there || now.line.uid < old.line.uid);

		count_line(t, only_now ? NULL : &old.line, only_old ? NULL : &now.line);
		if ((!only_now && flags_lines_next(&old, err) < 0) ||
		    (!only_old && flags_lines_next(&now, err) < 0))
			return -1;
	}
	return 0;
}

static int tally(struct history *h, const struct object_id *old, const struct object_id *now,
		 struct tally *out, struct err *err)
{
	struct pair roots = { *old, *now };
	int ret;

	*out = (struct tally){ .h = h };
	buf_init(&out->old, LEAF_TEXT_MAX);
	buf_init(&out->now, LEAF_TEXT_MAX);
	ret = history_diff(h, &roots, LAYOUT_FLAGS, compare_leaf, out, err);
	buf_release(&out->old);
	buf_release(&out->now);
	return ret;
}

/* What a snapshot holds in all, by what its mailboxes say of themselves. */
struct totals {
	struct history *h;
	struct snapshot_stats *stats;
	struct mailbox_text text;
	struct buf data;
};

static int add_mailbox(void *ctx, const struct entry_difference *d, struct err *err)
{
	struct totals *t = ctx;
	char *dir;
	int ret;

	if (!d->is_tree)
		return 0;
	dir = bytes_dup(d->name);
	ret = history_read_mailbox(t->h, &d->ids.now, dir, &t->data, &t->text, err);
	free(dir);
	t->stats->mailboxes++;
	t->stats->messages += t->text.live;
	t->stats->bytes += t->text.bytes;
	return ret;
}

static int add_totals(struct history *h, const struct object_id *root, struct snapshot_stats *out,
		      struct err *err)
{
	struct totals t = { .h = h, .stats = out };
	struct pair trees = { 0 };
	int ret;

	buf_init(&t.data, MAILBOX_TEXT_MAX);
	mailbox_text_init(&t.text);
	ret = history_mailboxes(h, root, &trees.now, err);
	if (ret == 0)
		ret = history_diff_trees(h, &trees, add_mailbox, &t, err);
	mailbox_text_release(&t.text);
	buf_release(&t.data);
	return ret;
}

/* The newest is added up; what the others hold follows from the differences. */
int history_each(struct history *h, size_t most, snapshot_fn *fn, void *ctx, struct err *err)
{
	struct snapshot_stats s = { 0 };
	struct tally t;

	if (h->n == 0 || most == 0)
		return 0;
	if (add_totals(h, &h->roots[0], &s, err) < 0)
		return -1;
	for (size_t i = 0; i < h->n && i < most; i++) {
		if (history_count_mailboxes(h, &h->roots[i], &s.mailboxes, err) < 0)
			return -1;
		if (i + 1 < h->n) {
			if (tally(h, &h->roots[i + 1], &h->roots[i], &t, err) < 0)
				return -1;
		} else if (history_cut(h)) {
			t = (struct tally){ 0 };
			s.alone = true;
		} else { /* the first: all of it is new */
			t = (struct tally){ .added = s.messages, .added_bytes = s.bytes };
		}
		s.added = t.added;
		s.removed = t.removed;
		s.flags = t.flags;
		if (fn(ctx, &h->v[i], &s, err) < 0)
			return -1;
		s.messages += t.removed - t.added;
		s.bytes += t.removed_bytes - t.added_bytes;
	}
	return 0;
}
