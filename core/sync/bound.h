#ifndef CORE_SYNC_BOUND_H
#define CORE_SYNC_BOUND_H

#include <stddef.h>
#include <stdint.h>

struct changes;

/* A message of a target, found by the source UID that it is bound to. */
struct bound {
	uint32_t source_uid;
	uint32_t index; /* in changes.v */
};

/* Those that are bound to the source, by ascending source UID; `target` NULL: none. The caller frees it. */
struct bound *bound_messages(const struct changes *target, size_t *n);

#endif
