#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/account.h"
#include "cmd/config.h"
#include "cmd/login_memory.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/lib/support.h"

static char name[] = "work", user[] = "anna", host[] = "Mail.Example.org", tunnel[] = "ssh x imapd";
static struct config_account work;
static char *state_dir;

/* A state directory that is not there yet. */
static int begin(void **state)
{
	char *root = path_join(tmp_dir(), "state");

	(void)state;
	setenv("XDG_STATE_HOME", root, 1);
	state_dir = path_join(root, "mailcask");
	free(root);
	work = (struct config_account){ .head.name = name, .user = user, .host = host };
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(state_dir);
	return 0;
}

static void note(const struct config_account *ac, bool read_only, const char *mechanism)
{
	struct login_memory m;

	login_memory_init(&m, ac, read_only);
	login_memory_note(&m, mechanism);
	login_memory_release(&m);
}

/* What a later run is told; NULL: nothing. */
static void assert_recalled(const struct config_account *ac, const char *want)
{
	struct imap_login_memory got;
	struct login_memory m;
	struct err err = { 0 };

	login_memory_init(&m, ac, false);
	if (login_memory_recall(&m, &got, &err) < 0)
		fail_msg("%s", err.text);
	if (want)
		assert_string_equal(got.mechanism ? got.mechanism : "nothing", want);
	else
		assert_null(got.mechanism);
	assert_non_null(strstr(got.remedy, m.path));
	login_memory_release(&m);
}

static void assert_files(const char *want)
{
	struct buf found = BUF_INIT(65536);
	struct name_list l = { 0 };
	struct stat st;

	if (stat(state_dir, &st) == 0)
		dir_entries(state_dir, &l);
	for (size_t i = 0; i < l.n; i++)
		buf_addf(&found, "%s ", l.name[i]);
	assert_string_equal(buf_str(&found), want);
	name_list_release(&l);
	buf_release(&found);
}

static void test_the_strongest_login_is_kept_and_nothing_lowers_it(void **state)
{
	(void)state;
	assert_recalled(&work, NULL);
	note(&work, false, "SCRAM-SHA-256");
	assert_recalled(&work, "SCRAM-SHA-256");
	note(&work, false, "SCRAM-SHA-256-PLUS");
	assert_recalled(&work, "SCRAM-SHA-256-PLUS");
	note(&work, false, "SCRAM-SHA-256");
	note(&work, false, "PLAIN");
	note(&work, false, "XOAUTH2");
	assert_recalled(&work, "SCRAM-SHA-256-PLUS");
	assert_files("anna@mail.example.org:993.login ");
}

static void test_logins_that_could_not_get_weaker_leave_no_file(void **state)
{
	static const char *const weak[] = { "PLAIN", "LOGIN", "EXTERNAL", "OAUTHBEARER", "CRAM-MD5" };

	(void)state;
	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
		note(&work, false, weak[i]);
	assert_files("");
}

static void test_another_user_host_or_port_begins_anew(void **state)
{
	static char other[] = "bert", path[] = "a/../b", elsewhere[] = "mail2.example.org",
		    same[] = "mail.EXAMPLE.org";
	struct config_account ac = work;

	(void)state;
	note(&work, false, "SCRAM-SHA-256");
	ac.host = same;
	ac.port = 993;
	assert_recalled(&ac, "SCRAM-SHA-256");
	ac.host = elsewhere;
	assert_recalled(&ac, NULL);
	ac = work;
	ac.user = other;
	assert_recalled(&ac, NULL);
	ac = work;
	ac.tls = IMAP_TLS_STARTTLS;
	assert_recalled(&ac, NULL);
	ac.user = path;
	note(&ac, false, "SCRAM-SHA-1");
	assert_recalled(&ac, "SCRAM-SHA-1");
	assert_files("a%2F..%2Fb@mail.example.org:143.login anna@mail.example.org:993.login ");
}

