#include "backends/git/edit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backends/git/box.h"
#include "backends/git/commit.h"
#include "backends/git/kept_list.h"
#include "backends/git/leaf.h"
#include "backends/git/quarantine_text.h"
#include "backends/git/unbound.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

static int change_one(struct gitbox *box, struct leaf *leaf, struct item *item, void *ctx,
		      struct err *err)
{
	const struct flag_delta *delta = ctx;
	struct buf text = BUF_INIT(LEAF_TEXT_MAX);
	struct entry_line line = item->line;
	struct flags flags = FLAGS_INIT;
	int ret = 0;

	flags_add_list(&flags, line.flags);
	flags_remove_all(&flags, &delta->remove);
	flags_add_all(&flags, &delta->add);
	flags_format(&flags, &text);
	flags_release(&flags);
	line.flags = buf_bytes(&text);
	if (!bytes_equal(line.flags, item->line.flags)) {
		gitbox_touch(box);
		ret = leaf_change(leaf, item, &line, err);
		box->tally.flags++;
	}
	buf_release(&text);
	return ret;
}

int gitstore_change_flags(struct mailbox *mb, const struct uidset *set,
			  const struct flag_delta *delta, struct err *err)
{
	struct gitbox *box = (struct gitbox *)mb;
	struct flag_delta d = *delta; /* the functions for all items take no const */

	if (gitbox_load(box, err) < 0)
		return -1;
	return leaf_each_in(box, set, false, change_one, &d, err);
}

static int remove_one(struct gitbox *box, struct leaf *leaf, struct item *item, void *ctx,
		      struct err *err)
{
	(void)ctx;
	(void)err;
	gitbox_count_out(box, &item->line);
	leaf_remove(leaf, item);
	box->tally.removed++;
	return 1;
}

static int remove_kept(struct gitbox *box, const struct uidset *set, struct err *err)
{
	if (box->text.kept == 0)
		return 0;
	if (kept_list_load(box, err) < 0)
		return -1;
	for (size_t i = 0; i < box->kept.n; i++) {
		struct kept_item *item = &box->kept.v[i];

		if (item->gone || !uidset_has(set, item->line.entry.uid))
			continue;
		kept_list_remove(box, item);
		box->tally.removed++;
	}
	return 0;
}

int gitstore_expunge(struct mailbox *mb, const struct uidset *set, struct err *err)
{
	struct gitbox *box = (struct gitbox *)mb;

	if (gitbox_load_base(box, err) < 0 ||
	    leaf_each_in(box, set, true, remove_one, NULL, err) < 0)
		return -1;
	return remove_kept(box, set, err);
}

static int keep_one(struct gitbox *box, struct leaf *leaf, struct item *item, void *ctx,
		    struct err *err)
{
	const bool *held = ctx;

	if (kept_list_add(box, item, *held, err) < 0)
		return -1;
	gitbox_count_out(box, &item->line);
	leaf_remove(leaf, item);
	box->tally.kept++;
	return 1;
}

int gitstore_keep(struct mailbox *mb, const struct uidset *set, bool held, struct err *err)
{
	struct gitbox *box = (struct gitbox *)mb;

	if (gitbox_load_base(box, err) < 0)
		return -1;
	return leaf_each_in(box, set, true, keep_one, &held, err);
}

/* --- copy --- */

/* Gathered first: the target may be the very leaf that is being gone through. */
struct copies {
	struct item *v;
	size_t n, cap;
};

static int gather_one(struct gitbox *box, struct leaf *leaf, struct item *item, void *ctx,
		      struct err *err)
{
	struct copies *c = ctx;

	(void)box;
	(void)leaf;
	(void)err;
	c->v = xgrow(c->v, c->n, &c->cap, sizeof(*c->v));
	c->v[c->n] = (struct item){ .id = item->id };
	c->v[c->n].own = line_own(&c->v[c->n].line, &item->line);
	c->n++;
	return 0;
}

static int insert_copy(struct gitbox *to, const struct item *copy, struct err *err)
{
	struct entry_line line = copy->line;

	line.source_uid = 0;
	unbound_forget(to);
	if (gitbox_choose_uid(to, 0, &line.uid, err) < 0 ||
	    leaf_insert(to, &line, &copy->id, err) < 0)
		return -1;
	gitbox_count_in(to, &line);
	to->tally.new_messages++;
	return leaf_bound(gitstore_of(to), err);
}

int gitstore_copy(struct mailbox *mb, const struct uidset *set, struct mailbox *to,
		  struct err *err)
{
	struct gitbox *box = (struct gitbox *)mb, *target = (struct gitbox *)to;
	struct copies c = { 0 };
	int ret = -1;

