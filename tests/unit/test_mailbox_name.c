#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/utf8.h"
#include "core/mail/mailbox_name.h"

static struct mailbox_name from_wire(const char *wire, uint8_t delimiter, bool utf8)
{
	struct mailbox_name m = MAILBOX_NAME_INIT;

	mailbox_name_from_wire(&m, bytes_of(wire), delimiter, utf8);
	return m;
}

static struct mailbox_name from_display(const char *text)
{
	struct mailbox_name m = MAILBOX_NAME_INIT;
	struct err err = { 0 };

	assert_int_equal(mailbox_name_from_display(&m, bytes_of(text), &err), 0);
	return m;
}

static void assert_components(const struct mailbox_name *m, const char *want)
{
	struct buf out = BUF_INIT(10000);

	for (size_t i = 0; i < m->count; i++)
		buf_addf(&out, "<%s>", m->components[i]);
	assert_string_equal(buf_str(&out), want);
	buf_release(&out);
}

static void assert_display(const struct mailbox_name *m, const char *want)
{
	char *text = mailbox_name_text(m);

	assert_string_equal(text, want);
	free(text);
}

/* What it shows leads back to the same name, and its wire form to the bytes it came from. */
static void assert_round_trips(const struct mailbox_name *m, struct bytes wire)
{
	struct mailbox_name again = MAILBOX_NAME_INIT;
	struct buf out = BUF_INIT(10000);
	struct err err = { 0 };
	char *text = mailbox_name_text(m);

	assert_true(utf8_is_valid(bytes_of(text)));
	assert_int_equal(mailbox_name_from_display(&again, bytes_of(text), &err), 0);
	assert_true(mailbox_name_equal(m, &again));
	assert_int_equal(mailbox_name_compare(m, &again), 0);
	assert_true(mailbox_name_hash(m) == mailbox_name_hash(&again));
	assert_int_equal(again.exact, m->exact);
	assert_int_equal(mailbox_name_to_wire(m, m->delimiter, m->utf8, &out, &err), 0);
	assert_true(bytes_equal(buf_bytes(&out), wire));
	buf_clear(&out);
	if (!bytes_starts_nocase(wire, "inbox")) { /* whose spelling belongs to the server */
		assert_int_equal(mailbox_name_to_wire(&again, m->delimiter, m->utf8, &out, &err),
				 0);
		assert_true(bytes_equal(buf_bytes(&out), wire));
	}
	buf_release(&out);
	mailbox_name_release(&again);
	free(text);
}

