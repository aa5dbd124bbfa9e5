#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/sync/job_internal.h"

/* After the additions are durable: flags, then what is gone (remove.c), then the new agreement. */

/* -1 for trouble that ends the job; a mailbox that cannot be written is left for the next run. */
static int or_skip(struct lane *lane, int ret, struct err *err)
{
	if (ret == 0 || err->kind != ERR_MAILBOX)
		return ret;
	lane_skip(lane, err->text);
	return 0;
}

static int change_flags(struct job *job, struct err *err)
{
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		for (size_t k = 0; !lane->skipped && k < lane->plan.n_flags; k++)
			if (or_skip(lane,
				    mailbox_change_flags(lane->target, &lane->plan.flags[k].set,
							 &lane->plan.flags[k].delta, err),
				    err) < 0)
				return -1;
	}
	return 0;
}

static bool source_has(const struct lane *lane, uint32_t uid)
{
	const struct changes *c = &lane->source_changes;

	if (lane->source_unchanged || !c->complete || !uidset_is_empty(&c->fresh))
		return true; /* nothing says otherwise */
	if (c->delta)
		return !uidset_has(&c->vanished, uid);
	return changes_find(c, uid) != NULL;
}

static int compare_quarantined(const void *a, const void *b)
{
	const struct quarantined *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

/* `again`: what this run made of it, or NULL. */
static void add_quarantined(struct base *out, const struct quarantined *q,
			    const struct quarantined *again)
{
	struct quarantined *new = &out->quarantine[out->n_quarantine++];

	*new = *q;
	new->reason = xstrdup(again ? again->reason : q->reason);
	if (!again)
		return;
	new->attempts += new->attempts < UINT32_MAX;
	new->last = again->last;
}

/*
 * What is in quarantine after this run: earlier ones not stored since, and this run's. Both
 * ascending.
 */
static void merge_quarantine(struct lane *lane, struct base *out)
{
	const struct quarantined *old = lane->base.quarantine, *new = lane->failed;
	size_t n_old = lane->base.n_quarantine, n_new = lane->n_failed;
	size_t i = 0, k = 0;

	if (n_new)
		qsort(lane->failed, n_new, sizeof(*lane->failed), compare_quarantined);
	out->quarantine = xcalloc(n_old + n_new, sizeof(*out->quarantine));
	while (i < n_old || k < n_new) {
		bool take_old = k == n_new || (i < n_old && old[i].uid <= new[k].uid);
		bool again = take_old && k < n_new && old[i].uid == new[k].uid;
		uint32_t uid = take_old ? old[i].uid : new[k].uid;

		/*
		 * One that could not be had from the source may have come all the same, the
		 * second time.
		 */
		if (uidset_has(&lane->stored, uid) || (take_old && !source_has(lane, uid)))
			;
		else if (take_old)
			add_quarantined(out, &old[i], again ? &new[k] : NULL);
		else
			add_quarantined(out, &new[k], NULL);
		i += take_old;
		k += !take_old || again;
	}
}

void job_report_quarantine(struct job_mailbox *line, const struct base *now)
{
	line->quarantine = xcalloc(now->n_quarantine, sizeof(*line->quarantine));
	for (size_t i = 0; i < now->n_quarantine; i++) {
		if (now->quarantine[i].accepted) {
			line->accepted++;
			continue;
		}
		line->quarantine[line->quarantined] = now->quarantine[i];
		line->quarantine[line->quarantined++].reason =
			xstrdup(now->quarantine[i].reason);
	}
}

/* Messages stay that are bound to nothing, and are not known to be gone: the base does not tell. */
static bool leaves_unbound(const struct lane *lane, bool waiting)
{
	return !uidset_is_empty(&lane->plan.unbound) &&
	       (waiting || !uidset_is_subset(&lane->plan.unbound, &lane->plan.gone));
}

/*
 * What both sides agree on now. `waiting`: deletions were put off, so the base still knows
 * those.
 */
static int set_base(struct lane *lane, bool waiting, struct err *err)
{
	const struct token *seen = lane->source_unchanged ? &lane->base.token
				   : lane->source_changes.token.known
					   ? &lane->source_changes.token
					   : &lane->from->token;
	struct base now;
	int ret;

	base_init(&now);
	uidset_union(&now.known, &lane->plan.present, &lane->stored);
	uidset_union(&now.known, &now.known, &lane->plan.leaving);
	if (waiting)
		uidset_union(&now.known, &now.known, &lane->plan.gone_source);
	merge_quarantine(lane, &now);
	for (size_t i = 0; i < now.n_quarantine; i++)
		uidset_add(&now.known, now.quarantine[i].uid);
	now.token = *seen;
	memcpy(now.mailboxid, *lane->from->mailboxid ? lane->from->mailboxid : lane->base.mailboxid,
	       sizeof(now.mailboxid));
	/* It agrees with nothing: the next run compares in full. */
	if (lane->incomplete || lane->partial || leaves_unbound(lane, waiting))
		now.token = (struct token){ .known = true, .uidvalidity = seen->uidvalidity };
	ret = mailbox_set_base(lane->target, &now, err);
	if (ret == 0)
		job_report_quarantine(lane_line(lane), &now);
	base_release(&now);
	return ret;
}

/* Subscriptions follow where the store keeps them. */
static int set_subscription(struct job *job, struct lane *lane, struct err *err)
{
	bool want = lane->from->attributes & MAILBOX_SUBSCRIBED;
	bool have = lane->to && (lane->to->attributes & MAILBOX_SUBSCRIBED);

	if (want == have || !job->set->target->subscribe || job_writes_account(job))
		return 0;
	return store_subscribe(job->target, &lane->from->name, want, err);
}

/* Whether anything is left in a mailbox that is gone, now that its messages went. */
static bool is_left(const struct lane *lane)
{
	const struct job_mailbox *line = lane_line(lane);

	return line->kept > 0 || line->held > 0 || lane->to->kept > lane->kept_removed ||
	       line->foreign > 0 || job_must_leave(lane->job, lane->to);
}

/*
 * What is left of a mailbox that is gone has no part in any agreement: later runs do not look for it at
 * the source. One that will be removed is looked for until that is done.
 */
static int settle_gone(struct lane *lane, bool waiting, struct err *err)
{
	struct base nothing = { 0 }; /* which also ends what is said of messages whose files are missing */

	if (waiting || lane->partial)
		return 0;
	nothing.token.known = !is_left(lane);
	if (nothing.token.known)
		nothing.token.uidvalidity = lane->base.token.uidvalidity;
	return mailbox_set_base(lane->target, &nothing, err);
}

/* In an account it may hold other mail by now, and is the user's. */
static int leave_mailbox(struct lane *lane, struct err *err)
{
	const struct base nothing = { 0 };

	job_note(lane->job, "%s is gone at the source and stays: %s", lane_line(lane)->name, err->text);
	return mailbox_set_base(lane->target, &nothing, err);
}

static int remove_mailbox(struct lane *lane, struct err *err)
{
	int ret = store_remove(lane->job->target, &lane->to->name, err);

	if (ret < 0 && err->kind == ERR_MAILBOX && job_writes_account(lane->job))
		ret = leave_mailbox(lane, err);
	return or_skip(lane, ret, err);
}

/* After all else is said, as the store may commit by itself. */
static int remove_mailboxes(struct job *job, bool waiting, struct err *err)
{
	for (size_t i = 0; i < job->n && !waiting; i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->gone && !lane->skipped && !lane->partial && !is_left(lane) &&
		    remove_mailbox(lane, err) < 0)
			return -1;
	}
	return 0;
}

static int finish_lane(struct job *job, struct lane *lane, bool waiting, struct err *err)
{
	if (lane->gone)
		return or_skip(lane, settle_gone(lane, waiting, err), err);
	if (set_subscription(job, lane, err) < 0)
		return -1;
	return or_skip(lane, set_base(lane, waiting, err), err);
}

static int finish(struct job *job, struct err *err)
{
	bool waiting = false;

	if (change_flags(job, err) < 0 || job_remove_gone(job, &waiting, err) < 0)
		return -1;
	for (size_t i = 0; i < job->n; i++)
		if (!job->lanes[i].skipped && finish_lane(job, &job->lanes[i], waiting, err) < 0)
			return -1;
	if (remove_mailboxes(job, waiting, err) < 0)
		return -1;
	return job_snapshot(job, err);
}

int job_finish(struct job *job, struct err *err)
{
	int ret = finish(job, err);

	for (size_t i = 0; i < job->n; i++) {
		struct job_mailbox *line = lane_line(&job->lanes[i]);

		if (ret < 0) /* nothing of it is durable */
			line->removed = line->kept = line->held = 0;
		else if (!job->lanes[i].skipped)
			line->flags_changed = job->lanes[i].plan.flags_changed;
	}
	return ret;
}
