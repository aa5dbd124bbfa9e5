#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/append_trust.h"
#include "core/imap/commands_message.h"
#include "core/imap/commands_private.h"
#include "core/imap/url.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/msgset/uidlist.h"

/*
 * A message too large for the server costs the whole upload, or the connection, when the literal
 * does not wait (RFC 7888, section 4). Without a known limit this much is risked.
 */
#define UNASKED_MAX 102400

/* What is sent in one literal: a message, or a piece of one. */
struct append_source {
	imap_append_read *read;
	void *ctx;
	uint64_t left;
};

struct append_call {
	const char *word; /* APPEND or REPLACE */
	struct append_source *sources; /* one for each literal */
	size_t n_sources, cap, at;
	size_t n; /* messages */
	char **keys; /* what this command proves when it is OK: append_trust_key(), or NULL */
	struct append_trust *trust;
	/* From an untagged OK, which is where REPLACE has it. */
	bool coded, contradictory;
	uint32_t uid_validity;
	struct uidlist uids;
	imap_append_fn *done;
	void *ctx;
};

static void append_call_free(struct append_call *call)
{
	for (size_t i = 0; i < call->n; i++)
		free(call->keys[i]);
	free(call->keys);
	free(call->sources);
	uidlist_release(&call->uids);
	free(call);
}

/* --- what may be sent --- */

