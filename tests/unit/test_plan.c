#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/sync/plan.h"
#include "core/sync/quarantine.h"

#define NOW ((int64_t)1720000000)

/* Three sides, and what the planner makes of them. */
struct sides {
	struct changes source, target;
	struct base base;
	struct plan plan;
};

static void sides_init(struct sides *s)
{
	changes_init(&s->source);
	changes_init(&s->target);
	base_init(&s->base);
	plan_init(&s->plan);
	s->source.complete = s->target.complete = true;
}

static void sides_release(struct sides *s)
{
	changes_release(&s->source);
	changes_release(&s->target);
	base_release(&s->base);
	plan_release(&s->plan);
}

static uint32_t flag_id(struct changes *c, const char *text)
{
	struct flags f = FLAGS_INIT;
	uint32_t id;

	flags_add_list(&f, bytes_of(text));
	id = flag_table_intern(c->flags, &f);
	flags_release(&f);
	return id;
}

static void at_source(struct sides *s, uint32_t uid, const char *flags)
{
	changes_add(&s->source, uid)->flags = flag_id(&s->source, flags);
}

static void at_target(struct sides *s, uint32_t uid, uint32_t source_uid, const char *flags,
		      const char *base_flags)
{
	struct entry *e = changes_add(&s->target, uid);

	e->source_uid = source_uid;
	e->flags = flag_id(&s->target, flags);
	e->base_flags = flag_id(&s->target, base_flags);
}

static void plan(struct sides *s)
{
	struct plan_input in = { .source = &s->source, .base = &s->base, .target = &s->target,
				 .now = NOW };

	plan_mailbox(&in, &s->plan);
}

static void assert_set(const struct uidset *s, const char *want)
{
	struct buf b = BUF_INIT(10000);

	assert_true(uidset_format(s, &b));
	assert_string_equal(buf_str(&b), want);
	buf_release(&b);
}

static void assert_delta(const struct flag_change *c, const char *add, const char *remove,
			 const char *set)
{
	struct buf b = BUF_INIT(10000);

	flags_format(&c->delta.add, &b);
	buf_add_byte(&b, '/');
	flags_format(&c->delta.remove, &b);
	assert_memory_equal(buf_str(&b), add, strlen(add));
	assert_string_equal(buf_str(&b) + strlen(add) + 1, remove);
	assert_set(&c->set, set);
	buf_release(&b);
}

static void test_new_gone_and_changed_are_told_apart(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	at_source(&s, 2, "");
	at_source(&s, 5, "\\Seen");
	at_source(&s, 6, "\\Seen");
	at_source(&s, 9, "$Todo \\Flagged");
	at_source(&s, 11, "");
	at_target(&s, 100, 2, "", "");
	at_target(&s, 101, 3, "", "");
	at_target(&s, 102, 5, "", "");
	at_target(&s, 103, 6, "", "");
	at_target(&s, 104, 9, "\\Flagged \\Draft", "");
	at_target(&s, 105, 0, "\\Seen", ""); /* bound to nothing at the source */
	plan(&s);
	assert_set(&s.plan.fetch, "11");
	assert_true(s.plan.fetch_exact);
	assert_int_equal(s.plan.expect, 1);
	assert_set(&s.plan.gone, "101,105");
	assert_set(&s.plan.gone_source, "3");
	assert_set(&s.plan.unbound, "105");
	assert_set(&s.plan.present, "2,5:6,9");
	assert_int_equal(s.plan.n_flags, 2);
	assert_delta(&s.plan.flags[0], "\\Seen", "", "102:103");
	assert_delta(&s.plan.flags[1], "$Todo", "\\Draft", "104");
	assert_int_equal(s.plan.flags_changed, 3);
	sides_release(&s);
}

static void test_an_incomplete_answer_deletes_nothing(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	s.source.complete = false;
	at_source(&s, 7, "");
	at_target(&s, 1, 1, "", "");
	at_target(&s, 2, 7, "", "");
	at_target(&s, 3, 9, "", "");
	plan(&s);
	assert_true(s.plan.doubt);
	assert_true(uidset_is_empty(&s.plan.gone));
	assert_set(&s.plan.present, "1,7,9");
	sides_release(&s);
}

