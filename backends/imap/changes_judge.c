#include <stdlib.h>

#include "core/base/mem.h"

#include "backends/imap/changes_private.h"
#include "backends/imap/vanished.h"

#define CHANGES_TRIES 2

/* --- what came --- */

static int compare_listed(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* A later word on the same message, which may be on its flags alone. */
static void say_again(struct comparison *k, const struct listed *first, struct listed *last)
{
	if (last->size != 0)
		return;
	last->size = first->size;
	if (k->dates)
		k->dates[last->order] = k->dates[first->order];
}

/* Sort by UID, each once with what was said last. Returns how many there are. */
static size_t settle(struct comparison *k)
{
	size_t kept = 0;

	if (k->n)
		qsort(k->v, k->n, sizeof(*k->v), compare_listed);
	for (size_t i = 0; i < k->n; i++) {
		if (i + 1 == k->n || k->v[i + 1].uid != k->v[i].uid)
			k->v[kept++] = k->v[i];
		else
			say_again(k, &k->v[i], &k->v[i + 1]);
	}
	k->n = kept;
	return kept;
}

static struct token token_of(const struct comparison *k)
{
	/* Some tell it without saying that they can, or when they were told to be silent about it. */
	bool modseq = !k->now.no_modseq && imap_session_has(k->conn->session, IMAP_CAP_CONDSTORE);

	return (struct token){
		.known = k->now.uid_validity != 0, /* old servers tell no UIDNEXT */
		.uidvalidity = k->now.uid_validity,
		.uidnext = k->now.uid_next,
		.messages = k->now.exists,
		.highestmodseq = modseq ? k->modseq : 0,
	};
}

/* Also for fetch(), which must not take UIDs of one UIDVALIDITY for those of another. */
void comparison_tell_token(struct comparison *k)
{
	k->req->out->token = token_of(k);
	if (k->req->out->token.known)
		k->mb->token = k->req->out->token;
}

static void deliver(struct comparison *k, bool complete)
{
	struct changes *out = k->req->out;

	for (size_t i = 0; i < k->n; i++) {
		struct entry *e = changes_add(out, k->v[i].uid);

		e->flags = k->v[i].flags;
		e->size = k->v[i].size;
		if (k->dates)
			out->dates[i] = k->dates[k->v[i].order];
	}
	out->delta = k->look != LOOK_ALL;
	if (out->delta)
		uidset_swap(&out->vanished, &k->vanished);
	comparison_tell_token(k);
	out->complete = complete;
	comparison_finish(k);
}

/* --- how to go on --- */

void comparison_begin(struct comparison *k, enum look look)
{
	k->look = look;
	k->n = 0;
	k->modseq = 0;
	k->looks = 0;
	k->asked_below = 1;
	k->uids_moved = false;
	uidset_clear(&k->vanished);
	if (look == LOOK_CHANGES && !k->req->since->highestmodseq)
		k->asked_below = k->req->since->uidnext;
}

/* Something stirred, or does not add up: once more, and in the end everything. */
static void start_over(struct comparison *k)
{
	comparison_begin(k, ++k->changes_tries < CHANGES_TRIES ? LOOK_CHANGES : LOOK_ALL);
	comparison_wait(k);
}

/* The numbers cannot be true: nothing less than everything will do. */
static void ask_for_all(struct comparison *k)
{
	k->changes_tries = CHANGES_TRIES;
	comparison_begin(k, LOOK_ALL);
	comparison_wait(k);
}

/* Everything below UIDNEXT was asked for: is it all there is? */
static void judge_all(struct comparison *k, bool damaged, bool expunged)
{
	bool agrees = !damaged && !expunged && k->now.exists_known && settle(k) == k->now.exists;

	if (agrees || k->from_scratch_once) {
		settle(k);
		deliver(k, agrees);
		return;
	}
	k->from_scratch_once = true;
	comparison_begin(k, LOOK_ALL);
	comparison_wait(k);
}

/* Messages told that were not known, and whether any of those told is said to have vanished. */
static uint32_t count_came(const struct comparison *k, bool *contradiction)
{
	uint32_t came = 0;

	*contradiction = false;
	for (size_t i = 0; i < k->n; i++) {
		came += !uidset_has(k->req->known, k->v[i].uid);
		*contradiction |= uidset_has(&k->vanished, k->v[i].uid);
	}
	return came;
}

/* Fewer are left than were known: find out which. */
static void look_for_vanished(struct comparison *k)
{
	const struct uidset *known = k->req->known;

	uidset_clear(&k->vanished);
	if (k->left == 0) { /* so far on the word of one answer */
		ask_for_all(k);
		return;
	}
	if (vanished_choose(known, k->left,
			    imap_session_has(k->conn->session, IMAP_CAP_ESEARCH)) ==
	    VANISHED_SAMPLE) {
		k->look = LOOK_SAMPLE;
		vanished_sample(known, k->left, &k->numbers);
	} else {
		k->look = LOOK_LEFT;
		uidset_clear(&k->unclear);
		uidset_add_range(&k->unclear, uidset_min(known), uidset_max(known));
	}
	comparison_wait(k);
}

/* What the server says of the mailbox leaves nothing to build on. */
static bool agreement_is_void(const struct comparison *k)
{
	const struct token *since = k->req->since;

	return since->highestmodseq &&
	       (k->now.no_modseq || k->now.highest_modseq < since->highestmodseq);
}

/* The changes add up: tell them, or have the flags counted or compared first. */
static void deliver_changes(struct comparison *k)
{
	if (!k->req->flagged || k->now.exists == 0 ||
	    !imap_session_has(k->conn->session, IMAP_CAP_ESEARCH)) {
		deliver(k, true);
	} else if (k->req->since->highestmodseq) {
		k->look = LOOK_COUNTS;
		comparison_wait(k);
	} else if (columns_prepare(k)) {
		k->look = LOOK_COLUMNS;
		comparison_wait(k);
	} else {
		ask_for_all(k);
	}
}

/* How many have this flag now, by what the changes say. */
static uint64_t expected_count(const struct comparison *k, unsigned bit)
{
	const struct uidset *then = &k->req->flagged->v[bit].set;
	uint64_t n = uidset_count(then);
	struct uidset gone = UIDSET_INIT;

	uidset_intersect(&gone, then, &k->vanished);
	n -= uidset_count(&gone);
	uidset_release(&gone);
	for (size_t i = 0; i < k->n; i++) {
		n -= uidset_has(then, k->v[i].uid);
		n += (flag_table_get(k->req->out->flags, k->v[i].flags)->bits >> bit) & 1;
	}
	return n;
}

/* All that changed was asked for: does it add up? */
static void judge_changes(struct comparison *k, bool damaged, bool expunged)
{
	uint64_t known = uidset_count(k->req->known);
	bool contradiction;

	if (k->now.uid_validity != k->req->since->uidvalidity) { /* not the mailbox it was */
		comparison_begin(k, LOOK_ALL);
		deliver(k, false);
		return;
	}
	if (agreement_is_void(k)) {
		ask_for_all(k);
		return;
	}
	settle(k);
	uidset_intersect(&k->vanished, &k->vanished, k->req->known);
	k->came = count_came(k, &contradiction);
	if (damaged || expunged || !k->now.exists_known) {
		start_over(k);
		return;
	}
	if (contradiction || k->now.exists < k->came || k->now.exists - k->came > known) {
		ask_for_all(k);
		return;
	}
	k->left = k->now.exists - k->came;
	if (known - uidset_count(&k->vanished) == k->left)
		deliver_changes(k);
	else if (k->left < known)
		look_for_vanished(k);
	else
		ask_for_all(k);
}

void comparison_judge(struct comparison *k, bool damaged, bool expunged)
{
	damaged |= k->uids_moved; /* then not all of it is of this UIDVALIDITY */
	if (k->look == LOOK_ALL)
		judge_all(k, damaged, expunged);
	else
		judge_changes(k, damaged, expunged);
}

/* The UIDs of some numbers: where is something missing? */
static void judge_sample(struct comparison *k, const struct uidset *found)
{
	if (!vanished_narrow(k->req->known, k->left, &k->numbers, found, &k->vanished,
			     &k->unclear)) {
		ask_for_all(k);
		return;
	}
	k->look = LOOK_LEFT;
	if (uidset_is_empty(&k->unclear))
		deliver_changes(k);
	else
		comparison_wait(k);
}

/* What is left where something is missing: then the rest of what was known there is gone. */
static void judge_left(struct comparison *k, const struct uidset *found)
{
	const struct uidset *known = k->req->known;
	struct uidset gone = UIDSET_INIT;

	uidset_intersect(&gone, known, &k->unclear);
	uidset_subtract(&gone, &gone, found);
	uidset_union(&k->vanished, &k->vanished, &gone);
	uidset_release(&gone);
	if (uidset_count(known) - uidset_count(&k->vanished) == k->left)
		deliver_changes(k);
	else
		ask_for_all(k);
}

static bool has_stirred(const struct comparison *k, bool expunged)
{
	return expunged || k->now.exists != k->came + k->left || k->now.uid_next > k->asked_below;
}

/* A flag that changed while they were counted makes them wrong, and costs a full answer: no harm. */
void comparison_judge_counts(struct comparison *k, bool good, bool expunged)
{
	if (good && has_stirred(k, expunged)) {
		start_over(k);
		return;
	}
	for (unsigned bit = 0; good && bit < FLAG_BITS; bit++)
		good = k->counts[bit] == expected_count(k, bit);
	if (good)
		deliver(k, true);
	else
		ask_for_all(k);
}

void comparison_judge_columns(struct comparison *k, bool good, bool expunged)
{
	if (!good) {
		ask_for_all(k);
	} else if (has_stirred(k, expunged) || columns_outdated(k)) {
		start_over(k);
	} else if (uidset_is_empty(&k->differ)) {
		deliver(k, true);
	} else {
		k->look = LOOK_FLAGS;
		comparison_wait(k);
	}
}

void comparison_judge_flags(struct comparison *k, bool damaged, bool expunged)
{
	struct uidset_builder told;
	struct uidset all = UIDSET_INIT;
	bool whole;

	settle(k);
	uidset_builder_init(&told);
	for (size_t i = 0; i < k->n; i++)
		uidset_builder_add(&told, k->v[i].uid, k->v[i].uid);
	uidset_builder_finish(&told, &all);
	uidset_builder_release(&told);
	whole = uidset_is_subset(&k->differ, &all);
	uidset_release(&all);
	if (damaged || !whole || has_stirred(k, expunged))
		start_over(k);
	else
		deliver(k, true);
}

void comparison_judge_search(struct comparison *k, const struct uidset *found, bool good,
			     bool expunged)
{
	bool stirred = has_stirred(k, expunged);

	if (!good)
		ask_for_all(k);
	else if (stirred)
		start_over(k);
	else if (k->look == LOOK_SAMPLE)
		judge_sample(k, found);
	else
		judge_left(k, found);
}
