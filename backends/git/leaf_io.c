#include <stdlib.h>
#include <string.h>

#include "backends/git/box.h"
#include "backends/git/leaf_private.h"
#include "backends/git/pack_write.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"

/* What may be in memory before it goes into the pack. */
#define OPEN_LEAVES 512
#define OPEN_GROUPS 512

int leaf_text_damaged(const struct gitbox *box, uint32_t number, struct err *err)
{
	char path[LAYOUT_PATH_SIZE];

	layout_flags_path(number, path);
	err_prefix(err, "%s", path);
	return gitbox_damaged(box, err);
}

int tree_entry_strange(const struct gitbox *box, const struct tree_entry *e, struct err *err)
{
	char *name = escape_text(e->name, 80);

	err_set(err, ERR_FATAL, "a tree has an entry that does not belong there: %s", name);
	free(name);
	return gitbox_damaged(box, err);
}

static int read_tree(struct gitbox *box, const struct object_id *id, struct buf *data,
		     struct err *err)
{
	if (repo_read(gitstore_of(box)->repo, id, GIT_TREE, data, err) < 0)
		return gitbox_damaged(box, err);
	return 0;
}

/* The ids of one of a group's two trees. */
static int read_refs(struct gitbox *box, const struct group *group, bool flags,
		     struct leaf_ref *out, struct err *err)
{
	const struct object_id *id = flags ? &group->flags : &group->messages;
	struct buf data = BUF_INIT(TREE_MAX);
	struct tree_entry e;
	struct bytes rest;
	uint32_t leaf;
	int got = -1;

	if (object_id_is_zero(id))
		return 0;
	if (read_tree(box, id, &data, err) < 0)
		goto out;
	rest = buf_bytes(&data);
	while ((got = tree_next(&rest, &e, err)) > 0) {
		if (!layout_leaf_parse(e.name, group->number, &leaf)) {
			got = tree_entry_strange(box, &e, err);
			goto out;
		}
		*(flags ? &out[leaf % LAYOUT_GROUP_LEAVES].flags
			: &out[leaf % LAYOUT_GROUP_LEAVES].messages) = e.id;
	}
	if (got < 0)
		gitbox_damaged(box, err);
out:
	buf_release(&data);
	return got;
}

int group_read(struct gitbox *box, const struct group *group, struct leaf_ref *out,
	       struct err *err)
{
	memset(out, 0, LAYOUT_GROUP_LEAVES * sizeof(*out));
	if (read_refs(box, group, true, out, err) < 0 ||
	    read_refs(box, group, false, out, err) < 0)
		return -1;
	for (size_t k = 0; k < LAYOUT_GROUP_LEAVES; k++)
		if (object_id_is_zero(&out[k].flags) != object_id_is_zero(&out[k].messages)) {
			err_set(err, ERR_FATAL, "messages and flags of group %u do not agree",
				group->number);
			return gitbox_damaged(box, err);
		}
	return 0;
}

int group_load(struct gitbox *box, struct group *group, struct err *err)
{
	struct leaf_ref *leaves;

	if (group->leaves)
		return 0;
	leaves = xcalloc(LAYOUT_GROUP_LEAVES, sizeof(*leaves));
	if (group_read(box, group, leaves, err) < 0) {
		free(leaves);
		return -1;
	}
	group->leaves = leaves;
	gitstore_of(box)->open_groups++;
	return 0;
}

static int read_lines(struct gitbox *box, struct leaf *leaf, const struct object_id *id,
		      struct err *err)
{
	struct entry_reader r;
	struct entry_line e;
	int got;

	if (repo_read(gitstore_of(box)->repo, id, GIT_BLOB, &leaf->text, err) < 0)
		return gitbox_damaged(box, err);
	entry_reader_init(&r, buf_bytes(&leaf->text), leaf->number);
	while ((got = entry_next(&r, &e, err)) > 0) {
		leaf->v = xgrow(leaf->v, leaf->n, &leaf->cap, sizeof(*leaf->v));
		leaf->v[leaf->n++] = (struct item){ .line = e };
	}
	return got < 0 ? leaf_text_damaged(box, leaf->number, err) : 0;
}

int leaf_load(struct gitbox *box, struct leaf_ref *ref, uint32_t number, struct err *err)
{
	struct leaf *leaf;

	if (ref->leaf)
		return 0;
	leaf = xcalloc(1, sizeof(*leaf));
	leaf->number = number;
	buf_init(&leaf->text, LEAF_TEXT_MAX);
	leaf->ids = object_id_is_zero(&ref->messages);
	if (!object_id_is_zero(&ref->flags) && read_lines(box, leaf, &ref->flags, err) < 0) {
		leaf_free(leaf);
		return -1;
	}
	ref->leaf = leaf;
	gitstore_of(box)->open_leaves++;
	return 0;
}

