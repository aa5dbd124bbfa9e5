/* What a backup stored comes back: `mailcask restore` as users run it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"

static struct dovecot *server;
static struct oracle *oracle;
static struct backup job; /* its store is "near": job.root */
static char *target;

/* One backup, which all tests read. */
static int start(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	oracle = oracle_open(server->port, "alice");
	corpus_fill_account(oracle);
	backup_init(&job, &(struct backup_config){ .port = server->port });
	backup_ends_with(&job, 0, "");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	oracle_close(oracle);
	dovecot_stop(server);
	backup_release(&job);
	return 0;
}

static int fresh_target(void **state)
{
	(void)state;
	target = path_join(job.dir, "restored");
	remove_tree(target);
	return 0;
}

static int drop_target(void **state)
{
	(void)state;
	remove_tree(target);
	free(target);
	return 0;
}

struct restored {
	int status;
	struct buf out, err;
	json_t *summary;
	json_t *mailboxes; /* array of their events */
};

static void take_events(struct restored *res)
{
	const char *at = buf_str(&res->out);

	res->mailboxes = json_array();
	while (*at) {
		size_t n = strcspn(at, "\n");
		json_t *event = json_loadb(at, n, 0, NULL);
		const char *kind = json_string_value(json_object_get(event, "event"));

		if (!kind)
			fail_msg("not an event: %.*s", (int)n, at);
		if (strcmp(kind, "summary") == 0)
			res->summary = json_incref(event);
		else if (strcmp(kind, "mailbox") == 0)
			json_array_append(res->mailboxes, event);
		json_decref(event);
		at += n + (at[n] == '\n');
	}
	assert_non_null(res->summary);
	assert_int_equal(json_integer_value(json_object_get(res->summary, "exit")), res->status);
}

static void restored_release(struct restored *res)
{
	buf_release(&res->out);
	buf_release(&res->err);
	json_decref(res->summary);
	json_decref(res->mailboxes);
}

/* `mailcask restore --json FORMAT...`; fails the test unless it exits with `status`. */
static void restore(struct restored *res, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void restore(struct restored *res, int status, const char *fmt, ...)
{
	struct backup_result run;
	char *args = NULL;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&args, fmt, ap) >= 0);
	va_end(ap);
	program_run(&job, &run, NULL, "restore", args);
	*res = (struct restored){ .status = run.status, .out = run.out, .err = run.err };
	if (run.status != status)
		fail_msg("restore %s: exit %d: %s%s", args, run.status, buf_str(&run.out),
			 buf_str(&run.err));
	free(args);
	take_events(res);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static uint64_t number(const struct restored *res, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(res->summary, key));
}

/* The same, when only how much was added matters. */
static void restore_adds(uint64_t added, const char *args)
{
	struct restored res;

	restore(&res, 0, "%s %s", args, target);
	if (number(&res, "added") != added)
		fail_msg("restore %s: %s", args, buf_str(&res.out));
	assert_string_equal(buf_str(&res.err), "");
	restored_release(&res);
}

static void test_all_of_a_backup_comes_back_in_either_layout(void **state)
{
	static const char *const layouts[] = { "", "--layout=fs", "--layout=maildir++" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
		char *args = xasprintf("%s near", layouts[i]);

		remove_tree(target);
		restore_adds(CORPUS_ACCOUNT, args);
		archives_equal(job.root, target);
		archive_snapshot(target, &before);
		restore_adds(0, "near");
		archive_snapshot(target, &after);
		assert_string_equal(buf_str(&before), buf_str(&after));
		buf_release(&before);
		buf_release(&after);
		free(args);
	}
}

static void test_all_of_a_git_archive_comes_back(void **state)
{
	struct backup git;
	struct restored res;

	(void)state;
	backup_init(&git, &(struct backup_config){ .port = server->port, .type = "git" });
	backup_ends_with(&git, 0, "");
	restore(&res, 0, "%s %s", git.root, target);
	assert_int_equal(number(&res, "added"), CORPUS_ACCOUNT);
	restored_release(&res);
	archives_equal(git.root, target);
	restore(&res, 0, "%s %s", git.root, target);
	assert_int_equal(number(&res, "added"), 0);
	assert_int_equal(number(&res, "present"), CORPUS_ACCOUNT);
	restored_release(&res);
	/* Into an archive nothing is restored, adopted or not. */
	restore(&res, 2, "near %s", git.root);
	restored_release(&res);
	restore(&res, 2, "--adopt near %s", git.root);
	assert_non_null(strstr(buf_str(&res.err), "is a store of type git"));
	restored_release(&res);
	backup_ends_with(&git, 0, "");
	backup_release(&git);
}

