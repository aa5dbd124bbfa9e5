#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/lib/store_script.h"

/* What Exchange says of a message that it cannot convert. */
#define EMPTY "S: * 2 FETCH (UID 2 FLAGS () BODY[] {0}\nS: )\n"

static void test_answers_of_all_kinds_end_in_the_right_outcome(void **state)
{
	static const struct {
		const char *name, *script;
		bool exact;
		enum outcome of_2;
		bool complete;
	} cases[] = {
		{ "unasked, doubled, in any order, flags between",
		  EXAMINE("3") BODIES MESSAGE("9", "900") MESSAGE("3", "3") MESSAGE("1", "1")
		  "S: * 1 FETCH (FLAGS (\\\\Seen))\n" MESSAGE("1", "1") MESSAGE("2", "2")
		  "S: $TAG OK done\n",
		  false, OUTCOME_DONE, true },
		{ "the UID after the body",
		  EXAMINE("3") BODIES "S: * 1 FETCH (BODY[] {3}\nS: abc UID 1 FLAGS ())\n"
		  "S: * 2 FETCH (BODY[] {3}\nS: abc FLAGS () UID 2)\n" MESSAGE("3", "3")
		  "S: $TAG OK done\n",
		  false, OUTCOME_DONE, true },
		{ "NIL, and NIL again",
		  EXAMINE("3") BODIES MESSAGE("1", "1") "S: * 2 FETCH (UID 2 BODY[] NIL)\n"
		  MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: * 2 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\n"
		  "S: * 2 FETCH (UID 2 BODY[] NIL)\nS: $TAG OK done\n",
		  true, OUTCOME_REFUSED, true },
		{ "NIL because it is gone",
		  EXAMINE("3") BODIES MESSAGE("1", "1") "S: * 2 FETCH (UID 2 BODY[] NIL)\n"
		  MESSAGE("3", "3") "S: $TAG OK [EXPUNGEISSUED] some are gone\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\n"
		  "S: * 2 FETCH (UID 2 BODY[] NIL)\nS: $TAG NO [EXPUNGEISSUED] it is gone\n",
		  true, OUTCOME_UID_UNKNOWN, true },
		{ "an empty body of a message that is not empty",
		  EXAMINE("3") BODIES MESSAGE("1", "1") EMPTY MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: * 2 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS INTERNALDATE RFC822.SIZE BODY*\n"
		  "S: * 2 FETCH (UID 2 RFC822.SIZE 4711 FLAGS () BODY[] {0}\nS: )\n"
		  "S: $TAG OK done\n",
		  true, OUTCOME_REFUSED, true },
		{ "the same in one response each, the size last",
		  EXAMINE("3") BODIES MESSAGE("1", "1") EMPTY MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: * 2 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS INTERNALDATE RFC822.SIZE BODY*\n" EMPTY
		  "S: * 2 FETCH (UID 2 RFC822.SIZE 4711)\nS: $TAG OK done\n",
		  true, OUTCOME_REFUSED, true },
		{ "an empty body, and no word on its size",
		  EXAMINE("3") BODIES MESSAGE("1", "1") EMPTY MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: * 2 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\n" EMPTY "S: $TAG OK done\n",
		  true, OUTCOME_REFUSED, true },
		{ "an empty body at first, and then the message",
		  EXAMINE("3") BODIES MESSAGE("1", "1") EMPTY MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: * 2 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\n" MESSAGE("2", "2") "S: $TAG OK done\n",
		  true, OUTCOME_DONE, true },
		{ "a message that is empty",
		  EXAMINE("3") BODIES MESSAGE("1", "1") EMPTY MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: * 2 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\n"
		  "S: * 2 FETCH (BODY[] {0}\nS:  RFC822.SIZE 0 UID 2 FLAGS ())\nS: $TAG OK done\n",
		  true, OUTCOME_DONE, true },
		{ "one message that breaks the answer for all, as Yahoo does",
		  EXAMINE("3") BODIES "S: $TAG NO [SERVERBUG] Server error\n"
		  "C(low): UID FETCH 1 *\nC(high): UID FETCH 2:3 *\n" MESSAGE("1", "1")
		  "S: $low OK done\nS: $high NO [UNAVAILABLE] later\n"
		  "C(low): UID FETCH 2 *\nC(high): UID FETCH 3 *\n"
		  "S: $low NO [SERVERBUG] Server error\n" MESSAGE("3", "3") "S: $high OK done\n",
		  true, OUTCOME_REFUSED, true },
		{ "OK without a word of it, though it is there",
		  EXAMINE("3") BODIES MESSAGE("1", "1") MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: * 2 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\nS: $TAG OK done\n",
		  true, OUTCOME_REFUSED, true },
		{ "a search that finds nothing is not believed",
		  EXAMINE("3") BODIES MESSAGE("1", "1") MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID SEARCH RETURN (ALL) *\nS: * ESEARCH (TAG \"$TAG\") UID\nS: $TAG OK done\n"
		  "C: UID FETCH 1:3 (UID FLAGS)\nS: * 1 FETCH (UID 1 FLAGS ())\n"
		  "S: * 2 FETCH (UID 2 FLAGS ())\nS: * 3 FETCH (UID 3 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: * 2 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\n" MESSAGE("2", "2")
		  "S: $TAG OK done\n",
		  false, OUTCOME_DONE, true },
		{ "nor is one that finds fewer than there are",
		  EXAMINE("3") BODIES MESSAGE("1", "1") "S: $TAG OK done\n"
		  "C: UID SEARCH RETURN (ALL) ALL\nS: * ESEARCH (TAG \"$TAG\") UID ALL 1,3\n"
		  "S: $TAG OK done\n"
		  "C: UID FETCH 1:3 (UID FLAGS)\nS: * 1 FETCH (UID 1 FLAGS ())\n"
		  "S: * 2 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2:3 (UID FLAGS)\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\n" MESSAGE("2", "2") "S: $TAG OK done\n"
		  "C: UID FETCH 3 (UID FLAGS I*\n" MESSAGE("3", "3") "S: $TAG OK done\n",
		  false, OUTCOME_DONE, true },
		{ "what cannot be read is not taken for gone",
		  EXAMINE("3") BODIES MESSAGE("1", "1") MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\nS: * 2 FETCH (UID 2 BODY[] \nS: $TAG OK done\n",
		  true, OUTCOME_REFUSED, true },
		{ "one that arrived meanwhile is no reason to doubt",
		  EXAMINE("3") BODIES MESSAGE("1", "1") MESSAGE("3", "3")
		  "S: * 4 EXISTS\nS: $TAG OK done\n"
		  "C: UID SEARCH *\nS: * ESEARCH (TAG \"$TAG\") UID ALL 1:4\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\n" MESSAGE("2", "2") "S: $TAG OK done\n",
		  false, OUTCOME_DONE, true },
		{ "the line lost before a byte of it: found out, and refused in the end",
		  EXAMINE("3") BODIES MESSAGE("1", "1") "CUT\nACCEPT\n" LOGIN EXAMINE("3")
		  "C: UID FETCH 2:3 *\nCUT\nACCEPT\n" LOGIN EXAMINE("3")
		  "C: UID FETCH 2:3 *\nCUT\nACCEPT\n" LOGIN EXAMINE("3")
		  "C: UID FETCH 3 *\n" MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID FETCH 2 *\nCUT\n",
		  true, OUTCOME_REFUSED, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *script = cases[i].script;
		bool cut = strcmp(script + strlen(script) - 4, "CUT\n") == 0;
		char *text = xasprintf("%s%s%s", LOGIN, script, cut ? "" : LOGOUT);
		struct script t;

		print_message("           %s\n", cases[i].name);
		script_start(&t, text);
		script_fetch(&t, cases[i].exact);
		if (t.want.complete != cases[i].complete)
			fail_msg("%s", t.want.err.text);
		assert_int_equal(probe_outcome(&t.sink, &t, 1)->what, OUTCOME_DONE);
		assert_int_equal(probe_outcome(&t.sink, &t, 2)->what, cases[i].of_2);
		assert_int_equal(probe_outcome(&t.sink, &t, 3)->what, OUTCOME_DONE);
		assert_int_equal(t.sink.n_outcomes, 3);
		script_end(&t);
		free(text);
	}
}

static void test_only_personal_namespaces_are_listed(void **state)
{
	static const char script[] =
		LOGIN
		"C(ns): NAMESPACE\n"
		"C(list): LIST \"\" \\* RETURN (*)\n"
		"S: * NAMESPACE ((\"INBOX.\" \".\")) ((\"user.\" \".\")) ((\"\" \".\"))\n"
		"S: $ns OK done\n"
		"S: * LIST () \".\" inbox\n"
		"S: * STATUS inbox (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)\n"
		"S: * LIST () \".\" INBOX.Sent\n"
		"S: * STATUS INBOX.Sent (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\n"
		"S: * LIST () \".\" INBOX.Sent\n"
		"S: * LIST () \".\" user.bob\n"
		"S: * STATUS user.bob (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\n"
		"S: * LIST () \".\" Announcements\n"
		"S: * STATUS Announcements (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\n"
		"S: $list OK done\n"
		"C: LIST \"\" \\* RETURN (*)\n"
		"S: * LIST () \".\" INBOX\n"
		"S: * LIST () \".\" user.bob\n"
		"S: * STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)\n"
		"S: * STATUS user.bob (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)\n"
		"S: $TAG OK done\n" LOGOUT;
	struct script t;
	char *hint;

	(void)state;
	script_start(&t, script);
	probe_list(&t.probe, NULL);
	assert_int_equal(t.probe.list.n, 2);
	assert_non_null(probe_info(&t.probe, "INBOX"));
	assert_int_equal(probe_info(&t.probe, "INBOX/Sent")->token.messages, 1);
	assert_non_null(t.probe.list.hint);
	hint = xstrdup(t.probe.list.hint);
	probe_list(&t.probe, hint);
	assert_int_equal(t.probe.list.n, 1);
	assert_string_equal(t.probe.list.hint, hint);
	free(hint);
	script_end(&t);
}

static void test_a_missing_status_is_asked_for_and_may_stay_unknown(void **state)
{
	static const char script[] =
		LOGIN
		"C(ns): NAMESPACE\nC(list): LIST \"\" \\* RETURN (*)\n"
		"S: * NAMESPACE ((\"\" \"/\")) NIL NIL\nS: $ns OK done\n"
		"S: * LIST () \"/\" A\nS: * LIST () \"/\" B\nS: * LIST () \"/\" INBOX\n"
		"S: * STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)\n"
		"S: $list OK done\n"
		"C(a): STATUS A *\nC(b): STATUS B *\n"
		"S: * STATUS B (MESSAGES 5 UIDNEXT 6 UIDVALIDITY 7)\n"
		"S: $a NO not today\nS: $b OK done\n" LOGOUT;
	struct script t;

	(void)state;
	script_start(&t, script);
	probe_list(&t.probe, NULL);
	assert_int_equal(t.probe.list.n, 3);
	assert_false(probe_info(&t.probe, "A")->token.known);
	assert_int_equal(probe_info(&t.probe, "B")->token.messages, 5);
	script_end(&t);
}

/* Both have to refuse, and one has to say why: a server in trouble says NO, too. */
static void test_a_refusal_without_a_reason_is_no_proof_of_absence(void **state)
{
	static const struct {
		const char *status, *examine;
		bool clear;
	} cases[] = {
		{ "NO not today", "NO not today", false },
		{ "NO Mailbox doesn't exist: gone", "NO Unable to open this mailbox.", true },
		{ "NO not today", "NO [NONEXISTENT] gone", true },
		{ "NO Mailbox does not exist", "NO [SERVERBUG] oops", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *script = xasprintf(LOGIN
			"C(ns): NAMESPACE\nC(list): LIST \"\" \\* RETURN (*)\n"
			"S: * NAMESPACE ((\"\" \"/\")) NIL NIL\nS: $ns OK done\n"
			"S: * LIST () \"/\" INBOX\n"
			"S: * STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)\nS: $list OK done\n"
			"C: STATUS gone *\nS: $TAG %s\nC: EXAMINE gone*\nS: $TAG %s\n" LOGOUT,
			cases[i].status, cases[i].examine);
		struct mailbox_name name = MAILBOX_NAME_INIT;
		struct script t;
		struct err err;
		bool there = true;

		mailbox_name_from_display(&name, bytes_of("gone"), &err);
		script_start(&t, script);
		probe_list(&t.probe, NULL);
		assert_int_equal(store_exists(t.probe.store, &name, &there, &err),
				 cases[i].clear ? 0 : -1);
		assert_int_equal(there, !cases[i].clear);
		mailbox_name_release(&name);
		script_end(&t);
		free(script);
	}
}

static void test_what_mailboxes_are_known_by_comes_with_the_list(void **state)
{
	static const char script[] =
		"S: * OK [CAPABILITY IMAP4rev1 LIST-EXTENDED LIST-STATUS OBJECTID SASL-IR AUTH=PLAIN] ready\n"
		"C: AUTHENTICATE PLAIN *\n"
		"S: $TAG OK [CAPABILITY IMAP4rev1 LIST-EXTENDED LIST-STATUS OBJECTID] in\n"
		"C: LIST \"\" \\* RETURN (* STATUS (*MAILBOXID*))\n"
		"S: * LIST () \"/\" A\n"
		"S: * STATUS A (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7 MAILBOXID (F2212ea87-6097))\n"
		"S: * LIST () \"/\" B\n"
		"S: * STATUS B (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)\n"
		"S: $TAG OK done\n" LOGOUT;
	struct script t;

	(void)state;
	script_start(&t, script);
	probe_list(&t.probe, NULL);
	assert_string_equal(probe_info(&t.probe, "A")->mailboxid, "F2212ea87-6097");
	assert_string_equal(probe_info(&t.probe, "B")->mailboxid, "");
	script_end(&t);
}

static void test_an_unclear_answer_by_name_is_no_answer(void **state)
{
	static const char script[] = LOGIN "C: STATUS Box *\nS: $TAG NO [NOPERM] not for you\n" LOGOUT;
	struct mailbox_name name;
	struct script t;
	struct err err;
	bool there;

	(void)state;
	script_start(&t, script);
	mailbox_name_init(&name);
	mailbox_name_from_display(&name, bytes_of("Box"), &err);
	assert_int_equal(store_exists(t.probe.store, &name, &there, &err), -1);
	assert_int_equal(err.kind, ERR_MAILBOX);
	mailbox_name_release(&name);
	script_end(&t);
}

#define THROTTLED "Request is throttled. Suggested Backoff Time: 60 milliseconds\n"

static void test_a_server_that_asks_to_wait_is_asked_the_same_again_after_that_time(void **state)
{
	static const struct {
		const char *name, *script;
		bool exact;
	} cases[] = {
		{ "bodies",
		  EXAMINE("3") BODIES MESSAGE("1", "1") "S: $TAG BAD " THROTTLED
		  "C: UID FETCH 2:3 (UID FLAGS INTERNALDATE BODY*\n" MESSAGE("2", "2")
		  MESSAGE("3", "3") "S: $TAG OK done\n",
		  false },
		{ "EXAMINE, and what was sent behind it",
		  "C(e): EXAMINE INBOX\nC(f): UID FETCH 1:3 *\nS: $e NO " THROTTLED
		  "S: $f BAD nothing is open\n" EXAMINE("3") BODIES MESSAGE("1", "1")
		  MESSAGE("2", "2") MESSAGE("3", "3") "S: $TAG OK done\n",
		  false },
		{ "the search",
		  EXAMINE("3") BODIES MESSAGE("1", "1") MESSAGE("2", "2") "S: $TAG OK done\n"
		  "C: UID SEARCH *\nS: $TAG NO " THROTTLED
		  "C: UID SEARCH *\nS: * ESEARCH (TAG \"$TAG\") UID ALL 1:3\nS: $TAG OK done\n"
		  "C: UID FETCH 3 (UID FLAGS)\nS: * 3 FETCH (UID 3 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 3 (UID FLAGS I*\n" MESSAGE("3", "3") "S: $TAG OK done\n",
		  false },
		{ "what is there, and a message by itself",
		  EXAMINE("3") BODIES MESSAGE("1", "1") MESSAGE("2", "2") "S: $TAG OK done\n"
		  "C: UID FETCH 3 (UID FLAGS)\nS: $TAG NO " THROTTLED
		  "C: UID FETCH 3 (UID FLAGS)\nS: * 3 FETCH (UID 3 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 3 (UID FLAGS I*\nS: $TAG NO " THROTTLED
		  "C: UID FETCH 3 (UID FLAGS I*\n" MESSAGE("3", "3") "S: $TAG OK done\n",
		  true },
		{ "by ending the session",
		  EXAMINE("3") BODIES MESSAGE("1", "1") "S: * BYE " THROTTLED "CUT\nACCEPT\n"
		  LOGIN EXAMINE("3") "C: UID FETCH 2:3 *\n" MESSAGE("2", "2") MESSAGE("3", "3")
		  "S: $TAG OK done\n",
		  true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = xasprintf("%s%s%s", LOGIN, cases[i].script, LOGOUT);
		int64_t began = clock_ms();
		struct script t;

		print_message("           %s\n", cases[i].name);
		script_start(&t, text);
		script_fetch(&t, cases[i].exact);
		assert_true(t.want.complete);
		assert_int_equal(t.sink.n, 3);
		assert_int_equal(t.sink.n_outcomes, 3);
		assert_true(clock_ms() - began >= 60);
		script_end(&t);
		free(text);
	}
}

static void test_a_server_that_asks_for_too_long_a_wait_ends_the_run_with_the_time(void **state)
{
	static const char *const answers[] = {
		EXAMINE("3") BODIES
		"S: $TAG NO Request is throttled. Suggested Backoff Time: 2999999 milliseconds\n" LOGOUT,
		EXAMINE("3") BODIES
		"S: * BYE Request is throttled. Suggested Backoff Time: 2999999 milliseconds\nCUT\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		char *text = xasprintf("%s%s", LOGIN, answers[i]);
		struct script t;
		struct err err;

		script_start(&t, text);
		assert_int_equal(script_try_fetch(&t, true, &err), -1);
		assert_int_equal(err.kind, ERR_RETRY);
		assert_non_null(strstr(err.text, "50 minutes"));
		assert_int_equal(probe_outcome(&t.sink, &t, 2)->what, OUTCOME_NO_ANSWER);
		script_end(&t);
		free(text);
	}
}

static void test_a_server_that_always_asks_to_wait_is_not_asked_for_ever(void **state)
{
	struct buf text = BUF_INIT(100000);
	struct script t;
	struct err err;

	(void)state;
	buf_add_str(&text, LOGIN EXAMINE("3"));
	for (int i = 0; i < 9; i++)
		buf_add_str(&text, BODIES
			    "S: $TAG NO Slower. Suggested Backoff Time: 5 milliseconds\n");
	buf_add_str(&text, LOGOUT);
	script_start(&t, buf_str(&text));
	assert_int_equal(script_try_fetch(&t, true, &err), -1);
	assert_int_equal(err.kind, ERR_RETRY);
	script_end(&t);
	buf_release(&text);
}

static void test_comparisons_wait_too_where_they_are_asked_to(void **state)
{
	static const char flags[] =
		EXAMINE("1") "C: UID FETCH 1:3 (UID FLAGS)\n"
		"S: * 1 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n" LOGOUT;
	static const char *const scripts[] = {
		"C(e): EXAMINE INBOX\nC(f): UID FETCH *\nS: $e NO " THROTTLED
		"S: $f BAD nothing is open\n",
		EXAMINE("1") "C: UID FETCH 1:3 (UID FLAGS)\nS: $TAG BAD " THROTTLED,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		char *text = xasprintf("%s%s%s", LOGIN, scripts[i], flags);
		struct changes c;
		struct changes_request req = { .out = &c };
		struct script t;
		struct err err;

		changes_init(&c);
		script_start(&t, text);
		req.mailbox = script_inbox(&t);
		assert_int_equal(store_changes(t.probe.store, &req, 1, &err), 0);
		assert_int_equal(c.err.kind, ERR_NONE);
		assert_true(c.complete);
		assert_int_equal(c.n, 1);
		changes_release(&c);
		script_end(&t);
		free(text);
	}
}

static void test_a_list_of_messages_that_cannot_be_read_is_no_list(void **state)
{
	static const char script[] =
		LOGIN EXAMINE("3") BODIES MESSAGE("1", "1") "S: $TAG OK done\n"
		"C: UID SEARCH *\nS: * ESEARCH (TAG \"$TAG\") UID\nS: $TAG OK done\n"
		"C: UID FETCH 1:3 (UID FLAGS)\nS: * 1 FETCH (UID 1 FLAGS ())\n"
		"S: * 2 FETCH (UID 2 FLAGS\nS: $TAG OK done\n" LOGOUT;
	struct script t;

	(void)state;
	script_start(&t, script);
	script_fetch(&t, false);
	assert_false(t.want.complete);
	assert_int_equal(t.want.err.kind, ERR_MAILBOX);
	assert_non_null(strstr(t.want.err.text, "unreadable"));
	script_end(&t);
}

static void test_an_answer_in_several_responses_is_put_together(void **state)
{
	static const char script[] =
		LOGIN EXAMINE("3") BODIES
		"S: * 1 FETCH (UID 1 BODY[] {3}\nS: abc)\n"
		"S: * 1 FETCH (UID 1 INTERNALDATE \"01-Jan-2020 00:00:00 +0000\")\n"
		"S: * 1 FETCH (UID 1 FLAGS (\\\\Seen))\n"
		"S: * 2 FETCH (UID 2 FLAGS (\\\\Flagged) INTERNALDATE \"02-Jan-2020 00:00:00 +0000\")\n"
		"S: * 2 FETCH (BODY[] {3}\nS: abc UID 2)\n"
		"S: * 3 FETCH (UID 3 BODY[] {3}\nS: abc)\n"
		"S: * 1 FETCH (UID 1 FLAGS (\\\\Answered))\n"
		"S: $TAG OK done\n" LOGOUT;
	static const struct {
		uint32_t uid;
		const char *flags, *date;
	} wanted[] = {
		{ 1, "\\Seen", "01-Jan-2020 00:00:00 +0000" },
		{ 2, "\\Flagged", "02-Jan-2020 00:00:00 +0000" },
		{ 3, "", NULL },
	};
	struct script t;

	(void)state;
	script_start(&t, script);
	script_fetch(&t, true);
	assert_true(t.want.complete);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const struct probed_message *m = probe_message(&t.sink, &t, wanted[i].uid);

		assert_int_equal(m->size, 3);
		assert_string_equal(m->flags, wanted[i].flags);
		if (wanted[i].date)
			assert_non_null(strstr(m->date, wanted[i].date));
	}
	script_end(&t);
}

static void test_a_message_whose_flags_were_to_come_is_asked_for_again_on_a_new_line(void **state)
{
	static const char script[] =
		LOGIN EXAMINE("3") BODIES MESSAGE("1", "1") "S: * 2 FETCH (UID 2 BODY[] {3}\nS: abc)\n"
		"CUT\nACCEPT\n" LOGIN EXAMINE("3") "C: UID FETCH 2:3 *\n"
		"S: * 2 FETCH (UID 2 FLAGS (\\\\Seen) BODY[] {3}\nS: abc)\n" MESSAGE("3", "3")
		"S: $TAG OK done\n" LOGOUT;
	struct script t;

	(void)state;
	script_start(&t, script);
	script_fetch(&t, true);
	assert_string_equal(probe_message(&t.sink, &t, 2)->flags, "\\Seen");
	assert_int_equal(t.sink.cut, 1);
	script_end(&t);
}

static void test_a_mailbox_whose_search_breaks_the_line_fails_alone(void **state)
{
	static const char script[] =
		LOGIN EXAMINE("3") BODIES "CUT\nACCEPT\n"
		LOGIN EXAMINE("3") "C: UID SEARCH *\nCUT\nACCEPT\n"
		LOGIN EXAMINE("3") "C: UID SEARCH *\nCUT\nACCEPT\n"
		LOGIN EXAMINE("3") "C: UID SEARCH *\nCUT\n";
	struct script t;

	(void)state;
	script_start(&t, script);
	script_fetch(&t, false);
	assert_false(t.want.complete);
	assert_int_equal(t.want.err.kind, ERR_RETRY);
	script_end(&t);
}

static long resident_peak_kb(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return use.ru_maxrss;
}

static void test_memory_does_not_grow_with_the_message(void **state)
{
	static const char script[] =
		LOGIN EXAMINE("3") BODIES MESSAGE("1", "1")
		"S: * 2 FETCH (UID 2 FLAGS () BODY[] {400000000}\n"
		"S{400000000}: a line of some length, again and again\\r\\n\n"
		"S: )\n" MESSAGE("3", "3") "S: $TAG OK done\n" LOGOUT;
	struct script t;
	long before;

	(void)state;
	script_start(&t, script);
	before = resident_peak_kb();
	script_fetch(&t, false);
	assert_int_equal(probe_message(&t.sink, &t, 2)->size, 400000000);
	assert_true(resident_peak_kb() - before < 8192);
	script_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_of_all_kinds_end_in_the_right_outcome),
		cmocka_unit_test(test_only_personal_namespaces_are_listed),
		cmocka_unit_test(test_a_missing_status_is_asked_for_and_may_stay_unknown),
		cmocka_unit_test(test_a_refusal_without_a_reason_is_no_proof_of_absence),
		cmocka_unit_test(test_what_mailboxes_are_known_by_comes_with_the_list),
		cmocka_unit_test(test_an_unclear_answer_by_name_is_no_answer),
		cmocka_unit_test(test_a_server_that_asks_to_wait_is_asked_the_same_again_after_that_time),
		cmocka_unit_test(test_a_server_that_asks_for_too_long_a_wait_ends_the_run_with_the_time),
		cmocka_unit_test(test_a_server_that_always_asks_to_wait_is_not_asked_for_ever),
		cmocka_unit_test(test_comparisons_wait_too_where_they_are_asked_to),
		cmocka_unit_test(test_a_list_of_messages_that_cannot_be_read_is_no_list),
		cmocka_unit_test(test_an_answer_in_several_responses_is_put_together),
		cmocka_unit_test(
			test_a_message_whose_flags_were_to_come_is_asked_for_again_on_a_new_line),
		cmocka_unit_test(test_a_mailbox_whose_search_breaks_the_line_fails_alone),
		cmocka_unit_test(test_memory_does_not_grow_with_the_message),
	};

	return cmocka_run_group_tests_name("imap store, by transcript", tests, NULL, NULL);
}
