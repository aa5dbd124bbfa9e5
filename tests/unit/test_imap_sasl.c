#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gsasl.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/imap/sasl.h"
#include "core/imap/transport.h"

/* --- the other side: libgsasl's server, which is not ours --- */

struct server {
	const char *mechanism, *password;
	struct bytes binding;
	Gsasl_property bound_by;
	Gsasl *context;
	Gsasl_session *session;
};

static int server_property(Gsasl *context, Gsasl_session *session, Gsasl_property what)
{
	struct server *sv = gsasl_session_hook_get(session);
	char *text = NULL;
	int rc;

	(void)context;
	if (what == GSASL_PASSWORD)
		return gsasl_property_set(session, what, sv->password);
	if (what == GSASL_SCRAM_ITER)
		return gsasl_property_set(session, what, "4096");
	if ((what != GSASL_CB_TLS_EXPORTER && what != GSASL_CB_TLS_UNIQUE) ||
	    what != sv->bound_by)
		return GSASL_NO_CALLBACK;
	rc = gsasl_base64_to((const char *)sv->binding.p, sv->binding.n, &text, NULL);
	assert_int_equal(rc, GSASL_OK);
	rc = gsasl_property_set(session, what, text);
	gsasl_free(text);
	return rc;
}

static void server_begin(struct server *sv)
{
	assert_int_equal(gsasl_init(&sv->context), GSASL_OK);
	gsasl_callback_set(sv->context, server_property);
	assert_int_equal(gsasl_server_start(sv->context, sv->mechanism, &sv->session), GSASL_OK);
	gsasl_session_hook_set(sv->session, sv);
}

static void server_end(struct server *sv)
{
	gsasl_finish(sv->session);
	gsasl_done(sv->context);
}

/* Whether the server lets the client in; *err is why the client gave up. */
static bool log_in(struct server *sv, struct sasl *client, struct err *err)
{
	struct bytes challenge = bytes_from(NULL, 0);
	struct buf answer = BUF_INIT(1 << 16);
	char *word = NULL;
	int rc = GSASL_NEEDS_MORE, steps = 0;

	server_begin(sv);
	while (!sasl_is_done(client) || rc == GSASL_NEEDS_MORE) {
		assert_true(steps++ < 6);
		buf_clear(&answer);
		if (sasl_step(client, challenge, &answer, err) < 0)
			break;
		if (rc == GSASL_OK)
			continue; /* the empty answer to its signature */
		gsasl_free(word);
		word = NULL;
		rc = gsasl_step64(sv->session, buf_str(&answer), &word);
		if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
			break;
		challenge = bytes_of(word ? word : "");
	}
	gsasl_free(word);
	buf_release(&answer);
	return rc == GSASL_OK && sasl_is_done(client);
}

static struct transport_binding binding(const char *type)
{
	struct transport_binding b = { .type = type, .n = 32 };

	memset(b.data, 0xa5, b.n);
	return b;
}

