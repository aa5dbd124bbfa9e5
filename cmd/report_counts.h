#ifndef CMD_REPORT_COUNTS_H
#define CMD_REPORT_COUNTS_H

#include <stdbool.h>

struct app;
struct job_count;
struct job_report;
struct job_settings;
struct json_t;

/* What became of every message of a migration, as `job_report.counts` has it; nothing where there is none. */

/* On standard output: the sum, and with -v every mailbox. */
void report_counts(const struct app *app, const struct job_settings *job, const struct job_report *r);
/* On standard error: by how many it does not add up, and where; of a run that was cut short only in sum. */
void report_uncounted(const struct app *app, const struct job_settings *job, const struct job_report *r,
		      bool cut_short);
/* One event "account" for every mailbox. */
void report_count_events(const struct job_settings *job, const struct job_report *r);
/* The numbers alone; owned by the caller. */
struct json_t *report_count_json(const struct job_count *c);

#endif
