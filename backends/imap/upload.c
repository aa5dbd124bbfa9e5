#include "backends/imap/upload_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"

/* How much may be gathered and under way at once; a larger message goes by itself. */
#define OUTSTANDING_MAX ((uint64_t)16 << 20)
#define BATCH_BYTES ((uint64_t)4 << 20)
#define TEXT_MAX ((size_t)1 << 20)

static struct uploads *uploads_of(struct imap_store *st)
{
	struct writer *w = writer_of(st);

	if (!w->uploads) {
		w->uploads = xcalloc(1, sizeof(*w->uploads));
		w->uploads->queued.last = &w->uploads->queued.first;
		for (size_t k = 0; k < WRITER_LINES; k++)
			w->uploads->sent[k].last = &w->uploads->sent[k].first;
	}
	return w->uploads;
}

static struct imap_store *store_of(const struct imap_mailbox_handle *mb)
{
	return (struct imap_store *)mb->mailbox.store;
}

static struct upload *upload_new(struct uploads *up, const struct upload_sink *by, const struct message *msg)
{
	struct upload *u = xcalloc(1, sizeof(*u));

	*u = (struct upload){ .by = by, .mb = by->mb, .source_uid = msg->uid, .text = BUF_INIT(TEXT_MAX),
			      .called = message_called(msg), .next = up->all, .link = &up->all };
	if (up->all)
		up->all->link = &u->next;
	up->all = u;
	spool_init(&u->body, up->dir, msg->size);
	return u;
}

static void upload_free(struct upload *u)
{
	*u->link = u->next;
	if (u->next)
		u->next->link = u->link;
	spool_release(&u->body);
	flags_release(&u->flags);
	maildate_release(&u->date);
	buf_release(&u->text);
	free(u);
}

static void free_batches(struct upload_batches *list)
{
	while (list->first) {
		struct upload_batch *b = list->first;

		list->first = b->next;
		batch_free(b);
	}
	list->last = &list->first;
}

void uploads_free(struct uploads *up)
{
	if (!up)
		return;
	free_batches(&up->queued);
	for (size_t k = 0; k < WRITER_LINES; k++)
		free_batches(&up->sent[k]);
	while (up->all)
		upload_free(up->all);
	while (up->sinks) {
		struct upload_sink *s = up->sinks;

		up->sinks = s->next;
		free(s);
	}
	free(up->dir);
	free(up);
}

void writing_free(struct writing *w)
{
	if (!w)
		return;
	flags_release(&w->permanent);
	flags_release(&w->noted);
	uidset_release(&w->remove);
	uidset_release(&w->present);
	batch_free(w->gathered.batch);
	batch_free(w->copies.batch);
	free(w);
}

/* --- the end of a message's way --- */

static void tell(struct imap_store *st, struct upload *u, enum outcome what, uint32_t uid,
		 const struct err *why)
{
	st->writer->uploads->bytes -= u->body.size;
	if (u->by->report)
		u->by->report(u->by->ctx, u->by->tag, u->called, what, uid, why);
	upload_free(u);
}

static int drop_intent(struct imap_store *st, struct upload *u, struct err *err)
{
	int64_t id = u->intent;

	u->intent = 0;
	return id ? ledger_intent_delete(st->ledger, u->mb->box, id, err) : 0;
}

/* What may be there, an intent remembers: the next run looks for it. */
static void give_up(struct imap_store *st, struct upload *u, const struct err *why)
{
	u->intent = 0;
	tell(st, u, OUTCOME_NO_ANSWER, 0, why);
}

int batch_give_up(struct imap_store *st, struct upload_batch *b, const struct err *why, struct err *err)
{
	const struct err cause = *why;

	while (b->n)
		give_up(st, b->v[--b->n], &cause);
	return uploads_fail_mailbox(st, b->mb, &cause, err);
}

