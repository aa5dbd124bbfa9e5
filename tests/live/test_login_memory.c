/* The program at a server that offers less than it did before (S16). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "tests/lib/backup.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static struct dovecot *server;
static char *mechanisms; /* file with the setting; the server reads it when it starts */
static char *tls;        /* the account's line for the server's certificate */
static struct backup job;

static void offer(const char *list)
{
	char *text = xasprintf("auth_mechanisms = %s\n", list);

	write_file(mechanisms, bytes_of(text));
	free(text);
}

static int start_server(void **state)
{
	struct dovecot_opts opts = { 0 };
	char *extra;

	(void)state;
	mechanisms = path_join(tmp_dir(), "mechanisms.conf");
	offer("plain scram-sha-256");
	extra = xasprintf("!include %s\n", mechanisms);
	opts.extra = extra;
	opts.passdb = "passdb {\n  driver = static\n  args = password=pw\n}\n";
	server = dovecot_start(&opts);
	tls = xasprintf("tls_ca_file = %s\n", server->ca_file);
	free(extra);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	dovecot_stop(server);
	free(mechanisms);
	free(tls);
	return 0;
}

static void configure(const char *more)
{
	char *account = xasprintf("%s%s", tls, more);

	backup_configure(&job, &(struct backup_config){ .port = server->tls_port, .tls = "implicit",
							.account = account });
	free(account);
}

static int start(void **state)
{
	(void)state;
	offer("plain scram-sha-256");
	dovecot_restart(server);
	backup_init(&job, &(struct backup_config){ .port = server->tls_port });
	configure("");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	backup_release(&job);
	return 0;
}

static void server_offers_only(const char *list)
{
	offer(list);
	dovecot_restart(server);
}

/* `mailcask COMMAND ARG...`, with what it said on standard error. */
static void assert_ends(int status, const char *said, const char *command, const char *arg,
			const char *arg2)
{
	const char *vars[] = { job.env[0], job.env[1], NULL };
	const struct proc_opts opts = { .env = vars };
	struct proc_result res;

	proc_runl(&res, &opts, program_path(), command, arg, arg2, NULL);
	if (res.status != status || (*said ? !strstr(buf_str(&res.err), said) : res.err.n > 0))
		fail_msg("%s ended with %d, not %d, and said: %s", command, res.status, status,
			 buf_str(&res.err));
	proc_result_release(&res);
}

/* The file about this server's login, owned by the caller. */
static char *memory(void)
{
	return xasprintf("%s/mailcask/alice@127.0.0.1:%d.login", job.state, server->tls_port);
}

static void assert_memory(const char *want)
{
	char *path = memory();
	struct buf text = BUF_INIT(4096);

	if (want) {
		read_file(path, &text);
		assert_string_equal(buf_str(&text), want);
	} else {
		assert_int_equal(access(path, F_OK), -1);
	}
	buf_release(&text);
	free(path);
}

static void test_a_server_that_offers_less_than_before_gets_no_password(void **state)
{
	char *path = memory();
	char *said = xasprintf("127.0.0.1 offered SCRAM-SHA-256 before and now nothing better than "
			       "PLAIN: somebody may be between you and the server, so no password was "
			       "sent. If the change is intended, set 'auth = plain' or remove %s", path);
	char *log;

	(void)state;
	assert_ends(0, "", "backup", NULL, NULL);
	assert_memory("SCRAM-SHA-256\n");
	server_offers_only("plain");
	assert_ends(12, said, "backup", NULL, NULL);
	assert_ends(12, said, "plan", NULL, NULL);
	assert_ends(12, said, "imap", "far", "noop");
	assert_memory("SCRAM-SHA-256\n");
	log = dovecot_log(server);
	assert_null(strstr(log, "method=PLAIN"));
	assert_null(strstr(log, "auth failed"));
	free(log);
	free(said);
	free(path);
}

static void test_a_mechanism_by_name_lets_in_and_lowers_nothing(void **state)
{
	(void)state;
	assert_ends(0, "", "imap", "far", "noop");
	server_offers_only("plain");
	configure("auth = plain\n");
	assert_ends(0, "", "backup", NULL, NULL);
	assert_memory("SCRAM-SHA-256\n");
	configure("");
	assert_ends(12, "offered SCRAM-SHA-256 before", "backup", NULL, NULL);
}

static void test_without_its_file_the_login_is_as_the_first(void **state)
{
	char *path = memory();

	(void)state;
	assert_ends(0, "", "backup", NULL, NULL);
	server_offers_only("plain");
	assert_int_equal(unlink(path), 0);
	assert_ends(0, "", "backup", NULL, NULL);
	assert_memory(NULL);
	free(path);
}

static void test_a_better_offer_raises_what_is_demanded(void **state)
{
	(void)state;
	server_offers_only("plain scram-sha-1");
	assert_ends(0, "", "backup", NULL, NULL);
	assert_memory("SCRAM-SHA-1\n");
	server_offers_only("plain scram-sha-1 scram-sha-256");
	assert_ends(0, "", "imap", "far", "noop");
	assert_memory("SCRAM-SHA-256\n");
	server_offers_only("plain scram-sha-1");
	assert_ends(12, "nothing better than SCRAM-SHA-1", "imap", "far", "noop");
}

static void test_a_plan_honours_the_memory_and_writes_none(void **state)
{
	(void)state;
	assert_ends(0, "", "plan", "--quiet", NULL);
	assert_ends(0, "", "backup", "--dry-run", "--quiet");
	assert_int_equal(access(job.state, F_OK), -1);
}

static void test_a_damaged_memory_is_told_with_its_path(void **state)
{
	char *path = memory(), *said;

	(void)state;
	assert_ends(0, "", "backup", NULL, NULL);
	write_file(path, bytes_of("SCR"));
	said = xasprintf("%s: names no mechanism that this version knows", path);
	assert_ends(1, said, "backup", NULL, NULL);
	assert_ends(1, said, "imap", "far", "noop");
	configure("auth = scram-sha-256\n");
	assert_ends(0, "", "backup", NULL, NULL);
	assert_memory("SCR");
	free(said);
	free(path);
}

static void test_a_login_that_cannot_be_remembered_is_one_all_the_same(void **state)
{
	(void)state;
	write_file(job.state, bytes_of("not a directory"));
	assert_ends(0, "logins by SCRAM-SHA-256 cannot be remembered", "imap", "far", "noop");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(test_a_server_that_offers_less_than_before_gets_no_password),
		TEST(test_a_mechanism_by_name_lets_in_and_lowers_nothing),
		TEST(test_without_its_file_the_login_is_as_the_first),
		TEST(test_a_better_offer_raises_what_is_demanded),
		TEST(test_a_plan_honours_the_memory_and_writes_none),
		TEST(test_a_damaged_memory_is_told_with_its_path),
		TEST(test_a_login_that_cannot_be_remembered_is_one_all_the_same),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
