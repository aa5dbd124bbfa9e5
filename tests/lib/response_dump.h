#ifndef TESTS_LIB_RESPONSE_DUMP_H
#define TESTS_LIB_RESPONSE_DUMP_H

#include <stddef.h>

#include "core/base/bytes.h"

struct buf;
struct imap_response;

/*
 * One response as a line of text with all that was read from it, for tests to compare. Pieces
 * of one body run together, so the text does not depend on how the stream was cut.
 */
void response_dump(struct buf *out, const struct imap_response *r);

/*
 * Parse `input` handed over in pieces of `step` bytes (0: whole) and add the dump of everything
 * that came out, an error included, then "..." when the last response is not complete.
 */
void response_dump_all(struct buf *out, const char *tag_prefix, struct bytes input, size_t step);

#endif
