#ifndef CORE_SYNC_PRUNE_PRIVATE_H
#define CORE_SYNC_PRUNE_PRIVATE_H

#include "core/sync/job_internal.h"
#include "core/sync/prune.h"

/* Shared by prune.c (the run), prune_choose.c (what may go), prune_verify.c (whether it is stored as
 * it should be) and prune_resume.c (what an interrupted run had begun). */

/* A message that may go. */
struct candidate {
	uint32_t uid, stored_uid; /* at the account, and here */
	uint32_t flags;           /* id in pruned.flags */
	uint32_t size;
};

/* One mailbox. */
struct pruned {
	struct prune *run;
	struct mailbox_info *from, *to;
	struct mailbox *source, *target;
	struct base base;
	struct flag_table *flags; /* owned */
	struct candidate *v;      /* ascending by uid */
	size_t n, cap;
	bool skipped;
	size_t line; /* in report.v */
};

struct prune {
	struct job job;
	struct prune_report *report;
	int64_t before;
	struct pruned *v;
	size_t n;
};

struct prune_mailbox *pruned_line(const struct pruned *m);
/* Leave it alone and say why; the text is copied. */
void pruned_skip(struct pruned *m, const char *why);
/* Those of the candidates for which `keep` is true stay candidates. */
void pruned_filter(struct pruned *m, bool (*keep)(void *ctx, const struct candidate *c), void *ctx);
/* The UIDs of all candidates; either may be NULL. */
void pruned_uids(const struct pruned *m, struct uidset *source, struct uidset *stored);
/* By its UID at the account; NULL: it is none. */
const struct candidate *pruned_find(const struct pruned *m, uint32_t uid);

/* prune_choose.c: fill p->v: every mailbox of the run, compared, with its candidates. */
int prune_choose(struct prune *p, struct err *err);
/* prune_choose.c: let the guard judge. What it holds back is `held` in its line, and has no candidates any more. */
int prune_guard(struct prune *p, struct err *err);

/* One message to be read in a store. */
struct proof {
	uint32_t uid; /* there */
	uint32_t size; /* as in struct entry */
	bool good; /* out: its bytes are what was stored */
};
/*
 * prune_verify.c: read n messages of a mailbox; afterwards they are sorted by uid. Those that are no good are named in notes, under the
 * name `name`. ERR_MAILBOX: they could not be read.
 */
int prune_verify(struct prune *p, struct mailbox *mb, const char *name, struct proof *v, size_t n,
		 struct err *err);
/* All candidates; those that are no good are none any more. */
int prune_verify_candidates(struct prune *p, struct err *err);

/*
 * prune.c: these UIDs of the account are no part of the base any more: what is there all the same is new to the next
 * backup.
 */
int prune_forget_uids(struct mailbox *target, struct base *base, const struct uidset *uids, struct err *err);
/* prune.c: write the job's record, with the store as it is now. */
int prune_save(struct prune *p, struct err *err);

/* prune_resume.c: go on with what an interrupted run was about. */
int prune_resume(struct prune *p, struct err *err);

#endif
