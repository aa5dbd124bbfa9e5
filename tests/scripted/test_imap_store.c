#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/imap/imap.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/fake_imap.h"
#include "tests/lib/store_probe.h"
#include "tests/lib/support.h"

/* --- with the fake server: one mailbox of ten messages, UIDs 2, 4, ... 20 --- */

struct setting {
	struct fake_imap *fake;
	struct fake_mailbox *mb;
	struct store_probe probe;
	struct probe_sink sink;
	struct uidset set;
	struct want want;
};

static void fill(struct fake_mailbox *mb)
{
	for (uint32_t uid = 2; uid <= 20; uid += 2) {
		char *body = xasprintf("Subject: %u\r\n\r\nbody of %u\r\n", uid, uid);

		fake_message(mb, uid, uid % 4 ? "\\Seen" : "", NULL, bytes_of(body));
		free(body);
	}
}

static int setup(void **state)
{
	struct setting *t = xcalloc(1, sizeof(*t));

	t->fake = fake_new();
	t->mb = fake_mailbox(t->fake, bytes_of("INBOX"));
	fill(t->mb);
	probe_sink_init(&t->sink);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct setting *t = *state;

	if (t->probe.port)
		probe_close(&t->probe);
	fake_free(t->fake);
	uidset_release(&t->set);
	probe_sink_release(&t->sink);
	free(t);
	return 0;
}

static void connect_to(struct setting *t)
{
	fake_start(t->fake);
	probe_init(&t->probe, fake_port(t->fake), "me");
	t->probe.account.connections = 1;
	probe_open(&t->probe);
	probe_list(&t->probe, NULL);
}

/* Fetch everything: as an upper bound, or exactly the ten. */
static int fetch_set(struct setting *t, bool exact, uint32_t extra, struct err *err)
{
	uidset_clear(&t->set);
	if (extra)
		uidset_add(&t->set, extra);
	if (exact)
		for (uint32_t uid = 2; uid <= 20; uid += 2)
			uidset_add(&t->set, uid);
	else
		uidset_add_range(&t->set, 1, 20);
	t->want = (struct want){ .mailbox = probe_mailbox(&t->probe, "INBOX"), .set = &t->set,
				 .exact = exact, .expect = 10, .tag = t };
	return store_fetch(t->probe.store, &t->want, 1, &t->sink.sink, probe_report, &t->sink, err);
}

static int fetch(struct setting *t, bool exact, struct err *err)
{
	return fetch_set(t, exact, 0, err);
}

static void fetch_to_the_end(struct setting *t, bool exact)
{
	struct err err;

	if (fetch(t, exact, &err) < 0)
		fail_msg("fetch: %s", err.text);
	assert_int_equal(t->sink.open, 0);
}

static bool was_sent(struct setting *t, const char *part)
{
	struct buf sent = BUF_INIT(1 << 20);
	bool found;

	fake_commands(t->fake, &sent);
	found = strstr(buf_str(&sent), part);
	buf_release(&sent);
	return found;
}

static void assert_delivered_but(struct setting *t, uint32_t not)
{
	for (uint32_t uid = 2; uid <= 20; uid += 2)
		if (uid != not) {
			probe_message(&t->sink, t, uid);
			assert_int_equal(probe_outcome(&t->sink, t, uid)->what, OUTCOME_DONE);
		}
	assert_int_equal(t->sink.n, not ? 9 : 10);
}

static void test_a_message_left_out_once_is_asked_for_again(void **state)
{
	struct setting *t = *state;

	for (int exact = 0; exact < 2; exact++) {
		fake_trick(t->fake, t->mb, FAKE_OMIT, 8, 0, 1);
		connect_to(t);
		fetch_to_the_end(t, exact);
		assert_delivered_but(t, 0);
		assert_true(t->want.complete);
		teardown(state);
		setup(state);
		t = *state;
	}
}

static void test_a_message_always_left_out_is_unknown(void **state)
{
	struct setting *t = *state;

	fake_trick(t->fake, t->mb, FAKE_OMIT, 8, 0, -1);
	connect_to(t);
	fetch_to_the_end(t, true);
	assert_delivered_but(t, 8);
	assert_int_equal(probe_outcome(&t->sink, t, 8)->what, OUTCOME_UID_UNKNOWN);
	assert_true(t->want.complete);
}

