#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/mail/flags.h"

static struct flags make(const char *text)
{
	struct flags f = FLAGS_INIT;

	assert_true(flags_add_list(&f, bytes_of(text)));
	return f;
}

static void assert_flags(const struct flags *f, const char *want)
{
	struct buf out = BUF_INIT(10000);

	flags_format(f, &out);
	assert_string_equal(buf_str(&out), want);
	buf_release(&out);
}

static void test_a_list_is_read_and_written_in_one_order(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "", "" },
		{ "()", "" },
		{ "\\Seen", "\\Seen" },
		{ "\\DRAFT \\deleted \\flagged \\answered \\seen",
		  "\\Seen \\Answered \\Flagged \\Deleted \\Draft" },
		{ "(zeta  Alpha   \\Seen )", "\\Seen Alpha zeta" },
		{ "$Forwarded $forwarded $FORWARDED", "$Forwarded" },
		{ "\\XyZ Seen", "\\XyZ Seen" },
		{ "[Gmail]/x ]", "[Gmail]/x ]" },
		{ "\"Gmail ]x\"", "\"Gmail ]x\"" },
		{ "\"a\\\"b\" \"c\\\\d\" \"e(\" plain", "\"a\\\"b\" \"c\\\\d\" \"e(\" plain" },
		{ "\xc3\xa4 \xff", "\xc3\xa4 \xff" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flags f = make(cases[i].in), again;

		assert_flags(&f, cases[i].want);
		again = make(cases[i].want);
		assert_true(flags_equal(&f, &again));
		flags_release(&f);
		flags_release(&again);
	}
}

static void test_what_is_no_flag_is_left_out_and_said(void **state)
{
	static const char *const bad[] = { "", "\\Recent", "\\recent", "\\*", "\\",
					   "a\rb", "a\nb", "a\tb", "\x7f" };
	struct flags f = FLAGS_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(flags_add(&f, bytes_of(bad[i])));
	assert_false(flags_add(&f, bytes_from("a\0b", 3)));
	assert_true(flags_is_empty(&f));
	assert_false(flags_add_list(&f, bytes_of("\\Recent $a \"open")));
	assert_flags(&f, "$a");
	flags_release(&f);
}

static void test_a_single_flag_is_taken_as_it_is(void **state)
{
	struct flags f = FLAGS_INIT;

	(void)state;
	assert_true(flags_add(&f, bytes_of("Gmail ]x")));
	assert_true(flags_add(&f, bytes_of("x) \\Deleted (")));
	assert_int_equal(f.bits, 0);
	assert_int_equal(f.count, 2);
	assert_flags(&f, "\"Gmail ]x\" \"x) \\\\Deleted (\"");
	flags_release(&f);
}

static void test_only_atoms_go_to_a_server(void **state)
{
	struct flags f = make("\\Seen ok] \\Ext \"a b\" \"c\\\\d\" %w *w {4} \xc3\xa4 \"q\\\"\"");
	struct buf out = BUF_INIT(1000);

	(void)state;
	assert_int_equal(flags_format_imap(&f, &out), 7);
	assert_string_equal(buf_str(&out), "\\Seen \\Ext ok]");
	buf_release(&out);
	flags_release(&f);
}

static void test_case_does_not_matter_and_the_first_spelling_stays(void **state)
{
	struct flags f = make("NonJunk"), g = make("nonjunk");

	(void)state;
	assert_true(flags_equal(&f, &g));
	assert_true(flags_has(&f, bytes_of("NONJUNK")));
	assert_true(flags_add(&f, bytes_of("NONJUNK")));
	assert_flags(&f, "NonJunk");
	assert_true(flags_remove(&f, bytes_of("nonJUNK")));
	assert_false(flags_remove(&f, bytes_of("NonJunk")));
	assert_true(flags_is_empty(&f));
	assert_false(flags_equal(&f, &g));
	flags_release(&f);
	flags_release(&g);
}

static void test_order_is_total(void **state)
{
	static const char *const sorted[] = { "", "a", "a b", "a c", "B", "b c", "\\Seen",
					      "\\Seen a", "\\Answered" };
	const int n = (int)(sizeof(sorted) / sizeof(sorted[0]));

	(void)state;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			struct flags a = make(sorted[i]), b = make(sorted[j]);
			int d = flags_compare(&a, &b);

			assert_int_equal((d > 0) - (d < 0), (i > j) - (i < j));
			flags_release(&a);
			flags_release(&b);
		}
}

