#include "core/sync/bound.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/sync/store.h"

static int compare_bound(const void *a, const void *b)
{
	const struct bound *x = a, *y = b;

	return (x->source_uid > y->source_uid) - (x->source_uid < y->source_uid);
}

struct bound *bound_messages(const struct changes *target, size_t *n)
{
	struct bound *v = xcalloc(target ? target->n : 0, sizeof(*v));
	bool sorted = true;

	*n = 0;
	for (size_t i = 0; target && i < target->n; i++) {
		uint32_t uid = target->v[i].source_uid;

		if (uid == 0)
			continue;
		sorted &= *n == 0 || v[*n - 1].source_uid < uid;
		v[(*n)++] = (struct bound){ .source_uid = uid, .index = (uint32_t)i };
	}
	if (!sorted) /* qsort() takes as much memory again */
		qsort(v, *n, sizeof(*v), compare_bound);
	return v;
}
