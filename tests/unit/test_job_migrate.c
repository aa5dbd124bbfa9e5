/* The engine on stores in memory, with an account as target: what is copied, what stays, what is accounted for. */
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

#define WITH_MIGRATION(test) cmocka_unit_test_setup_teardown(test, migration_setup, job_rig_teardown)

static int migration_setup(void **state)
{
	struct job_rig *rig;

	job_rig_setup(state);
	rig = *state;
	rig->set.again = "mailcask migrate nightly --delete";
	rig->set.target_config.path = NULL;
	rig->set.target_config.index = "LEDGER";
	rig->set.deletions = DELETIONS_KEEP;
	memory_mailbox_get(&rig->target, "INBOX");
	return 0;
}

/* Borrowed until the next call. */
static const char *letter(const char *mailbox, int id)
{
	static char text[200];

	snprintf(text, sizeof(text), "Message-ID: <%d@%s>\r\nSubject: s\r\n\r\n%*d\r\n", id, mailbox, 1 + id % 5,
		 id % 10);
	return text;
}

/* `from` <= N <= `to`. */
static void fill(struct job_rig *rig, const char *mailbox, int from, int to)
{
	for (int i = from; i <= to; i++)
		memory_deliver(&rig->source, mailbox, letter(mailbox, i), i % 2 ? "\\Seen" : "$Todo");
}

/* One that the target holds already. */
static void put(struct job_rig *rig, const char *mailbox, int id)
{
	memory_put_stranger(&rig->target, mailbox, letter(mailbox, id));
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

static const struct job_count *count_of(const struct job_rig *rig, const char *name)
{
	for (size_t i = 0; i < rig->report.n_counts; i++)
		if (strcmp(rig->report.counts[i].name, name) == 0)
			return &rig->report.counts[i];
	fail_msg("%s is not accounted for", name);
	return NULL;
}

static void assert_count(const struct job_count *c, uint64_t messages, uint64_t copied, uint64_t adopted,
			 uint64_t quarantined, int64_t missing)
{
	assert_int_equal(c->messages, messages);
	assert_int_equal(c->copied, copied);
	assert_int_equal(c->adopted, adopted);
	assert_int_equal(c->quarantined, quarantined);
	assert_int_equal(c->missing, missing);
}

static void test_what_is_there_is_adopted_and_the_rest_is_copied_and_all_is_accounted_for(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	fill(rig, "Work", 1, 3);
	put(rig, "INBOX", 2);
	memory_put_stranger(&rig->target, "INBOX", "something of their own\r\n");
	go(rig);
	assert_int_equal(rig->source.fetched, 7);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
	assert_count(count_of(rig, "INBOX"), 5, 4, 1, 0, 0);
	assert_count(count_of(rig, "Work"), 3, 3, 0, 0, 0);
	assert_count(&rig->report.total, 8, 7, 1, 0, 0);
	assert_int_equal(rig->report.total.copied_now, 7);
	assert_int_equal(rig->report.total.adopted_now, 1);
	assert_false(rig->report.incomplete);
}

static void test_a_second_run_lists_and_does_nothing_else_and_accounts_for_all_runs(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	put(rig, "INBOX", 2);
	go(rig);
	rig->source.listed = rig->target.listed = rig->target.compared = 0;
	go(rig);
	assert_int_equal(rig->source.listed, 1);
	assert_int_equal(rig->target.listed, 1);
	assert_int_equal(rig->source.compared + rig->source.fetched + rig->target.compared, 0);
	assert_count(&rig->report.total, 5, 4, 1, 0, 0);
	assert_int_equal(rig->report.total.copied_now + rig->report.total.adopted_now, 0);
}

static void test_what_came_to_the_target_since_is_adopted_too(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 2);
	go(rig);
	fill(rig, "INBOX", 3, 4);
	put(rig, "INBOX", 4);
	go(rig);
	assert_int_equal(rig->source.fetched, 1);
	assert_count(&rig->report.total, 4, 3, 1, 0, 0);
}