static void test_a_difference_leads_from_one_to_the_other(void **state)
{
	static const struct {
		const char *from, *to, *add, *remove;
	} cases[] = {
		{ "", "", "", "" },
		{ "\\Seen a", "\\Seen A", "", "" },
		{ "\\Seen a c", "\\Flagged b C", "\\Flagged b", "\\Seen a" },
		{ "", "\\Draft x", "\\Draft x", "" },
		{ "\\Draft x", "", "", "\\Draft x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flags from = make(cases[i].from), to = make(cases[i].to);
		struct flags add = make("old"), remove = make("old");

		flags_diff(&from, &to, &add, &remove);
		assert_flags(&add, cases[i].add);
		assert_flags(&remove, cases[i].remove);
		flags_remove_all(&from, &remove);
		flags_add_all(&from, &add);
		assert_true(flags_equal(&from, &to));
		flags_release(&from);
		flags_release(&to);
		flags_release(&add);
		flags_release(&remove);
	}
}

/* For every flag: a ^ b ^ base is the side that changed, or all three when neither or both did. */
static void test_a_merge_takes_the_side_that_changed(void **state)
{
	static const char *const names[] = { "\\Seen", "k" };

	(void)state;
	for (unsigned bits = 0; bits < 8; bits++)
		for (size_t i = 0; i < 2; i++) {
			bool base = bits & 1, a = bits & 2, b = bits & 4;
			bool want = a != base ? a : b;
			struct flags fbase = make(base ? names[i] : "");
			struct flags fa = make(a ? names[i] : "");
			struct flags fb = make(b ? names[i] : "");

			flags_merge(&fbase, &fa, &fb, &fa); /* the result may be an input */
			assert_flags(&fa, want ? names[i] : "");
			flags_release(&fbase);
			flags_release(&fa);
			flags_release(&fb);
		}
}

static void test_a_copy_is_independent(void **state)
{
	struct flags f = make("\\Seen a b"), g = make("old");

	(void)state;
	flags_copy(&g, &f);
	flags_copy(&g, &g);
	flags_add(&f, bytes_of("c"));
	assert_flags(&g, "\\Seen a b");
	flags_add(&g, bytes_of("d"));
	assert_flags(&f, "\\Seen a b c");
	flags_release(&f);
	flags_release(&g);
}

static void random_flags(struct flags *f)
{
	flags_release(f);
	f->bits = (unsigned)rand() & FLAG_ALL_BITS;
	for (int n = rand() % 4; n > 0; n--) {
		char keyword[16];

		snprintf(keyword, sizeof(keyword), rand() % 2 ? "kw%d" : "KW%d", rand() % 20);
		flags_add(f, bytes_of(keyword));
	}
}

static void test_a_table_gives_equal_flags_one_id(void **state)
{
	enum { MANY = 20000 };
	static uint32_t ids[MANY];
	struct flag_table *t = flag_table_new();
	struct flags f = FLAGS_INIT;

	(void)state;
	assert_int_equal(flag_table_intern(t, &f), 0);
	assert_true(flags_is_empty(flag_table_get(t, 0)));
	srand(3);
	for (int i = 0; i < MANY; i++) {
		random_flags(&f);
		ids[i] = flag_table_intern(t, &f);
		assert_true(ids[i] < flag_table_count(t));
		assert_true(flags_equal(flag_table_get(t, ids[i]), &f));
	}
	srand(3);
	for (int i = 0; i < MANY; i++) { /* ids stay what they were while the table grew */
		random_flags(&f);
		assert_int_equal(flag_table_intern(t, &f), ids[i]);
	}
	for (uint32_t i = 0; i < flag_table_count(t) && i < 300; i++)
		for (uint32_t j = 0; j < i; j++)
			assert_false(flags_equal(flag_table_get(t, i), flag_table_get(t, j)));
	flags_release(&f);
	flag_table_free(t);
	flag_table_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list_is_read_and_written_in_one_order),
		cmocka_unit_test(test_what_is_no_flag_is_left_out_and_said),
		cmocka_unit_test(test_a_single_flag_is_taken_as_it_is),
		cmocka_unit_test(test_only_atoms_go_to_a_server),
		cmocka_unit_test(test_case_does_not_matter_and_the_first_spelling_stays),
		cmocka_unit_test(test_order_is_total),
		cmocka_unit_test(test_a_difference_leads_from_one_to_the_other),
		cmocka_unit_test(test_a_merge_takes_the_side_that_changed),
		cmocka_unit_test(test_a_copy_is_independent),
		cmocka_unit_test(test_a_table_gives_equal_flags_one_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
