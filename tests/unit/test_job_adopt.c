/* The engine on stores in memory: taking over what others put into the target, without fetching it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/job_rig.h"

/* Of a size that some others have, too; `text` is one letter. */
static char *letter(int id, char text)
{
	return xasprintf("Message-ID: <%03d@x>\r\nSubject: s\r\n\r\n%*c\r\n", id, 1 + id % 5, text);
}

static void deliver(struct job_rig *rig, int id, char text, const char *flags)
{
	char *body = letter(id, text);

	memory_deliver(&rig->source, "INBOX", body, flags);
	free(body);
}

static void put(struct job_rig *rig, int id, char text)
{
	char *body = letter(id, text);

	memory_put_stranger(&rig->target, "INBOX", body);
	free(body);
}

/* The target is what another program made, with a mailbox that has none of the source's state. */
static void make_foreign(struct job_rig *rig)
{
	rig->target.presence = STORE_FOREIGN;
	memory_mailbox_get(&rig->target, "INBOX");
	rig->set.adopt = true;
}

static void go(struct job_rig *rig)
{
	if (job_rig_go(rig) < 0)
		fail_msg("the run failed: %s", rig->err.text);
}

static bool noted(const struct job_rig *rig, const char *text)
{
	for (size_t i = 0; i < rig->report.n_notes; i++)
		if (strstr(rig->report.notes[i], text))
			return true;
	return false;
}

static void assert_settled(struct job_rig *rig)
{
	assert_true(memory_equal(&rig->source, &rig->target));
	rig->set.adopt = false;
	go(rig);
	assert_int_equal(rig->source.compared + rig->source.fetched, 0);
	assert_false(rig->report.incomplete);
}

static void test_what_is_there_is_taken_over_and_not_fetched(void **state)
{
	struct job_rig *rig = *state;

	make_foreign(rig);
	for (int i = 1; i <= 60; i++)
		deliver(rig, i, 'a', i % 2 ? "\\Seen" : "$Todo");
	for (int i = 60; i > 2; i--)
		put(rig, i, 'a');
	put(rig, 900, 'a');
	go(rig);
	assert_int_equal(rig->source.fetched, 2);
	assert_int_equal(rig->report.adopted, 58);
	assert_int_equal(rig->report.new_messages, 2);
	assert_int_equal(rig->report.v[0].foreign, 1);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
	assert_true(noted(rig, "58 messages are there already"));
	assert_settled(rig);
}

/* Neither the size alone nor the heading alone makes a pair. */
static void test_a_file_of_another_size_or_heading_is_no_pair(void **state)
{
	struct job_rig *rig = *state;

	make_foreign(rig);
	for (int i = 1; i <= 4; i++)
		deliver(rig, i, 'a', "");
	put(rig, 1, 'a');
	put(rig, 7, 'a'); /* as long as 2 */
	memory_put_stranger(&rig->target, "INBOX", "Message-ID: <003@x>\r\nSubject: s\r\n\r\nlonger\r\n");
	go(rig);
	assert_int_equal(rig->source.fetched, 3);
	assert_int_equal(rig->report.adopted, 1);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 2);
	assert_settled(rig);
}

static void test_headers_are_asked_for_only_where_a_size_fits(void **state)
{
	struct job_rig *rig = *state;

	make_foreign(rig);
	for (int i = 1; i <= 50; i++)
		deliver(rig, i, 'a', "");
	put(rig, 3, 'a');
	go(rig);
	assert_int_equal(rig->source.headers, 10);
	assert_int_equal(rig->source.fetched, 49);
	assert_int_equal(rig->report.adopted, 1);
	assert_settled(rig);
}

/* Two files say that they are the message and differ: its bytes decide. */
static void test_between_files_that_differ_the_content_decides(void **state)
{
	struct job_rig *rig = *state;

	make_foreign(rig);
	deliver(rig, 1, 'a', "");
	put(rig, 1, 'b');
	put(rig, 1, 'a');
	go(rig);
	assert_int_equal(rig->source.fetched, 1);
	assert_int_equal(rig->report.adopted, 1);
	assert_int_equal(rig->report.new_messages, 0);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
	assert_settled(rig);
}