static void test_a_message_that_search_finds_and_fetch_never_gives_is_refused(void **state)
{
	struct setting *t = *state;

	fake_trick(t->fake, t->mb, FAKE_OMIT, 8, 0, -1);
	connect_to(t);
	fetch_to_the_end(t, false);
	assert_delivered_but(t, 8);
	assert_int_equal(probe_outcome(&t->sink, t, 8)->what, OUTCOME_REFUSED);
	assert_true(t->want.complete);
	assert_true(was_sent(t, "UID SEARCH"));
}

static void test_one_message_the_server_refuses_does_not_cost_the_others(void **state)
{
	struct setting *t = *state;

	for (int exact = 0; exact < 2; exact++) {
		fake_trick(t->fake, t->mb, FAKE_NO, 14, 0, -1);
		connect_to(t);
		fetch_to_the_end(t, exact);
		assert_delivered_but(t, 14);
		assert_int_equal(probe_outcome(&t->sink, t, 14)->what, OUTCOME_REFUSED);
		assert_non_null(strstr(probe_outcome(&t->sink, t, 14)->why,
				       "a message cannot be read"));
		assert_true(t->want.complete);
		teardown(state);
		setup(state);
		t = *state;
	}
}

static void test_a_body_cut_once_is_had_whole_on_a_new_line(void **state)
{
	struct setting *t = *state;

	fake_trick(t->fake, t->mb, FAKE_CUT, 6, 5, 1);
	connect_to(t);
	fetch_to_the_end(t, false);
	assert_delivered_but(t, 0);
	assert_int_equal(t->sink.cut, 1);
	assert_true(t->want.complete);
}

static void test_a_message_that_always_breaks_the_line_is_refused_in_the_end(void **state)
{
	struct setting *t = *state;

	fake_trick(t->fake, t->mb, FAKE_CUT, 6, 5, -1);
	connect_to(t);
	fetch_to_the_end(t, false);
	assert_delivered_but(t, 6);
	assert_int_equal(probe_outcome(&t->sink, t, 6)->what, OUTCOME_REFUSED);
	assert_int_equal(t->sink.cut, 4);
	assert_true(t->want.complete);
}

static void test_a_mailbox_that_breaks_the_line_does_not_cost_the_others(void **state)
{
	struct setting *t = *state;
	struct fake_mailbox *bad = fake_mailbox(t->fake, bytes_of("Bad"));
	struct uidset set = UIDSET_INIT;
	struct want w[2];
	struct err err;

	fill(bad);
	fake_trick(t->fake, bad, FAKE_BYE, 0, 0, -1);
	connect_to(t);
	uidset_add_range(&set, 1, 20);
	w[0] = (struct want){ .mailbox = probe_mailbox(&t->probe, "Bad"), .set = &set, .tag = &w[0] };
	w[1] = (struct want){ .mailbox = probe_mailbox(&t->probe, "INBOX"), .set = &set, .tag = t };
	if (store_fetch(t->probe.store, w, 2, &t->sink.sink, probe_report, &t->sink, &err) < 0)
		fail_msg("fetch: %s", err.text);
	assert_false(w[0].complete);
	assert_int_not_equal(w[0].err.kind, ERR_NONE);
	assert_true(w[1].complete);
	assert_delivered_but(t, 0);
	uidset_release(&set);
}

static void test_a_mailbox_that_breaks_the_line_is_skipped_by_comparisons(void **state)
{
	struct setting *t = *state;
	struct fake_mailbox *bad = fake_mailbox(t->fake, bytes_of("Bad"));
	struct changes c[2];
	struct changes_request req[2] = { { .out = &c[0] }, { .out = &c[1] } };
	struct err err;

	fake_trick(t->fake, bad, FAKE_BYE, 0, 0, -1);
	connect_to(t);
	changes_init(&c[0]);
	changes_init(&c[1]);
	req[0].mailbox = probe_mailbox(&t->probe, "Bad");
	req[1].mailbox = probe_mailbox(&t->probe, "INBOX");
	if (store_changes(t->probe.store, req, 2, &err) < 0)
		fail_msg("changes: %s", err.text);
	assert_int_not_equal(c[0].err.kind, ERR_NONE);
	assert_int_equal(c[1].err.kind, ERR_NONE);
	assert_int_equal(c[1].n, 10);
	assert_true(c[1].complete);
	changes_release(&c[0]);
	changes_release(&c[1]);
}

