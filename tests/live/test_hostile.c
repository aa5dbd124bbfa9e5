/* What real servers seldom do, and hostile ones will: bytes, names, cut lines, lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/fake_imap.h"
#include "tests/lib/imap_oracle.h"

static struct fake_imap *server;
static struct backup job;

static int start(void **state)
{
	struct backup_config config = { 0 };

	(void)state;
	server = fake_new();
	config.port = fake_port(server);
	backup_init(&job, &config);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fake_free(server);
	backup_release(&job);
	return 0;
}

static struct fake_mailbox *add(const char *name, uint32_t messages)
{
	struct fake_mailbox *mb = fake_mailbox(server, bytes_of(name));

	for (uint32_t i = 1; i <= messages; i++) {
		struct corpus_message m;

		corpus_message(i, corpus_size(i, 100, 3000), &m);
		fake_message(mb, i, i % 3 ? "" : "\\Seen", NULL, buf_bytes(&m.body));
		corpus_message_release(&m);
	}
	return mb;
}

/* What the archive holds is what the server says to somebody else. */
static void assert_same_as_server(void)
{
	struct oracle *o = oracle_open(fake_port(server), "alice");

	archive_equals(job.root, o);
	oracle_close(o);
}

static void test_any_bytes_come_back_even_when_the_database_is_gone(void **state)
{
	struct name_list before = { 0 }, after = { 0 }, files = { 0 };

	(void)state;
	fake_hostile_messages(fake_mailbox(server, bytes_of("INBOX")), 1);
	fake_hostile_messages(fake_mailbox(server, bytes_of("again")), 70000);
	fake_start(server);
	backup_ends_with(&job, 0, "");
	assert_same_as_server();
	backup_idle(&job);
	archive_hashes(job.root, &before);
	tree_files(job.root, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *path = path_join(job.root, files.name[i]);

		if (strncmp(files.name[i], "mailcask.db", 11) == 0)
			assert_int_equal(unlink(path), 0);
		free(path);
	}
	archive_hashes(job.root, &after);
	assert_int_equal(before.n, 36);
	assert_int_equal(after.n, before.n);
	for (size_t i = 0; i < before.n; i++)
		assert_string_equal(after.name[i], before.name[i]);
	name_list_release(&before);
	name_list_release(&after);
	name_list_release(&files);
}

/* Every component is printable, no longer than a file system takes and none climbs. */
static void assert_harmless_path(const char *path)
{
	for (const char *c = path; *c; c += strcspn(c, "/"), c += *c == '/') {
		size_t n = strcspn(c, "/");

		if (n == 0 || n > 255 || (n == 1 && *c == '.') ||
		    (n == 2 && strncmp(c, "..", 2) == 0) ||
		    (n == 4 && strncasecmp(c, ".git", 4) == 0))
			fail_msg("component \"%.*s\" of %s", (int)n, c, path);
	}
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			fail_msg("a control byte in %s", path);
}

static void assert_names_come_back(char delimiter)
{
	struct archive a;
	size_t n;

	fake_hostile_names(&n);
	archive_read(job.root, &a);
	assert_int_equal(a.n, n);
	for (size_t i = 0; i < a.n; i++) {
		struct buf body = BUF_INIT(1000);
		char hex[SHA256_HEX_SIZE], *path;

		assert_harmless_path(a.v[i].directory);
		for (size_t k = 0; k < i; k++)
			if (strcasecmp(a.v[k].directory, a.v[i].directory) == 0)
				fail_msg("%s and %s, delimiter %d", a.v[k].directory,
					 a.v[i].directory, delimiter);
		assert_int_equal(a.v[i].n, 1);
		path = path_join(job.root, a.v[i].msg[0].path);
		read_file(path, &body);
		sha256_hex(a.v[i].wire, hex);
		assert_string_equal(buf_str(&body), hex);
		buf_release(&body);
		free(path);
	}
	archive_release(&a);
}

static void assert_nothing_outside(void)
{
	struct name_list in_dir = { 0 }, in_parent = { 0 };

	dir_entries(job.dir, &in_dir);
	dir_entries(job.parent, &in_parent);
	assert_int_equal(in_dir.n, 3); /* config.ini state store */
	assert_int_equal(in_parent.n, 1);
	assert_string_equal(in_parent.name[0], "mail");
	name_list_release(&in_dir);
	name_list_release(&in_parent);
}

