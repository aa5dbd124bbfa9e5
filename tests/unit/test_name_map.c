/* The rules of a job's `map`, and jobs that have some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/err.h"
#include "core/sync/name_map.h"
#include "tests/lib/job_rig.h"

#define RULES(...) (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)

static void parse(struct name_map *map, const char *const *rules, size_t n)
{
	struct err err;

	if (name_map_parse(map, rules, n, &err) < 0)
		fail_msg("%s", err.text);
}

static void assert_leads(const struct name_map *map, const char *from, const char *to)
{
	struct mailbox_name source = MAILBOX_NAME_INIT, name = MAILBOX_NAME_INIT;
	struct err err;
	char *text;

	assert_int_equal(mailbox_name_from_display(&source, bytes_of(from), &err), 0);
	name_map_apply(map, &source, &name);
	text = mailbox_name_text(&name);
	assert_string_equal(text, to);
	free(text);
	mailbox_name_release(&source);
	mailbox_name_release(&name);
}

static void test_the_first_rule_that_fits_decides(void **state)
{
	struct name_map map = { 0 };

	(void)state;
	parse(&map, RULES("[Gmail]/Sent Mail -> Sent", "Lists/git/* -> Code/*", "Lists/* ->Old/L/*",
			  "inbox -> Post%2C new"));
	assert_leads(&map, "[Gmail]/Sent Mail", "Sent");
	assert_leads(&map, "[Gmail]/Sent Mail/2019", "[Gmail]/Sent Mail/2019");
	assert_leads(&map, "Lists/git/a/b", "Code/a/b");
	assert_leads(&map, "Lists/git", "Old/L/git");
	assert_leads(&map, "Lists", "Lists");
	assert_leads(&map, "Listserv/x", "Listserv/x");
	assert_leads(&map, "INBOX", "Post, new");
	parse(&map, RULES("INBOX/* -> *"));
	assert_leads(&map, "INBOX", "INBOX");
	assert_leads(&map, "INBOX/Work/x", "Work/x");
	parse(&map, RULES("* -> old@example.org/*"));
	assert_leads(&map, "INBOX", "old@example.org/INBOX");
	assert_leads(&map, "a/b", "old@example.org/a/b");
	name_map_release(&map);
	assert_leads(&map, "a/b", "a/b");
}

static void test_rules_that_mean_nothing_are_refused(void **state)
{
	static const struct {
		const char *first, *second, *why;
	} cases[] = {
		{ "a b", NULL, "'a b' is no rule; expected 'Old -> New'" },
		{ "-> b", NULL, "'-> b': a name is missing" },
		{ "a ->", NULL, "'a ->': a name is missing" },
		{ "a/* -> b", NULL, "'a/* -> b': either both sides end in a '*' or none does" },
		{ "a -> *", NULL, "'a -> *': either both sides" },
		{ "/* -> b/*", NULL, "'/* -> b/*': a name is missing" },
		{ "a* -> b*", NULL, "'a* -> b*': a '*' can only stand at the end, after a '/' or alone" },
		{ "a/*/c -> b", NULL, "'a/*/c -> b': a '*' can only stand at the end" },
		{ "a -> b\xff", NULL, "mailbox name is not UTF-8 text" },
		{ "a -> b", "a -> c", "'a -> c' never applies, because 'a -> b' stands before it" },
		{ "a/* -> b/*", "a/x/* -> c/*", "'a/x/* -> c/*' never applies" },
		{ "* -> b/*", "a -> c", "'a -> c' never applies" },
		{ "a -> b", "c -> b", "'a -> b' and 'c -> b' lead to the same name" },
		{ "a/* -> b/*", "c/* -> b/*", "'a/* -> b/*' and 'c/* -> b/*' lead to the same name" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const rules[] = { cases[i].first, cases[i].second };
		struct name_map map = { 0 };
		struct err err;

		assert_int_equal(name_map_parse(&map, rules, cases[i].second ? 2 : 1, &err), -1);
		assert_int_equal(err.kind, ERR_CONFIG);
		if (strncmp(err.text, cases[i].why, strlen(cases[i].why)) != 0)
			fail_msg("%s", err.text);
		assert_int_equal(map.n, 0);
	}
}

static int go_with(struct job_rig *rig, const char *const *rules, size_t n)
{
	int ret;

	parse(&rig->set.map, rules, n);
	ret = job_rig_go(rig);
	name_map_release(&rig->set.map);
	return ret;
}

static bool says(const struct job_rig *rig, const char *text)
{
	for (size_t i = 0; i < rig->report.n_notes; i++)
		if (strstr(rig->report.notes[i], text))
			return true;
	return false;
}