static void test_a_first_run_asks_for_the_upper_bound(void **state)
{
	struct sides s;
	struct plan_input in = { .source = &s.source, .base = &s.base };

	(void)state;
	sides_init(&s);
	uidset_add_range(&s.source.fresh, 1, 4294967295u);
	s.source.token.messages = 12;
	plan_mailbox(&in, &s.plan);
	assert_set(&s.plan.fetch, "1:4294967295");
	assert_false(s.plan.fetch_exact);
	assert_int_equal(s.plan.expect, 12);
	sides_release(&s);
}

static void test_an_unchanged_source_mends_the_target_from_the_base(void **state)
{
	struct sides s;
	struct plan_input in = { .base = &s.base, .target = &s.target };

	(void)state;
	sides_init(&s);
	uidset_add_range(&s.base.known, 1, 4);
	at_target(&s, 1, 1, "\\Seen", "\\Seen");
	at_target(&s, 2, 2, "", "\\Seen"); /* somebody cleared it here */
	/* 3 and 4 lost their files */
	plan_mailbox(&in, &s.plan);
	assert_set(&s.plan.fetch, "3:4");
	assert_true(uidset_is_empty(&s.plan.gone));
	assert_int_equal(s.plan.n_flags, 1);
	assert_delta(&s.plan.flags[0], "\\Seen", "", "2");
	sides_release(&s);
}

static void test_quarantined_messages_are_tried_when_due_until_accepted(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	s.base.quarantine = calloc(3, sizeof(*s.base.quarantine));
	s.base.n_quarantine = 3;
	s.base.quarantine[0] = (struct quarantined){ .uid = 3, .accepted = true };
	s.base.quarantine[1] = (struct quarantined){ .uid = 4 };
	s.base.quarantine[2] = (struct quarantined){ .uid = 5, .attempts = 2, .last = NOW - 60 };
	at_source(&s, 3, "");
	at_source(&s, 4, "");
	at_source(&s, 5, "");
	plan(&s);
	assert_set(&s.plan.fetch, "4");
	assert_int_equal(s.plan.resting, 1);
	sides_release(&s);
}

static void test_what_is_leaving_is_not_fetched_while_it_is_there_and_not_stored(void **state)
{
	struct uidset leaving = UIDSET_INIT;
	struct plan_input in;
	struct sides s;

	(void)state;
	sides_init(&s);
	in = (struct plan_input){ .source = &s.source, .base = &s.base, .target = &s.target, .now = NOW,
				  .leaving = &leaving };
	uidset_add_range(&leaving, 1, 4);
	at_source(&s, 1, "");
	at_source(&s, 2, "\\Deleted");
	at_source(&s, 3, "\\Seen");
	at_source(&s, 7, "");
	at_target(&s, 3, 3, "", ""); /* it was not kept yet, so it is as any other */
	plan_mailbox(&in, &s.plan);
	assert_set(&s.plan.fetch, "7");
	assert_set(&s.plan.leaving, "1:2");
	assert_set(&s.plan.present, "3");
	assert_int_equal(s.plan.expect, 1);
	assert_int_equal(s.plan.flags_changed, 1);
	sides_release(&s);

	/* An upper bound is proven by what comes of it. */
	sides_init(&s);
	uidset_add_range(&s.source.fresh, 1, 9);
	plan_mailbox(&in, &s.plan);
	assert_set(&s.plan.fetch, "1:9");
	assert_set(&s.plan.leaving, "");
	sides_release(&s);
	uidset_release(&leaving);
}

