#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "tests/lib/support.h"

/* The commands are little servers written in shell. */
#define PREAUTH "printf '* PREAUTH [CAPABILITY IMAP4rev1] hi\\r\\n'; "

static int give_password(void *ctx, struct buf *out, struct err *err)
{
	(void)err;
	buf_add_str(out, ctx);
	return 0;
}

struct fixture {
	struct imap_account account;
	char password[8];
	struct loop *loop;
	struct imap_session *session;
};

static int fixture_open(struct fixture *f, const char *command, struct err *err)
{
	*f = (struct fixture){ .password = "pw" };
	f->account = (struct imap_account){
		.name = "test",
		.host = "mail.example",
		.tunnel = command,
		.user = "alice",
		.password = give_password,
		.password_ctx = f->password,
		.timeout_ms = 5000,
	};
	f->loop = loop_new(NULL, NULL);
	f->session = imap_session_new(f->loop, &f->account, NULL);
	return imap_session_open(f->session, err);
}

static void fixture_release(struct fixture *f)
{
	imap_session_free(f->session);
	loop_free(f->loop);
}

static pid_t pid_in(const char *path)
{
	struct buf text = BUF_INIT(100);
	pid_t pid;

	read_file(path, &text);
	pid = (pid_t)strtol(buf_str(&text), NULL, 10);
	buf_release(&text);
	assert_true(pid > 1);
	return pid;
}

static void test_the_command_is_the_server_and_may_skip_the_login(void **state)
{
	struct fixture f;
	struct err err = { 0 };

	(void)state;
	if (fixture_open(&f, PREAUTH "read tag rest; printf '%s OK done\\r\\n' $tag; cat >&2", &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(imap_noop_wait(f.session, &err), 0);
	fixture_release(&f);
}

static void test_a_login_through_a_tunnel_needs_no_tls(void **state)
{
	struct fixture f;
	struct err err = { 0 };

	(void)state;
	if (fixture_open(&f, "printf '* OK [CAPABILITY IMAP4rev1] hi\\r\\n'; read tag rest; "
			 "[ \"$rest\" = \"$(printf 'LOGIN alice pw\\r')\" ] && "
			 "printf '%s OK [CAPABILITY IMAP4rev1] in\\r\\n' $tag; cat >&2", &err) < 0)
		fail_msg("%s", err.text);
	fixture_release(&f);
}

static void test_what_the_command_complains_about_is_in_the_error(void **state)
{
	static const struct {
		const char *command, *text;
	} cases[] = {
		{ "echo 'ssh: no route to h\033st' >&2; exit 255",
		  "mail.example closed the connection: ssh: no route to h\\x1Bst" },
		{ "true", "mail.example closed the connection" },
		{ "/does/not/exist", "not found" },
		/* more than a pipe holds, and the end of it counts */
		{ "head -c 300000 /dev/zero | tr '\\0' x >&2; echo ' the last word' >&2",
		  "xxx the last word" },
		/* written to by somebody who outlives the server's side */
		{ "exec >&- <&-; echo early >&2; sleep 0.1; echo late >&2", "early" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;
		struct err err = { 0 };

		assert_int_equal(fixture_open(&f, cases[i].command, &err), -1);
		if (err.kind != ERR_RETRY || !strstr(err.text, cases[i].text))
			fail_msg("case %zu: kind %d: %s", i, err.kind, err.text);
		fixture_release(&f);
	}
}

static void test_much_on_standard_error_stops_nothing(void **state)
{
	struct fixture f;
	struct err err = { 0 };

	(void)state;
	if (fixture_open(&f, "head -c 300000 /dev/zero >&2; " PREAUTH "cat >&2", &err) < 0)
		fail_msg("%s", err.text);
	fixture_release(&f);
}

static void test_the_command_ends_with_the_session_whatever_it_wants(void **state)
{
	static const char *const commands[] = {
		PREAUTH "cat >&2",
		PREAUTH "sleep 1000 & sleep 1000",
		"trap '' TERM; " PREAUTH "while :; do sleep 0.1; done",
		"trap '' TERM; sleep 1000 & " PREAUTH "cat >&2",
	};
	char *path = path_join(tmp_dir(), "pid");

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char *command = xasprintf("echo $$ >%s; %s", path, commands[i]);
		int64_t end = clock_ms() + 5000;
		struct fixture f;
		struct err err = { 0 };
		pid_t pid;

		if (fixture_open(&f, command, &err) < 0)
			fail_msg("case %zu: %s", i, err.text);
		pid = pid_in(path);
		assert_int_equal(kill(pid, 0), 0);
		fixture_release(&f);
		assert_int_equal(kill(pid, 0), -1);
		assert_int_equal(errno, ESRCH);
		/* what it started is waited for by others, which takes a moment */
		while (kill(-pid, 0) == 0 && clock_ms() < end)
			;
		assert_int_equal(kill(-pid, 0), -1);
		free(command);
	}
	free(path);
}

/* Nothing is started meanwhile: dash loses a signal that comes while it forks. */
static void test_the_command_is_asked_to_end_before_it_is_made_to(void **state)
{
	char *path = path_join(tmp_dir(), "end");
	char *command = xasprintf("trap 'echo asked >%s; exit' TERM; " PREAUTH
				  "read line; while :; do :; done", path);
	struct buf text = BUF_INIT(100);
	struct fixture f;
	struct err err = { 0 };

	(void)state;
	if (fixture_open(&f, command, &err) < 0)
		fail_msg("%s", err.text);
	fixture_release(&f);
	read_file(path, &text);
	assert_string_equal(buf_str(&text), "asked\n");
	buf_release(&text);
	free(command);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_command_is_the_server_and_may_skip_the_login),
		cmocka_unit_test(test_a_login_through_a_tunnel_needs_no_tls),
		cmocka_unit_test(test_what_the_command_complains_about_is_in_the_error),
		cmocka_unit_test(test_much_on_standard_error_stops_nothing),
		cmocka_unit_test(test_the_command_ends_with_the_session_whatever_it_wants),
		cmocka_unit_test(test_the_command_is_asked_to_end_before_it_is_made_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
