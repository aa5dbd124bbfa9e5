/* The engine on stores in memory: when mail is removed, and above all when not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/job_rig.h"

static void test_an_emptied_account_is_held_back_and_new_mail_still_stored(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 10);
	job_rig_fill(rig, "Sent", 1, 3);
	assert_int_equal(job_rig_go(rig), 0);
	for (uint32_t uid = 1; uid <= 10; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	for (uint32_t uid = 1; uid <= 3; uid++)
		memory_delete(&rig->source, "Sent", uid);
	job_rig_fill(rig, "INBOX", 11, 11);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.held);
	assert_int_equal(rig->report.deletes_shown, 13);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 1);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 10);
	assert_int_equal(memory_kept(&rig->target, "Sent"), 3);
	/* the next run has nothing to hold any more */
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.held);
	/* too small a number allows nothing; the right one removes what was held */
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 12;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 10);
	assert_int_equal(rig->report.deletes_shown, 13);
}

static void test_allowed_deletions_go_through_once(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 100);
	assert_int_equal(job_rig_go(rig), 0);
	for (uint32_t uid = 1; uid <= 50; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	rig->set.dry_run = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.deletes_shown, 50);
	rig->set.dry_run = false;
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 50;
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.held);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 0);
}

static void test_held_messages_go_when_allowed_later(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 100);
	assert_int_equal(job_rig_go(rig), 0);
	for (uint32_t uid = 1; uid <= 50; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.held);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_notes, 1); /* not forgotten after one night */
	assert_non_null(strstr(rig->report.notes[0], "--allow-deletes=50"));
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 50;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.removed, 50);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 0);
	rig->set.allow_deletes_given = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n_notes, 0);
}

static void test_a_moved_message_keeps_a_copy_when_its_new_place_cannot_be_read(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	memory_mailbox_get(&rig->source, "Archive");
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 2);
	memory_deliver(&rig->source, "Archive", "INBOX message 2\r\n", "");
	memory_mailbox_get(&rig->source, "Archive")->v[0].poison = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	assert_true(rig->report.incomplete);
	/* readable again: the copy moves */
	memory_mailbox_get(&rig->source, "Archive")->v[0].poison = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_false(rig->report.incomplete);
}

static void test_a_listing_that_omits_a_message_deletes_nothing(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_set_flags(&rig->source, "INBOX", 1, "");
	memory_mailbox_get(&rig->source, "INBOX")->hide = 4;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	assert_true(rig->report.incomplete);
	memory_mailbox_get(&rig->source, "INBOX")->hide = 0;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_false(rig->report.incomplete);
}

static void test_forty_nights_of_emptied_trash_pass(void **state)
{
	struct job_rig *rig = *state;

	memory_mailbox_get(&rig->source, "Trash")->attributes = MAILBOX_TRASH;
	job_rig_fill(rig, "INBOX", 1, 5);
	for (int night = 0; night < 40; night++) {
		struct memory_mailbox *trash = memory_mailbox_get(&rig->source, "Trash");

		while (trash->n > 0)
			memory_delete(&rig->source, "Trash", trash->v[0].uid);
		job_rig_fill(rig, "Trash", night * 50, night * 50 + 49);
		if (night % 2) {
			struct memory_mailbox *drafts = memory_mailbox_get(&rig->source, "Drafts");

			memory_delete(&rig->source, "Drafts", drafts->v[0].uid);
		} else {
			job_rig_fill(rig, "Drafts", night, night);
		}
		assert_int_equal(job_rig_go(rig), 0);
		assert_false(rig->report.held);
		assert_false(rig->report.incomplete);
		assert_true(memory_equal(&rig->source, &rig->target));
	}
}

