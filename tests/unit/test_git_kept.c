/* The list of kept messages of a git store: many, in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/git/kept_list.h"
#include "tests/lib/git_rig.h"

/* An archive with one live message, and its mailbox. */
static struct gitbox *prepare(struct bench *b, struct object_id *id)
{
	bench_put_text(bench_mailbox(b, "INBOX"), 4000000, "x");
	bench_snapshot(b);
	object_id_of(id, GIT_BLOB, bytes_of("x"));
	return (struct gitbox *)bench_find(b, "INBOX");
}

static void keep(struct gitbox *box, uint32_t uid, const struct object_id *id)
{
	const struct item item = {
		.line = { .uid = uid, .size = 1, .date = bytes_of("2024-05-06T07:08:09+02:00") },
		.id = *id,
	};
	struct err err = { 0 };

	must(kept_list_add(box, &item, false, &err), &err);
}

static void ascends(struct gitbox *box, size_t n)
{
	struct err err = { 0 };

	must(kept_list_load(box, &err), &err);
	assert_int_equal(box->kept.n, n);
	for (size_t i = 1; i < n; i++)
		assert_true(box->kept.v[i - 1].line.entry.uid < box->kept.v[i].line.entry.uid);
}

static bool is_kept(struct gitbox *box, uint32_t uid)
{
	struct kept_item *item;
	struct err err = { 0 };
	int got = kept_list_by_uid(box, uid, &item, &err);

	must(got < 0 ? -1 : 0, &err);
	assert_true(got == 0 || (item->line.entry.uid == uid && !item->gone));
	return got > 0;
}

/* So many of them take no more than their number, and being put in order once. */
static void test_keeping_moves_none_of_those_kept_before(void **state)
{
	enum { HALF = 50000 };
	struct bench *b = git_bench(state);
	struct object_id id;
	struct gitbox *box = prepare(b, &id);

	for (uint32_t i = 0; i < 2 * HALF; i++) {
		uint32_t uid = i < HALF ? 2 * HALF + 2 * i : 2 * (i - HALF) + 1; /* high ones first */

		keep(box, uid, &id);
		assert_int_equal(box->kept.v[0].line.entry.uid, 2 * HALF);
		assert_int_equal(box->kept.v[i].line.entry.uid, uid);
		assert_int_equal(box->kept.n, i + 1);
	}
	ascends(box, 2 * HALF);
	assert_true(is_kept(box, 1));
	assert_false(is_kept(box, 2));
	assert_true(is_kept(box, 4 * HALF - 2));
	bench_snapshot(b);
	bench_reopen(b);
	ascends((struct gitbox *)bench_find(b, "INBOX"), 2 * HALF);
}

static void test_one_that_went_and_is_kept_again_is_there_once(void **state)
{
	struct bench *b = git_bench(state);
	struct object_id id;
	struct gitbox *box = prepare(b, &id);
	struct kept_item *item;
	struct err err = { 0 };

	keep(box, 5, &id);
	keep(box, 7, &id);
	keep(box, 6, &id);
	for (int again = 0; again < 3; again++) {
		assert_int_equal(kept_list_by_uid(box, 6, &item, &err), 1);
		kept_list_remove(box, item);
		assert_false(is_kept(box, 6));
		assert_true(is_kept(box, 5));
		assert_int_equal(kept_list_by_content(box, &id, 1, &item, &err), 1);
		assert_int_equal(item->line.entry.uid, 5);
		keep(box, 6, &id);
		ascends(box, 3);
	}
	assert_int_equal(box->text.kept, 3);
	bench_snapshot(b);
	bench_reopen(b);
	ascends((struct gitbox *)bench_find(b, "INBOX"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GIT(test_keeping_moves_none_of_those_kept_before),
		WITH_GIT(test_one_that_went_and_is_kept_again_is_there_once),
	};

	return cmocka_run_group_tests_name("kept messages", tests, NULL, NULL);
}
