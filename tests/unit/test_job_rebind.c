/* The engine on stores in memory: a mailbox whose UIDs do not mean what they did. */
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

static void deliver(struct job_rig *rig, const char *mailbox, int n)
{
	char *body = xasprintf("Message-ID: <%d@%s>\r\n\r\nText %*d\r\n", n, mailbox, 1 + n % 7, n);

	memory_deliver(&rig->source, mailbox, body, n % 2 ? "\\Seen" : "$Todo");
	free(body);
}

static void fill(struct job_rig *rig, const char *mailbox, int from, int to)
{
	for (int i = from; i <= to; i++)
		deliver(rig, mailbox, i);
}

static void go(struct job_rig *rig)
{
	if (job_rig_go(rig) < 0)
		fail_msg("the run failed: %s", rig->err.text);
}

/* Another UIDVALIDITY, and UIDs from `first` on. */
static void renumber_source(struct job_rig *rig, const char *mailbox, uint32_t first)
{
	struct memory_mailbox *m = memory_mailbox_get(&rig->source, mailbox);

	m->uidvalidity++;
	for (size_t i = 0; i < m->n; i++)
		m->v[i].uid = first + (uint32_t)i;
	m->uidnext = first + (uint32_t)m->n;
}

static const struct job_mailbox *line_of(const struct job_rig *rig, const char *mailbox)
{
	for (size_t i = 0; i < rig->report.n; i++)
		if (strcmp(rig->report.v[i].name, mailbox) == 0)
			return &rig->report.v[i];
	fail_msg("nothing is said of %s", mailbox);
	return NULL;
}

static bool noted(const struct job_rig *rig, const char *text)
{
	for (size_t i = 0; i < rig->report.n_notes; i++)
		if (strstr(rig->report.notes[i], text))
			return true;
	return false;
}

/* All is as it should be, and a run more finds nothing to do. */
static void assert_settled(struct job_rig *rig)
{
	assert_true(memory_equal(&rig->source, &rig->target));
	go(rig);
	assert_int_equal(rig->source.compared, 0);
	assert_int_equal(rig->source.fetched, 0);
	assert_false(rig->report.incomplete);
}

static void test_a_new_uidvalidity_costs_no_message(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 60);
	go(rig);
	for (uint32_t uid = 1; uid <= 20; uid++)
		memory_delete(&rig->source, "INBOX", 3 * uid);
	go(rig);
	renumber_source(rig, "INBOX", 1);
	memory_set_flags(&rig->source, "INBOX", 1, "\\Flagged");
	go(rig);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->source.headers, 0);
	assert_int_equal(rig->report.removed + rig->report.adopted + rig->report.new_messages, 0);
	assert_int_equal(rig->report.flags_changed, 1);
	assert_true(line_of(rig, "INBOX")->rebound);
	assert_int_equal(line_of(rig, "INBOX")->recognised, 40);
	assert_int_equal(line_of(rig, "INBOX")->to_recognise, 40);
	assert_true(noted(rig, "INBOX: the server gave it a new UIDVALIDITY; 40 of 40 messages "
			       "recognised, none downloaded"));
	assert_false(rig->report.incomplete);
	assert_settled(rig);
}

/* As after the server was put back from a copy: messages are gone, and their UIDs are given out again. */
static void go_back(struct job_rig *rig, const char *mailbox, uint32_t n)
{
	struct memory_mailbox *m = memory_mailbox_get(&rig->source, mailbox);

	for (uint32_t uid = m->uidnext - n; uid < m->uidnext; uid++)
		memory_delete(&rig->source, mailbox, uid);
	m->uidnext -= n;
	m->modseq = 2;
}

static void test_a_uid_given_out_again_is_another_message(void **state)
{
	struct job_rig *rig = *state;

	for (int by_modseq = 0; by_modseq < 2; by_modseq++) {
		memory_mailbox_get(&rig->source, "INBOX")->no_uidnext = by_modseq;
		memory_mailbox_get(&rig->source, "INBOX")->no_modseq = !by_modseq;
		fill(rig, "INBOX", 1, 60);
		go(rig);
		go_back(rig, "INBOX", 5);
		fill(rig, "INBOX", 61, 63); /* with three of the five UIDs */
		go(rig);
		assert_int_equal(rig->report.new_messages, 3);
		assert_int_equal(rig->report.removed, 5);
		assert_true(line_of(rig, "INBOX")->rebound);
		assert_true(noted(rig, "INBOX: the server went back to an earlier state of it; 55 of 60 "
				       "messages recognised, 3 to fetch"));
		assert_true(memory_equal(&rig->source, &rig->target));
		job_rig_teardown(state);
		job_rig_setup(state);
		rig = *state;
	}
}

