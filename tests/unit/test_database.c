/* SQLite files: what is told when one is damaged, locked, cut off from its disk, or newer than the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/database.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "tests/lib/support.h"

struct rig {
	char *path;
	struct database d;
	struct err err;
};

static void must(int ret, const struct err *err)
{
	if (ret < 0)
		fail_msg("%s", err->text);
}

static void open_again(struct rig *r, enum database_access access)
{
	database_close(&r->d);
	r->d = (struct database){ .name = r->path, .advice = "throw it away" };
	must(database_open(&r->d, r->path, access, &r->err), &r->err);
}

static void run(struct rig *r, const char *sql)
{
	must(database_exec(&r->d, sql, &r->err), &r->err);
}

static int setup(void **state)
{
	static int n;
	struct rig *r = xcalloc(1, sizeof(*r));

	r->path = xasprintf("%s/database-%d.db", tmp_dir(), n++);
	must(database_make_file(r->path, &r->err), &r->err);
	open_again(r, DATABASE_WRITE);
	must(database_set_durable(&r->d, true, &r->err), &r->err);
	run(r, "CREATE TABLE t (n INTEGER, text TEXT)");
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	database_close(&r->d);
	free(r->path);
	free(r);
	return 0;
}

static int64_t rows(struct rig *r)
{
	int64_t n = -1;

	assert_int_equal(database_number(&r->d, database_statement(&r->d, "SELECT count(*) FROM t"), &n, &r->err), 1);
	return n;
}

static int insert(struct rig *r, int64_t n, struct bytes text)
{
	sqlite3_stmt *st = database_statement(&r->d, "INSERT INTO t VALUES (?, ?)");

	database_bind(st, "IT", n, text);
	return database_run(&r->d, st, &r->err);
}

/* Megabytes, until it fails. */
static void insert_until_it_fails(struct rig *r)
{
	struct bytes much = { calloc(1, 1 << 20), 1 << 20 };
	int ret = 0;

	for (int i = 0; i < 100 && ret == 0; i++)
		ret = insert(r, i, much);
	free((void *)(uintptr_t)much.p);
	assert_int_equal(ret, -1);
	assert_int_equal(r->err.kind, ERR_FATAL);
	assert_non_null(strstr(r->err.text, r->path));
}

static void says(struct rig *r, const char *text)
{
	if (!strstr(r->err.text, text))
		fail_msg("\"%s\" is not in: %s", text, r->err.text);
}

/* What came after it would stand alone. */
static void is_broken(struct rig *r)
{
	assert_int_equal(database_begin(&r->d, &r->err), -1);
	says(r, "writing it failed before");
	assert_int_equal(database_commit(&r->d, &r->err), -1);
	open_again(r, DATABASE_WRITE);
	assert_int_equal(rows(r), 0);
	must(insert(r, 1, (struct bytes){ 0 }), &r->err);
}

static void test_a_full_disk_breaks_the_database(void **state)
{
	struct rig *r = *state;

	run(r, "PRAGMA max_page_count = 10");
	must(database_begin(&r->d, &r->err), &r->err);
	must(insert(r, 1, bytes_of("before")), &r->err);
	insert_until_it_fails(r);
	says(r, "full");
	is_broken(r);
}

