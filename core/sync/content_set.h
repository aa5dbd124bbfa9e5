#ifndef CORE_SYNC_CONTENT_SET_H
#define CORE_SYNC_CONTENT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/store.h"

/*
 * What a mailbox holds, as a multiset of contents: two equal messages are two. Pure. First all
 * are added, then content_set_close() is called, then the rest may be.
 */
struct content_set {
	struct content {
		uint64_t size;
		uint8_t sha256[CONTENT_HASH_SIZE];
		uint32_t uid;
		size_t taken; /* of the first of equal ones: how many of them were */
	} *v;
	size_t n, cap;
};

void content_set_release(struct content_set *set);
void content_set_add(struct content_set *set, uint32_t uid, uint64_t size,
		     const uint8_t sha256[CONTENT_HASH_SIZE]);
void content_set_close(struct content_set *set);
/* Whether anything in it has this size. Else what has it need not be hashed to be told apart. */
bool content_set_has_size(const struct content_set *set, uint64_t size);
/* Take one of this content out, that with the lowest UID; false when there is none left. */
bool content_set_take(struct content_set *set, uint64_t size,
		      const uint8_t sha256[CONTENT_HASH_SIZE], uint32_t *uid);

#endif
