#include "core/sync/plan.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/mem.h"

void plan_init(struct plan *p)
{
	*p = (struct plan){ .fetch_exact = true };
}

void plan_release(struct plan *p)
{
	for (size_t i = 0; i < p->n_flags; i++) {
		flags_release(&p->flags[i].delta.add);
		flags_release(&p->flags[i].delta.remove);
		uidset_release(&p->flags[i].set);
	}
	free(p->flags);
	uidset_release(&p->fetch);
	uidset_release(&p->gone);
	uidset_release(&p->gone_source);
	uidset_release(&p->present);
	plan_init(p);
}

bool plan_is_empty(const struct plan *p)
{
	return uidset_is_empty(&p->fetch) && p->n_flags == 0 && uidset_is_empty(&p->gone);
}

/* A target message found by the source UID it is bound to. */
struct bound {
	uint32_t source_uid;
	uint32_t index; /* in target->v */
};

static int compare_bound(const void *a, const void *b)
{
	const struct bound *x = a, *y = b;

	return (x->source_uid > y->source_uid) - (x->source_uid < y->source_uid);
}

/* The target's messages that are bound to the source, by source UID. The caller frees it. */
static struct bound *bound_messages(const struct changes *target, size_t *n)
{
	struct bound *v = xcalloc(target ? target->n : 0, sizeof(*v));

	*n = 0;
	for (size_t i = 0; target && i < target->n; i++)
		if (target->v[i].source_uid != 0)
			v[(*n)++] = (struct bound){ .source_uid = target->v[i].source_uid,
						    .index = (uint32_t)i };
	if (*n)
		qsort(v, *n, sizeof(*v), compare_bound);
	return v;
}

/*
 * Which change a pair of flag combinations asks for, worked out once per distinct pair: there are few,
 * while there may be a million messages.
 */
struct pair {
	uint32_t have, want; /* ids in the target's and the wanting table */
	size_t change;       /* index in plan.flags, or SAME */
};

#define SAME SIZE_MAX

struct pairs {
	struct pair *v; /* open addressing; have == UINT32_MAX: free */
	size_t n, size; /* size is a power of two */
};

static size_t pair_slot(const struct pairs *t, uint32_t have, uint32_t want)
{
	uint64_t h = ((uint64_t)have << 32 | want) * 0x9e3779b97f4a7c15u;
	size_t i = (size_t)(h >> 32) & (t->size - 1);

	while (t->v[i].have != UINT32_MAX && (t->v[i].have != have || t->v[i].want != want))
		i = (i + 1) & (t->size - 1);
	return i;
}

static void pairs_grow(struct pairs *t)
{
	struct pairs old = *t;

	t->size = old.size ? old.size * 2 : 64;
	t->v = xcalloc(t->size, sizeof(*t->v));
	for (size_t i = 0; i < t->size; i++)
		t->v[i].have = UINT32_MAX;
	for (size_t i = 0; i < old.size; i++)
		if (old.v[i].have != UINT32_MAX)
			t->v[pair_slot(t, old.v[i].have, old.v[i].want)] = old.v[i];
	free(old.v);
}

/* The change from `have` to `want`, new ones at the end of plan.flags; SAME when there is none. */
static size_t find_change(struct plan *p, const struct flags *have, const struct flags *want)
{
	struct flag_change c = { 0 };

	if (flags_equal(have, want))
		return SAME;
	flags_diff(have, want, &c.delta.add, &c.delta.remove);
	for (size_t i = 0; i < p->n_flags; i++)
		if (flags_equal(&p->flags[i].delta.add, &c.delta.add) &&
		    flags_equal(&p->flags[i].delta.remove, &c.delta.remove)) {
			flags_release(&c.delta.add);
			flags_release(&c.delta.remove);
			return i;
		}
	p->flags = xgrow(p->flags, p->n_flags, &p->cap_flags, sizeof(*p->flags));
	p->flags[p->n_flags] = c;
	return p->n_flags++;
}

