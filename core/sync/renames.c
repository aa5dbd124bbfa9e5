#include "core/sync/renames.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* --- which is which --- */

bool renames_possible(const struct mailbox_info *to, const struct mailbox_info *from, bool *one_id)
{
	const struct token *then = &to->token, *now = &from->token;

	*one_id = *to->mailboxid && strcmp(to->mailboxid, from->mailboxid) == 0;
	if (*one_id)
		return true;
	return !mailboxid_differs(to->mailboxid, from->mailboxid) && then->known && now->known && then->uidvalidity != 0 &&
	       then->uidvalidity == now->uidvalidity && now->uidnext >= then->uidnext &&
	       (now->highestmodseq == 0 || now->highestmodseq >= then->highestmodseq);
}

/* 0: not the same; messages that agree say more than none at all. */
static int strength(const struct rename_pair *p)
{
	if (p->one_id)
		return 3;
	if (p->other > 0)
		return 0;
	return p->same > 0 ? 2 : p->trivial;
}

static bool is_best(const struct rename_pair *v, size_t n, const struct rename_pair *p)
{
	for (size_t i = 0; i < n; i++)
		if (&v[i] != p && (v[i].to == p->to || v[i].from == p->from) &&
		    strength(&v[i]) >= strength(p))
			return false;
	return strength(p) > 0;
}

void renames_choose(struct rename_pair *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v[i].chosen = is_best(v, n, &v[i]);
}

/* --- in what order --- */

void rename_steps_release(struct rename_steps *steps)
{
	for (size_t i = 0; i < steps->n; i++) {
		mailbox_name_release(&steps->v[i].from);
		mailbox_name_release(&steps->v[i].to);
	}
	free(steps->v);
	*steps = (struct rename_steps){ 0 };
}

/* *out is `as` and what the source calls `name`, if anybody knows. */
static void keep_source(const struct mailbox_name *name, const struct mailbox_name *as,
			struct mailbox_name *out)
{
	struct mailbox_name source = MAILBOX_NAME_INIT;

	mailbox_name_source(&source, name);
	if (name->wire.p)
		mailbox_name_map(out, &source, as);
	else
		mailbox_name_copy(out, as);
	mailbox_name_release(&source);
}

bool renames_is_moving(const struct mailbox_name *name, struct mailbox_name *out)
{
	struct mailbox_name was = MAILBOX_NAME_INIT;
	struct err ignored;
	bool moving = name->count > 1 && strcmp(name->components[0], RENAMES_MOVING) == 0 &&
		      mailbox_name_from_components(&was, (const char *const *)name->components + 1,
						   name->count - 1, &ignored) == 0;

	if (moving)
		keep_source(name, &was, out);
	mailbox_name_release(&was);
	return moving;
}

static int moving_name(const struct mailbox_name *name, struct mailbox_name *out, struct err *err)
{
	struct mailbox_name as = MAILBOX_NAME_INIT;
	const char **parts = xcalloc(name->count + 1, sizeof(*parts));
	int ret;

	parts[0] = RENAMES_MOVING;
	memcpy(parts + 1, name->components, name->count * sizeof(*parts));
	ret = mailbox_name_from_components(&as, parts, name->count + 1, err);
	if (ret == 0)
		keep_source(name, &as, out);
	mailbox_name_release(&as);
	free(parts);
	return ret;
}

static bool is_settled(const struct rename_item *item)
{
	return item->want.count == 0 || mailbox_name_equal(&item->name, &item->want);
}

static bool all_settled(const struct rename_item *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_settled(&v[i]))
			return false;
	return true;
}

/* Whether one is called so that does not lie below `outside`. */
static bool is_taken(const struct rename_item *v, size_t n, const struct mailbox_name *name,
		     const struct mailbox_name *outside)
{
	for (size_t i = 0; i < n; i++)
		if (mailbox_name_equal(&v[i].name, name) &&
		    !mailbox_name_is_below(&v[i].name, outside))
			return true;
	return false;
}

/* Whether `from` and all below it can become `to`. */
static bool can_rename(const struct rename_item *v, size_t n, const struct mailbox_name *from,
		       const struct mailbox_name *to)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct err ignored;
	bool can = !mailbox_name_is_below(to, from);

	for (size_t i = 0; i < n && can; i++)
		if (mailbox_name_is_below(&v[i].name, from))
			can = mailbox_name_move(&name, &v[i].name, from, to, &ignored) == 0 &&
			      !is_taken(v, n, &name, from);
	mailbox_name_release(&name);
	return can;
}

/* Note the step, and call everything what it is called after it. */
static int rename_in(struct rename_item *v, size_t n, const struct mailbox_name *from_name,
		     const struct mailbox_name *to_name, struct rename_steps *out, struct err *err)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct rename_step *step;
	int ret = 0;

	out->v = xgrow(out->v, out->n, &out->cap, sizeof(*out->v));
	step = &out->v[out->n++];
	mailbox_name_init(&step->from);
	mailbox_name_init(&step->to);
	mailbox_name_copy(&step->from, from_name);
	mailbox_name_copy(&step->to, to_name);
	for (size_t i = 0; i < n && ret == 0; i++) {
		if (!mailbox_name_is_below(&v[i].name, &step->from))
			continue;
		ret = mailbox_name_move(&name, &v[i].name, &step->from, &step->to, err);
		if (ret == 0)
			mailbox_name_copy(&v[i].name, &name);
	}
	mailbox_name_release(&name);
	return ret;
}

