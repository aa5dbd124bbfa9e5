#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/msgset/uidlist.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct uidlist list_of(const char *text)
{
	struct uidlist l = UIDLIST_INIT;
	struct err err = { 0 };

	if (uidlist_parse(&l, bytes_of(text), UIDSET_TOLERANT, NULL, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return l;
}

static void assert_reads(const struct uidlist *l, const char *want)
{
	struct buf b = BUF_INIT(4096);

	assert_true(uidlist_format(l, &b));
	assert_string_equal(buf_str(&b), want);
	buf_release(&b);
}

static void test_items_keep_their_order_and_are_never_merged(void **state)
{
	static const struct {
		const char *text, *want;
		uint64_t count;
	} cases[] = {
		{ "1", "1", 1 },
		{ "3,1,2", "3,1,2", 3 },
		{ "1,2,3", "1,2,3", 3 },
		{ "12:10", "10:12", 3 }, /* RFC 4315: inside an item numbers ascend */
		{ "5,5", "5,5", 2 },
		{ "9:7,1:2", "7:9,1:2", 5 },
		{ "1:4294967295,1:4294967295", "1:4294967295,1:4294967295", 8589934590 },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidlist l = UIDLIST_INIT, again = UIDLIST_INIT;
		struct err err;

		assert_int_equal(uidlist_parse(&l, bytes_of(cases[i].text), UIDSET_STRICT, NULL,
					       &err), 0);
		assert_reads(&l, cases[i].want);
		assert_true(uidlist_count(&l) == cases[i].count);
		uidlist_copy(&again, &l);
		uidlist_clear(&l);
		assert_true(uidlist_is_empty(&l) && uidlist_count(&l) == 0);
		assert_reads(&l, "");
		assert_reads(&again, cases[i].want);
		assert_true(uidlist_count(&again) == cases[i].count);
		uidlist_release(&l);
		uidlist_release(&again);
	}
}

static void test_numbers_appended_one_by_one_are_ranges_where_they_follow(void **state)
{
	static const uint32_t numbers[] = { 5, 6, 7, 9, 8, 9, 9, UINT32_MAX, 1 };
	struct uidlist l = UIDLIST_INIT;

	(void)state;
	for (size_t i = 0; i < N(numbers); i++)
		uidlist_append(&l, numbers[i]);
	assert_reads(&l, "5:7,9,8:9,9,4294967295,1");
	assert_true(uidlist_count(&l) == N(numbers));
	uidlist_release(&l);
}

static void test_parsing_refuses_what_would_shift_the_pairs(void **state)
{
	static const struct {
		const char *text;
		bool strict, tolerant;
	} cases[] = {
		{ "1,2", true, true },
		{ "", false, true }, /* some servers send empty lists */
		{ " ", false, true },
		{ " 1 , 2 ", false, true },
		{ "01", false, true },
		{ "0", false, false },
		{ "0,1", false, false },
		{ "0:3", false, false },
		{ "1,,2", false, false },
		{ "1,", false, false },
		{ "*", false, false },
		{ "1:*", false, false },
		{ "4294967296", false, false },
		{ "1 2", false, false },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct bytes text = bytes_of(cases[i].text);
		struct uidlist l = UIDLIST_INIT;
		struct err err = { 0 };

		uidlist_add(&l, 77, 77);
		assert_int_equal(uidlist_parse(&l, text, UIDSET_STRICT, NULL, &err),
				 cases[i].strict ? 0 : -1);
		if (!cases[i].strict)
			assert_reads(&l, "77"); /* as it was */
		assert_int_equal(uidlist_parse(&l, text, UIDSET_TOLERANT, NULL, &err),
				 cases[i].tolerant ? 0 : -1);
		uidlist_release(&l);
	}
}

static void test_caps_hold_for_lists_too(void **state)
{
	static const struct uidset_limits limits = { .bytes = 5, .ranges = 2 };
	struct uidlist l = UIDLIST_INIT;
	struct err err;

	(void)state;
	assert_int_equal(uidlist_parse(&l, bytes_of("1,2"), UIDSET_STRICT, &limits, &err), 0);
	assert_int_equal(uidlist_parse(&l, bytes_of("1,2,3"), UIDSET_STRICT, &limits, &err), -1);
	assert_int_equal(uidlist_parse(&l, bytes_of("123456"), UIDSET_STRICT, &limits, &err), -1);
	assert_reads(&l, "1,2");
	uidlist_release(&l);
}

static void test_a_list_becomes_a_set_and_tells_doubles(void **state)
{
	static const struct {
		const char *list, *set;
		bool distinct;
	} cases[] = {
		{ "", "", true },
		{ "3,1,2", "1:3", true },
		{ "5,1:4", "1:5", true },
		{ "5,1:5", "1:5", false },
		{ "7,7", "7", false },
		{ "1:4294967295,9", "1:4294967295", false },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidlist l = list_of(cases[i].list);
		struct uidset s = UIDSET_INIT;
		struct buf b = BUF_INIT(100);

		uidset_add(&s, 99);
		uidlist_to_set(&l, &s);
		assert_true(uidset_format(&s, &b));
		assert_string_equal(buf_str(&b), cases[i].set);
		assert_int_equal(uidlist_is_distinct(&l), cases[i].distinct);
		buf_release(&b);
		uidset_release(&s);
		uidlist_release(&l);
	}
}

static void test_pairs_run_range_by_range(void **state)
{
	static const struct {
		const char *source, *target, *want; /* source>target*n */
	} cases[] = {
		{ "", "", "" },
		{ "304,319:320", "3956:3958", "304>3956*1 319>3957*2 " }, /* RFC 4315 */
		{ "1:3", "1:3", "1>1*3 " },
		{ "3,1,2", "10:12", "3>10*1 1>11*1 2>12*1 " },
		{ "12:10", "5,9,7", "10>5*1 11>9*1 12>7*1 " },
		{ "1:5,8:10", "20:21,30:35", "1>20*2 3>30*3 8>33*3 " },
		{ "1:2,5:6", "20:21,11:12", "1>20*2 5>11*2 " },
		{ "1:4294967295", "1:4294967295", "1>1*4294967295 " },
		{ "1:4294967294,4294967295", "4294967295,1:4294967294",
		  "1>4294967295*1 2>1*4294967293 4294967295>4294967294*1 " },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidlist source = list_of(cases[i].source), target = list_of(cases[i].target);
		struct uidlist_pairs pairs;
		struct uidlist_run run;
		struct buf got = BUF_INIT(1000);
		struct err err;

		assert_int_equal(uidlist_pairs_init(&pairs, &source, &target, NULL, &err), 0);
		while (uidlist_pairs_next(&pairs, &run))
			buf_addf(&got, "%u>%u*%u ", run.source, run.target, run.n);
		assert_string_equal(buf_str(&got), cases[i].want);
		buf_release(&got);
		uidlist_release(&source);
		uidlist_release(&target);
	}
}

static void test_pairs_that_cannot_be_trusted_are_refused(void **state)
{
	static const struct {
		const char *source, *target, *requested;
		int ret;
	} cases[] = {
		{ "1:3", "11:13", "1:3", 0 },
		{ "1:3", "11:13", "1:100", 0 },
		{ "", "", "5", 0 },
		{ "1:3", "11:14", "1:3", -1 },
		{ "1:3", "", "1:3", -1 },
		{ "1:2,2", "11:13", "1:3", -1 },
		{ "1:3", "11,12,11", "1:3", -1 },
		{ "1:4", "11:14", "1:3", -1 }, /* 4 was not asked for */
		/* Totals that are equal only modulo 2^32. */
		{ "1:4294967295,1:4294967295,1:3", "5", "1:4294967295", -1 },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidlist source = list_of(cases[i].source), target = list_of(cases[i].target);
		struct uidset requested = UIDSET_INIT;
		struct uidlist_pairs pairs;
		struct uidlist_run run;
		struct err err = { 0 };

		assert_int_equal(uidset_parse(&requested, bytes_of(cases[i].requested),
					      UIDSET_STRICT, NULL, &err), 0);
		assert_int_equal(uidlist_pairs_init(&pairs, &source, &target, &requested, &err),
				 cases[i].ret);
		if (cases[i].ret < 0) {
			assert_int_equal(err.kind, ERR_MAILBOX);
			assert_false(uidlist_pairs_next(&pairs, &run)); /* no pair at all */
		}
		uidset_release(&requested);
		uidlist_release(&source);
		uidlist_release(&target);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items_keep_their_order_and_are_never_merged),
		cmocka_unit_test(test_numbers_appended_one_by_one_are_ranges_where_they_follow),
		cmocka_unit_test(test_parsing_refuses_what_would_shift_the_pairs),
		cmocka_unit_test(test_caps_hold_for_lists_too),
		cmocka_unit_test(test_a_list_becomes_a_set_and_tells_doubles),
		cmocka_unit_test(test_pairs_run_range_by_range),
		cmocka_unit_test(test_pairs_that_cannot_be_trusted_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
