#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/jobs.h"
#include "cmd/report.h"
#include "cmd/workers.h"
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/lib/config_files.h"
#include "tests/lib/support.h"

/* A worker of these tests does what the name of its job says. Its files are in the directory of the configuration. */

#define JOBS_MAX 20

struct scene {
	struct config *cfg;
	struct app app;
	struct workers w;
	struct worker_task task[JOBS_MAX];
	struct job_options opts;
	struct buf out, err; /* what was printed */
	enum exit_status status;
};

static volatile int stop;

static void wait_forever(void)
{
	for (;;)
		poll(NULL, 0, 1000);
}

/* Files tell how many are at work. Nobody goes before there were four. */
static enum exit_status be_counted(const char *job)
{
	char *mine = path_join(config_dir, job), *four = path_join(config_dir, "at-once-4");

	write_file(mine, bytes_of("x"));
	do {
		char *most;
		unsigned here = 0;

		for (int i = 0; i < JOBS_MAX; i++) {
			char *name = xasprintf("%s/count-%d", config_dir, i);

			here += access(name, F_OK) == 0;
			free(name);
		}
		most = xasprintf("%s/at-once-%u", config_dir, here);
		write_file(most, bytes_of("x"));
		free(most);
	} while (access(four, F_OK) < 0 && poll(NULL, 0, 5) == 0);
	unlink(mine);
	free(four);
	free(mine);
	return EXIT_DONE;
}

static enum exit_status wait_to_be_stopped(const struct app *app)
{
	kill(getppid(), SIGALRM);
	while (!*app->stop)
		poll(NULL, 0, 10);
	/* Said again, as by a supervisor to all of a group. */
	raise(SIGTERM);
	raise(SIGTERM);
	report_line(app, app->worker, "ended as asked");
	return EXIT_INTERRUPTED;
}

static void leave_a_process_behind(void)
{
	if (fork() == 0) { /* dies with the test: it holds what the worker wrote to */
		alarm(30);
		wait_forever();
	}
}

static bool is_made(const char *name)
{
	char *path = path_join(config_dir, name);
	bool yes = access(path, F_OK) == 0;

	free(path);
	return yes;
}

static void make(const char *name)
{
	char *path = path_join(config_dir, name);

	write_file(path, bytes_of("x"));
	free(path);
}

/* The first process dies when the other worker has been started, too; then there is much to say. */
static enum exit_status talk_to_the_dead(const struct app *app)
{
	alarm(30);
	while (!is_made("begun"))
		poll(NULL, 0, 5);
	kill(getppid(), SIGKILL);
	while (!*app->stop)
		poll(NULL, 0, 5);
	for (int i = 0; i < 20000; i++)
		fputs("more than any pipe has room for, in many lines\n", stderr);
	make("said");
	return EXIT_INTERRUPTED;
}

static enum exit_status stay_until_all_is_said(void)
{
	alarm(30);
	make("begun");
	while (!is_made("said"))
		poll(NULL, 0, 5);
	return EXIT_INTERRUPTED;
}

static enum exit_status run(struct app *app, const struct config_job *job, const struct job_options *opts)
{
	const char *name = job->head.name;
	char *big;

	(void)opts;
	if (strncmp(name, "count", 5) == 0)
		return be_counted(name);
	if (strcmp(name, "auth") == 0)
		return EXIT_AUTH;
	if (strcmp(name, "kill") == 0) {
		report_line(app, name, "about to die");
		fputs("half a line", stderr);
		raise(SIGKILL);
	}
	if (strcmp(name, "stop") == 0)
		return wait_to_be_stopped(app);
	if (strcmp(name, "talk") == 0)
		return talk_to_the_dead(app);
	if (strcmp(name, "stay") == 0)
		return stay_until_all_is_said();
	if (strcmp(name, "daemon") == 0)
		leave_a_process_behind();
	if (strcmp(name, "big") == 0) {
		big = xcalloc(1, 300001);
		memset(big, 'a', 300000);
		report_event(json_pack("{s:s, s:s, s:s}", "event", "note", "job", name, "text", big));
		free(big);
	}
	if (strcmp(name, "tty") == 0 && open("/dev/tty", O_RDWR) >= 0)
		return EXIT_FAILED;
	if (strcmp(name, "log") == 0)
		log_warn("one of its words");
	report_event(json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "event", "summary", "job", name, "new", 3,
			       "flags_changed", 2, "removed", 1, "bytes", 1000));
	return EXIT_DONE;
}

