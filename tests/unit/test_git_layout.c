#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/git/layout.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/mail/mailbox_name.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

/* Of a name as mailbox_name_display() gives it. */
static void dir_of(const char *display, char out[LAYOUT_DIR_SIZE])
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct err err;

	assert_int_equal(mailbox_name_from_display(&name, bytes_of(display), &err), 0);
	layout_dir(&name, out);
	mailbox_name_release(&name);
}

#define FIFTY "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx"
#define HUNDRED FIFTY FIFTY
#define UMLAUT "\xc3\xa4"
#define TEN_UMLAUTS UMLAUT UMLAUT UMLAUT UMLAUT UMLAUT UMLAUT UMLAUT UMLAUT UMLAUT UMLAUT
#define SEVENTY_UMLAUTS \
	TEN_UMLAUTS TEN_UMLAUTS TEN_UMLAUTS TEN_UMLAUTS TEN_UMLAUTS TEN_UMLAUTS TEN_UMLAUTS
#define FORTYSEVEN "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstu"
#define NOT_JOINED "\xe2\x80\x8c" /* U+200C, which HFS+ ignores */

static const struct {
	const char *name; /* display form */
	const char *dir;  /* NULL: not told here */
} hostile[] = {
	{ "INBOX", "INBOX" },
	{ "Work/2024", "Work%2F2024" },
	{ "Entw" UMLAUT "rfe", "Entw" UMLAUT "rfe" },
	{ "a%2Fb", "a%252Fb" }, /* a slash inside a component */
	{ "a/b", "a%2Fb" },
	{ "", "%" },
	{ "/", "%2F" },
	{ "a//b", "a%2F%2Fb" },
	{ ".", "%2E" },
	{ "..", "%2E." },
	{ "../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd" },
	{ ".git", "%2Egit" },
	{ ".GIT", "%2EGIT" },
	{ ".git ", "%2Egit " },
	{ ".git.", "%2Egit." },
	{ ".git:stream", "%2Egit:stream" },
	{ "git~1", "git%7E1" },
	{ "GIT~1", "GIT%7E1" },
	{ "gitmod~1", "gitmod%7E1" },
	{ "gi7eba~1", "gi7eba%7E1" },
	{ ".gitmodules", "%2Egitmodules" },
	{ ".gitattributes", "%2Egitattributes" },
	{ "a\\.git", "a%5C.git" },
	{ "a\\..\\.git\\hooks", "a%5C..%5C.git%5Chooks" },
	{ NOT_JOINED ".git", "%E2%80%8C.git" },
	{ ".g" NOT_JOINED "it", "%2Eg%E2%80%8Cit" },
	{ "\xef\xbb\xbf.git", "%EF%BB%BF.git" },
	{ "\xe2\x81\xaf.gitmodules", "%E2%81%AF.gitmodules" },
	{ "a" NOT_JOINED "b", "a%E2%80%8Cb" },
	{ "a\xe2\x80\x90" "b", "a\xe2\x80\x90" "b" }, /* U+2010, an ordinary hyphen */
	{ "trailing. . .", "trailing. . ." },
	{ "   ", "   " },
	{ " .git", " .git" },
	{ "a%01%1Bb%0A%7F", "a%2501%251Bb%250A%257F" },
	{ "100%25", "100%2525" },
	{ "a.b", "a.b" },
	{ "-rf", "-rf" },
	{ "a\"b'c$d`e", "a\"b'c$d`e" },
	{ "con", "con" },
	{ "\xf0\x9f\x93\xa7", "\xf0\x9f\x93\xa7" },
	{ "messages", "messages" },
	/* 200 bytes are the longest that stand as they are. */
	{ HUNDRED HUNDRED, HUNDRED HUNDRED },
	{ HUNDRED HUNDRED "a", NULL },
	{ HUNDRED HUNDRED "b", NULL },
	{ HUNDRED FIFTY "a" FIFTY, NULL },
	{ HUNDRED FIFTY "b" FIFTY, NULL },
	{ HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED, NULL },
	{ "." HUNDRED HUNDRED, NULL },
	/* The cut falls into a character, and into an escape. */
	{ "a" SEVENTY_UMLAUTS TEN_UMLAUTS TEN_UMLAUTS TEN_UMLAUTS, NULL },
	{ HUNDRED FORTYSEVEN "v~" FIFTY, NULL },
	{ HUNDRED FORTYSEVEN "vw~" FIFTY, NULL },
};