static void test_wire_names_become_components_and_text(void **state)
{
	static const struct {
		const char *wire;
		uint8_t delimiter;
		bool utf8;
		const char *components, *display;
		bool exact;
	} cases[] = {
		{ "Work/2024", '/', false, "<Work><2024>", "Work/2024", true },
		{ "Work.2024", '.', false, "<Work><2024>", "Work/2024", true },
		{ "Work/2024", '.', false, "<Work/2024>", "Work%2F2024", true },
		{ "Work/2024", 0, false, "<Work/2024>", "Work%2F2024", true },
		{ "Entw&APw-rfe", '/', false, "<Entw\xc3\xbcrfe>", "Entw\xc3\xbcrfe", true },
		{ "Entw\xc3\xbcrfe", '/', true, "<Entw\xc3\xbcrfe>", "Entw\xc3\xbcrfe", true },
		{ "a&b", '/', true, "<a&b>", "a&b", true },
		{ "R&-D", '/', false, "<R&D>", "R&D", true },
		{ "50%", '/', false, "<50%>", "50%25", true },
		{ "&AAE-", '/', false, "<\x01>", "%01", true },
		{ "&AJs-", '/', false, "<\xc2\x9b>", "%C2%9B", true },
		{ "", '/', false, "<>", "", true },
		{ "/a//b/", '/', false, "<><a><><b><>", "/a//b/", true },
		{ "../../x", '/', false, "<..><..><x>", "../../x", true },
		{ "NIL", '/', false, "<NIL>", "NIL", true },
		/* a `=` that looks like an escape */
		{ "a=26", '/', false, "<a=3D26>", "a=3D26", true },
		{ "a=3D26", '/', false, "<a=3D3D26>", "a=3D3D26", true },
		{ "a=b=3d", '/', false, "<a=b=3d>", "a=b=3d", true },
		/* what no text encodes to */
		{ "a&b/c", '/', false, "<a=26b><c>", "a=26b/c", false },
		{ "Entw\xc3\xbcrfe", '/', false, "<Entw=C3=BCrfe>", "Entw=C3=BCrfe", false },
		{ "\xff\x01", '/', true, "<=FF=01>", "=FF=01", false },
		{ "\x01", '/', false, "<=01>", "=01", false },
		{ "=26&", '/', false, "<=3D26=26>", "=3D26=26", false },
		{ "&AAA-", '/', false, "<=26AAA->", "=26AAA-", false },
		{ "&AGE-", '/', false, "<=26AGE->", "=26AGE-", false },
		{ "&APwA/A-x", '/', false, "<=26APwA><A-x>", "=26APwA/A-x", false },
		/* INBOX */
		{ "inbox", '/', false, "<INBOX>", "INBOX", true },
		{ "Inbox/x", '/', false, "<INBOX><x>", "INBOX/x", true },
		{ "x/Inbox", '/', false, "<x><Inbox>", "x/Inbox", true },
		{ "Inbox2", '/', false, "<Inbox2>", "Inbox2", true },
		/* delimiters no sane server has */
		{ "a&-b", '&', false, "<a><-b>", "a/-b", true },
		{ "&APw-", 'P', false, "<=26A><w->", "=26A/w-", false },
		{ "a\tb", '\t', false, "<a><b>", "a/b", true },
		{ "a\\b", '\\', false, "<a><b>", "a/b", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mailbox_name m =
			from_wire(cases[i].wire, cases[i].delimiter, cases[i].utf8);

		assert_components(&m, cases[i].components);
		assert_display(&m, cases[i].display);
		assert_int_equal(m.exact, cases[i].exact);
		assert_round_trips(&m, bytes_of(cases[i].wire));
		mailbox_name_release(&m);
	}
}

static void random_wire(struct buf *out)
{
	static const char letters[] = "aA=26D3&&-AOQ,/./%\x01\x7f\xc3\xa4\xff\0b";

	for (int n = rand() % 10; n > 0; n--)
		buf_add_byte(out, (uint8_t)letters[(size_t)rand() % (sizeof(letters) - 1)]);
}

static void test_any_bytes_are_a_name_that_comes_back(void **state)
{
	static const uint8_t delimiters[] = { '/', '.', 0, '&', 'A', '=', 0xc3, 0xff };

	(void)state;
	srand(11);
	for (int round = 0; round < 100000; round++) {
		struct buf wire = BUF_INIT(100);
		struct mailbox_name m = MAILBOX_NAME_INIT;

		random_wire(&wire);
		mailbox_name_from_wire(&m, buf_bytes(&wire),
				       delimiters[(size_t)rand() % sizeof(delimiters)], rand() % 2);
		assert_true(m.count >= 1);
		assert_round_trips(&m, buf_bytes(&wire));
		mailbox_name_release(&m);
		buf_release(&wire);
	}
}

static void test_distinct_wire_names_stay_distinct(void **state)
{
	(void)state;
	srand(12);
	for (int round = 0; round < 300000; round++) {
		struct buf a = BUF_INIT(100), b = BUF_INIT(100);
		struct mailbox_name ma = MAILBOX_NAME_INIT, mb = MAILBOX_NAME_INIT;
		bool utf8 = rand() % 2;

		random_wire(&a);
		random_wire(&b);
		mailbox_name_from_wire(&ma, buf_bytes(&a), '/', utf8);
		mailbox_name_from_wire(&mb, buf_bytes(&b), '/', utf8);
		assert_int_equal(mailbox_name_equal(&ma, &mb),
				 bytes_equal(buf_bytes(&a), buf_bytes(&b)));
		mailbox_name_release(&ma);
		mailbox_name_release(&mb);
		buf_release(&a);
		buf_release(&b);
	}
}

static void test_long_and_deep_names_are_kept(void **state)
{
	char wire[3000];
	struct mailbox_name m;

	(void)state;
	for (size_t i = 0; i < sizeof(wire); i++)
		wire[i] = (char)(i % 300 == 299 ? '/' : 1 + i % 255);
	for (size_t i = 0; i < sizeof(wire); i++)
		if (wire[i] == '/' && i % 300 != 299)
			wire[i] = 'x';
	wire[sizeof(wire) - 1] = '\0';
	m = from_wire(wire, '/', false);
	assert_int_equal(m.count, 10);
	assert_round_trips(&m, bytes_of(wire));
	mailbox_name_release(&m);
}

static void test_a_name_is_spelled_for_another_server(void **state)
{
	static const struct {
		const char *display;
		uint8_t delimiter;
		bool utf8;
		const char *want; /* NULL: it cannot be */
	} cases[] = {
		{ "Work/2024", '.', false, "Work.2024" },
		{ "Work/2024", 0, false, NULL },
		{ "Work", 0, false, "Work" },
		{ "v1.0/x", '.', false, NULL },
		{ "v1.0/x", '/', false, "v1.0/x" },
		{ "a%2Fb/c", '.', false, "a/b.c" },
		{ "a%2Fb/c", '/', false, NULL },
		{ "Entw\xc3\xbcrfe/x", '.', false, "Entw&APw-rfe.x" },
		{ "Entw\xc3\xbcrfe/x", '.', true, "Entw\xc3\xbcrfe.x" },
		{ "a=26b", '.', false, "a&b" },
		{ "a=2Eb", '.', false, "a=2Eb" }, /* no wire name shows as that: plain text */
		{ "R&D", '/', false, "R&-D" },
		{ "\xc3\xa4", 'A', false, NULL }, /* &AOQ- holds the delimiter */
		{ "inbox/x", '.', false, "INBOX.x" },
		{ "100%", '/', false, "100%" },
		{ "100%25", '/', false, "100%" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mailbox_name m = from_display(cases[i].display);
		struct buf out = BUF_INIT(100);
		struct err err = { 0 };
		int ret = mailbox_name_to_wire(&m, cases[i].delimiter, cases[i].utf8, &out, &err);

		assert_int_equal(ret, cases[i].want ? 0 : -1);
		assert_string_equal(buf_str(&out), cases[i].want ? cases[i].want : "");
		assert_int_equal(err.kind, cases[i].want ? ERR_NONE : ERR_MAILBOX);
		buf_release(&out);
		mailbox_name_release(&m);
	}
}

static void test_components_from_elsewhere_are_brought_into_form(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "plain", "<plain>" }, { "a/b", "<a/b>" },	  { "=41", "<=3D41>" },
		{ "=26", "<=26>" },	{ "=3D41", "<=3D41>" },	  { "=3Dx", "<=3D3Dx>" },
		{ "inbox", "<INBOX>" }, { "\xc3\xa4=26", "<\xc3\xa4=3D26>" },
	};
	struct mailbox_name m = MAILBOX_NAME_INIT;
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(mailbox_name_from_components(&m, &cases[i].in, 1, &err), 0);
		assert_components(&m, cases[i].want);
		assert_null(m.wire.p);
	}
	mailbox_name_release(&m);
}

