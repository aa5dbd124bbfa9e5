#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cmd/exit_status.h"
#include "core/sync/job.h"

static void test_every_kind_of_error_has_its_exit_code(void **state)
{
	static const struct {
		enum err_kind kind;
		int want;
	} cases[] = {
		{ ERR_MESSAGE, 1 }, { ERR_MAILBOX, 1 }, { ERR_RETRY, 75 },   { ERR_FATAL, 1 },
		{ ERR_CONFIG, 2 },  { ERR_AUTH, 12 },	{ ERR_LOCKED, 11 },  { ERR_MISSING, 10 },
		{ ERR_HELD, 4 },    { ERR_STOPPED, 130 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { .kind = cases[i].kind };
		struct job_report r = { .held = true, .incomplete = true };

		assert_int_equal(exit_of_err(cases[i].kind), cases[i].want);
		assert_int_equal(exit_of_job(-1, &err, &r), cases[i].want);
	}
}

static void test_a_job_that_ended_tells_how_complete_it_is(void **state)
{
	static const struct {
		bool held, incomplete;
		int want;
	} cases[] = {
		{ false, false, 0 }, { false, true, 3 }, { true, false, 4 }, { true, true, 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };
		struct job_report r = { .held = cases[i].held, .incomplete = cases[i].incomplete };

		assert_int_equal(exit_of_job(0, &err, &r), cases[i].want);
	}
}

static void test_of_several_jobs_the_worst_counts(void **state)
{
	static const enum exit_status order[] = { 130, 1, 12, 11, 10, 4, 3, 75, 0 };
	size_t n = sizeof(order) / sizeof(order[0]);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = i; j < n; j++) {
			assert_int_equal(exit_worse(order[i], order[j]), order[i]);
			assert_int_equal(exit_worse(order[j], order[i]), order[i]);
		}
	/* What is not in that order: configuration found wrong by a job, as bad as a failure. */
	assert_int_equal(exit_worse(EXIT_USAGE, EXIT_AUTH), EXIT_USAGE);
	assert_int_equal(exit_worse(EXIT_USAGE, EXIT_FAILED), EXIT_FAILED);
}

static void test_every_exit_code_has_a_meaning(void **state)
{
	static const int codes[] = { 0, 1, 2, 3, 4, 10, 11, 12, 75, 130 };
	size_t n = 0;

	(void)state;
	for (; exit_meanings[n].text; n++)
		assert_int_equal(exit_meanings[n].status, codes[n]);
	assert_int_equal(n, sizeof(codes) / sizeof(codes[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_of_error_has_its_exit_code),
		cmocka_unit_test(test_a_job_that_ended_tells_how_complete_it_is),
		cmocka_unit_test(test_of_several_jobs_the_worst_counts),
		cmocka_unit_test(test_every_exit_code_has_a_meaning),
	};

	return cmocka_run_group_tests_name("exit codes", tests, NULL, NULL);
}
