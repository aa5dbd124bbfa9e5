#include <inttypes.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/append_trust.h"
#include "core/imap/commands_message.h"
#include "core/imap/commands_private.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/msgset/uidlist.h"

/*
 * A message too large for the server costs the whole upload, or the connection, when the literal
 * does not wait (RFC 7888, section 4). Without a known limit this much is risked.
 */
#define UNASKED_MAX 102400

struct append_source {
	int (*read)(void *ctx, void *p, size_t max, size_t *n, struct err *err);
	void *ctx;
	uint64_t left;
};

struct append_call {
	struct append_source *sources; /* one for each message */
	size_t n, at;
	char **keys; /* what this command proves when it is OK: append_trust_key() of each */
	struct append_trust *trust;
	imap_append_fn *done;
	void *ctx;
};

static void append_call_free(struct append_call *call)
{
	for (size_t i = 0; i < call->n; i++)
		free(call->keys[i]);
	free(call->keys);
	free(call->sources);
	free(call);
}

/* --- what may be sent --- */

static int check_size(uint64_t size, uint64_t limit, struct err *err)
{
	if (!size)
		return err_set(err, ERR_MESSAGE, "APPEND: an empty message cannot be added");
	if (limit && size > limit)
		return err_set(err, ERR_MESSAGE, "APPEND: the message has %" PRIu64
			       " bytes, the server takes %" PRIu64, size, limit);
	return 0;
}

/* Whether the target is selected and its server lists this flag as one it keeps. */
static bool is_offered(const struct imap_session *s, struct bytes mailbox, struct bytes flag)
{
	const struct imap_mailbox *m = imap_session_mailbox(s);

	return m && m->permanent_known && bytes_is(mailbox, m->name) &&
	       flags_has(&m->permanent_flags, flag);
}

/* An unknown system flag is BAD, and what follows is read as commands by some. */
static int check_flags(const struct imap_session *s, struct bytes mailbox,
		       const struct flags *flags, struct err *err)
{
	for (size_t i = 0; flags && i < flags->count; i++) {
		struct bytes keyword = bytes_of(flags->keywords[i]);
		char *shown;

		if (keyword.p[0] != '\\' || is_offered(s, mailbox, keyword))
			continue;
		shown = escape_text(keyword, 100);
		err_set(err, ERR_MESSAGE, "APPEND: no flag that every server knows: %s", shown);
		free(shown);
		return -1;
	}
	return 0;
}

static uint64_t smaller_limit(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static int check_append(const struct imap_session *s, const struct imap_append_request *q,
			struct err *err)
{
	uint64_t limit = smaller_limit(q->limit, imap_session_caps(s)->append_limit);

	if (!q->n)
		return err_set(err, ERR_CONFIG, "APPEND: no message is given");
	if (q->n > 1 && command_needs(s, IMAP_CAP_MULTIAPPEND, "APPEND of several messages",
				      err) < 0)
		return -1;
	for (size_t i = 0; i < q->n; i++) {
		const struct imap_append_message *m = &q->messages[i];

		if (check_size(m->size, limit, err) < 0 ||
		    check_flags(s, q->mailbox, m->flags, err) < 0)
			return -1;
		if (m->binary &&
		    command_needs(s, IMAP_CAP_BINARY, "APPEND of a message with NUL bytes",
				  err) < 0)
			return -1;
	}
	return 0;
}

/* --- sending --- */

static int stream_message(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	struct append_call *call = ctx;
	struct append_source *source = &call->sources[call->at];

	if (source->read(source->ctx, p, max, n, err) < 0)
		return -1;
	if (*n == 0 || *n > max)
		return err_set(err, ERR_MESSAGE, "APPEND: the message is shorter than announced");
	source->left -= *n;
	if (!source->left)
		call->at++;
	return 0;
}

static void encode_message(struct imap_session *s, struct imap_encoder *e,
			   const struct imap_append_message *m, const char *key, uint64_t limit)
{
	bool trusted = append_trust_has(imap_session_append_trust(s), key);
	bool small = m->size <= (limit ? limit : UNASKED_MAX);

	if (m->flags && !flags_is_empty(m->flags))
		imap_encode_flags(e, m->flags);
	if (m->date && m->date->known)
		imap_encode_datetime(e, m->date);
	imap_encode_stream(e, m->size, m->binary, !trusted || !small);
}

static struct append_call *append_call_new(struct imap_session *s,
					   const struct imap_append_request *q)
{
	struct append_call *call = xcalloc(1, sizeof(*call));

	call->n = q->n;
	call->sources = xcalloc(q->n, sizeof(*call->sources));
	call->keys = xcalloc(q->n, sizeof(*call->keys));
	call->trust = imap_session_append_trust(s);
	for (size_t i = 0; i < q->n; i++) {
		const struct imap_append_message *m = &q->messages[i];

		call->sources[i] = (struct append_source){ .read = m->read, .ctx = m->ctx,
							   .left = m->size };
		call->keys[i] = append_trust_key(q->mailbox, m->flags);
	}
	return call;
}

/* --- the answer --- */

static void on_append_done(void *ctx, const struct imap_result *r)
{
	static const struct uidlist none = UIDLIST_INIT;
	struct append_call *call = ctx;
	struct imap_append_answer answer = { .uids = &none };
	const struct imap_status *st = r->status;

	if (r->outcome == IMAP_DONE_OK) {
		for (size_t i = 0; i < call->n; i++)
			append_trust_add(call->trust, call->keys[i]);
		if (st->code == IMAP_CODE_APPENDUID && st->target && st->number > 0 &&
		    st->number <= UINT32_MAX && uidlist_count(st->target) == call->n &&
		    uidlist_is_distinct(st->target)) {
			answer.known = true;
			answer.uid_validity = (uint32_t)st->number;
			answer.uids = st->target;
		}
	}
	call->done(call->ctx, &answer, r);
	append_call_free(call);
}

int imap_append(struct imap_session *s, const struct imap_append_request *request,
		imap_append_fn *done, void *ctx, struct err *err)
{
	uint64_t limit = smaller_limit(request->limit, imap_session_caps(s)->append_limit);
	struct append_call *call;
	struct imap_encoder e;
	char *what;
	int ret;

	if (check_append(s, request, err) < 0)
		return -1;
	call = append_call_new(s, request);
	call->done = done;
	call->ctx = ctx;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "APPEND");
	imap_encode_mailbox(&e, request->mailbox);
	for (size_t i = 0; i < request->n; i++)
		encode_message(s, &e, &request->messages[i], call->keys[i], limit);
	what = command_describe("APPEND", request->mailbox);
	ret = command_submit(s, &e, &(struct imap_request){
		.what = what,
		.stream = stream_message,
		.handler = { .on_done = on_append_done, .ctx = call } }, err);
	if (ret < 0)
		append_call_free(call);
	free(what);
	return ret;
}
