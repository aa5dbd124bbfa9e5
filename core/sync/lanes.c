#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/sync/job_internal.h"
#include "core/sync/quarantine.h"

/* Which mailboxes are in work, and what is said of the others. */

bool job_flags_as_then(const struct job *job, const struct token *now, const struct token *then)
{
	return !job->flags_due && !job_reads_store(job) && now->highestmodseq == 0 &&
	       then->highestmodseq == 0;
}

bool job_verifies_flags(const struct job *job)
{
	return job->flags_due && job->record.flags_checked != 0 && !job_reads_store(job);
}

/* Whether the source proves that nothing in the mailbox changed since the last agreement. */
static bool source_unchanged(const struct job *job, const struct mailbox_info *from,
			     const struct mailbox_info *to)
{
	const struct token *now = &from->token, *then = &to->token;

	/* Without a mod-sequence, flags may have changed unseen; without UIDNEXT, messages. */
	return now->known && then->known && now->uidnext != 0 && !job_verifies_flags(job) &&
	       (now->highestmodseq != 0 || job_flags_as_then(job, now, then)) &&
	       now->highestmodseq == then->highestmodseq &&
	       now->uidvalidity == then->uidvalidity && now->uidnext == then->uidnext &&
	       now->messages == to->known && !mailboxid_differs(from->mailboxid, to->mailboxid);
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

/*
 * A subscription changes nothing that a token tells. In an account it is its user's, once the mailbox was
 * copied: transfer.c takes it along.
 */
static bool subscription_differs(const struct job *job, const struct lane *lane)
{
	return job->set->target->subscribe && !job_writes_account(job) &&
	       ((lane->from->attributes ^ lane->to->attributes) & MAILBOX_SUBSCRIBED) != 0;
}

/* It has messages that an earlier run's guard held back, and that may go now. */
static bool allows_held(const struct job *job, const struct mailbox_info *to)
{
	return job->set->allow_deletes_given && job->set->deletions == DELETIONS_MIRROR &&
	       to->held > 0;
}

bool job_must_leave(const struct job *job, const struct mailbox_info *to)
{
	return job_writes_account(job) &&
	       (mailbox_name_is_inbox(&to->name) ||
		(to->attributes & ~(unsigned)(MAILBOX_NOSELECT | MAILBOX_SUBSCRIBED)) != 0);
}

bool job_follows_kept(const struct job *job, const struct mailbox_info *to)
{
	return job_writes_account(job) && job->set->deletions == DELETIONS_MIRROR && !job->set->apply &&
	       to->kept > to->held;
}

/* The base does not know yet what the mailbox is known by. */
static bool tells_mailboxid(const struct lane *lane)
{
	return *lane->from->mailboxid && !*lane->to->mailboxid;
}

static bool needs_work(const struct job *job, const struct lane *lane)
{
	const struct mailbox_info *to = lane->to;

	return !lane->source_unchanged || to->touched || subscription_differs(job, lane) ||
	       tells_mailboxid(lane) || allows_held(job, to) || job_follows_kept(job, to);
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

/* Of the next lane, which is in work. */
static void begin_lane(struct job *job, struct lane *lane)
{
	lane->line = job_add_line(job, lane->from ? &lane->from->name : &lane->to->name);
	changes_init(&lane->source_changes);
	changes_init(&lane->target_changes);
	base_init(&lane->base);
	plan_init(&lane->plan);
	job->n++;
}

/* In an account there can be mailboxes below one that is not there. */
static bool is_only_a_name(const struct job *job, const struct mailbox_info *to)
{
	return job_writes_account(job) && (to->attributes & MAILBOX_NOSELECT) && !to->token.known;
}

static int choose_lane(struct job *job, struct mailbox_info *from, struct err *err)
{
	struct lane *lane = &job->lanes[job->n];

	*lane = (struct lane){
		.job = job,
		.from = from,
		.to = job_target_of(job, from),
	};
	if (lane->to && is_only_a_name(job, lane->to))
		lane->to = NULL;
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
	begin_lane(job, lane);
	return 0;
}

static void choose_gone(struct job *job, struct mailbox_info *to)
{
	struct lane *lane = &job->lanes[job->n];

	*lane = (struct lane){ .job = job, .to = to, .gone = true };
	begin_lane(job, lane);
	lane_line(lane)->gone = true;
}

static void leave_alone(struct job *job, const struct mailbox_info *to, const char *why)
{
	size_t at = job_add_line(job, &to->name); /* which moves report.v */
	struct job_mailbox *line = &job->report->v[at];

	line->skipped = true;
	line->problem = xstrdup(why);
	job->report->incomplete = true;
}

/*
 * A mailbox of the base that the source's list leaves out. It is gone if the list was complete and,
 * asked for by name, it does not exist either; else it is left alone.
 */
static int look_at_missing(struct job *job, struct mailbox_info *to, struct err *err)
{
	bool exists = false;

	if (!job->from.complete) {
		leave_alone(job, to, "the server did not list all mailboxes, and not this one; left as "
				     "it is");
		return 0;
	}
	if (job_ask_source(job, &to->name, &exists, err) < 0) {
		if (err->kind != ERR_MAILBOX)
			return -1;
		exists = true; /* no clear answer: not gone */
	}
	if (exists)
		leave_alone(job, to, "the server's list leaves it out, yet it exists; left as it is");
	else
		choose_gone(job, to);
	return 0;
}

/* Of a mailbox that went in an earlier run only what was kept is left: the base knows nothing of it. */
static bool went_before(const struct mailbox_info *to)
{
	return !to->token.known && to->stored == 0;
}

/* `named`: what is called so at the source. */
static int choose_missing(struct job *job, struct mailbox_info *to,
			  const struct mailbox_info *named, struct err *err)
{
	bool selectable = named && !(named->attributes & MAILBOX_NOSELECT);

	if (to->token.known && !selectable)
		return look_at_missing(job, to, err);
	/* Or its name is that of another mailbox now, which was told apart from it. */
	if (to->token.known ||
	    (went_before(to) && (allows_held(job, to) || job_follows_kept(job, to))))
		choose_gone(job, to);
	return 0;
}

/* Whether a pattern means a mailbox there is, at the source or from an earlier run. */
static bool selects_any(const struct job *job, const char *pattern)
{
	for (size_t i = 0; i < job->from.n; i++)
		if (job_matches(&pattern, 1, &job->from.v[i]))
			return true;
	for (size_t i = 0; i < job->to.n; i++)
		if (job->to.v[i].token.known && job_matches(&pattern, 1, &job->to.v[i]))
			return true;
	return false;
}

/*
 * A name with a slip in it must not pass for a mailbox with nothing to do: named for this run it is an
 * error; a plain name in the configuration leaves the run incomplete; a pattern that happens to match
 * nothing is told.
 */
int job_check_selected(struct job *job, struct err *err)
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

/*
 * What is stored under the name is another mailbox's mail, because `map` led there from elsewhere before:
 * neither may pass for the other.
 */
static bool is_anothers(struct job *job, const struct mailbox_info *from)
{
	const struct mailbox_info *to = mailbox_list_find(&job->to, &from->name);
	struct mailbox_name source = MAILBOX_NAME_INIT;
	char *here, *there, *why;

	if (!to || !to->token.known || mailbox_name_same_source(&from->name, &to->name))
		return false;
	mailbox_name_source(&source, &to->name);
	there = mailbox_name_text(&source);
	mailbox_name_source(&source, &from->name);
	here = mailbox_name_text(&source);
	why = xasprintf("it holds the mail of %s, and %s %s here; nothing was changed. Give %s "
			"a name under 'map' that is not taken",
			there, job->set->map.n ? "'map' now has" : "now the name leads", here, here);
	leave_alone(job, from, why);
	free(here);
	free(there);
	free(why);
	mailbox_name_release(&source);
	return true;
}

static int choose_lanes(struct job *job, struct err *err)
{
	job->lanes = xcalloc(job->from.n + job->to.n, sizeof(*job->lanes));
	for (size_t i = 0; i < job->from.n; i++)
		if (!(job->from.v[i].attributes & MAILBOX_NOSELECT) &&
		    job_in_scope(job, &job->from.v[i]) && !is_anothers(job, &job->from.v[i]) &&
		    choose_lane(job, &job->from.v[i], err) < 0)
			return -1;
	for (size_t i = 0; i < job->to.n; i++) {
		struct mailbox_info *to = &job->to.v[i];
		const struct mailbox_info *from = job_source_of(job, to);

		if (!job_in_scope(job, to))
			continue;
		if (!from || (from->attributes & MAILBOX_NOSELECT)) {
			if (choose_missing(job, to, mailbox_list_find(&job->from, &to->name),
					   err) < 0)
				return -1;
		} else if (to->token.known && !job_in_scope(job, from)) {
			leave_alone(job, to,
				    "'mailboxes' selected it by its special use, which the server "
				    "no longer gives it; select it by name to go on");
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
		bool selected = job_matches(set->mailboxes, set->n_mailboxes, to);
		char *name;

		if (!to->token.known || job_selects(job, to))
			continue;
		name = mailbox_name_text(&to->name);
		job_note(job, "%s is no longer %s: what is %s of it stays", name,
			 selected ? "what 'map' leads to" : "selected by 'mailboxes'",
			 job_writes_account(job) ? "there" : "stored");
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
			      "right: %s --allow-deletes=%llu",
			 (unsigned long long)n, job->set->again, (unsigned long long)n);
}

static bool scope_changed(const struct job *job)
{
	char *now = job_scope_text(job->set);
	bool changed = job->record.scope && strcmp(job->record.scope, now) != 0;

	free(now);
	return changed;
}

int job_choose_lanes(struct job *job, struct err *err)
{
	if (job_check_selected(job, err) < 0 || choose_lanes(job, err) < 0)
		return -1;
	if (scope_changed(job))
		name_left_out(job);
	name_held(job);
	return 0;
}