static void test_a_count_that_nothing_reaches_is_no_completeness(void **state)
{
	struct setting *t = *state;

	fake_trick(t->fake, t->mb, FAKE_EXISTS, 0, 3, -1);
	connect_to(t);
	fetch_to_the_end(t, false);
	assert_delivered_but(t, 0); /* what there is has come */
	assert_false(t->want.complete);
	assert_int_equal(t->want.err.kind, ERR_MAILBOX);
	assert_non_null(strstr(t->want.err.text, "13 messages and shows 10"));
	assert_true(was_sent(t, "UID SEARCH"));
}

static void test_a_right_count_needs_no_search(void **state)
{
	struct setting *t = *state;

	connect_to(t);
	fetch_to_the_end(t, false);
	assert_delivered_but(t, 0);
	assert_true(t->want.complete);
	assert_false(was_sent(t, "UID SEARCH"));
}

static void test_a_comparison_that_does_not_count_up_is_tried_again_and_then_doubted(void **state)
{
	static const struct {
		int times;
		bool complete;
	} cases[] = { { 0, true }, { 1, true }, { -1, false } };
	struct setting *t;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct changes c;
		struct changes_request req = { .out = &c };
		struct err err;

		t = *state;
		changes_init(&c);
		connect_to(t);
		if (cases[i].times) {
			fake_stop(t->fake);
			fake_trick(t->fake, t->mb, FAKE_EXISTS, 0, 1, cases[i].times);
			fake_start(t->fake);
		}
		req.mailbox = probe_mailbox(&t->probe, "INBOX");
		if (store_changes(t->probe.store, &req, 1, &err) < 0)
			fail_msg("changes: %s", err.text);
		assert_int_equal(c.n, 10);
		assert_int_equal(c.complete, cases[i].complete);
		changes_release(&c);
		teardown(state);
		setup(state);
	}
}

static void test_another_uidvalidity_stops_the_mailbox(void **state)
{
	struct setting *t = *state;

	connect_to(t);
	fake_stop(t->fake);
	fake_uidvalidity(t->mb, 99);
	fake_start(t->fake);
	fetch_to_the_end(t, true);
	assert_int_equal(t->sink.n, 0);
	assert_false(t->want.complete);
	assert_int_equal(t->want.err.kind, ERR_MAILBOX);
	assert_int_equal(probe_outcome(&t->sink, t, 2)->what, OUTCOME_NO_ANSWER);
	assert_int_equal(t->sink.n_outcomes, 10);
}

static void test_a_message_the_sink_refuses_is_reported_and_the_rest_goes_on(void **state)
{
	struct setting *t = *state;

	connect_to(t);
	t->sink.refuse_uid = 10;
	fetch_to_the_end(t, false);
	assert_delivered_but(t, 10);
	assert_int_equal(probe_outcome(&t->sink, t, 10)->what, OUTCOME_REFUSED);
	assert_string_equal(probe_outcome(&t->sink, t, 10)->why, "refused by the test");
	assert_true(t->want.complete);
}

static void test_a_sink_that_cannot_go_on_ends_the_fetch(void **state)
{
	struct setting *t = *state;
	struct err err;

	connect_to(t);
	t->sink.fatal_uid = 10;
	assert_int_equal(fetch(t, true, &err), -1);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_string_equal(err.text, "the disk of the test is full");
	assert_int_equal(t->sink.n, 4);
	assert_int_equal(t->sink.open, 0);
	assert_int_equal(t->sink.n_outcomes, 10);
	assert_int_equal(probe_outcome(&t->sink, t, 8)->what, OUTCOME_DONE);
	assert_int_equal(probe_outcome(&t->sink, t, 10)->what, OUTCOME_NO_ANSWER);
	assert_int_equal(probe_outcome(&t->sink, t, 20)->what, OUTCOME_NO_ANSWER);
	assert_false(t->want.complete);
}

