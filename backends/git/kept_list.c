#include "backends/git/kept_list.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/box.h"
#include "backends/git/leaf.h"
#include "backends/git/pack_write.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/mem.h"

void kept_list_release(struct kept_list *k)
{
	for (size_t i = 0; i < k->n; i++)
		free(k->v[i].own);
	free(k->v);
	free(k->by_id);
	buf_release(&k->text);
	*k = (struct kept_list){ 0 };
}

static int read_list(struct gitbox *box, const struct object_id *tree, struct err *err)
{
	struct gitstore *g = gitstore_of(box);
	struct kept_list *k = &box->kept;
	struct entry_reader r;
	struct kept_line line;
	struct object_id id;
	int got = repo_lookup(g->repo, tree, LAYOUT_KEPT_LIST, NULL, &id, err);

	if (got == 0)
		got = err_set(err, ERR_FATAL, LAYOUT_KEPT ": no file " LAYOUT_KEPT_LIST);
	if (got < 0 || repo_read(g->repo, &id, GIT_BLOB, &k->text, err) < 0)
		return gitbox_damaged(box, err);
	kept_reader_init(&r, buf_bytes(&k->text));
	while ((got = kept_next(&r, &line, err)) > 0) {
		k->v = xgrow(k->v, k->n, &k->cap, sizeof(*k->v));
		k->v[k->n++] = (struct kept_item){ .line = line };
	}
	if (got == 0)
		return 0;
	err_prefix(err, LAYOUT_KEPT "/" LAYOUT_KEPT_LIST);
	return gitbox_damaged(box, err);
}

static int load(struct gitbox *box, struct err *err)
{
	const struct tree_slot *slot;

	if (box->kept.loaded)
		return 0;
	if (gitbox_load(box, err) < 0)
		return -1;
	buf_init(&box->kept.text, KEPT_TEXT_MAX);
	slot = tree_find(&box->slots, LAYOUT_KEPT);
	if (slot && read_list(box, &slot->id, err) < 0) {
		kept_list_release(&box->kept);
		return -1;
	}
	box->kept.loaded = true;
	return 0;
}

static int compare_uids(const void *a, const void *b)
{
	const struct kept_item *x = a, *y = b;

	return (x->line.entry.uid > y->line.entry.uid) - (x->line.entry.uid < y->line.entry.uid);
}

/* Take out what is gone, and put what was added in its place. */
static void settle(struct kept_list *k)
{
	size_t to = 0;

	for (size_t i = 0; i < k->n; i++) {
		if (k->v[i].gone)
			free(k->v[i].own);
		else
			k->v[to++] = k->v[i];
	}
	k->n = to;
	if (k->unsorted)
		qsort(k->v, k->n, sizeof(*k->v), compare_uids);
	k->unsorted = false;
	free(k->by_id);
	k->by_id = NULL;
}

int kept_list_load(struct gitbox *box, struct err *err)
{
	if (load(box, err) < 0)
		return -1;
	if (box->kept.unsorted)
		settle(&box->kept);
	return 0;
}

