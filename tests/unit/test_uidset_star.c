#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/msgset/uidset.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* The set that `text` reads as; "" is the empty one. Text of other tests' making: must parse. */
static struct uidset set_of(const char *text)
{
	struct uidset s = UIDSET_INIT;
	struct err err = { 0 };

	if (*text && uidset_parse(&s, bytes_of(text), UIDSET_ALLOW_STAR, NULL, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return s;
}

static void assert_reads(const struct uidset *s, const char *want)
{
	struct buf b = BUF_INIT(1 << 16);

	assert_true(uidset_format(s, &b));
	assert_string_equal(buf_str(&b), want);
	buf_release(&b);
}

static void test_star_swallows_every_range_above_or_touching_it(void **state)
{
	static const struct {
		const char *before;
		uint64_t star;
		const char *want;
	} cases[] = {
		{ "", UIDSET_STAR, "*" },
		{ "", 5, "5:*" },
		{ "5", UIDSET_STAR, "5,*" }, /* two items until resolved */
		{ "5:*", UIDSET_STAR, "5:*" },
		{ "*", 5, "5:*" },
		{ "1:100", 50, "1:*" },
		{ "1:4", 5, "1:*" },
		{ "1:3", 5, "1:3,5:*" },
		{ "1:3,7,9:12", 5, "1:3,5:*" },
		{ "1:3,5,7,9", 6, "1:3,5:*" },
		{ "9:*", 12, "9:*" },
		{ "12:*", 9, "9:*" },
		{ "3,5:7,12:*", 8, "3,5:*" },
		/* 4294967295 is a number; a lone `*` neither touches nor equals it. */
		{ "4294967295", UIDSET_STAR, "4294967295,*" },
		{ "4294967295", UINT32_MAX, "4294967295:*" },
		{ "4294967294", UINT32_MAX, "4294967294:*" },
		{ "", 0, "1:*" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].before);

		uidset_add_star(&s, cases[i].star);
		assert_reads(&s, cases[i].want);
		uidset_release(&s);
	}
}

static void test_adding_to_an_open_set_keeps_it_canonical(void **state)
{
	static const struct {
		const char *before;
		uint32_t a, b;
		const char *want;
	} cases[] = {
		{ "50:*", 1, 100, "1:*" },
		{ "50:*", 1, 49, "1:*" },
		{ "50:*", 1, 48, "1:48,50:*" },
		{ "50:*", 60, 70, "50:*" },
		{ "1:48,50:*", 49, 49, "1:*" },
		{ "*", UINT32_MAX, UINT32_MAX, "4294967295,*" },
		{ "4294967295:*", 7, 7, "7,4294967295:*" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].before);

		uidset_add_range(&s, cases[i].a, cases[i].b);
		assert_reads(&s, cases[i].want);
		uidset_release(&s);
	}
}

static void test_last_resolves_star_and_turns_a_range_round(void **state)
{
	static const struct {
		const char *before;
		uint32_t last;
		const char *want;
	} cases[] = {
		{ "3291:*", 3290, "3290:3291" },
		{ "3291:*", 3291, "3291" },
		{ "3291:*", 4000, "3291:4000" },
		{ "*", 7, "7" },
		{ "5,*", 5, "5" },
		{ "5,*", 6, "5:6" },
		{ "5,*", 9, "5,9" },
		{ "5,*", 2, "2,5" },
		{ "1:3,10:*", 2, "1:10" }, /* turned round, then merged */
		{ "1:*", UINT32_MAX, "1:4294967295" },
		{ "1:3", 2, "1:3" }, /* what was written out stays */
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].before);
		struct err err;

		assert_int_equal(uidset_set_last(&s, cases[i].last, &err), 0);
		assert_false(uidset_is_open(&s));
		assert_reads(&s, cases[i].want);
		uidset_release(&s);
	}
}

