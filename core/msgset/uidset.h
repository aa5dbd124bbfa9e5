#ifndef CORE_MSGSET_UIDSET_H
#define CORE_MSGSET_UIDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct buf;
struct err;

/* An inclusive range, 1 <= lo <= hi. */
struct uidrange {
	uint32_t lo, hi;
};

/*
 * `*` in an IMAP sequence-set (RFC 9051, section 9): the largest number in use, whatever it
 * is. Never 4294967295, which is a number like any other; it sorts after all of them.
 */
#define UIDSET_STAR ((uint64_t)1 << 32)

/*
 * A set of UIDs or message numbers, always canonical: sorted, disjoint, non-adjacent ranges
 * of numbers from 1 to 4294967295, and perhaps one open item `*` or `n:*`. No operation
 * expands a range, so `1:4294967295` costs as much as `1`.
 *
 * `*` means something only once `last`, the largest number in use, is known:
 * uidset_set_last() resolves it. Until then the set is "open"; what needs its members is an
 * error or, where no error can be returned, must not be called. A set parsed without
 * UIDSET_ALLOW_STAR is never open.
 *
 * Embed it by value; the members are private to core/msgset. All zero is an empty set.
 */
struct uidset {
	struct uidset_item *items;
	size_t n, cap;
	uint64_t star; /* 0: none; UIDSET_STAR: a lone `*`; else the n of `n:*` */
	uint32_t last; /* 0: not known */
};

struct uidset_item {
	uint32_t lo, hi;
	uint32_t before; /* members in all the items before this one */
};

#define UIDSET_INIT { .items = NULL }

void uidset_init(struct uidset *s);
void uidset_release(struct uidset *s); /* may be used again afterwards */
/* Empty it and forget `last`, keeping the memory. */
void uidset_clear(struct uidset *s);
/* Make `out` equal to `s`, `last` included. */
void uidset_copy(struct uidset *out, const struct uidset *s);
/* Exchange the contents of two sets. */
void uidset_swap(struct uidset *a, struct uidset *b);

/*
 * Adding. Bounds may come in either order. 0 is no message number: it is dropped (`0:5` adds 1:5).
 * Numbers above all members cost amortised O(1), others O(r): to gather many in
 * any order use a builder.
 */
void uidset_add(struct uidset *s, uint32_t uid);
void uidset_add_range(struct uidset *s, uint32_t a, uint32_t b);
/*
 * Add `n:*`, or a lone `*` for UIDSET_STAR. Resolved at once when `last` is known. Else
 * `n:*` swallows every range above or touching it: `1:100,50:*` is `1:*`; `5,*` stays two items.
 */
void uidset_add_star(struct uidset *s, uint64_t n);

/* Removing; the set must not be open. Absent numbers are left absent. */
void uidset_remove(struct uidset *s, uint32_t uid);
void uidset_remove_range(struct uidset *s, uint32_t a, uint32_t b);
/* Remove the k-th member, counted from 1, and return it: EXPUNGE k. 0 when there is none. */
uint32_t uidset_remove_nth(struct uidset *s, uint32_t k);

/*
 * Say what `*` stands for, once. A range whose start lies above is turned round: `3291:*`
 * with last 3290 is `3290:3291`. Returns -1 (ERR_CONFIG) when `last` is 0 or was given before.
 */
int uidset_set_last(struct uidset *s, uint32_t last, struct err *err);

/* Whether a `*` waits for uidset_set_last(). */
static inline bool uidset_is_open(const struct uidset *s)
{
	return s->star != 0;
}

static inline bool uidset_is_empty(const struct uidset *s)
{
	return s->n == 0 && s->star == 0;
}

/*
 * Membership, O(log r). In an open set only the numbers written out and the n of `n:*` are
 * surely in, and none is surely out: `5:*` holds 2 when last is 2.
 */
