#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/sync/job_internal.h"
#include "core/sync/quarantine.h"
#include "core/sync/scope.h"

/* Without mod-sequences, flags count as they were until it is time to look at them again. */
static bool flags_as_then(const struct job *job, const struct token *now, const struct token *then)
{
	return !job->flags_due && !job_reads_store(job) && now->highestmodseq == 0 &&
	       then->highestmodseq == 0;
}

/* It is time not to believe mod-sequences. A store that is read has no reason to be wrong. */
static bool verifies_flags(const struct job *job)
{
	return job->flags_due && job->record.flags_checked != 0 && !job_reads_store(job);
}

/* Whether the source proves that nothing in the mailbox changed since the last agreement. */
static bool source_unchanged(const struct job *job, const struct mailbox_info *from,
			     const struct mailbox_info *to)
{
	const struct token *now = &from->token, *then = &to->token;

	/* Without a mod-sequence, flags may have changed unseen; without UIDNEXT, messages. */
	return now->known && then->known && now->uidnext != 0 && !verifies_flags(job) &&
	       (now->highestmodseq != 0 || flags_as_then(job, now, then)) &&
	       now->highestmodseq == then->highestmodseq &&
	       now->uidvalidity == then->uidvalidity && now->uidnext == then->uidnext &&
	       now->messages == to->known;
}

bool token_has_grown(const struct token *then, const struct token *now)
{
	if (!then->known || !now->known)
		return false;
	if (now->uidvalidity != then->uidvalidity)
		return true;
	return now->uidnext && then->uidnext ? now->uidnext != then->uidnext
					     : now->messages > then->messages;
}

/* A subscription changes nothing that a token tells. */
static bool subscription_differs(const struct job *job, const struct lane *lane)
{
	return job->set->target->subscribe &&
	       ((lane->from->attributes ^ lane->to->attributes) & MAILBOX_SUBSCRIBED) != 0;
}

static bool needs_work(const struct job *job, const struct lane *lane)
{
	const struct mailbox_info *to = lane->to;

	return !lane->source_unchanged || to->touched || subscription_differs(job, lane) ||
	       (job->set->allow_deletes_given && job->set->deletions == DELETIONS_MIRROR &&
		to->held > 0);
}

/*
 * Whether the quarantine is all there is to a mailbox, and nothing in it is due. That is told again
 * in every run.
 */
static int only_rests(struct job *job, struct lane *lane, bool *rests, struct err *err)
{
	struct base base;
	int ret;

	*rests = false;
	base_init(&base);
	ret = mailbox_open(job->target, lane->to, job->set->dry_run ? STORE_READ : STORE_WRITE,
			   &lane->target, err);
	if (ret == 0)
		ret = mailbox_quarantine(lane->target, &base, err);
	if (ret < 0 && err->kind == ERR_MAILBOX)
		ret = 0; /* in work, where it is told */
	else if (ret == 0)
		*rests = true;
	for (size_t i = 0; i < base.n_quarantine; i++)
		*rests &= base.quarantine[i].accepted ||
			  !quarantine_is_due(&base.quarantine[i], job->now);
	if (*rests && !job->set->dry_run) {
		size_t at = job_add_line(job, &lane->from->name); /* which moves report.v */

		job_report_quarantine(&job->report->v[at], &base);
	}
	job->resting |= *rests;
	base_release(&base);
	return ret;
}

static int choose_lane(struct job *job, struct mailbox_info *from, struct err *err)
{
	struct lane *lane = &job->lanes[job->n];

	*lane = (struct lane){
		.job = job,
		.from = from,
		.to = mailbox_list_find(&job->to, &from->name),
	};
	lane->source_unchanged = lane->to && source_unchanged(job, from, lane->to);
	if (!needs_work(job, lane)) {
		bool rests = true;

		if (lane->to->pending > 0 && only_rests(job, lane, &rests, err) < 0)
			return -1;
		if (rests) {
			job->report->mailboxes_unchanged += lane->to->pending == 0 || job->set->dry_run;
			return 0;
		}
	}
	lane->line = job_add_line(job, &from->name);
	changes_init(&lane->source_changes);
	changes_init(&lane->target_changes);
	base_init(&lane->base);
	plan_init(&lane->plan);
	job->n++;
	return 0;
}

