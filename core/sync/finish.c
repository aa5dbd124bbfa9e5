#include <stdlib.h>

#include "core/base/mem.h"
#include "core/sync/job_internal.h"
#include "core/sync/scope.h"

/* After the additions are durable: flags, then what is gone, then the new agreement. */

static int change_flags(struct job *job, struct err *err)
{
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->skipped)
			continue;
		for (size_t k = 0; k < lane->plan.n_flags; k++)
			if (mailbox_change_flags(lane->target, &lane->plan.flags[k].set,
						 &lane->plan.flags[k].delta, err) < 0)
				return -1;
	}
	return 0;
}

static bool exempt_from_guard(const struct job *job, const struct mailbox_info *info)
{
	static const char *const usual[] = { "\\Trash", "\\Junk" };
	const struct job_settings *set = job->set;
	const char *const *patterns = set->guard_exempt ? set->guard_exempt : usual;
	size_t n = set->guard_exempt ? set->n_guard_exempt : 2;

	return n > 0 && scope_contains(patterns, n, &info->name, info->attributes);
}

/*
 * Why no message may be removed in this run, or NULL. A message that left one mailbox may be the one that
 * could not be stored in another: until that is settled, its copy here stays.
 */
static const char *reason_to_wait(const struct job *job)
{
	if (job->no_deletions)
		return "this is the first run with a store that came from elsewhere";
	if (job->set->n_only > 0)
		return "--mailbox looks at a part only, and a message missing there may have moved";
	if (!job->from.complete)
		return "the server did not list all mailboxes";
	for (size_t i = 0; i < job->report->n; i++)
		if (job->report->v[i].skipped && !job->report->v[i].gone)
			return "a mailbox was skipped, and a message missing elsewhere may have "
			       "moved there";
	for (size_t i = 0; i < job->n; i++)
		if (job->lanes[i].incomplete || job->lanes[i].n_failed > 0)
			return "some messages could not be stored, and one missing elsewhere may "
			       "be among them";
	return NULL;
}

static uint64_t count_gone(const struct job *job)
{
	uint64_t n = 0;

	for (size_t i = 0; i < job->n; i++)
		if (!job->lanes[i].skipped)
			n += uidset_count(&job->lanes[i].plan.gone);
	return n;
}

/* Held back by an earlier run's guard, in the mailboxes in work. */
static uint64_t count_held(const struct job *job)
{
	uint64_t n = 0;

	for (size_t i = 0; i < job->n; i++)
		if (!job->lanes[i].skipped)
			n += uidset_count(&job->lanes[i].base.held);
	return n;
}

static struct lane *lane_of(const struct job *job, const struct mailbox_info *to)
{
	for (size_t i = 0; i < job->n; i++)
		if (job->lanes[i].to == to && !job->lanes[i].skipped)
			return &job->lanes[i];
	return NULL;
}

/* What the guard has to know of every mailbox of the target, in work or not; same order as job.to. */
static int judge(struct job *job, struct guard_mailbox *v, struct err *err)
{
	struct removal *r = xcalloc(job->to.n, sizeof(*r));
	size_t *index = xcalloc(job->to.n, sizeof(*index));
	size_t n = 0;
	int ret;

	for (size_t i = 0; i < job->to.n; i++) {
		const struct mailbox_info *to = &job->to.v[i];
		const struct mailbox_info *from = mailbox_list_find(&job->from, &to->name);
		struct lane *lane = lane_of(job, to);

		v[i].before = to->stored;
		v[i].exempt = exempt_from_guard(job, from ? from : to);
		if (!lane || uidset_is_empty(&lane->plan.gone))
			continue;
		v[i].removed = uidset_count(&lane->plan.gone);
		r[n] = (struct removal){ .mailbox = lane->target, .set = &lane->plan.gone };
		index[n++] = i;
	}
	ret = n ? store_count_lost(job->target, r, n, err) : 0;
	for (size_t i = 0; i < n; i++)
		v[index[i]].lost = r[i].lost;
	if (ret == 0)
		guard_judge(v, job->to.n, &job->set->max_delete,
			    job->from.n == 0 && job->to.n > 0, &job->report->guard);
	free(r);
	free(index);
	return ret;
}

