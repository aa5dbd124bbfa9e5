#include "core/msgset/uidset.h"

#include "core/base/buf.h"
#include "core/msgset/uidtext.h"

static void gather(struct uidset_builder *b, uint64_t lo, uint64_t hi)
{
	if (hi == UIDSET_STAR)
		uidset_builder_add_star(b, lo);
	else
		uidset_builder_add(b, (uint32_t)lo, (uint32_t)hi);
}

int uidset_parse(struct uidset *out, struct bytes text, unsigned syntax,
		 const struct uidset_limits *limits, struct err *err)
{
	struct uidset_builder b;
	struct uidtext t;
	uint32_t last = out->last;
	uint64_t lo, hi;
	int more;

	uidset_builder_init(&b);
	uidtext_init(&t, text, syntax, limits);
	while ((more = uidtext_next(&t, &lo, &hi, err)) > 0)
		gather(&b, lo, hi);
	if (more == 0) {
		uidset_clear(out);
		out->last = last;
		uidset_builder_finish(&b, out);
	}
	uidset_builder_release(&b);
	return more;
}

size_t uidset_text_size(const struct uidset *s)
{
	size_t commas = s->n + (s->star != 0), n = commas ? commas - 1 : 0;

	for (size_t i = 0; i < s->n; i++)
		n += uidtext_size(s->items[i].lo, s->items[i].hi);
	return s->star ? n + uidtext_size(s->star, UIDSET_STAR) : n;
}

bool uidset_format(const struct uidset *s, struct buf *out)
{
	char item[UIDTEXT_MAX + 1];

	/* All or nothing: a cut set would be another set. */
	if (!buf_reserve(out, uidset_text_size(s)))
		return false;
	for (size_t i = 0; i < s->n; i++) {
		size_t n = uidtext_write(item, s->items[i].lo, s->items[i].hi);

		if (i + 1 < s->n || s->star)
			item[n++] = ',';
		buf_add(out, bytes_from(item, n));
	}
	if (s->star)
		buf_add(out, bytes_from(item, uidtext_write(item, s->star, UIDSET_STAR)));
	return true;
}
