#include <stdlib.h>

#include "core/base/mem.h"
#include "core/sync/plan_file.h"

/* A plan in the source's UIDs, and what of one made later it allows. */

/* The source UIDs of these messages of the target, or the reverse. */
static void translate(const struct changes *target, const struct uidset *set, bool to_source,
		      struct uidset *out)
{
	struct uidset_builder b;

	uidset_builder_init(&b);
	for (size_t i = 0; target && i < target->n; i++) {
		uint32_t own = target->v[i].uid, source = target->v[i].source_uid;

		if (source && uidset_has(set, to_source ? own : source))
			uidset_builder_add(&b, to_source ? source : own, to_source ? source : own);
	}
	uidset_clear(out);
	uidset_builder_finish(&b, out);
	uidset_builder_release(&b);
}

static bool changes_nothing(const struct flag_delta *delta)
{
	return flags_is_empty(&delta->add) && flags_is_empty(&delta->remove);
}

static void add_flags(struct planned_mailbox *out, const struct flag_change *change,
		      const struct changes *target)
{
	struct planned_flags *f;

	if (changes_nothing(&change->delta))
		return;
	out->flags = xgrow(out->flags, out->n_flags, &out->cap_flags, sizeof(*out->flags));
	f = &out->flags[out->n_flags++];
	*f = (struct planned_flags){ 0 };
	flags_init(&f->add);
	flags_init(&f->remove);
	flags_copy(&f->add, &change->delta.add);
	flags_copy(&f->remove, &change->delta.remove);
	translate(target, &change->set, true, &f->set);
}

void planned_from_plan(struct planned_mailbox *out, const struct plan *plan,
		       const struct changes *source, const struct changes *target)
{
	uidset_copy(&out->fetch, &plan->fetch);
	uidset_copy(&out->gone, &plan->gone_source);
	for (size_t i = 0; i < plan->n_flags; i++)
		add_flags(out, &plan->flags[i], target);
	for (size_t i = 0; source && i < source->n; i++)
		if (source->v[i].size != UINT32_MAX && uidset_has(&out->fetch, source->v[i].uid))
			out->bytes += source->v[i].size;
}

/* --- what was planned then, against what would be planned now --- */

static int changed_since(uint32_t uid, const char *how, struct err *err)
{
	return err_set(err, ERR_MAILBOX,
		       "since the plan was made, the message with UID %u %s; left as it is. Make a "
		       "new plan",
		       uid, how);
}

/* Every member of `wanted` must be in one of the two. */
static int check_subset(const struct uidset *wanted, const struct uidset *a, const struct uidset *b,
			const char *how, struct err *err)
{
	struct uidset rest = UIDSET_INIT;
	uint32_t first;

	uidset_subtract(&rest, wanted, a);
	uidset_subtract(&rest, &rest, b);
	first = uidset_is_empty(&rest) ? 0 : uidset_min(&rest);
	uidset_release(&rest);
	return first ? changed_since(first, how, err) : 0;
}

/* The messages of which the plan made now says the same. */
static void same_change(const struct plan *plan, const struct planned_flags *f,
			const struct changes *target, struct uidset *out)
{
	uidset_clear(out);
	for (size_t i = 0; i < plan->n_flags; i++)
		if (flags_equal(&plan->flags[i].delta.add, &f->add) &&
		    flags_equal(&plan->flags[i].delta.remove, &f->remove))
			translate(target, &plan->flags[i].set, true, out);
}

/* Those of which it says nothing, as their flags are in order. */
static void in_order(const struct plan *plan, const struct changes *target, struct uidset *out)
{
	struct uidset changed = UIDSET_INIT;

	uidset_copy(out, &plan->present);
	for (size_t i = 0; i < plan->n_flags; i++) {
		if (changes_nothing(&plan->flags[i].delta))
			continue;
		translate(target, &plan->flags[i].set, true, &changed);
		uidset_subtract(out, out, &changed);
	}
	uidset_release(&changed);
}