static int check_size(const char *word, uint64_t size, uint64_t limit, struct err *err)
{
	if (!size)
		return err_set(err, ERR_MESSAGE, "%s: an empty message cannot be added", word);
	if (limit && size > limit)
		return err_set(err, ERR_MESSAGE, "%s: the message has %" PRIu64
			       " bytes, the server takes %" PRIu64, word, size, limit);
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
static int check_flags(const struct imap_session *s, const char *word, struct bytes mailbox,
		       const struct flags *flags, struct err *err)
{
	for (size_t i = 0; flags && i < flags->count; i++) {
		struct bytes keyword = bytes_of(flags->keywords[i]);
		char *shown;

		if (keyword.p[0] != '\\' || is_offered(s, mailbox, keyword))
			continue;
		shown = escape_text(keyword, 100);
		err_set(err, ERR_MESSAGE, "%s: no flag that every server knows: %s", word,
			shown);
		free(shown);
		return -1;
	}
	return 0;
}

static uint64_t smaller_limit(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static int check_binary(const struct imap_session *s, const char *word, bool binary,
			struct err *err)
{
	char what[64];

	snprintf(what, sizeof(what), "%s of a message with NUL bytes", word);
	return binary ? command_needs(s, IMAP_CAP_BINARY, what, err) : 0;
}

static int check_parts(const struct imap_session *s, const char *word,
		       const struct imap_append_message *m, uint64_t limit, struct err *err)
{
	uint64_t size = 0;

	if (command_needs(s, IMAP_CAP_CATENATE, word, err) < 0)
		return -1;
	if (!m->n_parts)
		return err_set(err, ERR_MESSAGE, "%s: a message has to have parts", word);
	for (size_t i = 0; i < m->n_parts; i++) {
		const struct imap_append_part *part = &m->parts[i];

		if (part->url)
			continue;
		/* Sizes may come from outside: no sum of theirs wraps around. */
		if (check_size(word, part->size, limit, err) < 0 ||
		    check_binary(s, word, part->binary, err) < 0)
			return -1;
		if (__builtin_add_overflow(size, part->size, &size))
			size = UINT64_MAX;
	}
	return size ? check_size(word, size, limit, err) : 0;
}

static int check_message(const struct imap_session *s, const char *word, struct bytes mailbox,
			 const struct imap_append_message *m, uint64_t limit, struct err *err)
{
	if (check_flags(s, word, mailbox, m->flags, err) < 0)
		return -1;
	if (m->utf8 && !imap_session_enabled(s, IMAP_CAP_UTF8_ACCEPT))
		return err_set(err, ERR_CONFIG, "%s: UTF-8 in headers needs UTF8=ACCEPT enabled",
			       word);
	if (m->parts)
		return check_parts(s, word, m, limit, err);
	return check_size(word, m->size, limit, err) < 0 ||
	       check_binary(s, word, m->binary, err) < 0 ? -1 : 0;
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
	for (size_t i = 0; i < q->n; i++)
		if (check_message(s, "APPEND", q->mailbox, &q->messages[i], limit, err) < 0)
			return -1;
	return 0;
}

static int check_replace(const struct imap_session *s, const struct imap_replace_request *q,
			 struct err *err)
{
	uint64_t limit = smaller_limit(q->limit, imap_session_caps(s)->append_limit);

	if (command_needs_mailbox(s, "REPLACE", err) < 0 ||
	    command_needs(s, IMAP_CAP_REPLACE, "REPLACE", err) < 0)
		return -1;
	if (!q->number || q->numbering == IMAP_SAVED)
		return err_set(err, ERR_CONFIG, "REPLACE: one message has to be named");
	return check_message(s, "REPLACE", q->mailbox, q->message, limit, err);
}

/* --- sending --- */

static int stream_message(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	struct append_call *call = ctx;
	struct append_source *source = &call->sources[call->at];

	if (source->read(source->ctx, p, max, n, err) < 0)
		return -1;
	if (*n == 0 || *n > max)
		return err_set(err, ERR_MESSAGE, "%s: the message is shorter than announced",
			       call->word);
	source->left -= *n;
	if (!source->left)
		call->at++;
	return 0;
}

static void add_source(struct append_call *call, imap_append_read *read, void *ctx, uint64_t size)
{
	call->sources = xgrow(call->sources, call->n_sources, &call->cap, sizeof(*call->sources));
	call->sources[call->n_sources++] = (struct append_source){
		.read = read, .ctx = ctx, .left = size };
}

/* `word`: TEXT in front of a piece of CATENATE, NULL for a message. */
static void encode_literal(struct imap_encoder *e, const char *word, uint64_t size, bool binary,
			   bool utf8, bool sync)
{
	if (utf8) {
		imap_encode_word(e, "UTF8");
		imap_encode_open(e);
		imap_encode_stream(e, size, true, sync);
		imap_encode_close(e);
		return;
	}
	if (word)
		imap_encode_word(e, word);
	imap_encode_stream(e, size, binary, sync);
}

static int encode_url(const struct imap_session *s, struct imap_encoder *e,
		      const struct imap_url *url, struct err *err)
{
	struct buf text = BUF_INIT((size_t)1 << 20);
	int ret = imap_url_add(url, imap_session_utf8(s), &text, err);

	if (ret == 0) {
		imap_encode_word(e, "URL");
		imap_encode_string(e, buf_bytes(&text));
	}
	buf_release(&text);
	return ret;
}

/*
 * Its literals always wait: which URLs a server takes is known only afterwards, so no command like it
 * was ever accepted before.
 */
static int encode_parts(const struct imap_session *s, struct imap_encoder *e,
			struct append_call *call, const struct imap_append_message *m,
			struct err *err)
{
	imap_encode_word(e, "CATENATE");
	imap_encode_open(e);
	for (size_t i = 0; i < m->n_parts; i++) {
		const struct imap_append_part *part = &m->parts[i];

		if (!part->url) {
			encode_literal(e, "TEXT", part->size, part->binary, m->utf8, true);
			add_source(call, part->read, part->ctx, part->size);
		} else if (encode_url(s, e, part->url, err) < 0) {
			return -1;
		}
	}
	imap_encode_close(e);
	return 0;
}

/* Not `trusted`: the literal waits. */
static int encode_message(struct imap_session *s, struct imap_encoder *e, struct append_call *call,
			  const struct imap_append_message *m, bool trusted, uint64_t limit,
			  struct err *err)
{
	bool small = m->size <= (limit ? limit : UNASKED_MAX);

	if (m->flags && !flags_is_empty(m->flags))
		imap_encode_flags(e, m->flags);
	if (m->date && m->date->known)
		imap_encode_datetime(e, m->date);
	if (m->parts)
		return encode_parts(s, e, call, m, err);
	encode_literal(e, NULL, m->size, m->binary, m->utf8, !trusted || !small);
	add_source(call, m->read, m->ctx, m->size);
	return 0;
}

/* Only what is sent in the plainest form proves anything, and only for that form. */
static bool is_plain(const struct imap_append_message *m)
{
	return !m->parts && !m->binary && !m->utf8;
}

static struct append_call *append_call_new(struct imap_session *s, const char *word, size_t n,
					   imap_append_fn *done, void *ctx)
{
	struct append_call *call = xcalloc(1, sizeof(*call));

	call->word = word;
	call->n = n;
	call->keys = xcalloc(n, sizeof(*call->keys));
	call->trust = imap_session_append_trust(s);
	uidlist_init(&call->uids);
	call->done = done;
	call->ctx = ctx;
	return call;
}

/* --- the answer --- */

/* APPENDUID, one for each message and each once; anything else counts as not told. */
static bool is_sound(const struct append_call *call, const struct imap_status *st)
{
	return st->code == IMAP_CODE_APPENDUID && st->target && st->number > 0 &&
	       st->number <= UINT32_MAX && uidlist_count(st->target) == call->n &&
	       uidlist_is_distinct(st->target);
}

static void take_code(struct append_call *call, const struct imap_status *st)
{
	if (!is_sound(call, st) || call->coded) {
		call->contradictory = true;
		return;
	}
	call->coded = true;
	call->uid_validity = (uint32_t)st->number;
	for (size_t i = 0; i < uidlist_range_count(st->target); i++)
		uidlist_add(&call->uids, uidlist_range(st->target, i).lo,
			    uidlist_range(st->target, i).hi);
}

static void on_append_done(void *ctx, const struct imap_result *r)
{
	struct append_call *call = ctx;
	struct imap_append_answer answer = { .known = false };
	const struct imap_status *st = r->status;

	if (r->outcome == IMAP_DONE_OK) {
		for (size_t i = 0; i < call->n; i++)
			if (call->keys[i])
				append_trust_add(call->trust, call->keys[i]);
		if (st->code == IMAP_CODE_APPENDUID)
			take_code(call, st);
	}
	if (r->outcome == IMAP_DONE_NO && st && st->code == IMAP_CODE_BADURL)
		answer.bad_url = st->args;
	answer.known = call->coded && !call->contradictory;
	answer.uid_validity = answer.known ? call->uid_validity : 0;
	if (!answer.known)
		uidlist_clear(&call->uids);
	answer.uids = &call->uids;
	call->done(call->ctx, &answer, r);
	append_call_free(call);
}

/*
 * Whether this message may go without waiting: the server took its flags before, or will have asked for a
 * message with the same flags earlier in this command, by the time this one is sent.
 */
static bool is_trusted(struct append_call *call, struct append_trust *asked, const char *key)
{
	if (!key)
		return false;
	if (append_trust_has(call->trust, key) || append_trust_has(asked, key))
		return true;
	append_trust_add(asked, key);
	return false;
}

int imap_append(struct imap_session *s, const struct imap_append_request *request,
		imap_append_fn *done, void *ctx, struct err *err)
{
	uint64_t limit = smaller_limit(request->limit, imap_session_caps(s)->append_limit);
	struct append_trust asked = { 0 };
	struct append_call *call;
	struct imap_encoder e;
	char *what;
	int ret = 0;

	if (check_append(s, request, err) < 0)
		return -1;
	call = append_call_new(s, "APPEND", request->n, done, ctx);
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "APPEND");
	imap_encode_mailbox(&e, request->mailbox);
	for (size_t i = 0; ret == 0 && i < request->n; i++) {
		const struct imap_append_message *m = &request->messages[i];

		if (is_plain(m))
			call->keys[i] = append_trust_key(request->mailbox, m->flags);
		ret = encode_message(s, &e, call, m,
				     is_trusted(call, &asked, call->keys[i]) && !request->wait,
				     limit, err);
	}
	append_trust_release(&asked);
	if (ret < 0) {
		imap_encoder_release(&e);
		append_call_free(call);
		return -1;
	}
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

/* --- REPLACE --- */

/* The code stands in an untagged OK, before the EXPUNGE (RFC 8508, section 4.3). */
static bool replace_claims(void *ctx, const struct imap_response *r)
{
	(void)ctx;
	return r->u.status.condition == IMAP_OK && r->u.status.code == IMAP_CODE_APPENDUID;
}

static void on_replace_code(void *ctx, const struct imap_response *r)
{
	take_code(ctx, &r->u.status);
}

int imap_replace(struct imap_session *s, const struct imap_replace_request *request,
		 imap_append_fn *done, void *ctx, struct err *err)
{
	struct append_call *call;
	struct imap_encoder e;
	char *what;
	int ret;

	if (check_replace(s, request, err) < 0)
		return -1;
	call = append_call_new(s, "REPLACE", 1, done, ctx);
	imap_session_encoder(s, &e);
	if (request->numbering == IMAP_UIDS)
		imap_encode_word(&e, "UID");
	imap_encode_word(&e, "REPLACE");
	imap_encode_number(&e, request->number);
	imap_encode_mailbox(&e, request->mailbox);
	if (encode_message(s, &e, call, request->message, false, 0, err) < 0) {
		imap_encoder_release(&e);
		append_call_free(call);
		return -1;
	}
	what = command_describe("REPLACE", request->mailbox);
	ret = command_submit(s, &e, &(struct imap_request){
		.what = what,
		.flags = IMAP_REQUEST_IN_MAILBOX | IMAP_REQUEST_ALONE,
		.wants = IMAP_WANT(IMAP_RESPONSE_STATUS),
		.claims = replace_claims,
		.stream = stream_message,
		.handler = { .on_response = on_replace_code, .on_done = on_append_done,
			     .ctx = call } }, err);
	if (ret < 0)
		append_call_free(call);
	free(what);
	return ret;
}
