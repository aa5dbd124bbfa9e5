#include <stdlib.h>

#include "core/base/mem.h"

#include "backends/imap/fetch_private.h"

#define SINGLES_MAX 64      /* more than these are asked again in chunks first */
#define REFUSALS_MAX 40     /* in a row: this mailbox gives nothing today */

/* --- the fate of messages --- */

void box_settle(struct fetch_box *b, struct chunk *k, uint32_t uid, enum outcome what,
		const struct err *why)
{
	struct fetch *f = b->fetch;

	uidset_add(k ? &k->got : &b->settled, uid);
	if (what == OUTCOME_DONE) {
		b->delivered++;
		b->refusals = 0;
		f->messages++;
		f->expected -= f->expected > 0;
	}
	f->job.progress++;
	/* A message that is not there is news only to who knew that it was. */
	if (what != OUTCOME_UID_UNKNOWN || b->want->exact)
		f->report(f->ctx, b->want->tag, uid, what, 0, why);
}

void box_end(struct fetch_box *b)
{
	if (b->over)
		return;
	b->over = true;
	b->fetch->rests -= !uidset_is_empty(&b->todo);
	b->fetch->left--;
	b->fetch->job.progress++;
}

void box_fail(struct fetch_box *b, const struct err *err)
{
	if (b->over)
		return;
	b->want->err = *err;
	if (b->want->err.kind == ERR_MISSING || b->want->err.kind == ERR_MESSAGE)
		b->want->err.kind = ERR_MAILBOX;
	box_end(b);
}

void todo_add(struct fetch_box *b, const struct uidset *set)
{
	if (uidset_is_empty(set))
		return;
	b->fetch->rests += uidset_is_empty(&b->todo);
	uidset_union(&b->todo, &b->todo, set);
}

void todo_subtract(struct fetch_box *b, const struct uidset *set)
{
	bool was = !uidset_is_empty(&b->todo);

	uidset_subtract(&b->todo, &b->todo, set);
	b->fetch->rests -= was && uidset_is_empty(&b->todo);
}

static void redo_add(struct fetch_box *b, struct uidset *set)
{
	b->redo = xgrow(b->redo, b->n_redo, &b->cap_redo, sizeof(*b->redo));
	uidset_init(&b->redo[b->n_redo]);
	uidset_swap(&b->redo[b->n_redo++], set);
}

/* --- what came of it --- */

static bool is_gone_code(const struct imap_result *r)
{
	return r->status && r->status->code == IMAP_CODE_EXPUNGEISSUED;
}

/* The line was lost while this message was coming: after the third time it goes last, alone. */
static void note_cut(struct fetch_box *b, uint32_t uid)
{
	struct cut *c = NULL;
	struct uidset one = UIDSET_INIT;

	for (size_t i = 0; i < b->n_cuts; i++)
		if (b->cuts[i].uid == uid)
			c = &b->cuts[i];
	if (!c) {
		b->cuts = xgrow(b->cuts, b->n_cuts, &b->cap_cuts, sizeof(*b->cuts));
		c = &b->cuts[b->n_cuts++];
		*c = (struct cut){ .uid = uid };
	}
	if (++c->times < CUTS_MAX)
		return;
	uidset_add(&one, uid);
	todo_subtract(b, &one);
	uidset_remove(&b->singles, uid);
	uidset_add(&b->isolated, uid);
	uidset_release(&one);
	b->fetch->job.progress++;
}

/* Nothing is known of these: they are where they were before the command. */
static void put_back(struct fetch_box *b, const struct chunk *k, const struct uidset *rest)
{
	switch (k->kind) {
	case CHUNK_ISOLATED:
		uidset_union(&b->isolated, &b->isolated, rest);
		break;
	case CHUNK_SINGLE:
		uidset_union(&b->singles, &b->singles, rest);
		break;
	case CHUNK_BODIES:
		b->fetch->commands--;
		todo_add(b, rest);
		break;
	case CHUNK_PRESENCE:
	case CHUNK_SEARCH:
		break; /* asked again as long as it is not answered */
	}
}

