/* A Maildir that a job reads: what list() and changes() tell, and that a UID keeps its meaning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/maildir/maildir.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/archive.h"
#include "tests/lib/conformance.h"
#include "tests/lib/maildir_rig.h"
#include "tests/lib/support.h"

static const struct store_under_test fs = { "maildir, fs", &maildir_store, "fs" };

static char *index_file;

/* Open what lies there as a source; `create`: its index may be written. */
static void open_source(struct bench *b, bool create)
{
	if (!index_file) {
		index_file = path_join(tmp_dir(), "uids");
	}
	b->cfg.as_source = true;
	b->cfg.index = index_file;
	b->cfg.create = create;
	b->cfg.account = NULL;
	bench_open_as(b, STORE_READ);
}

static struct mailbox *find(struct bench *b, const char *name)
{
	bool create = b->cfg.create;
	struct mailbox *mb;

	b->cfg.create = false; /* for bench_find(): to read */
	mb = bench_find(b, name);
	b->cfg.create = create;
	return mb;
}

static int setup(void **state)
{
	int ret = mdir_setup(state);

	if (index_file)
		unlink(index_file);
	return ret;
}

/* A Maildir of others with one mailbox of three messages, "w" having one. */
static struct bench *foreign(void **state)
{
	struct bench *b = mdir_bench(state);

	mdir_make_foreign(b);
	return b;
}

/* "UID:body;..." of a mailbox, owned by the caller. */
static char *held(struct mailbox *mb)
{
	struct buf out = BUF_INIT(1 << 20);
	struct uidset uids = UIDSET_INIT;
	struct changes c;
	struct gots got;

	bench_changes(mb, &c);
	assert_true(c.complete);
	for (size_t i = 0; i < c.n; i++)
		uidset_add(&uids, c.v[i].uid);
	bench_fetch(mb, &uids, true, &got);
	assert_int_equal(got.n, c.n);
	for (size_t i = 0; i < got.n; i++) {
		assert_int_equal(c.v[i].size, got.v[i].body.n);
		buf_addf(&out, "%u:%.*s;", got.v[i].uid, (int)strcspn(buf_str(&got.v[i].body), "\r"),
			 buf_str(&got.v[i].body));
	}
	gots_release(&got);
	changes_release(&c);
	uidset_release(&uids);
	return out.n ? buf_take(&out) : xstrdup("");
}

static void assert_held(struct bench *b, const char *name, const char *want)
{
	char *got = held(find(b, name));

	assert_string_equal(got, want);
	free(got);
}

static void next_run(struct bench *b)
{
	bench_close(b);
	open_source(b, true);
}

static void test_a_uid_means_the_same_message_in_every_run(void **state)
{
	struct bench *b = foreign(state);
	char *path;

	open_source(b, true);
	assert_held(b, "INBOX", "1:Subject: a;2:Subject: a;3:exact;");
	/* One that sorts before all others, and the last one gone: no UID is given out again. */
	mdir_put(b, "INBOX/new/0.first", "early\n");
	path = mdir_path(b, "INBOX/new/3.x");
	assert_int_equal(unlink(path), 0);
	next_run(b);
	assert_held(b, "INBOX", "1:Subject: a;2:Subject: a;4:early;");
	mdir_put(b, "INBOX/new/3.x", "exact\n"); /* it comes back, as another message */
	next_run(b);
	assert_held(b, "INBOX", "1:Subject: a;2:Subject: a;4:early;5:exact;");
	free(path);
}

static void test_flags_and_moves_to_cur_keep_the_uid(void **state)
{
	struct bench *b = foreign(state);
	struct buf flags = BUF_INIT(100);
	char *from, *to;
	struct changes c;

	open_source(b, true);
	assert_held(b, "INBOX", "1:Subject: a;2:Subject: a;3:exact;");
	from = mdir_path(b, "INBOX/new/3.x");
	to = mdir_path(b, "INBOX/cur/3.x:2,FS");
	assert_int_equal(rename(from, to), 0);
	next_run(b);
	bench_changes(find(b, "INBOX"), &c);
	assert_int_equal(c.n, 3);
	assert_int_equal(c.v[2].uid, 3);
	assert_string_equal(bench_flags(&c, c.v[2].flags, &flags), "\\Seen \\Flagged");
	changes_release(&c);
	free(from);
	free(to);
	buf_release(&flags);
}

static void test_nothing_is_written_into_the_maildir(void **state)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct bench *b = foreign(state);

	archive_snapshot(b->path, &before);
	open_source(b, true);
	assert_held(b, "INBOX", "1:Subject: a;2:Subject: a;3:exact;");
	next_run(b);
	assert_held(b, "w", "1:work;");
	bench_close(b);
	archive_snapshot(b->path, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	assert_int_equal(mdir_count(b, ""), 2);
	buf_release(&before);
	buf_release(&after);
}

