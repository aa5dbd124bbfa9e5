#ifndef CORE_MAIL_MUTF7_H
#define CORE_MAIL_MUTF7_H

#include <stdbool.h>

#include "core/base/bytes.h"

struct buf;

/*
 * Modified UTF-7 (RFC 3501, section 5.1.3), strict. Every UTF-8 text has exactly one encoding,
 * and only that one decodes, so decode and encode are exact inverses of each other.
 */

/*
 * Add the UTF-8 text that `in` encodes. False, adding nothing, when `in` is not the one
 * encoding of any text: unencoded `&`, control or 8-bit byte, a superfluous shift (`&AGE-` for
 * `a`, `&AOQ-&AOQ-`), a surrogate without its pair, stray bits, no closing `-`. Also false when
 * `out` overflows.
 */
bool mutf7_decode(struct bytes in, struct buf *out);

/*
 * Add the encoding of `in`. False, adding nothing, when it is not UTF-8 or `out` overflows. At
 * most MUTF7_GROWTH times as long.
 */
bool mutf7_encode(struct bytes in, struct buf *out);

#define MUTF7_GROWTH 5

#endif
