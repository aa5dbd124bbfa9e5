#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/sync/guard.h"

static const struct guard_limits usual = GUARD_LIMITS_DEFAULT;

static struct guard_verdict judge(struct guard_mailbox *v, size_t n)
{
	struct guard_verdict verdict;

	guard_judge(v, n, &usual, false, &verdict);
	return verdict;
}

static void test_it_trips_only_above_both_limits(void **state)
{
	static const struct {
		uint64_t before, lost;
		bool held;
	} cases[] = {
		{ 1000, 20, false },  /* at the count */
		{ 1000, 100, false }, /* at the percentage */
		{ 1000, 101, true },
		{ 100, 20, false },   /* 20 %, but not more than 20 */
		{ 100, 21, true },
		{ 210, 21, false },   /* exactly 10 % */
		{ 209, 21, true },
		{ 100000, 10000, false },
		{ 100000, 10001, true },
		{ UINT32_MAX, UINT32_MAX / 2, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guard_mailbox v = { .before = cases[i].before,
					   .removed = cases[i].lost,
					   .lost = cases[i].lost };
		struct guard_verdict got = judge(&v, 1);

		assert_int_equal(v.held, cases[i].held);
		assert_int_equal(got.tripped, cases[i].held);
		assert_int_equal(got.held, cases[i].held ? cases[i].lost : 0);
	}
}

static void test_one_mailbox_is_held_without_the_others(void **state)
{
	struct guard_mailbox v[] = {
		{ .before = 100, .removed = 50, .lost = 50 },
		{ .before = 5000, .removed = 3, .lost = 3 },
	};
	struct guard_verdict got = judge(v, 2);

	(void)state;
	assert_true(got.tripped);
	assert_false(got.whole_job);
	assert_true(v[0].held);
	assert_false(v[1].held);
	assert_int_equal(got.held, 50);
}

static void test_many_small_losses_trip_the_sum(void **state)
{
	struct guard_mailbox v[30];
	struct guard_verdict got;

	(void)state;
	for (size_t i = 0; i < 30; i++)
		v[i] = (struct guard_mailbox){ .before = 10, .removed = 2, .lost = 2 };
	got = judge(v, 30);
	assert_true(got.whole_job);
	for (size_t i = 0; i < 30; i++)
		assert_true(v[i].held);
	assert_int_equal(got.held, 60);
}

static void test_moves_do_not_count(void **state)
{
	struct guard_mailbox v[] = {
		{ .before = 500, .removed = 400, .lost = 0 },
		{ .before = 10 },
	};

	(void)state;
	assert_false(judge(v, 2).tripped);
}

static void test_an_exempt_mailbox_may_be_emptied(void **state)
{
	struct guard_mailbox v[] = {
		{ .before = 500, .removed = 500, .lost = 500, .exempt = true },
		{ .before = 1, .removed = 1, .lost = 1 }, /* Drafts */
		{ .before = 10 },
	};

	(void)state;
	assert_false(judge(v, 3).tripped);
}

static void test_everything_ending_empty_always_trips(void **state)
{
	struct guard_mailbox v[] = {
		{ .before = 3, .removed = 3, .lost = 3 },
		{ .before = 2, .removed = 2, .lost = 2 },
		{ .before = 0 },
	};
	struct guard_mailbox moved[] = {
		{ .before = 3, .removed = 3, .lost = 0 },
	};

	(void)state;
	assert_true(judge(v, 3).whole_job);
	assert_int_equal(judge(v, 3).held, 5);
	assert_false(judge(moved, 1).tripped); /* into a mailbox that was not there before */
	assert_false(judge(NULL, 0).tripped);
}

static void test_a_source_without_mailboxes_always_trips(void **state)
{
	struct guard_mailbox v = { .before = 1000 };
	struct guard_verdict got;

	(void)state;
	guard_judge(&v, 1, &usual, true, &got);
	assert_true(got.whole_job);
	assert_true(v.held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_trips_only_above_both_limits),
		cmocka_unit_test(test_one_mailbox_is_held_without_the_others),
		cmocka_unit_test(test_many_small_losses_trip_the_sum),
		cmocka_unit_test(test_moves_do_not_count),
		cmocka_unit_test(test_an_exempt_mailbox_may_be_emptied),
		cmocka_unit_test(test_everything_ending_empty_always_trips),
		cmocka_unit_test(test_a_source_without_mailboxes_always_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
