#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands.h"
#include "core/msgset/uidset.h"

#include "backends/imap/private.h"

/*
 * What the mailboxes hold, told in full: EXAMINE and UID FETCH 1:<UIDNEXT-1> (FLAGS), for many
 * mailboxes in one flight.
 *
 * The set is complete when the answer holds as many messages below UIDNEXT as EXISTS said at
 * EXAMINE and nothing was expunged since. Mail that arrived between LIST and EXAMINE is fetched
 * with a second look at the range above; then, and when the numbers do not agree, the mailbox is
 * examined again, and counts only if it agrees then.
 *
 * The token is that of the last EXAMINE with the mod-sequence of the first: what changed in
 * between is seen again next time.
 */
#define LOOKS_MAX 4
#define LOSSES_MAX 3

struct listed {
	uint32_t uid;
	uint32_t flags;
	size_t order; /* the last word on a message counts */
};

enum stage { STAGE_WAITS, STAGE_ASKED, STAGE_DONE };

struct comparison {
	struct comparing *all;
	struct changes_request *req;
	struct imap_mailbox_handle *mb;
	struct connection *conn; /* while ASKED */
	enum stage stage;
	bool only_examine;
	bool examined; /* `now` is filled in */
	bool from_scratch_once;
	bool turned_away; /* EXAMINE was refused for asking too much */
	unsigned looks;
	unsigned losses; /* of the line, while this was the next to be answered */
	uint32_t asked_below; /* UIDs below this one were asked for; 0: none yet */
	uint32_t ask_below;   /* what this look asks up to */
	uint64_t modseq;      /* of the first EXAMINE */
	struct imap_mailbox now; /* numbers of the last EXAMINE; nothing in it is owned */
	struct listed *v;
	size_t n, cap;
};

struct comparing {
	struct imap_store *st;
	struct comparison *v;
	size_t n, left;
	size_t waiting; /* none before this one waits */
	size_t to_ask;
	struct pool_job job;
};

static void finish(struct comparison *k)
{
	k->stage = STAGE_DONE;
	k->all->left--;
	k->all->job.progress++;
	free(k->v);
	k->v = NULL;
}

static void fail(struct comparison *k, const struct err *err)
{
	k->req->out->err = *err;
	if (k->req->out->err.kind == ERR_MISSING)
		k->req->out->err.kind = ERR_MAILBOX;
	finish(k);
}

static void wait_again(struct comparison *k)
{
	size_t at = (size_t)(k - k->all->v);

	k->stage = STAGE_WAITS;
	k->all->to_ask++;
	if (at < k->all->waiting)
		k->all->waiting = at;
}

/* --- what came --- */

