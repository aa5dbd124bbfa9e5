#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/store_script.h"

/* One letter for each of UIDs 1 to 3: done, refused, unknown, no answer, `-` not reported. */
static void assert_outcomes(const struct script *t, const char *wanted)
{
	static const char letters[] = { [OUTCOME_DONE] = 'D', [OUTCOME_REFUSED] = 'R',
					[OUTCOME_UID_UNKNOWN] = 'U', [OUTCOME_NO_ANSWER] = 'N' };
	char got[] = "---";

	for (size_t i = 0; i < t->sink.n_outcomes; i++)
		got[t->sink.outcome[i].uid - 1] = letters[t->sink.outcome[i].what];
	assert_string_equal(got, wanted);
}

static void test_only_what_is_proven_is_called_complete(void **state)
{
	static const struct {
		const char *name, *script;
		bool exact;
		const char *outcomes, *problem; /* NULL: complete */
	} cases[] = {
		{ "the count of the first EXAMINE is not that of the second",
		  EXAMINE("2") BODIES MESSAGE("1", "1") "CUT\nACCEPT\n" LOGIN EXAMINE("3")
		  "C: UID FETCH 2:3 *\n" MESSAGE("2", "2") "S: $TAG OK done\n"
		  "C: UID SEARCH *\nS: * ESEARCH (TAG \"$TAG\") UID ALL 1:3\nS: $TAG OK done\n"
		  "C: UID FETCH 3 (UID FLAGS)\nS: * 3 FETCH (UID 3 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 3 (UID FLAGS I*\n" MESSAGE("3", "3") "S: $TAG OK done\n",
		  false, "DDD", NULL },
		{ "an EXAMINE that does not count, and a search that finds nothing",
		  "C: EXAMINE INBOX\nS: * OK [UIDVALIDITY 7] v\nS: * OK [UIDNEXT 4] n\n"
		  "S: $TAG OK done\n" BODIES "S: $TAG OK done\n"
		  "C: UID SEARCH *\nS: * ESEARCH (TAG \"$TAG\") UID\nS: $TAG OK done\n"
		  "C: UID FETCH 1:3 (UID FLAGS)\nS: * 1 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: * 1 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\n" MESSAGE("1", "2") "S: $TAG OK done\n",
		  false, "-D-", NULL },
		{ "an EXAMINE without UIDVALIDITY where the list had told one",
		  "C(e): EXAMINE INBOX\nC(f): UID FETCH *\nS: * 3 EXISTS\nS: * OK [UIDNEXT 4] n\n"
		  "S: $e OK done\n" MESSAGE("1", "1") "CUT\n",
		  true, "NNN", "does not say" },
		{ "a mailbox that went away",
		  "C(e): EXAMINE INBOX\nC(f): UID FETCH *\nS: $e NO [NONEXISTENT] it went away\nCUT\n",
		  false, "---", "went away" },
		{ "a cross-check that is refused",
		  EXAMINE("3") BODIES MESSAGE("1", "1") "S: $TAG OK done\n"
		  "C: UID SEARCH *\nS: * ESEARCH (TAG \"$TAG\") UID\nS: $TAG OK done\n"
		  "C: UID FETCH 1:3 (UID FLAGS)\nS: $TAG NO not that\n",
		  false, "D--", "not that" },
		{ "a search that is refused",
		  EXAMINE("3") BODIES MESSAGE("1", "1") "S: $TAG OK done\n"
		  "C: UID SEARCH *\nS: $TAG NO no search\n",
		  false, "D--", "no search" },
		{ "one that was removed while it was looked for",
		  EXAMINE("3") BODIES MESSAGE("1", "1") MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID SEARCH *\nS: * ESEARCH (TAG \"$TAG\") UID ALL 1,3\nS: $TAG OK done\n"
		  "C: UID FETCH 1:3 (UID FLAGS)\nS: * 2 EXPUNGE\nS: * 1 FETCH (UID 1 FLAGS ())\n"
		  "S: * 2 FETCH (UID 3 FLAGS ())\nS: $TAG OK done\n",
		  false, "D-D", NULL },
		{ "one that was removed after a search had found it",
		  EXAMINE("3") BODIES MESSAGE("1", "1") MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID SEARCH *\nS: * ESEARCH (TAG \"$TAG\") UID ALL 1:3\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: * 2 EXPUNGE\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\nS: $TAG OK done\n",
		  false, "D-D", NULL },
		{ "one that only a search ever shows",
		  EXAMINE("3") BODIES MESSAGE("1", "1") MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID SEARCH *\nS: * ESEARCH (TAG \"$TAG\") UID ALL 1:3\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\nS: $TAG OK done\n",
		  false, "DRD", NULL },
		{ "refused because some are gone",
		  EXAMINE("3") BODIES MESSAGE("1", "1") MESSAGE("3", "3")
		  "S: $TAG NO [EXPUNGEISSUED] some are gone\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: $TAG NO [EXPUNGEISSUED] it is gone\n"
		  "C: UID FETCH 2 (UID FLAGS I*\nS: $TAG OK done\n",
		  true, "DUD", NULL },
		{ "not taken for gone where the server would not tell",
		  EXAMINE("3") BODIES MESSAGE("1", "1") MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: $TAG NO not now\n"
		  "C: UID FETCH 2 (UID FLAGS I*\nS: $TAG OK done\n",
		  true, "DRD", NULL },
		{ "a part of a body is not the body",
		  EXAMINE("3") BODIES MESSAGE("1", "1") "S: * 2 FETCH (UID 2 FLAGS () BODY[]<0> {2}\n"
		  "S: ab)\n" MESSAGE("3", "3") "S: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS)\nS: * 2 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		  "C: UID FETCH 2 (UID FLAGS I*\n" MESSAGE("2", "2") "S: $TAG OK done\n",
		  true, "DDD", NULL },
		{ "no flags of any of them",
		  EXAMINE("3") BODIES "S: * 1 FETCH (UID 1 BODY[] {3}\nS: abc)\n"
		  "S: * 2 FETCH (UID 2 BODY[] {3}\nS: abc)\nS: * 3 FETCH (UID 3 BODY[] {3}\nS: abc)\n"
		  "S: $TAG OK done\n",
		  false, "DDD", NULL },
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
		assert_outcomes(&t, cases[i].outcomes);
		for (size_t m = 0; m < t.sink.n; m++)
			assert_int_equal(t.sink.msg[m].size, 3);
		assert_int_equal(t.want.complete, !cases[i].problem);
		if (cases[i].problem) {
			assert_int_equal(t.want.err.kind, ERR_MAILBOX);
			assert_non_null(strstr(t.want.err.text, cases[i].problem));
		}
		script_end(&t);
		free(text);
	}
}

static void test_a_large_body_before_its_uid_is_asked_for_by_itself(void **state)
{
	static const char script[] =
		LOGIN EXAMINE("3") BODIES MESSAGE("1", "1") "S: * 2 FETCH (BODY[] {2000000}\n"
		"S{2000000}: again and again\nS:  UID 2 FLAGS ())\n" MESSAGE("3", "3")
		"S: $TAG OK done\n"
		"C: UID FETCH 2 (UID FLAGS)\nS: * 2 FETCH (UID 2 FLAGS ())\nS: $TAG OK done\n"
		"C: UID FETCH 2 (UID FLAGS I*\nS: * 2 FETCH (BODY[] {2000000}\n"
		"S{2000000}: again and again\nS:  UID 2 FLAGS ())\nS: $TAG OK done\n" LOGOUT;
	struct script t;

	(void)state;
	script_start(&t, script);
	script_fetch(&t, true);
	assert_outcomes(&t, "DDD");
	assert_int_equal(probe_message(&t.sink, &t, 2)->size, 2000000);
	script_end(&t);
}

#define LISTED(n, uid) "S: * " n " FETCH (UID " uid " FLAGS ())\n"
#define FLAGS_OF "C: UID FETCH 1:3 (UID FLAGS)\n"

static void test_a_comparison_is_complete_only_when_it_adds_up(void **state)
{
	static const char uncounted[] =
		"C: EXAMINE INBOX\nS: * OK [UIDVALIDITY 7] v\nS: * OK [UIDNEXT 4] n\n"
		"S: $TAG OK done\n" FLAGS_OF "S: $TAG OK done\n";
	static const char unreadable[] =
		EXAMINE("1") FLAGS_OF LISTED("1", "2") LISTED("1", "2")
		"S: * 2 FETCH (UID 3 FLAGS\nS: $TAG OK done\n";
	static const char too_many[] =
		EXAMINE("1") FLAGS_OF LISTED("1", "2") LISTED("2", "3") "S: $TAG OK done\n";
	const struct {
		const char *name, *first, *second;
		size_t n;
		bool complete;
		const char *flags; /* of the first */
	} cases[] = {
		{ "not counted", uncounted, uncounted, 0, false, NULL },
		{ "unreadable in part", unreadable, unreadable, 1, false, "" },
		{ "more than there are", too_many, too_many, 2, false, "" },
		{ "one removed meanwhile",
		  EXAMINE("3") FLAGS_OF LISTED("1", "1") LISTED("2", "2") LISTED("3", "3")
		  "S: * 2 EXPUNGE\nS: $TAG OK done\n",
		  EXAMINE("2") FLAGS_OF LISTED("1", "1") LISTED("2", "3") "S: $TAG OK done\n",
		  2, true, "" },
		{ "the last word on flags",
		  EXAMINE("1") FLAGS_OF LISTED("1", "2") "S: * 1 FETCH (UID 2)\n"
		  "S: * 1 FETCH (UID 2 FLAGS (\\\\Seen))\nS: $TAG OK done\n",
		  "", 1, true, "\\Seen" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = xasprintf("%s%s%s%s", LOGIN, cases[i].first, cases[i].second, LOGOUT);
		struct changes c;
		struct changes_request req = { .out = &c };
		struct buf flags = BUF_INIT(1000);
		struct script t;
		struct err err;

		print_message("           %s\n", cases[i].name);
		changes_init(&c);
		script_start(&t, text);
		req.mailbox = script_inbox(&t);
		assert_int_equal(store_changes(t.probe.store, &req, 1, &err), 0);
		assert_int_equal(c.err.kind, ERR_NONE);
		assert_int_equal(c.complete, cases[i].complete);
		assert_int_equal(c.n, cases[i].n);
		if (c.n) {
			flags_format(flag_table_get(c.flags, c.v[0].flags), &flags);
			assert_string_equal(buf_str(&flags), cases[i].flags);
		}
		buf_release(&flags);
		changes_release(&c);
		script_end(&t);
		free(text);
	}
}

#define WITH_CONDSTORE                                                                     \
	"S: * OK [CAPABILITY IMAP4rev1 CONDSTORE SASL-IR AUTH=PLAIN] ready\n"                    \
	"C: AUTHENTICATE PLAIN *\nS: $TAG OK [CAPABILITY IMAP4rev1 CONDSTORE] in\n"
#define STATE_OF_4(modseq)                                                                 \
	"S: * 4 EXISTS\nS: * OK [UIDVALIDITY 7] v\nS: * OK [UIDNEXT 5] n\n"                     \
	"S: * OK [HIGHESTMODSEQ " modseq "] m\nS: $TAG OK done\n"

/* Of the four messages that the answers tell; the first UIDs were known from the list. */
static struct token token_of_four(const char *script)
{
	struct changes c;
	struct changes_request req = { .out = &c };
	struct token token;
	struct script t;
	struct err err;

	changes_init(&c);
	script_start(&t, script);
	req.mailbox = script_inbox(&t);
	assert_int_equal(store_changes(t.probe.store, &req, 1, &err), 0);
	assert_true(c.complete);
	assert_int_equal(c.n, 4);
	token = c.token;
	changes_release(&c);
	script_end(&t);
	return token;
}

static void test_the_token_has_the_last_numbers_and_the_first_modseq(void **state)
{
	struct token token = token_of_four(
		WITH_CONDSTORE "C: EXAMINE INBOX (CONDSTORE)\n" STATE_OF_4("10")
		FLAGS_OF LISTED("1", "1") LISTED("2", "2") LISTED("3", "3") "S: $TAG OK done\n"
		"C: EXAMINE INBOX (CONDSTORE)\n" STATE_OF_4("20")
		"C: UID FETCH 4 (UID FLAGS)\n" LISTED("4", "4") "S: $TAG OK done\n" LOGOUT);

	(void)state;
	assert_int_equal(token.uidnext, 5);
	assert_int_equal(token.highestmodseq, 10);
}

/* As the server is told to be taken: LIST would not be asked for it either, and the two must agree. */
static void test_a_mod_sequence_counts_only_where_condstore_is_offered(void **state)
{
	struct token token = token_of_four(
		LOGIN "C: EXAMINE INBOX\n" STATE_OF_4("10")
		FLAGS_OF LISTED("1", "1") LISTED("2", "2") LISTED("3", "3") "S: $TAG OK done\n"
		"C: EXAMINE INBOX\n" STATE_OF_4("10")
		"C: UID FETCH 4 (UID FLAGS)\n" LISTED("4", "4") "S: $TAG OK done\n" LOGOUT);

	(void)state;
	assert_int_equal(token.highestmodseq, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_is_proven_is_called_complete),
		cmocka_unit_test(test_a_large_body_before_its_uid_is_asked_for_by_itself),
		cmocka_unit_test(test_a_comparison_is_complete_only_when_it_adds_up),
		cmocka_unit_test(test_the_token_has_the_last_numbers_and_the_first_modseq),
		cmocka_unit_test(test_a_mod_sequence_counts_only_where_condstore_is_offered),
	};

	return cmocka_run_group_tests_name("imap store, what it calls complete", tests, NULL, NULL);
}
