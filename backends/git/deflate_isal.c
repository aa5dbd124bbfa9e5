/* ISA-L (igzip) at level 1: faster than zlib's and smaller. Level 0 makes base64 grow. */
#ifdef HAVE_ISAL
#include <isa-l/igzip_lib.h>
#include <stdlib.h>

#include "backends/git/coder.h"
#include "core/base/mem.h"

struct isal_deflate_state {
	struct isal_zstream z;
	uint8_t level_buf[ISAL_DEF_LVL1_DEFAULT];
};

static void *isal_deflate_new(void)
{
	struct isal_deflate_state *d = xcalloc(1, sizeof(*d));

	isal_deflate_init(&d->z);
	d->z.level = 1;
	d->z.level_buf = d->level_buf;
	d->z.level_buf_size = sizeof(d->level_buf);
	d->z.gzip_flag = IGZIP_ZLIB;
	return d;
}

static void isal_deflate_again(void *state)
{
	struct isal_deflate_state *d = state;

	isal_deflate_reset(&d->z);
	d->z.gzip_flag = IGZIP_ZLIB; /* a stream that ended as stored blocks leaves "no header" behind */
}

/* The library takes its input through a pointer to non-const and does not write to it. */
static uint8_t *unconst(const uint8_t *p)
{
	return (uint8_t *)(uintptr_t)p;
}

static uint32_t at_most_32_bits(size_t n)
{
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static size_t isal_deflate_some(void *state, struct bytes *in, bool last, uint8_t *out, size_t room,
				bool *whole)
{
	struct isal_deflate_state *d = state;
	uint32_t n = at_most_32_bits(in->n);

	d->z.next_in = unconst(in->p);
	d->z.avail_in = n;
	d->z.next_out = out;
	d->z.avail_out = at_most_32_bits(room);
	d->z.end_of_stream = last && n == in->n;
	if (isal_deflate(&d->z) != COMP_OK)
		abort(); /* only for a level or flush that does not exist */
	*in = bytes_skip(*in, n - d->z.avail_in);
	*whole = d->z.internal_state.state == ZSTATE_END;
	return (size_t)(d->z.next_out - out);
}

static void *isal_inflate_new(void)
{
	struct inflate_state *s = xcalloc(1, sizeof(*s));

	isal_inflate_init(s);
	s->crc_flag = ISAL_ZLIB;
	return s;
}

static void isal_inflate_again(void *state)
{
	isal_inflate_reset(state);
}

static enum inflate_step isal_inflate_some(void *state, struct bytes *in, uint8_t *out, size_t room,
					   size_t *put)
{
	struct inflate_state *s = state;
	uint32_t n = at_most_32_bits(in->n);
	int ret;

	s->next_in = unconst(in->p);
	s->avail_in = n;
	s->next_out = out;
	s->avail_out = at_most_32_bits(room);
	ret = isal_inflate(s);
	*in = bytes_skip(*in, n - s->avail_in);
	*put = (size_t)(s->next_out - out);
	if (ret != ISAL_DECOMP_OK && ret != ISAL_END_INPUT)
		return INFLATE_DAMAGED;
	return s->block_state == ISAL_BLOCK_FINISH ? INFLATE_END : INFLATE_MORE;
}

const struct coder coder_isal = {
	.name = "isa-l",
	.deflate_new = isal_deflate_new,
	.deflate_free = free,
	.deflate_reset = isal_deflate_again,
	.deflate = isal_deflate_some,
	.inflate_new = isal_inflate_new,
	.inflate_free = free,
	.inflate_reset = isal_inflate_again,
	.inflate = isal_inflate_some,
};
#else
typedef int isal_nothing_to_compile; /* ISO C wants a declaration in every file */
#endif
