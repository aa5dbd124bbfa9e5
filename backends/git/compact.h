#ifndef BACKENDS_GIT_COMPACT_H
#define BACKENDS_GIT_COMPACT_H

#include "backends/git/repo.h"
#include "core/sync/compact.h"
#include "core/sync/store.h"

struct pack_table;

/*
 * Every run that changed something leaves a pack. Small ones of ours are merged by copying their
 * entries as they are; git's own packs are left alone. Nothing is dropped but damaged copies of what
 * is there undamaged: what no snapshot needs stays until prune.h (README.md says why).
 *
 * The new pack is durable before the first old one goes, so a crash leaves objects twice, no less.
 */
#define COMPACT_SMALL ((uint64_t)32 << 20) /* the size of a .pack */
#define COMPACT_MOST 16                    /* so many small ones may be there after a run */

/* Under the repository's lock, with nothing being written. `least`: only if there are so many small packs. */
int repo_compact(struct repo *r, size_t least, struct compaction *c, struct err *err);
/*
 * These packs by one of their objects that are `wanted` (NULL: all), or none; that is durable, and each
 * of the objects was found in it, before the first of them goes.
 */
int repo_replace_packs(struct repo *r, const char *const *names, size_t n,
		       const struct pack_table *wanted, uint64_t *dropped, struct err *err);
int gitstore_compact(const struct store_config *cfg, struct compaction *c, struct err *err);

#endif