static void test_only_looking_leaves_the_index_as_it_is(void **state)
{
	struct bench *b = foreign(state);
	char was[SHA256_HEX_SIZE], is[SHA256_HEX_SIZE];

	open_source(b, false);
	assert_held(b, "INBOX", "1:Subject: a;2:Subject: a;3:exact;");
	bench_close(b);
	assert_int_equal(access(index_file, F_OK), -1);
	open_source(b, true);
	assert_held(b, "INBOX", "1:Subject: a;2:Subject: a;3:exact;");
	bench_close(b);
	sha256_file_hex(index_file, was);
	mdir_put(b, "INBOX/new/0.first", "early\n");
	open_source(b, false);
	assert_held(b, "INBOX", "1:Subject: a;2:Subject: a;3:exact;4:early;");
	bench_close(b);
	sha256_file_hex(index_file, is);
	assert_string_equal(is, was);
}

static uint32_t uidvalidity(struct bench *b, const char *name)
{
	struct mailbox_list list;
	const struct mailbox_info *info = bench_info(b, name, &list);
	uint32_t v;

	assert_non_null(info);
	assert_true(info->token.known);
	v = info->token.uidvalidity;
	mailbox_list_release(&list);
	return v;
}

static void test_the_list_tells_the_state_it_has_now(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct base base = { .token = { .known = true, .uidvalidity = 77, .uidnext = 88 } };
	struct mailbox_list list;
	struct err err = { 0 };
	struct changes c;

	bench_put_text(mb, 5, "x\r\n");
	bench_put_text(mb, 9, "y\r\n");
	must(mailbox_set_base(mb, &base, &err), &err);
	bench_commit(b);
	bench_close(b);
	open_source(b, true);
	assert_int_equal(bench_info(b, "INBOX", &list)->token.uidnext, 3);
	assert_int_not_equal(list.v[0].token.uidvalidity, 77);
	bench_changes(find(b, "INBOX"), &c);
	assert_int_equal(c.token.uidvalidity, list.v[0].token.uidvalidity);
	assert_int_equal(c.token.uidnext, 3);
	changes_release(&c);
	mailbox_list_release(&list);
	assert_int_equal(access(index_file, F_OK), -1); /* a store of ours needs none */
}

/* A file of others in a store of ours would have the UID that the next message of ours gets. */
static void test_of_a_store_of_ours_only_its_own_messages_are_told(void **state)
{
	struct bench *b = mdir_bench(state);
	struct changes c;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x\r\n");
	bench_commit(b);
	mdir_put(b, "INBOX/new/1.theirs", "theirs\n");
	next_run(b);
	bench_changes(find(b, "INBOX"), &c);
	assert_true(c.complete);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.foreign, 1);
	changes_release(&c);
}

static void test_a_file_that_a_store_of_ours_lost_is_not_proven_gone(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct changes c;
	char *path;

	bench_put_text(mb, 1, "x\r\n");
	bench_put_text(mb, 2, "y\r\n");
	bench_commit(b);
	path = mdir_file(b, "INBOX/cur", 0);
	assert_int_equal(unlink(path), 0);
	next_run(b);
	bench_changes(find(b, "INBOX"), &c);
	assert_int_equal(c.n, 1);
	assert_false(c.complete);
	assert_int_equal(uidset_count(&c.missing), 1);
	changes_release(&c);
	free(path);
}

static void test_a_mailbox_without_its_directory_is_not_there(void **state)
{
	static const char *const parts[] = { "cur", "new", "tmp" };
	struct bench *b = foreign(state);
	struct mailbox_list list;
	struct mailbox_name name;
	struct err err = { 0 };
	bool there = true;
	char *path;

	open_source(b, true);
	assert_held(b, "w", "1:work;");
	for (size_t i = 0; i < 3; i++) {
		char *rest = xasprintf("w/%s", parts[i]);

		path = mdir_path(b, rest);
		remove_tree(path);
		free(path);
		free(rest);
	}
	next_run(b);
	assert_null(bench_info(b, "w", &list));
	mailbox_list_release(&list);
	mailbox_name_init(&name);
	must(mailbox_name_from_display(&name, bytes_of("w"), &err), &err);
	must(store_exists(b->st, &name, &there, &err), &err);
	assert_false(there);
	mailbox_name_release(&name);
}

static void test_what_moves_after_it_was_compared_makes_the_list_incomplete(void **state)
{
	struct bench *b = foreign(state);
	struct mailbox_list list = { 0 };
	struct err err = { 0 };

	open_source(b, true);
	assert_held(b, "INBOX", "1:Subject: a;2:Subject: a;3:exact;");
	assert_held(b, "w", "1:work;");
	must(store_list(b->st, NULL, &list, &err), &err);
	assert_true(list.complete);
	assert_int_equal(list.n, 2);
	mailbox_list_release(&list);
	mdir_put(b, "w/new/9.x", "moved here\n");
	must(store_list(b->st, NULL, &list, &err), &err);
	assert_false(list.complete);
	mailbox_list_release(&list);
}

static void test_a_mailbox_made_after_the_list_is_in_the_next(void **state)
{
	struct bench *b = foreign(state);
	struct mailbox_list list = { 0 };
	struct err err = { 0 };
	char *path;

	open_source(b, true);
	assert_held(b, "w", "1:work;");
	path = mdir_path(b, "late");
	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	path = mdir_path(b, "late/cur");
	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	must(store_list(b->st, NULL, &list, &err), &err);
	assert_int_equal(list.n, 3);
	mailbox_list_release(&list);
}

