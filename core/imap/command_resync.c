#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands_private.h"
#include "core/msgset/uidset.h"

struct resync_call {
	struct imap_session *session;
	bool early;  /* something came while the mailbox before was still selected */
	bool closed; /* [CLOSED] came, as it must then (RFC 7162, section 3.2.11) */
	struct imap_resync_sink sink;
};

/* Messages gone in this very session were not asked for here. */
static bool resync_claims(void *ctx, const struct imap_response *r)
{
	struct resync_call *call = ctx;

	if (r->type == IMAP_RESPONSE_STATUS)
		return r->u.status.code == IMAP_CODE_CLOSED;
	if (imap_session_mailbox(call->session)) {
		call->early = true;
		return false;
	}
	if (r->type == IMAP_RESPONSE_VANISHED)
		return r->u.vanished.earlier && !uidset_is_open(r->u.vanished.uids);
	return r->u.fetch.present & IMAP_FETCH_UID;
}

static void on_resync(void *ctx, const struct imap_response *r)
{
	struct resync_call *call = ctx;
	const struct imap_resync_sink *sink = &call->sink;

	if (r->type == IMAP_RESPONSE_STATUS)
		call->closed = true;
	else if (r->type == IMAP_RESPONSE_FETCH && sink->message)
		sink->message(sink->ctx, &r->u.fetch);
	else if (r->type == IMAP_RESPONSE_VANISHED && sink->vanished)
		sink->vanished(sink->ctx, r->u.vanished.uids);
}

static void on_resync_done(void *ctx, const struct imap_result *result)
{
	struct resync_call *call = ctx;
	struct imap_result told = *result;

	/* Without [CLOSED] nobody can tell what was about which mailbox. */
	told.damaged |= call->early && !call->closed;
	if (call->sink.done)
		call->sink.done(call->sink.ctx, &told);
	free(call);
}

/* A set that would make the line too long is left out: the server then assumes all. */
static bool fits(const struct imap_session *s, const struct uidset *set)
{
	return set && !uidset_is_empty(set) && !uidset_is_open(set) &&
	       uidset_text_size(set) <= imap_session_set_budget(s) / 2;
}

static void encode_resync(const struct imap_session *s, struct imap_encoder *e,
			  const struct imap_resync *since)
{
	bool known = fits(s, since->known);
	bool sample = fits(s, since->sample_numbers) && fits(s, since->sample_uids) &&
		      uidset_count(since->sample_numbers) == uidset_count(since->sample_uids);

	imap_encode_open(e);
	imap_encode_word(e, "QRESYNC");
	imap_encode_open(e);
	imap_encode_number(e, since->uid_validity);
	imap_encode_number(e, since->modseq);
	if (known)
		imap_encode_uidset(e, since->known);
	if (sample) {
		imap_encode_open(e);
		imap_encode_uidset(e, since->sample_numbers);
		imap_encode_uidset(e, since->sample_uids);
		imap_encode_close(e);
	}
	imap_encode_close(e);
	imap_encode_close(e);
}

int imap_select_resync(struct imap_session *s, struct bytes wire_name, bool read_only,
		       const struct imap_resync *since, const struct imap_resync_sink *sink,
		       struct err *err)
{
	const char *word = read_only ? "EXAMINE" : "SELECT";
	struct resync_call *call;
	struct imap_encoder e;
	char *what;
	int ret;

	if (!imap_session_enabled(s, IMAP_CAP_QRESYNC))
		return err_set(err, ERR_CONFIG, "%s: QRESYNC is not enabled", word);
	if (!since->uid_validity || !since->modseq)
		return err_set(err, ERR_CONFIG, "%s: nothing is known of the last visit", word);
	call = xcalloc(1, sizeof(*call));
	call->session = s;
	call->sink = *sink;
	what = command_describe(word, wire_name);
	imap_session_encoder(s, &e);
	imap_encode_word(&e, word);
	imap_encode_mailbox(&e, wire_name);
	encode_resync(s, &e, since);
	ret = command_submit(s, &e, &(struct imap_request){
		.what = what,
		.flags = IMAP_REQUEST_DATA | IMAP_REQUEST_OPENS |
			 (read_only ? IMAP_REQUEST_READ_ONLY : 0),
		.mailbox_name = wire_name,
		.wants = IMAP_WANT(IMAP_RESPONSE_FETCH) | IMAP_WANT(IMAP_RESPONSE_VANISHED) |
			 IMAP_WANT(IMAP_RESPONSE_STATUS),
		.claims = resync_claims,
		.handler = { .on_response = on_resync, .on_done = on_resync_done, .ctx = call } },
		err);
	if (ret < 0)
		free(call);
	free(what);
	return ret;
}
