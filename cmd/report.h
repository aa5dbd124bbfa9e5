#ifndef CMD_REPORT_H
#define CMD_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/err.h"

#include "cmd/exit_status.h"

struct app;
struct buf;
struct config_job;
struct job_report;
struct job_settings;
struct json_t;

/* What a person or a program reads of a run. Everything a server had a say in is escaped here. */

/*
 * `mailcask: JOB: text` on standard error, clearing a progress line first; `job` may be NULL.
 * The text is ready to print: its parts were escaped by those who made it.
 */
void report_line(const struct app *app, const char *job, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* One event as one line of JSON on standard output; takes `event` over. */
void report_event(struct json_t *event);

/* What a job came to: lines or events, and errors with what to do about them. */
void report_job(const struct app *app, const struct job_settings *job,
		const struct job_report *report, const struct err *err, enum exit_status status,
		int64_t took_ms);

/*
 * Parts of the above. What a run noted: only where somebody has a reason to read it (something is wrong, a dry run, -v, a
 * terminal). The same as events; and what ended it, if anything did.
 */
void report_notes(const struct app *app, const struct job_settings *job, const struct job_report *r,
		  enum exit_status status);
void report_note_events(const struct job_settings *job, const struct job_report *r);
void report_failure_event(const struct job_settings *job, const struct err *err);
/* A mailbox, and what the source calls it where that is not NULL, ready to print; the caller frees it. */
char *report_mailbox_name(const char *name, const char *source);

/* What a command that runs no job failed of. Returns its exit status. */
enum exit_status report_error(const struct app *app, const struct err *err);
/* Why a run ended early, and what to do about it. `label` as in report_line(). */
void report_failure(const struct app *app, const char *label, const struct err *err);
/* The kind of an error as --json names it. */
const char *report_kind(enum err_kind kind);
/* A line of a table on standard output: a mailbox, already escaped, and what became of it. */
void report_row(const char *mailbox, const char *text);

/* "3.2 MB" */
void report_bytes(struct buf *out, uint64_t bytes);
/* Create or empty a file that only its owner can read. NULL with errno. */
FILE *report_private_file(const char *path);

#endif
