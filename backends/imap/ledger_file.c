#include "backends/imap/ledger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/imap/ledger_private.h"
#include "core/base/crash.h"
#include "core/base/database.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/uuid.h"

#define SCHEMA 1

static const char schema[] =
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE mailboxes ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE,"
	" source_wire BLOB, source_delimiter INTEGER NOT NULL, source_utf8 INTEGER NOT NULL,"
	" uidvalidity INTEGER NOT NULL, agreed INTEGER NOT NULL, source_uidvalidity INTEGER NOT NULL,"
	" source_uidnext INTEGER NOT NULL, source_messages INTEGER NOT NULL,"
	" source_highestmodseq INTEGER NOT NULL, mailboxid TEXT NOT NULL, known TEXT NOT NULL,"
	" known_count INTEGER NOT NULL, live INTEGER NOT NULL, stored INTEGER NOT NULL,"
	" kept INTEGER NOT NULL, held INTEGER NOT NULL, pending INTEGER NOT NULL,"
	" bytes INTEGER NOT NULL, intents INTEGER NOT NULL,"
	" missing INTEGER NOT NULL, adopted INTEGER NOT NULL);"
	"CREATE TABLE messages ("
	" mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, source_uid INTEGER,"
	" state INTEGER NOT NULL, how INTEGER NOT NULL, size INTEGER NOT NULL,"
	" flags TEXT NOT NULL, date TEXT NOT NULL, sha256 BLOB, identity TEXT,"
	" PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;"
	"CREATE INDEX messages_source ON messages (mailbox, source_uid) WHERE source_uid IS NOT NULL;"
	"CREATE INDEX messages_content ON messages (substr(sha256, 1, 8)) WHERE sha256 IS NOT NULL;"
	"CREATE INDEX messages_identity ON messages (identity) WHERE identity IS NOT NULL;"
	"CREATE TABLE quarantine ("
	" mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, size INTEGER NOT NULL,"
	" reason TEXT NOT NULL, since INTEGER NOT NULL, attempts INTEGER NOT NULL,"
	" last INTEGER NOT NULL, accepted INTEGER NOT NULL,"
	" PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;"
	"CREATE TABLE intents ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, mailbox INTEGER NOT NULL, batch INTEGER NOT NULL,"
	" place INTEGER NOT NULL, uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL,"
	" source_uid INTEGER NOT NULL, size INTEGER NOT NULL, sha256 BLOB NOT NULL,"
	" message_id BLOB NOT NULL, date TEXT NOT NULL, flags TEXT NOT NULL, identity TEXT NOT NULL,"
	" created INTEGER NOT NULL);"
	"CREATE INDEX intents_mailbox ON intents (mailbox);"
	"PRAGMA user_version = 1;";

/* --- what SQLite says --- */

/* What a person can do about it. db NULL: the file cannot be opened. */
static int trouble(sqlite3 *db, const char *path, struct err *err)
{
	int code = db ? sqlite3_errcode(db) : SQLITE_OK;

	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		return err_set(err, ERR_FATAL,
			       "%s is damaged; the mail in the account is not. Move it away with the "
			       "files that are named like it, and run again: what the account holds "
			       "is then found by its content",
			       path);
	return err_set(err, ERR_FATAL, "%s: %s", path, db ? sqlite3_errmsg(db) : "cannot be opened");
}

static int fail(struct ledger *l, struct err *err)
{
	/*
	 * On a full or broken disk SQLite gives the whole transaction up. What followed would be
	 * committed statement by statement: a base without its messages.
	 */
	if (l->db && l->in_tx && sqlite3_get_autocommit(l->db)) {
		l->in_tx = false;
		l->broken = true;
	}
	return trouble(l->db, l->path, err);
}

int ledger_exec(struct ledger *l, const char *sql, struct err *err)
{
	return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(l, err);
}

