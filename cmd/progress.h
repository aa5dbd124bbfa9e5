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

struct buf;
/*
 * For commands that run no job: whether a line or (when not p->on_terminal) an event is due now;
 * then progress_draw() draws the line.
 */
bool progress_is_due(struct progress *p);
void progress_draw(const struct buf *text);
/* Add ", 3.2 MB/s" and ", 4 min left", once that can be told. */
void progress_add_rate(struct buf *out, uint64_t bytes, int64_t ms);
void progress_add_time_left(struct buf *out, uint64_t done, uint64_t total, int64_t ms);

/* What the line says, without cutting it to a width. Pure. */
void progress_text(struct buf *out, const char *job, const struct job_progress *now, int64_t ms);

#endif
