#include <stdlib.h>

#include "core/base/mem.h"
#include "core/sync/flagged.h"
#include "core/sync/job_internal.h"

/* What differs in the mailboxes in work, and so what is to be done. */

static int open_lane(struct job *job, struct lane *lane, struct err *err)
{
	if (lane->from && job_open_source(job, lane->from, &lane->source, err) < 0)
		return -1;
	if (!lane->to)
		return 0;
	if (!lane->target &&
	    mailbox_open(job->target, lane->to, job->set->dry_run ? STORE_READ : STORE_WRITE,
			 &lane->target, err) < 0)
		return -1;
	if (mailbox_base(lane->target, &lane->base, err) < 0)
		return -1;
	lane->uidvalidity_then = lane->base.token.uidvalidity;
	return 0;
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

static bool went_back(uint64_t then, uint64_t now)
{
	return then != 0 && now != 0 && now < then;
}

/* A server that counts UIDVALIDITY from 1 shows that by the MAILBOXID alone. */
static bool is_another(const struct mailbox_info *from, const struct mailbox_info *to)
{
	return from && to && mailboxid_differs(from->mailboxid, to->mailboxid);
}

/*
 * UIDs may mean other messages than they did. An answer that does not tell the UIDVALIDITY is no proof that
 * it is the same. And a server that was put back to an earlier state gives out UIDs again.
 */
bool job_uids_moved(const struct mailbox_info *from, const struct mailbox_info *to, const struct token *then,
		    const struct token *now)
{
	return now->uidvalidity != then->uidvalidity || is_another(from, to) ||
	       went_back(then->uidnext, now->uidnext) || went_back(then->highestmodseq, now->highestmodseq);
}

static bool uids_moved(const struct lane *lane, const struct token *now)
{
	return lane->base.token.known && holds_uids(lane) &&
	       job_uids_moved(lane->from, lane->to, &lane->base.token, now);
}

const char *lane_why_rebinding(const struct lane *lane)
{
	if (job_reads_store(lane->job))
		return "its messages have other UIDs than they had";
	if (lane->source_changes.token.uidvalidity != lane->uidvalidity_then)
		return "the server gave it a new UIDVALIDITY";
	if (is_another(lane->from, lane->to))
		return "it is another mailbox than the one that was called so";
	return "the server went back to an earlier state of it";
}

/* A plan says which messages, not how many at most. */
static bool tells_exactly(const struct job_settings *set)
{
	return set->dry_run || set->apply;
}

/* What the source holds of a mailbox that is gone. */
static void tell_gone(struct lane *lane)
{
	lane->source_changes.token = lane->base.token;
	lane->source_changes.complete = true;
}

/* Those that `wanted` (NULL: all that were not yet) says. */
static int compare_targets(struct job *job, bool (*wanted)(const struct lane *lane), struct err *err)
{
	struct changes_request *req = xcalloc(job->n, sizeof(*req));
	size_t n = 0;
	int ret;

	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->skipped || !lane->target || (wanted && !wanted(lane)))
			continue;
		if (lane->target_compared && !lane->rebinding)
			continue;
		changes_release(&lane->target_changes);
		changes_init(&lane->target_changes);
		lane->target_compared = true;
		req[n++] = (struct changes_request){
			.mailbox = lane->target,
			.describe = lane->rebinding,
			.out = &lane->target_changes,
		};
	}
	ret = n ? store_changes(job->target, req, n, err) : 0;
	free(req);
	return ret;
}

/* Flags are to be compared with a source that has no mod-sequences: it may do so flag by flag. */
static bool compares_flags(const struct lane *lane)
{
	return job_verifies_flags(lane->job) && !lane->gone && lane->base.token.known &&
	       lane->base.token.highestmodseq == 0 && lane->from->token.highestmodseq == 0 &&
	       !uids_moved(lane, &lane->from->token);
}

