#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/imap/trace.h"

static void keep(void *ctx, char direction, const char *line)
{
	buf_addf(ctx, "%c %s\n", direction, line);
}

static void test_what_is_received_is_shown_without_the_bodies_however_it_is_cut(void **state)
{
	static const struct {
		enum imap_trace_level level;
		const char *in, *want;
	} cases[] = {
		{ IMAP_TRACE_ALL, "* OK hi\r\na1 OK done\r\n", "S * OK hi\nS a1 OK done\n" },
		{ IMAP_TRACE_ALL, "* 1 FETCH (BODY[] {12}\r\nab\r\n* OK no\n UID 1)\r\n* 2 EXISTS\r\n",
		  "S * 1 FETCH (BODY[] {12} UID 1)\nS * 2 EXISTS\n" },
		{ IMAP_TRACE_ALL, "* LIST () \"/\" {3+}\r\na\rb\r\n", "S * LIST () \"/\" {3+}\n" },
		{ IMAP_TRACE_ALL, "* OK text {9}\r\n* BYE\r\n", "S * OK text {9}\nS * BYE\n" },
		{ IMAP_TRACE_ALL, "* X \"\x1b[2J\"\n+ {5}\r\n+\r\n", "S * X \"\\x1B[2J\"\nS + {5}\nS +\n" },
		{ IMAP_TRACE_COMMANDS, "* LIST () NIL a\r\n* NO x\r\na1 BAD y\r\n", "S * NO x\nS a1 BAD y\n" },
		{ IMAP_TRACE_OFF, "* OK hi\r\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bytes in = bytes_of(cases[i].in);

		for (size_t step = 1; step <= in.n; step++) {
			struct buf got = BUF_INIT(4096);
			struct imap_trace t = { .level = cases[i].level, .fn = keep, .ctx = &got };

			for (size_t at = 0; at < in.n; at += step)
				imap_trace_received(&t, bytes_from(in.p + at,
					step < in.n - at ? step : in.n - at));
			assert_string_equal(buf_str(&got), cases[i].want);
			buf_release(&got);
		}
	}
}

static void test_an_endless_line_is_cut(void **state)
{
	struct buf got = BUF_INIT(1 << 20);
	struct imap_trace t = { .level = IMAP_TRACE_ALL, .fn = keep, .ctx = &got };

	(void)state;
	for (int i = 0; i < 100000; i++)
		imap_trace_received(&t, bytes_of("xxxxxxxxxx"));
	imap_trace_received(&t, bytes_of("\r\n* OK\r\n"));
	assert_true(got.n < 1100);
	assert_non_null(strstr(buf_str(&got), "S * OK\n"));
	buf_release(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_what_is_received_is_shown_without_the_bodies_however_it_is_cut),
		cmocka_unit_test(test_an_endless_line_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
