#include "core/msgset/uidset.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/msgset/uidtext.h"

/* Where the next part of the current item ends, when `room` members may still be taken. */
static uint32_t part_end(const struct uidset_item *it, uint32_t lo, uint64_t room)
{
	return room <= it->hi - lo ? lo + (uint32_t)(room - 1) : it->hi;
}

bool uidset_split_next(struct uidset_split *sp, struct uidset *piece)
{
	const struct uidset *s = sp->set;
	uint64_t room = sp->max_members ? sp->max_members : UINT64_MAX;
	size_t used = 0;

	assert(sp->budget >= UIDSET_SPLIT_MIN);
	uidset_clear(piece);
	while (sp->i < s->n && room > 0) {
		const struct uidset_item *it = &s->items[sp->i];
		uint32_t lo = it->lo > sp->done ? it->lo : sp->done + 1;
		uint32_t hi = part_end(it, lo, room);
		size_t size = uidtext_size(lo, hi) + (used > 0);

		if (size > sp->budget - used)
			return true;
		uidset_add_range(piece, lo, hi);
		used += size;
		room -= (uint64_t)hi - lo + 1;
		sp->done = hi;
		sp->i += hi == it->hi;
	}
	if (sp->i == s->n && s->star && !sp->star_done && room > 0 &&
	    uidtext_size(s->star, UIDSET_STAR) + (used > 0) <= sp->budget - used) {
		uidset_add_star(piece, s->star);
		sp->star_done = true;
	}
	return !uidset_is_empty(piece);
}

/* The numbers between items[i] and items[i + 1]. */
struct gap {
	uint64_t answers; /* how many of them would be answered */
	size_t i;
};

static int compare_gaps(const void *x, const void *y)
{
	const struct gap *a = x, *b = y;

	if (a->answers != b->answers)
		return a->answers < b->answers ? -1 : 1;
	return (a->i > b->i) - (a->i < b->i);
}

static struct gap *list_gaps(const struct uidset *s, const struct uidset *in_use)
{
	struct gap *gaps = xcalloc(s->n - 1, sizeof(*gaps));

	for (size_t i = 0; i + 1 < s->n; i++) {
		uint32_t lo = s->items[i].hi + 1, hi = s->items[i + 1].lo - 1;

		gaps[i].i = i;
		gaps[i].answers = in_use ? uidset_count_in(in_use, lo, hi) : hi - lo + 1;
	}
	qsort(gaps, s->n - 1, sizeof(*gaps), compare_gaps);
	return gaps;
}

/*
 * Bytes of text saved by closing gap `i`, given which are closed: `a:b,c:d` becomes `a:d`. A
 * bound goes only where its side is a range by now; `a,d` becomes `a:d`, which saves nothing.
 */
static size_t saved_by_closing(const struct uidset *s, const bool *closed, size_t i)
{
	const struct uidset_item *l = &s->items[i], *r = &s->items[i + 1];
	bool l_is_range = l->lo != l->hi || (i > 0 && closed[i - 1]);
	bool r_is_range = r->lo != r->hi || (i + 2 < s->n && closed[i + 1]);

	return (l_is_range ? uidtext_size(l->hi, l->hi) + 1 : 0) +
	       (r_is_range ? uidtext_size(r->lo, r->lo) + 1 : 0);
}

/* Bytes both ways, without the answers that are wanted. */
static uint64_t total_cost(const struct uidset_read_cost *cost, size_t text, uint64_t answers)
{
	uint64_t commands = (text + cost->budget - 1) / cost->budget, extra, total;

	if (__builtin_mul_overflow(answers, cost->reply_bytes, &extra) ||
	    __builtin_mul_overflow(commands, cost->command_bytes, &total) ||
	    __builtin_add_overflow(total, extra, &total) ||
	    __builtin_add_overflow(total, text, &total))
		return UINT64_MAX;
	return total;
}

/* How many of the gaps, cheapest first, to close. `closed` is all false, before and after. */
static size_t best_number(const struct uidset *s, const struct gap *gaps, bool *closed,
			  const struct uidset_read_cost *cost)
{
	size_t text = uidset_text_size(s), best = 0;
	uint64_t answers = 0, least = total_cost(cost, text, 0);

	for (size_t k = 0; k + 1 < s->n; k++) {
		uint64_t total;

		text -= saved_by_closing(s, closed, gaps[k].i);
		closed[gaps[k].i] = true;
		answers += gaps[k].answers;
		total = total_cost(cost, text, answers);
		if (total < least) {
			least = total;
			best = k + 1;
		}
	}
	for (size_t i = 0; i + 1 < s->n; i++)
		closed[i] = false;
	return best;
}

void uidset_cover(struct uidset *out, const struct uidset *s, const struct uidset_read_cost *cost)
{
	struct uidset res = UIDSET_INIT;
	struct gap *gaps;
	bool *closed;
	size_t best;

	assert(cost->budget >= UIDSET_SPLIT_MIN);
	uidset_copy(&res, s);
	if (s->n > 1) {
		gaps = list_gaps(s, cost->in_use);
		closed = xcalloc(s->n - 1, sizeof(*closed));
		best = best_number(s, gaps, closed, cost);
		for (size_t k = 0; k < best; k++)
			closed[gaps[k].i] = true;
		res.n = 0;
		for (size_t i = 0, from = 0; i < s->n; i++)
			if (i + 1 == s->n || !closed[i]) {
				uidset_add_range(&res, s->items[from].lo, s->items[i].hi);
				from = i + 1;
			}
		free(closed);
		free(gaps);
	}
	uidset_swap(out, &res);
	uidset_release(&res);
}
