#include "core/base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf)BUF_INIT(max);
}

void buf_release(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void buf_release_secret(struct buf *b)
{
	secret_wipe(b->p, b->cap);
	buf_release(b);
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->overflow = false;
	if (b->p)
		b->p[0] = '\0';
}

bool buf_reserve(struct buf *b, size_t n)
{
	size_t cap;

	if (b->overflow || n > b->max - b->n) {
		b->overflow = true;
		return false;
	}
	if (b->p && b->n + n < b->cap)
		return true;
	cap = b->cap + b->cap / 2;
	if (cap < b->n + n + 1)
		cap = b->n + n + 1;
	if (cap < 64)
		cap = 64;
	b->p = xrealloc(b->p, cap);
	b->cap = cap;
	b->p[b->n] = '\0';
	return true;
}

void buf_grow(struct buf *b, size_t n)
{
	assert(b->n + n < b->cap);
	b->n += n;
	b->p[b->n] = '\0';
}

bool buf_add(struct buf *b, struct bytes data)
{
	if (!buf_reserve(b, data.n))
		return false;
	if (data.n)
		memcpy(b->p + b->n, data.p, data.n);
	buf_grow(b, data.n);
	return true;
}

bool buf_add_str(struct buf *b, const char *s)
{
	return buf_add(b, bytes_of(s));
}

bool buf_add_byte(struct buf *b, uint8_t c)
{
	return buf_add(b, bytes_from(&c, 1));
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;
	bool ok;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	ok = buf_add(b, bytes_from(s, (size_t)n));
	free(s);
	return ok;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	b->n -= n;
	memmove(b->p, b->p + n, b->n);
	b->p[b->n] = '\0';
}

const char *buf_str(const struct buf *b)
{
	return b->p ? (const char *)b->p : "";
}

char *buf_take(struct buf *b)
{
	char *s = b->p ? (char *)b->p : xstrdup("");

	buf_init(b, b->max);
	return s;
}
