#include "backends/maildir/index.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/database.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/mem.h"

const char index_schema[] =
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE mailboxes ("
	" id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, wire BLOB,"
	" delimiter INTEGER NOT NULL, utf8 INTEGER NOT NULL,"
	" directory TEXT NOT NULL UNIQUE, moved_from TEXT, attributes INTEGER NOT NULL,"
	" agreed INTEGER NOT NULL, source_uidvalidity INTEGER NOT NULL,"
	" source_uidnext INTEGER NOT NULL, source_messages INTEGER NOT NULL,"
	" source_highestmodseq INTEGER NOT NULL, known TEXT, known_count INTEGER NOT NULL,"
	" uidvalidity INTEGER NOT NULL, next_uid INTEGER NOT NULL,"
	" placing_from INTEGER NOT NULL, max_source INTEGER NOT NULL,"
	" stored INTEGER NOT NULL, held INTEGER NOT NULL, kept INTEGER NOT NULL,"
	" pending INTEGER NOT NULL, digest INTEGER NOT NULL, extra INTEGER NOT NULL,"
	" extra_known INTEGER NOT NULL, stamp BLOB NOT NULL, mailboxid TEXT);"
	"CREATE TABLE messages ("
	" mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, source_uid INTEGER,"
	" base BLOB NOT NULL, letters BLOB NOT NULL, size INTEGER NOT NULL,"
	" form INTEGER NOT NULL, state INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0,"
	" date BLOB NOT NULL, flags INTEGER NOT NULL, keywords BLOB NOT NULL, sha256 BLOB, identity TEXT,"
	" PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;"
	"CREATE INDEX messages_source ON messages (mailbox, source_uid)"
	" WHERE source_uid IS NOT NULL;"
	"CREATE INDEX messages_kept ON messages (mailbox, sha256) WHERE state = 1;"
	"CREATE INDEX messages_content ON messages (substr(sha256, 1, 8));"
	"CREATE INDEX messages_identity ON messages (identity) WHERE identity IS NOT NULL;"
	"CREATE TABLE removals (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" directory TEXT NOT NULL, base BLOB NOT NULL, letters BLOB NOT NULL);"
	"CREATE TABLE quarantine ("
	" mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, size INTEGER NOT NULL,"
	" reason TEXT NOT NULL, since INTEGER NOT NULL, attempts INTEGER NOT NULL,"
	" accepted INTEGER NOT NULL, last INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;"
	"PRAGMA user_version = 4;";

/* From each version to the next: so that the texts of the tables become just what they are above. */
static const char *const upgrades[INDEX_SCHEMA] = {
	[1] = "ALTER TABLE quarantine ADD COLUMN last INTEGER NOT NULL DEFAULT 0",
	[2] = "ALTER TABLE messages ADD COLUMN identity TEXT;"
	      "CREATE INDEX messages_identity ON messages (identity) WHERE identity IS NOT NULL",
	[3] = "ALTER TABLE mailboxes ADD COLUMN mailboxid TEXT",
};

static int run_upgrades(sqlite3 *db, int from)
{
	int rc = SQLITE_OK;

	for (int i = from; i < INDEX_SCHEMA && rc == SQLITE_OK; i++)
		rc = sqlite3_exec(db, upgrades[i], NULL, NULL, NULL);
	return rc == SQLITE_OK ? sqlite3_exec(db, "PRAGMA user_version = 4", NULL, NULL, NULL) : rc;
}

/* -1 when there is none. */
static int64_t file_size_of(const char *path)
{
	struct stat sb;

	return lstat(path, &sb) < 0 ? -1 : (int64_t)sb.st_size;
}

static bool file_is_link(const char *path)
{
	struct stat sb;

	return lstat(path, &sb) == 0 && S_ISLNK(sb.st_mode);
}

/* 0 when the file is one of ours that we understand. *version is 0 for an empty or foreign one. */
static int check_schema(sqlite3 *db, const char *path, int *version, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int ret = -1;

	*version = 0;
	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW) {
		index_trouble(db, path, err);
		goto out;
	}
	*version = sqlite3_column_int(st, 0);
	if (*version > INDEX_SCHEMA) {
		err_set(err, ERR_FATAL,
			"%s was written by a newer version of mailcask (format %d;"
			" this one knows %d)",
			path, *version, INDEX_SCHEMA);
		goto out;
	}
	ret = 0;
