#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/mail/maildate.h"

static void assert_formats(const struct maildate *d, const char *want)
{
	struct buf out = BUF_INIT(1000);

	maildate_format(d, &out);
	assert_string_equal(buf_str(&out), want);
	buf_release(&out);
}

static void test_a_date_is_understood_and_comes_back_as_sent(void **state)
{
	static const struct {
		const char *text;
		bool known;
		int64_t unix_time;
		int zone_minutes;
		bool raw;
	} cases[] = {
		{ " 7-Feb-1994 21:52:25 -0800", true, 760686745, -480, false },
		{ "17-Jul-1996 02:44:25 -0700", true, 837596665, -420, false },
		{ " 1-Jan-1970 00:00:00 +0000", true, 0, 0, false },
		{ "29-Feb-2024 12:00:00 +0545", true, 1709187300, 345, false },
		{ "31-Dec-1969 23:59:59 +0000", true, -1, 0, false },
		{ " 1-Jan-0000 00:00:00 +0000", true, -62167219200, 0, false },
		{ "31-Dec-9999 23:59:59 +0000", true, 253402300799, 0, false },
		{ "31-Dec-9999 23:59:59 -2359", true, 253402387139, -1439, false },
		{ "19-Jan-2038 03:14:08 +2359", true, 2147397308, 1439, false },
		/* understood, but not what we would write */
		{ "07-Feb-1994 21:52:25 -0800", true, 760686745, -480, true },
		{ "7-Feb-1994 21:52:25 -0800", true, 760686745, -480, true },
		{ "  7-Feb-1994 21:52:25 -0800", true, 760686745, -480, true },
		{ " 7-feb-1994 21:52:25 -0800", true, 760686745, -480, true },
		{ " 7 Feb 1994 21:52:25 -0800", true, 760686745, -480, true },
		{ " 7-Feb-1994  21:52:25 -0800", true, 760686745, -480, true },
		{ " 1-Jan-1970 00:00:00 -0000", true, 0, 0, true },
		{ " 1-Jan-1970 00:00:00", true, 0, 0, true },
		{ " 1-Jan-1970 00:00:00 GMT", true, 0, 0, true },
		{ " 1-Jan-1970 00:00:00 +2400", true, 0, 0, true },
		{ " 1-Jan-1970 00:00:00 +9999", true, 0, 0, true },
		{ " 1-Jan-1970 00:00:00 +0060", true, 0, 0, true },
		{ " 1-Jan-1970 00:00:00 +00000", true, 0, 0, true },
		{ " 1-Jan-1970 00:00:00 +000", true, 0, 0, true },
		{ " 1-Jan-1970 00:00:60 +0000", true, 60, 0, true },
		{ "30-Feb-1970 00:00:00 +0000", true, 60 * 86400, 0, true },
		{ " 1-Jan-10000 00:00:00 +0000", true, 253402300800, 0, true },
		{ " 1-Jan-70 00:00:00 +0000", true, -59958144000, 0, true },
		{ " 1-Jan-999999999 00:00:00 +0000", true, 31556889801244800, 0, true },
		{ " 1-Jan-1970 01:00:00 +0100 ", true, 0, 60, true },
		{ " 1-Jan-1970 01:00:00 +0100 (CET)", true, 0, 60, true },
		/* no date */
		{ "NIL", false, 0, 0, false },
		{ "nil", false, 0, 0, true },
		{ "", false, 0, 0, true },
		{ "yesterday", false, 0, 0, true },
		{ " 0-Jan-1970 00:00:00 +0000", false, 0, 0, true },
		{ "32-Jan-1970 00:00:00 +0000", false, 0, 0, true },
		{ " 1-Jnu-1970 00:00:00 +0000", false, 0, 0, true },
		{ " 1-Jan-1970 24:00:00 +0000", false, 0, 0, true },
		{ " 1-Jan-1970 00:60:00 +0000", false, 0, 0, true },
		{ " 1-Jan-9999999999 00:00:00 +0000", false, 0, 0, true },
		{ " 1-Jan", false, 0, 0, true },
		{ " 1-Ja", false, 0, 0, true },
		{ "\xff\x01", false, 0, 0, true },
	};
	struct maildate d;

	(void)state;
	maildate_init(&d);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(maildate_parse(&d, bytes_of(cases[i].text)), cases[i].known);
		assert_int_equal(d.known, cases[i].known);
		if (d.unix_time != cases[i].unix_time)
			fail_msg("%s: %lld", cases[i].text, (long long)d.unix_time);
		assert_int_equal(d.zone_minutes, cases[i].zone_minutes);
		if ((d.raw != NULL) != cases[i].raw)
			fail_msg("%s: raw text kept or not", cases[i].text);
		assert_formats(&d, cases[i].text);
	}
	maildate_release(&d);
	assert_formats(&d, "NIL");
}

