#include "backends/imap/upload_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"

/* What became of a batch. */

/* A message on which so many lines were lost goes alone; lost once more, it is refused. */
#define LOSSES_ALONE 2
#define LOSSES_MAX 3
/* Messages refused in a row for want of room after which the account counts as full. */
#define OVERQUOTA_MAX 3

/* --- again --- */

/* Messages of one mailbox that have to be sent once more, in their order, before all others. */
struct again {
	struct upload_batches list;
	struct upload_batch *open; /* takes the next one, if it is sent in the same way */
	bool pause;                /* not at once, for this: */
	struct err why;
	bool reselect;             /* whether the mailbox is there is asked anew */
	bool gone_before;          /* which was done once */
};

static void again_init(struct again *again)
{
	*again = (struct again){ .list = { .last = &again->list.first } };
}

static void again_add(struct again *again, struct upload *u, bool wait, bool alone)
{
	struct upload_batch *b = again->open;

	if (!b || alone || b->alone || b->wait != wait) {
		again->open = b = batch_new(u->mb);
		b->intended = true;
		b->wait = wait;
		b->alone = alone;
		batches_append(&again->list, b);
	}
	u->state = UPLOAD_WAITING;
	b->v[b->n++] = u;
}


static void again_queue(struct imap_store *st, struct again *again)
{
	struct upload_batches *queued = &st->writer->uploads->queued;

	if (!again->list.first)
		return;
	*again->list.last = queued->first;
	if (!queued->first)
		queued->last = again->list.last;
	queued->first = again->list.first;
}

void batch_requeue(struct imap_store *st, struct upload **v, size_t n)
{
	struct again again;

	again_init(&again);
	for (size_t i = 0; i < n; i++)
		again_add(&again, v[i], false, false);
	again_queue(st, &again);
}

/* --- what may be there --- */

static bool is_doubtful(const struct upload *u)
{
	return u->state == UPLOAD_TAKEN || u->state == UPLOAD_LOST;
}

static struct claim claim_of(const struct upload *u)
{
	return (struct claim){ .size = u->body.size, .sha256 = u->body.sha256, .date = &u->date,
			       .message_id = u->body.message_id ? bytes_of(u->body.message_id) :
								  (struct bytes){ 0 } };
}

static void take_claim(struct upload *u, const struct claim *c)
{
	bool taken = u->state == UPLOAD_TAKEN;

	if (c->uid) {
		u->state = UPLOAD_STORED;
		u->uid = c->uid;
		u->how = c->altered ? LEDGER_ALTERED : LEDGER_COPIED;
	} else if (c->unclear || taken) {
		u->state = UPLOAD_UNCLEAR;
		err_set(&u->why, ERR_MESSAGE, c->unclear ?
			"it was sent, and the account has several messages any of which may be it; it is "
			"not sent again" :
			"the server said that it stored the message, and does not show it; it is not sent "
			"again");
	}
}

/* Whether the server may have got all of it, and be about to store it: of a MULTIAPPEND, all messages. */
static bool is_all_sent(const struct upload_batch *b, const struct upload *u)
{
	const struct upload *last = b->multi ? b->v[b->n - 1] : u;

	return last->read_at == last->body.size;
}

