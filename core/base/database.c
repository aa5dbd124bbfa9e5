#include "core/base/database.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

#define WAIT_MS 5000

struct database_statement {
	const char *sql; /* by its address */
	sqlite3_stmt *st;
};

/* --- errors --- */

int database_fail(struct database *d, struct err *err)
{
	int code = d->code = d->db ? sqlite3_errcode(d->db) & 0xff : SQLITE_CANTOPEN;

	if (d->db && d->in_tx && sqlite3_get_autocommit(d->db)) {
		d->in_tx = false;
		d->broken = true;
	}
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		return err_set(err, ERR_FATAL, "%s is damaged; %s", d->name, d->advice);
	return err_set(err, ERR_FATAL, "%s: %s", d->name,
		       d->db ? sqlite3_errmsg(d->db) : "cannot be opened");
}

bool database_is_broken(const struct database *d, struct err *err)
{
	if (d->broken)
		err_set(err, ERR_FATAL, "%s: writing it failed before; open it again", d->name);
	return d->broken;
}

/* --- opening --- */

static bool is_remote(const char *path)
{
	static const unsigned long remote[] = {
		0x6969,     /* NFS */
		0xff534d42, /* CIFS */
		0xfe534d42, /* SMB2 */
		0x517b,     /* SMB */
		0x65735546, /* FUSE: sshfs and others */
		0x01021997, /* 9p */
	};
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if (((unsigned long)fs.f_type & 0xffffffff) == remote[i])
			return true;
	return false;
}

static bool has_log(const char *path)
{
	char *wal = xasprintf("%s-wal", path);
	struct stat sb;
	bool pending = lstat(wal, &sb) == 0 && sb.st_size > 0;

	free(wal);
	return pending;
}

/* Without a log there is nothing but the file, which is then read as it is. */
static char *uri_to_look(const char *path)
{
	struct buf uri = BUF_INIT(SIZE_MAX / 4);

	buf_add_str(&uri, "file:");
	for (const char *p = path; *p; p++) {
		if (strchr("?#%", *p))
			buf_addf(&uri, "%%%02X", (unsigned)(uint8_t)*p);
		else
			buf_add_byte(&uri, (uint8_t)*p);
	}
	if (!has_log(path))
		buf_add_str(&uri, "?immutable=1");
	return buf_take(&uri);
}

static int open_as(struct database *d, const char *file, int flags)
{
	/* No thread but this one ever sees it: locks would be a tenth of what reading rows costs. */
	int rc = sqlite3_open_v2(file, &d->db, flags | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK)
		sqlite3_busy_timeout(d->db, WAIT_MS);
	return rc;
}

static int open_to_look(struct database *d, const char *file)
{
	char *uri = uri_to_look(file);
	int rc = open_as(d, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);

	free(uri);
	return rc;
}

static int open_to_read(struct database *d, const char *file)
{
	if (open_as(d, file, SQLITE_OPEN_READONLY) == SQLITE_OK &&
	    sqlite3_exec(d->db, "PRAGMA user_version", NULL, NULL, NULL) == SQLITE_OK)
		return SQLITE_OK;
	sqlite3_close(d->db);
	d->db = NULL;
	return open_to_look(d, file);
}

int database_open(struct database *d, const char *file, enum database_access access, struct err *err)
{
	bool private = !*file || strcmp(file, ":memory:") == 0;
	int rc;

	if (access == DATABASE_LOOK)
		rc = open_to_look(d, file);
	else if (access == DATABASE_READ)
		rc = open_to_read(d, file);
	else
		rc = open_as(d, file, SQLITE_OPEN_READWRITE | (private ? SQLITE_OPEN_CREATE : 0));
	if (rc == SQLITE_OK)
		return 0;
	database_fail(d, err);
	database_close(d);
	return -1;
}

void database_close(struct database *d)
{
	for (size_t i = 0; i < d->n_statements; i++)
		sqlite3_finalize(d->statement[i].st);
	free(d->statement);
	sqlite3_close(d->db);
	*d = (struct database){ .name = d->name, .advice = d->advice };
}

int database_make_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, ERR_FATAL, "create %s", path);
	close(fd);
	return 0;
}

