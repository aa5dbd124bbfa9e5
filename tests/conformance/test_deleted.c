/* What was deleted from an archive, as a store to restore from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/git/deleted.h"
#include "backends/git/git.h"
#include "backends/maildir/maildir.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/sync/restore.h"
#include "tests/lib/conformance.h"
#include "tests/lib/support.h"

static const struct store_under_test sut = { "git", &git_store, NULL };

static int setup(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	bench_init(b, &sut);
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

static void put(struct bench *b, const char *mailbox, uint32_t uid, const char *body,
		const char *flags)
{
	struct put put = { .body = bytes_of(body), .flags = flags };

	bench_put(bench_mailbox(b, mailbox), uid, &put, NULL);
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
	snapshot(b);
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
	snapshot(b);
}

/*
 * Deleted: INBOX 2 (\Seen $Late by then), 3 and 4 (equal, in two snapshots), Work 1 and the mailbox
 * Gone. INBOX 1 was moved to Work, INBOX 5 is there, and INBOX 6 kept.
 */
static void make_history(struct bench *b)
{
	struct uidset six = set_of("6");
	struct mailbox_name gone;
	struct err err = { 0 };

	put(b, "INBOX", 1, "one\r\n", "");
	put(b, "INBOX", 2, "two\r\n", "\\Seen");
	put(b, "INBOX", 3, "same\r\n", "\\Flagged");
	put(b, "INBOX", 4, "same\r\n", "");
	put(b, "INBOX", 5, "five\r\n", "");
	put(b, "INBOX", 6, "kept\r\n", "");
	put(b, "Work", 1, "work\r\n", "$Work");
	put(b, "Gone", 1, "gone\r\n", "");
	must(store_create(b->st, &bench_find(b, "Work")->name, MAILBOX_ARCHIVE, &err), &err);
	snapshot(b);
	expunge(b, "INBOX", "3");
	flag(b, "INBOX", "2", "$Late");
	put(b, "Work", 2, "one\r\n", "");
	expunge(b, "INBOX", "1:2,4");
	must(mailbox_keep(bench_find(b, "INBOX"), &six, false, &err), &err);
	expunge(b, "Work", "1");
	expunge(b, "Gone", "1");
	mailbox_name_init(&gone);
	mailbox_name_copy(&gone, &bench_find(b, "Gone")->name);
	must(store_remove(b->st, &gone, &err), &err);
	snapshot(b);
	mailbox_name_release(&gone);
	uidset_release(&six);
	bench_close(b);
}

static const struct git_deleted always, never = { .since = INT64_MAX };

static void open_deleted(struct bench *b, const struct git_deleted *what)
{
	struct err err = { 0 };

	b->cfg.settings = what;
	b->cfg.create = false;
	must(store_open(&git_deleted_store, &b->st, &b->cfg, STORE_READ, &err), &err);
}

/* "UID body flags;" of all that a mailbox has, owned by the caller. */
static char *held(struct bench *b, const char *name)
{
	struct buf out = BUF_INIT(1 << 16);
	struct gots got;

	bench_fetch_all(bench_find(b, name), &got);
	assert_true(got.complete);
	for (size_t i = 0; i < got.n; i++) {
		assert_true(got.v[i].complete);
		assert_int_equal(got.v[i].what, OUTCOME_DONE);
		assert_string_equal(buf_str(&got.v[i].date), PUT_DATE);
	}
	for (uint32_t uid = 1; uid <= got.n; uid++)
		for (size_t i = 0; i < got.n; i++)
			if (got.v[i].uid == uid)
				buf_addf(&out, "%u %.*s %s;", uid,
					 (int)strcspn(buf_str(&got.v[i].body), "\r"),
					 buf_str(&got.v[i].body), buf_str(&got.v[i].flags));
	gots_release(&got);
	return buf_take(&out);
}

static void assert_held(struct bench *b, const char *name, const char *want)
{
	char *got = held(b, name);

	assert_string_equal(got, want);
	free(got);
}

static void test_each_message_is_as_the_last_snapshot_had_it(void **state)
{
	struct bench *b = *state;
	struct mailbox_list list = { 0 };
	struct err err = { 0 };
	struct changes c;

	make_history(b);
	open_deleted(b, &always);
	must(store_list(b->st, NULL, &list, &err), &err);
	assert_int_equal(list.n, 3);
	assert_int_equal(list.v[2].attributes, MAILBOX_ARCHIVE);
	mailbox_list_release(&list);
	assert_held(b, "INBOX", "1 two \\Seen $Late;2 same \\Flagged;3 same ;4 kept ;");
	assert_held(b, "Work", "1 work $Work;");
	assert_held(b, "Gone", "1 gone ;");
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 4);
	assert_int_equal(c.v[3].uid, 4);
	assert_true(c.complete);
	changes_release(&c);
}

static void test_parts_of_it_can_be_fetched(void **state)
{
	struct bench *b = *state;
	struct uidset set = set_of("2,4,7:8");
	struct gots got;

	make_history(b);
	open_deleted(b, &always);
	bench_fetch(bench_find(b, "INBOX"), &set, true, &got);
	assert_int_equal(got.n, 2);
	assert_int_equal(got.unknown, 2);
	gots_release(&got);
	uidset_release(&set);
}

static void test_what_is_restored_counts_equal_messages_of_all_snapshots(void **state)
{
	struct bench *b = *state;
	char *target = path_join(tmp_dir(), "restored");
	struct restore_settings set = {
		.source = &git_deleted_store,
		.target = &maildir_store,
		.target_config = { .name = "target", .path = target },
	};

	make_history(b);
	set.source_config = (struct store_config){ .name = "archive", .path = b->path,
						   .settings = &always };
	for (int run = 0; run < 2; run++) {
		struct restore_report report = { 0 };
		struct err err = { 0 };

		must(restore_run(&set, &report, &err), &err);
		assert_int_equal(report.added, run ? 0 : 6);
		assert_int_equal(report.present, run ? 6 : 0);
		assert_false(report.incomplete);
		restore_report_release(&report);
	}
	free(target);
}

static void test_nothing_deleted_is_nothing_to_restore_and_makes_nothing(void **state)
{
	struct bench *b = *state;
	char *target = path_join(tmp_dir(), "none");
	struct restore_report report = { 0 };
	struct restore_settings set = {
		.source = &git_deleted_store,
		.target = &maildir_store,
		.target_config = { .name = "target", .path = target },
	};
	struct err err = { 0 };

	make_history(b);
	set.source_config = (struct store_config){ .name = "archive", .path = b->path,
						   .settings = &never };
	must(restore_run(&set, &report, &err), &err);
	assert_int_equal(report.n, 0);
	assert_int_not_equal(access(target, F_OK), 0);
	restore_report_release(&report);
	free(target);
}

static void test_it_can_only_be_read(void **state)
{
	struct bench *b = *state;
	struct store *st;
	struct err err = { 0 };

	make_history(b);
	b->cfg.settings = &always;
	assert_int_equal(store_open(&git_deleted_store, &st, &b->cfg, STORE_WRITE, &err), -1);
}

#define DELETED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DELETED(test_each_message_is_as_the_last_snapshot_had_it),
		DELETED(test_parts_of_it_can_be_fetched),
		DELETED(test_what_is_restored_counts_equal_messages_of_all_snapshots),
		DELETED(test_nothing_deleted_is_nothing_to_restore_and_makes_nothing),
		DELETED(test_it_can_only_be_read),
	};

	return cmocka_run_group_tests_name("deleted", tests, NULL, NULL);
}
