/* What only a Maildir promises: its files, and what happens when the disk fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/maildir/maildir.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/check_rig.h"
#include "tests/lib/conformance.h"
#include "tests/lib/maildir_rig.h"
#include "tests/lib/support.h"

static const struct store_under_test fs = { "maildir, fs", &maildir_store, "fs" };
static const struct store_under_test plus = { "maildir, maildir++", &maildir_store, "maildir++" };

/* As another mail reader would: new letters for the n-th file in cur, or another directory. */
static void rename_file(const struct bench *b, const char *from_dir, size_t n,
			const char *to_dir, const char *letters)
{
	char *from = mdir_file(b, from_dir, n), *base = xstrdup(strrchr(from, '/') + 1), *to;

	base[strcspn(base, ":")] = '\0';
	to = xasprintf("%s/%s/%s%s%s", b->path, to_dir, base, *letters ? ":2," : "",
		       strcmp(letters, "-") == 0 ? "" : letters);
	assert_int_equal(rename(from, to), 0);
	free(from);
	free(base);
	free(to);
}

static void test_flags_others_change_are_seen_and_the_base_stays(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct put put = { .body = bytes_of("x\r\n"), .flags = "\\Seen $Kept" };
	struct buf text = BUF_INIT(4096);
	struct mailbox_list list;
	struct changes c;

	bench_put(mb, 1, &put, NULL);
	bench_commit(b);
	bench_reopen(b);
	assert_false(bench_info(b, "INBOX", &list)->touched);
	mailbox_list_release(&list);
	rename_file(b, "INBOX/cur", 0, "INBOX/cur", "FPT");
	assert_true(bench_info(b, "INBOX", &list)->touched);
	mailbox_list_release(&list);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 1);
	assert_string_equal(bench_flags(&c, c.v[0].flags, &text),
			    "\\Flagged \\Deleted $Forwarded $Kept");
	assert_string_equal(bench_flags(&c, c.v[0].base_flags, &text), "\\Seen $Kept");
	changes_release(&c);
	/* Not in order again until somebody changes them back. */
	bench_reopen(b);
	assert_true(bench_info(b, "INBOX", &list)->touched);
	mailbox_list_release(&list);
	rename_file(b, "INBOX/cur", 0, "INBOX/cur", "S");
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.v[0].flags, c.v[0].base_flags);
	changes_release(&c);
	bench_reopen(b);
	assert_false(bench_info(b, "INBOX", &list)->touched);
	mailbox_list_release(&list);
	buf_release(&text);
}

static void test_setting_flags_back_renames_the_file(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct put put = { .body = bytes_of("x\r\n"), .flags = "\\Seen" };
	struct flag_delta delta = { FLAGS_INIT, FLAGS_INIT };
	struct uidset one = set_of("1");
	struct err err = { 0 };
	struct changes c;
	char *file;

	bench_put(mb, 1, &put, NULL);
	bench_commit(b);
	rename_file(b, "INBOX/cur", 0, "INBOX/new", "");
	flags_add(&delta.add, bytes_of("\\Seen"));
	must(mailbox_change_flags(mb, &one, &delta, &err), &err);
	bench_commit(b);
	file = mdir_file(b, "INBOX/cur", 0);
	assert_string_equal(strrchr(file, ':'), ":2,S");
	free(file);
	bench_changes(mb, &c);
	assert_int_equal(c.v[0].flags, c.v[0].base_flags);
	changes_release(&c);
	flags_release(&delta.add);
	uidset_release(&one);
}

static void test_a_missing_file_is_named_and_taken_again(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct changes c;
	char *file;

	bench_put_text(mb, 4, "a\r\n");
	bench_put_text(mb, 5, "b\r\n");
	bench_commit(b);
	bench_reopen(b);
	mb = bench_find(b, "INBOX");
	file = mdir_file(b, "INBOX/cur", 0);
	assert_int_equal(unlink(file), 0);
	free(file);
	bench_changes(mb, &c);
	assert_int_equal(c.n, 1);
	assert_int_equal(uidset_count(&c.missing), 1);
	assert_true(uidset_has(&c.missing, 4) || uidset_has(&c.missing, 5));
	bench_put_text(mb, uidset_min(&c.missing), "a\r\n");
	changes_release(&c);
	bench_commit(b);
	bench_reopen(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 2);
	assert_true(uidset_is_empty(&c.missing));
	changes_release(&c);
	assert_int_equal(mdir_count(b, "INBOX/cur"), 2);
}

