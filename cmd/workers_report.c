#include "cmd/workers.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/buf.h"

#include "cmd/cmd.h"
#include "cmd/columns.h"
#include "cmd/config.h"
#include "cmd/report.h"

typedef unsigned long long ull;

#define RESULT_WIDTH ((size_t)18)
#define NAMES_SHOWN 20 /* of those to be run again */

void worker_result(const struct worker_task *t, struct buf *out)
{
	static const char *const words[] = {
		[EXIT_DONE] = "done",		  [EXIT_FAILED] = "failed",
		[EXIT_USAGE] = "configuration",	  [EXIT_INCOMPLETE] = "incomplete",
		[EXIT_HELD] = "held back",	  [EXIT_MISSING] = "missing",
		[EXIT_LOCKED] = "locked",	  [EXIT_AUTH] = "login refused",
		[EXIT_TEMPORARY] = "temporary",	  [EXIT_INTERRUPTED] = "interrupted",
	};
	size_t exit = (size_t)t->exit;

	if (t->state != WORKER_ENDED)
		buf_add_str(out, "not begun");
	else if (t->signal)
		buf_addf(out, "killed by signal %d", t->signal);
	else if (exit < sizeof(words) / sizeof(words[0]) && words[exit])
		buf_add_str(out, words[exit]);
	else
		buf_addf(out, "failed (%zu)", exit);
}

static bool is_well(const struct worker_task *t)
{
	return t->state == WORKER_ENDED && t->exit == EXIT_DONE;
}

static bool did_something(const struct worker_task *t)
{
	return t->new_messages || t->flags_changed || t->removed;
}

static size_t name_width(const struct workers *w)
{
	size_t width = 3;

	for (size_t i = 0; i < w->n; i++) {
		size_t n = columns_of(w->task[i].job->head.name);

		width = n > width ? n : width;
	}
	return width;
}

static void print_row(const struct worker_task *t, size_t width)
{
	struct buf line = BUF_INIT(4096), word = BUF_INIT(200), size = BUF_INIT(100);

	worker_result(t, &word);
	report_bytes(&size, t->bytes);
	columns_add(&line, t->job->head.name, width);
	buf_add_str(&line, "  ");
	columns_add(&line, buf_str(&word), RESULT_WIDTH);
	printf("%s  %8llu  %8llu  %8llu  %9s  %7.1f s\n", buf_str(&line), (ull)t->new_messages, (ull)t->flags_changed,
	       (ull)t->removed, buf_str(&size), (double)t->took_ms / 1000);
	buf_release(&line);
	buf_release(&word);
	buf_release(&size);
}

/* Those that did nothing, and well, are worth a row to whoever wants to know more only. */
static void print_table(const struct workers *w)
{
	size_t width = name_width(w);
	bool begun = false;

	for (size_t i = 0; i < w->n; i++) {
		const struct worker_task *t = &w->task[i];

		if (is_well(t) && !did_something(t) && !w->app->verbose)
			continue;
		if (!begun)
			printf("%-*s  %-*s  %8s  %8s  %8s  %9s  %9s\n", (int)width, "JOB", (int)RESULT_WIDTH, "RESULT",
			       w->dry_run ? "WOULD ADD" : "NEW", "FLAGS", "REMOVED", "SIZE", "TIME");
		begun = true;
		print_row(t, width);
	}
}

static struct worker_task sum_of(const struct workers *w, size_t *well)
{
	struct worker_task sum = { .state = WORKER_ENDED };

	*well = 0;
	for (size_t i = 0; i < w->n; i++) {
		sum.new_messages += w->task[i].new_messages;
		sum.flags_changed += w->task[i].flags_changed;
		sum.removed += w->task[i].removed;
		sum.bytes += w->task[i].bytes;
		*well += is_well(&w->task[i]);
	}
	return sum;
}

static void print_sum(const struct workers *w, int64_t took_ms)
{
	struct buf line = BUF_INIT(4096);
	size_t well;
	struct worker_task sum = sum_of(w, &well);

	report_bytes(&line, sum.bytes);
	printf("%zu of %zu jobs %s: %llu %s, %llu with changed flags, %llu removed, %s (%.1f s)\n", well, w->n,
	       well == w->n ? "done" : "done well", (ull)sum.new_messages, w->dry_run ? "would be added" : "new",
	       (ull)sum.flags_changed, (ull)sum.removed, buf_str(&line), (double)took_ms / 1000);
	buf_release(&line);
}

static void print_event(const struct workers *w, enum exit_status exit, int64_t took_ms)
{
	size_t well, killed = 0, begun = 0;
	struct worker_task sum = sum_of(w, &well);

	for (size_t i = 0; i < w->n; i++) {
		killed += w->task[i].signal != 0;
		begun += w->task[i].state == WORKER_ENDED;
	}
	report_event(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:b, s:I}", "event", "workers",
			       "jobs", (json_int_t)w->n, "at_once", (json_int_t)w->at_once, "done", (json_int_t)well,
			       "failed", (json_int_t)(begun - well), "killed", (json_int_t)killed, "not_begun",
			       (json_int_t)(w->n - begun), "new", (json_int_t)sum.new_messages, "flags_changed",
			       (json_int_t)sum.flags_changed, "removed", (json_int_t)sum.removed, "bytes",
			       (json_int_t)sum.bytes, "exit", (int)exit, "dry_run", w->dry_run, "ms",
			       (json_int_t)took_ms));
}

/* What each failed of was said when it happened. */
static void tell_again(const struct workers *w)
{
	const char *accounts = w->app->accounts_path; /* without which there may be no such jobs */
	struct buf again = BUF_INIT(64 * 1024);
	size_t well, unwell;

	sum_of(w, &well);
	unwell = w->n - well;
	buf_addf(&again, "mailcask %s", w->cmd->name);
	if (accounts)
		buf_addf(&again, " --accounts=%s", accounts);
	for (size_t i = 0; i < w->n && unwell <= NAMES_SHOWN; i++)
		if (!is_well(&w->task[i]))
			buf_addf(&again, " %s", w->task[i].job->head.name);
	if (unwell > NAMES_SHOWN)
		report_line(w->app, NULL, "%zu of %zu jobs were not done well, which --json tells. All again: %s", unwell,
			    w->n, buf_str(&again));
	else if (unwell > 0)
		report_line(w->app, NULL, "%zu of %zu jobs %s not done well. Again: %s", unwell, w->n,
			    unwell == 1 ? "was" : "were", buf_str(&again));
	buf_release(&again);
}

void workers_report(const struct workers *w, enum exit_status exit, int64_t took_ms)
{
	const struct app *app = w->app;
	bool show = !app->quiet && (w->dry_run || app->verbose || isatty(STDOUT_FILENO));

	if (app->json)
		print_event(w, exit, took_ms);
	else if (show)
		print_table(w);
	if (!app->json && show)
		print_sum(w, took_ms);
	fflush(stdout);
	tell_again(w);
}
