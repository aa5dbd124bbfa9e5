#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands.h"
#include "core/msgset/uidset.h"

#include "backends/imap/changes_private.h"

/*
 * What the mailboxes hold, for many of them in one flight. Every look at one begins with EXAMINE.
 *
 * Where there was an agreement, what changed since (PROTOCOL: RFC 7162, and without it RFC 3501):
 * UID FETCH 1:<UIDNEXT-1> (FLAGS) (CHANGEDSINCE n VANISHED), without QRESYNC the same less
 * VANISHED, without CONDSTORE only what lies above the UIDNEXT of then. It is believed when known +
 * new - vanished are as many as EXISTS says. When there are fewer and the server does not say which
 * are gone, or says it wrongly, it is asked which of the known are left (vanished.h). Flags that no
 * mod-sequence tells of are then asked for one by one (columns.c).
 *
 * Everything else, and whatever does not add up, is told in full: UID FETCH 1:<UIDNEXT-1> (FLAGS).
 * That is complete when the answer holds as many messages below UIDNEXT as EXISTS said at EXAMINE
 * and nothing was expunged since.
 *
 * Mail that arrived between LIST and EXAMINE is fetched with a second look at the range above; then,
 * and when the numbers do not agree, the mailbox is examined again, and counts only if it agrees
 * then.
 *
 * The token is that of the last EXAMINE with the mod-sequence of the first: what changed in
 * between is seen again next time.
 */
#define LOOKS_MAX 4
#define LOSSES_MAX 3

static void release(struct comparison *k)
{
	free(k->v);
	free(k->dates);
	k->v = NULL;
	k->dates = NULL;
	uidset_release(&k->vanished);
	uidset_release(&k->numbers);
	uidset_release(&k->unclear);
	columns_release(k);
	uidset_release(&k->differ);
	flags_release(&k->in_use);
	uidset_builder_release(&k->found);
}

void comparison_finish(struct comparison *k)
{
	k->stage = STAGE_DONE;
	k->all->left--;
	k->all->job.progress++;
	release(k);
}

static void fail(struct comparison *k, const struct err *err)
{
	k->req->out->err = *err;
	if (k->req->out->err.kind == ERR_MISSING)
		k->req->out->err.kind = ERR_MAILBOX;
	comparison_finish(k);
}

void comparison_wait(struct comparison *k)
{
	size_t at = (size_t)(k - k->all->v);

	k->stage = STAGE_WAITS;
	k->all->to_ask++;
	if (at < k->all->waiting)
		k->all->waiting = at;
}

/* --- flags --- */

static uint32_t size_of_entry(uint64_t size)
{
	return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

static int64_t date_of(const struct imap_fetch *f)
{
	int64_t when = CHANGES_NO_DATE;
	struct maildate date;

	if (f->date)
		return f->date->known ? f->date->unix_time : CHANGES_NO_DATE;
	maildate_init(&date);
	if (f->date_text.p && maildate_parse(&date, f->date_text))
		when = date.unix_time;
	maildate_release(&date);
	return when;
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
		.size = f->present & IMAP_FETCH_SIZE ? size_of_entry(f->size) : 0,
		.order = k->n,
	};
	if (k->req->describe) {
		k->dates = xgrow(k->dates, k->n, &k->cap_dates, sizeof(*k->dates));
		k->dates[k->n] = date_of(f);
	}
	k->n++;
}

static void on_vanished(void *ctx, const struct uidset *uids)
{
	struct comparison *k = ctx;

	uidset_union(&k->vanished, &k->vanished, uids);
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
		comparison_wait(k);
}

/* The whole answer: nothing else of this look will come. */
static void refused(struct comparison *k, const struct imap_result *r)
{
	if (throttle_note(&k->all->st->throttle, r) || k->turned_away)
		comparison_wait(k);
	else
		fail(k, r->err);
	k->turned_away = false;
}

/* A FETCH of this look is answered; true: as it should be. */
static bool fetch_done(struct comparison *k, const struct imap_result *r)
{
	k->conn->load--;
	if (k->stage == STAGE_DONE) /* EXAMINE was refused */
		return false;
	if (r->outcome == IMAP_DONE_LOST && !k->turned_away)
		line_lost(k, r);
	else if (r->outcome != IMAP_DONE_OK)
		refused(k, r);
	return r->outcome == IMAP_DONE_OK;
}

static bool was_expunged(const struct imap_result *r)
{
	return r->mailbox && r->mailbox->removed > 0;
}

static void on_differing_done(void *ctx, const struct imap_result *r)
{
	struct comparison *k = ctx;

	if (fetch_done(k, r))
		comparison_judge_flags(k, r->damaged, was_expunged(r));
}

static void on_flags_done(void *ctx, const struct imap_result *r)
{
	struct comparison *k = ctx;
	uint32_t below = k->ask_below;

	if (!fetch_done(k, r))
		return;
	k->asked_below = below;
	if (k->now.uid_next > below && ++k->looks < LOOKS_MAX)
		comparison_wait(k);
	else
		comparison_judge(k, r->damaged || k->now.uid_next > below, was_expunged(r));
}