sqlite3_stmt *ledger_statement(struct ledger *l, const char *sql)
{
	struct ledger_statement *s;

	for (size_t i = 0; i < l->n_statements; i++)
		if (l->statement[i].sql == sql)
			return l->statement[i].st;
	l->statement = xgrow(l->statement, l->n_statements, &l->cap_statements,
			     sizeof(*l->statement));
	s = &l->statement[l->n_statements++];
	*s = (struct ledger_statement){ .sql = sql };
	sqlite3_prepare_v3(l->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->st, NULL);
	return s->st;
}

void ledger_bind(sqlite3_stmt *st, const char *types, ...)
{
	va_list ap;
	int at = 1;

	va_start(ap, types);
	for (; *types; types++, at++) {
		struct bytes b;

		if (*types == 'i') {
			sqlite3_bind_int64(st, at, va_arg(ap, int64_t));
			continue;
		}
		b = va_arg(ap, struct bytes);
		if (!b.n && (*types == 'T' || *types == 'B'))
			sqlite3_bind_null(st, at);
		else if (*types == 't' || *types == 'T')
			sqlite3_bind_text64(st, at, b.n ? (const char *)b.p : "", b.n, SQLITE_STATIC,
					    SQLITE_UTF8);
		else
			sqlite3_bind_blob64(st, at, b.n ? (const void *)b.p : "", b.n, SQLITE_STATIC);
	}
	va_end(ap);
}

int ledger_step(struct ledger *l, sqlite3_stmt *st, struct err *err)
{
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR;

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE) {
		sqlite3_reset(st);
		return 0;
	}
	fail(l, err);
	sqlite3_reset(st);
	return -1;
}

int ledger_run(struct ledger *l, sqlite3_stmt *st, struct err *err)
{
	int got;

	while ((got = ledger_step(l, st, err)) > 0)
		;
	return got;
}

struct bytes ledger_text(sqlite3_stmt *st, int column)
{
	const void *p = sqlite3_column_blob(st, column);

	return bytes_from(p, (size_t)sqlite3_column_bytes(st, column));
}

void ledger_take_row(sqlite3_stmt *st, struct ledger_row *out)
{
	*out = (struct ledger_row){
		.uid = (uint32_t)sqlite3_column_int64(st, 0),
		.source_uid = (uint32_t)sqlite3_column_int64(st, 1),
		.state = (enum ledger_state)sqlite3_column_int(st, 2),
		.how = (enum ledger_how)sqlite3_column_int(st, 3),
		.size = (uint64_t)sqlite3_column_int64(st, 4),
		.flags = ledger_text(st, 5),
		.date = ledger_text(st, 6),
		.sha256 = ledger_text(st, 7),
		.identity = ledger_text(st, 8),
	};
	if (out->sha256.n != CONTENT_HASH_SIZE)
		out->sha256 = (struct bytes){ 0 };
}

/* --- identity --- */

/* 0 when the file is one that we understand. *version is 0 for an empty one. */
static int check_schema(sqlite3 *db, const char *path, int *version, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int ret = -1;

	*version = 0;
	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW) {
		trouble(db, path, err);
		goto out;
	}
	*version = sqlite3_column_int(st, 0);
	if (*version > SCHEMA) {
		err_set(err, ERR_FATAL,
			"%s was written by a newer version of mailcask (format %d; this one knows %d)",
			path, *version, SCHEMA);
		goto out;
	}
	ret = 0;
out:
	sqlite3_finalize(st);
	return ret;
}

/* `target`: what it is to be; ERR_HELD when it is another. */
static int read_meta(sqlite3 *db, const char *path, const char *target, struct store_identity *out,
		     struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT key, value FROM meta", -1, &st, NULL), ret = 0;

	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *key = (const char *)sqlite3_column_text(st, 0);
		struct bytes value = ledger_text(st, 1);

		if (strcmp(key, "uuid") == 0 && value.n == sizeof(out->uuid) - 1) {
			memcpy(out->uuid, value.p, value.n);
			out->uuid[value.n] = '\0';
		} else if (strcmp(key, "account") == 0) {
			free(out->account);
			out->account = bytes_dup(value);
		} else if (strcmp(key, "generation") == 0) {
			out->generation = (uint64_t)sqlite3_column_int64(st, 1);
		} else if (strcmp(key, "target") == 0 && !bytes_is(value, target)) {
			ret = err_set(err, ERR_HELD,
				      "%s remembers what was copied to %.*s, and not to %s; move it away "
				      "to begin anew",
				      path, (int)value.n, (const char *)value.p, target);
		}
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? ret : trouble(db, path, err);
}

