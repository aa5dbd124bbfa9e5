/* Checking a Maildir: every kind of damage is found and named, and nothing else is taken for damage. */
#include <fcntl.h>
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
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/sync/check.h"
#include "tests/lib/check_rig.h"
#include "tests/lib/conformance.h"
#include "tests/lib/maildir_rig.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static const struct store_under_test fs = { "maildir, fs", &maildir_store, "fs" };
static const struct store_under_test plus = { "maildir, maildir++", &maildir_store, "maildir++" };

/* UIDs 1 to 4 in INBOX, all line forms; 1 kept and 1 live in Work; an empty one. */
static void fill(struct bench *b)
{
	struct mailbox *inbox = bench_mailbox(b, "INBOX"), *work = bench_mailbox(b, "Work");
	struct uidset first = set_of("1");
	struct err err = { 0 };

	bench_put_text(inbox, 11, "Subject: one\r\n\r\nlines\r\nof it\r\n");
	bench_put_text(inbox, 12, "bare\nonly\n");
	bench_put_text(inbox, 13, "mixed\r\nand\nbare");
	bench_put_text(inbox, 14, "");
	bench_put_text(work, 1, "to be kept\r\n");
	bench_put_text(work, 2, "live\r\n");
	bench_mailbox(b, "empty");
	bench_commit(b);
	must(mailbox_keep(work, &first, false, &err), &err);
	bench_commit(b);
	uidset_release(&first);
	bench_close(b);
}

static const char *inbox_cur(const struct bench *b)
{
	return strcmp(b->sut->layout, "fs") == 0 ? "INBOX/cur" : "cur";
}

static const char *work_cur(const struct bench *b)
{
	return strcmp(b->sut->layout, "fs") == 0 ? "Work/cur" : ".Work/cur";
}

/* The file of INBOX whose content begins so. */
static char *file_holding(const struct bench *b, const char *dir, const char *text)
{
	for (size_t i = 0; i < mdir_count(b, dir); i++) {
		struct buf content = BUF_INIT(1 << 20);
		char *file = mdir_file(b, dir, i);
		bool found;

		read_file(file, &content);
		found = *text ? strncmp(buf_str(&content), text, strlen(text)) == 0 : content.n == 0;
		buf_release(&content);
		if (found)
			return file;
		free(file);
	}
	fail_msg("no file begins with %s", text);
	return NULL;
}

static void test_a_sound_store_has_no_findings(void **state)
{
	struct bench *b = mdir_bench(state);
	struct checked got;

	fill(b);
	check_now(b, &got, true);
	check_says(&got, "");
	assert_int_equal(got.ck.mailboxes, 3);
	assert_int_equal(got.ck.messages, 6);
	assert_int_equal(got.ck.compared, 6);
	assert_int_equal(got.ck.read, 6);
	assert_int_equal(got.ck.to_read, 6);
	assert_true(got.ck.read_bytes == got.ck.bytes && got.ck.bytes > 0);
	assert_int_equal(got.ck.foreign, 0);
	assert_false(got.ck.cut_short);
	assert_false(got.ck.in_use);
	checked_release(&got);
}

/* Names, sizes and times of all files, without SQLite's own, which come and go. */
static void describe(const struct bench *b, struct buf *out)
{
	struct name_list files = { 0 };

	tree_files(b->path, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *path = path_join(b->path, files.name[i]);
		struct stat sb;

		assert_int_equal(stat(path, &sb), 0);
		if (!strstr(path, "mailcask.db-"))
			buf_addf(out, "%s %lld %lld.%09ld\n", files.name[i], (long long)sb.st_size,
				 (long long)sb.st_ctim.tv_sec, sb.st_ctim.tv_nsec);
		free(path);
	}
	name_list_release(&files);
}