	if (gitbox_load(box, err) == 0 && gitbox_load_base(target, err) == 0)
		ret = leaf_each_in(box, set, true, gather_one, &c, err);
	for (size_t i = 0; i < c.n; i++) {
		if (ret == 0)
			ret = insert_copy(target, &c.v[i], err);
		free(c.v[i].own);
	}
	free(c.v);
	return ret;
}

/* --- source UIDs --- */

struct pair {
	uint32_t from, to;
};

struct pairs {
	struct pair *v;
	size_t n;
};

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

static uint32_t new_source(const struct pairs *p, uint32_t from)
{
	const struct pair key = { .from = from };
	const struct pair *found;

	if (from == 0 || p->n == 0)
		return 0;
	found = bsearch(&key, p->v, p->n, sizeof(key), compare_pairs);
	return found ? found->to : 0;
}

static int bind_anew(struct gitbox *box, struct leaf *leaf, struct item *item, void *ctx,
		     struct err *err)
{
	struct entry_line line = item->line;

	line.source_uid = new_source(ctx, line.source_uid);
	if (line.source_uid == item->line.source_uid)
		return 0;
	box->text.stored += (line.source_uid != 0) - (uint64_t)(item->line.source_uid != 0);
	box->text.remapped += (line.source_uid != line.uid) -
			      (uint64_t)(item->line.source_uid != line.uid);
	return leaf_change(leaf, item, &line, err);
}

int gitstore_renumber(struct mailbox *mb, const uint32_t *from, const uint32_t *to, size_t n,
		      struct err *err)
{
	struct gitbox *box = (struct gitbox *)mb;
	struct pairs p = { .v = xcalloc(n, sizeof(*p.v)), .n = n };
	struct uidset all = UIDSET_INIT;
	struct uidset_builder sources;
	int ret = -1;

	for (size_t i = 0; i < n; i++)
		p.v[i] = (struct pair){ from[i], to[i] };
	if (n > 0)
		qsort(p.v, n, sizeof(*p.v), compare_pairs);
	uidset_add_range(&all, 1, UINT32_MAX);
	uidset_builder_init(&sources);
	unbound_forget(box);
	if (gitbox_load_base(box, err) == 0) {
		uint64_t bound = box->text.stored;

		gitbox_touch(box);
		for (size_t i = 0; i < n; i++)
			if (uidset_has(&box->sources, from[i]) && to[i])
				uidset_builder_add(&sources, to[i], to[i]);
		ret = leaf_each_in(box, &all, false, bind_anew, &p, err);
		uidset_clear(&box->sources);
		uidset_builder_finish(&sources, &box->sources);
		message_note(gitstore_of(box), box,
			     "its messages have new UIDs at the source; %" PRIu64 " of %" PRIu64
			     " recognised", box->text.stored, bound);
	}
	uidset_builder_release(&sources);
	uidset_release(&all);
	free(p.v);
	return ret;
}

/* It means nothing in another account. */
static void forget_identity(struct gitbox *box, struct kept_item *item)
{
	struct entry_line line = item->line.entry;
	struct buf extra = BUF_INIT(LEAF_TEXT_MAX);
	char *was = item->own;

	if (entry_identity(&line).n > 0) {
		entry_extra_write(line.extra, (struct bytes){ 0 }, &extra);
		line.extra = buf_bytes(&extra);
		item->own = line_own(&item->line.entry, &line);
		free(was);
		box->kept.dirty = true;
	}
	buf_release(&extra);
}

static int rebind_box(struct gitbox *box, const struct uidset *all, struct err *err)
{
	bool held = false;

	if (gitbox_load_base(box, err) < 0 || kept_list_load(box, err) < 0 ||
	    leaf_each_in(box, all, true, keep_one, &held, err) < 0)
		return -1;
	for (size_t i = 0; i < box->kept.n; i++) {
		box->kept.dirty |= box->kept.v[i].line.held;
		box->kept.v[i].line.held = false;
		forget_identity(box, &box->kept.v[i]);
	}
	gitbox_touch(box);
	quarantine_free(box->quarantine, box->n_quarantine);
	box->quarantine_dirty |= box->n_quarantine > 0;
	box->quarantine = NULL;
	box->n_quarantine = 0;
	uidset_clear(&box->known);
	box->text.token = (struct token){ 0 };
	box->text.mailboxid[0] = '\0';
	box->text.known = box->text.held = box->text.pending = 0;
	return 0;
}

int gitstore_rebind(struct gitstore *g, struct err *err)
{
	struct uidset all = UIDSET_INIT;
	int ret = 0;

	uidset_add_range(&all, 1, UINT32_MAX);
	for (size_t i = 0; i < g->n && ret == 0; i++)
		if (!(g->box[i]->text.attributes & MAILBOX_NOSELECT))
			ret = rebind_box(g->box[i], &all, err);
	uidset_release(&all);
	return ret;
}
