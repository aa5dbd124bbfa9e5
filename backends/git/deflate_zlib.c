/*
 * zlib at level 1, but for base64 Huffman codes only: searching repeats in it takes four times as
 * long and makes it larger. What a stretch of input is gets decided anew every few kilobytes.
 */
#define ZLIB_CONST
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "backends/git/coder.h"
#include "core/base/mem.h"

enum { LEVEL = 1, STRETCH = 8192 };

struct zlib_deflate {
	z_stream z;
	int strategy;
	size_t left; /* of the stretch that `strategy` was chosen for */
};

static void no_memory(int ret)
{
	if (ret != Z_OK)
		abort(); /* as the x*alloc() do; nothing else can go wrong here */
}

static void *zlib_deflate_new(void)
{
	struct zlib_deflate *d = xcalloc(1, sizeof(*d));

	no_memory(deflateInit(&d->z, LEVEL));
	d->strategy = Z_DEFAULT_STRATEGY;
	return d;
}

static void zlib_deflate_free(void *state)
{
	struct zlib_deflate *d = state;

	deflateEnd(&d->z);
	free(d);
}

static void zlib_deflate_reset(void *state)
{
	struct zlib_deflate *d = state;

	deflateReset(&d->z);
	d->left = 0;
}

/* Only letters, digits, + / = and line ends. Text leaves at its first blank. */
static bool is_base64(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++) {
		uint8_t c = b.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '/' && c <= '9') &&
		    c != '+' && c != '=' && c != '\r' && c != '\n')
			return false;
	}
	return true;
}

/* Choose the strategy of the next stretch; false: no room to end the block before it, call again. */
static bool choose(struct zlib_deflate *d, struct bytes in)
{
	size_t n = in.n < STRETCH ? in.n : STRETCH;
	int want = is_base64(bytes_from(in.p, n)) ? Z_HUFFMAN_ONLY : Z_DEFAULT_STRATEGY;

	if (want != d->strategy) {
		d->z.avail_in = 0;
		if (deflateParams(&d->z, LEVEL, want) != Z_OK)
			return false;
		d->strategy = want;
	}
	d->left = n;
	return true;
}

static size_t zlib_deflate(void *state, struct bytes *in, bool last, uint8_t *out, size_t room,
			   bool *whole)
{
	struct zlib_deflate *d = state;

	*whole = false;
	d->z.next_out = out;
	d->z.avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
	do {
		size_t n;
		int ret;

		if (d->left == 0 && in->n > 0 && !choose(d, *in))
			break;
		n = in->n < d->left ? in->n : d->left;
		d->z.next_in = in->p;
		d->z.avail_in = (uInt)n;
		ret = deflate(&d->z, last && n == in->n ? Z_FINISH : Z_NO_FLUSH);
		d->left -= n - d->z.avail_in;
		*in = bytes_skip(*in, n - d->z.avail_in);
		*whole = ret == Z_STREAM_END;
	} while (d->z.avail_out > 0 && in->n > 0);
	return (size_t)(d->z.next_out - out);
}

static void *zlib_inflate_new(void)
{
	z_stream *z = xcalloc(1, sizeof(*z));

	no_memory(inflateInit(z));
	return z;
}

static void zlib_inflate_free(void *state)
{
	inflateEnd(state);
	free(state);
}

static void zlib_inflate_reset(void *state)
{
	inflateReset(state);
}

static enum inflate_step zlib_inflate(void *state, struct bytes *in, uint8_t *out, size_t room,
				      size_t *put)
{
	z_stream *z = state;
	size_t n = in->n < UINT_MAX ? in->n : UINT_MAX;
	int ret;

	z->next_in = in->p;
	z->avail_in = (uInt)n;
	z->next_out = out;
	z->avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
	ret = inflate(z, Z_NO_FLUSH);
	*in = bytes_skip(*in, n - z->avail_in);
	*put = (size_t)(z->next_out - out);
	if (ret == Z_STREAM_END)
		return INFLATE_END;
	/* Z_BUF_ERROR: no progress was possible, for want of input or room. */
	return ret == Z_OK || ret == Z_BUF_ERROR ? INFLATE_MORE : INFLATE_DAMAGED;
}

const struct coder coder_zlib = {
	.name = "zlib",
	.deflate_new = zlib_deflate_new,
	.deflate_free = zlib_deflate_free,
	.deflate_reset = zlib_deflate_reset,
	.deflate = zlib_deflate,
	.inflate_new = zlib_inflate_new,
	.inflate_free = zlib_inflate_free,
	.inflate_reset = zlib_inflate_reset,
	.inflate = zlib_inflate,
};
