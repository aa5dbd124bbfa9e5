/* The engine on stores in memory: mailboxes that are called otherwise at the source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/sync/renames.h"
#include "tests/lib/job_rig.h"

/* Messages that a header can tell. */
static void deliver(struct job_rig *rig, const char *mailbox, const char *text, int from, int to)
{
	for (int i = from; i <= to; i++) {
		char body[128];

		snprintf(body, sizeof(body), "Message-ID: <%s-%d@x>\r\nSubject: %d\r\n\r\n%s %d\r\n", text,
			 i, i, text, i);
		memory_deliver(&rig->source, mailbox, body, i % 2 ? "\\Seen" : "$Todo");
	}
}

static void rename_at_source(struct job_rig *rig, const char *from, const char *to)
{
	memory_rename_mailbox(&rig->source, from, to);
}

static void assert_equal(struct job_rig *rig)
{
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(rig->target.stable.n, rig->source.stable.n);
}

/* A run ends well with both sides equal, and the next has nothing to do. */
static void follow(struct job_rig *rig)
{
	struct job_report idle;

	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_false(rig->report.held);
	assert_equal(rig);
	idle = rig->report;
	job_report_init(&rig->report);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n, 0);
	assert_int_equal(rig->report.n_renames, 0);
	job_report_release(&rig->report);
	rig->report = idle;
}

/* INBOX, A with one below it, and B. */
static void begin(struct job_rig *rig)
{
	deliver(rig, "INBOX", "inbox", 1, 3);
	deliver(rig, "A", "a", 1, 40);
	deliver(rig, "A/x", "ax", 1, 5);
	deliver(rig, "B", "b", 1, 30);
	assert_int_equal(job_rig_go(rig), 0);
	assert_equal(rig);
}

static void test_a_renamed_mailbox_is_renamed_and_nothing_fetched(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	rename_at_source(rig, "B", "C");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 0);
	assert_in_range(rig->source.headers, 1, 12);
	assert_int_equal(rig->report.removed + rig->report.new_messages, 0);
	assert_int_equal(rig->report.n_renames, 1);
	assert_string_equal(rig->report.renames[0].from, "B");
	assert_string_equal(rig->report.renames[0].to, "C");
	assert_false(rig->report.incomplete);
	assert_equal(rig);
	follow(rig);
}

static void test_those_below_it_go_along_and_new_mail_comes(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	rig->target.renamed = 0;
	rename_at_source(rig, "A", "New/A");
	deliver(rig, "New/A/x", "ax", 6, 7);
	memory_delete(&rig->source, "New/A", 4);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 2);
	assert_int_equal(rig->report.removed, 1);
	assert_int_equal(rig->report.n_renames, 2);
	assert_int_equal(rig->target.renamed, 1);
	assert_equal(rig);
}

static void test_one_below_it_that_stays_keeps_its_name(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	rename_at_source(rig, "A", "C");
	rename_at_source(rig, "C/x", "A/x");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->report.n_renames, 1);
	assert_equal(rig);
	follow(rig);
}

static void test_mailboxes_that_swap_their_names_swap_them(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	rename_at_source(rig, "A", "tmp");
	rename_at_source(rig, "B", "A");
	rename_at_source(rig, "tmp", "B");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->report.n_renames, 3);
	assert_equal(rig);
	follow(rig);
}

static void test_a_mailbox_renamed_onto_a_deleted_one_takes_its_place(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	memory_remove_mailbox(&rig->source, "A/x");
	rename_at_source(rig, "B", "A/x");
	rig->set.dry_run = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.removed, 5);
	assert_int_equal(rig->report.new_messages, 0);
	rig->set.dry_run = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->report.removed, 5);
	assert_equal(rig);
	follow(rig);
}

static void test_what_is_held_and_in_quarantine_goes_along(void **state)
{
	struct job_rig *rig = *state;

	deliver(rig, "INBOX", "inbox", 1, 3);
	deliver(rig, "B", "b", 1, 100);
	assert_int_equal(job_rig_go(rig), 0);
	for (uint32_t uid = 1; uid <= 50; uid++)
		memory_delete(&rig->source, "B", uid);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.held);
	deliver(rig, "B", "poison", 1, 1);
	memory_mailbox_get(&rig->source, "B")->v[50].poison = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	rename_at_source(rig, "B", "C");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_kept(&rig->target, "C"), 50);
	assert_int_equal(memory_mailbox_get(&rig->target, "C")->base.n_quarantine, 1);
	memory_mailbox_get(&rig->source, "C")->v[50].poison = false;
	memory_mailbox_get(&rig->target, "C")->base.quarantine[0].last = 0;
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 50;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.removed, 50);
	assert_equal(rig);
}