static int remove_gone(struct job *job, struct lane *lane, bool held, struct err *err)
{
	struct job_mailbox *line = lane_line(lane);
	const struct uidset *gone = &lane->plan.gone;

	if (held) {
		line->held = uidset_count(gone);
		return mailbox_keep(lane->target, gone, true, err);
	}
	if (job->set->deletions == DELETIONS_KEEP) {
		line->kept = uidset_count(gone);
		return mailbox_keep(lane->target, gone, false, err);
	}
	line->removed = uidset_count(gone);
	return mailbox_expunge(lane->target, gone, err);
}

/* --allow-deletes: also what earlier runs held back. */
static int remove_held(struct job *job, struct err *err)
{
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->skipped || uidset_is_empty(&lane->base.held))
			continue;
		if (mailbox_expunge(lane->target, &lane->base.held, err) < 0)
			return -1;
		lane_line(lane)->removed += uidset_count(&lane->base.held);
	}
	return 0;
}

/*
 * Let the guard decide, and the user's --allow-deletes. v: as judge(); after it, v[i].held says what is
 * held back in the end.
 */
static int decide(struct job *job, struct guard_mailbox *v, bool *allowed, struct err *err)
{
	const struct job_settings *set = job->set;
	struct job_report *r = job->report;

	if (set->deletions == DELETIONS_MIRROR && judge(job, v, err) < 0)
		return -1;
	r->deletes_shown = r->guard.held + (set->allow_deletes_given ? count_held(job) : 0);
	*allowed = set->allow_deletes_given && r->deletes_shown <= set->allow_deletes;
	r->held = r->guard.tripped && !*allowed;
	for (size_t i = 0; *allowed && i < job->to.n; i++)
		v[i].held = false;
	if (set->allow_deletes_given && !*allowed)
		job_note(job, "--allow-deletes=%llu is less than the %llu deletions to be allowed",
			 (unsigned long long)set->allow_deletes,
			 (unsigned long long)r->deletes_shown);
	return 0;
}

static int remove_all_gone(struct job *job, struct err *err)
{
	struct guard_mailbox *v = xcalloc(job->to.n, sizeof(*v));
	bool allowed = false;
	int ret = -1;

	if (decide(job, v, &allowed, err) < 0)
		goto out;
	for (size_t i = 0; i < job->to.n; i++) {
		struct lane *lane = lane_of(job, &job->to.v[i]);

		if (lane && !uidset_is_empty(&lane->plan.gone) &&
		    remove_gone(job, lane, v[i].held, err) < 0)
			goto out;
	}
	ret = allowed ? remove_held(job, err) : 0;
out:
	free(v);
	return ret;
}

static void put_off(struct job *job, const char *why)
{
	for (size_t i = 0; i < job->n; i++)
		if (!job->lanes[i].skipped)
			lane_line(&job->lanes[i])->waiting =
				uidset_count(&job->lanes[i].plan.gone);
	job_note(job, "%llu deletions wait for the next run: %s",
		 (unsigned long long)count_gone(job), why);
}

static const struct quarantined *find_failure(const struct lane *lane, uint32_t uid)
{
	for (size_t i = 0; i < lane->n_failed; i++)
		if (lane->failed[i].uid == uid)
			return &lane->failed[i];
	return NULL;
}

