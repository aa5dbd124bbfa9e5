#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands_message.h"
#include "core/imap/commands_private.h"
#include "core/mail/flags.h"
#include "core/msgset/uidset.h"

/* --- STORE --- */

/* One STORE as the caller sees it; a long set takes several commands. */
struct store_call {
	enum imap_numbering numbering;
	struct uidset set;
	struct uidset modified;
	struct imap_store_sink sink;
	struct tally tally;
};

static bool store_claims(void *ctx, const struct imap_response *r)
{
	const struct store_call *call = ctx;
	const struct imap_fetch *f = &r->u.fetch;

	if (call->numbering == IMAP_NUMBERS)
		return f->number && uidset_has(&call->set, f->number);
	return (f->present & IMAP_FETCH_UID) &&
	       (call->numbering == IMAP_SAVED || uidset_has(&call->set, f->uid));
}

static void on_stored(void *ctx, const struct imap_response *r)
{
	struct store_call *call = ctx;

	if (call->sink.message)
		call->sink.message(call->sink.ctx, &r->u.fetch);
}

static void on_store_done(void *ctx, const struct imap_result *r)
{
	struct store_call *call = ctx;
	struct imap_result result;

	if (r->status && r->status->code == IMAP_CODE_MODIFIED && r->status->set &&
	    !uidset_is_open(r->status->set))
		uidset_union(&call->modified, &call->modified, r->status->set);
	if (!tally_note(&call->tally, r, &result))
		return;
	call->sink.done(call->sink.ctx, &call->modified, &result);
	uidset_release(&call->set);
	uidset_release(&call->modified);
	free(call);
}

static int encode_store(void *ctx, const struct imap_session *s, struct imap_encoder *e,
			const struct uidset *piece, struct err *err)
{
	static const char *const items[][2] = {
		[IMAP_STORE_ADD] = { "+FLAGS", "+FLAGS.SILENT" },
		[IMAP_STORE_REMOVE] = { "-FLAGS", "-FLAGS.SILENT" },
		[IMAP_STORE_REPLACE] = { "FLAGS", "FLAGS.SILENT" },
	};
	const struct imap_store_request *q = ctx;

	command_encode_set(s, e, "STORE", q->numbering, piece);
	if (q->conditional) {
		imap_encode_open(e);
		imap_encode_word(e, "UNCHANGEDSINCE");
		imap_encode_number(e, q->unchanged_since);
		imap_encode_close(e);
	}
	imap_encode_word(e, items[q->how][q->silent]);
	imap_encode_flags(e, q->flags);
	return imap_encoder_finish(e, err);
}

int imap_store_flags(struct imap_session *s, const struct imap_store_request *request,
	       const struct imap_store_sink *sink, struct err *err)
{
	struct imap_store_request q = *request;
	struct split_command split = { .encode = encode_store, .ctx = &q };
	struct store_call *call;

	if (command_check_set(s, "STORE", q.numbering, q.set, err) < 0 ||
	    (q.conditional &&
	     command_needs(s, IMAP_CAP_CONDSTORE, "STORE with UNCHANGEDSINCE", err) < 0))
		return -1;
	if (q.how != IMAP_STORE_REPLACE && flags_is_empty(q.flags))
		return err_set(err, ERR_CONFIG, "STORE: no flags are given");
	if (split_command_encode(&split, s, q.numbering == IMAP_SAVED ? NULL : q.set, err) < 0)
		return -1;
	call = xcalloc(1, sizeof(*call));
	call->numbering = q.numbering;
	if (q.numbering != IMAP_SAVED)
		uidset_copy(&call->set, q.set);
	call->sink = *sink;
	call->tally.left = (unsigned)split.n;
	split_command_submit(&split, s, &(struct imap_request){
		.what = "UID STORE",
		.flags = command_set_flags(q.numbering),
		.wants = IMAP_WANT(IMAP_RESPONSE_FETCH),
		.claims = store_claims,
		.handler = { .on_response = on_stored, .on_done = on_store_done, .ctx = call } });
	return 0;
}

/* --- EXPUNGE --- */

struct expunge_call {
	uint64_t removed;
	struct uidset uids;
	struct tally tally;
	imap_expunge_fn *done;
	void *ctx;
};

static bool expunge_claims(void *ctx, const struct imap_response *r)
{
	(void)ctx;
	return r->type != IMAP_RESPONSE_VANISHED ||
	       (!r->u.vanished.earlier && !uidset_is_open(r->u.vanished.uids));
}

static void on_expunged(void *ctx, const struct imap_response *r)
{
	struct expunge_call *call = ctx;

	if (r->type == IMAP_RESPONSE_EXPUNGE) {
		call->removed++;
		return;
	}
	call->removed += uidset_count(r->u.vanished.uids);
	uidset_union(&call->uids, &call->uids, r->u.vanished.uids);
}

static void on_expunge_done(void *ctx, const struct imap_result *r)
{
	struct expunge_call *call = ctx;
	struct imap_result result;

	if (!tally_note(&call->tally, r, &result))
		return;
	call->done(call->ctx, &(struct imap_expunge_answer){ .removed = call->removed,
							     .uids = &call->uids }, &result);
	uidset_release(&call->uids);
	free(call);
}

static int encode_expunge(void *ctx, const struct imap_session *s, struct imap_encoder *e,
			  const struct uidset *piece, struct err *err)
{
	(void)ctx;
	if (piece) {
		command_encode_set(s, e, "EXPUNGE", IMAP_UIDS, piece);
	} else {
		imap_session_encoder(s, e);
		imap_encode_word(e, "EXPUNGE");
	}
	return imap_encoder_finish(e, err);
}

int imap_expunge(struct imap_session *s, const struct uidset *uids, imap_expunge_fn *done,
		 void *ctx, struct err *err)
{
	struct split_command split = { .encode = encode_expunge };
	struct expunge_call *call;

	if (command_needs_mailbox(s, "EXPUNGE", err) < 0 ||
	    (uids && command_needs(s, IMAP_CAP_UIDPLUS, "UID EXPUNGE", err) < 0) ||
	    (uids && command_check_set(s, "UID EXPUNGE", IMAP_UIDS, uids, err) < 0) ||
	    split_command_encode(&split, s, uids, err) < 0)
		return -1;
	call = xcalloc(1, sizeof(*call));
	call->done = done;
	call->ctx = ctx;
	call->tally.left = (unsigned)split.n;
	split_command_submit(&split, s, &(struct imap_request){
		.what = uids ? "UID EXPUNGE" : "EXPUNGE",
		.flags = IMAP_REQUEST_IN_MAILBOX,
		.wants = IMAP_WANT(IMAP_RESPONSE_EXPUNGE) | IMAP_WANT(IMAP_RESPONSE_VANISHED),
		.claims = expunge_claims,
		.handler = { .on_response = on_expunged, .on_done = on_expunge_done,
			     .ctx = call } });
	return 0;
}
