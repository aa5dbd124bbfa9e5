#include "core/sync/retention.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/bytes.h"
#include "core/base/mem.h"

#define MOST 100000 /* of a unit in a span */

struct moment {
	int64_t time;
	size_t nr; /* of the snapshot */
};

static bool span_is_zero(const struct retention_span *s)
{
	return s->years == 0 && s->months == 0 && s->days == 0 && s->hours == 0;
}

bool retention_is_empty(const struct retention *r)
{
	for (size_t i = 0; i < RETAIN_COUNTED; i++)
		if (r->count[i])
			return false;
	return span_is_zero(&r->within);
}

bool retention_span_parse(const char *text, struct retention_span *out)
{
	static const char letters[] = "ymdh";
	uint32_t v[4] = { 0 };
	size_t next = 0;

	while (*text) {
		size_t n = strspn(text, "0123456789");
		const char *unit = text[n] ? strchr(letters + next, text[n]) : NULL;
		uint32_t count;

		if (!unit || !bytes_to_u32(bytes_from(text, n), &count) || count > MOST)
			return false;
		v[unit - letters] = count;
		next = (size_t)(unit - letters) + 1;
		text += n + 1;
	}
	*out = (struct retention_span){ v[0], v[1], v[2], v[3] };
	return !span_is_zero(out);
}

/* Newest first; of the same time, the one that history has later. */
static int newest_first(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? 1 : -1;
	return (x->nr > y->nr) - (x->nr < y->nr);
}

/* A number that is the same for all moments of one hour, day and so on. */
static int64_t period_of(enum retain rule, int64_t time, size_t place)
{
	time_t when = (time_t)time;
	struct tm tm = { 0 };
	char week[32];

	localtime_r(&when, &tm);
	switch (rule) {
	case RETAIN_HOURLY:
		return ((tm.tm_year * INT64_C(12) + tm.tm_mon) * 31 + tm.tm_mday) * 24 + tm.tm_hour;
	case RETAIN_DAILY:
		return (tm.tm_year * INT64_C(12) + tm.tm_mon) * 32 + tm.tm_mday;
	case RETAIN_WEEKLY:
		strftime(week, sizeof(week), "%G%V", &tm);
		return strtoll(week, NULL, 10);
	case RETAIN_MONTHLY:
		return tm.tm_year * INT64_C(12) + tm.tm_mon;
	case RETAIN_YEARLY:
		return tm.tm_year;
	default:
		return (int64_t)place;
	}
}

static void apply_count(enum retain rule, uint32_t left, const struct moment *v, size_t n,
			unsigned *reasons)
{
	int64_t last = 0;

	for (size_t i = 0; i < n && left > 0; i++) {
		int64_t period = period_of(rule, v[i].time, i);

		if (i > 0 && i + 1 < n && period == last)
			continue;
		reasons[v[i].nr] |= 1u << rule;
		last = period;
		left -= left != RETAIN_ALL;
	}
}

/* As the calendar has it: a month before 31 March is 3 March, as restic (and mktime()) counts. */
int64_t retention_span_before(int64_t time, const struct retention_span *s)
{
	time_t when = (time_t)time;
	struct tm tm = { 0 };

	localtime_r(&when, &tm);
	tm.tm_year -= (int)s->years;
	tm.tm_mon -= (int)s->months;
	tm.tm_mday -= (int)s->days;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm) - (int64_t)s->hours * 3600;
}

static void apply_within(const struct retention_span *s, const struct moment *v, size_t n,
			 int64_t now, unsigned *reasons)
{
	size_t latest = 0;
	int64_t from;

	while (latest + 1 < n && v[latest].time > now)
		latest++;
	from = retention_span_before(v[latest].time, s);
	for (size_t i = 0; i < n && v[i].time > from; i++)
		reasons[v[i].nr] |= 1u << RETAIN_WITHIN;
}

void retention_apply(const struct retention *r, const int64_t *times, size_t n, int64_t now,
		     unsigned *reasons)
{
	struct moment *v = xcalloc(n + 1, sizeof(*v));

	memset(reasons, 0, n * sizeof(*reasons));
	for (size_t i = 0; i < n; i++)
		v[i] = (struct moment){ .time = times[i], .nr = i };
	qsort(v, n, sizeof(*v), newest_first);
	for (enum retain rule = RETAIN_LAST; rule < RETAIN_COUNTED; rule++)
		apply_count(rule, r->count[rule], v, n, reasons);
	if (n > 0 && !span_is_zero(&r->within))
		apply_within(&r->within, v, n, now, reasons);
	if (n > 0 && reasons[0] == 0)
		reasons[0] = 1u << RETAIN_NEWEST;
	free(v);
}

const char *retain_name(enum retain rule)
{
	static const char *const names[RETAIN_RULES] = {
		[RETAIN_LAST] = "last",	    [RETAIN_HOURLY] = "hourly",	  [RETAIN_DAILY] = "daily",
		[RETAIN_WEEKLY] = "weekly", [RETAIN_MONTHLY] = "monthly", [RETAIN_YEARLY] = "yearly",
		[RETAIN_WITHIN] = "within", [RETAIN_NEWEST] = "newest",
	};

	return names[rule];
}
