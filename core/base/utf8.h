#ifndef CORE_BASE_UTF8_H
#define CORE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

/*
 * One character of strict UTF-8 (RFC 3629: shortest form, no surrogates, at most U+10FFFF).
 * Returns its length in bytes, or 0 when `in` does not begin with one; `in` must not be empty.
 */
size_t utf8_decode(struct bytes in, uint32_t *c);
/* Write `c` (a valid scalar value) to `out`; returns 1 to 4. */
size_t utf8_encode(uint32_t c, uint8_t out[4]);
bool utf8_is_valid(struct bytes in);

#endif
