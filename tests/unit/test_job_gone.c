/* The engine on stores in memory: mailboxes that no longer exist at the source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/job_rig.h"

/* INBOX with five messages and Old with so many, backed up; then Old goes. */
static void begin(struct job_rig *rig, int old)
{
	job_rig_fill(rig, "INBOX", 1, 5);
	memory_mailbox_get(&rig->source, "Old");
	job_rig_fill(rig, "Old", 1, old);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "Old"), old);
	memory_remove_mailbox(&rig->source, "Old");
}

static void assert_went(struct job_rig *rig)
{
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_false(rig->report.held);
	assert_false(memory_has_mailbox(&rig->target, "Old"));
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
}

/* The run after: nothing is said of it any more. */
static void assert_at_rest(struct job_rig *rig)
{
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_false(rig->report.held);
	assert_int_equal(rig->report.n, 0);
}

static void test_a_mailbox_that_is_gone_goes_with_its_messages(void **state)
{
	struct job_rig *rig = *state;

	begin(rig, 2);
	assert_went(rig);
	assert_int_equal(rig->report.removed, 2);
	assert_int_equal(rig->report.n, 1);
	assert_true(rig->report.v[0].gone);
	assert_at_rest(rig);
}

static void test_an_empty_mailbox_that_is_gone_goes(void **state)
{
	struct job_rig *rig = *state;

	begin(rig, 0);
	assert_went(rig);
	assert_true(rig->report.v[0].gone);
	assert_at_rest(rig);
}

static void test_messages_moved_out_of_a_mailbox_that_is_gone_are_not_lost(void **state)
{
	struct job_rig *rig = *state;

	begin(rig, 100);
	for (int i = 1; i <= 100; i++) {
		char body[64];

		snprintf(body, sizeof(body), "Old message %d\r\n", i);
		memory_deliver(&rig->source, "New", body, "");
	}
	assert_went(rig);
	assert_int_equal(rig->report.removed, 100);
	assert_int_equal(memory_live(&rig->target, "New"), 100);
}

static void test_a_mailbox_that_loses_too_much_is_held_and_no_trouble_later(void **state)
{
	struct job_rig *rig = *state;

	begin(rig, 100);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.held);
	assert_int_equal(rig->report.deletes_shown, 100);
	assert_int_equal(memory_kept(&rig->target, "Old"), 100);
	assert_at_rest(rig);
	assert_int_equal(rig->report.n_notes, 1); /* how to let them go */
	assert_non_null(strstr(rig->report.notes[0], "--allow-deletes=100"));
	assert_int_equal(memory_kept(&rig->target, "Old"), 100);
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 100;
	assert_went(rig);
	assert_int_equal(rig->report.removed, 100);
}

static void test_deletions_allowed_at_once_take_the_mailbox_along(void **state)
{
	struct job_rig *rig = *state;

	begin(rig, 100);
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 100;
	assert_went(rig);
	assert_int_equal(rig->report.removed, 100);
}

static void test_with_deletions_keep_its_messages_stay_and_are_taken_over_when_it_comes_back(void **state)
{
	struct job_rig *rig = *state;

	rig->set.deletions = DELETIONS_KEEP;
	begin(rig, 30);
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_int_equal(rig->report.kept, 30);
	assert_int_equal(memory_kept(&rig->target, "Old"), 30);
	assert_at_rest(rig);
	job_rig_fill(rig, "Old", 1, 30);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.adopted, 30);
	assert_int_equal(memory_live(&rig->target, "Old"), 30);
	assert_int_equal(memory_kept(&rig->target, "Old"), 0);
}

static void test_a_mailbox_in_guard_exempt_goes_whatever_it_holds(void **state)
{
	struct job_rig *rig = *state;
	static const char *const exempt[] = { "Old" };

	rig->set.guard_exempt = exempt;
	rig->set.n_guard_exempt = 1;
	begin(rig, 100);
	assert_went(rig);
}

static void test_a_mailbox_is_not_gone_on_the_word_of_half_a_list(void **state)
{
	struct job_rig *rig = *state;

	begin(rig, 2);
	rig->source.list_incomplete = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_true(rig->report.v[0].skipped && !rig->report.v[0].gone);
	assert_int_equal(memory_live(&rig->target, "Old"), 2);
	rig->source.list_incomplete = false;
	assert_went(rig);
}

static void test_a_mailbox_does_not_go_while_deletions_wait(void **state)
{
	struct job_rig *rig = *state;
	static const char *const only[] = { "Old" };

	begin(rig, 2);
	rig->set.only = only;
	rig->set.n_only = 1;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "Old"), 2);
	assert_int_equal(rig->report.v[0].waiting, 2);
	rig->set.n_only = 0;
	/* What one of them may have become cannot be had. */
	memory_deliver(&rig->source, "INBOX", "Old message 1\r\n", "");
	memory_mailbox_get(&rig->source, "INBOX")->v[5].poison = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "Old"), 2);
	memory_delete(&rig->source, "INBOX", 6);
	assert_went(rig);
}

static void come_back(struct memory_world *w, const char *what, const char *mailbox)
{
	(void)what;
	(void)mailbox;
	w->meanwhile = NULL;
	memory_deliver(w, "Old", "Old message 1\r\n", "");
}

static void test_a_mailbox_that_comes_back_meanwhile_does_not_go(void **state)
{
	struct job_rig *rig = *state;

	begin(rig, 2);
	job_rig_fill(rig, "INBOX", 6, 6); /* else nothing is looked at */
	rig->source.meanwhile = come_back;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "Old"), 2);
	assert_int_equal(rig->report.removed, 0);
}

