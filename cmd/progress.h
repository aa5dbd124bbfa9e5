#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/sync/job.h"

struct app;

/*
 * How far a job is: one line on the terminal, drawn again at most ten times a second; with --json
 * an event at most once a second; nothing at all elsewhere.
 */
struct progress {
	const struct app *app;
	const char *job;
	const char *member; /* what --json calls that: "job", or what is put here */
	bool on_terminal;
	int64_t started, drawn; /* clock_ms() */
};

void progress_begin(struct progress *p, const struct app *app, const char *job);
/* As job_settings.progress; `ctx` is a struct progress. */
void progress_show(void *ctx, const struct job_progress *now);
void progress_end(struct progress *p);
/* Take the line off the terminal, so that something else can be written there. */
void progress_clear(void);

/* What the line says, without cutting it to a width. Pure. */
struct buf;
void progress_text(struct buf *out, const char *job, const struct job_progress *now, int64_t ms);

#endif
