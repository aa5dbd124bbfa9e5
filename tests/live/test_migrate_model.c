/*
 * The source changes at random, and after each round a migration must make the target equal, whatever either server
 * can do; in some rounds a first run is stopped at a random step. ROUNDS and SEED in the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/accounts.h"
#include "tests/lib/backup.h"
#include "tests/lib/busy_account.h"
#include "tests/lib/dovecot.h"

enum { ROUNDS = 5, CHANGES_MAX = 6, STEPS_MAX = 25 };

#define DELETE "--delete --allow-deletes=1000000"

/* What the accounts act as if it were not offered. (Without UIDPLUS nothing is removed for good.) */
static const struct profile {
	const char *name, *source, *target;
} profiles[] = {
	{ "full", "", "" },
	{ "no mod-sequences, single messages", "QRESYNC, CONDSTORE", "MULTIAPPEND" },
	{ "bare", "QRESYNC, CONDSTORE, ESEARCH, LIST-EXTENDED, LIST-STATUS, NAMESPACE, UNSELECT",
	  "MULTIAPPEND, LITERAL+, ESEARCH, CONDSTORE, LIST-EXTENDED, LIST-STATUS, NAMESPACE, UNSELECT" },
};

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

/* Perhaps to its end. */
static void run_and_stop(struct backup *job, unsigned step)
{
	char *env = xasprintf("CRASH_AT=%u", step);
	struct backup_result res;

	program_run(job, &res, env, "migrate", "job " DELETE);
	if (res.status != CRASH_STATUS && res.status != 0)
		fail_msg("%s: exit %d: %s", env, res.status, buf_str(&res.err));
	backup_result_release(&res);
	free(env);
}

static char *disabled(const char *what)
{
	return *what ? xasprintf("disable_extensions = %s\n", what) : xstrdup("");
}

static void follow(const struct profile *p, size_t number)
{
	const char *given = getenv("ROUNDS");
	uint32_t rounds = given ? (uint32_t)strtoul(given, NULL, 10) : ROUNDS;
	char *from = xasprintf("from%zu", number), *to = xasprintf("to%zu", number);
	char *account = disabled(p->source), *near = disabled(p->target);
	const struct backup_config config = {
		.port = server->port, .user = from, .account = account, .to_port = server->port,
		.to_user = to, .near = near, .job = "max_delete = 1000000\nflag_check = 0s\n" };
	struct oracle *source = oracle_open(server->port, from), *target = oracle_open(server->port, to);
	char *maildir = dovecot_maildir(server, from);
	struct busy_account busy;
	struct backup_result res;
	struct backup job;

	print_message("           %s\n", p->name);
	backup_init(&job, &config);
	busy_begin(&busy, source, maildir);
	for (uint32_t round = 0; round < rounds; round++) {
		for (uint32_t i = 1 + busy_roll(&busy, CHANGES_MAX); i > 0; i--)
			busy_change(&busy);
		if (busy_roll(&busy, 3) == 0)
			run_and_stop(&job, 1 + busy_roll(&busy, STEPS_MAX));
		migrate_expect(&job, &res, 0, NULL, "job " DELETE);
		if (res.missing || res.messages != res.copied + res.adopted)
			fail_msg("round %u: %s", round, buf_str(&res.out));
		backup_result_release(&res);
		accounts_equal(source, target, "");
	}
	migrate_expect(&job, &res, 0, NULL, "job " DELETE);
	assert_int_equal(res.copied_now + res.adopted_now + res.flags_changed + res.removed, 0);
	backup_result_release(&res);
	backup_release(&job);
	oracle_close(source);
	oracle_close(target);
	free(account);
	free(near);
	free(maildir);
	free(from);
	free(to);
}

static void test_after_each_round_the_accounts_are_equal(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
		follow(&profiles[i], i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after_each_round_the_accounts_are_equal),
	};

	return cmocka_run_group_tests_name("migrating model", tests, start, stop);
}
