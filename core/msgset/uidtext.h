#ifndef CORE_MSGSET_UIDTEXT_H
#define CORE_MSGSET_UIDTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/msgset/uidset.h"

struct err;

/* The grammar that uidset and uidlist share, one item at a time. Private to core/msgset. */
struct uidtext {
	struct bytes text;
	size_t at;
	size_t items;
	unsigned syntax;
	struct uidset_limits limits;
};

/* `limits` may be NULL for the default. */
void uidtext_init(struct uidtext *t, struct bytes text, unsigned syntax,
		  const struct uidset_limits *limits);
/*
 * The next item, *a <= *b, UIDSET_STAR for `*`. Tolerant: a 0 is handed on, and an empty item
 * is 0:0.
 * Returns 1, 0 at the end, -1 with *err set.
 */
int uidtext_next(struct uidtext *t, uint64_t *a, uint64_t *b, struct err *err);
/* An error about this text: what is wrong, where, and an escaped piece of it. Returns -1. */
int uidtext_fail(const struct uidtext *t, const char *what, struct err *err);

#define UIDTEXT_MAX 21 /* the longest item, "4294967294:4294967295" */
/* Write `a`, `a:b`, `a:*` or `*` and return its length. */
size_t uidtext_write(char out[UIDTEXT_MAX], uint64_t a, uint64_t b);
/* The length only. */
size_t uidtext_size(uint64_t a, uint64_t b);

#endif
