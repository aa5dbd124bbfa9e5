/* Which mailbox is which under another name, and in what order a store renames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/sync/renames.h"

/* --- in what order --- */

static void set_name(struct mailbox_name *out, const char *text)
{
	struct err err;

	if (*text)
		assert_int_equal(mailbox_name_from_display(out, bytes_of(text), &err), 0);
}

/* A store that only knows names: carries the steps out, and fails the test where a real one would. */
static void carry_out(char **names, size_t n, const struct rename_steps *steps)
{
	for (size_t s = 0; s < steps->n; s++) {
		char *from = mailbox_name_text(&steps->v[s].from);
		char *to = mailbox_name_text(&steps->v[s].to);
		size_t len = strlen(from), moved = 0;

		for (size_t i = 0; i < n; i++)
			if (strcmp(names[i], to) == 0)
				fail_msg("%s to %s, which exists", from, to);
		for (size_t i = 0; i < n; i++) {
			char *was = names[i];

			if (strncmp(was, from, len) != 0 || (was[len] && was[len] != '/'))
				continue;
			names[i] = xasprintf("%s%s", to, was + len);
			moved += !was[len];
			free(was);
		}
		if (moved != 1)
			fail_msg("%s to %s: there is no such mailbox", from, to);
		for (size_t i = 0; i < n; i++)
			for (size_t k = i + 1; k < n; k++)
				if (strcmp(names[i], names[k]) == 0)
					fail_msg("%s to %s: two are called %s", from, to, names[i]);
		free(from);
		free(to);
	}
}

/* `names` and `wants`; a want of "" is none. Returns how many steps it took. */
static size_t plan(const char *const *names, const char *const *wants, size_t n)
{
	struct rename_item *v = xcalloc(n, sizeof(*v));
	char **now = xcalloc(n, sizeof(*now));
	struct rename_steps steps = { 0 };
	struct err err;
	size_t took;

	for (size_t i = 0; i < n; i++) {
		set_name(&v[i].name, names[i]);
		set_name(&v[i].want, wants[i]);
		now[i] = xstrdup(names[i]);
	}
	assert_int_equal(renames_plan(v, n, &steps, &err), 0);
	carry_out(now, n, &steps);
	for (size_t i = 0; i < n; i++) {
		char *told = mailbox_name_text(&v[i].name);

		assert_string_equal(told, now[i]);
		if (*wants[i])
			assert_string_equal(now[i], wants[i]);
		else if (strncmp(now[i], RENAMES_MOVING, strlen(RENAMES_MOVING)) == 0)
			fail_msg("%s was left as %s", names[i], now[i]);
		free(told);
		free(now[i]);
		mailbox_name_release(&v[i].name);
		mailbox_name_release(&v[i].want);
	}
	took = steps.n;
	rename_steps_release(&steps);
	free(now);
	free(v);
	return took;
}

static void test_everything_gets_the_name_it_wants(void **state)
{
	static const struct {
		const char *names[6], *wants[6];
		size_t steps;
	} cases[] = {
		{ { "A" }, { "A" }, 0 },
		{ { "A" }, { "B" }, 1 },
		{ { "A", "A/x", "A/y" }, { "B", "B/x", "B/y" }, 1 },
		{ { "A", "A/x" }, { "B", "" }, 1 }, /* goes along */
		{ { "A", "A/x" }, { "B", "A/x" }, 2 }, /* goes along, and back */
		{ { "A", "B" }, { "B", "C" }, 2 },
		{ { "A", "B" }, { "B", "A" }, 3 },
		{ { "A", "A/x", "B", "B/x" }, { "B", "B/x", "A", "A/x" }, 3 },
		{ { "A", "B", "C" }, { "B", "C", "A" }, 4 },
		{ { "A", "A/x", "B/x" }, { "B", "B/y", "B/x" }, 2 },
		{ { "A" }, { "A/b" }, 2 },
		{ { "A/b" }, { "A" }, 1 },
		{ { "A", "A/b" }, { "A/b", "A" }, 3 },
		{ { RENAMES_MOVING "/A", "B" }, { "A", "B" }, 1 },
		{ { RENAMES_MOVING "/A", "A" }, { "B", "C" }, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = 0, steps;

		while (n < 6 && cases[i].names[n])
			n++;
		steps = plan(cases[i].names, cases[i].wants, n);
		if (steps != cases[i].steps)
			fail_msg("case %zu took %zu steps", i, steps);
	}
}

static uint32_t roll(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33) % n;
}

enum { NAMES = 2 + 4 + 8, ITEMS = 8 };

