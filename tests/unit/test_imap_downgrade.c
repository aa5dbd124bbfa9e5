/* A server that offers less than it did at an earlier login (S16). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/imap/transport.h"
#include "tests/lib/imap_play.h"

struct fixture {
	const char *remembered;
	const char *broken; /* why nothing can be recalled; NULL: it can */
	unsigned asked;     /* for a password or token */
	struct buf learned;
	struct imap_account account;
};

static int give_secret(void *ctx, struct buf *out, struct err *err)
{
	(void)err;
	((struct fixture *)ctx)->asked++;
	buf_add_str(out, "s3cr3t");
	return 0;
}

static int recall(void *ctx, struct imap_login_memory *out, struct err *err)
{
	const struct fixture *f = ctx;

	if (f->broken)
		return err_set(err, ERR_FATAL, "%s", f->broken);
	*out = (struct imap_login_memory){ .mechanism = f->remembered,
					   .remedy = "remove the file" };
	return 0;
}

static void remember(void *ctx, const char *mechanism)
{
	buf_addf(&((struct fixture *)ctx)->learned, "%s ", mechanism);
}

static void fixture_init(struct fixture *f, const char *remembered)
{
	*f = (struct fixture){ .remembered = remembered, .learned = BUF_INIT(4096) };
	f->account = (struct imap_account){
		.name = "test", .host = "mail.example", .user = "alice",
		.password = give_secret, .password_ctx = f,
		.recall = recall, .remember = remember, .memory_ctx = f,
		.timeout_ms = 2000,
	};
}

/* Nothing but what the script has may be said: play_finish() would see it. */
static int play(struct fixture *f, const char *caps, const char *script, struct err *err)
{
	char *text = xasprintf("S: * OK [CAPABILITY IMAP4rev1 SASL-IR %s] hello\n%s", caps, script);
	struct imap_play *p = play_new(text);
	struct loop *loop = loop_new(NULL, NULL);
	struct imap_session *s;
	int rc;

	*err = (struct err){ 0 };
	transport_memory_claim(play_transport(p), true, false);
	s = imap_session_new_on(loop, &f->account, NULL, play_transport(p));
	rc = imap_session_open(s, err);
	imap_session_free(s);
	loop_free(loop);
	play_finish(p);
	free(text);
	return rc;
}

#define EACH "AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-1-PLUS AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 " \
	     "AUTH=PLAIN AUTH=LOGIN"

