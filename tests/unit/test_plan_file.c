/* Plans in files: written, read, and carried out when things have moved on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/sync/plan_file.h"
#include "tests/lib/job_rig.h"

static void make_plan(struct job_rig *rig, struct plan_file *plan)
{
	*plan = (struct plan_file){ 0 };
	rig->set.dry_run = true;
	rig->set.plan_out = plan;
	assert_int_equal(job_rig_go(rig), 0);
	rig->set.dry_run = false;
	rig->set.plan_out = NULL;
}

static int apply(struct job_rig *rig, const struct plan_file *plan)
{
	int ret;

	rig->set.apply = plan;
	ret = job_rig_go(rig);
	rig->set.apply = NULL;
	return ret;
}

static void assert_set(const struct uidset *set, const char *want)
{
	struct buf text = BUF_INIT(1000);

	uidset_format(set, &text);
	assert_string_equal(buf_str(&text), want);
	buf_release(&text);
}

static const struct job_mailbox *line_of(const struct job_rig *rig, const char *name)
{
	for (size_t i = 0; i < rig->report.n; i++)
		if (strcmp(rig->report.v[i].name, name) == 0)
			return &rig->report.v[i];
	fail_msg("nothing was reported of %s", name);
	return NULL;
}

/* INBOX of 5, and then one new, one gone, two with other flags; Work of 3, and then one new. */
static void plan_some(struct job_rig *rig, struct plan_file *plan)
{
	job_rig_fill(rig, "INBOX", 1, 5);
	job_rig_fill(rig, "Work", 1, 3);
	assert_int_equal(job_rig_go(rig), 0);
	job_rig_fill(rig, "INBOX", 6, 6);
	memory_delete(&rig->source, "INBOX", 2);
	memory_set_flags(&rig->source, "INBOX", 3, "\\Flagged");
	memory_set_flags(&rig->source, "INBOX", 5, "\\Flagged");
	job_rig_fill(rig, "Work", 4, 4);
	make_plan(rig, plan);
}

static void test_a_plan_says_what_the_run_then_does(void **state)
{
	struct job_rig *rig = *state;
	const struct planned_mailbox *inbox;
	struct plan_file plan;

	plan_some(rig, &plan);
	assert_int_equal(plan.n, 2);
	assert_string_equal(plan.job, "nightly");
	inbox = plan_file_find(&plan, "INBOX");
	assert_set(&inbox->fetch, "6");
	assert_set(&inbox->gone, "2");
	assert_int_equal(inbox->n_flags, 1);
	assert_set(&inbox->flags[0].set, "3,5");
	assert_true(flags_has(&inbox->flags[0].add, bytes_of("\\Flagged")));
	assert_true(flags_has(&inbox->flags[0].remove, bytes_of("\\Seen")));
	assert_int_equal(apply(rig, &plan), 0);
	assert_int_equal(line_of(rig, "INBOX")->new_messages, 1);
	assert_int_equal(line_of(rig, "INBOX")->removed, 1);
	assert_int_equal(line_of(rig, "INBOX")->flags_changed, 2);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.n, 0);
	plan_file_release(&plan);
}

static void test_it_is_the_same_after_a_file(void **state)
{
	struct job_rig *rig = *state;
	char *path = xasprintf("%s/plan", rig->state);
	struct plan_file plan, again;
	struct err err;

	plan_some(rig, &plan);
	plan.v[0].removed = true;
	plan_file_add_rename(&plan, "A/ä", "B \"c\"");
	plan_file_add_rename(&plan, "x", "y");
	assert_int_equal(plan_file_write(&plan, path, &err), 0);
	assert_int_equal(plan_file_read(path, &again, &err), 0);
	assert_int_equal(again.n_renames, 2);
	assert_true(plan_file_renames(&again, "A/ä", "B \"c\""));
	assert_true(plan_file_renames(&again, "x", "y"));
	assert_false(plan_file_renames(&again, "x", "B \"c\""));
	assert_string_equal(again.job, plan.job);
	assert_string_equal(again.account, plan.account);
	assert_string_equal(again.store, plan.store);
	assert_int_equal(again.made, plan.made);
	assert_int_equal(again.n, plan.n);
	for (size_t i = 0; i < plan.n; i++) {
		const struct planned_mailbox *a = &plan.v[i], *b = &again.v[i];

		assert_string_equal(a->name, b->name);
		assert_int_equal(a->uidvalidity, b->uidvalidity);
		assert_int_equal(a->bytes, b->bytes);
		assert_int_equal(a->removed, b->removed);
		assert_true(uidset_equal(&a->fetch, &b->fetch));
		assert_true(uidset_equal(&a->gone, &b->gone));
		assert_int_equal(a->n_flags, b->n_flags);
		for (size_t k = 0; k < a->n_flags; k++) {
			assert_true(flags_equal(&a->flags[k].add, &b->flags[k].add));
			assert_true(flags_equal(&a->flags[k].remove, &b->flags[k].remove));
			assert_true(uidset_equal(&a->flags[k].set, &b->flags[k].set));
		}
	}
	plan_file_release(&plan);
	plan_file_release(&again);
	unlink(path);
	free(path);
}

