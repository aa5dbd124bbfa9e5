/* Backups of a Maildir: of a store of ours, and of one that another program keeps. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/maildir_rig.h"
#include "tests/lib/support.h"

static struct dovecot *server;
static struct backup job; /* jobs: first (far to near), second (near to copy), other (theirs to copy) */
static char *theirs, *copy;
static const char *user; /* one for each type of store */

static int start(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	dovecot_stop(server);
	return 0;
}

/* *state: the type of the store `copy`. */
static int setup(void **state)
{
	const char *type = user = *state;
	char *text;

	backup_init(&job, &(struct backup_config){ .port = server->port });
	theirs = path_join(job.dir, "theirs");
	copy = path_join(job.dir, "copy");
	text = xasprintf("[account far]\nhost = 127.0.0.1\nport = %d\ntls = none\nuser = %s\n"
			 "password = pw\n"
			 "[store near]\ntype = maildir\npath = %s\n"
			 "[store theirs]\ntype = maildir\npath = %s\n"
			 "[store copy]\ntype = %s\npath = %s/%%a\n"
			 "[job first]\nkind = backup\nfrom = far\nto = near\n"
			 "[job second]\nkind = backup\nfrom = near\nto = copy\n"
			 "[job other]\nkind = backup\nfrom = theirs\nto = copy\n",
			 server->port, type, job.root, theirs, type, copy);
	write_file(job.config, bytes_of(text));
	assert_int_equal(chmod(job.config, 0600), 0);
	free(text);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backup_release(&job);
	free(theirs);
	free(copy);
	return 0;
}

static char *copy_of(const char *store)
{
	return path_join(copy, store);
}

static void run(struct backup_result *res, int status, const char *args)
{
	backup_expect(&job, res, status, args);
}

static void run_ends_with(int status, const char *args)
{
	backup_ends_with(&job, status, args);
}

static void idle(const char *name)
{
	struct backup_result res;

	run(&res, 0, name);
	if (res.new_messages || res.flags_changed || res.removed || res.kept || res.held)
		fail_msg("a run that should find nothing to do printed:\n%s%s", buf_str(&res.out),
			 buf_str(&res.err));
	backup_result_release(&res);
}

static void test_a_store_of_ours_is_backed_up_with_all_it_knows(void **state)
{
	struct oracle *o = oracle_open(server->port, user);
	struct backup_result res;
	char *second = copy_of("near");

	(void)state;
	oracle_create(o, "Archive/&AMQgrA-");
	oracle_create(o, "empty");
	oracle_create(o, "Sent");
	corpus_fill_mixed(o, "INBOX", 480, 40, 1 << 20);
	corpus_fill(o, "Archive/&AMQgrA-", 20, 10, 0, 3000);
	oracle_store(o, "INBOX", "3:9", "+FLAGS", "$Work $Forwarded \\Answered");
	run_ends_with(0, "first second");
	archives_equal(job.root, second);
	idle("second");
	/* What happens at the account goes through both. */
	corpus_fill(o, "Sent", 60, 4, 0, 3000);
	oracle_store(o, "INBOX", "2:4", "FLAGS", "\\Flagged $Other");
	oracle_expunge(o, "INBOX", "5:6");
	oracle_command(o, "SELECT INBOX");
	oracle_command(o, "UID MOVE 7:8 Sent");
	run(&res, 0, "first second");
	assert_int_equal(res.new_messages, 6);
	assert_int_equal(res.removed, 4);
	backup_result_release(&res);
	archives_equal(job.root, second);
	idle("second");
	/* And what the guard held back there is held here, as part of what the store has. */
	oracle_expunge(o, "INBOX", "1:*");
	run_ends_with(4, "first");
	idle("second");
	free(second);
	oracle_close(o);
}

static void test_a_lost_file_waits_until_the_store_has_it_again(void **state)
{
	struct oracle *o = oracle_open(server->port, user);
	struct backup_result res;
	char *second = copy_of("near"), *file;
	struct archive a;

	(void)state;
	oracle_create(o, "Lost");
	corpus_fill(o, "Lost", 0, 5, 100, 3000);
	run_ends_with(0, "first second");
	archive_read(job.root, &a);
	file = path_join(job.root, archive_find(&a, "Lost")->msg[2].path);
	archive_release(&a);
	assert_int_equal(unlink(file), 0);
	free(file);
	run(&res, 3, "second");
	assert_int_equal(res.removed, 0);
	assert_non_null(strstr(buf_str(&res.err), "Lost: files of it were removed"));
	backup_result_release(&res);
	run_ends_with(0, "first");
	run_ends_with(0, "second");
	archives_equal(job.root, second);
	free(second);
	oracle_close(o);
}

