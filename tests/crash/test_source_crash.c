/*
 * A backup of another program's Maildir, stopped before any durable step: the UIDs that were given
 * out go on meaning the same files, also when mail comes in before the next run, so that nothing
 * is taken for stored that is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/support.h"

enum { STEPS_MAX = 1000 };

static struct backup job;
static char *theirs;

static int start(void **state)
{
	char *text;

	(void)state;
	backup_init(&job, &(struct backup_config){ .port = 1 });
	theirs = path_join(job.dir, "theirs");
	text = xasprintf("[store theirs]\ntype = maildir\npath = %s\n"
			 "[store near]\ntype = maildir\npath = %s\n"
			 "[job job]\nkind = backup\nfrom = theirs\nto = near\n",
			 theirs, job.root);
	write_file(job.config, bytes_of(text));
	free(text);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	backup_release(&job);
	free(theirs);
	return 0;
}

static void deliver(const char *mailbox, unsigned n)
{
	static const char *const parts[] = { "", "/cur", "/new", "/tmp" };
	char *file = xasprintf("%s/%s/new/%03u.x", theirs, mailbox, n);
	char *body = xasprintf("Subject: %u\n\nin %s\n", n, mailbox);

	for (size_t i = 0; i < 4; i++) {
		char *dir = xasprintf("%s/%s%s", theirs, mailbox, parts[i]);

		mkdir(dir, 0700);
		free(dir);
	}
	write_file(file, bytes_of(body));
	free(file);
	free(body);
}

static void begin(void)
{
	backup_reset(&job);
	remove_tree(theirs);
	assert_int_equal(mkdir(theirs, 0700), 0);
	for (unsigned i = 10; i < 15; i++)
		deliver("INBOX", i);
	for (unsigned i = 10; i < 13; i++)
		deliver("Work", i);
}

static bool crash_at(unsigned n)
{
	char *env = xasprintf("CRASH_AT=%u", n);
	struct backup_result res;
	bool crashed;

	backup_run_env(&job, &res, env, "");
	crashed = res.status == CRASH_STATUS;
	if (!crashed && res.status != 0)
		fail_msg("%s: exit %d: %s", env, res.status, buf_str(&res.err));
	backup_result_release(&res);
	free(env);
	return crashed;
}

static void assert_complete(unsigned n)
{
	struct name_list want = { 0 }, got = { 0 };

	backup_ends_with(&job, 0, "");
	archive_hashes(theirs, &want);
	archive_hashes(job.root, &got);
	if (got.n != want.n)
		fail_msg("step %u: %zu messages there, %zu stored", n, want.n, got.n);
	for (size_t i = 0; i < want.n; i++)
		assert_string_equal(got.name[i], want.name[i]);
	name_list_release(&want);
	name_list_release(&got);
	backup_idle(&job);
}

static void test_a_first_run_stopped_at_any_step_is_completed_with_what_came_meanwhile(void **state)
{
	unsigned n = 1;

	(void)state;
	for (;; n++) {
		assert_true(n < STEPS_MAX);
		begin();
		if (!crash_at(n))
			break;
		/* They sort before all others: UIDs given out anew would be others. */
		deliver("INBOX", 1);
		deliver("INBOX", 2);
		deliver("Work", 1);
		assert_complete(n);
	}
	print_message("%u steps\n", n - 1);
	assert_true(n > 10);
}

static void test_a_later_run_stopped_at_any_step_is_completed_with_what_came_meanwhile(void **state)
{
	unsigned n = 1;

	(void)state;
	for (;; n++) {
		char *file = path_join(theirs, "INBOX/new/011.x");

		assert_true(n < STEPS_MAX);
		begin();
		backup_ends_with(&job, 0, "");
		deliver("INBOX", 8);
		deliver("Work", 9);
		remove_tree(file);
		free(file);
		if (!crash_at(n))
			break;
		deliver("INBOX", 1);
		deliver("Work", 2);
		assert_complete(n);
	}
	assert_true(n > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_first_run_stopped_at_any_step_is_completed_with_what_came_meanwhile),
		cmocka_unit_test(test_a_later_run_stopped_at_any_step_is_completed_with_what_came_meanwhile),
	};

	return cmocka_run_group_tests_name("source crash", tests, start, stop);
}
