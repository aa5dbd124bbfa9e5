#ifndef BACKENDS_MAILDIR_LINEENDS_H
#define BACKENDS_MAILDIR_LINEENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

/* What a message's line ends are, found out piece by piece. */
struct line_ends {
	uint64_t lf, crlf; /* every LF; those after a CR */
	bool cr_cr_lf;
	uint8_t last, before_last; /* of what was seen so far; 0 at the start */
};

void line_ends_scan(struct line_ends *e, struct bytes piece);

/* Whether putting CR before each LF undoes taking the CRs away. */
static inline bool line_ends_allow_lf(const struct line_ends *e)
{
	return e->lf == e->crlf && !e->cr_cr_lf;
}

/* Take the CR of every CRLF away, in place; returns the new length. */
size_t drop_returns(uint8_t *p, size_t n);

#endif
