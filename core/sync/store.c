#include "core/sync/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

void store_identity_release(struct store_identity *id)
{
	free(id->account);
	id->account = NULL;
}

void mailbox_list_release(struct mailbox_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		mailbox_name_release(&list->v[i].name);
	free(list->v);
	free(list->hint);
	mailbox_name_release(&list->prefix);
	*list = (struct mailbox_list){ 0 };
}

bool mailboxid_take(char out[MAILBOXID_SIZE], struct bytes id)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	out[0] = '\0';
	if (id.n == 0 || id.n >= MAILBOXID_SIZE)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!id.p[i] || !strchr(allowed, id.p[i]))
			return false;
	memcpy(out, id.p, id.n);
	out[id.n] = '\0';
	return true;
}

bool mailboxid_differs(const char *a, const char *b)
{
	return *a && *b && strcmp(a, b) != 0;
}

struct mailbox_info *mailbox_list_add(struct mailbox_list *list)
{
	struct mailbox_info *info;

	list->v = xgrow(list->v, list->n, &list->cap, sizeof(*list->v));
	info = &list->v[list->n++];
	*info = (struct mailbox_info){ 0 };
	mailbox_name_init(&info->name);
	return info;
}

static int compare_info(const void *a, const void *b)
{
	const struct mailbox_info *x = a, *y = b;

	return mailbox_name_compare(&x->name, &y->name);
}

/* Two lines about one mailbox. It can be selected if either says so. */
static void merge_info(struct mailbox_info *into, struct mailbox_info *from)
{
	unsigned noselect = into->attributes & from->attributes & MAILBOX_NOSELECT;

	into->attributes |= from->attributes;
	into->attributes &= ~(unsigned)MAILBOX_NOSELECT;
	into->attributes |= noselect;
	if (!into->token.known) {
		into->token = from->token;
		memcpy(into->mailboxid, from->mailboxid, sizeof(into->mailboxid));
	}
	mailbox_name_release(&from->name);
}

void mailbox_list_sort(struct mailbox_list *list)
{
	size_t n = 0;

	if (list->n)
		qsort(list->v, list->n, sizeof(*list->v), compare_info);
	for (size_t i = 0; i < list->n; i++) {
		if (n > 0 && compare_info(&list->v[n - 1], &list->v[i]) == 0)
			merge_info(&list->v[n - 1], &list->v[i]);
		else if (n++ != i)
			list->v[n - 1] = list->v[i];
	}
	list->n = n;
}

