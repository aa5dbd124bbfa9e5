/* Restoring into an account, on stores in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mail/mailbox_name.h"
#include "tests/lib/restore_rig.h"

static int set_up(void **state)
{
	struct restore_rig *rig = restore_rig_new("ann@old");

	rig->set.state_dir = "/nowhere";
	/* Its name begins like that of a source, which tells its own state. */
	rig->set.target_config = (struct store_config){ .name = "server", .account = "ann@host",
							.settings = &rig->target };
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	restore_rig_free(*state);
	return 0;
}

static void fill(struct memory_world *w, const char *mailbox, int from, int to)
{
	for (int i = from; i <= to; i++) {
		char body[64];

		snprintf(body, sizeof(body), "%s message %.*s\r\n", mailbox, i, "xxxxxxxxxxxxxxxxxxxxxxxx");
		memory_deliver(w, mailbox, body, i % 2 ? "\\Seen" : "$Todo \\Flagged");
	}
}

/* The archive of a mailbox of the account, as after a backup: bound to the UIDs that are there now. */
static void back_up(struct restore_rig *rig, const char *mailbox)
{
	struct memory_mailbox *from = memory_mailbox_get(&rig->target, mailbox);

	free(rig->source.account);
	rig->source.account = strdup("ann@host");
	for (size_t i = 0; i < from->n; i++) {
		struct memory_mailbox *to;

		memory_deliver(&rig->source, mailbox, from->v[i].body, "");
		to = memory_mailbox_get(&rig->source, mailbox);
		flags_copy(&to->v[to->n - 1].flags, &from->v[i].flags);
		to->v[to->n - 1].source_uid = from->v[i].uid;
		to->base.token = (struct token){ .known = true, .uidvalidity = from->uidvalidity,
						 .uidnext = from->uidnext };
	}
}

static void test_all_of_a_store_comes_into_an_account_and_a_second_run_adds_nothing(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 10);
	fill(&rig->source, "Work/2024", 1, 5);
	memory_mailbox_get(&rig->source, "Empty");
	restore_rig_succeed(rig);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(rig->report.added, 15);
	assert_true(restore_rig_line(rig, "Empty")->created);
	assert_int_equal(rig->source.fetched, 15); /* nothing had to be hashed */
	assert_int_equal(rig->target.looked_into, 0);
	assert_int_equal(memory_mailbox_get(&rig->target, "INBOX")->v[0].source_uid, 0);
	restore_rig_succeed(rig);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(rig->report.added, 0);
	assert_int_equal(rig->report.present, 15);
	assert_int_equal(rig->target.looked_into, 15);
}

static void test_only_messages_whose_size_fits_are_looked_into(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 3);
	fill(&rig->target, "INBOX", 3, 10); /* one of them is the third */
	memory_deliver(&rig->target, "INBOX", "INBOX message y\r\n", ""); /* the size of the first */
	restore_rig_succeed(rig);
	assert_int_equal(rig->target.looked_into, 2);
	assert_int_equal(rig->source.fetched, 2 + 2); /* two hashed, and two added */
	assert_int_equal(rig->report.added, 2);
	assert_int_equal(rig->report.present, 1);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 11);
}

static void test_in_the_account_it_is_of_messages_are_known_by_their_uids(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->target, "INBOX", 1, 10);
	fill(&rig->target, "Work", 1, 2);
	back_up(rig, "INBOX");
	back_up(rig, "Work");
	memory_delete(&rig->target, "INBOX", 4);
	memory_delete(&rig->target, "INBOX", 10);
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 2);
	assert_int_equal(rig->report.present, 10);
	assert_int_equal(rig->target.looked_into, 0);
	assert_int_equal(rig->source.fetched, 2);
	assert_true(memory_equal(&rig->source, &rig->target));
	/* They have other UIDs now, and are known by content. */
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 0);
	assert_int_equal(rig->target.looked_into, 2);
}

