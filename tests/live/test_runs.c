/* How a run behaves towards its user: silence, a dry run, an interruption, several jobs, patterns, layouts. */
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

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"
#include "tests/lib/relay.h"

static struct dovecot *server;
static struct oracle *oracle;
static struct backup job;

static int start_server(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	oracle = oracle_open(server->port, "alice");
	for (size_t i = 0; i < corpus_mailboxes_n; i++) {
		if (strcmp(corpus_mailboxes[i].wire, "INBOX") != 0)
			oracle_create(oracle, corpus_mailboxes[i].wire);
		corpus_fill(oracle, corpus_mailboxes[i].wire, 100 * (uint32_t)i,
			    corpus_mailboxes[i].messages, 0, 3000);
	}
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	oracle_close(oracle);
	dovecot_stop(server);
	return 0;
}

static int start(void **state)
{
	const struct backup_config config = { .port = server->port };

	(void)state;
	backup_init(&job, &config);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	backup_release(&job);
	return 0;
}

/* As cron runs it: nothing is a terminal. */
static void assert_silent(const char *command, const char *arg)
{
	const char *vars[] = { job.env[0], job.env[1], NULL };
	struct proc_opts opts = { .env = vars };
	struct proc_result res;

	proc_runl(&res, &opts, program_path(), command, arg, NULL);
	assert_int_equal(res.status, 0);
	assert_string_equal(buf_str(&res.out), "");
	assert_string_equal(buf_str(&res.err), "");
	proc_result_release(&res);
}

static void test_without_a_terminal_a_run_that_goes_well_says_nothing(void **state)
{
	(void)state;
	assert_silent("backup", NULL);
	assert_silent("backup", "job");
	archive_equals(job.root, oracle);
}

static void test_a_dry_run_tells_and_changes_nothing(void **state)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct oracle *o = oracle_open(server->port, "dry");
	const struct backup_config config = { .port = server->port, .user = "dry" };
	struct backup_result res;

	(void)state;
	corpus_fill(o, "INBOX", 0, 9, 0, 2000);
	backup_configure(&job, &config);
	backup_expect(&job, &res, 0, "--dry-run");
	assert_int_equal(res.new_messages, 9);
	backup_result_release(&res);
	assert_int_equal(access(job.root, F_OK), -1);
	assert_int_equal(access(job.state, F_OK), -1);
	backup_ends_with(&job, 0, "");
	corpus_fill(o, "INBOX", 20, 2, 0, 2000);
	oracle_store(o, "INBOX", "4", "FLAGS", "\\Draft $New");
	oracle_expunge(o, "INBOX", "5");
	archive_snapshot(job.dir, &before);
	backup_expect(&job, &res, 0, "--dry-run");
	assert_int_equal(res.new_messages, 2);
	assert_int_equal(res.flags_changed, 1);
	assert_int_equal(res.removed, 1);
	backup_result_release(&res);
	archive_snapshot(job.dir, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.new_messages, 2);
	assert_int_equal(res.flags_changed, 1);
	assert_int_equal(res.removed, 1);
	backup_result_release(&res);
	archive_equals(job.root, o);
	buf_release(&before);
	buf_release(&after);
	oracle_close(o);
}

static void program_ends_with(int status, const char *command, const char *args, const char *says)
{
	struct backup_result res;

	program_run(&job, &res, NULL, command, args);
	if (res.status != status || !strstr(buf_str(&res.out), says))
		fail_msg("%s %s ended with %d: %s%s", command, args, res.status, buf_str(&res.out),
			 buf_str(&res.err));
	backup_result_release(&res);
}

static void test_a_plan_is_carried_out_later_whatever_came_since(void **state)
{
	struct oracle *o = oracle_open(server->port, "planner");
	const struct backup_config config = { .port = server->port, .user = "planner" };
	char *file = path_join(job.dir, "plan.json"), *args = xasprintf("job -o %s", file);

	(void)state;
	corpus_fill(o, "INBOX", 0, 9, 0, 2000);
	oracle_create(o, "Work");
	corpus_fill(o, "Work", 10, 3, 0, 2000);
	backup_configure(&job, &config);
	program_ends_with(2, "plan", args + 4, "");
	program_ends_with(0, "plan", args, "\"new\":12");
	program_ends_with(0, "apply", file, "\"new\":12");
	archive_equals(job.root, o);
	backup_idle(&job);

	corpus_fill(o, "INBOX", 20, 2, 0, 2000);
	oracle_store(o, "INBOX", "4", "FLAGS", "\\Draft $New");
	oracle_store(o, "Work", "1", "FLAGS", "$New");
	program_ends_with(0, "plan", args, "\"flags_changed\":2");
	corpus_fill(o, "INBOX", 30, 1, 0, 2000);
	oracle_store(o, "Work", "1", "FLAGS", "$Newer");
	program_ends_with(3, "apply", file, "UID 1 got other flags");
	program_ends_with(0, "plan", args, "\"new\":1");
	oracle_expunge(o, "INBOX", "5");
	backup_ends_with(&job, 0, "");
	archive_equals(job.root, o);
	program_ends_with(0, "apply", file, "\"new\":0");
	program_ends_with(10, "apply", "/nowhere/plan", "");
	oracle_close(o);
	free(args);
	free(file);
}

static bool has_files(void *ctx)
{
	char *dir = path_join(job.root, ctx);
	struct name_list files = { 0 };
	size_t n;

	if (access(dir, F_OK) == 0)
		dir_entries(dir, &files);
	n = files.n;
	name_list_release(&files);
	free(dir);
	return n >= 10;
}