static void test_checking_changes_nothing(void **state)
{
	struct bench *b = mdir_bench(state);
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct checked got;

	fill(b);
	describe(b, &before);
	check_now(b, &got, true);
	checked_release(&got);
	describe(b, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	buf_release(&before);
	buf_release(&after);
}

static void test_a_missing_file_is_named(void **state)
{
	struct bench *b = mdir_bench(state);
	struct checked got;
	char *file;

	fill(b);
	file = file_holding(b, inbox_cur(b), "mixed");
	assert_int_equal(unlink(file), 0);
	check_now(b, &got, false);
	check_says(&got, "damage INBOX 3 its file is missing\n");
	check_advises(&got, "The next backup fetches");
	file[strcspn(file, ":")] = '\0';
	assert_non_null(strstr(got.files, strrchr(file, '/')));
	checked_release(&got);
	/* Reading all does not name it twice. */
	check_now(b, &got, true);
	check_says(&got, "damage INBOX 3 its file is missing\n");
	assert_int_equal(got.ck.read, 5);
	checked_release(&got);
	free(file);
}

static void test_a_missing_directory_is_every_message_in_it(void **state)
{
	struct bench *b = mdir_bench(state);
	struct checked got;
	char *dir;

	fill(b);
	dir = mdir_path(b, work_cur(b));
	remove_tree(dir);
	free(dir);
	check_now(b, &got, true);
	check_says(&got, "damage Work 1 its file is missing\ndamage Work 2 its file is missing\n");
	/* One was kept, so it is gone at the account; the other is there. */
	assert_non_null(strstr(got.advice, "another copy of this store"));
	assert_non_null(strstr(got.advice, "The next backup fetches"));
	checked_release(&got);
}

static void test_a_cut_or_longer_file_is_found_without_reading(void **state)
{
	static const char *const texts[] = { "Subject: one", "bare", "mixed", "" };
	struct bench *b = mdir_bench(state);

	fill(b);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *file = file_holding(b, inbox_cur(b), texts[i]);
		char *want = xasprintf("damage INBOX %zu its file is longer than it was when stored\n",
				       i + 1);
		struct buf content = BUF_INIT(1 << 20);
		struct checked got;

		read_file(file, &content);
		buf_add_str(&content, "\n");
		write_file(file, buf_bytes(&content));
		check_now(b, &got, false);
		check_says(&got, want);
		check_advises(&got, "Move the damaged ones");
		checked_release(&got);
		check_now(b, &got, true); /* and not told a second time when it is read */
		check_says(&got, want);
		checked_release(&got);
		write_file(file, bytes_from(content.p, content.n - 1));
		free(want);
		if (content.n > 1) {
			want = xasprintf(
				"damage INBOX %zu its file is shorter than it was when stored\n",
				i + 1);
			write_file(file, bytes_from(content.p, content.n - 2));
			check_now(b, &got, false);
			check_says(&got, want);
			checked_release(&got);
			write_file(file, bytes_from(content.p, content.n - 1));
			free(want);
		}
		buf_release(&content);
		free(file);
	}
}

static void test_every_flipped_bit_is_found_by_reading(void **state)
{
	static const char *const texts[] = { "Subject: one", "bare", "mixed" };
	struct bench *b = mdir_bench(state);

	fill(b);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *file = file_holding(b, inbox_cur(b), texts[i]);
		struct buf content = BUF_INIT(1 << 20);

		read_file(file, &content);
		for (size_t at = 0; at < content.n; at++) {
			uint8_t bit = (uint8_t)(1u << (at % 8));
			char *want = xasprintf("INBOX %zu it", i + 1);
			struct checked got;

			content.p[at] ^= bit;
			write_file(file, buf_bytes(&content));
			check_now(b, &got, true);
			if (got.ck.findings[FINDING_DAMAGE] != 1 || !strstr(got.text, want))
				fail_msg("byte %zu of %s: %s", at, file, got.text);
			checked_release(&got);
			content.p[at] ^= bit;
			free(want);
		}
		write_file(file, buf_bytes(&content));
		buf_release(&content);
		free(file);
	}
}

