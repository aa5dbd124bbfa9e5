/* `mailcask imap` against a server that means harm or breaks off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "tests/lib/backup.h"
#include "tests/lib/fake_imap.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static struct fake_imap *fake;
static struct fake_mailbox *inbox;
static struct backup user; /* only its configuration is used */

static int setup(void **state)
{
	(void)state;
	fake = fake_new();
	inbox = fake_mailbox(fake, bytes_of("INBOX"));
	backup_init(&user, &(struct backup_config){ .port = fake_port(fake) });
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backup_release(&user);
	fake_free(fake);
	return 0;
}

static void run(struct proc_result *res, const char *const argv[])
{
	const char *vars[] = { user.env[0], user.env[1], NULL };
	struct proc_opts opts = { .env = vars };

	proc_run(res, &opts, argv);
}

/* Line ends apart. */
static void assert_harmless(const struct buf *text)
{
	assert_true(utf8_is_valid(buf_bytes(text)));
	for (size_t i = 0; i < text->n; i++)
		assert_true(text->p[i] == '\n' || (text->p[i] >= 32 && text->p[i] != 127));
}

static void test_names_from_a_server_do_not_reach_the_terminal_as_they_are(void **state)
{
	const char *const list[] = { program_path(), "imap", "far", "list", NULL };
	const char *const json[] = { program_path(), "--json", "imap", "far", "list", NULL };
	struct proc_result res;
	size_t lines = 0, n;

	(void)state;
	fake_hostile_mailboxes(fake);
	fake_hostile_names(&n);
	fake_mailbox(fake, bytes_of("exe.&IC4-txt")); /* U+202E turns what follows round */
	fake_start(fake);
	run(&res, list);
	assert_int_equal(res.status, 0);
	assert_harmless(&res.out);
	for (size_t i = 0; i < res.out.n; i++)
		lines += res.out.p[i] == '\n';
	assert_int_equal(lines, n + 2);
	assert_non_null(strstr(buf_str(&res.out), "exe.\\u{202E}txt"));
	proc_result_release(&res);
	run(&res, json);
	assert_int_equal(res.status, 0);
	assert_harmless(&res.out);
	proc_result_release(&res);
}

/* A message cut short leaves no file that looks whole. */
static void test_a_connection_that_breaks_leaves_no_half_file(void **state)
{
	char *dir = path_join(user.dir, "out");
	const char *const fetch[] = { program_path(), "imap", "far", "fetch", "--output", dir,
				      "INBOX", "1:3", "body", NULL };
	struct name_list names = { 0 };
	struct proc_result res;

	(void)state;
	for (uint32_t uid = 1; uid <= 3; uid++)
		fake_message(inbox, uid, "", NULL, bytes_of("Subject: whole\r\n\r\nbody\r\n"));
	fake_trick(fake, inbox, FAKE_CUT, 2, 10, -1);
	fake_start(fake);
	run(&res, fetch);
	assert_int_equal(res.status, 75);
	dir_entries(dir, &names);
	assert_int_equal(names.n, 1);
	assert_string_equal(names.name[0], "1.eml");
	proc_result_release(&res);
	name_list_release(&names);
	free(dir);
}

static void test_looking_opens_no_mailbox_for_changes(void **state)
{
	static const char *const commands[][3] = {
		{ "fetch", "INBOX", "1:*" }, { "search", "INBOX", "ALL" }, { "status", "INBOX", NULL },
		{ "list", NULL, NULL },	     { "examine", "INBOX", NULL },
	};
	struct buf sent = BUF_INIT(1 << 20);
	struct proc_result res;

	(void)state;
	fake_message(inbox, 1, "", NULL, bytes_of("Subject: x\r\n\r\n"));
	fake_start(fake);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *const argv[] = { program_path(), "imap", "far", commands[i][0],
					     commands[i][1], commands[i][2], NULL };

		run(&res, argv);
		assert_int_equal(res.status, 0);
		proc_result_release(&res);
	}
	fake_commands(fake, &sent);
	assert_non_null(strstr(buf_str(&sent), "EXAMINE"));
	assert_null(strstr(buf_str(&sent), "SELECT"));
	assert_null(strstr(buf_str(&sent), "BODY["));
	buf_release(&sent);
}

static void test_a_mailbox_that_ends_the_session_is_temporary(void **state)
{
	const char *const select[] = { program_path(), "imap", "far", "select", "INBOX", NULL };
	struct proc_result res;

	(void)state;
	fake_trick(fake, inbox, FAKE_BYE, 0, 0, -1);
	fake_start(fake);
	run(&res, select);
	assert_int_equal(res.status, 75);
	assert_string_equal(buf_str(&res.out), "");
	proc_result_release(&res);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_names_from_a_server_do_not_reach_the_terminal_as_they_are),
		T(test_a_connection_that_breaks_leaves_no_half_file),
		T(test_looking_opens_no_mailbox_for_changes),
		T(test_a_mailbox_that_ends_the_session_is_temporary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