static void test_flags_changed_at_the_target_stay_and_changes_of_the_source_come(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *there;

	memory_deliver(&rig->source, "INBOX", "one\r\n", "\\Seen");
	memory_deliver(&rig->source, "INBOX", "two\r\n", "\\Seen");
	go(rig);
	memory_set_flags(&rig->target, "INBOX", 1, "$Own");
	memory_set_flags(&rig->target, "INBOX", 2, "$Own");
	memory_set_flags(&rig->source, "INBOX", 2, "\\Seen \\Flagged");
	go(rig);
	assert_int_equal(rig->report.flags_changed, 1);
	there = memory_mailbox_get(&rig->target, "INBOX");
	assert_int_equal(there->v[0].flags.bits, 0);
	assert_int_equal(there->v[1].flags.bits, FLAG_FLAGGED);
	assert_true(flags_has(&there->v[1].flags, bytes_of("$Own")));
}

static void test_what_is_gone_at_the_source_stays_until_deletions_are_asked_for(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 30);
	go(rig);
	memory_delete(&rig->source, "INBOX", 3);
	go(rig);
	assert_int_equal(rig->report.kept, 1);
	assert_count(&rig->report.total, 29, 29, 0, 0, 0);
	memory_delete(&rig->source, "INBOX", 4);
	rig->set.deletions = DELETIONS_MIRROR;
	go(rig);
	assert_int_equal(rig->report.removed, 2); /* the one of the earlier run, too */
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 28);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_false(rig->report.incomplete);
}

static void test_deletions_of_earlier_runs_are_followed_without_any_change_at_the_source(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 30);
	go(rig);
	memory_delete(&rig->source, "INBOX", 3);
	go(rig);
	rig->set.deletions = DELETIONS_MIRROR;
	rig->set.dry_run = true;
	go(rig);
	assert_int_equal(rig->report.removed, 1);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 1);
	rig->set.dry_run = false;
	go(rig);
	assert_int_equal(rig->report.removed, 1);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 0);
	go(rig);
	assert_int_equal(rig->report.removed, 0);
	assert_int_equal(rig->report.n, 0);
}

static void test_the_guard_has_its_say_on_deletions_of_earlier_runs(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 60);
	go(rig);
	for (uint32_t uid = 1; uid <= 25; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	go(rig);
	assert_int_equal(rig->report.kept, 25);
	assert_false(rig->report.held);
	rig->set.deletions = DELETIONS_MIRROR;
	go(rig);
	assert_true(rig->report.held);
	assert_int_equal(rig->report.deletes_shown, 25);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 25);
	go(rig);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 25); /* nor later by itself */
	assert_true(noted(rig, "mailcask migrate nightly --delete --allow-deletes=25"));
	fill(rig, "INBOX", 61, 500);
	go(rig);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 25); /* few by now, and held all the same */
	rig->set.deletions = DELETIONS_KEEP;
	memory_delete(&rig->source, "INBOX", 70);
	go(rig);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 26);
	rig->set.deletions = DELETIONS_MIRROR;
	go(rig);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 25); /* the one that was not held went */
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 25;
	go(rig);
	assert_int_equal(rig->report.removed, 25);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 0);
}

/* Some of what was kept, in a mailbox that holds less than that now: it does not end empty. */
static void test_the_guard_counts_kept_messages_as_there(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 12);
	go(rig);
	for (uint32_t uid = 1; uid <= 8; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	go(rig);
	rig->set.deletions = DELETIONS_MIRROR;
	go(rig);
	assert_false(rig->report.held);
	assert_int_equal(rig->report.removed, 8);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
}

static void test_a_mailbox_that_is_gone_stays_until_deletions_are_asked_for(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 30);
	fill(rig, "Work", 1, 2);
	go(rig);
	memory_remove_mailbox(&rig->source, "Work");
	go(rig);
	assert_int_equal(memory_kept(&rig->target, "Work"), 2);
	assert_false(rig->report.incomplete);
	go(rig);
	assert_int_equal(rig->report.n, 0);
	rig->set.deletions = DELETIONS_MIRROR;
	rig->set.dry_run = true;
	go(rig);
	assert_int_equal(rig->report.removed, 2);
	rig->set.dry_run = false;
	go(rig);
	assert_false(memory_has_mailbox(&rig->target, "Work"));
	assert_false(rig->report.incomplete);
}

