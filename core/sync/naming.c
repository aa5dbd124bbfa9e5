#include "core/sync/naming.h"

#include <stdlib.h>

#include "core/base/mem.h"

/* What shows of itself what is in another mailbox (\Flagged) takes no mail. */
static const unsigned uses[] = { MAILBOX_SENT, MAILBOX_TRASH,   MAILBOX_DRAFTS,
				 MAILBOX_JUNK, MAILBOX_ARCHIVE, MAILBOX_ALL };

/* Why a mailbox gets its name: those further down give way to those above. */
enum reason {
	REASON_FIXED, /* by a rule, by what was copied already, or INBOX */
	REASON_OWN,
	REASON_PREFIX,
	REASON_USE,
};

/* A mailbox of the source and the name it is to have. */
struct claim {
	const struct mailbox_info *info;
	bool takes_mail; /* others are names only: they may have what is left */
	enum reason why;
	struct mailbox_name as;
	const struct mailbox_name *use; /* the target's mailbox of its special use, or NULL */
};

void naming_release(struct naming *names)
{
	for (size_t i = 0; i < names->n; i++) {
		mailbox_name_release(&names->v[i].source);
		mailbox_name_release(&names->v[i].as);
	}
	free(names->v);
	*names = (struct naming){ 0 };
}

static int compare_pairs(const void *a, const void *b)
{
	const struct naming_pair *x = a, *y = b;

	return mailbox_name_compare(&x->source, &y->source);
}

const struct mailbox_name *naming_find(const struct naming *names, const struct mailbox_name *source)
{
	const struct naming_pair key = { .source = *source };
	const struct naming_pair *found =
		names->n ? bsearch(&key, names->v, names->n, sizeof(*names->v), compare_pairs) : NULL;

	return found ? &found->as : NULL;
}

/* Replaces nothing: `source` has none yet. */
static void add_pair(struct naming *names, const struct mailbox_name *source,
		     const struct mailbox_name *as)
{
	struct naming_pair *new;

	names->v = xgrow(names->v, names->n, &names->cap, sizeof(*names->v));
	new = &names->v[names->n++];
	*new = (struct naming_pair){ 0 };
	mailbox_name_copy(&new->source, source);
	mailbox_name_copy(&new->as, as);
}

/* --- what was copied already --- */

static bool holds_anything(const struct mailbox_info *to)
{
	return to->token.known || to->stored > 0 || to->kept > 0 || to->pending > 0;
}

/*
 * Of two that hold mail of one mailbox, because `map` led elsewhere for a while, the one that was last in
 * agreement with it goes on.
 */
static void take_known(struct naming *names, const struct name_map *map, const struct mailbox_list *to,
		       bool agreed)
{
	struct mailbox_name source = MAILBOX_NAME_INIT;
	size_t n = names->n;

	for (size_t i = 0; i < to->n; i++) {
		const struct naming before = { .v = names->v, .n = n }; /* the rest is not sorted yet */

		if (to->v[i].token.known != agreed || !holds_anything(&to->v[i]))
			continue;
		mailbox_name_source(&source, &to->v[i].name);
		if (!name_map_fits(map, &source) && !naming_find(&before, &source))
			add_pair(names, &source, &to->v[i].name);
	}
	mailbox_name_release(&source);
	if (names->n > n)
		qsort(names->v, names->n, sizeof(*names->v), compare_pairs);
	for (size_t i = 1; i < names->n; i++) { /* two of one pass: the first */
		if (compare_pairs(&names->v[i - 1], &names->v[i]) != 0)
			continue;
		mailbox_name_release(&names->v[i].source);
		mailbox_name_release(&names->v[i].as);
		for (size_t k = i--; k + 1 < names->n; k++)
			names->v[k] = names->v[k + 1];
		names->n--;
	}
}

/* --- special use --- */

/* The one mailbox of that use; NULL: none, or more. `selected` NULL: all of the list count. */
static const struct mailbox_info *only_of_use(const struct mailbox_list *list, const bool *selected,
					      unsigned use)
{
	const struct mailbox_info *found = NULL;

	for (size_t i = 0; i < list->n; i++) {
		if (!(list->v[i].attributes & use) || (list->v[i].attributes & MAILBOX_NOSELECT) ||
		    (selected && !selected[i]))
			continue;
		if (found)
			return NULL;
		found = &list->v[i];
	}
	return found;
}