static void test_mapped_mailboxes_are_followed_like_others(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 3);
	job_rig_fill(rig, "Lists/a", 1, 4);
	job_rig_fill(rig, "Old", 1, 2);
	assert_int_equal(go_with(rig, RULES("Lists/* -> Old/*", "Old -> Older")), 0);
	assert_false(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "Old/a"), 4);
	assert_int_equal(memory_live(&rig->target, "Older"), 2);
	assert_string_equal(rig->report.v[1].name, "Old/a");
	assert_string_equal(rig->report.v[1].source, "Lists/a");
	assert_null(rig->report.v[0].source);
	assert_int_equal(go_with(rig, RULES("Lists/* -> Old/*", "Old -> Older")), 0);
	assert_int_equal(rig->report.n, 0);
	memory_delete(&rig->source, "Lists/a", 2);
	job_rig_fill(rig, "Lists/a", 5, 5);
	job_rig_fill(rig, "Old", 3, 3);
	assert_int_equal(go_with(rig, RULES("Lists/* -> Old/*", "Old -> Older")), 0);
	assert_int_equal(rig->report.removed, 1);
	assert_int_equal(rig->report.new_messages, 2);
	assert_int_equal(memory_live(&rig->target, "Old/a"), 4);
	assert_int_equal(memory_live(&rig->target, "Older"), 3);
}

static void test_patterns_mean_the_names_of_the_source(void **state)
{
	static const char *const patterns[] = { "*", "!Sent" };
	struct job_rig *rig = *state;

	job_rig_fill(rig, "Gesendet", 1, 3);
	job_rig_fill(rig, "Sent", 1, 2);
	rig->set.mailboxes = patterns;
	rig->set.n_mailboxes = 2;
	/* That one of the two is left out makes the name free for the other. */
	assert_int_equal(go_with(rig, RULES("Gesendet -> Sent")), 0);
	assert_int_equal(memory_live(&rig->target, "Sent"), 3);
	assert_int_equal(go_with(rig, RULES("Gesendet -> Sent")), 0);
	assert_int_equal(rig->report.n, 0);
	assert_false(rig->report.incomplete);
}

static void test_two_mailboxes_under_one_name_stop_the_job(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "Gesendet", 1, 3);
	job_rig_fill(rig, "Sent", 1, 2);
	assert_int_equal(go_with(rig, RULES("Gesendet -> Sent")), -1);
	assert_int_equal(rig->err.kind, ERR_CONFIG);
	assert_non_null(strstr(rig->err.text, "'map' gives"));
	assert_int_equal(rig->target.opened, 0);
}

static void test_a_changed_map_deletes_nothing(void **state)
{
	struct job_rig *rig = *state;

	rig->set.max_delete = (struct guard_limits){ .count = 1000000 };
	job_rig_fill(rig, "INBOX", 1, 3);
	job_rig_fill(rig, "a", 1, 4);
	job_rig_fill(rig, "b", 1, 2);
	assert_int_equal(go_with(rig, RULES("a -> x", "b -> y")), 0);
	for (int i = 0; i < 3; i++) { /* b is stored anew; what y was stays, and is named once */
		assert_int_equal(go_with(rig, RULES("a -> x", "b -> z")), 0);
		assert_int_equal(memory_live(&rig->target, "x"), 4);
		assert_int_equal(memory_live(&rig->target, "y"), 2);
		assert_int_equal(memory_live(&rig->target, "z"), 2);
		assert_false(rig->report.incomplete);
		assert_int_equal(rig->report.removed, 0);
		assert_int_equal(says(rig, "y is no longer what 'map' leads to"), i == 0);
	}
	for (int i = 0; i < 2; i++) { /* what is a's must not be taken for b's */
		assert_int_equal(go_with(rig, RULES("a -> w", "b -> x")), 0);
		assert_int_equal(memory_live(&rig->target, "x"), 4);
		assert_int_equal(memory_live(&rig->target, "w"), 4);
		assert_true(rig->report.incomplete);
		assert_int_equal(rig->report.removed, 0);
	}
}

static void test_a_pattern_added_to_leave_a_mailbox_out_deletes_nothing(void **state)
{
	static const char *const patterns[] = { "*", "!Spam" };
	struct job_rig *rig = *state;

	rig->set.max_delete = (struct guard_limits){ .count = 1000000 };
	job_rig_fill(rig, "INBOX", 1, 3);
	job_rig_fill(rig, "Spam", 1, 4);
	assert_int_equal(job_rig_go(rig), 0);
	rig->set.mailboxes = patterns;
	rig->set.n_mailboxes = 2;
	for (int i = 0; i < 3; i++) {
		memory_delete(&rig->source, "Spam", (uint32_t)i + 1);
		assert_int_equal(job_rig_go(rig), 0);
		assert_int_equal(memory_live(&rig->target, "Spam"), 4);
		assert_false(rig->report.incomplete);
		assert_int_equal(says(rig, "Spam is no longer selected"), i == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_rule_that_fits_decides),
		cmocka_unit_test(test_rules_that_mean_nothing_are_refused),
		WITH_JOB_RIG(test_mapped_mailboxes_are_followed_like_others),
		WITH_JOB_RIG(test_patterns_mean_the_names_of_the_source),
		WITH_JOB_RIG(test_two_mailboxes_under_one_name_stop_the_job),
		WITH_JOB_RIG(test_a_changed_map_deletes_nothing),
		WITH_JOB_RIG(test_a_pattern_added_to_leave_a_mailbox_out_deletes_nothing),
	};

	return cmocka_run_group_tests_name("name_map", tests, NULL, NULL);
}
