/* Restoring, on stores in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/restore_rig.h"

static int set_up(void **state)
{
	*state = restore_rig_new("ann@host");
	return 0;
}

static int tear_down(void **state)
{
	restore_rig_free(*state);
	return 0;
}

/* "MAILBOX message N", `from` <= N <= `to`. */
static void fill(struct memory_world *w, const char *mailbox, int from, int to)
{
	for (int i = from; i <= to; i++) {
		char body[64];

		snprintf(body, sizeof(body), "%s message %d\r\n", mailbox, i);
		memory_deliver(w, mailbox, body, i % 2 ? "\\Seen" : "$Todo \\Flagged");
	}
}

static void test_all_that_is_stored_comes_back_and_a_second_run_adds_nothing(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 10);
	fill(&rig->source, "Work/2024", 1, 5);
	memory_mailbox_get(&rig->source, "Empty")->attributes = MAILBOX_SENT | MAILBOX_SUBSCRIBED;
	restore_rig_succeed(rig);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(memory_mailbox_get(&rig->target, "Empty")->attributes,
			 MAILBOX_SENT | MAILBOX_SUBSCRIBED);
	assert_int_equal(rig->report.added, 15);
	assert_int_equal(rig->report.present, 0);
	assert_false(rig->report.incomplete);
	assert_true(restore_rig_line(rig, "Empty")->created);
	assert_string_equal(rig->target.account, RESTORE_ACCOUNT);
	assert_int_equal(rig->source.fetched, 15); /* nothing had to be hashed */
	/* Bound to nothing: the next backup into it, after --rebind, pairs by content. */
	assert_int_equal(memory_mailbox_get(&rig->target, "INBOX")->v[0].source_uid, 0);

	restore_rig_succeed(rig);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(rig->report.added, 0);
	assert_int_equal(rig->report.bytes, 0);
	assert_int_equal(rig->report.present, 15);
	assert_false(restore_rig_line(rig, "Empty")->created);

	/* What a mailbox is for is added to one that is there, and nothing taken away. */
	memory_mailbox_get(&rig->target, "Empty")->attributes = MAILBOX_TRASH;
	restore_rig_succeed(rig);
	assert_int_equal(memory_mailbox_get(&rig->target, "Empty")->attributes,
			 MAILBOX_SENT | MAILBOX_SUBSCRIBED | MAILBOX_TRASH);
}

static void test_what_is_there_stays_as_it_is(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 4);
	restore_rig_succeed(rig);
	memory_set_flags(&rig->target, "INBOX", 1, "\\Answered");
	memory_deliver(&rig->target, "INBOX", "mine\r\n", "\\Draft");
	memory_deliver(&rig->target, "Mine", "mine, too\r\n", "");
	memory_delete(&rig->target, "INBOX", 3);
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 1);
	assert_int_equal(rig->report.present, 3);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	assert_int_equal(memory_live(&rig->target, "Mine"), 1);
	assert_int_equal(memory_mailbox_get(&rig->target, "INBOX")->v[0].flags.bits, FLAG_ANSWERED);
	assert_string_equal(memory_mailbox_get(&rig->target, "INBOX")->v[4].body,
			    "INBOX message 3\r\n");
}

static void test_two_equal_messages_are_two(void **state)
{
	struct restore_rig *rig = *state;

	for (int i = 0; i < 3; i++)
		memory_deliver(&rig->source, "INBOX", "same\r\n", "");
	memory_deliver(&rig->source, "Other", "same\r\n", "");
	memory_deliver(&rig->target, "INBOX", "same\r\n", "");
	rig->target.presence = STORE_OURS;
	restore_rig_succeed(rig);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 3);
	assert_int_equal(memory_live(&rig->target, "Other"), 1);
	assert_int_equal(restore_rig_line(rig, "INBOX")->added, 2);
	assert_int_equal(restore_rig_line(rig, "INBOX")->present, 1);
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 0);
	memory_delete(&rig->target, "INBOX", 2);
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 1);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 3);
}

/* Same size, other content: only hashing tells them apart. */
static void test_messages_of_one_size_are_told_apart(void **state)
{
	struct restore_rig *rig = *state;

	memory_deliver(&rig->source, "INBOX", "abc", "");
	memory_deliver(&rig->source, "INBOX", "abd", "");
	memory_deliver(&rig->source, "INBOX", "", "");
	memory_deliver(&rig->source, "INBOX", "longer", "");
	memory_deliver(&rig->target, "INBOX", "abd", "");
	rig->target.presence = STORE_OURS;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 3);
	assert_int_equal(rig->report.present, 1);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
	/* Hashed were the two of that size and the empty one, written the three. */
	assert_int_equal(rig->source.fetched, 6);
}

