#ifndef CORE_IMAP_CRITERIA_H
#define CORE_IMAP_CRITERIA_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/bytes.h"

struct imap_encoder;

/*
 * Search criteria from a person (RFC 9051, section 6.4.4, and the keys of WITHIN, CONDSTORE,
 * SAVEDATE, OBJECTID and X-GM-EXT-1), one word each. Every key is known and has its arguments
 * encoded by what they are, so no word can become another command or another key. Dates are
 * `29-Feb-2024` or `2024-02-29`. An unknown key, a missing or a bad argument becomes the encoder's
 * error (ERR_CONFIG).
 */
void imap_encode_criteria(struct imap_encoder *e, const struct bytes *words, size_t n);
/* Whether a text to look for has 8-bit bytes, so that a charset has to be named. */
bool imap_criteria_are_8bit(const struct bytes *words, size_t n);

#endif
