#include "backends/git/pack_delta.h"

#include "core/base/buf.h"
#include "core/base/err.h"

/* Seven bits a byte, the lowest first. */
static bool take_size(struct bytes *in, uint64_t *out)
{
	*out = 0;
	for (unsigned shift = 0; in->n > 0 && shift < 63; shift += 7) {
		uint8_t c = in->p[0];

		*in = bytes_skip(*in, 1);
		*out |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return true;
	}
	return false;
}

static bool take_sizes(struct bytes *in, uint64_t *from, uint64_t *to)
{
	return take_size(in, from) && take_size(in, to);
}

bool delta_sizes(struct bytes delta, uint64_t *from, uint64_t *to)
{
	return take_sizes(&delta, from, to);
}

/* A number of which only the bytes are there whose bits are set in `which`. */
static bool take_number(struct bytes *in, unsigned which, unsigned bytes, uint32_t *out)
{
	*out = 0;
	for (unsigned i = 0; i < bytes; i++) {
		if (!(which & (1u << i)))
			continue;
		if (in->n == 0)
			return false;
		*out |= (uint32_t)in->p[0] << (8 * i);
		*in = bytes_skip(*in, 1);
	}
	return true;
}

/* One piece: what it adds, or false. */
static bool take_piece(struct bytes *in, struct bytes base, struct bytes *piece)
{
	unsigned op = in->p[0];
	uint32_t at, n;

	*in = bytes_skip(*in, 1);
	if (op == 0)
		return false; /* reserved */
	if (op < 0x80) {
		if (op > in->n)
			return false;
		*piece = bytes_from(in->p, op);
		*in = bytes_skip(*in, op);
		return true;
	}
	if (!take_number(in, op & 0xf, 4, &at) || !take_number(in, op >> 4 & 7, 3, &n))
		return false;
	if (n == 0)
		n = 0x10000;
	if (at > base.n || n > base.n - at)
		return false;
	*piece = bytes_from(base.p + at, n);
	return true;
}

int delta_apply(struct bytes base, struct bytes delta, struct buf *out, struct err *err)
{
	uint64_t from, to;
	struct bytes piece;

	buf_clear(out);
	if (!take_sizes(&delta, &from, &to) || from != base.n)
		return err_set(err, ERR_FATAL, "a delta does not fit what it is made from");
	if (to > out->max)
		return err_set(err, ERR_FATAL, "a delta makes more than %zu bytes", out->max);
	while (delta.n > 0) {
		if (!take_piece(&delta, base, &piece) || piece.n > to - out->n)
			return err_set(err, ERR_FATAL, "a delta is damaged");
		buf_add(out, piece);
	}
	return out->n == to ? 0 : err_set(err, ERR_FATAL, "a delta is damaged");
}
