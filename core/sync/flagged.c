#include "core/sync/flagged.h"

#include <stdlib.h>

#include "core/base/mem.h"

/* The UIDs of each combination of flags; there are few of these. NULL when not all known are stored. */
static struct uidset *by_combination(const struct changes *stored, const struct uidset *known)
{
	uint32_t n = flag_table_count(stored->flags);
	struct uidset_builder *b = xcalloc(n, sizeof(*b));
	struct uidset *out = xcalloc(n, sizeof(*out));
	uint64_t found = 0;

	for (uint32_t id = 0; id < n; id++)
		uidset_builder_init(&b[id]);
	for (size_t i = 0; i < stored->n; i++) {
		const struct entry *e = &stored->v[i];

		if (!e->source_uid || !uidset_has(known, e->source_uid))
			continue;
		uidset_builder_add(&b[e->base_flags], e->source_uid, e->source_uid);
		found++;
	}
	for (uint32_t id = 0; id < n; id++) {
		uidset_builder_finish(&b[id], &out[id]);
		uidset_builder_release(&b[id]);
	}
	free(b);
	if (found == 0 || found != uidset_count(known)) {
		for (uint32_t id = 0; id < n; id++)
			uidset_release(&out[id]);
		free(out);
		return NULL;
	}
	return out;
}

static struct flag_column *column_of(struct flagged *f, const char *keyword, size_t *cap)
{
	for (size_t i = FLAG_BITS; i < f->n; i++)
		if (bytes_is_nocase(bytes_of(f->v[i].flag), keyword))
			return &f->v[i];
	f->v = xgrow(f->v, f->n, cap, sizeof(*f->v));
	f->v[f->n] = (struct flag_column){ .flag = keyword };
	return &f->v[f->n++];
}

bool flagged_gather(struct flagged *out, const struct changes *stored, const struct uidset *known)
{
	struct uidset *sets = by_combination(stored, known);
	size_t cap = FLAG_BITS;

	*out = (struct flagged){ 0 };
	if (!sets)
		return false;
	out->v = xcalloc(cap, sizeof(*out->v));
	out->n = FLAG_BITS;
	for (uint32_t id = 0; id < flag_table_count(stored->flags); id++) {
		const struct flags *flags = flag_table_get(stored->flags, id);

		for (unsigned bit = 0; bit < FLAG_BITS; bit++)
			if (flags->bits >> bit & 1)
				uidset_union(&out->v[bit].set, &out->v[bit].set, &sets[id]);
		for (size_t i = 0; i < flags->count && !uidset_is_empty(&sets[id]); i++) {
			struct flag_column *c = column_of(out, flags->keywords[i], &cap);

			uidset_union(&c->set, &c->set, &sets[id]);
		}
		uidset_release(&sets[id]);
	}
	free(sets);
	return true;
}

void flagged_release(struct flagged *f)
{
	for (size_t i = 0; i < f->n; i++)
		uidset_release(&f->v[i].set);
	free(f->v);
	*f = (struct flagged){ 0 };
}
