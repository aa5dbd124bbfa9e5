#include <stdlib.h>

#include "core/base/mem.h"
#include "core/sync/job_internal.h"
#include "core/sync/scope.h"

/* What is gone at the source: proof, the guard, and only then the knife. */

bool job_exempt_from_guard(const struct job *job, const struct mailbox_info *info)
{
	static const char *const usual[] = { "\\Trash", "\\Junk" };
	const struct job_settings *set = job->set;
	const char *const *patterns = set->guard_exempt ? set->guard_exempt : usual;
	size_t n = set->guard_exempt ? set->n_guard_exempt : 2;

	return n > 0 && job_matches(patterns, n, info);
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

/*
 * Held messages go only with what the user allows, and never where nothing is to be removed at
 * all.
 */
static bool may_remove_held(const struct job *job)
{
	return job->set->allow_deletes_given && job->set->deletions == DELETIONS_MIRROR;
}

/* All that could be removed in this run. */
static uint64_t count_removals(const struct job *job)
{
	return count_gone(job) + (may_remove_held(job) ? count_held(job) : 0);
}

/*
 * Why no message may be removed in this run, or NULL. A message that left one mailbox may be
 * the one that could not be stored in another: until that is settled, its copy here stays. In
 * quarantine it is settled when it is stored, gone, or accepted by the user.
 */
static const char *reason_to_wait(const struct job *job)
{
	bool stored_all = !job->resting;

	if (count_removals(job) == 0)
		return NULL;
	if (job->no_deletions)
		return job_writes_account(job) ? "what was copied before had to be found out anew"
					       : "this is the first run with a store that came from elsewhere";
	if (job->set->n_only > 0)
		return "--mailbox looks at a part only, and a message missing there may have moved";
	if (!job->from.complete)
		return "the server did not list all mailboxes";
	for (size_t i = 0; i < job->report->n; i++)
		if (job->report->v[i].skipped && !job->report->v[i].gone)
			return "a mailbox was skipped, and a message missing elsewhere may have "
			       "moved there";
	for (size_t i = 0; i < job->n; i++)
		stored_all &= !job->lanes[i].incomplete && job->lanes[i].n_failed == 0 &&
			      (job->lanes[i].skipped || job->lanes[i].plan.resting == 0);
	if (!stored_all)
		return job_writes_account(job)
			       ? "some messages could not be copied, and one missing elsewhere may be among them"
			       : "some messages could not be stored, and one missing elsewhere may be among them";
	return NULL;
}

/* Which entry of job.to, and so of the guard's mailboxes, is the lane's; it must have one. */
static size_t place_of(const struct lane *lane)
{
	return (size_t)(lane->to - lane->job->to.v);
}

static bool removes_something(const struct lane *lane)
{
	return !lane->skipped && lane->to && !uidset_is_empty(&lane->plan.gone);
}

/* With those that are to go now though an earlier run kept them. */
static uint64_t live_before(const struct job *job, const struct mailbox_info *to)
{
	return to->stored + (job_follows_kept(job, to) ? to->kept - to->held : 0);
}

/*
 * What the guard has to know of every mailbox of the target, in work or not; same order as
 * job.to. One that this job does not look after must not make a loss look small.
 */
static int weigh(struct job *job, struct guard_mailbox *v, struct err *err)
{
	struct removal *r = xcalloc(job->n, sizeof(*r));
	size_t *place = xcalloc(job->n, sizeof(*place));
	size_t n = 0;
	int ret;

	for (size_t i = 0; i < job->to.n; i++) {
		const struct mailbox_info *to = &job->to.v[i];
		const struct mailbox_info *from = job_source_of(job, to);

		v[i].before = from && job_in_scope(job, from) ? live_before(job, to) : 0;
		v[i].exempt = job_exempt_from_guard(job, from ? from : to);
	}
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (!removes_something(lane))
			continue;
		place[n] = place_of(lane);
		if (lane->gone)
			v[place[n]].before = live_before(job, lane->to);
		v[place[n]].removed = uidset_count(&lane->plan.gone);
		r[n++] = (struct removal){ .mailbox = lane->target, .set = &lane->plan.gone };
	}
	ret = n ? store_count_lost(job->target, r, n, err) : 0;
	for (size_t i = 0; i < n; i++)
		v[place[i]].lost = r[i].lost;
	free(r);
	free(place);
	return ret;
}

