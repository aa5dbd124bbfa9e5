#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/imap/transport.h"
#include "core/msgset/uidset.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"
#include "tests/lib/support.h"

/* One real server for all tests; each uses its own user. */
static struct dovecot *server;

static int give_password(void *ctx, struct buf *out, struct err *err)
{
	(void)err;
	buf_add_str(out, ctx);
	return 0;
}

struct fixture {
	struct imap_account account;
	char port[16];
	char password[16];
	struct imap_trace trace;
	struct buf transcript;
	struct loop *loop;
	struct imap_session *session;
};

static void keep_trace(void *ctx, char direction, const char *line)
{
	buf_addf(&((struct fixture *)ctx)->transcript, "%c: %s\n", direction, line);
}

static void fixture_init(struct fixture *f, const char *user, enum imap_tls tls)
{
	*f = (struct fixture){ 0 };
	strcpy(f->password, "pw");
	snprintf(f->port, sizeof(f->port), "%d",
		 tls == IMAP_TLS_IMPLICIT ? server->tls_port : server->port);
	f->account = (struct imap_account){
		.name = user,
		.host = "127.0.0.1",
		.port = f->port,
		.tls = tls,
		.tls_ca_file = server->ca_file,
		.user = user,
		.password = give_password,
		.password_ctx = f->password,
		.timeout_ms = 10000,
	};
	buf_init(&f->transcript, 1 << 22);
	f->trace = (struct imap_trace){ .level = IMAP_TRACE_ALL, .fn = keep_trace, .ctx = f };
	f->loop = loop_new(NULL, NULL);
}

static int fixture_open(struct fixture *f, struct err *err)
{
	f->session = imap_session_new(f->loop, &f->account, &f->trace);
	return imap_session_open(f->session, err);
}

/* Connect to the address, whatever name the account gives: a bare system resolves no names. */
static int fixture_open_by_address(struct fixture *f, struct err *err)
{
	const struct transport_tls_settings set = { .host = f->account.host,
						    .ca_file = f->account.tls_ca_file };
	struct transport *t = transport_tcp_new("127.0.0.1", f->port, 5000, err);

	assert_non_null(t);
	if (f->account.tls == IMAP_TLS_IMPLICIT)
		t = transport_tls_new(t, &set, err);
	assert_non_null(t);
	f->session = imap_session_new_on(f->loop, &f->account, &f->trace, t);
	return imap_session_open(f->session, err);
}

static void fixture_release(struct fixture *f)
{
	imap_session_free(f->session);
	loop_free(f->loop);
	buf_release(&f->transcript);
}

#define OK(call)                                                         \
	do {                                                             \
		struct err err_ = { 0 };                                 \
		if ((call) < 0)                                          \
			fail_msg("%s: %s", #call, err_.text);            \
	} while (0)

static void test_login_works_over_tls_starttls_and_clear_text(void **state)
{
	static const enum imap_tls modes[] = { IMAP_TLS_IMPLICIT, IMAP_TLS_STARTTLS, IMAP_TLS_NONE };
	static const enum imap_auth auths[] = { IMAP_AUTH_AUTO, IMAP_AUTH_PLAIN, IMAP_AUTH_LOGIN };

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		struct fixture f;

		fixture_init(&f, "alice", modes[i / 3]);
		f.account.auth = auths[i % 3];
		OK(fixture_open(&f, &err_));
		assert_true(imap_session_has(f.session, IMAP_CAP_LIST_STATUS));
		OK(imap_noop_wait(f.session, &err_));
		OK(imap_logout_wait(f.session, &err_));
		assert_int_equal(imap_session_error(f.session)->kind, ERR_NONE);
		assert_null(strstr(buf_str(&f.transcript), "pw"));
		fixture_release(&f);
	}
}

static void check_refusal(const struct fixture *f, int rc, const struct err *err,
			  enum err_kind kind, const char *text)
{
	assert_int_equal(rc, -1);
	if (err->kind != kind || !strstr(err->text, text))
		fail_msg("kind %d: %s", err->kind, err->text);
	assert_null(strstr(buf_str(&f->transcript), "AUTHENTICATE"));
}

static void expect_refusal(struct fixture *f, enum err_kind kind, const char *text)
{
	struct err err = { 0 };
	int rc = fixture_open(f, &err);

	check_refusal(f, rc, &err, kind, text);
}

