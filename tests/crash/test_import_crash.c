/*
 * An import that is stopped before any durable step, one after the other: all of it is there or nothing, and run again,
 * every message is there exactly once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

enum { MESSAGES = 7, STEPS_MAX = 1000 };

static char *mbox, *store;

static int start(void **state)
{
	struct buf text = BUF_INIT(65536);

	(void)state;
	mbox = path_join(tmp_dir(), "Old.mbox");
	store = path_join(tmp_dir(), "store");
	for (int i = 0; i < MESSAGES; i++) /* the last is the first again */
		buf_addf(&text, "From ann Thu Feb 29 13:05:09 2024\nSubject: %d\nStatus: RO\nX-Keywords: blue\n\nx\n\n",
			 i % (MESSAGES - 1));
	write_file(mbox, buf_bytes(&text));
	buf_release(&text);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	free(mbox);
	free(store);
	return 0;
}

/* Returns the exit status; `crash` 0: to the end. */
static int import(const char *type, const char *into, unsigned crash)
{
	char *env = xasprintf("CRASH_AT=%u", crash), *create = xasprintf("--create=%s", type);
	const char *vars[] = { "MAILCASK_CONFIG=/nonexistent", crash ? env : NULL, NULL };
	const char *argv[] = { program_path(), "import", "--into", into, create, mbox, store, NULL };
	struct proc_opts opts = { .env = vars };
	struct proc_result res;
	int status;

	proc_run(&res, &opts, argv);
	status = res.status;
	if (status != 0 && status != CRASH_STATUS)
		fail_msg("%s: exit %d: %s", env, status, buf_str(&res.err));
	proc_result_release(&res);
	free(create);
	free(env);
	return status;
}

/* What lies there, by what only reads it: all or nothing, for `ls` and for check. */
static size_t kept_now(void)
{
	static const char *const args[][3] = { { "check", "--read-data" }, { "ls", "--json" } };
	size_t kept = 0;

	for (size_t i = 0; i < 2; i++) {
		const char *argv[] = { program_path(), args[i][0], args[i][1], store, NULL };
		struct proc_opts opts = { .env = (const char *[]){ "MAILCASK_CONFIG=/nonexistent", NULL } };
		struct proc_result res;

		proc_run(&res, &opts, argv);
		if (res.status != 0)
			fail_msg("%s: exit %d: %s", args[i][0], res.status, buf_str(&res.err));
		for (const char *at = buf_str(&res.out); i == 1 && (at = strstr(at, "\"kept\":")); at++)
			kept += strtoul(at + strlen("\"kept\":"), NULL, 10);
		proc_result_release(&res);
	}
	return kept;
}

static void complete(const char *type, unsigned n)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);

	assert_int_equal(import(type, "Old", 0), 0);
	archive_holds(store, 0, 2 * MESSAGES);
	archive_snapshot(store, &before);
	assert_int_equal(import(type, "Old", 0), 0);
	archive_snapshot(store, &after);
	if (strcmp(buf_str(&before), buf_str(&after)) != 0)
		fail_msg("step %u: the third import changed files", n);
	buf_release(&before);
	buf_release(&after);
}

static void stopped_at_any_step(const char *type)
{
	unsigned n = 1;

	for (;; n++) {
		size_t kept;

		assert_true(n < STEPS_MAX);
		remove_tree(store);
		assert_int_equal(import(type, "Before", 0), 0);
		if (import(type, "Old", n) == 0)
			break;
		kept = kept_now();
		if (kept != MESSAGES && kept != 2 * MESSAGES)
			fail_msg("step %u: %zu messages", n, kept);
		complete(type, n);
	}
	print_message("%u steps\n", n - 1);
	assert_true(n > 5);
}

static void test_an_import_into_git_stopped_at_any_step_is_whole_or_not_there(void **state)
{
	(void)state;
	stopped_at_any_step("git");
}

static void test_an_import_into_a_maildir_stopped_at_any_step_is_whole_or_not_there(void **state)
{
	(void)state;
	stopped_at_any_step("maildir");
}

/* Also of an archive that is being made. */
static void test_a_new_archive_stopped_at_any_step_is_completed(void **state)
{
	static const char *const types[] = { "git", "maildir" };

	(void)state;
	for (unsigned n = 1, t = 0; t < 2; n++) {
		assert_true(n < STEPS_MAX);
		remove_tree(store);
		if (import(types[t], "Old", n) == 0) {
			t++;
			n = 0;
			continue;
		}
		assert_int_equal(import(types[t], "Old", 0), 0);
		archive_holds(store, 0, MESSAGES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_import_into_git_stopped_at_any_step_is_whole_or_not_there),
		cmocka_unit_test(test_an_import_into_a_maildir_stopped_at_any_step_is_whole_or_not_there),
		cmocka_unit_test(test_a_new_archive_stopped_at_any_step_is_completed),
	};

	return cmocka_run_group_tests_name("import, stopped", tests, start, stop);
}
