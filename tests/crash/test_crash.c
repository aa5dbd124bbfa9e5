/*
 * Crash equals delay: the program is stopped before every durable step, one after the other. After each stop
 * one run gives the complete state without duplicates, and the run after that finds nothing to do.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"

enum { STEPS_MAX = 1000 };

static const char *type; /* of the store */
static struct dovecot *server;
static struct oracle *oracle;
static struct backup job;

static int start(void **state)
{
	struct backup_config config = { .type = type };

	(void)state;
	server = dovecot_start(NULL);
	oracle = oracle_open(server->port, "alice");
	oracle_create(oracle, "Archive/&AOQ-");
	oracle_create(oracle, "empty");
	oracle_create(oracle, "Sent");
	corpus_fill(oracle, "INBOX", 0, 12, 0, 3000);
	corpus_fill(oracle, "Archive/&AOQ-", 20, 8, 0, 3000);
	corpus_fill(oracle, "Sent", 40, 5, 0, 3000);
	config.port = server->port;
	backup_init(&job, &config);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	oracle_close(oracle);
	dovecot_stop(server);
	backup_release(&job);
	return 0;
}

/* True when the run was stopped at step `n`; false when it has fewer steps and came to its end. */
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

static void one_run_completes_and_the_next_is_idle(unsigned n)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);

	backup_ends_with(&job, 0, "");
	archive_equals(job.root, oracle);
	archive_snapshot(job.root, &before);
	backup_idle(&job);
	archive_snapshot(job.root, &after);
	if (strcmp(buf_str(&before), buf_str(&after)) != 0)
		fail_msg("step %u: the third run changed files", n);
	buf_release(&before);
	buf_release(&after);
}

static void copy(const char *from, const char *to)
{
	struct proc_result res;

	remove_tree(to);
	proc_runl(&res, NULL, "cp", "-a", from, to, NULL);
	if (res.status != 0)
		fail_msg("cp: %s", buf_str(&res.err));
	proc_result_release(&res);
}

static void test_a_first_backup_stopped_at_any_step_is_completed(void **state)
{
	unsigned n = 1;

	(void)state;
	for (;; n++) {
		assert_true(n < STEPS_MAX);
		backup_reset(&job);
		if (!crash_at(n))
			break;
		one_run_completes_and_the_next_is_idle(n);
	}
	print_message("%u steps\n", n - 1);
	assert_true(n > 10);
}

/* A second crash while the first is being mended. */
static void test_a_resumed_backup_stopped_again_is_completed(void **state)
{
	(void)state;
	for (unsigned first = 2, n = 1; first < STEPS_MAX; first += 3, n++) {
		backup_reset(&job);
		if (!crash_at(first))
			break;
		crash_at(n);
		one_run_completes_and_the_next_is_idle(first);
	}
}

static void change_the_account(void)
{
	corpus_fill(oracle, "INBOX", 60, 4, 0, 3000);
	corpus_fill(oracle, "empty", 70, 2, 0, 3000);
	oracle_store(oracle, "INBOX", "2:4", "FLAGS", "\\Flagged $Work");
	oracle_store(oracle, "Sent", "1", "+FLAGS", "\\Seen \\Answered");
	oracle_expunge(oracle, "INBOX", "5:6,9");
	oracle_expunge(oracle, "Archive/&AOQ-", "1,8");
	/* Moved: new in one place, gone from the other, never without a copy here. */
	oracle_command(oracle, "SELECT \"Sent\"");
	oracle_command(oracle, "UID MOVE 2:3 \"Archive/&AOQ-\"");
	oracle_create(oracle, "late");
	corpus_fill(oracle, "late", 80, 3, 0, 3000);
}

static void drop_uids(const char *maildir)
{
	static const char *const files[] = { "dovecot-uidlist", "dovecot.index", "dovecot.index.log",
					     "dovecot.index.cache" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *path = path_join(maildir, files[i]);

		remove_tree(path);
		free(path);
	}
}

/* Of the first and the third message in it. */
static void redate_two(const char *maildir)
{
	const struct timespec then[2] = { { .tv_sec = 86400 }, { .tv_sec = 86400 } };
	struct name_list files = { 0 };
	char *cur = path_join(maildir, "cur");

	dir_entries(cur, &files);
	assert_true(files.n > 2);
	for (size_t i = 0; i < 3; i += 2) {
		char *path = path_join(cur, files.name[i]);

		assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
		free(path);
	}
	name_list_release(&files);
	free(cur);
}