int database_set_durable(struct database *d, bool log, struct err *err)
{
	const char *mode = log && !is_remote(d->name) ? "PRAGMA journal_mode = WAL"
						      : "PRAGMA journal_mode = TRUNCATE";

	return database_exec(d, mode, err) < 0
		       ? -1
		       : database_exec(d,
				       "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;"
				       "PRAGMA cache_size = -4000",
				       err);
}

int database_version(struct database *d, int newest, int *version, struct err *err)
{
	int64_t n = 0;

	*version = 0;
	if (database_number(d, database_statement(d, "PRAGMA user_version"), &n, err) < 0)
		return -1;
	*version = (int)n;
	if (n > newest)
		return err_set(
			err, ERR_FATAL,
			"%s was written by a newer version of mailcask (format %d; this one knows %d)",
			d->name, *version, newest);
	return 0;
}

/* --- using it --- */

int database_exec(struct database *d, const char *sql, struct err *err)
{
	return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : database_fail(d, err);
}

int database_begin(struct database *d, struct err *err)
{
	if (database_is_broken(d, err))
		return -1;
	if (d->in_tx)
		return 0;
	if (database_exec(d, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	d->in_tx = true;
	return 0;
}

int database_commit(struct database *d, struct err *err)
{
	if (database_is_broken(d, err))
		return -1;
	if (d->in_tx && database_exec(d, "COMMIT", err) < 0) {
		d->broken = true;
		return -1;
	}
	d->in_tx = false;
	return 0;
}

sqlite3_stmt *database_statement_as(struct database *d, const char *sql, const char *text)
{
	sqlite3_stmt *st;

	for (size_t i = 0; i < d->n_statements; i++)
		if (d->statement[i].sql == sql)
			return d->statement[i].st;
	if (sqlite3_prepare_v3(d->db, text, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
		return NULL;
	d->statement = xgrow(d->statement, d->n_statements, &d->cap_statements, sizeof(*d->statement));
	d->statement[d->n_statements++] = (struct database_statement){ sql, st };
	return st;
}

sqlite3_stmt *database_statement(struct database *d, const char *sql)
{
	return database_statement_as(d, sql, sql);
}

static void bind_bytes(sqlite3_stmt *st, int at, struct bytes b, char type)
{
	const char *p = b.n ? (const char *)b.p : "";

	if (!b.n && (type == 'T' || type == 'B'))
		sqlite3_bind_null(st, at);
	else if (type == 't' || type == 'T')
		sqlite3_bind_text64(st, at, p, b.n, SQLITE_STATIC, SQLITE_UTF8);
	else
		sqlite3_bind_blob64(st, at, p, b.n, SQLITE_STATIC);
}

void database_bind(sqlite3_stmt *st, const char *types, ...)
{
	va_list ap;
	int64_t n;

	va_start(ap, types);
	for (int at = 1; *types; types++, at++)
		switch (*types) {
		case 'i':
		case 'I':
			n = va_arg(ap, int64_t);
			if (n == 0 && *types == 'I')
				sqlite3_bind_null(st, at);
			else
				sqlite3_bind_int64(st, at, n);
			break;
		case 's':
			sqlite3_bind_text(st, at, va_arg(ap, const char *), -1, SQLITE_STATIC);
			break;
		case 'n':
			sqlite3_bind_null(st, at);
			break;
		default:
			bind_bytes(st, at, va_arg(ap, struct bytes), *types);
		}
	va_end(ap);
}

int database_step(struct database *d, sqlite3_stmt *st, struct err *err)
{
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR;

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		database_fail(d, err);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

int database_run(struct database *d, sqlite3_stmt *st, struct err *err)
{
	int got;

	while ((got = database_step(d, st, err)) > 0)
		;
	return got;
}

int database_number(struct database *d, sqlite3_stmt *st, int64_t *out, struct err *err)
{
	int got = database_step(d, st, err);

	if (got > 0)
		*out = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return got;
}

struct bytes database_text(sqlite3_stmt *st, int column)
{
	const void *p = sqlite3_column_blob(st, column);

	return bytes_from(p, (size_t)sqlite3_column_bytes(st, column));
}