/* The server says of a message what cannot be: no more of them. */
static int give_up_mailbox(struct imap_store *st, struct upload *u, struct err *err)
{
	struct imap_mailbox_handle *mb = u->mb;
	const struct err why = *err;

	give_up(st, u, &why);
	return mb->writing->failed.kind == ERR_NONE ? uploads_fail_mailbox(st, mb, &why, err) : 0;
}

int upload_done(struct imap_store *st, struct upload *u, struct err *err)
{
	const struct ledger_row row = {
		.uid = u->uid, .source_uid = u->source_uid, .how = u->how, .size = u->body.size,
		.flags = u->flags_text, .date = u->date_text, .identity = u->identity,
		.sha256 = bytes_from(u->body.sha256, CONTENT_HASH_SIZE),
	};

	if (ledger_insert(st->ledger, u->mb->box, &row, err) < 0)
		return err->kind == ERR_MAILBOX ? give_up_mailbox(st, u, err) : -1;
	if (drop_intent(st, u, err) < 0)
		return -1;
	st->writer->losses = 0;
	st->throttle.times = 0;
	st->writer->uploads->overquota = 0;
	tell(st, u, OUTCOME_DONE, u->uid, NULL);
	return 0;
}

int upload_not_done(struct imap_store *st, struct upload *u, enum outcome what, const struct err *why,
		    struct err *err)
{
	if (drop_intent(st, u, err) < 0)
		return -1;
	tell(st, u, what, 0, why);
	return 0;
}

static int tell_all(struct imap_store *st, struct upload_batch *b, const struct err *why, struct err *err)
{
	int ret = 0;

	while (ret == 0 && b->n)
		ret = upload_not_done(st, b->v[--b->n], OUTCOME_NO_ANSWER, why, err);
	if (ret == 0)
		batch_free(b);
	return ret;
}

/* Those that were not sent yet, of one mailbox or (NULL) of all. */
static int tell_queued(struct imap_store *st, const struct imap_mailbox_handle *mb, const struct err *why,
		       struct err *err)
{
	struct upload_batches *list = &st->writer->uploads->queued, all = *list;

	*list = (struct upload_batches){ .last = &list->first };
	while (all.first) {
		struct upload_batch *b = all.first;

		all.first = b->next;
		b->next = NULL;
		if (mb && b->mb != mb)
			batches_append(list, b);
		else if (tell_all(st, b, why, err) < 0)
			return -1;
	}
	return 0;
}

static int tell_gathered(struct imap_store *st, struct imap_mailbox_handle *mb, const struct err *why,
			 struct err *err)
{
	struct writing *w = mb->writing;

	for (int i = 0; w && i < 2; i++) {
		struct gathering *g = i ? &w->copies : &w->gathered;
		struct upload_batch *b = g->batch;

		*g = (struct gathering){ .batch = NULL };
		if (b && tell_all(st, b, why, err) < 0)
			return -1;
	}
	return 0;
}

int uploads_fail_mailbox(struct imap_store *st, struct imap_mailbox_handle *mb, const struct err *why,
			 struct err *err)
{
	const struct err cause = *why;

	if (mb->writing->failed.kind == ERR_NONE)
		mb->writing->failed = cause;
	imap_note(st, &mb->mailbox.name, "%s", cause.text);
	return tell_queued(st, mb, &cause, err) < 0 ? -1 : tell_gathered(st, mb, &cause, err);
}

int uploads_set_full(struct imap_store *st, const struct err *words, struct err *err)
{
	struct uploads *up = st->writer->uploads;

	up->full = true;
	err_set(&up->words, ERR_MAILBOX, "the account is full: make room there and run again (%s)",
		words->text);
	if (tell_queued(st, NULL, &up->words, err) < 0)
		return -1;
	for (struct imap_mailbox_handle *mb = st->mailboxes; mb; mb = mb->next)
		if (tell_gathered(st, mb, &up->words, err) < 0)
			return -1;
	return 0;
}

/* --- what is refused here --- */

static int nothing_to_do(void *ctx, struct connection *c, struct err *err)
{
	(void)ctx;
	(void)c;
	(void)err;
	return 0;
}

