#ifndef CORE_SYNC_HEADING_H
#define CORE_SYNC_HEADING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/store.h"

/*
 * What a message's header says of which message it is: Message-ID, Date, From and Subject, as one
 * hash. Two of the same hash and the same size are taken for the same message where nothing better can
 * be had without fetching them.
 */

/*
 * Called for each message that came whole and has a Message-ID or a Date; of others the header tells
 * nothing. `tag` is the want's, `msg` as in the sink's end(). `content`: SHA-256 of all its bytes, or
 * NULL when it was not asked for.
 */
typedef void heading_fn(void *tag, const struct message *msg, const uint8_t header[CONTENT_HASH_SIZE],
			const uint8_t *content);

struct headings {
	heading_fn *tell;
	bool content;
};

/* A sink that looks at headers and keeps nothing. `h` is borrowed as long as it is used. */
struct message_sink headings_sink(struct headings *h);
/* Of these messages the header is all that is wanted. `set` is borrowed. */
struct want heading_want(struct mailbox *mb, const struct uidset *set, void *tag);
/*
 * Fetch such wants. What cannot be read is not told. -1: the store failed; trouble with a mailbox is in
 * its want.
 */
int headings_fetch(struct store *st, struct want *want, size_t n, struct headings *h, struct err *err);

#endif