static void test_what_cannot_come_back_from_the_account_says_so(void **state)
{
	struct bench *b = mdir_bench(state);
	struct checked got;
	char *file;

	fill(b);
	file = file_holding(b, work_cur(b), "to be kept");
	write_file(file, bytes_of("to be KEPT\n"));
	check_now(b, &got, true);
	check_says(&got, "damage Work 1 its content is not what was stored\n");
	check_advises(&got, "another copy of this store");
	checked_release(&got);
	free(file);
}

static void test_something_else_in_the_place_of_a_file_is_found(void **state)
{
	struct bench *b = mdir_bench(state);
	struct checked got;
	char *file;

	fill(b);
	file = file_holding(b, inbox_cur(b), "mixed");
	assert_int_equal(unlink(file), 0);
	assert_int_equal(symlink("/etc/passwd", file), 0);
	check_now(b, &got, true);
	check_says(&got, "damage INBOX 3 its file is missing\n");
	checked_release(&got);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkfifo(file, 0600), 0);
	check_now(b, &got, true);
	check_says(&got, "damage INBOX 3 its file is missing\n");
	checked_release(&got);
	free(file);
}

static void test_what_readers_and_others_do_is_no_damage(void **state)
{
	struct bench *b = mdir_bench(state);
	struct checked got;
	char *file, *to, *path;

	fill(b);
	/* Letters changed, and moved to new. */
	file = file_holding(b, inbox_cur(b), "mixed");
	to = xasprintf("%.*sRT", (int)strlen(file), file);
	assert_int_equal(rename(file, to), 0);
	free(file);
	free(to);
	file = file_holding(b, inbox_cur(b), "bare");
	path = xasprintf("%s/%s", strcmp(b->sut->layout, "fs") == 0 ? "INBOX/new" : "new",
			 strrchr(file, '/') + 1);
	path[strcspn(path, ":")] = '\0';
	to = mdir_path(b, path);
	assert_int_equal(rename(file, to), 0);
	free(to);
	free(file);
	free(path);
	path = xasprintf("%s/other.message", inbox_cur(b));
	mdir_put(b, path, "not ours");
	check_now(b, &got, true);
	check_says(&got, "");
	assert_int_equal(got.ck.foreign, 1);
	assert_int_equal(got.ck.read, 6);
	checked_release(&got);
	free(path);
}

