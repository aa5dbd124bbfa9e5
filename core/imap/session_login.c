#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/quirks.h"
#include "core/imap/sasl.h"
#include "core/imap/session_private.h"
#include "core/imap/throttle.h"
#include "core/imap/transport.h"

/*
 *   greeting --PREAUTH (tunnel)-----------------------------------------------> AUTHENTICATED
 *      |OK                                                                            ^
 *      v                                                                              |
 *   [CAPABILITY] -> [STARTTLS -> handshake -> CAPABILITY] -> [ID] login -> [CAPABILITY] -> [ID] -> [COMPRESS]
 *
 * Steps in brackets are left out where they are not needed. ID and login share a flight.
 */

void session_apply_quirks(struct imap_session *s, struct bytes greeting)
{
	const struct imap_quirk *q;
	struct err never;
	size_t at = 0;

	while ((q = imap_quirk_next(s->account->host, greeting, &at))) {
		imap_caps_disable(&s->caps, q->disable, &never);
		log_debug("%s: without %s: %s", s->account->host, q->disable, q->why);
	}
}

static void send_word(struct imap_session *s, const char *word, unsigned flags,
		      void (*on_done)(void *ctx, const struct imap_result *))
{
	struct imap_encoder e;
	struct err err;

	imap_session_encoder(s, &e);
	imap_encode_word(&e, word);
	if (imap_encoder_finish(&e, &err) < 0) {
		imap_encoder_release(&e);
		session_fail(s, &err);
		return;
	}
	session_submit_own(s, &(struct imap_request){
		.command = &e, .flags = flags, .handler = { .on_done = on_done, .ctx = s } });
}

static void on_capability(void *ctx, const struct imap_result *r)
{
	struct imap_session *s = ctx;

	if (r->outcome == IMAP_DONE_LOST)
		return;
	if (r->outcome != IMAP_DONE_OK)
		session_fail(s, r->err);
	else if (imap_caps_unknown(&s->caps))
		session_fail_text(s, ERR_FATAL, "the server does not say what it can do");
	else
		session_login_next(s);
}

/* Say who we are; some servers let nobody in who does not. The answer is of no interest here. */
static void send_id(struct imap_session *s)
{
	struct imap_encoder e;
	struct err err;

	if (s->id_sent || !imap_caps_has(&s->caps, IMAP_CAP_ID))
		return;
	s->id_sent = true;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "ID");
	imap_encode_open(&e);
	imap_encode_string(&e, bytes_of("name"));
	imap_encode_string(&e, bytes_of("mailcask"));
	imap_encode_string(&e, bytes_of("version"));
	imap_encode_string(&e, bytes_of(MAILCASK_VERSION));
	imap_encode_close(&e);
	if (imap_encoder_finish(&e, &err) < 0)
		imap_encoder_release(&e);
	else
		session_submit_own(s, &(struct imap_request){ .command = &e });
}

/* The capabilities after the login are known. */
static void introduce(struct imap_session *s)
{
	send_id(s);
	session_compress_login(s);
}

void session_authenticated(struct imap_session *s)
{
	s->state = IMAP_STATE_AUTHENTICATED;
	sasl_free(s->sasl);
	s->sasl = NULL;
	if (imap_caps_unknown(&s->caps))
		send_word(s, "CAPABILITY", 0, on_capability);
	else
		introduce(s);
}

/* --- TLS --- */

static void on_starttls(void *ctx, const struct imap_result *r)
{
	struct imap_session *s = ctx;

	if (r->outcome == IMAP_DONE_OK)
		/* the reader stops here and looks at what is buffered (S1) */
		s->starting_tls = true;
	else if (r->outcome != IMAP_DONE_LOST)
		session_fail_text(s, ERR_FATAL, "the server refuses STARTTLS");
}

void session_login_next(struct imap_session *s)
{
	if (imap_caps_unknown(&s->caps)) {
		send_word(s, "CAPABILITY", 0, on_capability);
	} else if (s->state != IMAP_STATE_NOT_AUTHENTICATED) {
		introduce(s);
	} else if (s->account->tls == IMAP_TLS_STARTTLS && !s->transport->is_private) {
		if (imap_caps_has(&s->caps, IMAP_CAP_STARTTLS))
			send_word(s, "STARTTLS", IMAP_REQUEST_ALONE, on_starttls);
		else
			session_fail_text(s, ERR_FATAL, "the server does not offer STARTTLS");
	} else {
		send_id(s);
		session_authenticate(s);
	}
}

void session_login_again(struct imap_session *s)
{
	session_mailbox_forget(s);
	s->enabled = 0;
	s->utf8 = false;
	imap_caps_clear(&s->caps);
	s->state = IMAP_STATE_NOT_AUTHENTICATED;
	session_login_next(s);
}

void session_greeting(struct imap_session *s, const struct imap_response *r)
{
	const struct imap_status *st = &r->u.status;
	struct err err;

	if (r->type != IMAP_RESPONSE_STATUS ||
	    (st->condition != IMAP_OK && st->condition != IMAP_PREAUTH &&
	     st->condition != IMAP_BYE)) {
		session_fail_text(s, ERR_FATAL, "not an IMAP server: no greeting");
		return;
	}
	if (st->condition == IMAP_BYE) {
		char *text = escape_text(st->text, 200);

		err_set(&err, ERR_RETRY, "%s turns us away: %s", s->account->host, text);
		err.retry_after_ms = imap_backoff_ms(st->text);
		free(text);
		session_fail(s, &err);
		return;
	}
	session_apply_quirks(s, st->text);
	if (st->code == IMAP_CODE_CAPABILITY)
		imap_caps_set(&s->caps, st->args, true);
	if (st->condition == IMAP_PREAUTH && s->account->tls != IMAP_TLS_NONE &&
	    !s->transport->is_private) {
		/*
		 * Authenticated already, STARTTLS is no longer possible: a way to keep us in the
		 * clear (S3).
		 */
		session_fail_text(s, ERR_FATAL, "the server skips the login and with it STARTTLS");
		return;
	}
	if (st->condition == IMAP_PREAUTH && !s->transport->may_preauth) {
		/* As whom? It was told nothing, so it may be the mail of anybody. */
		session_fail_text(s, ERR_FATAL,
				  "the server skips the login, which only a tunnel may do");
		return;
	}
	if (st->condition == IMAP_PREAUTH) {
		session_authenticated(s);
	} else {
		s->state = IMAP_STATE_NOT_AUTHENTICATED;
		session_login_next(s);
	}
}