/* Whether it takes messages at all, before the first one is read. */
static int check_mailbox(struct imap_store *st, struct imap_mailbox_handle *mb, struct err *err)
{
	const struct uploads *up = uploads_of(st);
	struct writing *w = writing_of(mb);

	if (up->failed.kind != ERR_NONE || up->full || w->failed.kind != ERR_NONE) {
		*err = up->failed.kind != ERR_NONE ? up->failed : up->full ? up->words : w->failed;
		return -1;
	}
	if (!w->known && writer_do(st, mb, nothing_to_do, NULL, err) < 0) {
		if (err->kind == ERR_MAILBOX)
			w->failed = *err;
		return -1;
	}
	if (w->no_insert)
		return err_set(err, ERR_MAILBOX, "our rights there do not allow to add messages to it");
	return 0;
}

static uint64_t size_limit(const struct imap_store *st, const struct writing *w)
{
	uint64_t all = st->writer->conn ? imap_session_caps(st->writer->conn->session)->append_limit : 0;

	return all && (!w->append_limit || all < w->append_limit) ? all : w->append_limit;
}

static bool takes_nul(const struct imap_store *st)
{
	return st->writer->conn && imap_session_has(st->writer->conn->session, IMAP_CAP_BINARY);
}

static bool is_refused_here(const struct imap_store *st, const struct upload *u, struct err *why)
{
	uint64_t limit = size_limit(st, u->mb->writing);

	if (!u->body.size)
		err_set(why, ERR_MESSAGE, "it is empty, and a server takes no empty message");
	else if (limit && u->body.size > limit)
		err_set(why, ERR_MESSAGE, "it has %llu bytes, and the server takes %llu at most",
			(unsigned long long)u->body.size, (unsigned long long)limit);
	else if (u->body.has_nul && !takes_nul(st))
		err_set(why, ERR_MESSAGE, "it holds NUL bytes, which the server does not take (no BINARY)");
	else
		return false;
	return true;
}

/* --- what is there already --- */

int upload_take_over(struct imap_mailbox_handle *mb, const struct ledger_row *found, uint32_t source_uid,
		     struct bytes flags, struct bytes date, struct bytes identity, struct err *err)
{
	struct flags was = FLAGS_INIT, now = FLAGS_INIT;
	struct flag_delta delta = { { 0 }, { 0 } };
	struct ledger_row row = *found;
	struct uidset set = UIDSET_INIT;
	int ret;

	flags_add_list(&was, found->flags);
	flags_add_list(&now, flags);
	flags_diff(&was, &now, &delta.add, &delta.remove);
	uidset_add(&set, row.uid);
	ret = alter_flags(mb, &set, &delta.add, &delta.remove, err);
	row.source_uid = source_uid;
	row.state = LEDGER_LIVE;
	row.flags = flags;
	row.date = date;
	row.identity = identity;
	if (ret == 0)
		ret = ledger_replace(store_of(mb)->ledger, mb->box, &row, err);
	flags_release(&was);
	flags_release(&now);
	flags_release(&delta.add);
	flags_release(&delta.remove);
	uidset_release(&set);
	return ret;
}

/*
 * 1: the mailbox has it, bound to nothing so far, or from an upload whose answer never came; it was told. 0: it has
 * to be added.
 */
static int take_over(struct imap_store *st, struct upload *u, struct err *err)
{
	struct ledger_copy found = { 0 };
	enum outcome what = OUTCOME_ADOPTED;
	uint32_t uid;
	int got;

	if (!u->source_uid)
		return 0;
	got = ledger_find_source(st->ledger, u->mb->box, u->source_uid, &found, err);
	if (got > 0 && found.row.how != LEDGER_ADOPTED)
		what = OUTCOME_DONE;
	if (got == 0) {
		got = present_find_free(st, u->mb, u->body.sha256, u->body.size, &found, err);
		if (got > 0 && upload_take_over(u->mb, &found.row, u->source_uid, u->flags_text,
						u->date_text, u->identity, err) < 0)
			got = -1;
	}
	uid = found.row.uid;
	ledger_copy_release(&found);
	if (got > 0)
		tell(st, u, what, uid, NULL);
	return got;
}