static void test_text_that_cannot_be_a_name_is_an_error(void **state)
{
	static const char *const bad[] = { "\xff", "a/%FF", "%00", "x/a%00b" };
	const char *component = "a\xff";
	struct mailbox_name m = from_display("old");
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err.kind = ERR_NONE;
		assert_int_equal(mailbox_name_from_display(&m, bytes_of(bad[i]), &err), -1);
		assert_int_equal(err.kind, ERR_CONFIG);
	}
	assert_int_equal(mailbox_name_from_components(&m, &component, 1, &err), -1);
	assert_int_equal(mailbox_name_from_components(&m, NULL, 0, &err), -1);
	assert_display(&m, "old"); /* untouched */
	mailbox_name_release(&m);
}

static void test_a_name_sorts_before_those_below_it(void **state)
{
	static const char *const sorted[] = { "", "INBOX", "INBOX/a", "a", "a/b", "a/b/c", "a/c",
					      "a b", "b" };
	const int n = (int)(sizeof(sorted) / sizeof(sorted[0]));

	(void)state;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			struct mailbox_name a = from_display(sorted[i]);
			struct mailbox_name b = from_display(sorted[j]);
			int d = mailbox_name_compare(&a, &b);

			assert_int_equal((d > 0) - (d < 0), (i > j) - (i < j));
			assert_int_equal(mailbox_name_equal(&a, &b), i == j);
			mailbox_name_release(&a);
			mailbox_name_release(&b);
		}
}

