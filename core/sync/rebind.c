#include "core/sync/rebind.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

void rebind_release(struct rebind *r)
{
	free(r->pair);
	free(r->stored_doubts.v);
	free(r->source_doubts.v);
	*r = (struct rebind){ 0 };
}

/* Indices of one side, in some order. */
struct order {
	uint32_t *v;
	size_t n;
};

/* Without dates all have the same. */
static int64_t date_of(const struct changes *c, uint32_t i)
{
	return c->dates ? c->dates[i] : 0;
}

/* A size of UINT32_MAX is that or more. */
static bool is_described(const struct changes *c, uint32_t i)
{
	return date_of(c, i) != CHANGES_NO_DATE && c->v[i].size != 0 && c->v[i].size != UINT32_MAX;
}

static int compare_words(const struct changes *a, uint32_t i, const struct changes *b, uint32_t k)
{
	int64_t x = date_of(a, i), y = date_of(b, k);

	if (x != y)
		return x < y ? -1 : 1;
	return (a->v[i].size > b->v[k].size) - (a->v[i].size < b->v[k].size);
}

static int by_words(const void *x, const void *y, void *ctx)
{
	const struct changes *c = ctx;
	const uint32_t *a = x, *b = y;
	int diff = compare_words(c, *a, c, *b);

	return diff ? diff : (*a > *b) - (*a < *b);
}

static int by_source_uid(const void *x, const void *y, void *ctx)
{
	const struct changes *c = ctx;
	uint32_t a = c->v[*(const uint32_t *)x].source_uid;
	uint32_t b = c->v[*(const uint32_t *)y].source_uid;

	return (a > b) - (a < b);
}

/* Those bound to the source, in the order of the UIDs they had there. */
static struct order order_bound(const struct changes *stored)
{
	struct order o = { .v = xcalloc(stored->n, sizeof(*o.v)) };
	bool sorted = true;

	for (uint32_t i = 0; i < stored->n; i++) {
		if (stored->v[i].source_uid == 0)
			continue;
		sorted &= o.n == 0 || by_source_uid(&o.v[o.n - 1], &i, (void *)(uintptr_t)stored) < 0;
		o.v[o.n++] = i;
	}
	if (!sorted)
		qsort_r(o.v, o.n, sizeof(*o.v), by_source_uid, (void *)(uintptr_t)stored);
	return o;
}

/* Whether both sides say the same of the first message, the second, and so on to the last. */
static bool agrees_by_rank(const struct changes *stored, const struct order *bound,
			   const struct changes *source)
{
	if (bound->n != source->n)
		return false;
	for (uint32_t i = 0; i < source->n; i++)
		if (!is_described(source, i) || !is_described(stored, bound->v[i]) ||
		    compare_words(stored, bound->v[i], source, i) != 0)
			return false;
	return true;
}

/* By date and size; what does not tell them is left out. `from` NULL: all of them. */
static struct order order_words(const struct changes *c, const struct order *from)
{
	size_t n = from ? from->n : c->n;
	struct order o = { .v = xcalloc(n, sizeof(*o.v)) };

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = from ? from->v[i] : i;

		if (is_described(c, at))
			o.v[o.n++] = at;
	}
	if (o.n)
		qsort_r(o.v, o.n, sizeof(*o.v), by_words, (void *)(uintptr_t)c);
	return o;
}

/* How many from `at` on have the date of that one; or the date and the size. */
static size_t run_of(const struct changes *c, const struct order *o, size_t at, bool size)
{
	size_t n = 1;

	while (at + n < o->n && date_of(c, o->v[at + n]) == date_of(c, o->v[at]) &&
	       (!size || c->v[o->v[at + n]].size == c->v[o->v[at]].size))
		n++;
	return n;
}

static void add_doubts(struct rebind_doubts *d, const uint32_t *at, size_t n, uint32_t group)
{
	for (size_t i = 0; i < n; i++) {
		d->v = xgrow(d->v, d->n, &d->cap, sizeof(*d->v));
		d->v[d->n++] = (struct rebind_doubt){ .at = at[i], .group = group };
	}
}

static void make_pair(struct rebind *r, uint32_t stored, uint32_t source)
{
	r->pair[stored] = source;
	r->paired++;
}

/* Those of one date: n and m of them. `believed`: what is the only one of its size is paired. */
static void match_date(struct rebind *r, struct order stored, struct order source, bool believed,
		       uint32_t *group)
{
	for (size_t i = 0, k = 0; i < stored.n && k < source.n;) {
		int diff = compare_words(r->stored, stored.v[i], r->source, source.v[k]);
		size_t n = diff <= 0 ? run_of(r->stored, &stored, i, true) : 0;
		size_t m = diff >= 0 ? run_of(r->source, &source, k, true) : 0;

		if (n == 1 && m == 1 && believed) {
			make_pair(r, stored.v[i], source.v[k]);
		} else if (n > 0 && m > 0) {
			add_doubts(&r->stored_doubts, &stored.v[i], n, *group);
			add_doubts(&r->source_doubts, &source.v[k], m, *group);
			++*group;
		}
		i += n;
		k += m;
	}
}

static void match(struct rebind *r, const struct order *stored, const struct order *source,
		  bool agree)
{
	bool looked_at = r->source->n <= REBIND_FEW || !r->source->dates;
	uint32_t group = 0;

	for (size_t i = 0, k = 0; i < stored->n && k < source->n;) {
		int64_t x = date_of(r->stored, stored->v[i]), y = date_of(r->source, source->v[k]);
		size_t n = x <= y ? run_of(r->stored, stored, i, false) : 0;
		size_t m = x >= y ? run_of(r->source, source, k, false) : 0;

		if (n > 0 && m > 0)
			match_date(r, (struct order){ &stored->v[i], n },
				   (struct order){ &source->v[k], m },
				   !looked_at && (agree || (n == 1 && m == 1)), &group);
		i += n;
		k += m;
	}
}