out:
	sqlite3_finalize(st);
	return ret;
}

static void take_meta(struct store_identity *out, const char *key, sqlite3_stmt *st)
{
	struct bytes value = index_text(st, 1);

	if (strcmp(key, "uuid") == 0) {
		snprintf(out->uuid, sizeof(out->uuid), "%.*s", (int)value.n,
			 value.n ? (const char *)value.p : "");
	} else if (strcmp(key, "account") == 0) {
		free(out->account);
		out->account = bytes_dup(value);
	} else if (strcmp(key, "generation") == 0) {
		out->generation = (uint64_t)sqlite3_column_int64(st, 1);
	}
}

static int read_meta(sqlite3 *db, const char *path, struct store_identity *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT key, value FROM meta", -1, &st, NULL);

	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		take_meta(out, (const char *)sqlite3_column_text(st, 0), st);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	if (rc != SQLITE_DONE)
		return index_trouble(db, path, err);
	return 0;
}

int index_identify(const char *path, enum index_kind *kind, struct store_identity *out,
		   struct err *err)
{
	char *uri = database_read_only_uri(path);
	sqlite3 *db = NULL;
	int version, ret = -1;

	if (sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) !=
	    SQLITE_OK) {
		index_trouble(db, path, err);
		goto out;
	}
	sqlite3_busy_timeout(db, 5000);
	ret = check_schema(db, path, &version, err);
	*kind = ret == 0 && version > 0 ? INDEX_OURS : INDEX_NONE;
	if (*kind == INDEX_OURS)
		ret = read_meta(db, path, out, err);
out:
	sqlite3_close(db);
	free(uri);
	return ret;
}

static int open_file(struct maildir *m, const char *path, bool create, struct err *err)
{
	bool write = m->mode == STORE_WRITE || m->side;
	char *uri = database_read_only_uri(path);
	int flags = write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	int rc;

	/* Who wrote to whom concerns nobody else. SQLite gives its log the mode of the database. */
	if (create) {
		int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd < 0) {
			free(uri);
			return err_sys(err, ERR_FATAL, "create %s", path);
		}
		close(fd);
	}
	/* A writer may be making a log: `immutable` only where nothing else works. */
	/* No thread but this one ever sees it: locks would be a tenth of what reading rows costs. */
	rc = sqlite3_open_v2(path, &m->db,
			     flags | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0), NULL);
	if (!write && (rc != SQLITE_OK || sqlite3_exec(m->db, "PRAGMA user_version", NULL, NULL,
						       NULL) != SQLITE_OK)) {
		sqlite3_close(m->db);
		m->db = NULL;
		rc = sqlite3_open_v2(uri, &m->db, flags | SQLITE_OPEN_URI, NULL);
	}
	free(uri);
	return rc == SQLITE_OK ? 0 : index_fail(m, err);
}

