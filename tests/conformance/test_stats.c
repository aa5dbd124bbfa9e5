/* `stats`: the program, on every kind of local store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "backends/git/git.h"
#include "backends/maildir/maildir.h"
#include "core/base/mem.h"
#include "tests/lib/conformance.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static const struct store_under_test git = { "git", &git_store, NULL },
				     maildir = { "maildir", &maildir_store, "fs" };

#define ANNA "From: Anna <Anna@Example.org>\r\nSubject: a\r\n\r\n"
#define BOB "From: bob@example.org\r\n\r\n"

static void put(struct bench *b, const char *mailbox, uint32_t uid, const char *body)
{
	struct put p = { .body = bytes_of(body) };

	bench_put(bench_mailbox(b, mailbox), uid, &p, NULL);
}

static void snapshot(struct bench *b)
{
	struct err err = { 0 };

	must(store_snapshot(b->st, &err), &err);
}

/* INBOX: 1 and 2 from Anna, one of which is in Work as well, 3 from Bob; 4 from nobody was there once. */
static int setup(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));
	struct uidset four = set_of("4");
	struct err err = { 0 };

	bench_init(b, *state);
	bench_open(b);
	put(b, "INBOX", 1, ANNA "one\r\n");
	put(b, "INBOX", 2, ANNA "more than one\r\n");
	put(b, "INBOX", 3, BOB);
	put(b, "INBOX", 4, "\r\nnobody\r\n");
	snapshot(b);
	put(b, "Work", 1, ANNA "one\r\n");
	must(mailbox_expunge(bench_find(b, "INBOX"), &four, &err), &err);
	snapshot(b);
	bench_close(b);
	uidset_release(&four);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bench_release(*state);
	free(*state);
	return 0;
}

static void run(struct proc_result *res, const char *const *args)
{
	const char *argv[12] = { program_path() };
	const char *env[] = { "TZ=UTC", "LC_ALL=C.UTF-8", "MAILCASK_CONFIG=/nonexistent", NULL };
	struct proc_opts opts = { .env = env };

	for (size_t i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	proc_run(res, &opts, argv);
}

#define RUN(res, ...) run(res, (const char *const[]){ __VA_ARGS__, NULL })

static void complains(struct proc_result *res, int status, const char *what)
{
	if (res->status != status || !strstr(buf_str(&res->err), what))
		test_die("exit %d instead of %d, and this, not '%s':\n%s%s", res->status, status,
			 what, buf_str(&res->out), buf_str(&res->err));
	proc_result_release(res);
}

/* Event number `n` of a kind, the caller's. */
static json_t *event_of(const char *text, const char *kind, size_t n)
{
	char *copy = xstrdup(text), *save = NULL;
	json_t *found = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line && !found;
	     line = strtok_r(NULL, "\n", &save)) {
		json_t *event = json_loads(line, 0, NULL);

		assert_non_null(event);
		if (strcmp(json_string_value(json_object_get(event, "event")), kind) == 0 && n-- == 0)
			found = event;
		else
			json_decref(event);
	}
	free(copy);
	return found;
}

static void is(const json_t *event, const char *key, json_int_t want)
{
	json_int_t got = json_integer_value(json_object_get(event, key));

	if (got != want)
		test_die("%s is %d instead of %d", key, (int)got, (int)want);
}

static void group_is(const char *text, const char *kind, size_t n, const char *name,
		     json_int_t messages, size_t bytes)
{
	json_t *event = event_of(text, kind, n);

	assert_non_null(event);
	assert_string_equal(json_string_value(json_object_get(event, kind)), name);
	is(event, "messages", messages);
	is(event, "bytes", (json_int_t)bytes);
	json_decref(event);
}