static void leave_alone(struct job *job, const struct mailbox_info *to, const char *why, bool gone)
{
	size_t at = job_add_line(job, &to->name); /* which moves report.v */
	struct job_mailbox *line = &job->report->v[at];

	line->skipped = true;
	line->gone = gone;
	line->problem = xstrdup(why);
	job->report->incomplete = true;
}

/*
 * A mailbox of the base that the source's list leaves out: ask for it by name, and leave it
 * alone.
 */
static int look_at_missing(struct job *job, const struct mailbox_info *to, struct err *err)
{
	bool exists = false;

	if (store_exists(job->source, &to->name, &exists, err) < 0) {
		if (err->kind != ERR_MAILBOX)
			return -1;
		exists = true; /* no clear answer: not gone */
	}
	leave_alone(job, to,
		    exists ? "the server's list leaves it out, yet it exists; left as it is"
			   : "it no longer exists at the source; its mail here is left as it is "
			     "(exclude it under 'mailboxes' to silence this)",
		    !exists);
	return 0;
}

static bool selects(const char *pattern, const struct mailbox_info *info)
{
	return scope_contains(&pattern, 1, &info->name, info->attributes);
}

/* Whether a pattern means a mailbox there is, at the source or from an earlier run. */
static bool selects_any(const struct job *job, const char *pattern)
{
	for (size_t i = 0; i < job->from.n; i++)
		if (selects(pattern, &job->from.v[i]))
			return true;
	for (size_t i = 0; i < job->to.n; i++)
		if (job->to.v[i].token.known && selects(pattern, &job->to.v[i]))
			return true;
	return false;
}

/*
 * A name with a slip in it must not pass for a mailbox with nothing to do: named for this run it is an
 * error; a plain name in the configuration leaves the run incomplete; a pattern that happens to match
 * nothing is told.
 */
static int check_selected(struct job *job, struct err *err)
{
	const struct job_settings *set = job->set;

	for (size_t i = 0; i < set->n_only; i++)
		if (set->only[i][0] != '!' && !selects_any(job, set->only[i]))
			return err_set(err, ERR_MISSING,
				       "--mailbox=%s: no mailbox of the account is called that",
				       set->only[i]);
	for (size_t i = 0; i < set->n_mailboxes && set->n_only == 0; i++) {
		const char *pattern = set->mailboxes[i];

		if (pattern[0] == '!' || selects_any(job, pattern))
			continue;
		job_note(job, "'%s' under 'mailboxes' selects no mailbox of the account", pattern);
		if (!strpbrk(pattern, "*%\\"))
			job->report->incomplete = true;
	}
	return 0;
}

static int choose_lanes(struct job *job, struct err *err)
{
	job->lanes = xcalloc(job->from.n, sizeof(*job->lanes));
	for (size_t i = 0; i < job->from.n; i++)
		if (!(job->from.v[i].attributes & MAILBOX_NOSELECT) &&
		    job_in_scope(job, &job->from.v[i]) &&
		    choose_lane(job, &job->from.v[i], err) < 0)
			return -1;
	for (size_t i = 0; i < job->to.n; i++) {
		const struct mailbox_info *to = &job->to.v[i];
		const struct mailbox_info *from = mailbox_list_find(&job->from, &to->name);

		if (!to->token.known || !job_in_scope(job, to))
			continue;
		if (!from || (from->attributes & MAILBOX_NOSELECT)) {
			if (look_at_missing(job, to, err) < 0)
				return -1;
		} else if (!job_in_scope(job, from)) {
			leave_alone(job, to,
				    "'mailboxes' selected it by its special use, which the server "
				    "no longer gives it; select it by name to go on",
				    false);
		}
	}
	return 0;
}