static void test_scram_agrees_with_another_implementation(void **state)
{
	static const struct {
		const char *mechanism, *user, *authzid, *password, *type;
		bool offered;
	} cases[] = {
		{ "SCRAM-SHA-1", "alice", NULL, "pencil", NULL, false },
		{ "SCRAM-SHA-256", "alice", NULL, "pencil", NULL, false },
		{ "SCRAM-SHA-256", "a=b,c", "bob,=", "p=e,n", NULL, false },
		{ "SCRAM-SHA-256", "al\xc2\xadice", NULL, "pe\xe2\x85\xa8", NULL, false }, /* SASLprep */
		{ "SCRAM-SHA-1", "alice", NULL, "pencil", "tls-exporter", true }, /* `n` though able */
		{ "SCRAM-SHA-1-PLUS", "alice", NULL, "pencil", "tls-exporter", true },
		{ "SCRAM-SHA-256-PLUS", "alice", "bob", "pencil", "tls-exporter", true },
		{ "SCRAM-SHA-256-PLUS", "alice", NULL, "pencil", "tls-unique", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct transport_binding b = binding(cases[i].type);
		struct sasl_login login = { .user = cases[i].user, .authzid = cases[i].authzid,
					    .secret = bytes_of(cases[i].password),
					    .binding = cases[i].type ? &b : NULL,
					    .binding_offered = cases[i].offered };
		struct server sv = { .mechanism = cases[i].mechanism,
				     .password = cases[i].password,
				     .binding = bytes_from(b.data, b.n) };
		struct err err = { 0 };
		struct sasl *client = sasl_new(cases[i].mechanism, &login, &err);

		if (strstr(cases[i].mechanism, "-PLUS"))
			sv.bound_by = strcmp(cases[i].type, "tls-unique") ?
					      GSASL_CB_TLS_EXPORTER : GSASL_CB_TLS_UNIQUE;
		assert_non_null(client);
		assert_true(sasl_speaks_first(client));
		if (!log_in(&sv, client, &err))
			fail_msg("case %zu: %s", i, err.text);
		if (cases[i].authzid)
			assert_string_equal(gsasl_property_fast(sv.session, GSASL_AUTHZID),
					    cases[i].authzid);
		sasl_free(client);
		server_end(&sv);
	}
}

static void test_a_login_bound_to_another_connection_is_refused(void **state)
{
	struct transport_binding ours = binding("tls-exporter"), theirs = ours;
	struct sasl_login login = { .user = "alice", .secret = bytes_of("pencil"),
				    .binding = &ours, .binding_offered = true };
	struct server sv = { .mechanism = "SCRAM-SHA-256-PLUS", .password = "pencil",
			     .binding = bytes_from(theirs.data, theirs.n),
			     .bound_by = GSASL_CB_TLS_EXPORTER };
	struct err err = { 0 };
	struct sasl *client;

	(void)state;
	theirs.data[31] ^= 1;
	client = sasl_new(sv.mechanism, &login, &err);
	assert_false(log_in(&sv, client, &err));
	sasl_free(client);
	server_end(&sv);
	login.binding = NULL;
	assert_null(sasl_new(sv.mechanism, &login, &err));
	assert_non_null(strstr(err.text, "nothing to bind"));
}

/* --- what goes over the wire, word by word --- */

/* One step with texts that are not base64; "" when it failed. Owned by the caller. */
static char *plain_step(struct sasl *client, const char *challenge, struct err *err)
{
	struct buf out = BUF_INIT(1 << 16), text = BUF_INIT(1 << 16);
	char *base64 = NULL, *ret = NULL;
	size_t n;

	assert_int_equal(gsasl_base64_to(challenge, strlen(challenge), &base64, NULL), GSASL_OK);
	if (sasl_step(client, bytes_of(base64), &out, err) == 0 && out.n) {
		assert_int_equal(gsasl_base64_from(buf_str(&out), out.n, &ret, &n), GSASL_OK);
		buf_add(&text, bytes_from(ret, n));
	}
	gsasl_free(ret);
	gsasl_free(base64);
	buf_release(&out);
	buf_add_str(&text, "");
	return text.p ? buf_take(&text) : strdup("");
}

static void test_the_binding_flag_tells_the_server_what_we_saw(void **state)
{
	static const struct {
		const char *mechanism, *authzid;
		bool able, offered;
		const char *begins;
	} cases[] = {
		{ "SCRAM-SHA-256", NULL, false, false, "n,,n=alice,r=" },
		{ "SCRAM-SHA-256", NULL, true, false, "y,,n=alice,r=" },
		{ "SCRAM-SHA-256", NULL, true, true, "n,,n=alice,r=" },
		{ "SCRAM-SHA-256-PLUS", NULL, true, true, "p=tls-exporter,,n=alice,r=" },
		{ "SCRAM-SHA-1", "b,b", true, false, "y,a=b=2Cb,n=alice,r=" },
	};
	struct transport_binding b = binding("tls-exporter");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sasl_login login = { .user = "alice", .authzid = cases[i].authzid,
					    .secret = bytes_of("pencil"),
					    .binding = cases[i].able ? &b : NULL,
					    .binding_offered = cases[i].offered };
		struct err err = { 0 };
		struct sasl *client = sasl_new(cases[i].mechanism, &login, &err);
		char *first = plain_step(client, "", &err);

		if (strncmp(first, cases[i].begins, strlen(cases[i].begins)) != 0)
			fail_msg("case %zu: %s", i, first);
		free(first);
		sasl_free(client);
	}
}

