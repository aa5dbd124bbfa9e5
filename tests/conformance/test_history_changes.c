/* `diff`: what differs between two snapshots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/git/git.h"
#include "backends/maildir/maildir.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/conformance.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static const struct store_under_test git = { "git", &git_store, NULL },
				     maildir = { "maildir", &maildir_store, "fs" };

static int setup(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	bench_init(b, *state ? &maildir : &git);
	bench_open(b);
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

static void expect(struct proc_result *res, int status, const char *out)
{
	if (res->status != status || strcmp(buf_str(&res->out), out) != 0)
		test_die("exit %d instead of %d, and this:\n%s%s\ninstead of:\n%s", res->status,
			 status, buf_str(&res->out), buf_str(&res->err), out);
	proc_result_release(res);
}

static void complains(struct proc_result *res, int status, const char *what)
{
	if (res->status != status || !strstr(buf_str(&res->err), what))
		test_die("exit %d instead of %d, and this, not '%s':\n%s%s", res->status, status,
			 what, buf_str(&res->out), buf_str(&res->err));
	proc_result_release(res);
}

static void put(struct bench *b, const char *mailbox, uint32_t uid, const char *body,
		const char *flags)
{
	struct put p = { .body = bytes_of(body), .flags = flags };

	bench_put(bench_mailbox(b, mailbox), uid, &p, NULL);
}

static void snapshot(struct bench *b)
{
	struct err err = { 0 };

	must(store_snapshot(b->st, &err), &err);
}

static void expunge(struct bench *b, const char *mailbox, const char *uids)
{
	struct uidset set = set_of(uids);
	struct err err = { 0 };

	must(mailbox_expunge(bench_find(b, mailbox), &set, &err), &err);
	uidset_release(&set);
}

static void flag(struct bench *b, const char *mailbox, const char *uids, const char *flags)
{
	struct uidset set = set_of(uids);
	struct flag_delta delta = { .add = FLAGS_INIT, .remove = FLAGS_INIT };
	struct err err = { 0 };

	flags_add_list(&delta.add, bytes_of(flags));
	must(mailbox_change_flags(bench_find(b, mailbox), &set, &delta, &err), &err);
	flags_release(&delta.add);
	uidset_release(&set);
}

static void rename_box(struct bench *b, const char *from, const char *to)
{
	struct mailbox_name name = MAILBOX_NAME_INIT, old = MAILBOX_NAME_INIT;
	struct err err = { 0 };

	mailbox_name_copy(&old, &bench_find(b, from)->name);
	must(mailbox_name_from_display(&name, bytes_of(to), &err), &err);
	must(store_rename(b->st, &old, &name, &err), &err);
	mailbox_name_release(&name);
	mailbox_name_release(&old);
}

static void remove_box(struct bench *b, const char *from)
{
	struct mailbox_name old = MAILBOX_NAME_INIT;
	struct err err = { 0 };

	mailbox_name_copy(&old, &bench_find(b, from)->name);
	must(store_remove(b->st, &old, &err), &err);
	mailbox_name_release(&old);
}

/*
 * Then: INBOX 1 to 5, two of them equal; Work 1; Old 1; Gone empty. Now: INBOX 1 with a flag, 2 gone, 3 in Work as 7, one of
 * the equal ones (4) gone, 5 there, 6 new; Old is New; Gone is gone, and Made is there.
 */
static void make_history(struct bench *b)
{
	put(b, "INBOX", 1, "one\r\n", "\\Seen");
	put(b, "INBOX", 2, "two\r\n", "");
	put(b, "INBOX", 3, "three\r\n", "");
	put(b, "INBOX", 4, "same\r\n", "");
	put(b, "INBOX", 5, "same\r\n", "");
	put(b, "Work", 1, "work\r\n", "");
	put(b, "Old", 1, "old\r\n", "");
	bench_mailbox(b, "Gone");
	snapshot(b);
	flag(b, "INBOX", "1", "\\Flagged");
	put(b, "Work", 7, "three\r\n", "");
	put(b, "INBOX", 6, "six\r\n", "");
	snapshot(b);
	expunge(b, "INBOX", "2:4");
	bench_mailbox(b, "Made");
	rename_box(b, "Old", "New");
	remove_box(b, "Gone");
	snapshot(b);
	bench_close(b);
}

static const char *oldest(const struct bench *b)
{
	static char text[32];
	struct proc_result res;
	size_t lines = 0;

	RUN(&res, "snapshots", "--json", b->path);
	for (size_t i = 0; i < res.out.n; i++)
		lines += res.out.p[i] == '\n';
	proc_result_release(&res);
	snprintf(text, sizeof(text), "latest~%zu", lines - 1);
	return text;
}

static const char table[] = "   ADDED   REMOVED  MOVED IN  MOVED OUT     FLAGS  MAILBOX\n";

