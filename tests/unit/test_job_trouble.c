/* The engine on stores in memory that fail, refuse, contradict themselves and lose the line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/job_rig.h"

static void test_an_unreadable_mailbox_is_skipped_and_named(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 3);
	job_rig_fill(rig, "Bad", 1, 3);
	memory_mailbox_get(&rig->source, "Bad")->unreadable = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 3);
	memory_mailbox_get(&rig->source, "Bad")->unreadable = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_cut_line_resumes_without_fetching_again(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 10);
	rig->source.fail_after = 4;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_RETRY);
	assert_int_equal(rig->report.new_messages, 4);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
	rig->source.fail_after = 0;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 6);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_mailbox_listed_twice_is_stored_once(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Sent", 1, 3);
	rig->source.list_twice = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.new_messages, 8);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.mailboxes_unchanged, 2);
}

static void test_messages_sent_twice_or_unasked_are_stored_once(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	rig->source.twice = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_false(rig->report.incomplete);
	job_rig_fill(rig, "INBOX", 6, 6);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.new_messages, 1);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_false(rig->report.incomplete);
}

/* What was tried in the last run is due again. */
static void let_time_pass(struct job_rig *rig, const char *mailbox)
{
	struct base *base = &memory_mailbox_get(&rig->target, mailbox)->base;

	for (size_t i = 0; i < base->n_quarantine; i++)
		base->quarantine[i].last -= 8 * 86400;
}

static void test_a_message_listed_but_never_delivered_is_quarantined(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	job_rig_fill(rig, "INBOX", 6, 7);
	memory_mailbox_get(&rig->source, "INBOX")->v[5].silent = true;
	for (uint32_t run = 1; run <= 3; run++) {
		assert_int_equal(job_rig_go(rig), 0);
		assert_true(rig->report.incomplete);
		assert_int_equal(rig->report.v[0].quarantined, 1);
		assert_int_equal(rig->report.v[0].quarantine[0].uid, 6);
		assert_int_equal(rig->report.v[0].quarantine[0].attempts, run);
		assert_int_equal(memory_live(&rig->target, "INBOX"), 6);
		let_time_pass(rig, "INBOX");
	}
	memory_mailbox_get(&rig->source, "INBOX")->v[5].silent = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_what_is_not_due_is_told_but_not_tried(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *m;

	job_rig_fill(rig, "INBOX", 1, 5);
	memory_mailbox_get(&rig->source, "INBOX")->v[2].poison = true;
	for (uint32_t run = 1; run <= 2; run++) { /* the second time it is tried at once */
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(rig->report.v[0].quarantine[0].attempts, run);
		assert_true(rig->report.v[0].quarantine[0].last > 0);
	}
	rig->source.compared = rig->target.committed = 0;
	memory_mailbox_get(&rig->source, "INBOX")->v[2].poison = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_int_equal(rig->report.n, 1);
	assert_int_equal(rig->report.v[0].quarantined, 1);
	assert_int_equal(rig->report.v[0].quarantine[0].attempts, 2);
	assert_int_equal(rig->source.compared, 0); /* the mailbox was not looked at */
	assert_int_equal(rig->source.fetched, 0);
	job_rig_fill(rig, "INBOX", 6, 6); /* nor is it tried when the mailbox is */
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 1);
	assert_int_equal(rig->report.v[0].quarantine[0].attempts, 2);
	m = memory_mailbox_get(&rig->target, "INBOX");
	m->base.quarantine[0].last -= 3600;
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_int_equal(rig->source.fetched, 1);
	assert_true(memory_equal(&rig->source, &rig->target));
}

/* The message may have moved from where it is missing to where it cannot be had. */
static void test_deletions_wait_also_for_what_is_not_due(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "A", 1, 5);
	job_rig_fill(rig, "B", 1, 2);
	memory_mailbox_get(&rig->source, "B")->v[0].poison = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(job_rig_go(rig), 0);
	for (int run = 1; run <= 2; run++) { /* B is in work in the second only */
		memory_delete(&rig->source, "A", (uint32_t)run);
		if (run == 2)
			memory_set_flags(&rig->source, "B", 2, "$new");
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(memory_live(&rig->target, "A"), 5);
		assert_int_equal(rig->report.v[0].waiting, run);
	}
	memory_mailbox_get(&rig->target, "B")->base.quarantine[0].accepted = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "A"), 3);
	assert_false(rig->report.incomplete);
}

