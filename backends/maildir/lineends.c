#include "backends/maildir/lineends.h"

#include <string.h>

void line_ends_scan(struct line_ends *e, struct bytes piece)
{
	const uint8_t *p = piece.p, *end = p + piece.n, *at = p;

	if (piece.n == 0)
		return;
	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		size_t i = (size_t)(at - p);
		uint8_t one = i > 0 ? p[i - 1] : e->last;
		uint8_t two = i > 1 ? p[i - 2] : i == 1 ? e->last : e->before_last;

		e->lf++;
		e->crlf += one == '\r';
		if (one == '\r' && two == '\r')
			e->cr_cr_lf = true;
		at++;
	}
	e->before_last = piece.n > 1 ? end[-2] : e->last;
	e->last = end[-1];
}

size_t drop_returns(uint8_t *p, size_t n)
{
	const uint8_t *from = p, *end = p + n;
	uint8_t *to = p;

	while (from < end) {
		const uint8_t *lf = memchr(from, '\n', (size_t)(end - from));
		size_t part = (size_t)((lf ? lf : end) - from);

		if (lf && part > 0 && lf[-1] == '\r')
			part--;
		memmove(to, from, part);
		to += part;
		if (!lf)
			break;
		*to++ = '\n';
		from = lf + 1;
	}
	return (size_t)(to - p);
}
