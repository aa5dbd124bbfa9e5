#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/mail/header.h"

static const char *const wanted[] = { "Message-ID", "X-Two" };

/* Both values as <one><two>, with `-` for an absent one. */
static void read_values(struct header_reader *h, struct bytes text, size_t step, struct buf *out)
{
	header_reader_reset(h);
	while (text.n > 0) {
		size_t n = text.n < step ? text.n : step;

		if (header_reader_feed(h, bytes_from(text.p, n)) == HEADER_DONE)
			break;
		text = bytes_skip(text, n);
	}
	header_reader_finish(h);
	for (size_t i = 0; i < 2; i++) {
		struct bytes v = header_reader_value(h, i);

		buf_add_byte(out, '<');
		buf_add(out, v.p ? v : bytes_of("-"));
		buf_add_byte(out, '>');
	}
}

static void test_any_split_gives_the_same_values(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "Message-ID: <a@b>\r\nX-Two: 2\r\n\r\nbody", "<<a@b>><2>" },
		{ "Message-ID: <a@b>\nX-Two: 2\n\nbody", "<<a@b>><2>" },
		{ "X-Two: 2\r\nmessage-id:<a@b>\n\r\n", "<<a@b>><2>" },
		{ "MESSAGE-ID  :\t <a@b> \t\r\n\r\n", "<<a@b>><->" },
		{ "Message-ID:\r\n <a@b>\r\n\t c\r\n\r\n", "<<a@b>\t c><->" },
		{ "Message-ID:\n <a\n b>\nX-Two:\n\n", "<<a b>><>" },
		{ "Message-ID: first\nMessage-ID: second\n\n", "<first><->" },
		{ "Message-IDs: no\nXMessage-ID: no\nMessage-I: no\n\n", "<-><->" },
		{ "Subject: x\r\n Message-ID: folded\r\n\r\nMessage-ID: body\r\n", "<-><->" },
		{ "\r\nMessage-ID: body\r\n", "<-><->" },
		{ "\nMessage-ID: body\n", "<-><->" },
		{ "A: b\n\r\r\nMessage-ID: body\n", "<-><->" },
		{ "From x@y Mon Jan 1\nMessage-ID: <a>\n\n", "<<a>><->" },
		{ "no colon\nMessage-ID\n: x\nMessage ID: y\nX-Two: 2\n\n", "<-><2>" },
		{ " leading fold\nMessage-ID: <a>\n\n", "<<a>><->" },
		{ "Message-ID: <a>\r\r\nX-Two: b\rc\n\n", "<<a>><b\rc>" },
		{ "Message-ID: <a> \r\n \r\nX-Two: 2\n\n", "<<a>><2>" },
		{ "Message-ID: cut", "<cut><->" },
		{ "Message-ID: cut\r", "<cut><->" },
		{ "Message-ID:", "<><->" },
		{ "Message-ID", "<-><->" },
		{ "", "<-><->" },
	};
	struct header_reader *h = header_reader_new(wanted, 2);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step <= strlen(cases[i].text) + 1; step++) {
			struct buf out = BUF_INIT(1000);

			read_values(h, bytes_of(cases[i].text), step, &out);
			assert_string_equal(buf_str(&out), cases[i].want);
			buf_release(&out);
		}
	header_reader_free(h);
	header_reader_free(NULL);
}

static void test_random_headers_do_not_depend_on_the_cut(void **state)
{
	static const char *const parts[] = { "Message-ID", "X-Two", ":", " ", "\t", "\r", "\n",
					     "\r\n",	   "x",	    "<a>", "\0" };
	struct header_reader *h = header_reader_new(wanted, 2);

	(void)state;
	srand(9);
	for (int round = 0; round < 50000; round++) {
		struct buf text = BUF_INIT(1000), whole = BUF_INIT(1000), cut = BUF_INIT(1000);

		for (int n = rand() % 20; n > 0; n--) {
			const char *part = parts[rand() % 11];

			buf_add(&text, bytes_from(part, part[0] ? strlen(part) : 1));
		}
		read_values(h, buf_bytes(&text), 1000, &whole);
		read_values(h, buf_bytes(&text), (size_t)(1 + rand() % 5), &cut);
		assert_true(bytes_equal(buf_bytes(&whole), buf_bytes(&cut)));
		buf_release(&text);
		buf_release(&whole);
		buf_release(&cut);
	}
	header_reader_free(h);
}

