#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/when.h"
#include "core/sync/quarantine.h"
#include "core/sync/record.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/job_store.h"
#include "cmd/jobs.h"
#include "cmd/report.h"

typedef unsigned long long ull;

enum { OPT_MAX_AGE = 1 };

static const struct cmd_option options[] = {
	{ "max-age", 0, "TIME", "A last success longer ago is a failure: 90m, 26h or 8d.", OPT_MAX_AGE },
	{ NULL, 0, NULL, NULL, 0 },
};

/* One run of the record. */
struct run_told {
	bool there;
	int64_t started, ended;
	const char *outcome;
	ull new_messages, removed, flags, bytes;
	bool trouble;
};

/* All that is told of one job. */
struct status {
	const struct config_job *job;
	struct record record;
	struct job_store js;
	struct run_told last, success; /* of any outcome; that came to its end */
	long running;                  /* process; 0: none */
	bool store_read;               /* the rest is known */
	ull mailboxes, messages, adopted, bytes, kept, held, quarantined, accepted;
	char **problem; /* ready to print */
	size_t n_problems, cap_problems;
	enum exit_status exit;
};

__attribute__((format(printf, 3, 4))) static void add_problem(struct status *s,
							      enum exit_status exit,
							      const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	s->problem = xgrow(s->problem, s->n_problems, &s->cap_problems, sizeof(*s->problem));
	s->problem[s->n_problems++] = text;
	s->exit = exit_worse(s->exit, exit);
}

static const char *kind_of(const struct status *s)
{
	return config_choice_word(config_kind_words, s->job->kind);
}

static ull number(const json_t *run, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(run, key));

	return n > 0 ? (ull)n : 0;
}

static struct run_told take_run(const json_t *run)
{
	const char *outcome = json_string_value(json_object_get(run, "outcome"));
	const json_t *trouble = json_object_get(run, "trouble");

	return (struct run_told){
		.there = true,
		.started = json_integer_value(json_object_get(run, "started")),
		.ended = json_integer_value(json_object_get(run, "ended")),
		.outcome = outcome ? outcome : "unknown",
		.new_messages = number(run, "new"),
		.removed = number(run, "removed"),
		.flags = number(run, "flags"),
		.bytes = number(run, "bytes"),
		/* Earlier versions did not tell what it was that an incomplete run lacked. */
		.trouble = trouble ? json_is_true(trouble)
				   : outcome && strcmp(outcome, "incomplete") == 0,
	};
}

static void take_runs(struct status *s)
{
	size_t n = json_array_size(s->record.runs);

	for (size_t i = n; i-- > 0 && !s->success.there;) {
		struct run_told run = take_run(json_array_get(s->record.runs, i));

		if (i == n - 1)
			s->last = run;
		if (strcmp(run.outcome, "failed") != 0)
			s->success = run;
	}
}

static int read_store(struct status *s, struct err *err)
{
	struct mailbox_list all = { 0 };
	struct quarantine_list list = { 0 };
	struct store *st;
	int ret = store_open(s->js.ops, &st, &s->js.config, STORE_READ, err);

	if (ret == 0)
		ret = store_list(st, NULL, &all, err);
	if (ret == 0)
		ret = quarantine_list_read(st, &all, NULL, 0, &list, err);
	for (size_t i = 0; i < all.n; i++) {
		s->mailboxes += !(all.v[i].attributes & MAILBOX_NOSELECT);
		s->messages += all.v[i].stored;
		s->adopted += all.v[i].adopted;
		s->bytes += all.v[i].bytes;
		s->kept += all.v[i].kept;
		s->held += all.v[i].held;
	}
	for (size_t i = 0; i < list.n; i++) {
		s->accepted += list.v[i].q.accepted;
		s->quarantined += !list.v[i].q.accepted;
	}
	s->store_read = ret == 0;
	quarantine_list_release(&list);
	mailbox_list_release(&all);
	store_close(st);
	return ret;
}

/* What lies at the job's path: its store, or what is wrong with it. */
static void look_at_store(struct status *s, struct app *app)
{
	struct err err = { 0 };
	bool ran = s->record.exists;
	const char *path;

	if (job_store_look(&s->js, app, s->job, &err) < 0) {
		add_problem(s, exit_of_err(err.kind), "%s", err.text);
		return;
	}
	path = s->js.path;
	if (s->js.identity.presence != STORE_OURS) {
		if (ran)
			add_problem(s, EXIT_MISSING, "the %s is not there any more: %s",
				    s->job->target ? "ledger" : "store", path);
	} else if (ran && strcmp(s->record.uuid, s->js.identity.uuid) != 0) {
		add_problem(s, EXIT_HELD, "another %s than the job's is at %s",
			    s->job->target ? "ledger" : "store", path);
	} else if (read_store(s, &err) < 0) {
		add_problem(s, exit_of_err(err.kind), "%s", err.text);
	}
}