static void test_an_index_that_disagrees_with_itself_is_found(void **state)
{
	static const struct {
		const char *sql, *undo, *want;
	} cases[] = {
		{ "UPDATE mailboxes SET stored = stored + 1 WHERE name = X'576F726B00'",
		  "UPDATE mailboxes SET stored = stored - 1 WHERE name = X'576F726B00'",
		  "damage Work 0 the index counts 2 stored messages and has 1\n" },
		{ "UPDATE mailboxes SET kept = 0, held = 1 WHERE name = X'576F726B00'",
		  "UPDATE mailboxes SET kept = 1, held = 0 WHERE name = X'576F726B00'",
		  "damage Work 0 the index counts 0 kept messages and has 1\n"
		  "damage Work 0 the index counts 1 messages held back and has 0\n" },
		{ "UPDATE mailboxes SET pending = 3 WHERE name = X'576F726B00'",
		  "UPDATE mailboxes SET pending = 0 WHERE name = X'576F726B00'",
		  "damage Work 0 the index counts 3 messages in quarantine and has 0\n" },
		{ "UPDATE mailboxes SET next_uid = 2 WHERE name = X'576F726B00'",
		  "UPDATE mailboxes SET next_uid = 3 WHERE name = X'576F726B00'",
		  "damage Work 0 the index would give out a UID that is taken\n" },
		{ "UPDATE mailboxes SET max_source = 1 WHERE name = X'576F726B00'",
		  "UPDATE mailboxes SET max_source = 2 WHERE name = X'576F726B00'",
		  "damage Work 0 the index has a message with a higher UID of the account than it "
		  "says\n" },
		{ "UPDATE mailboxes SET known = '3:1x' WHERE name = X'576F726B00'",
		  "UPDATE mailboxes SET known = NULL WHERE name = X'576F726B00'",
		  "damage Work 0 the index cannot say which of the account's messages are known\n" },
		{ "UPDATE mailboxes SET known = '1:5' WHERE name = X'576F726B00'",
		  "UPDATE mailboxes SET known = NULL WHERE name = X'576F726B00'",
		  "damage Work 0 the index counts the account's known messages wrongly\n" },
		{ "INSERT INTO quarantine VALUES (77, 1, 1, '', 1, 1, 0, 1)",
		  "DELETE FROM quarantine",
		  "damage - 0 the index holds 1 quarantined messages of a mailbox that it does not "
		  "know\n" },
		{ "UPDATE messages SET source_uid = 12 WHERE source_uid = 13",
		  "UPDATE messages SET source_uid = 13 WHERE uid = 3",
		  "damage INBOX 0 the index has 2 messages for the account's UID 12\n" },
		{ "UPDATE messages SET size = -1 WHERE source_uid = 13",
		  "UPDATE messages SET size = 15 WHERE source_uid = 13",
		  "damage INBOX 3 what the index says of it makes no sense\n" },
		{ "UPDATE messages SET base = X'2E2E2F' || base WHERE source_uid = 13",
		  "UPDATE messages SET base = substr(base, 4) WHERE source_uid = 13",
		  "damage INBOX 3 what the index says of it makes no sense\n" },
		{ "UPDATE messages SET sha256 = X'00' WHERE source_uid = 14",
		  "UPDATE messages SET sha256 = NULL WHERE source_uid = 14",
		  "damage INBOX 4 what the index says of it makes no sense\n" },
		{ "DROP INDEX messages_kept",
		  "CREATE INDEX messages_kept ON messages (mailbox, sha256) WHERE state = 1",
		  "damage - 0 mailcask.db is damaged: the index messages_kept is missing or "
		  "altered\n" },
	};
	struct bench *b = mdir_bench(state);
	struct checked got;

	fill(b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		mdir_sql(b, cases[i].sql);
		check_now(b, &got, false);
		check_says(&got, cases[i].want);
		check_advises(&got, "--adopt");
		checked_release(&got);
		mdir_sql(b, cases[i].undo);
		check_now(b, &got, false);
		check_says(&got, "");
		checked_release(&got);
	}
	/* What the last undo left: a message of which no checksum is known. */
	check_now(b, &got, true);
	check_says(&got, "");
	assert_int_equal(got.ck.unhashed, 1);
	checked_release(&got);
}

/* Never a crash; and what is reported sound gives the messages as they were. */
static void test_damaged_pages_of_the_index_never_crash_it(void **state)
{
	struct bench *b = mdir_bench(state);
	struct buf db = BUF_INIT(16 << 20);
	char *path = mdir_path(b, "mailcask.db");
	unsigned found = 0, tried = 0;

	fill(b);
	read_file(path, &db);
	for (size_t at = 0; at < db.n; at += 97) {
		struct checked got;

		db.p[at] ^= 0x55;
		write_file(path, buf_bytes(&db));
		tried++;
		if (check_try(b, &got, true) < 0 || got.ck.findings[FINDING_DAMAGE] > 0)
			found++;
		checked_release(&got);
		db.p[at] ^= 0x55;
	}
	write_file(path, buf_bytes(&db));
	print_message("%u of %u\n", found, tried);
	assert_true(found > 0);
	buf_release(&db);
	free(path);
}