static void test_of_more_messages_than_files_the_content_decides(void **state)
{
	struct job_rig *rig = *state;

	make_foreign(rig);
	deliver(rig, 1, 'a', "");
	deliver(rig, 1, 'b', "");
	put(rig, 1, 'b');
	go(rig);
	assert_int_equal(rig->source.fetched, 2);
	assert_int_equal(rig->report.adopted, 1);
	assert_int_equal(rig->report.new_messages, 1);
	assert_settled(rig);
}

static void test_equal_messages_and_equal_files_are_paired_one_to_one(void **state)
{
	struct job_rig *rig = *state;

	make_foreign(rig);
	deliver(rig, 1, 'a', "");
	deliver(rig, 1, 'a', "\\Seen");
	for (int i = 0; i < 3; i++)
		put(rig, 1, 'a');
	go(rig);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->report.adopted, 2);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
	assert_settled(rig);
}

static void test_without_message_id_and_date_the_content_decides(void **state)
{
	struct job_rig *rig = *state;

	make_foreign(rig);
	memory_deliver(&rig->source, "INBOX", "Subject: s\r\n\r\nx\r\n", "");
	memory_put_stranger(&rig->target, "INBOX", "Subject: s\r\n\r\nx\r\n");
	deliver(rig, 1, 'a', "");
	put(rig, 1, 'a');
	go(rig);
	assert_int_equal(rig->source.fetched, 1);
	assert_int_equal(rig->report.adopted, 2);
	assert_settled(rig);
}

static void test_a_file_that_changed_meanwhile_is_left_and_its_message_fetched(void **state)
{
	struct job_rig *rig = *state;
	char *body = letter(2, 'a');

	make_foreign(rig);
	for (int i = 1; i <= 3; i++) {
		deliver(rig, i, 'a', "");
		put(rig, i, 'a');
	}
	rig->target.slippery = body;
	/* Nor is it that message when that has come. */
	memory_mailbox_get(&rig->target, "INBOX")->strangers[1][0] = 'm';
	body[0] = 'm';
	go(rig);
	assert_int_equal(rig->source.fetched, 1);
	assert_int_equal(rig->report.adopted, 2);
	assert_int_equal(rig->report.new_messages, 1);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
	assert_settled(rig);
	free(body);
}

static void test_a_header_that_cannot_be_had_costs_only_its_message(void **state)
{
	struct job_rig *rig = *state;

	make_foreign(rig);
	for (int i = 1; i <= 3; i++) {
		deliver(rig, i, 'a', "");
		put(rig, i, 'a');
	}
	memory_mailbox_get(&rig->source, "INBOX")->v[1].poison = true;
	go(rig);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->report.adopted, 2);
	assert_int_equal(rig->report.v[0].quarantined, 1);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
}

static void test_a_mailbox_that_cannot_be_written_is_skipped_alone(void **state)
{
	struct job_rig *rig = *state;

	make_foreign(rig);
	deliver(rig, 1, 'a', "");
	put(rig, 1, 'a');
	job_rig_fill(rig, "Sent", 1, 3);
	memory_mailbox_get(&rig->target, "INBOX")->unwritable = true;
	go(rig);
	assert_true(rig->report.incomplete);
	assert_int_equal(rig->report.adopted, 0);
	assert_int_equal(memory_live(&rig->target, "Sent"), 3);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
}

static void test_a_dry_run_tells_what_would_be_taken_over_and_what_downloaded(void **state)
{
	struct job_rig *rig = *state;
	char *body = letter(9, 'a');

	make_foreign(rig);
	for (int i = 1; i <= 9; i++)
		deliver(rig, i, 'a', "");
	for (int i = 1; i <= 8; i++)
		put(rig, i, 'a');
	put(rig, 77, 'a');
	rig->set.dry_run = true;
	go(rig);
	assert_int_equal(rig->report.adopted, 8);
	assert_int_equal(rig->report.new_messages, 1);
	assert_int_equal(rig->report.bytes, strlen(body));
	assert_int_equal(rig->report.v[0].foreign, 1);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->target.opened_to_write + rig->target.committed, 0);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 9);
	rig->set.dry_run = false;
	go(rig);
	assert_int_equal(rig->report.bytes, strlen(body));
	assert_settled(rig);
	free(body);
}