static void add_age(struct buf *out, int64_t seconds)
{
	static const struct {
		int64_t most, unit;
		const char *name;
	} units[] = { { 120, 1, "s" }, { 7200, 60, "min" }, { 172800, 3600, "h" }, { INT64_MAX, 86400, "days" } };
	size_t i = 0;

	if (seconds < 0)
		seconds = 0;
	while (seconds >= units[i].most)
		i++;
	buf_addf(out, "%lld %s", (long long)(seconds / units[i].unit), units[i].name);
}

static void judge_age(struct status *s, int64_t max_age, int64_t now)
{
	struct buf age = BUF_INIT(64), limit = BUF_INIT(64);

	add_age(&limit, max_age);
	add_age(&age, now - s->success.ended);
	if (!s->success.there)
		add_problem(s, EXIT_FAILED, "no run ever succeeded");
	else if (now - s->success.ended > max_age)
		add_problem(s, EXIT_FAILED, "the last success was %s ago, longer than %s",
			    buf_str(&age), buf_str(&limit));
	buf_release(&age);
	buf_release(&limit);
}

/* `max_age` -1: not asked for. */
static void judge(struct status *s, int64_t max_age, int64_t now)
{
	if (max_age >= 0)
		judge_age(s, max_age, now);
	else if (s->last.there && strcmp(s->last.outcome, "failed") == 0)
		add_problem(s, EXIT_FAILED, "the last run failed");
	if (s->quarantined)
		add_problem(s, EXIT_INCOMPLETE, "%llu in quarantine (mailcask quarantine %s)",
			    s->quarantined, s->job->head.name);
	if (s->success.there && s->success.trouble)
		add_problem(s, EXIT_INCOMPLETE, "the last run left something out (mailcask %s %s)",
			    kind_of(s), s->job->head.name);
	if (s->held)
		add_problem(s, EXIT_HELD, "%llu deletions held back by the guard", s->held);
}

static void gather(struct status *s, struct app *app, int64_t max_age)
{
	char *state_dir = jobs_state_dir();
	struct err err = { 0 };

	if (record_load(state_dir, s->job->head.name, &s->record, &err) < 0)
		add_problem(s, exit_of_err(err.kind), "%s", err.text);
	take_runs(s);
	s->running = record_running(state_dir, s->job->head.name);
	look_at_store(s, app);
	judge(s, max_age, clock_unix());
	free(state_dir);
}

static void status_release(struct status *s)
{
	for (size_t i = 0; i < s->n_problems; i++)
		free(s->problem[i]);
	free(s->problem);
	job_store_release(&s->js);
	record_release(&s->record);
}

/* --- for people --- */

/* "2026-11-28 02:17, 3 h ago, incomplete: 12 new, 1 removed" */
static void print_run(const char *label, const struct run_told *run)
{
	struct buf line = BUF_INIT(400);
	time_t when = (time_t)run->ended;
	struct tm tm = { 0 };
	char text[64];

	localtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	buf_addf(&line, "%s, ", text);
	add_age(&line, clock_unix() - run->ended);
	buf_addf(&line, " ago, %s: %llu new, %llu removed", run->outcome, run->new_messages,
		 run->removed);
	printf("  %-13s %s\n", label, buf_str(&line));
	buf_release(&line);
}

static void print_store(const struct status *s)
{
	struct buf line = BUF_INIT(400);

	buf_addf(&line, "%llu messages in %llu mailbox%s", s->messages, s->mailboxes,
		 s->mailboxes == 1 ? "" : "es");
	if (s->bytes) {
		buf_add_str(&line, ", ");
		report_bytes(&line, s->bytes);
	}
	if (s->kept)
		buf_addf(&line, ", and %llu kept", s->kept);
	if (s->held)
		buf_addf(&line, " (%llu held back by the guard)", s->held);
	if (s->adopted)
		buf_addf(&line, ", %llu of them there before", s->adopted);
	printf("  %-13s %s\n", s->job->target ? "copied" : "stored", buf_str(&line));
	if (s->quarantined || s->accepted)
		printf("  %-13s %llu, and %llu accepted\n", "quarantine", s->quarantined, s->accepted);
	buf_release(&line);
}

