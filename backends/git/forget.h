#ifndef BACKENDS_GIT_FORGET_H
#define BACKENDS_GIT_FORGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/retention.h"
#include "core/sync/store.h"

struct snapshot;

/*
 * Forgetting snapshots
 *
 *	0 messages that were kept long enough (not those that the guard holds), as a change of its own
 *	1 which stay (retention.h), and what they and other refs reach
 *	2 the commits of those that stay, written again without the others: same tree, time and text
 *	3 main is moved to the last of them; then wip, which an interrupted run left, after it
 *	4 what nobody reaches goes (prune.h); small packs are merged
 *
 * A crash before main moves leaves the old history, after it the new one; what is not needed any more
 * may be left then, and goes the next time. Between the two moves wip has a parent that is main's tip
 * under its old id, which repo_find_tips() takes for what it is.
 */
struct forgetting {
	const struct retention *keep;
	int64_t kept_before; /* kept messages that were kept before this moment go, too; 0: none */
	bool dry_run; /* no lock, and nothing is changed */
	/* Of each snapshot, newest first, before anything is done: why it stays (enum retain), 0: it does not. */
	int (*tell)(void *ctx, const struct snapshot *s, unsigned reasons, struct err *err);
	void *ctx;
	/* What came of it, or would. */
	uint64_t kept, dropped;
	uint64_t messages; /* kept ones that went */
	bool one_more; /* dry_run: that would make a snapshot, which is counted in `kept` and not told */
	uint64_t objects, bytes; /* that nobody needs any more */
	uint64_t packs_before, packs_after, bytes_before, bytes_after; /* of all packs; dry_run: not after */
	char *holder; /* a ref of somebody else's that still needs some of it; NULL: none; the caller frees it */
};

/* ERR_MISSING: no archive, or no snapshots yet. ERR_LOCKED: a run holds it. */
int gitstore_forget(const struct store_config *cfg, struct forgetting *f, struct err *err);

#endif
