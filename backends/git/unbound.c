#include "backends/git/unbound.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/box.h"
#include "backends/git/leaf.h"
#include "core/base/err.h"
#include "core/base/mem.h"

struct unbound {
	struct object_id id;
	uint32_t uid;
};

void unbound_forget(struct gitbox *box)
{
	free(box->unbound);
	box->unbound = NULL;
	box->n_unbound = 0;
	box->unbound_known = false;
}

static int compare_unbound(const void *a, const void *b)
{
	const struct unbound *x = a, *y = b;
	int diff = memcmp(x->id.b, y->id.b, OBJECT_ID_SIZE);

	return diff ? diff : (x->uid > y->uid) - (x->uid < y->uid);
}

static int gather_uid(void *ctx, const struct entry_line *line, struct err *err)
{
	(void)err;
	if (line->source_uid == 0)
		uidset_builder_add(ctx, line->uid, line->uid);
	return 0;
}

struct gathering {
	const struct uidset *uids;
	struct unbound *v;
	size_t n, cap;
};

static int gather_id(void *ctx, uint32_t uid, const struct object_id *id, struct err *err)
{
	struct gathering *g = ctx;

	(void)err;
	if (!uidset_has(g->uids, uid))
		return 0;
	g->v = xgrow(g->v, g->n, &g->cap, sizeof(*g->v));
	g->v[g->n++] = (struct unbound){ .id = *id, .uid = uid };
	return 0;
}

static int load(struct gitbox *box, struct err *err)
{
	struct uidset uids = UIDSET_INIT;
	struct gathering g = { .uids = &uids };
	struct uidset_builder builder;
	int ret;

	uidset_builder_init(&builder);
	ret = leaf_each_line(box, gather_uid, &builder, err);
	uidset_builder_finish(&builder, &uids);
	uidset_builder_release(&builder);
	if (ret == 0 && !uidset_is_empty(&uids))
		ret = leaf_each_id(box, gather_id, &g, err);
	uidset_release(&uids);
	if (ret < 0) {
		free(g.v);
		return gitbox_damaged(box, err);
	}
	if (g.n)
		qsort(g.v, g.n, sizeof(*g.v), compare_unbound);
	unbound_forget(box);
	box->unbound = g.v;
	box->n_unbound = g.n;
	box->unbound_known = true;
	return 0;
}

/* The first with this id, or where it would stand. */
static size_t first_of(const struct gitbox *box, const struct object_id *id)
{
	size_t lo = 0, hi = box->n_unbound;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(box->unbound[mid].id.b, id->b, OBJECT_ID_SIZE) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int unbound_take(struct gitbox *box, struct entry_line *line, const struct object_id *id,
		 struct err *err)
{
	if (box->text.live <= box->text.stored)
		return 0;
	if (!box->unbound_known && load(box, err) < 0)
		return -1;
	for (size_t i = first_of(box, id);
	     i < box->n_unbound && object_id_equal(&box->unbound[i].id, id); i++) {
		struct leaf *leaf;
		struct item *item;
		struct entry_line was;
		struct buf extra = BUF_INIT(LEAF_TEXT_MAX);
		int got = leaf_find(box, box->unbound[i].uid, &leaf, &item, err);

		if (got < 0)
			return -1;
		/* Taken or removed since the list was made. */
		if (got == 0 || item->line.source_uid != 0 || !object_id_equal(&item->id, id))
			continue;
		was = item->line;
		line->uid = was.uid;
		entry_take_pairs(line, &was, &extra);
		got = leaf_change(leaf, item, line, err);
		buf_release(&extra);
		if (got < 0)
			return -1;
		gitbox_count_out(box, &was); /* looks at its numbers only */
		return 1;
	}
	return 0;
}
