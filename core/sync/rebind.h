#ifndef CORE_SYNC_REBIND_H
#define CORE_SYNC_REBIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/store.h"

/*
 * UIDs do not mean what they did (another UIDVALIDITY): which of the source's messages is which of
 * those stored? Pure: two descriptions in, pairs out.
 *
 * Date and size say most of it. They are believed where only one message on each side has both,
 * and either no other has that date, or both sides say the same message by message from the first
 * to the last. The rest is in doubt: its headers have to be looked at. Equal ones make a pair where
 * it does not matter which of several is taken, because what is stored is the same. What is still
 * not paired has to be told apart by all of its bytes, and that is for others to do.
 *
 * So a message can only be taken for another that has the same date, the same size and, in doubt, the
 * same Message-ID, Date, From and Subject.
 *
 * Two descriptions without dates are joined by size alone, and then all are in doubt.
 */

/* Fewer messages than this are looked at all: it costs next to nothing. */
#define REBIND_FEW 32
#define REBIND_HASH_SIZE 16
#define REBIND_NONE UINT32_MAX

/* A message in doubt. */
struct rebind_doubt {
	uint32_t at;    /* index in stored->v or source->v */
	uint32_t group; /* those of one date and size, on both sides */
	bool told;
	uint8_t header[REBIND_HASH_SIZE];
	uint8_t content[REBIND_HASH_SIZE]; /* only of those stored */
};

struct rebind_doubts {
	struct rebind_doubt *v; /* ascending by `at`, until rebind_settle() */
	size_t n, cap;
};

struct rebind {
	const struct changes *stored, *source; /* described, or both with sizes only; borrowed */
	uint32_t *pair;  /* of each in stored->v: its index in source->v, or REBIND_NONE */
	uint64_t bound;  /* how many in stored->v had a source UID: only those are paired */
	uint64_t paired; /* of these */
	struct rebind_doubts stored_doubts, source_doubts;
};

void rebind_release(struct rebind *r); /* an all zero one, too */

/* The first step: pairs, and what is in doubt. *r is initialised by it. */
void rebind_describe(struct rebind *r, const struct changes *stored, const struct changes *source);
/*
 * The second, of each message in doubt (others are ignored), by its UID: a hash of its header
 * fields, and of all its bytes (NULL at the source).
 */
void rebind_tell_stored(struct rebind *r, uint32_t uid, const uint8_t header[REBIND_HASH_SIZE],
			const uint8_t content[REBIND_HASH_SIZE]);
void rebind_tell_source(struct rebind *r, uint32_t uid, const uint8_t header[REBIND_HASH_SIZE]);
/* The last: pair what can be paired now. Of whom nothing was told, and their like, are not. */
void rebind_settle(struct rebind *r);

/* Whether each pair has the same UID as before. */
bool rebind_keeps_uids(const struct rebind *r);

#endif