static void test_deletions_keep_turns_gone_into_kept_and_takes_them_back(void **state)
{
	struct job_rig *rig = *state;

	rig->set.deletions = DELETIONS_KEEP;
	job_rig_fill(rig, "INBOX", 1, 3);
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	memory_delete(&rig->source, "INBOX", 2);
	memory_delete(&rig->source, "INBOX", 3);
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.held); /* nothing is lost, so the guard has no say */
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 3);
	memory_deliver(&rig->source, "INBOX", "INBOX message 2\r\n", "");
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.adopted, 1);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 2);
}

static void test_a_held_message_that_came_back_is_not_removed_with_the_others(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 100);
	assert_int_equal(job_rig_go(rig), 0);
	for (uint32_t uid = 1; uid <= 50; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 50);
	memory_deliver(&rig->source, "INBOX", "INBOX message 7\r\n", "\\Seen");
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 50;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.adopted, 1);
	assert_int_equal(rig->report.removed, 49);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(memory_live(&rig->target, "INBOX"), 51);
}

static void test_held_messages_wait_as_all_deletions_do(void **state)
{
	struct job_rig *rig = *state;
	static const char *const only[] = { "INBOX" };

	job_rig_fill(rig, "INBOX", 1, 100);
	job_rig_fill(rig, "Sent", 1, 2);
	assert_int_equal(job_rig_go(rig), 0);
	for (uint32_t uid = 1; uid <= 50; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	assert_int_equal(job_rig_go(rig), 0);
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 50;
	rig->set.only = only;
	rig->set.n_only = 1;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 50);
	rig->set.n_only = 0;
	rig->set.deletions = DELETIONS_KEEP; /* and this one removes nothing at all */
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 50);
	rig->set.deletions = DELETIONS_MIRROR;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 0);
}

/* From INBOX, which is looked at last, to Archive, which was looked at before. */
static void move_behind_our_back(struct memory_world *w, const char *what, const char *mailbox)
{
	if (strcmp(what, "changes") != 0 || strcmp(mailbox, "INBOX") != 0)
		return;
	memory_delete(w, "INBOX", 2);
	memory_deliver(w, "Archive", "INBOX message 2\r\n", "$Todo");
	w->meanwhile = NULL;
}

static void test_a_message_moved_during_the_run_is_never_without_a_copy(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "Archive", 1, 3);
	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	job_rig_fill(rig, "INBOX", 6, 6);
	rig->source.meanwhile = move_behind_our_back;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 6);
	assert_int_equal(rig->report.removed, 0);
	assert_int_equal(rig->report.v[0].waiting, 1);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
}

static void new_mailbox_meanwhile(struct memory_world *w, const char *what, const char *mailbox)
{
	(void)what;
	(void)mailbox;
	memory_delete(w, "INBOX", 2);
	memory_deliver(w, "New", "INBOX message 2\r\n", "$Todo");
	w->meanwhile = NULL;
}

static void test_a_message_moved_into_a_new_mailbox_during_the_run_keeps_its_copy(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	job_rig_fill(rig, "INBOX", 6, 6);
	rig->source.meanwhile = new_mailbox_meanwhile;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 6);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_moves_need_no_second_look(void **state)
{
	struct job_rig *rig = *state;
	unsigned listed;

	job_rig_fill(rig, "INBOX", 1, 5);
	memory_mailbox_get(&rig->source, "Trash")->attributes = MAILBOX_TRASH;
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 2);
	memory_deliver(&rig->source, "Trash", "INBOX message 2\r\n", "");
	listed = rig->source.listed;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->source.listed, listed + 1);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void vanish_meanwhile(struct memory_world *w, const char *what, const char *mailbox)
{
	(void)mailbox;
	if (strcmp(what, "fetch") != 0)
		return;
	memory_delete(w, "INBOX", 6);
	w->meanwhile = NULL;
}

