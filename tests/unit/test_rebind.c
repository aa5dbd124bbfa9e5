#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/sync/rebind.h"

/* A mailbox as it is stored and as the source has it now, and what the rebinder makes of it. */
struct sides {
	struct changes stored, source;
	/* Of each entry: what its header and its content would show. */
	uint8_t stored_header[400], stored_content[400], source_header[400];
	struct rebind r;
};

static void sides_init(struct sides *s)
{
	memset(s, 0, sizeof(*s));
	changes_init(&s->stored);
	changes_init(&s->source);
	s->stored.described = s->source.described = true;
}

static void sides_release(struct sides *s)
{
	rebind_release(&s->r);
	changes_release(&s->stored);
	changes_release(&s->source);
}

static void add(struct changes *c, uint32_t uid, uint32_t source_uid, int64_t date, uint32_t size)
{
	struct entry *e = changes_add(c, uid);

	e->source_uid = source_uid;
	e->size = size;
	c->dates[c->n - 1] = date;
}

static void stored(struct sides *s, uint32_t source_uid, int64_t date, uint32_t size, uint8_t header,
		   uint8_t content)
{
	s->stored_header[s->stored.n] = header;
	s->stored_content[s->stored.n] = content;
	/* UIDs of our own, so that the two cannot be mixed up unseen. */
	add(&s->stored, (uint32_t)s->stored.n + 1000, source_uid, date, size);
}

static void source(struct sides *s, uint32_t uid, int64_t date, uint32_t size, uint8_t header)
{
	s->source_header[s->source.n] = header;
	add(&s->source, uid, 0, date, size);
}

/* So many that they are not looked at just because they are few. */
static void many(struct sides *s)
{
	for (uint32_t i = 0; i < 100; i++) {
		stored(s, 2 * i + 1, 5000 + i, 300 + i, 0, 0);
		source(s, i + 1, 5000 + i, 300 + i, 0);
	}
}

static void tell(struct sides *s)
{
	for (size_t i = 0; i < s->stored.n; i++) {
		uint8_t header[REBIND_HASH_SIZE] = { s->stored_header[i] };
		uint8_t content[REBIND_HASH_SIZE] = { 7, s->stored_content[i] };

		if (s->stored_header[i] != 0xff)
			rebind_tell_stored(&s->r, s->stored.v[i].uid, header, content);
	}
	for (size_t i = 0; i < s->source.n; i++) {
		uint8_t header[REBIND_HASH_SIZE] = { s->source_header[i] };

		if (s->source_header[i] != 0xff)
			rebind_tell_source(&s->r, s->source.v[i].uid, header);
	}
}

static void run(struct sides *s)
{
	rebind_describe(&s->r, &s->stored, &s->source);
	tell(s);
	rebind_settle(&s->r);
}

static uint32_t new_uid(const struct sides *s, uint32_t old)
{
	for (size_t i = 0; i < s->stored.n; i++)
		if (s->stored.v[i].source_uid == old)
			return s->r.pair[i] == REBIND_NONE ? 0 : s->source.v[s->r.pair[i]].uid;
	fail_msg("no message %u", old);
	return 0;
}

static size_t doubts(const struct sides *s)
{
	return s->r.stored_doubts.n + s->r.source_doubts.n;
}

static void test_a_renumbered_mailbox_is_recognised_without_a_look_at_headers(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	many(&s);
	rebind_describe(&s.r, &s.stored, &s.source);
	assert_int_equal(s.r.paired, 100);
	assert_int_equal(s.r.bound, 100);
	assert_int_equal(doubts(&s), 0);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(new_uid(&s, 2 * i + 1), i + 1);
	assert_false(rebind_keeps_uids(&s.r));
	sides_release(&s);
}

static void test_the_same_uids_are_recognised_as_such(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	for (uint32_t i = 1; i <= 50; i++) {
		stored(&s, 3 * i, i, 10, 0, 0);
		source(&s, 3 * i, i, 10, 0);
	}
	run(&s);
	assert_int_equal(s.r.paired, 50);
	assert_true(rebind_keeps_uids(&s.r));
	sides_release(&s);
}

/* The order at the source was another than here. */
static void test_order_does_not_matter_where_dates_tell(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	for (uint32_t i = 0; i < 100; i++) {
		stored(&s, 100 - i, i, 10 + i, 0, 0);
		source(&s, i + 1, (i * 37) % 100, 10 + (i * 37) % 100, 0);
	}
	run(&s);
	assert_int_equal(s.r.paired, 100);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(new_uid(&s, 100 - (i * 37) % 100), i + 1);
	sides_release(&s);
}

