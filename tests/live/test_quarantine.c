/* Messages that a server does not give: when they are tried again, and what a user may say of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/bytes.h"
#include "core/base/mem.h"
#include "tests/lib/backup.h"
#include "tests/lib/fake_imap.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static struct fake_imap *server;
static struct backup job;
static const char *const types[] = { "maildir", "git" };

static void fill(const char *name, uint32_t n)
{
	struct fake_mailbox *mb = fake_mailbox(server, bytes_of(name));

	for (uint32_t uid = 1; uid <= n; uid++) {
		char *body = xasprintf("Subject: %s %u\r\n\r\nx\r\n", name, uid);

		fake_message(mb, uid, "", NULL, bytes_of(body));
		free(body);
	}
}

static void withhold(const char *name, uint32_t uid)
{
	fake_trick(server, fake_find(server, bytes_of(name)), FAKE_NO, uid, 0, -1);
}

/* INBOX 1 to 5 without 2 and 4, Work 1 to 3 without 2. */
static void begin(const char *type)
{
	const struct backup_config config = { .port = fake_port(server), .type = type };

	backup_init(&job, &config);
	withhold("INBOX", 2);
	withhold("INBOX", 4);
	withhold("Work", 2);
	fake_start(server);
	backup_ends_with(&job, 3, "");
}

static void end(void)
{
	fake_stop(server);
	fake_tricks_clear(server);
	backup_release(&job);
}

static int start(void **state)
{
	(void)state;
	server = fake_new();
	fill("INBOX", 5);
	fill("Work", 3);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fake_free(server);
	return 0;
}

/* `mailcask quarantine`: its exit status; every one of `words` (NULL ends them) is in what it printed. */
static void quarantine(int status, const char *args, ...)
{
	struct backup_result res;
	const char *word;
	va_list ap;

	program_run(&job, &res, NULL, "quarantine", args);
	if (res.status != status)
		fail_msg("quarantine %s: exit %d: %s%s", args, res.status, buf_str(&res.out),
			 buf_str(&res.err));
	va_start(ap, args);
	while ((word = va_arg(ap, const char *)))
		if (!strstr(buf_str(&res.out), word) && !strstr(buf_str(&res.err), word))
			fail_msg("quarantine %s: \"%s\" is not in: %s%s", args, word,
				 buf_str(&res.out), buf_str(&res.err));
	va_end(ap);
	backup_result_release(&res);
}

/* Whether a run, ending so, asked the server for bodies. */
static bool asks(int status)
{
	struct buf said = BUF_INIT(1 << 20);
	bool bodies;

	fake_forget(server);
	backup_ends_with(&job, status, "");
	fake_commands(server, &said);
	bodies = strstr(buf_str(&said), "BODY.PEEK") != NULL;
	buf_release(&said);
	return bodies;
}

static void test_it_is_tried_in_the_next_run_and_then_rests(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct backup_result res;

		begin(types[i]);
		assert_true(asks(3));
		assert_false(asks(3));
		backup_expect(&job, &res, 3, ""); /* and yet is told */
		assert_non_null(strstr(buf_str(&res.err), "INBOX: message with UID 4"));
		assert_non_null(strstr(buf_str(&res.err), "Work: message with UID 2"));
		assert_non_null(strstr(buf_str(&res.err), "mailcask quarantine job accept UID"));
		backup_result_release(&res);
		quarantine(0, "job", "\"mailbox\":\"INBOX\",\"uid\":2,", "\"uid\":4,\"size\":0,\"attempts\":2",
			   "SERVERBUG", "\"accepted\":false", NULL);
		end();
	}
}

/* OK, and a body of no bytes, for what it cannot convert: and the message when it can again. */
static void test_an_empty_body_of_exchange_is_no_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct backup_config config = { .port = fake_port(server), .type = types[i] };
		struct backup_result res;

		backup_init(&job, &config);
		fake_trick(server, fake_find(server, bytes_of("INBOX")), FAKE_EMPTY, 3, 0, -1);
		fake_start(server);
		backup_expect(&job, &res, 3, "");
		assert_int_equal(res.new_messages, 7);
		assert_non_null(strstr(buf_str(&res.err), "gives none of them"));
		backup_result_release(&res);
		fake_stop(server);
		fake_tricks_clear(server);
		fake_start(server);
		backup_expect(&job, &res, 0, "");
		assert_int_equal(res.new_messages, 1);
		backup_result_release(&res);
		end();
	}
}

