#ifndef CORE_SYNC_BATCH_H
#define CORE_SYNC_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/clock.h"

/*
 * Additions are committed in batches, when one is large or old enough: an interrupted run goes on where
 * it was, and a power cut loses at most one batch of work.
 */
#define BATCH_BYTES ((uint64_t)32 << 20)
#define BATCH_MESSAGES 4096
#define BATCH_MS 15000

/* `since`: clock_ms() of the last commit. */
static inline bool batch_is_due(uint64_t messages, uint64_t bytes, int64_t since)
{
	return bytes >= BATCH_BYTES || messages >= BATCH_MESSAGES || clock_ms() - since >= BATCH_MS;
}

#endif