static void test_hostile_mailbox_names_stay_inside_and_come_back_exactly(void **state)
{
	static const char delimiters[] = { '/', '.', '\\', 0 };
	static const char *const layouts[] = { "layout = fs\n", "layout = maildir++\n" };

	(void)state;
	fake_hostile_mailboxes(server);
	for (size_t i = 0; i < sizeof(delimiters); i++)
		for (size_t k = 0; k < 2; k++) {
			const struct backup_config config = { .port = fake_port(server),
							      .store = layouts[k] };

			fake_stop(server);
			fake_delimiter(server, delimiters[i]);
			fake_start(server);
			backup_reset(&job);
			backup_configure(&job, &config);
			backup_ends_with(&job, 0, "");
			assert_nothing_outside();
			assert_names_come_back(delimiters[i]);
			backup_idle(&job);
		}
}

static void test_noselect_names_are_skipped(void **state)
{
	(void)state;
	add("INBOX", 2);
	fake_attributes(fake_mailbox(server, bytes_of("parent")), "\\Noselect");
	fake_attributes(fake_mailbox(server, bytes_of("ghost")), "\\NonExistent");
	add("parent/child", 1);
	fake_start(server);
	backup_ends_with(&job, 0, "");
	assert_int_equal(archive_count(job.root), 3);
	backup_idle(&job);
}

static void test_a_connection_cut_in_a_literal_is_resumed_without_fetching_twice(void **state)
{
	struct fake_mailbox *mb = fake_mailbox(server, bytes_of("INBOX"));
	struct backup_result first, second;

	(void)state;
	for (uint32_t i = 1; i <= 30; i++) {
		struct corpus_message m;

		corpus_message(i, i == 29 ? (size_t)3 << 20 : 200000, &m);
		fake_message(mb, i, "", NULL, buf_bytes(&m.body));
		corpus_message_release(&m);
	}
	add("other", 5);
	fake_trick(server, mb, FAKE_CUT, 29, 2 << 20, 1);
	fake_start(server);
	backup_run(&job, &first, "");
	if (first.status != 0 && first.status != 75)
		fail_msg("exit %d: %s", first.status, buf_str(&first.err));
	assert_true(first.new_messages >= 28);
	backup_expect(&job, &second, 0, "");
	assert_int_equal(first.new_messages + second.new_messages, 35);
	assert_same_as_server();
	backup_idle(&job);
	backup_result_release(&first);
	backup_result_release(&second);
}

static void test_a_server_that_always_cuts_ends_the_run_as_temporary(void **state)
{
	struct fake_mailbox *mb = add("INBOX", 9);
	struct backup_result res;

	(void)state;
	fake_trick(server, mb, FAKE_CUT, 5, 10, -1);
	fake_start(server);
	backup_run(&job, &res, "");
	assert_true(res.status == 75 || res.status == 3);
	backup_result_release(&res);
	fake_stop(server);
	fake_tricks_clear(server);
	fake_start(server);
	backup_ends_with(&job, 0, "");
	assert_same_as_server();
}

static void refuse_one(enum fake_trick trick, const char *what)
{
	struct fake_mailbox *mb = add(what, 9);
	struct backup_result res;

	fake_trick(server, mb, trick, 4, 0, -1);
	fake_start(server);
	backup_expect(&job, &res, 3, "");
	if (!strstr(buf_str(&res.err), "UID 4") || !strstr(buf_str(&res.out), "\"uid\":4"))
		fail_msg("%s: UID 4 is not listed: %s%s", what, buf_str(&res.out),
			 buf_str(&res.err));
	assert_int_equal(res.new_messages, 8);
	backup_result_release(&res);
	assert_int_equal(archive_count(job.root), 8);
	backup_expect(&job, &res, 3, ""); /* tried again, and still not accepted */
	assert_int_equal(res.new_messages, 0);
	backup_result_release(&res);
	fake_stop(server);
	fake_tricks_clear(server);
	fake_start(server);
	program_run(&job, &res, NULL, "quarantine", "job retry"); /* or it would rest for an hour */
	assert_int_equal(res.status, 0);
	backup_result_release(&res);
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.new_messages, 1);
	backup_result_release(&res);
	assert_same_as_server();
}

static void test_a_message_the_server_refuses_is_listed_and_the_rest_stored(void **state)
{
	(void)state;
	refuse_one(FAKE_NO, "refused");
}

static void test_a_message_the_server_passes_over_is_listed_and_the_rest_stored(void **state)
{
	(void)state;
	refuse_one(FAKE_OMIT, "omitted");
}