static void test_a_mailbox_that_is_gone_stays_when_it_holds_other_mail_or_the_server_needs_it(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 30);
	fill(rig, "Own", 1, 2);
	fill(rig, "Sent", 1, 2);
	memory_mailbox_get(&rig->target, "Sent")->attributes = MAILBOX_SENT;
	memory_mailbox_get(&rig->target, "Own");
	memory_put_stranger(&rig->target, "Own", "something of their own\r\n");
	go(rig);
	memory_remove_mailbox(&rig->source, "Own");
	memory_remove_mailbox(&rig->source, "Sent");
	rig->set.deletions = DELETIONS_MIRROR;
	go(rig);
	assert_int_equal(rig->report.removed, 4);
	assert_true(memory_has_mailbox(&rig->target, "Sent"));
	assert_true(memory_has_mailbox(&rig->target, "Own"));
	assert_int_equal(memory_strangers(&rig->target, "Own"), 1);
	assert_true(noted(rig, "Own is gone at the source and stays"));
	assert_false(rig->report.incomplete);
	go(rig);
	assert_int_equal(rig->report.n + rig->report.n_notes, 0);
}

static void test_without_the_ledger_all_is_found_again_and_nothing_is_removed(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	go(rig);
	memory_forget(&rig->target, "INBOX");
	rig->target.presence = STORE_MISSING;
	memset(rig->target.uuid, 0, sizeof(rig->target.uuid));
	memory_delete(&rig->source, "INBOX", 5);
	rig->set.deletions = DELETIONS_MIRROR;
	rig->set.max_delete = (struct guard_limits){ .count = 100, .percent = 100 };
	go(rig);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(rig->report.removed, 0);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
	assert_count(&rig->report.total, 4, 0, 4, 0, 0);
	assert_true(noted(rig, "LEDGER is not there any more"));
	go(rig);
	assert_int_equal(rig->report.n_notes, 0);
}

static void test_a_mailbox_that_was_made_anew_at_the_target_is_not_doubled(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	fill(rig, "Work", 1, 3);
	go(rig);
	memory_forget(&rig->target, "Work");
	go(rig);
	assert_int_equal(rig->source.fetched, 0);
	assert_count(count_of(rig, "Work"), 3, 0, 3, 0, 0);
	assert_int_equal(memory_strangers(&rig->target, "Work"), 0);
}

static void test_a_mailbox_that_the_target_does_not_list_is_not_filled_twice(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 2);
	fill(rig, "Work", 1, 3);
	go(rig);
	memory_mailbox_get(&rig->target, "Work")->gone_from_list = true;
	fill(rig, "Work", 4, 4);
	go(rig);
	assert_int_equal(memory_live(&rig->target, "Work"), 3);
	assert_true(rig->report.incomplete);
	assert_int_equal(count_of(rig, "Work")->missing, 4);
	memory_mailbox_get(&rig->target, "Work")->gone_from_list = false;
	go(rig);
	assert_int_equal(rig->source.fetched, 1);
	assert_count(count_of(rig, "Work"), 4, 4, 0, 0, 0);
}

static void test_the_ledger_of_another_source_is_refused_before_anything_is_copied(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 2);
	go(rig);
	rig->set.source_config.account = "bob@host";
	memory_mailbox_get(&rig->source, "INBOX")->uidvalidity = 7;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_CONFIG);
	assert_non_null(strstr(rig->err.text, "LEDGER says what was copied from ann@host, and this job reads "
					      "bob@host. Give the job another name"));
	assert_int_equal(memory_live(&rig->target, "INBOX"), 2);
}

static void test_another_ledger_than_that_of_the_last_run_is_refused(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 2);
	go(rig);
	rig->target.uuid[0] ^= 1;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_HELD);
	assert_non_null(strstr(rig->err.text, "LEDGER is another ledger"));
}