/*
 * Whether mail came in anywhere since this run looked. A message that seems gone may have been
 * moved behind our back: its old place was looked at after it left, its new place before it
 * came.
 */
static int mail_arrived(struct job *job, bool *out, struct err *err)
{
	struct mailbox_list now = { 0 };
	size_t k = 0; /* lanes are in the order of job.from */
	int ret = job_list_source(job, job->from.hint, &now, err);

	*out = !now.complete;
	for (size_t i = 0; ret == 0 && i < now.n; i++) {
		const struct mailbox_info *then = mailbox_list_find(&job->from, &now.v[i].name);
		const struct token *token = then ? &then->token : NULL;

		if ((now.v[i].attributes & MAILBOX_NOSELECT) || !job_in_scope(job, &now.v[i]))
			continue;
		while (k < job->n && then && job->lanes[k].from < then)
			k++;
		if (k < job->n && job->lanes[k].from == then &&
		    job->lanes[k].source_changes.token.known)
			token = &job->lanes[k].source_changes.token;
		*out |= !token || token_has_grown(token, &now.v[i].token);
	}
	mailbox_list_release(&now);
	return ret;
}

/* Of those that go, how many an earlier run kept. */
static uint64_t count_kept(const struct lane *lane)
{
	struct uidset both = UIDSET_INIT;
	uint64_t n;

	uidset_subtract(&both, &lane->plan.gone, &lane->base.kept);
	n = uidset_count(&lane->plan.gone) - uidset_count(&both);
	uidset_release(&both);
	return n;
}

static int remove_gone(struct lane *lane, bool held, struct err *err)
{
	struct job_mailbox *line = lane_line(lane);
	const struct uidset *gone = &lane->plan.gone;
	uint64_t *count = &line->removed;
	int ret;

	if (held) {
		count = &line->held;
		ret = mailbox_keep(lane->target, gone, true, err);
	} else if (lane->job->set->deletions == DELETIONS_KEEP) {
		count = &line->kept;
		ret = mailbox_keep(lane->target, gone, false, err);
	} else {
		ret = mailbox_expunge(lane->target, gone, err);
	}
	if (ret == 0)
		*count += uidset_count(gone);
	if (ret == 0 && count == &line->removed)
		lane->kept_removed += count_kept(lane);
	return ret;
}

/* --allow-deletes: also what earlier runs held back. */
static int remove_held(struct lane *lane, struct err *err)
{
	if (mailbox_expunge(lane->target, &lane->base.held, err) < 0)
		return -1;
	lane->kept_removed += uidset_count(&lane->base.held);
	lane_line(lane)->removed += uidset_count(&lane->base.held);
	return 0;
}

/* Carry out what was decided. A mailbox that cannot be written is left for the next run. */
static int remove_all(struct job *job, const struct guard_mailbox *v, bool allowed,
		      struct err *err)
{
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];
		int ret = 0;

		if (removes_something(lane))
			ret = remove_gone(lane, v[place_of(lane)].held, err);
		if (ret == 0 && allowed && !lane->skipped)
			ret = remove_held(lane, err);
		if (ret < 0 && err->kind != ERR_MAILBOX)
			return -1;
		if (ret < 0)
			lane_skip(lane, err->text);
	}
	return 0;
}

static bool holds_anything(const struct job *job)
{
	for (size_t i = 0; i < job->to.n; i++)
		if (!job_writes_account(job) || job->to.v[i].token.known || job->to.v[i].stored > 0)
			return true;
	return false;
}