/* Out of scope is not deleted: it stays as it is, and is named once, when the patterns changed. */
static void name_left_out(struct job *job)
{
	const struct job_settings *set = job->set;

	if (!job->record.scope || set->n_only > 0)
		return;
	for (size_t i = 0; i < job->to.n; i++) {
		const struct mailbox_info *to = &job->to.v[i];
		char *name;

		if (!to->token.known || scope_contains(set->mailboxes, set->n_mailboxes,
						       &to->name, to->attributes))
			continue;
		name = mailbox_name_text(&to->name);
		job_note(job, "%s is no longer selected by 'mailboxes': what is stored of it stays",
			 name);
		free(name);
	}
}

/* What the guard holds back is told again in every run, with the number that lets it through. */
static void name_held(struct job *job)
{
	uint64_t n = 0;

	if (job->set->deletions != DELETIONS_MIRROR || job->set->allow_deletes_given ||
	    job->set->n_only > 0)
		return;
	for (size_t i = 0; i < job->to.n; i++)
		if (job_in_scope(job, &job->to.v[i]))
			n += job->to.v[i].held;
	if (n > 0)
		job_note(job, "the guard of an earlier run holds back deletions (%llu); if they are "
			      "right: mailcask backup %s --allow-deletes=%llu",
			 (unsigned long long)n, job->set->name, (unsigned long long)n);
}

static bool scope_changed(const struct job *job)
{
	const char *was = job->record.scope;
	size_t n = 0;

	if (!was)
		return false;
	for (size_t i = 0; i < job->set->n_mailboxes; i++) {
		size_t len = strlen(job->set->mailboxes[i]);

		if (strncmp(was + n, job->set->mailboxes[i], len) != 0 || was[n + len] != '\n')
			return true;
		n += len + 1;
	}
	return was[n] != '\0';
}

static int open_lane(struct job *job, struct lane *lane, struct err *err)
{
	if (mailbox_open(job->source, lane->from, STORE_READ, &lane->source, err) < 0)
		return -1;
	if (!lane->to)
		return 0;
	if (!lane->target &&
	    mailbox_open(job->target, lane->to, job->set->dry_run ? STORE_READ : STORE_WRITE,
			 &lane->target, err) < 0)
		return -1;
	return mailbox_base(lane->target, &lane->base, err);
}

/* -1 only for trouble that ends the job. */
static int open_lanes(struct job *job, struct err *err)
{
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (open_lane(job, lane, err) == 0)
			continue;
		if (err->kind != ERR_MAILBOX)
			return -1;
		lane_skip(lane, err->text);
	}
	return 0;
}

/* Whether anything here hangs on what the source's UIDs mean. */
static bool holds_uids(const struct lane *lane)
{
	return lane->to && (lane->to->stored > 0 || lane->to->known > 0);
}

/* An answer that does not tell it is no proof that it is the same. */
static bool uidvalidity_changed(const struct lane *lane, const struct token *now)
{
	return lane->base.token.known && holds_uids(lane) &&
	       now->uidvalidity != lane->base.token.uidvalidity;
}

/* A plan says which messages, not how many at most. */
static bool tells_exactly(const struct job_settings *set)
{
	return set->dry_run || set->apply;
}

static int compare_sources(struct job *job, struct err *err)
{
	struct changes_request *req = xcalloc(job->n, sizeof(*req));
	size_t n = 0;
	int ret;

	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->skipped || lane->source_unchanged)
			continue;
		/* Where the list does not tell it (0), the comparison will. */
		lane->rebinding = lane->from->token.uidvalidity != 0 &&
				  uidvalidity_changed(lane, &lane->from->token);
		req[n++] = (struct changes_request){
			.mailbox = lane->source,
			.everything_new = !holds_uids(lane) && !tells_exactly(job->set),
			.sizes = job->set->dry_run,
			.describe = lane->rebinding,
			.since = lane->base.token.known && !lane->rebinding ? &lane->base.token : NULL,
			.known = &lane->base.known,
			.flags_as_then = flags_as_then(job, &lane->from->token, &lane->base.token),
			.out = &lane->source_changes,
		};
	}
	ret = store_changes(job->source, req, n, err);
	free(req);
	return ret;
}