/* Run, expecting `status` and that no message file changed. */
static void left_alone(int status, const char *must_name)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct backup_result res;

	archive_snapshot(job.root, &before);
	backup_expect(&job, &res, status, "");
	archive_snapshot(job.root, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	if (must_name && !strstr(buf_str(&res.err), must_name))
		fail_msg("%s is not named: %s", must_name, buf_str(&res.err));
	backup_result_release(&res);
	buf_release(&before);
	buf_release(&after);
}

static void test_a_mailbox_there_but_not_listed_is_left_alone_and_one_gone_waits_for_it(void **state)
{
	struct fake_mailbox *unlisted = add("unlisted", 3);

	(void)state;
	add("gone", 4);
	add("INBOX", 2);
	fake_start(server);
	backup_ends_with(&job, 0, "");
	fake_stop(server);
	fake_remove(server, bytes_of("gone"));
	fake_trick(server, unlisted, FAKE_UNLISTED, 0, 0, -1);
	fake_start(server);
	left_alone(3, "unlisted");
	left_alone(3, "4 deletions wait");
	fake_stop(server);
	fake_remove(server, bytes_of("unlisted"));
	fake_start(server);
	backup_ends_with(&job, 0, "");
	assert_same_as_server();
}

static void test_answers_that_leave_messages_out_delete_nothing(void **state)
{
	struct fake_mailbox *mb = add("INBOX", 9);
	struct backup_result res;

	(void)state;
	fake_start(server);
	backup_ends_with(&job, 0, "");
	fake_stop(server);
	fake_trick(server, mb, FAKE_OMIT, 4, 0, -1); /* OK, and one is not in it */
	fake_start(server);
	backup_run(&job, &res, "");
	assert_int_equal(res.removed, 0);
	backup_result_release(&res);
	fake_stop(server);
	fake_tricks_clear(server);
	fake_trick(server, mb, FAKE_NO, 5, 0, -1);
	fake_start(server);
	backup_run(&job, &res, "");
	assert_int_equal(res.removed, 0);
	backup_result_release(&res);
	assert_int_equal(archive_count(job.root), 9);
	fake_stop(server);
	fake_tricks_clear(server);
	fake_start(server);
	backup_idle(&job);
	assert_same_as_server();
}

static void test_a_message_count_that_does_not_fit_proves_no_deletion(void **state)
{
	struct fake_mailbox *mb = add("INBOX", 9);
	struct backup_result res;

	(void)state;
	fake_start(server);
	backup_ends_with(&job, 0, "");
	fake_stop(server);
	fake_expunge(mb, 3);
	fake_trick(server, mb, FAKE_EXISTS, 0, 1, -1);
	fake_start(server);
	backup_run(&job, &res, "");
	assert_int_equal(res.removed, 0);
	backup_result_release(&res);
	assert_int_equal(archive_count(job.root), 9);
	fake_stop(server);
	fake_tricks_clear(server);
	fake_start(server);
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.removed, 1);
	backup_result_release(&res);
	assert_same_as_server();
}

static void test_a_list_that_fails_or_is_cut_short_deletes_nothing(void **state)
{
	static const enum fake_trick tricks[] = { FAKE_LIST_NO, FAKE_LIST_SHORT };

	(void)state;
	add("a", 3);
	add("b", 3);
	add("c", 3);
	fake_start(server);
	backup_ends_with(&job, 0, "");
	for (size_t i = 0; i < 2; i++) {
		struct backup_result res;

		fake_stop(server);
		fake_tricks_clear(server);
		fake_trick(server, NULL, tricks[i], 0, 0, -1);
		fake_start(server);
		backup_run(&job, &res, "");
		assert_int_not_equal(res.status, 0);
		assert_int_equal(res.removed, 0);
		assert_int_equal(archive_count(job.root), 9);
		backup_result_release(&res);
	}
}

#define FAKE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE(test_any_bytes_come_back_even_when_the_database_is_gone),
		FAKE(test_hostile_mailbox_names_stay_inside_and_come_back_exactly),
		FAKE(test_noselect_names_are_skipped),
		FAKE(test_a_connection_cut_in_a_literal_is_resumed_without_fetching_twice),
		FAKE(test_a_server_that_always_cuts_ends_the_run_as_temporary),
		FAKE(test_a_message_the_server_refuses_is_listed_and_the_rest_stored),
		FAKE(test_a_message_the_server_passes_over_is_listed_and_the_rest_stored),
		FAKE(test_a_mailbox_there_but_not_listed_is_left_alone_and_one_gone_waits_for_it),
		FAKE(test_answers_that_leave_messages_out_delete_nothing),
		FAKE(test_a_message_count_that_does_not_fit_proves_no_deletion),
		FAKE(test_a_list_that_fails_or_is_cut_short_deletes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