static void test_the_quarantine_is_kept_counted_and_cleared_one_by_one(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *m;

	job_rig_fill(rig, "INBOX", 1, 9);
	m = memory_mailbox_get(&rig->source, "INBOX");
	m->v[6].poison = m->v[3].poison = m->v[1].poison = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.v[0].quarantined, 3);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 6);
	assert_int_equal(uidset_count(&memory_mailbox_get(&rig->target, "INBOX")->base.known), 9);
	m->v[3].poison = false;                        /* stored the next time */
	m->v[7].poison = true;                         /* has been stored already: no matter */
	memory_delete(&rig->source, "INBOX", 2);       /* gone: nothing to be had any more */
	memory_mailbox_get(&rig->target, "INBOX")->base.quarantine[2].accepted = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.v[0].quarantined, 0);
	assert_false(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 7);
	m = memory_mailbox_get(&rig->target, "INBOX");
	assert_int_equal(m->base.n_quarantine, 1);
	assert_int_equal(m->base.quarantine[0].uid, 7);
	assert_int_equal(m->base.quarantine[0].attempts, 1);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.mailboxes_unchanged, 1);
}

static void test_what_the_target_refuses_is_quarantined_and_no_deletion_happens(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	job_rig_fill(rig, "INBOX", 6, 7);
	rig->target.refuse = "INBOX message 6\r\n";
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.v[0].quarantined, 1);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 6);
	rig->target.refuse = NULL;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

/* Told by failing at the message's end, as stores on disk do. A message moved, and its new copy is the one. */
static void test_what_the_target_cannot_take_is_quarantined_and_its_old_copy_stays(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "A", 1, 5);
	job_rig_fill(rig, "B", 1, 2);
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "A", 1);
	job_rig_fill(rig, "B", 6, 7);
	rig->target.choke = "B message 6\r\n";
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.v[1].quarantined, 1);
	assert_string_equal(rig->report.v[1].quarantine[0].reason, "choked");
	assert_int_equal(memory_live(&rig->target, "A"), 5);
	assert_int_equal(memory_live(&rig->target, "B"), 3);
	rig->target.choke = NULL;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_an_agreement_that_cannot_be_written_does_not_stop_the_others(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "A", 1, 5);
	job_rig_fill(rig, "B", 1, 5);
	memory_mailbox_get(&rig->target, "A")->forgetful = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_true(rig->report.v[0].skipped);
	assert_true(memory_equal(&rig->source, &rig->target)); /* the mail is there, of both */
	assert_int_equal(memory_mailbox_get(&rig->target, "B")->base.token.uidnext, 6);
	memory_mailbox_get(&rig->target, "A")->forgetful = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(memory_mailbox_get(&rig->target, "A")->base.token.uidnext, 6);
}

static void test_an_unwritable_mailbox_does_not_stop_the_others(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "A", 1, 5);
	job_rig_fill(rig, "B", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	job_rig_fill(rig, "A", 6, 7);
	job_rig_fill(rig, "B", 6, 7);
	memory_delete(&rig->source, "B", 1);
	memory_mailbox_get(&rig->target, "A")->unwritable = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_true(rig->report.v[0].skipped);
	assert_int_equal(rig->report.v[0].quarantined, 0);
	assert_int_equal(memory_live(&rig->target, "A"), 5);
	assert_int_equal(memory_live(&rig->target, "B"), 7); /* a removal waits: it may be in A */
	memory_set_flags(&rig->source, "A", 1, "$new");
	memory_mailbox_get(&rig->target, "A")->unwritable = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_flags_that_cannot_be_set_are_tried_again(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "A", 1, 5);
	job_rig_fill(rig, "B", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_set_flags(&rig->source, "A", 1, "$new");
	memory_set_flags(&rig->source, "B", 1, "$new");
	memory_mailbox_get(&rig->target, "A")->unwritable = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.v[0].skipped);
	assert_int_equal(rig->report.flags_changed, 1);
	memory_mailbox_get(&rig->target, "A")->unwritable = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_lost_files_come_back_even_if_the_mending_was_cut_short(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 6);
	assert_int_equal(job_rig_go(rig), 0);
	for (uint32_t uid = 2; uid <= 5; uid++)
		memory_lose(&rig->target, "INBOX", uid);
	rig->source.fail_after = 2;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
	rig->source.fail_after = 0;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(rig->source.fetched, 2);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.mailboxes_unchanged, 1);
}

