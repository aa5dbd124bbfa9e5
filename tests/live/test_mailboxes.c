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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_deleted_mailbox_goes_and_those_around_it_stay),
		cmocka_unit_test(test_a_large_deleted_mailbox_is_held_once_and_goes_when_allowed),
		cmocka_unit_test(test_files_of_others_stay_where_a_mailbox_went),
	};

	return cmocka_run_group_tests_name("mailboxes", tests, start, stop);
}