/* Two days of deleting, and one message that was only moved. */
static void test_what_was_deleted_from_an_archive_comes_back(void **state)
{
	struct oracle *o = oracle_open(server->port, "history");
	struct oracle_dump before, sent;
	struct name_list want = { 0 }, got = { 0 };
	struct backup git;
	struct restored res;

	(void)state;
	oracle_create(o, "Sent");
	corpus_fill(o, "INBOX", 0, 8, 100, 3000);
	corpus_fill(o, "INBOX", 2, 1, 100, 3000); /* the third again */
	corpus_fill(o, "Sent", 40, 3, 100, 3000);
	backup_init(&git, &(struct backup_config){ .port = server->port, .user = "history",
						   .type = "git" });
	backup_ends_with(&git, 0, "");
	oracle_dump(o, "INBOX", &before);
	oracle_dump(o, "Sent", &sent);
	oracle_expunge(o, "INBOX", "3,5");
	backup_ends_with(&git, 0, "");
	oracle_command(o, "SELECT INBOX");
	oracle_command(o, "UID MOVE 1 Sent");
	oracle_expunge(o, "INBOX", "9");
	oracle_expunge(o, "Sent", "2");
	backup_ends_with(&git, 0, "");
	for (size_t i = 0; i < 4; i++) /* 3 and 9 are equal */
		name_list_add(&want, i == 3 ? sent.msg[1].sha256
					    : before.msg[i == 0 ? 2 : i == 1 ? 4 : 8].sha256);
	qsort(want.name, want.n, sizeof(*want.name), by_text);
	for (int run = 0; run < 2; run++) {
		restore(&res, 0, "--deleted-since=1-hour-ago %s %s", git.root, target);
		assert_int_equal(number(&res, "added"), run ? 0 : 4);
		assert_int_equal(number(&res, "present"), run ? 4 : 0);
		restored_release(&res);
	}
	archive_hashes(target, &got);
	assert_int_equal(got.n, want.n);
	for (size_t i = 0; i < want.n; i++)
		assert_string_equal(got.name[i], want.name[i]);
	restore(&res, 2, "--deleted-since=yesterday %s@latest %s", git.root, target);
	restored_release(&res);
	restore(&res, 2, "--deleted-since=yesterday near %s", target);
	assert_non_null(strstr(buf_str(&res.err), "near keeps no history"));
	restored_release(&res);
	name_list_release(&want);
	name_list_release(&got);
	oracle_dump_release(&before);
	oracle_dump_release(&sent);
	backup_release(&git);
	oracle_close(o);
}

static void test_a_path_needs_no_sound_configuration(void **state)
{
	struct restored res;

	(void)state;
	restore(&res, 0, "--config=/nonexistent/config.ini %s %s", job.root, target);
	assert_int_equal(number(&res, "added"), CORPUS_ACCOUNT);
	archives_equal(job.root, target);
	restored_release(&res);
}

static char *file_in(const char *dir, size_t n)
{
	char *path = path_join(target, dir), *out;
	struct name_list files = { 0 };

	dir_entries(path, &files);
	assert_true(n < files.n);
	out = path_join(path, files.name[n]);
	name_list_release(&files);
	free(path);
	return out;
}

static void test_what_was_deleted_comes_back_and_the_rest_stays(void **state)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	char *gone, *moved, *flagged, *mine;
	const char *at;

	(void)state;
	restore_adds(CORPUS_ACCOUNT, "near");
	gone = file_in("INBOX/cur", 3);
	assert_int_equal(unlink(gone), 0);
	/* A reader marks one, moves one, and delivers one of its own. */
	flagged = file_in("INBOX/cur", 4);
	moved = xasprintf("%.*s:2,FT", (int)strcspn(flagged, ":"), flagged);
	assert_int_equal(rename(flagged, moved), 0);
	mine = path_join(target, "INBOX/new/1.mine.host");
	write_file(mine, bytes_of("Subject: mine\n\nx\n"));
	archive_snapshot(target, &before);
	restore_adds(1, "near");
	archive_snapshot(target, &after);
	/* All that there was is there, as it was; directories are not looked at. */
	for (at = buf_str(&before); *at; at += strcspn(at, "\n") + 1) {
		char *line = bytes_dup(bytes_from(at, strcspn(at, "\n")));

		if (strstr(line, "/cur/") || strstr(line, "/new/"))
			assert_non_null(strstr(buf_str(&after), line));
		free(line);
	}
	assert_int_equal(archive_count(target), CORPUS_ACCOUNT + 1);
	restore_adds(0, "near");
	buf_release(&before);
	buf_release(&after);
	free(gone);
	free(moved);
	free(flagged);
	free(mine);
}

