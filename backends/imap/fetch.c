#include <stdlib.h>

#include "core/base/mem.h"

#include "backends/imap/fetch_private.h"

/*
 * What to ask next, and what became of what was asked. The way of a message:
 *
 *   todo --> chunk --> settled                         delivered, as nearly all are
 *             |  \-- answered OK, but not about it --> missing --> (presence) --> singles
 *             |  \-- refused as a whole -------------> redo, halved until one is left
 *             \----- line lost ----------------------> todo; after three times: isolated
 *
 * singles and isolated end settled, as delivered, unknown or refused.
 *
 * How the commands are cut: sizes are not known in advance, and asking for them would cost a
 * pass over all messages. A chunk takes CHUNK_BYTES by the mean size seen so far, and a mailbox is
 * cut at all only while the number of commands stays below one for each mailbox plus one for each
 * COMMAND_BYTES that came or are soon to be expected.
 */
#define CHUNK_BYTES ((uint64_t)16 << 20)
#define COMMAND_BYTES ((uint64_t)8 << 20)
/* While no size is known: */
#define FIRST_CHUNK 2048
#define FIRST_CHUNK_LEAST 128
#define LEAST_SIZE 1024 /* what a message is at least expected to have */
/* To begin with, so much is believed of what is yet to come; then only what came counts. */
#define ADVANCE_BYTES ((uint64_t)32 << 20)

#define SHARED_DEPTH 2      /* chunks ahead per connection in a mailbox that others work on, too */
#define MESSAGES_PER_CONNECTION 2000
#define BYTES_PER_CONNECTION ((uint64_t)32 << 20)

/* --- what is next for a mailbox --- */

enum step { STEP_NONE, STEP_REDO, STEP_TODO, STEP_SINGLE, STEP_SEARCH, STEP_CROSS_CHECK,
	    STEP_PRESENCE, STEP_ISOLATED, STEP_END };

/* Nothing came between LIST and EXAMINE, and all that is there was had, or is known of. */
static bool count_proves_all(const struct fetch_box *b)
{
	return b->examined && !b->doubtful && b->exists_known && !arrived_meanwhile(b) &&
	       uidset_count(&b->settled) + uidset_count(&b->isolated) == b->exists;
}

static enum step step_to_members(const struct fetch_box *b)
{
	return b->search_failed ? STEP_CROSS_CHECK : STEP_SEARCH;
}

static enum step box_next(const struct fetch_box *b)
{
	if (b->over)
		return STEP_NONE;
	if (b->n_redo)
		return STEP_REDO;
	if (b->search_first && !b->members_known)
		return b->under_way ? STEP_NONE : step_to_members(b);
	if (!uidset_is_empty(&b->todo))
		return STEP_TODO;
	if (!uidset_is_empty(&b->singles))
		return STEP_SINGLE;
	if (b->under_way)
		return STEP_NONE;
	if (!b->members_known && !count_proves_all(b))
		return step_to_members(b);
	if (!uidset_is_empty(&b->missing))
		return STEP_PRESENCE;
	return uidset_is_empty(&b->isolated) ? STEP_END : STEP_ISOLATED;
}

void box_check_end(struct fetch_box *b)
{
	struct err err;

	if (b->fetch->failed || box_next(b) != STEP_END)
		return;
	if (box_falls_short(b)) {
		err_set(&err, ERR_MAILBOX,
			"the server says that there are %u messages and shows %llu; what it shows "
			"is stored", b->exists, (unsigned long long)b->shown);
		box_fail(b, &err);
		return;
	}
	b->want->complete = true;
	box_end(b);
}

/* --- EXAMINE --- */

struct opening {
	struct fetch_box *box;
	struct connection *conn;
};

static void take_numbers(struct fetch_box *b, const struct imap_mailbox *m)
{
	if (b->examined && (b->exists != m->exists || b->uid_next != m->uid_next))
		b->doubtful = true;
	if (b->examined)
		return;
	b->examined = true;
	b->exists = m->exists;
	b->exists_known = m->exists_known;
	b->uid_next = m->uid_next ? m->uid_next : b->mb->token.uidnext;
}

