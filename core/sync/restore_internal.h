#ifndef CORE_SYNC_RESTORE_INTERNAL_H
#define CORE_SYNC_RESTORE_INTERNAL_H

/*
 * Shared by restore.c (who and where), restore_account.c (that of an account), restore_compare.c (what is missing) and
 * restore_write.c.
 */

#include "core/sync/content_set.h"
#include "core/sync/restore.h"

/* A message that the target was given. */
struct given {
	uint32_t uid; /* in the source */
	uint64_t bytes;
};

/* Messages of the target that get the same flags. */
struct flag_reset {
	uint32_t from, to; /* ids in there.flags and have.flags: which were compared */
	struct flag_delta delta;
	struct uidset set; /* the target's UIDs */
};

/* One mailbox to be restored. */
struct restore_lane {
	struct restore *run;
	const struct mailbox_info *from; /* in run->from */
	const struct mailbox_info *to;   /* in run->to; NULL: the target does not have it */
	struct mailbox_name as;    /* what the target calls it */
	struct mailbox *source, *target;
	bool skipped;
	struct changes have;       /* what the source holds, until it was compared */
	struct changes there;      /* what the target holds; empty where nobody asks for it */
	/*
	 * An account: a source UID means the same message there. Only what is bound to one has one.
	 */
	bool same_uids;
	struct uidset chosen;      /* by settings.choose */
	struct flag_reset *change; /* flags that are to be other ones */
	size_t n_change, cap_change;
	struct uidset missing;     /* source UIDs to be added */
	uint64_t missing_bytes;
	struct uidset passed;      /* those the target took, or refuses later */
	struct message_sink sink;  /* the target's */
	struct uidset imported;    /* the target's UIDs of what was added and is to be kept */
	struct given *given;       /* what the target has not said yet what became of */
	size_t n_given, cap_given;
	uint64_t added, bytes, flags_changed; /* count in the report only once committed */
	size_t line;               /* index in report.v */
};

struct restore {
	const struct restore_settings *set;
	struct restore_report *report;
	struct run run;
	struct store_config source_config, target_config;
	struct store *source, *target; /* target NULL: a dry run, and there is none yet */
	struct mailbox_list from, to;
	char *index;         /* of an account */
	struct mailbox_list at_server; /* an account's mailboxes, as they are now */
	struct store_config look_config;
	struct store *look;  /* an account: opened once more, to read */
	struct restore_lane *lanes;
	size_t n;
	bool target_failed; /* nothing more is asked of it */
	bool committing; /* an import that may have become durable, whatever follows */
	/* Additions since the last commit. */
	uint64_t open_messages, open_bytes;
	int64_t committed_at;
	struct job_progress progress;
};

/* The report's line for a lane. */
struct restore_mailbox *restore_line(const struct restore_lane *lane);
/* Leave this mailbox alone and say why; or remember the first trouble of one that goes on. */
void restore_skip(struct restore_lane *lane, const char *why);
void restore_problem(struct restore_lane *lane, const char *why);
/* A message that cannot be had or stored. */
void restore_failed(struct restore_lane *lane, uint32_t uid, const char *why);
void restore_tell(struct restore *r, enum job_phase phase);

void restore_note(struct restore *r, const char *text);
/* Whether messages of this source are wanted: a mailbox of it, one of its messages. */
bool restore_wants(const struct restore_lane *lane, uint32_t uid);

/* Nothing of it is wanted, not even that it exists. */
static inline bool restore_leaves_out(const struct restore_lane *lane)
{
	return lane->run->set->choose && uidset_is_empty(&lane->chosen);
}

static inline bool restore_is_to_account(const struct restore *r)
{
	return r->set->target_config.path == NULL;
}

/* The target is a store that backups fill. */
static inline bool restore_is_import(const struct restore *r)
{
	return r->set->import_from != NULL;
}

/* restore_account.c: fill in what is to be opened, and look whether it may be. */
int restore_check_account(struct restore *r, struct err *err);
/* restore_account.c: what the target calls each lane's mailbox. */
int restore_name_lanes(struct restore *r, struct err *err);
/* restore_account.c: what an account really holds of each lane. */
int restore_look(struct restore *r, struct err *err);
/* Which account an error is about, where the target is one. Returns -1. */
int restore_target_failed(const struct restore *r, struct err *err);
/*
 * restore_account.c: of what is there, what may be one of the messages whose sizes these are (n, in any order; 0: any size),
 * but for those in `but`.
 */
int restore_candidates(struct restore_lane *lane, uint32_t *sizes, size_t n, const struct uidset *but,
		       struct uidset *out, struct err *err);

/*
 * What the source holds of each lane; ERR_MISSING when set->uids are not there. -1 only for what
 * ends the run, as in the next one.
 */
int restore_list_sources(struct restore *r, struct err *err);
/*
 * Open the mailboxes that are there already: what an earlier run's lost line left undecided is settled by
 * that, and only then is it time to ask what is there.
 */
int restore_open_targets(struct restore *r, struct err *err);
/* Open the lane's mailbox; it is made if it is not there. */
int restore_open_target(struct restore_lane *lane, struct err *err);
/* What the target lacks of it. */
int restore_compare(struct restore *r, struct err *err);
/* Add that. What the report counts is durable. */
int restore_add(struct restore *r, struct err *err);

#endif
