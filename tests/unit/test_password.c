#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/config.h"
#include "cmd/password.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "tests/lib/support.h"

static char name[] = "my.work", user[] = "anna", host[] = "mail.example.org";

static void get(const struct config_account *ac, int want_rc, struct buf *out, struct err *err)
{
	struct password_source src = { .account = ac };

	buf_init(out, 8192);
	*err = (struct err){ 0 };
	assert_int_equal(password_get(&src, out, err), want_rc);
	password_release(&src);
	assert_null(src.kept);
}

static void assert_password(const struct config_account *ac, const char *want)
{
	struct buf out;
	struct err err;

	get(ac, 0, &out, &err);
	assert_string_equal(buf_str(&out), want);
	buf_release_secret(&out);
}

static void assert_failure(const struct config_account *ac, enum err_kind kind, const char *want)
{
	struct buf out;
	struct err err;

	get(ac, -1, &out, &err);
	assert_string_equal(err.text, want);
	assert_int_equal(err.kind, kind);
	assert_int_equal(out.n, 0);
	buf_release_secret(&out);
}

static void with_command(struct config_account *ac, const char *command)
{
	*ac = (struct config_account){ .head.name = name, .user = user, .host = host };
	ac->password_command = xstrdup(command);
}

static void test_the_first_line_of_the_command_is_the_password(void **state)
{
	static const struct {
		const char *command, *want;
	} cases[] = {
		{ "printf 'secret\\n'", "secret" },
		{ "printf 'secret'", "secret" },
		{ "printf 'secret\\r\\n'", "secret" },
		{ "printf 'two words\\nuser: anna\\nurl: x\\n'", "two words" },
		{ "yes | head -c 200000", "y" }, /* all is read: the command is not killed */
		{ "false; echo x", "x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_account ac;

		with_command(&ac, cases[i].command);
		assert_password(&ac, cases[i].want);
		free(ac.password_command);
	}
}

static void test_a_token_is_fetched_anew_for_every_login(void **state)
{
	char *path = path_join(tmp_dir(), "count");
	struct config_account ac = { .head.name = name, .user = user, .host = host };
	struct password_source src = { .account = &ac };
	struct buf none = BUF_INIT(64);
	struct err err = { 0 };

	(void)state;
	ac.token_command = xasprintf("echo x >>%s; echo token$(wc -l <%s)", path, path);
	for (int i = 1; i <= 2; i++) {
		struct buf out = BUF_INIT(64);

		assert_int_equal(token_get(&src, &out, &err), 0);
		assert_string_equal(buf_str(&out), i == 1 ? "token1" : "token2");
		buf_release_secret(&out);
	}
	free(ac.token_command);
	ac.token_command = xstrdup("exit 7");
	assert_int_equal(token_get(&src, &none, &err), -1);
	assert_int_equal(err.kind, ERR_AUTH);
	assert_string_equal(err.text, "token_command of [account my.work] failed with status 7");
	free(ac.token_command);
	free(path);
}

static void test_a_command_that_fails_is_told(void **state)
{
	static const struct {
		const char *command, *want;
	} cases[] = {
		{ "echo secret; exit 3",
		  "password_command of [account my.work] failed with status 3" },
		{ "kill -9 $$", "password_command of [account my.work] was killed by signal 9" },
		{ "true", "password_command gave no password: its first line is empty" },
		{ "printf '\\nsecret\\n'",
		  "password_command gave no password: its first line is empty" },
		{ "printf 'a\\000b\\n'", "the first line of password_command is no password" },
		{ "head -c 5000 /dev/zero | tr '\\000' x",
		  "the first line of password_command is no password" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_account ac;

		with_command(&ac, cases[i].command);
		assert_failure(&ac, ERR_AUTH, cases[i].want);
		free(ac.password_command);
	}
}

static void test_a_password_file_is_read_only_when_it_is_private(void **state)
{
	struct config_account ac = { .head.name = name, .user = user, .host = host };
	char *want;

	(void)state;
	ac.password_file = path_join(tmp_dir(), "password");
	write_file(ac.password_file, bytes_of("secret\nmore\n"));
	assert_int_equal(chmod(ac.password_file, 0640), 0);
	want = xasprintf("password_file %s can be read by others: chmod 600 it", ac.password_file);
	assert_failure(&ac, ERR_CONFIG, want);
	free(want);
	assert_int_equal(chmod(ac.password_file, 0600), 0);
	assert_password(&ac, "secret");
	assert_int_equal(unlink(ac.password_file), 0);
	want = xasprintf("password_file %s: No such file or directory", ac.password_file);
	assert_failure(&ac, ERR_CONFIG, want);
	free(want);
	free(ac.password_file);
}

static void test_the_environment_comes_first(void **state)
{
	struct config_account ac = { .head.name = name, .user = user, .host = host };
	char configured[] = "configured";

	(void)state;
	ac.password = configured;
	assert_password(&ac, "configured");
	setenv("MAILCASK_PASSWORD_MY_WORK", "from outside", 1);
	assert_password(&ac, "from outside");
	unsetenv("MAILCASK_PASSWORD_MY_WORK");
}

static void test_it_is_asked_for_once(void **state)
{
	struct config_account ac;
	struct password_source src = { .account = &ac };
	char *mark = path_join(tmp_dir(), "mark"), *command;
	struct buf out = BUF_INIT(100);
	struct err err = { 0 };

	(void)state;
	command = xasprintf("mkdir %s && echo secret", mark); /* works once */
	with_command(&ac, command);
	assert_int_equal(password_get(&src, &out, &err), 0);
	assert_int_equal(password_get(&src, &out, &err), 0);
	assert_string_equal(buf_str(&out), "secretsecret");
	password_release(&src);
	buf_release_secret(&out);
	free(ac.password_command);
	free(command);
	free(mark);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_line_of_the_command_is_the_password),
		cmocka_unit_test(test_a_token_is_fetched_anew_for_every_login),
		cmocka_unit_test(test_a_command_that_fails_is_told),
		cmocka_unit_test(test_a_password_file_is_read_only_when_it_is_private),
		cmocka_unit_test(test_the_environment_comes_first),
		cmocka_unit_test(test_it_is_asked_for_once),
	};

	return cmocka_run_group_tests_name("password", tests, NULL, NULL);
}
