#include "core/msgset/uidset.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/mem.h"

/*
 * The k-th place where membership changes: into item k / 2 for even k, past its end for odd
 * k. 64 bits, because the place after 4294967295 is one of them.
 */
static uint64_t edge(const struct uidset *s, size_t k)
{
	if (k / 2 >= s->n)
		return UINT64_MAX;
	return k % 2 ? (uint64_t)s->items[k / 2].hi + 1 : s->items[k / 2].lo;
}

/* Which numbers a result keeps: those in `a` only, in `b` only, in both. */
enum keep { KEEP_A = 1 << 1, KEEP_B = 1 << 2, KEEP_BOTH = 1 << 3 };

/*
 * One sweep over the edges of both. Adjacent ranges come out merged by themselves: where one
 * ends and the next begins is a single place, at which the result does not change.
 */
static void combine(struct uidset *out, const struct uidset *a, const struct uidset *b,
		    unsigned keep)
{
	size_t i = 0, j = 0;
	uint64_t start = 0;
	bool was = false;

	while (i < 2 * a->n || j < 2 * b->n) {
		uint64_t ea = edge(a, i), eb = edge(b, j);
		uint64_t at = ea < eb ? ea : eb;
		bool now;

		i += ea == at;
		j += eb == at;
		now = keep >> (i % 2 + 2 * (j % 2)) & 1;
		if (now && !was)
			start = at;
		if (was && !now)
			uidset_add_range(out, (uint32_t)start, (uint32_t)(at - 1));
		was = now;
	}
}

static void combine_closed(struct uidset *out, const struct uidset *a, const struct uidset *b,
			   unsigned keep)
{
	struct uidset res = UIDSET_INIT;

	assert(!uidset_is_open(a));
	assert(!uidset_is_open(b));
	combine(&res, a, b, keep);
	res.last = a->last;
	uidset_swap(out, &res);
	uidset_release(&res);
}

void uidset_union(struct uidset *out, const struct uidset *a, const struct uidset *b)
{
	struct uidset res = UIDSET_INIT;

	combine(&res, a, b, KEEP_A | KEEP_B | KEEP_BOTH);
	res.last = a->last;
	if (a->star)
		uidset_add_star(&res, a->star);
	if (b->star)
		uidset_add_star(&res, b->star);
	uidset_swap(out, &res);
	uidset_release(&res);
}

void uidset_intersect(struct uidset *out, const struct uidset *a, const struct uidset *b)
{
	combine_closed(out, a, b, KEEP_BOTH);
}

void uidset_subtract(struct uidset *out, const struct uidset *a, const struct uidset *b)
{
	combine_closed(out, a, b, KEEP_A);
}

void uidset_xor(struct uidset *out, const struct uidset *a, const struct uidset *b)
{
	combine_closed(out, a, b, KEEP_A | KEEP_B);
}

void uidset_complement(struct uidset *out, const struct uidset *a, uint32_t last)
{
	struct uidset all = UIDSET_INIT;

	if (last)
		uidset_add_range(&all, 1, last);
	all.last = a->last;
	combine_closed(out, &all, a, KEEP_A);
	uidset_release(&all);
}

bool uidset_equal(const struct uidset *a, const struct uidset *b)
{
	if (a->n != b->n || a->star != b->star)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->items[i].lo != b->items[i].lo || a->items[i].hi != b->items[i].hi)
			return false;
	return true;
}

bool uidset_is_subset(const struct uidset *a, const struct uidset *b)
{
	size_t j = 0;

	assert(!uidset_is_open(a));
	assert(!uidset_is_open(b));
	for (size_t i = 0; i < a->n; i++) {
		while (j < b->n && b->items[j].hi < a->items[i].lo)
			j++;
		if (j == b->n || b->items[j].lo > a->items[i].lo ||
		    b->items[j].hi < a->items[i].hi)
			return false;
	}
	return true;
}

void uidset_builder_init(struct uidset_builder *b)
{
	*b = (struct uidset_builder){ .sorted = true };
}

void uidset_builder_release(struct uidset_builder *b)
{
	free(b->ranges);
	uidset_builder_init(b);
}

static int compare_lo(const void *x, const void *y)
{
	const struct uidrange *a = x, *b = y;

	return (a->lo > b->lo) - (a->lo < b->lo);
}

/* Sort, and merge what overlaps or touches. */
static void builder_compact(struct uidset_builder *b)
{
	size_t n = 0;

	if (b->sorted)
		return;
	qsort(b->ranges, b->n, sizeof(*b->ranges), compare_lo);
	for (size_t i = 1; i < b->n; i++) {
		if (b->ranges[i].lo > (uint64_t)b->ranges[n].hi + 1)
			b->ranges[++n] = b->ranges[i];
		else if (b->ranges[i].hi > b->ranges[n].hi)
			b->ranges[n].hi = b->ranges[i].hi;
	}
	b->n = n + 1;
	b->sorted = true;
}

/*
 * Doubles are merged before memory grows, so that a server that repeats itself costs nothing. Then
 * three quarters are left free: all the sorting in between adds a third to the last one.
 */
static void builder_make_room(struct uidset_builder *b)
{
	bool was_sorted = b->sorted;
	size_t want;

	builder_compact(b);
	want = was_sorted ? b->n + 1 : 4 * b->n;
	while (b->cap < want)
		b->ranges = xgrow(b->ranges, b->cap, &b->cap, sizeof(*b->ranges));
}

void uidset_builder_add(struct uidset_builder *b, uint32_t lo, uint32_t hi)
{
	struct uidrange r = { .lo = lo < hi ? lo : hi, .hi = lo < hi ? hi : lo };
	struct uidrange *tail = b->n ? &b->ranges[b->n - 1] : NULL;

	if (r.hi == 0)
		return;
	if (r.lo == 0)
		r.lo = 1;
	if (tail && r.lo >= tail->lo && r.lo <= (uint64_t)tail->hi + 1) {
		if (r.hi > tail->hi)
			tail->hi = r.hi;
		return;
	}
	if (b->n == b->cap)
		builder_make_room(b);
	if (b->n && r.lo <= (uint64_t)b->ranges[b->n - 1].hi + 1)
		b->sorted = false;
	b->ranges[b->n++] = r;
}

void uidset_builder_add_star(struct uidset_builder *b, uint64_t n)
{
	assert(n <= UIDSET_STAR);
	if (n == 0)
		n = 1;
	if (b->star == 0 || n < b->star)
		b->star = n;
}

void uidset_builder_finish(struct uidset_builder *b, struct uidset *out)
{
	struct uidset got = UIDSET_INIT;

	builder_compact(b);
	for (size_t i = 0; i < b->n; i++)
		uidset_add_range(&got, b->ranges[i].lo, b->ranges[i].hi);
	if (b->star)
		uidset_add_star(&got, b->star);
	uidset_union(out, out, &got);
	uidset_release(&got);
	b->n = 0;
	b->star = 0;
	b->sorted = true;
}
