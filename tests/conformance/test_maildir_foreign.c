/* What other programs put into a Maildir, or do to it, and what we take over from them. */
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
#include "tests/lib/conformance.h"
#include "tests/lib/maildir_rig.h"
#include "tests/lib/support.h"

static const struct store_under_test fs = { "maildir, fs", &maildir_store, "fs" };

static void test_files_of_others_are_counted_and_left_alone(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset all = set_of("1:9");
	struct mailbox_list list;
	struct err err = { 0 };
	struct changes c;

	bench_put_text(mb, 1, "x");
	bench_commit(b);
	mdir_put(b, "INBOX/cur/1.foreign:2,S", "theirs\n");
	mdir_put(b, "INBOX/new/2.foreign", "theirs too\n");
	bench_reopen(b);
	mb = bench_find(b, "INBOX");
	bench_changes(mb, &c);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.foreign, 2);
	changes_release(&c);
	must(mailbox_expunge(mb, &all, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	assert_int_equal(mdir_count(b, "INBOX/cur"), 1);
	assert_int_equal(mdir_count(b, "INBOX/new"), 1);
	/* Once compared they cost nothing. */
	assert_false(bench_info(b, "INBOX", &list)->touched);
	mailbox_list_release(&list);
	uidset_release(&all);
}

static void test_a_strange_maildir_is_refused_and_then_adopted(void **state)
{
	struct bench *b = mdir_bench(state);
	struct store_identity id;
	struct store *st;
	struct mailbox *mb;
	struct err err = { 0 };
	struct changes c;

	mdir_make_foreign(b);
	must(maildir_store.identify(&b->cfg, &id, &err), &err);
	assert_int_equal(id.presence, STORE_FOREIGN);
	assert_int_equal(store_open(&maildir_store, &st, &b->cfg, STORE_WRITE, &err), -1);
	assert_int_equal(err.kind, ERR_HELD);
	b->cfg.adopt = true;
	bench_open(b);
	mb = bench_mailbox(b, "INBOX");
	/* Two equal files: two messages, and a third that is new. */
	assert_int_equal(bench_put_text(mb, 1, "Subject: a\r\n\r\nb\r\n"), OUTCOME_ADOPTED);
	assert_int_equal(bench_put_text(mb, 2, "Subject: a\r\n\r\nb\r\n"), OUTCOME_ADOPTED);
	assert_int_equal(bench_put_text(mb, 3, "Subject: a\r\n\r\nb\r\n"), OUTCOME_DONE);
	assert_int_equal(bench_put_text(mb, 4, "exact\r\n"), OUTCOME_ADOPTED);
	bench_commit(b);
	b->cfg.adopt = false;
	bench_reopen(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 4);
	assert_int_equal(c.foreign, 0);
	changes_release(&c);
	assert_int_equal(mdir_count(b, "INBOX/cur"), 4);
	assert_int_equal(mdir_count(b, "INBOX/new"), 0);
}

/* Open a foreign Maildir to adopt it, and what is in INBOX. Its strangers: v[0] to v[n - 1]. */
static struct mailbox *meet_strangers(struct bench *b, enum store_mode mode, struct gots *got)
{
	struct mailbox *mb;

	b->cfg.adopt = true;
	b->cfg.create = mode == STORE_WRITE;
	bench_open_as(b, mode);
	mb = bench_find(b, "INBOX");
	bench_strangers(mb, got);
	return mb;
}

static uint32_t stranger_of(const struct gots *got, const char *body)
{
	for (size_t i = 0; i < got->n; i++)
		if (strcmp(buf_str(&got->v[i].body), body) == 0)
			return got->v[i].uid;
	fail_msg("no stranger is %s", body);
	return 0;
}

/* As the wire has it, with the date and the flags that come with it, and the letters of its file. */
static void test_a_stranger_becomes_the_message_it_is_taken_for(void **state)
{
	struct bench *b = mdir_bench(state);
	struct buf text = BUF_INIT(1000);
	struct mailbox *mb;
	struct changes c;
	struct gots got;
	char *file;

	mdir_make_foreign(b);
	mb = meet_strangers(b, STORE_WRITE, &got);
	assert_int_equal(got.n, 3);
	for (size_t i = 0; i < got.n; i++)
		assert_true(got.v[i].complete && got.v[i].uid > (i ? got.v[i - 1].uid : 0));
	assert_int_equal(bench_take(mb, stranger_of(&got, "exact\r\n"), 7, "\\Flagged work"), 1);
	assert_int_equal(bench_take(mb, stranger_of(&got, "Subject: a\r\n\r\nb\r\n"), 8, ""), 2);
	assert_int_equal(bench_take(mb, stranger_of(&got, "exact\r\n"), 9, ""), 0); /* once */
	gots_release(&got);
	bench_commit(b);
	b->cfg.adopt = false;
	bench_reopen(b);
	mb = bench_find(b, "INBOX");
	bench_changes(mb, &c);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.foreign, 1);
	assert_int_equal(c.v[0].source_uid, 7);
	assert_int_equal(c.v[0].size, 7);
	assert_int_equal(c.v[1].source_uid, 8);
	assert_int_equal(c.v[1].size, 17);
	assert_string_equal(bench_flags(&c, c.v[0].flags, &text), "\\Flagged work");
	assert_string_equal(bench_flags(&c, c.v[0].base_flags, &text), "\\Flagged work");
	assert_string_equal(bench_flags(&c, c.v[1].flags, &text), "");
	changes_release(&c);
	bench_fetch_all(mb, &got);
	assert_string_equal(buf_str(&got.v[0].body), "exact\r\n");
	assert_string_equal(buf_str(&got.v[0].date), PUT_DATE);
	gots_release(&got);
	file = mdir_file(b, "INBOX/cur", 2);
	assert_non_null(strstr(file, "/3.x:2,F"));
	free(file);
	buf_release(&text);
}

