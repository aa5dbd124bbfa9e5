#ifndef CORE_SYNC_JOB_INTERNAL_H
#define CORE_SYNC_JOB_INTERNAL_H

/*
 * Shared by job.c (who and where), lanes.c (which mailboxes), compare.c (what differs), adopting.c (what
 * is there already), transfer.c (additions), remove.c (deletions) and finish.c (flags and the new agreement).
 */

#include "core/sync/job.h"
#include "core/sync/naming.h"
#include "core/sync/plan.h"
#include "core/sync/record.h"

struct pairing; /* adopting.c */

/* One mailbox in work. Unchanged ones have none. */
struct lane {
	struct job *job;
	struct mailbox_info *from; /* in job.from; NULL: `gone` */
	struct mailbox_info *to;   /* in job.to; NULL: the target does not have it yet */
	struct mailbox *source, *target;
	bool source_unchanged; /* only the target side needs mending */
	bool gone;             /* proven to exist no more at the source: all that is stored of it is gone */
	uint32_t uidvalidity_then; /* the base's, as it was found */
	/*
	 * The source's UIDs may not mean what they did, and both sides are described: see recognise.c.
	 * Then what is stored is bound anew: the message bound to from[i] to to[i], others to nothing.
	 */
	bool rebinding;
	uint32_t *bind_from, *bind_to;
	size_t n_bind;
	bool skipped;          /* trouble: left alone altogether */
	bool incomplete;       /* not everything that exists has been stored or quarantined */
	bool partial;          /* settings.apply leaves out some of what there is to do */
	struct changes source_changes, target_changes;
	struct flagged flagged; /* what the base says, as in changes_request; only while they are compared */
	bool target_compared;
	struct base base;
	struct plan plan;
	struct pairing *pairing; /* what of plan.fetch lies at the target already; NULL: not known of any */
	struct message_sink sink;  /* the target's */
	/* Source UIDs: handed to the target in this run, and taken by it. */
	struct uidset passed, stored;
	/*
	 * identity_join.c. Source UIDs: those that the source described, those that need no fetching (made
	 * from what is held, or to be made), and what is left to fetch of plan.fetch.
	 */
	struct uidset told, spared, ask;
	struct uidset unknown; /* source UIDs asked for that the source says it does not have */
	struct quarantined *failed; /* this run's refusals, one per UID, in order of arrival */
	size_t n_failed, cap_failed;
	struct uidset failed_uids;
	uint64_t kept_removed; /* messages that earlier runs kept, or their guard held back, and that went */
	uint64_t copied; /* of the two next: made from what the store held, without their bytes */
	uint64_t new_messages, adopted, bytes; /* counts in the report only once committed */
	size_t line;               /* index in report.v */
};

/* A mailbox that is called otherwise at the source than in the target. */
struct followed {
	struct mailbox_info *from, *to;
};

struct job {
	const struct job_settings *set;
	struct job_report *report;
	struct run run;
	struct store_config source_config, target_config;
	struct store *source, *target; /* target NULL: a dry run, and there is none yet */
	struct mailbox_list from, to;
	struct naming names; /* an account as target: its names, besides those by settings.map */
	struct record record;
	char *fingerprint;  /* of a source that is a store */
	char *source_index; /* see store_config.index */
	uint64_t source_generation;
	/* Dry run: what a run would rename. (It would list the target again then, and have none.) */
	struct followed *followed;
	size_t n_followed;
	struct lane *lanes;
	size_t n;
	struct join *join; /* identity_join.c; NULL: nothing is joined */
	char *account_then; /* whose mail the store held before it was opened; NULL: nobody's */
	bool flags_due;     /* flags are compared, or counted, whatever mod-sequences say */
	int64_t now;        /* Unix time when it began */
	bool resting;       /* something is in quarantine in a mailbox not in work, to be tried later */
	bool waiting;       /* deletions were put off: what is gone at the source is there yet */
	bool no_deletions;  /* the store came back from elsewhere: first look, delete next time */
	bool trouble;       /* mailboxes were skipped, or the like; not only messages in quarantine */
	bool target_failed; /* the target itself is in trouble: nothing more is asked of it */
	/* Additions since the last commit. */
	uint64_t open_messages, open_bytes;
	int64_t committed_at; /* clock_ms() */
	struct job_progress progress;
	int lock; /* of JOB.lock; negative: not taken */
};

/*
 * job.c: the two halves of opening, with identities judged in between: the first locks the job and looks at what it
 * knows; in the second both sides are opened and listed. job_end() in any case.
 */
void job_init(struct job *job, const struct job_settings *set, struct job_report *report);
int job_begin(struct job *job, struct err *err);
int job_open_stores(struct job *job, struct err *err);
void job_end(struct job *job);
void job_judge_failure(int failed, struct err *err);

