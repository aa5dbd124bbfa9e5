#include <stdlib.h>

#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

#include "backends/imap/fetch_private.h"

/* A body whose UID comes after it is kept up to here; a larger one is asked for by itself. */
#define HELD_MAX ((size_t)1 << 20)

static void chunk_free(struct chunk *k)
{
	uidset_release(&k->asked);
	uidset_release(&k->got);
	buf_release(&k->held);
	free(k);
}

/* Trouble with the sink. */
static void sink_failed(struct chunk *k, const struct err *err)
{
	struct fetch *f = k->box->fetch;

	if (err->kind == ERR_MESSAGE) {
		box_settle(k->box, k, k->uid, OUTCOME_REFUSED, err);
	} else if (!f->failed) {
		f->failed = true;
		f->fatal = *err;
	}
}

static void forget_passage(struct chunk *k)
{
	struct err ignored;

	if (k->passage == PASSAGE_OPEN)
		k->box->fetch->sink->end(k->box->fetch->sink->ctx, k->handle, NULL, false,
					 &ignored);
	buf_clear(&k->held);
	k->passage = PASSAGE_NONE;
}

static void open_passage(struct chunk *k, const struct imap_fetch *f, uint64_t size)
{
	const struct message_sink *sink = k->box->fetch->sink;
	const struct message msg = { .uid = k->uid, .flags = f->flags, .date = f->date,
				     .size = size };
	struct err err;

	if (sink->begin(sink->ctx, k->box->want->tag, &msg, &k->handle, &err) == 0)
		k->passage = PASSAGE_OPEN;
	else
		sink_failed(k, &err);
}

static void pass(struct chunk *k, struct bytes piece)
{
	const struct message_sink *sink = k->box->fetch->sink;
	struct err err;

	if (sink->write(sink->ctx, k->handle, piece, &err) == 0)
		return;
	forget_passage(k);
	sink_failed(k, &err);
}

static void close_passage(struct chunk *k, const struct imap_fetch *f)
{
	const struct message_sink *sink = k->box->fetch->sink;
	const struct flags none = FLAGS_INIT;
	struct maildate date;
	struct message msg = { .uid = k->uid, .flags = f->flags ? f->flags : &none };
	struct err err;
	int ret;

	maildate_init(&date);
	if (f->date)
		maildate_copy(&date, f->date);
	else if (f->date_text.p)
		maildate_parse(&date, f->date_text);
	msg.date = &date;
	ret = sink->end(sink->ctx, k->handle, &msg, true, &err);
	maildate_release(&date);
	k->passage = PASSAGE_NONE;
	if (ret == 0)
		box_settle(k->box, k, k->uid, OUTCOME_DONE, NULL);
	else
		sink_failed(k, &err);
}

/* Asked for, and not had yet: servers send what they like, and some of it twice. */
static bool is_wanted(const struct chunk *k, uint32_t uid)
{
	return uidset_has(&k->asked, uid) && !uidset_has(&k->got, uid) &&
	       !uidset_has(&k->box->settled, uid);
}

/* --- from the session --- */

static void on_body_begin(void *ctx, const struct imap_fetch *f)
{
	struct chunk *k = ctx;

	forget_passage(k);
	if (k->box->over || k->box->fetch->failed || f->body.nil || !f->body.whole)
		return;
	if (f->present & IMAP_FETCH_UID)
		k->uid = f->uid;
	else if (uidset_count(&k->asked) == 1)
		k->uid = uidset_min(&k->asked);
	else {
		k->passage = PASSAGE_HELD;
		return;
	}
	if (is_wanted(k, k->uid))
		open_passage(k, f, f->body.size);
}

static void on_body_data(void *ctx, struct bytes piece)
{
	struct chunk *k = ctx;

	k->box->fetch->bytes += piece.n;
	if (k->passage == PASSAGE_OPEN)
		pass(k, piece);
	else if (k->passage == PASSAGE_HELD && !buf_add(&k->held, piece))
		forget_passage(k); /* missing from the answer, so asked for by itself */
}

static void release_held(struct chunk *k, const struct imap_fetch *f)
{
	k->uid = f->uid;
	k->passage = PASSAGE_NONE;
	if (!is_wanted(k, k->uid))
		return;
	open_passage(k, f, k->held.n);
	if (k->passage == PASSAGE_OPEN && k->held.n)
		pass(k, buf_bytes(&k->held));
}

static void on_message(void *ctx, const struct imap_fetch *f)
{
	struct chunk *k = ctx;

	if (k->passage == PASSAGE_HELD)
		release_held(k, f);
	if (k->passage == PASSAGE_OPEN && f->uid == k->uid)
		close_passage(k, f);
	forget_passage(k);
	if (is_wanted(k, f->uid)) /* still: it is there, but without a body */
		uidset_add(&k->box->present, f->uid);
}

static void on_drop(void *ctx)
{
	struct chunk *k = ctx;

	if (k->passage == PASSAGE_OPEN)
		k->cut_uid = k->uid;
	forget_passage(k);
}

static void on_done(void *ctx, const struct imap_result *r)
{
	struct chunk *k = ctx;

	forget_passage(k);
	box_chunk_done(k->box, k, r);
	chunk_free(k);
}

static void on_presence(void *ctx, const struct imap_fetch *f)
{
	struct chunk *k = ctx;

	uidset_add(&k->box->present, f->uid);
}

static void on_found(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	struct chunk *k = ctx;

	box_found(k->box, k, found, r);
	chunk_free(k);
}

static int submit_bodies(struct chunk *k, struct err *err)
{
	const struct imap_fetch_sink sink = {
		.body_begin = on_body_begin,
		.body_data = on_body_data,
		.message = on_message,
		.drop = on_drop,
		.done = on_done,
		.ctx = k,
	};
	const struct imap_fetch_request request = {
		.uids = &k->asked,
		.items = IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE,
		.section = "",
	};

	return imap_fetch(k->conn->session, &request, &sink, err);
}

static int submit_presence(struct chunk *k, struct err *err)
{
	const struct imap_fetch_sink sink = { .message = on_presence, .done = on_done, .ctx = k };
	const struct imap_fetch_request request = { .uids = &k->asked,
						    .items = IMAP_FETCH_FLAGS };

	return imap_fetch(k->conn->session, &request, &sink, err);
}

int chunk_submit(struct chunk *k, struct err *err)
{
	int ret;

	buf_init(&k->held, HELD_MAX);
	if (k->kind == CHUNK_SEARCH)
		/* Of the whole mailbox, so that it can be held against the count. */
		ret = imap_search(k->conn->session, "ALL", NULL, on_found, k, err);
	else if (k->kind == CHUNK_PRESENCE)
		ret = submit_presence(k, err);
	else
		ret = submit_bodies(k, err);
	if (ret < 0)
		chunk_free(k);
	return ret;
}