static void test_what_cannot_be_copied_is_accounted_for_accepted_or_not(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	rig->target.refuse = letter("INBOX", 2);
	go(rig);
	assert_true(rig->report.incomplete);
	assert_count(&rig->report.total, 5, 4, 0, 1, 0);
	go(rig);
	assert_count(&rig->report.total, 5, 4, 0, 1, 0);
	memory_mailbox_get(&rig->target, "INBOX")->base.quarantine[0].accepted = true;
	go(rig);
	assert_count(&rig->report.total, 5, 4, 0, 1, 0);
	assert_false(rig->report.incomplete);
}

static void test_what_is_left_out_is_missing_in_the_account(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	fill(rig, "Work", 1, 3);
	memory_mailbox_get(&rig->source, "Work")->unreadable = true;
	go(rig);
	assert_true(rig->report.incomplete);
	assert_count(count_of(rig, "Work"), 3, 0, 0, 0, 3);
	assert_count(&rig->report.total, 8, 5, 0, 0, 3);
}

static void test_a_run_that_is_cut_short_accounts_for_what_is_there(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	go(rig);
	fill(rig, "INBOX", 6, 9);
	rig->source.fail_after = 2;
	assert_int_equal(job_rig_go(rig), -1);
	assert_count(&rig->report.total, 9, 7, 0, 0, 2);
	assert_int_equal(rig->report.total.copied_now, 2);
	rig->source.fail_after = 0;
	go(rig);
	assert_count(&rig->report.total, 9, 9, 0, 0, 0);
}

static void delete_the_last(struct memory_world *w, const char *what, const char *mailbox)
{
	if (strcmp(what, "fetch") == 0)
		memory_delete(w, mailbox, 5);
}

static void test_what_vanishes_while_it_is_copied_is_not_missing(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	fill(rig, "Work", 1, 5);
	rig->source.meanwhile = delete_the_last;
	go(rig);
	assert_count(&rig->report.total, 8, 8, 0, 0, 0);
	assert_false(rig->report.incomplete);
}

static void test_a_message_that_the_ledger_lost_is_missing_though_nothing_else_is_wrong(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	go(rig);
	memory_delete(&rig->target, "INBOX", 3);
	go(rig);
	assert_count(&rig->report.total, 5, 4, 0, 0, 1);
	assert_true(rig->report.incomplete);
}

static void test_deletions_that_wait_are_told_apart_in_the_account(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 30);
	fill(rig, "Work", 1, 3);
	go(rig);
	memory_delete(&rig->source, "INBOX", 1);
	fill(rig, "Work", 4, 4);
	rig->target.refuse = letter("Work", 4);
	rig->set.deletions = DELETIONS_MIRROR;
	go(rig);
	assert_int_equal(count_of(rig, "INBOX")->gone, 1);
	assert_count(count_of(rig, "INBOX"), 29, 30, 0, 0, 0);
	assert_count(&rig->report.total, 33, 33, 0, 1, 0);
}

static void use(struct memory_world *w, const char *mailbox, unsigned attributes)
{
	memory_mailbox_get(w, mailbox)->attributes |= attributes;
}

static void test_mailboxes_go_to_those_of_their_special_use_and_without_the_prefix(void **state)
{
	struct job_rig *rig = *state;

	rig->source.prefix = "INBOX";
	fill(rig, "INBOX", 1, 2);
	fill(rig, "INBOX/Sent Items", 1, 2);
	fill(rig, "INBOX/Junk", 1, 2);
	fill(rig, "INBOX/Work", 1, 2);
	use(&rig->source, "INBOX/Sent Items", MAILBOX_SENT);
	use(&rig->source, "INBOX/Junk", MAILBOX_JUNK);
	use(&rig->target, "Sent", MAILBOX_SENT);
	go(rig);
	assert_int_equal(memory_live(&rig->target, "Sent"), 2);
	assert_int_equal(memory_live(&rig->target, "Work"), 2);
	assert_int_equal(memory_live(&rig->target, "Junk"), 2);
	assert_int_equal(memory_mailbox_get(&rig->target, "Junk")->attributes, MAILBOX_JUNK);
	assert_string_equal(count_of(rig, "Sent")->source, "INBOX/Sent Items");
	assert_int_equal(rig->target.stable.n, 4);
	go(rig);
	assert_int_equal(rig->source.compared + rig->source.fetched, 0);
	assert_count(&rig->report.total, 8, 8, 0, 0, 0);
}