static void test_what_is_retried_is_asked_for_in_the_next_run(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		begin(types[i]);
		backup_ends_with(&job, 3, "");
		quarantine(0, "job retry --mailbox Work", "\"changed\":1,\"unchanged\":0", NULL);
		assert_true(asks(3));
		assert_false(asks(3));
		fake_stop(server);
		fake_tricks_clear(server);
		fake_start(server);
		quarantine(0, "job accept --all", "\"changed\":3", NULL);
		assert_false(asks(0));
		quarantine(0, "job retry", "\"changed\":3", NULL); /* what was accepted, too */
		assert_true(asks(0));
		quarantine(0, "job list", NULL);
		backup_idle(&job);
		end();
	}
}

static void test_what_is_accepted_is_over(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct backup_result res;

		begin(types[i]);
		fake_stop(server); /* it works without */
		quarantine(0, "job accept 2 4 --mailbox INBOX", "\"action\":\"accept\"", "\"changed\":2", NULL);
		quarantine(0, "job", "\"mailbox\":\"INBOX\",\"uid\":2,", "\"accepted\":true",
			   "\"next_try\":null", NULL);
		fake_start(server);
		assert_true(asks(3)); /* for that of Work */
		quarantine(0, "job accept 2 --mailbox Work", "\"changed\":1", NULL);
		assert_false(asks(0));
		backup_expect(&job, &res, 0, "");
		assert_null(strstr(buf_str(&res.err), "UID"));
		backup_result_release(&res);
		fake_stop(server); /* gone at the source: gone from the quarantine */
		fake_expunge(fake_find(server, bytes_of("INBOX")), 4);
		fake_start(server);
		backup_ends_with(&job, 0, "");
		program_run(&job, &res, NULL, "quarantine", "job");
		assert_null(strstr(buf_str(&res.out), "\"uid\":4"));
		assert_non_null(strstr(buf_str(&res.out), "\"mailbox\":\"INBOX\",\"uid\":2"));
		backup_result_release(&res);
		end();
		fake_message(fake_find(server, bytes_of("INBOX")), 6, "", NULL, bytes_of("x"));
		withhold("INBOX", 4); /* for the next round, which never sees it */
		fake_tricks_clear(server);
		fake_remove(server, bytes_of("INBOX"));
		fill("INBOX", 5);
	}
}

static void test_a_uid_that_is_not_in_quarantine_is_an_error_that_names_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		begin(types[i]);
		quarantine(10, "job accept 2 3 4 77 --mailbox INBOX", "UID 3, 77", "Nothing was changed", NULL);
		quarantine(10, "job retry 3", "UID 3", NULL);
		quarantine(2, "job accept 2", "more than one mailbox: UID 2", "--mailbox", NULL);
		quarantine(10, "job accept --all --mailbox Wrok", "Wrok", NULL);
		quarantine(2, "job accept", "--all", NULL);
		quarantine(2, "job accept 2 --all", "--all", NULL);
		quarantine(2, "job accept x", "'x' is not a UID", NULL);
		quarantine(2, "job forget 2", "'forget'", NULL);
		quarantine(2, "jop list", "did you mean 'job'", NULL);
		quarantine(0, "job", "\"uid\":2", NULL);
		assert_true(asks(3)); /* none of it had an effect */
		end();
	}
}

/* What people read. */
static void prints(const char *deed, const char *a, const char *b, const char *want)
{
	const char *env[] = { job.env[0], job.env[1], "TZ=UTC", NULL };
	struct proc_opts opts = { .env = env };
	struct proc_result res;

	proc_runl(&res, &opts, program_path(), "quarantine", "job", deed, a, b, NULL);
	assert_int_equal(res.status, 0);
	assert_string_equal(buf_str(&res.err), "");
	if (!strstr(buf_str(&res.out), want))
		fail_msg("\"%s\" is not in: %s", want, buf_str(&res.out));
	proc_result_release(&res);
}

