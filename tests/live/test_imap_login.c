#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

#define SECRET "s3cr3t-word"
#define MASTER_SECRET "m4ster-word"

/* A server that takes every mechanism Dovecot knows. */
static struct dovecot *server;
static char *cert, *key; /* for a client called "localhost" */

static void put(const char *dir, const char *name, const char *text)
{
	char *path = path_join(dir, name);

	write_file(path, bytes_of(text));
	free(path);
}

static void make_dirs(const char *dir, const char *const *names)
{
	for (; *names; names++) {
		char *path = path_join(dir, *names);

		assert_int_equal(mkdir(path, 0755), 0);
		free(path);
	}
}

static int start_server(void **state)
{
	static const char *const dirs[] = { "keys", "keys/default", "keys/default/HS256", NULL };
	const char *dir = tmp_dir();
	struct buf conf = BUF_INIT(65536), passdb = BUF_INIT(65536), oauth = BUF_INIT(4096);
	struct dovecot_opts opts = { 0 };
	struct dovecot *first = dovecot_start(NULL); /* for the certificates it makes */
	char *certs = xstrdup(first->ca_file);

	(void)state;
	*strrchr(certs, '/') = 0;
	cert = path_join(certs, "good.pem");
	key = path_join(certs, "srv.key");
	free(certs);
	make_dirs(dir, dirs);
	put(dir, "keys/default/HS256/default", "dGVzdC1zZWNyZXQ="); /* test-secret */
	put(dir, "masters", "master:{PLAIN}" MASTER_SECRET "\n");
	buf_addf(&oauth, "introspection_mode = local\n"
		 "local_validation_key_dict = fs:posix:prefix=%s/keys/\n"
		 "issuers = https://issuer.example\nusername_attribute = email\n", dir);
	put(dir, "oauth2.conf", buf_str(&oauth));
	buf_addf(&passdb,
		 "passdb {\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n"
		 "  args = %s/oauth2.conf\n}\n"
		 "passdb {\n  driver = static\n  mechanisms = external\n  args = nopassword=yes\n}\n"
		 "passdb {\n  driver = passwd-file\n  master = yes\n  args = %s/masters\n}\n"
		 "passdb {\n  driver = static\n  args = password=" SECRET "\n"
		 "  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256\n}\n", dir, dir);
	buf_addf(&conf, "ssl_ca = <%s\nssl_require_crl = no\nssl_verify_client_cert = yes\n"
		 "auth_ssl_username_from_cert = yes\nauth_master_user_separator = *\n"
		 "auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 external "
		 "xoauth2 oauthbearer\n", first->ca_file);
	opts.passdb = buf_str(&passdb);
	opts.extra = buf_str(&conf);
	server = dovecot_start(&opts);
	dovecot_stop(first);
	buf_release(&conf);
	buf_release(&passdb);
	buf_release(&oauth);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	dovecot_stop(server);
	free(cert);
	free(key);
	return 0;
}

struct fixture {
	struct imap_account account;
	char port[16];
	struct imap_trace trace;
	struct buf transcript;
	struct loop *loop;
	struct imap_session *session;
};

static int give_secret(void *ctx, struct buf *out, struct err *err)
{
	(void)err;
	buf_add_str(out, ctx);
	return 0;
}

static void keep_trace(void *ctx, char direction, const char *line)
{
	buf_addf(ctx, "%c: %s\n", direction, line);
}

static void fixture_init(struct fixture *f, const char *user, char *secret)
{
	*f = (struct fixture){ .transcript = BUF_INIT(1 << 22) };
	snprintf(f->port, sizeof(f->port), "%d", server->tls_port);
	f->account = (struct imap_account){
		.name = "test",
		.host = "127.0.0.1",
		.port = f->port,
		.tls_ca_file = server->ca_file,
		.user = user,
		.password = give_secret,
		.password_ctx = secret,
		.timeout_ms = 10000,
	};
	f->loop = loop_new(NULL, NULL);
}