static void test_a_stranger_that_changed_is_not_taken(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb;
	struct gots got;

	mdir_make_foreign(b);
	mb = meet_strangers(b, STORE_WRITE, &got);
	mdir_put(b, "INBOX/new/3.x", "eXact\r\n");
	assert_int_equal(bench_take(mb, stranger_of(&got, "exact\r\n"), 7, ""), 0);
	gots_release(&got);
	bench_commit(b);
	assert_int_equal(bench_live(b), 0);
	assert_int_equal(mdir_count(b, "INBOX/new"), 1);
}

/* Stopped before commit(): it is a stranger as before, and can be taken again. */
static void test_what_was_taken_and_not_committed_is_a_stranger_again(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb;
	struct gots got;

	mdir_make_foreign(b);
	mb = meet_strangers(b, STORE_WRITE, &got);
	bench_commit(b);
	assert_int_equal(bench_take(mb, stranger_of(&got, "exact\r\n"), 7, "\\Seen"), 1);
	gots_release(&got);
	bench_close(b);
	mb = meet_strangers(b, STORE_WRITE, &got);
	assert_int_equal(got.n, 3);
	assert_int_equal(bench_take(mb, stranger_of(&got, "exact\r\n"), 7, "\\Seen"), 1);
	gots_release(&got);
	bench_strangers(mb, &got); /* what is ours is none */
	assert_int_equal(got.n, 2);
	gots_release(&got);
	bench_commit(b);
	assert_int_equal(bench_live(b), 1);
}

/* Its row is there and its file is not: under another name it is taken in its place. */
static void test_a_stranger_takes_the_place_of_a_message_whose_file_is_gone(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct gots got;
	struct changes c;
	char *file;

	bench_put_text(mb, 5, "x\r\n");
	bench_commit(b);
	file = mdir_file(b, "INBOX/cur", 0);
	assert_int_equal(unlink(file), 0);
	mdir_put(b, "INBOX/cur/9.x:2,", "x\n");
	bench_close(b);
	mb = meet_strangers(b, STORE_WRITE, &got);
	assert_int_not_equal(bench_take(mb, stranger_of(&got, "x\r\n"), 5, ""), 0);
	gots_release(&got);
	bench_commit(b);
	bench_changes(mb, &c);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.v[0].source_uid, 5);
	assert_true(uidset_is_empty(&c.missing));
	changes_release(&c);
	free(file);
}