static void on_opened(void *ctx, const struct imap_result *r)
{
	struct opening *o = ctx;
	struct fetch_box *b = o->box;
	const struct token *told = &b->mb->token;
	struct err err;

	if (r->outcome == IMAP_DONE_LOST) {
		/* A mailbox that breaks every line must not stand in the way of the others. */
		if (!o->conn->lost_head && !b->fetch->failed && ++b->asking_losses == CUTS_MAX)
			box_fail(b, r->err);
		o->conn->lost_head = true; /* whatever comes next was not begun */
	} else if (r->outcome != IMAP_DONE_OK) {
		if (o->conn->opened == b->mb)
			o->conn->opened = NULL;
		b->turned_away = throttle_note(&b->fetch->st->throttle, r);
		if (!b->turned_away)
			box_fail(b, r->err);
	} else if (told->known && told->uidvalidity != r->mailbox->uid_validity) {
		if (r->mailbox->uid_validity)
			err_set(&err, ERR_MAILBOX, "the server changed its UIDVALIDITY from %u to %u "
				"meanwhile; the next run looks again", told->uidvalidity,
				r->mailbox->uid_validity);
		else
			err_set(&err, ERR_MAILBOX, "the server does not say whether its UIDVALIDITY "
				"is still %u", told->uidvalidity);
		box_fail(b, &err);
	} else {
		b->turned_away = false;
		take_numbers(b, r->mailbox);
	}
	free(o);
}

static int open_box(struct fetch_box *b, struct connection *c, struct err *err)
{
	struct opening *o;

	if (c->opened == b->mb)
		return 0;
	o = xcalloc(1, sizeof(*o));
	*o = (struct opening){ .box = b, .conn = c };
	c->opened = b->mb;
	if (imap_select(c->session, buf_bytes(&b->mb->wire), true, on_opened, o, err) == 0)
		return 0;
	c->opened = NULL;
	free(o);
	return -1;
}

/* --- cutting --- */

static uint64_t mean_size(const struct fetch *f)
{
	return f->messages >= 16 ? f->bytes / f->messages + 1 : 0;
}

/* How many messages of the mailbox were not asked for yet, as far as that can be told. */
static uint64_t box_rest(const struct fetch_box *b)
{
	uint64_t members = uidset_count(&b->todo), had = b->delivered;

	if (b->members_known || !b->want->expect)
		return members;
	return b->want->expect > had && b->want->expect - had < members ? b->want->expect - had
									: members;
}

/* One more command than mailboxes need, without having sent too many in the end? */
static bool may_cut(const struct fetch *f)
{
	uint64_t mean = mean_size(f);
	uint64_t to_come = f->expected * (mean ? mean / 2 : LEAST_SIZE);
	uint64_t in_all = f->bytes + to_come < ADVANCE_BYTES ? f->bytes + to_come : ADVANCE_BYTES;
	uint64_t bytes = f->bytes > in_all ? f->bytes : in_all;
	uint64_t allowed = f->n + (bytes ? (bytes + COMMAND_BYTES - 1) / COMMAND_BYTES : 1);

	return f->commands + f->rests + 1 <= allowed;
}

/* How many members of `todo` the next chunk takes, if there may be so many chunks. */
static uint64_t wanted_members(const struct fetch_box *b)
{
	uint64_t members = uidset_count(&b->todo), rest = box_rest(b), mean = mean_size(b->fetch);
	uint64_t take = mean ? CHUNK_BYTES / mean + 1 : rest / 2;

	if (!mean && take > FIRST_CHUNK)
		take = FIRST_CHUNK;
	if ((!mean && take < FIRST_CHUNK_LEAST) || rest <= take + take / 2)
		return members;
	/* Where only an upper bound of the set is known, its members are spread over it. */
	take = take * members / rest;
	return take ? take : 1;
}

/* One command for all: what is said of messages is short. */
static bool is_short(const struct fetch_box *b)
{
	return b->want->attributes;
}

/* Too much for one command, and enough under way to wait until there may be another. */
static bool can_wait_to_cut(const struct fetch_box *b)
{
	return !is_short(b) && b->under_way >= 2 && !may_cut(b->fetch) &&
	       wanted_members(b) < uidset_count(&b->todo);
}

