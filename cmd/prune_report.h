#ifndef CMD_PRUNE_REPORT_H
#define CMD_PRUNE_REPORT_H

#include <stdint.h>

#include "cmd/exit_status.h"

struct app;
struct err;
struct job_settings;
struct prune_report;

/* What prune-server came to: lines or events, and what to do about what went wrong. */
void prune_report_show(const struct app *app, const struct job_settings *job, const struct prune_report *report,
		       const struct err *err, enum exit_status status, int64_t took_ms);

#endif