static void test_the_table_says_since_when_until_when_and_why(void **state)
{
	(void)state;
	begin("maildir");
	prints("list", NULL, NULL, "MAILBOX                                UID       SIZE  ATTEMPTS  SINCE ");
	prints("list", NULL, NULL, "INBOX                                    4          -         1  20");
	prints("list", NULL, NULL, "  next run          UID FETCH: the server says NO [SERVERBUG]");
	backup_ends_with(&job, 3, "");
	prints("list", "--mailbox", "Work", "Work                                     2          -         2  20");
	prints("accept", "4", NULL, "job: 1 accepted: not tried again, no longer exit status 3\n");
	prints("list", NULL, NULL, "  accepted          UID FETCH");
	prints("retry", NULL, NULL, "job: the next backup tries 3 of them again\n");
	fake_stop(server);
	fake_tricks_clear(server);
	fake_start(server);
	backup_ends_with(&job, 0, "");
	prints("list", NULL, NULL, "job: nothing is in quarantine\n");
	end();
}

/* It is known to be lacking; what is lacking besides is not hidden by it. */
static void test_check_against_the_account_tells_the_quarantine_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct backup_result res;

		begin(types[i]);
		fake_stop(server);
		fake_tricks_clear(server); /* which also spoil the listing */
		fake_start(server);
		program_run(&job, &res, NULL, "check", "near --against far");
		assert_int_equal(res.status, 0);
		assert_non_null(strstr(buf_str(&res.out), "\"kind\":\"quarantined\",\"mailbox\":\"INBOX\",\"uid\":2"));
		assert_non_null(strstr(buf_str(&res.out), "\"lacking\":0,\"content\":0,\"uncompared\":0,"
							  "\"quarantined\":3,\"gone\":0"));
		backup_result_release(&res);
		end();
	}
}

static void test_without_a_store_there_is_no_quarantine(void **state)
{
	const struct backup_config config = { .port = fake_port(server) };

	(void)state;
	backup_init(&job, &config);
	quarantine(10, "job", "is not there", NULL);
	quarantine(10, "job accept --all", "is not there", NULL);
	backup_release(&job);
}

/* The output of a git command in the archive; the caller frees it. */
static char *git(const char *a, const char *b, const char *c)
{
	struct proc_result res;
	struct proc_opts opts = { 0 };
	char *out;

	proc_runl(&res, &opts, "git", "-C", job.root, a, b, c, NULL);
	assert_int_equal(res.status, 0);
	out = xstrdup(buf_str(&res.out));
	proc_result_release(&res);
	return out;
}

static void test_an_archive_has_one_commit_for_each_change_and_none_for_nothing(void **state)
{
	char *before, *after, *subject;

	(void)state;
	begin("git");
	before = git("rev-list", "--count", "main");
	quarantine(0, "job accept --all", "\"changed\":3", NULL);
	quarantine(0, "job accept --all", "\"changed\":0,\"unchanged\":3", NULL);
	after = git("rev-list", "--count", "main");
	assert_int_equal(atoi(after), atoi(before) + 1);
	subject = git("log", "-1", "--format=%s");
	if (!strstr(subject, "3 in quarantine accepted"))
		fail_msg("%s", subject);
	free(subject);
	subject = git("fsck", "--full", "--strict");
	free(subject);
	free(before);
	free(after);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_is_tried_in_the_next_run_and_then_rests, start, stop),
		cmocka_unit_test_setup_teardown(test_an_empty_body_of_exchange_is_no_message, start, stop),
		cmocka_unit_test_setup_teardown(test_what_is_retried_is_asked_for_in_the_next_run, start, stop),
		cmocka_unit_test_setup_teardown(test_what_is_accepted_is_over, start, stop),
		cmocka_unit_test_setup_teardown(test_a_uid_that_is_not_in_quarantine_is_an_error_that_names_it,
						start, stop),
		cmocka_unit_test_setup_teardown(test_the_table_says_since_when_until_when_and_why, start, stop),
		cmocka_unit_test_setup_teardown(test_check_against_the_account_tells_the_quarantine_apart,
						start, stop),
		cmocka_unit_test_setup_teardown(test_without_a_store_there_is_no_quarantine, start, stop),
		cmocka_unit_test_setup_teardown(
			test_an_archive_has_one_commit_for_each_change_and_none_for_nothing, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