static void test_less_than_before_gets_no_password_and_says_what_to_do(void **state)
{
	static const struct {
		const char *remembered, *caps, *now, *key;
		bool tls_none;
	} cases[] = {
		{ "SCRAM-SHA-256-PLUS", "AUTH=PLAIN", "PLAIN", .key = "plain" },
		{ "SCRAM-SHA-256-PLUS", "AUTH=SCRAM-SHA-256 AUTH=PLAIN", "SCRAM-SHA-256",
		  .key = "scram-sha-256" },
		{ "SCRAM-SHA-256-PLUS", "AUTH=CRAM-MD5", "LOGIN", .key = "login" },
		{ "SCRAM-SHA-1-PLUS", "AUTH=SCRAM-SHA-256", "SCRAM-SHA-256", .key = "scram-sha-256" },
		{ "SCRAM-SHA-256", "AUTH=SCRAM-SHA-1 AUTH=PLAIN", "SCRAM-SHA-1", .key = "scram-sha-1" },
		{ "SCRAM-SHA-256", "AUTH=XOAUTH2 AUTH=EXTERNAL LOGINDISABLED AUTH=LOGIN", "LOGIN",
		  .key = "login" },
		{ "SCRAM-SHA-1", "AUTH=PLAIN", "PLAIN", .key = "plain" },
		{ "SCRAM-SHA-1", "", "LOGIN", .key = "login" },
		/* the settings leave nothing to bind to, and take back nothing else */
		{ "SCRAM-SHA-256-PLUS", "AUTH=SCRAM-SHA-1 AUTH=PLAIN", "SCRAM-SHA-1",
		  .key = "scram-sha-1", .tls_none = true },
		{ "SCRAM-SHA-1-PLUS", "AUTH=PLAIN", "PLAIN", .key = "plain", .tls_none = true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *want = xasprintf("mail.example offered %s before and now nothing better than %s: "
				       "somebody may be between you and the server, so no password was "
				       "sent. If the change is intended, set 'auth = %s' or remove the "
				       "file",
				       cases[i].remembered, cases[i].now, cases[i].key);
		struct fixture f;
		struct err err;

		fixture_init(&f, cases[i].remembered);
		f.account.tls = cases[i].tls_none ? IMAP_TLS_NONE : IMAP_TLS_IMPLICIT;
		assert_int_equal(play(&f, cases[i].caps, "", &err), -1);
		assert_string_equal(err.text, want);
		assert_int_equal(err.kind, ERR_AUTH);
		assert_int_equal(f.asked, 0);
		assert_string_equal(buf_str(&f.learned), "");
		free(want);
	}
}

/* TLS whose other end leaves nothing to bind to is as good as an offer taken away. */
static void test_a_connection_that_cannot_bind_where_one_could_is_refused(void **state)
{
	struct fixture f;
	struct err err;

	(void)state;
	fixture_init(&f, "SCRAM-SHA-256-PLUS");
	assert_int_equal(play(&f, EACH, "", &err), -1);
	assert_int_equal(err.kind, ERR_AUTH);
	assert_non_null(strstr(err.text, "the connection allows nothing better than SCRAM-SHA-256:"));
	assert_int_equal(f.asked, 0);
}

static void test_other_settings_are_no_downgrade(void **state)
{
#define IN "S: a OK [CAPABILITY IMAP4rev1] in\n"
#define PLAIN_IN "C: a AUTHENTICATE PLAIN AGFsaWNlAHMzY3IzdA==\n" IN
#define LOGIN_IN "C: a LOGIN alice s3cr3t\n" IN
	static const struct {
		const char *remembered, *caps, *script, *learned;
		enum imap_auth auth;
		enum imap_tls tls;
		const char *authzid, *disable;
		bool token, cert;
	} cases[] = {
		{ NULL, "AUTH=PLAIN", PLAIN_IN, .learned = "PLAIN " },
		/* what hands the password over is all the same */
		{ "PLAIN", "", LOGIN_IN, .learned = "LOGIN " },
		{ "LOGIN", "AUTH=PLAIN", PLAIN_IN, .learned = "PLAIN " },
		{ "PLAIN", "LOGINDISABLED AUTH=LOGIN",
		  "C: a AUTHENTICATE LOGIN\nS: + VXNlcm5hbWU6\nC= YWxpY2U=\nS: + UGFzc3dvcmQ6\n"
		  "C= czNjcjN0\n" IN, .learned = "LOGIN " },
		/* the person decided */
		{ "SCRAM-SHA-256-PLUS", "AUTH=PLAIN", PLAIN_IN, "PLAIN ", .auth = IMAP_AUTH_PLAIN },
		{ "SCRAM-SHA-256", "", LOGIN_IN, "LOGIN ", .auth = IMAP_AUTH_LOGIN },
		{ "SCRAM-SHA-256", "AUTH=SCRAM-SHA-256 AUTH=PLAIN", PLAIN_IN, "PLAIN ",
		  .disable = "AUTH=SCRAM-SHA-256" },
		{ "SCRAM-SHA-256", "AUTH=PLAIN", PLAIN_IN, "PLAIN ",
		  .disable = "AUTH=SCRAM-SHA-256" },
		{ "SCRAM-SHA-256-PLUS", "AUTH=PLAIN", PLAIN_IN, "PLAIN ",
		  .disable = "AUTH=SCRAM-SHA-256-PLUS, AUTH=SCRAM-SHA-256" },
		/* another kind of secret */
		{ "SCRAM-SHA-256-PLUS", "AUTH=PLAIN AUTH=XOAUTH2",
		  "C: a AUTHENTICATE XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciBzM2NyM3QBAQ==\n" IN,
		  "XOAUTH2 ", .token = true },
		{ "SCRAM-SHA-256-PLUS", "AUTH=EXTERNAL AUTH=PLAIN", "C: a AUTHENTICATE EXTERNAL =\n" IN,
		  "EXTERNAL ", .cert = true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;
		struct err err;

		fixture_init(&f, cases[i].remembered);
		f.account.auth = cases[i].auth;
		f.account.tls = cases[i].tls;
		f.account.disable_extensions = cases[i].disable;
		f.account.tls_client_cert = cases[i].cert ? "me.pem" : NULL;
		f.account.token = cases[i].token ? give_secret : NULL;
		f.account.token_ctx = &f;
		if (play(&f, cases[i].caps, cases[i].script, &err) < 0)
			fail_msg("case %zu: %s", i, err.text);
		assert_string_equal(buf_str(&f.learned), cases[i].learned);
		buf_release(&f.learned);
	}
}

/* These cannot be played to the end, since the client's nonce is not known beforehand. */
static void test_as_good_as_before_or_better_is_taken(void **state)
{
	static const struct {
		const char *remembered, *caps, *mechanism;
		enum imap_tls tls;
		const char *disable;
	} cases[] = {
		{ NULL, EACH, .mechanism = "SCRAM-SHA-256" },
		{ "PLAIN", EACH, .mechanism = "SCRAM-SHA-256" },
		{ "SCRAM-SHA-256", EACH, .mechanism = "SCRAM-SHA-256" },
		{ "SCRAM-SHA-1", EACH, .mechanism = "SCRAM-SHA-256" },
		{ "SCRAM-SHA-1", "AUTH=SCRAM-SHA-1", .mechanism = "SCRAM-SHA-1" },
		{ "SCRAM-SHA-256-PLUS", EACH, "SCRAM-SHA-256", .tls = IMAP_TLS_NONE },
		{ "SCRAM-SHA-256-PLUS", "AUTH=SCRAM-SHA-256", "SCRAM-SHA-256", .tls = IMAP_TLS_NONE },
		{ "SCRAM-SHA-1-PLUS", "AUTH=SCRAM-SHA-1", "SCRAM-SHA-1", .tls = IMAP_TLS_NONE },
		{ "SCRAM-SHA-256-PLUS", EACH, "SCRAM-SHA-256",
		  .disable = "AUTH=SCRAM-SHA-256-PLUS" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *script = xasprintf("C: a AUTHENTICATE %s ...\nS: a NO wrong\n",
					 cases[i].mechanism);
		struct fixture f;
		struct err err;

		fixture_init(&f, cases[i].remembered);
		f.account.tls = cases[i].tls;
		f.account.disable_extensions = cases[i].disable;
		assert_int_equal(play(&f, cases[i].caps, script, &err), -1);
		if (!strstr(err.text, "NO wrong"))
			fail_msg("case %zu: %s", i, err.text);
		assert_string_equal(buf_str(&f.learned), ""); /* it was refused */
		free(script);
	}
}

static void test_what_cannot_be_recalled_ends_only_a_login_that_would_need_it(void **state)
{
	struct fixture f;
	struct err err;

	(void)state;
	fixture_init(&f, NULL);
	f.broken = "the file is damaged";
	assert_int_equal(play(&f, "AUTH=PLAIN", "", &err), -1);
	assert_string_equal(err.text, "the file is damaged");
	assert_int_equal(f.asked, 0);
	f.account.auth = IMAP_AUTH_PLAIN;
	assert_int_equal(play(&f, "AUTH=PLAIN", PLAIN_IN, &err), 0);
	buf_release(&f.learned);
}

static void test_strength_grows_with_what_a_stranger_cannot_learn(void **state)
{
	static const char *const rising[] = { "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256",
					      "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS" };
	static const char *const none[] = { "", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "CRAM-MD5",
					    "SCRAM-SHA-512", "plain" };

	(void)state;
	assert_int_equal(imap_login_strength("PLAIN"), 1);
	assert_int_equal(imap_login_strength("LOGIN"), 1);
	for (size_t i = 1; i < sizeof(rising) / sizeof(rising[0]); i++)
		assert_true(imap_login_strength(rising[i]) > imap_login_strength(rising[i - 1]));
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(imap_login_strength(none[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_less_than_before_gets_no_password_and_says_what_to_do),
		cmocka_unit_test(test_a_connection_that_cannot_bind_where_one_could_is_refused),
		cmocka_unit_test(test_other_settings_are_no_downgrade),
		cmocka_unit_test(test_as_good_as_before_or_better_is_taken),
		cmocka_unit_test(test_what_cannot_be_recalled_ends_only_a_login_that_would_need_it),
		cmocka_unit_test(test_strength_grows_with_what_a_stranger_cannot_learn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