static void test_retries_come_at_growing_intervals(void **state)
{
	static const struct {
		uint32_t attempts;
		int64_t after; /* the last attempt */
	} cases[] = {
		{ 0, 0 }, { 1, 0 }, { 2, 3600 }, { 3, 6 * 3600 }, { 4, 86400 }, { 5, 3 * 86400 },
		{ 6, 7 * 86400 }, { 7, 7 * 86400 }, { UINT32_MAX, 7 * 86400 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quarantined q = { .attempts = cases[i].attempts, .last = NOW };
		int64_t due = NOW + cases[i].after;

		assert_true(quarantine_next_try(&q) == (cases[i].after ? due : 0));
		assert_true(quarantine_is_due(&q, due));
		assert_int_equal(quarantine_is_due(&q, due - 1), cases[i].after == 0);
		/* The clock was wrong at the last attempt: not to be waited for. */
		assert_true(quarantine_is_due(&q, NOW - 1));
		q.last = 0;
		assert_true(quarantine_is_due(&q, NOW));
		q.accepted = true;
		assert_false(quarantine_is_due(&q, INT64_MAX - 1));
	}
}

static void test_equal_sides_need_nothing(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	for (uint32_t uid = 1; uid <= 2000; uid++) {
		at_source(&s, uid * 3, uid % 2 ? "\\Seen $A" : "$a \\Seen");
		at_target(&s, uid, uid * 3, "\\Seen $A", "\\Seen $A");
	}
	plan(&s);
	assert_true(plan_is_empty(&s.plan));
	sides_release(&s);
}

/* After a run that was stopped between changing a file and writing that down. */
static void test_flags_both_sides_agree_on_become_the_base(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	at_source(&s, 1, "\\Seen");
	at_source(&s, 2, "\\Seen $A");
	at_source(&s, 3, "");
	at_target(&s, 11, 1, "\\Seen", "\\Seen");
	at_target(&s, 12, 2, "\\Seen $A", "$A");
	at_target(&s, 13, 3, "", "\\Seen");
	plan(&s);
	assert_int_equal(s.plan.n_flags, 1);
	assert_delta(&s.plan.flags[0], "", "", "12:13");
	assert_int_equal(s.plan.flags_changed, 0);
	sides_release(&s);
}

/* A second, obvious planner over small UIDs, and random sides: both must agree. */
#define MODEL 40

static void test_random_sides_agree_with_a_brute_force_model(void **state)
{
	static const char *const sets[] = { "", "\\Seen", "\\Seen $A", "$A", "\\Draft" };

	(void)state;
	srand(20);
	for (int round = 0; round < 3000; round++) {
		int source[MODEL + 1], target[MODEL + 1];
		struct uidset fetch = UIDSET_INIT, gone = UIDSET_INIT;
		uint64_t changed = 0;
		struct sides s;

		sides_init(&s);
		for (uint32_t uid = 1; uid <= MODEL; uid++) {
			source[uid] = rand() % 3 ? rand() % 5 : -1;
			target[uid] = rand() % 3 ? rand() % 5 : -1;
			if (source[uid] >= 0)
				at_source(&s, uid, sets[source[uid]]);
		}
		/* target UIDs in another order than the source's */
		for (uint32_t uid = 1; uid <= MODEL; uid++) {
			uint32_t src = MODEL + 1 - uid;

			if (target[src] >= 0)
				at_target(&s, uid, src, sets[target[src]], "");
		}
		for (uint32_t uid = 1; uid <= MODEL; uid++) {
			if (source[uid] >= 0 && target[uid] < 0)
				uidset_add(&fetch, uid);
			if (source[uid] < 0 && target[uid] >= 0)
				uidset_add(&gone, MODEL + 1 - uid);
			changed += source[uid] >= 0 && target[uid] >= 0 &&
				   source[uid] != target[uid];
		}
		plan(&s);
		assert_true(uidset_equal(&s.plan.fetch, &fetch));
		assert_true(uidset_equal(&s.plan.gone, &gone));
		assert_int_equal(s.plan.flags_changed, changed);
		/* applying each change to each of its messages gives what the source has */
		for (size_t i = 0; i < s.plan.n_flags; i++)
			for (size_t k = 0; k < s.target.n; k++) {
				struct entry *e = &s.target.v[k];
				struct flags f = FLAGS_INIT;

				if (!uidset_has(&s.plan.flags[i].set, e->uid))
					continue;
				flags_copy(&f, flag_table_get(s.target.flags, e->flags));
				flags_add_all(&f, &s.plan.flags[i].delta.add);
				flags_remove_all(&f, &s.plan.flags[i].delta.remove);
				e->flags = flag_table_intern(s.target.flags, &f);
				flags_release(&f);
			}
		for (size_t k = 0; k < s.target.n; k++) {
			const struct entry *e = &s.target.v[k];
			struct flags want = FLAGS_INIT;

			if (source[e->source_uid] < 0)
				continue;
			flags_add_list(&want, bytes_of(sets[source[e->source_uid]]));
			assert_true(flags_equal(flag_table_get(s.target.flags, e->flags), &want));
			flags_release(&want);
		}
		uidset_release(&fetch);
		uidset_release(&gone);
		sides_release(&s);
	}
}

static void assert_same_plan(const struct plan *a, const struct plan *b)
{
	assert_true(uidset_equal(&a->fetch, &b->fetch));
	assert_true(uidset_equal(&a->gone, &b->gone));
	assert_true(uidset_equal(&a->gone_source, &b->gone_source));
	assert_true(uidset_equal(&a->present, &b->present));
	assert_int_equal(a->flags_changed, b->flags_changed);
	assert_int_equal(a->doubt, b->doubt);
	assert_int_equal(a->n_flags, b->n_flags);
	for (size_t i = 0; i < a->n_flags; i++) {
		assert_true(flags_equal(&a->flags[i].delta.add, &b->flags[i].delta.add));
		assert_true(flags_equal(&a->flags[i].delta.remove, &b->flags[i].delta.remove));
		assert_true(uidset_equal(&a->flags[i].set, &b->flags[i].set));
	}
}

/*
 * was: the base; now: the source; the target lost some and has other flags on some. Once the source
 * tells everything, once only what changed: the plan is the same.
 */
static void test_what_changed_makes_the_same_plan_as_everything(void **state)
{
	static const char *const sets[] = { "", "\\Seen", "\\Seen $A", "$A", "\\Draft" };

	(void)state;
	srand(21);
	for (int round = 0; round < 3000; round++) {
		struct sides all, delta;

		sides_init(&all);
		sides_init(&delta);
		delta.source.delta = true;
		for (uint32_t uid = 1; uid <= MODEL; uid++) {
			int was = rand() % 4 ? rand() % 5 : -1;
			int now = rand() % 3 == 0 ? rand() % 5 : was;
			bool stored = rand() % 6 != 0;
			int have = rand() % 5 == 0 ? rand() % 5 : was;

			if (was >= 0 && rand() % 5 == 0)
				now = -1;
			if (was >= 0) {
				uidset_add(&all.base.known, uid);
				uidset_add(&delta.base.known, uid);
			}
			if (was >= 0 && stored) {
				at_target(&all, uid + 100, uid, sets[have], sets[was]);
				at_target(&delta, uid + 100, uid, sets[have], sets[was]);
			}
			if (now >= 0)
				at_source(&all, uid, sets[now]);
			if (now >= 0 && (now != was || rand() % 7 == 0))
				at_source(&delta, uid, sets[now]);
			if (was >= 0 && now < 0)
				uidset_add(&delta.source.vanished, uid);
		}
		plan(&all);
		plan(&delta);
		assert_same_plan(&all.plan, &delta.plan);
		sides_release(&all);
		sides_release(&delta);
	}
}

static void test_what_nobody_vouches_for_is_doubted(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	s.source.delta = true;
	uidset_add(&s.base.known, 1);
	at_target(&s, 1, 1, "", "");
	at_target(&s, 2, 2, "", ""); /* stored, and yet not known at the last agreement */
	plan(&s);
	assert_true(s.plan.doubt);
	assert_true(uidset_is_empty(&s.plan.gone));
	assert_set(&s.plan.present, "1:2");
	sides_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_gone_and_changed_are_told_apart),
		cmocka_unit_test(test_an_incomplete_answer_deletes_nothing),
		cmocka_unit_test(test_a_first_run_asks_for_the_upper_bound),
		cmocka_unit_test(test_an_unchanged_source_mends_the_target_from_the_base),
		cmocka_unit_test(test_quarantined_messages_are_tried_when_due_until_accepted),
		cmocka_unit_test(test_what_is_leaving_is_not_fetched_while_it_is_there_and_not_stored),
		cmocka_unit_test(test_retries_come_at_growing_intervals),
		cmocka_unit_test(test_equal_sides_need_nothing),
		cmocka_unit_test(test_flags_both_sides_agree_on_become_the_base),
		cmocka_unit_test(test_random_sides_agree_with_a_brute_force_model),
		cmocka_unit_test(test_what_changed_makes_the_same_plan_as_everything),
		cmocka_unit_test(test_what_nobody_vouches_for_is_doubted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
