#include "core/base/when.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/base/bytes.h"
#include "core/base/log.h"

#define COUNT_MAX 999999

/* `n` digits exactly, moving *p past them; -1 when they are not there. */
static int digits(const char **p, size_t n)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if (!((*p)[i] >= '0' && (*p)[i] <= '9'))
			return -1;
		value = 10 * value + ((*p)[i] - '0');
	}
	*p += n;
	return value;
}

/* One character, moving *p past it. */
static bool skip(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static int days_in_month(int year, int month) /* month: 1 to 12 */
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static int64_t utc_seconds(const struct tm *tm)
{
	struct tm copy = *tm;

	return (int64_t)timegm(&copy);
}

static int64_t local_seconds(const struct tm *tm)
{
	struct tm copy = *tm;

	copy.tm_isdst = -1;
	return (int64_t)mktime(&copy);
}

static struct tm local_time(int64_t when)
{
	time_t t = (time_t)when;
	struct tm tm = { 0 };

	localtime_r(&t, &tm);
	return tm;
}

/* From the first second of `tm`'s day to the last of the day `days` later. */
static void span_of_days(struct tm tm, int days, struct when *out)
{
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	out->first = local_seconds(&tm);
	tm.tm_mday += days + 1; /* mktime() carries over */
	out->last = local_seconds(&tm) - 1;
}

/* `Z`, `+01:00`, `+0100`: seconds east of UTC. */
static bool parse_zone(const char **p, int *east)
{
	int sign = **p == '-' ? -1 : 1, hours, minutes;

	*east = 0;
	if (skip(p, 'Z') || skip(p, 'z'))
		return true;
	if (!skip(p, '+') && !skip(p, '-'))
		return false;
	hours = digits(p, 2);
	skip(p, ':');
	minutes = digits(p, 2);
	*east = sign * (hours * 60 + minutes) * 60;
	return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60;
}

/* What follows a date: 13:05, 13:05:59, and perhaps a zone. */
static bool parse_clock(const char *p, struct tm *tm, struct when *out)
{
	int length = 60, east;

	tm->tm_hour = digits(&p, 2);
	if (!skip(&p, ':'))
		return false;
	tm->tm_min = digits(&p, 2);
	if (skip(&p, ':')) {
		tm->tm_sec = digits(&p, 2);
		length = 1;
	}
	if (tm->tm_hour < 0 || tm->tm_hour > 23 || tm->tm_min < 0 || tm->tm_min > 59 ||
	    tm->tm_sec < 0 || tm->tm_sec > 60)
		return false;
	if (*p == '\0') {
		out->first = local_seconds(tm);
	} else {
		skip(&p, ' ');
		if (!parse_zone(&p, &east) || *p)
			return false;
		out->first = utc_seconds(tm) - east;
	}
	out->last = out->first + length - 1;
	return true;
}

static bool parse_date(const char *p, struct when *out)
{
	int year = digits(&p, 4), month, day;
	struct tm tm = { 0 };

	if (year < 0 || !skip(&p, '-') || (month = digits(&p, 2)) < 1 || month > 12)
		return false;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = 1;
	if (*p == '\0') {
		span_of_days(tm, days_in_month(year, month) - 1, out);
		return true;
	}
	if (!skip(&p, '-') || (day = digits(&p, 2)) < 1 || day > days_in_month(year, month))
		return false;
	tm.tm_mday = day;
	if (*p == '\0') {
		span_of_days(tm, 0, out);
		return true;
	}
	return (skip(&p, ' ') || skip(&p, 'T') || skip(&p, 't')) && parse_clock(p, &tm, out);
}

enum unit { SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, YEAR, N_UNITS };

/* With or without an s at the end. */
static bool parse_unit(const char *word, enum unit *out)
{
	static const struct {
		const char *name;
		enum unit unit;
	} units[] = { { "second", SECOND }, { "sec", SECOND }, { "minute", MINUTE },
		      { "min", MINUTE },    { "hour", HOUR },  { "day", DAY },
		      { "week", WEEK },	    { "month", MONTH }, { "year", YEAR } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t n = strlen(units[i].name);

		if (strncasecmp(word, units[i].name, n) != 0 ||
		    (word[n] && strcasecmp(word + n, "s") != 0))
			continue;
		*out = units[i].unit;
		return true;
	}
	return false;
}

static int64_t before(int64_t now, int n, enum unit unit)
{
	struct tm tm = local_time(now);
	int year, month, months;

	switch (unit) {
	case SECOND:
		return now - n;
	case MINUTE:
		return now - (int64_t)n * 60;
	case HOUR:
		return now - (int64_t)n * 3600;
	case DAY:
	case WEEK:
		tm.tm_mday -= n * (unit == WEEK ? 7 : 1);
		return local_seconds(&tm);
	case MONTH:
	case YEAR:
	case N_UNITS:
		break;
	}
	months = (tm.tm_year + 1900) * 12 + tm.tm_mon - n * (unit == YEAR ? 12 : 1);
	year = months >= 0 ? months / 12 : 0; /* nothing is older than that */
	month = months >= 0 ? months % 12 : 0;
	tm.tm_year = year - 1900;
	tm.tm_mon = month;
	if (tm.tm_mday > days_in_month(year, month + 1))
		tm.tm_mday = days_in_month(year, month + 1);
	return local_seconds(&tm);
}

/* "3", "a", "an": 0 when it is no number that makes sense here. */
static int parse_count(const char *word)
{
	char *end;
	long n;

	if (strcasecmp(word, "a") == 0 || strcasecmp(word, "an") == 0)
		return 1;
	if (*word < '0' || *word > '9')
		return 0;
	n = strtol(word, &end, 10);
	return *end == '\0' && n <= COUNT_MAX ? (int)n : 0;
}

#define WORDS_MAX 3

/* Cut `text` (changed) into words; more than there is room for: 0. */
static size_t split(char *text, char *words[WORDS_MAX])
{
	char *save = NULL;
	size_t n = 0;

	for (char *w = strtok_r(text, " -._", &save); w; w = strtok_r(NULL, " -._", &save)) {
		if (n == WORDS_MAX)
			return 0;
		words[n++] = w;
	}
	return n;
}

static bool parse_words(const char *text, int64_t now, struct when *out)
{
	char copy[64], *words[WORDS_MAX];
	struct tm today = local_time(now);
	enum unit unit;
	size_t n;

	if (strlen(text) >= sizeof(copy) || strchr(" -._", *text)) /* "-3 days ago" */
		return false;
	strcpy(copy, text);
	n = split(copy, words);
	out->first = out->last = now;
	if (n == 1 && strcasecmp(words[0], "now") == 0)
		return true;
	if (n == 1 && strcasecmp(words[0], "today") == 0) {
		span_of_days(today, 0, out);
		return true;
	}
	if (n == 1 && strcasecmp(words[0], "yesterday") == 0) {
		today.tm_mday--;
		span_of_days(today, 0, out);
		return true;
	}
	if (n == 2 && strcasecmp(words[0], "last") == 0 && parse_unit(words[1], &unit) &&
	    unit >= WEEK) {
		out->first = out->last = before(now, 1, unit);
		return true;
	}
	if (n == 3 && strcasecmp(words[2], "ago") == 0 && parse_count(words[0]) > 0 &&
	    parse_unit(words[1], &unit)) {
		out->first = out->last = before(now, parse_count(words[0]), unit);
		return true;
	}
	return false;
}

int when_parse(const char *text, int64_t now, struct when *out, struct err *err)
{
	char *safe;

	if (parse_date(text, out) || parse_words(text, now, out))
		return 0;
	safe = escape_text(bytes_of(text), 100);
	err_set(err, ERR_CONFIG,
		"'%s' is no time: say 2024-02-29, 2024-02, '2024-02-29 13:05', yesterday, "
		"'2 weeks ago' or last month",
		safe);
	free(safe);
	return -1;
}

bool duration_parse(const char *text, int64_t *seconds)
{
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	size_t n = strspn(text, "0123456789");
	uint64_t count;

	if (!bytes_to_u64(bytes_from(text, n), &count) || count > 1000000 || !text[n] || text[n + 1])
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].letter == text[n]) {
			*seconds = (int64_t)count * units[i].seconds;
			return true;
		}
	return false;
}
