#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void test_star_swallows_every_range_above_or_touching_it(void **state)
{
	static const struct {
		const char *before;
		uint64_t star;
		const char *want;
	} cases[] = {
		{ "", UIDSET_STAR, "*" },
		{ "", 5, "5:*" },
		{ "5", UIDSET_STAR, "5,*" }, /* two items until resolved */
		{ "5:*", UIDSET_STAR, "5:*" },
		{ "*", 5, "5:*" },
		{ "1:100", 50, "1:*" },
		{ "1:4", 5, "1:*" },
		{ "1:3", 5, "1:3,5:*" },
		{ "1:3,7,9:12", 5, "1:3,5:*" },
		{ "1:3,5,7,9", 6, "1:3,5:*" },
		{ "9:*", 12, "9:*" },
		{ "12:*", 9, "9:*" },
		{ "3,5:7,12:*", 8, "3,5:*" },
		/* 4294967295 is a number; a lone `*` neither touches nor equals it. */
		{ "4294967295", UIDSET_STAR, "4294967295,*" },
		{ "4294967295", UINT32_MAX, "4294967295:*" },
		{ "4294967294", UINT32_MAX, "4294967294:*" },
		{ "", 0, "1:*" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].before);

		uidset_add_star(&s, cases[i].star);
		assert_reads(&s, cases[i].want);
		uidset_release(&s);
	}
}

static void test_adding_to_an_open_set_keeps_it_canonical(void **state)
{
	static const struct {
		const char *before;
		uint32_t a, b;
		const char *want;
	} cases[] = {
		{ "50:*", 1, 100, "1:*" },
		{ "50:*", 1, 49, "1:*" },
		{ "50:*", 1, 48, "1:48,50:*" },
		{ "50:*", 60, 70, "50:*" },
		{ "1:48,50:*", 49, 49, "1:*" },
		{ "*", UINT32_MAX, UINT32_MAX, "4294967295,*" },
		{ "4294967295:*", 7, 7, "7,4294967295:*" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].before);

		uidset_add_range(&s, cases[i].a, cases[i].b);
		assert_reads(&s, cases[i].want);
		uidset_release(&s);
	}
}

static void test_last_resolves_star_and_turns_a_range_round(void **state)
{
	static const struct {
		const char *before;
		uint32_t last;
		const char *want;
	} cases[] = {
		{ "3291:*", 3290, "3290:3291" },
		{ "3291:*", 3291, "3291" },
		{ "3291:*", 4000, "3291:4000" },
		{ "*", 7, "7" },
		{ "5,*", 5, "5" },
		{ "5,*", 6, "5:6" },
		{ "5,*", 9, "5,9" },
		{ "5,*", 2, "2,5" },
		{ "1:3,10:*", 2, "1:10" }, /* turned round, then merged */
		{ "1:*", UINT32_MAX, "1:4294967295" },
		{ "1:3", 2, "1:3" }, /* what was written out stays */
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].before);
		struct err err;

		assert_int_equal(uidset_set_last(&s, cases[i].last, &err), 0);
		assert_false(uidset_is_open(&s));
		assert_reads(&s, cases[i].want);
		uidset_release(&s);
	}
}