static void print_status(const struct app *app, const struct status *s)
{
	const char *what = s->last.there ? "ok" : "never ran";

	if (app->quiet && s->n_problems == 0)
		return;
	printf("%s: ", s->job->head.name);
	for (size_t i = 0; i < s->n_problems; i++)
		printf("%s%s", i ? "; " : "", s->problem[i]);
	puts(s->n_problems ? "" : what);
	if (app->quiet)
		return;
	printf("  %-13s %s to %s (%s)\n", kind_of(s), s->job->from, s->job->to,
	       s->js.path ? s->js.path : "");
	if (s->running)
		printf("  %-13s process %ld\n", "running now", s->running);
	if (s->last.there)
		print_run("last run", &s->last);
	if (s->success.there && s->success.ended != s->last.ended)
		print_run("last success", &s->success);
	if (s->store_read)
		print_store(s);
}

/* --- for programs --- */

static json_t *run_event(const struct run_told *run)
{
	if (!run->there)
		return json_null();
	return json_pack("{s:I, s:I, s:s, s:I, s:I, s:I, s:I}", "started", (json_int_t)run->started,
			 "ended", (json_int_t)run->ended, "outcome", run->outcome, "new",
			 (json_int_t)run->new_messages, "removed", (json_int_t)run->removed,
			 "flags_changed", (json_int_t)run->flags, "bytes", (json_int_t)run->bytes);
}

static void print_event(const struct status *s)
{
	char *path = escape_text(bytes_of(s->js.path), 4000);
	json_t *problems = json_array(), *event;

	for (size_t i = 0; i < s->n_problems; i++)
		json_array_append_new(problems, json_string(s->problem[i]));
	event = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:o, s:o, s:o}", "event", "status",
			  "job", s->job->head.name, "kind", kind_of(s), "from", s->job->from, "to", s->job->to, "path",
			  path, "exit", (int)s->exit, "running", s->running != 0, "last_run",
			  run_event(&s->last), "last_success", run_event(&s->success), "problems",
			  problems);
	if (s->store_read)
		json_object_update_new(
			event,
			json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "mailboxes",
				  (json_int_t)s->mailboxes, "messages", (json_int_t)s->messages,
				  "adopted", (json_int_t)s->adopted,
				  "bytes", (json_int_t)s->bytes, "kept", (json_int_t)s->kept, "held",
				  (json_int_t)s->held, "quarantined", (json_int_t)s->quarantined,
				  "accepted", (json_int_t)s->accepted));
	report_event(event);
	free(path);
}

static enum exit_status tell(struct app *app, const struct config_job *job, int64_t max_age)
{
	struct status s = { .job = job };
	enum exit_status exit;

	gather(&s, app, max_age);
	if (app->json)
		print_event(&s);
	else
		print_status(app, &s);
	exit = s.exit;
	status_release(&s);
	return exit;
}

static int status_run(struct app *app, int argc, char **argv)
{
	enum exit_status worst = EXIT_DONE;
	const struct config *cfg;
	int64_t max_age = -1;
	const char *arg;
	int option;

	while ((option = cmd_next_option(app, &cmd_status, argc, argv, &arg)) != CMD_OPTIONS_END) {
		if (option != OPT_MAX_AGE)
			return EXIT_USAGE;
		if (!duration_parse(arg, &max_age))
			return cmd_usage_error(&cmd_status,
					       "--max-age is such as 90m, 26h or 8d, not '%s'", arg);
	}
	cfg = app_config(app);
	if (!cfg)
		return EXIT_USAGE;
	for (int i = optind; i < argc; i++)
		if (!job_named(app, &cmd_status, argv[i]))
			return EXIT_USAGE;
	for (size_t i = 0; i < config_jobs(cfg) && optind == argc; i++)
		worst = exit_worse(worst, tell(app, config_job_at(cfg, i), max_age));
	for (int i = optind; i < argc; i++)
		worst = exit_worse(worst, tell(app, job_named(app, &cmd_status, argv[i]), max_age));
	return (int)worst;
}

const struct cmd cmd_status = {
	.name = "status",
	.args = "[JOB]...",
	.summary = "Say how the jobs are doing; for monitoring, too.",
	.details =
		"When each last ran, with what outcome, and what its store holds, from the disk\n"
		"alone. The first line of each says what is wrong; with --quiet there is only that.\n"
		"The exit status is 0 when all is well, 1 when the last run failed or, with --max-age,\n"
		"when the last success was longer ago or never; 3 when messages are in quarantine or\n"
		"the last run left something out; 4 when the guard holds deletions back.",
	.options = options,
	.run = status_run,
};
