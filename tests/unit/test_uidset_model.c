#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/msgset/uidset.h"

/*
 * Random operations on a uidset and on the plainest model of one, a byte for each number, must
 * agree at every step. The window of numbers lies at the bottom or at the very top.
 */
enum { WIDTH = 150, ROUNDS = 4000 };

struct model {
	uint32_t base; /* in[i] stands for base + i; base >= 1 */
	bool in[WIDTH];
};

static uint64_t seed;

/* splitmix64 */
static uint32_t pick(uint32_t below)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (uint32_t)((z ^ (z >> 31)) % below);
}

static uint32_t highest(const struct model *m)
{
	return m->base + (WIDTH - 1);
}

static void assert_canonical(const struct uidset *s)
{
	uint64_t count = 0;

	assert_int_equal(s->star, 0);
	for (size_t i = 0; i < uidset_range_count(s); i++) {
		struct uidrange r = uidset_range(s, i);

		assert_true(r.lo >= 1 && r.lo <= r.hi);
		if (i > 0)
			assert_true(r.lo > (uint64_t)uidset_range(s, i - 1).hi + 1);
		assert_true(s->items[i].before == count);
		count += (uint64_t)r.hi - r.lo + 1;
	}
	assert_true(uidset_count(s) == count);
}

static void assert_same(const struct uidset *s, const struct model *m)
{
	uint32_t count = 0, at_most, uid = 0;
	struct uidset_iter it;
	struct err err;

	assert_canonical(s);
	assert_int_equal(uidset_iter_init(&it, s, NULL, NULL, &err), 0);
	for (uint32_t i = 0; i < WIDTH; i++) {
		uint32_t n = m->base + i;

		assert_int_equal(uidset_has(s, n), m->in[i]);
		if (!m->in[i]) {
			assert_int_equal(uidset_rank(s, n), 0);
			continue;
		}
		count++;
		assert_int_equal(uidset_rank(s, n), count);
		assert_int_equal(uidset_select(s, count), n);
		assert_int_equal(uidset_next(s, uid), n);
		assert_true(uidset_iter_next(&it, &uid));
		assert_int_equal(uid, n);
	}
	assert_false(uidset_iter_next(&it, &uid));
	assert_int_equal(uidset_next(s, uid), 0);
	assert_int_equal(uidset_count(s), count);
	assert_int_equal(uidset_select(s, count + 1), 0);
	at_most = pick(WIDTH);
	count = 0;
	for (uint32_t i = 0; i <= at_most; i++)
		count += m->in[i];
	assert_int_equal(uidset_count_in(s, 0, m->base + at_most), count);
	assert_int_equal(uidset_count_in(s, m->base, m->base + at_most), count);
}

static void set_range(struct model *m, uint32_t a, uint32_t b, bool to)
{
	for (uint32_t i = a < b ? a : b; i <= (a < b ? b : a); i++)
		m->in[i] = to;
}

/* The set a model describes, built one way or another. */
static void build(const struct model *m, struct uidset *out)
{
	struct uidset_builder b;
	uint32_t start = pick(WIDTH);

	uidset_clear(out);
	uidset_builder_init(&b);
	for (uint32_t i = 0; i < WIDTH; i++) {
		uint32_t k = (start + i * 7) % WIDTH; /* 7 and 150 share no factor: all, shuffled */

		if (m->in[k])
			uidset_builder_add(&b, m->base + k, m->base + k);
	}
	uidset_builder_finish(&b, out);
	uidset_builder_release(&b);
}

static void change(struct uidset *s, struct model *m)
{
	uint32_t a = pick(WIDTH), b = pick(4) ? (a + pick(8)) % WIDTH : pick(WIDTH), k, n = 0;

	switch (pick(6)) {
	case 0:
		uidset_add(s, m->base + a);
		m->in[a] = true;
		break;
	case 1:
		uidset_add_range(s, m->base + a, m->base + b);
		set_range(m, a, b, true);
		break;
	case 2:
		uidset_remove(s, m->base + a);
		m->in[a] = false;
		break;
	case 3:
		uidset_remove_range(s, m->base + a, m->base + b);
		set_range(m, a, b, false);
		break;
	case 4:
		k = 1 + pick(WIDTH);
		for (uint32_t i = 0; i < WIDTH; i++)
			if (m->in[i] && ++n == k) {
				assert_int_equal(uidset_remove_nth(s, k), m->base + i);
				m->in[i] = false;
				return;
			}
		assert_int_equal(uidset_remove_nth(s, k), 0);
		break;
	case 5:
		for (uint32_t i = 0; i < WIDTH; i++)
			m->in[i] = pick(3) == 0;
		build(m, s);
		break;
	}
}

static void check_algebra(const struct uidset *a, const struct model *ma, const struct uidset *b,
			  const struct model *mb)
{
	struct model uni = *ma, inter = *ma, sub = *ma, x = *ma, comp = *ma;
	struct uidset r = UIDSET_INIT;
	bool equal = true, subset = true;

	for (size_t i = 0; i < WIDTH; i++) {
		uni.in[i] = ma->in[i] || mb->in[i];
		inter.in[i] = ma->in[i] && mb->in[i];
		sub.in[i] = ma->in[i] && !mb->in[i];
		x.in[i] = ma->in[i] != mb->in[i];
		comp.in[i] = !ma->in[i];
		equal = equal && !x.in[i];
		subset = subset && !sub.in[i];
	}
	uidset_union(&r, a, b);
	assert_same(&r, &uni);
	uidset_intersect(&r, a, b);
	assert_same(&r, &inter);
	assert_true(uidset_is_subset(&r, a) && uidset_is_subset(&r, b));
	uidset_subtract(&r, a, b);
	assert_same(&r, &sub);
	uidset_xor(&r, a, b);
	assert_same(&r, &x);
	uidset_complement(&r, a, highest(ma));
	if (ma->base > 1)
		uidset_remove_range(&r, 1, ma->base - 1);
	assert_same(&r, &comp);
	assert_int_equal(uidset_equal(a, b), equal);
	assert_int_equal(uidset_is_subset(a, b), subset);
	uidset_release(&r);
}