/* The line was lost on the mailbox rather than on a message of it. */
static void note_lost_asking(struct fetch_box *b, const struct imap_result *r)
{
	/* One that breaks every line must not stand in the way of the others. */
	if (++b->asking_losses == CUTS_MAX)
		box_fail(b, r->err);
}

static void chunk_lost(struct fetch_box *b, struct chunk *k, const struct uidset *rest,
		       const struct imap_result *r)
{
	bool was_head = !k->conn->lost_head;
	struct err err;

	k->conn->lost_head = true;
	if (k->kind == CHUNK_ISOLATED && was_head && !uidset_is_empty(rest)) {
		err_set(&err, ERR_MESSAGE, "the connection is lost whenever it is fetched: %s",
			r->err->text);
		box_settle(b, NULL, uidset_min(rest), OUTCOME_REFUSED, &err);
		return;
	}
	put_back(b, k, rest);
	if (!was_head)
		return;
	if (k->kind == CHUNK_PRESENCE || k->kind == CHUNK_SEARCH)
		note_lost_asking(b, r);
	else if (k->kind == CHUNK_BODIES && !k->cut_uid && uidset_is_empty(&k->got) &&
		 !b->members_known)
		/* It is the members that are needed to find the one that breaks the line. */
		b->search_first = true;
	else if (!uidset_is_empty(rest) && (k->cut_uid || b->members_known))
		note_cut(b, k->cut_uid ? k->cut_uid : uidset_min(rest));
}

static void settle_single(struct fetch_box *b, uint32_t uid, const struct imap_result *r)
{
	struct err err;

	if (is_gone_code(r)) {
		box_settle(b, NULL, uid, OUTCOME_UID_UNKNOWN, NULL);
	} else if (r->outcome != IMAP_DONE_OK) {
		err = *r->err;
		err.kind = ERR_MESSAGE;
		box_settle(b, NULL, uid, OUTCOME_REFUSED, &err);
	} else if (r->damaged) {
		err_set(&err, ERR_MESSAGE, "what the server says of it is unreadable");
		box_settle(b, NULL, uid, OUTCOME_REFUSED, &err);
	} else if (uidset_has(&b->present, uid) ||
		   (uidset_has(&b->found, uid) && !r->mailbox->removed)) {
		err_set(&err, ERR_MESSAGE, "the server lists it, says OK, and gives no content");
		box_settle(b, NULL, uid, OUTCOME_REFUSED, &err);
	} else {
		box_settle(b, NULL, uid, OUTCOME_UID_UNKNOWN, NULL);
	}
}

/* Refused as a whole: halve it, to find out which message it is about. */
static void bisect(struct fetch_box *b, struct uidset *rest)
{
	struct uidset low = UIDSET_INIT;
	uint32_t middle = uidset_select(rest, (uint32_t)(uidset_count(rest) / 2));

	uidset_add_range(&low, 1, middle);
	uidset_intersect(&low, &low, rest);
	uidset_subtract(rest, rest, &low);
	redo_add(b, rest);
	redo_add(b, &low);
}

static void chunk_refused(struct fetch_box *b, struct uidset *rest, const struct imap_result *r)
{
	if (++b->refusals > REFUSALS_MAX)
		box_fail(b, r->err);
	else if (!b->members_known)
		b->doubtful = true; /* the search says what to ask again */
	else if (uidset_count(rest) == 1)
		settle_single(b, uidset_min(rest), r);
	else if (!uidset_is_empty(rest))
		bisect(b, rest);
}

static void bodies_done(struct fetch_box *b, struct uidset *rest, const struct imap_result *r)
{
	if (r->outcome != IMAP_DONE_OK && !is_gone_code(r))
		chunk_refused(b, rest, r);
	else if (b->members_known)
		uidset_union(&b->missing, &b->missing, rest);
}

/* The members are known now; these were left out of an answer, or not asked for yet. */
static void take_members_to_ask(struct fetch_box *b, struct uidset *rest)
{
	bool asked_all = uidset_is_empty(&b->todo);

	uidset_subtract(rest, rest, &b->isolated);
	todo_subtract(b, b->want->set);
	if (asked_all && uidset_count(rest) <= SINGLES_MAX)
		uidset_union(&b->missing, &b->missing, rest);
	else
		todo_add(b, rest);
}