static void test_uids_mean_nothing_after_another_uidvalidity(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->target, "INBOX", 1, 4);
	back_up(rig, "INBOX");
	memory_mailbox_get(&rig->target, "INBOX")->uidvalidity++;
	memcpy(memory_mailbox_get(&rig->target, "INBOX")->v[0].body, "inbox", 5);
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 1);
	assert_int_equal(rig->report.present, 3);
}

static void test_uids_mean_nothing_in_another_account(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->target, "INBOX", 1, 4);
	back_up(rig, "INBOX");
	free(rig->source.account);
	rig->source.account = strdup("ben@host");
	/* Of the same size, under the UID of the first. */
	memcpy(memory_mailbox_get(&rig->target, "INBOX")->v[0].body, "inbox", 5);
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 1);
	assert_int_equal(rig->report.present, 3);
}

/* Servers that count UIDVALIDITY from 1 give it to many mailboxes. */
static void test_uids_mean_nothing_in_another_mailbox(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->target, "Sent Messages", 1, 2);
	memory_mailbox_get(&rig->target, "Sent Messages")->uidvalidity = 7;
	back_up(rig, "Sent Messages");
	memory_remove_mailbox(&rig->target, "Sent Messages");
	fill(&rig->target, "Sent", 1, 2);
	memory_mailbox_get(&rig->target, "Sent")->uidvalidity = 7;
	memory_mailbox_get(&rig->target, "Sent")->attributes = MAILBOX_SENT;
	memory_mailbox_get(&rig->source, "Sent Messages")->attributes = MAILBOX_SENT;
	/* Of the same sizes as those of the archive. */
	for (int i = 0; i < 2; i++) {
		struct memory_message *m = &memory_mailbox_get(&rig->target, "Sent")->v[i];

		free(m->body);
		m->body = strdup(memory_mailbox_get(&rig->source, "Sent Messages")->v[i].body);
		m->body[0] = '!';
	}
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 2);
	assert_int_equal(memory_live(&rig->target, "Sent"), 4);
}

static void test_a_uid_of_another_size_is_another_message(void **state)
{
	struct restore_rig *rig = *state;
	struct memory_message *m;

	fill(&rig->target, "INBOX", 1, 4);
	back_up(rig, "INBOX");
	m = &memory_mailbox_get(&rig->target, "INBOX")->v[1];
	free(m->body);
	m->body = strdup("the server was put back, and gave the UID out again\r\n");
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 1);
	assert_int_equal(rig->report.present, 3);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
}

static void test_flags_are_reset_when_it_is_said_and_only_then(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->target, "INBOX", 1, 4);
	back_up(rig, "INBOX");
	memory_set_flags(&rig->target, "INBOX", 1, "\\Seen \\Answered $Mine");
	memory_set_flags(&rig->target, "INBOX", 3, "");
	/* Known by content. */
	memory_mailbox_get(&rig->source, "INBOX")->v[2].source_uid = 0;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.flags_changed, 0);
	assert_false(memory_equal(&rig->source, &rig->target));
	rig->set.flags = true;
	rig->set.dry_run = true;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.flags_changed, 2);
	assert_false(memory_equal(&rig->source, &rig->target));
	rig->set.dry_run = false;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.flags_changed, 2);
	assert_int_equal(restore_rig_line(rig, "INBOX")->flags_changed, 2);
	assert_int_equal(rig->report.added, 0);
	assert_true(memory_equal(&rig->source, &rig->target));
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.flags_changed, 0);
}

static void test_mailboxes_have_the_names_that_the_account_has_for_them(void **state)
{
	struct restore_rig *rig = *state;

	/* An archive of a server that puts everything below INBOX. */
	fill(&rig->source, "INBOX", 1, 1);
	fill(&rig->source, "INBOX/Sent Messages", 1, 2);
	fill(&rig->source, "INBOX/Work", 1, 3);
	memory_mailbox_get(&rig->source, "INBOX/Sent Messages")->attributes = MAILBOX_SENT;
	memory_mailbox_get(&rig->target, "Sent")->attributes = MAILBOX_SENT;
	restore_rig_succeed(rig);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 1);
	assert_int_equal(memory_live(&rig->target, "Sent"), 2);
	assert_int_equal(memory_live(&rig->target, "Work"), 3);
	assert_int_equal(rig->target.stable.n, 3);
	assert_string_equal(restore_rig_line(rig, "INBOX/Work")->target, "Work");
	assert_null(restore_rig_line(rig, "INBOX")->target);
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 0);
}