static void test_the_servers_spelling_is_not_part_of_the_name(void **state)
{
	struct mailbox_name a = from_wire("Entw&APw-rfe.x", '.', false);
	struct mailbox_name b = from_wire("Entw\xc3\xbcrfe/x", '/', true);
	struct mailbox_name copy = MAILBOX_NAME_INIT, inbox = from_wire("iNbOx", '/', false);

	(void)state;
	assert_true(mailbox_name_equal(&a, &b));
	assert_true(mailbox_name_hash(&a) == mailbox_name_hash(&b));
	mailbox_name_copy(&copy, &a);
	mailbox_name_release(&a);
	assert_true(mailbox_name_equal(&copy, &b));
	assert_true(bytes_is(copy.wire, "Entw&APw-rfe.x"));
	assert_true(mailbox_name_is_inbox(&inbox));
	assert_true(bytes_is(inbox.wire, "iNbOx"));
	assert_false(mailbox_name_is_inbox(&b));
	mailbox_name_release(&b);
	mailbox_name_release(&copy);
	mailbox_name_release(&inbox);
}

static void assert_maps(const struct mailbox_name *source, const char *as)
{
	struct mailbox_name name = MAILBOX_NAME_INIT, target = MAILBOX_NAME_INIT, back = MAILBOX_NAME_INIT;
	char *text;
	struct err err;

	assert_int_equal(mailbox_name_from_display(&target, bytes_of(as), &err), 0);
	mailbox_name_map(&name, source, &target);
	text = mailbox_name_text(&name);
	assert_string_equal(text, as);
	assert_int_equal(name.mapped, !mailbox_name_equal(source, &target));
	mailbox_name_source(&back, &name);
	assert_true(mailbox_name_equal(&back, source));
	assert_true(mailbox_name_same_source(&name, source));
	if (source->wire.p)
		assert_true(bytes_equal(back.wire, source->wire));
	mailbox_name_map(&name, source, source); /* nothing of the first remains */
	assert_false(name.mapped);
	free(text);
	mailbox_name_release(&name);
	mailbox_name_release(&target);
	mailbox_name_release(&back);
}

static void test_a_mapped_name_still_knows_what_it_was(void **state)
{
	struct mailbox_name server = from_wire("Entw&APw-rfe.x", '.', false), local = MAILBOX_NAME_INIT;
	struct mailbox_name as = MAILBOX_NAME_INIT, name = MAILBOX_NAME_INIT;
	struct buf wire = BUF_INIT(100);
	struct err err;

	(void)state;
	assert_maps(&server, "Drafts/x");
	assert_maps(&server, "Entwürfe/x");
	assert_maps(&server, "INBOX");
	/* No server spelled these. */
	assert_int_equal(mailbox_name_from_display(&local, bytes_of("a%2Fb/c=41%01"), &err), 0);
	assert_maps(&local, "Other");
	/* To another server it is what it is called here, and not what it was. */
	assert_int_equal(mailbox_name_from_display(&as, bytes_of("Drafts/x"), &err), 0);
	mailbox_name_map(&name, &server, &as);
	assert_int_equal(mailbox_name_to_wire(&name, '.', false, &wire, &err), 0);
	assert_string_equal(buf_str(&wire), "Drafts.x");
	mailbox_name_release(&server);
	mailbox_name_release(&local);
	mailbox_name_release(&as);
	mailbox_name_release(&name);
	buf_release(&wire);
}