/* What is there: -1 with *err, 0 nothing (or a file that nothing was written to), 1 a file. */
static int look_at(const char *path, struct err *err)
{
	struct stat sb;

	if (lstat(path, &sb) < 0)
		return errno == ENOENT ? 0 : err_sys(err, ERR_FATAL, "look at %s", path);
	if (!S_ISREG(sb.st_mode))
		return err_set(err, ERR_FATAL, "%s is not a regular file", path);
	return sb.st_size > 0;
}

static sqlite3 *open_to_read(const char *path, struct err *err)
{
	char *uri = database_read_only_uri(path);
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK) {
		trouble(db, path, err);
		sqlite3_close(db);
		db = NULL;
	}
	free(uri);
	if (db)
		sqlite3_busy_timeout(db, 5000);
	return db;
}

int ledger_identify(const char *path, const char *target, struct store_identity *out, struct err *err)
{
	sqlite3 *db;
	int version, there, ret = -1;

	*out = (struct store_identity){ .presence = STORE_MISSING };
	if (!path || (there = look_at(path, err)) == 0)
		return 0;
	if (there < 0 || !(db = open_to_read(path, err)))
		return -1;
	if (check_schema(db, path, &version, err) == 0 &&
	    (version == 0 || read_meta(db, path, target, out, err) == 0))
		ret = 0;
	if (ret == 0 && version > 0)
		out->presence = STORE_OURS;
	sqlite3_close(db);
	return ret;
}

/* --- opening --- */

static int lock(struct ledger *l, struct err *err)
{
	char *path = xasprintf("%s.lock", l->path);
	int ret = 0;

	l->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (l->lock < 0)
		ret = err_sys(err, ERR_FATAL, "open %s", path);
	else if (flock(l->lock, LOCK_EX | LOCK_NB) == 0)
		;
	else if (errno == EWOULDBLOCK)
		ret = err_set(err, ERR_LOCKED, "%s is in use: another run writes to this account",
			      l->path);
	else
		ret = err_sys(err, ERR_FATAL, "lock %s", path);
	free(path);
	return ret;
}

static int sync_parent(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? bytes_dup(bytes_from(path, (size_t)(slash - path) + 1)) : xstrdup(".");
	int ret = dir_make(dir, 0700, err) < 0 ? -1 : dir_sync(dir, err);

	free(dir);
	return ret;
}