static void count_uidvalidity_from_1(struct job_rig *rig)
{
	for (size_t i = 0; i < rig->source.stable.n; i++)
		rig->source.stable.v[i].uidvalidity = 1;
}

static void test_where_all_have_one_uidvalidity_messages_tell(void **state)
{
	struct job_rig *rig = *state;

	deliver(rig, "INBOX", "inbox", 1, 3);
	deliver(rig, "A", "a", 1, 40);
	deliver(rig, "B", "b", 1, 40);
	deliver(rig, "C", "c", 1, 40);
	count_uidvalidity_from_1(rig);
	assert_int_equal(job_rig_go(rig), 0);
	rename_at_source(rig, "A", "F");
	rename_at_source(rig, "B", "E");
	rename_at_source(rig, "C", "D");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->report.n_renames, 3);
	assert_equal(rig);
}

static void test_of_two_that_look_the_same_none_is_followed(void **state)
{
	struct job_rig *rig = *state;

	deliver(rig, "INBOX", "inbox", 1, 3);
	deliver(rig, "A", "same", 1, 10);
	deliver(rig, "B", "same", 1, 10);
	count_uidvalidity_from_1(rig);
	assert_int_equal(job_rig_go(rig), 0);
	rename_at_source(rig, "A", "C");
	rename_at_source(rig, "B", "D");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 0);
	assert_int_equal(rig->source.fetched, 20);
	assert_int_equal(rig->report.removed, 20); /* none is lost */
	assert_equal(rig);
}

static void test_other_messages_under_the_same_uids_are_another_mailbox(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	memory_remove_mailbox(&rig->source, "A/x");
	deliver(rig, "C", "c", 1, 9);
	memory_mailbox_get(&rig->source, "C")->uidvalidity =
		memory_mailbox_get(&rig->target, "A/x")->base.token.uidvalidity;
	memory_mailbox_get(&rig->source, "C")->modseq = 99;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 0);
	assert_int_equal(rig->report.removed, 5);
	assert_int_equal(rig->source.fetched, 9);
	assert_equal(rig);
}

static void test_an_empty_mailbox_is_followed_where_its_uidvalidity_tells_enough(void **state)
{
	struct job_rig *rig = *state;

	for (int ambiguous = 0; ambiguous <= 1; ambiguous++) {
		const char *const name[] = { ambiguous ? "C" : "A", ambiguous ? "D" : "B" };

		deliver(rig, "INBOX", "inbox", 1, 3);
		memory_mailbox_get(&rig->source, name[0])->uidvalidity = 1600000000;
		memory_mailbox_get(&rig->source, name[1])->uidvalidity = 1600000001 - (unsigned)ambiguous;
		assert_int_equal(job_rig_go(rig), 0);
		rename_at_source(rig, name[0], ambiguous ? "F" : "E");
		memory_remove_mailbox(&rig->source, name[1]);
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(rig->report.n_renames, 1 - ambiguous);
		assert_equal(rig);
	}
	memory_mailbox_get(&rig->source, "G")->uidvalidity = 5; /* many may have that */
	assert_int_equal(job_rig_go(rig), 0);
	rename_at_source(rig, "G", "H");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 0);
	assert_equal(rig);
}

static void test_a_name_that_still_exists_is_not_followed_elsewhere(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	deliver(rig, "C", "b", 1, 30);
	memory_mailbox_get(&rig->source, "C")->uidvalidity =
		memory_mailbox_get(&rig->source, "B")->uidvalidity;
	memory_mailbox_get(&rig->source, "B")->gone_from_list = true;
	for (int way = 0; way < 2; way++) {
		rig->source.exists_unclear = way == 1;
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(rig->report.n_renames, 0);
		assert_true(rig->report.incomplete);
		assert_int_equal(memory_live(&rig->target, "B"), 30);
	}
}

static void test_half_a_list_is_no_reason_to_rename(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	rename_at_source(rig, "B", "C");
	rig->source.list_incomplete = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 0);
	assert_int_equal(memory_live(&rig->target, "B"), 30);
}