static void test_a_message_removed_before_it_was_fetched_is_no_trouble(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	job_rig_fill(rig, "INBOX", 6, 7);
	rig->source.meanwhile = vanish_meanwhile;
	assert_int_equal(job_rig_go(rig), 0);
	assert_false(rig->report.incomplete);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_mail_of_mailboxes_no_longer_selected_does_not_make_a_loss_look_small(void **state)
{
	struct job_rig *rig = *state;
	static const char *const inbox[] = { "INBOX" };

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Old", 1, 500);
	assert_int_equal(job_rig_go(rig), 0);
	rig->set.mailboxes = inbox;
	rig->set.n_mailboxes = 1;
	for (uint32_t uid = 1; uid <= 5; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.held);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 5);
	assert_int_equal(memory_live(&rig->target, "Old"), 500);
}

static void test_a_source_that_lists_nothing_is_held_against_it(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	rig->source.stable.n = 0;
	assert_int_equal(job_rig_go(rig), 0);
	rig->source.stable.n = 1;
	assert_true(rig->report.held);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 5);
}

static void test_an_incomplete_list_deletes_nothing(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	rig->source.list_incomplete = true;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	rig->source.list_incomplete = false;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void recreate_meanwhile(struct memory_world *w, const char *what, const char *mailbox)
{
	if (strcmp(what, "changes") != 0 || strcmp(mailbox, "INBOX") != 0)
		return;
	memory_delete(w, "INBOX", 2);
	memory_mailbox_get(w, "Archive")->uidvalidity++;
	w->meanwhile = NULL;
}

/* However the new place of a moved message betrays that something came in. */
static void test_mail_that_came_in_is_seen_by_uidvalidity_or_count_too(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "Archive", 1, 3);
	job_rig_fill(rig, "INBOX", 1, 5);
	memory_mailbox_get(&rig->source, "Archive")->no_uidnext = true;
	assert_int_equal(job_rig_go(rig), 0);
	job_rig_fill(rig, "INBOX", 6, 6);
	rig->source.meanwhile = move_behind_our_back;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 6);
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	memory_mailbox_get(&rig->source, "INBOX")->v[0].uid = 2;
	job_rig_fill(rig, "INBOX", 7, 7);
	rig->source.meanwhile = recreate_meanwhile;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.removed, 0);
}

static void list_less_meanwhile(struct memory_world *w, const char *what, const char *mailbox)
{
	(void)what;
	(void)mailbox;
	w->list_incomplete = true;
	w->meanwhile = NULL;
}

static void test_a_second_list_that_is_incomplete_proves_nothing(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	rig->source.meanwhile = list_less_meanwhile;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
}

static void come_meanwhile(struct memory_world *w, const char *what, const char *mailbox)
{
	(void)mailbox;
	if (strcmp(what, "changes") != 0)
		return;
	memory_deliver(w, "INBOX", "came between LIST and EXAMINE\r\n", "");
	w->meanwhile = NULL;
}

static void test_mail_seen_by_the_comparison_holds_up_no_deletion(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	rig->source.meanwhile = come_meanwhile;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.removed, 1);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_only_a_clear_no_makes_a_mailbox_gone(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Old", 1, 2);
	assert_int_equal(job_rig_go(rig), 0);
	memory_mailbox_get(&rig->source, "Old")->gone_from_list = true;
	memory_delete(&rig->source, "INBOX", 1);
	for (int unclear = 0; unclear <= 1; unclear++) {
		rig->source.exists_unclear = unclear;
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(rig->report.n, 2);
		assert_true(rig->report.v[1].skipped && !rig->report.v[1].gone);
		assert_int_equal(memory_live(&rig->target, "INBOX"), 5); /* perhaps moved there */
	}
	rig->source.exists_unclear = false;
	memory_remove_mailbox(&rig->source, "Old");
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.v[1].gone);
	assert_false(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
	assert_false(memory_has_mailbox(&rig->target, "Old"));
}

