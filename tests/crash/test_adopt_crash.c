/*
 * A Maildir of another program that is taken over, stopped before any durable step: each message is there
 * once when the next run has ended, though that is not told again to take anything over, and what is nobody's
 * is as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/support.h"

enum {
	STEPS_MAX = 1000,
	HERE = 8, /* of theirs are there already */
	THEIRS = 11,
};

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

/* `name` is the file's, below cur. */
static void deliver(const char *root, const char *name, unsigned n)
{
	char *file = xasprintf("%s/INBOX/cur/%s", root, name);
	char *body = xasprintf("Message-ID: <%u@x>\nSubject: %u\n\nbody\n", n, n);

	write_file(file, bytes_of(body));
	free(file);
	free(body);
}

static void make_maildir(const char *root)
{
	static const char *const parts[] = { "", "/INBOX", "/INBOX/cur", "/INBOX/new", "/INBOX/tmp" };

	remove_tree(root);
	for (size_t i = 0; i < 5; i++) {
		char *dir = xasprintf("%s%s", root, parts[i]);

		assert_int_equal(mkdir(dir, 0700), 0);
		free(dir);
	}
}

static void begin(void)
{
	backup_reset(&job);
	make_maildir(theirs);
	make_maildir(job.root);
	for (unsigned i = 10; i < 10 + THEIRS; i++) {
		char *there = xasprintf("%u.x:2,%s", i, i % 2 ? "S" : ""), *here = xasprintf("%u.y:2,F", i);

		deliver(theirs, there, i);
		if (i < 10 + HERE)
			deliver(job.root, here, i);
		free(there);
		free(here);
	}
	deliver(job.root, "99.nobody:2,S", 99);
}

static bool crash_at(unsigned n)
{
	char *env = xasprintf("CRASH_AT=%u", n);
	struct backup_result res;
	bool crashed;

	backup_run_env(&job, &res, env, "--adopt");
	crashed = res.status == CRASH_STATUS;
	if (!crashed && res.status != 0)
		fail_msg("%s: exit %d: %s", env, res.status, buf_str(&res.err));
	if (!crashed && !strstr(buf_str(&res.out), "\"adopted\":8"))
		fail_msg("%s: not all were taken over: %s", env, buf_str(&res.out));
	backup_result_release(&res);
	free(env);
	return crashed;
}

/* The database is there, and so is the record, or neither is: then it has to be said again. */
static bool is_ours(void)
{
	char *record = backup_record(&job);
	bool there = access(record, F_OK) == 0;

	free(record);
	return there;
}

static void assert_complete(unsigned n)
{
	struct backup_result res;
	struct archive a;
	const struct archive_mailbox *inbox;
	char *nobody = path_join(job.root, "INBOX/cur/99.nobody:2,S");

	backup_run(&job, &res, is_ours() ? "" : "--adopt");
	if (res.status != 0)
		fail_msg("step %u: exit %d: %s", n, res.status, buf_str(&res.err));
	backup_result_release(&res);
	assert_int_equal(access(nobody, F_OK), 0);
	archive_read(job.root, &a);
	inbox = archive_find(&a, "INBOX");
	if (inbox->n != THEIRS + 1)
		fail_msg("step %u: %zu files instead of %d", n, inbox->n, THEIRS + 1);
	for (size_t i = 1; i < inbox->n; i++) { /* the first is bound to nothing */
		const struct archive_message *m = &inbox->msg[i];

		assert_true(m->indexed && !m->kept);
		assert_string_equal(m->flags, m->file_flags);
		assert_null(strstr(m->flags, "Flagged")); /* the source's word holds */
	}
	archive_release(&a);
	free(nobody);
	backup_idle(&job);
}

static void test_stopped_at_any_step_taking_over_goes_on_and_stores_nothing_twice(void **state)
{
	unsigned n = 1;

	(void)state;
	for (;; n++) {
		assert_true(n < STEPS_MAX);
		begin();
		if (!crash_at(n))
			break;
		assert_complete(n);
	}
	assert_complete(n);
	assert_true(n > 10);
	print_message("%u steps\n", n - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_stopped_at_any_step_taking_over_goes_on_and_stores_nothing_twice, start, stop),
	};

	return cmocka_run_group_tests_name("adopting crash", tests, NULL, NULL);
}
