#ifndef CORE_SYNC_RETENTION_H
#define CORE_SYNC_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which snapshots stay, by the rules of restic's `forget`: of the last N hours, days, weeks, months or
 * years that have a snapshot, the newest of each. Hours and days are those of the calendar in local time,
 * weeks begin on Monday (ISO 8601). A snapshot stays when any rule wants it. While a rule has not
 * found its N, it wants the oldest snapshot, too.
 */
enum retain {
	RETAIN_LAST, /* the last N snapshots */
	RETAIN_HOURLY,
	RETAIN_DAILY,
	RETAIN_WEEKLY,
	RETAIN_MONTHLY,
	RETAIN_YEARLY,
	RETAIN_COUNTED, /* how many rules of this kind there are */
	RETAIN_WITHIN = RETAIN_COUNTED, /* all of a span before the newest that is not in the future */
	RETAIN_NEWEST, /* what the archive holds now: always stays */
	RETAIN_RULES,
};

#define RETAIN_ALL UINT32_MAX

struct retention_span {
	uint32_t years, months, days, hours;
};

struct retention {
	uint32_t count[RETAIN_COUNTED]; /* 0: no such rule; RETAIN_ALL: no limit */
	struct retention_span within;   /* zeros: no such rule */
};

/* No rule at all: nothing says what is to stay. */
bool retention_is_empty(const struct retention *r);
/* A number and y, m (months), d or h, once each in this order: "2y5m7d3h". False: it is no such, or nothing. */
bool retention_span_parse(const char *text, struct retention_span *out);
/* That long before `time`, by the calendar: a month before 31 March is 3 March. */
int64_t retention_span_before(int64_t time, const struct retention_span *span);
/*
 * For each of n snapshots, with times in seconds since 1970, why it stays: bits 1 << enum retain; 0: it
 * does not. Number 0 is the newest of the history, and stays. By time otherwise, whatever the order.
 */
void retention_apply(const struct retention *r, const int64_t *times, size_t n, int64_t now,
		     unsigned *reasons);
/* "last", "daily", "within". */
const char *retain_name(enum retain rule);

#endif