static int by_place(const void *x, const void *y)
{
	const struct rebind_doubt *a = x, *b = y;

	return (a->at > b->at) - (a->at < b->at);
}

static void sort_doubts(struct rebind_doubts *d, int (*compare)(const void *, const void *))
{
	if (d->n)
		qsort(d->v, d->n, sizeof(*d->v), compare);
}

void rebind_describe(struct rebind *r, const struct changes *stored, const struct changes *source)
{
	struct order bound, x, y;
	bool agree;

	assert(stored->n == 0 || source->n == 0 || !stored->dates == !source->dates);
	*r = (struct rebind){ .stored = stored, .source = source };
	r->pair = xmalloc((stored->n + 1) * sizeof(*r->pair));
	memset(r->pair, 0xff, stored->n * sizeof(*r->pair));
	bound = order_bound(stored);
	r->bound = bound.n;
	agree = agrees_by_rank(stored, &bound, source);
	x = order_words(stored, &bound);
	y = order_words(source, NULL);
	free(bound.v);
	match(r, &x, &y, agree);
	free(x.v);
	free(y.v);
	sort_doubts(&r->stored_doubts, by_place);
	sort_doubts(&r->source_doubts, by_place);
}

/* --- in doubt --- */

static int compare_uid(const void *key, const void *e)
{
	uint32_t uid = *(const uint32_t *)key, other = ((const struct entry *)e)->uid;

	return (uid > other) - (uid < other);
}

static struct rebind_doubt *find_doubt(struct rebind_doubts *d, const struct changes *c, uint32_t uid)
{
	const struct entry *e = c->n ? bsearch(&uid, c->v, c->n, sizeof(*c->v), compare_uid) : NULL;
	struct rebind_doubt key;

	if (!e || d->n == 0)
		return NULL;
	key.at = (uint32_t)(e - c->v);
	return bsearch(&key, d->v, d->n, sizeof(*d->v), by_place);
}

void rebind_tell_stored(struct rebind *r, uint32_t uid, const uint8_t header[REBIND_HASH_SIZE],
			const uint8_t content[REBIND_HASH_SIZE])
{
	struct rebind_doubt *d = find_doubt(&r->stored_doubts, r->stored, uid);

	if (!d)
		return;
	d->told = true;
	memcpy(d->header, header, REBIND_HASH_SIZE);
	memcpy(d->content, content, REBIND_HASH_SIZE);
}

void rebind_tell_source(struct rebind *r, uint32_t uid, const uint8_t header[REBIND_HASH_SIZE])
{
	struct rebind_doubt *d = find_doubt(&r->source_doubts, r->source, uid);

	if (!d)
		return;
	d->told = true;
	memcpy(d->header, header, REBIND_HASH_SIZE);
}

static int by_header(const void *x, const void *y)
{
	const struct rebind_doubt *a = x, *b = y;
	int diff;

	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	diff = memcmp(a->header, b->header, REBIND_HASH_SIZE);
	return diff ? diff : by_place(x, y);
}

struct span {
	struct rebind_doubt *v;
	size_t n;
};

static struct span next_group(const struct rebind_doubts *d, size_t at)
{
	struct span s = { .v = d->v + at };

	while (at + s.n < d->n && s.v[s.n].group == s.v->group)
		s.n++;
	return s;
}

static bool all_told(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!s.v[i].told)
			return false;
	return true;
}

static size_t same_header(struct span s)
{
	size_t n = 1;

	while (n < s.n && memcmp(s.v[n].header, s.v->header, REBIND_HASH_SIZE) == 0)
		n++;
	return n;
}

static bool same_content(struct span s)
{
	for (size_t i = 1; i < s.n; i++)
		if (memcmp(s.v[i].content, s.v->content, REBIND_HASH_SIZE) != 0)
			return false;
	return true;
}

static struct span skip(struct span s, size_t n)
{
	return (struct span){ .v = s.v + n, .n = s.n - n };
}

/* Those of one group, on both sides: by header. */
static void settle_group(struct rebind *r, struct span stored, struct span source)
{
	while (stored.n > 0 && source.n > 0) {
		int diff = memcmp(stored.v->header, source.v->header, REBIND_HASH_SIZE);
		struct span x = { stored.v, diff <= 0 ? same_header(stored) : 0 };
		struct span y = { source.v, diff >= 0 ? same_header(source) : 0 };

		/* More at the source than here: which of them are those stored? */
		if (y.n > 0 && y.n <= x.n && same_content(x))
			for (size_t i = 0; i < y.n; i++)
				make_pair(r, x.v[i].at, y.v[i].at);
		stored = skip(stored, x.n);
		source = skip(source, y.n);
	}
}

void rebind_settle(struct rebind *r)
{
	struct rebind_doubts *stored = &r->stored_doubts, *source = &r->source_doubts;

	sort_doubts(stored, by_header);
	sort_doubts(source, by_header);
	/* Every group has members on both sides. */
	for (size_t i = 0, k = 0; i < stored->n;) {
		struct span x = next_group(stored, i), y = next_group(source, k);

		/* One that is not known may be the partner of any. */
		if (all_told(x) && all_told(y))
			settle_group(r, x, y);
		i += x.n;
		k += y.n;
	}
}

bool rebind_keeps_uids(const struct rebind *r)
{
	for (size_t i = 0; i < r->stored->n; i++)
		if (r->pair[i] != REBIND_NONE &&
		    r->source->v[r->pair[i]].uid != r->stored->v[i].source_uid)
			return false;
	return true;
}