/* Some servers do that: its messages go to a new mailbox, and INBOX stays. */
static void test_a_renamed_inbox_is_compared_like_any_other(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	deliver(rig, "Archive", "inbox", 1, 3);
	for (uint32_t uid = 1; uid <= 3; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 0);
	assert_equal(rig);
}

static void test_a_file_missing_in_it_is_still_noticed(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	memory_lose(&rig->target, "B", 7);
	rename_at_source(rig, "B", "C");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 1);
	assert_int_equal(rig->source.fetched, 1);
	assert_equal(rig);
}

static void test_a_mailbox_left_on_its_way_goes_back(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	memory_rename_mailbox(&rig->target, "B", RENAMES_MOVING "/B");
	follow(rig);
	assert_int_equal(rig->source.fetched, 0);
	/* also one that nothing is known of any more */
	memory_mailbox_get(&rig->target, RENAMES_MOVING "/Old");
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_has_mailbox(&rig->target, "Old"));
}

static void test_a_run_that_ends_anywhere_is_completed_by_the_next(void **state)
{
	struct job_rig *rig = *state;
	unsigned n = 1;

	begin(rig);
	for (;; n++) {
		rename_at_source(rig, "A", "tmp");
		rename_at_source(rig, "B", "A");
		rename_at_source(rig, "tmp", "B");
		rename_at_source(rig, "B/x", "A/y");
		rename_at_source(rig, "A", "tmp");
		rename_at_source(rig, "tmp", "A/y/deep"); /* and what lies below it */
		rename_at_source(rig, "A/y/deep/y", "A/x");
		rename_at_source(rig, "A/y/deep", "A");
		deliver(rig, "A", "new", (int)n, (int)n);
		rig->target.commit_fails = n;
		if (job_rig_go(rig) == 0)
			break;
		rig->target.commit_fails = 0;
		follow(rig);
		assert_in_range(rig->source.fetched, 0, 1);
		assert_equal(rig);
	}
	assert_true(n > 6);
	rig->target.commit_fails = 0;
	follow(rig);
}

static void test_a_dry_run_tells_and_changes_nothing(void **state)
{
	struct job_rig *rig = *state;
	struct plan_file plan = { 0 };

	begin(rig);
	rename_at_source(rig, "A", "C");
	deliver(rig, "C", "a", 41, 42);
	rig->set.dry_run = true;
	rig->set.plan_out = &plan;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 2);
	assert_int_equal(rig->report.new_messages, 2);
	assert_int_equal(rig->report.removed, 0);
	assert_false(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "A"), 40);
	assert_int_equal(plan.n_renames, 2);
	assert_true(plan_file_renames(&plan, "A", "C"));
	assert_int_equal(plan.n, 1);
	assert_int_equal(uidset_count(&plan.v[0].fetch), 2);
	plan_file_release(&plan);
}

static void test_only_a_plan_that_names_it_renames(void **state)
{
	struct job_rig *rig = *state;
	struct plan_file plan = { 0 }, other = { 0 };

	begin(rig);
	rename_at_source(rig, "A", "C");
	rig->set.dry_run = true;
	rig->set.plan_out = &plan;
	assert_int_equal(job_rig_go(rig), 0);
	rig->set.dry_run = false;
	rig->set.plan_out = NULL;
	other = plan;
	other.n_renames = 1;
	rig->set.apply = &other;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "A"), 40);
	assert_int_equal(rig->report.n_renames, 0);
	rig->set.apply = &plan;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 2);
	assert_false(rig->report.incomplete);
	assert_equal(rig);
	/* done is done */
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	/* and what is so no longer is told */
	rename_at_source(rig, "C", "D");
	memory_rename_mailbox(&rig->target, "C", "A");
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "A"), 40);
	plan_file_release(&plan);
}

static void test_a_run_for_other_mailboxes_renames_nothing(void **state)
{
	struct job_rig *rig = *state;
	static const char *const inbox[] = { "INBOX" }, *const c[] = { "C" };

	begin(rig);
	rename_at_source(rig, "B", "C");
	rig->set.n_only = 1;
	rig->set.only = inbox;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 0);
	assert_int_equal(rig->source.headers, 0);
	rig->set.only = c;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 1);
	assert_int_equal(rig->source.fetched, 0);
	assert_equal(rig);
}

