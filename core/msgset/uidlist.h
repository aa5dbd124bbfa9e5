#ifndef CORE_MSGSET_UIDLIST_H
#define CORE_MSGSET_UIDLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/msgset/uidset.h"

struct buf;
struct err;

/*
 * UIDs in the order a server sent them, for the COPYUID and APPENDUID response codes (RFC 4315,
 * section 3), where the n-th number of one list belongs to the n-th of the other. Items
 * keep their order and are never merged; inside an item numbers ascend, so `12:10` is
 * 10, 11, 12. No operation expands a range. There is no `*`.
 */
struct uidlist {
	struct uidrange *items;
	size_t n, cap;
	uint64_t count; /* numbers in all items */
};

#define UIDLIST_INIT { .items = NULL }

void uidlist_init(struct uidlist *l);
void uidlist_release(struct uidlist *l); /* may be used again afterwards */
void uidlist_clear(struct uidlist *l);
void uidlist_copy(struct uidlist *out, const struct uidlist *l);

/* Append an item. Bounds come in either order and are at least 1. */
void uidlist_add(struct uidlist *l, uint32_t a, uint32_t b);
/* Append one number, to the last item where it follows that. */
void uidlist_append(struct uidlist *l, uint32_t uid);

static inline uint64_t uidlist_count(const struct uidlist *l)
{
	return l->count;
}

static inline bool uidlist_is_empty(const struct uidlist *l)
{
	return l->n == 0;
}

/* Items, for i from 0 to uidlist_range_count() - 1. */
static inline size_t uidlist_range_count(const struct uidlist *l)
{
	return l->n;
}

static inline struct uidrange uidlist_range(const struct uidlist *l, size_t i)
{
	return l->items[i];
}

/* The same numbers as a set, replacing `out`. */
void uidlist_to_set(const struct uidlist *l, struct uidset *out);
/* Whether no number comes twice. O(n log n). */
bool uidlist_is_distinct(const struct uidlist *l);

/*
 * Text, uid-set of RFC 4315 section 4. As uidset_parse(), with UIDSET_STRICT or
 * UIDSET_TOLERANT. Tolerant takes blanks around numbers, leading zeros, and nothing at all (some
 * servers send empty lists); 0 and empty items are refused even then, for dropping one would
 * shift all pairs after it.
 */
int uidlist_parse(struct uidlist *out, struct bytes text, unsigned syntax,
		  const struct uidset_limits *limits, struct err *err);
/* Append the text, item by item. An empty list adds nothing. False when `out` is full. */
bool uidlist_format(const struct uidlist *l, struct buf *out);

/*
 * The pairs of a COPYUID code, as runs: source + i became target + i for 0 <= i < n.
 * uidlist_pairs_init() returns -1 (ERR_MAILBOX) when the code cannot be trusted: the lists
 * differ in length, a number comes twice in one, or the source has a UID outside `requested`
 * (NULL: not checked; else not open). Then act as if no code had come. Both lists stay borrowed.
 */
struct uidlist_run {
	uint32_t source, target;
	uint32_t n;
};
struct uidlist_pairs {
	const struct uidlist *source, *target;
	size_t i, j;             /* items under the cursors */
	uint32_t skip_i, skip_j; /* numbers of them already given out */
};
int uidlist_pairs_init(struct uidlist_pairs *p, const struct uidlist *source,
		       const struct uidlist *target, const struct uidset *requested,
		       struct err *err);
bool uidlist_pairs_next(struct uidlist_pairs *p, struct uidlist_run *run);

#endif