static void test_last_is_given_once_and_then_star_resolves_at_once(void **state)
{
	struct uidset s = UIDSET_INIT, open = set_of("20:*");
	struct err err = { 0 };

	(void)state;
	assert_int_equal(uidset_set_last(&s, 0, &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_int_equal(uidset_set_last(&s, 9, &err), 0);
	assert_int_equal(uidset_set_last(&s, 9, &err), -1);
	uidset_add_star(&s, 5);
	assert_reads(&s, "5:9");
	uidset_add_star(&s, 12);
	assert_reads(&s, "5:12");
	uidset_add_star(&s, UIDSET_STAR);
	assert_reads(&s, "5:12");
	uidset_union(&s, &s, &open); /* an open set added to one that knows `last` */
	assert_reads(&s, "5:20");
	assert_int_equal(uidset_parse(&s, bytes_of("7:*"), UIDSET_ALLOW_STAR, NULL, &err), 0);
	assert_reads(&s, "7:9"); /* replaced, `last` kept */
	uidset_clear(&s);
	assert_int_equal(uidset_set_last(&s, 3, &err), 0); /* forgotten */
	uidset_release(&open);
	uidset_release(&s);
}

static void test_membership_says_when_it_cannot_know(void **state)
{
	static const struct {
		const char *set;
		uint32_t uid;
		enum uidset_answer want;
	} cases[] = {
		{ "", 1, UIDSET_NO },
		{ "2:4,8", 1, UIDSET_NO },
		{ "2:4,8", 2, UIDSET_YES },
		{ "2:4,8", 4, UIDSET_YES },
		{ "2:4,8", 5, UIDSET_NO },
		{ "2:4,8", 8, UIDSET_YES },
		{ "2:4,8", 9, UIDSET_NO },
		{ "2:4,8", 0, UIDSET_NO },
		{ "1:4294967295", UINT32_MAX, UIDSET_YES },
		{ "2:4,8:*", 3, UIDSET_YES },
		{ "2:4,8:*", 8, UIDSET_YES },
		{ "2:4,8:*", 9, UIDSET_UNKNOWN },
		{ "2:4,8:*", 6, UIDSET_UNKNOWN }, /* in, if last is 6 or less */
		{ "2:4,8:*", 0, UIDSET_NO },
		{ "5,*", 5, UIDSET_YES },
		{ "5,*", 6, UIDSET_UNKNOWN },
		{ "*", UINT32_MAX, UIDSET_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].set);

		assert_int_equal(uidset_contains(&s, cases[i].uid), cases[i].want);
		if (!uidset_is_open(&s))
			assert_int_equal(uidset_has(&s, cases[i].uid), cases[i].want);
		uidset_release(&s);
	}
}

static void test_counting_is_exact_or_refused(void **state)
{
	static const struct {
		const char *set;
		int ret;
		uint64_t want;
	} cases[] = {
		{ "", 0, 0 },
		{ "7", 0, 1 },
		{ "1:4294967295", 0, UINT32_MAX },
		{ "1:4294967295,*", 0, (uint64_t)UINT32_MAX + 1 },
		{ "*", 0, 1 },
		{ "5,*", 0, 2 },
		{ "5:*", -1, 0 },
		{ "1:3,4294967295:*", -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].set);
		struct err err = { 0 };
		uint64_t n = 0;

		assert_int_equal(uidset_size(&s, &n, &err), cases[i].ret);
		assert_true(n == cases[i].want);
		if (cases[i].ret < 0)
			assert_int_equal(err.kind, ERR_CONFIG);
		else
			assert_true(uidset_count(&s) == n);
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

static void test_iterating_an_open_set_is_an_error(void **state)
{
	static const char *const open[] = { "*", "5:*", "1:3,*" };

	(void)state;
	for (size_t i = 0; i < N(open); i++) {
		struct uidset s = set_of(open[i]);
		struct uidset_iter it;
		struct err err = { 0 };

		assert_int_equal(uidset_iter_init(&it, &s, NULL, NULL, &err), -1);
		assert_int_equal(err.kind, ERR_CONFIG);
		uidset_release(&s);
	}
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

static void test_union_of_open_sets(void **state)
{
	static const struct {
		const char *a, *b, *want;
	} cases[] = {
		{ "1:100", "50:*", "1:*" },
		{ "5", "*", "5,*" },
		{ "5:*", "2:*", "2:*" },
		{ "*", "*", "*" },
		{ "*", "7:*", "7:*" },
		{ "1:3,9:*", "4:5", "1:5,9:*" },
		{ "1:3,9:*", "4:8", "1:*" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset a = set_of(cases[i].a), b = set_of(cases[i].b), r = UIDSET_INIT;

		uidset_union(&r, &a, &b);
		assert_reads(&r, cases[i].want);
		uidset_union(&r, &b, &a);
		assert_reads(&r, cases[i].want);
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
	struct uidset star = set_of("*"), number = set_of("4294967295");

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset a = set_of(cases[i].a), b = set_of(cases[i].b);

		assert_int_equal(uidset_equal(&a, &b), cases[i].equal);
		assert_int_equal(uidset_is_subset(&a, &b), cases[i].subset);
		uidset_release(&a);
		uidset_release(&b);
	}
	assert_false(uidset_equal(&star, &number));
	uidset_release(&star);
	uidset_release(&number);
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

/* Whether `use` of an open set ends the process: a broken precondition, not a wrong answer. */
static bool aborts(void (*use)(struct uidset *))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct uidset s = set_of("1:3,9:*");

		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		use(&s);
		_exit(0);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void use_count(struct uidset *s) { uidset_count(s); }
static void use_has(struct uidset *s) { uidset_has(s, 1); }
static void use_remove(struct uidset *s) { uidset_remove(s, 1); }
static void use_intersect(struct uidset *s) { uidset_intersect(s, s, s); }
static void use_subset(struct uidset *s) { uidset_is_subset(s, s); }
static void use_select(struct uidset *s) { uidset_select(s, 1); }

static void test_an_open_set_never_gives_a_wrong_answer(void **state)
{
	static void (*const uses[])(struct uidset *) = { use_count, use_has, use_remove,
							 use_intersect, use_subset, use_select };

	(void)state;
	for (size_t i = 0; i < N(uses); i++)
		assert_true(aborts(uses[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adding_keeps_ranges_sorted_disjoint_and_apart),
		cmocka_unit_test(test_removing_cuts_exactly_what_was_named),
		cmocka_unit_test(test_star_swallows_every_range_above_or_touching_it),
		cmocka_unit_test(test_adding_to_an_open_set_keeps_it_canonical),
		cmocka_unit_test(test_last_resolves_star_and_turns_a_range_round),
		cmocka_unit_test(test_last_is_given_once_and_then_star_resolves_at_once),
		cmocka_unit_test(test_membership_says_when_it_cannot_know),
		cmocka_unit_test(test_counting_is_exact_or_refused),
		cmocka_unit_test(test_rank_and_select_map_uids_and_message_numbers),
		cmocka_unit_test(test_iteration_ends_after_the_largest_number),
		cmocka_unit_test(test_iterating_an_open_set_is_an_error),
		cmocka_unit_test(test_a_next_source_skips_absent_numbers),
		cmocka_unit_test(test_a_next_source_that_goes_back_ends_the_iteration),
		cmocka_unit_test(test_algebra),
		cmocka_unit_test(test_union_of_open_sets),
		cmocka_unit_test(test_complement_is_taken_in_one_to_last),
		cmocka_unit_test(test_equality_and_subset),
		cmocka_unit_test(test_copy_and_swap_are_whole),
		cmocka_unit_test(test_a_builder_takes_any_order),
		cmocka_unit_test(test_a_builder_holds_distinct_ranges_only),
		cmocka_unit_test(test_an_open_set_never_gives_a_wrong_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
