#ifndef TESTS_LIB_JOB_RIG_H
#define TESTS_LIB_JOB_RIG_H

#include "core/sync/job.h"
#include "tests/lib/memory_store.h"

/*
 * One backup job, "nightly", between two stores in memory, with a state directory of its own.
 * For cmocka: name a test with WITH_JOB_RIG() and find the rig in *state.
 */
struct job_rig {
	struct memory_world source, target;
	struct job_settings set;
	struct job_report report; /* of the last run */
	struct err err;
	char state[64];
};

#define WITH_JOB_RIG(test) \
	cmocka_unit_test_setup_teardown(test, job_rig_setup, job_rig_teardown)

int job_rig_setup(void **state);
int job_rig_teardown(void **state);
/* Run the job: what job_run() returns. The source's counters begin at 0. */
int job_rig_go(struct job_rig *rig);
/*
 * Deliver "MAILBOX message N" to the source, `from` <= N <= `to`: odd ones \Seen, even ones
 * $Todo.
 */
void job_rig_fill(struct job_rig *rig, const char *mailbox, int from, int to);

#endif