static void test_mailboxes_and_messages_can_be_chosen(void **state)
{
	struct restored res;
	struct archive a;

	(void)state;
	restore_adds(12, "--mailbox=Archive* near");
	restore_adds(5, "--mailbox=\\Sent near");
	restore_adds(3, "--mailbox=INBOX --uid=2,39:99 near");
	archive_read(target, &a);
	assert_int_equal(a.n, 4);
	assert_int_equal(archive_find(&a, "INBOX")->n, 3);
	archive_release(&a);
	restore(&res, 10, "--mailbox=INBOX --uid=41 near %s", target);
	assert_string_equal(buf_str(&res.err), "mailcask: near: no message with the UID 41 is there. "
					       "Check the names in the command and the "
					       "configuration.\n");
	restored_release(&res);
	restore(&res, 2, "--uid=1 near %s", target);
	restored_release(&res);
}

static void test_a_dry_run_says_what_the_run_then_does(void **state)
{
	struct restored plan, done;
	char *file;

	(void)state;
	for (int round = 0; round < 2; round++) {
		restore(&plan, 0, "--dry-run near %s", target);
		assert_int_equal(access(target, F_OK) == 0, round);
		restore(&done, 0, "near %s", target);
		assert_int_equal(number(&plan, "added"), round ? 1 : CORPUS_ACCOUNT);
		assert_int_equal(number(&plan, "bytes"), number(&done, "bytes"));
		assert_int_equal(number(&plan, "present"), number(&done, "present"));
		assert_true(json_equal(plan.mailboxes, done.mailboxes));
		assert_int_equal(json_array_size(plan.mailboxes), round ? 1 : 5);
		restored_release(&plan);
		restored_release(&done);
		file = file_in("INBOX/cur", 7);
		assert_int_equal(unlink(file), 0);
		free(file);
	}
}

static void make_maildir(const char *dir)
{
	static const char *const parts[] = { "", "/cur", "/new", "/tmp" };

	for (size_t i = 0; i < 4; i++) {
		char *path = xasprintf("%s%s%s%s", target, *dir ? "/" : "", dir, parts[i]);

		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			test_die_sys("mkdir %s", path);
		free(path);
	}
}

/* Another program's Maildir++, with some of the messages in it. */
static void make_foreign(void)
{
	struct archive a;
	size_t copied = 0;

	make_maildir("");
	make_maildir(".Sent");
	archive_read(job.root, &a);
	for (size_t i = 0; i < 5; i++) {
		char *from = path_join(job.root, archive_find(&a, "Sent")->msg[i].path);
		char *to = xasprintf("%s/%s/%zu.foreign%s", target, i ? ".Sent/cur" : ".Sent/new", i,
				     i ? ":2,F" : "");
		struct buf body = BUF_INIT(1 << 20);

		if (!strstr(from, ",X")) { /* a name of its own would not say that it is exact */
			read_file(from, &body);
			write_file(to, buf_bytes(&body));
			copied++;
		}
		buf_release(&body);
		free(from);
		free(to);
	}
	archive_release(&a);
	assert_true(copied >= 4);
}

static void test_a_strange_maildir_is_added_to_when_adopted_and_its_files_stay(void **state)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct restored plan, done;
	size_t there;

	(void)state;
	make_foreign();
	there = archive_count(target);
	archive_snapshot(target, &before);
	restore(&done, 2, "near %s", target);
	assert_non_null(strstr(buf_str(&done.err), "--adopt"));
	restored_release(&done);
	restore(&plan, 0, "--adopt --dry-run near %s", target);
	archive_snapshot(target, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	buf_clear(&after);
	restore(&done, 0, "--adopt near %s", target);
	assert_int_equal(number(&done, "added"), CORPUS_ACCOUNT - there);
	assert_int_equal(number(&done, "present"), there);
	assert_true(json_equal(plan.mailboxes, done.mailboxes));
	archive_snapshot(target, &after);
	for (const char *at = buf_str(&before); *at; at += strcspn(at, "\n") + 1) {
		char *line = bytes_dup(bytes_from(at, strcspn(at, "\n")));

		if (strstr(line, ".foreign"))
			assert_non_null(strstr(buf_str(&after), line));
		free(line);
	}
	assert_int_equal(archive_count(target), CORPUS_ACCOUNT);
	restored_release(&plan);
	restored_release(&done);
	restore_adds(0, "near"); /* it is known now */
	buf_release(&before);
	buf_release(&after);
}