/* A lost index, or a server that makes UIDNEXT of the highest UID there is. */
static void test_what_goes_back_without_other_messages_is_no_event(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 60);
	go(rig);
	go_back(rig, "INBOX", 1);
	memory_set_flags(&rig->source, "INBOX", 4, "\\Flagged");
	go(rig);
	assert_int_equal(rig->source.described, 1);
	assert_int_equal(rig->source.fetched, 0);
	assert_false(line_of(rig, "INBOX")->rebound);
	assert_int_equal(rig->report.n_notes, 0);
	assert_int_equal(rig->report.removed, 1);
	assert_int_equal(rig->report.flags_changed, 1);
	assert_settled(rig);
}

static void test_it_is_noticed_where_the_list_tells_no_state(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 60);
	memory_mailbox_get(&rig->source, "INBOX")->no_status = true;
	go(rig);
	renumber_source(rig, "INBOX", 100);
	go(rig);
	assert_int_equal(rig->source.described, 1);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(line_of(rig, "INBOX")->recognised, 60);
	memory_mailbox_get(&rig->source, "INBOX")->no_status = false;
	go(rig);
	assert_settled(rig);
}

static void test_no_other_mailbox_is_described(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 40);
	fill(rig, "Sent", 1, 40);
	go(rig);
	renumber_source(rig, "INBOX", 100);
	deliver(rig, "Sent", 41);
	go(rig);
	assert_int_equal(rig->source.described, 1);
	assert_int_equal(rig->source.fetched, 1);
	assert_false(line_of(rig, "Sent")->rebound);
	assert_settled(rig);
}

static void test_a_few_messages_are_told_by_their_headers(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	go(rig);
	renumber_source(rig, "INBOX", 100);
	go(rig);
	assert_int_equal(rig->source.headers, 5);
	assert_int_equal(rig->source.fetched, 0);
	assert_settled(rig);
}

/* The dates are gone, too: as after a restored server. */
static void test_what_is_not_recognised_is_fetched_and_paired_by_content(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *m;

	fill(rig, "INBOX", 1, 60);
	go(rig);
	renumber_source(rig, "INBOX", 31);
	m = memory_mailbox_get(&rig->source, "INBOX");
	for (size_t i = 0; i < 10; i++)
		m->v[i].date = 999999;
	deliver(rig, "INBOX", 61);
	go(rig);
	assert_int_equal(rig->source.fetched, 11);
	assert_int_equal(rig->report.adopted, 10);
	assert_int_equal(rig->report.new_messages, 1);
	assert_int_equal(rig->report.removed, 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 61);
	assert_true(noted(rig, "50 of 60 messages recognised, 11 to fetch"));
	assert_settled(rig);
}

/* Both of one date and one size, and the server tells them in another order now. */
static void test_two_that_changed_places_keep_their_flags(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *m;
	struct memory_message keep;

	fill(rig, "INBOX", 1, 60);
	m = memory_mailbox_get(&rig->source, "INBOX");
	m->v[10].date = m->v[17].date; /* 11 and 18: equally long */
	go(rig);
	keep = m->v[10];
	m->v[10] = m->v[17];
	m->v[17] = keep;
	renumber_source(rig, "INBOX", 1);
	go(rig);
	assert_int_equal(rig->source.headers, 2);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->report.flags_changed, 0);
	memory_delete(&rig->source, "INBOX", 11);
	go(rig);
	assert_settled(rig);
}

static void test_what_was_removed_meanwhile_goes(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 60);
	go(rig);
	memory_delete(&rig->source, "INBOX", 7);
	renumber_source(rig, "INBOX", 1);
	deliver(rig, "INBOX", 61);
	go(rig);
	assert_int_equal(rig->report.removed, 1);
	assert_int_equal(rig->report.new_messages, 1);
	assert_int_equal(line_of(rig, "INBOX")->recognised, 59);
	assert_settled(rig);
}