static void test_names_below_inbox_stay_where_the_account_has_such(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX/Work", 1, 3);
	memory_mailbox_get(&rig->target, "INBOX/Other");
	restore_rig_succeed(rig);
	assert_int_equal(memory_live(&rig->target, "INBOX/Work"), 3);
}

static void test_all_can_be_put_below_one_mailbox(void **state)
{
	struct mailbox_name into = MAILBOX_NAME_INIT;
	struct restore_rig *rig = *state;

	assert_int_equal(mailbox_name_from_display(&into, bytes_of("Back/Again"), &rig->err), 0);
	fill(&rig->source, "INBOX", 1, 2);
	fill(&rig->source, "Work/2024", 1, 1);
	fill(&rig->target, "INBOX", 1, 2);
	rig->set.into = &into;
	for (int run = 0; run < 2; run++) {
		restore_rig_succeed(rig);
		assert_int_equal(rig->report.added, run ? 0 : 3);
		assert_int_equal(memory_live(&rig->target, "Back/Again/INBOX"), 2);
		assert_int_equal(memory_live(&rig->target, "Back/Again/Work/2024"), 1);
		assert_int_equal(memory_live(&rig->target, "INBOX"), 2);
	}
	mailbox_name_release(&into);
}

static int choose_even(void *ctx, struct mailbox *mb, const struct changes *have, struct uidset *out,
		       struct err *err)
{
	(void)ctx;
	(void)mb;
	(void)err;
	for (size_t i = 0; i < have->n; i++)
		if (have->v[i].uid % 2 == 0)
			uidset_add(out, have->v[i].uid);
	return 0;
}

static void test_only_messages_that_are_chosen_are_restored(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 5);
	fill(&rig->source, "Work", 1, 1);
	rig->set.choose = choose_even;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.added, 2);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 2);
	assert_string_equal(memory_mailbox_get(&rig->target, "INBOX")->v[1].body,
			    "INBOX message xxxx\r\n");
	assert_false(memory_has_mailbox(&rig->target, "Work"));
}

static void test_what_a_job_put_there_is_remembered_elsewhere(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 1);
	rig->target.presence = STORE_OURS;
	rig->target.account = strdup("ben@host");
	assert_int_equal(restore_run(&rig->set, &rig->report, &rig->err), -1);
	assert_int_equal(rig->err.kind, ERR_HELD);
	assert_non_null(strstr(rig->err.text, "/nowhere/restore-ann@host.db"));
	assert_int_equal(rig->target.opened, 0);
}

static void test_little_room_is_said_before(void **state)
{
	struct restore_rig *rig = *state;
	char body[5001];

	memset(body, 'x', 5000);
	body[5000] = '\0';
	memory_deliver(&rig->source, "INBOX", body, "");
	rig->target.room = 4000;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.n_notes, 1);
	assert_string_equal(rig->report.notes[0],
			    "5 kB are missing, and there is room for 4 kB: not all of it will be taken");
	memory_delete(&rig->target, "INBOX", 1);
	rig->target.room = 5000;
	restore_rig_succeed(rig);
	assert_int_equal(rig->report.n_notes, 0);
}

static void test_a_mailbox_that_is_not_listed_is_not_filled_once_more(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 2);
	fill(&rig->source, "Work", 1, 2);
	fill(&rig->target, "Work", 1, 2);
	memory_mailbox_get(&rig->target, "Work")->gone_from_list = true;
	for (int dry = 1; dry >= 0; dry--) {
		rig->set.dry_run = dry;
		restore_rig_succeed(rig);
		assert_true(rig->report.incomplete);
		assert_true(restore_rig_line(rig, "Work")->skipped);
		assert_int_equal(rig->report.added, 2);
		assert_int_equal(memory_live(&rig->target, "Work"), 2);
	}
}

