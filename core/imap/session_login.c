#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/sasl.h"
#include "core/imap/session_private.h"
#include "core/imap/transport.h"

/*
 *   greeting --PREAUTH--------------------------------------------------------> AUTHENTICATED
 *      |OK                                                                            ^
 *      v                                                                              |
 *   [CAPABILITY] -> [STARTTLS -> handshake -> CAPABILITY] -> [ID] login -> [CAPABILITY] -> [ID] -> [COMPRESS]
 *
 * Steps in brackets are left out where they are not needed. ID and login share a flight.
 */

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

static void authenticated(struct imap_session *s)
{
	s->state = IMAP_STATE_AUTHENTICATED;
	sasl_free(s->sasl);
	s->sasl = NULL;
	if (imap_caps_unknown(&s->caps))
		send_word(s, "CAPABILITY", 0, on_capability);
	else
		introduce(s);
}

/* --- login --- */

static enum err_kind login_failure(const struct imap_status *st)
{
	if (session_is_passing(st->code))
		return ERR_RETRY;
	if (st->code == IMAP_CODE_CONTACTADMIN || st->code == IMAP_CODE_PRIVACYREQUIRED)
		return ERR_FATAL;
	return st->condition == IMAP_BAD ? ERR_FATAL : ERR_AUTH;
}

static void on_login(void *ctx, const struct imap_result *r)
{
	struct imap_session *s = ctx;
	struct err err;

	if (r->outcome == IMAP_DONE_LOST)
		return;
	buf_release_secret(&s->out); /* the password went through it */
	if (r->outcome != IMAP_DONE_OK) {
		err = *r->err;
		err.kind = login_failure(r->status);
		session_fail(s, &err);
		return;
	}
	if (s->sasl && !sasl_is_done(s->sasl)) {
		session_fail_text(s, ERR_FATAL,
				  "the server ended the authentication before it was complete");
		return;
	}
	imap_caps_clear(&s->caps); /* what it offered to strangers no longer counts (S7) */
	if (r->status->code == IMAP_CODE_CAPABILITY)
		imap_caps_set(&s->caps, r->status->args, true);
	authenticated(s);
}

static int on_challenge(void *ctx, struct bytes text, struct buf *answer, struct err *err)
{
	struct imap_session *s = ctx;

	return sasl_step(s->sasl, text, answer, err);
}

static int encode_authenticate(struct imap_session *s, struct imap_encoder *e, struct err *err)
{
	struct buf first;
	int ret = 0;

	imap_encode_word(e, "AUTHENTICATE");
	imap_encode_word(e, "PLAIN");
	if (!imap_caps_has(&s->caps, IMAP_CAP_SASL_IR))
		return 0;
	buf_init(&first, (size_t)1 << 16);
	ret = sasl_step(s->sasl, bytes_from(NULL, 0), &first, err);
	if (ret == 0)
		imap_encode_secret_base64(e, first.n ? buf_bytes(&first) : bytes_of("="));
	buf_release_secret(&first);
	return ret;
}

static void send_login(struct imap_session *s, bool plain, struct bytes password)
{
	const struct imap_account *a = s->account;
	struct imap_request request = {
		.what = "login", .handler = { .on_done = on_login, .ctx = s } };
	struct imap_encoder e;
	struct err err;

	imap_session_encoder(s, &e);
	request.command = &e;
	if (plain) {
		const struct sasl_login login = { .user = a->user, .authzid = a->authzid,
						  .password = password };

		request.on_continue = on_challenge;
		s->sasl = sasl_new("PLAIN", &login, &err);
		if (!s->sasl || encode_authenticate(s, &e, &err) < 0)
			goto failed;
	} else {
		imap_encode_word(&e, "LOGIN");
		imap_encode_secret(&e, bytes_of(a->user));
		imap_encode_secret(&e, password);
	}
	if (imap_encoder_finish(&e, &err) < 0)
		goto failed;
	session_submit_own(s, &request);
	return;
failed:
	imap_encoder_release(&e);
	session_fail(s, &err);
}

/* Returns why no password may be sent in the way `plain` says, or NULL. */
static const char *login_obstacle(const struct imap_session *s, bool plain)
{
	const struct imap_account *a = s->account;

	if (a->tls != IMAP_TLS_NONE && !session_is_private(s))
		return "refusing to send a password in clear text";
	if (plain)
		return imap_caps_has_auth(&s->caps, "PLAIN") ?
			       NULL : "the server does not offer AUTHENTICATE PLAIN";
	if (imap_caps_has(&s->caps, IMAP_CAP_LOGINDISABLED))
		return "the server takes no login on this connection (LOGINDISABLED); "
		       "TLS may be needed";
	if (a->authzid)
		return "authzid needs AUTHENTICATE PLAIN, which the server does not offer";
	return NULL;
}

static void login(struct imap_session *s)
{
	const struct imap_account *a = s->account;
	bool plain = a->auth == IMAP_AUTH_PLAIN ||
		     (a->auth == IMAP_AUTH_AUTO && imap_caps_has_auth(&s->caps, "PLAIN"));
	const char *obstacle = login_obstacle(s, plain);
	struct buf password;
	struct err err;

	if (obstacle) {
		session_fail_text(s, ERR_FATAL, obstacle);
		return;
	}
	if (!a->password) {
		session_fail_text(s, ERR_CONFIG, "no password is given");
		return;
	}
	buf_init(&password, 65536);
	if (a->password(a->password_ctx, &password, &err) < 0)
		session_fail(s, &err);
	else
		send_login(s, plain, buf_bytes(&password));
	buf_release_secret(&password);
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
		login(s);
	}
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
		free(text);
		session_fail(s, &err);
		return;
	}
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
	if (st->condition == IMAP_PREAUTH) {
		authenticated(s);
	} else {
		s->state = IMAP_STATE_NOT_AUTHENTICATED;
		session_login_next(s);
	}
}
