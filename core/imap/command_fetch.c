#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands_private.h"
#include "core/msgset/uidset.h"

/* One fetch as the caller sees it; a long set takes several commands. */
struct fetch_call {
	struct uidset uids; /* or message numbers */
	enum imap_numbering numbering;
	struct imap_fetch_sink sink;
	unsigned left;
	bool in_body; /* body_begin was passed on for the FETCH that is coming in */
	bool damaged;
	enum imap_outcome outcome; /* the first that was not OK */
	struct err err;
};

/* --- what comes back --- */

static bool was_asked_for(const struct fetch_call *call, const struct imap_fetch *f)
{
	if (call->numbering == IMAP_NUMBERS)
		return f->number && uidset_has(&call->uids, f->number);
	return (f->present & IMAP_FETCH_UID) &&
	       (call->numbering == IMAP_SAVED || uidset_has(&call->uids, f->uid));
}

/*
 * Without a UID it can only be ours if it brings a body: nobody sends those unasked. Flags without
 * a UID are news about some message, not an answer.
 */
static bool fetch_claims(void *ctx, const struct imap_response *r)
{
	const struct fetch_call *call = ctx;
	const struct imap_fetch *f = &r->u.fetch;

	if (r->type == IMAP_RESPONSE_VANISHED)
		return r->u.vanished.earlier && !uidset_is_open(r->u.vanished.uids);
	if (call->numbering != IMAP_NUMBERS && !(f->present & IMAP_FETCH_UID))
		return r->type == IMAP_RESPONSE_BODY_BEGIN;
	return was_asked_for(call, f);
}

/* The sink may close the session, which frees `call`: nothing touches it after that. */
static void message_complete(struct fetch_call *call, const struct imap_fetch *f)
{
	const struct imap_fetch_sink sink = call->sink;
	bool known = (f->present & IMAP_FETCH_UID) && was_asked_for(call, f);
	bool in_body = call->in_body;

	call->in_body = false;
	if (known && sink.message)
		sink.message(sink.ctx, f);
	else if (!known && in_body && sink.drop)
		sink.drop(sink.ctx);
}

static void on_fetch(void *ctx, const struct imap_response *r)
{
	struct fetch_call *call = ctx;
	const struct imap_fetch_sink *sink = &call->sink;

	switch (r->type) {
	case IMAP_RESPONSE_VANISHED:
		if (sink->vanished)
			sink->vanished(sink->ctx, r->u.vanished.uids);
		break;
	case IMAP_RESPONSE_BODY_BEGIN:
		call->in_body = true;
		if (sink->body_begin)
			sink->body_begin(sink->ctx, &r->u.fetch);
		break;
	case IMAP_RESPONSE_BODY_DATA:
		if (sink->body_data)
			sink->body_data(sink->ctx, r->u.text);
		break;
	case IMAP_RESPONSE_BODY_END:
		if (sink->body_end)
			sink->body_end(sink->ctx, &r->u.fetch);
		break;
	default:
		message_complete(call, &r->u.fetch);
		break;
	}
}

static void on_fetch_done(void *ctx, const struct imap_result *r)
{
	struct fetch_call *call = ctx;
	struct imap_result result = *r;

	/* The connection broke within a body. */
	if (call->in_body && r->outcome == IMAP_DONE_LOST && call->sink.drop)
		call->sink.drop(call->sink.ctx);
	if (r->outcome == IMAP_DONE_LOST)
		call->in_body = false;
	call->damaged |= r->damaged;
	if (r->outcome != IMAP_DONE_OK && call->outcome == IMAP_DONE_OK) {
		call->outcome = r->outcome;
		call->err = *r->err;
		if (call->left > 1)
			result.status = NULL;
	} else if (call->outcome != IMAP_DONE_OK) {
		result.status = NULL;
	}
	if (--call->left)
		return;
	result.damaged = call->damaged;
	result.outcome = call->outcome;
	if (call->outcome != IMAP_DONE_OK)
		result.err = &call->err;
	call->sink.done(call->sink.ctx, &result);
	uidset_release(&call->uids);
	free(call);
}

/* --- what is asked --- */