struct mailbox_info *mailbox_list_find(const struct mailbox_list *list,
				       const struct mailbox_name *name)
{
	size_t lo = 0, hi = list->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = mailbox_name_compare(&list->v[mid].name, name);

		if (c == 0)
			return &list->v[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

void changes_init(struct changes *c)
{
	*c = (struct changes){ .flags = flag_table_new() };
}

void changes_release(struct changes *c)
{
	free(c->v);
	free(c->dates);
	flag_table_free(c->flags);
	uidset_release(&c->fresh);
	uidset_release(&c->vanished);
	uidset_release(&c->missing);
	*c = (struct changes){ 0 };
}

const struct entry *changes_find(const struct changes *c, uint32_t uid)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->v[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n && c->v[lo].uid == uid ? &c->v[lo] : NULL;
}

struct entry *changes_add(struct changes *c, uint32_t uid)
{
	struct entry *e;

	assert(c->n == 0 || c->v[c->n - 1].uid < uid);
	c->v = xgrow(c->v, c->n, &c->cap, sizeof(*c->v));
	if (c->described) {
		c->dates = xgrow(c->dates, c->n, &c->cap_dates, sizeof(*c->dates));
		c->dates[c->n] = CHANGES_NO_DATE;
	}
	e = &c->v[c->n++];
	*e = (struct entry){ .uid = uid };
	return e;
}

int changes_check_uids(const struct uidset *uids, const struct changes *have, struct err *err)
{
	struct uidset_builder all;
	struct uidset there = UIDSET_INIT, both = UIDSET_INIT;
	uint32_t lacking = 0;
	bool none;

	uidset_builder_init(&all);
	for (size_t i = 0; i < have->n; i++)
		uidset_builder_add(&all, have->v[i].uid, have->v[i].uid);
	uidset_builder_finish(&all, &there);
	uidset_builder_release(&all);
	for (size_t i = 0; i < uidset_range_count(uids) && !lacking; i++) {
		struct uidrange r = uidset_range(uids, i);

		if (r.lo == r.hi && !uidset_has(&there, r.lo))
			lacking = r.lo;
	}
	uidset_intersect(&both, uids, &there);
	none = uidset_is_empty(&both);
	uidset_release(&there);
	uidset_release(&both);
	if (lacking)
		return err_set(err, ERR_MISSING, "no message with the UID %u is there", lacking);
	return none ? err_set(err, ERR_MISSING, "no message with such a UID is there") : 0;
}

void base_init(struct base *b)
{
	*b = (struct base){ 0 };
}

void base_release(struct base *b)
{
	for (size_t i = 0; i < b->n_quarantine; i++)
		free(b->quarantine[i].reason);
	free(b->quarantine);
	uidset_release(&b->known);
	uidset_release(&b->held);
	uidset_release(&b->kept);
	base_init(b);
}

/* The text for a slot that the store leaves NULL. */
static int cannot(const struct store *st, const char *what, struct err *err)
{
	return err_set(err, ERR_FATAL, "%s: a store of type %s cannot %s", st->cfg->name,
		       st->ops->type, what);
}

int store_check_stop(const struct store *st, struct err *err)
{
	if (st->cfg->run && st->cfg->run->stop && *st->cfg->run->stop)
		return err_set(err, ERR_STOPPED, "interrupted");
	return 0;
}

int store_open(const struct store_ops *ops, struct store **out, const struct store_config *cfg,
	       enum store_mode mode, struct err *err)
{
	*out = NULL;
	if (ops->open(out, cfg, mode, err) < 0)
		return -1;
	assert((*out)->ops == ops && (*out)->cfg == cfg);
	return 0;
}

void store_close(struct store *st)
{
	if (st)
		st->ops->close(st);
}

int store_list(struct store *st, const char *hint, struct mailbox_list *out, struct err *err)
{
	if (store_check_stop(st, err) < 0)
		return -1;
	return st->ops->list(st, hint, out, err);
}

int store_room(struct store *st, uint64_t *bytes, struct err *err)
{
	*bytes = UINT64_MAX;
	return st->ops->room ? st->ops->room(st, bytes, err) : 0;
}

int store_exists(struct store *st, const struct mailbox_name *name, bool *out, struct err *err)
{
	return st->ops->exists(st, name, out, err);
}

int store_changes(struct store *st, struct changes_request *req, size_t n, struct err *err)
{
	if (n == 0)
		return 0;
	if (store_check_stop(st, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		req[i].out->described = req[i].describe;
	return st->ops->changes(st, req, n, err);
}

int store_fetch(struct store *st, struct want *want, size_t n, const struct message_sink *sink,
		outcome_fn *report, void *ctx, struct err *err)
{
	if (n == 0)
		return 0;
	if (store_check_stop(st, err) < 0)
		return -1;
	return st->ops->fetch(st, want, n, sink, report, ctx, err);
}

bool store_tells_identities(struct store *st)
{
	return st->ops->tells_identities && st->ops->tells_identities(st);
}

bool store_keeps_identities(const struct store *st)
{
	return st->ops->find_identity != NULL;
}

int store_holds_identities(struct store *st, bool *out, struct err *err)
{
	*out = false;
	return store_keeps_identities(st) ? st->ops->holds_identities(st, out, err) : 0;
}

int store_find_identity(struct store *st, struct bytes identity, struct held *out,
			struct err *err)
{
	if (identity.n == 0 || !store_keeps_identities(st))
		return 0;
	return st->ops->find_identity(st, identity, out, err);
}

int store_count_lost(struct store *st, struct removal *r, size_t n, struct err *err)
{
	if (!st->ops->count_lost)
		return cannot(st, "remove messages", err);
	return st->ops->count_lost(st, r, n, err);
}

int store_create(struct store *st, const struct mailbox_name *name, unsigned attributes,
		 struct err *err)
{
	if (!st->ops->create)
		return cannot(st, "create mailboxes", err);
	return st->ops->create(st, name, attributes, err);
}

int store_rename(struct store *st, const struct mailbox_name *from,
		 const struct mailbox_name *to, struct err *err)
{
	if (!st->ops->rename)
		return cannot(st, "rename mailboxes", err);
	return st->ops->rename(st, from, to, err);
}

int store_remove(struct store *st, const struct mailbox_name *name, struct err *err)
{
	if (!st->ops->remove)
		return cannot(st, "remove mailboxes", err);
	return st->ops->remove(st, name, err);
}

int store_subscribe(struct store *st, const struct mailbox_name *name, bool on, struct err *err)
{
	if (!st->ops->subscribe)
		return cannot(st, "keep subscriptions", err);
	return st->ops->subscribe(st, name, on, err);
}

int store_commit(struct store *st, struct err *err)
{
	if (!st->ops->commit)
		return cannot(st, "be written", err);
	return st->ops->commit(st, err);
}

int store_snapshot(struct store *st, struct err *err)
{
	if (!st->ops->snapshot)
		return store_commit(st, err);
	return st->ops->snapshot(st, err);
}

int store_commit_change(struct store *st, const char *why, struct err *err)
{
	if (!st->ops->commit_change)
		return store_commit(st, err);
	return st->ops->commit_change(st, why, err);
}

int mailbox_open(struct store *st, const struct mailbox_info *info, enum store_mode mode,
		 struct mailbox **out, struct err *err)
{
	*out = NULL;
	if (info->attributes & MAILBOX_NOSELECT)
		return err_set(err, ERR_MAILBOX, "it is a name only and holds no messages");
	return st->ops->open_mailbox(st, info, mode, out, err);
}

int mailbox_base(struct mailbox *mb, struct base *out, struct err *err)
{
	if (!(mb->store->ops->traits & STORE_HOLDS_BASE))
		return cannot(mb->store, "remember what was agreed", err);
	return mb->store->ops->base(mb, out, err);
}

int mailbox_quarantine(struct mailbox *mb, struct base *out, struct err *err)
{
	if (!(mb->store->ops->traits & STORE_HOLDS_BASE))
		return cannot(mb->store, "remember what is in quarantine", err);
	return mb->store->ops->quarantine(mb, out, err);
}

int mailbox_prunable(struct mailbox *mb, enum store_mode mode, struct err *err)
{
	if (!mb->store->ops->prunable)
		return cannot(mb->store, "have messages removed from what is read", err);
	assert(mb->store->cfg->prunes);
	return mb->store->ops->prunable(mb, mode, err);
}

int mailbox_prune(struct mailbox *mb, const struct uidset *set, bool again, still_fn *still, void *ctx,
		  struct uidset *stay, struct err *err)
{
	uidset_copy(stay, set);
	if (!mb->store->ops->prune)
		return cannot(mb->store, "have messages removed from what is read", err);
	assert(mb->store->cfg->prunes);
	return mb->store->ops->prune(mb, set, again, still, ctx, stay, err);
}

int mailbox_append(struct mailbox *mb, outcome_fn *report, void *ctx, void *tag,
		   struct message_sink *sink, struct err *err)
{
	if (!mb->store->ops->append)
		return cannot(mb->store, "take messages", err);
	return mb->store->ops->append(mb, report, ctx, tag, sink, err);
}

int mailbox_copy_as(const struct held *held, struct mailbox *mb, const struct message *as,
		    enum outcome *what, uint32_t *new_uid, struct err *why, struct err *err)
{
	assert(held->mailbox->store == mb->store);
	*why = (struct err){ .kind = ERR_NONE };
	if (!mb->store->ops->copy_as)
		return cannot(mb->store, "make one message of another", err);
	return mb->store->ops->copy_as(held, mb, as, what, new_uid, why, err);
}

int mailbox_strangers(struct mailbox *mb, const struct uidset *sizes, void *tag,
		      const struct message_sink *sink, struct err *err)
{
	if (!mb->store->ops->strangers)
		return 0;
	return mb->store->ops->strangers(mb, sizes, tag, sink, err);
}

int mailbox_take(struct mailbox *mb, uint32_t stranger, const struct message *msg, uint32_t *uid,
		 struct err *err)
{
	*uid = 0;
	if (!mb->store->ops->take)
		return cannot(mb->store, "take over what it did not store", err);
	return mb->store->ops->take(mb, stranger, msg, uid, err);
}

int mailbox_change_flags(struct mailbox *mb, const struct uidset *set,
			 const struct flag_delta *delta, struct err *err)
{
	if (!mb->store->ops->change_flags)
		return cannot(mb->store, "change flags", err);
	if (uidset_is_empty(set))
		return 0;
	return mb->store->ops->change_flags(mb, set, delta, err);
}

int mailbox_copy(struct mailbox *mb, const struct uidset *set, struct mailbox *to,
		 struct err *err)
{
	assert(mb->store == to->store);
	if (!mb->store->ops->copy)
		return cannot(mb->store, "copy messages", err);
	if (uidset_is_empty(set))
		return 0;
	return mb->store->ops->copy(mb, set, to, err);
}

int mailbox_expunge(struct mailbox *mb, const struct uidset *set, struct err *err)
{
	if (!mb->store->ops->expunge)
		return cannot(mb->store, "remove messages", err);
	if (uidset_is_empty(set))
		return 0;
	return mb->store->ops->expunge(mb, set, err);
}

int mailbox_keep(struct mailbox *mb, const struct uidset *set, bool held, struct err *err)
{
	if (!mb->store->ops->keep)
		return cannot(mb->store, "keep messages", err);
	if (uidset_is_empty(set))
		return 0;
	return mb->store->ops->keep(mb, set, held, err);
}

int mailbox_contents(struct mailbox *mb, const struct uidset *set, content_fn *each, void *ctx,
		     struct err *err)
{
	if (!mb->store->ops->contents)
		return cannot(mb->store, "be compared by content", err);
	return mb->store->ops->contents(mb, set, each, ctx, err);
}

int mailbox_set_base(struct mailbox *mb, const struct base *b, struct err *err)
{
	if (!(mb->store->ops->traits & STORE_HOLDS_BASE))
		return cannot(mb->store, "remember what was agreed", err);
	return mb->store->ops->set_base(mb, b, err);
}

int mailbox_renumber(struct mailbox *mb, const uint32_t *from, const uint32_t *to, size_t n,
		     struct err *err)
{
	if (!mb->store->ops->renumber)
		return cannot(mb->store, "renumber messages", err);
	return mb->store->ops->renumber(mb, from, to, n, err);
}