static void test_a_store_that_is_written_to_meanwhile_makes_the_list_incomplete(void **state)
{
	struct bench *b = mdir_bench(state), writer;
	struct mailbox_list list = { 0 };
	struct err err = { 0 };
	struct changes c;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x\r\n");
	bench_mailbox(b, "Other");
	bench_commit(b);
	next_run(b);
	bench_changes(find(b, "INBOX"), &c);
	changes_release(&c);
	writer = (struct bench){ .sut = &fs, .path = b->path };
	writer.cfg = (struct store_config){ .name = "w", .path = b->path, .account = "user@host",
					    .create = true };
	bench_open(&writer);
	bench_mailbox(&writer, "New");
	bench_commit(&writer);
	bench_close(&writer);
	must(store_list(b->st, NULL, &list, &err), &err);
	assert_false(list.complete);
	mailbox_list_release(&list);
}

static void test_what_is_not_there_is_no_empty_source(void **state)
{
	struct bench *b = mdir_bench(state);
	struct store *st;
	struct err err = { 0 };

	bench_close(b);
	remove_tree(b->path);
	b->cfg.as_source = true;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_open(&maildir_store, &st, &b->cfg, STORE_READ, &err), -1);
		assert_int_equal(err.kind, ERR_MISSING);
		assert_non_null(strstr(err.text, "is a disk missing?"));
		assert_int_equal(mkdir(b->path, 0700), i == 0 ? 0 : -1);
	}
}

/* Its index lost, or the store an older state of itself: the UIDs say that they mean something else. */
static void test_uids_that_mean_something_else_have_another_uidvalidity(void **state)
{
	struct bench *b = foreign(state);
	uint32_t was;

	open_source(b, true);
	was = uidvalidity(b, "INBOX");
	assert_held(b, "INBOX", "1:Subject: a;2:Subject: a;3:exact;");
	next_run(b);
	assert_int_equal(uidvalidity(b, "INBOX"), was);
	bench_close(b);
	mdir_sql_file(index_file, "UPDATE mailboxes SET uidvalidity = uidvalidity - 100");
	open_source(b, true);
	was = uidvalidity(b, "INBOX");
	bench_close(b);
	assert_int_equal(unlink(index_file), 0);
	open_source(b, true);
	assert_true(uidvalidity(b, "INBOX") > was);
}

static void test_an_older_state_of_a_store_gets_a_new_uidvalidity(void **state)
{
	struct bench *b = mdir_bench(state);
	uint32_t was;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x\r\n");
	bench_commit(b);
	bench_close(b);
	open_source(b, true);
	was = uidvalidity(b, "INBOX");
	bench_close(b);
	b->cfg.as_source = false;
	b->cfg.older = true;
	bench_open(b);
	bench_commit(b);
	bench_close(b);
	open_source(b, true);
	assert_true(uidvalidity(b, "INBOX") > was);
}

static void test_a_damaged_index_is_told_with_what_to_do(void **state)
{
	struct bench *b = foreign(state);
	struct store *st;
	struct err err = { 0 };

	open_source(b, true);
	bench_close(b);
	write_file(index_file, bytes_of("no database at all, and long enough to be looked at"));
	assert_int_equal(store_open(&maildir_store, &st, &b->cfg, STORE_READ, &err), -1);
	assert_non_null(strstr(err.text, index_file));
	assert_non_null(strstr(err.text, "--rebind"));
}

#define SOURCE(test) { #test, test, setup, mdir_teardown, (void *)(uintptr_t)&fs }

int main(void)
{
	const struct CMUnitTest tests[] = {
		SOURCE(test_a_uid_means_the_same_message_in_every_run),
		SOURCE(test_flags_and_moves_to_cur_keep_the_uid),
		SOURCE(test_nothing_is_written_into_the_maildir),
		SOURCE(test_only_looking_leaves_the_index_as_it_is),
		SOURCE(test_the_list_tells_the_state_it_has_now),
		SOURCE(test_of_a_store_of_ours_only_its_own_messages_are_told),
		SOURCE(test_a_file_that_a_store_of_ours_lost_is_not_proven_gone),
		SOURCE(test_a_mailbox_without_its_directory_is_not_there),
		SOURCE(test_what_moves_after_it_was_compared_makes_the_list_incomplete),
		SOURCE(test_a_mailbox_made_after_the_list_is_in_the_next),
		SOURCE(test_a_store_that_is_written_to_meanwhile_makes_the_list_incomplete),
		SOURCE(test_what_is_not_there_is_no_empty_source),
		SOURCE(test_uids_that_mean_something_else_have_another_uidvalidity),
		SOURCE(test_an_older_state_of_a_store_gets_a_new_uidvalidity),
		SOURCE(test_a_damaged_index_is_told_with_what_to_do),
	};

	return cmocka_run_group_tests_name("maildir source", tests, NULL, NULL);
}
