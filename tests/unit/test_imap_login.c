#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/imap/transport.h"
#include "tests/lib/imap_play.h"
#include "tests/lib/support.h"
#include "tests/lib/tls_peer.h"

#define SECRET "s3cr3t"

static int give_password(void *ctx, struct buf *out, struct err *err)
{
	(void)err;
	buf_add_str(out, ctx);
	return 0;
}

static struct imap_account account(char *password)
{
	return (struct imap_account){
		.name = "test",
		.host = "mail.example",
		.tls = IMAP_TLS_IMPLICIT,
		.user = "alice",
		.password = give_password,
		.password_ctx = password,
		.timeout_ms = 2000,
	};
}

static void keep_trace(void *ctx, char direction, const char *line)
{
	buf_addf(ctx, "%c: %s\n", direction, line);
}

/* Log in by the script; what imap_session_open() came to, and the trace. */
static int play(const struct imap_account *a, const char *script, bool is_private, bool is_local,
		struct buf *trace, struct err *err)
{
	struct imap_trace t = { .level = IMAP_TRACE_ALL, .fn = keep_trace, .ctx = trace };
	struct imap_play *p = play_new(script);
	struct loop *loop = loop_new(NULL, NULL);
	struct imap_session *s;
	int rc;

	transport_memory_claim(play_transport(p), is_private, is_local);
	s = imap_session_new_on(loop, a, &t, play_transport(p));
	rc = imap_session_open(s, err);
	imap_session_free(s);
	loop_free(loop);
	play_finish(p);
	return rc;
}

