#include "core/sync/plan.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/sync/bound.h"
#include "core/sync/quarantine.h"

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
	uidset_release(&p->unbound);
	uidset_release(&p->present);
	uidset_release(&p->leaving);
	plan_init(p);
}

bool plan_is_empty(const struct plan *p)
{
	return uidset_is_empty(&p->fetch) && p->n_flags == 0 && uidset_is_empty(&p->gone);
}

/* A pair of ids and what it leads to. Open addressing; `a` is UINT32_MAX: free. */
struct pair {
	uint32_t a, b;
	size_t change; /* index in plan.flags, or SAME */
};

#define SAME SIZE_MAX

struct pairs {
	struct pair *v;
	size_t n, size; /* size is a power of two */
};

static struct pair *pair_slot(const struct pairs *t, uint32_t a, uint32_t b)
{
	uint64_t h = ((uint64_t)a << 32 | b) * 0x9e3779b97f4a7c15u;
	size_t i = (size_t)(h >> 32) & (t->size - 1);

	while (t->v[i].a != UINT32_MAX && (t->v[i].a != a || t->v[i].b != b))
		i = (i + 1) & (t->size - 1);
	return &t->v[i];
}

static void pairs_grow(struct pairs *t)
{
	struct pairs old = *t;

	t->size = old.size ? old.size * 2 : 64;
	t->v = xcalloc(t->size, sizeof(*t->v));
	for (size_t i = 0; i < t->size; i++)
		t->v[i].a = UINT32_MAX;
	for (size_t i = 0; i < old.size; i++)
		if (old.v[i].a != UINT32_MAX)
			*pair_slot(t, old.v[i].a, old.v[i].b) = old.v[i];
	free(old.v);
}

/* The entry of this pair, made if need be; *fresh says so. Borrowed until the next call. */
static struct pair *pairs_get(struct pairs *t, uint32_t a, uint32_t b, bool *fresh)
{
	struct pair *p;

	if (t->n * 2 >= t->size)
		pairs_grow(t);
	p = pair_slot(t, a, b);
	*fresh = p->a == UINT32_MAX;
	if (*fresh) {
		*p = (struct pair){ .a = a, .b = b, .change = SAME };
		t->n++;
	}
	return p;
}

/*
 * Gathers the flag changes. What a pair of flag combinations asks for is worked out once: there
 * are few pairs, while there may be a million messages. A server can make them many, so nothing
 * here is searched.
 */
struct flag_planner {
	struct plan *plan;
	const struct flag_table *target, *source; /* what the ids of each side mean */
	struct pairs pairs;            /* of the target's id and the one it should have */
	struct pairs deltas;           /* add, remove: ids in `parts` */
	struct flag_table *parts;
	struct uidset_builder *sets;   /* one per plan.flags */
	size_t cap_sets;
};

/* The change that adds and removes just this, new ones at the end of plan.flags. */
static size_t find_change(struct flag_planner *f, const struct flags *have,
			  const struct flags *want)
{
	struct plan *p = f->plan;
	struct flag_change c = { 0 };
	struct pair *pair;
	uint32_t add, remove;
	bool fresh;

	flags_diff(have, want, &c.delta.add, &c.delta.remove);
	add = flag_table_intern(f->parts, &c.delta.add);
	remove = flag_table_intern(f->parts, &c.delta.remove);
	pair = pairs_get(&f->deltas, add, remove, &fresh);
	if (!fresh) {
		flags_release(&c.delta.add);
		flags_release(&c.delta.remove);
		return pair->change;
	}
	pair->change = p->n_flags;
	f->sets = xgrow(f->sets, p->n_flags, &f->cap_sets, sizeof(*f->sets));
	uidset_builder_init(&f->sets[p->n_flags]);
	p->flags = xgrow(p->flags, p->n_flags, &p->cap_flags, sizeof(*p->flags));
	p->flags[p->n_flags] = c;
	return p->n_flags++;
}

/* In a pair, an id of the source is told from one of the target. */
#define OF_SOURCE ((uint32_t)1 << 31)

static const struct flags *wanted_flags(const struct flag_planner *f, uint32_t want)
{
	return want & OF_SOURCE ? flag_table_get(f->source, want & ~OF_SOURCE)
				: flag_table_get(f->target, want);
}

/* The target's message `e` should have the flags `want`: its own id, or the source's | OF_SOURCE. */
static void want_flags(struct flag_planner *f, const struct entry *e, uint32_t want)
{
	bool fresh;
	size_t change;
	struct pair *pair = pairs_get(&f->pairs, e->flags, want, &fresh);
	const struct flags *have = flag_table_get(f->target, e->flags);

	if (fresh && !flags_equal(have, wanted_flags(f, want)))
		pair->change = find_change(f, have, wanted_flags(f, want));
	change = pair->change;
	if (change == SAME && e->flags == e->base_flags)
		return;
	/* A run stopped before it could write this down: a change of nothing makes it the base. */
	if (change == SAME)
		change = find_change(f, have, wanted_flags(f, want));
	else
		f->plan->flags_changed++;
	uidset_builder_add(&f->sets[change], e->uid, e->uid);
}

static struct flag_planner flag_planner_of(const struct plan_input *in, struct plan *p)
{
	return (struct flag_planner){ .plan = p,
				      .target = in->target ? in->target->flags : NULL,
				      .source = in->source ? in->source->flags : NULL,
				      .parts = flag_table_new() };
}

