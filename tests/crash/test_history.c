/*
 * Random histories: the account changes, files of the store are damaged, runs are stopped at random steps
 * and lines cut at random bytes. Whenever a run is left in peace, the store equals the account.
 * SEED and ROUNDS in the environment choose another history; the seed is printed.
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
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/busy_account.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"

enum { ROUNDS = 25 };

static const char *type; /* of the store */
static struct dovecot *server;
static struct oracle *oracle;
static char *maildir; /* the server's */
static struct busy_account busy;
static struct backup job;

static uint32_t below(uint32_t n)
{
	return busy_roll(&busy, n);
}

static int start(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	oracle = oracle_open(server->port, "alice");
	maildir = dovecot_maildir(server, "alice");
	busy_begin(&busy, oracle, maildir);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	oracle_close(oracle);
	dovecot_stop(server);
	backup_release(&job);
	free(maildir);
	return 0;
}

/* What a repository can do without, and what others do to it. */
static void disturb_repository(void)
{
	static const char *const lost[] = { "mailcask/tokens", "info/attributes" };
	char *path = path_join(job.root, lost[below(2)]);

	switch (below(3)) {
	case 0:
		remove(path);
		break;
	case 1:
		free(path);
		path = path_join(job.root, below(2) ? "refs/heads/main.lock" : "packed-refs.lock");
		write_file(path, bytes_of(""));
		break;
	default:
		git_do(job.root, "gc", "-q", "--prune=now");
		break;
	}
	free(path);
}

/* Remove or reflag one file that the store has. */
static void damage_store(void)
{
	struct archive a;
	const struct archive_mailbox *mb;
	char *path, *other;

	if (strcmp(type, "git") == 0) {
		disturb_repository();
		return;
	}
	archive_read(job.root, &a);
	mb = a.n ? &a.v[below((uint32_t)a.n)] : NULL;
	if (mb && mb->n > 0) {
		path = path_join(job.root, mb->msg[below((uint32_t)mb->n)].path);
		other = xasprintf("%.*s:2,S", (int)strcspn(path, ":"), path);
		assert_int_equal(below(2) ? remove(path) : rename(path, other), 0);
		free(path);
		free(other);
	}
	archive_release(&a);
}

static void configure(int port)
{
	const struct backup_config config = { .port = port, .type = type, .account = "timeout = 20\n",
					      .job = "max_delete = 1000000\n" };

	if (job.dir)
		backup_configure(&job, &config);
	else
		backup_init(&job, &config);
}

static void crashed_run(void)
{
	char *env = xasprintf("CRASH_AT=%u", 1 + below(30));
	struct backup_result res;

	backup_run_env(&job, &res, env, BUSY_BACKUP);
	if (res.status != CRASH_STATUS && res.status != 0)
		fail_msg("%s: exit %d: %s", env, res.status, buf_str(&res.err));
	backup_result_release(&res);
	free(env);
}

static void cut_run(void)
{
	struct relay *relay = relay_start(&(struct relay_opts){
		.port = server->port, .cut_to_client = 1 + below(8000),
		.cut_times = (int)below(4) + 1, .piece = below(2) ? 0 : 1 + below(50) });
	struct backup_result res;

	configure(relay_port(relay));
	backup_run(&job, &res, BUSY_BACKUP);
	if (res.status != 75 && res.status != 0 && res.status != 3 && res.status != 1)
		fail_msg("exit %d: %s", res.status, buf_str(&res.err));
	backup_result_release(&res);
	relay_stop(relay);
	configure(server->port);
}

static void test_after_any_history_a_run_in_peace_makes_both_equal(void **state)
{
	const char *rounds = getenv("ROUNDS");
	uint32_t n = rounds ? (uint32_t)strtoul(rounds, NULL, 10) : ROUNDS;

	(void)state;
	configure(server->port);
	for (uint32_t round = 0; round < n; round++) {
		for (uint32_t i = below(4); i > 0; i--)
			busy_change(&busy);
		for (uint32_t i = below(3); i > 0; i--) {
			if (below(2))
				crashed_run();
			else
				cut_run();
			if (below(2))
				busy_change(&busy);
		}
		backup_ends_with(&job, 0, BUSY_BACKUP);
		archive_equals(job.root, oracle);
		backup_idle(&job);
		if (below(3) == 0)
			damage_store();
	}
}

static int run(const char *store_type)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after_any_history_a_run_in_peace_makes_both_equal),
	};

	type = store_type;
	return cmocka_run_group_tests_name(type, tests, start, stop);
}

int main(void)
{
	return run("maildir") + run("git");
}
