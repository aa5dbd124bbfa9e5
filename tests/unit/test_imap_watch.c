#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/imap/commands.h"
#include "core/imap/commands_watch.h"
#include "core/imap/loop.h"
#include "tests/lib/imap_play.h"
#include "tests/lib/imap_rig.h"

/* IDLE, NOTIFY and the listener, against a script. */

static void add_event(struct buf *log, const struct imap_event *ev)
{
	static const char *const names[] = {
		[IMAP_EVENT_EXISTS] = "exists", [IMAP_EVENT_REMOVED] = "removed",
		[IMAP_EVENT_FLAGS] = "flags",	[IMAP_EVENT_STATUS] = "status",
		[IMAP_EVENT_NAME] = "name",	[IMAP_EVENT_OVERFLOW] = "overflow",
	};

	buf_addf(log, "%s ", names[ev->kind]);
}

/* Enough once a message was removed. */
static bool on_event(void *ctx, const struct imap_event *ev)
{
	struct imap_rig *rig = ctx;

	add_event(&rig->log, ev);
	return ev->kind != IMAP_EVENT_REMOVED;
}

static void on_news(void *ctx, const struct imap_response *r)
{
	struct imap_event ev;

	if (imap_event_from(r, &ev))
		add_event(&((struct imap_rig *)ctx)->log, &ev);
}

static void test_idle_tells_events_until_enough_and_says_done(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open_inbox(&rig, "IDLE", false,
			    "C: a IDLE\nS: + idling\nS: * OK Still here\nS: * 10 EXISTS\n"
			    "S: * 3 FETCH (FLAGS (\\Seen))\nS: * 2 EXPUNGE\nC= DONE\nS: a OK\n"
			    "C: b NOOP\nS: b OK\n");
	assert_int_equal(imap_idle_wait(rig.session, on_event, &rig, clock_ms() + 5000, &rig.err),
			 0);
	imap_rig_expect(&rig, "exists flags removed ");
	assert_int_equal(imap_session_mailbox(rig.session)->exists, 9);
	assert_true(imap_session_mailbox(rig.session)->flags_dirty);
	assert_int_equal(imap_noop_wait(rig.session, &rig.err), 0);
	imap_rig_close(&rig);
}

static void test_idle_ends_at_its_time_though_nothing_came(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open_inbox(&rig, "IDLE", false, "C: a IDLE\nS: + idling\nC= DONE\nS: a OK\n");
	rig.account.timeout_ms = 20; /* far less, and the server has 30 of them to come to an end */
	assert_int_equal(imap_idle_wait(rig.session, on_event, &rig, clock_ms() + 700, &rig.err),
			 0);
	imap_rig_expect(&rig, "");
	imap_rig_close(&rig);
}

/* Silence is what an IDLE consists of; after DONE the server must answer in time. */
static void test_idle_may_be_silent_but_done_must_be_answered(void **state)
{
	struct imap_rig rig;
	int64_t begin;

	(void)state;
	imap_rig_open_inbox(&rig, "IDLE", false, "C: a IDLE\nS: + idling\nC= DONE\n");
	rig.account.timeout_ms = 50;
	begin = clock_ms();
	assert_int_equal(imap_idle_wait(rig.session, on_event, &rig, begin + 200, &rig.err), -1);
	assert_int_equal(rig.err.kind, ERR_RETRY);
	assert_true(clock_ms() - begin >= 250);
	imap_rig_close(&rig);
}

