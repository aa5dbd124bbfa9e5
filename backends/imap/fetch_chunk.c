#include <stdio.h>
#include <stdlib.h>

#include "core/base/mem.h"

#include "backends/imap/fetch_private.h"

/* A body whose UID comes after it is kept up to here; a larger one is asked for by itself. */
#define HELD_MAX ((size_t)1 << 20)

/* For want.header. */
#define HEADER_SECTION "HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)"

static void forget_apart(struct chunk *k)
{
	flags_release(&k->apart.flags);
	maildate_release(&k->apart.date);
	k->apart = (struct told_apart){ 0 };
}

static void chunk_free(struct chunk *k)
{
	uidset_release(&k->asked);
	uidset_release(&k->got);
	buf_release(&k->held);
	forget_apart(k);
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

	if (k->passage == PASSAGE_OPEN || k->passage == PASSAGE_WHOLE)
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

static bool is_date(const struct imap_fetch *f)
{
	return f->date || f->date_text.p;
}

static void take_date(struct maildate *out, const struct imap_fetch *f)
{
	if (f->date)
		maildate_copy(out, f->date);
	else
		maildate_parse(out, f->date_text);
}

/* When a message is asked for alone, its size tells whether an empty body is all there is. */
static bool asks_size(const struct chunk *k)
{
	return k->kind == CHUNK_SINGLE || k->kind == CHUNK_ISOLATED;
}

/* Of the two kinds the standard's, where a server has both. "" when it is not told. */
static void take_identity(const struct imap_fetch *f, char out[IDENTITY_MAX + 1])
{
	out[0] = '\0';
	if (f->present & IMAP_FETCH_EMAILID)
		snprintf(out, IDENTITY_MAX + 1, IDENTITY_EMAIL "%.*s",
			 f->email_id.n > IDENTITY_VALUE_MAX ? 0 : (int)f->email_id.n,
			 f->email_id.n ? (const char *)f->email_id.p : "");
	else if ((f->present & IMAP_FETCH_GM_MSGID) && f->gm_msgid)
		snprintf(out, IDENTITY_MAX + 1, IDENTITY_GMAIL "%llu", (unsigned long long)f->gm_msgid);
	if (!identity_is_valid(bytes_of(out)))
		out[0] = '\0';
}

/* Some servers answer about one message in several responses, in any order. */
static void remember_apart(struct chunk *k, const struct imap_fetch *f)
{
	struct told_apart *apart = &k->apart;
	const unsigned all = IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_BODY |
			     (asks_size(k) ? IMAP_FETCH_SIZE : 0);

	if ((f->present & all) == all)
		return;
	if (apart->uid != f->uid) {
		forget_apart(k);
		flags_init(&apart->flags);
		maildate_init(&apart->date);
		apart->uid = f->uid;
	}
	if (f->flags) {
		flags_copy(&apart->flags, f->flags);
		apart->flags_known = true;
	}
	if (is_date(f))
		take_date(&apart->date, f);
	apart->date_known |= (f->present & IMAP_FETCH_INTERNALDATE) != 0;
	if (f->present & (IMAP_FETCH_EMAILID | IMAP_FETCH_GM_MSGID))
		take_identity(f, apart->identity);
	if (f->present & IMAP_FETCH_SIZE) {
		apart->size = f->size;
		apart->size_known = true;
	}
}

/* All that was said of the message, in `f` or apart from it, goes with it. */
static void close_passage(struct chunk *k, const struct imap_fetch *f)
{
	const struct message_sink *sink = k->box->fetch->sink;
	const struct told_apart *apart = k->apart.uid == k->uid ? &k->apart : NULL;
	const struct flags none = FLAGS_INIT;
	char identity[IDENTITY_MAX + 1] = "";
	struct maildate date;
	struct message msg = { .uid = k->uid, .flags = &none };
	struct err err;
	int ret;

	maildate_init(&date);
	if (f)
		take_identity(f, identity);
	msg.identity = bytes_of(!*identity && apart ? apart->identity : identity);
	if (f && f->flags)
		msg.flags = f->flags;
	else if (apart && apart->flags_known)
		msg.flags = &apart->flags;
	if (f && is_date(f))
		take_date(&date, f);
	else if (apart && apart->date_known)
		maildate_copy(&date, &apart->date);
	msg.date = &date;
	if (k->box->want->attributes && apart)
		msg.size = apart->size;
	ret = sink->end(sink->ctx, k->handle, &msg, true, &err);
	maildate_release(&date);
	k->passage = PASSAGE_NONE;
	if (ret == 0)
		box_settle(k->box, k, k->uid, OUTCOME_DONE, NULL);
	else
		sink_failed(k, &err);
}

/* Something else begins: its flags are not going to come. */
static void end_waiting(struct chunk *k)
{
	if (k->passage == PASSAGE_WHOLE)
		close_passage(k, NULL);
}

/* Asked for, and not had yet: servers send what they like, and some of it twice. */
static bool is_wanted(const struct chunk *k, uint32_t uid)
{
	return uidset_has(&k->asked, uid) && !uidset_has(&k->got, uid) &&
	       !uidset_has(&k->box->settled, uid);
}

/* What was asked for, and not another part of the message. */
static bool is_section(const struct chunk *k, const struct imap_body *body)
{
	if (!k->box->want->header)
		return body->whole;
	return !body->partial && bytes_starts_nocase(body->section, "HEADER.FIELDS");
}

/* --- from the session --- */

static void on_body_begin(void *ctx, const struct imap_fetch *f)
{
	struct chunk *k = ctx;

	end_waiting(k);
	forget_passage(k);
	if (k->box->over || k->box->fetch->failed || f->body.nil || !is_section(k, &f->body))
		return;
	if (f->present & IMAP_FETCH_UID)
		k->uid = f->uid;
	else if (uidset_count(&k->asked) == 1)
		k->uid = uidset_min(&k->asked);
	else {
		k->passage = PASSAGE_HELD;
		return;
	}
	/* Exchange gives nothing of messages that it cannot convert, and says OK. */
	if (f->body.size == 0)
		k->empty_uid = k->uid;
	else if (is_wanted(k, k->uid))
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
	if (k->held.n == 0)
		k->empty_uid = k->uid;
	if (k->held.n == 0 || !is_wanted(k, k->uid))
		return;
	open_passage(k, f, k->held.n);
	if (k->passage == PASSAGE_OPEN)
		pass(k, buf_bytes(&k->held));
}

/*
 * An empty body is believed of a message that is empty. Asked for among others, its size is not known:
 * it counts as left out of the answer, and is asked for alone.
 */
static void judge_empty(struct chunk *k, const struct imap_fetch *f)
{
	bool apart = k->apart.uid == f->uid && k->apart.size_known, here = f->present & IMAP_FETCH_SIZE;
	uint64_t size = here ? f->size : k->apart.size;
	struct err err;

	if (k->empty_uid != f->uid || !is_wanted(k, f->uid) || !(here || apart))
		return;
	k->empty_uid = 0;
	k->uid = f->uid;
	if (size == 0) {
		open_passage(k, f, 0);
		return;
	}
	err_set(&err, ERR_MESSAGE, "the server says that it has %llu bytes, and gives none of them",
		(unsigned long long)size);
	box_settle(k->box, k, f->uid, OUTCOME_REFUSED, &err);
}

static void on_message(void *ctx, const struct imap_fetch *f)
{
	struct chunk *k = ctx;

	remember_apart(k, f);
	if (k->uid != f->uid)
		end_waiting(k);
	if (k->passage == PASSAGE_HELD)
		release_held(k, f);
	if (asks_size(k))
		judge_empty(k, f);
	if (k->passage == PASSAGE_OPEN && f->uid == k->uid)
		k->passage = PASSAGE_WHOLE;
	if (k->passage == PASSAGE_WHOLE && !f->flags &&
	    !(k->apart.uid == k->uid && k->apart.flags_known))
		return;
	if (k->passage == PASSAGE_WHOLE)
		close_passage(k, f);
	forget_passage(k);
	if (is_wanted(k, f->uid)) /* still: it is there, but without a body */
		uidset_add(&k->box->present, f->uid);
}

/* All that is said of a message, once it is, for who wants no more. */
static void on_attributes(void *ctx, const struct imap_fetch *f)
{
	struct chunk *k = ctx;
	const struct told_apart *apart = &k->apart;

	remember_apart(k, f);
	if (!apart->flags_known || !apart->date_known || !apart->size_known ||
	    !is_wanted(k, f->uid) || k->box->over || k->box->fetch->failed)
		return;
	k->uid = f->uid;
	open_passage(k, f, apart->size);
	if (k->passage == PASSAGE_OPEN)
		close_passage(k, f);
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

	if (r->outcome != IMAP_DONE_LOST)
		end_waiting(k);
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

unsigned identity_items(const struct imap_session *s)
{
	unsigned offered = imap_fetch_offered(s, IMAP_FETCH_EMAILID | IMAP_FETCH_GM_MSGID);

	return offered & IMAP_FETCH_EMAILID ? IMAP_FETCH_EMAILID : offered;
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
		.items = IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE |
			 (asks_size(k) ? IMAP_FETCH_SIZE : 0) |
			 (k->box->want->header || k->box->fetch->st->identities_refused
				  ? 0
				  : identity_items(k->conn->session)),
		.section = k->box->want->header ? HEADER_SECTION : "",
	};

	return imap_fetch(k->conn->session, &request, &sink, err);
}

static int submit_attributes(struct chunk *k, struct err *err)
{
	const struct imap_fetch_sink sink = { .message = on_attributes, .done = on_done, .ctx = k };
	const struct imap_fetch_request request = {
		.uids = &k->asked,
		.items = IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE |
			 identity_items(k->conn->session),
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
	else if (k->box->want->attributes)
		ret = submit_attributes(k, err);
	else
		ret = submit_bodies(k, err);
	if (ret < 0)
		chunk_free(k);
	return ret;
}