static int check_flags(const struct plan *plan, const struct changes *target,
		       const struct planned_mailbox *wanted, struct err *err)
{
	struct uidset same = UIDSET_INIT, done = UIDSET_INIT;
	int ret = 0;

	in_order(plan, target, &done);
	for (size_t i = 0; ret == 0 && i < wanted->n_flags; i++) {
		same_change(plan, &wanted->flags[i], target, &same);
		ret = check_subset(&wanted->flags[i].set, &same, &done, "got other flags", err);
	}
	uidset_release(&same);
	uidset_release(&done);
	return ret;
}

/* A message to be removed must be gone there still, or be gone here as well. */
static int check_gone(const struct plan *plan, const struct planned_mailbox *wanted,
		      struct err *err)
{
	struct uidset back = UIDSET_INIT;
	uint32_t first;

	uidset_intersect(&back, &wanted->gone, &plan->present);
	first = uidset_is_empty(&back) ? 0 : uidset_min(&back);
	uidset_release(&back);
	return first ? changed_since(first, "came back", err) : 0;
}

static int check(const struct plan *plan, const struct changes *target, uint32_t uidvalidity,
		 const struct planned_mailbox *wanted, struct err *err)
{
	if (wanted->uidvalidity != uidvalidity)
		return err_set(err, ERR_MAILBOX,
			       "since the plan was made it got another UIDVALIDITY, so its UIDs mean "
			       "other messages; left as it is. Make a new plan");
	if (check_subset(&wanted->fetch, &plan->fetch, &plan->present, "was removed", err) < 0 ||
	    check_gone(plan, wanted, err) < 0)
		return -1;
	return check_flags(plan, target, wanted, err);
}

/* --- keeping what was asked for --- */

/* *set becomes its common part with `allowed`; whether anything was left out. */
static bool keep_only(struct uidset *set, const struct uidset *allowed)
{
	bool less = !uidset_is_subset(set, allowed);

	uidset_intersect(set, set, allowed);
	return less;
}

static const struct planned_flags *find_flags(const struct planned_mailbox *wanted,
					      const struct flag_delta *delta)
{
	for (size_t i = 0; i < wanted->n_flags; i++)
		if (flags_equal(&wanted->flags[i].add, &delta->add) &&
		    flags_equal(&wanted->flags[i].remove, &delta->remove))
			return &wanted->flags[i];
	return NULL;
}

static bool keep_change(struct plan *plan, struct flag_change *c, const struct changes *target,
			const struct planned_mailbox *wanted)
{
	const struct planned_flags *f = find_flags(wanted, &c->delta);
	uint64_t before = uidset_count(&c->set);
	struct uidset own = UIDSET_INIT;
	bool less;

	if (f)
		translate(target, &f->set, false, &own);
	less = keep_only(&c->set, &own);
	plan->flags_changed -= before - uidset_count(&c->set);
	uidset_release(&own);
	return less;
}

static bool keep_flags(struct plan *plan, const struct changes *target,
		       const struct planned_mailbox *wanted)
{
	bool less = false;
	size_t kept = 0;

	for (size_t i = 0; i < plan->n_flags; i++) {
		struct flag_change c = plan->flags[i];

		if (!changes_nothing(&c.delta))
			less |= keep_change(plan, &c, target, wanted);
		if (!uidset_is_empty(&c.set)) {
			plan->flags[kept++] = c;
			continue;
		}
		flags_release(&c.delta.add);
		flags_release(&c.delta.remove);
		uidset_release(&c.set);
	}
	plan->n_flags = kept;
	return less;
}

int plan_restrict(struct plan *plan, const struct changes *target, uint32_t uidvalidity,
		  const struct planned_mailbox *wanted, bool all_new, bool *left_out,
		  struct err *err)
{
	static const struct planned_mailbox nothing;
	struct uidset own = UIDSET_INIT;
	bool less;

	if (wanted && check(plan, target, uidvalidity, wanted, err) < 0)
		return -1;
	if (!wanted)
		wanted = &nothing;
	less = !all_new && keep_only(&plan->fetch, &wanted->fetch);
	plan->expect = uidset_count(&plan->fetch);
	less |= keep_flags(plan, target, wanted);
	less |= keep_only(&plan->gone_source, &wanted->gone);
	translate(target, &wanted->gone, false, &own);
	less |= keep_only(&plan->gone, &own); /* also what has no source UID to be named by */
	uidset_release(&own);
	*left_out = less;
	return 0;
}