/*
 * Let the guard decide, and the user's --allow-deletes. v: as from weigh(); after it, v[i].held
 * says what is held back in the end.
 */
static bool decide(struct job *job, struct guard_mailbox *v)
{
	const struct job_settings *set = job->set;
	struct job_report *r = job->report;
	bool allowed;

	if (set->deletions == DELETIONS_KEEP)
		return false; /* nothing is lost, so the guard has no say */
	guard_judge(v, job->to.n, &set->max_delete, job->from.n == 0 && holds_anything(job), &r->guard);
	r->deletes_shown = r->guard.held + (set->allow_deletes_given ? count_held(job) : 0);
	allowed = set->allow_deletes_given && r->deletes_shown <= set->allow_deletes;
	r->held = !allowed && (r->guard.tripped || set->allow_deletes_given);
	for (size_t i = 0; allowed && i < job->to.n; i++)
		v[i].held = false;
	if (set->allow_deletes_given && !allowed)
		job_note(job, "--allow-deletes=%llu is less than the %llu deletions to be allowed",
			 (unsigned long long)set->allow_deletes,
			 (unsigned long long)r->deletes_shown);
	return allowed;
}

static void put_off(struct job *job, const char *why)
{
	uint64_t n = count_removals(job);

	if (job_writes_account(job) && job->set->deletions == DELETIONS_KEEP)
		return; /* nothing would be deleted in the next run, either */
	for (size_t i = 0; i < job->n; i++)
		if (!job->lanes[i].skipped)
			lane_line(&job->lanes[i])->waiting =
				uidset_count(&job->lanes[i].plan.gone);
	job_note(job, "%llu deletion%s for the next run: %s", (unsigned long long)n,
		 n == 1 ? " waits" : "s wait", why);
}

int job_remove_gone(struct job *job, bool *waiting, struct err *err)
{
	struct guard_mailbox *v = xcalloc(job->to.n, sizeof(*v));
	const char *wait = reason_to_wait(job);
	bool mirror = job->set->deletions == DELETIONS_MIRROR, arrived = false;
	uint64_t lost = may_remove_held(job) ? count_held(job) : 0;
	int ret = -1;

	if (!wait && mirror && weigh(job, v, err) < 0) {
		job_keep_what_came(job);
		goto out;
	}
	for (size_t i = 0; i < job->to.n; i++)
		lost += v[i].lost;
	if (lost > 0 && mail_arrived(job, &arrived, err) < 0) {
		job_keep_what_came(job);
		goto out;
	}
	if (arrived)
		wait = "mail came in meanwhile, and one missing elsewhere may be among it";
	*waiting = job->waiting = wait != NULL;
	if (wait) {
		put_off(job, wait);
		ret = 0;
	} else {
		bool allowed = decide(job, v);

		ret = remove_all(job, v, allowed, err);
	}
out:
	free(v);
	return ret;
}

/* The guard's word in advance. Before the additions, a message that moved still counts as lost. */
static int preview_removals(struct job *job, struct err *err)
{
	bool mirror = job->set->deletions == DELETIONS_MIRROR, allowed;
	struct guard_mailbox *v = xcalloc(job->to.n, sizeof(*v));
	int ret = mirror ? weigh(job, v, err) : 0;

	allowed = ret == 0 && decide(job, v);
	for (size_t i = 0; ret == 0 && i < job->n; i++) {
		struct lane *lane = &job->lanes[i];
		struct job_mailbox *line = lane_line(lane);

		if (removes_something(lane))
			*(v[place_of(lane)].held ? &line->held
			  : mirror		 ? &line->removed
						 : &line->kept) = uidset_count(&lane->plan.gone);
		if (allowed && !lane->skipped)
			line->removed += uidset_count(&lane->base.held);
	}
	free(v);
	return ret;
}

int job_preview(struct job *job, struct err *err)
{
	const char *wait = reason_to_wait(job);

	if (!job->target)
		return 0;
	if (!wait)
		return preview_removals(job, err);
	put_off(job, wait);
	return 0;
}
