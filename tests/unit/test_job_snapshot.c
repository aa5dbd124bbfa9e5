#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/job_rig.h"

/* When a run says that what the store holds is a moment to come back to. */

static void test_a_run_ends_with_one_snapshot(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5000); /* more than a batch */
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->target.snapshots, 1);
	assert_int_equal(rig->target.committed, 3);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->target.snapshots, 2); /* whether it changed something is the store's to see */
}

static void test_an_interrupted_run_has_no_snapshot(void **state)
{
	struct job_rig *rig = *state;

	for (int history = 0; history < 2; history++) {
		rig->set.target = history ? &memory_history_store : &memory_store;
		job_rig_fill(rig, "INBOX", 1, 6);
		rig->source.fail_after = 3;
		assert_int_equal(job_rig_go(rig), -1);
		assert_int_equal(rig->target.snapshots, history);
		assert_int_equal(rig->report.new_messages, 3); /* kept all the same */
		rig->source.fail_after = 0;
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(rig->target.snapshots, history + 1);
		assert_true(memory_equal(&rig->source, &rig->target));
	}
}

static void test_with_history_a_small_run_is_one_commit(void **state)
{
	struct job_rig *rig = *state;

	rig->set.target = &memory_history_store;
	job_rig_fill(rig, "INBOX", 1, 30);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->target.committed, 1);
	assert_int_equal(rig->report.new_messages, 30);
	job_rig_fill(rig, "INBOX", 31, 40);
	memory_delete(&rig->source, "INBOX", 1);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->target.committed, 2);
	assert_int_equal(rig->report.new_messages, 10);
	assert_int_equal(rig->report.removed, 1);
	assert_true(memory_equal(&rig->source, &rig->target));
}

/* With nothing durable yet, the source fails when it is asked once more before the deletions. */
static void test_what_came_is_kept_when_the_run_fails_before_the_deletions(void **state)
{
	struct job_rig *rig = *state;

	rig->set.target = &memory_history_store;
	job_rig_fill(rig, "INBOX", 1, 30);
	assert_int_equal(job_rig_go(rig), 0);
	job_rig_fill(rig, "INBOX", 31, 40);
	memory_delete(&rig->source, "INBOX", 1);
	rig->source.list_fails = 2;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_RETRY);
	assert_int_equal(rig->report.new_messages, 10);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 40); /* none removed */
	assert_int_equal(rig->target.snapshots, 1);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOB_RIG(test_a_run_ends_with_one_snapshot),
		WITH_JOB_RIG(test_an_interrupted_run_has_no_snapshot),
		WITH_JOB_RIG(test_with_history_a_small_run_is_one_commit),
		WITH_JOB_RIG(test_what_came_is_kept_when_the_run_fails_before_the_deletions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