#define HOSTILE (sizeof(hostile) / sizeof(hostile[0]))

static void test_a_directory_is_readable_and_what_could_harm_is_escaped(void **state)
{
	char dir[LAYOUT_DIR_SIZE];

	(void)state;
	for (size_t i = 0; i < HOSTILE; i++) {
		if (!hostile[i].dir)
			continue;
		dir_of(hostile[i].name, dir);
		assert_string_equal(dir, hostile[i].dir);
	}
	dir_of("inbox", dir);
	assert_string_equal(dir, "INBOX");
}

static void assert_cut(const char *display, const char *encoded, const char *kept)
{
	char dir[LAYOUT_DIR_SIZE], want[300], sum[SHA256_HEX_SIZE];

	dir_of(display, dir);
	sha256_hex(bytes_of(encoded), sum);
	snprintf(want, sizeof(want), "%s~%s", kept, sum);
	assert_string_equal(dir, want);
}

static void test_a_long_name_is_cut_between_characters_and_ends_in_its_hash(void **state)
{
	(void)state;
	assert_cut(HUNDRED HUNDRED "a", HUNDRED HUNDRED "a", HUNDRED FIFTY);
	assert_cut("." HUNDRED HUNDRED, "%2E" HUNDRED HUNDRED, "%2E" HUNDRED FORTYSEVEN);
	assert_cut("a" SEVENTY_UMLAUTS TEN_UMLAUTS TEN_UMLAUTS TEN_UMLAUTS,
		   "a" SEVENTY_UMLAUTS TEN_UMLAUTS TEN_UMLAUTS TEN_UMLAUTS,
		   "a" SEVENTY_UMLAUTS UMLAUT UMLAUT UMLAUT UMLAUT);
	assert_cut(HUNDRED FORTYSEVEN "v~" FIFTY, HUNDRED FORTYSEVEN "v%7E" FIFTY,
		   HUNDRED FORTYSEVEN "v");
	assert_cut(HUNDRED FORTYSEVEN "vw~" FIFTY, HUNDRED FORTYSEVEN "vw%7E" FIFTY,
		   HUNDRED FORTYSEVEN "vw");
	assert_cut(HUNDRED FORTYSEVEN "~x" FIFTY, HUNDRED FORTYSEVEN "%7Ex" FIFTY,
		   HUNDRED FORTYSEVEN "%7E");
}

