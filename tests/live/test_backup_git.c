/* A real server's mail in a git archive, byte for byte, and kept so, with what was before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"

enum { MESSAGES = TEST_SANITIZED ? 150 : 1000, LARGEST = TEST_SANITIZED ? 2 << 20 : 25 << 20 };

static struct dovecot *server;
static struct oracle *oracle;
static struct backup job;

/* 1,000 messages over all mailboxes, some with two of the largest; one stays empty. */
static void fill(void)
{
	uint32_t share = MESSAGES / (uint32_t)(corpus_mailboxes_n - 1), next = 499 - share / 2;

	for (size_t i = 0; i < corpus_mailboxes_n; i++) {
		if (strcmp(corpus_mailboxes[i].wire, "INBOX") != 0)
			oracle_create(oracle, corpus_mailboxes[i].wire);
		if (corpus_mailboxes[i].messages == 0)
			continue;
		corpus_fill_mixed(oracle, corpus_mailboxes[i].wire, next, share, LARGEST);
		next += share;
	}
	corpus_fill_mixed(oracle, "INBOX", next, MESSAGES % (uint32_t)(corpus_mailboxes_n - 1),
			  LARGEST);
}

static int start(void **state)
{
	struct backup_config config = { .tls = "implicit", .type = "git" };

	(void)state;
	server = dovecot_start(NULL);
	oracle = oracle_open(server->port, "alice");
	fill();
	config.port = server->tls_port;
	config.account = xasprintf("tls_ca_file = %s\n", server->ca_file);
	backup_init(&job, &config);
	free((char *)(uintptr_t)config.account);
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

static void test_every_message_is_stored_byte_for_byte_with_flags_keywords_and_date(void **state)
{
	struct backup_result res;

	(void)state;
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.new_messages, MESSAGES);
	assert_string_equal(buf_str(&res.err), "");
	backup_result_release(&res);
	archive_equals(job.root, oracle);
	assert_int_equal(git_snapshots(job.root), 1);
}

static void test_a_second_run_transfers_and_writes_nothing(void **state)
{
	struct buf before = BUF_INIT(1 << 24), after = BUF_INIT(1 << 24);

	(void)state;
	archive_snapshot(job.root, &before);
	backup_idle(&job);
	archive_snapshot(job.root, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	buf_release(&before);
	buf_release(&after);
}

/* What a server counts on without anything to store: a flag set and taken back. */
static void test_a_run_that_found_nothing_to_store_is_no_commit(void **state)
{
	(void)state;
	oracle_store(oracle, "INBOX", "1", "+FLAGS", "$Fleeting");
	oracle_store(oracle, "INBOX", "1", "-FLAGS", "$Fleeting");
	backup_ends_with(&job, 0, "");
	assert_int_equal(git_snapshots(job.root), 1);
	backup_idle(&job);
}

static void test_changes_are_one_commit_and_history_holds_what_was(void **state)
{
	struct oracle_dump was;
	struct backup_result res;
	struct proc_result raw;
	char *spec;
	char hex[SHA256_HEX_SIZE];

	(void)state;
	oracle_dump(oracle, "INBOX", &was);
	corpus_fill(oracle, "INBOX", 700, 3, 0, 3000);
	oracle_store(oracle, "INBOX", "2:4", "FLAGS", "\\Flagged $Work");
	oracle_expunge(oracle, "INBOX", "5,9");
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.new_messages, 3);
	assert_int_equal(res.removed, 2);
	assert_int_equal(res.flags_changed, 3);
	backup_result_release(&res);
	archive_equals(job.root, oracle);
	assert_int_equal(git_snapshots(job.root), 2);
	spec = xasprintf("main~1:mailboxes/INBOX/messages/%06u/%02u/%010u.eml",
			 was.msg[4].uid / 10000, was.msg[4].uid / 100 % 100, was.msg[4].uid);
	proc_runl(&raw, NULL, "git", "-C", job.root, "cat-file", "blob", spec, NULL);
	assert_int_equal(raw.status, 0);
	sha256_hex(buf_bytes(&raw.out), hex);
	assert_string_equal(hex, was.msg[4].sha256);
	proc_result_release(&raw);
	oracle_dump_release(&was);
	free(spec);
	backup_idle(&job);
}

/* Another machine, or this one after its disk was replaced. */
static void test_a_clone_goes_on_where_the_archive_was(void **state)
{
	char *copy = path_join(job.dir, "clone"), *keep = path_join(job.dir, "original");
	struct proc_result res;

	(void)state;
	proc_runl(&res, NULL, "git", "clone", "-q", "--bare", job.root, copy, NULL);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	proc_runl(&res, NULL, "sh", "-c", "mv \"$1\" \"$2\" && mv \"$3\" \"$1\"", "sh", job.root,
		  keep, copy, NULL);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	remove_tree(job.state);
	corpus_fill(oracle, "INBOX", 800, 1, 0, 3000);
	backup_ends_with(&job, 0, "");
	archive_equals(job.root, oracle);
	assert_int_equal(git_snapshots(job.root), 3);
	backup_idle(&job);
	free(copy);
	free(keep);
}

/* By its path alone, as on a machine that has nothing but the archive. */
static void test_what_is_restored_from_it_is_the_same_mail(void **state)
{
	char *dir = path_join(job.dir, "restored");
	struct name_list want = { 0 }, got = { 0 };
	struct proc_result res;

	(void)state;
	proc_runl(&res, NULL, program_path(), "restore", job.root, dir, NULL);
	if (res.status != 0)
		fail_msg("exit %d: %s", res.status, buf_str(&res.err));
	proc_result_release(&res);
	archive_hashes(job.root, &want);
	archive_hashes(dir, &got);
	assert_int_equal(got.n, want.n);
	for (size_t i = 0; i < want.n; i++)
		assert_string_equal(got.name[i], want.name[i]);
	proc_runl(&res, NULL, program_path(), "ls", job.root, "INBOX", NULL);
	assert_int_equal(res.status, 0);
	assert_true(res.out.n > 0);
	proc_result_release(&res);
	name_list_release(&want);
	name_list_release(&got);
	free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_every_message_is_stored_byte_for_byte_with_flags_keywords_and_date),
		cmocka_unit_test(test_a_second_run_transfers_and_writes_nothing),
		cmocka_unit_test(test_a_run_that_found_nothing_to_store_is_no_commit),
		cmocka_unit_test(test_changes_are_one_commit_and_history_holds_what_was),
		cmocka_unit_test(test_a_clone_goes_on_where_the_archive_was),
		cmocka_unit_test(test_what_is_restored_from_it_is_the_same_mail),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
