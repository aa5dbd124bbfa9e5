#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/sync/job.h"
#include "core/sync/record.h"
#include "tests/lib/memory_store.h"

struct rig {
	struct memory_world source, target;
	struct job_settings set;
	struct job_report report;
	struct err err;
	char state[64];
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	memory_world_init(&rig->source);
	memory_world_init(&rig->target);
	strcpy(rig->state, "/tmp/mailcask-job-XXXXXX");
	assert_non_null(mkdtemp(rig->state));
	rig->set = (struct job_settings){
		.name = "nightly",
		.source = &memory_store,
		.target = &memory_store,
		.source_config = { .name = "source", .account = "ann@host", .settings = &rig->source },
		.target_config = { .name = "target", .path = "TARGET", .settings = &rig->target },
		.state_dir = rig->state,
		.max_delete = GUARD_LIMITS_DEFAULT,
	};
	job_report_init(&rig->report);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	char *run = record_path(rig->state, "nightly");
	char *lock = xasprintf("%s/nightly.lock", rig->state);

	unlink(run);
	unlink(lock);
	assert_int_equal(rmdir(rig->state), 0);
	free(run);
	free(lock);
	job_report_release(&rig->report);
	memory_world_release(&rig->source);
	memory_world_release(&rig->target);
	free(rig);
	return 0;
}

static int go(struct rig *rig)
{
	job_report_release(&rig->report);
	rig->source.fetched = rig->source.compared = 0;
	return job_run(&rig->set, &rig->report, &rig->err);
}

static void fill(struct rig *rig, const char *mailbox, int from, int to)
{
	for (int i = from; i <= to; i++) {
		char body[64];

		snprintf(body, sizeof(body), "%s message %d\r\n", mailbox, i);
		memory_deliver(&rig->source, mailbox, body, i % 2 ? "\\Seen" : "$Todo");
	}
}

static void test_a_backup_makes_the_target_equal_and_a_second_run_does_nothing(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 10);
	fill(rig, "Work/2024", 1, 5);
	memory_mailbox_get(&rig->source, "Empty");
	assert_int_equal(go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(rig->report.new_messages, 15);
	assert_false(rig->report.incomplete);

	assert_int_equal(go(rig), 0);
	assert_int_equal(rig->report.mailboxes_unchanged, 3);
	assert_int_equal(rig->report.n, 0);
	assert_int_equal(rig->source.compared, 0);
	assert_int_equal(rig->source.fetched, 0);
}

static void test_flags_additions_and_deletions_follow_the_source(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 10);
	assert_int_equal(go(rig), 0);
	memory_set_flags(&rig->source, "INBOX", 3, "\\Flagged $New");
	memory_delete(&rig->source, "INBOX", 5);
	memory_delete(&rig->source, "INBOX", 6);
	fill(rig, "INBOX", 11, 12);
	assert_int_equal(go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(rig->source.fetched, 2);
	assert_int_equal(rig->report.removed, 2);
	assert_int_equal(rig->report.flags_changed, 1);
	assert_false(rig->report.held);
}

static void test_a_dry_run_changes_nothing_and_says_what_it_would_do(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 4);
	rig->set.dry_run = true;
	assert_int_equal(go(rig), 0);
	assert_int_equal(rig->target.presence, STORE_MISSING);
	assert_int_equal(rig->report.new_messages, 4);
	rig->set.dry_run = false;
	assert_int_equal(go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	memory_set_flags(&rig->source, "INBOX", 2, "");
	rig->set.dry_run = true;
	assert_int_equal(go(rig), 0);
	assert_int_equal(rig->report.removed, 1);
	assert_int_equal(rig->report.flags_changed, 1);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
}

static void test_an_emptied_account_is_held_back_and_new_mail_still_stored(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 10);
	fill(rig, "Sent", 1, 3);
	assert_int_equal(go(rig), 0);
	for (uint32_t uid = 1; uid <= 10; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	for (uint32_t uid = 1; uid <= 3; uid++)
		memory_delete(&rig->source, "Sent", uid);
	fill(rig, "INBOX", 11, 11);
	assert_int_equal(go(rig), 0);
	assert_true(rig->report.held);
	assert_int_equal(rig->report.deletes_shown, 13);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 1);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 10);
	assert_int_equal(memory_kept(&rig->target, "Sent"), 3);
	/* the next run has nothing to hold any more */
	assert_int_equal(go(rig), 0);
	assert_false(rig->report.held);
	/* too small a number allows nothing; the right one removes what was held */
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 12;
	assert_int_equal(go(rig), 0);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 10);
	assert_int_equal(rig->report.deletes_shown, 13);
}

