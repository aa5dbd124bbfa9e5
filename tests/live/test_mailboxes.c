/* Mailboxes that go at the server, and mailboxes that are called otherwise there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"

static const char *const types[] = { "maildir", "git" };

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

/* An account and its job. */
struct scene {
	struct oracle *o;
	struct backup job;
	char *user;
};

static void begin(struct scene *s, const char *name, const char *type)
{
	s->user = xasprintf("%s-%s", name, type);
	s->o = oracle_open(server->port, s->user);
	backup_init(&s->job, &(struct backup_config){ .port = server->port, .user = s->user,
						     .type = type });
}

static void end(struct scene *s)
{
	backup_release(&s->job);
	oracle_close(s->o);
	free(s->user);
}

/* Which must not be selected. */
static void delete(struct oracle *o, const char *mailbox)
{
	oracle_command(o, "SELECT INBOX");
	oracle_command(o, "DELETE \"%s\"", mailbox);
}

/* One run that ends with 0 makes store and server equal, and the next has nothing to do. */
static void follows(struct scene *s, struct backup_result *res)
{
	backup_expect(&s->job, res, 0, "");
	archive_equals(s->job.root, s->o);
	backup_idle(&s->job);
}

static bool has(const struct backup *job, const char *mailbox)
{
	struct archive a;
	bool found;

	archive_read(job->root, &a);
	found = archive_find(&a, mailbox) != NULL;
	archive_release(&a);
	return found;
}

/* Dovecot goes on listing it, for those below it. */
static void test_a_deleted_mailbox_with_others_below_holds_nothing_up(void **state)
{
	(void)state;
	for (size_t t = 0; t < 2; t++) {
		struct backup_result res;
		struct scene s;

		begin(&s, "parent", types[t]);
		oracle_create(s.o, "Old");
		oracle_create(s.o, "Old/below");
		oracle_create(s.o, "Name");
		oracle_create(s.o, "Name/below");
		delete(s.o, "Name");
		corpus_fill(s.o, "INBOX", 0, 5, 0, 500);
		corpus_fill(s.o, "Old", 10, 5, 0, 500);
		corpus_fill(s.o, "Old/below", 20, 5, 0, 500);
		backup_ends_with(&s.job, 0, "");
		backup_idle(&s.job);
		delete(s.o, "Old");
		oracle_expunge(s.o, "INBOX", "1");
		backup_expect(&s.job, &res, 3, "");
		assert_int_equal(res.removed, 1);
		assert_non_null(strstr(buf_str(&res.err), "says that there is no such mailbox"));
		backup_result_release(&res);
		assert_true(has(&s.job, "Old"));
		delete(s.o, "Old/below");
		delete(s.o, "Name/below");
		follows(&s, &res);
		assert_int_equal(res.removed, 10);
		backup_result_release(&res);
		end(&s);
	}
}

static void test_a_deleted_mailbox_goes_and_those_around_it_stay(void **state)
{
	(void)state;
	for (size_t t = 0; t < 2; t++) {
		struct backup_result res;
		struct scene s;

		begin(&s, "gone", types[t]);
		oracle_create(s.o, "Old");
		oracle_create(s.o, "Old/below");
		oracle_create(s.o, "Empty");
		corpus_fill(s.o, "INBOX", 0, 5, 0, 500);
		corpus_fill(s.o, "Old", 10, 5, 0, 500);
		corpus_fill(s.o, "Old/below", 20, 5, 0, 500);
		backup_ends_with(&s.job, 0, "");
		delete(s.o, "Old/below");
		delete(s.o, "Empty");
		follows(&s, &res);
		assert_int_equal(res.removed, 5);
		assert_int_equal(res.new_messages, 0);
		backup_result_release(&res);
		assert_true(has(&s.job, "Old"));
		assert_false(has(&s.job, "Old/below"));
		assert_false(has(&s.job, "Empty"));
		/* And one that had others below it when it was backed up. */
		oracle_create(s.o, "Old/below");
		backup_ends_with(&s.job, 0, "");
		delete(s.o, "Old/below");
		delete(s.o, "Old");
		follows(&s, &res);
		assert_int_equal(res.removed, 5);
		backup_result_release(&res);
		assert_false(has(&s.job, "Old"));
		end(&s);
	}
}