static int gather_flags(struct job *job, struct err *err)
{
	if (compare_targets(job, compares_flags, err) < 0)
		return -1;
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->target_compared && lane->target_changes.complete)
			flagged_gather(&lane->flagged, &lane->target_changes, &lane->base.known);
	}
	return 0;
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
		if (lane->gone) {
			tell_gone(lane);
			continue;
		}
		/* Where the list does not tell it (0), the comparison will. */
		lane->rebinding = lane->from->token.uidvalidity != 0 &&
				  uids_moved(lane, &lane->from->token);
		req[n++] = (struct changes_request){
			.mailbox = lane->source,
			.everything_new = !holds_uids(lane) && !tells_exactly(job->set) &&
					  !job_may_adopt(lane),
			.sizes = job->set->dry_run || job_may_adopt(lane),
			.describe = lane->rebinding,
			/* That it was empty then says nothing of what is there now. */
			.since = lane->base.token.known && !lane->rebinding && holds_uids(lane)
					 ? &lane->base.token : NULL,
			.known = &lane->base.known,
			.flags_as_then = job_flags_as_then(job, &lane->from->token, &lane->base.token),
			.flagged = lane->flagged.n ? &lane->flagged : NULL,
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

		if (lane->skipped || lane->gone || lane->source_unchanged || lane->rebinding ||
		    told->err.kind != ERR_NONE || told->token.uidvalidity == 0 ||
		    !uids_moved(lane, &told->token))
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

/*
 * Ask again where only changes were told, with what the base has each flag on: the source counts, and
 * tells everything when it was wrong to tell so little.
 */
static int verify_flags(struct job *job, struct err *err)
{
	struct changes_request *req = xcalloc(job->n, sizeof(*req));
	size_t n = 0;
	int ret = 0;

	for (size_t i = 0; i < job->n && job_verifies_flags(job); i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->skipped || !lane->source_changes.delta || !lane->target_changes.complete)
			continue;
		if (lane->flagged.n || /* it was asked with them */
		    !flagged_gather(&lane->flagged, &lane->target_changes, &lane->base.known))
			continue;
		changes_release(&lane->source_changes);
		changes_init(&lane->source_changes);
		req[n++] = (struct changes_request){
			.mailbox = lane->source,
			.since = &lane->base.token,
			.known = &lane->base.known,
			.flagged = &lane->flagged,
			.sizes = job->set->dry_run || job_may_adopt(lane),
			.out = &lane->source_changes,
		};
	}
	if (n)
		ret = store_changes(job->source, req, n, err);
	for (size_t i = 0; i < job->n; i++)
		flagged_release(&job->lanes[i].flagged);
	free(req);
	return ret;
}

static void skip_unread(struct lane *lane)
{
	char *why = xasprintf("%s, and %s", lane_why_rebinding(lane),
			      job_reads_store(lane->job)
				      ? "not all of them could be read; left as it is until they can"
				      : "its answer does not account for all messages; left as it is "
					"until it does");

	lane_skip(lane, why);
	free(why);
}

/* Whether what is stored can be bound anew: only to an answer that accounts for every message. */
static void check_rebinding(struct lane *lane)
{
	const struct token *now = &lane->source_changes.token;

	if (lane->source_unchanged)
		return;
	if (!uids_moved(lane, now))
		lane->rebinding = false; /* it is what it was, after all */
	else if (now->uidvalidity == 0)
		lane_skip(lane, "the server does not say its UIDVALIDITY, so its messages cannot be "
				"told from those stored; left as it is, and so is what is stored");
	else if (!lane->source_changes.complete || !lane->rebinding) /* or it has just changed */
		skip_unread(lane);
}

/*
 * Some servers list a name that is no mailbox any more, because there are others below it, without saying
 * so (Dovecot with a Maildir). It is in the list, so it is not gone; but nothing can have moved there. Any
 * other refusal is no such word: then it may have mail that cannot be seen now.
 */