/* Index of the first with this UID or a higher one. */
static size_t place_of(const struct kept_list *k, uint32_t uid)
{
	size_t lo = 0, hi = k->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (k->v[mid].line.entry.uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int kept_list_by_uid(struct gitbox *box, uint32_t uid, struct kept_item **out, struct err *err)
{
	struct kept_list *k = &box->kept;
	size_t at;

	if (kept_list_load(box, err) < 0)
		return -1;
	at = place_of(k, uid);
	if (at == k->n || k->v[at].line.entry.uid != uid || k->v[at].gone)
		return 0;
	*out = &k->v[at];
	return 1;
}

static int compare_ids(const void *a, const void *b, void *ctx)
{
	const struct kept_list *k = ctx;
	const uint32_t *x = a, *y = b;
	int c = memcmp(k->v[*x].line.id, k->v[*y].line.id, OBJECT_ID_SIZE);

	return c ? c : (*x > *y) - (*x < *y);
}

static void sort_by_id(struct kept_list *k)
{
	if (k->by_id)
		return;
	k->by_id = xcalloc(k->n + 1, sizeof(*k->by_id));
	k->n_by_id = 0;
	for (size_t i = 0; i < k->n; i++)
		if (!k->v[i].gone)
			k->by_id[k->n_by_id++] = (uint32_t)i;
	qsort_r(k->by_id, k->n_by_id, sizeof(*k->by_id), compare_ids, k);
}

/* Where those with this id begin in by_id. */
static size_t first_of(const struct kept_list *k, const uint8_t id[OBJECT_ID_SIZE])
{
	size_t lo = 0, hi = k->n_by_id;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(k->v[k->by_id[mid]].line.id, id, OBJECT_ID_SIZE) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int kept_list_by_content(struct gitbox *box, const struct object_id *id, uint64_t size,
			 struct kept_item **out, struct err *err)
{
	struct kept_list *k = &box->kept;

	if (box->text.kept == 0)
		return 0;
	if (kept_list_load(box, err) < 0)
		return -1;
	sort_by_id(k);
	for (size_t at = first_of(k, id->b); at < k->n_by_id; at++) {
		struct kept_item *item = &k->v[k->by_id[at]];

		if (memcmp(item->line.id, id->b, OBJECT_ID_SIZE) != 0)
			break;
		if (item->line.entry.size != size)
			continue;
		*out = item;
		return 1;
	}
	return 0;
}

int kept_list_add(struct gitbox *box, const struct item *item, bool held, struct err *err)
{
	struct buf extra = BUF_INIT(LEAF_TEXT_MAX);
	struct kept_list *k = &box->kept;
	struct entry_line line = item->line;
	struct kept_item *new;

	if (load(box, err) < 0)
		return -1;
	kept_extra_write(line.extra, clock_unix(), &extra);
	line.extra = buf_bytes(&extra);
	/* At the end, whatever its UID: a run keeps many before it asks for one. One that is gone may have it, too. */
	k->unsorted |= k->n > 0 && k->v[k->n - 1].line.entry.uid >= item->line.uid;
	k->v = xgrow(k->v, k->n, &k->cap, sizeof(*k->v));
	new = &k->v[k->n++];
	*new = (struct kept_item){ .line = { .held = held } };
	new->own = line_own(&new->line.entry, &line);
	buf_release(&extra);
	new->line.entry.source_uid = 0;
	memcpy(new->line.id, item->id.b, OBJECT_ID_SIZE);
	free(k->by_id);
	k->by_id = NULL;
	k->dirty = true;
	box->text.kept++;
	box->text.held += held;
	gitbox_touch(box);
	return 0;
}

/* Those that go mostly are the first of their id: of many equal ones, none is looked at twice. */
static void take_out(struct kept_list *k, const struct kept_item *item)
{
	size_t at;

	if (!k->by_id)
		return;
	for (at = first_of(k, item->line.id); &k->v[k->by_id[at]] != item; at++)
		;
	k->n_by_id--;
	memmove(&k->by_id[at], &k->by_id[at + 1], (k->n_by_id - at) * sizeof(*k->by_id));
}

void kept_list_remove(struct gitbox *box, struct kept_item *item)
{
	take_out(&box->kept, item);
	item->gone = true;
	box->kept.dirty = true;
	box->text.kept--;
	box->text.held -= item->line.held;
	gitbox_touch(box);
}

static int write_list(struct gitbox *box, struct object_id *id, struct err *err)
{
	struct gitstore *g = gitstore_of(box);
	struct kept_list *k = &box->kept;
	struct buf text = BUF_INIT(KEPT_TEXT_MAX);
	int ret;

	for (size_t i = 0; i < k->n; i++)
		kept_write(&k->v[i].line, &text);
	ret = text.overflow ? err_set(err, ERR_FATAL, "%s: too many kept messages", g->path)
			    : pack_add(g->repo->writer, GIT_BLOB, buf_bytes(&text), id, NULL, err);
	buf_release(&text);
	return ret;
}

/* The messages whose ids begin with the same byte, from by_id[*at] on. Each content once. */
static int write_dir(struct gitstore *g, const struct kept_list *k, size_t *at,
		     struct object_id *id, struct err *err)
{
	const uint8_t *first = k->v[k->by_id[*at]].line.id, *last = NULL;
	struct buf data = BUF_INIT(TREE_MAX);
	char name[LAYOUT_KEPT_SIZE];
	int ret;

	for (; *at < k->n && k->v[k->by_id[*at]].line.id[0] == first[0]; (*at)++) {
		const uint8_t *this = k->v[k->by_id[*at]].line.id;
		struct object_id blob;

		if (last && memcmp(last, this, OBJECT_ID_SIZE) == 0)
			continue;
		last = this;
		memcpy(blob.b, this, OBJECT_ID_SIZE);
		layout_kept_name(this, name);
		tree_add(&data, MODE_FILE, name, &blob);
	}
	ret = data.overflow ? err_set(err, ERR_FATAL, "%s: too many kept messages", g->path)
			    : pack_add(g->repo->writer, GIT_TREE, buf_bytes(&data), id, NULL, err);
	buf_release(&data);
	return ret;
}

int kept_list_write(struct gitbox *box, struct object_id *tree, struct err *err)
{
	struct gitstore *g = gitstore_of(box);
	struct kept_list *k = &box->kept;
	struct buf data = BUF_INIT(TREE_MAX);
	char name[LAYOUT_KEPT_DIR_SIZE];
	struct object_id id;
	int ret = 0;

	*tree = (struct object_id){ 0 };
	settle(k);
	if (k->n > 0)
		sort_by_id(k);
	for (size_t at = 0; at < k->n && ret == 0;) {
		layout_kept_dir(k->v[k->by_id[at]].line.id, name);
		ret = write_dir(g, k, &at, &id, err);
		if (ret == 0)
			tree_add(&data, MODE_TREE, name, &id);
	}
	if (k->n > 0 && ret == 0)
		ret = write_list(box, &id, err);
	if (k->n > 0 && ret == 0) {
		tree_add(&data, MODE_FILE, LAYOUT_KEPT_LIST, &id); /* sorts behind ff */
		ret = pack_add(g->repo->writer, GIT_TREE, buf_bytes(&data), tree, NULL, err);
	}
	if (ret == 0)
		k->dirty = false;
	buf_release(&data);
	return ret;
}
