#include "core/sync/quarantine.h"

#include <stdlib.h>

#include "core/base/mem.h"
#include "core/sync/scope.h"

#define HOUR ((int64_t)3600)
#define DAY (24 * HOUR)

int64_t quarantine_next_try(const struct quarantined *q)
{
	/* After that many attempts. */
	static const int64_t wait[] = { 0, 0, HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY };
	const uint32_t most = sizeof(wait) / sizeof(wait[0]) - 1;
	int64_t after = wait[q->attempts < most ? q->attempts : most];

	if (q->accepted)
		return INT64_MAX;
	if (after == 0 || q->last <= 0 || q->last > INT64_MAX - after)
		return 0;
	return q->last + after;
}

bool quarantine_is_due(const struct quarantined *q, int64_t now)
{
	return !q->accepted && (now >= quarantine_next_try(q) || now < q->last);
}

static void take_mailbox(const struct mailbox_info *info, const struct base *base,
			 struct quarantine_list *out)
{
	for (size_t i = 0; i < base->n_quarantine; i++) {
		struct quarantine_entry *e;

		out->v = xgrow(out->v, out->n, &out->cap, sizeof(*out->v));
		e = &out->v[out->n++];
		*e = (struct quarantine_entry){ .mailbox = info, .q = base->quarantine[i] };
		e->q.reason = xstrdup(e->q.reason ? e->q.reason : "");
	}
}

int quarantine_list_read(struct store *st, const struct mailbox_list *all, const char *const *patterns,
			 size_t n_patterns, struct quarantine_list *out, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < all->n && ret == 0; i++) {
		const struct mailbox_info *info = &all->v[i];
		struct mailbox *mb;
		struct base base;

		if ((info->attributes & MAILBOX_NOSELECT) ||
		    !scope_contains(patterns, n_patterns, &info->name, info->attributes))
			continue;
		base_init(&base);
		ret = mailbox_open(st, info, STORE_READ, &mb, err);
		if (ret == 0)
			ret = mailbox_quarantine(mb, &base, err);
		if (ret == 0)
			take_mailbox(info, &base, out);
		base_release(&base);
	}
	return ret;
}

void quarantine_list_release(struct quarantine_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i].q.reason);
	free(list->v);
	*list = (struct quarantine_list){ 0 };
}

/* Whether that changes anything. */
static bool change(struct quarantined *q, enum quarantine_change what)
{
	if (what == QUARANTINE_ACCEPT) {
		if (q->accepted)
			return false;
		q->accepted = true;
		return true;
	}
	if (!q->accepted && quarantine_next_try(q) == 0)
		return false;
	q->accepted = false;
	q->last = 0;
	return true;
}

/* list->v[from] to [to - 1], all of one mailbox. */
static int change_mailbox(struct store *st, struct quarantine_list *list, size_t from, size_t to,
			  struct err *err)
{
	struct mailbox *mb;
	struct base base;
	int ret;

	base_init(&base);
	ret = mailbox_open(st, list->v[from].mailbox, STORE_WRITE, &mb, err);
	if (ret == 0)
		ret = mailbox_base(mb, &base, err);
	for (size_t i = from, k = 0; i < to && ret == 0; i++) {
		while (k < base.n_quarantine && base.quarantine[k].uid < list->v[i].q.uid)
			k++;
		if (k == base.n_quarantine)
			break;
		base.quarantine[k].accepted = list->v[i].q.accepted;
		base.quarantine[k].last = list->v[i].q.last;
	}
	if (ret == 0)
		ret = mailbox_set_base(mb, &base, err);
	base_release(&base);
	return ret;
}

int quarantine_change(struct store *st, struct quarantine_list *list, const bool *chosen,
		      enum quarantine_change what, size_t *changed, struct err *err)
{
	*changed = 0;
	for (size_t from = 0, to; from < list->n; from = to) {
		size_t before = *changed;

		for (to = from; to < list->n && list->v[to].mailbox == list->v[from].mailbox; to++)
			*changed += chosen[to] && change(&list->v[to].q, what);
		if (*changed > before && change_mailbox(st, list, from, to, err) < 0)
			return -1;
	}
	return 0;
}