static void test_a_wrong_password_is_final(void **state)
{
	struct err err = { 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, "alice", IMAP_TLS_IMPLICIT);
	strcpy(f.password, "wrong");
	assert_int_equal(fixture_open(&f, &err), -1);
	assert_int_equal(err.kind, ERR_AUTH);
	assert_null(strstr(buf_str(&f.transcript), "wrong"));
	fixture_release(&f);
}

static void test_a_certificate_must_be_trusted_and_for_this_host(void **state)
{
	static const struct {
		enum dovecot_cert cert;
		const char *host;
		const char *text;
	} cases[] = {
		{ DOVECOT_CERT_GOOD, "localhost", NULL },
		{ DOVECOT_CERT_GOOD, "127.0.0.1", NULL },
		{ DOVECOT_CERT_WRONG_HOST, "localhost", "ostname mismatch" },
		{ DOVECOT_CERT_WRONG_HOST, "127.0.0.1", "IP address mismatch" },
		{ DOVECOT_CERT_SELF_SIGNED, "localhost", "self" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dovecot *usual = server;

		server = dovecot_start(&(struct dovecot_opts){ .cert = cases[i].cert });
		for (int mode = IMAP_TLS_IMPLICIT; mode <= IMAP_TLS_STARTTLS; mode++) {
			struct err err = { 0 };
			struct fixture f;
			int rc;

			fixture_init(&f, "alice", (enum imap_tls)mode);
			f.account.host = cases[i].host;
			rc = fixture_open_by_address(&f, &err);
			if (cases[i].text)
				check_refusal(&f, rc, &err, ERR_FATAL, cases[i].text);
			else if (rc < 0)
				fail_msg("%s", err.text);
			fixture_release(&f);
		}
		dovecot_stop(server);
		server = usual;
	}
}

static void test_the_pin_that_a_refusal_names_is_accepted_and_no_other(void **state)
{
	struct dovecot *usual = server;
	struct err err = { 0 };
	struct fixture f;
	char *pin;

	(void)state;
	server = dovecot_start(&(struct dovecot_opts){ .cert = DOVECOT_CERT_SELF_SIGNED });
	fixture_init(&f, "alice", IMAP_TLS_IMPLICIT);
	f.account.tls_ca_file = NULL; /* the system's */
	assert_int_equal(fixture_open(&f, &err), -1);
	assert_int_equal(err.kind, ERR_FATAL);
	pin = strstr(err.text, "sha256:");
	assert_non_null(pin);
	pin[strcspn(pin, ")")] = 0;
	fixture_release(&f);

	for (int mode = IMAP_TLS_IMPLICIT; mode <= IMAP_TLS_STARTTLS; mode++) {
		fixture_init(&f, "alice", (enum imap_tls)mode);
		f.account.tls_pin = pin;
		OK(fixture_open(&f, &err_));
		fixture_release(&f);
	}

	pin[10] = pin[10] == 'A' ? 'B' : 'A';
	for (int mode = IMAP_TLS_IMPLICIT; mode <= IMAP_TLS_STARTTLS; mode++) {
		fixture_init(&f, "alice", (enum imap_tls)mode);
		f.account.tls_pin = pin;
		expect_refusal(&f, ERR_FATAL, "not the pinned one");
		fixture_release(&f);
	}

	fixture_init(&f, "alice", IMAP_TLS_IMPLICIT);
	f.account.tls_pin = "sha256:short";
	expect_refusal(&f, ERR_CONFIG, "tls_pin");
	fixture_release(&f);
	dovecot_stop(server);
	server = usual;
}

static void test_a_client_certificate_is_shown_when_there_is_one(void **state)
{
	const struct dovecot_opts opts = { .extra = "ssl_verify_client_cert = yes\n"
						    "ssl_require_crl = no\n"
						    "auth_ssl_require_client_cert = yes\n" };
	struct dovecot *usual = server;
	struct buf extra = BUF_INIT(4096);
	struct dovecot_opts with_ca = opts;
	char *dir = xstrdup(usual->ca_file);
	char *cert, *key;
	struct err err = { 0 };
	struct fixture f;

	(void)state;
	*strrchr(dir, '/') = 0;
	cert = path_join(dir, "good.pem"); /* signed by the CA: as good for a client */
	key = path_join(dir, "srv.key");
	buf_addf(&extra, "%sssl_ca = <%s\n", opts.extra, usual->ca_file);
	with_ca.extra = buf_str(&extra);
	server = dovecot_start(&with_ca);

	fixture_init(&f, "alice", IMAP_TLS_IMPLICIT);
	assert_int_equal(fixture_open(&f, &err), -1);
	fixture_release(&f);

	fixture_init(&f, "alice", IMAP_TLS_IMPLICIT);
	f.account.tls_client_cert = cert;
	f.account.tls_client_key = key;
	OK(fixture_open(&f, &err_));
	fixture_release(&f);

	dovecot_stop(server);
	server = usual;
	buf_release(&extra);
	free(cert);
	free(key);
	free(dir);
}

static void test_nobody_there_is_a_reason_to_try_again(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, "alice", IMAP_TLS_NONE);
	snprintf(f.port, sizeof(f.port), "%d", free_port());
	expect_refusal(&f, ERR_RETRY, "onnection refused");
	fixture_release(&f);
}

