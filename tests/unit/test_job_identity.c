/* The engine on stores in memory: which store, account, mailboxes and UIDs a run is about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/sync/record.h"
#include "tests/lib/job_rig.h"

static void test_a_mailbox_that_is_not_listed_but_exists_is_left_alone(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Old", 1, 2);
	assert_int_equal(job_rig_go(rig), 0);
	memory_mailbox_get(&rig->source, "Old")->gone_from_list = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_int_equal(rig->report.n, 1);
	assert_true(rig->report.v[0].skipped);
	assert_int_equal(memory_live(&rig->target, "Old"), 2);
}

/* Those who read it would take what comes for what it had. */
static void test_an_older_state_of_the_store_gives_its_messages_new_uids(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 3);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->target.renumbered);
	rig->target.generation = 1;
	job_rig_fill(rig, "INBOX", 4, 5);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->target.renumbered);
}

static void test_a_lost_store_stops_the_job_before_anything_is_touched(void **state)
{
	struct job_rig *rig = *state;
	unsigned opened;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	for (int presence = STORE_MISSING; presence <= STORE_FOREIGN; presence++) {
		rig->target.presence = (enum store_presence)presence;
		opened = rig->source.opened + rig->target.opened;
		assert_int_equal(job_rig_go(rig), -1);
		assert_int_equal(rig->err.kind, ERR_HELD);
		assert_int_equal(rig->source.opened + rig->target.opened, opened);
	}
	rig->target.presence = STORE_OURS;
	rig->target.uuid[0] ^= 1; /* another store of ours */
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_HELD);
}

static void test_a_store_from_elsewhere_is_not_pruned_in_its_first_run(void **state)
{
	struct job_rig *rig = *state;
	char *path = record_path(rig->state, "nightly");

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	unlink(path);
	free(path);
	memory_delete(&rig->source, "INBOX", 1);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_the_mail_of_another_account_is_refused(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	rig->set.source_config.account = "bob@host";
	memory_mailbox_get(&rig->source, "INBOX")->uidvalidity = 77;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_CONFIG);
	assert_non_null(strstr(rig->err.text, "--rebind"));
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
}

static void test_a_part_is_backed_up_without_deletions(void **state)
{
	struct job_rig *rig = *state;
	static const char *const only[] = { "INBOX" };

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Sent", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	job_rig_fill(rig, "INBOX", 6, 6);
	job_rig_fill(rig, "Sent", 6, 6);
	rig->set.only = only;
	rig->set.n_only = 1;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 6);
	assert_int_equal(memory_live(&rig->target, "Sent"), 5);
	rig->set.n_only = 0;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void change_uidvalidity(struct memory_world *w, const char *what, const char *mailbox)
{
	(void)mailbox;
	if (strcmp(what, "fetch") != 0)
		return;
	memory_mailbox_get(w, "INBOX")->uidvalidity++;
	w->meanwhile = NULL;
}

static void test_a_mailbox_recreated_before_anything_was_stored_is_just_backed_up(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	rig->source.meanwhile = change_uidvalidity;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 0);
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_list_that_tells_no_state_means_comparing_in_full(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	memory_mailbox_get(&rig->source, "INBOX")->no_status = true;
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	memory_set_flags(&rig->source, "INBOX", 2, "");
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_mailbox_that_lost_its_special_use_is_named_and_stays(void **state)
{
	struct job_rig *rig = *state;
	static const char *const patterns[] = { "INBOX", "\\Sent" };

	rig->set.mailboxes = patterns;
	rig->set.n_mailboxes = 2;
	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Gesendet", 1, 5);
	memory_mailbox_get(&rig->source, "Gesendet")->attributes = MAILBOX_SENT;
	assert_int_equal(job_rig_go(rig), 0);
	memory_mailbox_get(&rig->source, "Gesendet")->attributes = 0;
	memory_delete(&rig->source, "Gesendet", 1);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_true(rig->report.v[0].skipped);
	assert_int_equal(memory_live(&rig->target, "Gesendet"), 5);
}

static void test_a_mailbox_named_for_this_run_that_is_not_there_is_an_error(void **state)
{
	struct job_rig *rig = *state;
	static const char *const only[] = { "INBOX", "Snet*" }, *const wide[] = { "!Old", "S*" };

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Sent", 1, 5);
	rig->set.only = only;
	rig->set.n_only = 2;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_MISSING);
	assert_non_null(strstr(rig->err.text, "Snet*"));
	rig->set.only = wide; /* what is excluded need not be there */
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "Sent"), 5);
}