static void test_what_the_guard_held_back_is_restored(void **state)
{
	struct oracle *o = oracle_open(server->port, "wiped");
	struct backup wiped;
	struct restored res;

	(void)state;
	corpus_fill(o, "INBOX", 0, 40, 0, 500);
	backup_init(&wiped, &(struct backup_config){ .port = server->port, .user = "wiped" });
	backup_ends_with(&wiped, 0, "");
	oracle_expunge(o, "INBOX", "1:*");
	backup_ends_with(&wiped, 4, "");
	restore(&res, 0, "--without-kept %s %s", wiped.root, target);
	assert_int_equal(number(&res, "added"), 0);
	restored_release(&res);
	restore(&res, 0, "%s %s", wiped.root, target);
	assert_int_equal(number(&res, "added"), 40);
	archives_equal(wiped.root, target);
	restored_release(&res);
	backup_release(&wiped);
	oracle_close(o);
}

static void test_files_that_the_store_lost_are_told(void **state)
{
	struct restored res;
	struct archive a;
	char *copy = path_join(job.dir, "copy"), *file;
	struct proc_result cp;

	(void)state;
	proc_runl(&cp, NULL, "cp", "-a", job.root, copy, NULL);
	assert_int_equal(cp.status, 0);
	proc_result_release(&cp);
	archive_read(copy, &a);
	file = path_join(copy, archive_find(&a, "INBOX")->msg[4].path);
	assert_int_equal(unlink(file), 0);
	free(file);
	file = path_join(copy, archive_find(&a, "INBOX")->msg[5].path);
	assert_int_equal(truncate(file, 3), 0);
	free(file);
	archive_release(&a);
	restore(&res, 3, "%s %s", copy, target);
	assert_int_equal(number(&res, "added"), CORPUS_ACCOUNT - 2);
	assert_non_null(strstr(buf_str(&res.err),
			       "INBOX: 1 of its messages is missing: the store knows it"));
	assert_non_null(strstr(buf_str(&res.err), "INBOX: message with UID 6 could not be restored: "
						  "its file is shorter than it was when stored\n"));
	restored_release(&res);
	remove_tree(copy);
	free(copy);
}

static void refused(int status, const char *text, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void refused(int status, const char *text, const char *fmt, ...)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct restored res;
	char *args = NULL;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&args, fmt, ap) >= 0);
	va_end(ap);
	archive_snapshot(job.dir, &before);
	restore(&res, status, "%s", args);
	archive_snapshot(job.dir, &after);
	if (!strstr(buf_str(&res.err), text))
		fail_msg("restore %s: %s", args, buf_str(&res.err));
	assert_string_equal(buf_str(&before), buf_str(&after));
	restored_release(&res);
	buf_release(&before);
	buf_release(&after);
	free(args);
}

static void test_what_cannot_be_meant_is_refused_and_nothing_is_made(void **state)
{
	struct backup other;

	(void)state;
	refused(10, "there is no store and no directory '/nonexistent'", "/nonexistent %s", target);
	refused(10, "there is no store and no directory 'nera'; did you mean 'near'?", "nera %s",
		target);
	refused(10, "--mailbox=Sant: nothing that is to be restored is in a mailbox called that",
		"--mailbox=Sant near %s", target);
	refused(2, "near keeps no history: it is as it is now, without @yesterday",
		"near@yesterday %s", target);
	refused(2, "far is an account, and mail is restored from a store or from files", "far %s", target);
	refused(2, "far is an account; --layout is for directories", "--layout=fs near far");
	refused(2, "far is an account; --adopt is for directories", "--adopt near far");
	refused(2, "near is a store of the configuration", "near near");
	refused(2, "there is no [account fra] and no such directory; did you mean 'far'?", "near fra");
	refused(2, "is the store itself", "near %s/", job.root);
	refused(2, "lie one within the other", "near %s/new/place", job.root);
	refused(2, "lie one within the other", "--adopt near %s", job.parent);
	backup_init(&other, &(struct backup_config){ .port = server->port, .user = "other" });
	backup_ends_with(&other, 0, "");
	refused(2, "is the backup of other@127.0.0.1; mail restored into it", "near %s", other.root);
	refused(2, "is the backup of other@127.0.0.1; mail restored into it", "--adopt near %s",
		other.root);
	backup_release(&other);
}

static void test_a_target_in_use_ends_with_11(void **state)
{
	struct restored res;
	char *lock = path_join(target, "mailcask.lock");
	int fd;

	(void)state;
	restore_adds(5, "--mailbox=Sent near");
	fd = open(lock, O_RDWR);
	assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
	restore(&res, 11, "near %s", target);
	restored_release(&res);
	close(fd);
	free(lock);
}