static void test_what_a_stopped_run_left_is_no_damage(void **state)
{
	struct bench *b = mdir_bench(state);
	struct checked got;
	char *file, *to, *tmp, *name;

	fill(b);
	/* As after a stop between the commit and the renames: a row whose file is in tmp. */
	file = file_holding(b, inbox_cur(b), "mixed");
	name = xstrdup(strrchr(file, '/') + 1);
	name[strcspn(name, ":")] = '\0';
	tmp = mdir_path(b, strcmp(b->sut->layout, "fs") == 0 ? "INBOX/tmp" : "tmp");
	to = path_join(tmp, name);
	assert_int_equal(rename(file, to), 0);
	mdir_sql(b, "UPDATE mailboxes SET placing_from = 3 WHERE name = X'494E424F5800'");
	mdir_sql(b, "INSERT INTO removals VALUES (NULL, 'Work', X'61', X'')");
	check_now(b, &got, true);
	check_says(&got, "harmless - 0 a run was stopped: 1 messages are stored and yet to be "
			 "moved from tmp to cur\n"
			 "harmless - 0 a run was stopped: 1 removed messages may still have their "
			 "files\n");
	assert_int_equal(got.ck.read, 6);
	checked_release(&got);
	/* Without the mark it would be looked for in cur. */
	mdir_sql(b, "UPDATE mailboxes SET placing_from = next_uid; DELETE FROM removals");
	check_now(b, &got, true);
	check_says(&got, "damage INBOX 3 its file is missing\n");
	checked_release(&got);
	free(file);
	free(to);
	free(tmp);
	free(name);
}

static void test_a_store_in_use_is_checked_as_committed(void **state)
{
	struct bench *b = mdir_bench(state);
	struct uidset some = set_of("2:3");
	struct mailbox *mb;
	struct checked got;
	struct err err = { 0 };

	fill(b);
	bench_open(b);
	mb = bench_find(b, "INBOX");
	bench_put_text(mb, 20, "not committed\r\n");
	must(mailbox_expunge(mb, &some, &err), &err);
	check_now(b, &got, true);
	check_says(&got, "");
	assert_true(got.ck.in_use);
	assert_int_equal(got.ck.read, 6);
	checked_release(&got);
	bench_commit(b);
	check_now(b, &got, true);
	check_says(&got, "");
	assert_int_equal(got.ck.read, 5);
	checked_release(&got);
	uidset_release(&some);
}

/* A run that adds, flags and removes while checks go round: none of it is damage. */
static void test_a_run_at_work_gives_no_false_alarm(void **state)
{
	struct bench *b = mdir_bench(state);
	int64_t until = clock_ms() + 1500;
	unsigned rounds = 0;
	int status = 0;
	pid_t child;

	fill(b);
	child = proc_fork();
	if (child == 0) {
		uint32_t source = 100;

		bench_open(b);
		while (clock_ms() < until) {
			struct mailbox *mb = bench_find(b, "INBOX");
			struct flag_delta delta = { FLAGS_INIT, FLAGS_INIT };
			struct uidset all = set_of("1:4294967295"), old = UIDSET_INIT;
			struct err err = { 0 };

			for (unsigned i = 0; i < 30; i++)
				bench_put_text(mb, source++, "some text\r\n");
			flags_add(source % 2 ? &delta.add : &delta.remove, bytes_of("\\Seen"));
			must(mailbox_change_flags(mb, &all, &delta, &err), &err);
			bench_commit(b);
			uidset_add_range(&old, 1, source - 120);
			must(mailbox_expunge(mb, &old, &err), &err);
			bench_commit(b);
			uidset_release(&all);
			uidset_release(&old);
			flags_release(&delta.add);
			flags_release(&delta.remove);
		}
		bench_close(b);
		_exit(0);
	}
	assert_true(child > 0);
	while (clock_ms() < until) {
		struct checked got;

		check_now(b, &got, rounds % 2);
		check_says(&got, "");
		checked_release(&got);
		rounds++;
	}
	assert_true(proc_wait(child, 30000, &status));
	assert_int_equal(status, 0);
	assert_true(rounds > 5);
}