static void test_a_pattern_of_the_configuration_that_selects_nothing_is_named(void **state)
{
	struct job_rig *rig = *state;
	static const char *const patterns[] = { "INBOX", "Snet", "!Old", "\\Sent" };
	static const char *const wide[] = { "INBOX", "Lists/*" };

	job_rig_fill(rig, "INBOX", 1, 5);
	rig->set.mailboxes = patterns;
	rig->set.n_mailboxes = 4;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_notes, 2);
	assert_non_null(strstr(rig->report.notes[0], "'Snet'"));
	assert_non_null(strstr(rig->report.notes[1], "'\\Sent'"));
	assert_true(rig->report.incomplete); /* a name that means nothing: cron must hear of it */
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);

	rig->set.mailboxes = wide;
	rig->set.n_mailboxes = 2;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_notes, 1);
	assert_false(rig->report.incomplete); /* there may be some one day */
}

static void test_what_leaves_the_scope_stays_and_is_named_once(void **state)
{
	struct job_rig *rig = *state;
	static const char *const patterns[] = { "INBOX" };

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Sent", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	rig->set.mailboxes = rig->set.only = patterns;
	rig->set.n_mailboxes = rig->set.n_only = 1;
	memory_delete(&rig->source, "Sent", 1);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_notes, 0); /* a part only: not the moment */
	rig->set.n_only = 0;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_notes, 1);
	assert_non_null(strstr(rig->report.notes[0], "Sent"));
	assert_false(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "Sent"), 5);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_notes, 0);
}

static void test_an_unknown_store_at_the_place_of_another_is_refused_after_opening_too(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	rig->target.swap_at_open = true;
	job_rig_fill(rig, "INBOX", 6, 6);
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_HELD);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
}

static void test_opening_does_not_make_a_store_another_accounts(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	rig->target.settles_at_open = true; /* and commits, which writes the account down */
	rig->set.source_config.account = "bob@host";
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_CONFIG);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
}

static void test_without_modseq_or_uidnext_it_is_compared_every_time(void **state)
{
	struct job_rig *rig = *state;

	rig->set.flag_check = 0;
	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Old", 1, 5);
	memory_mailbox_get(&rig->source, "INBOX")->no_modseq = true;
	memory_mailbox_get(&rig->source, "Old")->no_uidnext = true;
	assert_int_equal(job_rig_go(rig), 0);
	memory_set_flags(&rig->source, "INBOX", 2, "\\Flagged");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n, 2);
	assert_true(memory_equal(&rig->source, &rig->target));
}

/* Without mod-sequences, who looks for new mail every minute does not read all flags every minute. */
static void test_flags_that_cannot_be_seen_to_change_are_compared_when_due(void **state)
{
	struct job_rig *rig = *state;

	rig->set.flag_check = 3600;
	job_rig_fill(rig, "INBOX", 1, 5);
	memory_mailbox_get(&rig->source, "INBOX")->no_modseq = true;
	assert_int_equal(job_rig_go(rig), 0);
	memory_set_flags(&rig->source, "INBOX", 2, "\\Flagged");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n, 0);
	assert_int_equal(rig->report.mailboxes_unchanged, 1);
	rig->set.flag_check = 0;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_mod_sequences_are_not_trusted_for_ever(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_mailbox_get(&rig->source, "INBOX")->says_nothing_changed = true;
	memory_set_flags(&rig->source, "INBOX", 2, "\\Flagged");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.flags_changed, 0);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n, 0); /* and now it is no longer even looked at */
	rig->set.flag_check = 0;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.flags_changed, 1);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void renumber_at_second_look(struct memory_world *w, const char *what, const char *mailbox)
{
	if (strcmp(what, "changes") == 0 && w->compared == 2)
		memory_mailbox_get(w, mailbox)->uidvalidity = 999;
}

