#include "backends/git/deflate.h"

#include <stdlib.h>
#ifdef HAVE_ISAL
#include <isa-l/crc.h>
#else
#include <zlib.h>
#endif

#include "backends/git/coder.h"
#include "core/base/mem.h"

const struct coder *const coders[] = {
#ifdef HAVE_ISAL
	&coder_isal,
#endif
	&coder_zlib,
	NULL,
};

struct deflater {
	const struct coder *coder;
	void *state;
};

struct inflater {
	const struct coder *coder;
	void *state;
};

const char *coder_name(const struct coder *c)
{
	return c->name;
}

struct deflater *deflater_new(const struct coder *c)
{
	struct deflater *d = xcalloc(1, sizeof(*d));

	d->coder = c ? c : coders[0];
	d->state = d->coder->deflate_new();
	return d;
}

void deflater_free(struct deflater *d)
{
	if (!d)
		return;
	d->coder->deflate_free(d->state);
	free(d);
}

void deflater_reset(struct deflater *d)
{
	d->coder->deflate_reset(d->state);
}

size_t deflater_run(struct deflater *d, struct bytes *in, bool last, uint8_t *out, size_t room,
		    bool *whole)
{
	return d->coder->deflate(d->state, in, last, out, room, whole);
}

struct inflater *inflater_new(const struct coder *c)
{
	struct inflater *i = xcalloc(1, sizeof(*i));

	i->coder = c ? c : coders[0];
	i->state = i->coder->inflate_new();
	return i;
}

void inflater_free(struct inflater *i)
{
	if (!i)
		return;
	i->coder->inflate_free(i->state);
	free(i);
}

void inflater_reset(struct inflater *i)
{
	i->coder->inflate_reset(i->state);
}

enum inflate_step inflater_run(struct inflater *i, struct bytes *in, uint8_t *out, size_t room,
			       size_t *put)
{
	return i->coder->inflate(i->state, in, out, room, put);
}

uint32_t crc32_of(uint32_t crc, struct bytes data)
{
#ifdef HAVE_ISAL
	return crc32_gzip_refl(crc, data.p, data.n);
#else
	return (uint32_t)crc32_z(crc, data.p, data.n);
#endif
}
