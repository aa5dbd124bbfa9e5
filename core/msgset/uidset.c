#include "core/msgset/uidset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/mem.h"

/*
 * Invariants:
 * 1. items ascend, and between two lies at least one number: items[i].hi + 1 < items[i + 1].lo.
 * 2. items[i].before is the number of members in items[0..i-1]; it fits 32 bits, as the
 *    number of all possible members does.
 * 3. star is 0 when last is known, and no item reaches n - 1 when star is the n of `n:*`.
 */

void uidset_init(struct uidset *s)
{
	*s = (struct uidset)UIDSET_INIT;
}

void uidset_release(struct uidset *s)
{
	free(s->items);
	uidset_init(s);
}

void uidset_clear(struct uidset *s)
{
	s->n = 0;
	s->star = 0;
	s->last = 0;
}

void uidset_copy(struct uidset *out, const struct uidset *s)
{
	if (out == s)
		return;
	if (out->cap < s->n) {
		free(out->items);
		out->items = xcalloc(s->n, sizeof(*out->items));
		out->cap = s->n;
	}
	if (s->n)
		memcpy(out->items, s->items, s->n * sizeof(*out->items));
	out->n = s->n;
	out->star = s->star;
	out->last = s->last;
}

void uidset_swap(struct uidset *a, struct uidset *b)
{
	struct uidset t = *a;

	*a = *b;
	*b = t;
}

/* Index of the first item that ends at `x` or above; s->n when there is none. */
static size_t find(const struct uidset *s, uint32_t x)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->items[mid].hi < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint32_t item_size(const struct uidset_item *it)
{
	return it->hi - it->lo + 1;
}

/* Put `k` ranges (at most 2) in the place of items[from..to-1]. */
static void splice(struct uidset *s, size_t from, size_t to, const struct uidrange *with, size_t k)
{
	uint32_t before = 0;

	if (s->n - (to - from) + k > s->cap)
		s->items = xgrow(s->items, s->cap, &s->cap, sizeof(*s->items));
	if (to < s->n && from + k != to)
		memmove(s->items + from + k, s->items + to, (s->n - to) * sizeof(*s->items));
	s->n = s->n - (to - from) + k;
	for (size_t i = 0; i < k; i++) {
		s->items[from + i].lo = with[i].lo;
		s->items[from + i].hi = with[i].hi;
	}
	if (from > 0)
		before = s->items[from - 1].before + item_size(&s->items[from - 1]);
	for (size_t i = from; i < s->n; i++) {
		s->items[i].before = before;
		before += item_size(&s->items[i]);
	}
}

static void order(uint32_t *a, uint32_t *b)
{
	uint32_t t = *a;

	if (*a > *b) {
		*a = *b;
		*b = t;
	}
	if (*a == 0 && *b != 0)
		*a = 1;
}

/* Let `n:*` swallow what it covers or touches. */
static void star_swallow(struct uidset *s)
{
	if (s->star == 0 || s->star == UIDSET_STAR)
		return;
	while (s->n > 0 && (uint64_t)s->items[s->n - 1].hi + 1 >= s->star) {
		s->n--;
		if (s->items[s->n].lo < s->star)
			s->star = s->items[s->n].lo;
	}
}

void uidset_add(struct uidset *s, uint32_t uid)
{
	uidset_add_range(s, uid, uid);
}

/* Whether lo:hi lies above all items or grows the last one, the common case; then it is done. */
static bool add_at_end(struct uidset *s, uint32_t lo, uint32_t hi)
{
	struct uidset_item *tail = s->n ? &s->items[s->n - 1] : NULL;
	uint32_t before = 0;

	if (tail && lo < tail->lo)
		return false;
	if (tail && lo <= (uint64_t)tail->hi + 1) {
		if (hi > tail->hi)
			tail->hi = hi;
		return true;
	}
	if (tail)
		before = tail->before + item_size(tail);
	s->items = xgrow(s->items, s->n, &s->cap, sizeof(*s->items));
	s->items[s->n++] = (struct uidset_item){ .lo = lo, .hi = hi, .before = before };
	return true;
}

void uidset_add_range(struct uidset *s, uint32_t a, uint32_t b)
{
	struct uidrange r;
	size_t from, to;

	order(&a, &b);
	if (b == 0)
		return;
	if (s->star && s->star != UIDSET_STAR && (uint64_t)b + 1 >= s->star) {
		uidset_add_star(s, a);
		return;
	}
	if (add_at_end(s, a, b))
		return;
	from = find(s, a - 1); /* a neighbour that ends at a - 1 merges */
	for (to = from; to < s->n && s->items[to].lo <= (uint64_t)b + 1; to++)
		;
	r = (struct uidrange){ .lo = a, .hi = b };
	if (to > from && s->items[from].lo < a)
		r.lo = s->items[from].lo;
	if (to > from && s->items[to - 1].hi > b)
		r.hi = s->items[to - 1].hi;
	splice(s, from, to, &r, 1);
}

void uidset_add_star(struct uidset *s, uint64_t n)
{
	assert(n <= UIDSET_STAR);
	if (n == 0)
		n = 1;
	if (s->last) {
		uidset_add_range(s, n == UIDSET_STAR ? s->last : (uint32_t)n, s->last);
		return;
	}
	if (s->star == 0 || n < s->star)
		s->star = n;
	star_swallow(s);
}

void uidset_remove(struct uidset *s, uint32_t uid)
{
	uidset_remove_range(s, uid, uid);
}