static void test_a_deleted_mailbox_goes_although_a_file_of_it_is_missing(void **state)
{
	struct name_list files = { 0 };
	struct backup_result res;
	char *cur, *path;
	struct scene s;

	(void)state;
	begin(&s, "missing", "maildir");
	oracle_create(s.o, "Old");
	corpus_fill(s.o, "INBOX", 0, 5, 0, 500);
	corpus_fill(s.o, "Old", 10, 3, 0, 500);
	backup_ends_with(&s.job, 0, "");
	cur = path_join(s.job.root, "Old/cur");
	dir_entries(cur, &files);
	path = path_join(cur, files.name[0]);
	assert_int_equal(unlink(path), 0);
	delete(s.o, "Old");
	follows(&s, &res);
	backup_result_release(&res);
	assert_false(has(&s.job, "Old"));
	name_list_release(&files);
	free(path);
	free(cur);
	end(&s);
}

static void test_a_large_deleted_mailbox_is_held_once_and_goes_when_allowed(void **state)
{
	(void)state;
	for (size_t t = 0; t < 2; t++) {
		struct backup_result res;
		struct scene s;

		begin(&s, "large", types[t]);
		oracle_create(s.o, "Old");
		corpus_fill(s.o, "INBOX", 0, 5, 0, 500);
		corpus_fill(s.o, "Old", 10, 50, 0, 500);
		backup_ends_with(&s.job, 0, "");
		delete(s.o, "Old");
		backup_expect(&s.job, &res, 4, "");
		assert_int_equal(res.held, 50);
		backup_result_release(&res);
		backup_idle(&s.job);
		assert_true(has(&s.job, "Old"));
		backup_ends_with(&s.job, 0, "--allow-deletes=50");
		archive_equals(s.job.root, s.o);
		backup_idle(&s.job);
		end(&s);
	}
}

static void test_files_of_others_stay_where_a_mailbox_went(void **state)
{
	struct backup_result res;
	struct scene s;
	char *path;

	(void)state;
	begin(&s, "foreign", "maildir");
	oracle_create(s.o, "Old");
	corpus_fill(s.o, "INBOX", 0, 5, 0, 500);
	corpus_fill(s.o, "Old", 10, 5, 0, 500);
	backup_ends_with(&s.job, 0, "");
	delete(s.o, "Old");
	path = xasprintf("%s/Old/cur/theirs:2,S", s.job.root);
	write_file(path, bytes_of("Subject: mine\n\nhello\n"));
	backup_expect(&s.job, &res, 0, "");
	assert_int_equal(res.removed, 5);
	backup_result_release(&res);
	backup_idle(&s.job);
	assert_int_equal(access(path, F_OK), 0);
	assert_true(has(&s.job, "Old"));
	free(path);
	end(&s);
}

static void rename_mailbox(struct oracle *o, const char *from, const char *to)
{
	oracle_command(o, "SELECT INBOX");
	oracle_command(o, "RENAME \"%s\" \"%s\"", from, to);
}

/* How many messages the archive once had and has no more, by restoring them. */
static size_t count_deleted(const struct scene *s)
{
	char *to = xasprintf("%s/deleted", s->job.parent);
	char *args = xasprintf("--deleted-since 2020-01-01 near %s", to);
	struct backup_result res;
	size_t n;

	program_run(&s->job, &res, NULL, "restore", args);
	if (res.status != 0)
		fail_msg("restore: exit %d: %s", res.status, buf_str(&res.err));
	n = access(to, F_OK) == 0 ? archive_count(to) : 0;
	remove_tree(to);
	backup_result_release(&res);
	free(args);
	free(to);
	return n;
}

static void test_renamed_mailboxes_are_renamed_with_all_below_them_and_nothing_is_downloaded(void **state)
{
	(void)state;
	for (size_t t = 0; t < 2; t++) {
		struct backup_result res;
		struct scene s;

		begin(&s, "renamed", types[t]);
		oracle_create(s.o, "Work");
		oracle_create(s.o, "Work/&AOQ-");
		oracle_create(s.o, "Work/&AOQ-/empty");
		corpus_fill(s.o, "INBOX", 0, 5, 0, 500);
		corpus_fill(s.o, "Work", 10, 50, 0, 500);
		corpus_fill(s.o, "Work/&AOQ-", 100, 50, 0, 500);
		backup_ends_with(&s.job, 0, "");
		rename_mailbox(s.o, "Work", "Old/&AOQ-");
		follows(&s, &res);
		assert_int_equal(res.new_messages + res.removed + res.bytes, 0);
		assert_non_null(strstr(buf_str(&res.out), "\"from\":\"Work\",\"to\":\"Old/\\u00E4\""));
		backup_result_release(&res);
		/* and what comes to it comes to it */
		corpus_fill(s.o, "Old/&AOQ-/&AOQ-", 200, 3, 0, 500);
		follows(&s, &res);
		assert_int_equal(res.new_messages, 3);
		backup_result_release(&res);
		/* its history goes on: only what was removed since counts as deleted */
		if (strcmp(types[t], "git") == 0) {
			assert_int_equal(count_deleted(&s), 0);
			oracle_expunge(s.o, "Old/&AOQ-", "1:2");
			follows(&s, &res);
			backup_result_release(&res);
			assert_int_equal(count_deleted(&s), 2);
		}
		end(&s);
	}
}