static void test_a_dry_run_honours_and_writes_nothing(void **state)
{
	struct imap_login_memory got;
	struct account a;
	struct err err;

	(void)state;
	account_init(&a, &work, true);
	a.imap.remember(a.imap.memory_ctx, "SCRAM-SHA-256");
	assert_int_equal(a.imap.recall(a.imap.memory_ctx, &got, &err), 0);
	assert_string_equal(got.mechanism, "SCRAM-SHA-256"); /* for its other connections */
	account_release(&a);
	assert_files("");
	note(&work, false, "SCRAM-SHA-1");
	note(&work, true, "SCRAM-SHA-256-PLUS");
	assert_recalled(&work, "SCRAM-SHA-1");
}

static void test_a_tunnel_is_not_remembered(void **state)
{
	struct config_account ac = work;
	struct account a;

	(void)state;
	ac.tunnel = tunnel;
	account_init(&a, &ac, false);
	assert_null(a.imap.recall);
	assert_null(a.imap.remember);
	account_release(&a);
}

static void test_what_is_no_memory_is_an_error_that_says_what_to_do(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "names no mechanism that this version knows" },
		{ "SCRAM-SHA-2", "names no mechanism that this version knows" },
		{ "SCRAM-SHA-256\nSCRAM-SHA-1\n", "names no mechanism that this version knows" },
		{ "XOAUTH2\n", "names no mechanism that this version knows" },
		{ NULL, "Is a directory" },
	};

	(void)state;
	note(&work, false, "SCRAM-SHA-256");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_login_memory got;
		struct login_memory m;
		struct err err = { 0 };
		char *want;

		login_memory_init(&m, &work, false);
		remove_tree(m.path);
		if (cases[i].text)
			write_file(m.path, bytes_of(cases[i].text));
		else
			assert_int_equal(mkdir(m.path, 0700), 0);
		want = xasprintf("%s: %s, so it is not known whether the server offers less than "
				 "before. Remove that file to begin anew, or set 'auth' to the one "
				 "mechanism to be used", m.path, cases[i].why);
		assert_int_equal(login_memory_recall(&m, &got, &err), -1);
		assert_string_equal(err.text, want);
		assert_int_equal(err.kind, ERR_FATAL);
		login_memory_note(&m, "SCRAM-SHA-256-PLUS"); /* by name: left as it is */
		assert_int_equal(login_memory_recall(&m, &got, &err), -1);
		remove_tree(m.path);
		assert_int_equal(login_memory_recall(&m, &got, &err), 0);
		assert_null(got.mechanism);
		login_memory_release(&m);
		free(want);
	}
}

static void count_warnings(void *ctx, enum log_level level, const char *text)
{
	*(int *)ctx += level == LOG_WARN && strstr(text, "cannot be remembered");
}

static void test_a_state_that_cannot_be_written_is_warned_of_once(void **state)
{
	struct imap_login_memory got;
	struct login_memory m;
	struct err err = { 0 };
	int seen = 0;

	(void)state;
	write_file(getenv("XDG_STATE_HOME"), bytes_of("not a directory"));
	login_memory_init(&m, &work, false);
	assert_int_equal(login_memory_recall(&m, &got, &err), 0);
	assert_null(got.mechanism);
	log_set(LOG_WARN, count_warnings, &seen);
	login_memory_note(&m, "SCRAM-SHA-256");
	login_memory_note(&m, "SCRAM-SHA-256");
	log_set(LOG_ERROR, NULL, NULL);
	assert_int_equal(seen, 1);
	login_memory_release(&m);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_the_strongest_login_is_kept_and_nothing_lowers_it),
		TEST(test_logins_that_could_not_get_weaker_leave_no_file),
		TEST(test_another_user_host_or_port_begins_anew),
		TEST(test_a_dry_run_honours_and_writes_nothing),
		TEST(test_a_tunnel_is_not_remembered),
		TEST(test_what_is_no_memory_is_an_error_that_says_what_to_do),
		TEST(test_a_state_that_cannot_be_written_is_warned_of_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