static void test_a_packed_name_comes_back_with_its_spelling(void **state)
{
	static const struct bytes nothing[] = { { 0 },
						{ (const uint8_t *)"a", 1 },
						{ (const uint8_t *)"\xff", 2 } };
	struct mailbox_name name = MAILBOX_NAME_INIT, back = MAILBOX_NAME_INIT;
	struct buf packed = BUF_INIT(100);
	struct err err;

	(void)state;
	mailbox_name_from_wire(&name, bytes_of("INBOX.Entw&APw-rfe.x"), '.', false);
	mailbox_name_pack(&name, &packed);
	assert_memory_equal(packed.p, "INBOX\0Entw\xc3\xbcrfe\0x", packed.n);
	assert_int_equal(mailbox_name_unpack(&back, buf_bytes(&packed), name.wire, '.', false, &err),
			 0);
	assert_true(mailbox_name_equal(&name, &back));
	assert_true(bytes_equal(name.wire, back.wire));
	assert_int_equal(back.delimiter, '.');
	assert_int_equal(
		mailbox_name_unpack(&back, buf_bytes(&packed), (struct bytes){ 0 }, 0, false, &err), 0);
	assert_true(mailbox_name_equal(&name, &back));
	assert_null(back.wire.p);
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		assert_int_equal(mailbox_name_unpack(&back, nothing[i], name.wire, '.', false, &err),
				 -1);
		assert_int_equal(err.kind, ERR_FATAL);
	}
	buf_release(&packed);
	mailbox_name_release(&name);
	mailbox_name_release(&back);
}

static void test_list_patterns_match(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool want;
	} cases[] = {
		{ "*", "", true },
		{ "*", "a/b", true },
		{ "%", "a", true },
		{ "%", "a/b", false },
		{ "%/%", "a/b", true },
		{ "%/%", "a/b/c", false },
		{ "a*", "a/b/c", true },
		{ "a/%", "a/b/c", false },
		{ "a/%", "a", false },
		{ "*c", "a/b/c", true },
		{ "*b%", "a/b/c", false },
		{ "a*b*c", "a/xbx/c", true },
		{ "a", "A", false },
		{ "inbox", "INBOX", true },
		{ "InBox/x", "INBOX/x", true },
		{ "INBOX/X", "INBOX/x", false },
		{ "inbox2", "INBOX2", false },
		{ "in%", "INBOX", true },
		{ "", "", true },
		{ "", "a", false },
		{ "**%%a", "a", true },
		{ "50%25", "50%25", true },
		{ "********************************b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mailbox_name m = from_display(cases[i].name);

		if (mailbox_name_matches(&m, bytes_of(cases[i].pattern)) != cases[i].want)
			fail_msg("%s on %s", cases[i].pattern, cases[i].name);
		mailbox_name_release(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wire_names_become_components_and_text),
		cmocka_unit_test(test_any_bytes_are_a_name_that_comes_back),
		cmocka_unit_test(test_distinct_wire_names_stay_distinct),
		cmocka_unit_test(test_long_and_deep_names_are_kept),
		cmocka_unit_test(test_a_name_is_spelled_for_another_server),
		cmocka_unit_test(test_components_from_elsewhere_are_brought_into_form),
		cmocka_unit_test(test_text_that_cannot_be_a_name_is_an_error),
		cmocka_unit_test(test_a_name_sorts_before_those_below_it),
		cmocka_unit_test(test_the_servers_spelling_is_not_part_of_the_name),
		cmocka_unit_test(test_a_mapped_name_still_knows_what_it_was),
		cmocka_unit_test(test_a_packed_name_comes_back_with_its_spelling),
		cmocka_unit_test(test_list_patterns_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