static void test_names_that_were_swapped_are_swapped(void **state)
{
	(void)state;
	for (size_t t = 0; t < 2; t++) {
		struct backup_result res;
		struct scene s;

		begin(&s, "swapped", types[t]);
		oracle_create(s.o, "A");
		oracle_create(s.o, "A/x");
		oracle_create(s.o, "B");
		oracle_create(s.o, "B/x");
		corpus_fill(s.o, "A", 10, 50, 0, 500);
		corpus_fill(s.o, "A/x", 100, 20, 0, 500);
		corpus_fill(s.o, "B", 200, 40, 0, 500);
		corpus_fill(s.o, "B/x", 300, 30, 0, 500);
		backup_ends_with(&s.job, 0, "");
		rename_mailbox(s.o, "A", "C");
		rename_mailbox(s.o, "B", "A");
		rename_mailbox(s.o, "C", "B");
		follows(&s, &res);
		assert_int_equal(res.new_messages + res.removed, 0);
		backup_result_release(&res);
		/* onto a name that is free because its mailbox was deleted */
		delete(s.o, "A/x");
		rename_mailbox(s.o, "B/x", "A/x");
		backup_expect(&s.job, &res, 4, ""); /* the guard has its say on what was deleted */
		assert_int_equal(res.new_messages, 0);
		assert_int_equal(res.held, 30);
		backup_result_release(&res);
		backup_ends_with(&s.job, 0, "--allow-deletes=30");
		archive_equals(s.job.root, s.o);
		backup_idle(&s.job);
		end(&s);
	}
}

static void test_following_a_mailbox_of_20000_messages_costs_less_than_10_kb(void **state)
{
	struct relay *relay = relay_start(&(struct relay_opts){ .port = server->port });
	struct oracle *o = oracle_open(server->port, "big");
	struct backup job[2];

	(void)state;
	oracle_create(o, "Big");
	corpus_fill(o, "Big", 0, 20000, 0, 300);
	for (size_t t = 0; t < 2; t++) {
		backup_init(&job[t], &(struct backup_config){ .port = relay_port(relay), .user = "big",
							     .type = types[t] });
		backup_ends_with(&job[t], 0, "");
	}
	rename_mailbox(o, "Big", "Bigger");
	for (size_t t = 0; t < 2; t++) {
		struct relay_stats before = relay_stats(relay);
		struct backup_result res;
		uint64_t cost;

		backup_expect(&job[t], &res, 0, "");
		cost = relay_stats(relay).to_client - before.to_client;
		print_message("%s: %llu bytes received\n", types[t], (unsigned long long)cost);
		assert_in_range(cost, 1, 10240);
		assert_int_equal(res.new_messages + res.removed + res.bytes, 0);
		assert_true(has(&job[t], "Bigger"));
		backup_idle(&job[t]);
		backup_result_release(&res);
		backup_release(&job[t]);
	}
	oracle_close(o);
	relay_stop(relay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_deleted_mailbox_with_others_below_holds_nothing_up),
		cmocka_unit_test(test_a_deleted_mailbox_goes_and_those_around_it_stay),
		cmocka_unit_test(test_a_deleted_mailbox_goes_although_a_file_of_it_is_missing),
		cmocka_unit_test(test_a_large_deleted_mailbox_is_held_once_and_goes_when_allowed),
		cmocka_unit_test(test_files_of_others_stay_where_a_mailbox_went),
		cmocka_unit_test(
			test_renamed_mailboxes_are_renamed_with_all_below_them_and_nothing_is_downloaded),
		cmocka_unit_test(test_names_that_were_swapped_are_swapped),
		cmocka_unit_test(test_following_a_mailbox_of_20000_messages_costs_less_than_10_kb),
	};

	return cmocka_run_group_tests_name("mailboxes", tests, start, stop);
}