/* Both descriptors to files for as long as it runs. */
static void run_captured(struct scene *s)
{
	char *out = path_join(config_dir, "out"), *err = path_join(config_dir, "err");
	int saved[2] = { dup(1), dup(2) };

	fflush(NULL);
	assert_non_null(freopen(out, "w", stdout));
	assert_non_null(freopen(err, "w", stderr));
	setvbuf(stderr, NULL, _IONBF, 0);
	s->status = workers_run(&s->w);
	fflush(NULL);
	dup2(saved[0], 1);
	dup2(saved[1], 2);
	close(saved[0]);
	close(saved[1]);
	buf_init(&s->out, 64 << 20);
	buf_init(&s->err, 64 << 20);
	read_file(out, &s->out);
	read_file(err, &s->err);
	free(out);
	free(err);
}

/* `names`: of jobs, separated by blanks. */
static void prepare(struct scene *s, const char *names, unsigned at_once, bool json)
{
	struct buf csv = BUF_INIT(1 << 20);
	char *text = xstrdup(names), *save = NULL;

	buf_add_str(&csv, "user\n");
	for (char *name = strtok_r(text, " ", &save); name; name = strtok_r(NULL, " ", &save))
		buf_addf(&csv, "%s\n", name);
	free(config_put("users.csv", buf_str(&csv), 0600));
	*s = (struct scene){ .app = { .json = json, .stop = &stop, .verbose = !json } };
	s->cfg = config_load_text("[global]\naccounts = users.csv\n[account %]\nhost = h\nuser = %{user}\n"
				  "[store s]\ntype = git\npath = /s/%a\n[job %]\nkind = backup\nfrom = %\nto = s\n");
	assert_int_equal(s->cfg->n_problems, 0);
	s->w = (struct workers){ .app = &s->app, .cmd = &cmd_backup, .opts = &s->opts, .run = run,
				 .task = s->task, .n = config_jobs(s->cfg), .at_once = at_once };
	for (size_t i = 0; i < s->w.n; i++)
		s->task[i].job = config_job_at(s->cfg, i);
	app_start(&s->app);
	stop = 0;
	buf_release(&csv);
	free(text);
}

static void finish(struct scene *s)
{
	log_set(LOG_ERROR, NULL, NULL);
	config_free(s->cfg);
	buf_release(&s->out);
	buf_release(&s->err);
}

static void has(const struct buf *text, const char *part)
{
	if (!strstr(buf_str(text), part))
		fail_msg("'%s' in: %.3000s", part, buf_str(text));
}

static void test_as_many_as_asked_for_run_at_once(void **state)
{
	struct scene s;
	char *four, *five;

	(void)state;
	prepare(&s, "count-0 count-1 count-2 count-3 count-4 count-5 count-6 count-7 count-8 count-9 count-10 count-11", 4,
		true);
	run_captured(&s);
	four = path_join(config_dir, "at-once-4");
	five = path_join(config_dir, "at-once-5");
	assert_int_equal(s.status, EXIT_DONE);
	assert_int_equal(access(four, F_OK), 0);
	assert_int_not_equal(access(five, F_OK), 0);
	free(four);
	free(five);
	finish(&s);
}

static void test_one_that_fails_or_is_killed_stops_no_other(void **state)
{
	struct scene s;

	(void)state;
	prepare(&s, "auth kill a b", 2, false);
	run_captured(&s);
	assert_int_equal(s.status, EXIT_FAILED);
	has(&s.out, "auth  login refused ");
	has(&s.out, "kill  killed by signal 9 ");
	has(&s.out, "b     done                       3         2         1     1.0 kB ");
	has(&s.out, "2 of 4 jobs done well: 6 new, 4 with changed flags, 2 removed, 2.0 kB");
	has(&s.err, "mailcask: kill: about to die\nhalf a line\nmailcask: kill: its process was killed by signal 9.");
	has(&s.err, "2 of 4 jobs were not done well. Again: mailcask backup auth kill\n");
	finish(&s);
	/* By the same accounts, or it would find no such jobs. */
	prepare(&s, "auth a", 2, false);
	s.app.accounts_path = "week.csv";
	run_captured(&s);
	has(&s.err, "1 of 2 jobs was not done well. Again: mailcask backup --accounts=week.csv auth\n");
	finish(&s);
}

static void test_the_worst_exit_is_that_of_all(void **state)
{
	struct scene s;

	(void)state;
	prepare(&s, "a auth b", 3, true);
	run_captured(&s);
	assert_int_equal(s.status, EXIT_AUTH);
	finish(&s);
}