/* --- the sink --- */

static int sink_begin(void *ctx, void *tag, const struct message *msg, void **handle, struct err *err)
{
	struct upload_sink *s = ctx;
	struct imap_store *st = store_of(s->mb);
	struct uploads *up = uploads_of(st);

	(void)tag;
	if (check_mailbox(st, s->mb, err) < 0)
		return -1;
	if (!up->dir)
		up->dir = path_parent(ledger_path(st->ledger));
	*handle = upload_new(up, s, msg);
	return 0;
}

static int sink_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct upload *u = handle;

	(void)ctx;
	if (spool_write(&u->body, piece, err) < 0)
		return -1;
	return uploads_pump(store_of(u->mb), UINT64_MAX, err);
}

/* Flags, date and identity, as the ledger and the server get them. */
static void take_attributes(struct upload *u, const struct message *msg)
{
	struct buf *text = &u->text;
	size_t flags_end, date_end;

	if (msg->flags)
		flags_format(msg->flags, text);
	flags_end = text->n;
	maildate_copy(&u->date, msg->date ? msg->date : &u->date);
	maildate_format(&u->date, text);
	date_end = text->n;
	buf_add(text, msg->identity);
	u->flags_text = bytes_from(text->p, flags_end);
	u->date_text = bytes_from(text->p + flags_end, date_end - flags_end);
	u->identity = bytes_from(text->p + date_end, text->n - date_end);
	if (msg->flags)
		writing_filter(u->mb, msg->flags, &u->flags);
}

static void seal(struct imap_store *st, struct imap_mailbox_handle *mb)
{
	struct writing *w = mb->writing;

	for (int i = 0; w && i < 2; i++) {
		struct gathering *g = i ? &w->copies : &w->gathered;

		if (g->batch)
			batches_append(&st->writer->uploads->queued, g->batch);
		*g = (struct gathering){ .batch = NULL };
	}
}

/* `from`: the batch is of copies of what that mailbox holds; NULL: it is sent. */
static void gather(struct imap_store *st, struct upload *u, struct imap_mailbox_handle *from)
{
	struct gathering *g = from ? &u->mb->writing->copies : &u->mb->writing->gathered;

	if (g->batch && g->batch->from != from)
		seal(st, u->mb);
	if (!g->batch) {
		g->batch = batch_new(u->mb);
		g->batch->from = from;
	}
	g->batch->v[g->batch->n++] = u;
	g->bytes += u->body.size;
	if (g->batch->n == UPLOAD_BATCH_MESSAGES || g->bytes >= BATCH_BYTES)
		seal(st, u->mb);
}

static bool has_copy_of(const struct upload_batch *b, const struct imap_mailbox_handle *from, uint32_t uid)
{
	for (size_t i = 0; b && b->from == from && i < b->n; i++)
		if (b->v[i]->from_uid == uid)
			return true;
	return false;
}

/*
 * Another mailbox that holds the same bytes with the same date, as far as we know: the server can copy them. NULL:
 * there is none, or it would not say under which UID.
 */
static int find_elsewhere(struct imap_store *st, struct upload *u, struct imap_mailbox_handle **out,
			  struct err *err)
{
	struct ledger_copy found = { 0 };
	struct ledger_box *box;
	struct mailbox *mb;
	int got = 0;

