#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

static void test_a_buffer_never_grows_past_its_ceiling(void **state)
{
	struct buf b = BUF_INIT(5);

	(void)state;
	assert_true(buf_add_str(&b, "abc"));
	assert_false(buf_add_str(&b, "def")); /* all of it or nothing */
	assert_int_equal(b.n, 3);
	assert_false(buf_add_str(&b, "d")); /* overflow sticks */
	buf_clear(&b);
	assert_true(buf_add_str(&b, "defgh"));
	assert_string_equal(buf_str(&b), "defgh");
	buf_consume(&b, 2);
	assert_string_equal(buf_str(&b), "fgh");
	buf_clear(&b);
	assert_true(buf_reserve(&b, 3));
	memset(b.p, 'x', 3);
	buf_grow(&b, 2);
	assert_string_equal(buf_str(&b), "xx"); /* ended, whatever lay behind */
	buf_release(&b);
}

static void test_numbers_are_digits_that_fit(void **state)
{
	uint64_t v;
	uint32_t w;

	(void)state;
	assert_true(bytes_to_u64(bytes_of("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
	assert_false(bytes_to_u64(bytes_of("18446744073709551616"), &v));
	assert_false(bytes_to_u64(bytes_of(""), &v));
	assert_false(bytes_to_u64(bytes_of("+1"), &v));
	assert_false(bytes_to_u64(bytes_of(" 1"), &v));
	assert_true(bytes_to_u32(bytes_of("4294967295"), &w));
	assert_false(bytes_to_u32(bytes_of("4294967296"), &w));
}

static void test_hostile_text_cannot_reach_the_terminal(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "plain \xc3\xa4", "plain \xc3\xa4" },
		{ "\x1b[2J", "\\x1B[2J" },
		{ "a\rb\n", "a\\x0Db\\x0A" },
		{ "\xc2\x9b", "\\u{9B}" },         /* C1 CSI */
		{ "\xe2\x80\xaex", "\\u{202E}x" }, /* right-to-left override */
		{ "\xff\xc0\x80", "\\xFF\\xC0\\x80" },
		{ "back\\slash", "back\\\\slash" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = escape_text(bytes_of(cases[i].in), 1000);

		assert_string_equal(got, cases[i].want);
		free(got);
	}
	{
		char *got = escape_text(bytes_of("abcdef"), 3);

		assert_string_equal(got, "abc...");
		free(got);
	}
}

static void test_a_word_for_the_shell_is_one_whatever_is_in_it(void **state)
{
	char *got = shell_word("it's $HOME `x` \"y\"\\");

	(void)state;
	assert_string_equal(got, "'it'\\''s $HOME `x` \"y\"\\'");
	free(got);
}

static void test_lines_keep_their_ends_wherever_they_are_cut(void **state)
{
	static const char in[] = "a\\b\tc\r\nd\ne\rf\r\r\n\x1b[2J\xe2\x80\xae\r";
	static const char want[] = "a\\b\tc\nd\ne\\x0Df\\x0D\n\\x1B[2J\\u{202E}\\x0D";

	(void)state;
	for (size_t cut = 0; cut < sizeof(in); cut++) {
		struct buf out = BUF_INIT(1000);
		bool cr = false;

		if ((in[cut] & 0xc0) == 0x80)
			continue; /* within a character */
		escape_add_lines(&out, bytes_from(in, cut), &cr);
		escape_add_lines(&out, bytes_from(in + cut, sizeof(in) - 1 - cut), &cr);
		escape_add_lines_end(&out, &cr);
		assert_string_equal(buf_str(&out), want);
		buf_release(&out);
	}
}

static void test_utf8_is_strict_and_round_trips(void **state)
{
	static const char *const bad[] = { "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
					   "\xe0\x80\x80", "\x80", "\xc3" };
	uint8_t out[4];
	uint32_t c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(utf8_is_valid(bytes_of(bad[i])));
	for (uint32_t v = 1; v <= 0x10ffff; v++) {
		size_t n;

		if (v >= 0xd800 && v <= 0xdfff)
			continue;
		n = utf8_encode(v, out);
		assert_int_equal(utf8_decode(bytes_from(out, n), &c), n);
		assert_int_equal(c, v);
	}
}

static void test_a_failed_replace_leaves_no_litter(void **state)
{
	char dir[] = "/tmp/mailcask-file-XXXXXX";
	struct err err = { 0 };
	struct buf got = BUF_INIT(100);
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("full", 0700), 0);
	assert_int_equal(mkdir("full/dst", 0700), 0); /* rename must fail */
	assert_int_equal(file_replace("full/dst", bytes_of("x"), 0600, &err), -1);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_non_null(strstr(err.text, "rename full/dst."));
	assert_int_equal(rmdir("full/dst"), 0);
	assert_int_equal(rmdir("full"), 0); /* empty, so nothing was left */

	assert_int_equal(file_replace("plain", bytes_of("new"), 0640, &err), 0);
	assert_int_equal(stat("plain", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(file_read("plain", &got, &err), 0);
	assert_string_equal(buf_str(&got), "new");
	buf_release(&got);
	buf_init(&got, 2);
	assert_int_equal(file_read("plain", &got, &err), -1); /* larger than allowed */
	buf_release(&got);

	assert_int_equal(dir_make("a/b/c", 0700, &err), 0);
	assert_int_equal(dir_make("a/b/c", 0700, &err), 0);
	assert_int_equal(rmdir("a/b/c"), 0);
	assert_int_equal(rmdir("a/b"), 0);
	assert_int_equal(rmdir("a"), 0);
	assert_int_equal(unlink("plain"), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_errors_say_where(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(err_set(&err, ERR_MAILBOX, "no such mailbox"), -1);
	assert_int_equal(err_prefix(&err, "mailbox %s", "Sent"), -1);
	assert_string_equal(err.text, "mailbox Sent: no such mailbox");
	assert_int_equal(err.kind, ERR_MAILBOX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_buffer_never_grows_past_its_ceiling),
		cmocka_unit_test(test_numbers_are_digits_that_fit),
		cmocka_unit_test(test_hostile_text_cannot_reach_the_terminal),
		cmocka_unit_test(test_a_word_for_the_shell_is_one_whatever_is_in_it),
		cmocka_unit_test(test_lines_keep_their_ends_wherever_they_are_cut),
		cmocka_unit_test(test_utf8_is_strict_and_round_trips),
		cmocka_unit_test(test_a_failed_replace_leaves_no_litter),
		cmocka_unit_test(test_errors_say_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