/* --- EXAMINE --- */

static void take_bound(struct comparison *k)
{
	struct changes *out = k->req->out;
	uint32_t below = k->now.uid_next ? k->now.uid_next : UINT32_MAX;

	if (below > 1 && !(k->now.exists_known && k->now.exists == 0))
		uidset_add_range(&out->fresh, 1, below - 1);
	comparison_tell_token(k);
	out->complete = true;
	comparison_finish(k);
}

/* It is empty, and was not more than that when it was looked at last. Else that is to be said twice. */
static bool stays_empty(const struct comparison *k)
{
	return k->now.exists_known && k->now.exists == 0 &&
	       (k->look != LOOK_ALL || !k->req->known || uidset_is_empty(k->req->known));
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
		k->req->out->absent = imap_says_absent(r);
		if (k->only_examine)
			refused(k, r);
		else if (throttle_note(&k->all->st->throttle, r))
			k->turned_away = true; /* and so will be what is behind it */
		else
			fail(k, r->err);
		return;
	}
	if (r->mailbox->uid_not_sticky) /* another session's would not be these UIDs */
		k->all->st->most = 1;
	k->uids_moved |= k->n > 0 && k->now.uid_validity != r->mailbox->uid_validity;
	k->now = *r->mailbox;
	k->examined = true;
	if (k->req->flagged)
		flags_copy(&k->in_use, &r->mailbox->flags);
	if (!k->modseq)
		k->modseq = k->now.highest_modseq;
	if (!k->only_examine)
		return;
	if (k->req->everything_new) {
		take_bound(k);
	} else if ((k->now.uid_next && k->now.uid_next <= k->asked_below) ||
		   stays_empty(k)) {
		comparison_judge(k, r->damaged, false);
	} else {
		comparison_wait(k); /* the next look asks */
	}
}

/* --- searches --- */

/* All searches of this look are answered. */
static void settle_searches(struct comparison *k, const struct imap_result *r)
{
	struct uidset found = UIDSET_INIT;

	uidset_builder_finish(&k->found, &found);
	if (k->turned_away)
		comparison_wait(k);
	else if (r->outcome == IMAP_DONE_LOST)
		line_lost(k, r);
	else if (k->look == LOOK_COUNTS)
		comparison_judge_counts(k, !k->doubtful, was_expunged(r));
	else if (k->look == LOOK_COLUMNS)
		comparison_judge_columns(k, !k->doubtful, was_expunged(r));
	else
		comparison_judge_search(k, &found, !k->doubtful, was_expunged(r));
	k->turned_away = false;
	uidset_release(&found);
}

/* One search is answered; `good`: as it should be. */
static void search_done(struct comparison *k, bool good, const struct imap_result *r)
{
	if (r->outcome == IMAP_DONE_NO || r->outcome == IMAP_DONE_BAD)
		k->turned_away |= throttle_note(&k->all->st->throttle, r);
	k->doubtful |= !good;
	if (--k->searches)
		return;
	k->conn->load--;
	if (k->stage == STAGE_ASKED) /* else EXAMINE was refused */
		settle_searches(k, r);
	uidset_builder_release(&k->found);
}

static void on_searched(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	struct comparison *k = ctx;

	for (size_t i = 0; found && i < uidset_range_count(found); i++)
		uidset_builder_add(&k->found, uidset_range(found, i).lo,
				   uidset_range(found, i).hi);
	search_done(k, found && !r->damaged, r);
}

/* Answers come in the order of the questions. */
static void on_counted(void *ctx, bool counted, uint64_t count, const struct imap_result *r)
{
	struct comparison *k = ctx;

	k->counts[FLAG_BITS - k->searches] = count;
	search_done(k, counted, r);
}

static void on_column(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	struct comparison *k = ctx;
	bool good = found && !r->damaged;

	if (good)
		good = columns_take(k, k->n_columns - k->searches, found);
	search_done(k, good, r);
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
	const struct imap_fetch_sink sink = {
		.message = on_flags,
		.vanished = on_vanished,
		.done = k->look == LOOK_FLAGS ? on_differing_done : on_flags_done,
		.ctx = k,
	};
	struct uidset uids = UIDSET_INIT;
	struct imap_fetch_request request = { .uids = &uids, .items = IMAP_FETCH_FLAGS };
	int ret;

	if (k->req->sizes || k->req->describe)
		request.items |= IMAP_FETCH_SIZE;
	if (k->req->describe)
		request.items |= IMAP_FETCH_INTERNALDATE;
	if (k->look == LOOK_CHANGES)
		request.changed_since = k->req->since->highestmodseq;
	request.vanished = request.changed_since &&
			   imap_session_enabled(k->conn->session, IMAP_CAP_QRESYNC);
	if (k->look == LOOK_FLAGS)
		uidset_copy(&uids, &k->differ);
	else
		uidset_add_range(&uids, k->asked_below, k->ask_below - 1);
	ret = imap_fetch(k->conn->session, &request, &sink, err);
	uidset_release(&uids);
	return ret;
}

