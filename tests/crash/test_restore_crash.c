/*
 * A restore that is stopped before any durable step, one after the other: run again, it ends in the
 * same state as one that was never stopped, without duplicates, and the run after that changes
 * nothing.
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

#include "backends/maildir/maildir.h"
#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/conformance.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

enum { STEPS_MAX = 1000 };

static const struct store_under_test sut = { "source", &maildir_store, "fs" };
static struct bench source;
static char *target;

static void fill(const char *mailbox, uint32_t n)
{
	struct mailbox *mb = bench_mailbox(&source, mailbox);

	for (uint32_t i = 1; i <= n; i++) {
		/* The last is the first again. */
		char *body = xasprintf("Subject: %u\r\n\r\n%s\r\n", i < n ? i : 1, mailbox);
		struct put put = { .body = bytes_of(body), .flags = i % 2 ? "\\Seen $Work" : "" };

		bench_put(mb, i, &put, NULL);
		free(body);
	}
}

static int start(void **state)
{
	struct uidset kept = set_of("3:4");
	struct mailbox *mb;
	struct err err = { 0 };

	(void)state;
	bench_init(&source, &sut);
	bench_open(&source);
	fill("INBOX", 8);
	fill("Archive/\xc3\xa4", 5);
	mb = bench_mailbox(&source, "empty");
	must(store_create(source.st, &mb->name, MAILBOX_SENT | MAILBOX_SUBSCRIBED, &err), &err);
	bench_commit(&source);
	must(mailbox_keep(bench_find(&source, "INBOX"), &kept, true, &err), &err);
	bench_commit(&source);
	bench_close(&source);
	uidset_release(&kept);
	target = path_join(tmp_dir(), "deep/target");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	bench_release(&source);
	free(target);
	return 0;
}

/* Returns the exit status; `crash` 0: to the end. */
static int run(unsigned crash, const char *option)
{
	char *env = xasprintf("CRASH_AT=%u", crash);
	const char *vars[] = { "MAILCASK_CONFIG=/nonexistent", crash ? env : NULL, NULL };
	const char *argv[] = { program_path(), "restore", source.path, target, option, NULL };
	struct proc_opts opts = { .env = vars };
	struct proc_result res;
	int status;

	proc_run(&res, &opts, argv);
	status = res.status;
	if (status != 0 && status != CRASH_STATUS)
		fail_msg("%s: exit %d: %s", env, status, buf_str(&res.err));
	proc_result_release(&res);
	free(env);
	return status;
}

static void one_run_completes_and_the_next_is_idle(unsigned n, const char *option)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);

	assert_int_equal(run(0, option), 0);
	archives_equal(source.path, target);
	archive_snapshot(target, &before);
	assert_int_equal(run(0, NULL), 0);
	archive_snapshot(target, &after);
	if (strcmp(buf_str(&before), buf_str(&after)) != 0)
		fail_msg("step %u: the third run changed files", n);
	buf_release(&before);
	buf_release(&after);
}

static void test_a_restore_stopped_at_any_step_is_completed(void **state)
{
	unsigned n = 1;

	(void)state;
	for (;; n++) {
		char *parent = bytes_dup(bytes_from(target, strlen(target) - strlen("/target")));

		assert_true(n < STEPS_MAX);
		remove_tree(parent);
		free(parent);
		if (run(n, NULL) == 0)
			break;
		one_run_completes_and_the_next_is_idle(n, NULL);
	}
	print_message("%u steps\n", n - 1);
	assert_true(n > 10);
}

static void test_a_resumed_restore_stopped_again_is_completed(void **state)
{
	(void)state;
	for (unsigned first = 2, n = 1; first < STEPS_MAX; first += 3, n += 2) {
		remove_tree(target);
		if (run(first, NULL) == 0)
			break;
		run(n, NULL);
		one_run_completes_and_the_next_is_idle(first, NULL);
	}
}

