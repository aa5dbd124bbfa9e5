#include "backends/git/leaf.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/box.h"
#include "backends/git/leaf_private.h"
#include "core/base/err.h"
#include "core/base/mem.h"

/* So much of a line that a hundred of them still fit the file. */
#define LINE_MAX_BYTES (LEAF_TEXT_MAX / LAYOUT_LEAF_UIDS - 128)

void leaf_free(struct leaf *leaf)
{
	if (!leaf)
		return;
	for (size_t i = 0; i < leaf->n; i++)
		free(leaf->v[i].own);
	free(leaf->v);
	buf_release(&leaf->text);
	free(leaf);
}

/* Index of the group, or where it would be. */
static size_t group_place(const struct gitbox *box, uint32_t number)
{
	size_t lo = 0, hi = box->n_groups;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (box->groups[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct group *group_find(const struct gitbox *box, uint32_t number)
{
	size_t at = group_place(box, number);

	return at < box->n_groups && box->groups[at].number == number ? &box->groups[at] : NULL;
}

static struct group *group_make(struct gitbox *box, uint32_t number)
{
	size_t at = group_place(box, number);

	if (at < box->n_groups && box->groups[at].number == number)
		return &box->groups[at];
	box->groups = xgrow(box->groups, box->n_groups, &box->cap_groups, sizeof(*box->groups));
	memmove(&box->groups[at + 1], &box->groups[at],
		(box->n_groups - at) * sizeof(*box->groups));
	box->n_groups++;
	box->groups[at] = (struct group){ .number = number };
	return &box->groups[at];
}

/* Index of the message, or where it would be. */
static size_t item_place(const struct leaf *leaf, uint32_t uid)
{
	size_t at = leaf->n;

	if (at > 0 && leaf->v[at - 1].line.uid < uid)
		return at;
	for (at = 0; at < leaf->n && leaf->v[at].line.uid < uid; at++)
		;
	return at;
}

int leaf_find(struct gitbox *box, uint32_t uid, struct leaf **leaf, struct item **item,
	      struct err *err)
{
	struct group *group = group_find(box, layout_group(layout_leaf(uid)));
	struct leaf_ref *ref;
	size_t at;

	if (!group)
		return 0;
	if (group_load(box, group, err) < 0)
		return -1;
	ref = &group->leaves[layout_leaf(uid) % LAYOUT_GROUP_LEAVES];
	if (!ref->leaf && object_id_is_zero(&ref->flags))
		return 0;
	if (leaf_load(box, ref, layout_leaf(uid), err) < 0 ||
	    leaf_load_ids(box, ref, err) < 0)
		return -1;
	at = item_place(ref->leaf, uid);
	if (at == ref->leaf->n || ref->leaf->v[at].line.uid != uid)
		return 0;
	*leaf = ref->leaf;
	*item = &ref->leaf->v[at];
	return 1;
}

static bool ref_is_empty(const struct leaf_ref *ref)
{
	return ref->leaf ? ref->leaf->n == 0 : object_id_is_zero(&ref->flags);
}

int leaf_max_uid(struct gitbox *box, uint32_t *uid, struct err *err)
{
	*uid = 0;
	for (size_t i = box->n_groups; i > 0; i--) {
		struct group *group = &box->groups[i - 1];

		if (group_load(box, group, err) < 0)
			return -1;
		for (size_t k = LAYOUT_GROUP_LEAVES; k > 0; k--) {
			struct leaf_ref *ref = &group->leaves[k - 1];
			uint32_t number = group->number * LAYOUT_GROUP_LEAVES + (uint32_t)k - 1;

			if (ref_is_empty(ref))
				continue;
			if (leaf_load(box, ref, number, err) < 0)
				return -1;
			if (ref_is_empty(ref))
				continue;
			*uid = ref->leaf->v[ref->leaf->n - 1].line.uid;
			return 0;
		}
	}
	return 0;
}

static struct bytes keep(char **at, struct bytes b)
{
	char *p = *at;

	if (b.n > 0)
		memcpy(p, b.p, b.n);
	*at += b.n;
	return bytes_from(p, b.n);
}

char *line_own(struct entry_line *to, const struct entry_line *from)
{
	char *own = xmalloc(from->date.n + from->flags.n + from->extra.n + 1), *at = own;

	*to = *from;
	to->date = keep(&at, from->date);
	to->flags = keep(&at, from->flags);
	to->extra = keep(&at, from->extra);
	return own;
}

static bool line_fits(const struct entry_line *line)
{
	return line->date.n + line->flags.n + line->extra.n <= LINE_MAX_BYTES;
}

int leaf_insert(struct gitbox *box, const struct entry_line *line, const struct object_id *id,
		struct err *err)
{
	uint32_t number = layout_leaf(line->uid);
	struct group *group;
	struct leaf_ref *ref;
	struct leaf *leaf;
	size_t at;

	if (!line_fits(line))
		return err_set(err, ERR_MESSAGE, "its flags are too long to be stored");
	group = group_make(box, layout_group(number));
	if (group_load(box, group, err) < 0)
		return -1;
	ref = &group->leaves[number % LAYOUT_GROUP_LEAVES];
	if (leaf_load(box, ref, number, err) < 0 || leaf_load_ids(box, ref, err) < 0)
		return -1;
	leaf = ref->leaf;
	at = item_place(leaf, line->uid);
	leaf->v = xgrow(leaf->v, leaf->n, &leaf->cap, sizeof(*leaf->v));
	memmove(&leaf->v[at + 1], &leaf->v[at], (leaf->n - at) * sizeof(*leaf->v));
	leaf->n++;
	leaf->v[at] = (struct item){ .id = *id };
	leaf->v[at].own = line_own(&leaf->v[at].line, line);
	leaf->flags_dirty = leaf->messages_dirty = true;
	return 0;
}

void leaf_remove(struct leaf *leaf, struct item *item)
{
	free(item->own);
	leaf->n--;
	memmove(item, item + 1, (size_t)(leaf->v + leaf->n - item) * sizeof(*item));
	leaf->flags_dirty = leaf->messages_dirty = true;
}

int leaf_change(struct leaf *leaf, struct item *item, const struct entry_line *line,
		struct err *err)
{
	char *was = item->own;

	if (!line_fits(line))
		return err_set(err, ERR_MAILBOX, "the flags of UID %u are too long to be stored",
			       line->uid);
	item->own = line_own(&item->line, line);
	free(was); /* `line` may have pointed into it */
	leaf->flags_dirty = true;
	return 0;
}

/* --- going through a mailbox --- */

/* A group's leaves: those in memory, or read into `spare`. */
static int view_group(struct gitbox *box, const struct group *group, struct leaf_ref *spare,
		      const struct leaf_ref **refs, struct err *err)
{
	*refs = group->leaves;
	if (group->leaves)
		return 0;
	*refs = spare;
	return group_read(box, group, spare, err);
}

struct walk {
	struct gitbox *box;
	struct buf data;
	line_fn *line;
	id_fn *id;
	void *ctx;
};

static int walk_lines(struct walk *w, const struct leaf_ref *ref, uint32_t number,
		      struct err *err)
{
	struct entry_reader r;
	struct entry_line e;
	int got = 0;

	if (ref->leaf) {
		for (size_t i = 0; i < ref->leaf->n && got == 0; i++)
			got = w->line(w->ctx, &ref->leaf->v[i].line, err);
		return got;
	}
	if (repo_read(gitstore_of(w->box)->repo, &ref->flags, GIT_BLOB, &w->data, err) < 0)
		return gitbox_damaged(w->box, err);
	entry_reader_init(&r, buf_bytes(&w->data), number);
	while ((got = entry_next(&r, &e, err)) > 0)
		if (w->line(w->ctx, &e, err) < 0)
			return -1;
	return got < 0 ? leaf_text_damaged(w->box, number, err) : 0;
}

static int walk_ids(struct walk *w, const struct leaf_ref *ref, uint32_t number,
		    struct err *err)
{
	struct bytes rest;
	struct tree_entry e;
	uint32_t uid;
	int got = 0;

	if (ref->leaf && ref->leaf->ids) {
		for (size_t i = 0; i < ref->leaf->n && got == 0; i++)
			got = w->id(w->ctx, ref->leaf->v[i].line.uid, &ref->leaf->v[i].id, err);
		return got;
	}
	if (repo_read(gitstore_of(w->box)->repo, &ref->messages, GIT_TREE, &w->data, err) < 0)
		return gitbox_damaged(w->box, err);
	rest = buf_bytes(&w->data);
	while ((got = tree_next(&rest, &e, err)) > 0) {
		if (!layout_message_parse(e.name, number, &uid))
			return tree_entry_strange(w->box, &e, err);
		if (w->id(w->ctx, uid, &e.id, err) < 0)
			return -1;
	}
	return got < 0 ? gitbox_damaged(w->box, err) : 0;
}

static int walk(struct walk *w, struct err *err)
{
	struct leaf_ref *spare = xmalloc(LAYOUT_GROUP_LEAVES * sizeof(*spare));
	int ret = 0;

	buf_init(&w->data, LEAF_TEXT_MAX > TREE_MAX ? LEAF_TEXT_MAX : TREE_MAX);
	for (size_t i = 0; i < w->box->n_groups && ret == 0; i++) {
		const struct group *group = &w->box->groups[i];
		const struct leaf_ref *refs;

		ret = view_group(w->box, group, spare, &refs, err);
		for (uint32_t k = 0; k < LAYOUT_GROUP_LEAVES && ret == 0; k++) {
			uint32_t number = group->number * LAYOUT_GROUP_LEAVES + k;

			if (ref_is_empty(&refs[k]))
				continue;
			ret = w->line ? walk_lines(w, &refs[k], number, err)
				      : walk_ids(w, &refs[k], number, err);
		}
	}
	buf_release(&w->data);
	free(spare);
	return ret;
}

int leaf_each_line(struct gitbox *box, line_fn *fn, void *ctx, struct err *err)
{
	struct walk w = { .box = box, .line = fn, .ctx = ctx };

	return walk(&w, err);
}

int leaf_each_id(struct gitbox *box, id_fn *fn, void *ctx, struct err *err)
{
	struct walk w = { .box = box, .id = fn, .ctx = ctx };

	return walk(&w, err);
}

static int each_in_leaf(struct gitbox *box, struct leaf *leaf, const struct uidset *set,
			item_fn *fn, void *ctx, struct err *err)
{
	for (size_t i = 0; i < leaf->n;) {
		int got = 0;

		if (uidset_has(set, leaf->v[i].line.uid))
			got = fn(box, leaf, &leaf->v[i], ctx, err);
		if (got < 0)
			return -1;
		i += got == 0;
	}
	return 0;
}

/* One leaf of a group, which is in memory when there is anything to do. */
static int each_in_ref(struct gitbox *box, struct group *group, uint32_t number,
		       const struct uidset *set, bool ids, item_fn *fn, void *ctx,
		       struct err *err)
{
	struct leaf_ref *ref;

	if (uidset_count_in(set, layout_leaf_first(number), layout_leaf_last(number)) == 0)
		return 0;
	/* leaf_bound() may have put it away. */
	if (group_load(box, group, err) < 0)
		return -1;
	ref = &group->leaves[number % LAYOUT_GROUP_LEAVES];
	if (ref_is_empty(ref))
		return 0;
	if (leaf_load(box, ref, number, err) < 0 || (ids && leaf_load_ids(box, ref, err) < 0) ||
	    each_in_leaf(box, ref->leaf, set, fn, ctx, err) < 0)
		return -1;
	return leaf_bound(gitstore_of(box), err);
}

int leaf_each_in(struct gitbox *box, const struct uidset *set, bool ids, item_fn *fn, void *ctx,
		 struct err *err)
{
	for (size_t i = 0; i < box->n_groups; i++) {
		struct group *group = &box->groups[i];
		uint32_t first = group->number * LAYOUT_GROUP_LEAVES;
		uint32_t last = first + LAYOUT_GROUP_LEAVES - 1;

		if (last > layout_leaf(UINT32_MAX))
			last = layout_leaf(UINT32_MAX);
		if (uidset_count_in(set, layout_leaf_first(first), layout_leaf_last(last)) == 0)
			continue;
		for (uint32_t leaf = first; leaf <= last; leaf++)
			if (each_in_ref(box, group, leaf, set, ids, fn, ctx, err) < 0)
				return -1;
	}
	return 0;
}