static void test_a_source_that_lists_no_mailbox_has_everything_held(void **state)
{
	struct job_rig *rig = *state;

	begin(rig, 2);
	memory_remove_mailbox(&rig->source, "INBOX");
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.held);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 5);
	assert_int_equal(memory_kept(&rig->target, "Old"), 2);
}

static void test_a_run_that_ends_anywhere_is_completed_by_the_next(void **state)
{
	struct job_rig *rig = *state;

	unsigned n = 1;

	job_rig_fill(rig, "INBOX", 1, 5);
	for (;; n++) {
		rig->target.commit_fails = 0;
		job_rig_fill(rig, "Old", 1, 3);
		assert_int_equal(job_rig_go(rig), 0);
		memory_remove_mailbox(&rig->source, "Old");
		rig->target.commit_fails = n;
		if (job_rig_go(rig) == 0)
			break;
		assert_went(rig);
		assert_at_rest(rig);
	}
	assert_true(n > 3);
	assert_false(memory_has_mailbox(&rig->target, "Old"));
}

static void test_a_plan_names_the_mailbox_and_only_such_a_plan_removes_it(void **state)
{
	struct job_rig *rig = *state;
	struct plan_file plan = { 0 }, other = { 0 };

	begin(rig, 2);
	rig->set.dry_run = true;
	rig->set.plan_out = &plan;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.v[0].gone);
	assert_int_equal(rig->report.removed, 2);
	assert_int_equal(memory_live(&rig->target, "Old"), 2);
	assert_non_null(plan_file_find(&plan, "Old"));
	assert_true(plan_file_find(&plan, "Old")->removed);
	rig->set.dry_run = false;
	rig->set.plan_out = NULL;
	/* one that says nothing of it */
	other = plan;
	other.n = 0;
	rig->set.apply = &other;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "Old"), 2);
	rig->set.apply = &plan;
	assert_went(rig);
	plan_file_release(&plan);
}

static void test_a_plan_is_not_carried_out_on_a_mailbox_that_came_back(void **state)
{
	struct job_rig *rig = *state;
	struct plan_file plan = { 0 };

	begin(rig, 2);
	rig->set.dry_run = true;
	rig->set.plan_out = &plan;
	assert_int_equal(job_rig_go(rig), 0);
	rig->set.dry_run = false;
	rig->set.plan_out = NULL;
	rig->set.apply = &plan;
	memory_deliver(&rig->source, "Old", "Old message 1\r\n", "");
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_non_null(strstr(rig->report.v[0].problem, "it came back"));
	assert_int_equal(memory_live(&rig->target, "Old"), 2);
	plan_file_release(&plan);
}

/* Dovecot lists a deleted mailbox for those below it. */
static void test_a_name_that_is_listed_and_no_mailbox_stops_nothing_else(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Old", 1, 3);
	job_rig_fill(rig, "Old/Sub", 1, 2);
	memory_mailbox_get(&rig->source, "Name")->name_only = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_false(memory_has_mailbox(&rig->target, "Name"));
	memory_mailbox_get(&rig->source, "Old")->name_only = true;
	memory_delete(&rig->source, "INBOX", 2);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_int_equal(rig->report.removed, 1); /* deletions do not wait for it */
	assert_int_equal(memory_live(&rig->target, "Old"), 3);
	/* It may come back. */
	memory_mailbox_get(&rig->source, "Old")->name_only = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "Old"), 3);
}

/* Refused for whatever reason: it may hold what is missing elsewhere. */
static void test_a_listed_mailbox_that_is_refused_is_not_passed_over(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_mailbox_get(&rig->source, "Shy")->name_only = true;
	memory_mailbox_get(&rig->source, "Shy")->unreadable = true;
	memory_delete(&rig->source, "INBOX", 2);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_int_equal(rig->report.removed, 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOB_RIG(test_a_mailbox_that_is_gone_goes_with_its_messages),
		WITH_JOB_RIG(test_an_empty_mailbox_that_is_gone_goes),
		WITH_JOB_RIG(test_messages_moved_out_of_a_mailbox_that_is_gone_are_not_lost),
		WITH_JOB_RIG(test_a_mailbox_that_loses_too_much_is_held_and_no_trouble_later),
		WITH_JOB_RIG(test_deletions_allowed_at_once_take_the_mailbox_along),
		WITH_JOB_RIG(test_with_deletions_keep_its_messages_stay_and_are_taken_over_when_it_comes_back),
		WITH_JOB_RIG(test_a_mailbox_in_guard_exempt_goes_whatever_it_holds),
		WITH_JOB_RIG(test_a_mailbox_is_not_gone_on_the_word_of_half_a_list),
		WITH_JOB_RIG(test_a_listed_mailbox_that_is_refused_is_not_passed_over),
		WITH_JOB_RIG(test_a_name_that_is_listed_and_no_mailbox_stops_nothing_else),
		WITH_JOB_RIG(test_a_mailbox_does_not_go_while_deletions_wait),
		WITH_JOB_RIG(test_a_mailbox_that_comes_back_meanwhile_does_not_go),
		WITH_JOB_RIG(test_a_source_that_lists_no_mailbox_has_everything_held),
		WITH_JOB_RIG(test_a_run_that_ends_anywhere_is_completed_by_the_next),
		WITH_JOB_RIG(test_a_plan_names_the_mailbox_and_only_such_a_plan_removes_it),
		WITH_JOB_RIG(test_a_plan_is_not_carried_out_on_a_mailbox_that_came_back),
	};

	return cmocka_run_group_tests_name("job: mailboxes that are gone", tests, NULL, NULL);
}
