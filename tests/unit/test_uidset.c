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

/* The set that `text` reads as; "" is the empty one. Text of other tests' making: must parse. */
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
	buf_release(&b);
}

static void test_adding_keeps_ranges_sorted_disjoint_and_apart(void **state)
{
	static const struct {
		const char *before;
		uint32_t a, b;
		const char *want;
	} cases[] = {
		{ "", 5, 5, "5" },
		{ "1", 2, 2, "1:2" }, /* consecutive merge */
		{ "2", 1, 1, "1:2" },
		{ "1", 3, 3, "1,3" },
		{ "1,3", 2, 2, "1:3" }, /* both neighbours */
		{ "", 4, 2, "2:4" },    /* inclusive and unordered */
		{ "5:10", 7, 8, "5:10" },
		{ "5:10", 1, 20, "1:20" },
		{ "5:10,20:30,40", 8, 25, "5:30,40" },
		{ "5:10,20:30,40", 11, 19, "5:30,40" },
		{ "5:10,20:30,40", 12, 18, "5:10,12:18,20:30,40" },
		{ "5:10,20:30,40", 1, 3, "1:3,5:10,20:30,40" },
		{ "5:10,20:30,40", 31, 39, "5:10,20:40" },
		{ "10:20", 15, 25, "10:25" },
		{ "7", 0, 0, "7" }, /* 0 is no message number */
		{ "7", 0, 3, "1:3,7" },
		{ "4294967294", UINT32_MAX, UINT32_MAX, "4294967294:4294967295" },
		{ "4294967295", 4294967293, 4294967293, "4294967293,4294967295" },
		{ "1:4294967295", 77, 77, "1:4294967295" },
		{ "9", 1, UINT32_MAX, "1:4294967295" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].before);

		uidset_add_range(&s, cases[i].a, cases[i].b);
		assert_reads(&s, cases[i].want);
		uidset_release(&s);
	}
}

static void test_removing_cuts_exactly_what_was_named(void **state)
{
	static const struct {
		const char *before;
		uint32_t a, b;
		const char *want;
	} cases[] = {
		{ "", 5, 5, "" },
		{ "5", 5, 5, "" },
		{ "1:10", 5, 5, "1:4,6:10" },
		{ "1:10", 1, 1, "2:10" },
		{ "1:10", 10, 10, "1:9" },
		{ "1:10", 7, 3, "1:2,8:10" },
		{ "1:10", 0, 2, "3:10" },
		{ "1:10", 0, 0, "1:10" },
		{ "1:10", 11, 20, "1:10" },
		{ "1:3,5:7,9:11", 2, 10, "1,11" },
		{ "1:3,5:7,9:11", 4, 8, "1:3,9:11" },
		{ "1:3,5:7,9:11", 1, 11, "" },
		{ "1:4294967295", UINT32_MAX, UINT32_MAX, "1:4294967294" },
		{ "1:4294967295", 2, 4294967294, "1,4294967295" },
		{ "1:4294967295", 1, UINT32_MAX, "" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].before);

		uidset_remove_range(&s, cases[i].a, cases[i].b);
		assert_reads(&s, cases[i].want);
		uidset_release(&s);
	}
}

static void test_rank_and_select_map_uids_and_message_numbers(void **state)
{
	struct uidset s = set_of("10:12,20,4294967290:4294967295");

	(void)state;
	assert_int_equal(uidset_rank(&s, 10), 1);
	assert_int_equal(uidset_rank(&s, 12), 3);
	assert_int_equal(uidset_rank(&s, 20), 4);
	assert_int_equal(uidset_rank(&s, 21), 0);
	assert_int_equal(uidset_rank(&s, UINT32_MAX), 10);
	assert_int_equal(uidset_select(&s, 0), 0);
	assert_int_equal(uidset_select(&s, 1), 10);
	assert_int_equal(uidset_select(&s, 4), 20);
	assert_int_equal(uidset_select(&s, 10), UINT32_MAX);
	assert_int_equal(uidset_select(&s, 11), 0);
	assert_int_equal(uidset_min(&s), 10);
	assert_int_equal(uidset_max(&s), UINT32_MAX);
	assert_int_equal(uidset_count_in(&s, 0, UINT32_MAX), 10);
	assert_int_equal(uidset_count_in(&s, 11, 20), 3);
	assert_int_equal(uidset_count_in(&s, 13, 19), 0);
	assert_int_equal(uidset_next(&s, 0), 10);
	assert_int_equal(uidset_next(&s, 12), 20);
	assert_int_equal(uidset_next(&s, UINT32_MAX), 0);
	/* EXPUNGE 2, EXPUNGE 2: each renumbers the rest. */
	assert_int_equal(uidset_remove_nth(&s, 2), 11);
	assert_int_equal(uidset_remove_nth(&s, 2), 12);
	assert_int_equal(uidset_remove_nth(&s, 9), 0);
	assert_reads(&s, "10,20,4294967290:4294967295");
	assert_int_equal(uidset_rank(&s, 20), 2);
	uidset_release(&s);
}

