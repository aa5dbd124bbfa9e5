/* A job that reads a store instead of an account. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/job_rig.h"

#define UUID "00000007-0000-4000-8000-000000000000"

static int setup(void **state)
{
	struct job_rig *rig;
	int ret = job_rig_setup(state);

	rig = *state;
	rig->set.source_config.path = "SOURCE";
	rig->set.source_config.account = NULL;
	rig->source.presence = STORE_OURS;
	rig->source.generation = 10;
	strcpy(rig->source.uuid, UUID);
	return ret;
}

static void succeed(struct job_rig *rig)
{
	if (job_rig_go(rig) < 0)
		fail_msg("%s", rig->err.text);
}

static const struct job_mailbox *line(const struct job_rig *rig, const char *name)
{
	for (size_t i = 0; i < rig->report.n; i++)
		if (strcmp(rig->report.v[i].name, name) == 0)
			return &rig->report.v[i];
	fail_msg("no line for %s", name);
	return NULL;
}

static void test_a_store_is_known_by_its_identity_and_others_by_their_path(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 3);
	succeed(rig);
	assert_true(memory_equal(&rig->source, &rig->target));
	assert_string_equal(rig->target.account, "memory:" UUID);
	/* Another store in its place. */
	rig->source.uuid[7] = '8';
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_CONFIG);
	/* What is not ours has only its path. */
	rig->source.presence = STORE_FOREIGN;
	rig->set.rebind = true;
	succeed(rig);
	assert_string_equal(rig->target.account, "memory:SOURCE");
}

static void test_a_source_that_is_not_there_ends_the_run_before_anything_is_made(void **state)
{
	struct job_rig *rig = *state;

	for (int empty = 0; empty < 2; empty++) {
		rig->source.presence = empty ? STORE_EMPTY : STORE_MISSING;
		assert_int_equal(job_rig_go(rig), -1);
		assert_int_equal(rig->err.kind, ERR_MISSING);
		assert_non_null(strstr(rig->err.text, "is a disk missing?"));
	}
	rig->source.presence = STORE_OURS; /* but no mailbox in it */
	assert_int_equal(job_rig_go(rig), -1);
	assert_int_equal(rig->err.kind, ERR_MISSING);
	assert_int_equal(rig->target.presence, STORE_MISSING);
}

static void test_an_older_state_of_the_source_is_refused_until_rebound(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 3);
	succeed(rig);
	rig->source.generation = 9;
	for (int dry = 0; dry < 2; dry++) {
		rig->set.dry_run = dry;
		assert_int_equal(job_rig_go(rig), -1);
		assert_int_equal(rig->err.kind, ERR_HELD);
		assert_non_null(strstr(rig->err.text, "--rebind"));
	}
	rig->set.dry_run = false;
	rig->set.rebind = true;
	succeed(rig);
	assert_true(rig->target.rebound);
	rig->set.rebind = false;
	succeed(rig);
}

static void test_kept_messages_are_part_of_what_a_store_holds(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 3);
	memory_mailbox_get(&rig->source, "INBOX")->v[1].kept = true;
	succeed(rig);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 3);
}

/* Two messages under one UID: nothing that is stored can be told by its UID any more. */
static void replace(struct job_rig *rig, const char *body)
{
	struct memory_message *m = &memory_mailbox_get(&rig->source, "INBOX")->v[1];

	free(m->body);
	m->body = strdup(body);
	memory_mailbox_get(&rig->source, "INBOX")->modseq++;
}

static void test_a_uid_with_another_message_stops_the_mailbox(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 3);
	job_rig_fill(rig, "Other", 1, 1);
	succeed(rig);
	replace(rig, "something else altogether, and longer\r\n");
	memory_delete(&rig->source, "INBOX", 3);
	job_rig_fill(rig, "Other", 2, 2);
	succeed(rig);
	assert_true(rig->report.incomplete);
	assert_true(line(rig, "INBOX")->skipped);
	assert_non_null(strstr(line(rig, "INBOX")->problem, "--rebind"));
	assert_int_equal(memory_live(&rig->target, "INBOX"), 3);
	assert_int_equal(memory_live(&rig->target, "Other"), 2);
}

static void test_sizes_that_a_server_tells_prove_nothing(void **state)
{
	struct job_rig *rig = *state;

	rig->set.source_config.path = NULL;
	rig->set.source_config.account = "ann@host";
	job_rig_fill(rig, "INBOX", 1, 3);
	succeed(rig);
	replace(rig, "the same message, its size told wrong before\r\n");
	succeed(rig);
	assert_false(rig->report.incomplete);
}

static void test_files_that_the_source_lost_are_not_removed(void **state)
{
	struct job_rig *rig = *state;
	struct memory_mailbox *m;

	job_rig_fill(rig, "INBOX", 1, 3);
	succeed(rig);
	m = memory_mailbox_get(&rig->source, "INBOX");
	uidset_add(&m->lost, 2);
	m->hide = 2;
	m->modseq++;
	succeed(rig);
	assert_true(rig->report.incomplete);
	assert_non_null(strstr(line(rig, "INBOX")->problem, "files of it were removed"));
	assert_int_equal(memory_live(&rig->target, "INBOX"), 3);
}

static void test_deletions_and_the_guard_are_as_for_an_account(void **state)
{
	struct job_rig *rig = *state;

	job_rig_fill(rig, "INBOX", 1, 50);
	succeed(rig);
	memory_delete(&rig->source, "INBOX", 3);
	succeed(rig);
	assert_int_equal(memory_live(&rig->target, "INBOX"), 49);
	for (uint32_t uid = 1; uid <= 50; uid++)
		memory_delete(&rig->source, "INBOX", uid);
	succeed(rig);
	assert_true(rig->report.held);
	assert_int_equal(memory_kept(&rig->target, "INBOX"), 49);
}

#define STORE(test) cmocka_unit_test_setup_teardown(test, setup, job_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE(test_a_store_is_known_by_its_identity_and_others_by_their_path),
		STORE(test_a_source_that_is_not_there_ends_the_run_before_anything_is_made),
		STORE(test_an_older_state_of_the_source_is_refused_until_rebound),
		STORE(test_kept_messages_are_part_of_what_a_store_holds),
		STORE(test_a_uid_with_another_message_stops_the_mailbox),
		STORE(test_sizes_that_a_server_tells_prove_nothing),
		STORE(test_files_that_the_source_lost_are_not_removed),
		STORE(test_deletions_and_the_guard_are_as_for_an_account),
	};

	return cmocka_run_group_tests_name("job that reads a store", tests, NULL, NULL);
}