static void test_limited_runs_come_to_read_everything(void **state)
{
	static const char *const texts[] = { "Subject: one", "bare", "mixed" };
	struct bench *b = mdir_bench(state);
	bool seen[2][5] = { 0 };
	unsigned left = 5, runs = 0;

	fill(b);
	/* So that reading one tells which it was; the empty message stays as it is. */
	for (size_t i = 0; i < 5; i++) {
		char *file = i < 3 ? file_holding(b, inbox_cur(b), texts[i])
				   : mdir_file(b, work_cur(b), i - 3);
		struct buf content = BUF_INIT(1 << 20);

		read_file(file, &content);
		content.p[0] ^= 1;
		write_file(file, buf_bytes(&content));
		buf_release(&content);
		free(file);
	}
	for (; left > 0 && runs < 2000; runs++) {
		struct checked got;
		char mailbox[16];
		unsigned uid;

		check_part(b, &got, 1);
		assert_true(got.ck.cut_short);
		assert_int_equal(got.ck.read, 1);
		assert_int_equal(got.ck.to_read, 6);
		if (sscanf(got.text, "damage %15s %u", mailbox, &uid) == 2) {
			bool *now = &seen[strcmp(mailbox, "Work") == 0][uid];

			left -= !*now;
			*now = true;
		}
		checked_release(&got);
	}
	print_message("%u runs\n", runs);
	assert_int_equal(left, 0);
}

static void test_an_interrupted_check_says_so(void **state)
{
	struct bench *b = mdir_bench(state);
	volatile int stop = 1;
	struct run run = { .stop = &stop };
	struct store_config cfg = { .name = "store", .path = b->path, .run = &run };
	struct check ck = { .read_data = true };
	struct err err = { 0 };

	fill(b);
	assert_int_equal(store_check(b->sut->ops, &cfg, &ck, &err), -1);
	assert_int_equal(err.kind, ERR_STOPPED);
}

/* --- the program --- */

static void run(struct proc_result *res, const char *a1, const char *a2, const char *a3)
{
	const char *argv[] = { program_path(), "check", a1, a2, a3, NULL };
	const char *env[] = { "MAILCASK_CONFIG=/nonexistent", NULL };
	struct proc_opts opts = { .env = env };

	proc_run(res, &opts, argv);
}

static void says(const struct buf *text, const char *part)
{
	if (!strstr(buf_str(text), part))
		test_die("'%s' is not in:\n%s", part, buf_str(text));
}

static void test_the_program_is_silent_about_what_is_sound(void **state)
{
	struct bench *b = mdir_bench(state);
	struct proc_result res;

	fill(b);
	run(&res, b->path, NULL, NULL);
	assert_int_equal(res.status, 0);
	assert_string_equal(buf_str(&res.out), "");
	assert_string_equal(buf_str(&res.err), "");
	proc_result_release(&res);
	run(&res, "-v", "--read-data", b->path);
	assert_int_equal(res.status, 0);
	says(&res.out, ": no damage found: 6 messages in 3 mailboxes, ");
	says(&res.out, "; all messages read (");
	assert_string_equal(buf_str(&res.err), "");
	proc_result_release(&res);
}

static void test_the_program_names_damage_and_what_to_do_once(void **state)
{
	struct bench *b = mdir_bench(state);
	struct proc_result res;
	char *dir = mdir_path(b, work_cur(b)), *file;
	const char *at;

	fill(b);
	remove_tree(dir);
	file = file_holding(b, inbox_cur(b), "mixed");
	assert_int_equal(unlink(file), 0);
	run(&res, b->path, NULL, NULL);
	assert_int_equal(res.status, 1);
	says(&res.err, ": INBOX, UID 3: its file is missing: INBOX/cur/");
	says(&res.err, ": Work, UID 2: its file is missing: Work/cur/");
	at = strstr(buf_str(&res.err), "The next backup fetches");
	assert_non_null(at);
	assert_null(strstr(at + 1, "The next backup fetches"));
	assert_string_equal(buf_str(&res.out), "");
	proc_result_release(&res);
	run(&res, "--json", b->path, NULL);
	assert_int_equal(res.status, 1);
	says(&res.out, "{\"event\":\"finding\",\"store\":");
	says(&res.out, "\"kind\":\"damage\",\"mailbox\":\"INBOX\",\"uid\":3,\"file\":\"INBOX/cur/");
	says(&res.out, "\"event\":\"summary\"");
	says(&res.out, "\"exit\":1,\"mailboxes\":3,\"messages\":6,");
	says(&res.out, "\"damage\":3,\"unchecked\":0,");
	assert_string_equal(buf_str(&res.err), "");
	proc_result_release(&res);
	free(dir);
	free(file);
}