static void test_a_disk_that_takes_no_more_breaks_the_database(void **state)
{
	struct rig *r = *state;
	struct rlimit was, little;

	run(r, "PRAGMA cache_size = 10");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	little = (struct rlimit){ 3 << 20, was.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	must(database_begin(&r->d, &r->err), &r->err);
	must(insert(r, 1, bytes_of("before")), &r->err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	insert_until_it_fails(r);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	says(r, "disk I/O error");
	is_broken(r);
}

static void test_a_commit_that_fails_breaks_the_database(void **state)
{
	struct rig *r = *state;

	run(r, "PRAGMA foreign_keys = ON; CREATE TABLE parent (n INTEGER PRIMARY KEY);"
	       "CREATE TABLE child (n REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
	must(database_begin(&r->d, &r->err), &r->err);
	must(insert(r, 1, bytes_of("before")), &r->err);
	run(r, "INSERT INTO child VALUES (7)");
	assert_int_equal(database_commit(&r->d, &r->err), -1);
	is_broken(r);
}

static void test_a_damaged_file_is_told_with_what_to_do(void **state)
{
	struct rig *r = *state;

	database_close(&r->d);
	must(file_replace(r->path, bytes_of("no database, but long enough to be taken for one: "
					       "a header has one hundred bytes, and this is more"),
			     0600, &r->err), &r->err);
	r->d = (struct database){ .name = r->path, .advice = "throw it away" };
	if (database_open(&r->d, r->path, DATABASE_WRITE, &r->err) == 0)
		assert_int_equal(database_exec(&r->d, "SELECT * FROM t", &r->err), -1);
	says(r, "is damaged; throw it away");
}

static void test_what_another_has_locked_is_told(void **state)
{
	struct rig *r = *state;
	struct database other = { .name = r->path, .advice = "" };

	must(database_open(&other, r->path, DATABASE_WRITE, &r->err), &r->err);
	must(database_begin(&other, &r->err), &r->err);
	sqlite3_busy_timeout(r->d.db, 10);
	assert_int_equal(database_begin(&r->d, &r->err), -1);
	says(r, "locked");
	database_close(&other); /* rolls back */
	must(database_begin(&r->d, &r->err), &r->err);
	must(insert(r, 1, bytes_of("after")), &r->err);
	must(database_commit(&r->d, &r->err), &r->err);
}

static void test_a_file_of_a_newer_version_is_refused(void **state)
{
	struct rig *r = *state;
	int version;

	must(database_version(&r->d, 3, &version, &r->err), &r->err);
	assert_int_equal(version, 0);
	run(r, "PRAGMA user_version = 4");
	assert_int_equal(database_version(&r->d, 3, &version, &r->err), -1);
	says(r, "newer version of mailcask (format 4; this one knows 3)");
}

static void test_what_is_not_there_cannot_be_opened(void **state)
{
	struct rig *r = *state;
	char *path = xasprintf("%s/nowhere/file.db", tmp_dir());
	struct database d = { .name = path, .advice = "" };

	for (enum database_access a = DATABASE_LOOK; a <= DATABASE_WRITE; a++) {
		assert_int_equal(database_open(&d, path, a, &r->err), -1);
		says(r, path);
		assert_null(d.db);
	}
	assert_int_equal(database_make_file(path, &r->err), -1);
	free(path);
}

static void test_a_statement_that_makes_no_sense_is_told_by_stepping_each_time(void **state)
{
	static const char sql[] = "SELECT n FROM nowhere";
	struct rig *r = *state;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(rows(r), 0);
		assert_int_equal(database_step(&r->d, database_statement(&r->d, sql), &r->err), -1);
		says(r, "nowhere");
	}
}

static void test_only_the_owner_can_read_a_new_file_and_its_log(void **state)
{
	struct rig *r = *state;
	char *log = xasprintf("%s-wal", r->path), *link_path = xasprintf("%s-link", r->path);
	struct stat sb;

	must(insert(r, 1, bytes_of("x")), &r->err);
	assert_int_equal(stat(r->path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	assert_int_equal(stat(log, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	assert_int_equal(symlink(r->path, link_path), 0);
	assert_int_equal(database_make_file(link_path, &r->err), -1);
	free(link_path);
	free(log);
}

static void test_looking_leaves_nothing_behind_and_reads_what_a_writer_has_in_its_log(void **state)
{
	struct rig *r = *state;
	char *log = xasprintf("%s-wal", r->path);
	struct database eye = { .name = r->path, .advice = "" };
	int64_t n = 0;

	must(insert(r, 7, bytes_of("x")), &r->err);
	must(database_open(&eye, r->path, DATABASE_LOOK, &r->err), &r->err);
	assert_int_equal(database_number(&eye, database_statement(&eye, "SELECT n FROM t"), &n, &r->err), 1);
	assert_int_equal(n, 7);
	database_close(&eye);
	database_close(&r->d);
	assert_int_equal(access(log, F_OK), -1);
	open_again(r, DATABASE_LOOK);
	assert_int_equal(rows(r), 1);
	assert_int_equal(access(log, F_OK), -1);
	assert_int_equal(insert(r, 1, bytes_of("x")), -1);
	free(log);
}

static void test_nothing_is_null_and_empty_is_not(void **state)
{
	struct rig *r = *state;
	sqlite3_stmt *both;
	sqlite3_stmt *st = database_statement(&r->d, "SELECT count(n), count(text), sum(length(text)) FROM t");

	must(insert(r, 0, (struct bytes){ 0 }), &r->err);
	must(insert(r, 5, bytes_of("five")), &r->err);
	both = database_statement(&r->d, "INSERT INTO t VALUES (?, ?)");
	database_bind(both, "it", (int64_t)0, (struct bytes){ 0 });
	must(database_run(&r->d, both, &r->err), &r->err);
	assert_int_equal(database_step(&r->d, st, &r->err), 1);
	assert_int_equal(sqlite3_column_int(st, 0), 2);
	assert_int_equal(sqlite3_column_int(st, 1), 2);
	assert_int_equal(sqlite3_column_int(st, 2), 4);
	assert_int_equal(database_step(&r->d, st, &r->err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_a_full_disk_breaks_the_database),
		TEST(test_a_disk_that_takes_no_more_breaks_the_database),
		TEST(test_a_commit_that_fails_breaks_the_database),
		TEST(test_a_damaged_file_is_told_with_what_to_do),
		TEST(test_what_another_has_locked_is_told),
		TEST(test_a_file_of_a_newer_version_is_refused),
		TEST(test_what_is_not_there_cannot_be_opened),
		TEST(test_a_statement_that_makes_no_sense_is_told_by_stepping_each_time),
		TEST(test_only_the_owner_can_read_a_new_file_and_its_log),
		TEST(test_looking_leaves_nothing_behind_and_reads_what_a_writer_has_in_its_log),
		TEST(test_nothing_is_null_and_empty_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