enum uidset_answer { UIDSET_NO, UIDSET_YES, UIDSET_UNKNOWN };
enum uidset_answer uidset_contains(const struct uidset *s, uint32_t uid);
/* The same as a plain yes or no; the set must not be open. */
bool uidset_has(const struct uidset *s, uint32_t uid);

/* How many members. A lone `*` counts 1. Returns -1 (ERR_CONFIG) for an open range. */
int uidset_size(const struct uidset *s, uint64_t *out, struct err *err);
/* The same where the set cannot hold an open range. O(1). */
uint64_t uidset_count(const struct uidset *s);

/* The rest must not be called on an open set. 0 says that there is none. O(log r). */
uint32_t uidset_min(const struct uidset *s);
uint32_t uidset_max(const struct uidset *s);
/* The smallest member above `after`. */
uint32_t uidset_next(const struct uidset *s, uint32_t after);
/* Position of a member counted from 1: the message number of a UID. */
uint32_t uidset_rank(const struct uidset *s, uint32_t uid);
/* The k-th member, counted from 1: the UID of a message number. */
uint32_t uidset_select(const struct uidset *s, uint32_t k);
/* How many members lie between `a` and `b`, both included, a <= b. */
uint64_t uidset_count_in(const struct uidset *s, uint32_t a, uint32_t b);

/*
 * The written-out ranges in ascending order, without the open item:
 *	for (size_t i = 0; i < uidset_range_count(s); i++)
 *		struct uidrange r = uidset_range(s, i);
 */
static inline size_t uidset_range_count(const struct uidset *s)
{
	return s->n;
}

static inline struct uidrange uidset_range(const struct uidset *s, size_t i)
{
	return (struct uidrange){ .lo = s->items[i].lo, .hi = s->items[i].hi };
}

/*
 * The members in ascending order, ending after 4294967295 as after any other. The set must
 * not change meanwhile. `next`, unless NULL, names the numbers in use: it returns the smallest
 * above `after`, or 0; then absent numbers are not visited, and `1:4294967295` over a
 * sparse mailbox is fast. uidset_iter_init() returns -1 (ERR_CONFIG) when the set is open.
 */
typedef uint32_t uidset_next_fn(void *ctx, uint32_t after);
struct uidset_iter {
	const struct uidset *set;
	size_t i;
	uint32_t at; /* the number returned last */
	uidset_next_fn *next;
	void *ctx;
};
int uidset_iter_init(struct uidset_iter *it, const struct uidset *s, uidset_next_fn *next,
		     void *ctx, struct err *err);
bool uidset_iter_next(struct uidset_iter *it, uint32_t *uid);

/*
 * Algebra, O(r1 + r2). `out` is replaced and may be one of the operands; it has the `last`
 * of `a`. Only the union may have open operands (its `*` is resolved when a's `last` is known).
 */
void uidset_union(struct uidset *out, const struct uidset *a, const struct uidset *b);
void uidset_intersect(struct uidset *out, const struct uidset *a, const struct uidset *b);
void uidset_subtract(struct uidset *out, const struct uidset *a, const struct uidset *b);
void uidset_xor(struct uidset *out, const struct uidset *a, const struct uidset *b);
/* The numbers from 1 to `last` that are not in `a`. */
void uidset_complement(struct uidset *out, const struct uidset *a, uint32_t last);
/* The same items; open sets are equal when they read the same. `last` does not matter. */
bool uidset_equal(const struct uidset *a, const struct uidset *b);
/* Whether every member of `a` is in `b`. Neither may be open. */
bool uidset_is_subset(const struct uidset *a, const struct uidset *b);

/*
 * Gathers numbers in any order, O(n log n) in all and less when they come ascending. Memory
 * is bounded by the number of distinct ranges, not by what was added.
 */