/* Where only the comparison told that UIDs do not mean what they did: ask what the messages are. */
static int describe_sources(struct job *job, struct err *err)
{
	struct changes_request *req = xcalloc(job->n, sizeof(*req));
	size_t n = 0;
	int ret;

	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];
		struct changes *told = &lane->source_changes;

		if (lane->skipped || lane->source_unchanged || lane->rebinding ||
		    told->err.kind != ERR_NONE || told->token.uidvalidity == 0 ||
		    !uidvalidity_changed(lane, &told->token))
			continue;
		lane->rebinding = true;
		changes_release(told);
		changes_init(told);
		req[n++] = (struct changes_request){
			.mailbox = lane->source, .describe = true, .out = told
		};
	}
	ret = store_changes(job->source, req, n, err);
	free(req);
	return ret;
}

static int compare_targets(struct job *job, struct err *err)
{
	struct changes_request *req = xcalloc(job->n, sizeof(*req));
	size_t n = 0;
	int ret;

	for (size_t i = 0; i < job->n; i++)
		if (!job->lanes[i].skipped && job->lanes[i].target)
			req[n++] = (struct changes_request){
				.mailbox = job->lanes[i].target,
				.describe = job->lanes[i].rebinding,
				.out = &job->lanes[i].target_changes,
			};
	ret = n ? store_changes(job->target, req, n, err) : 0;
	free(req);
	return ret;
}

/* Which messages have each flag by the base; nothing where some of the known are not stored. */
static void gather_flagged(struct lane *lane)
{
	const struct changes *c = &lane->target_changes;
	struct uidset_builder b[FLAG_BITS];
	uint64_t bound = 0;

	for (unsigned bit = 0; bit < FLAG_BITS; bit++)
		uidset_builder_init(&b[bit]);
	for (size_t i = 0; i < c->n; i++) {
		unsigned flags = flag_table_get(c->flags, c->v[i].base_flags)->bits;

		bound += uidset_has(&lane->base.known, c->v[i].source_uid);
		for (unsigned bit = 0; c->v[i].source_uid && bit < FLAG_BITS; bit++)
			if (flags >> bit & 1)
				uidset_builder_add(&b[bit], c->v[i].source_uid,
						   c->v[i].source_uid);
	}
	if (bound > 0 && bound == uidset_count(&lane->base.known))
		lane->flagged = xcalloc(FLAG_BITS, sizeof(*lane->flagged));
	for (unsigned bit = 0; bit < FLAG_BITS; bit++) {
		if (lane->flagged)
			uidset_builder_finish(&b[bit], &lane->flagged[bit]);
		uidset_builder_release(&b[bit]);
	}
}

static void free_flagged(struct lane *lane)
{
	for (unsigned bit = 0; lane->flagged && bit < FLAG_BITS; bit++)
		uidset_release(&lane->flagged[bit]);
	free(lane->flagged);
	lane->flagged = NULL;
}

/*
 * Ask again where only changes were told, with what the base has each flag on: the source counts, and
 * tells everything when it was wrong to tell so little.
 */
static int verify_flags(struct job *job, struct err *err)
{
	struct changes_request *req = xcalloc(job->n, sizeof(*req));
	size_t n = 0;
	int ret = 0;

	for (size_t i = 0; i < job->n && verifies_flags(job); i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->skipped || !lane->source_changes.delta || !lane->target_changes.complete)
			continue;
		gather_flagged(lane);
		if (!lane->flagged)
			continue;
		changes_release(&lane->source_changes);
		changes_init(&lane->source_changes);
		req[n++] = (struct changes_request){
			.mailbox = lane->source,
			.since = &lane->base.token,
			.known = &lane->base.known,
			.flagged = lane->flagged,
			.sizes = job->set->dry_run,
			.out = &lane->source_changes,
		};
	}
	if (n)
		ret = store_changes(job->source, req, n, err);
	for (size_t i = 0; i < job->n; i++)
		free_flagged(&job->lanes[i]);
	free(req);
	return ret;
}

