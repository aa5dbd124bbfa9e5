#ifndef BACKENDS_MBOX_TRAITS_H
#define BACKENDS_MBOX_TRAITS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct flags;
struct maildate;

/*
 * What a message says of itself in its header: what programs that keep mail in files note there. All of
 * it may also have been written by whoever sent the message.
 */
struct traits;

struct traits *traits_new(void);
void traits_free(struct traits *t); /* NULL is allowed */
/* The next message. */
void traits_reset(struct traits *t);
/* The message, or its header, piece by piece; false once nothing more can be learnt from it. */
bool traits_feed(struct traits *t, struct bytes piece);
void traits_end(struct traits *t);

/*
 * Add its flags: Status and X-Status (R read, A answered, F flagged, T draft, D deleted), X-Keywords, and
 * X-Mozilla-Status, whose expunged messages are \Deleted.
 */
void traits_flags(const struct traits *t, struct flags *out);
/* Content-Length; false: there is none. */
bool traits_length(const struct traits *t, uint64_t *out);
/* Date; false, and *out (initialised) untouched: there is none that can be read. */
bool traits_date(const struct traits *t, struct maildate *out);

#endif