static void test_a_backup_does_not_go_into_what_was_restored(void **state)
{
	struct backup_result res;
	struct backup next;

	(void)state;
	restore_adds(CORPUS_ACCOUNT, "near");
	backup_init(&next, &(struct backup_config){ .port = server->port });
	assert_int_equal(rename(target, next.root), 0);
	backup_expect(&next, &res, 2, "");
	assert_non_null(strstr(buf_str(&res.err), "holds mail that was restored into it. Use "
						 "another path; or --rebind"));
	backup_result_release(&res);
	/* But it can become one, without fetching what is there into new files. */
	backup_ends_with(&next, 0, "--rebind");
	archive_equals(next.root, oracle);
	assert_int_equal(archive_count(next.root), CORPUS_ACCOUNT);
	backup_release(&next);
}

/* A file system with room for a part of it, in a mount namespace of its own. */
static void test_a_full_disk_keeps_what_was_restored_and_the_next_run_goes_on(void **state)
{
	const char *vars[] = { job.env[0], job.env[1], NULL };
	struct proc_opts opts = { .env = vars, .deadline_ms = 120000 };
	struct oracle *o = oracle_open(server->port, "large");
	struct backup large;
	struct proc_result res;
	char *script;

	(void)state;
	corpus_fill(o, "INBOX", 0, 60, 900000, 1100000);
	oracle_close(o);
	backup_init(&large, &(struct backup_config){ .port = server->port, .user = "large" });
	backup_ends_with(&large, 0, "");
	assert_int_equal(mkdir(target, 0700), 0);
	script = xasprintf("set -e\nmount -t tmpfs -o size=48m none '%s'\n"
			   "count() { find '%s' -path '*/cur/*' -type f | wc -l; }\n"
			   "s=0; '%s' restore '%s' '%s' || s=$?; echo FIRST $s $(count)\n"
			   "mount -o remount,size=90m none '%s'\n"
			   "s=0; '%s' restore '%s' '%s' || s=$?; echo SECOND $s $(count)\n"
			   "s=0; '%s' restore '%s' '%s' || s=$?; echo THIRD $s $(count)\n",
			   target, target, program_path(), large.root, target, target,
			   program_path(), large.root, target, program_path(), large.root, target);
	if (getuid() == 0)
		proc_runl(&res, &opts, "unshare", "-m", "sh", "-c", script, NULL);
	else
		proc_runl(&res, &opts, "unshare", "-rm", "sh", "-c", script, NULL);
	if (res.status != 0 || strstr(buf_str(&res.out), "FIRST 1 0\n") ||
	    !strstr(buf_str(&res.out), "FIRST 1 ") || !strstr(buf_str(&res.out), "SECOND 0 60\n") ||
	    !strstr(buf_str(&res.out), "THIRD 0 60\n") ||
	    !strstr(buf_str(&res.out), ": nothing added, 60 there already") ||
	    !strstr(buf_str(&res.err), "No space left on device. Put this right and run it again; "
				       "what was stored is kept."))
		fail_msg("exit %d: %s%s", res.status, buf_str(&res.out), buf_str(&res.err));
	proc_result_release(&res);
	free(script);
	backup_release(&large);
}

#define TARGET(test) cmocka_unit_test_setup_teardown(test, fresh_target, drop_target)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TARGET(test_all_of_a_backup_comes_back_in_either_layout),
		TARGET(test_all_of_a_git_archive_comes_back),
		TARGET(test_what_was_deleted_from_an_archive_comes_back),
		TARGET(test_a_path_needs_no_sound_configuration),
		TARGET(test_what_was_deleted_comes_back_and_the_rest_stays),
		TARGET(test_mailboxes_and_messages_can_be_chosen),
		TARGET(test_a_dry_run_says_what_the_run_then_does),
		TARGET(test_a_strange_maildir_is_added_to_when_adopted_and_its_files_stay),
		TARGET(test_what_the_guard_held_back_is_restored),
		TARGET(test_files_that_the_store_lost_are_told),
		TARGET(test_what_cannot_be_meant_is_refused_and_nothing_is_made),
		TARGET(test_a_target_in_use_ends_with_11),
		TARGET(test_a_backup_does_not_go_into_what_was_restored),
		TARGET(test_a_full_disk_keeps_what_was_restored_and_the_next_run_goes_on),
	};

	return cmocka_run_group_tests_name("restore", tests, start, stop);
}