static void test_the_guard_holds_back_what_is_missing_in_masses(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 100);
	fill(rig, "Sent", 1, 200);
	go(rig);
	for (uint32_t uid = 1; uid <= 60; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	renumber_source(rig, "INBOX", 1);
	go(rig);
	assert_true(rig->report.held);
	assert_int_equal(rig->report.deletes_shown, 60);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 40);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 60);
}

static void test_a_mailbox_that_is_empty_now_is_left_alone(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *m;

	/* The guard does not look at this one. */
	memory_mailbox_get(&rig->source, "Trash")->attributes = MAILBOX_TRASH;
	fill(rig, "Trash", 1, 40);
	fill(rig, "INBOX", 1, 40);
	go(rig);
	m = memory_mailbox_get(&rig->source, "Trash");
	while (m->n > 0)
		memory_delete(&rig->source, "Trash", m->v[0].uid);
	m->uidvalidity++;
	m->uidnext = 1;
	go(rig);
	assert_true(rig->report.incomplete);
	assert_true(line_of(rig, "Trash")->skipped);
	assert_non_null(strstr(line_of(rig, "Trash")->problem, "--allow-deletes=40"));
	assert_int_equal(memory_live(&rig->target, "Trash"), 40);
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 40;
	go(rig);
	assert_int_equal(rig->report.removed, 40);
	rig->set.allow_deletes_given = false;
	assert_settled(rig);
}

/* ... and whole again with the same mail: then nothing was lost and nothing is fetched. */
static void test_a_mailbox_that_was_empty_for_a_while_is_recognised(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *m;
	size_t n;

	fill(rig, "INBOX", 1, 40);
	go(rig);
	m = memory_mailbox_get(&rig->source, "INBOX");
	n = m->n;
	m->n = 0;
	m->uidvalidity++;
	go(rig);
	assert_true(rig->report.incomplete);
	m->n = n;
	renumber_source(rig, "INBOX", 1);
	go(rig);
	assert_int_equal(rig->source.fetched, 0);
	assert_settled(rig);
}

static void test_an_answer_that_does_not_account_for_all_binds_nothing(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 40);
	go(rig);
	renumber_source(rig, "INBOX", 1);
	memory_mailbox_get(&rig->source, "INBOX")->hide = 4;
	go(rig);
	assert_true(rig->report.incomplete);
	assert_true(line_of(rig, "INBOX")->skipped);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 40);
	assert_int_equal(memory_mailbox_get(&rig->target, "INBOX")->base.token.uidvalidity,
			 memory_mailbox_get(&rig->source, "INBOX")->uidvalidity - 1);
	memory_mailbox_get(&rig->source, "INBOX")->hide = 0;
	go(rig);
	assert_int_equal(rig->source.fetched, 0);
	assert_settled(rig);
}

static void test_an_answer_without_uidvalidity_binds_nothing(void **state)
{
	struct job_rig *rig = *state;
	uint32_t was;

	fill(rig, "INBOX", 1, 40);
	go(rig);
	was = memory_mailbox_get(&rig->source, "INBOX")->uidvalidity;
	memory_mailbox_get(&rig->source, "INBOX")->uidvalidity = 0;
	go(rig);
	assert_true(line_of(rig, "INBOX")->skipped);
	assert_int_equal(rig->source.fetched, 0);
	memory_mailbox_get(&rig->source, "INBOX")->uidvalidity = was;
	go(rig);
	assert_settled(rig);
}

static void test_a_dry_run_says_it_and_changes_nothing(void **state)
{
	struct job_rig *rig = *state;
	unsigned committed;

	fill(rig, "INBOX", 1, 40);
	go(rig);
	renumber_source(rig, "INBOX", 50);
	committed = rig->target.committed;
	rig->set.dry_run = true;
	go(rig);
	assert_int_equal(line_of(rig, "INBOX")->recognised, 40);
	assert_true(noted(rig, "40 of 40 messages recognised, none downloaded"));
	assert_int_equal(rig->target.committed, committed);
	assert_int_equal(memory_mailbox_get(&rig->target, "INBOX")->v[0].source_uid, 1);
	rig->set.dry_run = false;
	go(rig);
	assert_settled(rig);
}

static void test_a_uidvalidity_that_changes_in_every_run_works_every_time(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 50);
	go(rig);
	for (int run = 0; run < 10; run++) {
		renumber_source(rig, "INBOX", run % 2 ? 1 : 26);
		deliver(rig, "INBOX", 51 + run);
		go(rig);
		assert_int_equal(rig->source.fetched, 1);
		assert_true(memory_equal(&rig->source, &rig->target));
	}
}