static int open_to_write(struct ledger *l, struct err *err)
{
	/* Who wrote to whom concerns nobody else. SQLite gives its log the mode of the database. */
	int fd = open(l->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, ERR_FATAL, "create %s", l->path);
	close(fd);
	if (sqlite3_open_v2(l->path, &l->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK)
		return trouble(l->db, l->path, err);
	sqlite3_busy_timeout(l->db, 5000);
	return ledger_exec(l, database_is_remote(l->path) ? "PRAGMA journal_mode = TRUNCATE"
							  : "PRAGMA journal_mode = WAL", err) < 0 ||
			       ledger_exec(l, "PRAGMA synchronous = FULL;"
					      "PRAGMA wal_autocheckpoint = 4000;"
					      "PRAGMA cache_size = -4000", err) < 0 ? -1 : 0;
}

static int set_meta(struct ledger *l, const char *key, struct bytes value, struct err *err)
{
	sqlite3_stmt *st = ledger_statement(l, "INSERT OR REPLACE INTO meta (key, value) VALUES (?,?)");

	ledger_bind(st, "tt", bytes_of(key), value);
	return ledger_run(l, st, err);
}

static int make_schema(struct ledger *l, const char *target, struct err *err)
{
	char uuid[UUID_SIZE];

	uuid_make(uuid);
	if (ledger_begin(l, err) < 0 || ledger_exec(l, schema, err) < 0 ||
	    set_meta(l, "uuid", bytes_of(uuid), err) < 0 ||
	    set_meta(l, "target", bytes_of(target), err) < 0)
		return -1;
	crash_point("ledger: make it");
	l->in_tx = false;
	return ledger_exec(l, "COMMIT", err) < 0 ? -1 : sync_parent(l->path, err);
}

/* Opened: who it is of, and its mailboxes. */
static int begin_with(struct ledger *l, const char *target, bool make, struct err *err)
{
	struct store_identity id = { .presence = STORE_MISSING };
	int version, ret = -1;

	if (check_schema(l->db, l->path, &version, err) < 0)
		return -1;
	if (version > 0)
		ret = read_meta(l->db, l->path, target, &id, err);
	else
		ret = make ? make_schema(l, target, err)
			   : err_set(err, ERR_FATAL, "%s holds nothing", l->path);
	l->generation = id.generation;
	l->account = id.account;
	return ret < 0 ? -1 : ledger_load_boxes(l, err);
}

int ledger_open(struct ledger **out, const char *path, const char *target, enum store_mode mode,
		struct err *err)
{
	int there = look_at(path, err);
	struct ledger *l;

	*out = NULL;
	if (there < 0)
		return -1;
	if (mode == STORE_READ && !there)
		return 0;
	l = xcalloc(1, sizeof(*l));
	l->path = xstrdup(path);
	l->lock = -1;
	if (mode == STORE_WRITE) {
		if (sync_parent(path, err) < 0 || lock(l, err) < 0 || open_to_write(l, err) < 0)
			goto fail;
	} else if (!(l->db = open_to_read(path, err))) {
		goto fail;
	}
	if (begin_with(l, target, mode == STORE_WRITE, err) < 0)
		goto fail;
	*out = l;
	return 0;
fail:
	ledger_close(l);
	return -1;
}

void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n_statements; i++)
		sqlite3_finalize(l->statement[i].st);
	free(l->statement);
	sqlite3_close(l->db); /* rolls back */
	ledger_free_boxes(l);
	if (l->lock >= 0)
		close(l->lock);
	free(l->account);
	free(l->path);
	free(l);
}

const char *ledger_path(const struct ledger *l)
{
	return l->path;
}

/* --- transactions --- */

int ledger_begin(struct ledger *l, struct err *err)
{
	if (l->broken)
		return err_set(err, ERR_FATAL, "%s: writing it failed before; open it again", l->path);
	if (l->in_tx)
		return 0;
	if (ledger_exec(l, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	l->in_tx = true;
	return 0;
}

int ledger_commit(struct ledger *l, struct err *err)
{
	sqlite3_stmt *st;

	if (!l->in_tx)
		return l->broken ? ledger_begin(l, err) : 0;
	st = ledger_statement(l, "INSERT OR REPLACE INTO meta (key, value) VALUES ('generation', ?)");
	ledger_bind(st, "i", (int64_t)l->generation + 1);
	if (ledger_save_boxes(l, err) < 0 || ledger_run(l, st, err) < 0)
		return -1;
	crash_point("ledger: commit");
	if (ledger_exec(l, "COMMIT", err) < 0) {
		l->broken = true;
		return -1;
	}
	l->in_tx = false;
	l->generation++;
	return 0;
}

int ledger_set_account(struct ledger *l, const char *account, struct err *err)
{
	if (l->account && strcmp(l->account, account) == 0)
		return 0;
	if (ledger_begin(l, err) < 0 || set_meta(l, "account", bytes_of(account), err) < 0)
		return -1;
	free(l->account);
	l->account = xstrdup(account);
	return 0;
}