static void test_text_is_bounded(void **state)
{
	char text[1000];
	struct maildate d;

	(void)state;
	maildate_init(&d);
	memset(text, 'x', sizeof(text));
	assert_false(maildate_parse(&d, bytes_from(text, sizeof(text))));
	assert_int_equal(strlen(d.raw), MAILDATE_RAW_MAX);
	assert_false(maildate_parse(&d, bytes_from("a\0b", 3)));
	assert_formats(&d, "a");
	maildate_release(&d);
}

static void test_people_and_servers_get_a_clean_form(void **state)
{
	static const struct {
		const char *text, *append, *rfc3339;
	} cases[] = {
		{ " 7-Feb-1994 21:52:25 -0830", " 7-Feb-1994 21:52:25 -0830",
		  "1994-02-07T21:52:25-08:30" },
		{ "07-feb-1994 21:52:25 +0530", " 7-Feb-1994 21:52:25 +0530",
		  "1994-02-07T21:52:25+05:30" },
		{ " 1-Jan-1970 00:00:00 +9999", " 1-Jan-1970 00:00:00 +0000",
		  "1970-01-01T00:00:00+00:00" },
		{ " 1-Jan-12345 00:00:00 +0100", "31-Dec-9999 23:59:59 +0100",
		  "12345-01-01T00:00:00+01:00" },
		{ "NIL", NULL, NULL },
		{ "rubbish", NULL, NULL },
	};
	struct maildate d;

	(void)state;
	maildate_init(&d);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf append = BUF_INIT(100), people = BUF_INIT(100);

		maildate_parse(&d, bytes_of(cases[i].text));
		assert_int_equal(maildate_format_append(&d, &append), cases[i].append != NULL);
		assert_string_equal(buf_str(&append), cases[i].append ? cases[i].append : "");
		assert_int_equal(maildate_format_rfc3339(&d, &people), cases[i].rfc3339 != NULL);
		assert_string_equal(buf_str(&people), cases[i].rfc3339 ? cases[i].rfc3339 : "");
		buf_release(&append);
		buf_release(&people);
	}
	maildate_release(&d);
}

static void test_only_what_is_written_as_rfc3339_is_read(void **state)
{
	static const struct {
		const char *text;
		int64_t unix_time;
		int zone_minutes;
	} good[] = {
		{ "1994-02-07T21:52:25-08:30", 760688545, -510 },
		{ "1970-01-01T00:00:00+00:00", 0, 0 },
		{ "2024-02-29T12:00:00+05:45", 1709187300, 345 },
		{ "2000-02-29T00:00:00+00:00", 951782400, 0 },
		{ "0000-01-01T00:00:00+23:59", -62167219200 - 86340, 1439 },
		{ "9999-12-31T23:59:59-23:59", 253402387139, -1439 },
	};
	static const char *const bad[] = {
		"", "NIL", "1994-02-07", "1994-02-07T21:52:25", "1994-02-07T21:52:25Z",
		"1994-02-07 21:52:25-08:00", "1994-02-07t21:52:25-08:00",
		"1994-02-07T21:52:25-0800", "1994-02-07T21:52:25-08:00 ",
		"1994-02-07T21:52:25.5-08:00", "1994-02-07T21:52:25-00:00",
		"1994-02-07T21:52:25-24:00", "1994-02-07T21:52:25-08:60",
		"1994-02-07T24:00:00-08:00", "1994-02-07T21:60:25-08:00",
		"1994-02-07T21:52:60-08:00", "1994-00-07T21:52:25-08:00",
		"1994-13-07T21:52:25-08:00", "1994-02-00T21:52:25-08:00",
		"1994-02-29T21:52:25-08:00", "1900-02-29T21:52:25-08:00",
		"1994-04-31T21:52:25-08:00", "12345-01-01T00:00:00+01:00",
		"+994-02-07T21:52:25-08:00", "1994-2--07T21:52:25-08:00",
		"1994-02-07T21:52:2x-08:00", "1994/02-07T21:52:25-08:00",
		"1994-02/07T21:52:25-08:00", "1994-02-07T21-52:25-08:00",
		"1994-02-07T21:52-25-08:00", "1994-02-07T21:52:25-08-00",
		"1994-02-07T21:52:25 08:00",
	};
	struct maildate d;

	(void)state;
	maildate_init(&d);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		maildate_parse(&d, bytes_of("rubbish"));
		assert_true(maildate_parse_rfc3339(&d, bytes_of(good[i].text)));
		assert_true(d.known);
		assert_null(d.raw);
		if (d.unix_time != good[i].unix_time)
			fail_msg("%s: %lld", good[i].text, (long long)d.unix_time);
		assert_int_equal(d.zone_minutes, good[i].zone_minutes);
	}
	maildate_parse(&d, bytes_of("rubbish"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (maildate_parse_rfc3339(&d, bytes_of(bad[i])))
			fail_msg("taken: %s", bad[i]);
		assert_formats(&d, "rubbish");
	}
	maildate_release(&d);
}

