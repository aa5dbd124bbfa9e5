#include "core/msgset/uidlist.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/msgset/uidtext.h"

void uidlist_init(struct uidlist *l)
{
	*l = (struct uidlist)UIDLIST_INIT;
}

void uidlist_release(struct uidlist *l)
{
	free(l->items);
	uidlist_init(l);
}

void uidlist_clear(struct uidlist *l)
{
	l->n = 0;
	l->count = 0;
}

void uidlist_copy(struct uidlist *out, const struct uidlist *l)
{
	if (out == l)
		return;
	uidlist_clear(out);
	for (size_t i = 0; i < l->n; i++)
		uidlist_add(out, l->items[i].lo, l->items[i].hi);
}

void uidlist_add(struct uidlist *l, uint32_t a, uint32_t b)
{
	struct uidrange r = { .lo = a < b ? a : b, .hi = a < b ? b : a };

	assert(r.lo > 0);
	l->items = xgrow(l->items, l->n, &l->cap, sizeof(*l->items));
	l->items[l->n++] = r;
	l->count += (uint64_t)r.hi - r.lo + 1;
}

void uidlist_append(struct uidlist *l, uint32_t uid)
{
	struct uidrange *last = l->n ? &l->items[l->n - 1] : NULL;

	if (!last || uid == 0 || uid - 1 != last->hi) {
		uidlist_add(l, uid, uid);
		return;
	}
	last->hi = uid;
	l->count++;
}

void uidlist_to_set(const struct uidlist *l, struct uidset *out)
{
	struct uidset_builder b;

	uidset_builder_init(&b);
	for (size_t i = 0; i < l->n; i++)
		uidset_builder_add(&b, l->items[i].lo, l->items[i].hi);
	uidset_clear(out);
	uidset_builder_finish(&b, out);
	uidset_builder_release(&b);
}

bool uidlist_is_distinct(const struct uidlist *l)
{
	struct uidset s = UIDSET_INIT;
	bool ret;

	uidlist_to_set(l, &s);
	ret = uidset_count(&s) == l->count;
	uidset_release(&s);
	return ret;
}

int uidlist_parse(struct uidlist *out, struct bytes text, unsigned syntax,
		  const struct uidset_limits *limits, struct err *err)
{
	struct uidlist l = UIDLIST_INIT;
	struct uidtext t;
	uint64_t lo, hi;
	int more;

	assert(!(syntax & UIDSET_ALLOW_STAR));
	uidtext_init(&t, text, syntax, limits);
	while ((more = uidtext_next(&t, &lo, &hi, err)) > 0) {
		if (lo == 0) {
			more = uidtext_fail(&t, "0 or an empty item in an ordered list", err);
			break;
		}
		uidlist_add(&l, (uint32_t)lo, (uint32_t)hi);
	}
	if (more == 0) {
		struct uidlist old = *out;

		*out = l;
		l = old;
	}
	uidlist_release(&l);
	return more;
}

bool uidlist_format(const struct uidlist *l, struct buf *out)
{
	char item[UIDTEXT_MAX + 1];
	size_t size = l->n ? l->n - 1 : 0;

	for (size_t i = 0; i < l->n; i++)
		size += uidtext_size(l->items[i].lo, l->items[i].hi);
	if (!buf_reserve(out, size)) /* all or nothing: a cut list would be another list */
		return false;
	for (size_t i = 0; i < l->n; i++) {
		size_t n = uidtext_write(item, l->items[i].lo, l->items[i].hi);

		if (i + 1 < l->n)
			item[n++] = ',';
		buf_add(out, bytes_from(item, n));
	}
	return true;
}

int uidlist_pairs_init(struct uidlist_pairs *p, const struct uidlist *source,
		       const struct uidlist *target, const struct uidset *requested,
		       struct err *err)
{
	struct uidset s = UIDSET_INIT;
	int ret = 0;

	*p = (struct uidlist_pairs){ .source = source, .target = target };
	uidlist_to_set(source, &s);
	if (source->count != target->count)
		ret = err_set(err, ERR_MAILBOX, "COPYUID pairs %llu messages with %llu",
			      (unsigned long long)source->count,
			      (unsigned long long)target->count);
	else if (uidset_count(&s) != source->count || !uidlist_is_distinct(target))
		ret = err_set(err, ERR_MAILBOX, "COPYUID names a message twice");
	else if (requested && !uidset_is_subset(&s, requested))
		ret = err_set(err, ERR_MAILBOX, "COPYUID names a message that was not copied");
	if (ret < 0)
		p->i = source->n; /* no pair at all */
	uidset_release(&s);
	return ret;
}

/* Numbers left in the item under a cursor; 1:4294967295 holds 4294967295, which fits. */
static uint32_t left_in(struct uidrange r, uint32_t skip)
{
	return r.hi - r.lo + 1 - skip;
}

bool uidlist_pairs_next(struct uidlist_pairs *p, struct uidlist_run *run)
{
	struct uidrange s, t;
	uint32_t left_s, left_t;

	if (p->i == p->source->n)
		return false;
	s = p->source->items[p->i];
	t = p->target->items[p->j];
	left_s = left_in(s, p->skip_i);
	left_t = left_in(t, p->skip_j);
	run->n = left_s < left_t ? left_s : left_t;
	run->source = s.lo + p->skip_i;
	run->target = t.lo + p->skip_j;
	p->skip_i += run->n;
	p->skip_j += run->n;
	if (run->n == left_s) {
		p->i++;
		p->skip_i = 0;
	}
	if (run->n == left_t) {
		p->j++;
		p->skip_j = 0;
	}
	return true;
}