/* Between being told what changed and being counted: the UIDs of the second answer mean other messages. */
static void test_a_uidvalidity_that_changes_between_two_looks_binds_nothing(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_mailbox_get(&rig->source, "INBOX")->says_nothing_changed = true;
	memory_set_flags(&rig->source, "INBOX", 2, "\\Flagged");
	rig->set.flag_check = 0;
	rig->source.meanwhile = renumber_at_second_look;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_true(rig->report.v[0].skipped);
	assert_int_equal(rig->report.flags_changed, 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
}

/* A run that could not look at one of the mailboxes did not compare all flags. */
static void test_flags_stay_due_until_every_mailbox_was_compared(void **state)
{
	struct job_rig *rig = *state;

	rig->set.flag_check = 3600;
	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Work", 1, 5);
	memory_mailbox_get(&rig->source, "INBOX")->no_modseq = true;
	memory_mailbox_get(&rig->source, "Work")->no_modseq = true;
	memory_mailbox_get(&rig->source, "Work")->unreadable = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	memory_set_flags(&rig->source, "INBOX", 2, "\\Flagged");
	memory_mailbox_get(&rig->source, "Work")->unreadable = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_mod_sequence_that_stands_still_hides_no_new_mail(void **state)
{
	struct job_rig *rig = *state;
	uint64_t modseq;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	modseq = memory_mailbox_get(&rig->source, "INBOX")->modseq;
	memory_delete(&rig->source, "INBOX", 1);
	job_rig_fill(rig, "INBOX", 6, 6);
	memory_mailbox_get(&rig->source, "INBOX")->modseq = modseq;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_name_without_messages_is_no_mailbox(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Work", 1, 5);
	memory_mailbox_get(&rig->source, "Name")->attributes = MAILBOX_NOSELECT;
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_int_equal(rig->report.n, 2);
	memory_mailbox_get(&rig->source, "Work")->attributes = MAILBOX_NOSELECT;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "Work"), 5);
}

static void test_quarantined_mail_alone_is_tied_to_its_uidvalidity(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *m;

	job_rig_fill(rig, "INBOX", 1, 2);
	m = memory_mailbox_get(&rig->source, "INBOX");
	m->v[0].poison = m->v[1].poison = true;
	assert_int_equal(job_rig_go(rig), 0);
	m->uidvalidity++;
	m->v[0].poison = m->v[1].poison = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.v[0].rebound);
	assert_int_equal(rig->report.v[0].quarantined, 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_first_run_cut_short_by_a_crash_knows_its_store(void **state)
{
	struct job_rig *rig = *state;
	struct record record;

	job_rig_fill(rig, "INBOX", 1, 5);
	rig->target.commit_fails = 1; /* the record must be there before mail is */
	assert_int_equal(job_rig_go(rig), -1);
	rig->target.presence = STORE_MISSING;
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_HELD);
	assert_int_equal(record_load(rig->state, "nightly", &record, &rig->err), 0);
	assert_true(record.exists);
	record_release(&record);
}

static void look_for_record(struct memory_world *w, const char *what, const char *mailbox)
{
	char *path = record_path(w->note, "nightly");

	(void)what;
	(void)mailbox;
	w->noted = access(path, F_OK) == 0;
	free(path);
}

static void test_a_new_store_is_remembered_before_mail_goes_into_it(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	rig->source.note = rig->state;
	rig->source.meanwhile = look_for_record;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->source.noted);
}

static void test_a_store_from_elsewhere_stays_so_until_a_run_ends_well(void **state)
{
	struct job_rig *rig = *state;
	char *path = record_path(rig->state, "nightly");

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	unlink(path);
	free(path);
	memory_delete(&rig->source, "INBOX", 1);
	job_rig_fill(rig, "INBOX", 6, 8);
	rig->source.fail_after = 1;
	assert_int_equal(job_rig_go(rig), -1);
	rig->source.fail_after = 0;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 8); /* still nothing removed */
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_dry_run_opens_nothing_for_writing_and_takes_no_lock(void **state)
{
	struct job_rig *rig = *state;
	int lock;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->target.opened_to_write, 1);
	assert_int_equal(record_lock(rig->state, "nightly", &lock, &rig->err), 0);
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_LOCKED);
	rig->set.dry_run = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->target.opened_to_write, 1);
	close(lock);
}