static void test_a_dry_run_says_what_the_run_then_does(void **state)
{
	struct restore_rig *rig = *state;
	struct restore_report plan;

	fill(&rig->source, "INBOX", 1, 12);
	fill(&rig->source, "Work", 1, 3);
	memory_deliver(&rig->source, "Work", "", "");
	memory_mailbox_get(&rig->source, "Empty");
	for (int round = 0; round < 2; round++) {
		unsigned committed = rig->target.committed;

		rig->set.dry_run = true;
		restore_rig_succeed(rig);
		plan = rig->report;
		rig->report = (struct restore_report){ 0 };
		assert_int_equal(rig->target.opened_to_write, (unsigned)round);
		assert_int_equal(rig->target.committed, committed);
		rig->set.dry_run = false;
		restore_rig_succeed(rig);
		assert_int_equal(plan.n, rig->report.n);
		assert_true(plan.added > 0);
		for (size_t i = 0; i < plan.n; i++) {
			assert_string_equal(plan.v[i].name, rig->report.v[i].name);
			assert_int_equal(plan.v[i].added, rig->report.v[i].added);
			assert_int_equal(plan.v[i].bytes, rig->report.v[i].bytes);
			assert_int_equal(plan.v[i].present, rig->report.v[i].present);
			assert_int_equal(plan.v[i].created, rig->report.v[i].created);
		}
		restore_report_release(&plan);
		memory_delete(&rig->target, "INBOX", 3);
		memory_delete(&rig->target, "Work", 1);
	}
}

static void test_kept_messages_come_back_unless_they_are_left_out(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 3);
	memory_mailbox_get(&rig->source, "INBOX")->v[1].kept = true;
	rig->set.without_kept = true;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 2);
	rig->set.without_kept = false;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 1);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 3);
}

static void test_only_the_mailboxes_named_are_restored(void **state)
{
	static const char *const only[] = { "Work*", "!Work/Old", "\\Sent" };
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 1);
	fill(&rig->source, "Work", 1, 1);
	fill(&rig->source, "Work/Old", 1, 1);
	fill(&rig->source, "Gesendet", 1, 1);
	memory_mailbox_get(&rig->source, "Gesendet")->attributes = MAILBOX_SENT;
	rig->set.mailboxes = only;
	rig->set.n_mailboxes = 3;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.n, 2);
	assert_int_equal(rig->report.added, 2);
	assert_int_equal(rig->target.stable.n, 2);
}

static void test_single_messages_are_restored(void **state)
{
	static const char *const only[] = { "INBOX" };
	struct restore_rig *rig = *state;
	struct uidset uids = UIDSET_INIT;

	fill(&rig->source, "INBOX", 1, 10);
	fill(&rig->source, "Work", 1, 10);
	memory_delete(&rig->source, "INBOX", 7);
	uidset_add(&uids, 3);
	uidset_add_range(&uids, 6, 8);
	rig->set.uids = &uids;
	rig->set.mailboxes = only;
	rig->set.n_mailboxes = 1;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 3);
	assert_int_equal(rig->target.stable.n, 1);
	assert_string_equal(memory_mailbox_get(&rig->target, "INBOX")->v[0].body,
			    "INBOX message 3\r\n");
	uidset_release(&uids);
}

static void test_what_does_not_exist_is_told_before_anything_is_made(void **state)
{
	static const struct {
		const char *only;
		uint32_t lo, hi;
		enum err_kind kind;
		const char *want;
	} cases[] = {
		{ "Wrok", 0, 0, ERR_MISSING,
		  "--mailbox=Wrok: nothing that is to be restored is in a mailbox called that" },
		{ "INBOX", 7, 7, ERR_MISSING, "no message with the UID 7 is there" },
		{ "INBOX", 11, 20, ERR_MISSING, "no message with such a UID is there" },
		{ "*", 1, 1, ERR_CONFIG,
		  "UIDs mean something in one mailbox only, and 2 are selected" },
	};
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 10);
	fill(&rig->source, "Work", 1, 1);
	memory_delete(&rig->source, "INBOX", 7);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct uidset uids = UIDSET_INIT;

		uidset_add_range(&uids, cases[i].lo, cases[i].hi);
		rig->set.uids = cases[i].lo ? &uids : NULL;
		rig->set.mailboxes = &cases[i].only;
		rig->set.n_mailboxes = 1;
		assert_int_equal(restore_rig_run(rig), -1);
		assert_string_equal(rig->err.text, cases[i].want);
		assert_int_equal(rig->err.kind, cases[i].kind);
		assert_int_equal(rig->target.presence, STORE_MISSING);
		uidset_release(&uids);
	}
}