static int disagree(const struct gitbox *box, uint32_t number, struct err *err)
{
	err_set(err, ERR_FATAL, "the tree of messages has not those of the flags file");
	return leaf_text_damaged(box, number, err);
}

int leaf_load_ids(struct gitbox *box, struct leaf_ref *ref, struct err *err)
{
	struct leaf *leaf = ref->leaf;
	struct buf data = BUF_INIT(TREE_MAX);
	struct tree_entry e;
	struct bytes rest;
	uint32_t uid;
	size_t i = 0;
	int got;

	if (leaf->ids)
		return 0;
	if (read_tree(box, &ref->messages, &data, err) < 0) {
		buf_release(&data);
		return -1;
	}
	rest = buf_bytes(&data);
	while ((got = tree_next(&rest, &e, err)) > 0) {
		if (!layout_message_parse(e.name, leaf->number, &uid) || i == leaf->n ||
		    leaf->v[i].line.uid != uid)
			break;
		leaf->v[i++].id = e.id;
	}
	leaf->ids = got == 0 && i == leaf->n;
	buf_release(&data);
	if (got < 0)
		return gitbox_damaged(box, err);
	return leaf->ids ? 0 : disagree(box, leaf->number, err);
}

/* --- writing --- */

static int write_tree(struct gitstore *g, const struct buf *data, struct object_id *id,
		      struct err *err)
{
	if (data->n == 0) {
		*id = (struct object_id){ 0 };
		return 0;
	}
	return pack_add(g->repo->writer, GIT_TREE, buf_bytes(data), id, NULL, err);
}

static int write_flags(struct gitstore *g, const struct leaf *leaf, struct object_id *id,
		       struct err *err)
{
	struct buf text = BUF_INIT(LEAF_TEXT_MAX);
	int ret = 0;

	*id = (struct object_id){ 0 };
	for (size_t i = 0; i < leaf->n; i++)
		entry_write(&leaf->v[i].line, &text);
	if (text.overflow)
		ret = err_set(err, ERR_FATAL, "%s: a file of flags is too long", g->path);
	else if (leaf->n > 0)
		ret = pack_add(g->repo->writer, GIT_BLOB, buf_bytes(&text), id, NULL, err);
	buf_release(&text);
	return ret;
}

static int write_messages(struct gitstore *g, const struct leaf *leaf, struct object_id *id,
			  struct err *err)
{
	struct buf data = BUF_INIT(TREE_MAX);
	char name[LAYOUT_MESSAGE_SIZE];
	int ret;

	for (size_t i = 0; i < leaf->n; i++) {
		layout_message_name(leaf->v[i].line.uid, name);
		tree_add(&data, MODE_FILE, name, &leaf->v[i].id);
	}
	ret = write_tree(g, &data, id, err);
	buf_release(&data);
	return ret;
}

static int put_away_leaf(struct gitstore *g, struct group *group, struct leaf_ref *ref,
			 struct err *err)
{
	struct leaf *leaf = ref->leaf;

	group->dirty |= leaf->flags_dirty || leaf->messages_dirty;
	if (leaf->flags_dirty && write_flags(g, leaf, &ref->flags, err) < 0)
		return -1;
	leaf->flags_dirty = false;
	if (leaf->messages_dirty && write_messages(g, leaf, &ref->messages, err) < 0)
		return -1;
	leaf_free(leaf);
	ref->leaf = NULL;
	g->open_leaves--;
	return 0;
}

static int write_group(struct gitstore *g, struct group *group, struct err *err)
{
	struct buf flags = BUF_INIT(TREE_MAX), messages = BUF_INIT(TREE_MAX);
	char name[LAYOUT_LEAF_SIZE];
	int ret;

	for (uint32_t k = 0; k < LAYOUT_GROUP_LEAVES; k++) {
		const struct leaf_ref *ref = &group->leaves[k];

		if (object_id_is_zero(&ref->flags))
			continue;
		layout_leaf_name(k, name);
		tree_add(&flags, MODE_FILE, name, &ref->flags);
		tree_add(&messages, MODE_TREE, name, &ref->messages);
	}
	ret = write_tree(g, &flags, &group->flags, err);
	if (ret == 0)
		ret = write_tree(g, &messages, &group->messages, err);
	buf_release(&flags);
	buf_release(&messages);
	return ret;
}