static const struct {
	unsigned item;
	const char *name;
	enum imap_cap cap; /* COUNT: anybody knows it */
} fetch_items[] = {
	{ IMAP_FETCH_FLAGS, "FLAGS", IMAP_CAP_COUNT },
	{ IMAP_FETCH_INTERNALDATE, "INTERNALDATE", IMAP_CAP_COUNT },
	{ IMAP_FETCH_SIZE, "RFC822.SIZE", IMAP_CAP_COUNT },
	{ IMAP_FETCH_MODSEQ, "MODSEQ", IMAP_CAP_CONDSTORE },
	{ IMAP_FETCH_EMAILID, "EMAILID", IMAP_CAP_OBJECTID },
	{ IMAP_FETCH_THREADID, "THREADID", IMAP_CAP_OBJECTID },
	{ IMAP_FETCH_SAVEDATE, "SAVEDATE", IMAP_CAP_SAVEDATE },
	{ IMAP_FETCH_PREVIEW, "PREVIEW", IMAP_CAP_PREVIEW },
	{ IMAP_FETCH_GM_MSGID, "X-GM-MSGID", IMAP_CAP_X_GM_EXT_1 },
	{ IMAP_FETCH_GM_THRID, "X-GM-THRID", IMAP_CAP_X_GM_EXT_1 },
	{ IMAP_FETCH_GM_LABELS, "X-GM-LABELS", IMAP_CAP_X_GM_EXT_1 },
	{ IMAP_FETCH_ENVELOPE, "ENVELOPE", IMAP_CAP_COUNT },
	{ IMAP_FETCH_STRUCTURE, "BODYSTRUCTURE", IMAP_CAP_COUNT },
};

#define FETCH_ITEMS (sizeof(fetch_items) / sizeof(fetch_items[0]))

unsigned imap_fetch_offered(const struct imap_session *s, unsigned items)
{
	unsigned offered = items & IMAP_FETCH_UID;

	for (size_t i = 0; i < FETCH_ITEMS; i++)
		if (fetch_items[i].cap == IMAP_CAP_COUNT || imap_session_has(s, fetch_items[i].cap))
			offered |= items & fetch_items[i].item;
	return offered;
}

static void encode_items(const struct imap_session *s, struct imap_encoder *e,
			 const struct imap_fetch_request *q)
{
	unsigned items = imap_fetch_offered(s, q->items);

	imap_encode_open(e);
	imap_encode_word(e, "UID");
	for (size_t i = 0; i < FETCH_ITEMS; i++)
		if (items & fetch_items[i].item)
			imap_encode_word(e, fetch_items[i].name);
	if (q->section) {
		char *range = q->length ? xasprintf("<%llu.%llu>", (unsigned long long)q->offset,
						    (unsigned long long)q->length) :
					  xstrdup("");
		char *item = xasprintf("BODY.PEEK[%s]%s", q->section, range);

		imap_encode_word(e, item);
		free(item);
		free(range);
	}
	imap_encode_close(e);
}

static int encode_fetch(void *ctx, const struct imap_session *s, struct imap_encoder *e,
			const struct uidset *piece, struct err *err)
{
	const struct imap_fetch_request *q = ctx;

	command_encode_set(s, e, "FETCH", q->numbering, piece);
	encode_items(s, e, q);
	if (q->changed_since && imap_session_has(s, IMAP_CAP_CONDSTORE)) {
		imap_encode_open(e);
		imap_encode_word(e, "CHANGEDSINCE");
		imap_encode_number(e, q->changed_since);
		if (q->vanished)
			imap_encode_word(e, "VANISHED");
		imap_encode_close(e);
	}
	return imap_encoder_finish(e, err);
}

int imap_fetch(struct imap_session *s, const struct imap_fetch_request *request,
	       const struct imap_fetch_sink *sink, struct err *err)
{
	struct imap_fetch_request q = *request;
	struct split_command split = { .encode = encode_fetch, .ctx = &q };
	struct fetch_call *call;

	if (command_check_set(s, "FETCH", q.numbering, q.uids, err) < 0)
		return -1;
	if (q.vanished && (!q.changed_since || q.numbering == IMAP_NUMBERS ||
			   !imap_session_enabled(s, IMAP_CAP_QRESYNC)))
		return err_set(err, ERR_CONFIG, "FETCH with VANISHED: needs CHANGEDSINCE, UIDs, "
			       "and QRESYNC enabled");
	if (split_command_encode(&split, s, q.numbering == IMAP_SAVED ? NULL : q.uids, err) < 0)
		return -1;
	call = xcalloc(1, sizeof(*call));
	call->numbering = q.numbering;
	if (q.numbering != IMAP_SAVED)
		uidset_copy(&call->uids, q.uids);
	call->sink = *sink;
	call->left = (unsigned)split.n;
	split_command_submit(&split, s, &(struct imap_request){
		.what = "UID FETCH",
		.flags = IMAP_REQUEST_DATA | command_set_flags(q.numbering),
		.wants = IMAP_WANT_FETCH | (q.vanished ? IMAP_WANT(IMAP_RESPONSE_VANISHED) : 0),
		.claims = fetch_claims,
		.handler = { .on_response = on_fetch, .on_done = on_fetch_done, .ctx = call } });
	return 0;
}