static void test_a_mailbox_that_is_not_told_whole_is_left_alone(void **state)
{
	struct restore_rig *rig = *state;

	fill(&rig->source, "INBOX", 1, 2);
	fill(&rig->source, "Work", 1, 2);
	fill(&rig->target, "Work", 1, 2);
	memory_mailbox_get(&rig->target, "Work")->hide = 1;
	restore_rig_succeed(rig);
	assert_true(rig->report.incomplete);
	assert_true(restore_rig_line(rig, "Work")->skipped);
	assert_int_equal(memory_live(&rig->target, "Work"), 2);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 2);
}

static size_t count(struct memory_world *w, const char *body)
{
	struct memory_mailbox *m = memory_mailbox_get(w, "INBOX");
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += strcmp(m->v[i].body, body) == 0;
	return n;
}

static void test_random_mailboxes_become_the_union_of_both(void **state)
{
	static const char *const bodies[] = { "a\r\n", "b\r\n", "aa\r\n", "bb\r\n", "c\r\n" };
	struct restore_rig *rig = *state;

	srand(7);
	for (int round = 0; round < 300; round++) {
		size_t had[5];

		memory_world_release(&rig->source);
		memory_world_release(&rig->target);
		rig->source.presence = STORE_OURS;
		memory_mailbox_get(&rig->source, "INBOX");
		memory_mailbox_get(&rig->target, "INBOX");
		for (int i = rand() % 20; i > 0; i--)
			memory_deliver(&rig->target, "INBOX", bodies[rand() % 5], "");
		if (round % 2)
			back_up(rig, "INBOX");
		for (int i = rand() % 10; i > 0; i--)
			memory_deliver(&rig->source, "INBOX", bodies[rand() % 5], "");
		for (int i = rand() % 10; i > 0; i--) {
			struct memory_mailbox *m = memory_mailbox_get(&rig->target, "INBOX");

			if (m->n > 0 && rand() % 2)
				memory_delete(&rig->target, "INBOX", m->v[(size_t)rand() % m->n].uid);
			else
				memory_deliver(&rig->target, "INBOX", bodies[rand() % 5], "");
		}
		for (size_t b = 0; b < 5; b++)
			had[b] = count(&rig->target, bodies[b]);
		restore_rig_succeed(rig);
		for (size_t b = 0; b < 5; b++) {
			size_t there = count(&rig->source, bodies[b]);

			assert_int_equal(count(&rig->target, bodies[b]), there > had[b] ? there : had[b]);
		}
	}
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(test_all_of_a_store_comes_into_an_account_and_a_second_run_adds_nothing),
		RIGGED(test_only_messages_whose_size_fits_are_looked_into),
		RIGGED(test_in_the_account_it_is_of_messages_are_known_by_their_uids),
		RIGGED(test_uids_mean_nothing_after_another_uidvalidity),
		RIGGED(test_uids_mean_nothing_in_another_account),
		RIGGED(test_uids_mean_nothing_in_another_mailbox),
		RIGGED(test_a_uid_of_another_size_is_another_message),
		RIGGED(test_flags_are_reset_when_it_is_said_and_only_then),
		RIGGED(test_mailboxes_have_the_names_that_the_account_has_for_them),
		RIGGED(test_names_below_inbox_stay_where_the_account_has_such),
		RIGGED(test_all_can_be_put_below_one_mailbox),
		RIGGED(test_only_messages_that_are_chosen_are_restored),
		RIGGED(test_what_a_job_put_there_is_remembered_elsewhere),
		RIGGED(test_little_room_is_said_before),
		RIGGED(test_a_mailbox_that_is_not_listed_is_not_filled_once_more),
		RIGGED(test_a_mailbox_that_is_not_told_whole_is_left_alone),
		RIGGED(test_random_mailboxes_become_the_union_of_both),
	};

	return cmocka_run_group_tests_name("restore to an account", tests, NULL, NULL);
}