static void test_allowed_deletions_go_through_once(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 100);
	assert_int_equal(go(rig), 0);
	for (uint32_t uid = 1; uid <= 50; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	rig->set.dry_run = true;
	assert_int_equal(go(rig), 0);
	assert_int_equal(rig->report.deletes_shown, 50);
	rig->set.dry_run = false;
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 50;
	assert_int_equal(go(rig), 0);
	assert_false(rig->report.held);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 0);
}

static void test_held_messages_go_when_allowed_later(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 100);
	assert_int_equal(go(rig), 0);
	for (uint32_t uid = 1; uid <= 50; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	assert_int_equal(go(rig), 0);
	assert_true(rig->report.held);
	rig->set.allow_deletes_given = true;
	rig->set.allow_deletes = 50;
	assert_int_equal(go(rig), 0);
	assert_int_equal(rig->report.removed, 50);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 0);
}

static void test_a_moved_message_keeps_a_copy_when_its_new_place_cannot_be_read(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	memory_mailbox_get(&rig->source, "Archive");
	assert_int_equal(go(rig), 0);
	memory_delete(&rig->source, "INBOX", 2);
	memory_deliver(&rig->source, "Archive", "INBOX message 2\r\n", "");
	memory_mailbox_get(&rig->source, "Archive")->v[0].poison = true;
	assert_int_equal(go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	assert_true(rig->report.incomplete);
	/* readable again: the copy moves */
	memory_mailbox_get(&rig->source, "Archive")->v[0].poison = false;
	assert_int_equal(go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_false(rig->report.incomplete);
}

static void test_an_unreadable_mailbox_is_skipped_and_named(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 3);
	fill(rig, "Bad", 1, 3);
	memory_mailbox_get(&rig->source, "Bad")->unreadable = true;
	assert_int_equal(go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 3);
	memory_mailbox_get(&rig->source, "Bad")->unreadable = false;
	assert_int_equal(go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_a_listing_that_omits_a_message_deletes_nothing(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	assert_int_equal(go(rig), 0);
	memory_set_flags(&rig->source, "INBOX", 1, "");
	memory_mailbox_get(&rig->source, "INBOX")->hide = 4;
	assert_int_equal(go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	assert_true(rig->report.incomplete);
	memory_mailbox_get(&rig->source, "INBOX")->hide = 0;
	assert_int_equal(go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_false(rig->report.incomplete);
}

static void test_a_changed_uidvalidity_or_a_gone_mailbox_is_left_alone(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	fill(rig, "Old", 1, 2);
	assert_int_equal(go(rig), 0);
	memory_mailbox_get(&rig->source, "INBOX")->uidvalidity++;
	memory_mailbox_get(&rig->source, "Old")->gone_from_list = true;
	assert_int_equal(go(rig), 0);
	assert_true(rig->report.incomplete);
	assert_int_equal(rig->report.n, 2);
	assert_true(rig->report.v[0].skipped && rig->report.v[1].skipped);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	assert_int_equal(memory_live(&rig->target, "Old"), 2);
}

static void test_a_cut_line_resumes_without_fetching_again(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 10);
	rig->source.fail_after = 4;
	assert_int_equal(go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_RETRY);
	assert_int_equal(rig->report.new_messages, 4);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
	rig->source.fail_after = 0;
	assert_int_equal(go(rig), 0);
	assert_int_equal(rig->source.fetched, 6);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_forty_nights_of_emptied_trash_pass(void **state)
{
	struct rig *rig = *state;

	memory_mailbox_get(&rig->source, "Trash")->attributes = MAILBOX_TRASH;
	fill(rig, "INBOX", 1, 5);
	for (int night = 0; night < 40; night++) {
		struct memory_mailbox *trash = memory_mailbox_get(&rig->source, "Trash");

		while (trash->n > 0)
			memory_delete(&rig->source, "Trash", trash->v[0].uid);
		fill(rig, "Trash", night * 50, night * 50 + 49);
		if (night % 2) {
			struct memory_mailbox *drafts = memory_mailbox_get(&rig->source, "Drafts");

			memory_delete(&rig->source, "Drafts", drafts->v[0].uid);
		} else {
			fill(rig, "Drafts", night, night);
		}
		assert_int_equal(go(rig), 0);
		assert_false(rig->report.held);
		assert_false(rig->report.incomplete);
		assert_true(memory_equal(&rig->source, &rig->target));
	}
}

static void test_a_lost_store_stops_the_job_before_anything_is_touched(void **state)
{
	struct rig *rig = *state;
	unsigned opened;

	fill(rig, "INBOX", 1, 5);
	assert_int_equal(go(rig), 0);
	for (int presence = STORE_MISSING; presence <= STORE_FOREIGN; presence++) {
		rig->target.presence = (enum store_presence)presence;
		opened = rig->source.opened + rig->target.opened;
		assert_int_equal(go(rig), -1);
		assert_int_equal(rig->err.kind, ERR_HELD);
		assert_int_equal(rig->source.opened + rig->target.opened, opened);
	}
	rig->target.presence = STORE_OURS;
	rig->target.uuid[0] ^= 1; /* another store of ours */
	assert_int_equal(go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_HELD);
}

static void test_a_store_from_elsewhere_is_not_pruned_in_its_first_run(void **state)
{
	struct rig *rig = *state;
	char *path = record_path(rig->state, "nightly");

	fill(rig, "INBOX", 1, 5);
	assert_int_equal(go(rig), 0);
	unlink(path);
	free(path);
	memory_delete(&rig->source, "INBOX", 1);
	assert_int_equal(go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	assert_int_equal(go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_the_mail_of_another_account_is_refused(void **state)
{
	struct rig *rig = *state;

	fill(rig, "INBOX", 1, 5);
	assert_int_equal(go(rig), 0);
	rig->set.source_config.account = "bob@host";
	memory_mailbox_get(&rig->source, "INBOX")->uidvalidity = 77;
	assert_int_equal(go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_CONFIG);
	assert_non_null(strstr(rig->err.text, "--rebind"));
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
}

static void test_a_part_is_backed_up_without_deletions(void **state)
{
	struct rig *rig = *state;
	static const char *const only[] = { "INBOX" };

	fill(rig, "INBOX", 1, 5);
	fill(rig, "Sent", 1, 5);
	assert_int_equal(go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	fill(rig, "INBOX", 6, 6);
	fill(rig, "Sent", 6, 6);
	rig->set.only = only;
	rig->set.n_only = 1;
	assert_int_equal(go(rig), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 6);
	assert_int_equal(memory_live(&rig->target, "Sent"), 5);
	rig->set.n_only = 0;
	assert_int_equal(go(rig), 0);
	assert_true(memory_equal(&rig->source, &rig->target));
}

static void test_deletions_keep_turns_gone_into_kept_and_takes_them_back(void **state)
{
	struct rig *rig = *state;

	rig->set.deletions = DELETIONS_KEEP;
	fill(rig, "INBOX", 1, 3);
	assert_int_equal(go(rig), 0);
	memory_delete(&rig->source, "INBOX", 1);
	memory_delete(&rig->source, "INBOX", 2);
	memory_delete(&rig->source, "INBOX", 3);
	assert_int_equal(go(rig), 0);
	assert_false(rig->report.held); /* nothing is lost, so the guard has no say */
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 3);
	memory_deliver(&rig->source, "INBOX", "INBOX message 2\r\n", "");
	assert_int_equal(go(rig), 0);
	assert_int_equal(rig->report.adopted, 1);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 2);
}

/* Random histories with cut lines: after a run that ended well, both sides are equal. */
static void test_random_histories_end_equal(void **state)
{
	static const char *const names[] = { "INBOX", "a", "b/c" };
	struct rig *rig = *state;
	int serial = 0;

	srand(7);
	rig->set.max_delete = (struct guard_limits){ .count = 1000, .percent = 100 };
	fill(rig, "INBOX", 1, 1); /* never all empty, which always trips */
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
		if (go(rig) == 0) {
			assert_true(memory_equal(&rig->source, &rig->target));
			continue;
		}
		rig->source.fail_after = 0;
		assert_int_equal(go(rig), 0);
		assert_true(memory_equal(&rig->source, &rig->target));
		assert_int_equal(go(rig), 0);
		assert_int_equal(rig->source.fetched, 0);
	}
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(test_a_backup_makes_the_target_equal_and_a_second_run_does_nothing),
		WITH_RIG(test_flags_additions_and_deletions_follow_the_source),
		WITH_RIG(test_a_dry_run_changes_nothing_and_says_what_it_would_do),
		WITH_RIG(test_an_emptied_account_is_held_back_and_new_mail_still_stored),
		WITH_RIG(test_allowed_deletions_go_through_once),
		WITH_RIG(test_held_messages_go_when_allowed_later),
		WITH_RIG(test_a_moved_message_keeps_a_copy_when_its_new_place_cannot_be_read),
		WITH_RIG(test_an_unreadable_mailbox_is_skipped_and_named),
		WITH_RIG(test_a_listing_that_omits_a_message_deletes_nothing),
		WITH_RIG(test_a_changed_uidvalidity_or_a_gone_mailbox_is_left_alone),
		WITH_RIG(test_a_cut_line_resumes_without_fetching_again),
		WITH_RIG(test_forty_nights_of_emptied_trash_pass),
		WITH_RIG(test_a_lost_store_stops_the_job_before_anything_is_touched),
		WITH_RIG(test_a_store_from_elsewhere_is_not_pruned_in_its_first_run),
		WITH_RIG(test_the_mail_of_another_account_is_refused),
		WITH_RIG(test_a_part_is_backed_up_without_deletions),
		WITH_RIG(test_deletions_keep_turns_gone_into_kept_and_takes_them_back),
		WITH_RIG(test_random_histories_end_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