static int compare_listed(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Sort by UID, each once with what was said last. Returns how many there are. */
static size_t settle(struct comparison *k)
{
	size_t kept = 0;

	if (k->n)
		qsort(k->v, k->n, sizeof(*k->v), compare_listed);
	for (size_t i = 0; i < k->n; i++)
		if (i + 1 == k->n || k->v[i + 1].uid != k->v[i].uid)
			k->v[kept++] = k->v[i];
	k->n = kept;
	return kept;
}

static struct token token_of(const struct comparison *k)
{
	return (struct token){
		.known = k->now.uid_validity != 0, /* old servers tell no UIDNEXT */
		.uidvalidity = k->now.uid_validity,
		.uidnext = k->now.uid_next,
		.messages = k->now.exists,
		.highestmodseq = k->now.no_modseq ? 0 : k->modseq,
	};
}

/* Also for fetch(), which must not take UIDs of one UIDVALIDITY for those of another. */
static void tell_token(struct comparison *k)
{
	k->req->out->token = token_of(k);
	if (k->req->out->token.known)
		k->mb->token = k->req->out->token;
}

static void deliver(struct comparison *k, bool complete)
{
	struct changes *out = k->req->out;

	for (size_t i = 0; i < k->n; i++)
		changes_add(out, k->v[i].uid)->flags = k->v[i].flags;
	tell_token(k);
	out->complete = complete;
	finish(k);
}

/* Everything below UIDNEXT was asked for: is it all there is? */
static void judge(struct comparison *k, bool damaged, bool expunged)
{
	bool agrees = !damaged && !expunged && k->now.exists_known && settle(k) == k->now.exists;

	if (agrees || k->from_scratch_once) {
		settle(k);
		deliver(k, agrees);
		return;
	}
	k->from_scratch_once = true;
	k->n = 0;
	k->asked_below = 0;
	k->modseq = 0;
	k->looks = 0;
	wait_again(k);
}

static void on_flags(void *ctx, const struct imap_fetch *f)
{
	struct comparison *k = ctx;

	if (!(f->present & IMAP_FETCH_FLAGS))
		return;
	k->v = xgrow(k->v, k->n, &k->cap, sizeof(*k->v));
	k->v[k->n] = (struct listed){
		.uid = f->uid,
		.flags = flag_table_intern(k->req->out->flags, f->flags),
		.order = k->n,
	};
	k->n++;
}

/* What came before the line was lost is asked for again: twice the same does no harm. */
static void line_lost(struct comparison *k, const struct imap_result *r)
{
	bool was_head = !k->conn->lost_head;

	k->conn->lost_head = true;
	/* A mailbox that breaks every line must not stand in the way of the others. */
	if (was_head && ++k->losses == LOSSES_MAX)
		fail(k, r->err);
	else
		wait_again(k);
}

/* The whole answer: nothing else of this look will come. */
static void refused(struct comparison *k, const struct imap_result *r)
{
	if (throttle_note(&k->all->st->throttle, r) || k->turned_away)
		wait_again(k);
	else
		fail(k, r->err);
	k->turned_away = false;
}

static void on_flags_done(void *ctx, const struct imap_result *r)
{
	struct comparison *k = ctx;
	uint32_t below = k->ask_below;

	k->conn->load--;
	if (k->stage == STAGE_DONE) /* EXAMINE was refused */
		return;
	if (r->outcome == IMAP_DONE_LOST && !k->turned_away) {
		line_lost(k, r);
		return;
	}
	if (r->outcome != IMAP_DONE_OK) {
		refused(k, r);
		return;
	}
	k->asked_below = below;
	if (k->now.uid_next > below && ++k->looks < LOOKS_MAX)
		wait_again(k);
	else
		judge(k, r->damaged || k->now.uid_next > below,
		      r->mailbox && r->mailbox->removed > 0);
}

/* --- EXAMINE --- */

static void take_bound(struct comparison *k)
{
	struct changes *out = k->req->out;
	uint32_t below = k->now.uid_next ? k->now.uid_next : UINT32_MAX;

	if (below > 1 && !(k->now.exists_known && k->now.exists == 0))
		uidset_add_range(&out->fresh, 1, below - 1);
	tell_token(k);
	out->complete = true;
	finish(k);
}

static void on_examined(void *ctx, const struct imap_result *r)
{
	struct comparison *k = ctx;

	if (k->only_examine)
		k->conn->load--;
	if (k->stage == STAGE_DONE)
		return;
	if (r->outcome == IMAP_DONE_LOST) {
		if (k->only_examine)
			line_lost(k, r);
		return;
	}
	if (r->outcome != IMAP_DONE_OK) {
		k->conn->opened = NULL;
		if (k->only_examine)
			refused(k, r);
		else if (throttle_note(&k->all->st->throttle, r))
			k->turned_away = true; /* and so will be what is behind it */
		else
			fail(k, r->err);
		return;
	}
	k->now = *r->mailbox;
	k->examined = true;
	if (!k->modseq)
		k->modseq = k->now.highest_modseq;
	if (!k->only_examine)
		return;
	if (k->req->everything_new) {
		take_bound(k);
	} else if (k->now.uid_next == 1 || (k->now.exists_known && k->now.exists == 0)) {
		judge(k, r->damaged, false);
	} else {
		k->asked_below = 1; /* nothing lies below; the next look asks */
		wait_again(k);
	}
}

/* --- asking --- */

/* Up to where this look asks: 0 when only EXAMINE can tell. */
static uint32_t bound_of(const struct comparison *k)
{
	if (k->examined)
		return k->now.uid_next ? k->now.uid_next : UINT32_MAX;
	return k->mb->token.known ? k->mb->token.uidnext : 0;
}

static int ask_flags(struct comparison *k, struct err *err)
{
	const struct imap_fetch_sink sink = { .message = on_flags, .done = on_flags_done, .ctx = k };
	struct uidset uids = UIDSET_INIT;
	const struct imap_fetch_request request = { .uids = &uids, .items = IMAP_FETCH_FLAGS };
	int ret;

	uidset_add_range(&uids, k->asked_below ? k->asked_below : 1, k->ask_below - 1);
	ret = imap_fetch(k->conn->session, &request, &sink, err);
	uidset_release(&uids);
	return ret;
}

static void ask(struct comparison *k, struct connection *c)
{
	struct err err;

	k->all->to_ask--;
	k->stage = STAGE_ASKED;
	k->conn = c;
	k->ask_below = bound_of(k);
	k->only_examine = k->req->everything_new ||
			  k->ask_below <= (k->asked_below ? k->asked_below : 1);
	c->opened = k->mb;
	c->load++;
	if (imap_select(c->session, buf_bytes(&k->mb->wire), true, on_examined, k, &err) < 0 ||
	    (!k->only_examine && ask_flags(k, &err) < 0)) {
		c->load--;
		err.kind = ERR_MAILBOX;
		fail(k, &err);
	}
}

static bool feed(void *ctx, struct connection *c)
{
	struct comparing *all = ctx;

	for (; all->waiting < all->n; all->waiting++)
		if (all->v[all->waiting].stage == STAGE_WAITS) {
			ask(&all->v[all->waiting++], c);
			return true;
		}
	return false;
}

static bool all_done(void *ctx)
{
	return ((struct comparing *)ctx)->left == 0;
}

/* One connection answers hundreds of small mailboxes a second; more pay for long answers only. */
static size_t wants(void *ctx)
{
	const struct comparing *all = ctx;

	return 1 + all->to_ask / 100;
}

/* Nothing of it is stored and the list said enough: no need to ask. */
static bool answered_by_list(struct comparison *k)
{
	const struct token *told = &k->mb->token;

	if (!k->req->everything_new || !told->known || !told->uidnext)
		return false;
	if (told->uidnext > 1)
		uidset_add_range(&k->req->out->fresh, 1, told->uidnext - 1);
	k->req->out->token = *told;
	k->req->out->complete = true;
	return true;
}

int imap_store_changes(struct store *base, struct changes_request *req, size_t n, struct err *err)
{
	struct comparing all = { .st = imap_of(base) };
	int ret;

	all.job = (struct pool_job){ .feed = feed, .done = all_done, .wants = wants, .ctx = &all };
	all.v = xcalloc(n, sizeof(*all.v));
	for (size_t i = 0; i < n; i++) {
		struct comparison *k = &all.v[all.n];

		*k = (struct comparison){ .all = &all, .req = &req[i],
					  .mb = (struct imap_mailbox_handle *)req[i].mailbox };
		if (!answered_by_list(k))
			all.n++;
	}
	all.left = all.to_ask = all.n;
	ret = pool_run(all.st, &all.job, err);
	if (ret < 0)
		pool_drop_busy(all.st);
	for (size_t i = 0; i < all.n; i++)
		free(all.v[i].v);
	free(all.v);
	return ret;
}
