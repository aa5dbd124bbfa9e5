/* `status`: what it says of a job is so, and it needs nobody but the disk. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/base/bytes.h"
#include "core/base/mem.h"
#include "tests/lib/backup.h"
#include "tests/lib/fake_imap.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static struct fake_imap *server;
static struct backup job;

static int start(void **state)
{
	const char *type = *state;
	struct backup_config config = { .type = type };
	struct fake_mailbox *mb;

	server = fake_new();
	config.port = fake_port(server);
	mb = fake_mailbox(server, bytes_of("INBOX"));
	for (uint32_t uid = 1; uid <= 60; uid++) {
		char *body = xasprintf("Subject: %u\r\n\r\nx\r\n", uid);

		fake_message(mb, uid, "", NULL, bytes_of(body));
		free(body);
	}
	fake_start(server);
	backup_init(&job, &config);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fake_free(server);
	backup_release(&job);
	return 0;
}

/* The event of the one job; the caller frees it. */
static json_t *status(int exit, const char *args)
{
	struct backup_result res;
	json_error_t why;
	json_t *event;

	program_run(&job, &res, NULL, "status", args);
	if (res.status != exit)
		fail_msg("exit %d, not %d: %s%s", res.status, exit, buf_str(&res.out), buf_str(&res.err));
	event = json_loads(buf_str(&res.out), 0, &why);
	assert_non_null(event);
	assert_int_equal(json_integer_value(json_object_get(event, "exit")), exit);
	backup_result_release(&res);
	return event;
}

static void says(json_t *event, const char *key, json_int_t want)
{
	const json_t *value = json_object_get(event, key);

	if (!json_is_integer(value) || json_integer_value(value) != want)
		fail_msg("%s is not %lld: %s", key, (long long)want, json_dumps(event, 0));
}

static void has_problem(json_t *event, const char *part)
{
	const json_t *first = json_array_get(json_object_get(event, "problems"), 0);

	if (!part && first)
		fail_msg("%s", json_string_value(first));
	if (part && (!first || !strstr(json_string_value(first), part)))
		fail_msg("\"%s\" is not in: %s", part, json_dumps(event, 0));
	json_decref(event);
}

/* What the program prints without --json; the caller frees it. */
static char *prints(int exit, const char *option, const char *value)
{
	const char *env[] = { job.env[0], job.env[1], NULL };
	struct proc_opts opts = { .env = env };
	struct proc_result res;
	char *out;

	proc_runl(&res, &opts, program_path(), "status", option, value, NULL);
	assert_int_equal(res.status, exit);
	assert_string_equal(buf_str(&res.err), "");
	out = xstrdup(buf_str(&res.out));
	proc_result_release(&res);
	return out;
}

/* Every run of the record was so many seconds earlier. */
static void let_time_pass(int64_t seconds)
{
	char *path = backup_record(&job);
	json_error_t why;
	json_t *root = json_load_file(path, 0, &why), *runs = json_object_get(root, "runs");

	for (size_t i = 0; i < json_array_size(runs); i++) {
		json_t *ended = json_object_get(json_array_get(runs, i), "ended");

		json_integer_set(ended, json_integer_value(ended) - seconds);
	}
	assert_int_equal(json_dump_file(root, path, 0), 0);
	json_decref(root);
	free(path);
}

static void test_a_job_that_never_ran_is_told_from_one_that_is_well(void **state)
{
	json_t *event;
	char *text;

	(void)state;
	event = status(0, "");
	assert_true(json_is_null(json_object_get(event, "last_run")));
	has_problem(event, NULL);
	has_problem(status(1, "--max-age 26h"), "no run ever succeeded");
	text = prints(0, NULL, NULL);
	assert_non_null(strstr(text, "job: never ran\n"));
	free(text);
	backup_ends_with(&job, 0, "");
	fake_stop(server); /* it works without */
	event = status(0, "job --max-age 26h");
	says(event, "messages", 60);
	says(event, "mailboxes", 1);
	says(event, "held", 0);
	says(event, "quarantined", 0);
	says(json_object_get(event, "last_run"), "new", 60);
	assert_false(json_is_true(json_object_get(event, "running")));
	has_problem(event, NULL);
	text = prints(0, NULL, NULL);
	assert_ptr_equal(strstr(text, "job: ok\n"), text);
	assert_non_null(strstr(text, "done: 60 new, 0 removed"));
	assert_non_null(strstr(text, "60 messages in 1 mailbox"));
	free(text);
	text = prints(0, "-q", NULL);
	assert_string_equal(text, "");
	free(text);
}

static void test_a_success_too_long_ago_is_a_failure(void **state)
{
	char *text;

	(void)state;
	backup_ends_with(&job, 0, "");
	let_time_pass(27 * 3600);
	has_problem(status(0, "--max-age 28h"), NULL);
	has_problem(status(1, "--max-age 26h"), "the last success was 27 h ago, longer than 26 h");
	text = prints(1, "-q", "--max-age=26h");
	assert_string_equal(text, "job: the last success was 27 h ago, longer than 26 h\n");
	free(text);
}