static uint64_t chunk_members(const struct fetch_box *b)
{
	return !is_short(b) && may_cut(b->fetch) ? wanted_members(b) : uidset_count(&b->todo);
}

/* Move the first `n` members of `todo` to `out`, fewer where the command would get too long. */
static void take_members(struct fetch_box *b, uint64_t n, size_t budget, struct uidset *out)
{
	struct uidset_split split = { .budget = budget };
	struct uidset first = UIDSET_INIT;

	uidset_add_range(&first, uidset_min(&b->todo),
			 n < uidset_count(&b->todo) ? uidset_select(&b->todo, (uint32_t)n)
						    : uidset_max(&b->todo));
	uidset_intersect(&first, &first, &b->todo);
	split.set = &first;
	uidset_split_next(&split, out);
	todo_subtract(b, out);
	uidset_release(&first);
}

static void take_first(struct uidset *from, struct uidset *out)
{
	uint32_t uid = uidset_min(from);

	uidset_remove(from, uid);
	uidset_add(out, uid);
}

/* --- asking --- */

static struct chunk *chunk_for(struct fetch_box *b, struct connection *c, enum step step)
{
	struct chunk *k = xcalloc(1, sizeof(*k));

	k->box = b;
	k->conn = c;
	switch (step) {
	case STEP_REDO:
		uidset_swap(&k->asked, &b->redo[--b->n_redo]);
		break;
	case STEP_TODO:
		take_members(b, chunk_members(b), imap_session_set_budget(c->session), &k->asked);
		break;
	case STEP_SINGLE:
		k->kind = CHUNK_SINGLE;
		take_first(&b->singles, &k->asked);
		break;
	case STEP_ISOLATED:
		k->kind = CHUNK_ISOLATED;
		take_first(&b->isolated, &k->asked);
		break;
	case STEP_PRESENCE:
		k->kind = CHUNK_PRESENCE;
		uidset_copy(&k->asked, &b->missing);
		break;
	default:
		k->kind = step == STEP_SEARCH ? CHUNK_SEARCH : CHUNK_PRESENCE;
		uidset_copy(&k->asked, b->want->set);
		break;
	}
	return k;
}

static void box_ask(struct fetch_box *b, struct connection *c, enum step step)
{
	struct chunk *k;
	struct err err;

	if (open_box(b, c, &err) < 0) {
		box_fail(b, &err);
		return;
	}
	k = chunk_for(b, c, step);
	b->fetch->commands += k->kind == CHUNK_BODIES;
	b->under_way++;
	c->load++;
	c->alone = k->kind == CHUNK_ISOLATED;
	if (chunk_submit(k, &err) < 0) {
		b->under_way--;
		c->load--;
		c->alone = false;
		box_fail(b, &err);
	}
}

/* --- for the pool --- */

static bool can_go_on(const struct fetch_box *b, const struct connection *c, enum step *step)
{
	*step = box_next(b);
	if (*step == STEP_NONE || *step == STEP_END)
		return false;
	if (*step == STEP_ISOLATED)
		return c->load == 0;
	if (*step != STEP_TODO)
		return true;
	/* Leave some to the others. */
	return (c->load < SHARED_DEPTH || !b->under_way) && !can_wait_to_cut(b);
}

/* Looked through for each command, so not to be kept long in an account of many mailboxes. */
static void forget_those_over(struct fetch *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->n_open; i++)
		if (!f->open[i]->over)
			f->open[kept++] = f->open[i];
	f->n_open = kept;
}

/* The mailbox that is open, else one nobody works on, else a share of any. */
static bool fetch_feed(void *ctx, struct connection *c)
{
	struct fetch *f = ctx;
	struct fetch_box *best = NULL;
	enum step step = STEP_NONE, best_step = STEP_NONE;

	if (f->n_open > 2 * f->left)
		forget_those_over(f);
	for (size_t i = 0; i < f->n_open; i++) {
		struct fetch_box *b = f->open[i];

		if (!can_go_on(b, c, &step))
			continue;
		if (c->opened == b->mb) {
			best = b;
			best_step = step;
			break;
		}
		if (!best || (best->under_way && !b->under_way)) {
			best = b;
			best_step = step;
		}
	}
	if (!best)
		return false;
	box_ask(best, c, best_step);
	return true;
}

