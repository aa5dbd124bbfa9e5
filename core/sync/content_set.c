#include "core/sync/content_set.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

void content_set_release(struct content_set *set)
{
	free(set->v);
	*set = (struct content_set){ 0 };
}

void content_set_add(struct content_set *set, uint32_t uid, uint64_t size,
		     const uint8_t sha256[CONTENT_HASH_SIZE])
{
	struct content *c;

	set->v = xgrow(set->v, set->n, &set->cap, sizeof(*set->v));
	c = &set->v[set->n++];
	*c = (struct content){ .size = size, .uid = uid };
	memcpy(c->sha256, sha256, CONTENT_HASH_SIZE);
}

static int compare_content(const struct content *x, const struct content *y)
{
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return memcmp(x->sha256, y->sha256, CONTENT_HASH_SIZE);
}

static int compare(const void *a, const void *b)
{
	const struct content *x = a, *y = b;
	int c = compare_content(x, y);

	return c ? c : (x->uid > y->uid) - (x->uid < y->uid);
}

void content_set_close(struct content_set *set)
{
	if (set->n)
		qsort(set->v, set->n, sizeof(*set->v), compare);
}

/* Where the first that is not smaller than `c` is. */
static size_t position(const struct content_set *set, const struct content *c)
{
	size_t lo = 0, hi = set->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare_content(&set->v[mid], c) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool content_set_has_size(const struct content_set *set, uint64_t size)
{
	const struct content least = { .size = size };
	size_t at = position(set, &least);

	return at < set->n && set->v[at].size == size;
}

bool content_set_take(struct content_set *set, uint64_t size,
		      const uint8_t sha256[CONTENT_HASH_SIZE], uint32_t *uid)
{
	struct content c = { .size = size };
	size_t first, at;

	memcpy(c.sha256, sha256, CONTENT_HASH_SIZE);
	first = position(set, &c);
	if (first == set->n || compare_content(&set->v[first], &c) != 0)
		return false;
	at = first + set->v[first].taken;
	if (at == set->n || compare_content(&set->v[at], &c) != 0)
		return false;
	set->v[first].taken++;
	*uid = set->v[at].uid;
	return true;
}