static void test_mail_that_came_since_does_not_matter(void **state)
{
	struct job_rig *rig = *state;
	struct plan_file plan;

	job_rig_fill(rig, "INBOX", 1, 5);
	make_plan(rig, &plan);
	job_rig_fill(rig, "INBOX", 6, 9);
	job_rig_fill(rig, "New", 1, 1);
	assert_int_equal(apply(rig, &plan), 0);
	assert_false(rig->report.incomplete);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	assert_int_equal(rig->report.new_messages, 5);
	assert_int_equal(rig->report.n_notes, 1);
	/* and the next backup has the rest */
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.new_messages, 5);
	assert_true(memory_equal(&rig->source, &rig->target));
	plan_file_release(&plan);
}

/* The message that the plan removes was moved after it was made: its new copy is stored first. */
static void test_what_a_plan_removes_is_never_without_a_copy(void **state)
{
	struct job_rig *rig = *state;
	struct plan_file plan;

	job_rig_fill(rig, "INBOX", 1, 5);
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 2);
	make_plan(rig, &plan);
	memory_deliver(&rig->source, "Work", "INBOX message 2", "");
	assert_int_equal(apply(rig, &plan), 0);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 4);
	assert_int_equal(memory_live(&rig->target, "Work"), 1);
	plan_file_release(&plan);
}

/* What the plan names is not as it was: that mailbox is left alone, the other one is done. */
static void changed_since(struct job_rig *rig, const char *problem)
{
	struct plan_file plan;

	plan_some(rig, &plan);
	switch (*problem) {
	case 'r':
		memory_delete(&rig->source, "INBOX", 6);
		break;
	case 'f':
		memory_set_flags(&rig->source, "INBOX", 5, "\\Draft");
		break;
	case 'u':
		memory_mailbox_get(&rig->source, "INBOX")->uidvalidity++;
		break;
	}
	assert_int_equal(apply(rig, &plan), 0);
	assert_true(rig->report.incomplete);
	assert_true(line_of(rig, "INBOX")->skipped);
	assert_int_equal(line_of(rig, "Work")->new_messages, 1);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	plan_file_release(&plan);
}

static void test_a_message_to_be_fetched_that_is_gone_refuses_its_mailbox(void **state)
{
	changed_since(*state, "removed");
	assert_non_null(strstr(line_of(*state, "INBOX")->problem, "UID 6 was removed"));
}

static void test_other_flags_refuse_their_mailbox(void **state)
{
	changed_since(*state, "flags");
	assert_non_null(strstr(line_of(*state, "INBOX")->problem, "UID 5 got other flags"));
}

static void test_another_uidvalidity_refuses_its_mailbox(void **state)
{
	changed_since(*state, "uidvalidity");
}

/* The one that is not recognised has no UID to be named by: it is left to the next backup. */
static void test_new_uids_are_bound_and_what_cannot_be_named_is_left(void **state)
{
	struct job_rig *rig = *state;
	struct plan_file plan;

	job_rig_fill(rig, "INBOX", 1, 60);
	assert_int_equal(job_rig_go(rig), 0);
	memory_delete(&rig->source, "INBOX", 7);
	memory_mailbox_get(&rig->source, "INBOX")->uidvalidity++;
	make_plan(rig, &plan);
	assert_int_equal(apply(rig, &plan), 0);
	assert_int_equal(line_of(rig, "INBOX")->recognised, 59);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 60);
	assert_non_null(strstr(rig->report.notes[rig->report.n_notes - 1],
			       "left to the next run"));
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(rig->report.removed, 1);
	assert_true(memory_equal(&rig->source, &rig->target));
	plan_file_release(&plan);
}

static void test_what_was_done_since_counts_as_done(void **state)
{
	struct job_rig *rig = *state;
	struct plan_file plan;

	plan_some(rig, &plan);
	assert_int_equal(job_rig_go(rig), 0);
	assert_int_equal(apply(rig, &plan), 0);
	assert_false(rig->report.incomplete);
	assert_int_equal(rig->report.n, 0);
	plan_file_release(&plan);
}