static void flag_planner_finish(struct flag_planner *f)
{
	for (size_t i = 0; i < f->plan->n_flags; i++) {
		uidset_builder_finish(&f->sets[i], &f->plan->flags[i].set);
		uidset_builder_release(&f->sets[i]);
	}
	free(f->sets);
	free(f->pairs.v);
	free(f->deltas.v);
	flag_table_free(f->parts);
}

/* Of two entries that both tell their size. */
static bool sizes_differ(const struct entry *a, const struct entry *b)
{
	return a->size != b->size && a->size != 0 && b->size != 0;
}

/* The source told every message: join it with what is bound to it. */
static void join_listed(const struct plan_input *in, const struct bound *bound, size_t n,
			struct plan *p)
{
	const struct changes *src = in->source;
	struct flag_planner flags = flag_planner_of(in, p);
	struct uidset_builder gone;
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
			if (in->check_sizes)
				p->mismatched += sizes_differ(&src->v[s],
							      &in->target->v[bound[b].index]);
			uidset_add(&p->present, (uint32_t)uid);
			want_flags(&flags, &in->target->v[bound[b].index],
				   src->v[s].flags | OF_SOURCE);
			b++;
		} else {
			uidset_add(&p->fetch, (uint32_t)uid);
		}
	}
	uidset_builder_finish(&gone, &p->gone);
	uidset_builder_release(&gone);
	flag_planner_finish(&flags);
	p->doubt = !src->complete;
}

/*
 * The source told what changed since the base, or that nothing did: all else is as the base has
 * it, and what the target lost or altered is set right from there.
 */
static void join_delta(const struct plan_input *in, const struct bound *bound, size_t n,
		       struct plan *p)
{
	static const struct changes nothing = { .complete = true };
	const struct changes *src = in->source ? in->source : &nothing;
	struct flag_planner flags = flag_planner_of(in, p);
	struct uidset_builder gone;
	size_t s = 0;

	uidset_builder_init(&gone);
	uidset_subtract(&p->fetch, &in->base->known, &src->vanished);
	for (size_t b = 0; b < n; b++) {
		const struct entry *e = &in->target->v[bound[b].index];
		uint32_t uid = bound[b].source_uid;

		for (; s < src->n && src->v[s].uid < uid; s++)
			uidset_add(&p->fetch, src->v[s].uid);
		if (src->complete && uidset_has(&src->vanished, uid)) {
			uidset_add(&p->gone_source, uid);
			uidset_builder_add(&gone, e->uid, e->uid);
			continue;
		}
		uidset_add(&p->present, uid);
		if (s < src->n && src->v[s].uid == uid)
			want_flags(&flags, e, src->v[s++].flags | OF_SOURCE);
		else if (uidset_has(&in->base->known, uid))
			want_flags(&flags, e, e->base_flags);
		else
			p->doubt = true; /* nobody vouches for it */
	}
	for (; s < src->n; s++)
		uidset_add(&p->fetch, src->v[s].uid);
	uidset_subtract(&p->fetch, &p->fetch, &p->present);
	uidset_builder_finish(&gone, &p->gone);
	uidset_builder_release(&gone);
	flag_planner_finish(&flags);
	p->doubt |= !src->complete;
}

/* Accepted ones are left out of what to fetch; the others are tried again when it is time. */
static void leave_out_quarantined(const struct plan_input *in, struct plan *p)
{
	for (size_t i = 0; i < in->base->n_quarantine; i++) {
		const struct quarantined *q = &in->base->quarantine[i];

		if (quarantine_is_due(q, in->now) || !uidset_has(&p->fetch, q->uid))
			continue;
		uidset_remove(&p->fetch, q->uid);
		p->resting += !q->accepted;
	}
}

static void leave_out_leaving(const struct plan_input *in, struct plan *p)
{
	/* An upper bound is proven by counting what comes of it: nothing may be missing from that. */
	if (!in->leaving || !p->fetch_exact)
		return;
	uidset_intersect(&p->leaving, &p->fetch, in->leaving);
	uidset_subtract(&p->fetch, &p->fetch, in->leaving);
}

static void find_unbound(const struct changes *target, struct uidset *out)
{
	struct uidset_builder unbound;

	uidset_builder_init(&unbound);
	for (size_t i = 0; i < target->n; i++)
		if (target->v[i].source_uid == 0)
			uidset_builder_add(&unbound, target->v[i].uid, target->v[i].uid);
	uidset_builder_finish(&unbound, out);
	uidset_builder_release(&unbound);
}

void plan_mailbox(const struct plan_input *in, struct plan *out)
{
	size_t n;
	struct bound *bound = bound_messages(in->target, &n);

	if (in->target)
		find_unbound(in->target, &out->unbound);
	if (!in->source || in->source->delta) {
		join_delta(in, bound, n, out);
	} else if (!uidset_is_empty(&in->source->fresh)) {
		assert(n == 0); /* an upper bound serves only where nothing is held */
		uidset_copy(&out->fetch, &in->source->fresh);
		out->fetch_exact = false;
		out->expect = in->source->token.messages;
	} else {
		join_listed(in, bound, n, out);
		if (in->source->complete)
			uidset_union(&out->gone, &out->gone, &out->unbound);
	}
	leave_out_quarantined(in, out);
	leave_out_leaving(in, out);
	if (out->fetch_exact)
		out->expect = uidset_count(&out->fetch);
	free(bound);
}
