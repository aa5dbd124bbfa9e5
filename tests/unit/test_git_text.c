#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/git/entry_text.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/sync/identity.h"

#define DATE "2024-05-06T07:08:09+02:00"

static void assert_span(struct bytes span, const char *want)
{
	char *got = bytes_dup(span);

	assert_string_equal(got, want);
	free(got);
}

static void assert_date(struct bytes field, const char *want)
{
	struct buf text = BUF_INIT(1000);
	struct maildate d;

	maildate_init(&d);
	entry_date_read(field, &d);
	maildate_format(&d, &text);
	assert_string_equal(buf_str(&text), want);
	maildate_release(&d);
	buf_release(&text);
}

static void test_a_line_says_all_of_a_message_but_its_bytes(void **state)
{
	static const struct {
		const char *line;
		uint32_t leaf, uid, source;
		uint64_t size;
		const char *date, *flags, *extra;
	} cases[] = {
		{ "123456 " DATE " 6495 (\\Seen $Fwd)", 1234, 123456, 123456, 6495,
		  " 6-May-2024 07:08:09 +0200", "\\Seen $Fwd", "" },
		{ "1 NIL 0 ()", 0, 1, 1, 0, "NIL", "", "" },
		{ "4294967295 NIL 18446744073709551615 () source=4294967294", 42949672, UINT32_MAX,
		  UINT32_MAX - 1, UINT64_MAX, "NIL", "", "" },
		{ "100 NIL 1 () source=0", 1, 100, 0, 1, "NIL", "", "" },
		{ "100 NIL 1 () source=7 emailid=M1 x-2=", 1, 100, 7, 1, "NIL", "",
		  " emailid=M1 x-2=" },
		{ "100 NIL 1 () a=(b) source-x=1", 1, 100, 100, 1, "NIL", "",
		  " a=(b) source-x=1" },
		{ "5 \"\" 1 ()", 0, 5, 5, 1, "", "", "" },
		{ "5 \"07-Feb-1994 21:52:25 -0800\" 1 ()", 0, 5, 5, 1,
		  "07-Feb-1994 21:52:25 -0800", "", "" },
		{ "5 \"%22%25%0A\xff) 9 (\" 1 (\\Draft)", 0, 5, 5, 1, "\"%\n\xff) 9 (", "\\Draft",
		  "" },
		{ "5 NIL 1 (\"a) b\" \"c\\\"\\\\\" x]y)", 0, 5, 5, 1, "NIL",
		  "\"a) b\" \"c\\\"\\\\\" x]y", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text = BUF_INIT(1000), again = BUF_INIT(1000);
		struct entry_reader r;
		struct entry_line e;
		struct err err;

		buf_addf(&text, "%s\n", cases[i].line);
		entry_reader_init(&r, buf_bytes(&text), cases[i].leaf);
		if (entry_next(&r, &e, &err) != 1)
			fail_msg("%s: %s", cases[i].line, err.text);
		assert_int_equal(e.uid, cases[i].uid);
		assert_int_equal(e.source_uid, cases[i].source);
		assert_true(e.size == cases[i].size);
		assert_date(e.date, cases[i].date);
		assert_span(e.flags, cases[i].flags);
		assert_span(e.extra, cases[i].extra);
		assert_int_equal(entry_next(&r, &e, &err), 0);
		assert_int_equal(entry_next(&r, &e, &err), 0);
		entry_write(&e, &again);
		assert_string_equal(buf_str(&again), buf_str(&text));
		buf_release(&text);
		buf_release(&again);
	}
}

static void test_a_bad_line_is_named_by_its_number(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "100 NIL 1 ()",
		  "line 1: the text ends in the middle of a line: \"100 NIL 1 ()\"" },
		{ "\n", "line 1: does not begin with a UID: \"\"" },
		{ "100 NIL 1 ()\nrubbish\n", "line 2: does not begin with a UID: \"rubbish\"" },
		{ "100 NIL 1 ()\n\n", "line 2: does not begin with a UID: \"\"" },
		{ "0 NIL 1 ()\n", "line 1: does not begin with a UID" },
		{ "0100 NIL 1 ()\n", "line 1: does not begin with a UID" },
		{ "-100 NIL 1 ()\n", "line 1: does not begin with a UID" },
		{ "4294967396 NIL 1 ()\n", "line 1: does not begin with a UID" },
		{ "100\n", "line 1: does not begin with a UID" },
		/* Order, and the leaf it stands in. */
		{ "100 NIL 1 ()\n100 NIL 1 ()\n", "line 2: its UID is out of place" },
		{ "101 NIL 1 ()\n100 NIL 1 ()\n", "line 2: its UID is out of place" },
		{ "99 NIL 1 ()\n", "line 1: its UID is out of place" },
		{ "200 NIL 1 ()\n", "line 1: its UID is out of place" },
		/* Dates. */
		{ "100 nil 1 ()\n", "line 1: no date after the UID" },
		{ "100  1 ()\n", "line 1: no date after the UID" },
		{ "100 2024-02-30T07:08:09+02:00 1 ()\n", "line 1: no date after the UID" },
		{ "100 2024-05-06T07:08:09Z 1 ()\n", "line 1: no date after the UID" },
		{ "100 2024-05-06T07:08:09+02:0", "line 1: the text ends" },
		{ "100 2024-05-06T07:08:09+02:0\n", "line 1: no date after the UID" },
		{ "100 \"x 1 ()\n", "line 1: no date after the UID" },
		{ "100 \"%4\" 1 ()\n", "line 1: no date after the UID" },
		{ "100 \"%4g\" 1 ()\n", "line 1: no date after the UID" },
		{ "100 \"%00\" 1 ()\n", "line 1: no date after the UID" },
		{ "100 \"\t\" 1 ()\n", "line 1: no date after the UID: \"100 \"\\x09\" 1 ()\"" },
		{ "100 \n", "line 1: no date after the UID" },
		/* Sizes. */
		{ "100 NIL x ()\n", "line 1: no size after the date" },
		{ "100 NIL 01 ()\n", "line 1: no size after the date" },
		{ "100 NIL 18446744073709551616 ()\n", "line 1: no size after the date" },
		{ "100 NIL 1\n", "line 1: no size after the date" },
		/* Flags. */
		{ "100 NIL 1 \n", "line 1: no list of flags" },
		{ "100 NIL 1 \\Seen\n", "line 1: no list of flags" },
		{ "100 NIL 1 (\\Seen\n", "line 1: no list of flags" },
		{ "100 NIL 1 ( \\Seen)\n", "line 1: no list of flags" },
		{ "100 NIL 1 (\\Seen )\n", "line 1: no list of flags" },
		{ "100 NIL 1 (\\Seen  a)\n", "line 1: no list of flags" },
		{ "100 NIL 1 ((a))\n", "line 1: no list of flags" },
		{ "100 NIL 1 (a\"b)\n", "line 1: no list of flags" },
		{ "100 NIL 1 (\"a)\n", "line 1: no list of flags" },
		{ "100 NIL 1 (\"a\\\n", "line 1: no list of flags" },
		{ "100 NIL 1 (\"a\"b)\n", "line 1: no list of flags" },
		{ "100 NIL 1 (a\x01)\n", "line 1: no list of flags" },
		/* What follows. */
		{ "100 NIL 1 () \n", "line 1: not a key=value pair" },
		{ "100 NIL 1 ()a=b\n", "line 1: not a key=value pair" },
		{ "100 NIL 1 () a\n", "line 1: not a key=value pair" },
		{ "100 NIL 1 () =b\n", "line 1: not a key=value pair" },
		{ "100 NIL 1 () A=b\n", "line 1: not a key=value pair" },
		{ "100 NIL 1 () a=b  c=d\n", "line 1: not a key=value pair" },
		{ "100 NIL 1 () a=b\x7f\n", "line 1: not a key=value pair" },
		{ "100 NIL 1 () source=\n", "line 1: source= is not first or not a UID" },
		{ "100 NIL 1 () source=4294967296\n", "line 1: source= is not first" },
		{ "100 NIL 1 () source=1x\n", "line 1: source= is not first or not a UID" },
		{ "100 NIL 1 () source=1 source=1\n", "line 1: source= is not first" },
		{ "100 NIL 1 () a=b source=1\n", "line 1: source= is not first" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct entry_reader r;
		struct entry_line e;
		struct err err;
		int rc;

		entry_reader_init(&r, bytes_of(cases[i].text), 1);
		while ((rc = entry_next(&r, &e, &err)) > 0)
			;
		if (rc == 0)
			fail_msg("taken: %s", cases[i].text);
		assert_int_equal(err.kind, ERR_FATAL);
		if (strncmp(err.text, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

static void test_a_line_cut_anywhere_is_an_error_or_nothing(void **state)
{
	static const char whole[] = "100 \"a %25\" 12 (\\Seen \"a b\") source=3 a=b\n";

	(void)state;
	for (size_t n = 0; n < strlen(whole); n++) {
		/* A copy of that very size, so that reading past its end is seen. */
		char *cut = bytes_dup(bytes_from(whole, n));
		struct entry_reader r;
		struct entry_line e;
		struct err err;

		entry_reader_init(&r, bytes_from(cut, n), 1);
		assert_int_equal(entry_next(&r, &e, &err), n == 0 ? 0 : -1);
		free(cut);
	}
}

static void test_any_date_comes_back(void **state)
{
	static const struct {
		const char *date, *field;
	} cases[] = {
		{ " 6-May-2024 07:08:09 +0200", DATE },
		{ " 1-Jan-1970 00:00:00 +0000", "1970-01-01T00:00:00+00:00" },
		{ " 1-Jan-0000 00:00:00 -2359", "0000-01-01T00:00:00-23:59" },
		{ "31-Dec-9999 23:59:59 +0000", "9999-12-31T23:59:59+00:00" },
		{ "NIL", "NIL" },
		{ "nil", "\"nil\"" },
		{ "", "\"\"" },
		{ "06-May-2024 07:08:09 +0200", "\"06-May-2024 07:08:09 +0200\"" },
		{ " 6-May-2024 07:08:09 -0000", "\" 6-May-2024 07:08:09 -0000\"" },
		{ " 6-May-2024 07:08:60 +0000", "\" 6-May-2024 07:08:60 +0000\"" },
		{ " 1-Jan-12345 00:00:00 +0000", "\" 1-Jan-12345 00:00:00 +0000\"" },
		{ "say \"100%\"\r\n\x7f\xe4", "\"say %22100%25%22%0D%0A%7F\xe4\"" },
		{ DATE, "\"" DATE "\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf field = BUF_INIT(1000);
		struct maildate d, again;

		maildate_init(&d);
		maildate_init(&again);
		maildate_parse(&d, bytes_of(cases[i].date));
		entry_date_write(&d, &field);
		assert_string_equal(buf_str(&field), cases[i].field);
		entry_date_read(buf_bytes(&field), &again);
		assert_true(maildate_equal(&d, &again));
		maildate_release(&d);
		maildate_release(&again);
		buf_release(&field);
	}
}

static void test_the_longest_date_comes_back(void **state)
{
	char raw[MAILDATE_RAW_MAX];
	struct buf line = BUF_INIT(10000), longer = BUF_INIT(10000);
	struct entry_reader r;
	struct entry_line e;
	struct maildate d, again;
	struct err err;

	(void)state;
	memset(raw, '"', sizeof(raw));
	maildate_init(&d);
	maildate_init(&again);
	maildate_parse(&d, bytes_from(raw, sizeof(raw)));
	buf_add_str(&line, "100 ");
	entry_date_write(&d, &line);
	buf_add_str(&line, " 1 ()\n");
	entry_reader_init(&r, buf_bytes(&line), 1);
	assert_int_equal(entry_next(&r, &e, &err), 1);
	entry_date_read(e.date, &again);
	assert_true(maildate_equal(&d, &again));
	/* With one byte more it is no date of ours. */
	buf_add_str(&longer, "100 \"x");
	buf_add(&longer, bytes_skip(e.date, 1));
	buf_add_str(&longer, " 1 ()\n");
	entry_reader_init(&r, buf_bytes(&longer), 1);
	assert_int_equal(entry_next(&r, &e, &err), -1);
	maildate_release(&d);
	maildate_release(&again);
	buf_release(&line);
	buf_release(&longer);
}

static void test_flags_of_lines_become_ids(void **state)
{
	static const char *const texts[] = { "", "\\Seen", "\\Answered \\Seen", "\\Seen \\Answered",
					     "$a \"b c\"", "\\Seen", "" };
	static const uint32_t want[] = { 0, 1, 2, 2, 3, 1, 0 };
	static const char *const bad[] = { "\\Recent", "\\*", "\\", "\"\"" };
	struct flag_table *table = flag_table_new();
	struct entry_line e = { .uid = 7 };
	struct flag_memo memo;
	struct err err;
	uint32_t id;

	(void)state;
	flag_memo_init(&memo, table);
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
			e.flags = bytes_of(texts[i]);
			assert_int_equal(flag_memo_id(&memo, &e, &id, &err), 0);
			assert_int_equal(id, want[i]);
		}
	/* More than are remembered, and longer ones. */
	for (uint32_t i = 0; i < 2000; i++) {
		char text[3000];
		struct flags f = FLAGS_INIT;

		snprintf(text, sizeof(text), "k%0*u", i % 3 ? 1 : 2000, i % 300);
		flags_add(&f, bytes_of(text));
		e.flags = bytes_of(text);
		assert_int_equal(flag_memo_id(&memo, &e, &id, &err), 0);
		assert_int_equal(id, flag_table_intern(table, &f));
		flags_release(&f);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e.flags = bytes_of(bad[i]);
		assert_int_equal(flag_memo_id(&memo, &e, &id, &err), -1);
		assert_int_equal(err.kind, ERR_FATAL);
		assert_string_equal(err.text, "UID 7: what stands as its flags is none");
	}
	flag_memo_release(&memo);
	flag_table_free(table);
}

#define ID "ab0123456789abcdef000000000000000000ffff"

static void test_kept_messages_come_back_in_number(void **state)
{
	const struct bytes in = bytes_of(ID " 1 NIL 3 ()\n" ID " 2 " DATE " 3 (\\Seen) held\n" ID
					    " 4294967295 NIL 3 () held a=b\n");
	struct buf again = BUF_INIT(1000);
	struct entry_reader r;
	struct kept_line k;
	struct err err;
	char hex[LAYOUT_HEX_SIZE];
	size_t n = 0;

	(void)state;
	kept_reader_init(&r, in);
	for (; kept_next(&r, &k, &err) > 0; n++) {
		layout_hex(k.id, hex);
		assert_string_equal(hex, ID);
		assert_int_equal(k.held, n > 0);
		assert_int_equal(k.entry.source_uid, 0);
		assert_int_equal(k.entry.size, 3);
		kept_write(&k, &again);
	}
	assert_int_equal(n, 3);
	assert_true(bytes_equal(buf_bytes(&again), in));
	buf_release(&again);
}

static void test_a_bad_kept_line_is_named_by_its_number(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "1 NIL 3 ()\n", "line 1: does not begin with an object id" },
		{ "AB0123456789abcdef000000000000000000ffff 1 NIL 3 ()\n",
		  "line 1: does not begin with an object id" },
		{ ID "0 1 NIL 3 ()\n", "line 1: does not begin with an object id" },
		{ ID "\n", "line 1: does not begin with an object id" },
		{ ID " NIL 3 ()\n", "line 1: does not begin with a UID" },
		{ ID " 2 NIL 3 ()\n" ID " 2 NIL 3 ()\n", "line 2: its UID is out of place" },
		{ ID " 2 NIL 3 ()\n" ID " 1 NIL 3 ()\n", "line 2: its UID is out of place" },
		{ ID " 2 NIL 3 () heldx\n", "line 1: not a key=value pair" },
		{ ID " 2 NIL 3 () held held\n", "line 1: not a key=value pair" },
		{ ID " 2 NIL 3 () a=b held\n", "line 1: not a key=value pair" },
		{ ID " 2 NIL 3 () source=1\n", "line 1: source= is not first" },
		{ ID " 2 NIL 3 ()", "line 1: the text ends in the middle of a line" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct entry_reader r;
		struct kept_line k;
		struct err err;
		int rc;

		kept_reader_init(&r, bytes_of(cases[i].text));
		while ((rc = kept_next(&r, &k, &err)) > 0)
			;
		if (rc == 0)
			fail_msg("taken: %s", cases[i].text);
		assert_int_equal(err.kind, ERR_FATAL);
		if (strncmp(err.text, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

/* Pairs of later versions stay beside it; what is no identity of ours is one of those. */
static void test_the_identity_is_one_of_the_pairs(void **state)
{
	static const struct {
		const char *extra, *identity, *without, *with;
	} cases[] = {
		{ "", "", "", " emailid=M1" },
		{ " emailid=Mx-9_Z", "emailid=Mx-9_Z", "", " emailid=M1" },
		{ " a=1 gmmsgid=12 b=2", "gmmsgid=12", " a=1 b=2", " a=1 b=2 emailid=M1" },
		{ " emailid= emailid=a.b xemailid=M2", "", " emailid= emailid=a.b xemailid=M2",
		  " emailid= emailid=a.b xemailid=M2 emailid=M1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct entry_line e = { .extra = bytes_of(cases[i].extra) };
		struct entry_line new = { .extra = bytes_of(" emailid=M1") };
		struct buf text = BUF_INIT(1000);

		assert_span(entry_identity(&e), cases[i].identity);
		entry_extra_write(e.extra, (struct bytes){ 0 }, &text);
		assert_string_equal(buf_str(&text), cases[i].without);
		buf_clear(&text);
		entry_take_pairs(&new, &e, &text);
		assert_string_equal(buf_str(&text), cases[i].with);
		buf_release(&text);
	}
}

static void test_identities_have_a_kind_and_a_short_value(void **state)
{
	char text[300];

	(void)state;
	snprintf(text, sizeof(text), "emailid=%0255d", 1);
	assert_true(identity_is_valid(bytes_of(text)));
	snprintf(text, sizeof(text), "emailid=%0256d", 1);
	assert_false(identity_is_valid(bytes_of(text)));
	assert_true(identity_is_valid(bytes_of("gmmsgid=0")));
	assert_false(identity_is_valid(bytes_of("gmmsgid=")));
	assert_false(identity_is_valid(bytes_of("gmmsgid=1 2")));
	assert_false(identity_is_valid(bytes_of("gmmsgid=1\n2")));
	assert_false(identity_is_valid(bytes_of("threadid=T1")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_says_all_of_a_message_but_its_bytes),
		cmocka_unit_test(test_a_bad_line_is_named_by_its_number),
		cmocka_unit_test(test_a_line_cut_anywhere_is_an_error_or_nothing),
		cmocka_unit_test(test_any_date_comes_back),
		cmocka_unit_test(test_the_longest_date_comes_back),
		cmocka_unit_test(test_flags_of_lines_become_ids),
		cmocka_unit_test(test_kept_messages_come_back_in_number),
		cmocka_unit_test(test_a_bad_kept_line_is_named_by_its_number),
		cmocka_unit_test(test_the_identity_is_one_of_the_pairs),
		cmocka_unit_test(test_identities_have_a_kind_and_a_short_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
