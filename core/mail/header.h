#ifndef CORE_MAIL_HEADER_H
#define CORE_MAIL_HEADER_H

#include <stddef.h>

#include "core/base/bytes.h"

/*
 * Picks a few fields out of a message's header (RFC 5322) while the message streams by. Lines
 * may end in CRLF or LF, mixed. Memory is bounded: a value over HEADER_VALUE_MAX is treated as
 * absent, and after HEADER_MAX bytes the search ends. How the header is cut into pieces changes
 * nothing.
 */
struct header_reader;

#define HEADER_MAX (1u << 20)
#define HEADER_VALUE_MAX (998u * 4)
#define HEADER_NAME_MAX 76u

enum header_step {
	HEADER_MORE, /* the header goes on: feed the next piece */
	HEADER_DONE, /* nothing more to learn: feeding the rest is allowed, not needed */
};

/*
 * `names` (at most 32, without colon, any case, up to HEADER_NAME_MAX bytes) is borrowed until
 * free.
 */
struct header_reader *header_reader_new(const char *const *names, size_t count);
void header_reader_free(struct header_reader *h); /* NULL is allowed */
/* Start on the next message. */
void header_reader_reset(struct header_reader *h);

enum header_step header_reader_feed(struct header_reader *h, struct bytes piece);
/* The message ended: a header without a body is complete. Allowed at any time, also twice. */
void header_reader_finish(struct header_reader *h);

/*
 * The value of names[i], unfolded (line ends dropped, the blanks after them kept) and trimmed,
 * of its first occurrence. .p is NULL when it is absent, too long, or not read to its end yet;
 * an empty value has .n == 0. Borrowed until reset or free.
 */
struct bytes header_reader_value(const struct header_reader *h, size_t i);

#endif
