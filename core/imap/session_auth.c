#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/sasl.h"
#include "core/imap/session_private.h"
#include "core/imap/transport.h"

enum proof { BY_PASSWORD, BY_TOKEN, BY_CERTIFICATE };

/* In order of preference. A mechanism that is asked for by name is the only one tried. */
static const struct way {
	enum imap_auth auth;
	const char *mechanism; /* as in AUTH=; NULL: the LOGIN command */
	enum proof proof;
	bool binds;         /* needs something to bind to */
	bool knows_authzid;
	bool only_forced;   /* too weak to be chosen by us */
	unsigned strength;  /* imap_login_strength() */
} ways[] = {
	{ IMAP_AUTH_EXTERNAL, "EXTERNAL", BY_CERTIFICATE, .knows_authzid = true },
	{ IMAP_AUTH_OAUTHBEARER, "OAUTHBEARER", BY_TOKEN, .knows_authzid = true },
	{ IMAP_AUTH_XOAUTH2, "XOAUTH2", BY_TOKEN, .knows_authzid = true },
	{ IMAP_AUTH_SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS", .binds = true,
	  .knows_authzid = true, .strength = 5 },
	{ IMAP_AUTH_SCRAM_SHA_1_PLUS, "SCRAM-SHA-1-PLUS", .binds = true, .knows_authzid = true,
	  .strength = 4 },
	{ IMAP_AUTH_SCRAM_SHA_256, "SCRAM-SHA-256", .knows_authzid = true, .strength = 3 },
	{ IMAP_AUTH_SCRAM_SHA_1, "SCRAM-SHA-1", .knows_authzid = true, .strength = 2 },
	{ IMAP_AUTH_PLAIN, "PLAIN", .knows_authzid = true, .strength = 1 },
	{ IMAP_AUTH_LOGIN, .mechanism = NULL, .strength = 1 },
	{ IMAP_AUTH_LOGIN, .mechanism = "LOGIN", .strength = 1 },
	{ IMAP_AUTH_CRAM_MD5, "CRAM-MD5", .only_forced = true },
};

static const char *name_of(const struct way *w)
{
	return w->mechanism ? w->mechanism : "LOGIN";
}

static const struct way *way_named(const char *mechanism)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(name_of(&ways[i]), mechanism) == 0)
			return &ways[i];
	return NULL;
}

unsigned imap_login_strength(const char *mechanism)
{
	const struct way *w = way_named(mechanism);

	return w ? w->strength : 0;
}

/* --- how it ends --- */

static enum err_kind failure_kind(const struct imap_status *st)
{
	if (session_is_passing(st))
		return ERR_RETRY;
	if (st->code == IMAP_CODE_CONTACTADMIN || st->code == IMAP_CODE_PRIVACYREQUIRED)
		return ERR_FATAL;
	return st->condition == IMAP_BAD ? ERR_FATAL : ERR_AUTH;
}

static void add_text(struct err *err, const char *before, const char *text)
{
	size_t n = strlen(err->text);

	snprintf(err->text + n, sizeof(err->text) - n, "%s%s", before, text);
}

static bool is_bound(const struct imap_session *s)
{
	return s->mechanism && strstr(s->mechanism, "-PLUS");
}

/*
 * The server says NO, and not why: a wrong password, a way to bind that it does not know, and
 * somebody in between look the same. So a person decides whether to do without.
 */
static void explain_binding(const struct imap_session *s, struct err *err)
{
	struct transport_binding binding;

	if (!transport_binding(s->transport, &binding))
		return;
	add_text(err, "; the login was tied to the TLS connection by ", binding.type);
	add_text(err, ", which the server may not know", "");
	if (imap_caps_has_auth(&s->caps, "SCRAM-SHA-256"))
		add_text(err, ": if the password is right, 'auth = scram-sha-256' ",
			 "logs in without");
	else if (imap_caps_has_auth(&s->caps, "SCRAM-SHA-1"))
		add_text(err, ": if the password is right, 'auth = scram-sha-1' ",
			 "logs in without");
}

static void login_failed(struct imap_session *s, struct err *err)
{
	if (err->kind == ERR_AUTH && is_bound(s))
		explain_binding(s, err);
	session_fail(s, err);
}

static void refused(struct imap_session *s, const struct imap_result *r)
{
	struct err err = *r->err;

	err.kind = failure_kind(r->status);
	if (s->sasl && sasl_remark(s->sasl))
		add_text(&err, "; about the token: ", sasl_remark(s->sasl));
	login_failed(s, &err);
}