static void set_mailboxid(struct job_rig *rig, const char *mailbox, const char *id)
{
	struct memory_mailbox *m = memory_mailbox_get(&rig->source, mailbox);

	snprintf(m->mailboxid, sizeof(m->mailboxid), "%s", id);
}

static void test_a_mailboxid_says_it_all(void **state)
{
	struct job_rig *rig = *state;

	/* no headers, one UIDVALIDITY for all: nothing else would tell */
	job_rig_fill(rig, "INBOX", 1, 3);
	job_rig_fill(rig, "A", 1, 40);
	job_rig_fill(rig, "B", 1, 30);
	count_uidvalidity_from_1(rig);
	set_mailboxid(rig, "A", "F1");
	set_mailboxid(rig, "B", "F2");
	assert_int_equal(job_rig_go(rig), 0);
	rename_at_source(rig, "A", "tmp");
	rename_at_source(rig, "B", "A");
	rename_at_source(rig, "tmp", "B");
	memory_mailbox_get(&rig->source, "B")->uidvalidity = 2; /* some give it a new one then */
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 2);
	assert_int_equal(rig->source.fetched, 0);
	assert_equal(rig);
	follow(rig);
}

static void test_a_mailboxid_is_remembered_once_a_server_tells_it(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	set_mailboxid(rig, "B", "F2");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 0);
	assert_string_equal(memory_mailbox_get(&rig->target, "B")->base.mailboxid, "F2");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n, 0);
	set_mailboxid(rig, "B", ""); /* it stays what it was */
	deliver(rig, "B", "b", 31, 31);
	assert_int_equal(job_rig_go(rig), 0);
	assert_string_equal(memory_mailbox_get(&rig->target, "B")->base.mailboxid, "F2");
}

static void test_another_mailbox_of_the_same_uidvalidity_is_not_taken_for_it(void **state)
{
	struct job_rig *rig = *state;

	begin(rig);
	count_uidvalidity_from_1(rig);
	for (size_t i = 0; i < rig->target.stable.n; i++)
		rig->target.stable.v[i].base.token.uidvalidity = 1;
	set_mailboxid(rig, "B", "F2");
	assert_int_equal(job_rig_go(rig), 0);
	memory_remove_mailbox(&rig->source, "B");
	deliver(rig, "B", "other", 1, 30);
	memory_mailbox_get(&rig->source, "B")->uidvalidity = 1;
	set_mailboxid(rig, "B", "F3");
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 30;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 30);
	assert_equal(rig);
	assert_string_equal(memory_mailbox_get(&rig->target, "B")->base.mailboxid, "F3");
}

static void test_mapped_mailboxes_are_renamed_to_what_the_map_says(void **state)
{
	struct job_rig *rig = *state;
	static const char *const rules[] = { "Lists/* -> Code/*" };

	assert_int_equal(name_map_parse(&rig->set.map, rules, 1, &rig->err), 0);
	deliver(rig, "Lists/a", "a", 1, 5);
	deliver(rig, "Lists/a/sub", "sub", 1, 5);
	deliver(rig, "Lists/b", "b", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	rename_at_source(rig, "Lists/a", "Lists/tmp"); /* a swap */
	rename_at_source(rig, "Lists/b", "Lists/a");
	rename_at_source(rig, "Lists/tmp", "Lists/b");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 3);
	assert_string_equal(rig->report.renames[0].from, "Code/a");
	assert_string_equal(rig->report.renames[0].to, "Code/b");
	assert_int_equal(rig->source.fetched, 0);
	deliver(rig, "Lists/b/sub", "sub", 6, 7);
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "Code/b/sub"), 7);
	assert_string_equal(memory_mailbox_get(&rig->target, "Code/b/sub")->source, "Lists/b/sub");
	/* to where the map has nothing to say */
	rename_at_source(rig, "Lists/b", "Other");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.fetched, 0);
	assert_null(memory_mailbox_get(&rig->target, "Other/sub")->source);
	assert_int_equal(memory_live(&rig->target, "Other/sub"), 7);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n, 0);
	name_map_release(&rig->set.map);
}

