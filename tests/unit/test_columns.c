#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <locale.h>

#include <cmocka.h>

#include "cmd/columns.h"
#include "core/base/buf.h"

static void test_text_is_cut_and_filled_to_its_column(void **state)
{
	static const struct {
		const char *text;
		size_t width;
		const char *filled, *last;
	} cases[] = {
		{ "abc", 5, "abc  ", "abc" },
		{ "abcde", 5, "abcde", "abcde" },
		{ "abcdef", 5, "ab...", "ab..." },
		{ "", 3, "   ", "" },
		{ "abcdef", 2, "ab", "ab" },
		/* Two bytes and one column, three bytes and two columns each. */
		{ "\xc3\xa4\xc3\xa4\xc3\xa4", 4, "\xc3\xa4\xc3\xa4\xc3\xa4 ",
		  "\xc3\xa4\xc3\xa4\xc3\xa4" },
		{ "\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 6,
		  "\xe4\xb8\xad... ", "\xe4\xb8\xad..." },
		/* A character that does not fit is left out, not cut. */
		{ "\xe4\xb8\xad\xe4\xb8\xad", 3, "...", "..." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT(1000);

		columns_add(&out, cases[i].text, cases[i].width);
		assert_string_equal(buf_str(&out), cases[i].filled);
		buf_clear(&out);
		columns_add_last(&out, cases[i].text, cases[i].width);
		assert_string_equal(buf_str(&out), cases[i].last);
		buf_clear(&out);
		columns_add_last(&out, cases[i].text, 0);
		assert_string_equal(buf_str(&out), cases[i].text);
		buf_release(&out);
	}
	assert_int_equal(columns_of("a\xc3\xa4\xe4\xb8\xad"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_is_cut_and_filled_to_its_column),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