/* A peer that accepts and then says nothing, at each stage. */
static void test_a_mute_server_does_not_hold_us(void **state)
{
	(void)state;
	for (int mode = IMAP_TLS_IMPLICIT; mode <= IMAP_TLS_NONE; mode++) {
		struct fixture f;
		int port, fd = listen_loopback(&port);

		fixture_init(&f, "alice", (enum imap_tls)mode);
		f.account.timeout_ms = 200;
		snprintf(f.port, sizeof(f.port), "%d", port);
		expect_refusal(&f, ERR_RETRY, "does not answer");
		fixture_release(&f);
		close(fd);
	}
}

static bool stop_now(void *ctx)
{
	return --*(int *)ctx < 0;
}

static void test_the_stop_flag_ends_waiting(void **state)
{
	int port, fd = listen_loopback(&port), polls = 3;
	struct err err = { 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, "alice", IMAP_TLS_NONE);
	loop_free(f.loop);
	f.loop = loop_new(stop_now, &polls);
	snprintf(f.port, sizeof(f.port), "%d", port);
	assert_int_equal(fixture_open(&f, &err), -1);
	assert_int_equal(err.kind, ERR_STOPPED);
	fixture_release(&f);
	close(fd);
}

/* --- whole mailboxes --- */

struct gathered {
	struct oracle_dump want;
	struct buf body;
	size_t seen;
	unsigned done;
};

static void gather_begin(void *ctx, const struct imap_fetch *m)
{
	struct gathered *g = ctx;

	(void)m;
	buf_clear(&g->body);
}

static void gather_data(void *ctx, struct bytes piece)
{
	struct gathered *g = ctx;

	assert_true(buf_add(&g->body, piece));
}

static void gather_message(void *ctx, const struct imap_fetch *m)
{
	struct gathered *g = ctx;
	char sha[SHA256_HEX_SIZE];

	for (size_t i = 0; i < g->want.n; i++) {
		if (g->want.msg[i].uid != m->uid)
			continue;
		sha256_hex(buf_bytes(&g->body), sha);
		assert_string_equal(sha, g->want.msg[i].sha256);
		assert_true(bytes_is(m->date_text, g->want.msg[i].date));
		assert_true(m->size == g->want.msg[i].size);
		g->seen++;
		return;
	}
	fail_msg("uid %u was not expected", m->uid);
}

static void gather_done(void *ctx, const struct imap_result *r)
{
	assert_int_equal(r->outcome, IMAP_DONE_OK);
	((struct gathered *)ctx)->done++;
}

static void gather_opened(void *ctx, const struct imap_result *r)
{
	struct gathered *g = ctx;

	assert_int_equal(r->outcome, IMAP_DONE_OK);
	assert_int_equal(r->mailbox->exists, g->want.n);
	assert_int_equal(r->mailbox->uid_validity, g->want.uidvalidity);
	assert_true(r->mailbox->read_only);
}

