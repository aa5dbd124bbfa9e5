/* Finding what is gone by message numbers, against a mailbox that is simply an array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backends/imap/vanished.h"
#include "core/base/mem.h"

static uint32_t seed = 1;

static uint32_t roll(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* What the server has left, and what it is asked: UIDs of numbers, and which of a set are there. */
struct box {
	struct uidset known, gone, left;
	uint64_t told; /* UIDs in its answers */
};

static void box_release(struct box *b)
{
	uidset_release(&b->known);
	uidset_release(&b->gone);
	uidset_release(&b->left);
}

static void uids_of(struct box *b, const struct uidset *numbers, struct uidset *out)
{
	uint32_t number = 0;

	while ((number = uidset_next(numbers, number)) != 0)
		uidset_add(out, uidset_select(&b->left, number));
	b->told += uidset_count(numbers);
}

static void left_in(struct box *b, const struct uidset *within, struct uidset *out)
{
	uidset_intersect(out, &b->left, within);
	b->told += uidset_count(out);
}

/* As changes.c goes about it. */
static void find(struct box *b, struct uidset *gone)
{
	struct uidset numbers = UIDSET_INIT, found = UIDSET_INIT, unclear = UIDSET_INIT;
	struct uidset rest = UIDSET_INIT;
	uint32_t left = (uint32_t)uidset_count(&b->left);

	vanished_sample(&b->known, left, &numbers);
	uids_of(b, &numbers, &found);
	assert_true(vanished_narrow(&b->known, left, &numbers, &found, gone, &unclear));
	left_in(b, &unclear, &found);
	uidset_intersect(&rest, &b->known, &unclear);
	uidset_subtract(&rest, &rest, &found);
	uidset_union(gone, gone, &rest);
	uidset_release(&numbers);
	uidset_release(&found);
	uidset_release(&unclear);
	uidset_release(&rest);
}

static void fill(struct box *b, uint32_t n, uint32_t gap, uint32_t n_gone, bool together)
{
	uint32_t uid = roll(100), from = 1 + roll(n - n_gone + 1);

	*b = (struct box){ 0 };
	for (uint32_t i = 0; i < n; i++)
		uidset_add(&b->known, uid += 1 + roll(gap));
	for (uint32_t i = 0; uidset_count(&b->gone) < n_gone; i++)
		uidset_add(&b->gone, uidset_select(&b->known, together ? from + i
								       : 1 + roll(n)));
	uidset_subtract(&b->left, &b->known, &b->gone);
}

static void test_what_is_gone_is_found_whatever_it_is(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		struct uidset gone = UIDSET_INIT;
		uint32_t n = 2 + roll(300), n_gone = 1 + roll(n - 1);
		struct box b;

		fill(&b, n, 1 + roll(4), n_gone, roll(2));
		find(&b, &gone);
		assert_true(uidset_equal(&gone, &b.gone));
		uidset_release(&gone);
		box_release(&b);
	}
}

/* Of 100,000: a fifth of what the whole list costs for 500, a twentieth for 5. */
static void test_it_costs_a_part_of_the_list(void **state)
{
	static const struct {
		uint32_t gone, most;
	} cases[] = { { 500, 20000 }, { 5, 2500 } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct uidset gone = UIDSET_INIT;
		struct box b;

		fill(&b, 100000, 2, cases[i].gone, false);
		assert_int_equal(vanished_choose(&b.known, (uint32_t)uidset_count(&b.left), false),
				 VANISHED_SAMPLE);
		find(&b, &gone);
		assert_true(uidset_equal(&gone, &b.gone));
		assert_in_range(b.told, 1, cases[i].most);
		uidset_release(&gone);
		box_release(&b);
	}
}

static void choose(const char *known, uint32_t left, bool ranges, enum vanished_way want)
{
	struct uidset set = UIDSET_INIT;

	assert_int_equal(uidset_parse(&set, bytes_of(known), UIDSET_STRICT, NULL, NULL), 0);
	assert_int_equal(vanished_choose(&set, left, ranges), want);
	uidset_release(&set);
}

static void test_the_list_is_asked_for_where_it_is_short(void **state)
{
	struct box b;

	(void)state;
	choose("1:100000", 99999, true, VANISHED_LIST); /* one range or two */
	choose("1:100000", 99999, false, VANISHED_SAMPLE);
	choose("1:100", 99, false, VANISHED_LIST);	  /* not worth a round trip */
	choose("1:100000", 100, false, VANISHED_LIST);  /* most are gone */
	choose("1:100000", 50000, true, VANISHED_LIST);
	fill(&b, 100000, 3, 5, false); /* full of holes: a list of ranges is long, too */
	assert_int_equal(vanished_choose(&b.known, 99995, true), VANISHED_SAMPLE);
	box_release(&b);
}

static void narrow(const char *known, uint32_t left, const char *numbers, const char *found)
{
	struct uidset k = UIDSET_INIT, n = UIDSET_INIT, f = UIDSET_INIT, g = UIDSET_INIT,
		      u = UIDSET_INIT;

	uidset_parse(&k, bytes_of(known), UIDSET_STRICT, NULL, NULL);
	uidset_parse(&n, bytes_of(numbers), UIDSET_STRICT, NULL, NULL);
	uidset_parse(&f, bytes_of(found), UIDSET_STRICT, NULL, NULL);
	assert_false(vanished_narrow(&k, left, &n, &f, &g, &u));
	uidset_release(&k);
	uidset_release(&n);
	uidset_release(&f);
	uidset_release(&g);
	uidset_release(&u);
}

static void test_answers_that_cannot_be_true_are_refused(void **state)
{
	(void)state;
	narrow("1:20", 15, "5,10,15", "5,10");	   /* one is missing */
	narrow("1:20", 15, "5,10,15", "5,10,15:16"); /* one too many */
	narrow("1:20", 15, "5,10,15", "5,10,21");	   /* never known */
	narrow("1:20", 15, "5,10,15", "4,10,15");	   /* the fifth of them cannot be 4 */
	narrow("1:20", 15, "5,10,15", "7,11,20");  /* four between 7 and 11, and there are three */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_gone_is_found_whatever_it_is),
		cmocka_unit_test(test_it_costs_a_part_of_the_list),
		cmocka_unit_test(test_the_list_is_asked_for_where_it_is_short),
		cmocka_unit_test(test_answers_that_cannot_be_true_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
