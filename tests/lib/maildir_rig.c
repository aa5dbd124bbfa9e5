#include "tests/lib/maildir_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "backends/maildir/maildir.h"
#include "core/base/mem.h"
#include "tests/lib/support.h"

struct bench *mdir_bench(void **state)
{
	return *state;
}

int mdir_setup(void **state)
{
	const struct store_under_test *sut = *state;
	struct bench *b = xcalloc(1, sizeof(*b));

	bench_init(b, sut);
	bench_open(b);
	*state = b;
	return 0;
}

int mdir_teardown(void **state)
{
	bench_release(*state);
	free(*state);
	return 0;
}

char *mdir_path(const struct bench *b, const char *rest)
{
	return xasprintf("%s/%s", b->path, rest);
}

/* The n-th file of a directory, sorted, owned by the caller. */
char *mdir_file(const struct bench *b, const char *dir, size_t n)
{
	char *path = mdir_path(b, dir), *out;
	struct name_list files = { 0 };

	dir_entries(path, &files);
	if (n >= files.n)
		fail_msg("%s holds %zu files", path, files.n);
	out = path_join(path, files.name[n]);
	name_list_release(&files);
	free(path);
	return out;
}

size_t mdir_count(const struct bench *b, const char *dir)
{
	char *path = mdir_path(b, dir);
	struct name_list files = { 0 };
	size_t n;

	dir_entries(path, &files);
	n = files.n;
	name_list_release(&files);
	free(path);
	return n;
}

void mdir_put(const struct bench *b, const char *name, const char *body)
{
	char *path = mdir_path(b, name);

	write_file(path, bytes_of(body));
	free(path);
}

/* A Maildir of another program, before us. */
void mdir_make_foreign(struct bench *b)
{
	static const char *const dirs[] = { "", "INBOX", "INBOX/cur", "INBOX/new", "INBOX/tmp",
					    "w", "w/cur", "w/new", "w/tmp" };

	bench_close(b);
	remove_tree(b->path);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char *dir = mdir_path(b, dirs[i]);

		assert_int_equal(mkdir(dir, 0700), 0);
		free(dir);
	}
	mdir_put(b, "INBOX/cur/1.x:2,S", "Subject: a\n\nb\n");
	mdir_put(b, "INBOX/cur/2.x:2,", "Subject: a\n\nb\n");
	mdir_put(b, "INBOX/new/3.x", "exact\r\n");
	mdir_put(b, "w/cur/4.x:2,FR", "work\n");
}

void mdir_sql_file(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

void mdir_sql(struct bench *b, const char *sql)
{
	char *path = mdir_path(b, "mailcask.db");

	mdir_sql_file(path, sql);
	free(path);
}