static void test_strangers_can_be_looked_at_without_taking_the_directory(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb;
	struct changes c;
	struct gots got;

	mdir_make_foreign(b);
	mb = meet_strangers(b, STORE_READ, &got);
	assert_int_equal(got.n, 3);
	gots_release(&got);
	bench_changes(mb, &c);
	assert_int_equal(c.n, 0);
	assert_int_equal(c.foreign, 3);
	changes_release(&c);
	bench_close(b);
	assert_int_equal(mdir_count(b, ""), 2); /* nothing was left behind */
}

static void test_a_strange_maildir_can_be_read(void **state)
{
	struct bench *b = mdir_bench(state);
	struct changes c;
	struct gots got;

	mdir_make_foreign(b);
	b->cfg.create = false;
	b->cfg.claim_foreign = true;
	bench_open_as(b, STORE_READ);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 3);
	assert_int_equal(c.foreign, 0);
	changes_release(&c);
	bench_changes(bench_find(b, "w"), &c);
	assert_int_equal(flag_table_get(c.flags, c.v[0].flags)->bits,
			 FLAG_FLAGGED | FLAG_ANSWERED);
	changes_release(&c);
	bench_fetch_all(bench_find(b, "w"), &got);
	assert_int_equal(got.n, 1);
	assert_true(bytes_is(buf_bytes(&got.v[0].body), "work\r\n"));
	gots_release(&got);
	assert_int_equal(mdir_count(b, ""), 2); /* nothing was left behind */
}

static void test_links_are_never_followed(void **state)
{
	struct bench *b = mdir_bench(state);
	char *link = mdir_path(b, "a"), *target = path_join(tmp_dir(), "store-target");
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct err err = { 0 };

	assert_int_equal(mkdir(target, 0700), 0);
	assert_int_equal(symlink(target, link), 0);
	must(mailbox_name_from_display(&name, bytes_of("a"), &err), &err);
	assert_int_equal(store_create(b->st, &name, 0, &err), -1);
	assert_int_equal(err.kind, ERR_MAILBOX);
	mailbox_name_release(&name);
	remove_tree(target);
	free(target);
	free(link);
}

/* Read while it may still change: at the time of taking it is looked at again. */
static void test_a_file_that_changed_since_it_was_hashed_is_not_taken(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb;
	struct gots got;

	mdir_make_foreign(b);
	b->cfg.adopt = true;
	bench_open(b);
	mb = bench_mailbox(b, "INBOX");
	assert_int_equal(bench_put_text(mb, 1, "not there\r\n"), OUTCOME_DONE); /* hashes all */
	mdir_put(b, "INBOX/new/3.x", "other\r\n");
	assert_int_equal(bench_put_text(mb, 2, "exact\r\n"), OUTCOME_DONE);
	bench_commit(b);
	bench_fetch_all(mb, &got);
	assert_int_equal(got.n, 2);
	assert_string_equal(buf_str(&got.v[1].body), "exact\r\n");
	gots_release(&got);
	assert_int_equal(mdir_count(b, "INBOX/new"), 1);
}

static void test_a_kept_file_that_somebody_changed_is_not_taken(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset one = set_of("1");
	struct err err = { 0 };
	struct gots got;
	char *path;

	bench_put_text(mb, 1, "as it was\r\n");
	bench_commit(b);
	must(mailbox_keep(mb, &one, false, &err), &err);
	bench_commit(b);
	path = mdir_file(b, "INBOX/cur", 0);
	write_file(path, bytes_of("as it is!\n"));
	assert_int_equal(bench_put_text(mb, 7, "as it was\r\n"), OUTCOME_DONE);
	bench_commit(b);
	bench_fetch_all(mb, &got);
	assert_int_equal(got.n, 1);
	assert_string_equal(buf_str(&got.v[0].body), "as it was\r\n");
	gots_release(&got);
	assert_int_equal(mdir_count(b, "INBOX/cur"), 2);
	uidset_release(&one);
	free(path);
}