static void test_what_is_missing_on_either_side_stays_alone(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	stored(&s, 1000, 1, 77, 0, 0); /* removed at the source */
	many(&s);
	source(&s, 200, 6000, 78, 0); /* came meanwhile */
	run(&s);
	assert_int_equal(s.r.paired, 100);
	assert_int_equal(new_uid(&s, 1000), 0);
	assert_int_equal(new_uid(&s, 3), 2);
	sides_release(&s);
}

/* The second message of one second was removed, and another of the same size came. */
static void test_a_shared_date_is_believed_only_where_all_agree(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	many(&s);
	stored(&s, 301, 9000, 50, 1, 1);
	stored(&s, 302, 9000, 51, 2, 2);
	source(&s, 201, 9000, 50, 1);
	source(&s, 202, 9000, 51, 2);
	rebind_describe(&s.r, &s.stored, &s.source);
	assert_int_equal(s.r.paired, 102);
	rebind_release(&s.r);
	source(&s, 203, 9500, 52, 2); /* now one side has more */
	rebind_describe(&s.r, &s.stored, &s.source);
	assert_int_equal(s.r.paired, 100);
	assert_int_equal(doubts(&s), 4);
	s.source_header[101] = 3;
	tell(&s);
	rebind_settle(&s.r);
	assert_int_equal(new_uid(&s, 301), 201);
	assert_int_equal(new_uid(&s, 302), 0);
	sides_release(&s);
}

/* Dovecot gives out new UIDs in the order of file names, not in the old one. */
static void test_two_of_one_date_and_size_may_have_changed_places(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	many(&s);
	stored(&s, 301, 9000, 50, 1, 1);
	stored(&s, 302, 9000, 50, 2, 2);
	source(&s, 201, 9000, 50, 2);
	source(&s, 202, 9000, 50, 1);
	run(&s);
	assert_int_equal(s.r.paired, 102);
	assert_int_equal(new_uid(&s, 301), 202);
	assert_int_equal(new_uid(&s, 302), 201);
	sides_release(&s);
}

static void test_equal_headers_of_different_content_are_left_to_the_bytes(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	many(&s);
	stored(&s, 301, 9000, 50, 1, 1);
	stored(&s, 302, 9000, 50, 1, 2);
	source(&s, 201, 9000, 50, 1);
	source(&s, 202, 9000, 50, 1);
	run(&s);
	assert_int_equal(s.r.paired, 100);
	assert_int_equal(new_uid(&s, 301), 0);
	sides_release(&s);
}

static void test_copies_of_one_message_are_paired_in_order(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	many(&s);
	stored(&s, 301, 9000, 50, 1, 1);
	stored(&s, 302, 9000, 50, 1, 1);
	stored(&s, 303, 9000, 50, 1, 1);
	source(&s, 201, 9000, 50, 1);
	source(&s, 202, 9000, 50, 1);
	run(&s);
	assert_int_equal(new_uid(&s, 301), 201);
	assert_int_equal(new_uid(&s, 302), 202);
	assert_int_equal(new_uid(&s, 303), 0);
	sides_release(&s);
}

static void test_more_copies_at_the_source_than_here_are_left_to_the_bytes(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	many(&s);
	stored(&s, 301, 9000, 50, 1, 1);
	source(&s, 201, 9000, 50, 1);
	source(&s, 202, 9000, 50, 1);
	run(&s);
	assert_int_equal(new_uid(&s, 301), 0);
	sides_release(&s);
}

static void test_a_message_that_could_not_be_looked_at_spoils_its_like(void **state)
{
	struct sides s;

	(void)state;
	for (int side = 0; side < 2; side++) {
		sides_init(&s);
		many(&s);
		stored(&s, 301, 9000, 50, 1, 1);
		stored(&s, 302, 9000, 50, side ? 2 : 0xff, 2);
		source(&s, 201, 9000, 50, 1);
		source(&s, 202, 9000, 50, side ? 0xff : 2);
		run(&s);
		assert_int_equal(s.r.paired, 100);
		sides_release(&s);
	}
}

static void test_a_few_messages_are_all_looked_at(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	stored(&s, 1, 9000, 50, 1, 1);
	source(&s, 1, 9000, 50, 2); /* another one, on a server that knows no dates */
	run(&s);
	assert_int_equal(s.r.paired, 0);
	sides_release(&s);
}