static void test_the_way_in_follows_what_the_server_offers(void **state)
{
	static const struct {
		enum imap_auth auth;
		const char *authzid;
		const char *script;
	} cases[] = {
		/* initial response, capabilities in the answers: one flight */
		{ IMAP_AUTH_AUTO, NULL,
		  "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\n"
		  "C: a AUTHENTICATE PLAIN AGFsaWNlAHMzY3IzdA==\n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
		{ IMAP_AUTH_AUTO, NULL, /* continuation; capabilities asked before and after */
		  "S: * OK hello\n"
		  "C: a CAPABILITY\n"
		  "S: * CAPABILITY IMAP4rev1 AUTH=PLAIN\n"
		  "S: a OK done\n"
		  "C: b AUTHENTICATE PLAIN\n"
		  "S: +\n"
		  "C= AGFsaWNlAHMzY3IzdA==\n"
		  "S: b OK in\n"
		  "C: c CAPABILITY\n"
		  "S: * CAPABILITY IMAP4rev1\n"
		  "S: c OK done\n" },
		{ IMAP_AUTH_AUTO, NULL, /* nothing but LOGIN */
		  "S: * OK [CAPABILITY IMAP4rev1] hello\n"
		  "C: a LOGIN alice s3cr3t\n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
		{ IMAP_AUTH_LOGIN, NULL,
		  "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\n"
		  "C: a LOGIN alice s3cr3t\n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
		{ IMAP_AUTH_AUTO, "bob", /* acting as somebody else */
		  "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\n"
		  "C: a AUTHENTICATE PLAIN Ym9iAGFsaWNlAHMzY3IzdA==\n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
		{ IMAP_AUTH_AUTO, NULL, /* ID goes first, without waiting */
		  "S: * OK [CAPABILITY IMAP4rev1 ID] hello\n"
		  "C: a ID (\"name\" \"mailcask\" ...\n"
		  "C: b LOGIN alice s3cr3t\n"
		  "S: * ID NIL\n"
		  "S: a OK id\n"
		  "S: b OK [CAPABILITY IMAP4rev1 ID] in\n" },
		{ IMAP_AUTH_AUTO, NULL, /* capabilities said too early do not count (S7) */
		  "S: * OK [CAPABILITY IMAP4rev1] hello\n"
		  "C: a LOGIN alice s3cr3t\n"
		  "S: * CAPABILITY IMAP4rev1 MOVE\n"
		  "S: a OK in\n"
		  "C: b CAPABILITY\n"
		  "S: * CAPABILITY IMAP4rev1\n"
		  "S: b OK done\n" },
		{ IMAP_AUTH_AUTO, NULL, /* CRAM-MD5 is too weak to be chosen */
		  "S: * OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hello\n"
		  "C: a LOGIN alice s3cr3t\n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
		{ IMAP_AUTH_CRAM_MD5, NULL,
		  "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=CRAM-MD5] hello\n"
		  "C: a AUTHENTICATE CRAM-MD5\n"
		  "S: + PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\n"
		  "C= YWxpY2UgMjI5NDJjOGM0OWZmMTZmY2M0MjA0NjI5MzM4MTA4MGI=\n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
		{ IMAP_AUTH_AUTO, NULL, /* LOGIN the mechanism where LOGIN the command is not */
		  "S: * OK [CAPABILITY IMAP4rev1 SASL-IR LOGINDISABLED AUTH=LOGIN] hello\n"
		  "C: a AUTHENTICATE LOGIN\n"
		  "S: + VXNlcm5hbWU6\n"
		  "C= YWxpY2U=\n"
		  "S: + UGFzc3dvcmQ6\n"
		  "C= czNjcjN0\n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
		{ IMAP_AUTH_PLAIN, NULL, /* nothing but what was asked for */
		  "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN] hello\n"
		  "C: a AUTHENTICATE PLAIN AGFsaWNlAHMzY3IzdA==\n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
		{ IMAP_AUTH_AUTO, NULL, /* a word where there should be none */
		  "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\n"
		  "C: a AUTHENTICATE PLAIN\n"
		  "S: + go ahead\n"
		  "C= AGFsaWNlAHMzY3IzdA==\n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char password[] = SECRET;
		struct imap_account a = account(password);
		struct buf trace = BUF_INIT(1 << 20);
		struct err err = { 0 };

		a.auth = cases[i].auth;
		a.authzid = cases[i].authzid;
		if (play(&a, cases[i].script, true, false, &trace, &err) < 0)
			fail_msg("case %zu: %s", i, err.text);
		assert_null(strstr(buf_str(&trace), SECRET));
		assert_null(strstr(buf_str(&trace), "AHMzY3IzdA"));
		buf_release(&trace);
	}
}

static void test_what_ends_a_login_says_what_can_be_done(void **state)
{
	static const struct {
		const char *script;
		enum err_kind kind;
		const char *text; /* part of the message */
	} cases[] = {
#define HELLO "S: * OK [CAPABILITY IMAP4rev1] hello\nC: a LOGIN alice s3cr3t\n"
		{ HELLO "S: a NO [AUTHENTICATIONFAILED] wrong\n", ERR_AUTH, "wrong" },
		{ HELLO "S: a NO no\n", ERR_AUTH, "NO no" },
		{ HELLO "S: a NO [UNAVAILABLE] later\n", ERR_RETRY, "later" },
		{ HELLO "S: a NO [INUSE] later\n", ERR_RETRY, "later" },
		{ HELLO "S: a NO [LIMIT] later\n", ERR_RETRY, "later" },
		{ HELLO "S: a NO [CONTACTADMIN] call\n", ERR_FATAL, "call" },
		{ HELLO "S: a BAD what\n", ERR_FATAL, "what" },
		{ HELLO "S: * BYE going down\nEND\n", ERR_RETRY, "going down" },
		{ HELLO "END\n", ERR_RETRY, "closed the connection" },
		{ "S: * BYE too many\nEND\n", ERR_RETRY, "too many" },
		{ "S: * NO hello\n", ERR_FATAL, "no greeting" },
		{ "S: * BAD hello\n", ERR_FATAL, "no greeting" },
		{ "S: HTTP/1.0 400 Bad Request\n", ERR_FATAL, "no greeting" },
		{ "S: * CAPABILITY IMAP4rev1\n", ERR_FATAL, "no greeting" },
		{ "S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello\n", ERR_FATAL, "LOGINDISABLED" },
		{ "S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=CRAM-MD5] hello\n", ERR_FATAL,
		  "LOGINDISABLED" },
		{ HELLO "S: <a+> OK in\n", ERR_FATAL, "not sent" },
		{ HELLO "S: +\n", ERR_RETRY, "go on" },
		{ "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\nC: a AUTHENTICATE PLAIN\n"
		  "S: a OK in\n", ERR_FATAL, "before it was complete" },
		{ "S: * BYE Request is throttled. Suggested Backoff Time: 299 milliseconds\nEND\n",
		  ERR_RETRY, "throttled" },
		{ HELLO "S: a NO Request is throttled. Suggested Backoff Time: 299 milliseconds\n",
		  ERR_RETRY, "throttled" },
		{ HELLO "S: * BYE throttled. Suggested Backoff Time: 299 milliseconds\nEND\n",
		  ERR_RETRY, "throttled" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char password[] = SECRET;
		struct imap_account a = account(password);
		struct buf trace = BUF_INIT(1 << 20);
		struct err err = { 0 };

		assert_int_equal(play(&a, cases[i].script, true, false, &trace, &err), -1);
		if (err.kind != cases[i].kind || !strstr(err.text, cases[i].text))
			fail_msg("case %zu: kind %d: %s", i, err.kind, err.text);
		assert_int_equal(err.retry_after_ms, strstr(err.text, "throttled") ? 299 : 0);
		assert_null(strstr(err.text, SECRET));
		buf_release(&trace);
	}
}

/* The token's mechanisms, and the certificate's. */
static void test_what_the_account_has_decides_which_way_is_taken(void **state)
{
#define TOKEN_64 "dXNlcj1hbGljZQFhdXRoPUJlYXJlciBzM2NyM3QBAQ=="
	static const struct {
		bool token, cert, authzid;
		enum imap_auth auth;
		const char *script;
		enum err_kind kind;
		const char *text;
	} cases[] = {
		{ .token = true, .script = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2] x\n"
		  "C: a AUTHENTICATE XOAUTH2 " TOKEN_64 "\n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
		{ .token = true, .script = "S: * OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 AUTH=OAUTHBEARER] x\n"
		  "C: a AUTHENTICATE OAUTHBEARER\n"
		  "S: +\n"
		  "C= bixhPWFsaWNlLAFob3N0PW1haWwuZXhhbXBsZQFwb3J0PTk5MwFhdXRoPUJlYXJlciBzM2NyM3QBAQ==\n"
		  "S: + eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\n"
		  "C= AQ==\n"
		  "S: a NO [AUTHENTICATIONFAILED] no\n", ERR_AUTH, "{\"status\":\"invalid_token\"}" },
		{ .token = true, .auth = IMAP_AUTH_XOAUTH2,
		  .script = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER] x\n"
		  "C: a AUTHENTICATE XOAUTH2 " TOKEN_64 "\n"
		  "S: + eyJzdGF0dXMiOiI0MDEifQ==\n"
		  "C= \n"
		  "S: a OK in\n", ERR_FATAL, "before it was complete" },
		{ .token = true, .script = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\n",
		  .kind = ERR_FATAL, .text = "no access tokens" },
		{ .auth = IMAP_AUTH_XOAUTH2, .script = "S: * OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] x\n",
		  .kind = ERR_CONFIG, .text = "cannot log in by XOAUTH2" },
		{ .cert = true, .script = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=EXTERNAL] x\n"
		  "C: a AUTHENTICATE EXTERNAL =\n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
		{ .auth = IMAP_AUTH_EXTERNAL, .script = "S: * OK [CAPABILITY IMAP4rev1 AUTH=EXTERNAL] x\n"
		  "C: a AUTHENTICATE EXTERNAL\n"
		  "S: +\n"
		  "C= \n"
		  "S: a OK [CAPABILITY IMAP4rev1] in\n" },
		/* what cannot carry an authzid would read somebody else's mail */
		{ .authzid = true, .script = "S: * OK [CAPABILITY IMAP4rev1 AUTH=LOGIN AUTH=CRAM-MD5] x\n",
		  .kind = ERR_FATAL, .text = "authzid needs" },
		{ .authzid = true, .auth = IMAP_AUTH_LOGIN,
		  .script = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\n",
		  .kind = ERR_CONFIG, .text = "cannot log in by LOGIN" },
		/* a forced mechanism is the only one */
		{ .auth = IMAP_AUTH_EXTERNAL, .script = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\n",
		  .kind = ERR_FATAL, .text = "does not offer AUTHENTICATE EXTERNAL" },
		{ .auth = IMAP_AUTH_SCRAM_SHA_256,
		  .script = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=SCRAM-SHA-1] x\n",
		  .kind = ERR_FATAL, .text = "does not offer AUTHENTICATE SCRAM-SHA-256" },
		{ .auth = IMAP_AUTH_SCRAM_SHA_256_PLUS, /* memory has nothing to bind to */
		  .script = "S: * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256-PLUS AUTH=PLAIN] x\n",
		  .kind = ERR_CONFIG, .text = "cannot log in by SCRAM-SHA-256-PLUS" },
		{ .auth = IMAP_AUTH_SCRAM_SHA_256, /* our reason, not the server's to our `*` */
		  .script = "S: * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256] x\n"
		  "C: a AUTHENTICATE SCRAM-SHA-256\n"
		  "S: +\n"
		  "C= biwsbj1hbGljZS...\n"
		  "S: + cj14\n"
		  "C= *\n"
		  "S: a OK in\n", .kind = ERR_FATAL, .text = "first message cannot be read" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char secret[] = SECRET;
		struct imap_account a = account(secret);
		struct buf trace = BUF_INIT(1 << 20);
		struct err err = { 0 };
		int rc;

		a.auth = cases[i].auth;
		a.authzid = cases[i].authzid ? "bob" : NULL;
		if (cases[i].token) {
			a.token = give_password;
			a.token_ctx = secret;
		}
		a.tls_client_cert = cases[i].cert ? "me.pem" : NULL;
		rc = play(&a, cases[i].script, true, false, &trace, &err);
		if (rc != (cases[i].text ? -1 : 0) || (rc < 0 && (err.kind != cases[i].kind ||
		    !strstr(err.text, cases[i].text))))
			fail_msg("case %zu: kind %d: %s", i, err.kind, err.text);
		assert_null(strstr(buf_str(&trace), "zM2NyM3"));
		assert_null(strstr(buf_str(&trace), "biwsbj1hbGljZS"));
		buf_release(&trace);
	}
}

/* A literal that waits for `+` may be refused, but not accepted, before it was sent. */
static void test_an_answer_ahead_of_the_command_is_not_believed(void **state)
{
	static const struct {
		const char *script;
		enum err_kind kind;
	} cases[] = {
		{ "S: a OK [CAPABILITY IMAP4rev1] in\n", ERR_FATAL },
		{ "S: a NO wrong\n", ERR_AUTH },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char password[] = "p\xc3\xa4ss";
		struct imap_account a = account(password);
		struct buf trace = BUF_INIT(1 << 20), script = BUF_INIT(1 << 20);
		struct err err = { 0 };

		buf_addf(&script, "S: * OK [CAPABILITY IMAP4rev1] hello\n"
			 "C: a LOGIN alice {5}\n%s", cases[i].script);
		assert_int_equal(play(&a, buf_str(&script), true, false, &trace, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
		buf_release(&script);
		buf_release(&trace);
	}
}

/* The password must not be on the wire in any of these: play_finish() would see it. */
static void test_nothing_secret_goes_out_in_clear_text(void **state)
{
	static const struct {
		enum imap_tls tls;
		bool is_local;
		const char *script;
		const char *text; /* of the error; NULL: allowed */
	} cases[] = {
#define HELLO_TLS "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hello\nC: a STARTTLS\n"
		{ IMAP_TLS_STARTTLS, true, "S: * OK [CAPABILITY IMAP4rev1] hello\n",
		  "does not offer STARTTLS" },
		{ IMAP_TLS_STARTTLS, true, HELLO_TLS "S: a NO not today\n", "refuses STARTTLS" },
		{ IMAP_TLS_STARTTLS, true, HELLO_TLS "S: a OK go\nS: * CAPABILITY IMAP4rev1 AUTH=PLAIN\n",
		  "clear text after STARTTLS" },
		{ IMAP_TLS_STARTTLS, true, "S: * PREAUTH [CAPABILITY IMAP4rev1] welcome\n",
		  "skips the login" },
		{ IMAP_TLS_IMPLICIT, false, "S: * OK [CAPABILITY IMAP4rev1] hello\n",
		  "password in clear text" },
		{ IMAP_TLS_NONE, false, HELLO "S: a OK [CAPABILITY IMAP4rev1] in\n", NULL },
		{ IMAP_TLS_NONE, false, "S: * PREAUTH [CAPABILITY IMAP4rev1] in\n",
		  "only a tunnel" },
		{ IMAP_TLS_IMPLICIT, true, "S: * PREAUTH [CAPABILITY IMAP4rev1] in\n", "skips the login" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char password[] = SECRET;
		struct imap_account a = account(password);
		struct buf trace = BUF_INIT(1 << 20);
		struct err err = { 0 };
		int rc;

		a.tls = cases[i].tls;
		rc = play(&a, cases[i].script, false, cases[i].is_local, &trace, &err);
		if (rc != (cases[i].text ? -1 : 0) ||
		    (rc < 0 && (err.kind != ERR_FATAL || !strstr(err.text, cases[i].text))))
			fail_msg("case %zu: %s", i, err.text);
		buf_release(&trace);
	}
}

/* Before TLS it offers much, under TLS little; what it was asked is kept. */
static void serve_starttls(void *ctx, struct tls_peer *p, struct bytes said)
{
	const uint8_t *blank = memchr(said.p, ' ', said.n);
	struct buf answer = BUF_INIT(4096);
	bool capability = memmem(said.p, said.n, " CAPABILITY", 11) != NULL;

	assert_non_null(blank);
	buf_add(ctx, bytes_skip(said, (size_t)(blank - said.p)));
	buf_addf(&answer, "%s%.*s OK done\r\n", capability ? "* CAPABILITY IMAP4rev1\r\n" : "",
		 (int)(blank - said.p), (const char *)said.p);
	tls_peer_say(p, buf_bytes(&answer));
	if (memmem(said.p, said.n, " STARTTLS", 9))
		tls_peer_clear(p, false);
	buf_release(&answer);
}

static void test_what_was_said_before_starttls_does_not_count(void **state)
{
	const struct tls_peer_cert cert = { .names = "DNS:mail.example" };
	struct buf asked = BUF_INIT(1 << 20);
	struct tls_peer *peer = tls_peer_new(&cert, tmp_dir(), serve_starttls, &asked);
	struct loop *loop = loop_new(NULL, NULL);
	char password[] = SECRET;
	struct imap_account a = account(password);
	struct imap_session *s;
	struct err err = { 0 };

	(void)state;
	a.tls = IMAP_TLS_STARTTLS;
	a.tls_ca_file = tls_peer_cert_file(peer);
	tls_peer_clear(peer, true);
	tls_peer_say(peer, bytes_of("* OK [CAPABILITY IMAP4rev1 STARTTLS SASL-IR AUTH=PLAIN ID] x\r\n"));
	s = imap_session_new_on(loop, &a, NULL, tls_peer_transport(peer));
	if (imap_session_open(s, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(buf_str(&asked), " STARTTLS\r\n CAPABILITY\r\n"
					     " LOGIN alice s3cr3t\r\n CAPABILITY\r\n");
	imap_session_free(s);
	loop_free(loop);
	tls_peer_free(peer);
	buf_release(&asked);
}

static void test_mail_data_before_the_login_changes_nothing(void **state)
{
	struct imap_play *p = play_new(HELLO "S: * ENABLED UTF8=ACCEPT\n"
				       "S: a OK [CAPABILITY IMAP4rev1] in\n");
	struct loop *loop = loop_new(NULL, NULL);
	char password[] = SECRET;
	struct imap_account a = account(password);
	struct imap_session *s;
	struct err err = { 0 };

	(void)state;
	transport_memory_claim(play_transport(p), true, false);
	s = imap_session_new_on(loop, &a, NULL, play_transport(p));
	assert_int_equal(imap_session_open(s, &err), 0);
	assert_false(imap_session_utf8(s));
	imap_session_free(s);
	loop_free(loop);
	play_finish(p);
}

static void count_warnings(void *ctx, enum log_level level, const char *text)
{
	if (level == LOG_WARN && strstr(text, "disk \\x1B full"))
		++*(int *)ctx;
}

static void test_an_alert_is_shown_once_escaped_and_only_when_it_can_be_believed(void **state)
{
	static const char script[] = "S: * OK [ALERT] disk \x1b full\n"
		"C: a CAPABILITY\n"
		"S: * OK [ALERT] disk \x1b full\n"
		"S: * CAPABILITY IMAP4rev1\n"
		"S: a OK done\n"
		"C: b LOGIN alice s3cr3t\n"
		"S: * OK [ALERT] disk \x1b full\n"
		"S: b OK [CAPABILITY IMAP4rev1] in\n";

	(void)state;
	for (int i = 0; i < 2; i++) {
		bool is_private = i;
		char password[] = SECRET;
		struct imap_account a = account(password);
		struct buf trace = BUF_INIT(1 << 20);
		struct err err = { 0 };
		int seen = 0;

		a.tls = IMAP_TLS_NONE;
		log_set(LOG_WARN, count_warnings, &seen);
		assert_int_equal(play(&a, script, is_private, false, &trace, &err), 0);
		log_set(LOG_ERROR, NULL, NULL);
		assert_int_equal(seen, is_private ? 1 : 0);
		buf_release(&trace);
	}
}

#define LONG_SECRET "correct horse battery staple of 1,000 long and weary nights"

/* Answers everything with OK and keeps nothing of what was said. */
static void forgetful_peer(void *ctx, struct transport *t, struct bytes written)
{
	const char *caps = ctx;
	const uint8_t *blank = memchr(written.p, ' ', written.n);
	struct buf answer = BUF_INIT(4096);

	assert_non_null(blank);
	buf_addf(&answer, "%.*s OK [CAPABILITY %s] in\r\n", (int)(blank - written.p),
		 (const char *)written.p, caps);
	transport_memory_feed(t, buf_bytes(&answer));
	buf_release(&answer);
}

/* How often `text` stands in the heap, freed memory included. */
static unsigned count_in_heap(const char *text)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	unsigned seen = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "[heap]") && sscanf(line, "%lx-%lx", &from, &to) == 2)
			for (const char *p = (const char *)from; p; seen += p != NULL)
				p = memmem(p + 1, to - (unsigned long)p - 1, text, strlen(text));
	fclose(maps);
	return seen;
}

static void test_nothing_secret_stays_in_memory(void **state)
{
	static char password[] = LONG_SECRET;
	/*
	 * A part of what was sent, since the allocator writes over the beginning of what is freed.
	 * What libgsasl keeps of the password is not ours to wipe, so PLAIN is looked for as sent.
	 */
	static const struct {
		const char *caps, *part;
	} cases[] = {
		{ "IMAP4rev1", "staple of 1,000 long and" },
		{ "IMAP4rev1 SASL-IR AUTH=PLAIN", "dGVyeSBzdGFwbGUgb2YgMSww" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct transport *t = transport_memory_new(forgetful_peer, (void *)(uintptr_t)cases[i].caps);
		struct imap_account a = account(password);
		struct loop *loop = loop_new(NULL, NULL);
		struct imap_session *s;
		struct err err = { 0 };
		char hello[100];

		snprintf(hello, sizeof(hello), "* OK [CAPABILITY %s] hello\r\n", cases[i].caps);
		transport_memory_claim(t, true, false);
		transport_memory_feed(t, bytes_of(hello));
		s = imap_session_new_on(loop, &a, NULL, t);
		if (imap_session_open(s, &err) < 0)
			fail_msg("case %zu: %s", i, err.text);
		if (count_in_heap(cases[i].part))
			fail_msg("case %zu: %s is in memory", i, cases[i].part);
		imap_session_free(s);
		loop_free(loop);
	}
}

static void count_all(void *ctx, enum log_level level, const char *text)
{
	(void)text;
	*(int *)ctx += level == LOG_WARN;
}

static void test_a_flood_of_alerts_is_cut_off(void **state)
{
	struct buf script = BUF_INIT(1 << 20), trace = BUF_INIT(1 << 20);
	char password[] = SECRET;
	struct imap_account a = account(password);
	struct err err = { 0 };
	int seen = 0;

	(void)state;
	buf_add_str(&script, HELLO);
	for (int i = 0; i < 100; i++)
		buf_addf(&script, "S: * OK [ALERT] number %d\n", i);
	buf_add_str(&script, "S: a OK [CAPABILITY IMAP4rev1] in\n");
	log_set(LOG_WARN, count_all, &seen);
	assert_int_equal(play(&a, buf_str(&script), true, false, &trace, &err), 0);
	log_set(LOG_ERROR, NULL, NULL);
	assert_in_range(seen, 1, 20);
	buf_release(&script);
	buf_release(&trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_way_in_follows_what_the_server_offers),
		cmocka_unit_test(test_what_the_account_has_decides_which_way_is_taken),
		cmocka_unit_test(test_what_ends_a_login_says_what_can_be_done),
		cmocka_unit_test(test_an_answer_ahead_of_the_command_is_not_believed),
		cmocka_unit_test(test_nothing_secret_goes_out_in_clear_text),
		cmocka_unit_test(
			test_an_alert_is_shown_once_escaped_and_only_when_it_can_be_believed),
		cmocka_unit_test(test_what_was_said_before_starttls_does_not_count),
		cmocka_unit_test(test_mail_data_before_the_login_changes_nothing),
		cmocka_unit_test(test_nothing_secret_stays_in_memory),
		cmocka_unit_test(test_a_flood_of_alerts_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
