#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/msgset/uidset.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct uidset set_of(const char *text)
{
	struct uidset s = UIDSET_INIT;
	struct err err = { 0 };

	if (*text && uidset_parse(&s, bytes_of(text), UIDSET_ALLOW_STAR, NULL, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return s;
}

static void assert_reads(const struct uidset *s, const char *want)
{
	struct buf b = BUF_INIT(1 << 16);

	assert_true(uidset_format(s, &b));
	assert_string_equal(buf_str(&b), want);
	assert_int_equal(uidset_text_size(s), strlen(want));
	buf_release(&b);
}

/* `want` is the canonical text, NULL when the parser must refuse. */
struct parse_case {
	const char *text;
	const char *want;
};

static void check_parse(const struct parse_case *cases, size_t n, unsigned syntax)
{
	for (size_t i = 0; i < n; i++) {
		struct uidset s = UIDSET_INIT, again = UIDSET_INIT;
		struct err err = { 0 };
		int ret;

		uidset_add(&s, 77);
		ret = uidset_parse(&s, bytes_of(cases[i].text), syntax, NULL, &err);
		if (ret != (cases[i].want ? 0 : -1))
			fail_msg("'%s' gave %d: %s", cases[i].text, ret, err.text);
		if (ret < 0) {
			assert_reads(&s, "77"); /* as it was */
			assert_int_equal(err.kind,
					 syntax & UIDSET_TOLERANT ? ERR_MAILBOX : ERR_CONFIG);
			assert_non_null(strstr(err.text, "message set: "));
		} else {
			assert_reads(&s, cases[i].want);
		}
		if (ret == 0 && *cases[i].want) {
			assert_int_equal(uidset_parse(&again, bytes_of(cases[i].want),
						      UIDSET_ALLOW_STAR, NULL, &err), 0);
			assert_true(uidset_equal(&s, &again));
		}
		uidset_release(&s);
		uidset_release(&again);
	}
}

static void test_strict_parsing_takes_the_grammar_and_nothing_else(void **state)
{
	static const struct parse_case cases[] = {
		{ "1", "1" },
		{ "4294967295", "4294967295" },
		{ "4:2", "2:4" },
		{ "2:4", "2:4" },
		{ "3:3", "3" },
		{ "1,2", "1:2" },
		{ "1,3,2", "1:3" },
		{ "9,7,5,5:7", "5:7,9" },
		{ "1:4294967295", "1:4294967295" },
		{ "4294967295:1", "1:4294967295" },
		{ "*", "*" },
		{ "*:*", "*" },
		{ "*:4", "4:*" },
		{ "4:*", "4:*" },
		{ "1:100,50:*", "1:*" },
		{ "50:*,1:100", "1:*" },
		{ "*,5", "5,*" },
		{ "5:*,*", "5:*" },
		{ "4294967295,*", "4294967295,*" },
		{ "4294967295:*", "4294967295:*" },
		{ "", NULL },
		{ " ", NULL },
		{ ",", NULL },
		{ "1,", NULL },
		{ ",1", NULL },
		{ "1,,2", NULL },
		{ "1:", NULL },
		{ ":1", NULL },
		{ ":", NULL },
		{ "1:2:3", NULL },
		{ "0", NULL },
		{ "0:5", NULL },
		{ "01", NULL },
		{ "1:02", NULL },
		{ "+1", NULL },
		{ "-1", NULL },
		{ " 1", NULL },
		{ "1 ", NULL },
		{ "1, 2", NULL },
		{ "1 :2", NULL },
		{ "4294967296", NULL },
		{ "99999999999999999999999999", NULL },
		{ "1:4294967296", NULL },
		{ "**", NULL },
		{ "*1", NULL },
		{ "1*", NULL },
		{ "$", NULL },
		{ "1;2", NULL },
		{ "1\r\n", NULL },
		{ "1a", NULL },
		{ "0x10", NULL },
	};

	(void)state;
	check_parse(cases, N(cases), UIDSET_ALLOW_STAR);
}

static void test_tolerant_parsing_takes_what_servers_send(void **state)
{
	static const struct parse_case cases[] = {
		{ "", "" },
		{ "  ", "" },
		{ "0", "" },
		{ "0,0:0", "" },
		{ "0,5", "5" },
		{ "0:5", "1:5" },
		{ "5:0", "1:5" },
		{ "1,", "1" },
		{ ",", "" },
		{ ",1,,3,", "1,3" },
		{ " 1 , 2\t", "1:2" },
		{ "1 : 3", "1:3" },
		{ "007:0012", "7:12" },
		{ "12:10", "10:12" },
		{ "000000000000000000000004", "4" },
		{ "*", NULL },
		{ "5:*", NULL },
		{ "-1", NULL },
		{ "+1", NULL },
		{ "4294967296", NULL },
		{ "18446744073709551617", NULL },
		{ "1 2", NULL },
		{ "1:", NULL },
		{ ":", NULL },
		{ "1:,2", NULL },
		{ "1:2:3", NULL },
		{ "1)", NULL },
	};
	static const struct parse_case star[] = {
		{ "0:*", "1:*" },
		{ " * ", "*" },
		{ "5:*,,7", "5:*" },
	};

	(void)state;
	check_parse(cases, N(cases), UIDSET_TOLERANT);
	check_parse(star, N(star), UIDSET_TOLERANT | UIDSET_ALLOW_STAR);
}

static void test_star_is_refused_unless_asked_for(void **state)
{
	static const struct parse_case cases[] = {
		{ "*", NULL }, { "1,*", NULL }, { "1:*", NULL }, { "*:1", NULL }, { "1,2", "1:2" },
	};

	(void)state;
	check_parse(cases, N(cases), UIDSET_STRICT);
}

static void test_a_nul_in_the_text_is_refused(void **state)
{
	struct uidset s = UIDSET_INIT;
	struct err err;

	(void)state;
	assert_int_equal(uidset_parse(&s, bytes_from("1\0,2", 4), UIDSET_TOLERANT, NULL, &err), -1);
	assert_int_equal(uidset_parse(&s, bytes_from("1\0", 2), UIDSET_STRICT, NULL, &err), -1);
	assert_int_equal(uidset_parse(&s, bytes_from(NULL, 0), UIDSET_STRICT, NULL, &err), -1);
	assert_int_equal(uidset_parse(&s, bytes_from(NULL, 0), UIDSET_TOLERANT, NULL, &err), 0);
	uidset_release(&s);
}

static void test_an_error_shows_the_place_escaped(void **state)
{
	struct uidset s = UIDSET_INIT;
	struct err err;

	(void)state;
	assert_int_equal(uidset_parse(&s, bytes_of("1,2,\x1b[2J"), UIDSET_STRICT, NULL, &err), -1);
	assert_string_equal(err.text,
			    "message set: a number is missing at byte 5, near '1,2,\\x1B[2J'");
	uidset_release(&s);
}

static void test_caps_on_bytes_and_ranges_are_exact(void **state)
{
	static const struct uidset_limits limits = { .bytes = 7, .ranges = 3 };
	static const struct {
		const char *text;
		int ret;
	} cases[] = {
		{ "1,3,5", 0 },
		{ "1,3,5,7", -1 },
		{ "1,1,1,1", -1 }, /* items of the text, merged or not */
		{ "1234567", 0 },
		{ "12345678", -1 },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = UIDSET_INIT;
		struct err err;

		assert_int_equal(uidset_parse(&s, bytes_of(cases[i].text), UIDSET_STRICT, &limits,
					      &err), cases[i].ret);
		assert_int_equal(uidset_parse(&s, bytes_of(cases[i].text), UIDSET_TOLERANT, &limits,
					      &err), cases[i].ret);
		uidset_release(&s);
	}
}

static void test_formatting_is_all_or_nothing(void **state)
{
	struct uidset s = set_of("1:3,5,7:*"), empty = UIDSET_INIT;
	struct buf b = BUF_INIT(9);

	(void)state;
	assert_true(uidset_format(&empty, &b)); /* no wire form */
	assert_int_equal(b.n, 0);
	assert_true(uidset_format(&s, &b));
	assert_string_equal(buf_str(&b), "1:3,5,7:*");
	buf_clear(&b);
	buf_add_byte(&b, ' ');
	assert_false(uidset_format(&s, &b));
	assert_string_equal(buf_str(&b), " ");
	buf_release(&b);
	uidset_release(&s);
}

/* Split `set`, join the texts of the pieces by '|', compare. */
static void check_split(const char *set, size_t budget, uint64_t max_members, const char *want)
{
	struct uidset s = set_of(set), piece = UIDSET_INIT, all = UIDSET_INIT;
	struct uidset_split sp = { .set = &s, .budget = budget, .max_members = max_members };
	struct buf b = BUF_INIT(4096);

	while (uidset_split_next(&sp, &piece)) {
		size_t at = b.n;

		if (b.n)
			buf_add_byte(&b, '|');
		at = b.n;
		assert_true(uidset_format(&piece, &b));
		assert_in_range(b.n - at, 1, budget);
		uidset_union(&all, &all, &piece);
	}
	assert_false(uidset_split_next(&sp, &piece));
	assert_string_equal(buf_str(&b), want);
	assert_true(uidset_equal(&all, &s));
	buf_release(&b);
	uidset_release(&s);
	uidset_release(&piece);
	uidset_release(&all);
}

static void test_splitting_is_exact_under_both_limits(void **state)
{
	(void)state;
	check_split("", 21, 0, "");
	check_split("1", SIZE_MAX, 0, "1");
	check_split("4294967294:4294967295", 21, 0, "4294967294:4294967295");
	check_split("1000,2000,3000,4000", 21, 0, "1000,2000,3000,4000");
	check_split("1000,2000,3000,4000,50", 21, 0, "50,1000,2000,3000|4000");
	check_split("1000,2000,3000,40000", 21, 0, "1000,2000,3000,40000"); /* 20 bytes */
	check_split("1000,2000,3000,400000", 21, 0, "1000,2000,3000,400000"); /* 21 */
	check_split("1000,2000,3000,4000000", 21, 0, "1000,2000,3000|4000000"); /* 22 */
	check_split("1:10", 100, 4, "1:4|5:8|9:10");
	check_split("1:3,5,7:9", 100, 4, "1:3,5|7:9");
	check_split("1:3,5:6,8", 100, 1, "1|2|3|5|6|8");
	check_split("1:4294967295", 100, 4294967294, "1:4294967294|4294967295");
	check_split("1:4294967295", 100, UINT64_MAX, "1:4294967295");
	check_split("1:3,9:*", 100, 0, "1:3,9:*");
	check_split("1:3,9:*", 100, 3, "1:3|9:*");
	check_split("*", 21, 1, "*");
	check_split("1000,2000,3000,400000,*", 21, 0, "1000,2000,3000,400000|*");
	check_split("1000,2000,3000,4000,*", 21, 0, "1000,2000,3000,4000,*");
}

/* A command of at most 40 bytes of set costs 30 more; `in_use` "" is all numbers. */
static void check_cover(const char *set, const char *in_use, size_t reply, const char *want)
{
	struct uidset s = set_of(set), use = set_of(in_use), out = UIDSET_INIT;
	struct uidset_read_cost cost = { .budget = 40, .command_bytes = 30, .reply_bytes = reply,
					 .in_use = *in_use ? &use : NULL };

	uidset_cover(&out, &s, &cost);
	assert_reads(&out, want);
	uidset_cover(&s, &s, &cost); /* in place */
	assert_reads(&s, want);
	uidset_release(&s);
	uidset_release(&use);
	uidset_release(&out);
}

static void test_a_cover_for_reads_closes_gaps_while_it_pays(void **state)
{
	(void)state;
	check_cover("", "", 10, "");
	check_cover("5", "", 10, "5");
	check_cover("1:3,9:*", "", 100, "1:3,9:*");
	/* Nothing in use in between: the gap costs nothing. */
	check_cover("10:20,30:40", "10:20,30:40", 60, "10:40");
	check_cover("10,20,30", "10,20,30", 60, "10:30");
	/* An unwanted answer costs more than the bytes it would save... */
	check_cover("10:20,30:40", "10:40", 60, "10:20,30:40");
	check_cover("10:20,22:40", "", 7, "10:20,22:40");
	/* ...or fewer. `,22:` and `20` are 6 bytes. */
	check_cover("10:20,22:40", "", 5, "10:40");
	/* The smallest gap first: one closed saves a second command of 30 bytes. */
	check_cover("100000:100010,100012:100020,100040:100050,1", "", 8,
		    "1,100000:100020,100040:100050");
	/* The ends are never passed, whatever it costs. */
	check_cover("4294967290,4294967295", "4294967290,4294967295", 0, "4294967290,4294967295");
	check_cover("4294967290,4294967292,4294967295", "", 0, "4294967290:4294967295");
	check_cover("1:2,4294967294:4294967295", "", SIZE_MAX, "1:2,4294967294:4294967295");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strict_parsing_takes_the_grammar_and_nothing_else),
		cmocka_unit_test(test_tolerant_parsing_takes_what_servers_send),
		cmocka_unit_test(test_star_is_refused_unless_asked_for),
		cmocka_unit_test(test_a_nul_in_the_text_is_refused),
		cmocka_unit_test(test_an_error_shows_the_place_escaped),
		cmocka_unit_test(test_caps_on_bytes_and_ranges_are_exact),
		cmocka_unit_test(test_formatting_is_all_or_nothing),
		cmocka_unit_test(test_splitting_is_exact_under_both_limits),
		cmocka_unit_test(test_a_cover_for_reads_closes_gaps_while_it_pays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
