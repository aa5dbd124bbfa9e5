#include <stdlib.h>
#include <string.h>

#include "backends/git/history_private.h"
#include "backends/git/layout.h"
#include "backends/git/mailbox_text.h"
#include "backends/git/repo.h"
#include "core/base/buf.h"
#include "core/base/mem.h"

/*
 * The differences from each snapshot to the next are events: a content came under a UID, or went.
 * Counted from the first of them on, with 0 for what was there then, the messages of one content
 * that are missing at the end are the highest count there ever was minus the last one: what
 * stayed all the time has no event and does not matter. The ones that went last stand for them.
 */
struct event {
	struct object_id blob;
	uint32_t box, uid;
	uint32_t step; /* rises with time */
	bool came;
	bool missing, moved; /* the answer, of those that went */
	uint32_t since;      /* of those that are missing: the step it came with, 0: it was there at first */
};

struct gatherer {
	struct history *h;
	struct event *v;
	size_t n, cap;
	char **boxes; /* directories */
	size_t n_boxes, cap_boxes;
	uint32_t box, leaf, step; /* in work */
};

static uint32_t box_number(struct gatherer *g, struct bytes dir)
{
	/* They come one after the other, so it mostly is the one before. */
	if (g->n_boxes && bytes_is(dir, g->boxes[g->box]))
		return g->box;
	for (size_t i = 0; i < g->n_boxes; i++)
		if (bytes_is(dir, g->boxes[i]))
			return (uint32_t)i;
	g->boxes = xgrow(g->boxes, g->n_boxes, &g->cap_boxes, sizeof(*g->boxes));
	g->boxes[g->n_boxes++] = bytes_dup(dir);
	return (uint32_t)g->n_boxes - 1;
}

static void add_event(struct gatherer *g, const struct object_id *blob, uint32_t uid, bool came)
{
	if (object_id_is_zero(blob))
		return;
	g->v = xgrow(g->v, g->n, &g->cap, sizeof(*g->v));
	g->v[g->n++] = (struct event){
		.blob = *blob, .box = g->box, .uid = uid, .step = g->step, .came = came
	};
}

static int on_message(void *ctx, const struct entry_difference *d, struct err *err)
{
	struct gatherer *g = ctx;
	uint32_t uid;

	(void)err;
	if (!layout_message_parse(d->name, g->leaf, &uid))
		return 0;
	add_event(g, &d->ids.old, uid, false);
	add_event(g, &d->ids.now, uid, true);
	return 0;
}

static int on_leaf(void *ctx, const struct leaf_difference *d, struct err *err)
{
	struct gatherer *g = ctx;

	g->box = box_number(g, d->dir);
	g->leaf = d->leaf;
	return history_diff_trees(g->h, &d->ids, on_message, g, err);
}

/* From the snapshot with number `first` to the newest. */
static int gather(struct gatherer *g, size_t first, struct err *err)
{
	for (size_t i = first; i > 0; i--) {
		struct pair roots = { g->h->roots[i], g->h->roots[i - 1] };

		g->step = (uint32_t)(g->h->n - i);
		if (history_diff(g->h, &roots, LAYOUT_MESSAGES, on_leaf, g, err) < 0)
			return -1;
	}
	return 0;
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_blob_and_step(const void *a, const void *b)
{
	const struct event *x = a, *y = b;
	int c = object_id_compare(&x->blob, &y->blob);

	return c ? c : compare(x->step, y->step);
}

static int by_box_blob_and_step(const void *a, const void *b)
{
	const struct event *x = a, *y = b;
	int c = compare(x->box, y->box);

	return c ? c : by_blob_and_step(a, b);
}

static int by_box_and_uid(const void *a, const void *b)
{
	const struct event *x = a, *y = b;
	int c = compare(x->box, y->box);

	c = c ? c : compare(x->uid, y->uid);
	return c ? c : compare(x->step, y->step);
}

/* How many are missing at the end of v[0] to v[n - 1]: of one content, in the order of time. */
static size_t count_missing(const struct event *v, size_t n)
{
	int64_t now = 0, most = 0;

	for (size_t i = 0; i < n; i++) {
		now += v[i].came ? 1 : -1;
		/* Within a step nothing comes before or after another. */
		if ((i + 1 == n || v[i + 1].step != v[i].step) && now > most)
			most = now;
	}
	return (size_t)(most - now);
}

/* One content in one mailbox: as many as are missing of those that went last. */
static void mark_missing(struct event *v, size_t n)
{
	size_t missing = count_missing(v, n);

	for (size_t i = n; i-- > 0 && missing > 0;)
		if (!v[i].came) {
			v[i].missing = true;
			missing--;
		}
}

/* One content in the whole account: more are missing from mailboxes than from it. Those were moved. */
static void mark_moved(struct event *v, size_t n)
{
	size_t missing = count_missing(v, n);

	for (size_t i = n; i-- > 0;)
		if (v[i].missing) {
			v[i].moved = missing == 0;
			missing -= missing > 0;
		}
}

/* So far is looked back for where a message came: a thousand equal ones are no mail that anyone misses. */
#define LOOK_BACK 1000u

/* Under the same UID in the same mailbox; or in another, for one that was renamed has no events of its own. */
static uint32_t came_in(const struct event *v, size_t i)
{
	uint32_t elsewhere = 0;

	for (size_t k = i; k-- > 0 && i - k <= LOOK_BACK;) {
		if (!v[k].came || v[k].uid != v[i].uid || v[k].step >= v[i].step)
			continue;
		if (v[k].box == v[i].box)
			return v[k].step;
		if (elsewhere == 0)
			elsewhere = v[k].step;
	}
	return elsewhere;
}

static void mark_since(struct event *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].missing)
			v[i].since = came_in(v, i);
}

