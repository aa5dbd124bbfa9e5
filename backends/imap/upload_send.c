#include "backends/imap/upload_private.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands_message.h"
#include "core/imap/loop.h"
#include "core/msgset/uidlist.h"

/* Batches under way: the server has the next one when it has stored one. */
#define BATCHES_SENT 2
/* So many that wait are worth another connection. */
#define LINE_WORTH_BATCHES 3
/* After so many MULTIAPPENDs that were answered by BAD the server is not asked for more of them. */
#define BAD_MULTIS 2

/* --- lists --- */

struct upload_batch *batch_new(struct imap_mailbox_handle *mb)
{
	struct upload_batch *b = xcalloc(1, sizeof(*b));

	b->mb = mb;
	return b;
}

void batch_free(struct upload_batch *b)
{
	free(b);
}

void batches_append(struct upload_batches *list, struct upload_batch *b)
{
	b->next = NULL;
	*list->last = b;
	list->last = &b->next;
}

static size_t count(const struct upload_batches *list)
{
	size_t n = 0;

	for (const struct upload_batch *b = list->first; b; b = b->next)
		n++;
	return n;
}

/* --- intents --- */

static int intend_one(struct imap_store *st, struct upload_batch *b, size_t i, int64_t now,
		      struct err *err)
{
	struct upload *u = b->v[i];
	struct ledger_intent in = {
		.batch = st->writer->uploads->number, .order = (uint32_t)i,
		.uidvalidity = b->mb->box->uidvalidity, .uidnext = b->mb->writing->uid_next,
		.source_uid = u->source_uid, .size = u->body.size, .date = u->date_text,
		.flags = u->flags_text, .identity = u->identity, .created = now,
	};

	if (u->intent)
		return 0;
	memcpy(in.sha256, u->body.sha256, CONTENT_HASH_SIZE);
	if (u->body.message_id)
		in.message_id = bytes_of(u->body.message_id);
	if (ledger_intent_add(st->ledger, b->mb->box, &in, err) < 0)
		return -1;
	u->intent = in.id;
	return 0;
}

/* All that wait in one transaction, with the rows of those that were answered meanwhile. */
static int intend_all(struct imap_store *st, struct err *err)
{
	int64_t now = clock_unix();

	for (struct upload_batch *b = st->writer->uploads->queued.first; b; b = b->next) {
		if (b->intended)
			continue;
		st->writer->uploads->number++;
		for (size_t i = 0; i < b->n; i++)
			if (intend_one(st, b, i, now, err) < 0)
				return -1;
		b->intended = true;
	}
	return ledger_commit(st->ledger, err);
}

/* --- out --- */

/* One APPEND: messages first to first + n - 1 of a batch. */
struct appending {
	struct upload_batch *batch;
	size_t first, n;
};

static void note_refusal(struct upload *u, const struct imap_result *r)
{
	u->state = UPLOAD_REFUSED;
	u->why = *r->err;
	u->code = r->status ? r->status->code : IMAP_CODE_NONE;
	u->bad = r->outcome == IMAP_DONE_BAD;
}

/* A UID that was there before is another message's, whatever the answer says. */
static bool are_new(const struct imap_mailbox_handle *mb, const struct uidlist *uids)
{
	for (size_t k = 0; k < uidlist_range_count(uids); k++)
		if (uidlist_range(uids, k).lo < mb->writing->uid_next)
			return false;
	return true;
}

static void note_stored(struct appending *a, const struct imap_append_answer *answer)
{
	const struct imap_mailbox_handle *mb = a->batch->mb;
	bool same = answer->uid_validity == mb->box->uidvalidity;
	bool known = answer->known && same && are_new(mb, answer->uids);
	size_t i = a->first;

	a->batch->moved |= answer->known && !same;
	for (size_t k = 0; known && k < uidlist_range_count(answer->uids); k++) {
		struct uidrange range = uidlist_range(answer->uids, k);

		for (uint32_t uid = range.lo; uid - range.lo <= range.hi - range.lo; uid++) {
			a->batch->v[i]->uid = uid;
			a->batch->v[i++]->state = UPLOAD_STORED;
			if (uid == range.hi)
				break;
		}
	}
	for (; i < a->first + a->n; i++)
		a->batch->v[i]->state = UPLOAD_TAKEN;
}

static void on_appended(void *ctx, const struct imap_append_answer *answer, const struct imap_result *r)
{
	struct appending *a = ctx;
	struct upload_batch *b = a->batch;

	if (r->outcome == IMAP_DONE_OK) {
		crash_point("account: message added");
		note_stored(a, answer);
	}
	for (size_t i = a->first; i < a->first + a->n; i++) {
		struct upload *u = b->v[i];

		if (r->outcome == IMAP_DONE_LOST) {
			u->state = UPLOAD_LOST;
			u->why = *r->err;
		} else if (r->outcome != IMAP_DONE_OK) {
			note_refusal(u, r);
		}
	}
	b->throttled |= throttle_note(&imap_of(b->mb->mailbox.store)->throttle, r);
	b->unanswered--;
	free(a);
}