static void test_it_stops_once_it_has_all(void **state)
{
	struct header_reader *h = header_reader_new(wanted, 2);
	struct header_reader *none = header_reader_new(wanted, 0);

	(void)state;
	assert_int_equal(header_reader_feed(h, bytes_of("X-Two: 2\nMessage-ID: 1\n")), HEADER_MORE);
	assert_null(header_reader_value(h, 0).p); /* it may be folded */
	assert_int_equal(header_reader_feed(h, bytes_of("Subject")), HEADER_DONE);
	assert_true(bytes_is(header_reader_value(h, 0), "1"));
	assert_int_equal(header_reader_feed(h, bytes_of("more\n")), HEADER_DONE);
	header_reader_reset(h);
	assert_null(header_reader_value(h, 0).p);
	assert_int_equal(header_reader_feed(h, bytes_of("A: b\r\n\r\n")), HEADER_DONE);
	assert_int_equal(header_reader_feed(none, bytes_of("A: b\r\n")), HEADER_DONE);
	header_reader_free(h);
	header_reader_free(none);
}

/* "Message-ID: xxx...\nX-Two: 2\n\n" with a value of `n` bytes. */
static void assert_long_value(struct header_reader *h, size_t n, size_t step, bool fits)
{
	struct buf text = BUF_INIT(10000), out = BUF_INIT(10000);

	buf_add_str(&text, "Message-ID:");
	for (size_t i = 0; i < n; i++)
		buf_add_byte(&text, 'x');
	buf_add_str(&text, "\nX-Two: 2\nMessage-ID: second\n\n");
	read_values(h, buf_bytes(&text), step, &out);
	if (fits)
		assert_int_equal(out.n, n + 5);
	else
		assert_string_equal(buf_str(&out), "<-><2>");
	buf_release(&text);
	buf_release(&out);
}

static void test_a_value_too_long_is_absent(void **state)
{
	struct header_reader *h = header_reader_new(wanted, 2);

	(void)state;
	for (size_t step = 1; step < 8000; step = step * 3 + 1) {
		assert_long_value(h, HEADER_VALUE_MAX, step, true);
		assert_long_value(h, HEADER_VALUE_MAX + 1, step, false);
	}
	header_reader_free(h);
}

static void test_a_name_is_compared_to_its_end(void **state)
{
	char longest[HEADER_NAME_MAX + 1], line[200];
	const char *const names[] = { longest };
	struct header_reader *h;

	(void)state;
	memset(longest, 'n', HEADER_NAME_MAX);
	longest[HEADER_NAME_MAX] = '\0';
	h = header_reader_new(names, 1);
	snprintf(line, sizeof(line), "%sn: longer\n%s: same\n\n", longest, longest);
	assert_int_equal(header_reader_feed(h, bytes_of(line)), HEADER_DONE);
	assert_true(bytes_is(header_reader_value(h, 0), "same"));
	header_reader_free(h);
}

static void test_a_header_without_end_is_given_up(void **state)
{
	struct header_reader *h = header_reader_new(wanted, 2);
	size_t fed = 0;

	(void)state;
	while (header_reader_feed(h, bytes_of("A: bbbbbbbbbbbbbbbbbbbbbbbbbbbb\n")) == HEADER_MORE)
		fed += 32;
	assert_in_range(fed, HEADER_MAX - 64, HEADER_MAX);
	assert_int_equal(header_reader_feed(h, bytes_of("X-Two: late\n\n")), HEADER_DONE);
	assert_null(header_reader_value(h, 1).p);
	header_reader_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_split_gives_the_same_values),
		cmocka_unit_test(test_random_headers_do_not_depend_on_the_cut),
		cmocka_unit_test(test_it_stops_once_it_has_all),
		cmocka_unit_test(test_a_value_too_long_is_absent),
		cmocka_unit_test(test_a_name_is_compared_to_its_end),
		cmocka_unit_test(test_a_header_without_end_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