static bool fetch_done(void *ctx)
{
	const struct fetch *f = ctx;

	return f->failed || f->left == 0;
}

static size_t fetch_wants(void *ctx)
{
	const struct fetch *f = ctx;
	uint64_t by_count = f->expected / MESSAGES_PER_CONNECTION;
	uint64_t by_bytes = f->expected * mean_size(f) / BYTES_PER_CONNECTION;

	if (!f->rests) /* all that can be shared is under way */
		return 1;
	return 1 + (size_t)(by_count > by_bytes ? by_count : by_bytes);
}

static void box_init(struct fetch_box *b, struct fetch *f, struct want *want)
{
	*b = (struct fetch_box){ .fetch = f, .want = want, .members_known = want->exact,
				 .mb = (struct imap_mailbox_handle *)want->mailbox };
	want->complete = false;
	want->err = (struct err){ .kind = ERR_NONE };
	f->left++;
	f->expected += want->expect;
	todo_add(b, want->set);
	if (uidset_is_empty(want->set)) {
		want->complete = true;
		box_end(b);
	}
}

/* What was known to be there and did not come. */
static void report_unanswered(struct fetch_box *b, const struct err *why)
{
	struct uidset rest = UIDSET_INIT;
	struct uidset_iter it;
	struct err never;
	uint32_t uid;

	if (b->want->complete)
		return;
	if (b->want->err.kind == ERR_NONE)
		b->want->err = *why;
	if (b->want->exact)
		uidset_subtract(&rest, b->want->set, &b->settled);
	if (uidset_iter_init(&it, &rest, NULL, NULL, &never) == 0)
		while (uidset_iter_next(&it, &uid))
			b->fetch->report(b->fetch->ctx, b->want->tag, uid, OUTCOME_NO_ANSWER, 0,
					 &b->want->err);
	uidset_release(&rest);
}

static void box_release(struct fetch_box *b)
{
	uidset_release(&b->todo);
	while (b->n_redo)
		uidset_release(&b->redo[--b->n_redo]);
	free(b->redo);
	uidset_release(&b->missing);
	uidset_release(&b->singles);
	uidset_release(&b->isolated);
	uidset_release(&b->present);
	uidset_release(&b->found);
	uidset_release(&b->settled);
	free(b->cuts);
}

bool imap_store_tells_identities(struct store *base)
{
	struct imap_store *st = imap_of(base);

	for (size_t i = 0; i < st->n; i++)
		if (st->conn[i]->session && identity_items(st->conn[i]->session))
			return true;
	return false;
}

int imap_store_fetch(struct store *base, struct want *want, size_t n,
		     const struct message_sink *sink, outcome_fn *report, void *ctx,
		     struct err *err)
{
	struct fetch f = { .st = imap_of(base), .n = n, .sink = sink, .report = report, .ctx = ctx };
	int ret;

	f.job = (struct pool_job){ .feed = fetch_feed, .done = fetch_done, .wants = fetch_wants,
				   .ctx = &f };
	f.box = xcalloc(n, sizeof(*f.box));
	f.open = xcalloc(n, sizeof(*f.open));
	for (size_t i = 0; i < n; i++) {
		box_init(&f.box[i], &f, &want[i]);
		f.open[f.n_open++] = &f.box[i];
	}
	ret = pool_run(f.st, &f.job, err);
	if (f.failed) {
		*err = f.fatal;
		ret = -1;
	}
	/* Of what is under way nothing may call back here any more. */
	f.failed = true;
	pool_drop_busy(f.st);
	for (size_t i = 0; i < n; i++) {
		f.st->identities_refused |= want[i].attributes && f.box[i].examined &&
					    want[i].err.kind == ERR_MAILBOX;
		report_unanswered(&f.box[i], err);
		box_release(&f.box[i]);
	}
	free(f.open);
	free(f.box);
	return ret;
}
