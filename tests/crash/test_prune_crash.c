/*
 * Freeing a server is a delay at worst, too: the program is stopped before every durable step, and between what it does
 * at the server; its line is cut anywhere. Whatever comes after, nothing is lost, and one run ends what was begun.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/proc.h"
#include "tests/lib/prune_scene.h"
#include "tests/lib/relay.h"

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

/* True when the run was stopped at step `n`; false when it has fewer steps. */
static bool stops_at(const struct prune_scene *s, unsigned n)
{
	char *env = xasprintf("CRASH_AT=%u", n);
	struct backup_result res;
	bool stopped;

	program_run(&s->job, &res, env, "prune-server", PRUNE_ALL);
	stopped = res.status == CRASH_STATUS;
	if (!stopped && res.status != 0)
		test_die("%s: exit %d: %s", env, res.status, buf_str(&res.err));
	backup_result_release(&res);
	free(env);
	return stopped;
}

/* What may happen after a run that was stopped, by `n`; then it is run again. */
static void go_on(struct prune_scene *s, unsigned n)
{
	prune_nothing_is_lost(s, s->job.root);
	if (n % 3 != 2)
		backup_ends_with(&s->job, 0, "");
	if (n % 2) { /* a mail program tidies up, and takes our marks for its user's */
		oracle_command(s->o, "SELECT INBOX");
		oracle_command(s->o, "EXPUNGE");
		backup_ends_with(&s->job, 0, "");
	}
	prune_nothing_is_lost(s, s->job.root);
	prune_says(s, "prune-server", PRUNE_ALL, 0, "", "");
	prune_is_complete(s);
}

static void stop_everywhere(const char *type, const char *more, unsigned at_least)
{
	unsigned n = 0;
	bool stopped = true;

	while (stopped) {
		char *user = xasprintf("stop-%s-%u", type, ++n);
		struct prune_scene s;

		prune_begin(&s, server, user, type, more);
		stopped = stops_at(&s, n);
		go_on(&s, n);
		prune_end(&s);
		free(user);
	}
	assert_true(n > at_least);
}

static void test_stopped_at_any_step_nothing_is_lost_from_git_and_the_next_run_ends_it(void **state)
{
	(void)state;
	stop_everywhere("git", NULL, 20);
}

static void test_stopped_at_any_step_nothing_is_lost_from_a_maildir_and_the_next_run_ends_it(void **state)
{
	(void)state;
	stop_everywhere("maildir", "map = Work -> Arbeit/Post\n", 10); /* what is leaving has other names here */
}

/* The UID of a message in INBOX that is marked \\Deleted; 0: there is none. */
static uint32_t marked(struct prune_scene *s)
{
	struct oracle_dump d;
	uint32_t uid = 0;

	oracle_dump(s->o, "INBOX", &d);
	for (size_t i = 0; i < d.n; i++)
		if (strstr(d.msg[i].flags, "\\Deleted"))
			uid = d.msg[i].uid;
	oracle_dump_release(&d);
	return uid;
}

/* Stopped with messages of INBOX marked; a user of the name `user` and a number. */
static void stop_while_marked(struct prune_scene *s, const char *user)
{
	for (unsigned n = 1;; n++) {
		char *name = xasprintf("%s-%u", user, n);

		prune_begin(s, server, name, "maildir", NULL);
		free(name);
		if (!stops_at(s, n))
			test_die("it was never stopped with messages marked");
		if (marked(s))
			return;
		prune_end(s);
	}
}

static void test_a_message_that_somebody_wants_after_all_stays_and_is_live_again(void **state)
{
	struct prune_scene s;
	char uid[16];

	(void)state;
	stop_while_marked(&s, "wanted");
	snprintf(uid, sizeof(uid), "%u", marked(&s));
	oracle_store(s.o, "INBOX", uid, "+FLAGS", "\\Flagged");
	backup_ends_with(&s.job, 0, "");
	prune_says(&s, "prune-server", PRUNE_ALL " --dry-run", 0, "an interrupted run has 30 messages to remove yet", "");
	prune_says(&s, "prune-server", PRUNE_ALL, 0, "\"finished\":29,", "");
	assert_int_equal(marked(&s), 0);
	assert_int_equal(prune_count_at_account(&s, "INBOX"), 2);
	backup_ends_with(&s.job, 0, "");
	archive_holds(s.job.root, 3, 29);
	prune_nothing_is_lost(&s, s.job.root);
	prune_says(&s, "prune-server", PRUNE_ALL, 0, "\"flagged\":1,", "");
	prune_end(&s);
}