static int fixture_open(struct fixture *f, struct err *err)
{
	f->trace = (struct imap_trace){ .level = IMAP_TRACE_ALL, .fn = keep_trace,
					.ctx = &f->transcript };
	f->session = imap_session_new(f->loop, &f->account, &f->trace);
	return imap_session_open(f->session, err);
}

static void fixture_release(struct fixture *f)
{
	imap_session_free(f->session);
	loop_free(f->loop);
	buf_release(&f->transcript);
}

static bool log_has(void *text)
{
	char *log = dovecot_log(server);
	bool found = strstr(log, text) != NULL;

	free(log);
	return found;
}

/* What the client said is only what it is about, and the way it chose. */
static void check_trace(const struct fixture *f, const char *mechanism)
{
	char *copy = xstrdup(buf_str(&f->transcript)), *save = NULL;
	bool seen = false;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *word = strchr(l + 3, ' ');

		if (l[0] != 'C' || strcmp(l, "C: ***") == 0)
			continue;
		assert_non_null(word);
		if (strncmp(word, " AUTHENTICATE ", 14) == 0) {
			char *last = strchr(word + 14, ' ');

			assert_true(!last || strcmp(last, " ***") == 0);
			assert_true(strncmp(word + 14, mechanism, strlen(mechanism)) == 0);
			seen = true;
		} else if (strncmp(word, " LOGIN", 6) == 0) {
			assert_string_equal(word, " LOGIN *** ***");
			seen = strcmp(mechanism, "LOGIN") == 0;
		}
	}
	assert_true(seen);
	assert_null(strstr(buf_str(&f->transcript), SECRET));
	assert_null(strstr(buf_str(&f->transcript), MASTER_SECRET));
	free(copy);
}

/* Log in, and be the one whom the server thinks it let in. */
static void expect_login(struct fixture *f, const char *who, const char *mechanism,
			 const char *method)
{
	char *line = xasprintf("Login: user=<%s>, method=%s, ", who, method);
	struct err err = { 0 };

	if (fixture_open(f, &err) < 0)
		fail_msg("%s by %s: %s", who, mechanism, err.text);
	if (imap_noop_wait(f->session, &err) < 0)
		fail_msg("%s", err.text);
	check_trace(f, mechanism);
	if (!test_until(log_has, line, 5000))
		fail_msg("not in the server's log: %s", line);
	free(line);
}