/* What was put aside knows what the source called it: that name is another mailbox's by now. */
static void test_a_swap_of_mapped_mailboxes_stopped_anywhere_is_completed(void **state)
{
	struct job_rig *rig = *state;
	static const char *const rules[] = { "Lists/* -> Code/*" };
	unsigned n = 1;

	assert_int_equal(name_map_parse(&rig->set.map, rules, 1, &rig->err), 0);
	deliver(rig, "Lists/a", "a", 1, 5);
	deliver(rig, "Lists/a/sub", "sub", 1, 5);
	deliver(rig, "Lists/b", "b", 1, 6);
	assert_int_equal(job_rig_go(rig), 0);
	for (;; n++) {
		size_t b;

		rename_at_source(rig, "Lists/a", "Lists/tmp");
		rename_at_source(rig, "Lists/b", "Lists/a");
		rename_at_source(rig, "Lists/tmp", "Lists/b");
		rig->target.commit_fails = n;
		if (job_rig_go(rig) == 0)
			break;
		rig->target.commit_fails = 0;
		assert_int_equal(job_rig_go(rig), 0);
		assert_false(rig->report.incomplete);
		assert_int_equal(rig->source.fetched, 0);
		b = memory_mailbox_get(&rig->source, "Lists/b")->n;
		assert_int_equal(memory_live(&rig->target, "Code/b"), b);
		assert_int_equal(memory_live(&rig->target, "Code/a"), 11 - b);
		assert_int_equal(rig->target.stable.n, 3);
	}
	assert_true(n > 4);
	name_map_release(&rig->set.map);
}

static void test_what_is_not_selected_is_not_followed(void **state)
{
	struct job_rig *rig = *state;
	static const char *const not_c[] = { "!C" };

	begin(rig);
	rename_at_source(rig, "A/x", "C");
	rig->set.mailboxes = not_c;
	rig->set.n_mailboxes = 1;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_renames, 0);
	assert_false(memory_has_mailbox(&rig->target, "C"));
	assert_int_equal(rig->report.removed, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOB_RIG(test_a_renamed_mailbox_is_renamed_and_nothing_fetched),
		WITH_JOB_RIG(test_those_below_it_go_along_and_new_mail_comes),
		WITH_JOB_RIG(test_one_below_it_that_stays_keeps_its_name),
		WITH_JOB_RIG(test_mailboxes_that_swap_their_names_swap_them),
		WITH_JOB_RIG(test_a_mailbox_renamed_onto_a_deleted_one_takes_its_place),
		WITH_JOB_RIG(test_what_is_held_and_in_quarantine_goes_along),
		WITH_JOB_RIG(test_where_all_have_one_uidvalidity_messages_tell),
		WITH_JOB_RIG(test_of_two_that_look_the_same_none_is_followed),
		WITH_JOB_RIG(test_other_messages_under_the_same_uids_are_another_mailbox),
		WITH_JOB_RIG(test_an_empty_mailbox_is_followed_where_its_uidvalidity_tells_enough),
		WITH_JOB_RIG(test_a_name_that_still_exists_is_not_followed_elsewhere),
		WITH_JOB_RIG(test_half_a_list_is_no_reason_to_rename),
		WITH_JOB_RIG(test_a_renamed_inbox_is_compared_like_any_other),
		WITH_JOB_RIG(test_a_file_missing_in_it_is_still_noticed),
		WITH_JOB_RIG(test_a_mailbox_left_on_its_way_goes_back),
		WITH_JOB_RIG(test_a_run_that_ends_anywhere_is_completed_by_the_next),
		WITH_JOB_RIG(test_a_dry_run_tells_and_changes_nothing),
		WITH_JOB_RIG(test_only_a_plan_that_names_it_renames),
		WITH_JOB_RIG(test_a_run_for_other_mailboxes_renames_nothing),
		WITH_JOB_RIG(test_a_mailboxid_says_it_all),
		WITH_JOB_RIG(test_a_mailboxid_is_remembered_once_a_server_tells_it),
		WITH_JOB_RIG(test_another_mailbox_of_the_same_uidvalidity_is_not_taken_for_it),
		WITH_JOB_RIG(test_mapped_mailboxes_are_renamed_to_what_the_map_says),
		WITH_JOB_RIG(test_a_swap_of_mapped_mailboxes_stopped_anywhere_is_completed),
		WITH_JOB_RIG(test_what_is_not_selected_is_not_followed),
	};

	return cmocka_run_group_tests_name("job: mailboxes that are renamed", tests, NULL, NULL);
}