/* Every name of up to three components of two letters; a shuffled choice of them. */
static void shuffle(uint64_t *seed, const char *out[NAMES])
{
	static char text[NAMES][8];
	size_t n = 0;

	for (uint32_t depth = 1; depth <= 3; depth++)
		for (uint32_t bits = 0; bits < (1u << depth); bits++, n++)
			for (uint32_t i = 0; i < depth; i++) {
				text[n][2 * i] = (char)('a' + (bits >> i & 1));
				text[n][2 * i + 1] = i + 1 < depth ? '/' : '\0';
			}
	for (size_t i = 0; i < NAMES; i++)
		out[i] = text[i];
	for (uint32_t i = NAMES - 1; i > 0; i--) {
		uint32_t k = roll(seed, i + 1);
		const char *swap = out[i];

		out[i] = out[k];
		out[k] = swap;
	}
}

static void test_so_it_is_for_any_names_and_wishes(void **state)
{
	uint64_t seed = 20200229;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		const char *names[NAMES], *wants[NAMES], *all[NAMES];
		size_t n = 1 + roll(&seed, ITEMS), next = 0;

		shuffle(&seed, all);
		memcpy(names, all, sizeof(names));
		shuffle(&seed, all);
		for (size_t i = 0; i < n; i++)
			wants[i] = roll(&seed, 3) ? names[i] : "?"; /* most stay */
		for (size_t i = 0; i < n; i++) {
			bool taken = true;

			if (*wants[i] != '?')
				continue;
			if (roll(&seed, 3) == 0) {
				wants[i] = "";
				continue;
			}
			while (taken) {
				taken = false;
				for (size_t k = 0; k < n; k++)
					taken |= strcmp(all[next], wants[k]) == 0 ||
						 (!*wants[k] && strcmp(all[next], names[k]) == 0);
				next += taken;
				assert_true(next < NAMES);
			}
			wants[i] = all[next++];
		}
		/* One that wants nothing may have come after one that wants its name. */
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < n; k++)
				if (!*wants[i] && strcmp(wants[k], names[i]) == 0)
					goto next;
		plan(names, wants, n);
next:;
	}
}

static void test_a_name_on_the_way_says_what_it_was(void **state)
{
	struct mailbox_name name = MAILBOX_NAME_INIT, was = MAILBOX_NAME_INIT;
	char *text;

	(void)state;
	set_name(&name, RENAMES_MOVING "/a/b");
	assert_true(renames_is_moving(&name, &was));
	text = mailbox_name_text(&was);
	assert_string_equal(text, "a/b");
	free(text);
	set_name(&name, RENAMES_MOVING);
	assert_false(renames_is_moving(&name, &was));
	set_name(&name, "a/" RENAMES_MOVING "/b");
	assert_false(renames_is_moving(&name, &was));
	mailbox_name_release(&name);
	mailbox_name_release(&was);
}

/* What lies below keeps the server's spelling, also over a detour. */
static void test_names_keep_the_spelling_of_the_server(void **state)
{
	struct rename_item v[4] = { 0 };
	static const char *const names[] = { "A", "A/&AOQ-", "&AOQ-", "&AOQ-/x" },
				*const wants[] = { "&AOQ-", "&AOQ-/&AOQ-", "A", "A/x" };
	struct rename_steps steps = { 0 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		mailbox_name_from_wire(&v[i].name, bytes_of(names[i]), '/', false);
		mailbox_name_from_wire(&v[i].want, bytes_of(wants[i]), '/', false);
	}
	assert_int_equal(renames_plan(v, 4, &steps, &err), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_true(bytes_equal(v[i].name.wire, bytes_of(wants[i])));
		mailbox_name_release(&v[i].name);
		mailbox_name_release(&v[i].want);
	}
	rename_steps_release(&steps);
}

/* --- which is which --- */

static bool possible(const struct token *then, const struct token *now, const char *to_id,
		     const char *from_id)
{
	struct mailbox_info to = { .token = *then }, from = { .token = *now };
	bool one_id, got;

	mailboxid_take(to.mailboxid, bytes_of(to_id));
	mailboxid_take(from.mailboxid, bytes_of(from_id));
	got = renames_possible(&to, &from, &one_id);
	assert_int_equal(one_id, *to_id && strcmp(to_id, from_id) == 0);
	return got;
}