static void test_iteration_ends_after_the_largest_number(void **state)
{
	struct uidset s = set_of("1:2,4294967293:4294967295");
	struct uidset_iter it;
	struct err err;
	uint32_t want[] = { 1, 2, 4294967293, 4294967294, 4294967295 }, uid;
	size_t n = 0;

	(void)state;
	assert_int_equal(uidset_iter_init(&it, &s, NULL, NULL, &err), 0);
	while (uidset_iter_next(&it, &uid)) {
		assert_in_range(n, 0, N(want) - 1);
		assert_int_equal(uid, want[n++]);
	}
	assert_int_equal(n, N(want));
	assert_false(uidset_iter_next(&it, &uid)); /* and stays ended */
	uidset_release(&s);
}

struct source {
	struct uidset in_use;
	int asked;
};

static uint32_t next_in_use(void *ctx, uint32_t after)
{
	struct source *src = ctx;

	src->asked++;
	return uidset_next(&src->in_use, after);
}

static void test_a_next_source_skips_absent_numbers(void **state)
{
	struct source src = { .in_use = set_of("3,500,2000000000,4294967295") };
	struct uidset s = set_of("1:400,501:600,700,1000000000:4294967295");
	struct uidset_iter it;
	struct err err;
	uint32_t want[] = { 3, 2000000000, 4294967295 }, uid;
	size_t n = 0;

	(void)state;
	assert_int_equal(uidset_iter_init(&it, &s, next_in_use, &src, &err), 0);
	while (uidset_iter_next(&it, &uid)) {
		assert_in_range(n, 0, N(want) - 1);
		assert_int_equal(uid, want[n++]);
	}
	assert_int_equal(n, N(want));
	assert_in_range(src.asked, 3, 10); /* not once for each number of the ranges */
	uidset_release(&src.in_use);
	uidset_release(&s);
}

static uint32_t next_goes_back(void *ctx, uint32_t after)
{
	(void)ctx;
	return after < 5 ? after + 1 : 2;
}

static void test_a_next_source_that_goes_back_ends_the_iteration(void **state)
{
	struct uidset s = set_of("1:10,20:30");
	struct uidset_iter it;
	struct err err;
	uint32_t uid, n = 0;

	(void)state;
	assert_int_equal(uidset_iter_init(&it, &s, next_goes_back, NULL, &err), 0);
	while (uidset_iter_next(&it, &uid))
		n++;
	assert_int_equal(n, 5);
	uidset_release(&s);
}

static void test_algebra(void **state)
{
	static const struct {
		const char *a, *b, *uni, *inter, *sub, *x;
	} cases[] = {
		{ "", "", "", "", "", "" },
		{ "1:3", "", "1:3", "", "1:3", "1:3" },
		{ "", "1:3", "1:3", "", "", "1:3" },
		{ "1:3", "4:6", "1:6", "", "1:3", "1:6" }, /* touching */
		{ "1:5", "3:8", "1:8", "3:5", "1:2", "1:2,6:8" },
		{ "1:10", "3,5,7", "1:10", "3,5,7", "1:2,4,6,8:10", "1:2,4,6,8:10" },
		{ "1:4294967295", "4294967295", "1:4294967295", "4294967295", "1:4294967294",
		  "1:4294967294" },
		{ "4294967295", "4294967295", "4294967295", "4294967295", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset a = set_of(cases[i].a), b = set_of(cases[i].b), r = UIDSET_INIT;

		uidset_union(&r, &a, &b);
		assert_reads(&r, cases[i].uni);
		assert_true(uidset_is_subset(&a, &r));
		uidset_intersect(&r, &a, &b);
		assert_reads(&r, cases[i].inter);
		assert_true(uidset_is_subset(&r, &a));
		uidset_subtract(&r, &a, &b);
		assert_reads(&r, cases[i].sub);
		uidset_xor(&r, &a, &b);
		assert_reads(&r, cases[i].x);
		uidset_subtract(&a, &a, &b); /* the result may be an operand */
		assert_reads(&a, cases[i].sub);
		uidset_release(&a);
		uidset_release(&b);
		uidset_release(&r);
	}
}

static void test_complement_is_taken_in_one_to_last(void **state)
{
	static const struct {
		const char *set;
		uint32_t last;
		const char *want;
	} cases[] = {
		{ "", 0, "" },
		{ "1:5", 0, "" },
		{ "", 10, "1:10" },
		{ "3:4,8:12", 10, "1:2,5:7" },
		{ "1:10", 10, "" },
		{ "5", UINT32_MAX, "1:4,6:4294967295" },
		{ "1:4294967295", UINT32_MAX, "" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].set);

		uidset_complement(&s, &s, cases[i].last);
		assert_reads(&s, cases[i].want);
		uidset_release(&s);
	}
}