static void test_a_second_mailbox_of_a_special_use_is_made_without_it(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "Sent", 1, 2);
	fill(rig, "Sent Items", 1, 2);
	use(&rig->source, "Sent Items", MAILBOX_SENT);
	use(&rig->target, "Sent", MAILBOX_SENT);
	go(rig);
	assert_int_equal(memory_live(&rig->target, "Sent"), 2);
	assert_int_equal(memory_live(&rig->target, "Sent Items"), 2);
	assert_int_equal(memory_mailbox_get(&rig->target, "Sent Items")->attributes, 0);
}

static void test_a_mailbox_keeps_the_name_it_was_copied_to(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 2);
	fill(rig, "Sent Items", 1, 2);
	use(&rig->source, "Sent Items", MAILBOX_SENT);
	go(rig);
	use(&rig->target, "Sent Items", 0);
	memory_mailbox_get(&rig->target, "Sent Items")->attributes = 0;
	use(&rig->target, "Sent", MAILBOX_SENT);
	fill(rig, "Sent Items", 3, 3);
	go(rig);
	assert_int_equal(memory_live(&rig->target, "Sent Items"), 3);
	assert_int_equal(memory_live(&rig->target, "Sent"), 0);
	assert_false(rig->report.incomplete);
}

static void test_a_renamed_mailbox_is_renamed_below_the_prefix_too(void **state)
{
	struct job_rig *rig = *state;

	rig->source.prefix = "INBOX";
	fill(rig, "INBOX", 1, 2);
	fill(rig, "INBOX/Work", 1, 3);
	memory_mailbox_get(&rig->source, "INBOX/Work")->uidvalidity = 1700000000;
	go(rig);
	memory_rename_mailbox(&rig->source, "INBOX/Work", "INBOX/Jobs");
	go(rig);
	assert_int_equal(rig->target.renamed, 1);
	assert_int_equal(rig->source.fetched, 0);
	assert_int_equal(memory_live(&rig->target, "Jobs"), 3);
	assert_false(memory_has_mailbox(&rig->target, "Work"));
}

static void test_a_mailbox_of_special_use_at_the_target_is_not_renamed(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 2);
	fill(rig, "Gesendet", 1, 3);
	memory_mailbox_get(&rig->source, "Gesendet")->uidvalidity = 1700000000;
	use(&rig->source, "Gesendet", MAILBOX_SENT);
	use(&rig->target, "Sent", MAILBOX_SENT);
	go(rig);
	assert_int_equal(memory_live(&rig->target, "Sent"), 3);
	memory_rename_mailbox(&rig->source, "Gesendet", "Alt");
	memory_mailbox_get(&rig->source, "Alt")->attributes = 0;
	go(rig);
	assert_int_equal(rig->target.renamed, 0);
	assert_true(memory_has_mailbox(&rig->target, "Sent"));
	assert_int_equal(memory_live(&rig->target, "Alt"), 3);
	assert_count(count_of(rig, "Alt"), 3, 3, 0, 0, 0);
	assert_false(rig->report.incomplete);
}

static void test_subscriptions_are_taken_along_once(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 2);
	use(&rig->source, "INBOX", MAILBOX_SUBSCRIBED);
	go(rig);
	assert_int_equal(memory_mailbox_get(&rig->target, "INBOX")->attributes, MAILBOX_SUBSCRIBED);
	memory_mailbox_get(&rig->target, "INBOX")->attributes = 0;
	go(rig);
	assert_int_equal(rig->report.n, 0);
	fill(rig, "INBOX", 3, 3);
	go(rig);
	assert_int_equal(memory_mailbox_get(&rig->target, "INBOX")->attributes, 0);
}

