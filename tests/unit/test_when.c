#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/base/when.h"
#include "tests/lib/support.h"

/* Europe, with the rule written out: no zone files are needed. */
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static int64_t utc(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return timegm(&tm);
}

struct span {
	const char *text, *first, *last; /* in UTC */
};

static void check(const char *tz, const char *now, const struct span *v, size_t n)
{
	zone(tz);
	for (size_t i = 0; i < n; i++) {
		struct when got;
		struct err err = { 0 };

		if (when_parse(v[i].text, utc(now), &got, &err) < 0)
			test_die("'%s': %s", v[i].text, err.text);
		if (got.first != utc(v[i].first) || got.last != utc(v[i].last))
			test_die("'%s' is %lld to %lld, not %lld to %lld", v[i].text,
				 (long long)got.first, (long long)got.last,
				 (long long)utc(v[i].first), (long long)utc(v[i].last));
	}
}

#define CHECK(tz, now, v) check(tz, now, v, sizeof(v) / sizeof((v)[0]))

static void test_dates_are_spans_in_local_time(void **state)
{
	static const struct span v[] = {
		{ "2024-02-29", "2024-02-28 23:00:00", "2024-02-29 22:59:59" },
		{ "2024-02", "2024-01-31 23:00:00", "2024-02-29 22:59:59" },
		{ "2023-02", "2023-01-31 23:00:00", "2023-02-28 22:59:59" },
		{ "2024-12", "2024-11-30 23:00:00", "2024-12-31 22:59:59" },
		{ "2024-02-29 13:05", "2024-02-29 12:05:00", "2024-02-29 12:05:59" },
		{ "2024-07-01T13:05:07", "2024-07-01 11:05:07", "2024-07-01 11:05:07" },
		{ "2024-02-29T13:05:07Z", "2024-02-29 13:05:07", "2024-02-29 13:05:07" },
		{ "2024-02-29t13:05:07z", "2024-02-29 13:05:07", "2024-02-29 13:05:07" },
		{ "2024-02-29 13:05:07 +05:30", "2024-02-29 07:35:07", "2024-02-29 07:35:07" },
		{ "2024-02-29T13:05-0800", "2024-02-29 21:05:00", "2024-02-29 21:05:59" },
		/* The days the clocks are changed have 23 and 25 hours. */
		{ "2024-03-31", "2024-03-30 23:00:00", "2024-03-31 21:59:59" },
		{ "2024-10-27", "2024-10-26 22:00:00", "2024-10-27 22:59:59" },
	};

	(void)state;
	CHECK(BERLIN, "2024-06-15 12:00:00", v);
}

static void test_phrases_are_about_now(void **state)
{
	static const struct span v[] = {
		{ "now", "2024-03-31 12:34:56", "2024-03-31 12:34:56" },
		{ "today", "2024-03-31 00:00:00", "2024-03-31 23:59:59" },
		{ "Yesterday", "2024-03-30 00:00:00", "2024-03-30 23:59:59" },
		{ "90 seconds ago", "2024-03-31 12:33:26", "2024-03-31 12:33:26" },
		{ "5 min ago", "2024-03-31 12:29:56", "2024-03-31 12:29:56" },
		{ "an hour ago", "2024-03-31 11:34:56", "2024-03-31 11:34:56" },
		{ "3 days ago", "2024-03-28 12:34:56", "2024-03-28 12:34:56" },
		{ "2 weeks ago", "2024-03-17 12:34:56", "2024-03-17 12:34:56" },
		{ "2-weeks-ago", "2024-03-17 12:34:56", "2024-03-17 12:34:56" },
		{ "2.WEEKS_ago", "2024-03-17 12:34:56", "2024-03-17 12:34:56" },
		{ "1 month ago", "2024-02-29 12:34:56", "2024-02-29 12:34:56" },
		{ "last month", "2024-02-29 12:34:56", "2024-02-29 12:34:56" },
		{ "last-week", "2024-03-24 12:34:56", "2024-03-24 12:34:56" },
		{ "13 months ago", "2023-02-28 12:34:56", "2023-02-28 12:34:56" },
		{ "a year ago", "2023-03-31 12:34:56", "2023-03-31 12:34:56" },
		{ "4 months ago", "2023-11-30 12:34:56", "2023-11-30 12:34:56" },
	};

	(void)state;
	CHECK("UTC0", "2024-03-31 12:34:56", v);
}