static void test_a_missing_file_takes_no_date_from_another(void **state)
{
	struct bench *b = mdir_bench(state);
	struct changes c;
	struct changes_request req = { .describe = true, .out = &c };
	struct err err = { 0 };
	char *file;

	for (uint32_t uid = 1; uid <= 3; uid++) {
		char *date = xasprintf(" 1-Jan-1970 00:00:0%u +0000", uid);
		struct put put = { .body = bytes_of("x"), .date = date };

		bench_put(bench_mailbox(b, "INBOX"), uid, &put, NULL);
		free(date);
	}
	bench_commit(b);
	bench_reopen(b);
	file = mdir_file(b, "INBOX/cur", 0);
	assert_int_equal(unlink(file), 0);
	req.mailbox = bench_find(b, "INBOX");
	changes_init(&c);
	must(store_changes(b->st, &req, 1, &err), &err);
	assert_int_equal(c.n, 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(c.dates[i] == c.v[i].source_uid);
	changes_release(&c);
	free(file);
}

/* Its row waits for a message that will not come under that UID any more. */
static void test_a_missing_file_is_forgotten_with_the_uids(void **state)
{
	static const uint32_t from[] = { 1, 2, 3 }, to[] = { 2, 3, 4 };
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct err err = { 0 };
	struct checked found;
	struct changes c;
	char *file;

	for (uint32_t uid = 1; uid <= 3; uid++)
		bench_put_text(mb, uid, "x");
	bench_commit(b);
	bench_reopen(b);
	mb = bench_find(b, "INBOX");
	file = mdir_file(b, "INBOX/cur", 0);
	assert_int_equal(unlink(file), 0);
	bench_changes(mb, &c);
	assert_int_equal(c.n, 2);
	changes_release(&c);
	must(mailbox_renumber(mb, from, to, 3, &err), &err);
	bench_commit(b);
	bench_close(b);
	check_now(b, &found, true);
	check_says(&found, "");
	checked_release(&found);
	bench_open(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(c.v[i].source_uid, c.v[i].uid + 1);
	changes_release(&c);
	free(file);
}

static void test_a_removed_directory_is_made_again(void **state)
{
	struct bench *b = mdir_bench(state);
	char *dir = mdir_path(b, "a");
	struct changes c;

	bench_put_text(bench_mailbox(b, "a"), 1, "x");
	bench_commit(b);
	bench_close(b);
	remove_tree(dir);
	free(dir);
	bench_open(b);
	bench_changes(bench_find(b, "a"), &c);
	assert_int_equal(c.n, 0);
	assert_int_equal(uidset_count(&c.missing), 1);
	changes_release(&c);
	bench_put_text(bench_find(b, "a"), 1, "x");
	bench_commit(b);
	assert_int_equal(bench_live(b), 1);
}

/* The rule of the documentation, by somebody who has no index. */
static void read_by_rule(const char *path, struct buf *out)
{
	struct buf file = BUF_INIT(SIZE_MAX / 4);
	const char *name = strrchr(path, '/') + 1;
	bool exact;

	read_file(path, &file);
	exact = (file.n > 0 && memmem(file.p, file.n, "\r\n", 2)) || strstr(name, ",X:");
	for (size_t i = 0; i < file.n; i++) {
		if (!exact && file.p[i] == '\n')
			buf_add_byte(out, '\r');
		buf_add_byte(out, file.p[i]);
	}
	buf_release(&file);
}

static void test_without_the_index_the_bytes_are_still_there(void **state)
{
	static const char *const bodies[] = {
		"", "a", "a\r\nb\r\n", "a\nb\n", "a\r\nb\n", "a\r\r\n", "\n", "\r\n", "\r",
		"a\rb\r\n",
		"\r\n\n", "\n\r\n", "\r\n\r", "a\n\r", "\xff\x80\r\n",
	};
	const size_t n = sizeof(bodies) / sizeof(bodies[0]);
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");

	for (size_t i = 0; i < n; i++) {
		struct buf got = BUF_INIT(4096);
		char *file;

		/* One at a time, so that the file is known. */
		struct uidset all = set_of("1:4294967295");
		struct err err = { 0 };

		must(mailbox_expunge(mb, &all, &err), &err);
		bench_put_text(mb, (uint32_t)i + 1, bodies[i]);
		bench_commit(b);
		file = mdir_file(b, "INBOX/cur", 0);
		read_by_rule(file, &got);
		if (!bytes_is(buf_bytes(&got), bodies[i]))
			fail_msg("body %zu: %s", i, file);
		free(file);
		buf_release(&got);
		uidset_release(&all);
	}
	assert_int_equal(mdir_count(b, "INBOX/cur"), 1);
}

static void test_names_and_times_of_files_are_those_of_a_maildir(void **state)
{
	struct bench *b = mdir_bench(state);
	struct put put = { .body = bytes_of("a\r\nb\r\n"), .flags = "\\Seen \\Draft" };
	struct stat sb;
	char *file;

	bench_put(bench_mailbox(b, "INBOX"), 1, &put, NULL);
	bench_commit(b);
	file = mdir_file(b, "INBOX/cur", 0);
	assert_non_null(strstr(file, ",S=4:2,DS"));
	assert_int_equal(stat(file, &sb), 0);
	assert_int_equal(sb.st_mtime, 837596665); /* PUT_DATE */
	assert_int_equal(sb.st_size, 4);
	assert_int_equal(sb.st_mode & 0777, 0600);
	free(file);
	file = path_join(b->cfg.path, "mailcask.db");
	assert_int_equal(stat(file, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	free(file);
	assert_int_equal(mdir_count(b, "INBOX/tmp"), 0);
}

static void test_dovecot_sees_keywords_and_we_see_its(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct put early = { .body = bytes_of("early\r\n"), .flags = "$Label1" };
	struct put late = { .body = bytes_of("late\r\n"), .flags = "\\Seen $Label1 $New" };
	struct buf text = BUF_INIT(4096);
	struct changes c;
	char *path = mdir_path(b, "INBOX/dovecot-keywords"), *file;

	bench_put(mb, 1, &early, NULL); /* before Dovecot ever looked */
	bench_commit(b);
	write_file(path, bytes_of("0 $Label1\n2 $Other\n"));
	bench_reopen(b);
	mb = bench_find(b, "INBOX");
	bench_put(mb, 2, &late, NULL);
	bench_commit(b);
	file = mdir_file(b, "INBOX/cur", 1);
	assert_string_equal(strrchr(file, ':'), ":2,Sab");
	free(file);
	read_file(path, &text);
	assert_string_equal(buf_str(&text), "0 $Label1\n1 $New\n2 $Other\n");
	rename_file(b, "INBOX/cur", 1, "INBOX/cur", "Sbcz");
	bench_changes(mb, &c);
	assert_string_equal(bench_flags(&c, c.v[0].flags, &text), "$Label1");
	assert_string_equal(bench_flags(&c, c.v[1].flags, &text), "\\Seen $New $Other");
	changes_release(&c);
	buf_release(&text);
	free(path);
}

static void test_a_link_to_nothing_is_a_missing_disk(void **state)
{
	struct bench *b = mdir_bench(state);
	struct store_identity id;
	struct err err = { 0 };

	bench_close(b);
	remove_tree(b->path);
	assert_int_equal(symlink("/nonexistent/disk", b->path), 0);
	assert_int_equal(maildir_store.identify(&b->cfg, &id, &err), -1);
	assert_non_null(strstr(err.text, "symbolic link to nothing"));
	unlink(b->path);
}

static void test_a_newer_format_is_refused(void **state)
{
	struct bench *b = mdir_bench(state);
	struct store *st;
	struct err err = { 0 };

	bench_close(b);
	mdir_sql(b, "PRAGMA user_version = 99");
	assert_int_equal(store_open(&maildir_store, &st, &b->cfg, STORE_WRITE, &err), -1);
	assert_non_null(strstr(err.text, "newer version"));
}

/* Version 1 did not know when a message in quarantine was last tried, 2 no identities, 3 no MAILBOXID. */
static void upgrade_from(void **state, const char *make_old, int64_t last)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	char reason[] = "no";
	struct quarantined q = { .uid = 9, .reason = reason, .attempts = 3, .last = 77 };
	struct base given = { .mailboxid = "F1", .quarantine = &q, .n_quarantine = 1 }, got;
	const struct put known = { .body = bytes_of("stored later"), .identity = "emailid=M1" };
	struct mailbox_list list;
	struct checked found;
	struct held held;
	struct gots all;
	struct err err = { 0 };
	bool any;

	base_init(&got);
	must(mailbox_set_base(mb, &given, &err), &err);
	bench_put_text(mb, 4, "stored then");
	bench_commit(b);
	bench_close(b);
	mdir_sql(b, make_old);
	bench_open_as(b, STORE_READ);
	must(mailbox_open(b->st, bench_info(b, "INBOX", &list), STORE_READ, &mb, &err), &err);
	must(mailbox_base(mb, &got, &err), &err);
	mailbox_list_release(&list);
	assert_int_equal(got.quarantine[0].attempts, 3);
	assert_int_equal(got.quarantine[0].last, last);
	assert_string_equal(got.mailboxid, "");
	bench_fetch_all(mb, &all);
	assert_int_equal(all.n, 1);
	assert_string_equal(buf_str(&all.v[0].body), "stored then");
	gots_release(&all);
	must(store_holds_identities(b->st, &any, &err), &err);
	assert_false(any);
	assert_int_equal(store_find_identity(b->st, bytes_of("emailid=M1"), &held, &err), 0);
	bench_close(b);
	check_now(b, &found, false);
	check_says(&found, "");
	checked_release(&found);
	bench_reopen(b); /* to write */
	mb = bench_find(b, "INBOX");
	must(mailbox_set_base(mb, &given, &err), &err);
	bench_put(mb, 5, &known, NULL);
	bench_commit(b);
	bench_reopen(b);
	assert_int_equal(store_find_identity(b->st, bytes_of("emailid=M1"), &held, &err), 1);
	must(mailbox_base(bench_find(b, "INBOX"), &got, &err), &err);
	assert_int_equal(got.quarantine[0].last, 77);
	assert_string_equal(got.mailboxid, "F1");
	base_release(&got);
	bench_close(b);
	check_now(b, &found, false);
	check_says(&found, "");
	checked_release(&found);
	bench_reopen(b);
}

#define NO_MAILBOXID "ALTER TABLE mailboxes DROP COLUMN mailboxid;"

static void test_a_store_of_version_1_is_read_and_upgraded_by_the_first_write(void **state)
{
	upgrade_from(state, NO_MAILBOXID "DROP INDEX messages_identity;"
			    "ALTER TABLE messages DROP COLUMN identity;"
			    "ALTER TABLE quarantine DROP COLUMN last; PRAGMA user_version = 1", 0);
}

static void test_a_store_of_version_2_is_read_and_upgraded_by_the_first_write(void **state)
{
	upgrade_from(state, NO_MAILBOXID "DROP INDEX messages_identity;"
			    "ALTER TABLE messages DROP COLUMN identity;"
			    "PRAGMA user_version = 2", 77);
}

static void test_a_store_of_version_3_is_read_and_upgraded_by_the_first_write(void **state)
{
	upgrade_from(state, NO_MAILBOXID "PRAGMA user_version = 3", 77);
}

static void test_the_other_layout_is_refused(void **state)
{
	struct bench *b = mdir_bench(state);
	struct store *st;
	struct err err = { 0 };

	bench_close(b);
	b->cfg.layout = "maildir++";
	assert_int_equal(store_open(&maildir_store, &st, &b->cfg, STORE_WRITE, &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
}

static void test_maildirplusplus_has_dots_and_its_mark(void **state)
{
	struct bench *b = mdir_bench(state);

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x");
	bench_put_text(bench_mailbox(b, "a/b.c"), 1, "x");
	bench_commit(b);
	assert_int_equal(mdir_count(b, "cur"), 1);
	assert_int_equal(mdir_count(b, ".a.b%2Ec/cur"), 1);
	assert_int_equal(mdir_count(b, ".a.b%2Ec"), 4);
}

/* A file size limit stands for a full disk: writing fails in the middle. */
static void test_a_full_disk_loses_nothing_that_was_committed(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct rlimit was, limit;
	struct message_sink sink;
	struct message msg = { .uid = 2 };
	struct buf body = BUF_INIT(SIZE_MAX / 4);
	struct err err = { 0 };
	void *handle;

	bench_put_text(mb, 1, "kept\r\n");
	bench_commit(b);
	while (body.n < 2000000)
		buf_add_str(&body, "a line that makes a message large\r\n");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	limit = (struct rlimit){ 1500000, was.rlim_max };
	setrlimit(RLIMIT_FSIZE, &limit);
	must(mailbox_append(mb, NULL, NULL, NULL, &sink, &err), &err);
	must(sink.begin(sink.ctx, NULL, &msg, &handle, &err), &err);
	int ret = sink.write(sink.ctx, handle, buf_bytes(&body), &err);

	if (ret < 0)
		assert_int_equal(sink.end(sink.ctx, handle, NULL, false, &err), 0);
	else
		ret = sink.end(sink.ctx, handle, &msg, true, &err);
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(ret, -1);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_int_equal(mdir_count(b, "INBOX/tmp"), 0);
	bench_reopen(b);
	assert_int_equal(bench_live(b), 1);
	assert_int_equal(mdir_count(b, "INBOX/cur"), 1);
	buf_release(&body);
}

static void test_a_failed_commit_leaves_the_last_one(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct rlimit was, limit;
	struct err err = { 0 };

	bench_put_text(mb, 1, "kept\r\n");
	bench_commit(b);
	bench_put_text(mb, 2, "lost\r\n");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	limit = (struct rlimit){ 100, was.rlim_max };
	setrlimit(RLIMIT_FSIZE, &limit);
	int ret = store_commit(b->st, &err);

	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(ret, -1);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_int_equal(store_commit(b->st, &err), -1); /* and stays so until it is opened again */
	bench_reopen(b);
	assert_int_equal(bench_live(b), 1);
	assert_int_equal(mdir_count(b, "INBOX/cur"), 1);
	assert_int_equal(mdir_count(b, "INBOX/tmp"), 0);
}

/* A statement that fails takes its transaction along; the next one must not stand alone. */
static void test_nothing_is_written_after_a_lost_transaction(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	char *reason = xcalloc(1, 12000000);
	struct quarantined q = { .uid = 9, .reason = reason };
	struct base large = { .quarantine = &q, .n_quarantine = 1 }, base;
	struct rlimit was, limit;
	struct err err = { 0 };

	bench_put_text(mb, 1, "kept\r\n");
	bench_commit(b);
	bench_put_text(mb, 2, "lost\r\n");
	memset(reason, 'x', 11999999);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	limit = (struct rlimit){ 4000000, was.rlim_max };
	setrlimit(RLIMIT_FSIZE, &limit);
	int ret = mailbox_set_base(mb, &large, &err);

	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(ret, -1);
	assert_int_equal(err.kind, ERR_FATAL);
	base_init(&base);
	base.token = (struct token){ .known = true, .uidvalidity = 1, .uidnext = 3 };
	base.known = set_of("1:2");
	assert_int_equal(mailbox_set_base(mb, &base, &err), -1);
	assert_int_equal(store_commit(b->st, &err), -1);
	base_release(&base);
	bench_reopen(b);
	assert_int_equal(bench_live(b), 1);
	must(mailbox_base(bench_find(b, "INBOX"), &base, &err), &err);
	assert_false(base.token.known);
	base_release(&base);
	free(reason);
}

static void test_a_message_is_not_left_in_tmp_when_cur_is_removed(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	char *cur = mdir_path(b, "INBOX/cur");
	struct gots got;

	bench_commit(b);
	bench_put_text(mb, 1, "here\r\n");
	assert_int_equal(rmdir(cur), 0);
	bench_commit(b);
	assert_int_equal(mdir_count(b, "INBOX/cur"), 1);
	bench_reopen(b);
	bench_fetch_all(bench_find(b, "INBOX"), &got);
	assert_int_equal(got.n, 1);
	assert_string_equal(buf_str(&got.v[0].body), "here\r\n");
	gots_release(&got);
	free(cur);
}

/* B lies there already, because of B/c: A cannot become that very directory. */
static void test_a_mailbox_is_renamed_beside_a_directory_that_is_there(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox_name from = MAILBOX_NAME_INIT, to = MAILBOX_NAME_INIT;
	struct err err = { 0 };
	struct gots got;

	bench_put_text(bench_mailbox(b, "A"), 1, "moved\r\n");
	bench_put_text(bench_mailbox(b, "B/c"), 1, "stays\r\n");
	must(mailbox_name_from_display(&from, bytes_of("A"), &err), &err);
	must(mailbox_name_from_display(&to, bytes_of("B"), &err), &err);
	must(store_rename(b->st, &from, &to, &err), &err);
	bench_reopen(b);
	bench_fetch_all(bench_find(b, "B"), &got);
	assert_int_equal(got.n, 1);
	assert_string_equal(buf_str(&got.v[0].body), "moved\r\n");
	gots_release(&got);
	assert_int_equal(bench_live(b), 2);
	mailbox_name_release(&from);
	mailbox_name_release(&to);
}

static void rename_box(struct bench *b, const char *from_name, const char *to_name)
{
	struct mailbox_name from = MAILBOX_NAME_INIT, to = MAILBOX_NAME_INIT;
	struct err err = { 0 };

	must(mailbox_name_from_display(&from, bytes_of(from_name), &err), &err);
	must(mailbox_name_from_display(&to, bytes_of(to_name), &err), &err);
	must(store_rename(b->st, &from, &to, &err), &err);
	mailbox_name_release(&from);
	mailbox_name_release(&to);
}

static void assert_holds(struct bench *b, const char *mailbox, const char *text)
{
	struct gots got;

	bench_fetch_all(bench_find(b, mailbox), &got);
	assert_int_equal(got.n, 1);
	assert_string_equal(buf_str(&got.v[0].body), text);
	gots_release(&got);
}

/* X becomes A beside the directory of A/w; so A/w stays there when A becomes B. */
static void leave_b_w_in_a(struct bench *b)
{
	bench_put_text(bench_mailbox(b, "A/w"), 1, "in A/w\r\n");
	bench_put_text(bench_mailbox(b, "X"), 1, "moved\r\n");
	bench_commit(b);
	rename_box(b, "X", "A");
	rename_box(b, "A", "B");
}

static void test_a_mailbox_is_renamed_to_what_would_lie_in_its_own_directory(void **state)
{
	struct bench *b = mdir_bench(state);
	struct checked found;

	leave_b_w_in_a(b);
	rename_box(b, "B/w", "A/w/deep");
	bench_reopen(b);
	assert_holds(b, "A/w/deep", "in A/w\r\n");
	assert_holds(b, "B", "moved\r\n");
	bench_close(b);
	check_now(b, &found, false);
	check_says(&found, "");
	checked_release(&found);
	bench_reopen(b);
}

static void test_what_lies_in_a_directory_goes_along_whatever_it_is_called(void **state)
{
	struct bench *b = mdir_bench(state);
	struct checked found;

	leave_b_w_in_a(b);
	bench_put_text(bench_mailbox(b, "A"), 1, "another\r\n");
	bench_commit(b);
	rename_box(b, "A", "C");
	bench_reopen(b);
	assert_holds(b, "B/w", "in A/w\r\n");
	assert_holds(b, "C", "another\r\n");
	assert_int_equal(bench_live(b), 3);
	bench_close(b);
	check_now(b, &found, false);
	check_says(&found, "");
	checked_release(&found);
	bench_reopen(b);
}

/* The lock's content says that tmp directories are to be cleaned. */
static void test_a_full_disk_does_not_hide_that_a_run_was_stopped(void **state)
{
	struct bench *b = mdir_bench(state);
	char *lock = mdir_path(b, "mailcask.lock");
	struct buf text = BUF_INIT(4096);
	struct rlimit was, limit;
	struct err err = { 0 };

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x");
	bench_commit(b);
	bench_put_text(bench_mailbox(b, "INBOX"), 2, "litter");
	bench_close(b);
	assert_int_equal(mdir_count(b, "INBOX/tmp"), 1);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	limit = (struct rlimit){ 0, was.rlim_max };
	setrlimit(RLIMIT_FSIZE, &limit);
	int ret = store_open(&maildir_store, &b->st, &b->cfg, STORE_WRITE, &err);

	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(ret, -1);
	read_file(lock, &text);
	assert_true(text.n > 0);
	b->st = NULL;
	bench_open(b);
	assert_int_equal(mdir_count(b, "INBOX/tmp"), 0);
	buf_release(&text);
	free(lock);
}

static void test_many_mailboxes_need_few_descriptors(void **state)
{
	struct bench *b = mdir_bench(state);
	struct rlimit was, limit;
	char name[16];

	getrlimit(RLIMIT_NOFILE, &was);
	limit = (struct rlimit){ 230, was.rlim_max };
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < 120; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		bench_put_text(bench_mailbox(b, name), 1, name);
	}
	bench_commit(b);
	bench_reopen(b);
	assert_int_equal(bench_live(b), 120);
	setrlimit(RLIMIT_NOFILE, &was);
}

static void test_every_commit_has_its_generation(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct store_identity id;
	struct err err = { 0 };
	uint64_t last = 0;

	for (uint32_t uid = 1; uid <= 3; uid++) {
		bench_put_text(mb, uid, "x");
		bench_commit(b);
		must(maildir_store.identify(&b->cfg, &id, &err), &err);
		assert_true(id.generation > last);
		last = id.generation;
		store_identity_release(&id);
	}
}

static void test_keeping_twice_counts_once_and_kept_copies_are_not_live(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset one = set_of("1"), two = set_of("2");
	struct removal removal = { .mailbox = mb, .set = &two };
	struct mailbox_list list = { 0 };
	struct err err = { 0 };

	bench_put_text(mb, 1, "same");
	bench_put_text(mb, 2, "same");
	bench_commit(b);
	must(store_count_lost(b->st, &removal, 1, &err), &err);
	assert_int_equal(removal.lost, 0);
	must(mailbox_keep(mb, &one, true, &err), &err);
	must(mailbox_keep(mb, &one, true, &err), &err);
	bench_commit(b);
	assert_int_equal(bench_info(b, "INBOX", &list)->held, 1);
	must(store_count_lost(b->st, &removal, 1, &err), &err);
	assert_int_equal(removal.lost, 1);
	mailbox_list_release(&list);
	uidset_release(&one);
	uidset_release(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOR(&fs, test_flags_others_change_are_seen_and_the_base_stays),
		FOR(&fs, test_setting_flags_back_renames_the_file),
		FOR(&fs, test_a_missing_file_is_named_and_taken_again),
		FOR(&fs, test_a_missing_file_takes_no_date_from_another),
		FOR(&fs, test_a_missing_file_is_forgotten_with_the_uids),
		FOR(&fs, test_a_removed_directory_is_made_again),
		FOR(&fs, test_without_the_index_the_bytes_are_still_there),
		FOR(&fs, test_names_and_times_of_files_are_those_of_a_maildir),
		FOR(&fs, test_dovecot_sees_keywords_and_we_see_its),
		FOR(&fs, test_a_link_to_nothing_is_a_missing_disk),
		FOR(&fs, test_a_newer_format_is_refused),
		FOR(&fs, test_a_store_of_version_1_is_read_and_upgraded_by_the_first_write),
		FOR(&fs, test_a_store_of_version_2_is_read_and_upgraded_by_the_first_write),
		FOR(&fs, test_a_store_of_version_3_is_read_and_upgraded_by_the_first_write),
		FOR(&fs, test_the_other_layout_is_refused),
		FOR(&fs, test_a_full_disk_loses_nothing_that_was_committed),
		FOR(&fs, test_a_failed_commit_leaves_the_last_one),
		FOR(&fs, test_nothing_is_written_after_a_lost_transaction),
		FOR(&fs, test_a_message_is_not_left_in_tmp_when_cur_is_removed),
		FOR(&fs, test_a_mailbox_is_renamed_beside_a_directory_that_is_there),
		FOR(&fs, test_a_mailbox_is_renamed_to_what_would_lie_in_its_own_directory),
		FOR(&fs, test_what_lies_in_a_directory_goes_along_whatever_it_is_called),
		FOR(&fs, test_a_full_disk_does_not_hide_that_a_run_was_stopped),
		FOR(&fs, test_many_mailboxes_need_few_descriptors),
		FOR(&fs, test_every_commit_has_its_generation),
		FOR(&fs, test_keeping_twice_counts_once_and_kept_copies_are_not_live),
		FOR(&plus, test_maildirplusplus_has_dots_and_its_mark),
	};

	return cmocka_run_group_tests_name("maildir", tests, NULL, NULL);
}