struct uidset_builder {
	struct uidrange *ranges;
	size_t n, cap;
	uint64_t star;
	bool sorted;
};
void uidset_builder_init(struct uidset_builder *b);
void uidset_builder_release(struct uidset_builder *b);
/* As uidset_add_range() and uidset_add_star(). */
void uidset_builder_add(struct uidset_builder *b, uint32_t lo, uint32_t hi);
void uidset_builder_add_star(struct uidset_builder *b, uint64_t n);
/* Add what was gathered to `out` and start again with nothing. */
void uidset_builder_finish(struct uidset_builder *b, struct uidset *out);

/*
 * Text. UIDSET_STRICT is for what people type and what we wrote ourselves: sequence-set of
 * RFC 9051 section 9 (numbers from 1 to 4294967295 without sign, blank or leading zero). With
 * UIDSET_TOLERANT, for what servers send: blanks around numbers, empty items, leading zeros, the
 * number 0 (dropped) and nothing at all (the empty set) are accepted too.
 * In both, bounds come in either order and `*` is refused unless UIDSET_ALLOW_STAR.
 */
enum uidset_syntax {
	UIDSET_STRICT = 0,
	UIDSET_TOLERANT = 1 << 0,
	UIDSET_ALLOW_STAR = 1 << 1,
};
/* More than this is refused before memory is spent on it. */
struct uidset_limits {
	size_t bytes;
	size_t ranges; /* items in the text */
};
extern const struct uidset_limits uidset_limits_default; /* 16 MiB, 1,000,000 ranges */

/*
 * Replace the members of `out`, keeping its `last`, which resolves a `*` at once. `syntax` is enum
 * uidset_syntax; `limits` may be NULL for the default. On -1 `out` is as it was; the kind is
 * ERR_CONFIG when strict, ERR_MAILBOX when tolerant, and the text fit for a terminal.
 */
int uidset_parse(struct uidset *out, struct bytes text, unsigned syntax,
		 const struct uidset_limits *limits, struct err *err);
/*
 * Append the canonical text: ascending, `a` or `a:b`, `n:*` or `*` last. Parsing it gives the
 * same set. The empty set has no wire form and adds nothing: do not send it. False, and
 * nothing added, when `out` has no room for all of it.
 */
bool uidset_format(const struct uidset *s, struct buf *out);
/* Bytes uidset_format() adds; at most 21 for each range and 12 for the open item. */
size_t uidset_text_size(const struct uidset *s);

/*
 * Cuts a set into pieces that fit a command: the union of the pieces is the set, exactly, no
 * member in two, ascending. An open item goes, as one member, into the last piece.
 *	struct uidset_split sp = { .set = &s, .budget = 8000 - fixed };
 *	while (uidset_split_next(&sp, &piece)) ...
 */
#define UIDSET_SPLIT_MIN 21 /* "4294967294:4294967295" */
struct uidset_split {
	const struct uidset *set;
	size_t budget;        /* bytes of text a piece may have, >= UIDSET_SPLIT_MIN */
	uint64_t max_members; /* members a piece may have (RFC 9738 MESSAGELIMIT); 0: no limit */
	/* Private, 0 at the start. */
	size_t i;
	uint32_t done; /* the largest member already given out */
	bool star_done;
};
bool uidset_split_next(struct uidset_split *sp, struct uidset *piece);

/*
 * For reads: a superset of `s` that costs fewer bytes both ways, made by closing the gaps that
 * cost least for as long as it pays. Ask for it, and drop the answers about numbers not in `s`.
 * Never for STORE, COPY, MOVE, EXPUNGE. Nothing below the smallest or above the largest member
 * of `s` is added.
 */
struct uidset_read_cost {
	size_t budget;        /* bytes of text one command may have, >= UIDSET_SPLIT_MIN */
	size_t command_bytes; /* what each further command costs */
	size_t reply_bytes;   /* what the answer about one message not asked for costs */
	const struct uidset *in_use; /* numbers that can be answered, not open; NULL: all */
};
void uidset_cover(struct uidset *out, const struct uidset *s, const struct uidset_read_cost *cost);

#endif