static void test_a_day_ago_is_the_same_time_of_day_when_clocks_were_changed(void **state)
{
	static const struct span v[] = {
		{ "1 day ago", "2024-03-30 11:00:00", "2024-03-30 11:00:00" }, /* 25 hours back */
		{ "24 hours ago", "2024-03-30 10:00:00", "2024-03-30 10:00:00" },
		{ "1 week ago", "2024-03-24 11:00:00", "2024-03-24 11:00:00" },
		{ "yesterday", "2024-03-29 23:00:00", "2024-03-30 22:59:59" },
	};

	(void)state;
	CHECK(BERLIN, "2024-03-31 10:00:00", v);
}

static void test_what_means_nothing_is_refused(void **state)
{
	static const char *const bad[] = {
		"", " ", "2024", "2024-13", "2024-00", "2024-02-30", "2023-02-29", "2024-2-9",
		"2024-02-29 ", "2024-02-29x", "2024-02-29 13", "2024-02-29 24:00",
		"2024-02-29 13:60", "2024-02-29 13:05:61", "2024-02-29 13:05 CET",
		"2024-02-29 13:05+", "2024-02-29 13:05+2500", "2024-02-29T", "20240229",
		"0 days ago", "-1 days ago", "1000000 days ago", "99999999999999999999 days ago",
		"3 days", "days ago", "3 dayz ago", "3 days ago ago", "last", "last day", "last sunday",
		"tomorrow", "in 3 days", "a", "\x1b[2J",
		"                                                                            now",
	};

	(void)state;
	zone("UTC0");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct when got;
		struct err err = { 0 };

		if (when_parse(bad[i], utc("2024-03-31 12:34:56"), &got, &err) == 0)
			test_die("'%s' was taken", bad[i]);
		assert_int_equal(err.kind, ERR_CONFIG);
		assert_null(strchr(err.text, '\x1b'));
	}
}

static void test_far_back_is_far_back(void **state)
{
	static const char *const texts[] = { "999999 years ago", "999999 months ago",
					     "999999 weeks ago", "999999 days ago" };
	int64_t now = utc("2024-03-31 12:34:56");

	(void)state;
	zone("UTC0");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct when got;
		struct err err = { 0 };

		assert_int_equal(when_parse(texts[i], now, &got, &err), 0);
		assert_true(got.last < utc("1900-01-01 00:00:00"));
	}
}

static void test_a_duration_is_a_number_and_a_unit(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds; /* -1: none */
	} v[] = { { "90s", 90 },	{ "10m", 600 },	     { "24h", 86400 }, { "7d", 604800 },
		  { "2w", 1209600 },	{ "0s", 0 },	     { "", -1 },       { "h", -1 },
		  { "24", -1 },		{ "24 h", -1 },	     { "24hh", -1 },   { "-1h", -1 },
		  { "1.5h", -1 },	{ "1000001s", -1 },  { "1M", -1 },
		  { "99999999999999999999s", -1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		int64_t got = -1;

		assert_int_equal(duration_parse(v[i].text, &got), v[i].seconds >= 0);
		assert_int_equal(got, v[i].seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dates_are_spans_in_local_time),
		cmocka_unit_test(test_phrases_are_about_now),
		cmocka_unit_test(test_a_day_ago_is_the_same_time_of_day_when_clocks_were_changed),
		cmocka_unit_test(test_what_means_nothing_is_refused),
		cmocka_unit_test(test_far_back_is_far_back),
		cmocka_unit_test(test_a_duration_is_a_number_and_a_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
