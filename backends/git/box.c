#include "backends/git/box.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/kept_list.h"
#include "backends/git/leaf.h"
#include "backends/git/quarantine_text.h"
#include "backends/git/unbound.h"
#include "core/base/err.h"
#include "core/base/mem.h"

struct gitbox *gitbox_new(struct gitstore *g, const struct mailbox_name *name)
{
	struct gitbox *box = xcalloc(1, sizeof(*box));

	box->mb.store = &g->st;
	mailbox_name_copy(&box->mb.name, name);
	layout_dir(name, box->dir);
	mailbox_text_init(&box->text);
	mailbox_text_init(&box->saved);
	mailbox_name_copy(&box->text.name, name);
	tree_init(&box->slots);
	return box;
}

static void drop_stash(struct gitbox *box)
{
	if (box->stash)
		changes_release(box->stash);
	free(box->stash);
	box->stash = NULL;
}

void gitbox_free(struct gitbox *box)
{
	if (!box)
		return;
	leaf_forget(box);
	unbound_forget(box);
	kept_list_release(&box->kept);
	drop_stash(box);
	tree_release(&box->slots);
	uidset_release(&box->sources);
	uidset_release(&box->known);
	quarantine_free(box->quarantine, box->n_quarantine);
	mailbox_text_release(&box->text);
	mailbox_text_release(&box->saved);
	mailbox_name_release(&box->mb.name);
	free(box);
}

int gitbox_damaged(const struct gitbox *box, struct err *err)
{
	if (err->kind == ERR_MAILBOX) /* it was said already */
		return -1;
	err->kind = ERR_MAILBOX;
	return err_prefix(err, "what is stored of it is damaged (" LAYOUT_MAILBOXES "/%s)",
			  box->dir);
}

static struct object_id slot_of(const struct gitbox *box, const char *name)
{
	const struct tree_slot *slot = tree_find(&box->slots, name);

	return slot ? slot->id : (struct object_id){ 0 };
}

int gitbox_load(struct gitbox *box, struct err *err)
{
	struct gitstore *g = gitstore_of(box);
	struct buf data = BUF_INIT(TREE_MAX);
	struct object_id messages, flags;
	int ret = 0;

	if (box->loaded)
		return 0;
	if (!g->trees_known && gitstore_know_trees(g, err) < 0)
		return -1;
	if (!object_id_is_zero(&box->tree) &&
	    (repo_read(g->repo, &box->tree, GIT_TREE, &data, err) < 0 ||
	     tree_parse(&box->slots, buf_bytes(&data), err) < 0))
		ret = gitbox_damaged(box, err);
	buf_release(&data);
	if (ret < 0)
		return -1;
	messages = slot_of(box, LAYOUT_MESSAGES);
	flags = slot_of(box, LAYOUT_FLAGS);
	if (leaf_load_groups(box, &messages, &flags, err) < 0)
		return -1;
	box->loaded = true;
	return 0;
}

struct base_scan {
	struct uidset_builder sources;
	struct flag_memo memo;
	struct changes *out;
	const struct kept_list *kept; /* to be told as well; NULL: not */
	size_t next_kept;
};

static int64_t date_of(const struct entry_line *line)
{
	struct maildate date;
	int64_t when;

	maildate_init(&date);
	entry_date_read(line->date, &date);
	when = date.known ? date.unix_time : CHANGES_NO_DATE;
	maildate_release(&date);
	return when;
}

static int scan_one(struct base_scan *s, const struct entry_line *line, struct err *err)
{
	struct entry *e = changes_add(s->out, line->uid);

	if (s->out->described)
		s->out->dates[s->out->n - 1] = date_of(line);
	e->source_uid = line->source_uid;
	e->size = line->size < UINT32_MAX ? (uint32_t)line->size : UINT32_MAX;
	if (flag_memo_id(&s->memo, line, &e->flags, err) < 0)
		return -1;
	e->base_flags = e->flags;
	if (line->source_uid)
		uidset_builder_add(&s->sources, line->source_uid, line->source_uid);
	return 0;
}

/* Those kept messages whose turn it is before the UID `to`. */
static int scan_kept(struct base_scan *s, uint64_t to, struct err *err)
{
	for (; s->kept && s->next_kept < s->kept->n; s->next_kept++) {
		const struct entry_line *line = &s->kept->v[s->next_kept].line.entry;

		if (line->uid >= to)
			break;
		if (scan_one(s, line, err) < 0)
			return -1;
	}
	return 0;
}

static int scan_line(void *ctx, const struct entry_line *line, struct err *err)
{
	struct base_scan *s = ctx;

	if (scan_kept(s, line->uid, err) < 0)
		return -1;
	return scan_one(s, line, err);
}

int gitbox_scan(struct gitbox *box, struct uidset *sources, struct changes *out,
		struct err *err)
{
	struct base_scan s = { .out = out };
	int ret;