static void test_any_moment_round_trips_as_rfc3339(void **state)
{
	struct buf text = BUF_INIT(100), other = BUF_INIT(100);
	struct maildate d, again;

	(void)state;
	maildate_init(&d);
	maildate_init(&again);
	srand(6);
	for (int round = 0; round < 100000; round++) {
		int64_t t = ((int64_t)rand() << 8 ^ rand()) % 253402300799;

		maildate_set(&d, rand() % 4 ? t : -t / 5, rand() % 2879 - 1439);
		buf_clear(&text);
		maildate_format_rfc3339(&d, &text);
		assert_true(maildate_parse_rfc3339(&again, buf_bytes(&text)));
		assert_true(maildate_equal(&d, &again));
		/* And what is read is always written so again. */
		text.p[(size_t)rand() % text.n] = (uint8_t)("0123456789-:+T"[rand() % 14]);
		if (maildate_parse_rfc3339(&again, buf_bytes(&text))) {
			buf_clear(&other);
			maildate_format_rfc3339(&again, &other);
			assert_string_equal(buf_str(&other), buf_str(&text));
		}
	}
	buf_release(&text);
	buf_release(&other);
	maildate_release(&d);
	maildate_release(&again);
}

static void test_any_moment_round_trips_without_raw_text(void **state)
{
	struct maildate d, again;

	(void)state;
	maildate_init(&d);
	maildate_init(&again);
	srand(5);
	for (int round = 0; round < 100000; round++) {
		int64_t t = ((int64_t)rand() << 8 ^ rand()) % 253402300799;
		struct buf text = BUF_INIT(100);
		time_t local;
		struct tm tm;
		char want[64];

		maildate_set(&d, rand() % 4 ? t : -t / 5, rand() % 2879 - 1439);
		maildate_format(&d, &text);
		assert_true(maildate_parse(&again, buf_bytes(&text)));
		assert_null(again.raw);
		assert_true(maildate_equal(&d, &again));
		assert_int_equal(text.n, 26);
		/* The C library agrees on the calendar. */
		local = d.unix_time + d.zone_minutes * 60;
		assert_non_null(gmtime_r(&local, &tm));
		if (tm.tm_year >= -900) { /* strftime() does not pad the year */
			strftime(want, sizeof(want), "%e-%b-%Y %H:%M:%S ", &tm);
			assert_memory_equal(want, buf_str(&text), 21);
		}
		buf_release(&text);
	}
	maildate_release(&d);
	maildate_release(&again);
}

static void test_a_moment_is_brought_into_range(void **state)
{
	struct maildate d;

	(void)state;
	maildate_init(&d);
	maildate_set(&d, INT64_MAX, 5000);
	assert_formats(&d, "31-Dec-9999 23:59:59 +2359");
	maildate_set(&d, INT64_MIN, -5000);
	assert_formats(&d, " 1-Jan-0000 00:00:00 -2359");
	maildate_set(&d, 0, 60);
	assert_formats(&d, " 1-Jan-1970 01:00:00 +0100");
	maildate_release(&d);
}

static void test_equal_means_the_same_text(void **state)
{
	static const char *const texts[] = {
		" 7-Feb-1994 21:52:25 -0800", "07-Feb-1994 21:52:25 -0800",
		" 7-Feb-1994 21:52:26 -0800", " 8-Feb-1994 05:52:25 +0000", "NIL", "nil", "",
		" 1-Jan-1970 00:00:00 +0000",
	};
	const size_t n = sizeof(texts) / sizeof(texts[0]);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			struct maildate a, b, copy;

			maildate_init(&a);
			maildate_init(&b);
			maildate_init(&copy);
			maildate_parse(&a, bytes_of(texts[i]));
			maildate_parse(&b, bytes_of(texts[j]));
			assert_int_equal(maildate_equal(&a, &b), i == j);
			maildate_copy(&copy, &a);
			maildate_release(&a);
			assert_int_equal(maildate_equal(&copy, &b), i == j);
			maildate_release(&copy);
			maildate_release(&b);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_date_is_understood_and_comes_back_as_sent),
		cmocka_unit_test(test_text_is_bounded),
		cmocka_unit_test(test_people_and_servers_get_a_clean_form),
		cmocka_unit_test(test_only_what_is_written_as_rfc3339_is_read),
		cmocka_unit_test(test_any_moment_round_trips_as_rfc3339),
		cmocka_unit_test(test_any_moment_round_trips_without_raw_text),
		cmocka_unit_test(test_a_moment_is_brought_into_range),
		cmocka_unit_test(test_equal_means_the_same_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