/* One of the searches of this look; all of them are on the way when the first is answered. */
static int ask_search(struct comparison *k, const char *criteria, const struct uidset *within,
		      struct err *err)
{
	k->searches++;
	if (imap_search(k->conn->session, criteria, within, on_searched, k, err) == 0)
		return 0;
	k->searches--;
	return -1;
}

/*
 * Message numbers in a pipeline mean what they should unless something is expunged meanwhile, and
 * then the answer is not believed.
 */
static int ask_numbers(struct comparison *k, struct err *err)
{
	struct uidset_split split = { .set = &k->numbers,
				      .budget = imap_session_set_budget(k->conn->session) };
	struct uidset piece = UIDSET_INIT;
	struct buf text = BUF_INIT(1 << 20);
	int ret = 0;

	while (ret == 0 && uidset_split_next(&split, &piece)) {
		buf_clear(&text);
		uidset_format(&piece, &text);
		ret = ask_search(k, buf_str(&text), NULL, err);
	}
	uidset_release(&piece);
	buf_release(&text);
	return ret;
}

/* In the order of enum flag_bit. */
static int ask_counts(struct comparison *k, struct err *err)
{
	static const char *const criteria[FLAG_BITS] = { "SEEN", "ANSWERED", "FLAGGED", "DELETED",
							 "DRAFT" };
	int ret = 0;

	for (unsigned bit = 0; ret == 0 && bit < FLAG_BITS; bit++) {
		k->searches++;
		ret = imap_count(k->conn->session, criteria[bit], on_counted, k, err);
		k->searches -= ret < 0;
	}
	return ret;
}

static int ask_columns(struct comparison *k, struct err *err)
{
	int ret = 0;

	uidset_clear(&k->differ);
	for (size_t i = 0; ret == 0 && i < k->n_columns; i++) {
		k->searches++;
		ret = imap_search(k->conn->session, k->columns[i].criteria, NULL, on_column, k, err);
		k->searches -= ret < 0;
	}
	return ret;
}

static int ask_look(struct comparison *k, struct err *err)
{
	if (k->look == LOOK_COUNTS)
		return ask_counts(k, err);
	if (k->look == LOOK_COLUMNS)
		return ask_columns(k, err);
	if (k->look == LOOK_SAMPLE)
		return ask_numbers(k, err);
	if (k->look == LOOK_LEFT)
		return ask_search(k, "ALL", &k->unclear, err);
	return ask_flags(k, err);
}

/* The flags of what was known are part of what has to be told. */
static bool can_tell_changes(const struct comparison *k)
{
	if (k->req->since->highestmodseq)
		return imap_session_has(k->conn->session, IMAP_CAP_CONDSTORE);
	return k->req->flags_as_then ||
	       (k->req->flagged && imap_session_has(k->conn->session, IMAP_CAP_ESEARCH) &&
		columns_pay(k));
}

static void ask(struct comparison *k, struct connection *c)
{
	struct err err;

	k->all->to_ask--;
	k->stage = STAGE_ASKED;
	k->conn = c;
	if (k->look == LOOK_CHANGES && !can_tell_changes(k))
		comparison_begin(k, LOOK_ALL);
	k->ask_below = bound_of(k);
	k->only_examine = k->req->everything_new ||
			  (!comparison_asks_known(k) && k->ask_below <= k->asked_below);
	uidset_builder_init(&k->found);
	k->doubtful = false;
	c->opened = k->mb;
	c->load++;
	if (imap_select(c->session, buf_bytes(&k->mb->wire), true, on_examined, k, &err) < 0 ||
	    (!k->only_examine && ask_look(k, &err) < 0)) {
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

	if (all.st->is_target)
		return target_changes(base, req, n, err);
	all.job = (struct pool_job){ .feed = feed, .done = all_done, .wants = wants, .ctx = &all };
	all.v = xcalloc(n, sizeof(*all.v));
	for (size_t i = 0; i < n; i++) {
		struct comparison *k = &all.v[all.n];

		*k = (struct comparison){ .all = &all, .req = &req[i],
					  .mb = (struct imap_mailbox_handle *)req[i].mailbox };
		comparison_begin(k, req[i].since && req[i].known && req[i].since->uidnext ? LOOK_CHANGES
									       : LOOK_ALL);
		if (!answered_by_list(k))
			all.n++;
	}
	all.left = all.to_ask = all.n;
	ret = pool_run(all.st, &all.job, err);
	if (ret < 0)
		pool_drop_busy(all.st);
	for (size_t i = 0; i < all.n; i++)
		release(&all.v[i]);
	free(all.v);
	return ret;
}