/*
 * UIDs and UIDVALIDITY are others. Most messages are recognised, two are fetched and paired by content,
 * some are gone and some new.
 */
static void renumber_the_account(void)
{
	char *inbox = dovecot_maildir(server, "alice"), *archive = path_join(inbox, ".Archive.&AOQ-");

	oracle_expunge(oracle, "INBOX", "2,11");
	corpus_fill(oracle, "INBOX", 90, 2, 0, 3000);
	oracle_close(oracle);
	dovecot_down(server);
	drop_uids(inbox);
	drop_uids(archive);
	redate_two(inbox);
	dovecot_restart(server);
	oracle = oracle_open(server->port, "alice");
	free(inbox);
	free(archive);
}

static void rename_mailbox(const char *from, const char *to)
{
	oracle_command(oracle, "SELECT INBOX");
	oracle_command(oracle, "RENAME \"%s\" \"%s\"", from, to);
}

/* Two swap their names with what lies below; one takes the name of a deleted one; mail comes and goes. */
static void rename_mailboxes(void)
{
	rename_mailbox("A", "swap");
	rename_mailbox("B", "A");
	rename_mailbox("swap", "B");
	oracle_command(oracle, "DELETE \"B/x\"");
	rename_mailbox("A/y", "B/x");
	rename_mailbox("C", "A/y");
	corpus_fill(oracle, "A", 100, 2, 0, 3000);
	oracle_expunge(oracle, "B", "1:2");
	oracle_command(oracle, "SELECT \"B\"");
	oracle_command(oracle, "UID MOVE 3:4 \"A/y\"");
	oracle_command(oracle, "SELECT INBOX");
	oracle_command(oracle, "DELETE \"empty\"");
}

/* Whatever the account still holds, and was stored before, is there at every moment. */
static void assert_nothing_lost(const struct name_list *before, const struct name_list *wanted)
{
	struct name_list now = { 0 };

	archive_hashes(job.root, &now);
	for (size_t i = 0; i < before->n; i++)
		if (name_list_has(wanted, before->name[i]) && !name_list_has(&now, before->name[i]))
			fail_msg("%s was lost", before->name[i]);
	name_list_release(&now);
}

static void stopped_at_any_step(void (*change)(void))
{
	char *root = path_join(tmp_dir(), "root"), *record = path_join(tmp_dir(), "state");
	struct name_list before = { 0 }, wanted = { 0 };
	unsigned n = 1;

	backup_reset(&job);
	backup_ends_with(&job, 0, "");
	copy(job.root, root);
	copy(job.state, record);
	archive_hashes(job.root, &before);
	change();
	backup_ends_with(&job, 0, "");
	archive_hashes(job.root, &wanted);
	for (;; n++) {
		assert_true(n < STEPS_MAX);
		copy(root, job.root);
		copy(record, job.state);
		if (!crash_at(n))
			break;
		assert_nothing_lost(&before, &wanted);
		one_run_completes_and_the_next_is_idle(n);
	}
	print_message("%u steps\n", n - 1);
	assert_true(n > 10);
	archive_equals(job.root, oracle);
	name_list_release(&before);
	name_list_release(&wanted);
	free(root);
	free(record);
}

static void test_changes_stopped_at_any_step_are_completed(void **state)
{
	(void)state;
	stopped_at_any_step(change_the_account);
}

static void test_binding_anew_stopped_at_any_step_is_completed(void **state)
{
	(void)state;
	stopped_at_any_step(renumber_the_account);
}

static void test_renames_stopped_at_any_step_are_completed(void **state)
{
	static const char *const mailboxes[] = { "A", "A/x", "B", "B/y", "C", "C/deep" };

	(void)state;
	for (uint32_t i = 0; i < sizeof(mailboxes) / sizeof(mailboxes[0]); i++) {
		oracle_create(oracle, mailboxes[i]);
		corpus_fill(oracle, mailboxes[i], 200 + 10 * i, 5 + i, 0, 3000);
	}
	stopped_at_any_step(rename_mailboxes);
}

static int run(const char *store_type)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_first_backup_stopped_at_any_step_is_completed),
		cmocka_unit_test(test_a_resumed_backup_stopped_again_is_completed),
		cmocka_unit_test(test_changes_stopped_at_any_step_are_completed),
		cmocka_unit_test(test_binding_anew_stopped_at_any_step_is_completed),
		cmocka_unit_test(test_renames_stopped_at_any_step_are_completed),
	};

	type = store_type;
	return cmocka_run_group_tests_name(type, tests, start, stop);
}

int main(void)
{
	return run("maildir") + run("git");
}