/* Of those without a UID: are they there? */
static int look_for(struct imap_store *st, struct upload_batch *b, struct err *err)
{
	struct claim claims[UPLOAD_BATCH_MESSAGES];
	struct upload *of[UPLOAD_BATCH_MESSAGES];
	bool certain = true;
	int64_t wait_ms = 0;
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct upload *u = b->v[i];

		if (!is_doubtful(u))
			continue;
		certain &= u->state == UPLOAD_TAKEN;
		if (is_all_sent(b, u))
			wait_ms = SETTLE_MS * st->patience / 100;
		claims[n] = claim_of(u);
		of[n++] = u;
	}
	if (claims_find(st, b->mb, b->mb->writing->uid_next, claims, n, certain, wait_ms, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		take_claim(of[i], &claims[i]);
	return 0;
}

static void note_altered(struct imap_store *st, const struct upload_batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += b->v[i]->state == UPLOAD_STORED && b->v[i]->how == LEDGER_ALTERED;
	if (n)
		imap_note(st, &b->mb->mailbox.name, "the server keeps %zu of the messages in other bytes "
			  "than they were sent", n);
}

/* --- refusals --- */

enum verdict {
	VERDICT_LATER,    /* the server cannot just now */
	VERDICT_GONE,     /* there is no such mailbox any more */
	VERDICT_MAILBOX,  /* it takes no messages from us */
	VERDICT_ROOM,     /* there is no room */
	VERDICT_MESSAGE,
};

static bool says_full(const struct upload *u)
{
	static const char *const words[] = { "quota", "mailbox is full", "mailbox full", "insufficient space",
					     "storage limit", "not enough space", "disk full" };

	if (u->code == IMAP_CODE_OVERQUOTA)
		return true;
	for (size_t i = 0; u->code == IMAP_CODE_NONE && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(u->why.text, words[i]))
			return true;
	return false;
}

static enum verdict judge(const struct upload_batch *b, const struct upload *u)
{
	/* [LIMIT] elsewhere passes; here it is the message that is too much of something (Dovecot: too large). */
	if (b->throttled || (u->why.kind == ERR_RETRY && u->code != IMAP_CODE_LIMIT))
		return VERDICT_LATER;
	if (u->code == IMAP_CODE_TRYCREATE || u->code == IMAP_CODE_NONEXISTENT)
		return VERDICT_GONE;
	if (u->code == IMAP_CODE_NOPERM || u->code == IMAP_CODE_READ_ONLY)
		return VERDICT_MAILBOX;
	return says_full(u) ? VERDICT_ROOM : VERDICT_MESSAGE;
}

/* A server that keeps no such keyword may refuse the message with it. */
static bool drop_keywords(struct upload *u)
{
	struct flags bits = { .bits = u->flags.bits };

	if (!u->flags.count || u->without_keywords ||
	    (!u->bad && u->code != IMAP_CODE_NONE && u->code != IMAP_CODE_CANNOT &&
	     u->code != IMAP_CODE_LIMIT && u->code != IMAP_CODE_UNKNOWN))
		return false;
	flags_release(&u->flags);
	u->flags.bits = bits.bits;
	u->without_keywords = true;
	return true;
}

static int no_room_for(struct imap_store *st, struct upload *u, struct err *err)
{
	struct uploads *up = st->writer->uploads;
	const struct err words = u->why;

	if (!up->full && ++up->overquota < OVERQUOTA_MAX)
		return upload_not_done(st, u, OUTCOME_REFUSED, &words, err);
	if (!up->full && uploads_set_full(st, &words, err) < 0)
		return -1;
	return upload_not_done(st, u, OUTCOME_NO_ANSWER, &up->words, err);
}

static void again_hold(struct again *again, const struct upload_batch *b, enum verdict verdict,
		       const struct err *why)
{
	b->mb->writing->gone_once |= verdict == VERDICT_GONE;
	again->reselect |= verdict == VERDICT_GONE;
	again->pause |= verdict == VERDICT_LATER;
	again->why = *why;
}

static bool is_over(const struct again *again, enum verdict verdict)
{
	return verdict == VERDICT_MAILBOX || (verdict == VERDICT_GONE && again->gone_before);
}

/* Nothing more goes into this mailbox. */
static int refuse_mailbox(struct imap_store *st, struct upload *u, struct err *err)
{
	struct imap_mailbox_handle *mb = u->mb;
	const struct err why = u->why;

	if (upload_not_done(st, u, OUTCOME_NO_ANSWER, &why, err) < 0)
		return -1;
	return mb->writing->failed.kind == ERR_NONE ? uploads_fail_mailbox(st, mb, &why, err) : 0;
}

/* One message was refused, by itself. */
static int refuse_one(struct imap_store *st, struct upload_batch *b, struct upload *u, struct again *again,
		      struct err *err)
{
	enum verdict verdict = judge(b, u);
	const struct err why = u->why;

	if (is_over(again, verdict))
		return refuse_mailbox(st, u, err);
	if (verdict == VERDICT_ROOM)
		return no_room_for(st, u, err);
	if (verdict == VERDICT_LATER || verdict == VERDICT_GONE) {
		again_hold(again, b, verdict, &why);
		again_add(again, u, b->wait, b->alone);
		return 0;
	}
	/* BAD may have been about a literal that did not wait: once more with one that does. */
	if ((u->bad && !b->alone) || drop_keywords(u)) {
		again_add(again, u, true, true);
		return 0;
	}
	return upload_not_done(st, u, OUTCOME_REFUSED, &why, err);
}

/* All of a MULTIAPPEND were: it is not said for which. */
static int refuse_together(struct imap_store *st, struct upload_batch *b, struct again *again,
			   struct err *err)
{
	const struct upload *first = b->v[0];
	enum verdict verdict = judge(b, first);
	bool bad = first->bad, same = verdict == VERDICT_LATER || verdict == VERDICT_GONE;

	if (is_over(again, verdict)) {
		for (size_t i = 0; i < b->n; i++)
			if (refuse_mailbox(st, b->v[i], err) < 0)
				return -1;
		return 0;
	}
	if (same)
		again_hold(again, b, verdict, &first->why);
	else if (bad)
		st->writer->uploads->bad_multis++;
	/* Halved, the server is asked for every message, so that what it refuses costs little. */
	for (size_t i = 0; i < b->n; i++) {
		if (!same && !bad && i == b->n / 2)
			again->open = NULL;
		again_add(again, b->v[i], same ? b->wait : true, !same && bad);
	}
	return 0;
}

/* --- lines that were lost --- */

static int send_lost(struct imap_store *st, struct upload_batch *b, struct upload *u, struct again *again,
		     struct err *err)
{
	struct err why;

	if (++u->losses >= LOSSES_MAX && b->alone) {
		err_set(&why, ERR_MESSAGE, "the line was lost %u times while it was sent (%s)", u->losses,
			u->why.text);
		return upload_not_done(st, u, OUTCOME_REFUSED, &why, err);
	}
	again_add(again, u, b->wait, u->losses >= LOSSES_ALONE);
	return 0;
}

static int settle_one(struct imap_store *st, struct upload_batch *b, struct upload *u, struct again *again,
		      struct err *err)
{
	const struct err why = u->why;

	switch (u->state) {
	case UPLOAD_STORED:
		if (u->without_keywords)
			imap_note(st, &b->mb->mailbox.name, "the server took a message only without its keywords");
		return upload_done(st, u, err);
	case UPLOAD_REFUSED:
		return refuse_one(st, b, u, again, err);
	case UPLOAD_UNCLEAR:
		return upload_not_done(st, u, OUTCOME_REFUSED, &why, err);
	default:
		return send_lost(st, b, u, again, err);
	}
}

/* --- all together --- */

static const struct upload *find_state(const struct upload_batch *b, enum upload_state state)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i]->state == state)
			return b->v[i];
	return NULL;
}