static int read_body(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	struct upload *u = ctx;

	if (spool_read(&u->body, u->read_at, p, max, n, err) < 0)
		return -1;
	u->read_at += *n;
	return 0;
}

static int submit(struct connection *c, struct upload_batch *b, size_t first, size_t n, struct err *err)
{
	struct imap_append_message m[UPLOAD_BATCH_MESSAGES];
	struct appending *a = xcalloc(1, sizeof(*a));

	*a = (struct appending){ .batch = b, .first = first, .n = n };
	for (size_t i = 0; i < n; i++) {
		struct upload *u = b->v[first + i];

		u->read_at = 0;
		u->state = UPLOAD_SENT;
		m[i] = (struct imap_append_message){ .flags = &u->flags, .date = &u->date,
						     .size = u->body.size, .binary = u->body.has_nul,
						     .read = read_body, .ctx = u };
	}
	crash_point("account: add messages");
	b->unanswered++;
	if (imap_append(c->session, &(struct imap_append_request){
		    .mailbox = buf_bytes(&b->mb->wire), .messages = m, .n = n,
		    .limit = b->mb->writing->append_limit, .wait = b->wait }, on_appended, a, err) == 0)
		return 0;
	b->unanswered--;
	free(a);
	return -1;
}

/* This one cannot be said to the server at all: a refusal by ourselves. */
static void refuse_unsent(struct upload *u, const struct err *why)
{
	u->state = UPLOAD_REFUSED;
	u->why = *why;
	u->code = IMAP_CODE_NONE;
	u->bad = false;
}

static void prepend(struct upload_batches *list, struct upload_batch *b)
{
	b->next = list->first;
	list->first = b;
	if (!b->next)
		list->last = &b->next;
}

/*
 * Where each message has a command of its own, all that are submitted together wait for their literals until their
 * flags were accepted once. So a few go first, and twice as many each time.
 */
static void hold_back(struct imap_store *st, const struct connection *c, struct upload_batch *b)
{
	struct writing *w = b->mb->writing;
	struct upload_batch *rest;

	if (b->multi || b->wait || imap_session_literals(c->session) == IMAP_LITERALS_SYNC ||
	    w->ramp >= UPLOAD_BATCH_MESSAGES)
		return;
	b->first = true;
	if (b->n > w->ramp) {
		rest = batch_new(b->mb);
		rest->intended = true;
		rest->n = b->n - w->ramp;
		memcpy(rest->v, b->v + w->ramp, rest->n * sizeof(struct upload *));
		b->n = w->ramp;
		prepend(&st->writer->uploads->queued, rest);
	}
	w->ramp *= 2;
}

static void send_batch(struct imap_store *st, struct connection *c, struct upload_batch *b)
{
	const struct uploads *up = st->writer->uploads;
	size_t each;
	struct err why;

	b->multi = b->n > 1 && up->bad_multis < BAD_MULTIS &&
		   imap_session_has(c->session, IMAP_CAP_MULTIAPPEND);
	hold_back(st, c, b);
	each = b->multi ? b->n : 1;
	for (size_t i = 0; i < b->n; i += each)
		if (submit(c, b, i, each, &why) < 0)
			for (size_t k = i; k < i + each; k++)
				refuse_unsent(b->v[k], &why);
}

/* --- which batch next, and over which line --- */

static bool is_idle(const struct uploads *up, size_t k)
{
	return !up->sent[k].first;
}

/* Behind what is under way for the same mailbox. */
static bool may_follow(const struct upload_batches *sent, const struct upload_batch *b)
{
	const struct upload_batch *last = sent->first;

	return count(sent) < BATCHES_SENT && !b->alone && !b->from && !last->alone && !last->first;
}

/*
 * A line that has nothing to do: rather one that has the mailbox selected, or is there. A new one only where
 * many batches wait.
 */
static size_t idle_line(const struct imap_store *st, const struct upload_batch *b)
{
	const struct writer *w = st->writer;
	size_t best = WRITER_LINES, missing = WRITER_LINES, open = 0;

	for (size_t k = 0; k < w->n_lines; k++) {
		struct connection *c = writer_line(w, k);

		open += c != NULL;
		if (!c && is_idle(w->uploads, k))
			missing = missing < k ? missing : k;
		else if (c && is_idle(w->uploads, k) && (best == WRITER_LINES || c->opened == b->mb))
			best = k;
	}
	if (best == WRITER_LINES &&
	    (!open || (!w->no_more_lines && count(&w->uploads->queued) > LINE_WORTH_BATCHES)))
		best = missing;
	return best;
}