/* What was bound anew and what came are durable; the rest is found by the next run. */
static void test_a_run_that_is_cut_short_is_continued(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *m;

	fill(rig, "INBOX", 1, 60);
	fill(rig, "Sent", 1, 200);
	go(rig);
	memory_delete(&rig->source, "INBOX", 1);
	renumber_source(rig, "INBOX", 5);
	m = memory_mailbox_get(&rig->source, "INBOX");
	for (size_t i = 0; i < 10; i++)
		m->v[i].date = 999999;
	rig->source.fail_after = 4;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->report.adopted, 4);
	rig->source.fail_after = 0;
	go(rig);
	/* Bound by then: all but those whose dates are gone. */
	assert_int_equal(rig->source.fetched, 6);
	assert_int_equal(rig->report.adopted, 6);
	assert_int_equal(rig->report.removed, 1);
	assert_settled(rig);
}

static void test_a_failed_commit_leaves_a_run_to_be_done_again(void **state)
{
	struct job_rig *rig = *state;
	bool done = false;

	fill(rig, "INBOX", 1, 60);
	go(rig);
	for (unsigned at = 1; !done; at++) {
		memory_delete(&rig->source, "INBOX",
			      memory_mailbox_get(&rig->source, "INBOX")->v[0].uid);
		renumber_source(rig, "INBOX", 3 + at);
		memory_mailbox_get(&rig->source, "INBOX")->v[5].date += 7;
		rig->target.commit_fails = at;
		done = job_rig_go(rig) == 0;
		rig->target.commit_fails = 0;
		go(rig);
		assert_settled(rig);
		assert_in_range(at, 1, 5);
	}
}

/* UIDs and the UIDVALIDITY they are of, or none of both. */
static void test_uids_are_never_stored_without_their_uidvalidity(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 60);
	go(rig);
	renumber_source(rig, "INBOX", 5);
	rig->target.commit_fails = 2;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(memory_mailbox_get(&rig->target, "INBOX")->v[0].source_uid, 5);
	assert_int_equal(memory_mailbox_get(&rig->target, "INBOX")->base.token.uidvalidity,
			 memory_mailbox_get(&rig->source, "INBOX")->uidvalidity);
	go(rig);
	assert_settled(rig);
}

static void test_when_binding_fails_nothing_is_committed(void **state)
{
	struct job_rig *rig = *state;
	unsigned committed;

	fill(rig, "INBOX", 1, 40);
	fill(rig, "Sent", 1, 4);
	go(rig);
	renumber_source(rig, "Sent", 50);
	deliver(rig, "INBOX", 41);
	committed = rig->target.committed;
	rig->target.unrenumberable = true;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_FATAL);
	assert_int_equal(rig->target.committed, committed);
	rig->target.unrenumberable = false;
	go(rig);
	assert_settled(rig);
}

/* Its deletion waits, since the message may have moved to a mailbox that could not be read. */
static void test_what_is_not_recognised_waits_where_it_may_have_moved(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 60);
	fill(rig, "Sent", 1, 4);
	go(rig);
	memory_delete(&rig->source, "INBOX", 7);
	renumber_source(rig, "INBOX", 1);
	memory_mailbox_get(&rig->source, "Sent")->unreadable = true;
	memory_set_flags(&rig->source, "Sent", 1, "");
	go(rig);
	assert_int_equal(line_of(rig, "INBOX")->waiting, 1);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 60);
	memory_mailbox_get(&rig->source, "Sent")->unreadable = false;
	go(rig);
	assert_int_equal(rig->report.removed, 1);
	assert_settled(rig);
}

static void test_kept_where_the_job_keeps(void **state)
{
	struct job_rig *rig = *state;

	rig->set.deletions = DELETIONS_KEEP;
	fill(rig, "INBOX", 1, 60);
	go(rig);
	memory_delete(&rig->source, "INBOX", 7);
	renumber_source(rig, "INBOX", 1);
	go(rig);
	assert_int_equal(rig->report.kept, 1);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 59);
	assert_settled(rig);
}