static void test_sizes_duplicates_mailboxes_and_senders_are_told(void **state)
{
	struct bench *b = *state;
	const size_t one = strlen(ANNA "one\r\n"), more = strlen(ANNA "more than one\r\n"),
		     bob = strlen(BOB);
	struct proc_result res;
	const char *out;
	json_t *total;

	for (int again = 0; again < 2; again++) {
		RUN(&res, "stats", "--json", b->path);
		if (res.status != 0)
			test_die("exit %d: %s", res.status, buf_str(&res.err));
		out = buf_str(&res.out);
		total = event_of(out, "total", 0);
		assert_non_null(total);
		is(total, "messages", 4);
		is(total, "mailboxes", 2);
		is(total, "bytes", (json_int_t)(2 * one + more + bob));
		is(total, "contents", 3);
		is(total, "content_bytes", (json_int_t)(one + more + bob));
		assert_true(json_integer_value(json_object_get(total, "disk_bytes")) > 0);
		json_decref(total);
		group_is(out, "mailbox", 0, "INBOX", 3, one + more + bob);
		group_is(out, "mailbox", 1, "Work", 1, one);
		group_is(out, "sender", 0, "anna@example.org", 3, 2 * one + more);
		group_is(out, "sender", 1, "bob@example.org", 1, bob);
		assert_null(event_of(out, "sender", 2));
		proc_result_release(&res);
	}
	RUN(&res, "stats", "--json", "--top", "1", b->path);
	assert_null(event_of(buf_str(&res.out), "mailbox", 1));
	proc_result_release(&res);
	RUN(&res, "stats", b->path);
	assert_non_null(strstr(buf_str(&res.out), "mailboxes  2\nmessages   4, "));
	assert_non_null(strstr(buf_str(&res.out), "anna@example.org\n"));
	proc_result_release(&res);
}

static void test_growth_is_told_by_month(void **state)
{
	struct bench *b = *state;
	const size_t one = strlen(ANNA "one\r\n"), more = strlen(ANNA "more than one\r\n"),
		     bob = strlen(BOB), four = strlen("\r\nnobody\r\n");
	struct proc_result res;
	json_t *month, *total;

	RUN(&res, "stats", "--json", b->path);
	month = event_of(buf_str(&res.out), "month", 0);
	assert_non_null(month);
	is(month, "snapshots", 2);
	is(month, "new", 5);
	is(month, "removed", 1);
	is(month, "messages", 4);
	is(month, "bytes", (json_int_t)(2 * one + more + bob));
	json_decref(month);
	total = event_of(buf_str(&res.out), "total", 0);
	is(total, "snapshots", 2);
	is(total, "snapshot_bytes", (json_int_t)(3 * one + 2 * more + 2 * bob + four));
	json_decref(total);
	proc_result_release(&res);
}

static void test_a_message_that_cannot_be_read_is_named_and_counted(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	git_damage(b->path, "main:mailboxes/INBOX/messages/000000/00/0000000003.eml");
	RUN(&res, "stats", b->path);
	assert_non_null(strstr(buf_str(&res.out), "mailboxes  2\nmessages   4, "));
	complains(&res, 3, "message 3 of INBOX cannot be read");
}

static void test_bad_arguments_are_explained(void **state)
{
	struct bench *b = *state;
	struct proc_result res;
	char *at = xasprintf("%s@latest", b->path);

	RUN(&res, "stats");
	complains(&res, 2, "a STORE is needed");
	RUN(&res, "stats", "--top", "0", b->path);
	complains(&res, 2, "not a number above 0");
	RUN(&res, "stats", at);
	complains(&res, 2, "leave @");
	free(at);
}

#define ON(test, sut) { #test, test, setup, teardown, (void *)(uintptr_t)&(sut) }

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_sizes_duplicates_mailboxes_and_senders_are_told, git),
		ON(test_sizes_duplicates_mailboxes_and_senders_are_told, maildir),
		ON(test_growth_is_told_by_month, git),
		ON(test_a_message_that_cannot_be_read_is_named_and_counted, git),
		ON(test_bad_arguments_are_explained, git),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