static void match_uses(struct claim *claims, const struct mailbox_list *from, const bool *selected,
		       const struct mailbox_list *to)
{
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		const struct mailbox_info *source = only_of_use(from, selected, uses[i]);
		const struct mailbox_info *target = only_of_use(to, NULL, uses[i]);

		/* It may hold the mail of another, which is not there any more or is called otherwise now. */
		if (target && holds_anything(target) &&
		    (!source || !mailbox_name_same_source(&target->name, &source->name)))
			continue;
		if (source && target && !claims[source - from->v].use)
			claims[source - from->v].use = &target->name;
	}
}

/* --- names --- */

static void use_own(struct claim *c)
{
	c->why = REASON_OWN;
	mailbox_name_copy(&c->as, &c->info->name);
}

static void leave_out_prefix(struct claim *c, const struct mailbox_name *prefix)
{
	static const struct mailbox_name top = MAILBOX_NAME_INIT;
	const struct mailbox_name *name = &c->info->name;
	struct err err;

	use_own(c);
	if (prefix->count == 0 || name->count <= prefix->count ||
	    !mailbox_name_is_below(name, prefix) ||
	    mailbox_name_move(&c->as, name, prefix, &top, &err) < 0)
		return;
	c->why = REASON_PREFIX;
}

static void give_way(struct claim *c, const struct mailbox_name *prefix)
{
	if (c->why == REASON_USE)
		leave_out_prefix(c, prefix);
	else
		use_own(c);
}

static void claim(struct claim *c, const struct naming *known, const struct name_map *map,
		  const struct mailbox_name *prefix)
{
	const struct mailbox_name *name = &c->info->name, *as = naming_find(known, name);

	if (name_map_fits(map, name)) {
		c->why = REASON_FIXED;
		name_map_apply(map, name, &c->as);
	} else if (as || mailbox_name_is_inbox(name)) {
		c->why = REASON_FIXED;
		mailbox_name_copy(&c->as, as ? as : name);
	} else if (c->use) {
		c->why = REASON_USE;
		mailbox_name_copy(&c->as, c->use);
	} else {
		leave_out_prefix(c, prefix);
	}
}

static int compare_claims(const void *a, const void *b)
{
	const struct claim *x = *(struct claim *const *)a, *y = *(struct claim *const *)b;
	int order = mailbox_name_compare(&x->as, &y->as);

	if (order != 0)
		return order;
	if (x->why != y->why)
		return x->why < y->why ? -1 : 1;
	return mailbox_name_compare(&x->info->name, &y->info->name);
}

/* Of each group under one name all but the first give way that can. False: none did. */
static bool part(struct claim **v, size_t n, const struct mailbox_name *prefix)
{
	bool moved = false;
	size_t first = 0;

	qsort(v, n, sizeof(*v), compare_claims);
	for (size_t i = 1; i < n; i++) {
		if (!mailbox_name_equal(&v[first]->as, &v[i]->as)) {
			first = i;
		} else if (v[i]->why >= REASON_PREFIX) {
			give_way(v[i], prefix);
			moved = true;
			break; /* which may be in the way of what was looked at */
		}
	}
	return moved;
}

static void settle(struct claim *claims, size_t n, const struct mailbox_name *prefix)
{
	struct claim **v = xcalloc(n, sizeof(*v));
	size_t takers = 0;

	for (size_t i = 0; i < n; i++)
		if (claims[i].takes_mail)
			v[takers++] = &claims[i];
	while (part(v, takers, prefix)) /* each gives way twice at most */
		;
	free(v);
}

void naming_choose(struct naming *out, const struct name_map *map, const struct mailbox_list *from,
		   const bool *selected, const struct mailbox_list *to)
{
	struct claim *claims = xcalloc(from->n, sizeof(*claims));
	size_t known;

	naming_release(out);
	take_known(out, map, to, true);
	take_known(out, map, to, false);
	match_uses(claims, from, selected, to);
	for (size_t i = 0; i < from->n; i++) {
		claims[i].info = &from->v[i];
		claims[i].takes_mail = selected[i] && !(from->v[i].attributes & MAILBOX_NOSELECT);
		claim(&claims[i], out, map, &from->prefix);
	}
	settle(claims, from->n, &from->prefix);
	known = out->n;
	for (size_t i = 0; i < from->n; i++) {
		if (claims[i].why >= REASON_PREFIX)
			add_pair(out, &from->v[i].name, &claims[i].as);
		mailbox_name_release(&claims[i].as);
	}
	if (out->n > known)
		qsort(out->v, out->n, sizeof(*out->v), compare_pairs);
	free(claims);
}
