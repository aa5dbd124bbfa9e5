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
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/msgset/uidset.h"
#include "tests/lib/dovecot.h"
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
		if (getenv("SHOW"))
			printf("%s\n", buf_str(&f.transcript));
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
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