static void want_flags(struct plan *p, struct pairs *pairs, const struct changes *target,
		       const struct entry *e, const struct flag_table *table, uint32_t want)
{
	size_t i;

	if (pairs->n * 2 >= pairs->size)
		pairs_grow(pairs);
	i = pair_slot(pairs, e->flags, want);
	if (pairs->v[i].have == UINT32_MAX) {
		pairs->v[i] = (struct pair){
			.have = e->flags,
			.want = want,
			.change = find_change(p, flag_table_get(target->flags, e->flags),
					      flag_table_get(table, want)),
		};
		pairs->n++;
	}
	if (pairs->v[i].change == SAME)
		return;
	uidset_add(&p->flags[pairs->v[i].change].set, e->uid);
	p->flags_changed++;
}

/* The source told every message: join it with what is bound to it. */
static void join_listed(const struct plan_input *in, const struct bound *bound, size_t n,
			struct plan *p)
{
	const struct changes *src = in->source;
	struct uidset_builder gone;
	struct pairs pairs = { 0 };
	size_t b = 0;

	uidset_builder_init(&gone);
	for (size_t s = 0; s <= src->n; s++) {
		uint64_t uid = s < src->n ? src->v[s].uid : (uint64_t)UINT32_MAX + 1;

		for (; b < n && bound[b].source_uid < uid; b++) {
			if (!src->complete) {
				uidset_add(&p->present, bound[b].source_uid);
				continue;
			}
			uidset_add(&p->gone_source, bound[b].source_uid);
			uidset_builder_add(&gone, in->target->v[bound[b].index].uid,
					   in->target->v[bound[b].index].uid);
		}
		if (s == src->n)
			break;
		if (b < n && bound[b].source_uid == uid) {
			uidset_add(&p->present, (uint32_t)uid);
			want_flags(p, &pairs, in->target, &in->target->v[bound[b].index],
				   src->flags, src->v[s].flags);
			b++;
		} else {
			uidset_add(&p->fetch, (uint32_t)uid);
		}
	}
	uidset_builder_finish(&gone, &p->gone);
	uidset_builder_release(&gone);
	free(pairs.v);
	p->doubt = !src->complete;
}

/* The source did not change: what the target lost or altered is set right from the base. */
static void join_base(const struct plan_input *in, const struct bound *bound, size_t n,
		      struct plan *p)
{
	struct pairs pairs = { 0 };

	for (size_t b = 0; b < n; b++) {
		const struct entry *e = &in->target->v[bound[b].index];

		uidset_add(&p->present, bound[b].source_uid);
		want_flags(p, &pairs, in->target, e, in->target->flags, e->base_flags);
	}
	free(pairs.v);
	uidset_subtract(&p->fetch, &in->base->known, &p->present);
}

/* Accepted ones are left out of what to fetch; the others are tried again. */
static void leave_out_accepted(const struct base *base, struct uidset *fetch)
{
	for (size_t i = 0; i < base->n_quarantine; i++)
		if (base->quarantine[i].accepted)
			uidset_remove(fetch, base->quarantine[i].uid);
}

void plan_mailbox(const struct plan_input *in, struct plan *out)
{
	size_t n;
	struct bound *bound = bound_messages(in->target, &n);

	if (!in->source) {
		join_base(in, bound, n, out);
	} else if (!uidset_is_empty(&in->source->fresh)) {
		assert(n == 0); /* an upper bound serves only where nothing is held */
		uidset_copy(&out->fetch, &in->source->fresh);
		out->fetch_exact = false;
		out->expect = in->source->token.messages;
	} else {
		join_listed(in, bound, n, out);
	}
	leave_out_accepted(in->base, &out->fetch);
	if (out->fetch_exact)
		out->expect = uidset_count(&out->fetch);
	free(bound);
}
