/* The bytes of trees and commits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/git/commit_text.h"
#include "backends/git/tree.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"

static struct object_id id_of(uint8_t byte)
{
	struct object_id id;

	memset(id.b, byte, sizeof(id.b));
	return id;
}

static char *names_of(const struct tree *t)
{
	struct buf out = BUF_INIT(4096);

	for (size_t i = 0; i < t->n; i++)
		buf_addf(&out, "%s%s", t->v[i].name, t->v[i].mode == MODE_TREE ? "/ " : " ");
	return buf_take(&out);
}

static void assert_names(const struct tree *t, const char *want)
{
	char *names = names_of(t);

	assert_string_equal(names, want);
	free(names);
}

static void test_entries_stand_in_the_order_of_git(void **state)
{
	static const struct object_id none;
	struct object_id id = id_of(1), other = id_of(2);
	struct buf data = BUF_INIT(4096), again = BUF_INIT(4096);
	struct tree t, copy;
	struct err err;

	(void)state;
	tree_init(&t);
	tree_init(&copy);
	tree_put(&t, MODE_FILE, "a-b", &id);
	tree_put(&t, MODE_TREE, "a", &id); /* as "a/": behind "a-b", before "a0" */
	tree_put(&t, MODE_FILE, "a0", &id);
	tree_put(&t, MODE_FILE, "A", &id);
	tree_put(&t, MODE_TREE, "\xc3\xa4", &id);
	assert_names(&t, "A a-b a/ a0 \xc3\xa4/ ");
	tree_put(&t, MODE_FILE, "a0", &other);
	assert_true(object_id_equal(&tree_find(&t, "a0")->id, &other));
	tree_put(&t, MODE_FILE, "a", &id); /* a file in the place of a directory */
	assert_names(&t, "A a a-b a0 \xc3\xa4/ ");
	tree_put(&t, MODE_TREE, "a-b", &none);
	tree_put(&t, MODE_TREE, "not there", &none);
	assert_names(&t, "A a a0 \xc3\xa4/ ");
	assert_null(tree_find(&t, "a-b"));
	tree_format(&t, &data);
	assert_int_equal(tree_parse(&copy, buf_bytes(&data), &err), 0);
	tree_format(&copy, &again);
	assert_true(bytes_equal(buf_bytes(&data), buf_bytes(&again)));
	tree_release(&t);
	tree_release(&copy);
	buf_release(&data);
	buf_release(&again);
}

static void test_a_damaged_tree_is_an_error(void **state)
{
	static const char good[] = "100644 a\0" "12345678901234567890";
	struct tree t;
	struct err err;

	(void)state;
	tree_init(&t);
	assert_int_equal(tree_parse(&t, bytes_from(good, sizeof(good) - 1), &err), 0);
	for (size_t n = 1; n < sizeof(good) - 1; n++) {
		char *copy = xmalloc(n); /* of that very size, so that reading past its end is seen */

		memcpy(copy, good, n);
		assert_int_equal(tree_parse(&t, bytes_from(copy, n), &err), -1);
		assert_int_equal(err.kind, ERR_FATAL);
		free(copy);
	}
	assert_int_equal(tree_parse(&t, bytes_of("x00644 a"), &err), -1);
	assert_int_equal(tree_parse(&t, bytes_from("100644 \0" "12345678901234567890", 28), &err), -1);
	tree_release(&t);
}

static void test_a_commit_says_what_was_written(void **state)
{
	struct commit_text c = { .tree = id_of(0xab), .parent = id_of(0xcd), .parents = 1,
				 .time = 1700000000, .generation = 42,
				 .message = bytes_of("summary\n\nGeneration: 7\nnot yet\n") };
	struct commit_text got;
	struct buf text = BUF_INIT(4096);
	struct err err;

	(void)state;
	commit_text_write(&c, &text);
	assert_int_equal(commit_text_read(buf_bytes(&text), &got, &err), 0);
	assert_true(object_id_equal(&got.tree, &c.tree));
	assert_true(object_id_equal(&got.parent, &c.parent));
	assert_int_equal(got.parents, 1);
	assert_int_equal(got.time, 1700000000);
	assert_int_equal(got.generation, 42); /* the last one counts */
	buf_release(&text);
}

#define TREE "tree 0123456789012345678901234567890123456789\n"
#define PARENT "parent 0123456789012345678901234567890123456789\n"

static void test_commits_of_others_are_read_or_refused(void **state)
{
	static const struct {
		const char *text;
		int ret;
		size_t parents;
		int64_t time;
	} cases[] = {
		{ TREE PARENT PARENT "author A <a> 5 +0100\ncommitter A <a> 6 +0100\ngpgsig x\n y\n\nm",
		  0, 2, 6 },
		{ TREE "committer no date at all\n\n", 0, 0, 0 },
		{ TREE "committer\n\n", 0, 0, 0 },
		{ TREE "committer  \n\n", 0, 0, 0 },
		{ TREE, 0, 0, 0 },
		{ PARENT "\n", -1, 0, 0 },
		{ "tree 01234\n\n", -1, 0, 0 },
		{ TREE "parent xyz\n\n", -1, 0, 0 },
		{ "", -1, 0, 0 },
		{ "\n" TREE, -1, 0, 0 },
	};
	struct commit_text got;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(commit_text_read(bytes_of(cases[i].text), &got, &err), cases[i].ret);
		if (cases[i].ret < 0)
			continue;
		assert_int_equal(got.parents, cases[i].parents);
		assert_int_equal(got.time, cases[i].time);
		assert_int_equal(got.generation, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_stand_in_the_order_of_git),
		cmocka_unit_test(test_a_damaged_tree_is_an_error),
		cmocka_unit_test(test_a_commit_says_what_was_written),
		cmocka_unit_test(test_commits_of_others_are_read_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
