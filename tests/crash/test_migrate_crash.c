/*
 * Crash equals delay, for a migration: the program is stopped before every durable step, one after the other. After
 * each stop one run gives the complete state without duplicates, and the run after that finds nothing to do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/accounts.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"

enum { STEPS_MAX = 200 };

/* Each stop has two accounts of its own: the servers of the tests know every user. */
struct move {
	struct oracle *from, *to;
	char *from_user, *to_user;
	struct backup_config config;
	struct backup job;
};

static const struct dovecot_opts *opts; /* NULL: Dovecot as it is */
static struct dovecot *server;

static int start_server(void **state)
{
	(void)state;
	server = dovecot_start(opts);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	dovecot_stop(server);
	return 0;
}

static void begin(struct move *m, const char *what, unsigned n)
{
	*m = (struct move){ .from_user = xasprintf("from-%s-%u", what, n),
			    .to_user = xasprintf("to-%s-%u", what, n) };
	m->from = oracle_open(server->port, m->from_user);
	m->to = oracle_open(server->port, m->to_user);
	oracle_create(m->from, "Work");
	oracle_create(m->from, "empty");
	corpus_fill(m->from, "INBOX", 0, 12, 0, 3000);
	corpus_fill(m->from, "Work", 20, 8, 0, 3000);
	/* Twice the same on purpose, and some of it there already. */
	corpus_fill(m->from, "Work", 20, 2, 0, 3000);
	corpus_fill(m->to, "INBOX", 4, 2, 0, 3000);
	m->config = (struct backup_config){ .port = server->port, .user = m->from_user,
					    .to_port = server->port, .to_user = m->to_user };
	backup_init(&m->job, &m->config);
}

static void end(struct move *m)
{
	backup_release(&m->job);
	oracle_close(m->from);
	oracle_close(m->to);
	free(m->from_user);
	free(m->to_user);
}

static void change(struct move *m)
{
	corpus_fill(m->from, "INBOX", 60, 4, 0, 3000);
	corpus_fill(m->from, "empty", 70, 2, 0, 3000);
	oracle_store(m->from, "INBOX", "2:4", "FLAGS", "\\Flagged $Work");
	oracle_expunge(m->from, "INBOX", "5:6,9");
	oracle_command(m->from, "SELECT Work");
	oracle_command(m->from, "UID MOVE 2:3 INBOX");
	oracle_create(m->from, "late");
	corpus_fill(m->from, "late", 80, 3, 0, 3000);
}

/* True when the run was stopped at step `n`; false when it has fewer steps and came to its end. */
static bool crash_at(struct move *m, unsigned n, const char *args)
{
	char *env = xasprintf("CRASH_AT=%u", n);
	struct backup_result res;
	bool crashed;

	program_run(&m->job, &res, env, "migrate", args);
	crashed = res.status == CRASH_STATUS;
	if (!crashed && res.status != 0)
		fail_msg("%s: exit %d: %s", env, res.status, buf_str(&res.err));
	backup_result_release(&res);
	free(env);
	return crashed;
}

static void one_run_completes_and_the_next_is_idle(struct move *m, unsigned n, const char *args)
{
	struct backup_result res;

	migrate_expect(&m->job, &res, 0, NULL, args);
	if (res.missing || res.messages != res.copied + res.adopted)
		fail_msg("step %u: %s", n, buf_str(&res.out));
	backup_result_release(&res);
	accounts_equal(m->from, m->to, "");
	migrate_expect(&m->job, &res, 0, NULL, args);
	if (res.copied_now || res.adopted_now || res.removed || res.flags_changed || res.missing)
		fail_msg("step %u: the third run did something: %s", n, buf_str(&res.out));
	backup_result_release(&res);
	accounts_equal(m->from, m->to, "");
}

static void test_a_first_migration_stopped_at_any_step_is_completed(void **state)
{
	unsigned n = 1;
	bool crashed = true;

	(void)state;
	for (; crashed; n++) {
		struct move m;

		assert_true(n < STEPS_MAX);
		begin(&m, "first", n);
		crashed = crash_at(&m, n, "");
		one_run_completes_and_the_next_is_idle(&m, n, "");
		end(&m);
	}
	print_message("%u steps\n", n - 2);
	assert_true(n > 5);
}

static void test_a_later_migration_stopped_at_any_step_is_completed(void **state)
{
	static const char args[] = "--delete --allow-deletes=100";
	unsigned n = 1;
	bool crashed = true;

	(void)state;
	for (; crashed; n++) {
		struct move m;

		assert_true(n < STEPS_MAX);
		begin(&m, "later", n);
		one_run_completes_and_the_next_is_idle(&m, n, "");
		change(&m);
		crashed = crash_at(&m, n, args);
		one_run_completes_and_the_next_is_idle(&m, n, args);
		end(&m);
	}
	print_message("%u steps\n", n - 2);
	assert_true(n > 5);
}

/* A second stop while the first is being mended. */
static void test_a_resumed_migration_stopped_again_is_completed(void **state)
{
	bool crashed = true;

	(void)state;
	for (unsigned first = 2, n = 1; crashed; first += 4, n += 2) {
		struct move m;

		assert_true(first < STEPS_MAX);
		begin(&m, "again", first);
		crashed = crash_at(&m, first, "");
		crash_at(&m, n, "");
		one_run_completes_and_the_next_is_idle(&m, first, "");
		end(&m);
	}
}

int main(void)
{
	/* It tells no UIDs, so that they have to be found; one command for each message. */
	static const struct dovecot_opts poor = { .imap_capability = "IMAP4rev1 LITERAL+ NAMESPACE UNSELECT" };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_first_migration_stopped_at_any_step_is_completed),
		cmocka_unit_test(test_a_later_migration_stopped_at_any_step_is_completed),
		cmocka_unit_test(test_a_resumed_migration_stopped_again_is_completed),
	};
	const struct CMUnitTest poor_tests[] = {
		cmocka_unit_test(test_a_resumed_migration_stopped_again_is_completed),
	};
	int failed = cmocka_run_group_tests_name("migrating crash", tests, start_server, stop_server);

	opts = &poor;
	return failed + cmocka_run_group_tests_name("without UIDPLUS", poor_tests, start_server,
						    stop_server);
}
