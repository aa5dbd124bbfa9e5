/* A script's line becomes words as in a shell, and nothing in it is expanded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cmd/imap_words.h"
#include "core/base/buf.h"
#include "core/base/err.h"

static const struct {
	const char *line;
	const char *want; /* each word in brackets; NULL: refused */
} cases[] = {
	{ "", "" },
	{ " \t\r\n", "" },
	{ "# all of it", "" },
	{ "noop", "[noop]" },
	{ "  a  b\tc\r\n", "[a][b][c]" },
	{ "a # b", "[a]" },
	{ "a#b", "[a#b]" },
	{ "'#' \\# \"#\"", "[#][#][#]" },
	{ "'a b' \"c d\"", "[a b][c d]" },
	{ "a'b 'c\" d\"", "[ab c d]" },
	{ "'' \"\"", "[][]" },
	{ "'\\Seen' \"\\Seen\" \\\\Seen", "[\\Seen][\\Seen][\\Seen]" },
	{ "\"a\\\"b\\\\c\"", "[a\"b\\c]" },
	{ "a\\ b", "[a b]" },
	{ "'it'\\''s'", "[it's]" },
	{ "$HOME `x` * ~", "[$HOME][`x`][*][~]" },
	{ "'a", NULL },
	{ "\"a", NULL },
	{ "\"a\\\"", NULL },
	{ "a\\", NULL },
};

static void test_a_line_is_split_as_in_a_shell(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf got = BUF_INIT(1000);
		struct words words = { 0 };
		struct err err = { 0 };
		int ret = words_split(&words, bytes_of(cases[i].line), &err);

		for (size_t j = 0; j < words.n; j++)
			buf_addf(&got, "[%s]", words.v[j]);
		assert_int_equal(ret, cases[i].want ? 0 : -1);
		if (cases[i].want)
			assert_string_equal(buf_str(&got), cases[i].want);
		else
			assert_int_equal(err.kind, ERR_CONFIG);
		words_release(&words);
		buf_release(&got);
	}
}

static void test_a_nul_is_refused(void **state)
{
	struct words words = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(words_split(&words, bytes_from("a\0b", 3), &err), -1);
	words_release(&words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_is_split_as_in_a_shell),
		cmocka_unit_test(test_a_nul_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
