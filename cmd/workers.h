#ifndef CMD_WORKERS_H
#define CMD_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cmd/exit_status.h"

struct app;
struct buf;
struct cmd;
struct config_job;
struct job_options;

#define WORKERS_DEFAULT 4
#define WORKERS_MAX 256

/* A job that has a process to itself, and what became of it. */
struct worker_task {
	const struct config_job *job;
	enum { WORKER_WAITING, WORKER_RUNNING, WORKER_ENDED } state;
	int signal; /* that killed it; 0: none */
	enum exit_status exit; /* EXIT_FAILED when it was killed */
	uint64_t new_messages, flags_changed, removed, bytes; /* by its summary; zeros without */
	int64_t started, took_ms;
};

/* Runs one job in the process that it is called in. */
typedef enum exit_status worker_run(struct app *app, const struct config_job *job,
				    const struct job_options *opts);

struct workers {
	struct app *app;
	const struct cmd *cmd; /* for what is said of running it again */
	const struct job_options *opts;
	worker_run *run;
	struct worker_task *task; /* n of them, with `job` filled in */
	size_t n;
	unsigned at_once; /* 1 to WORKERS_MAX */
	bool dry_run;
};

/*
 * Run the tasks, at most `at_once` at a time, each in a process of its own, which has no terminal. What they
 * say on standard error is passed on line by line, and so are their events with --json; otherwise they
 * are summed up in a table. A task that fails or is killed does not stop the others. When app->stop is set
 * nothing more is started, and those that run are asked to end (SIGTERM) and waited for. Should this
 * process die, they get that signal, too. The worst exit status of all.
 */
enum exit_status workers_run(struct workers *w);

/* workers_report.c: the table and its sum, an event, and what can be run again. */
void workers_report(const struct workers *w, enum exit_status exit, int64_t took_ms);
/* "done", "killed by signal 9": how it ended. */
void worker_result(const struct worker_task *t, struct buf *out);

#endif