static void test_last_is_given_once_and_then_star_resolves_at_once(void **state)
{
	struct uidset s = UIDSET_INIT, open = set_of("20:*");
	struct err err = { 0 };

	(void)state;
	assert_int_equal(uidset_set_last(&s, 0, &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_int_equal(uidset_set_last(&s, 9, &err), 0);
	assert_int_equal(uidset_set_last(&s, 9, &err), -1);
	uidset_add_star(&s, 5);
	assert_reads(&s, "5:9");
	uidset_add_star(&s, 12);
	assert_reads(&s, "5:12");
	uidset_add_star(&s, UIDSET_STAR);
	assert_reads(&s, "5:12");
	uidset_union(&s, &s, &open); /* an open set added to one that knows `last` */
	assert_reads(&s, "5:20");
	assert_int_equal(uidset_parse(&s, bytes_of("7:*"), UIDSET_ALLOW_STAR, NULL, &err), 0);
	assert_reads(&s, "7:9"); /* replaced, `last` kept */
	uidset_clear(&s);
	assert_int_equal(uidset_set_last(&s, 3, &err), 0); /* forgotten */
	uidset_release(&open);
	uidset_release(&s);
}

static void test_membership_says_when_it_cannot_know(void **state)
{
	static const struct {
		const char *set;
		uint32_t uid;
		enum uidset_answer want;
	} cases[] = {
		{ "", 1, UIDSET_NO },
		{ "2:4,8", 1, UIDSET_NO },
		{ "2:4,8", 2, UIDSET_YES },
		{ "2:4,8", 4, UIDSET_YES },
		{ "2:4,8", 5, UIDSET_NO },
		{ "2:4,8", 8, UIDSET_YES },
		{ "2:4,8", 9, UIDSET_NO },
		{ "2:4,8", 0, UIDSET_NO },
		{ "1:4294967295", UINT32_MAX, UIDSET_YES },
		{ "2:4,8:*", 3, UIDSET_YES },
		{ "2:4,8:*", 8, UIDSET_YES },
		{ "2:4,8:*", 9, UIDSET_UNKNOWN },
		{ "2:4,8:*", 6, UIDSET_UNKNOWN }, /* in, if last is 6 or less */
		{ "2:4,8:*", 0, UIDSET_NO },
		{ "5,*", 5, UIDSET_YES },
		{ "5,*", 6, UIDSET_UNKNOWN },
		{ "*", UINT32_MAX, UIDSET_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].set);

		assert_int_equal(uidset_contains(&s, cases[i].uid), cases[i].want);
		if (!uidset_is_open(&s))
			assert_int_equal(uidset_has(&s, cases[i].uid), cases[i].want);
		uidset_release(&s);
	}
}

static void test_counting_is_exact_or_refused(void **state)
{
	static const struct {
		const char *set;
		int ret;
		uint64_t want;
	} cases[] = {
		{ "", 0, 0 },
		{ "7", 0, 1 },
		{ "1:4294967295", 0, UINT32_MAX },
		{ "1:4294967295,*", 0, (uint64_t)UINT32_MAX + 1 },
		{ "*", 0, 1 },
		{ "5,*", 0, 2 },
		{ "5:*", -1, 0 },
		{ "1:3,4294967295:*", -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset s = set_of(cases[i].set);
		struct err err = { 0 };
		uint64_t n = 0;

		assert_int_equal(uidset_size(&s, &n, &err), cases[i].ret);
		assert_true(n == cases[i].want);
		if (cases[i].ret < 0)
			assert_int_equal(err.kind, ERR_CONFIG);
		else
			assert_true(uidset_count(&s) == n);
		uidset_release(&s);
	}
}

static void test_iterating_an_open_set_is_an_error(void **state)
{
	static const char *const open[] = { "*", "5:*", "1:3,*" };

	(void)state;
	for (size_t i = 0; i < N(open); i++) {
		struct uidset s = set_of(open[i]);
		struct uidset_iter it;
		struct err err = { 0 };

		assert_int_equal(uidset_iter_init(&it, &s, NULL, NULL, &err), -1);
		assert_int_equal(err.kind, ERR_CONFIG);
		uidset_release(&s);
	}
}

static void test_union_of_open_sets(void **state)
{
	static const struct {
		const char *a, *b, *want;
	} cases[] = {
		{ "1:100", "50:*", "1:*" },
		{ "5", "*", "5,*" },
		{ "5:*", "2:*", "2:*" },
		{ "*", "*", "*" },
		{ "*", "7:*", "7:*" },
		{ "1:3,9:*", "4:5", "1:5,9:*" },
		{ "1:3,9:*", "4:8", "1:*" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct uidset a = set_of(cases[i].a), b = set_of(cases[i].b), r = UIDSET_INIT;

		uidset_union(&r, &a, &b);
		assert_reads(&r, cases[i].want);
		uidset_union(&r, &b, &a);
		assert_reads(&r, cases[i].want);
		uidset_release(&a);
		uidset_release(&b);
		uidset_release(&r);
	}
}

/* Whether `use` of an open set ends the process: a broken precondition, not a wrong answer. */
static bool aborts(void (*use)(struct uidset *))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct uidset s = set_of("1:3,9:*");

		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		use(&s);
		_exit(0);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void use_count(struct uidset *s) { uidset_count(s); }
static void use_has(struct uidset *s) { uidset_has(s, 1); }
static void use_remove(struct uidset *s) { uidset_remove(s, 1); }
static void use_intersect(struct uidset *s) { uidset_intersect(s, s, s); }
static void use_subset(struct uidset *s) { uidset_is_subset(s, s); }
static void use_select(struct uidset *s) { uidset_select(s, 1); }

static void test_an_open_set_never_gives_a_wrong_answer(void **state)
{
	static void (*const uses[])(struct uidset *) = { use_count, use_has, use_remove,
							 use_intersect, use_subset, use_select };

	(void)state;
	for (size_t i = 0; i < N(uses); i++)
		assert_true(aborts(uses[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_star_swallows_every_range_above_or_touching_it),
		cmocka_unit_test(test_adding_to_an_open_set_keeps_it_canonical),
		cmocka_unit_test(test_last_resolves_star_and_turns_a_range_round),
		cmocka_unit_test(test_last_is_given_once_and_then_star_resolves_at_once),
		cmocka_unit_test(test_membership_says_when_it_cannot_know),
		cmocka_unit_test(test_counting_is_exact_or_refused),
		cmocka_unit_test(test_iterating_an_open_set_is_an_error),
		cmocka_unit_test(test_union_of_open_sets),
		cmocka_unit_test(test_an_open_set_never_gives_a_wrong_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
