/* Which snapshots stay, compared with the examples of restic's documentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/sync/retention.h"

#define MOST 40000

static int64_t times[MOST];
static unsigned reasons[MOST];
static size_t n;

static int64_t at(int year, int month, int day, int hour)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour,
			 .tm_isdst = -1 };

	return (int64_t)mktime(&tm);
}

/* `count` of them, newest first, the newest at this moment. */
static void every(int days, size_t count, int year, int month, int day)
{
	n = count;
	for (size_t i = 0; i < n; i++)
		times[i] = at(year, month, day - days * (int)i, 11);
}

static size_t apply(const struct retention *r)
{
	size_t kept = 0;

	retention_apply(r, times, n, at(2200, 1, 1, 0), reasons);
	for (size_t i = 0; i < n; i++)
		kept += reasons[i] != 0;
	return kept;
}

/* The days that stay, newest first. */
static void stay(const struct retention *r, const char *want)
{
	char got[4096] = "";

	apply(r);
	for (size_t i = 0; i < n; i++) {
		time_t when = (time_t)times[i];
		struct tm tm;
		char day[32];

		localtime_r(&when, &tm);
		strftime(day, sizeof(day), "%Y-%m-%d ", &tm);
		if (reasons[i] && strlen(got) + strlen(day) < sizeof(got))
			strcat(got, day);
	}
	assert_string_equal(got, want);
}

/* "make one backup every Sunday for 12 weeks": the days are those of the documentation. */
static void test_four_dailies_of_twelve_sundays_are_the_last_four(void **state)
{
	(void)state;
	every(7, 12, 2019, 11, 17);
	stay(&(struct retention){ .count[RETAIN_DAILY] = 4 },
	     "2019-11-17 2019-11-10 2019-11-03 2019-10-27 ");
	assert_int_equal(reasons[0], 1u << RETAIN_DAILY);
	stay(&(struct retention){ .count[RETAIN_WEEKLY] = 4 },
	     "2019-11-17 2019-11-10 2019-11-03 2019-10-27 ");
	stay(&(struct retention){ .count[RETAIN_LAST] = 2 }, "2019-11-17 2019-11-10 ");
	stay(&(struct retention){ .count[RETAIN_MONTHLY] = 2 }, "2019-11-17 2019-10-27 ");
}

/* "one backup every day for 100 years": 7 dailies, 4 more Sundays, 11 or 12 month ends, 74 or 75 year ends. */
static void test_a_hundred_years_come_to_what_the_documentation_says(void **state)
{
	const struct retention r = { .count = { [RETAIN_DAILY] = 7, [RETAIN_WEEKLY] = 5,
						[RETAIN_MONTHLY] = 12, [RETAIN_YEARLY] = 75 } };
	size_t by[RETAIN_RULES] = { 0 };

	(void)state;
	every(1, 36525, 2119, 10, 14);
	/* A year end is a month end, too, and a month end may be a Sunday. */
	assert_in_range(apply(&r), 7 + 4 + 11 + 74 - 2, 7 + 4 + 12 + 75);
	for (size_t i = 0; i < n; i++) {
		time_t when = (time_t)times[i];
		struct tm tm;

		localtime_r(&when, &tm);
		for (enum retain rule = 0; rule < RETAIN_RULES; rule++)
			by[rule] += reasons[i] >> rule & 1;
		if (reasons[i] & 1u << RETAIN_WEEKLY && i > 0)
			assert_int_equal(tm.tm_wday, 0);
		if (reasons[i] & 1u << RETAIN_YEARLY && i > 0)
			assert_true(tm.tm_mon == 11 && tm.tm_mday == 31);
	}
	assert_int_equal(by[RETAIN_DAILY], 7);
	assert_int_equal(by[RETAIN_WEEKLY], 5);
	assert_int_equal(by[RETAIN_MONTHLY], 12);
	assert_int_equal(by[RETAIN_YEARLY], 75);
}

/* "If there are not enough snapshots to keep one for each, the oldest snapshot is kept additionally." */
static void test_the_oldest_stays_while_a_rule_has_not_found_its_number(void **state)
{
	(void)state;
	every(1, 20, 2024, 3, 25);
	stay(&(struct retention){ .count[RETAIN_MONTHLY] = 2 }, "2024-03-25 2024-03-06 ");
	stay(&(struct retention){ .count[RETAIN_MONTHLY] = 1 }, "2024-03-25 ");
	stay(&(struct retention){ .count[RETAIN_YEARLY] = RETAIN_ALL }, "2024-03-25 2024-03-06 ");
}

