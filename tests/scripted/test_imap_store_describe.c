/* What shows which message is which: dates, sizes and headers, from servers that say it oddly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/store_script.h"

#define DESCRIBE "C: UID FETCH 1:3 (UID FLAGS INTERNALDATE RFC822.SIZE)\n"
#define DATE "\" 1-Jan-2020 00:00:00 +0100\""
enum { DATE_UNIX = 1577833200 };
#define TOLD(n, uid) "S: * " n " FETCH (UID " uid " FLAGS () INTERNALDATE " DATE " RFC822.SIZE 9)\n"

static void describe(struct script *t, struct changes *c)
{
	struct changes_request req = { .mailbox = script_inbox(t), .describe = true, .out = c };
	struct err err = { 0 };

	changes_init(c);
	if (store_changes(t->probe.store, &req, 1, &err) < 0)
		fail_msg("changes: %s", err.text);
}

static void test_dates_and_sizes_are_told_as_far_as_the_server_tells_them(void **state)
{
	struct script t;
	struct changes c;

	(void)state;
	script_start(&t,
		     LOGIN EXAMINE("3") DESCRIBE TOLD("1", "1")
		     "S: * 2 FETCH (UID 2 FLAGS () INTERNALDATE NIL RFC822.SIZE 4294967296)\n"
		     "S: * 3 FETCH (UID 3 FLAGS ())\nS: $TAG OK done\n" LOGOUT);
	describe(&t, &c);
	assert_int_equal(c.n, 3);
	assert_true(c.complete);
	assert_int_equal(c.v[0].size, 9);
	assert_true(c.dates[0] == DATE_UNIX);
	assert_int_equal(c.v[1].size, UINT32_MAX);
	assert_true(c.dates[1] == CHANGES_NO_DATE);
	assert_int_equal(c.v[2].size, 0);
	assert_true(c.dates[2] == CHANGES_NO_DATE);
	changes_release(&c);
	script_end(&t);
}

/* Another session changed flags just then: no word on date and size, which are what they were. */
static void test_new_flags_take_no_description_away(void **state)
{
	struct script t;
	struct changes c;

	(void)state;
	script_start(&t,
		     LOGIN EXAMINE("3") DESCRIBE TOLD("1", "1") TOLD("2", "2")
		     "S: * 1 FETCH (UID 1 FLAGS (\\\\Seen))\n" TOLD("3", "3")
		     "S: $TAG OK done\n" LOGOUT);
	describe(&t, &c);
	assert_int_equal(c.n, 3);
	assert_true(c.complete);
	assert_int_equal(flag_table_get(c.flags, c.v[0].flags)->bits, FLAG_SEEN);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(c.v[i].size, 9);
		assert_true(c.dates[i] == DATE_UNIX);
	}
	changes_release(&c);
	script_end(&t);
}

#define EXAMINE_8                                                                          \
	"C: EXAMINE INBOX\nS: * 3 EXISTS\nS: * OK [UIDVALIDITY 8] v\n"                     \
	"S: * OK [UIDNEXT 14] n\nS: $TAG OK done\n"

/* The line was lost, and on the new one UIDs mean something else again. */
static void test_two_uidvalidities_are_not_mixed(void **state)
{
	struct script t;
	struct changes c;

	(void)state;
	script_start(&t,
		     LOGIN EXAMINE("3") DESCRIBE TOLD("1", "1") "CUT\nACCEPT\n" LOGIN
		     EXAMINE_8 "C: UID FETCH 1:3 *\nS: $TAG OK done\n"
		     EXAMINE_8 "C: UID FETCH 4:13 *\n" TOLD("1", "11") TOLD("2", "12")
		     "S: $TAG OK done\n" /* three, with the first of the other three */
		     EXAMINE_8 "C: UID FETCH 1:13 *\n" TOLD("1", "11") TOLD("2", "12") TOLD("3", "13")
		     "S: $TAG OK done\n" LOGOUT);
	describe(&t, &c);
	assert_int_equal(c.n, 3);
	assert_true(c.complete);
	assert_int_equal(c.token.uidvalidity, 8);
	assert_int_equal(c.v[0].uid, 11);
	changes_release(&c);
	script_end(&t);
}

#define HEADERS                                                                            \
	"C: UID FETCH 1:3 (UID FLAGS INTERNALDATE "                                         \
	"BODY.PEEK\\[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)\\])\n"
#define HEADER(n, uid)                                                                     \
	"S: * " n " FETCH (UID " uid " FLAGS () "                                           \
	"BODY[HEADER.FIELDS (\"Message-ID\" Date From Subject)] {3}\nS: abc)\n"

static void test_only_headers_are_asked_for_where_they_are_enough(void **state)
{
	struct script t;

	(void)state;
	script_start(&t, LOGIN EXAMINE("3") HEADERS HEADER("1", "1") HEADER("2", "2")
			 HEADER("3", "3") "S: $TAG OK done\n" LOGOUT);
	t.header = true;
	script_fetch(&t, true);
	assert_int_equal(t.sink.n, 3);
	assert_int_equal(t.sink.msg[1].size, 3);
	assert_true(t.want.complete);
	script_end(&t);
}

/* Whole bodies of what was not asked, and parts, do not pass for headers. */
static void test_what_is_no_header_is_not_taken_for_one(void **state)
{
	struct script t;

	(void)state;
	script_start(&t, LOGIN EXAMINE("3") HEADERS HEADER("1", "1") MESSAGE("2", "2")
			 HEADER("3", "3") "S: $TAG OK done\n"
			 "C: UID FETCH 2 (UID FLAGS)\nS: * 2 FETCH (UID 2 FLAGS ())\n"
			 "S: $TAG OK done\n"
			 "C: UID FETCH 2 (UID FLAGS I*\nS: $TAG NO not that one\n" LOGOUT);
	t.header = true;
	script_fetch(&t, true);
	assert_int_equal(t.sink.n, 2);
	assert_int_equal(probe_outcome(&t.sink, &t, 2)->what, OUTCOME_REFUSED);
	script_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dates_and_sizes_are_told_as_far_as_the_server_tells_them),
		cmocka_unit_test(test_new_flags_take_no_description_away),
		cmocka_unit_test(test_two_uidvalidities_are_not_mixed),
		cmocka_unit_test(test_only_headers_are_asked_for_where_they_are_enough),
		cmocka_unit_test(test_what_is_no_header_is_not_taken_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
