#ifndef BACKENDS_GIT_PRUNE_H
#define BACKENDS_GIT_PRUNE_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/git/repo.h"

struct pack_table;

/* Loose objects that were written so many seconds ago stay: git writes them before a ref names them. */
#define PRUNE_YOUNG 3600

/*
 * Removing what nobody reaches: packs with something of it in them are written anew without, ours and git's
 * own; loose objects are unlinked. The packs of which least is wanted come first, and no more is written at a
 * time than was freed before (but one pack at least), so that it works on a disk that is nearly full.
 */
struct pruning {
	bool dry_run; /* only count */
	const volatile int *stop; /* not 0: end with ERR_STOPPED between two packs; NULL: never */
	uint64_t objects, bytes; /* unreachable: how many, and how much they take on the disk */
	uint64_t young; /* loose objects that stay for now; not among `objects` */
	uint64_t left; /* packs that stay as they are: damaged, of a partial clone, or with a .keep that is not ours */
};

/*
 * Under the repository's lock, with nothing being written; `live` is all that is reachable from any
 * ref. What is wanted of an old pack is durable elsewhere before it goes, so a crash leaves objects
 * twice, no less; the next call goes on.
 */
int repo_prune(struct repo *r, const struct pack_table *live, struct pruning *p, struct err *err);

#endif
