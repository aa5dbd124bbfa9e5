#ifndef CORE_SYNC_RESTORE_INTERNAL_H
#define CORE_SYNC_RESTORE_INTERNAL_H

/* Shared by restore.c (who and where), restore_compare.c (what is missing) and restore_write.c. */

#include "core/sync/content_set.h"
#include "core/sync/restore.h"

/* A message that the target was given. */
struct given {
	uint32_t uid; /* in the source */
	uint64_t bytes;
};

/* One mailbox to be restored. */
struct restore_lane {
	struct restore *run;
	const struct mailbox_info *from; /* in run->from */
	const struct mailbox_info *to;   /* in run->to; NULL: the target does not have it */
	struct mailbox *source, *target;
	bool skipped;
	struct changes have;       /* what the source holds, until it was compared */
	struct uidset missing;     /* source UIDs to be added */
	uint64_t missing_bytes;
	struct uidset passed;      /* those the target took, or refuses later */
	struct message_sink sink;  /* the target's */
	struct given *given;       /* what the target has not said yet what became of */
	size_t n_given, cap_given;
	uint64_t added, bytes;     /* count in the report only once committed */
	size_t line;               /* index in report.v */
};

struct restore {
	const struct restore_settings *set;
	struct restore_report *report;
	struct run run;
	struct store_config source_config, target_config;
	struct store *source, *target; /* target NULL: a dry run, and there is none yet */
	struct mailbox_list from, to;
	struct restore_lane *lanes;
	size_t n;
	bool target_failed; /* nothing more is asked of it */
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

/*
 * What the source holds of each lane; ERR_MISSING when set->uids are not there. -1 only for what
 * ends the run, as in the next one.
 */
int restore_list_sources(struct restore *r, struct err *err);
/* What the target lacks of it. */
int restore_compare(struct restore *r, struct err *err);
/* Add that. What the report counts is durable. */
int restore_add(struct restore *r, struct err *err);

#endif