static void test_a_message_that_was_damaged_meanwhile_stays_and_is_stored_again(void **state)
{
	struct name_list files = { 0 };
	struct prune_scene s;
	char *cur;

	(void)state;
	stop_while_marked(&s, "spoilt");
	cur = path_join(s.job.root, "INBOX/cur");
	dir_entries(cur, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *file = path_join(cur, files.name[i]);
		struct buf text = BUF_INIT(65536);

		read_file(file, &text);
		if (strstr(buf_str(&text), "number 7\n")) {
			text.p[text.n - 2] ^= 1;
			write_file(file, buf_bytes(&text));
		}
		buf_release(&text);
		free(file);
	}
	prune_says(&s, "prune-server", PRUNE_ALL, 3, "\"finished\":29,", "what was stored");
	assert_int_equal(marked(&s), 0);
	backup_ends_with(&s.job, 0, "");
	prune_nothing_is_lost(&s, s.job.root);
	prune_says(&s, "prune-server", PRUNE_ALL, 0, "\"removed\":1,", "");
	prune_nothing_is_lost(&s, s.job.root);
	name_list_release(&files);
	free(cur);
	prune_end(&s);
}

/* --- the line --- */

static void use_port(struct prune_scene *s, const char *user, int port)
{
	backup_configure(&s->job, &(struct backup_config){ .port = port, .user = user });
}

/* Ended as by a power cut, as soon as the line is torn. */
static void die_with_the_line(const struct prune_scene *s, const struct relay *r)
{
	const char *argv[] = { program_path(), "-q", "prune-server", "job", "--older-than=2y", "--allow-deletes=1000",
			       NULL };
	const char *env[] = { s->job.env[0], s->job.env[1], NULL };
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), status;
	pid_t pid = proc_spawn(argv, &(struct proc_spawn){ .env = env, .out_fd = nowhere, .err_fd = nowhere });
	bool ended = false;

	while (!ended && !relay_stats(r).cuts)
		ended = proc_wait(pid, 1, &status);
	if (!ended)
		proc_end(pid, SIGKILL);
	close(nowhere);
}

/* What goes over a line that is not cut. */
static struct relay_stats whole_run(void)
{
	struct relay *r = relay_start(&(struct relay_opts){ .port = server->port });
	struct relay_stats stats;
	struct prune_scene s;

	prune_begin(&s, server, "whole", NULL, NULL);
	use_port(&s, "whole", relay_port(r));
	prune_says(&s, "prune-server", PRUNE_ALL, 0, "\"removed\":30", "");
	stats = relay_stats(r);
	prune_end(&s);
	relay_stop(r);
	return stats;
}

static void cut(unsigned n, bool dies, uint64_t to_server, uint64_t to_client)
{
	struct relay *r = relay_start(&(struct relay_opts){
		.port = server->port, .cut_times = dies ? 0 : 1, .cut_to_server = to_server, .cut_to_client = to_client });
	char *user = xasprintf("cut-%u", n);
	struct backup_result res;
	struct prune_scene s;

	prune_begin(&s, server, user, NULL, NULL);
	use_port(&s, user, relay_port(r));
	if (dies) {
		die_with_the_line(&s, r);
	} else { /* once: the run goes on by itself, unless it has only begun */
		program_run(&s.job, &res, NULL, "prune-server", PRUNE_ALL);
		backup_result_release(&res);
	}
	use_port(&s, user, server->port);
	go_on(&s, n / 2);
	prune_end(&s);
	relay_stop(r);
	free(user);
}

/* CUTS=n: at that many places each way, for more than a check has time for. */
static void test_cut_at_any_byte_nothing_is_lost_and_the_next_run_ends_it(void **state)
{
	unsigned cuts = getenv("CUTS") ? (unsigned)atoi(getenv("CUTS")) : 6;
	struct relay_stats whole = whole_run();

	(void)state;
	for (unsigned i = 0; i < cuts; i++) {
		cut(2 * i, i % 2, whole.to_server * (i + 1) / (cuts + 1), 0);
		cut(2 * i + 1, i % 2 == 0, 0, whole.to_client * (i + 1) / (cuts + 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stopped_at_any_step_nothing_is_lost_from_git_and_the_next_run_ends_it),
		cmocka_unit_test(test_stopped_at_any_step_nothing_is_lost_from_a_maildir_and_the_next_run_ends_it),
		cmocka_unit_test(test_a_message_that_somebody_wants_after_all_stays_and_is_live_again),
		cmocka_unit_test(test_a_message_that_was_damaged_meanwhile_stays_and_is_stored_again),
		cmocka_unit_test(test_cut_at_any_byte_nothing_is_lost_and_the_next_run_ends_it),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
