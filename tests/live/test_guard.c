/* The guard: everyday deletions pass for ever, a wiped account does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"

static struct dovecot *server;

static int start(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	dovecot_stop(server);
	return 0;
}

static void init(struct backup *job, const char *user)
{
	const struct backup_config config = { .port = server->port, .user = user };

	backup_init(job, &config);
}

static void test_trash_emptied_nightly_and_drafts_going_to_zero_pass_for_40_runs(void **state)
{
	struct oracle *o = oracle_open(server->port, "daily");
	struct backup job;

	(void)state;
	init(&job, "daily");
	oracle_create(o, "Trash"); /* \Trash by the server's configuration */
	oracle_create(o, "Drafts");
	corpus_fill(o, "INBOX", 0, 30, 0, 500);
	for (uint32_t run = 0; run < 40; run++) {
		if (run % 2 == 0) {
			corpus_fill(o, "Trash", 100 * run, 25, 0, 500);
			corpus_fill(o, "Drafts", 100 * run + 50, 1, 0, 500);
		} else {
			oracle_expunge(o, "Trash", "1:*");
			oracle_expunge(o, "Drafts", "1:*");
		}
		backup_ends_with(&job, 0, "");
	}
	archive_equals(job.root, o);
	backup_release(&job);
	oracle_close(o);
}

/* Live and kept messages of all mailboxes. */
static void count(const struct backup *job, size_t *live, size_t *kept)
{
	struct archive a;

	*live = *kept = 0;
	archive_read(job->root, &a);
	for (size_t i = 0; i < a.n; i++)
		for (size_t k = 0; k < a.v[i].n; k++)
			++*(a.v[i].msg[k].kept ? kept : live);
	archive_release(&a);
}

static void fill(struct oracle *o)
{
	oracle_create(o, "Archive");
	corpus_fill(o, "INBOX", 0, 40, 0, 500);
	corpus_fill(o, "Archive", 50, 30, 0, 500);
}

static void test_an_emptied_account_ends_with_4_keeps_every_file_and_stores_what_is_new(void **state)
{
	struct oracle *o = oracle_open(server->port, "wiped");
	struct name_list before = { 0 }, after = { 0 };
	struct backup_result res;
	size_t live, kept;
	struct backup job;

	(void)state;
	init(&job, "wiped");
	fill(o);
	backup_ends_with(&job, 0, "");
	archive_hashes(job.root, &before);
	oracle_expunge(o, "INBOX", "1:*");
	oracle_expunge(o, "Archive", "1:*");
	oracle_create(o, "Ransom");
	corpus_fill(o, "Ransom", 900, 2, 100, 500);
	backup_expect(&job, &res, 4, "");
	assert_int_equal(res.new_messages, 2);
	assert_int_equal(res.removed, 0);
	assert_int_equal(res.held, 70);
	assert_int_equal(res.allow_deletes, 70);
	assert_non_null(strstr(buf_str(&res.err), "--allow-deletes=70"));
	backup_result_release(&res);
	archive_hashes(job.root, &after);
	assert_int_equal(after.n, 72);
	for (size_t i = 0; i < before.n; i++)
		assert_true(name_list_has(&after, before.name[i]));
	count(&job, &live, &kept);
	assert_int_equal(live, 2);
	assert_int_equal(kept, 70);
	name_list_release(&before);
	name_list_release(&after);
	backup_release(&job);
	oracle_close(o);
}

static void test_allow_deletes_lets_go_what_it_names_and_not_more(void **state)
{
	struct oracle *o = oracle_open(server->port, "allowed");
	struct backup_result res;
	struct backup job;

	(void)state;
	init(&job, "allowed");
	fill(o);
	backup_ends_with(&job, 0, "");
	oracle_expunge(o, "INBOX", "1:25");
	backup_expect(&job, &res, 4, "");
	assert_int_equal(res.allow_deletes, 25);
	backup_result_release(&res);
	backup_ends_with(&job, 4, "--allow-deletes=24");
	assert_int_equal(archive_count(job.root), 70);
	backup_expect(&job, &res, 0, "--allow-deletes=25");
	assert_int_equal(res.removed, 25);
	backup_result_release(&res);
	archive_equals(job.root, o);
	backup_idle(&job);
	backup_release(&job);
	oracle_close(o);
}

static void test_moved_messages_do_not_count(void **state)
{
	struct oracle *o = oracle_open(server->port, "moving");
	struct backup job;

	(void)state;
	init(&job, "moving");
	fill(o);
	backup_ends_with(&job, 0, "");
	oracle_command(o, "SELECT INBOX");
	oracle_command(o, "UID MOVE 1:35 Archive");
	backup_ends_with(&job, 0, "");
	archive_equals(job.root, o);
	backup_release(&job);
	oracle_close(o);
}

/* Held messages that come back at the source take their files over: no download, no duplicate. */
static void test_mail_that_comes_back_takes_over_what_was_kept(void **state)
{
	struct oracle *o = oracle_open(server->port, "back");
	size_t live, kept;
	struct backup job;

	(void)state;
	init(&job, "back");
	fill(o);
	backup_ends_with(&job, 0, "");
	oracle_expunge(o, "INBOX", "1:*");
	backup_ends_with(&job, 4, "");
	corpus_fill(o, "INBOX", 0, 40, 0, 500);
	backup_ends_with(&job, 0, "");
	count(&job, &live, &kept);
	assert_int_equal(live, 70);
	assert_int_equal(kept, 0);
	archive_equals(job.root, o);
	backup_idle(&job);
	backup_release(&job);
	oracle_close(o);
}

static void test_deletions_keep_keeps(void **state)
{
	struct oracle *o = oracle_open(server->port, "keeper");
	const struct backup_config config = { .port = server->port, .user = "keeper",
					      .job = "deletions = keep\n" };
	struct backup_result res;
	size_t live, kept;
	struct backup job;

	(void)state;
	backup_init(&job, &config);
	fill(o);
	backup_ends_with(&job, 0, "");
	oracle_expunge(o, "INBOX", "1:3");
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.kept, 3);
	backup_result_release(&res);
	backup_idle(&job);
	count(&job, &live, &kept);
	assert_int_equal(live, 67);
	assert_int_equal(kept, 3);
	backup_release(&job);
	oracle_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_trash_emptied_nightly_and_drafts_going_to_zero_pass_for_40_runs),
		cmocka_unit_test(
			test_an_emptied_account_ends_with_4_keeps_every_file_and_stores_what_is_new),
		cmocka_unit_test(test_allow_deletes_lets_go_what_it_names_and_not_more),
		cmocka_unit_test(test_moved_messages_do_not_count),
		cmocka_unit_test(test_mail_that_comes_back_takes_over_what_was_kept),
		cmocka_unit_test(test_deletions_keep_keeps),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
