/*
 * What `check` advises is true: following it mends a backup. Each test damages a backup, reads what
 * check says, does that, and compares with the account.
 */
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
#include <sqlite3.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static struct dovecot *server;
static struct oracle *alice;
static struct backup job;

static int start_server(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	alice = oracle_open(server->port, "alice");
	oracle_create(alice, "Sent");
	corpus_fill(alice, "INBOX", 0, 12, 100, 3000);
	corpus_fill(alice, "Sent", 20, 4, 100, 3000);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	oracle_close(alice);
	dovecot_stop(server);
	return 0;
}

static int start(void **state)
{
	const struct backup_config config = { .port = server->port };

	(void)state;
	backup_init(&job, &config);
	backup_ends_with(&job, 0, "");
	archive_equals(job.root, alice);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	backup_release(&job);
	return 0;
}

/* `mailcask check near ...`: its exit status, and all of `words` (NULL ends them) on standard error. */
static void checks(int status, const char *option, ...)
{
	const char *env[] = { job.env[0], job.env[1], NULL };
	struct proc_opts opts = { .env = env };
	struct proc_result res;
	const char *word;
	va_list ap;

	proc_runl(&res, &opts, program_path(), "check", "near", option, NULL);
	if (res.status != status)
		fail_msg("exit %d, not %d: %s%s", res.status, status, buf_str(&res.out),
			 buf_str(&res.err));
	va_start(ap, option);
	while ((word = va_arg(ap, const char *)))
		if (!strstr(buf_str(&res.err), word))
			fail_msg("\"%s\" is not in: %s", word, buf_str(&res.err));
	va_end(ap);
	if (status == 0)
		assert_string_equal(buf_str(&res.err), "");
	proc_result_release(&res);
}

static void is_mended(void)
{
	checks(0, "--read-data", NULL);
	archive_equals(job.root, alice);
	backup_idle(&job);
}

static char *some_file(void)
{
	char *dir = path_join(job.root, "INBOX/cur"), *path;
	struct name_list files = { 0 };

	dir_entries(dir, &files);
	path = path_join(dir, files.name[files.n / 2]);
	name_list_release(&files);
	free(dir);
	return path;
}

static void test_a_missing_file_is_fetched_by_the_next_backup(void **state)
{
	char *file = some_file();

	(void)state;
	assert_int_equal(unlink(file), 0);
	checks(1, NULL, "near: INBOX, UID ", "its file is missing: INBOX/cur/",
	       "The next backup fetches messages whose files are missing again", NULL);
	backup_ends_with(&job, 0, "");
	is_mended();
	free(file);
}

/* The database says that the directory looks as it looks: as after damage below the file system. */
static void make_it_look_untouched(void)
{
	char *path = path_join(job.root, "mailcask.db");
	int64_t stamp[6] = { 0 };
	sqlite3_stmt *st;
	sqlite3 *db;

	for (int i = 0; i < 2; i++) {
		char *dir = path_join(job.root, i ? "INBOX/new" : "INBOX/cur");
		struct stat sb;

		assert_int_equal(stat(dir, &sb), 0);
		stamp[i] = (int64_t)sb.st_ino;
		stamp[2 + i] = (int64_t)sb.st_ctim.tv_sec * 1000000000 + sb.st_ctim.tv_nsec;
		stamp[4 + i] = (int64_t)sb.st_mtim.tv_sec * 1000000000 + sb.st_mtim.tv_nsec;
		free(dir);
	}
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "UPDATE mailboxes SET stamp = ? WHERE directory = 'INBOX'",
					    -1, &st, NULL),
			 SQLITE_OK);
	sqlite3_bind_blob(st, 1, stamp, sizeof(stamp), SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	sqlite3_close(db);
	free(path);
}

static void test_a_loss_that_no_backup_notices_is_told_so(void **state)
{
	char *file = some_file(), *cur = path_join(job.root, "INBOX/cur");

	(void)state;
	assert_int_equal(unlink(file), 0);
	make_it_look_untouched();
	checks(1, NULL, "its file is missing", "would not notice", "touch its cur", NULL);
	backup_idle(&job);
	assert_int_equal(utimensat(AT_FDCWD, cur, NULL, 0), 0);
	backup_ends_with(&job, 0, "");
	is_mended();
	free(file);
	free(cur);
}

static void test_a_changed_file_moved_away_is_fetched_by_the_next_backup(void **state)
{
	char *file = some_file(), *away = path_join(job.dir, "damaged");
	struct buf content = BUF_INIT(1 << 20);

	(void)state;
	read_file(file, &content);
	content.p[content.n / 2] ^= 1;
	write_file(file, buf_bytes(&content));
	/* Neither a backup nor the comparison sees it. */
	checks(0, NULL, NULL);
	backup_idle(&job);
	checks(1, "--read-data", "near: INBOX, UID ",
	       "it", ": INBOX/cur/", "Move the damaged ones out of the store", NULL);
	assert_int_equal(rename(file, away), 0);
	backup_ends_with(&job, 0, "");
	is_mended();
	buf_release(&content);
	free(file);
	free(away);
}

static void test_a_damaged_index_is_made_anew_as_advised(void **state)
{
	char *db = path_join(job.root, "mailcask.db"), *wal = xasprintf("%s-wal", db);
	char *shm = xasprintf("%s-shm", db), *record = backup_record(&job);
	struct buf content = BUF_INIT(16 << 20);

	(void)state;
	read_file(db, &content);
	assert_true(content.n > 4096 * 5);
	memset(content.p + 4096, 0x55, 4096 * 4);
	write_file(db, buf_bytes(&content));
	checks(1, NULL, "mailcask.db", "Move it away", "--adopt", NULL);
	assert_int_equal(unlink(db), 0);
	unlink(wal);
	unlink(shm);
	assert_int_equal(unlink(record), 0);
	backup_ends_with(&job, 0, "--adopt");
	is_mended();
	buf_release(&content);
	free(db);
	free(wal);
	free(shm);
	free(record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_missing_file_is_fetched_by_the_next_backup, start, stop),
		cmocka_unit_test_setup_teardown(test_a_loss_that_no_backup_notices_is_told_so, start,
						stop),
		cmocka_unit_test_setup_teardown(
			test_a_changed_file_moved_away_is_fetched_by_the_next_backup, start, stop),
		cmocka_unit_test_setup_teardown(test_a_damaged_index_is_made_anew_as_advised, start,
						stop),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