static void test_only_its_own_targets_and_adopted_ones_are_written(void **state)
{
	static const struct {
		enum store_presence presence;
		const char *account;
		bool adopt, allowed;
	} cases[] = {
		{ STORE_MISSING, NULL, false, true },
		{ STORE_EMPTY, NULL, false, true },
		{ STORE_FOREIGN, NULL, false, false },
		{ STORE_FOREIGN, NULL, true, true },
		{ STORE_OURS, NULL, false, true },
		{ STORE_OURS, "restore", false, true },
		{ STORE_OURS, "ann@host", false, false },
		{ STORE_OURS, "ann@host", true, false },
	};
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 2);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int dry = 0; dry < 2; dry++) {
			memory_world_release(&rig->target);
			rig->target.presence = cases[i].presence;
			rig->target.account = cases[i].account ? strdup(cases[i].account) : NULL;
			rig->set.adopt = cases[i].adopt;
			rig->set.dry_run = dry;
			assert_int_equal(restore_rig_run(rig), cases[i].allowed ? 0 : -1);
			if (!cases[i].allowed)
				assert_int_equal(rig->err.kind, ERR_CONFIG);
			assert_int_equal(memory_live(&rig->target, "INBOX"),
					 cases[i].allowed && !dry ? 2 : 0);
			assert_int_equal(rig->report.added, cases[i].allowed ? 2 : 0);
		}
}

/* A backup that begins between the first look and the lock. */
static void test_a_target_that_became_a_backup_meanwhile_is_refused(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 2);
	rig->target.becomes = "ben@host";
	assert_int_equal(restore_rig_run(rig), -1);
	assert_int_equal(rig->err.kind, ERR_CONFIG);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 0);
}

static void test_messages_that_cannot_be_had_are_named_and_all_others_restored(void **state)
{
	struct restore_rig *rig = *state;
	struct memory_mailbox *m;

	fill(&rig->source, "INBOX", 1, 5);
	m = memory_mailbox_get(&rig->source, "INBOX");
	m->v[2].poison = true;
	rig->target.choke = "INBOX message 4\r\n";
	rig->target.refuse = "INBOX message 5\r\n";
	restore_rig_succeed(rig);
	assert_true(rig->report.incomplete);
	assert_int_equal(rig->report.added, 2);
	assert_int_equal(rig->report.bytes, 2 * strlen("INBOX message 5\r\n"));
	assert_int_equal(restore_rig_line(rig, "INBOX")->n_failed, 3);
	assert_int_equal(restore_rig_line(rig, "INBOX")->failed[0].uid, 3);
	assert_string_equal(restore_rig_line(rig, "INBOX")->failed[0].reason, "cannot be read");
	assert_int_equal(restore_rig_line(rig, "INBOX")->failed[1].uid, 4);
	assert_string_equal(restore_rig_line(rig, "INBOX")->failed[1].reason, "choked");
	assert_int_equal(restore_rig_line(rig, "INBOX")->failed[2].uid, 5);
	/* Again: what could be had is there, the rest is tried once more. */
	rig->target.refuse = rig->target.choke = NULL;
	m->v[2].poison = false;
	restore_rig_succeed(rig);
	assert_false(rig->report.incomplete);
	assert_int_equal(rig->report.added, 3);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_mailbox_in_trouble_does_not_stop_the_others(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "A", 1, 2);
	fill(&rig->source, "B", 1, 2);
	fill(&rig->source, "C", 1, 2);
	fill(&rig->source, "D", 1, 2);
	memory_mailbox_get(&rig->source, "A")->unreadable = true;
	memory_mailbox_get(&rig->source, "D")->partial = true;
	memory_mailbox_get(&rig->target, "C")->unwritable = true;
	rig->target.presence = STORE_OURS;
	restore_rig_succeed(rig);
	assert_true(rig->report.incomplete);
	assert_int_equal(rig->report.added, 2);
	assert_int_equal(memory_live(&rig->target, "B"), 2);
	assert_true(restore_rig_line(rig, "A")->skipped);
	assert_true(restore_rig_line(rig, "C")->skipped);
	assert_true(restore_rig_line(rig, "D")->skipped);
	assert_string_equal(restore_rig_line(rig, "C")->problem, "cannot be written");
	assert_int_equal(restore_rig_line(rig, "C")->added, 0);
}

static void test_messages_that_the_store_lost_are_told(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 3);
	uidset_add_range(&memory_mailbox_get(&rig->source, "INBOX")->lost, 8, 9);
	restore_rig_succeed(rig);
	assert_true(rig->report.incomplete);
	assert_int_equal(rig->report.added, 3);
	assert_non_null(strstr(restore_rig_line(rig, "INBOX")->problem, "2 of its messages are missing: the store knows them"));
}