static void test_without_a_last_word_on_every_message_nothing_is_removed(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Sent", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	for (int way = 0; way < 2; way++) {
		struct memory_mailbox *m = memory_mailbox_get(&rig->source, "INBOX");

		job_rig_fill(rig, "INBOX", 6 + way, 6 + way);
		memory_delete(&rig->source, "Sent", (uint32_t)way + 1);
		m->v[m->n - 1].unanswered = way == 0;
		rig->target.forget = way == 1 ? "INBOX message 7\r\n" : NULL;
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(memory_live(&rig->target, "Sent"), 5 - (size_t)way);
		m->v[m->n - 1].unanswered = false;
		rig->target.forget = NULL;
		assert_int_equal(job_rig_go(rig), 0);
		assert_true(memory_equal(&rig->source, &rig->target));
	}
}

static void look_worse_meanwhile(struct memory_world *w, const char *what, const char *mailbox)
{
	(void)mailbox;
	if (strcmp(what, "fetch") == 0)
		memory_mailbox_get(w, "INBOX")->hide = 1;
}

/* The second look at what was not delivered does not account for all: nothing is proven. */
static void test_a_doubtful_second_look_is_a_problem_and_removes_nothing(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Sent", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	job_rig_fill(rig, "INBOX", 6, 6);
	memory_mailbox_get(&rig->source, "INBOX")->v[5].silent = true;
	memory_delete(&rig->source, "Sent", 1);
	rig->source.meanwhile = look_worse_meanwhile;
	assert_int_equal(job_rig_go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "Sent"), 5);
}

static void list_more_meanwhile(struct memory_world *w, const char *what, const char *mailbox)
{
	(void)what;
	(void)mailbox;
	w->list_incomplete = false;
}

static void test_a_list_that_was_incomplete_at_first_deletes_nothing_either(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	rig->source.list_incomplete = true;
	rig->source.meanwhile = list_more_meanwhile;
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOB_RIG(test_an_emptied_account_is_held_back_and_new_mail_still_stored),
		WITH_JOB_RIG(test_allowed_deletions_go_through_once),
		WITH_JOB_RIG(test_held_messages_go_when_allowed_later),
		WITH_JOB_RIG(test_a_moved_message_keeps_a_copy_when_its_new_place_cannot_be_read),
		WITH_JOB_RIG(test_a_listing_that_omits_a_message_deletes_nothing),
		WITH_JOB_RIG(test_forty_nights_of_emptied_trash_pass),
		WITH_JOB_RIG(test_deletions_keep_turns_gone_into_kept_and_takes_them_back),
		WITH_JOB_RIG(test_a_held_message_that_came_back_is_not_removed_with_the_others),
		WITH_JOB_RIG(test_held_messages_wait_as_all_deletions_do),
		WITH_JOB_RIG(test_a_message_moved_during_the_run_is_never_without_a_copy),
		WITH_JOB_RIG(test_a_message_moved_into_a_new_mailbox_during_the_run_keeps_its_copy),
		WITH_JOB_RIG(test_moves_need_no_second_look),
		WITH_JOB_RIG(test_a_message_removed_before_it_was_fetched_is_no_trouble),
		WITH_JOB_RIG(test_mail_of_mailboxes_no_longer_selected_does_not_make_a_loss_look_small),
		WITH_JOB_RIG(test_a_source_that_lists_nothing_is_held_against_it),
		WITH_JOB_RIG(test_an_incomplete_list_deletes_nothing),
		WITH_JOB_RIG(test_mail_that_came_in_is_seen_by_uidvalidity_or_count_too),
		WITH_JOB_RIG(test_a_second_list_that_is_incomplete_proves_nothing),
		WITH_JOB_RIG(test_mail_seen_by_the_comparison_holds_up_no_deletion),
		WITH_JOB_RIG(test_only_a_clear_no_makes_a_mailbox_gone),
		WITH_JOB_RIG(test_without_a_last_word_on_every_message_nothing_is_removed),
		WITH_JOB_RIG(test_a_doubtful_second_look_is_a_problem_and_removes_nothing),
		WITH_JOB_RIG(test_a_list_that_was_incomplete_at_first_deletes_nothing_either),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