static void test_a_year_of_days_leaves_a_week_and_twelve_months(void **state)
{
	const struct retention r = { .count = { [RETAIN_DAILY] = 7, [RETAIN_MONTHLY] = 12 } };

	(void)state;
	every(1, 365, 2023, 12, 31);
	stay(&r, "2023-12-31 2023-12-30 2023-12-29 2023-12-28 2023-12-27 2023-12-26 2023-12-25 2023-11-30 "
		 "2023-10-31 2023-09-30 2023-08-31 2023-07-31 2023-06-30 2023-05-31 2023-04-30 2023-03-31 "
		 "2023-02-28 2023-01-31 ");
}

static void test_weeks_are_those_of_iso_8601(void **state)
{
	(void)state;
	/* 2020-12-31 is a Thursday of the week that ends on 2021-01-03. */
	every(1, 8, 2021, 1, 4);
	stay(&(struct retention){ .count[RETAIN_WEEKLY] = 2 }, "2021-01-04 2021-01-03 ");
}

static void test_hours_are_counted_as_they_come(void **state)
{
	(void)state;
	n = 5;
	for (size_t i = 0; i < n; i++)
		times[i] = at(2024, 5, 5, 12) + 1800 - (int64_t)i * 1800;
	/* 12:30 12:00 11:30 11:00 10:30 */
	apply(&(struct retention){ .count[RETAIN_HOURLY] = 2 });
	assert_true(reasons[0] && !reasons[1] && reasons[2] && !reasons[3] && !reasons[4]);
}

static void test_a_span_counts_from_the_newest_that_is_not_in_the_future(void **state)
{
	struct retention r = { .within = { .days = 2 } };

	(void)state;
	every(1, 5, 2024, 3, 10);
	/* What lies exactly two days before is outside, as with restic. */
	stay(&r, "2024-03-10 2024-03-09 ");
	r.within = (struct retention_span){ .days = 2, .hours = 1 };
	stay(&r, "2024-03-10 2024-03-09 2024-03-08 ");
	r.within = (struct retention_span){ .months = 1 };
	assert_int_equal(apply(&r), 5);
	times[0] = at(2300, 1, 1, 0); /* a clock that was wrong */
	r.within = (struct retention_span){ .days = 1, .hours = 1 };
	apply(&r);
	assert_true(reasons[0] && reasons[1] && reasons[2] && !reasons[3]);
}

/* Number 0 is what the archive holds now, whatever a clock said. */
static void test_what_the_archive_holds_now_stays(void **state)
{
	(void)state;
	every(1, 4, 2024, 3, 10);
	times[0] = at(2001, 1, 1, 0);
	assert_int_equal(apply(&(struct retention){ .count[RETAIN_LAST] = 1 }), 2);
	assert_int_equal(reasons[0], 1u << RETAIN_NEWEST);
	assert_int_equal(reasons[1], 1u << RETAIN_LAST);
}

static void test_spans_are_read_and_nonsense_is_not(void **state)
{
	static const char *const bad[] = { "", "0d", "5", "d", "1w", "1d1d", "1d2m", "-1d", "1.5d", "1d ",
					   "100001d", "99999999999999999999d" };
	struct retention_span s;

	(void)state;
	assert_true(retention_span_parse("2y5m7d3h", &s));
	assert_true(s.years == 2 && s.months == 5 && s.days == 7 && s.hours == 3);
	assert_true(retention_span_parse("30d", &s));
	assert_true(s.years == 0 && s.months == 0 && s.days == 30 && s.hours == 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (retention_span_parse(bad[i], &s))
			fail_msg("'%s' is a span", bad[i]);
	assert_true(retention_is_empty(&(struct retention){ 0 }));
	assert_false(retention_is_empty(&(struct retention){ .within = { .hours = 1 } }));
	assert_false(retention_is_empty(&(struct retention){ .count[RETAIN_YEARLY] = 1 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_four_dailies_of_twelve_sundays_are_the_last_four),
		cmocka_unit_test(test_a_hundred_years_come_to_what_the_documentation_says),
		cmocka_unit_test(test_the_oldest_stays_while_a_rule_has_not_found_its_number),
		cmocka_unit_test(test_a_year_of_days_leaves_a_week_and_twelve_months),
		cmocka_unit_test(test_weeks_are_those_of_iso_8601),
		cmocka_unit_test(test_hours_are_counted_as_they_come),
		cmocka_unit_test(test_a_span_counts_from_the_newest_that_is_not_in_the_future),
		cmocka_unit_test(test_what_the_archive_holds_now_stays),
		cmocka_unit_test(test_spans_are_read_and_nonsense_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