static void test_only_one_uidvalidity_and_no_counter_gone_back_make_it_possible(void **state)
{
	const struct token then = { .known = true, .uidvalidity = 7, .uidnext = 10, .highestmodseq = 20 };
	struct token now = then;

	(void)state;
	assert_true(possible(&then, &now, "", ""));
	now.uidnext = 11;
	now.highestmodseq = 21;
	assert_true(possible(&then, &now, "", "F1"));
	now.highestmodseq = 0; /* not told */
	assert_true(possible(&then, &now, "F1", ""));
	now.highestmodseq = 19;
	assert_false(possible(&then, &now, "", ""));
	now = then;
	now.uidnext = 9;
	assert_false(possible(&then, &now, "", ""));
	now = then;
	now.uidvalidity = 8;
	assert_false(possible(&then, &now, "", ""));
	now = then;
	now.known = false;
	assert_false(possible(&then, &now, "", ""));
}

static void test_where_both_tell_a_mailboxid_it_alone_decides(void **state)
{
	const struct token then = { .known = true, .uidvalidity = 7, .uidnext = 10 };
	struct token now = then;

	(void)state;
	assert_false(possible(&then, &now, "F1", "F2"));
	now.uidvalidity = 8;
	now.uidnext = 1;
	assert_true(possible(&then, &now, "F1", "F1"));
}

static void test_only_what_can_be_a_mailboxid_is_one(void **state)
{
	char id[MAILBOXID_SIZE], longest[MAILBOXID_SIZE + 1];

	(void)state;
	assert_true(mailboxid_take(id, bytes_of("F-2_a9")));
	assert_string_equal(id, "F-2_a9");
	assert_false(mailboxid_take(id, bytes_of("")));
	assert_false(mailboxid_take(id, bytes_of("a b")));
	assert_false(mailboxid_take(id, bytes_of("a\nb")));
	assert_false(mailboxid_take(id, bytes_from("a\0b", 3)));
	memset(longest, 'a', sizeof(longest));
	assert_true(mailboxid_take(id, bytes_from(longest, MAILBOXID_SIZE - 1)));
	assert_false(mailboxid_take(id, bytes_from(longest, MAILBOXID_SIZE)));
	assert_string_equal(id, "");
}

static void test_only_the_one_clear_match_is_chosen(void **state)
{
	static const struct {
		struct rename_pair v[3];
		size_t n;
		const char *chosen; /* y or n for each */
	} cases[] = {
		{ { { .to = 0, .from = 0, .same = 3 } }, 1, "y" },
		{ { { .to = 0, .from = 0 } }, 1, "n" }, /* nothing speaks for it */
		{ { { .to = 0, .from = 0, .trivial = true } }, 1, "y" },
		{ { { .to = 0, .from = 0, .same = 3, .other = 1 } }, 1, "n" },
		{ { { .to = 0, .from = 0, .one_id = true, .other = 1 },
		    { .to = 0, .from = 1, .same = 3 } }, 2, "yn" },
		/* two that look the same, on either side */
		{ { { .to = 0, .from = 0, .same = 3 }, { .to = 0, .from = 1, .same = 9 } }, 2, "nn" },
		{ { { .to = 0, .from = 0, .same = 3 }, { .to = 1, .from = 0, .same = 3 } }, 2, "nn" },
		{ { { .to = 0, .from = 0, .same = 3 }, { .to = 0, .from = 1, .other = 1 } }, 2, "yn" },
		{ { { .to = 0, .from = 0, .same = 3 }, { .to = 1, .from = 1, .same = 3 } }, 2, "yy" },
		/* an empty one speaks less than messages */
		{ { { .to = 0, .from = 0, .same = 3 }, { .to = 1, .from = 0, .trivial = true } }, 2, "yn" },
		{ { { .to = 0, .from = 0, .trivial = true },
		    { .to = 1, .from = 0, .trivial = true } }, 2, "nn" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rename_pair v[3];

		memcpy(v, cases[i].v, sizeof(v));
		renames_choose(v, cases[i].n);
		for (size_t k = 0; k < cases[i].n; k++)
			if (v[k].chosen != (cases[i].chosen[k] == 'y'))
				fail_msg("case %zu, pair %zu", i, k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_gets_the_name_it_wants),
		cmocka_unit_test(test_so_it_is_for_any_names_and_wishes),
		cmocka_unit_test(test_a_name_on_the_way_says_what_it_was),
		cmocka_unit_test(test_names_keep_the_spelling_of_the_server),
		cmocka_unit_test(test_only_one_uidvalidity_and_no_counter_gone_back_make_it_possible),
		cmocka_unit_test(test_where_both_tell_a_mailboxid_it_alone_decides),
		cmocka_unit_test(test_only_what_can_be_a_mailboxid_is_one),
		cmocka_unit_test(test_only_the_one_clear_match_is_chosen),
	};

	return cmocka_run_group_tests_name("renames", tests, NULL, NULL);
}