static void poison_two(struct job_rig *rig)
{
	memory_mailbox_get(&rig->source, "INBOX")->v[20].poison = true;
	memory_mailbox_get(&rig->source, "INBOX")->v[30].poison = true;
	go(rig);
	assert_int_equal(line_of(rig, "INBOX")->quarantined, 2);
	memory_mailbox_get(&rig->target, "INBOX")->base.quarantine[0].accepted = true;
}

static void test_quarantine_is_carried_over_with_the_uids_they_had(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 60);
	poison_two(rig);
	memory_mailbox_get(&rig->source, "INBOX")->uidvalidity++;
	go(rig);
	assert_int_equal(line_of(rig, "INBOX")->quarantined, 1);
	assert_int_equal(line_of(rig, "INBOX")->quarantine[0].uid, 31);
	assert_int_equal(line_of(rig, "INBOX")->quarantine[0].attempts, 2);
}

static void test_quarantine_begins_anew_with_other_uids(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 60);
	poison_two(rig);
	renumber_source(rig, "INBOX", 11); /* the first has the UID that the second had */
	go(rig);
	assert_int_equal(line_of(rig, "INBOX")->quarantined, 2);
	assert_int_equal(line_of(rig, "INBOX")->quarantine[0].uid, 31);
	assert_int_equal(line_of(rig, "INBOX")->quarantine[0].attempts, 1);
	memory_mailbox_get(&rig->source, "INBOX")->v[20].poison = false;
	memory_mailbox_get(&rig->source, "INBOX")->v[30].poison = false;
	go(rig);
	assert_settled(rig);
}

/* Between the description and the look at headers. */
static void change_again(struct memory_world *w, const char *what, const char *mailbox)
{
	(void)mailbox;
	if (strcmp(what, "fetch") != 0)
		return;
	memory_mailbox_get(w, "INBOX")->uidvalidity++;
	w->meanwhile = NULL;
}

static void test_another_change_meanwhile_is_left_to_the_next_run(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	go(rig);
	renumber_source(rig, "INBOX", 100);
	rig->source.meanwhile = change_again;
	go(rig);
	assert_true(line_of(rig, "INBOX")->skipped);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	go(rig);
	assert_settled(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOB_RIG(test_a_new_uidvalidity_costs_no_message),
		WITH_JOB_RIG(test_a_uid_given_out_again_is_another_message),
		WITH_JOB_RIG(test_what_goes_back_without_other_messages_is_no_event),
		WITH_JOB_RIG(test_it_is_noticed_where_the_list_tells_no_state),
		WITH_JOB_RIG(test_no_other_mailbox_is_described),
		WITH_JOB_RIG(test_a_few_messages_are_told_by_their_headers),
		WITH_JOB_RIG(test_what_is_not_recognised_is_fetched_and_paired_by_content),
		WITH_JOB_RIG(test_two_that_changed_places_keep_their_flags),
		WITH_JOB_RIG(test_what_was_removed_meanwhile_goes),
		WITH_JOB_RIG(test_the_guard_holds_back_what_is_missing_in_masses),
		WITH_JOB_RIG(test_a_mailbox_that_is_empty_now_is_left_alone),
		WITH_JOB_RIG(test_a_mailbox_that_was_empty_for_a_while_is_recognised),
		WITH_JOB_RIG(test_an_answer_that_does_not_account_for_all_binds_nothing),
		WITH_JOB_RIG(test_an_answer_without_uidvalidity_binds_nothing),
		WITH_JOB_RIG(test_a_dry_run_says_it_and_changes_nothing),
		WITH_JOB_RIG(test_a_uidvalidity_that_changes_in_every_run_works_every_time),
		WITH_JOB_RIG(test_a_run_that_is_cut_short_is_continued),
		WITH_JOB_RIG(test_a_failed_commit_leaves_a_run_to_be_done_again),
		WITH_JOB_RIG(test_uids_are_never_stored_without_their_uidvalidity),
		WITH_JOB_RIG(test_when_binding_fails_nothing_is_committed),
		WITH_JOB_RIG(test_what_is_not_recognised_waits_where_it_may_have_moved),
		WITH_JOB_RIG(test_kept_where_the_job_keeps),
		WITH_JOB_RIG(test_quarantine_is_carried_over_with_the_uids_they_had),
		WITH_JOB_RIG(test_quarantine_begins_anew_with_other_uids),
		WITH_JOB_RIG(test_another_change_meanwhile_is_left_to_the_next_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
