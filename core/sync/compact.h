#ifndef CORE_SYNC_COMPACT_H
#define CORE_SYNC_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct store_config;
struct store_ops;

/* Putting the many small files of a store together into few large ones. What it holds stays the same. */
struct compaction {
	bool dry_run; /* only say what would be done */
	bool mend;    /* read everything, and drop damaged copies of what is there undamaged, too */
	/* What came of it, or would. */
	uint64_t files_before, files_after;
	uint64_t bytes_before, bytes_after; /* of these files; with dry_run after is before */
	uint64_t merged;  /* files that were put together */
	uint64_t dropped; /* damaged copies */
};

/* ERR_CONFIG: this type of store has nothing to compact. ERR_LOCKED: a run holds it. */
int store_compact(const struct store_ops *ops, const struct store_config *cfg,
		  struct compaction *c, struct err *err);

#endif
