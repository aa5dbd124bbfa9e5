#ifndef CORE_SYNC_GUARD_H
#define CORE_SYNC_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The guard against mass deletion: one pure function used by every kind of job. It runs after
 * the additions are stored. What counts are messages whose content would be live nowhere in the
 * target; a moved message does not.
 */

/* It trips above both: more than `count` messages and more than `percent` of those live before. */
struct guard_limits {
	uint64_t count;
	unsigned percent; /* 0 to 100 */
};

#define GUARD_LIMITS_DEFAULT { .count = 20, .percent = 10 }

struct guard_mailbox {
	/* In. */
	uint64_t before;  /* live messages before this run */
	uint64_t removed; /* of these, how many the plan removes */
	uint64_t lost;    /* of the removed, how many would be live nowhere in the target */
	bool exempt;      /* by guard_exempt: does not count */
	/* Out: its deletions are held back. */
	bool held;
};

struct guard_verdict {
	bool tripped;
	bool whole_job;   /* the sum tripped, or all would end empty: every mailbox is held */
	uint64_t lost;    /* what counted, over all mailboxes not exempt */
	uint64_t before;
	uint64_t held;    /* removals held back, over all mailboxes: the N to show for --allow-deletes=N */
};

/*
 * Judge the removals of one job. `source_lists_none`: the source answered completely, but without
 * a single mailbox; that always trips, as does every non-empty, non-exempt mailbox ending empty.
 */
void guard_judge(struct guard_mailbox *v, size_t n, const struct guard_limits *limits,
		 bool source_lists_none, struct guard_verdict *out);

#endif