static void test_a_full_disk_keeps_what_was_committed(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 6);
	rig->target.full_after = 4;
	assert_int_equal(restore_rig_run(rig), -1);
	assert_int_equal(rig->err.kind, ERR_FATAL);
	assert_int_equal(rig->report.added, memory_live(&rig->target, "INBOX"));
	assert_int_equal(rig->target.committed, 0); /* nothing more is asked of it */
	rig->target.full_after = 0;
	restore_rig_succeed(rig);
	assert_true(memory_equal(&rig->source, &rig->target));
	rig->target.commit_fails = 1;
	fill(&rig->source, "INBOX", 7, 8);
	assert_int_equal(restore_rig_run(rig), -1);
	assert_string_equal(rig->err.text, "the disk is full");
	assert_int_equal(rig->report.added, 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 6);
}

static void test_a_large_mailbox_is_committed_in_batches(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 5000);
	rig->target.commit_fails = 2;
	assert_int_equal(restore_rig_run(rig), -1);
	assert_int_equal(rig->report.added, 4096);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4096);
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 904);
}

static void test_a_source_that_breaks_off_is_continued(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 6);
	rig->source.fail_after = 2;
	assert_int_equal(restore_rig_run(rig), -1);
	assert_int_equal(rig->err.kind, ERR_RETRY);
	assert_int_equal(rig->report.added, 2);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 2);
	rig->source.fail_after = 0;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 4);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_message_delivered_twice_is_added_once(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 4);
	rig->source.twice = true;
	restore_rig_succeed(rig);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
	assert_false(rig->report.incomplete);
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 0);
	assert_int_equal(rig->report.present, 4);
}

static size_t count(const struct memory_world *w, const char *body)
{
	const struct memory_mailbox *m = &w->stable.v[0];
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += strcmp(m->v[i].body, body) == 0;
	return n;
}

/* Whatever lies on both sides: afterwards the target has the larger number of each content. */
static void test_random_mailboxes_become_the_union_of_both(void **state)
{
	static const char *const bodies[] = { "", "a", "b", "cc", "dd", "ddd" };
	struct restore_rig *rig = *state;

	srand(7);
	for (int round = 0; round < 300; round++) {
		size_t had[6], want = 0;

		memory_world_release(&rig->source);
		memory_world_release(&rig->target);
		rig->source.presence = rig->target.presence = STORE_OURS;
		rig->source.backwards = rand() % 2;
		memory_mailbox_get(&rig->source, "INBOX");
		memory_mailbox_get(&rig->target, "INBOX");
		for (int i = rand() % 20; i > 0; i--)
			memory_deliver(&rig->source, "INBOX", bodies[rand() % 6], "");
		for (int i = rand() % 20; i > 0; i--)
			memory_deliver(&rig->target, "INBOX", bodies[rand() % 6], "");
		for (size_t b = 0; b < 6; b++)
			had[b] = count(&rig->target, bodies[b]);
		restore_rig_succeed(rig);
		for (size_t b = 0; b < 6; b++) {
			size_t there = count(&rig->source, bodies[b]);
			size_t most = there > had[b] ? there : had[b];

			assert_int_equal(count(&rig->target, bodies[b]), most);
			want += most - had[b];
		}
		assert_int_equal(rig->report.added, want);
	}
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(test_all_that_is_stored_comes_back_and_a_second_run_adds_nothing),
		RIGGED(test_what_is_there_stays_as_it_is),
		RIGGED(test_two_equal_messages_are_two),
		RIGGED(test_messages_of_one_size_are_told_apart),
		RIGGED(test_a_dry_run_says_what_the_run_then_does),
		RIGGED(test_kept_messages_come_back_unless_they_are_left_out),
		RIGGED(test_only_the_mailboxes_named_are_restored),
		RIGGED(test_single_messages_are_restored),
		RIGGED(test_what_does_not_exist_is_told_before_anything_is_made),
		RIGGED(test_only_its_own_targets_and_adopted_ones_are_written),
		RIGGED(test_a_target_that_became_a_backup_meanwhile_is_refused),
		RIGGED(test_messages_that_cannot_be_had_are_named_and_all_others_restored),
		RIGGED(test_a_mailbox_in_trouble_does_not_stop_the_others),
		RIGGED(test_messages_that_the_store_lost_are_told),
		RIGGED(test_a_full_disk_keeps_what_was_committed),
		RIGGED(test_a_large_mailbox_is_committed_in_batches),
		RIGGED(test_a_source_that_breaks_off_is_continued),
		RIGGED(test_a_message_delivered_twice_is_added_once),
		RIGGED(test_random_mailboxes_become_the_union_of_both),
	};

	return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