/* `%` stands for the client's nonce. */
static void test_a_scram_server_that_lies_is_found_out(void **state)
{
	static const struct {
		const char *first, *final;
		enum err_kind kind;
		const char *text;
	} cases[] = {
#define GOOD "r=%x,s=c2FsdA==,i=4096"
		{ GOOD, "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ERR_FATAL, "pretends" },
		{ GOOD, "v=", ERR_FATAL, "pretends" },
		{ GOOD, "", ERR_FATAL, "pretends" },
		{ GOOD, "e=unknown-user", ERR_AUTH, "unknown-user" },
		{ "r=%x,s=c2FsdA==,i=4095", NULL, ERR_FATAL, "iterations" },
		{ "r=%x,s=c2FsdA==,i=1", NULL, ERR_FATAL, "iterations" },
		{ "r=%x,s=c2FsdA==,i=1000001", NULL, ERR_FATAL, "iterations" },
		{ "r=%x,s=c2FsdA==,i=99999999999999999999999", NULL, ERR_FATAL, "cannot be read" },
		{ "r=%x,s=c2FsdA==,i=-4096", NULL, ERR_FATAL, "cannot be read" },
		{ "r=%,s=c2FsdA==,i=4096", NULL, ERR_FATAL, "somebody else" },
		{ "r=abcdefghijklmnopqrstuvwxyz,s=c2FsdA==,i=4096", NULL, ERR_FATAL, "somebody else" },
		{ "m=x,r=%x,s=c2FsdA==,i=4096", NULL, ERR_FATAL, "cannot be read" },
		{ "r=%x,s=,i=4096", NULL, ERR_FATAL, "cannot be read" },
		{ "r=%x,s=c2F,i=4096", NULL, ERR_FATAL, "cannot be read" },
		{ "r=%x,i=4096,s=c2FsdA==", NULL, ERR_FATAL, "cannot be read" },
		{ "r=", NULL, ERR_FATAL, "cannot be read" },
		{ "", NULL, ERR_FATAL, "cannot be read" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sasl_login login = { .user = "alice", .secret = bytes_of("pencil") };
		struct err err = { 0 };
		struct sasl *client = sasl_new("SCRAM-SHA-256", &login, &err);
		char *first = plain_step(client, "", &err), *nonce = strstr(first, ",r=");
		const char *mark = strchr(cases[i].first, '%');
		struct buf word = BUF_INIT(4096);

		assert_non_null(nonce);
		buf_add(&word, bytes_from(cases[i].first, mark ? (size_t)(mark - cases[i].first) :
							  strlen(cases[i].first)));
		if (mark) {
			buf_add_str(&word, nonce + 3);
			buf_add_str(&word, mark + 1);
		}
		free(plain_step(client, buf_str(&word), &err));
		if (cases[i].final) {
			assert_int_equal(err.kind, ERR_NONE);
			free(plain_step(client, cases[i].final, &err));
		}
		if (err.kind != cases[i].kind || !strstr(err.text, cases[i].text))
			fail_msg("case %zu: kind %d: %s", i, err.kind, err.text);
		assert_false(sasl_is_done(client));
		free(first);
		buf_release(&word);
		sasl_free(client);
	}
}

static void test_a_token_is_sent_as_its_mechanism_wants_it(void **state)
{
	static const struct {
		const char *mechanism, *user, *authzid, *want, *answer;
	} cases[] = {
		{ "XOAUTH2", "a@b", NULL, "user=a@b\001auth=Bearer t.o=k\001\001", "" },
		{ "XOAUTH2", "a@b", "shared@b", "user=shared@b\001auth=Bearer t.o=k\001\001", "" },
		{ "OAUTHBEARER", "a@b", NULL,
		  "n,a=a@b,\001host=h\001port=993\001auth=Bearer t.o=k\001\001", "\001" },
		{ "OAUTHBEARER", "a,=", NULL,
		  "n,a=a=2C=3D,\001host=h\001port=993\001auth=Bearer t.o=k\001\001", "\001" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sasl_login login = { .user = cases[i].user, .authzid = cases[i].authzid,
					    .secret = bytes_of("t.o=k"), .host = "h",
					    .port = "993" };
		struct err err = { 0 };
		struct sasl *client = sasl_new(cases[i].mechanism, &login, &err);
		char *first = plain_step(client, "", &err), *second, *third;

		assert_string_equal(first, cases[i].want);
		assert_true(sasl_is_done(client));
		assert_null(sasl_remark(client));
		second = plain_step(client, "{\"status\":\"401\",\033}", &err);
		assert_string_equal(second, cases[i].answer);
		assert_int_equal(err.kind, ERR_NONE);
		assert_false(sasl_is_done(client)); /* OK would now be a lie */
		assert_string_equal(sasl_remark(client), "{\"status\":\"401\",\\x1B}");
		third = plain_step(client, "more", &err);
		assert_int_equal(err.kind, ERR_FATAL);
		free(first);
		free(second);
		free(third);
		sasl_free(client);
	}
}

static void test_what_is_no_token_is_not_sent(void **state)
{
	static const char *const tokens[] = { "", "two words", "tok\001en", "t\xc3\xb6ken" };

	(void)state;
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		struct sasl_login login = { .user = "alice", .secret = bytes_of(tokens[i]) };
		struct err err = { 0 };

		assert_null(sasl_new("XOAUTH2", &login, &err));
		assert_int_equal(err.kind, ERR_AUTH);
		assert_null(strstr(err.text, tokens[i][0] ? tokens[i] : "\001"));
	}
}

static void test_the_older_mechanisms_do_as_their_standards_say(void **state)
{
	static const struct {
		const char *mechanism, *authzid;
		bool first;
		const char *challenge[2], *answer[2];
	} cases[] = {
		{ "EXTERNAL", NULL, true, { "" }, { "" } },
		{ "EXTERNAL", "bob", true, { "" }, { "bob" } },
		{ "LOGIN", NULL, false, { "Username:", "Password:" }, { "tim", "tanstaaftanstaaf" } },
		/* RFC 2195, section 2 */
		{ "CRAM-MD5", NULL, false, { "<1896.697170952@postoffice.reston.mci.net>" },
		  { "tim b913a602c7eda7a495b4e6e7334d3890" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sasl_login login = { .user = "tim", .authzid = cases[i].authzid,
					    .secret = bytes_of("tanstaaftanstaaf") };
		struct err err = { 0 };
		struct sasl *client = sasl_new(cases[i].mechanism, &login, &err);

		assert_int_equal(sasl_speaks_first(client), cases[i].first);
		for (size_t k = 0; k < 2 && cases[i].challenge[k]; k++) {
			char *answer = plain_step(client, cases[i].challenge[k], &err);

			assert_string_equal(answer, cases[i].answer[k]);
			free(answer);
		}
		assert_true(sasl_is_done(client));
		free(plain_step(client, "more", &err));
		assert_int_equal(err.kind, ERR_FATAL);
		sasl_free(client);
	}
}

static void test_challenges_must_be_base64(void **state)
{
	static const char *const bad[] = { "YQ=", "YQ", "Y Q=", "YQ==\t", "Y=Q=", "!!!!", "=" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sasl_login login = { .user = "tim", .secret = bytes_of("x") };
		struct buf out = BUF_INIT(4096);
		struct err err = { 0 };
		struct sasl *client = sasl_new("CRAM-MD5", &login, &err);

		assert_int_equal(sasl_step(client, bytes_of(bad[i]), &out, &err), -1);
		assert_non_null(strstr(err.text, "not base64"));
		sasl_free(client);
		buf_release(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram_agrees_with_another_implementation),
		cmocka_unit_test(test_a_login_bound_to_another_connection_is_refused),
		cmocka_unit_test(test_the_binding_flag_tells_the_server_what_we_saw),
		cmocka_unit_test(test_a_scram_server_that_lies_is_found_out),
		cmocka_unit_test(test_a_token_is_sent_as_its_mechanism_wants_it),
		cmocka_unit_test(test_what_is_no_token_is_not_sent),
		cmocka_unit_test(test_the_older_mechanisms_do_as_their_standards_say),
		cmocka_unit_test(test_challenges_must_be_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
