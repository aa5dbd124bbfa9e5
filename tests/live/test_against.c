/* `check STORE --against ACCOUNT`: what a backup lacks or altered is found, and nothing else is taken for it. */
#include <ctype.h>
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
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/conformance.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/support.h"

static struct dovecot *server;
static struct oracle *user;
static struct backup job;
static const struct store_ops *ops;

static int start_server(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	dovecot_stop(server);
	return 0;
}

/* A user of its own for every test: 30 messages in INBOX, 5 in Work, backed up. */
static int start(void **state)
{
	static int n;
	char *name = xasprintf("user%d", n++);
	const struct backup_config config = { .port = server->port, .user = name, .type = *state };

	ops = strcmp(*state, "git") == 0 ? &git_store : &maildir_store;
	user = oracle_open(server->port, name);
	oracle_create(user, "Work");
	corpus_fill(user, "INBOX", 0, 30, 100, 3000);
	corpus_fill(user, "Work", 40, 5, 100, 3000);
	backup_init(&job, &config);
	backup_ends_with(&job, 0, "");
	free(name);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	oracle_close(user);
	backup_release(&job);
	return 0;
}

/*
 * check exits so and its summary has `count` differences of that kind alone (NULL: none at all) and
 * `fetched` messages that were compared byte by byte.
 */
static void compares(int exit, const char *more, const char *kind, json_int_t count, json_int_t fetched)
{
	static const char *const kinds[] = { "lacking", "content", "uncompared", "quarantined", "gone",
					     "flags", "new" };
	char *args = xasprintf("near --against %s %s", "far", more);
	const char *line, *next;
	struct backup_result res;
	json_t *event;

	program_run(&job, &res, NULL, "check", args);
	if (res.status != exit)
		fail_msg("exit %d, not %d: %s%s", res.status, exit, buf_str(&res.out), buf_str(&res.err));
	for (line = next = buf_str(&res.out); *next; next = strchr(next, '\n') + 1)
		line = next;
	event = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
	assert_non_null(event);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		json_int_t want = kind && strcmp(kind, kinds[i]) == 0 ? count : 0;

		if (json_integer_value(json_object_get(event, kinds[i])) != want)
			fail_msg("%s is not %lld: %s", kinds[i], (long long)want, buf_str(&res.out));
	}
	if (json_integer_value(json_object_get(event, "fetched")) != fetched)
		fail_msg("fetched is not %lld: %s", (long long)fetched, line);
	json_decref(event);
	backup_result_release(&res);
	free(args);
}

/* The store as one who has the directory may alter it. */
static struct mailbox *alter(struct bench *b)
{
	struct err err = { 0 };

	*b = (struct bench){ .path = job.root, .cfg = { .name = "near", .path = job.root } };
	must(store_open(ops, &b->st, &b->cfg, STORE_WRITE, &err), &err);
	return bench_find(b, "INBOX");
}

static void remove_stored(struct mailbox *mb, const char *uids)
{
	struct uidset set = set_of(uids);
	struct err err = { 0 };

	must(mailbox_expunge(mb, &set, &err), &err);
	uidset_release(&set);
}

static void altered(struct bench *b)
{
	struct err err = { 0 };

	must(store_snapshot(b->st, &err), &err);
	store_close(b->st);
}

static void test_a_backup_is_what_the_account_has(void **state)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);

	(void)state;
	archive_snapshot(job.root, &before);
	compares(0, "", NULL, 0, 20);
	compares(0, "--sample 1000", NULL, 0, 35);
	compares(0, "--sample 0", NULL, 0, 0);
	archive_snapshot(job.root, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	archive_equals(job.root, user); /* and no message is \Seen that was not */
	backup_idle(&job);
	buf_release(&before);
	buf_release(&after);
}

static void test_what_happened_since_the_last_backup_is_no_error(void **state)
{
	(void)state;
	corpus_fill(user, "INBOX", 60, 2, 100, 3000);
	compares(0, "", "new", 2, 20);
	backup_ends_with(&job, 0, "");
	oracle_store(user, "INBOX", "3:4", "+FLAGS", "$Marked");
	compares(0, "", "flags", 2, 20);
	backup_ends_with(&job, 0, "");
	oracle_expunge(user, "INBOX", "5");
	compares(0, "", "gone", 1, 20);
}