/* Every second file of a mailbox. */
static void delete_files(const char *dir)
{
	char *path = path_join(target, dir);
	struct name_list files = { 0 };

	dir_entries(path, &files);
	for (size_t i = 0; i < files.n; i += 2) {
		char *file = path_join(path, files.name[i]);

		assert_int_equal(unlink(file), 0);
		free(file);
	}
	name_list_release(&files);
	free(path);
}

static void test_bringing_back_what_was_deleted_stopped_at_any_step_is_completed(void **state)
{
	unsigned n = 1;

	(void)state;
	for (;; n++) {
		assert_true(n < STEPS_MAX);
		remove_tree(target);
		assert_int_equal(run(0, NULL), 0);
		delete_files("INBOX/cur");
		delete_files("Archive/\xc3\xa4/cur");
		if (run(n, NULL) == 0)
			break;
		assert_int_equal(run(0, NULL), 0);
		/* Rows of what the user deleted stay behind: compare the files alone. */
		struct name_list want = { 0 }, got = { 0 };

		archive_hashes(source.path, &want);
		archive_hashes(target, &got);
		assert_int_equal(got.n, want.n);
		for (size_t i = 0; i < got.n; i++)
			assert_string_equal(got.name[i], want.name[i]);
		name_list_release(&want);
		name_list_release(&got);
	}
	assert_true(n > 5);
}

/* Another program's files in the target, which count as there and stay. */
static void make_foreign(void)
{
	static const char *const dirs[] = { "", "INBOX", "INBOX/cur", "INBOX/new", "INBOX/tmp" };
	char *file = path_join(target, "INBOX/cur/1.x:2,S");

	remove_tree(target);
	for (size_t i = 0; i < 5; i++) {
		char *dir = path_join(target, dirs[i]);

		assert_int_equal(mkdir(dir, 0700), 0);
		free(dir);
	}
	write_file(file, bytes_of("Subject: 1\n\nINBOX\n"));
	free(file);
}

static void assert_tmp_is_empty(const char *dir)
{
	char *path = path_join(target, dir);
	struct name_list files = { 0 };

	dir_entries(path, &files);
	assert_int_equal(files.n, 0);
	free(path);
}

static unsigned attributes_of(const char *mailbox)
{
	struct bench b = { .sut = &sut, .path = target };
	struct mailbox_list list;
	unsigned attributes;

	b.cfg = (struct store_config){ .name = "target", .path = target };
	bench_open_as(&b, STORE_READ);
	attributes = bench_info(&b, mailbox, &list)->attributes;
	mailbox_list_release(&list);
	bench_close(&b);
	return attributes;
}

static void test_adding_to_a_strange_maildir_stopped_at_any_step_is_completed(void **state)
{
	unsigned n = 1;

	(void)state;
	for (;; n++) {
		char *file = path_join(target, "INBOX/cur/1.x:2,S");
		bool ended;

		assert_true(n < STEPS_MAX);
		make_foreign();
		ended = run(n, "--adopt") == 0;
		assert_int_equal(run(0, "--adopt"), 0);
		assert_int_equal(archive_count(target), 13);
		assert_tmp_is_empty("INBOX/tmp");
		assert_tmp_is_empty("Archive/\xc3\xa4/tmp");
		assert_int_equal(attributes_of("empty"), MAILBOX_SENT | MAILBOX_SUBSCRIBED);
		assert_int_equal(run(0, NULL), 0);
		assert_int_equal(archive_count(target), 13);
		assert_int_equal(access(file, F_OK), 0);
		free(file);
		if (ended)
			break;
	}
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_restore_stopped_at_any_step_is_completed),
		cmocka_unit_test(test_a_resumed_restore_stopped_again_is_completed),
		cmocka_unit_test(test_bringing_back_what_was_deleted_stopped_at_any_step_is_completed),
		cmocka_unit_test(test_adding_to_a_strange_maildir_stopped_at_any_step_is_completed),
	};

	return cmocka_run_group_tests_name("restore crash", tests, start, stop);
}