static void test_every_mechanism_with_a_password_lets_in(void **state)
{
	static const struct {
		enum imap_auth auth;
		const char *mechanism, *method, *disable;
	} cases[] = {
		{ IMAP_AUTH_AUTO, "SCRAM-SHA-256", "SCRAM-SHA-256", NULL },
		{ IMAP_AUTH_AUTO, "SCRAM-SHA-256", "SCRAM-SHA-256", "SASL-IR" },
		{ IMAP_AUTH_AUTO, "SCRAM-SHA-1", "SCRAM-SHA-1", "AUTH=SCRAM-SHA-256" },
		{ IMAP_AUTH_AUTO, "PLAIN", "PLAIN", "AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1" },
		{ IMAP_AUTH_SCRAM_SHA_256, "SCRAM-SHA-256", "SCRAM-SHA-256", NULL },
		{ IMAP_AUTH_SCRAM_SHA_1, "SCRAM-SHA-1", "SCRAM-SHA-1", "SASL-IR" },
		{ IMAP_AUTH_PLAIN, "PLAIN", "PLAIN", NULL },
		{ IMAP_AUTH_PLAIN, "PLAIN", "PLAIN", "SASL-IR" },
		{ IMAP_AUTH_LOGIN, "LOGIN", "PLAIN", NULL }, /* the command */
		{ IMAP_AUTH_CRAM_MD5, "CRAM-MD5", "CRAM-MD5", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char secret[] = SECRET, *user = xasprintf("user%zu", i);
		struct fixture f;

		fixture_init(&f, user, secret);
		f.account.auth = cases[i].auth;
		f.account.disable_extensions = cases[i].disable;
		expect_login(&f, user, cases[i].mechanism, cases[i].method);
		fixture_release(&f);
		free(user);
	}
}

static void test_a_wrong_secret_is_refused_by_every_mechanism(void **state)
{
	static const enum imap_auth auths[] = { IMAP_AUTH_AUTO, IMAP_AUTH_SCRAM_SHA_1,
						IMAP_AUTH_PLAIN, IMAP_AUTH_LOGIN,
						IMAP_AUTH_CRAM_MD5 };

	(void)state;
	for (size_t i = 0; i < sizeof(auths) / sizeof(auths[0]); i++) {
		char secret[] = "wrong";
		struct fixture f;
		struct err err = { 0 };

		fixture_init(&f, "alice", secret);
		f.account.auth = auths[i];
		assert_int_equal(fixture_open(&f, &err), -1);
		if (err.kind != ERR_AUTH)
			fail_msg("case %zu: kind %d: %s", i, err.kind, err.text);
		fixture_release(&f);
	}
}

static void test_an_administrator_reads_the_mail_of_others(void **state)
{
	static const struct {
		const char *user, *authzid;
		enum imap_auth auth;
		const char *mechanism, *method;
	} cases[] = {
		{ "mary*master", NULL, IMAP_AUTH_PLAIN, "PLAIN", "PLAIN" },
		{ "molly*master", NULL, IMAP_AUTH_LOGIN, "LOGIN", "PLAIN" },
		{ "master", "martha", IMAP_AUTH_PLAIN, "PLAIN", "PLAIN" },
		{ "minna*master", NULL, IMAP_AUTH_AUTO, "SCRAM-SHA-256", "SCRAM-SHA-256" },
		{ "master", "mina", IMAP_AUTH_AUTO, "SCRAM-SHA-256", "SCRAM-SHA-256" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char secret[] = MASTER_SECRET;
		const char *who = cases[i].authzid ? cases[i].authzid : cases[i].user;
		char *name = bytes_dup(bytes_from(who, strcspn(who, "*")));
		struct fixture f;

		fixture_init(&f, cases[i].user, secret);
		f.account.authzid = cases[i].authzid;
		f.account.auth = cases[i].auth;
		expect_login(&f, name, cases[i].mechanism, cases[i].method);
		fixture_release(&f);
		free(name);
	}
}

static void test_a_client_certificate_is_a_login(void **state)
{
	static const enum imap_auth auths[] = { IMAP_AUTH_AUTO, IMAP_AUTH_EXTERNAL };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f;

		fixture_init(&f, "localhost", NULL);
		f.account.password = NULL; /* nobody is asked for one */
		f.account.auth = auths[i];
		f.account.tls_client_cert = cert;
		f.account.tls_client_key = key;
		expect_login(&f, "localhost", "EXTERNAL", "EXTERNAL");
		fixture_release(&f);
	}
}

/* A token as Dovecot's local validation wants it. Owned by the caller. */
static char *make_token(const char *user, int seconds)
{
	static const char script[] =
		"b64() { openssl base64 -A | tr '+/' '-_' | tr -d =; }\n"
		"n=$(date +%s); h=$(printf '{\"alg\":\"HS256\",\"typ\":\"JWT\"}' | b64)\n"
		"p=$(printf '{\"iss\":\"https://issuer.example\",\"sub\":\"%s\",\"email\":\"%s\","
		"\"iat\":%d,\"exp\":%d}' \"$1\" \"$1\" $((n-10)) $((n+$2)) | b64)\n"
		"printf %s \"$h.$p.$(printf %s \"$h.$p\" |"
		" openssl dgst -sha256 -hmac test-secret -binary | b64)\"\n";
	char *time = xasprintf("%d", seconds), *token;
	struct proc_result res;

	proc_runl(&res, NULL, "sh", "-c", script, "jwt", user, time, NULL);
	assert_int_equal(res.status, 0);
	token = buf_take(&res.out);
	proc_result_release(&res);
	free(time);
	return token;
}

static void test_an_access_token_is_a_login(void **state)
{
	static const struct {
		enum imap_auth auth;
		const char *mechanism, *disable;
	} cases[] = {
		{ IMAP_AUTH_AUTO, "OAUTHBEARER", NULL },
		{ IMAP_AUTH_OAUTHBEARER, "OAUTHBEARER", "SASL-IR" },
		{ IMAP_AUTH_XOAUTH2, "XOAUTH2", NULL },
		{ IMAP_AUTH_AUTO, "XOAUTH2", "AUTH=OAUTHBEARER SASL-IR" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *user = xasprintf("token%zu", i), *token = make_token(user, 3600);
		struct fixture f;

		fixture_init(&f, user, NULL);
		f.account.password = NULL;
		f.account.token = give_secret;
		f.account.token_ctx = token;
		f.account.auth = cases[i].auth;
		f.account.disable_extensions = cases[i].disable;
		expect_login(&f, user, cases[i].mechanism, cases[i].mechanism);
		assert_null(strstr(buf_str(&f.transcript), token));
		fixture_release(&f);
		free(token);
		free(user);
	}
}

static void test_a_refused_token_is_refused_in_the_servers_words(void **state)
{
	static const struct {
		enum imap_auth auth;
		const char *text;
	} cases[] = {
		{ IMAP_AUTH_OAUTHBEARER, "about the token: {\"status\":\"invalid_token\"" },
		{ IMAP_AUTH_XOAUTH2, "about the token: {\"status\":\"401\"" },
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		bool expired = i & 1;
		char *token = make_token(expired ? "alice" : "bob", expired ? -5 : 3600);
		struct fixture f;
		struct err err = { 0 };

		if (!expired)
			token[strlen(token) - 3] ^= 1; /* within the signature */
		fixture_init(&f, "alice", NULL);
		f.account.token = give_secret;
		f.account.token_ctx = token;
		f.account.auth = cases[i / 2].auth;
		assert_int_equal(fixture_open(&f, &err), -1);
		if (err.kind != ERR_AUTH || !strstr(err.text, cases[i / 2].text))
			fail_msg("case %zu: kind %d: %s", i, err.kind, err.text);
		assert_null(strstr(err.text, token));
		fixture_release(&f);
		free(token);
	}
}

static void test_dovecots_imap_is_reached_through_a_tunnel(void **state)
{
	const char *dir = tmp_dir();
	char *command = xasprintf(
		"cd %s && exec %s env -i USER=tina HOME=%s /usr/lib/dovecot/imap -c /dev/null -o ssl=no "
		"-o log_path=/dev/stderr -o mail_location=maildir:%s/M -o mailbox_list_index=yes",
		dir, getuid() == 0 ? "setpriv --reuid 5000 --regid 5000 --clear-groups" : "", dir,
		dir);
	struct fixture f;
	struct err err = { 0 };

	(void)state;
	dovecot_own(dir);
	fixture_init(&f, "tina", NULL);
	f.account.password = NULL;
	f.account.tunnel = command;
	if (fixture_open(&f, &err) < 0)
		fail_msg("%s", err.text);
	assert_null(strstr(buf_str(&f.transcript), "C: LOGIN"));
	if (imap_noop_wait(f.session, &err) < 0 ||
	    imap_logout_wait(f.session, &err) < 0)
		fail_msg("%s", err.text);
	fixture_release(&f);
	free(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_mechanism_with_a_password_lets_in),
		cmocka_unit_test(test_a_wrong_secret_is_refused_by_every_mechanism),
		cmocka_unit_test(test_an_administrator_reads_the_mail_of_others),
		cmocka_unit_test(test_a_client_certificate_is_a_login),
		cmocka_unit_test(test_an_access_token_is_a_login),
		cmocka_unit_test(test_a_refused_token_is_refused_in_the_servers_words),
		cmocka_unit_test(test_dovecots_imap_is_reached_through_a_tunnel),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