static void test_equality_and_subset(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal, subset;
	} cases[] = {
		{ "", "", true, true },
		{ "", "1", false, true },
		{ "1", "", false, false },
		{ "1:3", "3,2,1", true, true },
		{ "2", "1:3", false, true },
		{ "1:3,7", "1:8", false, true },
		{ "1:3,7", "1:3,8", false, false },
		{ "1:5", "1:2,4:5", false, false },
		{ "4294967295", "1:4294967295", false, true },
	};
	static const char *const distinct[] = { "", "5", "5,*", "5:*", "6:*", "*", "4294967295" };

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset a = set_of(cases[i].a), b = set_of(cases[i].b);

		assert_int_equal(uidset_equal(&a, &b), cases[i].equal);
		assert_int_equal(uidset_is_subset(&a, &b), cases[i].subset);
		uidset_release(&a);
		uidset_release(&b);
	}
	for (size_t i = 0; i < N(distinct); i++)
		for (size_t j = 0; j < N(distinct); j++) {
			struct uidset a = set_of(distinct[i]), b = set_of(distinct[j]);

			assert_int_equal(uidset_equal(&a, &b), i == j);
			uidset_release(&a);
			uidset_release(&b);
		}
}

static void test_copy_and_swap_are_whole(void **state)
{
	struct uidset a = set_of("1:3,9:*"), b = set_of("100,200,300");
	struct err err;

	(void)state;
	uidset_copy(&b, &a);
	assert_true(uidset_equal(&a, &b));
	uidset_add(&a, 5);
	assert_reads(&b, "1:3,9:*"); /* independent */
	assert_int_equal(uidset_set_last(&b, 10, &err), 0);
	uidset_swap(&a, &b);
	assert_reads(&a, "1:3,9:10");
	assert_int_equal(uidset_set_last(&a, 11, &err), -1); /* `last` went along */
	uidset_copy(&b, &a);
	assert_int_equal(uidset_set_last(&b, 11, &err), -1);
	uidset_release(&a);
	assert_true(uidset_is_empty(&a));
	uidset_add(&a, 4); /* usable after release */
	assert_reads(&a, "4");
	uidset_release(&a);
	uidset_release(&b);
}

static void test_a_builder_takes_any_order(void **state)
{
	struct uidset_builder b;
	struct uidset s = UIDSET_INIT;

	(void)state;
	uidset_builder_init(&b);
	for (uint32_t i = 1000; i > 0; i--) { /* descending, each twice, odd ones */
		uidset_builder_add(&b, 2 * i - 1, 2 * i - 1);
		uidset_builder_add(&b, 2 * i - 1, 2 * i - 1);
	}
	uidset_builder_add(&b, 0, 0);
	uidset_builder_finish(&b, &s);
	assert_int_equal(uidset_count(&s), 1000);
	assert_int_equal(uidset_range_count(&s), 1000);
	for (uint32_t i = 1; i <= 1000; i++)
		uidset_builder_add(&b, 2 * i, 2 * i);
	uidset_builder_finish(&b, &s); /* adds to what is there */
	assert_reads(&s, "1:2000");
	uidset_builder_add_star(&b, 3000);
	uidset_builder_add(&b, 7000, 5000);
	uidset_builder_finish(&b, &s);
	assert_reads(&s, "1:2000,3000:*");
	uidset_clear(&s);
	uidset_builder_add(&b, 5, 10); /* nothing is left of before; ranges inside one another */
	uidset_builder_add(&b, 1, 20);
	uidset_builder_add(&b, 7, 7);
	uidset_builder_finish(&b, &s);
	assert_reads(&s, "1:20");
	uidset_builder_release(&b);
	uidset_release(&s);
}

static void test_a_builder_holds_distinct_ranges_only(void **state)
{
	struct uidset_builder b;

	(void)state;
	uidset_builder_init(&b);
	for (uint32_t i = 0; i < 1000000; i++)
		uidset_builder_add(&b, 1 + i % 50 * 2, 1 + i % 50 * 2);
	assert_in_range(b.cap, 50, 1000);
	uidset_builder_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adding_keeps_ranges_sorted_disjoint_and_apart),
		cmocka_unit_test(test_removing_cuts_exactly_what_was_named),
		cmocka_unit_test(test_rank_and_select_map_uids_and_message_numbers),
		cmocka_unit_test(test_iteration_ends_after_the_largest_number),
		cmocka_unit_test(test_a_next_source_skips_absent_numbers),
		cmocka_unit_test(test_a_next_source_that_goes_back_ends_the_iteration),
		cmocka_unit_test(test_algebra),
		cmocka_unit_test(test_complement_is_taken_in_one_to_last),
		cmocka_unit_test(test_equality_and_subset),
		cmocka_unit_test(test_copy_and_swap_are_whole),
		cmocka_unit_test(test_a_builder_takes_any_order),
		cmocka_unit_test(test_a_builder_holds_distinct_ranges_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