static void test_what_differs_is_told_by_mailbox(void **state)
{
	struct bench *b = *state;
	struct proc_result res;
	char *want = xasprintf("renamed          mailbox Old -> New\n"
			       "deleted          mailbox Gone\n"
			       "created          mailbox Made\n"
			       "%s"
			       "       1         2         0          1         1  INBOX\n"
			       "       0         0         1          0         0  Work\n",
			       table);

	make_history(b);
	RUN(&res, "diff", b->path, oldest(b), "latest");
	expect(&res, 0, want);
	RUN(&res, "diff", b->path, oldest(b));
	expect(&res, 0, want);
	free(want);
	RUN(&res, "diff", "--json", b->path, oldest(b));
	expect(&res, 0,
	       "{\"event\":\"mailbox_renamed\",\"mailbox\":\"Old\",\"to\":\"New\"}\n"
	       "{\"event\":\"mailbox_deleted\",\"mailbox\":\"Gone\"}\n"
	       "{\"event\":\"mailbox_created\",\"mailbox\":\"Made\"}\n"
	       "{\"event\":\"mailbox\",\"mailbox\":\"INBOX\",\"added\":1,\"removed\":2,\"moved_in\":0,"
	       "\"moved_out\":1,\"flags\":1}\n"
	       "{\"event\":\"mailbox\",\"mailbox\":\"Work\",\"added\":0,\"removed\":0,\"moved_in\":1,"
	       "\"moved_out\":0,\"flags\":0}\n");
}

static void test_each_message_is_named_on_demand_in_either_direction(void **state)
{
	struct bench *b = *state;
	struct proc_result res;
	char *want;

	make_history(b);
	RUN(&res, "diff", "--list", b->path, oldest(b));
	want = xasprintf("renamed          mailbox Old -> New\n"
			 "deleted          mailbox Gone\n"
			 "created          mailbox Made\n"
			 "removed          INBOX 2\n"
			 "moved            INBOX 3 -> Work 7\n"
			 "removed          INBOX 4\n"
			 "added            INBOX 6\n"
			 "flags            INBOX 1 (\\Seen) -> (\\Seen \\Flagged)\n"
			 "%s"
			 "       1         2         0          1         1  INBOX\n"
			 "       0         0         1          0         0  Work\n",
			 table);
	expect(&res, 0, want);
	free(want);
	RUN(&res, "diff", "-l", "--json", b->path, "latest", oldest(b));
	assert_non_null(strstr(buf_str(&res.out), "{\"event\":\"moved\",\"mailbox\":\"Work\",\"uid\":7,"
						  "\"to\":\"INBOX\",\"to_uid\":3}\n"));
	assert_non_null(strstr(buf_str(&res.out),
			       "{\"event\":\"flags\",\"mailbox\":\"INBOX\",\"uid\":1,\"old_flags\":"));
	assert_non_null(strstr(buf_str(&res.out), "{\"event\":\"removed\",\"mailbox\":\"INBOX\",\"uid\":6}\n"));
	assert_non_null(strstr(buf_str(&res.out), "{\"event\":\"added\",\"mailbox\":\"INBOX\",\"uid\":2}\n"));
	proc_result_release(&res);
}

/* The UID of one that is gone was given to another: that is no change of flags. */
static void test_another_message_under_a_uid_is_another_message(void **state)
{
	struct bench *b = *state;
	struct proc_result res;
	char *want;

	put(b, "INBOX", 1, "one\r\n", "\\Seen");
	snapshot(b);
	expunge(b, "INBOX", "1");
	snapshot(b);
	put(b, "INBOX", 1, "other\r\n", "\\Draft");
	snapshot(b);
	bench_close(b);
	want = xasprintf("removed          INBOX 1\nadded            INBOX 1\n%s"
			 "       1         1         0          0         0  INBOX\n",
			 table);
	RUN(&res, "diff", "--list", b->path, "latest~2");
	expect(&res, 0, want);
	free(want);
	RUN(&res, "diff", b->path, "latest", "latest");
	expect(&res, 0, "no difference\n");
	RUN(&res, "diff", "--quiet", b->path, "latest~2");
	expect(&res, 0, "");
}

static void test_bad_arguments_are_explained(void **state)
{
	struct bench *b = *state;
	struct proc_result res;
	char *at = xasprintf("%s@latest", b->path);

	put(b, "INBOX", 1, "one\r\n", "\\Seen");
	snapshot(b);
	bench_close(b);
	RUN(&res, "diff", b->path);
	complains(&res, 2, "a STORE and one or two snapshots are needed");
	RUN(&res, "diff", b->path, "latest~7");
	complains(&res, 10, "there is no snapshot");
	RUN(&res, "diff", b->path, "latest", "whenever");
	complains(&res, 2, "'whenever' names no snapshot");
	RUN(&res, "diff", at, "latest");
	complains(&res, 2, "leave @");
	free(at);
}

static void test_a_maildir_has_nothing_to_compare(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	bench_close(b);
	RUN(&res, "diff", b->path, "yesterday");
	complains(&res, 2, "it has no snapshots");
}

#define GIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define MAILDIR(test) { #test, test, setup, teardown, (void *)(uintptr_t)&maildir }

int main(void)
{
	const struct CMUnitTest tests[] = {
		GIT(test_what_differs_is_told_by_mailbox),
		GIT(test_each_message_is_named_on_demand_in_either_direction),
		GIT(test_another_message_under_a_uid_is_another_message),
		GIT(test_bad_arguments_are_explained),
		MAILDIR(test_a_maildir_has_nothing_to_compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