static void test_too_little_room_is_told_before_anything_is_copied(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	rig->target.room = 60;
	rig->set.dry_run = true;
	go(rig);
	assert_true(noted(rig, "room for 60 more bytes"));
	rig->set.dry_run = false;
	go(rig);
	assert_true(noted(rig, "room for 60 more bytes"));
	go(rig);
	assert_int_equal(rig->report.n_notes, 0);
}

static void test_what_the_target_notes_is_told(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 1);
	rig->target.says = "the server does not keep $Todo";
	go(rig);
	assert_true(noted(rig, "INBOX: the server does not keep $Todo"));
}

static void test_a_dry_run_changes_nothing_and_says_what_is_there(void **state)
{
	struct job_rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	put(rig, "INBOX", 2);
	rig->set.dry_run = true;
	go(rig);
	assert_int_equal(rig->report.new_messages, 4);
	assert_int_equal(rig->report.adopted, 1);
	assert_int_equal(rig->target.opened_to_write, 0);
	assert_int_equal(rig->target.presence, STORE_MISSING);
	assert_int_equal(memory_strangers(&rig->target, "INBOX"), 1);
	assert_int_equal(rig->report.n_counts, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MIGRATION(test_what_is_there_is_adopted_and_the_rest_is_copied_and_all_is_accounted_for),
		WITH_MIGRATION(test_a_second_run_lists_and_does_nothing_else_and_accounts_for_all_runs),
		WITH_MIGRATION(test_what_came_to_the_target_since_is_adopted_too),
		WITH_MIGRATION(test_flags_changed_at_the_target_stay_and_changes_of_the_source_come),
		WITH_MIGRATION(test_what_is_gone_at_the_source_stays_until_deletions_are_asked_for),
		WITH_MIGRATION(test_deletions_of_earlier_runs_are_followed_without_any_change_at_the_source),
		WITH_MIGRATION(test_the_guard_has_its_say_on_deletions_of_earlier_runs),
		WITH_MIGRATION(test_the_guard_counts_kept_messages_as_there),
		WITH_MIGRATION(test_a_mailbox_that_is_gone_stays_until_deletions_are_asked_for),
		WITH_MIGRATION(test_a_mailbox_that_is_gone_stays_when_it_holds_other_mail_or_the_server_needs_it),
		WITH_MIGRATION(test_without_the_ledger_all_is_found_again_and_nothing_is_removed),
		WITH_MIGRATION(test_a_mailbox_that_was_made_anew_at_the_target_is_not_doubled),
		WITH_MIGRATION(test_a_mailbox_that_the_target_does_not_list_is_not_filled_twice),
		WITH_MIGRATION(test_the_ledger_of_another_source_is_refused_before_anything_is_copied),
		WITH_MIGRATION(test_another_ledger_than_that_of_the_last_run_is_refused),
		WITH_MIGRATION(test_what_cannot_be_copied_is_accounted_for_accepted_or_not),
		WITH_MIGRATION(test_what_is_left_out_is_missing_in_the_account),
		WITH_MIGRATION(test_a_run_that_is_cut_short_accounts_for_what_is_there),
		WITH_MIGRATION(test_what_vanishes_while_it_is_copied_is_not_missing),
		WITH_MIGRATION(test_a_message_that_the_ledger_lost_is_missing_though_nothing_else_is_wrong),
		WITH_MIGRATION(test_deletions_that_wait_are_told_apart_in_the_account),
		WITH_MIGRATION(test_mailboxes_go_to_those_of_their_special_use_and_without_the_prefix),
		WITH_MIGRATION(test_a_second_mailbox_of_a_special_use_is_made_without_it),
		WITH_MIGRATION(test_a_mailbox_keeps_the_name_it_was_copied_to),
		WITH_MIGRATION(test_a_renamed_mailbox_is_renamed_below_the_prefix_too),
		WITH_MIGRATION(test_a_mailbox_of_special_use_at_the_target_is_not_renamed),
		WITH_MIGRATION(test_subscriptions_are_taken_along_once),
		WITH_MIGRATION(test_too_little_room_is_told_before_anything_is_copied),
		WITH_MIGRATION(test_what_the_target_notes_is_told),
		WITH_MIGRATION(test_a_dry_run_changes_nothing_and_says_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