static void test_one_base_name_twice_is_taken_once_and_nothing_is_overwritten(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb;
	struct put put = { .body = bytes_of("twice\r\n"), .flags = "\\Seen" };
	struct changes c;

	mdir_make_foreign(b);
	mdir_put(b, "w/new/5.x", "twice\n");
	mdir_put(b, "w/cur/5.x:2,S", "other\n");
	mdir_put(b, "w/cur/6.x:2,S", "twice\n");
	mdir_put(b, "w/cur/6.x:2,", "twice\n");
	b->cfg.adopt = true;
	bench_open(b);
	mb = bench_mailbox(b, "w");
	for (uint32_t uid = 1; uid <= 3; uid++)
		bench_put(mb, uid, &put, NULL);
	bench_commit(b);
	assert_in_range(mdir_count(b, "w/cur") + mdir_count(b, "w/new"), 5 + 2, 5 + 3);
	b->cfg.adopt = false;
	bench_reopen(b);
	bench_changes(bench_find(b, "w"), &c);
	assert_int_equal(c.n, 3);
	assert_true(uidset_is_empty(&c.missing));
	changes_release(&c);
}

static void test_of_one_base_name_twice_one_is_read(void **state)
{
	struct bench *b = mdir_bench(state);
	struct changes c;

	mdir_make_foreign(b);
	mdir_put(b, "w/new/4.x", "other\n");
	b->cfg.create = false;
	b->cfg.claim_foreign = true;
	bench_open_as(b, STORE_READ);
	bench_changes(bench_find(b, "w"), &c);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.foreign, 1);
	changes_release(&c);
}

/* A pipe would be waited for without end, a link followed to where it leads. */
static void test_only_regular_files_are_messages(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb;
	char *pipe = mdir_path(b, "INBOX/cur/7.x:2,"), *link, *target = mdir_path(b, "elsewhere");
	struct changes c;
	struct gots got;

	mdir_make_foreign(b);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	b->cfg.adopt = true;
	bench_open(b);
	mb = bench_mailbox(b, "INBOX");
	assert_int_equal(bench_put_text(mb, 1, "mine\r\n"), OUTCOME_DONE);
	bench_commit(b);
	link = mdir_file(b, "INBOX/cur", 1); /* after 1.x */
	if (!strstr(link, ",S="))
		fail_msg("%s is not ours", link);
	write_file(target, bytes_of("elsewhere\n"));
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(target, link), 0);
	b->cfg.adopt = false;
	bench_reopen(b);
	mb = bench_find(b, "INBOX");
	bench_changes(mb, &c);
	assert_true(uidset_has(&c.missing, 1));
	assert_int_equal(c.foreign, 3);
	changes_release(&c);
	bench_put_text(mb, 1, "mine\r\n");
	bench_commit(b);
	bench_fetch_all(mb, &got);
	assert_int_equal(got.n, 1);
	assert_string_equal(buf_str(&got.v[0].body), "mine\r\n");
	gots_release(&got);
	free(target);
	free(pipe);
	free(link);
}

/* What others are writing in tmp is theirs, also after a run of ours was stopped. */
static void test_only_our_litter_is_removed_from_tmp(void **state)
{
	struct bench *b = mdir_bench(state);

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x");
	bench_commit(b);
	bench_put_text(bench_mailbox(b, "INBOX"), 2, "litter");
	mdir_put(b, "INBOX/tmp/1700000000.M1P1.other", "being delivered");
	bench_close(b);
	assert_int_equal(mdir_count(b, "INBOX/tmp"), 2);
	bench_open(b);
	assert_int_equal(mdir_count(b, "INBOX/tmp"), 1);
}