static void check_text(const struct uidset *s, const struct model *m)
{
	struct buf b = BUF_INIT(1 << 16);
	struct uidset again = UIDSET_INIT;
	struct err err;

	assert_true(uidset_format(s, &b));
	assert_int_equal(b.n, uidset_text_size(s));
	if (b.n) {
		assert_int_equal(uidset_parse(&again, buf_bytes(&b), UIDSET_STRICT, NULL, &err), 0);
		assert_same(&again, m);
	}
	uidset_release(&again);
	buf_release(&b);
}

static void check_wire(const struct uidset *s, const struct uidset *in_use)
{
	struct uidset_read_cost cost = { .budget = 21 + pick(100), .command_bytes = pick(60),
					 .reply_bytes = pick(20), .in_use = in_use };
	struct uidset_split sp = { .set = s, .budget = cost.budget, .max_members = pick(10) };
	struct uidset piece = UIDSET_INIT, all = UIDSET_INIT, both = UIDSET_INIT;

	while (uidset_split_next(&sp, &piece)) {
		assert_in_range(uidset_text_size(&piece), 1, sp.budget);
		if (sp.max_members)
			assert_in_range(uidset_count(&piece), 1, sp.max_members);
		uidset_intersect(&both, &all, &piece);
		assert_true(uidset_is_empty(&both));
		uidset_union(&all, &all, &piece);
	}
	assert_true(uidset_equal(&all, s));

	uidset_cover(&all, s, &cost);
	assert_canonical(&all);
	assert_true(uidset_is_subset(s, &all));
	assert_true(uidset_text_size(&all) <= uidset_text_size(s));
	assert_int_equal(uidset_min(&all), uidset_min(s));
	assert_int_equal(uidset_max(&all), uidset_max(s));
	uidset_release(&piece);
	uidset_release(&all);
	uidset_release(&both);
}

static void run(uint32_t base)
{
	struct model ma = { .base = base }, mb = { .base = base };
	struct uidset a = UIDSET_INIT, b = UIDSET_INIT;

	for (int i = 0; i < ROUNDS; i++) {
		change(&a, &ma);
		assert_same(&a, &ma);
		change(&b, &mb);
		assert_same(&b, &mb);
		check_algebra(&a, &ma, &b, &mb);
		check_text(&a, &ma);
		check_wire(&a, &b);
	}
	uidset_release(&a);
	uidset_release(&b);
}

static void test_random_operations_agree_with_a_bitmap_from_1(void **state)
{
	(void)state;
	seed = 1;
	run(1);
}

static void test_random_operations_agree_with_a_bitmap_in_the_middle(void **state)
{
	(void)state;
	seed = 2;
	run(99950); /* numbers of five and six digits */
}

static void test_random_operations_agree_with_a_bitmap_up_to_4294967295(void **state)
{
	(void)state;
	seed = 3;
	run(UINT32_MAX - (WIDTH - 1));
}

/* Items resolved one by one: lo:hi with `*` put in, turned round, united. */
static void test_resolving_agrees_with_resolving_item_by_item(void **state)
{
	(void)state;
	seed = 4;
	for (int i = 0; i < ROUNDS; i++) {
		struct uidset open = UIDSET_INIT, want = UIDSET_INIT, known = UIDSET_INIT;
		uint32_t last = 100 + pick(50), star = 1 + pick(140);
		struct err err;

		assert_int_equal(uidset_set_last(&known, last, &err), 0);
		for (uint32_t k = pick(6); k > 0; k--) {
			uint32_t a = 1 + pick(100), b = 1 + pick(100);

			uidset_add_range(&open, a, b);
			uidset_add_range(&want, a, b);
			uidset_add_range(&known, a, b);
		}
		if (pick(4)) {
			uidset_add_range(&want, star < last ? star : last,
					 star < last ? last : star);
			uidset_add_star(&open, star);
			uidset_add_star(&known, star);
		} else {
			uidset_add(&want, last);
			uidset_add_star(&open, UIDSET_STAR);
			uidset_add_star(&known, UIDSET_STAR);
		}
		assert_true(uidset_is_open(&open));
		assert_false(uidset_is_open(&known));
		assert_int_equal(uidset_set_last(&open, last, &err), 0);
		assert_true(uidset_equal(&open, &want));
		assert_true(uidset_equal(&known, &want));
		assert_canonical(&open);
		uidset_release(&open);
		uidset_release(&want);
		uidset_release(&known);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations_agree_with_a_bitmap_from_1),
		cmocka_unit_test(test_random_operations_agree_with_a_bitmap_in_the_middle),
		cmocka_unit_test(test_random_operations_agree_with_a_bitmap_up_to_4294967295),
		cmocka_unit_test(test_resolving_agrees_with_resolving_item_by_item),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