/* The index of a store that is read but whose new files are to be numbered: a private copy. */
static int copy_to_memory(struct maildir *m, struct err *err)
{
	sqlite3 *from = m->db;
	sqlite3_backup *copy;
	int rc;

	m->db = NULL;
	if (sqlite3_open_v2("", &m->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	    SQLITE_OK)
		rc = SQLITE_CANTOPEN;
	else if (!from)
		return 0;
	else if (!(copy = sqlite3_backup_init(m->db, "main", from, "main")))
		rc = sqlite3_errcode(m->db);
	else {
		sqlite3_backup_step(copy, -1);
		rc = sqlite3_backup_finish(copy);
	}
	sqlite3_close(from);
	return rc == SQLITE_OK ? 0 : index_fail(m, err);
}

static int make_schema(struct maildir *m, struct err *err)
{
	struct bytes layout = bytes_of(layout_text(m->layout));

	if (index_begin(m, err) < 0 || index_exec(m, index_schema, err) < 0 ||
	    index_set_meta(m, "uuid", bytes_of(m->uuid), err) < 0 ||
	    index_set_meta(m, "layout", layout, err) < 0 ||
	    index_set_meta(m, "layout_version", bytes_of("1"), err) < 0)
		return -1;
	m->in_tx = false;
	return index_exec(m, "COMMIT", err);
}

/* A store that is only read stays as it is: see read_quarantine() and index_stmt(). */
static int upgrade_schema(struct maildir *m, struct err *err)
{
	if (index_begin(m, err) < 0)
		return -1;
	if (run_upgrades(m->db, m->schema) != SQLITE_OK)
		return index_fail(m, err);
	m->in_tx = false;
	m->schema = INDEX_SCHEMA;
	return index_exec(m, "COMMIT", err);
}

static int set_modes(struct maildir *m, struct err *err)
{
	if (m->side)
		return index_exec(m,
				  "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL;"
				  "PRAGMA cache_size = -4000",
				  err);
	if (m->mode == STORE_READ)
		return index_exec(m, "PRAGMA cache_size = -4000", err);
	if (index_exec(m, database_is_remote(m->path) ? "PRAGMA journal_mode = TRUNCATE"
					     : "PRAGMA journal_mode = WAL",
		       err) < 0)
		return -1;
	return index_exec(m,
			  "PRAGMA synchronous = FULL;"
			  "PRAGMA wal_autocheckpoint = 4000;"
			  "PRAGMA cache_size = -4000;",
			  err);
}

static int check_layout(struct maildir *m, struct err *err)
{
	const char *wanted = m->st.cfg->layout;
	sqlite3_stmt *st = NULL;
	struct bytes value = { 0 };
	char *there;
	int ret = 0;

	if (sqlite3_prepare_v2(m->db, "SELECT value FROM meta WHERE key = 'layout'", -1, &st,
			       NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		value = index_text(st, 0);
	there = bytes_dup(value);
	sqlite3_finalize(st);
	if (wanted && strcmp(wanted, there) != 0)
		ret = err_set(err, ERR_CONFIG,
			      "%s: its layout is \"%s\", not \"%s\"; that of a store stays: put it "
			      "back, or use another path",
			      m->path, there, wanted);
	else if (!layout_from_text(there, &m->layout))
		ret = err_set(err, ERR_FATAL, "%s: this version knows no layout \"%s\"", m->path,
			      there);
	free(there);
	return ret;
}

static int sync_parent(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? bytes_dup(bytes_from(path, (size_t)(slash - path) + 1)) : xstrdup(".");
	int ret = dir_sync(dir, err);

	free(dir);
	return ret;
}

/* A job's source that is not ours has its index elsewhere. */
static char *index_path(const struct maildir *m)
{
	const struct store_config *cfg = m->st.cfg;

	if (cfg->as_source && m->claim && cfg->index)
		return xstrdup(cfg->index);
	return xasprintf("%s/" INDEX_FILE, m->path);
}

int index_open(struct maildir *m, bool create, struct err *err)
{
	const char *path = m->index = index_path(m);
	bool writes = m->mode == STORE_WRITE || m->side || m->memory;

	create |= m->side;
	m->stmt = xcalloc(ST_COUNT, sizeof(*m->stmt));
	if (file_is_link(path)) {
		err_set(err, ERR_FATAL, "%s is a symbolic link", path);
		return -1;
	}
	if (m->memory && file_size_of(path) < 0) {
		if (copy_to_memory(m, err) < 0)
			return -1;
	} else if (open_file(m, path, create, err) < 0 ||
		   (m->memory && copy_to_memory(m, err) < 0)) {
		return -1;
	}
	sqlite3_busy_timeout(m->db, 5000);
	if (set_modes(m, err) < 0 || check_schema(m->db, path, &m->schema, err) < 0)
		return -1;
	if (m->schema > 0 && check_layout(m, err) < 0)
		return -1;
	if (m->schema > 0)
		return writes && m->schema < INDEX_SCHEMA ? upgrade_schema(m, err) : 0;
	m->schema = INDEX_SCHEMA;
	if (make_schema(m, err) < 0)
		return -1;
	return m->side ? sync_parent(path, err) : 0;
}

void index_close(struct maildir *m)
{
	for (size_t i = 0; m->stmt && i < ST_COUNT; i++)
		sqlite3_finalize(m->stmt[i]);
	free(m->stmt);
	m->stmt = NULL;
	sqlite3_close(m->db);
	m->db = NULL;
}