static int look_at_listed(struct lane *lane, struct err *err)
{
	bool exists = true;

	if (lane->skipped || lane->gone || !lane->source_changes.absent || lane->from->token.known)
		return 0;
	if (job_ask_source(lane->job, &lane->from->name, &exists, err) < 0)
		return err->kind == ERR_MAILBOX ? 0 : -1;
	if (exists)
		return 0;
	lane_line(lane)->gone = true;
	if (lane->to && (lane->to->stored > 0 || lane->to->pending > 0))
		lane_skip(lane, "the server lists it, but says that there is no such mailbox; what is "
				"stored of it stays (exclude it under 'mailboxes' to silence this)");
	else
		lane->skipped = true; /* a name and nothing more, on both sides */
	return 0;
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
		 lane_why_rebinding(lane), (unsigned long long)line->recognised, (unsigned long long)line->to_recognise,
		 !uidset_is_empty(&lane->plan.fetch) ? rest
		 : job_reads_store(lane->job)	     ? "none fetched"
						     : "none downloaded");
	free(rest);
}

/* What earlier runs found gone, and kept, goes as what this one finds gone. */
static void add_kept(struct lane *lane)
{
	struct uidset kept = UIDSET_INIT;

	if (!lane->to || !job_follows_kept(lane->job, lane->to))
		return;
	uidset_subtract(&kept, &lane->base.kept, &lane->base.held);
	uidset_union(&lane->plan.gone, &lane->plan.gone, &kept);
	uidset_release(&kept);
}

/* Kept here, and there still: not doubled, and not forgotten either. */
static void note_leaving(const struct lane *lane)
{
	uint64_t n = uidset_count(&lane->plan.leaving);

	if (n)
		job_note(lane->job, "%s: %llu message%s kept here and not removed from the account yet: mailcask "
				    "prune-server %s goes on with that",
			 lane_line(lane)->name, (unsigned long long)n, n == 1 ? " is" : "s are",
			 lane->job->set->name);
}

/* What an interrupted prune-server was about to remove from the mailbox: source UIDs. */
static void find_leaving(const struct lane *lane, struct uidset *out)
{
	const struct leaving *l = lane->rebinding || !lane->base.token.known
					  ? NULL
					  : leaving_find(&lane->job->record.leaving, lane_line(lane)->name,
							 lane->base.token.uidvalidity);

	if (l)
		uidlist_to_set(&l->source, out);
}

static void plan_lane(struct lane *lane)
{
	struct job_mailbox *line = lane_line(lane);
	struct uidset leaving = UIDSET_INIT;
	struct plan_input in = {
		.source = lane->source_unchanged ? NULL : &lane->source_changes,
		.base = &lane->base,
		.target = lane->target ? &lane->target_changes : NULL,
		.check_sizes = job_reads_store(lane->job),
		.now = lane->job->now,
		.leaving = &leaving,
	};

	find_leaving(lane, &leaving);
	plan_mailbox(&in, &lane->plan);
	uidset_release(&leaving);
	note_leaving(lane);
	job_keep_unseen(lane);
	add_kept(lane);
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
	if (job_choose_lanes(job, err) < 0)
		return -1;
	job_name_limited(job);
	if (open_lanes(job, err) < 0 || gather_flags(job, err) < 0 || compare_sources(job, err) < 0 ||
	    describe_sources(job, err) < 0 || compare_targets(job, NULL, err) < 0 ||
	    verify_flags(job, err) < 0)
		return -1;
	for (size_t i = 0; i < job->n; i++) {
		if (look_at_listed(&job->lanes[i], err) < 0)
			return -1;
		note_trouble(&job->lanes[i]);
	}
	if (job_recognise(job, err) < 0)
		return -1;
	for (size_t i = 0; i < job->n; i++)
		if (!job->lanes[i].skipped)
			plan_lane(&job->lanes[i]);
	return job_find_strangers(job, err);
}