static void test_a_stop_ends_the_fetch_soon_and_the_rest_is_unanswered(void **state)
{
	struct setting *t = *state;
	struct buf big = BUF_INIT(40 << 20);
	struct err err;

	/* Enough to come that the stop is noticed before the end. */
	while (big.n < (32 << 20))
		buf_add_str(&big, "a line that is repeated often, as in the mail of robots\r\n");
	fake_message(t->mb, 30, "", NULL, buf_bytes(&big));
	buf_release(&big);
	connect_to(t);
	t->sink.stop_at_end = &t->probe.stop;
	assert_int_equal(fetch_set(t, true, 30, &err), -1);
	assert_int_equal(err.kind, ERR_STOPPED);
	assert_int_equal(t->sink.open, 0);
	assert_int_equal(t->sink.n_outcomes, 11);
	assert_int_equal(probe_outcome(&t->sink, t, 30)->what, OUTCOME_NO_ANSWER);
	assert_false(t->want.complete);
	t->probe.stop = 0;
}

static void test_a_line_that_cannot_be_had_again_ends_the_fetch(void **state)
{
	struct setting *t = *state;
	struct err err;

	connect_to(t);
	fake_stop(t->fake); /* connections are still taken by the kernel, but nobody answers */
	t->probe.account.timeout_ms = 300;
	assert_int_equal(fetch(t, true, &err), -1);
	assert_int_equal(err.kind, ERR_RETRY);
	assert_int_equal(t->sink.n_outcomes, 10);
	assert_int_equal(probe_outcome(&t->sink, t, 2)->what, OUTCOME_NO_ANSWER);
}

static void test_the_wrong_password_is_said_to_be_that(void **state)
{
	struct setting *t = *state;
	struct err err;

	fake_trick(t->fake, NULL, FAKE_LOGIN_NO, 0, 0, -1);
	fake_start(t->fake);
	probe_init(&t->probe, fake_port(t->fake), "me");
	assert_int_equal(store_open(&imap_store, &t->probe.store, &t->probe.cfg, STORE_READ, &err),
			 -1);
	assert_int_equal(err.kind, ERR_AUTH);
}