/* Whether what is stored can be bound anew: only to an answer that accounts for every message. */
static void check_rebinding(struct lane *lane)
{
	const struct token *now = &lane->source_changes.token;

	if (lane->source_unchanged)
		return;
	if (!uidvalidity_changed(lane, now))
		lane->rebinding = false; /* it is what it was, after all */
	else if (now->uidvalidity == 0)
		lane_skip(lane, "the server does not say its UIDVALIDITY, so its messages cannot be "
				"told from those stored; left as it is, and so is what is stored");
	else if (!lane->source_changes.complete || !lane->rebinding) /* or it has just changed */
		lane_skip(lane,
			  job_reads_store(lane->job)
				  ? "its messages have other UIDs than they had, and not all of "
				    "them could be read; left as it is until they can"
				  : "the server gave it a new UIDVALIDITY, and its answer does not "
				    "account for all messages; left as it is until it does");
}

/* Whatever the comparison of either side ran into. */
static void note_trouble(struct lane *lane)
{
	if (lane->skipped)
		return;
	if (lane->source_changes.err.kind != ERR_NONE)
		lane_skip(lane, lane->source_changes.err.text);
	else if (lane->target_changes.err.kind != ERR_NONE)
		lane_skip(lane, lane->target_changes.err.text);
	else if (lane->target && !lane->target_changes.complete)
		lane_skip(lane, "what is stored could not be read in full");
	else
		check_rebinding(lane);
}

static const char *doubt_text(const struct lane *lane)
{
	if (!job_reads_store(lane->job))
		return "the server's answer does not account for all messages; nothing is removed "
		       "until it does";
	if (!uidset_is_empty(&lane->source_changes.missing))
		return "files of it were removed, though the store that is read knows them; nothing "
		       "is removed here until it has them again or knows that they are gone";
	return "it was changed while it was read; nothing is removed in this run";
}

static void note_rebinding(const struct lane *lane)
{
	const struct job_mailbox *line = lane_line(lane);
	char *rest = xasprintf("%llu to fetch", (unsigned long long)lane->plan.expect);

	job_note(lane->job, "%s: %s; %llu of %llu messages recognised, %s", line->name,
		 job_reads_store(lane->job) ? "its messages have other UIDs than they had"
					    : "the server gave it a new UIDVALIDITY",
		 (unsigned long long)line->recognised, (unsigned long long)line->to_recognise,
		 !uidset_is_empty(&lane->plan.fetch) ? rest
		 : job_reads_store(lane->job)	     ? "none fetched"
						     : "none downloaded");
	free(rest);
}

static void plan_lane(struct lane *lane)
{
	struct job_mailbox *line = lane_line(lane);
	struct plan_input in = {
		.source = lane->source_unchanged ? NULL : &lane->source_changes,
		.base = &lane->base,
		.target = lane->target ? &lane->target_changes : NULL,
		.check_sizes = job_reads_store(lane->job),
		.now = lane->job->now,
	};

	plan_mailbox(&in, &lane->plan);
	line->created = !lane->to;
	line->foreign = lane->target_changes.foreign + lane->source_changes.foreign;
	if (lane->job->set->dry_run)
		job_tell_lane(lane);
	if (lane->job->set->apply)
		job_hold_to_plan(lane);
	changes_release(&lane->target_changes); /* the plan says it all, and there may be many */
	if (lane->plan.mismatched) {
		lane_skip(lane, "its messages have other UIDs than they had, so they cannot be told "
				"from those stored; left as it is. Run once with --rebind, which "
				"pairs by content");
	} else if (lane->plan.doubt) {
		lane->incomplete = true;
		lane_problem(lane, doubt_text(lane));
	}
	if (lane->rebinding && !lane->skipped)
		note_rebinding(lane);
}

int job_compare(struct job *job, struct err *err)
{
	if (check_selected(job, err) < 0 || choose_lanes(job, err) < 0)
		return -1;
	if (scope_changed(job))
		name_left_out(job);
	name_held(job);
	if (open_lanes(job, err) < 0 || compare_sources(job, err) < 0 ||
	    describe_sources(job, err) < 0 || compare_targets(job, err) < 0 ||
	    verify_flags(job, err) < 0)
		return -1;
	for (size_t i = 0; i < job->n; i++)
		note_trouble(&job->lanes[i]);
	if (job_recognise(job, err) < 0)
		return -1;
	for (size_t i = 0; i < job->n; i++)
		if (!job->lanes[i].skipped)
			plan_lane(&job->lanes[i]);
	return 0;
}