/* WRITER_LINES: it has to wait. What is under way for its mailbox says which line it is. */
static size_t line_for(const struct imap_store *st, const struct upload_batch *b)
{
	const struct uploads *up = st->writer->uploads;

	for (size_t k = 0; k < WRITER_LINES; k++)
		if (up->sent[k].first && up->sent[k].first->mb == b->mb)
			return may_follow(&up->sent[k], b) ? k : WRITER_LINES;
	return idle_line(st, b);
}

/* The first in the queue that can go now; of each mailbox only in their order. NULL: none. */
static struct upload_batch *choose(struct imap_store *st, size_t *line)
{
	struct uploads *up = st->writer->uploads;

	up->scan++;
	for (struct upload_batch *b = up->queued.first; b; b = b->next) {
		if (b->mb->writing->passed_in == up->scan)
			continue;
		*line = line_for(st, b);
		if (*line < WRITER_LINES)
			return b;
		b->mb->writing->passed_in = up->scan;
	}
	return NULL;
}

static void take_out(struct upload_batches *list, struct upload_batch *b)
{
	struct upload_batch **at = &list->first;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	if (!*at)
		list->last = at;
	b->next = NULL;
}

/* --- starting it --- */

/* Another connection beside those that work. The server need not grant it. */
static bool open_line(struct imap_store *st, size_t k)
{
	struct writer *w = st->writer;
	bool others = false;
	struct err err;

	for (size_t i = 0; i < w->n_lines; i++)
		others |= i != k && writer_line(w, i);
	if (!others || writer_line(w, k))
		return true; /* the only one is made with all patience */
	if (writer_connect(st, &err) == 0)
		return true;
	log_info("%s: no more connections for uploads: %s", st->account->name, err.text);
	w->no_more_lines = true;
	return false;
}

/* Select may take several tries; what came to nothing is told. */
static int select_for(struct imap_store *st, struct imap_mailbox_handle *mb, struct connection **c,
		      struct err *err)
{
	while (writer_select(st, mb, c, err) < 0)
		if (err->kind == ERR_MAILBOX || writer_retry(st, err, err) < 0)
			return -1;
	return 0;
}

static int start(struct imap_store *st, struct upload_batch *b, size_t line, struct err *err)
{
	struct uploads *up = st->writer->uploads;
	struct connection *c;
	struct err why;

	if (!b->intended && intend_all(st, err) < 0)
		return -1;
	writer_use(st, line);
	if (!open_line(st, line))
		return 0;
	if (b->from) {
		take_out(&up->queued, b);
		return batch_copy(st, b, err);
	}
	if (select_for(st, b->mb, &c, &why) < 0) {
		if (why.kind == ERR_MAILBOX)
			return uploads_fail_mailbox(st, b->mb, &why, err);
		*err = why;
		return -1;
	}
	/* What was answered or lost while we waited comes first: it may have to be looked for. */
	if (up->sent[line].first && !up->sent[line].first->unanswered)
		return 0;
	take_out(&up->queued, b);
	batches_append(&up->sent[line], b);
	send_batch(st, c, b);
	return 0;
}

/* --- the pump --- */

static bool any_under_way(const struct uploads *up)
{
	for (size_t k = 0; k < WRITER_LINES; k++)
		if (up->sent[k].first)
			return true;
	return false;
}

/* On each line in the order in which they were sent. */
static int settle_answered(struct imap_store *st, struct err *err)
{
	struct uploads *up = st->writer->uploads;

	for (size_t k = 0; k < WRITER_LINES; k++)
		while (up->sent[k].first && !up->sent[k].first->unanswered) {
			struct upload_batch *b = up->sent[k].first;

			writer_use(st, k);
			take_out(&up->sent[k], b);
			if (batch_settle(st, b, err) < 0)
				return -1;
		}
	return 0;
}

static int go_on(struct imap_store *st, struct err *err)
{
	struct upload_batch *b;
	size_t line;

	if (settle_answered(st, err) < 0)
		return -1;
	while ((b = choose(st, &line)))
		if (start(st, b, line, err) < 0 || settle_answered(st, err) < 0)
			return -1;
	return 0;
}

static int pump(struct imap_store *st, uint64_t most, struct err *err)
{
	struct uploads *up = st->writer->uploads;

	if (go_on(st, err) < 0)
		return -1;
	if (any_under_way(up) && loop_step(st->loop, clock_ms(), err) < 0)
		return -1;
	if (go_on(st, err) < 0)
		return -1;
	while (any_under_way(up) && up->bytes > most)
		if (loop_step(st->loop, INT64_MAX, err) < 0 || go_on(st, err) < 0)
			return -1;
	return 0;
}

int uploads_pump(struct imap_store *st, uint64_t most, struct err *err)
{
	struct uploads *up = st->writer->uploads;

	if (up->failed.kind == ERR_NONE && pump(st, most, err) < 0)
		up->failed = *err;
	if (up->failed.kind == ERR_NONE)
		return 0;
	*err = up->failed;
	return -1;
}
