#ifndef CORE_BASE_BUF_H
#define CORE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

/*
 * A growable byte buffer with a hard ceiling given at birth, so that nothing a
 * server sends can make it grow without end. Adding past the ceiling adds nothing and
 * sets `overflow`, which sticks until buf_clear(): a writer may add many things and look once.
 * The bytes are always followed by a NUL that is not counted.
 */
struct buf {
	uint8_t *p; /* NULL while nothing was added */
	size_t n;
	size_t cap;
	size_t max;
	bool overflow;
};

#define BUF_INIT(ceiling) { .max = (ceiling) }

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b); /* may be used again afterwards */
/* As buf_release(), wiping the bytes first: for buffers that held a secret. */
void buf_release_secret(struct buf *b);
/* Empty it, keeping the memory. */
void buf_clear(struct buf *b);

bool buf_add(struct buf *b, struct bytes data);
bool buf_add_str(struct buf *b, const char *s);
bool buf_add_byte(struct buf *b, uint8_t c);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for at least `n` more bytes at b->p + b->n, for read() and the like; then buf_grow(). */
bool buf_reserve(struct buf *b, size_t n);
/* `n` bytes were written into the room that buf_reserve() made. */
void buf_grow(struct buf *b, size_t n);
/* Drop the first `n` bytes (n <= b->n). */
void buf_consume(struct buf *b, size_t n);

static inline struct bytes buf_bytes(const struct buf *b)
{
	return (struct bytes){ .p = b->p, .n = b->n };
}

/* As a C string; "" when nothing was added. Borrowed until the next change. */
const char *buf_str(const struct buf *b);
/* Hand the bytes over as a NUL-terminated string, owned by the caller; the buffer is empty then. */
char *buf_take(struct buf *b);

#endif