	if (gitbox_load(box, err) < 0)
		return -1;
	if (box->mb.store->cfg->with_kept) {
		if (kept_list_load(box, err) < 0)
			return -1;
		s.kept = &box->kept;
	}
	uidset_builder_init(&s.sources);
	flag_memo_init(&s.memo, out->flags);
	ret = leaf_each_line(box, scan_line, &s, err);
	if (ret == 0)
		ret = scan_kept(&s, (uint64_t)UINT32_MAX + 1, err);
	if (ret < 0)
		gitbox_damaged(box, err);
	else if (sources)
		uidset_builder_finish(&s.sources, sources);
	flag_memo_release(&s.memo);
	uidset_builder_release(&s.sources);
	return ret;
}

int gitbox_read_quarantine(struct gitbox *box, struct quarantined **v, size_t *n, struct err *err)
{
	struct buf text = BUF_INIT(QUARANTINE_TEXT_MAX);
	struct object_id id;
	int ret = 0;

	*v = NULL;
	*n = 0;
	if (gitbox_load(box, err) < 0)
		return -1;
	id = slot_of(box, LAYOUT_QUARANTINE);
	if (!object_id_is_zero(&id) &&
	    (repo_read(gitstore_of(box)->repo, &id, GIT_BLOB, &text, err) < 0 ||
	     quarantine_text_read(buf_bytes(&text), v, n, err) < 0))
		ret = gitbox_damaged(box, err);
	buf_release(&text);
	return ret;
}

int gitbox_load_base(struct gitbox *box, struct err *err)
{
	struct changes *stash;

	if (box->base_loaded)
		return 0;
	stash = xmalloc(sizeof(*stash));
	changes_init(stash);
	if (gitbox_scan(box, &box->sources, stash, err) < 0 ||
	    gitbox_read_quarantine(box, &box->quarantine, &box->n_quarantine, err) < 0) {
		uidset_clear(&box->sources);
		changes_release(stash);
		free(stash);
		return -1;
	}
	box->stash = stash;
	uidset_union(&box->known, &box->sources, &box->text.known_also);
	for (size_t i = 0; i < box->n_quarantine; i++)
		uidset_add(&box->known, box->quarantine[i].uid);
	uidset_subtract(&box->known, &box->known, &box->text.known_not);
	box->base_loaded = true;
	return 0;
}

void gitbox_touch(struct gitbox *box)
{
	drop_stash(box);
	box->dirty = true;
}

void gitbox_count_in(struct gitbox *box, const struct entry_line *line)
{
	gitbox_touch(box);
	box->text.live++;
	box->text.bytes += line->size;
	box->text.stored += line->source_uid != 0;
	box->text.remapped += line->source_uid != line->uid;
	if (line->source_uid)
		uidset_add(&box->sources, line->source_uid);
	if (box->max_known && line->uid > box->max_uid)
		box->max_uid = line->uid;
}

void gitbox_count_out(struct gitbox *box, const struct entry_line *line)
{
	gitbox_touch(box);
	box->text.live--;
	box->text.bytes -= line->size < box->text.bytes ? line->size : box->text.bytes;
	box->text.stored -= line->source_uid != 0;
	box->text.remapped -= line->source_uid != line->uid;
	if (line->source_uid)
		uidset_remove(&box->sources, line->source_uid);
}

static int is_taken(struct gitbox *box, uint32_t uid, struct err *err)
{
	struct leaf *leaf;
	struct item *item;
	struct kept_item *kept;
	int got = leaf_find(box, uid, &leaf, &item, err);

	return got ? got : kept_list_by_uid(box, uid, &kept, err);
}

static int know_max(struct gitbox *box, struct err *err)
{
	struct kept_list *k = &box->kept;

	if (box->max_known)
		return 0;
	if (leaf_max_uid(box, &box->max_uid, err) < 0 || kept_list_load(box, err) < 0)
		return -1;
	if (k->n > 0 && k->v[k->n - 1].line.entry.uid > box->max_uid)
		box->max_uid = k->v[k->n - 1].line.entry.uid;
	box->max_known = true;
	return 0;
}

int gitbox_choose_uid(struct gitbox *box, uint32_t source_uid, uint32_t *uid, struct err *err)
{
	int taken = source_uid == 0;

	if (know_max(box, err) < 0)
		return -1;
	*uid = source_uid;
	if (source_uid && source_uid <= box->max_uid)
		taken = is_taken(box, source_uid, err);
	if (taken <= 0)
		return taken;
	*uid = box->max_uid + 1;
	/* The last number of all is in use: the highest that is not. */
	for (uint32_t n = UINT32_MAX - 1; *uid == 0 && n > 0; n--) {
		taken = is_taken(box, n, err);
		if (taken < 0)
			return -1;
		if (!taken)
			*uid = n;
	}
	return 0;
}