/* An older state of the store: what it has not heard of lies there, and it has no name in its base. */
static void test_an_older_state_takes_over_what_was_stored_since(void **state)
{
	struct job_rig *rig = *state;

	for (int i = 1; i <= 5; i++)
		deliver(rig, i, 'a', "");
	go(rig);
	for (int i = 6; i <= 9; i++) {
		deliver(rig, i, 'a', "\\Flagged");
		put(rig, i, 'a');
	}
	deliver(rig, 10, 'a', "");
	put(rig, 1, 'a'); /* what is stored is not stored again */
	rig->target.generation = 0;
	go(rig);
	assert_true(rig->target.renumbered);
	assert_int_equal(rig->source.fetched, 1);
	assert_int_equal(rig->report.adopted, 4);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
	assert_settled(rig);
}

/* Not again asked to, the next run goes on with it. */
static void test_a_run_that_was_stopped_is_continued_with_taking_over(void **state)
{
	struct job_rig *rig = *state;

	make_foreign(rig);
	for (int i = 1; i <= 9; i++) {
		deliver(rig, i, 'a', "");
		put(rig, i, 'a');
	}
	rig->target.commit_fails = 1;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 9);
	rig->set.adopt = false;
	go(rig);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->report.adopted, 9);
	assert_settled(rig);
	deliver(rig, 10, 'a', ""); /* that is over now */
	put(rig, 10, 'a');
	go(rig);
	assert_int_equal(rig->source.fetched, 1);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
}

static void test_a_run_for_some_mailboxes_leaves_the_others_to_be_taken_over(void **state)
{
	struct job_rig *rig = *state;
	const char *only = "Sent";

	make_foreign(rig);
	for (int i = 1; i <= 3; i++) {
		deliver(rig, i, 'a', "");
		put(rig, i, 'a');
	}
	job_rig_fill(rig, "Sent", 1, 3);
	rig->set.only = &only;
	rig->set.n_only = 1;
	go(rig);
	assert_int_equal(rig->report.adopted, 0);
	rig->set.n_only = 0;
	rig->set.adopt = false;
	go(rig);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->report.adopted, 3);
	assert_settled(rig);
}

static void test_a_store_of_ours_takes_over_what_others_put_there_when_asked_to(void **state)
{
	struct job_rig *rig = *state;

	deliver(rig, 1, 'a', "");
	go(rig);
	deliver(rig, 2, 'a', "");
	put(rig, 2, 'a');
	rig->set.adopt = true;
	go(rig);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->report.adopted, 1);
	assert_settled(rig);
}

static void test_without_adopt_nothing_is_taken_over(void **state)
{
	struct job_rig *rig = *state;

	deliver(rig, 1, 'a', "");
	go(rig);
	deliver(rig, 2, 'a', "");
	put(rig, 2, 'a');
	go(rig);
	assert_int_equal(rig->source.headers, 0);
	assert_int_equal(rig->source.fetched, 1);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOB_RIG(test_what_is_there_is_taken_over_and_not_fetched),
		WITH_JOB_RIG(test_a_file_of_another_size_or_heading_is_no_pair),
		WITH_JOB_RIG(test_headers_are_asked_for_only_where_a_size_fits),
		WITH_JOB_RIG(test_between_files_that_differ_the_content_decides),
		WITH_JOB_RIG(test_of_more_messages_than_files_the_content_decides),
		WITH_JOB_RIG(test_equal_messages_and_equal_files_are_paired_one_to_one),
		WITH_JOB_RIG(test_without_message_id_and_date_the_content_decides),
		WITH_JOB_RIG(test_a_file_that_changed_meanwhile_is_left_and_its_message_fetched),
		WITH_JOB_RIG(test_a_header_that_cannot_be_had_costs_only_its_message),
		WITH_JOB_RIG(test_a_mailbox_that_cannot_be_written_is_skipped_alone),
		WITH_JOB_RIG(test_a_dry_run_tells_what_would_be_taken_over_and_what_downloaded),
		WITH_JOB_RIG(test_an_older_state_takes_over_what_was_stored_since),
		WITH_JOB_RIG(test_a_run_that_was_stopped_is_continued_with_taking_over),
		WITH_JOB_RIG(test_a_run_for_some_mailboxes_leaves_the_others_to_be_taken_over),
		WITH_JOB_RIG(test_a_store_of_ours_takes_over_what_others_put_there_when_asked_to),
		WITH_JOB_RIG(test_without_adopt_nothing_is_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