static void test_what_is_not_described_is_not_paired(void **state)
{
	static const struct {
		int64_t date;
		uint32_t size;
	} untold[] = { { CHANGES_NO_DATE, 50 }, { 9000, 0 }, { 9000, UINT32_MAX } };
	struct sides s;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		sides_init(&s);
		many(&s);
		stored(&s, 301, untold[i].date, untold[i].size, 1, 1);
		source(&s, 201, untold[i].date, untold[i].size, 1);
		run(&s);
		assert_int_equal(s.r.paired, 100);
		assert_int_equal(new_uid(&s, 301), 0);
		sides_release(&s);
	}
}

static void test_nothing_on_one_side_pairs_nothing(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	stored(&s, 1, 9000, 50, 1, 1);
	run(&s);
	assert_int_equal(s.r.paired, 0);
	sides_release(&s);
	sides_init(&s);
	source(&s, 1, 9000, 50, 1);
	run(&s);
	assert_int_equal(s.r.bound, 0);
	sides_release(&s);
}

static void test_a_message_bound_to_nothing_is_left_out(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	stored(&s, 0, 4000, 50, 1, 1);
	many(&s);
	source(&s, 201, 4000, 50, 1);
	run(&s);
	assert_int_equal(s.r.bound, 100);
	assert_int_equal(s.r.pair[0], REBIND_NONE);
	sides_release(&s);
}

/* --- against the rule, worked out slowly --- */

static bool words_equal(const struct changes *a, size_t i, const struct changes *b, size_t k)
{
	return a->dates[i] == b->dates[k] && a->v[i].size == b->v[k].size;
}

/* How many of c have the date (and size, and header) of one of `of`. */
static size_t like(const struct changes *c, const struct changes *of, size_t at, bool size)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += c->dates[i] == of->dates[at] && (!size || c->v[i].size == of->v[at].size);
	return n;
}

static bool agree_slowly(const struct sides *s)
{
	for (size_t i = 0; i < s->source.n; i++) {
		size_t rank = 0, at = 0;

		/* The stored message of this rank. */
		for (at = 0; at < s->stored.n; at++) {
			rank = 0;
			for (size_t k = 0; k < s->stored.n; k++)
				rank += s->stored.v[k].source_uid < s->stored.v[at].source_uid;
			if (rank == i)
				break;
		}
		if (at == s->stored.n || !words_equal(&s->stored, at, &s->source, i))
			return false;
	}
	return s->stored.n == s->source.n;
}

/* Whom the stored message `i` is to be paired with, or REBIND_NONE. */
static uint32_t partner_slowly(const struct sides *s, size_t i, bool agree)
{
	bool alone = like(&s->stored, &s->stored, i, false) == 1 &&
		     like(&s->source, &s->stored, i, false) == 1;
	bool single = like(&s->stored, &s->stored, i, true) == 1 &&
		      like(&s->source, &s->stored, i, true) == 1;
	bool believed = single && (alone || agree) && s->source.n > REBIND_FEW;
	size_t here = 0, there = 0, before = 0;
	uint32_t found = REBIND_NONE;

	for (size_t k = 0; k < s->stored.n; k++) {
		if (!words_equal(&s->stored, k, &s->stored, i) || believed)
			continue;
		if (s->stored_header[k] == 0xff)
			return REBIND_NONE;
		if (s->stored_header[k] != s->stored_header[i])
			continue;
		if (s->stored_content[k] != s->stored_content[i])
			return REBIND_NONE;
		here++;
		before += k < i;
	}
	for (uint32_t k = 0; k < s->source.n; k++) {
		if (!words_equal(&s->source, k, &s->stored, i))
			continue;
		if (believed)
			return k;
		if (s->source_header[k] == 0xff)
			return REBIND_NONE;
		if (s->source_header[k] == s->stored_header[i] && there++ == before)
			found = k;
	}
	return there <= here ? found : REBIND_NONE;
}

static uint32_t seed = 1;

static uint32_t below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)seed * n) >> 32);
}