static void test_whatever_ends_the_fetch_what_has_come_is_kept(void **state)
{
	static const enum err_kind kinds[] = { ERR_RETRY, ERR_FATAL, ERR_AUTH, ERR_STOPPED };
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 20);
	rig->source.fail_after = 2;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		rig->source.fail_kind = kinds[i];
		assert_int_equal(job_rig_go(rig), -1);
		assert_int_equal(rig->err.kind, kinds[i]);
		assert_int_equal(rig->report.new_messages, 2);
		assert_int_equal(memory_live(&rig->target, "INBOX"), 2 * (i + 1));
	}
	rig->source.fail_kind = ERR_MAILBOX; /* no word for the end of a job */
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_FATAL);
}

static void test_a_failed_commit_counts_nothing_and_loses_nothing(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	for (unsigned nth = 1; nth <= 2; nth++) {
		int from = (int)nth * 10;

		job_rig_fill(rig, "INBOX", from, from + 1);
		memory_delete(&rig->source, "INBOX",
			      memory_mailbox_get(&rig->source, "INBOX")->v[0].uid);
		rig->target.commit_fails = nth; /* after the additions, after the deletions */
		assert_int_equal(job_rig_go(rig), -1);
		assert_int_equal(rig->err.kind, ERR_FATAL);
		assert_int_equal(rig->report.new_messages, nth == 1 ? 0 : 2);
		assert_int_equal(rig->report.removed, 0);
		assert_int_equal(memory_live(&rig->target, "INBOX"), nth == 1 ? 5 : 8);
		assert_int_equal(job_rig_go(rig), 0);
		assert_true(memory_equal(&rig->source, &rig->target));
	}
}

static void test_a_target_that_cannot_be_read_is_not_filled_again(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *m;

	job_rig_fill(rig, "INBOX", 1, 6);
	assert_int_equal(job_rig_go(rig), 0);
	m = memory_mailbox_get(&rig->target, "INBOX");
	for (int way = 0; way < 3; way++) {
		memory_delete(&rig->source, "INBOX", (uint32_t)way + 1);
		job_rig_fill(rig, "INBOX", 10 + way, 10 + way);
		m = memory_mailbox_get(&rig->target, "INBOX");
		m->partial = way == 0;
		m->unreadable = way == 1;
		m->unopenable = way == 2;
		assert_int_equal(job_rig_go(rig), 0);
		assert_true(rig->report.v[0].skipped);
		assert_int_equal(memory_live(&rig->target, "INBOX"), 6);
	}
	memory_mailbox_get(&rig->target, "INBOX")->unopenable = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_after_a_doubtful_answer_it_is_compared_in_full(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Sent", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_set_flags(&rig->source, "INBOX", 4, "$changed");
	memory_delete(&rig->source, "Sent", 1);
	memory_mailbox_get(&rig->source, "INBOX")->hide = 4;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "Sent"), 5); /* it may have moved to INBOX */
	memory_mailbox_get(&rig->source, "INBOX")->hide = 0;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_batches_are_committed_on_the_way(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5000);
	rig->target.commit_fails = 1;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->target.committed, 0); /* and is left alone after that */
	assert_int_equal(memory_live(&rig->target, "INBOX"), 0);
	rig->source.fail_after = 4500;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->target.committed, 2);
	rig->source.fail_after = 0;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->target.committed, 4);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_full_disk_ends_the_job_with_its_own_word(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 10);
	rig->target.full_after = 4;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_FATAL);
	assert_non_null(strstr(rig->err.text, "no space"));
	assert_int_equal(rig->target.committed, 0);
	assert_int_equal(rig->report.new_messages, 0);
	rig->target.full_after = 0;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_first_fetch_that_left_something_out_is_taken_up_again(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "Sent", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "Sent", 1);
	job_rig_fill(rig, "INBOX", 1, 5);
	memory_mailbox_get(&rig->source, "INBOX")->v[2].silent = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_non_null(rig->report.v[0].problem);
	assert_int_equal(memory_live(&rig->target, "Sent"), 5); /* it may have moved to INBOX */
	memory_mailbox_get(&rig->source, "INBOX")->v[2].silent = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_message_refused_twice_is_quarantined_once(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 3);
	memory_mailbox_get(&rig->source, "INBOX")->v[1].poison = true;
	rig->source.twice = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.v[0].quarantined, 1);
	assert_int_equal(memory_mailbox_get(&rig->target, "INBOX")->base.n_quarantine, 1);
}