/* The unsettled one with the shortest name, so that those below come along, that can have what it wants. */
static struct rename_item *next_easy(struct rename_item *v, size_t n)
{
	struct rename_item *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (!is_settled(&v[i]) && (!best || v[i].name.count < best->name.count) &&
		    can_rename(v, n, &v[i].name, &v[i].want))
			best = &v[i];
	return best;
}

/* The unsettled one with the shortest name that is not out of the way yet. */
static struct rename_item *next_in_the_way(struct rename_item *v, size_t n)
{
	struct rename_item *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (!is_settled(&v[i]) && strcmp(v[i].name.components[0], RENAMES_MOVING) != 0 &&
		    (!best || v[i].name.count < best->name.count))
			best = &v[i];
	return best;
}

static int put_aside(struct rename_item *v, size_t n, struct rename_item *item,
		     struct rename_steps *out, struct err *err)
{
	struct mailbox_name moving = MAILBOX_NAME_INIT;
	int ret = moving_name(&item->name, &moving, err);

	if (ret == 0 && !can_rename(v, n, &item->name, &moving))
		ret = err_set(err, ERR_MAILBOX, "%s is in the way of a mailbox to be renamed",
			      RENAMES_MOVING);
	if (ret == 0)
		ret = rename_in(v, n, &item->name, &moving, out, err);
	mailbox_name_release(&moving);
	return ret;
}

/*
 * What nearly always does: whatever can have its name gets it, and when nothing can, something is put
 * aside. True when that ended with everything in its place.
 */
static bool plan_greedily(struct rename_item *v, size_t n, struct rename_steps *out)
{
	struct err ignored;

	for (size_t left = 4 * n + 4; left > 0 && !all_settled(v, n); left--) {
		struct rename_item *item = next_easy(v, n);
		int ret;

		if (item) {
			ret = rename_in(v, n, &item->name, &item->want, out, &ignored);
		} else {
			item = next_in_the_way(v, n);
			ret = item ? put_aside(v, n, item, out, &ignored) : -1;
		}
		if (ret < 0)
			return false;
	}
	return all_settled(v, n);
}

/* What has to move, and all that would be taken along, wants a name: its own, if no other. */
static void involve_those_below(struct rename_item *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n && v[i].want.count == 0; k++)
			if (!is_settled(&v[k]) && mailbox_name_is_below(&v[i].name, &v[k].name))
				mailbox_name_copy(&v[i].want, &v[i].name);
}

/* Put all aside, with what lies below them: the shortest names first. */
static int put_all_aside(struct rename_item *v, size_t n, struct rename_steps *out, struct err *err)
{
	struct rename_item *item;

	while ((item = next_in_the_way(v, n)))
		if (put_aside(v, n, item, out, err) < 0)
			return -1;
	return 0;
}

/* Then nothing is in the way, and the longest names go first, so that nothing comes along. */
static int take_all_back(struct rename_item *v, size_t n, struct rename_steps *out, struct err *err)
{
	for (;;) {
		struct rename_item *last = NULL;

		for (size_t i = 0; i < n; i++)
			if (!is_settled(&v[i]) && (!last || v[i].name.count > last->name.count))
				last = &v[i];
		if (!last)
			return 0;
		if (!can_rename(v, n, &last->name, &last->want))
			return err_set(err, ERR_MAILBOX, "mailboxes cannot be renamed");
		if (rename_in(v, n, &last->name, &last->want, out, err) < 0)
			return -1;
	}
}

static struct rename_item *copy_items(const struct rename_item *v, size_t n)
{
	struct rename_item *copy = xcalloc(n, sizeof(*copy));

	for (size_t i = 0; i < n; i++) {
		mailbox_name_copy(&copy[i].name, &v[i].name);
		mailbox_name_copy(&copy[i].want, &v[i].want);
	}
	return copy;
}

static void items_free(struct rename_item *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		mailbox_name_release(&v[i].name);
		mailbox_name_release(&v[i].want);
	}
	free(v);
}

int renames_plan(struct rename_item *v, size_t n, struct rename_steps *out, struct err *err)
{
	struct rename_item *before = copy_items(v, n);
	int ret = 0;

	if (!plan_greedily(v, n, out)) {
		rename_steps_release(out);
		for (size_t i = 0; i < n; i++)
			mailbox_name_copy(&v[i].name, &before[i].name);
		involve_those_below(v, n);
		ret = put_all_aside(v, n, out, err) < 0 ? -1 : take_all_back(v, n, out, err);
	}
	items_free(before, n);
	return ret;
}