static void test_each_server_is_asked_for_its_mailboxes_in_its_own_way(void **state)
{
	static const struct {
		const char *capability;
		const char *sent[4], *not_sent[4];
	} cases[] = {
		{ "IMAP4rev1 NAMESPACE LIST-EXTENDED LIST-STATUS",
		  { "RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UIDNEXT UIDVALIDITY))",
		    "NAMESPACE" },
		  { "\nSTATUS", "LSUB", "HIGHESTMODSEQ" } },
		{ "IMAP4rev1 LIST-EXTENDED",
		  { "RETURN (SUBSCRIBED CHILDREN)", "STATUS INBOX", "STATUS Work" },
		  { "NAMESPACE", "LSUB", "CHILDREN STATUS" } },
		{ "IMAP4rev1", { "LIST \"\" *\n", "LSUB \"\" *\n", "STATUS Work" }, { "RETURN" } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct setting *t = *state;

		fake_mailbox(t->fake, bytes_of("Work"));
		fake_attributes(fake_mailbox(t->fake, bytes_of("Names")), "\\Noselect");
		fake_capability(t->fake, cases[i].capability);
		connect_to(t);
		assert_int_equal(t->probe.list.n, 3);
		assert_true(probe_info(&t->probe, "Work")->token.known);
		assert_int_equal(probe_info(&t->probe, "INBOX")->token.messages, 10);
		assert_int_equal(probe_info(&t->probe, "Names")->attributes & MAILBOX_NOSELECT,
				 MAILBOX_NOSELECT);
		for (size_t c = 0; c < 4 && cases[i].sent[c]; c++)
			if (!was_sent(t, cases[i].sent[c]))
				fail_msg("%s: not sent: %s", cases[i].capability, cases[i].sent[c]);
		for (size_t c = 0; c < 4 && cases[i].not_sent[c]; c++)
			if (was_sent(t, cases[i].not_sent[c]))
				fail_msg("%s: sent: %s", cases[i].capability,
					 cases[i].not_sent[c]);
		teardown(state);
		setup(state);
	}
}

static void test_a_server_that_refuses_to_list_all_is_asked_level_by_level(void **state)
{
	struct setting *t = *state;

	fake_mailbox(t->fake, bytes_of("Work"));
	fake_mailbox(t->fake, bytes_of("Work/2024"));
	fake_mailbox(t->fake, bytes_of("Work/2024/May"));
	fake_capability(t->fake, "IMAP4rev1");
	fake_trick(t->fake, NULL, FAKE_LIST_NO, 0, 0, 1);
	connect_to(t);
	assert_int_equal(t->probe.list.n, 4);
	assert_true(probe_info(&t->probe, "Work/2024/May")->token.known);
	assert_true(was_sent(t, "LIST \"\" Work/2024/%"));
}

static void test_a_mailbox_the_list_leaves_out_still_answers_by_name(void **state)
{
	struct setting *t = *state;
	struct fake_mailbox *hidden = fake_mailbox(t->fake, bytes_of("Hidden"));
	struct mailbox_name name;
	struct err err;
	bool there = false;

	fake_trick(t->fake, hidden, FAKE_UNLISTED, 0, 0, -1);
	connect_to(t);
	assert_null(probe_info(&t->probe, "Hidden"));
	mailbox_name_init(&name);
	mailbox_name_from_display(&name, bytes_of("Hidden"), &err);
	assert_int_equal(store_exists(t->probe.store, &name, &there, &err), 0);
	assert_true(there);
	mailbox_name_from_display(&name, bytes_of("None"), &err);
	assert_int_equal(store_exists(t->probe.store, &name, &there, &err), 0);
	assert_false(there);
	assert_true(was_sent(t, "STATUS None"));
	assert_true(was_sent(t, "EXAMINE None"));
	mailbox_name_release(&name);
}

static void test_a_list_that_breaks_off_is_no_list(void **state)
{
	struct setting *t = *state;
	struct mailbox_list list = { 0 };
	struct err err;

	fake_trick(t->fake, NULL, FAKE_LIST_SHORT, 0, 0, -1);
	fake_start(t->fake);
	probe_init(&t->probe, fake_port(t->fake), "me");
	probe_open(&t->probe);
	assert_int_equal(store_list(t->probe.store, NULL, &list, &err), -1);
	assert_int_equal(err.kind, ERR_RETRY);
	mailbox_list_release(&list);
}

int main(void)
{
#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FAKE(test_a_message_left_out_once_is_asked_for_again),
		WITH_FAKE(test_a_message_always_left_out_is_unknown),
		WITH_FAKE(test_a_message_that_search_finds_and_fetch_never_gives_is_refused),
		WITH_FAKE(test_one_message_the_server_refuses_does_not_cost_the_others),
		WITH_FAKE(test_a_body_cut_once_is_had_whole_on_a_new_line),
		WITH_FAKE(test_a_message_that_always_breaks_the_line_is_refused_in_the_end),
		WITH_FAKE(test_a_mailbox_that_breaks_the_line_does_not_cost_the_others),
		WITH_FAKE(test_a_mailbox_that_breaks_the_line_is_skipped_by_comparisons),
		WITH_FAKE(test_a_count_that_nothing_reaches_is_no_completeness),
		WITH_FAKE(test_a_right_count_needs_no_search),
		WITH_FAKE(test_a_comparison_that_does_not_count_up_is_tried_again_and_then_doubted),
		WITH_FAKE(test_another_uidvalidity_stops_the_mailbox),
		WITH_FAKE(test_a_message_the_sink_refuses_is_reported_and_the_rest_goes_on),
		WITH_FAKE(test_a_sink_that_cannot_go_on_ends_the_fetch),
		WITH_FAKE(test_a_stop_ends_the_fetch_soon_and_the_rest_is_unanswered),
		WITH_FAKE(test_a_line_that_cannot_be_had_again_ends_the_fetch),
		WITH_FAKE(test_the_wrong_password_is_said_to_be_that),
		WITH_FAKE(test_each_server_is_asked_for_its_mailboxes_in_its_own_way),
		WITH_FAKE(test_a_server_that_refuses_to_list_all_is_asked_level_by_level),
		WITH_FAKE(test_a_mailbox_the_list_leaves_out_still_answers_by_name),
		WITH_FAKE(test_a_list_that_breaks_off_is_no_list),
	};

	return cmocka_run_group_tests_name("imap store, servers that misbehave", tests, NULL, NULL);
}