static void test_what_the_store_lacks_is_named(void **state)
{
	struct bench b;
	struct backup_result res;

	(void)state;
	remove_stored(alter(&b), "7,9");
	altered(&b);
	compares(1, "--sample 0", "lacking", 2, 0);
	program_run(&job, &res, NULL, "check", "near --against far");
	assert_non_null(strstr(buf_str(&res.out), "\"kind\":\"lacking\",\"mailbox\":\"INBOX\",\"uid\":7"));
	backup_result_release(&res);
}

static void test_another_size_is_looked_into_and_other_content_found(void **state)
{
	const struct put other = { .body = bytes_of("Subject: other\r\n\r\nnot what was sent\r\n") };
	struct backup_result res;
	struct bench b;
	struct mailbox *mb;

	(void)state;
	mb = alter(&b);
	remove_stored(mb, "7");
	assert_int_equal(bench_put(mb, 7, &other, NULL), OUTCOME_DONE);
	altered(&b);
	program_run(&job, &res, NULL, "check", "near --against far --sample 0");
	assert_int_equal(res.status, 1);
	assert_non_null(strstr(buf_str(&res.out), "\"kind\":\"content\",\"mailbox\":\"INBOX\",\"uid\":7"));
	assert_non_null(strstr(buf_str(&res.out), "\"content\":1"));
	assert_non_null(strstr(buf_str(&res.out), "\"fetched\":1,"));
	backup_result_release(&res);
}

/* In a Maildir anybody may write; its size is the same, so only reading tells. */
static void test_the_sample_finds_altered_bytes(void **state)
{
	struct name_list files = { 0 };
	struct buf text = BUF_INIT(1 << 20);
	char *dir = path_join(job.root, "Work/cur"), *path;
	size_t at;

	(void)state;
	dir_entries(dir, &files);
	path = path_join(dir, files.name[0]);
	read_file(path, &text);
	for (at = text.n / 2; !isalnum(text.p[at]); at++) /* not a line's end, which counts for the size */
		assert_true(at + 1 < text.n);
	text.p[at] = text.p[at] == 'x' ? 'y' : 'x';
	write_file(path, buf_bytes(&text));
	compares(0, "--sample 0", NULL, 0, 0);
	compares(1, "--sample 1000", "content", 1, 34); /* the store sees that it is not what was stored */
	name_list_release(&files);
	buf_release(&text);
	free(path);
	free(dir);
}

static void test_what_cannot_be_compared_is_told(void **state)
{
	(void)state;
	oracle_create(user, "Fresh");
	compares(0, "", NULL, 0, 20);
	corpus_fill(user, "Fresh", 70, 1, 100, 3000);
	compares(3, "", "uncompared", 1, 20);
}

static void test_another_account_is_refused(void **state)
{
	const struct backup_config other = { .port = server->port, .user = "somebody", .type = *state };
	struct oracle *o = oracle_open(server->port, "somebody");
	struct backup_result res;

	oracle_close(o);
	backup_configure(&job, &other);
	program_run(&job, &res, NULL, "check", "near --against far");
	assert_int_equal(res.status, 2);
	assert_non_null(strstr(buf_str(&res.err), "holds the mail of user"));
	backup_result_release(&res);
	program_run(&job, &res, NULL, "check", "near --against fra");
	assert_int_equal(res.status, 2);
	assert_non_null(strstr(buf_str(&res.err), "did you mean 'far'"));
	backup_result_release(&res);
	program_run(&job, &res, NULL, "check", "near --sample 3");
	assert_int_equal(res.status, 2);
	backup_result_release(&res);
	program_run(&job, &res, NULL, "check", "near --against far --read-data");
	assert_int_equal(res.status, 2);
	backup_result_release(&res);
}

#define ON(type, test) { #test ", " type, test, start, stop, (void *)(uintptr_t)type }
#define BOTH(test) ON("maildir", test), ON("git", test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_a_backup_is_what_the_account_has),
		BOTH(test_what_happened_since_the_last_backup_is_no_error),
		BOTH(test_what_the_store_lacks_is_named),
		BOTH(test_another_size_is_looked_into_and_other_content_found),
		ON("maildir", test_the_sample_finds_altered_bytes),
		BOTH(test_what_cannot_be_compared_is_told),
		BOTH(test_another_account_is_refused),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