static bool source_has(const struct lane *lane, uint32_t uid)
{
	const struct changes *c = &lane->source_changes;
	size_t lo = 0, hi = c->n;

	if (lane->source_unchanged || !c->complete || !uidset_is_empty(&c->fresh))
		return true; /* nothing says otherwise */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->v[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n && c->v[lo].uid == uid;
}

static int compare_quarantined(const void *a, const void *b)
{
	const struct quarantined *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

/* What is still in quarantine after this run: earlier ones not stored since, and this run's. */
static void merge_quarantine(struct lane *lane, struct base *out)
{
	size_t n = 0;

	out->quarantine = xcalloc(lane->base.n_quarantine + lane->n_failed,
				  sizeof(*out->quarantine));
	for (size_t i = 0; i < lane->base.n_quarantine; i++) {
		struct quarantined q = lane->base.quarantine[i];
		const struct quarantined *again = find_failure(lane, q.uid);

		if (uidset_has(&lane->stored, q.uid) || !source_has(lane, q.uid))
			continue;
		if (again)
			q.attempts++;
		q.reason = xstrdup(again ? again->reason : q.reason);
		out->quarantine[n++] = q;
	}
	for (size_t i = 0; i < lane->n_failed; i++) {
		bool old = false;

		for (size_t k = 0; k < lane->base.n_quarantine; k++)
			old |= lane->base.quarantine[k].uid == lane->failed[i].uid;
		if (old)
			continue;
		out->quarantine[n] = lane->failed[i];
		out->quarantine[n++].reason = xstrdup(lane->failed[i].reason);
	}
	out->n_quarantine = n;
	if (n)
		qsort(out->quarantine, n, sizeof(*out->quarantine), compare_quarantined);
}

static void report_quarantine(struct lane *lane, const struct base *now)
{
	struct job_mailbox *line = lane_line(lane);

	line->quarantine = xcalloc(now->n_quarantine, sizeof(*line->quarantine));
	for (size_t i = 0; i < now->n_quarantine; i++) {
		if (now->quarantine[i].accepted)
			continue;
		line->quarantine[line->quarantined] = now->quarantine[i];
		line->quarantine[line->quarantined++].reason =
			xstrdup(now->quarantine[i].reason);
	}
}

/* What both sides agree on now. `waiting`: deletions were put off, so the base still knows those. */
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
	if (waiting)
		uidset_union(&now.known, &now.known, &lane->plan.gone_source);
	merge_quarantine(lane, &now);
	for (size_t i = 0; i < now.n_quarantine; i++)
		uidset_add(&now.known, now.quarantine[i].uid);
	now.token = *seen;
	if (lane->incomplete) /* agrees with nothing: the next run compares in full */
		now.token = (struct token){ .known = true, .uidvalidity = seen->uidvalidity };
	ret = mailbox_set_base(lane->target, &now, err);
	if (ret == 0)
		report_quarantine(lane, &now);
	base_release(&now);
	return ret;
}

/* Subscriptions follow where the store keeps them. */
static int set_subscription(struct job *job, struct lane *lane, struct err *err)
{
	bool want = lane->from->attributes & MAILBOX_SUBSCRIBED;
	bool have = lane->to && (lane->to->attributes & MAILBOX_SUBSCRIBED);

	if (want == have || !job->set->target->subscribe)
		return 0;
	return store_subscribe(job->target, &lane->from->name, want, err);
}

/* The guard's word in advance. Before the additions, a message that moved still counts as lost. */
static int preview_removals(struct job *job, struct err *err)
{
	struct guard_mailbox *v = xcalloc(job->to.n, sizeof(*v));
	bool allowed = false;
	int ret = decide(job, v, &allowed, err);

	for (size_t i = 0; ret == 0 && i < job->to.n; i++) {
		struct lane *lane = lane_of(job, &job->to.v[i]);
		uint64_t *count;

		if (!lane)
			continue;
		count = v[i].held ? &lane_line(lane)->held
			: job->set->deletions == DELETIONS_KEEP ? &lane_line(lane)->kept
								: &lane_line(lane)->removed;
		*count += uidset_count(&lane->plan.gone);
		if (allowed)
			lane_line(lane)->removed += uidset_count(&lane->base.held);
	}
	free(v);
	return ret;
}

int job_preview(struct job *job, struct err *err)
{
	const char *wait = count_gone(job) > 0 ? reason_to_wait(job) : NULL;

	if (!job->target)
		return 0;
	if (!wait)
		return preview_removals(job, err);
	put_off(job, wait);
	return 0;
}

int job_finish(struct job *job, struct err *err)
{
	const char *wait;

	if (change_flags(job, err) < 0)
		return -1;
	wait = count_gone(job) > 0 ? reason_to_wait(job) : NULL;
	if (wait)
		put_off(job, wait);
	else if (remove_all_gone(job, err) < 0)
		return -1;
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->skipped)
			continue;
		if (set_subscription(job, lane, err) < 0 ||
		    set_base(lane, wait != NULL, err) < 0)
			return -1;
	}
	if (job_commit(job, err) < 0)
		return -1;
	for (size_t i = 0; i < job->n; i++)
		if (!job->lanes[i].skipped)
			lane_line(&job->lanes[i])->flags_changed =
				job->lanes[i].plan.flags_changed;
	return 0;
}
