#ifndef CMD_RESTORE_REPORT_H
#define CMD_RESTORE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/exit_status.h"

struct app;
struct err;
struct restore_report;

/* What a person or a program reads of a run of `restore`. */
struct restore_told {
	const char *store, *target; /* as they were named; fit for a terminal */
	const char *moment; /* which snapshot was read; NULL: the store as it is */
	const char *done; /* "restored" or "imported" */
	bool dry_run;
	enum exit_status status;
	int64_t took_ms;
};

void restore_report(const struct app *app, const struct restore_told *told,
		    const struct restore_report *report, const struct err *err);

#endif