/* All mailboxes in one flight, through `port`; each message must come out as the oracle sees it. */
static void fetch_everything(const char *user, enum imap_tls tls, int port)
{
	const struct imap_list_options options = { .status = IMAP_ITEM_MESSAGES };
	struct imap_mailbox_list list;
	struct oracle *oracle = oracle_open(server->port, user);
	struct gathered *all;
	struct fixture f;

	fixture_init(&f, user, tls);
	f.trace.level = IMAP_TRACE_COMMANDS;
	if (port)
		snprintf(f.port, sizeof(f.port), "%d", port);
	OK(fixture_open(&f, &err_));
	OK(imap_list_wait(f.session, &options, &list, &err_));
	assert_true(list.complete);
	assert_int_equal(list.commands, 1);
	all = xcalloc(list.n, sizeof(*all));
	for (size_t i = 0; i < list.n; i++) {
		char *wire = bytes_dup(list.entries[i].name.wire);
		struct uidset set = UIDSET_INIT;
		struct imap_fetch_request q = {
			.uids = &set, .section = "",
			.items = IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE };
		const struct imap_fetch_sink sink = {
			.body_begin = gather_begin, .body_data = gather_data,
			.message = gather_message, .done = gather_done, .ctx = &all[i] };

		buf_init(&all[i].body, 64 << 20);
		oracle_dump(oracle, wire, &all[i].want);
		assert_int_equal(all[i].want.n, list.entries[i].messages);
		uidset_add_range(&set, 1, UINT32_MAX);
		OK(imap_select(f.session, bytes_of(wire), true, gather_opened, &all[i], &err_));
		OK(imap_fetch(f.session, &q, &sink, &err_));
		uidset_release(&set);
		free(wire);
	}
	OK(imap_session_drain(f.session, &err_));
	for (size_t i = 0; i < list.n; i++) {
		assert_int_equal(all[i].seen, all[i].want.n);
		assert_int_equal(all[i].done, 1);
		oracle_dump_release(&all[i].want);
		buf_release(&all[i].body);
	}
	assert_int_equal(imap_session_traffic(f.session).most_data_in_flight, 4);
	free(all);
	imap_mailbox_list_release(&list);
	oracle_close(oracle);
	fixture_release(&f);
}

static void test_all_mailboxes_in_one_flight_arrive_byte_for_byte(void **state)
{
	struct oracle *o = oracle_open(server->port, "flight");
	struct relay *relay;

	(void)state;
	for (int i = 0; i < 10; i++) {
		char name[32];

		snprintf(name, sizeof(name), "box%d", i);
		oracle_create(o, name);
		if (i)
			corpus_fill(o, name, (uint32_t)i * 20, 20, 0, 20000);
	}
	corpus_fill_mixed(o, "INBOX", 500, 60, 3 << 20);
	oracle_close(o);
	fetch_everything("flight", IMAP_TLS_IMPLICIT, 0);
	/* Tiny pieces: every token and every TLS record is cut somewhere. */
	relay = relay_start(&(struct relay_opts){ .port = server->tls_port, .piece = 1021 });
	fetch_everything("flight", IMAP_TLS_IMPLICIT, relay_port(relay));
	relay_stop(relay);
}

static void search_done(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	assert_int_equal(r->outcome, IMAP_DONE_OK);
	uidset_copy(ctx, found);
}

static void test_search_with_and_without_extensions(void **state)
{
	struct oracle *o = oracle_open(server->port, "searcher");

	(void)state;
	corpus_fill(o, "INBOX", 0, 30, 0, 100);
	oracle_store(o, "INBOX", "1:30", "-FLAGS", "\\Seen");
	oracle_store(o, "INBOX", "3:5,30", "+FLAGS", "\\Seen");
	oracle_close(o);
	for (int i = 0; i < 2; i++) {
		struct uidset found = UIDSET_INIT;
		struct buf text = BUF_INIT(4096);
		struct fixture f;

		fixture_init(&f, "searcher", IMAP_TLS_IMPLICIT);
		f.account.disable_extensions = i ? "ESEARCH" : NULL;
		OK(fixture_open(&f, &err_));
		OK(imap_select(f.session, bytes_of("INBOX"), true, NULL, NULL, &err_));
		OK(imap_search(f.session, "SEEN", NULL, search_done, &found, &err_));
		OK(imap_session_drain(f.session, &err_));
		uidset_format(&found, &text);
		assert_string_equal(buf_str(&text), "3:5,30");
		assert_int_equal(strstr(buf_str(&f.transcript), "RETURN (ALL)") == NULL, i == 1);
		uidset_release(&found);
		buf_release(&text);
		fixture_release(&f);
	}
}

static int start_server(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	return server ? 0 : -1;
}

static int stop_server(void **state)
{
	(void)state;
	dovecot_stop(server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_login_works_over_tls_starttls_and_clear_text),
		cmocka_unit_test(test_a_wrong_password_is_final),
		cmocka_unit_test(test_a_certificate_must_be_trusted_and_for_this_host),
		cmocka_unit_test(test_the_pin_that_a_refusal_names_is_accepted_and_no_other),
		cmocka_unit_test(test_a_client_certificate_is_shown_when_there_is_one),
		cmocka_unit_test(test_nobody_there_is_a_reason_to_try_again),
		cmocka_unit_test(test_a_mute_server_does_not_hold_us),
		cmocka_unit_test(test_the_stop_flag_ends_waiting),
		cmocka_unit_test(test_all_mailboxes_in_one_flight_arrive_byte_for_byte),
		cmocka_unit_test(test_search_with_and_without_extensions),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