static void test_rebind_of_the_same_account_drops_nothing(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	rig->set.rebind = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->target.rebound);
	rig->set.source_config.account = "bob@host";
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->target.rebound);
}

static void test_a_list_says_of_each_mailbox_once_what_any_line_says(void **state)
{
	struct mailbox_list list = { 0 };
	struct err err;

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct mailbox_info *info = mailbox_list_add(&list);
		bool b = i == 1 || i == 3;

		assert_int_equal(mailbox_name_from_display(&info->name, bytes_of(b ? "b" : "a"),
							   &err), 0);
		info->attributes = b ? MAILBOX_NOSELECT : i ? MAILBOX_SENT : MAILBOX_NOSELECT;
		info->token.known = i == 2;
		info->token.uidnext = (uint32_t)i;
	}
	mailbox_list_sort(&list);
	assert_int_equal(list.n, 2);
	assert_int_equal(list.v[0].attributes, MAILBOX_SENT);
	assert_true(list.v[0].token.known);
	assert_int_equal(list.v[0].token.uidnext, 2);
	assert_int_equal(list.v[1].attributes, MAILBOX_NOSELECT);
	mailbox_list_release(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOB_RIG(test_a_mailbox_that_is_not_listed_but_exists_is_left_alone),
		WITH_JOB_RIG(test_an_older_state_of_the_store_gives_its_messages_new_uids),
		WITH_JOB_RIG(test_a_lost_store_stops_the_job_before_anything_is_touched),
		WITH_JOB_RIG(test_a_store_from_elsewhere_is_not_pruned_in_its_first_run),
		WITH_JOB_RIG(test_the_mail_of_another_account_is_refused),
		WITH_JOB_RIG(test_a_part_is_backed_up_without_deletions),
		WITH_JOB_RIG(test_a_mailbox_recreated_before_anything_was_stored_is_just_backed_up),
		WITH_JOB_RIG(test_a_list_that_tells_no_state_means_comparing_in_full),
		WITH_JOB_RIG(test_a_mailbox_that_lost_its_special_use_is_named_and_stays),
		WITH_JOB_RIG(test_a_mailbox_named_for_this_run_that_is_not_there_is_an_error),
		WITH_JOB_RIG(test_a_pattern_of_the_configuration_that_selects_nothing_is_named),
		WITH_JOB_RIG(test_what_leaves_the_scope_stays_and_is_named_once),
		WITH_JOB_RIG(test_an_unknown_store_at_the_place_of_another_is_refused_after_opening_too),
		WITH_JOB_RIG(test_opening_does_not_make_a_store_another_accounts),
		WITH_JOB_RIG(test_without_modseq_or_uidnext_it_is_compared_every_time),
		WITH_JOB_RIG(test_flags_that_cannot_be_seen_to_change_are_compared_when_due),
		WITH_JOB_RIG(test_mod_sequences_are_not_trusted_for_ever),
		WITH_JOB_RIG(test_a_uidvalidity_that_changes_between_two_looks_binds_nothing),
		WITH_JOB_RIG(test_flags_stay_due_until_every_mailbox_was_compared),
		WITH_JOB_RIG(test_a_mod_sequence_that_stands_still_hides_no_new_mail),
		WITH_JOB_RIG(test_a_name_without_messages_is_no_mailbox),
		WITH_JOB_RIG(test_quarantined_mail_alone_is_tied_to_its_uidvalidity),
		WITH_JOB_RIG(test_a_first_run_cut_short_by_a_crash_knows_its_store),
		WITH_JOB_RIG(test_a_new_store_is_remembered_before_mail_goes_into_it),
		WITH_JOB_RIG(test_a_store_from_elsewhere_stays_so_until_a_run_ends_well),
		WITH_JOB_RIG(test_a_dry_run_opens_nothing_for_writing_and_takes_no_lock),
		WITH_JOB_RIG(test_rebind_of_the_same_account_drops_nothing),
		WITH_JOB_RIG(test_a_list_says_of_each_mailbox_once_what_any_line_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