/* What holds for every directory, whatever the name is. */
static void check_safe(const char *dir)
{
	struct bytes d = bytes_of(dir);

	assert_true(d.n > 0 && d.n < LAYOUT_DIR_SIZE);
	assert_true(dir[0] != '.');
	assert_true(utf8_is_valid(d));
	for (size_t i = 0; i < d.n; i++)
		if (d.p[i] < 0x20 || d.p[i] == 0x7f || d.p[i] == '/' || d.p[i] == '\\')
			fail_msg("%s: an unsafe byte", dir);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

/* Pieces that meet in awkward ways; often so many that the name is cut at any place. */
static char *random_name(uint32_t *seed)
{
	static const char *const pieces[] = { "a", ".",	 "..",	  "/",	 "%2F",	     "%25", "~",
					      " ", "%7E", "%01",  UMLAUT, NOT_JOINED, "git",
					      "\\", "5C", "7E",	"\xf0\x9f\x93\xa7" };
	const uint32_t kinds = sizeof(pieces) / sizeof(pieces[0]);
	uint32_t n = 1 + next_random(seed) % 5;
	struct mailbox_name m = MAILBOX_NAME_INIT;
	struct buf b = BUF_INIT(65536);
	struct err err;
	char *text;

	for (uint32_t i = 0; i < n; i++) {
		const char *piece = pieces[next_random(seed) % kinds];
		uint32_t repeat = next_random(seed) % 2 ? 1 : 1 + next_random(seed) % 110;

		for (uint32_t j = 0; j < repeat; j++)
			buf_add_str(&b, piece);
	}
	assert_int_equal(mailbox_name_from_display(&m, buf_bytes(&b), &err), 0);
	text = mailbox_name_text(&m);
	mailbox_name_release(&m);
	buf_release(&b);
	return text;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_dir(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void test_distinct_names_have_distinct_directories(void **state)
{
	enum { N = 20000 };
	char **names = xcalloc(N, sizeof(*names));
	char(*dirs)[LAYOUT_DIR_SIZE] = xcalloc(N, sizeof(*dirs));
	uint32_t seed = 7;
	size_t n = 0, cut = 0;

	(void)state;
	for (size_t i = 0; i < N; i++)
		names[i] = i < HOSTILE ? xstrdup(hostile[i].name) : random_name(&seed);
	qsort(names, N, sizeof(*names), by_text);
	for (size_t i = 0; i < N; i++)
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0) {
			dir_of(names[i], dirs[n]);
			check_safe(dirs[n]);
			cut += strchr(dirs[n], '~') != NULL;
			n++;
		}
	assert_true(cut > 1000 && n - cut > 1000);
	qsort(dirs, n, sizeof(*dirs), by_dir);
	for (size_t i = 1; i < n; i++)
		assert_string_not_equal(dirs[i], dirs[i - 1]);
	for (size_t i = 0; i < N; i++)
		free(names[i]);
	free(names);
	free(dirs);
}

static const char *const git_env[] = { "GIT_CONFIG_GLOBAL=/dev/null",
				       "GIT_CONFIG_SYSTEM=/dev/null",
				       "GIT_AUTHOR_NAME=x",
				       "GIT_AUTHOR_EMAIL=x@example.org",
				       "GIT_COMMITTER_NAME=x",
				       "GIT_COMMITTER_EMAIL=x@example.org",
				       NULL };

/* Run git in the repository `dir`; what it prints, without its line end, is the caller's. */
static char *git(const char *dir, struct bytes input, const char *const argv[])
{
	struct proc_opts opts = { .env = git_env, .dir = dir, .input = input };
	struct proc_result res;
	char *text;

	proc_run(&res, &opts, argv);
	if (res.status != 0)
		fail_msg("%s %s: %s", argv[0], argv[1], buf_str(&res.err));
	text = buf_take(&res.out);
	text[strcspn(text, "\n")] = '\0';
	proc_result_release(&res);
	return text;
}

static char *git_tree(const char *repo, const struct buf *entries)
{
	static const char *const mktree[] = { "git", "mktree", "-z", NULL };

	return git(repo, buf_bytes(entries), mktree);
}

static void test_git_accepts_every_directory(void **state)
{
	const char *repo = tmp_dir();
	const char *const init[] = { "git", "init", "--quiet", "--bare", NULL };
	const char *const hash[] = { "git", "hash-object", "-w", "--stdin", NULL };
	const char *const fsck[] = { "git", "fsck", "--full", "--strict", NULL };
	const struct bytes none = { 0 };
	struct buf entries = BUF_INIT(1 << 20);
	char *blob, *inner, *tree, *commit;

	(void)state;
	free(git(repo, none, init));
	blob = git(repo, bytes_of("text\n"), hash);
	buf_addf(&entries, "100644 blob %s\t" LAYOUT_MAILBOX, blob);
	buf_add_byte(&entries, 0);
	inner = git_tree(repo, &entries);
	buf_clear(&entries);
	for (size_t i = 0; i < HOSTILE; i++) {
		char dir[LAYOUT_DIR_SIZE];

		dir_of(hostile[i].name, dir);
		buf_addf(&entries, "040000 tree %s\t%s", inner, dir);
		buf_add_byte(&entries, 0);
	}
	tree = git_tree(repo, &entries);
	buf_clear(&entries);
	buf_addf(&entries, "040000 tree %s\t" LAYOUT_MAILBOXES, tree);
	buf_add_byte(&entries, 0);
	free(tree);
	tree = git_tree(repo, &entries);
	{
		const char *const make[] = { "git", "commit-tree", tree, "-m", "x", NULL };

		commit = git(repo, none, make);
	}
	{
		const char *const point[] = { "git", "update-ref", "refs/heads/main", commit,
					      NULL };

		free(git(repo, none, point));
	}
	free(git(repo, none, fsck));
	buf_release(&entries);
	free(blob);
	free(inner);
	free(tree);
	free(commit);
}

static void test_a_uid_has_one_place_and_the_place_tells_the_uid(void **state)
{
	static const struct {
		uint32_t uid;
		const char *message, *flags;
	} cases[] = {
		{ 1, "messages/000000/00/0000000001.eml", "flags/000000/00" },
		{ 99, "messages/000000/00/0000000099.eml", "flags/000000/00" },
		{ 100, "messages/000000/01/0000000100.eml", "flags/000000/01" },
		{ 9999, "messages/000000/99/0000009999.eml", "flags/000000/99" },
		{ 10000, "messages/000001/00/0000010000.eml", "flags/000001/00" },
		{ 123456, "messages/000012/34/0000123456.eml", "flags/000012/34" },
		{ UINT32_MAX, "messages/429496/72/4294967295.eml", "flags/429496/72" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[LAYOUT_PATH_SIZE], name[LAYOUT_MESSAGE_SIZE];
		uint32_t uid = cases[i].uid, leaf = layout_leaf(uid), got;

		layout_message_path(uid, path);
		assert_string_equal(path, cases[i].message);
		layout_flags_path(leaf, path);
		assert_string_equal(path, cases[i].flags);
		assert_true(layout_leaf_first(leaf) <= uid && uid <= layout_leaf_last(leaf));
		assert_true(layout_leaf(layout_leaf_first(leaf)) == leaf);
		assert_true(layout_leaf(layout_leaf_last(leaf)) == leaf);
		/* And back, from the path's own parts. */
		path[strlen("flags/000000")] = '\0';
		assert_true(layout_group_parse(bytes_of(path + strlen("flags/")), &got));
		assert_int_equal(got, layout_group(leaf));
		assert_true(layout_leaf_parse(bytes_of(path + strlen("flags/000000/")), got, &got));
		assert_int_equal(got, leaf);
		layout_message_name(uid, name);
		assert_true(layout_message_parse(bytes_of(name), leaf, &got));
		assert_int_equal(got, uid);
		assert_false(layout_message_parse(bytes_of(name), leaf + 1, &got));
	}
	assert_int_equal(layout_leaf_first(0), 1);
	assert_int_equal(layout_leaf_last(0), 99);
	assert_int_equal(layout_leaf_first(1), 100);
	assert_int_equal(layout_leaf_last(layout_leaf(UINT32_MAX)), UINT32_MAX);
}

static void test_entries_that_we_would_not_write_are_not_ours(void **state)
{
	static const char *const groups[] = { "", "00000", "0000000", "12", "00001x", "-00001",
					      "429497", "999999", " 00001" };
	static const char *const leaves[] = { "", "0", "000", "1x", "-1", "+1", " 1" };
	static const char *const messages[] = {
		"", "0000123456", "123456.eml", "0000123456.EML", "0000123456.eml ",
		"0000123456xeml", "00001234560.eml", "0000000000.eml", "4294967296.eml",
		"9999999999.eml", "000012345x.eml", "0000123556.eml", ".eml",
	};
	uint32_t got = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		assert_false(layout_group_parse(bytes_of(groups[i]), &got));
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		assert_false(layout_leaf_parse(bytes_of(leaves[i]), 12, &got));
	assert_true(layout_leaf_parse(bytes_of("72"), 429496, &got));
	got = 77;
	assert_false(layout_leaf_parse(bytes_of("73"), 429496, &got));
	assert_false(layout_leaf_parse(bytes_of("00"), 429497, &got));
	assert_false(layout_leaf_parse(bytes_of("00"), UINT32_MAX, &got));
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		assert_false(layout_message_parse(bytes_of(messages[i]), 1234, &got));
	assert_false(layout_message_parse(bytes_of("0000000000.eml"), 0, &got));
	assert_int_equal(got, 77);
}

static void test_a_kept_message_is_named_by_its_id(void **state)
{
	static const char hex[] = "ab0123456789abcdef000000000000000000ffff";
	uint8_t id[LAYOUT_ID_SIZE], again[LAYOUT_ID_SIZE];
	char path[LAYOUT_PATH_SIZE], text[LAYOUT_HEX_SIZE], name[LAYOUT_KEPT_SIZE];
	char dir[LAYOUT_KEPT_DIR_SIZE];

	(void)state;
	assert_true(layout_hex_parse(bytes_of(hex), id));
	layout_hex(id, text);
	assert_string_equal(text, hex);
	layout_kept_path(id, path);
	assert_string_equal(path, "kept/ab/ab0123456789abcdef000000000000000000ffff.eml");
	layout_kept_dir(id, dir);
	layout_kept_name(id, name);
	assert_true(layout_kept_parse(bytes_of(dir), bytes_of(name), again));
	assert_memory_equal(id, again, sizeof(id));
	assert_false(layout_kept_parse(bytes_of("ac"), bytes_of(name), again));
	assert_false(layout_kept_parse(bytes_of("a"), bytes_of(name), again));
	name[40] = '_';
	assert_false(layout_kept_parse(bytes_of("ab"), bytes_of(name), again));
	text[39] = 'F';
	assert_false(layout_hex_parse(bytes_of(text), again));
	text[39] = '\0';
	assert_false(layout_hex_parse(bytes_of(text), again));
	assert_false(layout_hex_parse(bytes_of(""), again));
}

static void test_tree_entries_sort_as_git_sorts_them(void **state)
{
	/* Ascending; a trailing slash marks a directory. */
	static const char *const sorted[] = { "a",  "a-",  "a-b/", "a.b", "a/",	 "a0",
					      "ab", "ab/", "b",	   "b/",  "\xc3\xa4/" };
	const size_t n = sizeof(sorted) / sizeof(sorted[0]);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			struct bytes a = bytes_of(sorted[i]), b = bytes_of(sorted[j]);
			bool a_dir = a.p[a.n - 1] == '/', b_dir = b.p[b.n - 1] == '/';
			int got;

			a.n -= a_dir;
			b.n -= b_dir;
			got = layout_tree_order(a, a_dir, b, b_dir);
			assert_int_equal((got > 0) - (got < 0), (i > j) - (i < j));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_directory_is_readable_and_what_could_harm_is_escaped),
		cmocka_unit_test(test_a_long_name_is_cut_between_characters_and_ends_in_its_hash),
		cmocka_unit_test(test_distinct_names_have_distinct_directories),
		cmocka_unit_test(test_git_accepts_every_directory),
		cmocka_unit_test(test_a_uid_has_one_place_and_the_place_tells_the_uid),
		cmocka_unit_test(test_entries_that_we_would_not_write_are_not_ours),
		cmocka_unit_test(test_a_kept_message_is_named_by_its_id),
		cmocka_unit_test(test_tree_entries_sort_as_git_sorts_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
