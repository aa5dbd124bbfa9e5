#ifndef CORE_SYNC_JOB_H
#define CORE_SYNC_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/guard.h"
#include "core/sync/name_map.h"
#include "core/sync/plan_file.h"
#include "core/sync/store.h"

/*
 * One run of one configured job, from opening both stores to the last commit: identity and
 * locks, listing, comparing, planning, additions, guard, deletions, record. All that can go wrong
 * with one mailbox is in the report; job_run() fails only when the job as a whole could not go on.
 */
enum job_deletions {
	DELETIONS_MIRROR, /* what is gone at the source goes from the live target mailbox */
	DELETIONS_KEEP,   /* it becomes a kept message */
};

enum job_phase {
	JOB_CONNECT, JOB_LIST, JOB_COMPARE, JOB_TRANSFER, JOB_FINISH,
	JOB_RESTORE,
	JOB_VERIFY, JOB_PRUNE, /* prune-server: reading what is stored, and removing at the account */
};

struct job_progress {
	enum job_phase phase;
	uint64_t messages, messages_total; /* total 0: not known yet; may grow */
	uint64_t bytes;
	const char *mailbox; /* display text of the one in work, or NULL; not escaped */
};

struct job_settings {
	const char *name; /* section name */
	const char *again; /* the command that runs it once more as it runs now: "mailcask backup NAME" */
	const struct store_ops *source, *target;
	/*
	 * A target without a path is an account, with target_config.index for its ledger; `adopt` and `rebind` mean
	 * nothing then: what is there is always taken over, and never removed but as a copy.
	 *
	 * source_config.account is the account's fingerprint, "user@host". With source_config.path
	 * the source is a local store: job_run() makes the fingerprint of its identity, or of its
	 * path when it is not ours, and sets what is for sources. job_run() sets the run of both,
	 * and the target's account, create, adopt, rebind and older.
	 */
	struct store_config source_config, target_config;
	const char *state_dir;         /* $XDG_STATE_HOME/mailcask; made when missing */
	/* Patterns on the source's names, `!` excludes, `\Sent` means special use; n 0: all. */
	const char *const *mailboxes;
	size_t n_mailboxes;
	struct name_map map;           /* what the target calls the source's mailboxes */
	const char *const *only;       /* further restriction for this run (--mailbox); n 0: none */
	size_t n_only;
	enum job_deletions deletions;
	struct guard_limits max_delete;
	/*
	 * Seconds after which flags are compared again where the source has no mod-sequence to tell
	 * that some changed. 0: in every run.
	 */
	int64_t flag_check;
	const char *const *guard_exempt; /* patterns as above; NULL: \Trash \Junk */
	size_t n_guard_exempt;
	bool dry_run;                  /* plan, change nothing on either side, not even the state */
	struct plan_file *plan_out;    /* with dry_run: filled with the plan; may be NULL */
	/*
	 * Do what this plan says, where things still are as they were, and nothing else; except that
	 * all new messages are stored when it removes any, as one removed may be among them. May be NULL.
	 */
	const struct plan_file *apply;
	bool allow_deletes_given;
	uint64_t allow_deletes;        /* let at most so many guarded deletions through */
	bool adopt, rebind;
	const volatile int *stop;      /* as struct run; may be NULL */
	void (*progress)(void *ctx, const struct job_progress *p); /* often; may be NULL */
	void *progress_ctx;
};

/* What became of one mailbox, or with dry_run what would. */
struct job_mailbox {
	char *name; /* display text, not escaped */
	char *source; /* what the source calls it, where `map` gave it another name; else NULL */
	bool created;
	/*
	 * The source's UIDs do not mean what they did, and this mailbox's messages were recognised by
	 * what they are: so many, of those that were bound to the old ones.
	 */
	bool rebound;
	uint64_t recognised, to_recognise;
	uint64_t new_messages, adopted, flags_changed, removed, kept, held;
	/*
	 * Of the new and adopted ones: so many are messages that the store holds under another name, by the
	 * source's word and the same size, and were made from that. `bytes` is without them.
	 */
	uint64_t copied;
	uint64_t waiting;   /* deletions put off to the next run, because an addition failed */
	uint64_t quarantined; /* not accepted, in all */
	uint64_t accepted;    /* in quarantine, and accepted; told of mailboxes looked at only */
	uint64_t foreign;   /* files we did not write and left alone */
	uint64_t bytes;     /* plan: of the messages to fetch, as far as the source tells sizes */
	char *problem;      /* why it was skipped or is incomplete, ready to print; NULL: none */
	bool skipped;       /* nothing of it was done */
	bool gone;          /* it no longer exists at the source */
	struct quarantined *quarantine; /* those not accepted, n `quarantined` */
};

/* A mailbox that was renamed at the source, and so here, or with dry_run would be. */
struct job_rename {
	char *from, *to; /* display text, not escaped */
};

/*
 * What became of all messages of a mailbox, over all runs, or of all mailboxes:
 * source + gone = copied + adopted + quarantined + missing.
 */
struct job_count {
	char *name;   /* as in struct job_mailbox; NULL in the sum */
	char *source; /* what the source calls it, where that is another name; else NULL */
	uint64_t messages;    /* at the source */
	uint64_t copied;      /* at the target, by this run or an earlier one */
	uint64_t adopted;     /* which it held already */
	uint64_t quarantined; /* could not be copied; accepted ones, too */
	uint64_t gone;        /* not at the source any more; of the copied and adopted ones */
	int64_t missing;      /* not 0: it does not add up */
	uint64_t copied_now, adopted_now; /* of these, in this run */
};

struct job_report {
	struct job_mailbox *v;
	size_t n, cap;
	struct job_rename *renames;
	size_t n_renames, cap_renames;
	char **notes; /* for the user, one sentence each, ready to print */
	size_t n_notes, cap_notes;
	struct guard_verdict guard; /* what the guard counted */
	bool held;      /* deletions were held back: exit 4 */
	bool incomplete; /* skipped mailboxes or unaccepted quarantine: exit 3 */
	uint64_t deletes_shown; /* the N that --allow-deletes=N must be at least */
	uint64_t mailboxes_unchanged; /* besides those in `v`, which were looked at */
	uint64_t new_messages, adopted, flags_changed, removed, kept, held_messages, bytes;
	uint64_t copied;
	/* An account as target: every mailbox of the run, and their sum. Not of a dry run, nor with `apply`. */
	struct job_count *counts;
	size_t n_counts;
	struct job_count total;
	int64_t estimate; /* plan only: seconds it would take, by earlier runs; 0: not known */
};

void job_report_init(struct job_report *r);
void job_report_release(struct job_report *r);

/*
 * Run it. On -1 the report still says what was done, and all that it counts as stored is durable.
 * Kinds: ERR_AUTH, ERR_RETRY, ERR_LOCKED, ERR_MISSING (`only` names no mailbox), ERR_HELD (not the
 * expected store: nothing was touched), ERR_CONFIG, ERR_STOPPED, ERR_FATAL.
 */
int job_run(const struct job_settings *job, struct job_report *report, struct err *err);

#endif