static void on_login(void *ctx, const struct imap_result *r)
{
	struct imap_session *s = ctx;

	if (r->outcome == IMAP_DONE_LOST)
		return;
	buf_release_secret(&s->out); /* the password went through it */
	if (s->sasl_error.kind) {
		login_failed(s, &s->sasl_error);
		return;
	}
	if (r->outcome != IMAP_DONE_OK) {
		refused(s, r);
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
	if (s->account->remember)
		s->account->remember(s->account->memory_ctx, s->mechanism ? s->mechanism : "LOGIN");
	session_authenticated(s);
}

/* --- the exchange --- */

static int on_challenge(void *ctx, struct bytes text, struct buf *answer, struct err *err)
{
	struct imap_session *s = ctx;

	if (sasl_step(s->sasl, text, answer, err) == 0)
		return 0;
	s->sasl_error = *err; /* says more than the server's answer to our giving up */
	err_prefix(&s->sasl_error, "%s", s->account->host);
	return -1;
}

static int encode_authenticate(struct imap_session *s, struct imap_encoder *e, struct err *err)
{
	struct buf first;
	int ret = 0;

	imap_encode_word(e, "AUTHENTICATE");
	imap_encode_word(e, s->mechanism);
	if (!sasl_speaks_first(s->sasl) || !imap_caps_has(&s->caps, IMAP_CAP_SASL_IR))
		return 0;
	buf_init(&first, (size_t)1 << 17);
	ret = sasl_step(s->sasl, bytes_from(NULL, 0), &first, err);
	if (ret == 0)
		imap_encode_secret_base64(e, first.n ? buf_bytes(&first) : bytes_of("="));
	buf_release_secret(&first);
	return ret;
}

static bool binding_is_offered(const struct imap_session *s)
{
	return imap_caps_lists(&s->caps, "AUTH=SCRAM-SHA-256-PLUS") ||
	       imap_caps_lists(&s->caps, "AUTH=SCRAM-SHA-1-PLUS");
}

static void remark_binding(struct imap_session *s, const struct transport_binding *binding)
{
	struct buf text = BUF_INIT(256);

	buf_addf(&text, "the login is tied to the TLS connection by %s", binding->type);
	imap_trace_line(&s->trace, '*', buf_bytes(&text));
	buf_release(&text);
}

static int begin_exchange(struct imap_session *s, struct bytes secret, struct err *err)
{
	const struct imap_account *a = s->account;
	struct transport_binding binding;
	const struct sasl_login login = {
		.user = a->user,
		.authzid = a->authzid,
		.secret = secret,
		.host = a->host,
		.port = a->port ? a->port : a->tls == IMAP_TLS_IMPLICIT ? "993" : "143",
		.binding = transport_binding(s->transport, &binding) ? &binding : NULL,
		.binding_offered = binding_is_offered(s),
	};

	if (is_bound(s) && login.binding)
		remark_binding(s, login.binding);
	s->sasl = sasl_new(s->mechanism, &login, err);
	return s->sasl ? 0 : -1;
}

static void send_login(struct imap_session *s, struct bytes secret)
{
	struct imap_request request = {
		.what = "login", .handler = { .on_done = on_login, .ctx = s } };
	struct imap_encoder e;
	struct err err;

	imap_session_encoder(s, &e);
	request.command = &e;
	if (s->mechanism) {
		request.on_continue = on_challenge;
		if (begin_exchange(s, secret, &err) < 0 || encode_authenticate(s, &e, &err) < 0)
			goto failed;
	} else {
		imap_encode_word(&e, "LOGIN");
		imap_encode_secret(&e, bytes_of(s->account->user));
		imap_encode_secret(&e, secret);
	}
	if (imap_encoder_finish(&e, &err) < 0)
		goto failed;
	session_submit_own(s, &request);
	return;
failed:
	imap_encoder_release(&e);
	session_fail(s, &err);
}

/* --- which way --- */

/* The server lets in by this way, as far as it says. */
static bool is_offered(const struct imap_session *s, const struct way *w)
{
	if (w->mechanism)
		return imap_caps_has_auth(&s->caps, w->mechanism);
	return !imap_caps_has(&s->caps, IMAP_CAP_LOGINDISABLED);
}

/* The account has what this way needs. */
static bool is_possible(const struct imap_session *s, const struct way *w)
{
	const struct imap_account *a = s->account;
	struct transport_binding binding;

	if (a->authzid && !w->knows_authzid)
		return false;
	if (w->binds && !transport_binding(s->transport, &binding))
		return false;
	switch (w->proof) {
	case BY_CERTIFICATE:
		return a->tls_client_cert || a->auth == IMAP_AUTH_EXTERNAL;
	case BY_TOKEN:
		return a->token;
	default:
		return !a->token;
	}
}

static const struct way *find_way(const struct imap_session *s)
{
	enum imap_auth auth = s->account->auth;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if ((auth == IMAP_AUTH_AUTO ? !ways[i].only_forced : ways[i].auth == auth) &&
		    is_possible(s, &ways[i]) && is_offered(s, &ways[i]))
			return &ways[i];
	return NULL;
}

static void no_way(struct imap_session *s)
{
	const struct imap_account *a = s->account;
	const struct way *w = ways;
	struct err err;

	while (a->auth != IMAP_AUTH_AUTO && w->auth != a->auth)
		w++;
	if (a->auth != IMAP_AUTH_AUTO && w->mechanism && !is_offered(s, w))
		err_set(&err, ERR_FATAL, "%s: the server does not offer AUTHENTICATE %s", a->host,
			w->mechanism);
	else if (a->auth != IMAP_AUTH_AUTO && !is_possible(s, w))
		err_set(&err, ERR_CONFIG, "%s: this account cannot log in by %s", a->host,
			name_of(w));
	else if (a->token)
		err_set(&err, ERR_FATAL, "%s: the server takes no access tokens: it offers neither "
			"OAUTHBEARER nor XOAUTH2", a->host);
	else if (imap_caps_has(&s->caps, IMAP_CAP_LOGINDISABLED))
		err_set(&err, ERR_FATAL, "%s: the server takes no login on this connection "
			"(LOGINDISABLED); TLS may be needed", a->host);
	else
		err_set(&err, ERR_FATAL, "%s: authzid needs AUTHENTICATE PLAIN or SCRAM, which "
			"the server does not offer", a->host);
	session_fail(s, &err);
}

/* --- is it as good as before --- */

/*
 * Whether the account's settings rule it out, so that another login is meant than the one before.
 * What the peer says or the connection turns out to be does not count: that is what somebody in
 * between can choose. (Quirks may go by the greeting, so none masks AUTH=.)
 */
static bool is_ruled_out(const struct imap_session *s, const struct way *w)
{
	return (w->binds && s->account->tls == IMAP_TLS_NONE) ||
	       (w->mechanism && imap_caps_masks_auth(&s->caps, w->mechanism));
}

/* What the login has to be as strong as; NULL: nothing. */
static const struct way *least_way(const struct imap_session *s, const char *mechanism)
{
	const struct way *w = way_named(mechanism);
	enum imap_auth unbound;

	assert(w && w->strength);
	if (!is_ruled_out(s, w))
		return w;
	if (!w->binds)
		return NULL;
	/* Not to be bound any more, but no weaker otherwise. */
	unbound = w->auth == IMAP_AUTH_SCRAM_SHA_256_PLUS ? IMAP_AUTH_SCRAM_SHA_256 :
							     IMAP_AUTH_SCRAM_SHA_1;
	for (w = ways; w->auth != unbound;)
		w++;
	return is_ruled_out(s, w) ? NULL : w;
}

static int refuse_weaker(const struct imap_session *s, const struct way *w,
			 const struct way *least, const struct imap_login_memory *memory,
			 struct err *err)
{
	char *key = xstrdup(name_of(w)); /* as in the configuration */

	for (char *p = key; *p; p++)
		*p = (char)ascii_lower((uint8_t)*p);
	err_set(err, ERR_AUTH,
		"%s offered %s before and now %snothing better than %s: somebody may be between you "
		"and the server, so no password was sent. If the change is intended, set "
		"'auth = %s' or %s",
		s->account->host, memory->mechanism,
		is_offered(s, least) ? "the connection allows " : "", name_of(w), key,
		memory->remedy);
	free(key);
	return -1;
}

/* Nothing secret was asked for or sent yet. */
static int compare_with_earlier(const struct imap_session *s, const struct way *w, struct err *err)
{
	const struct imap_account *a = s->account;
	struct imap_login_memory memory = { NULL, NULL };
	const struct way *least;

	if (a->auth != IMAP_AUTH_AUTO || w->proof != BY_PASSWORD || !a->recall)
		return 0;
	if (a->recall(a->memory_ctx, &memory, err) < 0)
		return -1;
	least = memory.mechanism ? least_way(s, memory.mechanism) : NULL;
	if (!least || w->strength >= least->strength)
		return 0;
	return refuse_weaker(s, w, least, &memory, err);
}

/* --- the login --- */

/* What the way asks for, in `secret`. */
static int get_secret(const struct imap_account *a, const struct way *w, struct buf *secret,
		      struct err *err)
{
	if (w->proof == BY_CERTIFICATE)
		return 0;
	if (w->proof == BY_TOKEN)
		return a->token(a->token_ctx, secret, err);
	if (!a->password)
		return err_set(err, ERR_CONFIG, "%s: no password is given", a->host);
	return a->password(a->password_ctx, secret, err);
}

void session_authenticate(struct imap_session *s)
{
	const struct imap_account *a = s->account;
	const struct way *w;
	struct buf secret;
	struct err err;

	if (a->tls != IMAP_TLS_NONE && !session_is_private(s)) {
		session_fail_text(s, ERR_FATAL, "refusing to send a password in clear text");
		return;
	}
	w = find_way(s);
	if (!w) {
		no_way(s);
		return;
	}
	if (compare_with_earlier(s, w, &err) < 0) {
		session_fail(s, &err);
		return;
	}
	s->mechanism = w->mechanism;
	buf_init(&secret, 65536);
	if (get_secret(a, w, &secret, &err) < 0)
		session_fail(s, &err);
	else
		send_login(s, buf_bytes(&secret));
	buf_release_secret(&secret);
}