/* What is added later has a higher UID than any of these. */
static void advance_uid_next(struct upload_batch *b)
{
	struct writing *w = b->mb->writing;

	for (size_t i = 0; i < b->n; i++)
		if (b->v[i]->state == UPLOAD_STORED && b->v[i]->uid >= w->uid_next &&
		    b->v[i]->uid < UINT32_MAX)
			w->uid_next = b->v[i]->uid + 1;
}

/*
 * Those that are told first are out of the batch before the rest is looked for: what has a row is nobody else's.
 */
static int settle_stored(struct imap_store *st, struct upload_batch *b, struct err *err)
{
	size_t kept = 0;
	int ret = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct upload *u = b->v[i];

		if (ret == 0 && u->state == UPLOAD_STORED)
			ret = settle_one(st, b, u, NULL, err);
		else
			b->v[kept++] = u;
	}
	b->n = kept;
	return ret;
}

static int settle(struct imap_store *st, struct upload_batch *b, struct again *again, struct err *err)
{
	const struct upload *lost = find_state(b, UPLOAD_LOST);
	bool doubtful = lost || find_state(b, UPLOAD_TAKEN);
	const struct err why = lost ? lost->why : (struct err){ .kind = ERR_NONE };
	int ret = 0;

	if (!doubtful)
		advance_uid_next(b);
	if (settle_stored(st, b, err) < 0)
		return -1;
	if (lost && writer_retry(st, &why, err) < 0)
		return -1;
	if (b->moved && st->writer->conn)
		st->writer->conn->opened = NULL; /* it was made anew under the same name */
	if (doubtful && look_for(st, b, err) < 0)
		return err->kind == ERR_MAILBOX ? batch_give_up(st, b, err, err) : -1;
	note_altered(st, b);
	if (b->multi && b->n > 1 && b->v[0]->state == UPLOAD_REFUSED)
		return refuse_together(st, b, again, err);
	for (size_t i = 0; ret == 0 && i < b->n; i++)
		ret = settle_one(st, b, b->v[i], again, err);
	return ret;
}

/* Until a server that asks to be left alone may be asked again. */
static int wait_out(struct imap_store *st, struct err *err)
{
	if (st->throttle.why.kind == ERR_RETRY) {
		*err = st->throttle.why;
		return -1;
	}
	while (clock_ms() < st->throttle.until)
		if (loop_step(st->loop, st->throttle.until, err) < 0)
			return -1;
	return 0;
}

int batch_settle(struct imap_store *st, struct upload_batch *b, struct err *err)
{
	struct again again;
	bool throttled = b->throttled;
	int ret;

	again_init(&again);
	again.gone_before = b->mb->writing->gone_once;
	ret = settle(st, b, &again, err);
	again_queue(st, &again);
	batch_free(b); /* what failed ends the run: its messages have their intents, and are not told */
	if (again.reselect && st->writer->conn)
		st->writer->conn->opened = NULL;
	if (ret < 0 || !again.pause)
		return ret;
	return throttled ? wait_out(st, err) : writer_retry(st, &again.why, err);
}
