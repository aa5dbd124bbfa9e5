#ifndef CORE_SYNC_PRUNE_H
#define CORE_SYNC_PRUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/job.h"

/*
 * Freeing an account of what the store of its backup job provably holds. A message goes only when it is old enough,
 * is at the account what the store says of it (UID, UIDVALIDITY, size, date, flags), and its stored bytes were read and
 * found to be what was stored, in this run. Before the first one goes, all that will are kept in the store, durably, so
 * that no later backup takes them for deleted.
 *
 * It is no backup: nothing is fetched, no flag is changed, nothing goes from the store. What a backup would have to do
 * something about stays at the account.
 */
enum prune_stay {
	PRUNE_YOUNG,
	/* Of those that are old enough: */
	PRUNE_FLAGGED, /* \Flagged: somebody wants it at hand */
	PRUNE_DRAFT,   /* \Draft, or in the mailbox for them */
	PRUNE_DELETED, /* \Deleted, and not by us: it is for who did that to expunge it, and a backup follows */
	PRUNE_QUARANTINED,
	PRUNE_NOT_STORED,
	PRUNE_CHANGED, /* other flags than are stored, or it changed while this run was under way */
	PRUNE_UNLIKE,  /* the account says another size or date than is stored, or does not say */
	PRUNE_DAMAGED, /* what is stored is not what it should be, or nobody knows what it should be */
	PRUNE_NOT_REMOVED, /* it was to go, and is there still */
	PRUNE_STAYS,
};

/* What became of one mailbox, or with dry_run what would. */
struct prune_mailbox {
	char *name;   /* display text, not escaped */
	char *source; /* what the account calls it, where that is another name; else NULL */
	uint64_t messages; /* at the account */
	uint64_t removed, bytes; /* dry_run, or `held`: that may go */
	uint64_t stay[PRUNE_STAYS];
	bool held;     /* by the guard: none of it went */
	bool skipped;  /* left alone altogether */
	char *problem; /* why, or what went wrong, ready to print; NULL: nothing */
};

struct prune_report {
	struct prune_mailbox *v;
	size_t n, cap;
	struct prune_mailbox total; /* without texts; of those held nothing is in `removed` and `bytes` */
	uint64_t finished; /* messages that an interrupted run had kept, and that went before all others */
	struct job_report job; /* notes, guard, held, deletes_shown, incomplete; the rest is not used */
};

void prune_report_init(struct prune_report *r);
void prune_report_release(struct prune_report *r);

/*
 * Do it, for a job that backs an account up: messages of before `before` (Unix time). Of the settings count those that
 * say what the job is, `only`, max_delete, guard_exempt, dry_run and allow_deletes. Errors are those of job_run(); ERR_CONFIG
 * also where the server cannot remove single messages, ERR_HELD where a backup has to be run first.
 */
int prune_run(const struct job_settings *job, int64_t before, struct prune_report *report, struct err *err);

#endif