static void interrupt(int sig, int status)
{
	const char *argv[] = { program_path(), "backup", NULL };
	const char *vars[] = { job.env[0], job.env[1], NULL };
	const struct proc_spawn how = { .env = vars, .out_fd = -1, .err_fd = -1 };
	char inbox[] = "INBOX/tmp";
	pid_t pid;

	backup_reset(&job);
	pid = proc_spawn(argv, &how);
	assert_true(test_until(has_files, inbox, 20000));
	assert_int_equal(proc_end(pid, sig), status);
}

static void test_an_interrupted_run_ends_with_130_and_the_next_goes_on(void **state)
{
	struct oracle *o = oracle_open(server->port, "slow");
	struct relay *relay = relay_start(&(struct relay_opts){
		.port = server->port, .delay_ms = 20, .piece = 1400 });
	const struct backup_config config = { .port = relay_port(relay), .user = "slow" };

	(void)state;
	corpus_fill(o, "INBOX", 0, 150, 200000, 300000);
	backup_configure(&job, &config);
	interrupt(SIGTERM, 130);
	backup_ends_with(&job, 0, "");
	archive_equals(job.root, o);
	backup_idle(&job);
	interrupt(SIGKILL, 128 + SIGKILL);
	backup_ends_with(&job, 0, "");
	archive_equals(job.root, o);
	relay_stop(relay);
	oracle_close(o);
}

static void test_patterns_choose_mailboxes_and_what_leaves_the_scope_stays(void **state)
{
	struct backup_config config = { .port = server->port };
	struct backup_result res;
	struct archive a;

	(void)state;
	backup_ends_with(&job, 0, "");
	config.job = "mailboxes = *, !Lists*, !\\Sent\n";
	backup_configure(&job, &config);
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.removed + res.kept + res.held, 0);
	backup_result_release(&res);
	archive_equals(job.root, oracle);
	backup_reset(&job);
	backup_ends_with(&job, 0, "");
	archive_read(job.root, &a);
	assert_int_equal(a.n, corpus_mailboxes_n - 3);
	assert_null(archive_find(&a, "Lists/c-users"));
	assert_null(archive_find(&a, "Sent"));
	assert_non_null(archive_find(&a, "INBOX"));
	archive_release(&a);
}

/* One job fails; the other is done all the same, and the worse exit status is the program's. */
static void test_the_failure_of_one_job_does_not_stop_the_next(void **state)
{
	struct backup_config config = { .port = server->port };
	struct backup_result res;
	char *more;

	(void)state;
	more = xasprintf("[account bad]\nhost = 127.0.0.1\nport = %d\ntls = none\nuser = x\n"
			 "password = wrong\n[store other]\ntype = maildir\npath = %s/other\n"
			 "[job a-first]\nkind = backup\nfrom = bad\nto = other\n",
			 server->port, job.parent);
	config.job = more;
	backup_configure(&job, &config);
	backup_run(&job, &res, "a-first job");
	assert_int_equal(res.status, 12);
	backup_result_release(&res);
	archive_equals(job.root, oracle);
	free(more);
}

/* Or its processes would find the job locked by one another. */
static void test_a_job_that_is_named_twice_is_run_once(void **state)
{
	struct backup_result res;

	(void)state;
	backup_run(&job, &res, "--workers=4 job job job job");
	assert_int_equal(res.status, 0);
	backup_result_release(&res);
	archive_equals(job.root, oracle);
}

static void test_dovecot_serves_layout_maildir_plus_plus_as_the_same_mail(void **state)
{
	const struct backup_config config = { .port = server->port,
					      .store = "layout = maildir++\n" };
	char *copy = path_join(tmp_dir(), "copy");
	struct dovecot_opts opts = { 0 };
	struct name_list names = { 0 };
	struct proc_result res;
	struct dovecot *reader;
	struct oracle *o;

	(void)state;
	backup_configure(&job, &config);
	backup_ends_with(&job, 0, "");
	archive_equals(job.root, oracle);
	proc_runl(&res, NULL, "cp", "-a", job.root, copy, NULL);
	proc_result_release(&res);
	dovecot_own(copy);
	opts.extra = xasprintf("mail_location = maildir:%s:UTF-8\n", copy);
	reader = dovecot_start(&opts);
	o = oracle_open(reader->port, "anyone");
	oracle_list(oracle, &names);
	for (size_t i = 0; i < names.n; i++) {
		struct oracle_dump want, got;
		struct name_list hashes = { 0 };

		oracle_dump(oracle, names.name[i], &want);
		oracle_dump(o, names.name[i], &got);
		assert_int_equal(got.n, want.n);
		for (size_t k = 0; k < got.n; k++)
			name_list_add(&hashes, got.msg[k].sha256);
		for (size_t k = 0; k < want.n; k++)
			assert_true(name_list_has(&hashes, want.msg[k].sha256));
		name_list_release(&hashes);
		oracle_dump_release(&want);
		oracle_dump_release(&got);
	}
	name_list_release(&names);
	oracle_close(o);
	dovecot_stop(reader);
	free((char *)(uintptr_t)opts.extra);
	remove_tree(copy);
	free(copy);
}

#define JOB(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB(test_without_a_terminal_a_run_that_goes_well_says_nothing),
		JOB(test_a_dry_run_tells_and_changes_nothing),
		JOB(test_a_plan_is_carried_out_later_whatever_came_since),
		JOB(test_an_interrupted_run_ends_with_130_and_the_next_goes_on),
		JOB(test_patterns_choose_mailboxes_and_what_leaves_the_scope_stays),
		JOB(test_the_failure_of_one_job_does_not_stop_the_next),
		JOB(test_a_job_that_is_named_twice_is_run_once),
		JOB(test_dovecot_serves_layout_maildir_plus_plus_as_the_same_mail),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
