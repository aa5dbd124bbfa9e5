#ifndef BACKENDS_GIT_PACK_DELTA_H
#define BACKENDS_GIT_PACK_DELTA_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct buf;
struct err;

/*
 * Deltas, which only git's own packs hold (gitformat-pack(5), "Deltified representation"): an
 * object as pieces of another one and new bytes.
 */

/* The sizes a delta begins with, of the object it is made from and of the one it makes. False: there are none. */
bool delta_sizes(struct bytes delta, uint64_t *from, uint64_t *to);
/*
 * Make the object, into `out` (cleared first, with a ceiling). -1 with *err (ERR_FATAL, without a
 * path) when the delta does not fit `base`, is damaged, or makes more than `out` takes.
 */
int delta_apply(struct bytes base, struct bytes delta, struct buf *out, struct err *err);

#endif