static void make_maildir(const char *dir)
{
	static const char *const parts[] = { "", "/cur", "/new", "/tmp" };

	for (size_t i = 0; i < 4; i++) {
		char *path = xasprintf("%s%s%s%s", theirs, *dir ? "/" : "", dir, parts[i]);

		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			test_die_sys("mkdir %s", path);
		free(path);
	}
}

/* A file of the other program, received at a time of its own. */
static void deliver(const char *name, const char *body)
{
	char *path = path_join(theirs, name);
	struct timeval times[2] = { { 1500000000, 0 }, { 1500000000, 0 } };

	write_file(path, bytes_of(body));
	assert_int_equal(utimes(path, times), 0);
	free(path);
}

static void move(const char *from, const char *to)
{
	char *a = path_join(theirs, from), *b = path_join(theirs, to);

	assert_int_equal(rename(a, b), 0);
	free(a);
	free(b);
}

static void delete_file(const char *name)
{
	char *path = path_join(theirs, name);

	assert_int_equal(unlink(path), 0);
	free(path);
}

static void fill_theirs(void)
{
	make_maildir("");
	make_maildir(".Sent");
	make_maildir(".Lists.c");
	deliver("cur/1.a:2,S", "Subject: one\n\n1\n");
	deliver("cur/2.a:2,FRS", "Subject: two\r\n\r\nexact\nmixed\r\n");
	deliver("new/3.a", "Subject: three\n\n3\n");
	deliver("new/4.a", "Subject: three\n\n3\n"); /* the same again */
	deliver(".Sent/cur/5.a:2,S", "Subject: five\n\n5\n");
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All messages of both, whatever the mailbox. */
static void assert_copied(void)
{
	struct name_list want = { 0 }, got = { 0 };
	char *second = copy_of("theirs");
	struct archive a;

	archive_hashes(theirs, &want);
	archive_read(second, &a);
	for (size_t i = 0; i < a.n; i++)
		for (size_t k = 0; k < a.v[i].n; k++)
			name_list_add(&got, a.v[i].msg[k].sha256);
	archive_release(&a);
	assert_int_equal(got.n, want.n);
	if (got.n > 0)
		qsort(got.name, got.n, sizeof(*got.name), by_text);
	for (size_t i = 0; i < want.n; i++)
		assert_string_equal(got.name[i], want.name[i]);
	name_list_release(&want);
	name_list_release(&got);
	free(second);
}

static void test_a_strange_maildir_is_backed_up_and_left_as_it_is(void **state)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	const struct archive_mailbox *inbox;
	char *second = copy_of("theirs");
	struct backup_result res;
	struct archive a;

	(void)state;
	fill_theirs();
	archive_snapshot(theirs, &before);
	run(&res, 0, "other");
	assert_int_equal(res.new_messages, 5);
	assert_int_equal(res.mailboxes, 3);
	backup_result_release(&res);
	idle("other");
	archive_snapshot(theirs, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	assert_copied();
	archive_read(second, &a);
	inbox = archive_find(&a, "INBOX");
	assert_int_equal(inbox->n, 4);
	assert_string_equal(inbox->msg[1].flags, "\\Answered \\Flagged \\Seen");
	assert_string_equal(inbox->msg[1].date, "14-Jul-2017 02:40:00 +0000");
	assert_int_equal(inbox->msg[1].mtime, 1500000000);
	assert_non_null(archive_find(&a, "Lists/c"));
	archive_release(&a);
	buf_release(&before);
	buf_release(&after);
	free(second);
}

static void test_what_another_program_does_in_its_maildir_follows(void **state)
{
	struct backup_result res;

	(void)state;
	fill_theirs();
	run_ends_with(0, "other");
	move("new/3.a", "cur/3.a:2,S");             /* read */
	move("cur/1.a:2,S", ".Lists.c/cur/1.a:2,S"); /* moved */
	delete_file(".Sent/cur/5.a:2,S");
	deliver("new/0.a", "Subject: new, and first by its name\n\n0\n");
	run(&res, 0, "other");
	assert_int_equal(res.flags_changed, 1);
	assert_int_equal(res.new_messages, 2);
	assert_int_equal(res.removed, 2);
	backup_result_release(&res);
	assert_copied();
	idle("other");
}

static void test_an_emptied_maildir_ends_with_4(void **state)
{
	struct backup_result res;

	(void)state;
	fill_theirs();
	run_ends_with(0, "other");
	delete_file("cur/1.a:2,S");
	delete_file("cur/2.a:2,FRS");
	delete_file("new/3.a");
	delete_file("new/4.a");
	delete_file(".Sent/cur/5.a:2,S");
	run(&res, 4, "other");
	assert_int_equal(res.held, 5);
	backup_result_release(&res);
	/* Not mounted: not there at all. */
	remove_tree(theirs);
	run_ends_with(10, "other");
	assert_int_equal(mkdir(theirs, 0700), 0);
	run(&res, 10, "other");
	assert_non_null(strstr(buf_str(&res.err), "is a disk missing?"));
	backup_result_release(&res);
}

static void test_a_plan_leaves_no_trace(void **state)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct backup_result res;

	(void)state;
	fill_theirs();
	archive_snapshot(job.dir, &before);
	run(&res, 0, "--dry-run other");
	assert_int_equal(res.new_messages, 5);
	backup_result_release(&res);
	archive_snapshot(job.dir, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	run_ends_with(0, "other");
	deliver("new/9.a", "Subject: nine\n\n9\n");
	buf_clear(&before);
	buf_clear(&after);
	archive_snapshot(job.dir, &before);
	run(&res, 0, "--dry-run other");
	assert_int_equal(res.new_messages, 1);
	backup_result_release(&res);
	archive_snapshot(job.dir, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	buf_release(&before);
	buf_release(&after);
}

/* The file with the UIDs, below the state directory. */
static char *uids_file(void)
{
	char *dir = path_join(job.state, "mailcask"), *path = NULL;
	struct name_list files = { 0 };

	dir_entries(dir, &files);
	for (size_t i = 0; i < files.n; i++)
		if (strcmp(strrchr(files.name[i], '.'), ".uids") == 0)
			path = path_join(dir, files.name[i]);
	assert_non_null(path);
	name_list_release(&files);
	free(dir);
	return path;
}

/* As if they had been given out a while ago: within a second new ones would look the same. */
static void lose_uids(void)
{
	char *path = uids_file(), *second = copy_of("theirs"), *db = path_join(second, "mailcask.db");

	assert_int_equal(unlink(path), 0);
	mdir_sql_file(db, "UPDATE mailboxes SET source_uidvalidity = source_uidvalidity - 100");
	free(db);
	free(second);
	free(path);
}

static void test_after_lost_uids_messages_are_known_by_what_they_are(void **state)
{
	struct backup_result res;

	(void)state;
	fill_theirs();
	run_ends_with(0, "other");
	lose_uids();
	deliver("new/0.a", "Subject: new, and first by its name\n\n0\n");
	run(&res, 0, "other");
	assert_int_equal(res.new_messages, 1);
	assert_int_equal(res.removed, 0);
	assert_non_null(strstr(buf_str(&res.out), "INBOX: its messages have other UIDs than they had"));
	backup_result_release(&res);
	assert_copied();
	idle("other");
}

/* The state directory put back from an older copy: UIDs are given out a second time. */
static void test_an_older_file_of_uids_is_noticed(void **state)
{
	char *path;
	struct buf was = BUF_INIT(1 << 24);
	struct backup_result res;

	(void)state;
	fill_theirs();
	run_ends_with(0, "other");
	path = uids_file();
	read_file(path, &was);
	deliver("new/7.a", "Subject: seven\n\n7\n");
	run_ends_with(0, "other");
	write_file(path, buf_bytes(&was));
	deliver("new/6.a", "Subject: another, which gets its UID\n\nsix\n");
	run(&res, 3, "other");
	assert_non_null(strstr(buf_str(&res.err), "INBOX: skipped: its messages have other UIDs"));
	assert_int_equal(res.new_messages + res.removed, 0);
	backup_result_release(&res);
	run_ends_with(0, "--rebind other");
	assert_copied();
	buf_release(&was);
	free(path);
}

#define INTO(type, test) { #test " (" type ")", test, setup, teardown, (void *)(uintptr_t)type }
#define EACH(test) INTO("maildir", test), INTO("git", test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_a_store_of_ours_is_backed_up_with_all_it_knows),
		EACH(test_a_lost_file_waits_until_the_store_has_it_again),
		EACH(test_a_strange_maildir_is_backed_up_and_left_as_it_is),
		EACH(test_what_another_program_does_in_its_maildir_follows),
		EACH(test_an_emptied_maildir_ends_with_4),
		EACH(test_a_plan_leaves_no_trace),
		INTO("maildir", test_after_lost_uids_messages_are_known_by_what_they_are),
		EACH(test_an_older_file_of_uids_is_noticed),
	};

	return cmocka_run_group_tests_name("store as source", tests, start, stop);
}