/* A plan is made with the guard asleep: it is awake when the plan is carried out. */
static void test_the_guard_has_its_say(void **state)
{
	struct job_rig *rig = *state;
	struct plan_file plan;

	job_rig_fill(rig, "INBOX", 1, 100);
	assert_int_equal(job_rig_go(rig), 0);
	for (uint32_t uid = 1; uid <= 50; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	make_plan(rig, &plan);
	assert_int_equal(apply(rig, &plan), 0);
	assert_true(rig->report.held);
	assert_int_equal(rig->report.removed, 0);
	plan_file_release(&plan);
}

static void test_a_plan_for_something_else_is_refused(void **state)
{
	struct job_rig *rig = *state;
	struct plan_file plan;

	plan_some(rig, &plan);
	plan.store[0] ^= 1;
	assert_int_equal(apply(rig, &plan), -1);
	assert_int_equal(rig->err.kind, ERR_HELD);
	plan.store[0] ^= 1;
	plan.account[0] = 'x';
	assert_int_equal(apply(rig, &plan), -1);
	assert_int_equal(rig->err.kind, ERR_HELD);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 5);
	plan_file_release(&plan);
}

#define HEAD "{\"format\":\"mailcask plan\",\"version\":1,\"job\":\"j\",\"account\":\"a\",\"store\":\"\",\"made\":1,"
#define BOX "{\"mailbox\":\"I\",\"uidvalidity\":1"

static void test_a_file_that_is_no_plan_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "[]", "{}", "{\"format\":\"mailcask plan\",\"version\":2}", HEAD "\"mailboxes\":{}}",
		"{\"format\":\"mailcask plan\",\"version\":3,\"job\":\"j\",\"account\":\"a\",\"store\":\"\","
		"\"mailboxes\":[]}",
		HEAD "\"renames\":{},\"mailboxes\":[]}", HEAD "\"renames\":[{\"from\":\"A\"}],\"mailboxes\":[]}",
		HEAD "\"mailboxes\":[7]}", HEAD "\"mailboxes\":[{\"uidvalidity\":1}]}",
		HEAD "\"mailboxes\":[" BOX "}," BOX "}]}", HEAD "\"mailboxes\":[" BOX ",\"fetch\":\"1:*\"}]}",
		HEAD "\"mailboxes\":[" BOX ",\"fetch\":\"0\"}]}", HEAD "\"mailboxes\":[" BOX ",\"gone\":5}]}",
		HEAD "\"mailboxes\":[" BOX ",\"flags\":{}}]}",
		HEAD "\"mailboxes\":[" BOX ",\"flags\":[{\"uids\":\"\",\"add\":\"\",\"remove\":\"\"}]}]}",
		HEAD "\"mailboxes\":[" BOX ",\"flags\":[{\"uids\":\"1\",\"add\":\"\"}]}]}",
		HEAD "\"job\":\"k\",\"mailboxes\":[]}",
		"{\"format\":\"mailcask plan\",\"version\":1,\"job\":\"j\",\"account\":\"a\","
		"\"store\":\"123456789012345678901234567890123456789\",\"mailboxes\":[]}",
		HEAD "\"mailboxes\":[{\"mailbox\":\"I\",\"uidvalidity\":4294967296}]}",
	};
	struct job_rig *rig = *state;
	char *path = xasprintf("%s/plan", rig->state);
	struct plan_file plan;
	struct err err;

	assert_int_equal(plan_file_read(path, &plan, &err), -1);
	assert_int_equal(err.kind, ERR_MISSING);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(file_replace(path, bytes_of(bad[i]), 0600, &err), 0);
		if (plan_file_read(path, &plan, &err) == 0)
			fail_msg("taken for a plan: %s", bad[i]);
		assert_int_equal(err.kind, ERR_CONFIG);
	}
	unlink(path);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOB_RIG(test_a_plan_says_what_the_run_then_does),
		WITH_JOB_RIG(test_it_is_the_same_after_a_file),
		WITH_JOB_RIG(test_mail_that_came_since_does_not_matter),
		WITH_JOB_RIG(test_what_a_plan_removes_is_never_without_a_copy),
		WITH_JOB_RIG(test_a_message_to_be_fetched_that_is_gone_refuses_its_mailbox),
		WITH_JOB_RIG(test_other_flags_refuse_their_mailbox),
		WITH_JOB_RIG(test_another_uidvalidity_refuses_its_mailbox),
		WITH_JOB_RIG(test_new_uids_are_bound_and_what_cannot_be_named_is_left),
		WITH_JOB_RIG(test_what_was_done_since_counts_as_done),
		WITH_JOB_RIG(test_the_guard_has_its_say),
		WITH_JOB_RIG(test_a_plan_for_something_else_is_refused),
		WITH_JOB_RIG(test_a_file_that_is_no_plan_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