	*out = NULL;
	if (st->writer->uploads->no_copies || !st->writer->conn ||
	    !imap_session_has(st->writer->conn->session, IMAP_CAP_UIDPLUS))
		return 0;
	got = ledger_find_elsewhere(st->ledger, u->mb->box, u->body.sha256, u->body.size, u->date_text, &found,
				    err);
	box = got > 0 ? ledger_box_by_id(st->ledger, found.box) : NULL;
	if (box && bytes_equal(found.row.date, u->date_text)) {
		got = imap_handle_of_box(st, box, &mb, err);
		if (got == 0 &&
		    !has_copy_of(u->mb->writing->copies.batch, (struct imap_mailbox_handle *)mb, found.row.uid)) {
			*out = (struct imap_mailbox_handle *)mb;
			u->from_uid = found.row.uid;
		}
	}
	ledger_copy_release(&found);
	return got < 0 && err->kind != ERR_MAILBOX ? -1 : 0; /* that one's trouble is none of this one's */
}

static void seal_all(struct imap_store *st)
{
	for (struct imap_mailbox_handle *mb = st->mailboxes; mb; mb = mb->next)
		seal(st, mb);
}

/* The message is complete. After -1 it is told by who gave it. */
static int take_message(struct imap_store *st, struct upload *u, const struct message *msg,
			struct err *err)
{
	struct imap_mailbox_handle *from = NULL;
	struct err why;
	int got;

	spool_finish(&u->body);
	take_attributes(u, msg);
	if (check_mailbox(st, u->mb, err) < 0)
		return -1;
	st->writer->uploads->bytes += u->body.size;
	u->complete = true;
	if (is_refused_here(st, u, &why)) {
		tell(st, u, OUTCOME_REFUSED, 0, &why);
		return 0;
	}
	got = take_over(st, u, err);
	if (got > 0)
		return 0;
	if (got == 0)
		got = find_elsewhere(st, u, &from, err);
	if (got < 0) {
		st->writer->uploads->bytes -= u->body.size;
		u->complete = false;
		return -1;
	}
	gather(st, u, from);
	return 0;
}

static int sink_end(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	struct upload_sink *s = ctx;
	struct imap_store *st = store_of(s->mb);
	struct upload *u = handle;

	if (!complete || take_message(st, u, msg, err) < 0) {
		upload_free(u);
		return complete ? -1 : 0;
	}
	if (st->writer->uploads->bytes > OUTSTANDING_MAX)
		seal_all(st);
	return uploads_pump(st, OUTSTANDING_MAX, err);
}

int imap_store_append(struct mailbox *base, outcome_fn *report, void *ctx, void *tag,
		      struct message_sink *sink, struct err *err)
{
	struct imap_mailbox_handle *mb = (struct imap_mailbox_handle *)base;
	struct uploads *up = uploads_of(store_of(mb));
	struct upload_sink *s = xcalloc(1, sizeof(*s));

	(void)err;
	*s = (struct upload_sink){ .mb = mb, .report = report, .ctx = ctx, .tag = tag, .next = up->sinks };
	up->sinks = s;
	*sink = (struct message_sink){ .ctx = s, .begin = sink_begin, .write = sink_write,
				       .end = sink_end };
	return 0;
}

void uploads_abandon(struct imap_store *st, const struct err *why)
{
	struct uploads *up = st->writer ? st->writer->uploads : NULL;

	if (!up)
		return;
	free_batches(&up->queued);
	for (size_t k = 0; k < WRITER_LINES; k++) {
		writer_use(st, k);
		if (st->writer->conn && up->sent[k].first)
			imap_session_close(st->writer->conn->session, why); /* answers nobody any more */
		free_batches(&up->sent[k]);
	}
	for (struct imap_mailbox_handle *mb = st->mailboxes; mb; mb = mb->next)
		if (mb->writing) {
			batch_free(mb->writing->gathered.batch);
			batch_free(mb->writing->copies.batch);
			mb->writing->gathered = mb->writing->copies = (struct gathering){ .batch = NULL };
		}
	for (struct upload *u = up->all, *next; u; u = next) {
		next = u->next;
		if (u->complete)
			give_up(st, u, why);
	}
}

int uploads_flush(struct imap_store *st, struct err *err)
{
	if (!st->writer || !st->writer->uploads)
		return 0;
	seal_all(st);
	return uploads_pump(st, 0, err);
}