/* The report's line for a lane. Borrowed until the next line is added. */
struct job_mailbox *lane_line(const struct lane *lane);
/* What the source calls the mailbox, where that is another name; else NULL. Owned by the caller. */
char *job_source_text(const struct mailbox_name *name);
/* A new line for this name; returns its index. */
size_t job_add_line(struct job *job, const struct mailbox_name *name);
/* Leave this mailbox alone and say why; the text is copied. */
void lane_skip(struct lane *lane, const char *why);
/* Remember the first problem of a mailbox that goes on all the same. */
void lane_problem(struct lane *lane, const char *why);
void job_note(struct job *job, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void job_tell(struct job *job, enum job_phase phase);
/* The source is a local store, not an account. */
static inline bool job_reads_store(const struct job *job)
{
	return job->set->source_config.path != NULL;
}

/*
 * The target is an account, whose user may change what is in it: what is there of others is taken over and
 * never removed, and what was changed there stays.
 */
static inline bool job_writes_account(const struct job *job)
{
	return job->set->target_config.path == NULL;
}

/* Of the target, for messages: where it lies, or where the ledger of an account does. */
static inline const char *job_target_path(const struct job *job)
{
	return job_writes_account(job) ? job->set->target_config.index : job->set->target_config.path;
}

/* compare.c: what the source did to a mailbox that is `rebinding`, as part of a sentence. */
const char *lane_why_rebinding(const struct lane *lane);

/*
 * compare.c: whether what a mailbox's UIDs meant `then`, at the last agreement, is not what they mean `now`: at
 * the source it is `from`, here `to` (either may be NULL).
 */
bool job_uids_moved(const struct mailbox_info *from, const struct mailbox_info *to, const struct token *then,
		    const struct token *now);
/* lanes.c: ERR_MISSING when a pattern of settings.only means no mailbox. */
int job_check_selected(struct job *job, struct err *err);
/* remove.c: by guard_exempt. `info` may be of either side. */
bool job_exempt_from_guard(const struct job *job, const struct mailbox_info *info);

/* Whether `now` says of a mailbox that something came in since `then`. */
bool token_has_grown(const struct token *then, const struct token *now);
/* Whether patterns, which mean the source's names, select it. `info` may be of either side. */
bool job_matches(const char *const *patterns, size_t n, const struct mailbox_info *info);
/* Whether the job is about it: `mailboxes` selects it, and `map` leads to the name it has here. */
bool job_selects(const struct job *job, const struct mailbox_info *info);
/* And this run is. */
bool job_in_scope(const struct job *job, const struct mailbox_info *info);

/* job_identity.c: what a source that is a store is called, and how it is to be opened; it must be there. */
int job_look_at_source(struct job *job, struct err *err);
/* Before anything is opened or made: is the target the one this job knows, and how is it to be opened? */
int job_check_identity(struct job *job, struct err *err);
/* Once both sides are open and listed: is the target still that one, and does it hold this source's mail? */
int job_check_account(struct job *job, struct err *err);
/* Before mail goes into a new store: write down which one it is. */
int job_remember_store(struct job *job, struct err *err);
/* Take over into job.record what the target says of itself now. */
int job_note_identity(struct job *job, struct err *err);

/*
 * follow.c: rename here what was renamed at the source. Afterwards names say which mailbox is which,
 * but for a dry run: so ask the two below.
 */
int job_follow_renames(struct job *job, struct err *err);
/* follow.c: the target's mailbox for one of the source's, or NULL; and the other way round. */
struct mailbox_info *job_target_of(const struct job *job, const struct mailbox_info *from);
struct mailbox_info *job_source_of(const struct job *job, const struct mailbox_info *to);
/* lanes.c: without mod-sequences, flags count as they were until it is time to look at them again. */
bool job_flags_as_then(const struct job *job, const struct token *now, const struct token *then);
/* lanes.c: it is time not to believe mod-sequences. A store that is read has no reason to be wrong. */
bool job_verifies_flags(const struct job *job);
/* lanes.c: of an account, a mailbox that its server has a use for: it is neither renamed nor removed. */
bool job_must_leave(const struct job *job, const struct mailbox_info *to);
/*
 * lanes.c: deletions are followed, and so are those of earlier runs, in which what was gone at the source
 * stayed in the account. Not those that the guard holds back.
 */
bool job_follows_kept(const struct job *job, const struct mailbox_info *to);
/* lanes.c: choose the mailboxes in work, and name what is said of the others. */
int job_choose_lanes(struct job *job, struct err *err);

/*
 * job_names.c: every mailbox of the source, under the name that the target has for it. ERR_CONFIG when two of
 * them would have the same.
 */
int job_list_source(struct job *job, const char *hint, struct mailbox_list *out, struct err *err);
/* Once both sides are listed, the source by its own names: choose job.names. */
void job_choose_names(struct job *job);
/* Of a list with the source's own names make one with those of the target. Errors as job_list_source(). */
int job_apply_names(struct job *job, struct mailbox_list *list, struct err *err);
/* Whether the mailbox that `name` is the source's for has that name at the target now. */
bool job_leads_to(const struct job *job, const struct mailbox_name *name);
/* store_exists() and mailbox_open() of the source. */
int job_ask_source(struct job *job, const struct mailbox_name *name, bool *exists, struct err *err);
int job_open_source(struct job *job, const struct mailbox_info *info, struct mailbox **out,
		    struct err *err);
/* Patterns and rules as one text, to notice when they change. Owned by the caller. */
char *job_scope_text(const struct job_settings *set);

/* compare.c: choose the lanes, compare both sides, plan. */
int job_compare(struct job *job, struct err *err);
/* limited.c: name the mailboxes of which the source may show only a part. */
void job_name_limited(struct job *job);
/* limited.c: what such a mailbox does not show is not gone: takes that out of the lane's plan. */
void job_keep_unseen(struct lane *lane);
/*
 * recognise.c: in the lanes that are rebinding, say in target_changes and base what the UIDs mean
 * now. Nothing is written: that is up to job_transfer().
 */
int job_recognise(struct job *job, struct err *err);
/*
 * adopting.c: whether what others put into the target is looked for in this mailbox. Then the source has to
 * tell which messages there are, and their sizes.
 */
bool job_may_adopt(const struct lane *lane);
/*
 * adopting.c: which messages of the plans lie at the target already, put there by others. Nothing is changed.
 */
int job_find_strangers(struct job *job, struct err *err);
/*
 * adopting.c: take these over, and out of plan.fetch; `report` is told as append()'s is. One that is not what
 * it was stays to be fetched.
 */
int job_take_strangers(struct lane *lane, outcome_fn *report, struct err *err);
void pairing_free(struct pairing *p); /* NULL is allowed */
/*
 * transfer.c: store everything new; durable, unless the store takes additions and deletions
 * together in job_snapshot(). -1: the job cannot go on; what the report counts is durable.
 */
int job_transfer(struct job *job, struct err *err);
/*
 * transfer.c: the target took a message of the lane, or refused it. Of one that did not pass through its sink, count
 * what came in, of so many bytes, and commit when that is due.
 */
void job_stored(struct lane *lane, uint32_t uid, enum outcome what, uint32_t new_uid,
		const struct err *why);
int job_count_in(struct lane *lane, uint64_t bytes, struct err *err);
/* transfer.c: as job_transfer() does on trouble of the target with a message. -1 */
int job_target_trouble(struct lane *lane, struct err *err);
/*
 * identity_join.c: before bodies are fetched. Where it can pay, ask the source which messages of the
 * wants (their tags are lanes) are the same, make those that the store holds, and leave in the
 * wants what is to be fetched. In a dry run nothing is made, but counted, and lanes' lines say so.
 */
int job_join(struct job *job, struct want *want, size_t n, struct err *err);
/* The target took `uid` of the lane. */
void job_joined(struct lane *lane, uint32_t uid, uint32_t new_uid);
/*
 * After the fetch: make the others of what came. What could not be made is in the sets of the same wants,
 * all others of which are empty.
 */
int job_join_rest(struct job *job, struct want *want, size_t n, struct err *err);
void job_join_free(struct job *job);
/* transfer.c: commit, and count what is durable now. */
int job_commit(struct job *job, struct err *err);
/* accounting.c: note it when what is to be copied, as far as sizes are known, does not fit the target. */
void job_compare_room(struct job *job);
/* accounting.c: an account as target: what became of every message. `failed`: the run did not come to its end. */
void job_count(struct job *job, bool failed);
/* transfer.c: dry run: what of it would not be fetched. */
int job_preview_transfer(struct job *job, struct err *err);
/* The same at the end of a run that came to its end. */
int job_snapshot(struct job *job, struct err *err);
/* Something failed before anything was removed: commit what is not durable yet, if possible. */
void job_keep_what_came(struct job *job);
/*
 * remove.c: what is gone at the source, if the guard lets it. Only after all additions are
 * durable. *waiting: none of it was removed, the base has to go on knowing it.
 */
int job_remove_gone(struct job *job, bool *waiting, struct err *err);
/* remove.c: what job_remove_gone() would do, for a dry run. */
int job_preview(struct job *job, struct err *err);
/* job_plan.c: dry run: the lane's plan into the report, and into settings.plan_out. */
void job_tell_lane(struct lane *lane);
/* job_plan.c: with settings.apply: make the lane's plan what that says of it. */
void job_hold_to_plan(struct lane *lane);
/* job_plan.c: whether settings.apply is for this account and store. */
int job_check_plan(const struct job *job, struct err *err);
/* job_plan.c: after a dry run: what the plan is for, and how long it would take. */
void job_tell_plan(struct job *job, int64_t now);
/* job_plan.c: notes on what settings.apply did not name. */
void job_name_left_out(struct job *job);
/* finish.c: what is in quarantine into the line, which has nothing of it yet. */
void job_report_quarantine(struct job_mailbox *line, const struct base *now);
/* finish.c: flags, deletions, new bases, in one commit. */
int job_finish(struct job *job, struct err *err);

#endif