static int put_away_group(struct gitstore *g, struct group *group, bool whole, struct err *err)
{
	for (size_t k = 0; k < LAYOUT_GROUP_LEAVES; k++) {
		struct leaf_ref *ref = &group->leaves[k];

		if (ref->leaf && put_away_leaf(g, group, ref, err) < 0)
			return -1;
	}
	if (!whole)
		return 0;
	if (group->dirty && write_group(g, group, err) < 0)
		return -1;
	group->dirty = false;
	free(group->leaves);
	group->leaves = NULL;
	g->open_groups--;
	return 0;
}

int leaf_write(struct gitbox *box, bool groups, struct err *err)
{
	for (size_t i = 0; i < box->n_groups; i++)
		if (box->groups[i].leaves &&
		    put_away_group(gitstore_of(box), &box->groups[i], groups, err) < 0)
			return -1;
	return 0;
}

int leaf_bound(struct gitstore *g, struct err *err)
{
	bool groups = g->open_groups > OPEN_GROUPS;

	if (!groups && g->open_leaves <= OPEN_LEAVES)
		return 0;
	for (size_t i = 0; i < g->n; i++)
		if (leaf_write(g->box[i], groups, err) < 0)
			return -1;
	return 0;
}

int leaf_write_tops(struct gitbox *box, struct object_id *messages, struct object_id *flags,
		    struct err *err)
{
	struct gitstore *g = gitstore_of(box);
	struct buf m = BUF_INIT(TREE_MAX), f = BUF_INIT(TREE_MAX);
	char name[LAYOUT_GROUP_SIZE];
	int ret;

	for (size_t i = 0; i < box->n_groups; i++) {
		if (object_id_is_zero(&box->groups[i].flags))
			continue;
		layout_group_name(box->groups[i].number, name);
		tree_add(&m, MODE_TREE, name, &box->groups[i].messages);
		tree_add(&f, MODE_TREE, name, &box->groups[i].flags);
	}
	ret = write_tree(g, &m, messages, err);
	if (ret == 0)
		ret = write_tree(g, &f, flags, err);
	buf_release(&m);
	buf_release(&f);
	return ret;
}

static int load_top(struct gitbox *box, const struct object_id *id, bool flags, struct err *err)
{
	struct buf data = BUF_INIT(TREE_MAX);
	struct tree_entry e;
	struct bytes rest;
	uint32_t number;
	size_t n = 0;
	int got = -1;

	if (read_tree(box, id, &data, err) < 0)
		goto out;
	rest = buf_bytes(&data);
	while ((got = tree_next(&rest, &e, err)) > 0) {
		if (!layout_group_parse(e.name, &number) ||
		    (flags && n > 0 && box->groups[n - 1].number >= number) ||
		    (!flags && (n == box->n_groups || box->groups[n].number != number))) {
			got = tree_entry_strange(box, &e, err);
			goto out;
		}
		if (flags) {
			box->groups = xgrow(box->groups, n, &box->cap_groups,
					    sizeof(*box->groups));
			box->groups[n] = (struct group){ .number = number, .flags = e.id };
			box->n_groups++;
		} else {
			box->groups[n].messages = e.id;
		}
		n++;
	}
	if (got == 0 && n != box->n_groups)
		got = err_set(err, ERR_FATAL, "messages and flags do not agree");
	if (got < 0)
		gitbox_damaged(box, err);
out:
	buf_release(&data);
	return got;
}

int leaf_load_groups(struct gitbox *box, const struct object_id *messages,
		     const struct object_id *flags, struct err *err)
{
	if (object_id_is_zero(messages) != object_id_is_zero(flags)) {
		err_set(err, ERR_FATAL, "messages and flags do not agree");
		return gitbox_damaged(box, err);
	}
	if (object_id_is_zero(messages))
		return 0;
	/* In this order: the first makes the groups, the second fills them in. */
	if (load_top(box, flags, true, err) < 0 || load_top(box, messages, false, err) < 0) {
		leaf_forget(box);
		return -1;
	}
	return 0;
}

static void forget_group(struct gitstore *g, struct group *group)
{
	for (size_t k = 0; k < LAYOUT_GROUP_LEAVES; k++) {
		g->open_leaves -= group->leaves[k].leaf != NULL;
		leaf_free(group->leaves[k].leaf);
	}
	free(group->leaves);
	g->open_groups--;
}

void leaf_forget(struct gitbox *box)
{
	for (size_t i = 0; i < box->n_groups; i++)
		if (box->groups[i].leaves)
			forget_group(gitstore_of(box), &box->groups[i]);
	free(box->groups);
	box->groups = NULL;
	box->n_groups = box->cap_groups = 0;
}
