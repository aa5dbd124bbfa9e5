#ifndef CORE_BASE_WHEN_H
#define CORE_BASE_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

/*
 * A moment or a span of time as people write it; in local time (the TZ of the process) unless it
 * names a zone. Case does not matter, and between words may stand blanks, `-`, `.` or `_`.
 *
 *	2024-02-29                     that day
 *	2024-02                        that month
 *	2024-02-29 13:05[:59]          that minute or second; also with T between, and with
 *	                               Z or +01:00 or +0100 at the end
 *	now
 *	today, yesterday               that day
 *	N UNITs ago, a UNIT ago        that moment; UNIT is second, minute (min), hour, day, week,
 *	                               month or year; N below 1,000,000
 *	last week, last month, last year    as "a week ago" and so on
 *
 * Days, weeks, months and years are those of the calendar: "1 month ago" on 31 March is the last day
 * of February, and "1 day ago" is the same time of day also when the clocks were changed.
 */
struct when {
	/* Seconds since 1970-01-01 UTC. Both belong to it; they are equal for a moment. */
	int64_t first, last;
};

/* `now` is the time it is. 0, or -1 with *err (ERR_CONFIG), which says what is understood. */
int when_parse(const char *text, int64_t now, struct when *out, struct err *err);

/* How long: a number and s, m, h, d or w (seconds, minutes, hours, days, weeks), up to 1,000,000 w. */
bool duration_parse(const char *text, int64_t *seconds);

#endif