static void test_many_findings_are_counted_not_all_told(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct proc_result res;
	char *dir = mdir_path(b, inbox_cur(b));

	for (uint32_t uid = 1; uid <= 130; uid++)
		bench_put_text(mb, uid, "x\r\n");
	bench_commit(b);
	bench_close(b);
	remove_tree(dir);
	run(&res, b->path, NULL, NULL);
	assert_int_equal(res.status, 1);
	says(&res.err, "UID 100: ");
	says(&res.err, ": and 30 more; -v names them all");
	assert_null(strstr(buf_str(&res.err), "UID 101: "));
	proc_result_release(&res);
	run(&res, "-v", b->path, NULL);
	says(&res.err, "UID 130: ");
	says(&res.out, ": 130 damaged or missing: 130 messages in 1 mailbox, ");
	proc_result_release(&res);
	free(dir);
}

static void test_what_cannot_be_read_is_no_damage(void **state)
{
	struct bench *b = mdir_bench(state);
	struct checked got;
	char *file;

	fill(b);
	file = file_holding(b, inbox_cur(b), "mixed");
	assert_int_equal(chmod(file, 0), 0);
	if (geteuid() == 0) { /* who may read everything */
		struct proc_result res;

		proc_runl(&res, NULL, "chown", "-R", "65534", b->path, NULL);
		assert_int_equal(res.status, 0);
		proc_result_release(&res);
		assert_int_equal(seteuid(65534), 0);
	}
	check_now(b, &got, true);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	check_says(&got,
		   "unchecked INBOX 3 its file cannot be opened: Permission denied\n");
	assert_int_equal(got.ck.read, 5);
	checked_release(&got);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOR(&fs, test_a_sound_store_has_no_findings),
		FOR(&plus, test_a_sound_store_has_no_findings),
		FOR(&fs, test_checking_changes_nothing),
		FOR(&fs, test_a_missing_file_is_named),
		FOR(&plus, test_a_missing_file_is_named),
		FOR(&fs, test_a_missing_directory_is_every_message_in_it),
		FOR(&plus, test_a_missing_directory_is_every_message_in_it),
		FOR(&fs, test_a_cut_or_longer_file_is_found_without_reading),
		FOR(&fs, test_every_flipped_bit_is_found_by_reading),
		FOR(&fs, test_what_cannot_come_back_from_the_account_says_so),
		FOR(&fs, test_something_else_in_the_place_of_a_file_is_found),
		FOR(&fs, test_what_readers_and_others_do_is_no_damage),
		FOR(&plus, test_what_readers_and_others_do_is_no_damage),
		FOR(&fs, test_an_index_that_disagrees_with_itself_is_found),
		FOR(&fs, test_damaged_pages_of_the_index_never_crash_it),
		FOR(&fs, test_what_a_stopped_run_left_is_no_damage),
		FOR(&plus, test_what_a_stopped_run_left_is_no_damage),
		FOR(&fs, test_a_store_in_use_is_checked_as_committed),
		FOR(&fs, test_a_run_at_work_gives_no_false_alarm),
		FOR(&fs, test_limited_runs_come_to_read_everything),
		FOR(&fs, test_an_interrupted_check_says_so),
		FOR(&fs, test_what_cannot_be_read_is_no_damage),
		FOR(&fs, test_the_program_is_silent_about_what_is_sound),
		FOR(&fs, test_the_program_names_damage_and_what_to_do_once),
		FOR(&fs, test_many_findings_are_counted_not_all_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