static void test_a_removed_message_that_comes_back_is_left_alone(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset one = set_of("1");
	struct err err = { 0 };
	char *path;

	bench_put_text(mb, 1, "x");
	bench_commit(b);
	path = mdir_file(b, "INBOX/cur", 0);
	must(mailbox_expunge(mb, &one, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	write_file(path, bytes_of("from a backup\n"));
	bench_reopen(b);
	assert_int_equal(mdir_count(b, "INBOX/cur"), 1);
	uidset_release(&one);
	free(path);
}

/* An index that somebody edited leads nowhere outside the root. */
static void test_a_directory_outside_the_root_is_refused(void **state)
{
	struct bench *b = mdir_bench(state);
	char *outside = path_join(tmp_dir(), "outside");
	struct name_list files = { 0 };
	struct message_sink sink;
	struct message msg = { .uid = 2 };
	struct err err = { 0 };
	void *handle;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x");
	bench_commit(b);
	bench_close(b);
	mdir_sql(b, "UPDATE mailboxes SET directory = '../outside'");
	assert_int_equal(mkdir(outside, 0700), 0);
	bench_open(b);
	must(mailbox_append(bench_find(b, "INBOX"), NULL, NULL, NULL, &sink, &err), &err);
	must(sink.begin(sink.ctx, NULL, &msg, &handle, &err), &err);
	assert_int_equal(sink.end(sink.ctx, handle, &msg, true, &err), -1);
	assert_int_equal(err.kind, ERR_MAILBOX);
	dir_entries(outside, &files);
	assert_int_equal(files.n, 0);
	name_list_release(&files);
	remove_tree(outside);
	free(outside);
}

/* UIDs of another account mean other messages; what is equal is paired by content. */
static void test_rebinding_forgets_uids_and_quarantine(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct quarantined q = { .uid = 9, .reason = (char *)(uintptr_t)"no" };
	struct base base = { .quarantine = &q, .n_quarantine = 1 };
	struct err err = { 0 };

	bench_put_text(mb, 1, "one\r\n");
	bench_put_text(mb, 2, "two\r\n");
	must(mailbox_set_base(mb, &base, &err), &err);
	bench_commit(b);
	b->cfg.rebind = true;
	bench_reopen(b);
	b->cfg.rebind = false;
	mb = bench_find(b, "INBOX");
	assert_int_equal(bench_live(b), 0);
	base_init(&base);
	must(mailbox_base(mb, &base, &err), &err);
	assert_int_equal(base.n_quarantine, 0);
	base_release(&base);
	assert_int_equal(bench_put_text(mb, 7, "one\r\n"), OUTCOME_ADOPTED);
	assert_int_equal(bench_put_text(mb, 2, "other\r\n"), OUTCOME_DONE);
	bench_commit(b);
	assert_int_equal(bench_live(b), 2);
	assert_int_equal(mdir_count(b, "INBOX/cur"), 3);
}

static void test_a_file_of_another_length_is_refused(void **state)
{
	static const char *const bodies[] = { "short\n", "longer than it was\n" };
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	char *path;

	bench_put_text(mb, 1, "as it was\r\n");
	bench_commit(b);
	path = mdir_file(b, "INBOX/cur", 0);
	for (size_t i = 0; i < 2; i++) {
		struct gots got;

		write_file(path, bytes_of(bodies[i]));
		bench_fetch_all(mb, &got);
		assert_int_equal(got.n, 1);
		assert_int_equal(got.v[0].what, OUTCOME_REFUSED);
		assert_false(got.v[0].complete);
		gots_release(&got);
	}
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOR(&fs, test_files_of_others_are_counted_and_left_alone),
		FOR(&fs, test_a_strange_maildir_is_refused_and_then_adopted),
		FOR(&fs, test_a_stranger_becomes_the_message_it_is_taken_for),
		FOR(&fs, test_a_stranger_that_changed_is_not_taken),
		FOR(&fs, test_what_was_taken_and_not_committed_is_a_stranger_again),
		FOR(&fs, test_a_stranger_takes_the_place_of_a_message_whose_file_is_gone),
		FOR(&fs, test_strangers_can_be_looked_at_without_taking_the_directory),
		FOR(&fs, test_a_strange_maildir_can_be_read),
		FOR(&fs, test_links_are_never_followed),
		FOR(&fs, test_a_file_that_changed_since_it_was_hashed_is_not_taken),
		FOR(&fs, test_a_kept_file_that_somebody_changed_is_not_taken),
		FOR(&fs, test_one_base_name_twice_is_taken_once_and_nothing_is_overwritten),
		FOR(&fs, test_of_one_base_name_twice_one_is_read),
		FOR(&fs, test_only_regular_files_are_messages),
		FOR(&fs, test_a_directory_outside_the_root_is_refused),
		FOR(&fs, test_a_file_of_another_length_is_refused),
		FOR(&fs, test_rebinding_forgets_uids_and_quarantine),
		FOR(&fs, test_only_our_litter_is_removed_from_tmp),
		FOR(&fs, test_a_removed_message_that_comes_back_is_left_alone),
	};

	return cmocka_run_group_tests_name("maildir foreign", tests, NULL, NULL);
}