/* After PRESENCE: the members when nothing else told them, else whom to ask for singly. */
static void presence_done(struct fetch_box *b, const struct chunk *k, const struct imap_result *r)
{
	struct err err;

	if (r->outcome != IMAP_DONE_OK && !is_gone_code(r)) /* not known, so nothing is gone */
		uidset_union(&b->present, &b->present, &k->asked);
	if (b->members_known) {
		uidset_union(&b->singles, &b->singles, &b->missing);
		uidset_clear(&b->missing);
	} else if (r->outcome != IMAP_DONE_OK) {
		box_fail(b, r->err);
	} else if (r->damaged) {
		err_set(&err, ERR_MAILBOX, "the server's list of messages is unreadable");
		box_fail(b, &err);
	} else {
		struct uidset rest = UIDSET_INIT;

		b->members_known = true;
		uidset_union(&rest, &b->present, &b->settled);
		b->shown = uidset_count(&rest);
		b->removed = r->mailbox->removed;
		uidset_intersect(&rest, &b->present, b->want->set);
		uidset_subtract(&rest, &rest, &b->settled);
		take_members_to_ask(b, &rest);
		uidset_release(&rest);
	}
}

/*
 * The search and the cross-check were asked because the count was not reached, and they did
 * not reach it either: what they left out may be there all the same.
 */
bool box_falls_short(const struct fetch_box *b)
{
	return b->search_failed && b->exists_known && !arrived_meanwhile(b) &&
	       b->shown + b->removed < b->exists;
}

static void chunk_leaves(struct fetch_box *b, struct chunk *k)
{
	k->conn->load--;
	k->conn->alone = false;
	b->under_way--;
	uidset_union(&b->settled, &b->settled, &k->got);
}

void box_chunk_done(struct fetch_box *b, struct chunk *k, const struct imap_result *r)
{
	struct uidset rest = UIDSET_INIT;
	bool throttled = throttle_note(&b->fetch->st->throttle, r);

	chunk_leaves(b, k);
	uidset_subtract(&rest, &k->asked, &b->settled);
	if (b->over || b->fetch->failed)
		;
	else if (throttled || (b->turned_away && r->outcome != IMAP_DONE_OK))
		put_back(b, k, &rest);
	else if (r->outcome == IMAP_DONE_LOST)
		chunk_lost(b, k, &rest, r);
	else if (k->kind == CHUNK_PRESENCE)
		presence_done(b, k, r);
	else if (k->kind == CHUNK_BODIES)
		bodies_done(b, &rest, r);
	else if (!uidset_is_empty(&rest))
		settle_single(b, uidset_min(&rest), r);
	uidset_release(&rest);
	box_check_end(b);
}

/* Some servers find nothing, or not all, and say OK. */
static bool accounts_for_all(const struct uidset *found, const struct imap_mailbox *m)
{
	return m->exists_known ? uidset_count(found) >= m->exists : !uidset_is_empty(found);
}

void box_found(struct fetch_box *b, struct chunk *k, const struct uidset *found,
	       const struct imap_result *r)
{
	struct uidset rest = UIDSET_INIT;

	chunk_leaves(b, k);
	if (b->over || b->fetch->failed || throttle_note(&b->fetch->st->throttle, r) ||
	    (b->turned_away && r->outcome != IMAP_DONE_OK))
		return;
	if (r->outcome == IMAP_DONE_LOST) {
		chunk_lost(b, k, &rest, r);
		return;
	}
	if (!found) {
		box_fail(b, r->err);
		return;
	}
	b->fetch->job.progress++;
	b->search_failed = r->damaged || !accounts_for_all(found, r->mailbox);
	uidset_intersect(&rest, found, b->want->set);
	if (b->search_failed) /* what it did find counts as shown */
		uidset_union(&b->present, &b->present, &rest);
	uidset_subtract(&rest, &rest, &b->settled);
	uidset_copy(&b->found, &rest);
	b->members_known = !b->search_failed;
	if (b->members_known)
		take_members_to_ask(b, &rest);
	uidset_release(&rest);
	box_check_end(b);
}