static void test_events_are_passed_on_whole_and_summed_up(void **state)
{
	struct scene s;
	char *save = NULL;
	size_t lines = 0;

	(void)state;
	prepare(&s, "big a kill b", 4, true);
	run_captured(&s);
	has(&s.out, "{\"event\":\"summary\",\"job\":\"b\"");
	has(&s.out, "{\"event\":\"error\",\"job\":\"kill\",\"kind\":\"killed\",\"signal\":9,");
	has(&s.out, "{\"event\":\"workers\",\"jobs\":4,\"at_once\":4,\"done\":3,\"failed\":1,\"killed\":1,\"not_begun\":0,"
		    "\"new\":9,\"flags_changed\":6,\"removed\":3,\"bytes\":3000,\"exit\":1,\"dry_run\":false,");
	for (char *line = strtok_r((char *)s.out.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_t *event = json_loads(line, 0, NULL);

		assert_non_null(event);
		json_decref(event);
		lines++;
	}
	assert_int_equal(lines, 6);
	finish(&s);
}

static void test_words_are_said_of_the_job_and_without_a_terminal(void **state)
{
	struct scene s;

	(void)state;
	prepare(&s, "log tty", 2, false);
	run_captured(&s);
	assert_int_equal(s.status, EXIT_DONE);
	has(&s.err, "mailcask: log: one of its words\n");
	finish(&s);
}

static void test_what_a_worker_leaves_behind_holds_nothing_up(void **state)
{
	struct scene s;

	(void)state;
	prepare(&s, "daemon a", 2, true);
	run_captured(&s);
	assert_int_equal(s.status, EXIT_DONE);
	assert_true(s.task[0].took_ms < 10000);
	finish(&s);
}

static void on_alarm(int sig)
{
	stop = sig;
}

static void test_an_interruption_is_passed_on_and_waited_for(void **state)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct scene s;

	(void)state;
	sigaction(SIGALRM, &act, NULL);
	prepare(&s, "stop a stop2 b", 1, true);
	run_captured(&s);
	assert_int_equal(s.status, EXIT_INTERRUPTED);
	has(&s.err, "mailcask: stop: ended as asked\n");
	has(&s.out, "\"done\":0,\"failed\":1,\"killed\":0,\"not_begun\":3,");
	signal(SIGALRM, SIG_DFL);
	finish(&s);
}

static void test_no_worker_waits_for_a_first_process_that_was_killed(void **state)
{
	struct scene s;
	pid_t first;
	int status;

	(void)state;
	prepare(&s, "talk stay", 2, true);
	fflush(NULL);
	first = fork();
	if (first == 0) {
		signal(SIGPIPE, SIG_IGN); /* as main() does */
		workers_run(&s.w);
		_exit(0);
	}
	assert_int_equal(waitpid(first, &status, 0), first);
	assert_true(WIFSIGNALED(status));
	for (int i = 0; i < 2000 && !is_made("said"); i++)
		poll(NULL, 0, 5);
	assert_true(is_made("said"));
	finish(&s);
}

static void test_a_trace_is_a_file_for_each(void **state)
{
	char *path, *one;
	struct scene s;
	struct stat st;

	(void)state;
	path = path_join(config_dir, "trace");
	one = path_join(config_dir, "trace.a");
	prepare(&s, "a b", 2, true);
	s.app.trace_path = path;
	assert_int_equal(app_start(&s.app), 0);
	run_captured(&s);
	assert_int_equal(s.status, EXIT_DONE);
	assert_int_equal(stat(one, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fclose(s.app.trace);
	free(path);
	free(one);
	finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONFIG_CASE(test_as_many_as_asked_for_run_at_once),
		CONFIG_CASE(test_one_that_fails_or_is_killed_stops_no_other),
		CONFIG_CASE(test_the_worst_exit_is_that_of_all),
		CONFIG_CASE(test_events_are_passed_on_whole_and_summed_up),
		CONFIG_CASE(test_words_are_said_of_the_job_and_without_a_terminal),
		CONFIG_CASE(test_what_a_worker_leaves_behind_holds_nothing_up),
		CONFIG_CASE(test_an_interruption_is_passed_on_and_waited_for),
		CONFIG_CASE(test_no_worker_waits_for_a_first_process_that_was_killed),
		CONFIG_CASE(test_a_trace_is_a_file_for_each),
	};

	return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