static void test_an_idle_that_is_refused_or_cut_off_fails(void **state)
{
	static const struct {
		const char *answer;
		enum err_kind kind;
	} cases[] = {
		{ "S: a NO not now\n", ERR_MAILBOX },
		{ "S: a BAD what?\n", ERR_MAILBOX },
		{ "S: + idling\nS: * BYE going down\nEND\n", ERR_RETRY },
		{ "S: + idling\nS: + again\nEND\n", ERR_RETRY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf script = BUF_INIT(4096);
		struct imap_rig rig;

		buf_addf(&script, "C: a IDLE\n%s", cases[i].answer);
		imap_rig_open_inbox(&rig, "IDLE", false, buf_str(&script));
		assert_int_equal(imap_idle_wait(rig.session, on_event, &rig, clock_ms() + 5000,
						&rig.err), -1);
		assert_int_equal(rig.err.kind, cases[i].kind);
		imap_rig_close(&rig);
		buf_release(&script);
	}
}

static void test_commands_wait_for_the_end_of_idle(void **state)
{
	struct imap_idle *idle;
	struct imap_rig rig;

	(void)state;
	imap_rig_open_inbox(&rig, "IDLE", false,
			    "C: a IDLE\nS: + idling\nC= DONE\nS: a OK\nC: b NOOP\nS: b OK\n");
	assert_int_equal(imap_idle(rig.session, imap_rig_note, &rig, &idle, &rig.err), 0);
	imap_noop(rig.session, imap_rig_note, &rig);
	imap_idle_end(idle); /* before the server was ready: DONE follows its `+` */
	imap_rig_drain(&rig);
	imap_rig_expect(&rig, "ok ok ");
	imap_rig_close(&rig);
}

static void test_idle_needs_the_extension_and_a_mailbox(void **state)
{
	struct imap_idle *idle;
	struct imap_rig rig;

	(void)state;
	imap_rig_open_inbox(&rig, "", false, "");
	assert_int_equal(imap_idle(rig.session, NULL, NULL, &idle, &rig.err), -1);
	assert_non_null(strstr(rig.err.text, "IDLE"));
	imap_rig_close(&rig);
	imap_rig_open(&rig, "IDLE", "");
	assert_int_equal(imap_idle_wait(rig.session, on_event, &rig, clock_ms() + 5000, &rig.err),
			 -1);
	assert_non_null(strstr(rig.err.text, "no mailbox"));
	imap_rig_close(&rig);
}

static bool log_ends_with_overflow(void *ctx)
{
	return strstr(buf_str(&((struct imap_rig *)ctx)->log), "overflow") != NULL;
}

static void test_notify_tells_of_other_mailboxes_without_a_command(void **state)
{
	const struct imap_notify_request all = { .status = true, .selected = true, .others = true };
	const struct imap_notify_request none = { 0 };
	struct imap_rig rig;
	bool accepted;

	(void)state;
	imap_rig_open(&rig, "NOTIFY",
		      "C: a NOTIFY SET STATUS (SELECTED (MessageNew (UID FLAGS) MessageExpunge "
		      "FlagChange)) (PERSONAL (MessageNew FlagChange MessageExpunge MailboxName "
		      "SubscriptionChange))\n"
		      "S: * STATUS x (MESSAGES 3)\nS: a OK\n"
		      "PAUSE\n"
		      "S: * STATUS x (MESSAGES 4)\nS: * LIST () \"/\" new\n"
		      "S: * OK [NOTIFICATIONOVERFLOW] too much\n"
		      "C: b NOTIFY NONE\nS: b OK\n");
	imap_session_listen(rig.session, on_news, &rig);
	assert_int_equal(imap_notify_wait(rig.session, &all, &accepted, &rig.err), 0);
	assert_true(accepted);
	imap_rig_expect(&rig, "status ");
	play_resume(rig.play);
	assert_int_equal(loop_run(rig.loop, log_ends_with_overflow, &rig, &rig.err), 0);
	imap_rig_expect(&rig, "status name overflow ");
	assert_int_equal(imap_notify_wait(rig.session, &none, &accepted, &rig.err), 0);
	imap_rig_close(&rig);
}

static void test_notify_says_when_something_else_has_to_be_used(void **state)
{
	const struct imap_notify_request others = { .others = true };
	struct imap_rig rig;
	bool accepted = true;

	(void)state;
	imap_rig_open(&rig, "", "");
	assert_int_equal(imap_notify_wait(rig.session, &others, &accepted, &rig.err), 0);
	assert_false(accepted);
	imap_rig_close(&rig);
	imap_rig_open(&rig, "NOTIFY", "C: a NOTIFY SET (PERSONAL ...\nS: a NO [BADEVENT (x)] no\n"
				      "C: b NOTIFY SET (PERSONAL ...\nEND\n");
	assert_int_equal(imap_notify_wait(rig.session, &others, &accepted, &rig.err), 0);
	assert_false(accepted);
	assert_int_equal(imap_notify_wait(rig.session, &others, &accepted, &rig.err), -1);
	imap_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_tells_events_until_enough_and_says_done),
		cmocka_unit_test(test_idle_ends_at_its_time_though_nothing_came),
		cmocka_unit_test(test_idle_may_be_silent_but_done_must_be_answered),
		cmocka_unit_test(test_an_idle_that_is_refused_or_cut_off_fails),
		cmocka_unit_test(test_commands_wait_for_the_end_of_idle),
		cmocka_unit_test(test_idle_needs_the_extension_and_a_mailbox),
		cmocka_unit_test(test_notify_tells_of_other_mailboxes_without_a_command),
		cmocka_unit_test(test_notify_says_when_something_else_has_to_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
