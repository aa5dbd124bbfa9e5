#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/utf8.h"
#include "core/mail/mutf7.h"

static void test_known_names_encode_and_decode(void **state)
{
	static const struct {
		const char *text, *wire;
	} cases[] = {
		{ "", "" },
		{ "INBOX", "INBOX" },
		{ "a b~", "a b~" },
		{ "R&D", "R&-D" },
		{ "&", "&-" },
		{ "&&", "&-&-" },
		/* RFC 3501, section 5.1.3 */
		{ "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
		  "~peter/mail/&U,BTFw-/&ZeVnLIqe-" },
		{ "Entw\xc3\xbcrfe", "Entw&APw-rfe" },
		{ "\xc3\xa4\xc3\xa4", "&AOQA5A-" },
		{ "\xc3\xa4&\xc3\xa4", "&AOQ-&-&AOQ-" },
		{ "\xc3\xa4-", "&AOQ--" },
		{ "\xf0\x9f\x98\x80", "&2D3eAA-" },
		{ "\x01\x7f", "&AAEAfw-" },
		{ "\t", "&AAk-" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT(200);

		assert_true(mutf7_encode(bytes_of(cases[i].text), &out));
		assert_string_equal(buf_str(&out), cases[i].wire);
		buf_clear(&out);
		assert_true(mutf7_decode(bytes_of(cases[i].wire), &out));
		assert_string_equal(buf_str(&out), cases[i].text);
		buf_release(&out);
	}
}

static void test_what_is_not_the_one_encoding_is_refused(void **state)
{
	static const char *const bad[] = {
		"a&b",            /* unencoded & */
		"&",              /* nothing after it */
		"&AOQ",           /* no closing - */
		"&AOQ ",          /* ended by something else */
		"&AGE-",          /* shifted `a` */
		"&ACY-",          /* shifted & */
		"&AOQ-&AOQ-",     /* superfluous shift */
		"&2D0-",          /* high surrogate alone */
		"&3gA-",          /* low surrogate alone */
		"&2D3YPQ-",       /* high, high */
		"&2D0A5A-",       /* high, letter */
		"&AOR-",          /* padding bits set */
		"&AOQA-",         /* a whole character of padding */
		"&A-",            /* too short */
		"&AO-",           /* too short */
		"&AOQ=-",         /* base64 padding */
		"&AO/-",          /* the other base64 alphabet */
		"\xc3\xa4",       /* 8-bit */
		"a\x01",          /* control */
		"a\x7f",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf out = BUF_INIT(200);

		buf_add_str(&out, "before");
		if (mutf7_decode(bytes_of(bad[i]), &out))
			fail_msg("decoded: %s", bad[i]);
		assert_string_equal(buf_str(&out), "before");
		buf_release(&out);
	}
}

static void test_text_that_is_not_utf8_is_refused(void **state)
{
	static const char *const bad[] = { "\xff", "a\xc3", "\xed\xa0\x80", "\xc3\xa4\x80" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf out = BUF_INIT(200);

		assert_false(mutf7_encode(bytes_of(bad[i]), &out));
		assert_int_equal(out.n, 0);
		buf_release(&out);
	}
}

static uint32_t random_char(void)
{
	static const uint32_t below[] = { 0x20, 0x80, 0x800, 0x10000, 0x110000 };
	uint32_t c;

	do
		c = (uint32_t)rand() % below[rand() % 5];
	while (c >= 0xd800 && c <= 0xdfff);
	return rand() % 8 == 0 ? '&' : c;
}

static void test_every_text_comes_back(void **state)
{
	(void)state;
	srand(7);
	for (int round = 0; round < 20000; round++) {
		struct buf text = BUF_INIT(200), wire = BUF_INIT(1000), back = BUF_INIT(200);

		for (int n = rand() % 20; n > 0; n--) {
			uint8_t c[4];
			size_t len = utf8_encode(random_char(), c);

			buf_add(&text, bytes_from(c, len));
		}
		assert_true(mutf7_encode(buf_bytes(&text), &wire));
		assert_true(wire.n <= text.n * MUTF7_GROWTH);
		assert_true(mutf7_decode(buf_bytes(&wire), &back));
		assert_true(bytes_equal(buf_bytes(&text), buf_bytes(&back)));
		buf_release(&text);
		buf_release(&wire);
		buf_release(&back);
	}
}

static void test_what_decodes_is_what_encoding_gives(void **state)
{
	static const char letters[] = "AAAOQDPw2deh0-&&&-,+/a \x01\xc3";
	int decoded = 0;

	(void)state;
	srand(8);
	for (int round = 0; round < 300000; round++) {
		struct buf wire = BUF_INIT(200), text = BUF_INIT(200), back = BUF_INIT(200);

		for (int n = rand() % 9; n > 0; n--)
			buf_add_byte(&wire,
				     (uint8_t)letters[(size_t)rand() % (sizeof(letters) - 1)]);
		if (mutf7_decode(buf_bytes(&wire), &text)) {
			assert_true(mutf7_encode(buf_bytes(&text), &back));
			assert_string_equal(buf_str(&wire), buf_str(&back));
			decoded++;
		}
		buf_release(&wire);
		buf_release(&text);
		buf_release(&back);
	}
	assert_true(decoded > 1000);
}

static void test_a_full_buffer_takes_nothing(void **state)
{
	struct buf out = BUF_INIT(4);

	(void)state;
	assert_false(mutf7_encode(bytes_of("\xc3\xa4"), &out));
	assert_int_equal(out.n, 0);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_names_encode_and_decode),
		cmocka_unit_test(test_what_is_not_the_one_encoding_is_refused),
		cmocka_unit_test(test_text_that_is_not_utf8_is_refused),
		cmocka_unit_test(test_every_text_comes_back),
		cmocka_unit_test(test_what_decodes_is_what_encoding_gives),
		cmocka_unit_test(test_a_full_buffer_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