void uidset_remove_range(struct uidset *s, uint32_t a, uint32_t b)
{
	struct uidrange rest[2];
	size_t from, to, k = 0;

	assert(!uidset_is_open(s));
	order(&a, &b);
	if (b == 0)
		return;
	from = find(s, a);
	for (to = from; to < s->n && s->items[to].lo <= b; to++)
		;
	if (to == from)
		return;
	if (s->items[from].lo < a)
		rest[k++] = (struct uidrange){ .lo = s->items[from].lo, .hi = a - 1 };
	if (s->items[to - 1].hi > b)
		rest[k++] = (struct uidrange){ .lo = b + 1, .hi = s->items[to - 1].hi };
	splice(s, from, to, rest, k);
}

uint32_t uidset_remove_nth(struct uidset *s, uint32_t k)
{
	uint32_t uid = uidset_select(s, k);

	uidset_remove(s, uid);
	return uid;
}

int uidset_set_last(struct uidset *s, uint32_t last, struct err *err)
{
	uint64_t n = s->star;

	if (last == 0)
		return err_set(err, ERR_CONFIG, "message set: '*' cannot stand for 0");
	if (s->last)
		return err_set(err, ERR_CONFIG, "message set: '*' already stands for %u", s->last);
	s->last = last;
	s->star = 0;
	if (n)
		uidset_add_star(s, n);
	return 0;
}

enum uidset_answer uidset_contains(const struct uidset *s, uint32_t uid)
{
	size_t i = find(s, uid);

	if (uid == 0)
		return UIDSET_NO;
	if (i < s->n && s->items[i].lo <= uid)
		return UIDSET_YES;
	if (s->star == uid)
		return UIDSET_YES;
	return s->star ? UIDSET_UNKNOWN : UIDSET_NO;
}

bool uidset_has(const struct uidset *s, uint32_t uid)
{
	assert(!uidset_is_open(s));
	return uidset_contains(s, uid) == UIDSET_YES;
}

static uint32_t count_items(const struct uidset *s)
{
	return s->n ? s->items[s->n - 1].before + item_size(&s->items[s->n - 1]) : 0;
}

static int fail_open(struct err *err)
{
	return err_set(err, ERR_CONFIG,
		       "message set: the number that '*' stands for is not known");
}

int uidset_size(const struct uidset *s, uint64_t *out, struct err *err)
{
	if (s->star && s->star != UIDSET_STAR)
		return fail_open(err);
	*out = uidset_count(s);
	return 0;
}

uint64_t uidset_count(const struct uidset *s)
{
	assert(s->star == 0 || s->star == UIDSET_STAR);
	return (uint64_t)count_items(s) + (s->star ? 1 : 0);
}

uint32_t uidset_min(const struct uidset *s)
{
	assert(!uidset_is_open(s));
	return s->n ? s->items[0].lo : 0;
}

uint32_t uidset_max(const struct uidset *s)
{
	assert(!uidset_is_open(s));
	return s->n ? s->items[s->n - 1].hi : 0;
}

uint32_t uidset_next(const struct uidset *s, uint32_t after)
{
	size_t i;

	assert(!uidset_is_open(s));
	if (after == UINT32_MAX)
		return 0;
	i = find(s, after + 1);
	if (i == s->n)
		return 0;
	return s->items[i].lo > after ? s->items[i].lo : after + 1;
}

/* How many members are `uid` or less. */
static uint32_t count_up_to(const struct uidset *s, uint32_t uid)
{
	size_t i = find(s, uid);

	if (i == s->n)
		return count_items(s);
	if (s->items[i].lo > uid)
		return s->items[i].before;
	return s->items[i].before + (uid - s->items[i].lo + 1);
}

uint32_t uidset_rank(const struct uidset *s, uint32_t uid)
{
	return uidset_has(s, uid) ? count_up_to(s, uid) : 0;
}

uint32_t uidset_select(const struct uidset *s, uint32_t k)
{
	size_t lo = 0, hi = s->n;

	assert(!uidset_is_open(s));
	if (k == 0 || k > count_items(s))
		return 0;
	while (hi - lo > 1) { /* the k-th member is in items[lo..hi-1] */
		size_t mid = lo + (hi - lo) / 2;

		if (s->items[mid].before < k)
			lo = mid;
		else
			hi = mid;
	}
	return s->items[lo].lo + (k - s->items[lo].before - 1);
}

uint64_t uidset_count_in(const struct uidset *s, uint32_t a, uint32_t b)
{
	assert(!uidset_is_open(s));
	assert(a <= b);
	return count_up_to(s, b) - (a ? count_up_to(s, a - 1) : 0);
}

int uidset_iter_init(struct uidset_iter *it, const struct uidset *s, uidset_next_fn *next,
		     void *ctx, struct err *err)
{
	*it = (struct uidset_iter){ .set = s, .next = next, .ctx = ctx };
	return uidset_is_open(s) ? fail_open(err) : 0;
}

bool uidset_iter_next(struct uidset_iter *it, uint32_t *uid)
{
	const struct uidset *s = it->set;

	while (it->i < s->n) {
		const struct uidset_item *item = &s->items[it->i];
		uint32_t done = it->at < item->lo ? item->lo - 1 : it->at;
		uint32_t found;

		if (done >= item->hi) {
			it->i++;
			continue;
		}
		found = it->next ? it->next(it->ctx, done) : done + 1;
		if (found <= done) /* no more; a source that goes back cannot make us loop */
			break;
		if (found <= item->hi) {
			*uid = it->at = found;
			return true;
		}
		it->i++;
		it->at = found - 1;
	}
	it->i = s->n;
	return false;
}