/* A mailbox, and what became of it at the source. */
static void make_random(struct sides *s)
{
	uint32_t n = below(70), dates = 1 + below(120), sizes = 1 + below(4);
	uint32_t lost = below(3) ? 0 : below(20), uid = 0, unread = below(4) ? 0 : 30;
	struct {
		int64_t date;
		uint32_t size;
		uint8_t header;
	} v[70];

	for (uint32_t i = 0; i < n; i++) {
		uint8_t header = (uint8_t)below(3);

		v[i].date = below(dates);
		v[i].size = 10 + below(sizes);
		v[i].header = header;
		stored(s, 5 * i + 1, v[i].date, v[i].size,
		       unread && below(unread) == 0 ? 0xff : header,
		       (uint8_t)(header * 2 + (below(6) == 0)));
	}
	for (uint32_t i = 0; n > 0 && below(2) && i < 4; i++) { /* some change places */
		uint32_t a = below(n), b = below(n);

		__typeof__(v[0]) keep = v[a];
		v[a] = v[b];
		v[b] = keep;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (below(100) < lost)
			continue;
		source(s, ++uid, v[i].date, v[i].size,
		       unread && below(unread) == 0 ? 0xff : v[i].header);
	}
	for (uint32_t i = below(3); lost && i > 0; i--)
		source(s, ++uid, below(dates), 10 + below(sizes), (uint8_t)below(3));
}

static void test_random_mailboxes_are_paired_as_the_rule_says(void **state)
{
	uint64_t pairs = 0, doubtful = 0, agreed = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct sides s;
		bool agree;

		sides_init(&s);
		make_random(&s);
		run(&s);
		agree = agree_slowly(&s);
		for (size_t i = 0; i < s.stored.n; i++)
			if (s.r.pair[i] != partner_slowly(&s, i, agree))
				fail_msg("round %d: message %zu is paired with %u, not %u", round, i,
					 s.r.pair[i], partner_slowly(&s, i, agree));
		pairs += s.r.paired;
		doubtful += s.r.stored_doubts.n;
		agreed += agree && s.stored.n > REBIND_FEW;
		sides_release(&s);
	}
	/* The rounds were of every kind. */
	assert_in_range(pairs, 100000, UINT64_MAX);
	assert_in_range(doubtful, 100000, UINT64_MAX);
	assert_in_range(agreed, 1000, UINT64_MAX);
}

/* Files have no dates worth the name: however well the sizes fit, headers are looked at. */
static void test_without_dates_no_size_is_believed(void **state)
{
	struct sides s;

	(void)state;
	sides_init(&s);
	s.stored.described = s.source.described = false;
	for (uint32_t i = 0; i < 100; i++) {
		struct entry *e = changes_add(&s.stored, i + 1000);

		e->source_uid = i + 1;
		e->size = 300 + i;
		changes_add(&s.source, i + 1)->size = 300 + i;
		s.stored_header[i] = 1;
		s.source_header[i] = i == 42 ? 2 : i == 43 ? 0xff : 1;
	}
	rebind_describe(&s.r, &s.stored, &s.source);
	assert_int_equal(s.r.paired, 0);
	assert_int_equal(doubts(&s), 200);
	tell(&s);
	rebind_settle(&s.r);
	assert_int_equal(s.r.paired, 98);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(new_uid(&s, i + 1), i == 42 || i == 43 ? 0 : i + 1);
	sides_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_renumbered_mailbox_is_recognised_without_a_look_at_headers),
		cmocka_unit_test(test_the_same_uids_are_recognised_as_such),
		cmocka_unit_test(test_order_does_not_matter_where_dates_tell),
		cmocka_unit_test(test_what_is_missing_on_either_side_stays_alone),
		cmocka_unit_test(test_a_shared_date_is_believed_only_where_all_agree),
		cmocka_unit_test(test_two_of_one_date_and_size_may_have_changed_places),
		cmocka_unit_test(test_equal_headers_of_different_content_are_left_to_the_bytes),
		cmocka_unit_test(test_copies_of_one_message_are_paired_in_order),
		cmocka_unit_test(test_more_copies_at_the_source_than_here_are_left_to_the_bytes),
		cmocka_unit_test(test_a_message_that_could_not_be_looked_at_spoils_its_like),
		cmocka_unit_test(test_a_few_messages_are_all_looked_at),
		cmocka_unit_test(test_what_is_not_described_is_not_paired),
		cmocka_unit_test(test_nothing_on_one_side_pairs_nothing),
		cmocka_unit_test(test_a_message_bound_to_nothing_is_left_out),
		cmocka_unit_test(test_random_mailboxes_are_paired_as_the_rule_says),
		cmocka_unit_test(test_without_dates_no_size_is_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