static void each_content(struct gatherer *g, int (*order)(const void *, const void *), bool in_box,
			 void (*mark)(struct event *v, size_t n))
{
	size_t from = 0;

	if (g->n == 0)
		return;
	qsort(g->v, g->n, sizeof(*g->v), order);
	for (size_t i = 1; i <= g->n; i++) {
		if (i < g->n && object_id_equal(&g->v[i].blob, &g->v[from].blob) &&
		    (!in_box || g->v[i].box == g->v[from].box))
			continue;
		mark(g->v + from, i - from);
		from = i;
	}
}

static int read_name(struct history *h, size_t snapshot, const char *dir,
		     struct mailbox_text *out, struct err *err)
{
	struct buf data = BUF_INIT(MAILBOX_TEXT_MAX);
	struct object_id id;
	int ret = history_mailboxes(h, &h->roots[snapshot], &id, err);

	if (ret == 0 && repo_lookup(h->repo, &id, dir, NULL, &id, err) < 0)
		ret = -1;
	if (ret == 0)
		ret = history_read_mailbox(h, &id, dir, &data, out, err);
	buf_release(&data);
	return ret;
}

static int tell(struct gatherer *g, size_t first, deleted_fn *fn, void *ctx, struct err *err)
{
	struct mailbox_text box;
	uint32_t open = UINT32_MAX; /* whose name is in `box` */
	int ret = 0;

	mailbox_text_init(&box);
	for (size_t i = 0; i < g->n && ret == 0; i++) {
		const struct event *e = &g->v[i];
		struct deleted d = { .mailbox = &box.name, .uid = e->uid, .moved = e->moved,
				     .snapshot = g->h->n - e->step,
				     .first = e->since ? g->h->n - 1 - e->since : first };

		if (!e->missing)
			continue;
		if (e->box != open)
			ret = read_name(g->h, d.snapshot, g->boxes[e->box], &box, err);
		open = e->box;
		object_id_hex(&e->blob, d.blob);
		if (ret == 0)
			ret = fn(ctx, &d, err);
	}
	mailbox_text_release(&box);
	return ret;
}

int history_deleted_since(struct history *h, int64_t since, deleted_fn *fn, void *ctx,
			  struct err *err)
{
	struct gatherer g = { .h = h };
	size_t first = 0;
	int ret = 0;

	while (first + 1 < h->n && h->v[first].time > since)
		first++;
	if (history_cut(h) && h->v[first].time > since)
		ret = err_set(err, h->cut.kind,
			      "not all snapshots since then can be read, so what was deleted is not "
			      "known: %s", h->cut.text);
	else if (h->n > 0)
		ret = gather(&g, first, err);
	if (ret == 0) {
		each_content(&g, by_box_blob_and_step, true, mark_missing);
		each_content(&g, by_blob_and_step, false, mark_moved);
		each_content(&g, by_blob_and_step, false, mark_since);
		if (g.n > 0)
			qsort(g.v, g.n, sizeof(*g.v), by_box_and_uid);
		ret = tell(&g, first, fn, ctx, err);
	}
	for (size_t i = 0; i < g.n_boxes; i++)
		free(g.boxes[i]);
	free(g.boxes);
	free(g.v);
	return ret;
}
