/*
 * A second client changes the account at random, and after each round a backup must make the store equal,
 * whatever the server can do. ROUNDS and SEED in the environment; `make check-model` runs 200.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/busy_account.h"
#include "tests/lib/dovecot.h"

enum { ROUNDS = 5, CHANGES_MAX = 6 };

/* What the account acts as if it were not offered. */
static const struct profile {
	const char *name, *disabled;
} profiles[] = {
	{ "full", "" },
	{ "qresync-min", "ESEARCH, LIST-EXTENDED, LIST-STATUS, NAMESPACE, UNSELECT" },
	{ "condstore", "QRESYNC" },
	{ "esearch", "QRESYNC, CONDSTORE" },
	{ "plain+uidplus", "QRESYNC, CONDSTORE, ESEARCH, LIST-EXTENDED, LIST-STATUS" },
	{ "bare", "QRESYNC, CONDSTORE, ESEARCH, LIST-EXTENDED, LIST-STATUS, UIDPLUS, MOVE, "
		  "NAMESPACE, UNSELECT, ENABLE, ID, LITERAL+, SASL-IR, BINARY" },
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

/* `user`: nobody else's. */
static void follow(const struct profile *p, const char *type, const char *user)
{
	const char *given = getenv("ROUNDS");
	uint32_t rounds = given ? (uint32_t)strtoul(given, NULL, 10) : ROUNDS;
	char *account = xasprintf("disable_extensions = %s\n", p->disabled);
	const struct backup_config config = {
		.port = server->port, .type = type, .user = user, .account = *p->disabled ? account : "",
		.job = "max_delete = 1000000\nflag_check = 0s\n" };
	struct oracle *oracle = oracle_open(server->port, user);
	char *maildir = dovecot_maildir(server, user);
	struct busy_account busy;
	struct backup_result res;
	uint64_t renamed = 0;
	struct backup job;

	print_message("           %s, %s\n", type, p->name);
	backup_init(&job, &config);
	busy_begin(&busy, oracle, maildir);
	for (uint32_t round = 0; round < rounds; round++) {
		for (uint32_t i = 1 + busy_roll(&busy, CHANGES_MAX); i > 0; i--)
			busy_change(&busy);
		backup_expect(&job, &res, 0, BUSY_BACKUP);
		renamed += res.renamed;
		backup_result_release(&res);
		archive_equals(job.root, oracle);
	}
	print_message("           %u rounds, %llu mailboxes renamed\n", rounds,
		      (unsigned long long)renamed);
	assert_true(renamed > 0 || rounds < 20);
	backup_idle(&job);
	backup_release(&job);
	oracle_close(oracle);
	free(account);
	free(maildir);
}

static void test_after_each_round_store_and_server_are_equal(void **state)
{
	static const char *const types[] = { "maildir", "git" };

	(void)state;
	for (size_t t = 0; t < 2; t++)
		for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
			char *user = xasprintf("%s%zu", types[t], i);

			follow(&profiles[i], types[t], user);
			free(user);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after_each_round_store_and_server_are_equal),
	};

	return cmocka_run_group_tests_name("model", tests, start, stop);
}