static void test_the_order_of_refusals_does_not_matter(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 9);
	rig->source.backwards = true;
	for (uint32_t run = 1; run <= 3; run++) {
		for (size_t i = run == 1 ? 4 : 1; i < 9; i += 3)
			memory_mailbox_get(&rig->source, "INBOX")->v[i].poison = true;
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(rig->report.v[0].quarantined, 2); /* the third was stored before */
		for (size_t i = 0; i < 2; i++) {
			assert_int_equal(rig->report.v[0].quarantine[i].uid, 5 + 3 * i);
			assert_int_equal(rig->report.v[0].quarantine[i].attempts, run);
		}
		let_time_pass(rig, "INBOX");
	}
}

/* Many refusals and many mailboxes must not take time that grows with their square. */
static void test_a_hundred_thousand_refusals_are_no_trouble(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *m;

	for (int i = 0; i < 100000; i++)
		memory_deliver(&rig->source, "INBOX", "x", "");
	m = memory_mailbox_get(&rig->source, "INBOX");
	for (size_t i = 0; i < m->n; i++)
		m->v[i].poison = true;
	for (uint32_t run = 1; run <= 2; run++) {
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(rig->report.v[0].quarantined, 100000);
		assert_int_equal(rig->report.v[0].quarantine[99999].attempts, run);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOB_RIG(test_an_unreadable_mailbox_is_skipped_and_named),
		WITH_JOB_RIG(test_a_cut_line_resumes_without_fetching_again),
		WITH_JOB_RIG(test_a_mailbox_listed_twice_is_stored_once),
		WITH_JOB_RIG(test_messages_sent_twice_or_unasked_are_stored_once),
		WITH_JOB_RIG(test_a_message_listed_but_never_delivered_is_quarantined),
		WITH_JOB_RIG(test_what_is_not_due_is_told_but_not_tried),
		WITH_JOB_RIG(test_deletions_wait_also_for_what_is_not_due),
		WITH_JOB_RIG(test_the_quarantine_is_kept_counted_and_cleared_one_by_one),
		WITH_JOB_RIG(test_what_the_target_refuses_is_quarantined_and_no_deletion_happens),
		WITH_JOB_RIG(test_what_the_target_cannot_take_is_quarantined_and_its_old_copy_stays),
		WITH_JOB_RIG(test_an_agreement_that_cannot_be_written_does_not_stop_the_others),
		WITH_JOB_RIG(test_an_unwritable_mailbox_does_not_stop_the_others),
		WITH_JOB_RIG(test_flags_that_cannot_be_set_are_tried_again),
		WITH_JOB_RIG(test_lost_files_come_back_even_if_the_mending_was_cut_short),
		WITH_JOB_RIG(test_whatever_ends_the_fetch_what_has_come_is_kept),
		WITH_JOB_RIG(test_a_failed_commit_counts_nothing_and_loses_nothing),
		WITH_JOB_RIG(test_a_target_that_cannot_be_read_is_not_filled_again),
		WITH_JOB_RIG(test_after_a_doubtful_answer_it_is_compared_in_full),
		WITH_JOB_RIG(test_batches_are_committed_on_the_way),
		WITH_JOB_RIG(test_a_full_disk_ends_the_job_with_its_own_word),
		WITH_JOB_RIG(test_a_first_fetch_that_left_something_out_is_taken_up_again),
		WITH_JOB_RIG(test_a_message_refused_twice_is_quarantined_once),
		WITH_JOB_RIG(test_the_order_of_refusals_does_not_matter),
		WITH_JOB_RIG(test_a_hundred_thousand_refusals_are_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
