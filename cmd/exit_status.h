#ifndef CMD_EXIT_STATUS_H
#define CMD_EXIT_STATUS_H

#include <stdbool.h>

#include "core/base/err.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_INCOMPLETE = 3,
	EXIT_HELD = 4,
	EXIT_MISSING = 10,
	EXIT_LOCKED = 11,
	EXIT_AUTH = 12,
	EXIT_TEMPORARY = 75,
	EXIT_INTERRUPTED = 130,
};

struct job_report;

/* For `help exit-codes`, in rising order; ends with text NULL. */
struct exit_meaning {
	enum exit_status status;
	const char *text;
};
extern const struct exit_meaning exit_meanings[];

enum exit_status exit_of_err(enum err_kind kind);
/* Of one job: what job_run() returned, and its report. */
enum exit_status exit_of_job(int failed, const struct err *err, const struct job_report *report);
/* Which of the exits of two jobs the program ends with. */
enum exit_status exit_worse(enum exit_status a, enum exit_status b);

#endif
