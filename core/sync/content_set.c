#include "core/sync/content_set.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

void content_set_release(struct content_set *set)
{
	free(set->v);
	*set = (struct content_set){ 0 };
}

void content_set_add(struct content_set *set, uint64_t size,
		     const uint8_t sha256[CONTENT_HASH_SIZE])
{
	struct content *c;

	set->v = xgrow(set->v, set->n, &set->cap, sizeof(*set->v));
	c = &set->v[set->n++];
	c->size = size;
	c->left = 1;
	memcpy(c->sha256, sha256, CONTENT_HASH_SIZE);
}

static int compare(const void *a, const void *b)
{
	const struct content *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return memcmp(x->sha256, y->sha256, CONTENT_HASH_SIZE);
}

void content_set_close(struct content_set *set)
{
	size_t n = 0;

	if (set->n)
		qsort(set->v, set->n, sizeof(*set->v), compare);
	for (size_t i = 0; i < set->n; i++)
		if (n > 0 && compare(&set->v[n - 1], &set->v[i]) == 0)
			set->v[n - 1].left++;
		else
			set->v[n++] = set->v[i];
	set->n = n;
}

/* Where the first that is not smaller than `c` is. */
static size_t position(const struct content_set *set, const struct content *c)
{
	size_t lo = 0, hi = set->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare(&set->v[mid], c) < 0)
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
		      const uint8_t sha256[CONTENT_HASH_SIZE])
{
	struct content c = { .size = size };
	size_t at;

	memcpy(c.sha256, sha256, CONTENT_HASH_SIZE);
	at = position(set, &c);
	if (at == set->n || compare(&set->v[at], &c) != 0 || set->v[at].left == 0)
		return false;
	set->v[at].left--;
	return true;
}
