/* The engine on stores in memory: what a run that meets no trouble does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/job_rig.h"

static void test_a_backup_makes_the_target_equal_and_a_second_run_does_nothing(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 10);
	job_rig_fill(rig, "Work/2024", 1, 5);
	memory_mailbox_get(&rig->source, "Empty");
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(rig->report.new_messages, 15);
	assert_false(rig->report.incomplete);

	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.mailboxes_unchanged, 3);
	assert_int_equal(rig->report.n, 0);
	assert_int_equal(rig->source.compared, 0);
	assert_int_equal(rig->source.fetched, 0);
}

static void test_flags_additions_and_deletions_follow_the_source(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 10);
	assert_int_equal(job_rig_go(rig), 0);
	memory_set_flags(&rig->source, "INBOX", 3, "\\Flagged $New");
	memory_delete(&rig->source, "INBOX", 5);
	memory_delete(&rig->source, "INBOX", 6);
	job_rig_fill(rig, "INBOX", 11, 12);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(rig->source.fetched, 2);
	assert_int_equal(rig->report.removed, 2);
	assert_int_equal(rig->report.flags_changed, 1);
	assert_false(rig->report.held);
}

static void test_a_dry_run_changes_nothing_and_says_what_it_would_do(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 4);
	rig->set.dry_run = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->target.presence, STORE_MISSING);
	assert_int_equal(rig->report.new_messages, 4);
	rig->set.dry_run = false;
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	memory_set_flags(&rig->source, "INBOX", 2, "");
	rig->set.dry_run = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.removed, 1);
	assert_int_equal(rig->report.flags_changed, 1);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
}

static void test_equal_messages_stay_as_many_as_they_are(void **state)
{
	struct job_rig *rig = *state;

	for (int i = 0; i < 3; i++)
		memory_deliver(&rig->source, "INBOX", "the same\r\n", "\\Seen");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 3);
	memory_delete(&rig->source, "INBOX", 2);
	memory_deliver(&rig->source, "INBOX", "the same\r\n", "");
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(memory_live(&rig->target, "INBOX"), 3);
}

/* Random histories with cut lines: after a run that ended well, both sides are equal. */
static void test_random_histories_end_equal(void **state)
{
	static const char *const names[] = { "INBOX", "a", "b/c" };
	struct job_rig *rig = *state;
	int serial = 0;

	srand(7);
	rig->set.max_delete = (struct guard_limits){ .count = 1000, .percent = 100 };
	job_rig_fill(rig, "INBOX", 1, 1); /* never all empty, which always trips */
	for (int round = 0; round < 200; round++) {
		for (int i = rand() % 12; i > 0; i--) {
			const char *name = names[rand() % 3];
			struct memory_mailbox *m = memory_mailbox_get(&rig->source, name);
			size_t k = m->n ? (size_t)rand() % m->n : 0;
			char body[32];

			snprintf(body, sizeof(body), "random %d\r\n", serial++ / 2);
			if (rand() % 2)
				memory_deliver(&rig->source, name, body, "\\Seen");
			else if (m->n > 2 && rand() % 2)
				memory_delete(&rig->source, name, m->v[k].uid);
			else if (m->n > 0)
				memory_set_flags(&rig->source, name, m->v[k].uid,
						 rand() % 2 ? "\\Answered" : "$K \\Seen");
		}
		rig->source.fail_after = (uint64_t)(rand() % 3);
		if (job_rig_go(rig) == 0) {
			assert_true(memory_equal(&rig->source, &rig->target));
			continue;
		}
		rig->source.fail_after = 0;
		assert_int_equal(job_rig_go(rig), 0);
		assert_true(memory_equal(&rig->source, &rig->target));
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(rig->source.fetched, 0);
	}
}

static void test_subscriptions_follow_in_mailboxes_where_nothing_else_changed(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 3);
	assert_int_equal(job_rig_go(rig), 0);
	for (int on = 1; on >= 0; on--) {
		memory_mailbox_get(&rig->source, "INBOX")->attributes =
			on ? MAILBOX_SUBSCRIBED : 0;
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(rig->source.compared, 0);
		assert_int_equal(memory_mailbox_get(&rig->target, "INBOX")->attributes,
				 on ? MAILBOX_SUBSCRIBED : 0);
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(rig->report.mailboxes_unchanged, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOB_RIG(test_subscriptions_follow_in_mailboxes_where_nothing_else_changed),
		WITH_JOB_RIG(test_a_backup_makes_the_target_equal_and_a_second_run_does_nothing),
		WITH_JOB_RIG(test_flags_additions_and_deletions_follow_the_source),
		WITH_JOB_RIG(test_a_dry_run_changes_nothing_and_says_what_it_would_do),
		WITH_JOB_RIG(test_equal_messages_stay_as_many_as_they_are),
		WITH_JOB_RIG(test_random_histories_end_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