static void test_a_failed_run_is_told_and_is_no_success(void **state)
{
	struct backup_result res;
	json_t *event;

	(void)state;
	backup_ends_with(&job, 0, "");
	let_time_pass(7200);
	fake_stop(server);
	backup_ends_with(&job, 75, "");
	event = status(1, "");
	assert_string_equal(json_string_value(json_object_get(json_object_get(event, "last_run"), "outcome")),
			    "failed");
	says(json_object_get(event, "last_success"), "new", 60);
	has_problem(event, "the last run failed");
	has_problem(status(0, "--max-age 3h"), NULL); /* it says what is too long */
	has_problem(status(1, "--max-age 1h"), "the last success was 2 h ago");
	fake_start(server);
	backup_expect(&job, &res, 0, "");
	backup_result_release(&res);
	has_problem(status(0, ""), NULL);
}

static void test_quarantine_is_told_until_it_is_accepted(void **state)
{
	struct backup_result res;
	json_t *event;

	(void)state;
	fake_stop(server);
	fake_trick(server, fake_find(server, bytes_of("INBOX")), FAKE_NO, 4, 0, -1);
	fake_start(server);
	backup_ends_with(&job, 3, "");
	event = status(3, "--max-age 26h");
	says(event, "quarantined", 1);
	says(event, "accepted", 0);
	has_problem(event, "1 in quarantine (mailcask quarantine job)");
	program_run(&job, &res, NULL, "quarantine", "job accept --all");
	backup_result_release(&res);
	event = status(0, "");
	says(event, "accepted", 1);
	has_problem(event, NULL);
}

static void test_a_mailbox_that_was_skipped_is_told(void **state)
{
	(void)state;
	backup_ends_with(&job, 0, "");
	fake_stop(server);
	fake_uidvalidity(fake_find(server, bytes_of("INBOX")), 77);
	for (uint32_t uid = 1; uid <= 60; uid++) /* and empty: nothing is believed of it */
		fake_expunge(fake_find(server, bytes_of("INBOX")), uid);
	fake_start(server);
	backup_ends_with(&job, 3, "");
	has_problem(status(3, ""), "left something out");
}

static void test_deletions_held_back_are_told(void **state)
{
	json_t *event;

	(void)state;
	backup_ends_with(&job, 0, "");
	fake_stop(server);
	for (uint32_t uid = 1; uid <= 40; uid++)
		fake_expunge(fake_find(server, bytes_of("INBOX")), uid);
	fake_start(server);
	backup_ends_with(&job, 4, "");
	event = status(4, "--max-age 26h");
	says(event, "held", 40);
	says(event, "kept", 40);
	says(event, "messages", 20);
	has_problem(event, "40 deletions held back");
}

static void test_a_store_that_is_not_there_is_told(void **state)
{
	char *away = path_join(job.dir, "away");

	(void)state;
	backup_ends_with(&job, 0, "");
	assert_int_equal(rename(job.root, away), 0);
	has_problem(status(10, ""), "not there any more");
	free(away);
}

static void test_a_run_under_way_is_told_and_not_disturbed(void **state)
{
	char *path = path_join(job.state, "mailcask/job.lock"), *pid = xasprintf("%ld\n", (long)getpid());
	json_t *event;

	(void)state;
	backup_ends_with(&job, 0, "");
	event = status(0, "");
	assert_false(json_is_true(json_object_get(event, "running"))); /* what a run leaves says so */
	json_decref(event);
	write_file(path, bytes_of(pid));
	event = status(0, "");
	assert_true(json_is_true(json_object_get(event, "running")));
	json_decref(event);
	backup_ends_with(&job, 0, "");
	free(path);
	free(pid);
}

static void test_wrong_words_are_refused(void **state)
{
	struct backup_result res;

	(void)state;
	program_run(&job, &res, NULL, "status", "jop");
	assert_int_equal(res.status, 2);
	assert_non_null(strstr(buf_str(&res.err), "did you mean 'job'"));
	backup_result_release(&res);
	program_run(&job, &res, NULL, "status", "--max-age soon");
	assert_int_equal(res.status, 2);
	backup_result_release(&res);
}

#define ON(type, test) { #test ", " type, test, start, stop, (void *)(uintptr_t)type }
#define BOTH(test) ON("maildir", test), ON("git", test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_a_job_that_never_ran_is_told_from_one_that_is_well),
		BOTH(test_a_success_too_long_ago_is_a_failure),
		ON("maildir", test_a_failed_run_is_told_and_is_no_success), /* waits for the server */
		BOTH(test_quarantine_is_told_until_it_is_accepted),
		BOTH(test_a_mailbox_that_was_skipped_is_told),
		BOTH(test_deletions_held_back_are_told),
		BOTH(test_a_store_that_is_not_there_is_told),
		BOTH(test_a_run_under_way_is_told_and_not_disturbed),
		ON("maildir", test_wrong_words_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
