#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "backends/maildir/names.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/mailbox_name.h"

static char *dir_of(const char *display, enum maildir_layout layout, bool apart)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct buf dir = BUF_INIT(MAILDIR_PATH_MAX);
	struct err err;

	assert_int_equal(mailbox_name_from_display(&name, bytes_of(display), &err), 0);
	maildir_directory(&name, layout, apart, &dir);
	assert_false(dir.overflow);
	mailbox_name_release(&name);
	return buf_take(&dir);
}

static void test_ordinary_names_stay_readable_and_others_are_escaped(void **state)
{
	static const struct {
		const char *name, *fs, *plus;
	} cases[] = {
		{ "INBOX", "INBOX", "" },
		{ "inbox", "INBOX", "" },
		{ "INBOX/a", "INBOX/a", ".INBOX.a" },
		{ "Work/2024", "Work/2024", ".Work.2024" },
		{ "Entw\xc3\xbcrfe", "Entw\xc3\xbcrfe", ".Entw\xc3\xbcrfe" },
		{ "a.b", "a.b", ".a%2Eb" },
		{ "..", "%2E.", ".%2E%2E" },
		{ ".", "%2E", ".%2E" },
		{ ".git", "%2Egit", ".%2Egit" },
		{ "git", "git", ".%67it" },
		{ "cur", "%63ur", ".cur" },
		{ "a/Tmp", "a/%54mp", ".a.Tmp" },
		{ "a%2Fb", "a%2Fb", ".a%2Fb" },
		{ "a%01b", "a%01b", ".a%01b" },
		{ "100%25", "100%25", ".100%25" },
		{ "~", "%7E", ".%7E" },
		{ "a//b", "a/%/b", ".a.%.b" },
		{ "mailcask.db", "%6Dailcask.db", ".mailcask%2Edb" },
		{ "a/dovecot-keywords", "a/%64ovecot-keywords", ".a.dovecot-keywords" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *fs = dir_of(cases[i].name, LAYOUT_FS, false);
		char *plus = dir_of(cases[i].name, LAYOUT_PLUS, false);

		assert_string_equal(fs, cases[i].fs);
		assert_string_equal(plus, cases[i].plus);
		free(fs);
		free(plus);
	}
}

/* Whether every component can be made by any file system and is none that must not be. */
static void check_components(const char *dir)
{
	while (*dir) {
		size_t n = strcspn(dir, "/");

		assert_true(n > 0 && n <= 255);
		assert_false(n == 1 && dir[0] == '.');
		assert_false(n == 2 && dir[0] == '.' && dir[1] == '.');
		assert_false(n == 3 && (strncmp(dir, "cur", 3) == 0 || strncmp(dir, "new", 3) == 0 ||
					strncmp(dir, "tmp", 3) == 0));
		for (size_t i = 0; i < n; i++)
			assert_true((uint8_t)dir[i] >= 0x20 && dir[i] != 0x7f);
		dir += n + (dir[n] == '/');
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

/* Pieces that meet in awkward ways; long ones so that names are cut at every place. */
static void random_name(uint32_t *seed, struct buf *out)
{
	static const char *const pieces[] = { "a", "A", ".", "..", "/", "%2F", "%25", "~", "cur",
					      "%01", "\xc3\xa4", "INBOX", " ", "%7E", "git" };
	uint32_t n = 1 + next_random(seed) % 5;
	uint32_t repeat = next_random(seed) % 4 == 0 ? 1 + next_random(seed) % 150 : 1;

	for (uint32_t i = 0; i < n; i++) {
		const char *piece = pieces[next_random(seed) % 15];

		for (uint32_t j = 0; j < repeat; j++)
			buf_add_str(out, piece);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_distinct_names_have_distinct_safe_directories(void **state)
{
	enum { N = 3000 };
	char **names = xcalloc(N, sizeof(*names));
	uint32_t seed = 7;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		struct mailbox_name m = MAILBOX_NAME_INIT;
		struct buf b = BUF_INIT(65536);
		struct err err;

		random_name(&seed, &b);
		assert_int_equal(mailbox_name_from_display(&m, buf_bytes(&b), &err), 0);
		names[i] = mailbox_name_text(&m);
		mailbox_name_release(&m);
		buf_release(&b);
	}
	qsort(names, N, sizeof(*names), by_text);
	for (int layout = LAYOUT_FS; layout <= LAYOUT_PLUS; layout++) {
		char **dirs = xcalloc(N, sizeof(*dirs));
		size_t n = 0;

		for (size_t i = 0; i < N; i++)
			if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
				dirs[n++] = dir_of(names[i], (enum maildir_layout)layout, false);
		qsort(dirs, n, sizeof(*dirs), by_text);
		for (size_t i = 0; i < n; i++) {
			check_components(dirs[i]);
			if (i > 0)
				assert_string_not_equal(dirs[i], dirs[i - 1]);
		}
		for (size_t i = 0; i < n; i++)
			free(dirs[i]);
		free(dirs);
	}
	for (size_t i = 0; i < N; i++)
		free(names[i]);
	free(names);
}

static void test_names_apart_differ_in_more_than_case(void **state)
{
	char *a = dir_of("x/Foo", LAYOUT_FS, true), *b = dir_of("x/foo", LAYOUT_FS, true);

	(void)state;
	assert_int_equal(strncmp(a, "x/Foo~", 6), 0);
	assert_int_not_equal(strcasecmp(a, b), 0);
	free(a);
	free(b);
}

static void test_file_names_are_split_at_the_info(void **state)
{
	static const struct {
		const char *name, *base, *letters;
	} cases[] = {
		{ "1.a", "1.a", "" },
		{ "1.a:2,", "1.a", "" },
		{ "1.a:2,FS", "1.a", "FS" },
		{ "1.a,S=3:2,Sab", "1.a,S=3", "Sab" },
		{ "1.a:1,FS", "1.a", "" },
		{ ":2,S", "", "S" },
		{ "1.a:", "1.a", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct file_name f = file_name_split(bytes_of(cases[i].name));

		assert_true(bytes_is(f.base, cases[i].base));
		assert_true(bytes_is(f.letters, cases[i].letters));
	}
}

static void test_the_mark_of_an_exact_file_is_a_field_of_its_own(void **state)
{
	static const struct {
		const char *base;
		bool exact;
	} cases[] = {
		{ "1.a", false },      { "1.a,X", true },     { "1.a,S=3,X", true },
		{ "1.a,X,S=3", true }, { "1.a,XY", false },   { "1.aX", false },
		{ ",X", true },	       { "1.a,S=3,X=", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(base_says_exact(bytes_of(cases[i].base)), cases[i].exact);
}

static void test_letters_stand_in_order(void **state)
{
	struct flags flags = FLAGS_INIT;
	char letters[LETTERS_MAX];

	(void)state;
	flags_add_list(&flags, bytes_of("\\Seen \\Deleted \\Answered $forwarded \\Flagged \\Draft $x"));
	letters_from_flags(&flags, letters);
	assert_string_equal(letters, "DFPRST");
	flags_release(&flags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary_names_stay_readable_and_others_are_escaped),
		cmocka_unit_test(test_distinct_names_have_distinct_safe_directories),
		cmocka_unit_test(test_names_apart_differ_in_more_than_case),
		cmocka_unit_test(test_file_names_are_split_at_the_info),
		cmocka_unit_test(test_the_mark_of_an_exact_file_is_a_field_of_its_own),
		cmocka_unit_test(test_letters_stand_in_order),
	};

	return cmocka_run_group_tests_name("maildir names", tests, NULL, NULL);
}
