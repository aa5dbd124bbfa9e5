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
static const char advice[] = "the mail beside it is not. Move it away with the files that are named "
			     "like it, remove the job's "
			     ".run file in the state directory, and run once with --adopt";

static const char *const upgrades[INDEX_SCHEMA] = {
	[1] = "ALTER TABLE quarantine ADD COLUMN last INTEGER NOT NULL DEFAULT 0",
	[2] = "ALTER TABLE messages ADD COLUMN identity TEXT;"
	      "CREATE INDEX messages_identity ON messages (identity) WHERE identity IS NOT NULL",
	[3] = "ALTER TABLE mailboxes ADD COLUMN mailboxid TEXT",
};

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

static void take_meta(struct store_identity *out, const char *key, sqlite3_stmt *st)
{
	struct bytes value = database_text(st, 1);

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

static int read_meta(struct database *db, struct store_identity *out, struct err *err)
{
	sqlite3_stmt *st = database_statement(db, "SELECT key, value FROM meta");
	int got;

	while ((got = database_step(db, st, err)) > 0)
		take_meta(out, (const char *)sqlite3_column_text(st, 0), st);
	return got;
}

int index_identify(const char *path, enum index_kind *kind, struct store_identity *out,
		   struct err *err)
{
	struct database db = { .name = path, .advice = advice };
	int version, ret;

	if (database_open(&db, path, DATABASE_LOOK, err) < 0)
		return -1;
	ret = database_version(&db, INDEX_SCHEMA, &version, err);
	*kind = ret == 0 && version > 0 ? INDEX_OURS : INDEX_NONE;
	if (*kind == INDEX_OURS)
		ret = read_meta(&db, out, err);
	database_close(&db);
	return ret;
}

/* The index of a store that is read but whose new files are to be numbered: a private copy. */
static int copy_to_memory(struct maildir *m, struct err *err)
{
	struct database from = m->db;
	sqlite3_backup *copy;
	int ret;

	m->db = (struct database){ .name = from.name, .advice = from.advice };
	ret = database_open(&m->db, "", DATABASE_WRITE, err);
	if (ret == 0 && from.db) {
		copy = sqlite3_backup_init(m->db.db, "main", from.db, "main");
		if (copy)
			sqlite3_backup_step(copy, -1);
		if (!copy || sqlite3_backup_finish(copy) != SQLITE_OK)
			ret = database_fail(&m->db, err);
	}
	database_close(&from);
	return ret;
}

static int make_schema(struct maildir *m, struct err *err)
{
	struct bytes layout = bytes_of(layout_text(m->layout));

	if (database_begin(&m->db, err) < 0 || database_exec(&m->db, index_schema, err) < 0 ||
	    index_set_meta(m, "uuid", bytes_of(m->uuid), err) < 0 ||
	    index_set_meta(m, "layout", layout, err) < 0 ||
	    index_set_meta(m, "layout_version", bytes_of("1"), err) < 0)
		return -1;
	return database_commit(&m->db, err);
}

/* A store that is only read stays as it is: see read_quarantine() and index_stmt(). */
static int upgrade_schema(struct maildir *m, struct err *err)
{
	if (database_begin(&m->db, err) < 0)
		return -1;
	for (int i = m->schema; i < INDEX_SCHEMA; i++)
		if (database_exec(&m->db, upgrades[i], err) < 0)
			return -1;
	m->schema = INDEX_SCHEMA;
	return database_exec(&m->db, "PRAGMA user_version = 4", err) < 0 ? -1
									 : database_commit(&m->db, err);
}

static int set_modes(struct maildir *m, struct err *err)
{
	if (m->side || m->mode != STORE_READ)
		return database_set_durable(&m->db, !m->side, err);
	return database_exec(&m->db, "PRAGMA cache_size = -4000", err);
}

static int check_layout(struct maildir *m, struct err *err)
{
	const char *wanted = m->st.cfg->layout;
	sqlite3_stmt *st = database_statement(&m->db, "SELECT value FROM meta WHERE key = 'layout'");
	int ret = database_step(&m->db, st, err);
	char *there;

	if (ret < 0)
		return -1;
	there = ret > 0 ? bytes_dup(database_text(st, 0)) : xstrdup("");
	sqlite3_reset(st);
	ret = 0;
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

/* A job's source that is not ours has its index elsewhere. */
static char *index_path(const struct maildir *m)
{
	const struct store_config *cfg = m->st.cfg;

	if (cfg->as_source && m->claim && cfg->index)
		return xstrdup(cfg->index);
	return xasprintf("%s/" INDEX_FILE, m->path);
}

/* What there is, opened: the file, or a copy of it. */
static int open_index(struct maildir *m, bool create, struct err *err)
{
	bool write = m->mode == STORE_WRITE || m->side;

	if (m->memory && file_size_of(m->index) < 0)
		return copy_to_memory(m, err);
	if ((create && database_make_file(m->index, err) < 0) ||
	    database_open(&m->db, m->index, write ? DATABASE_WRITE : DATABASE_READ, err) < 0)
		return -1;
	return m->memory ? copy_to_memory(m, err) : 0;
}

int index_open(struct maildir *m, bool create, struct err *err)
{
	bool writes = m->mode == STORE_WRITE || m->side || m->memory;

	m->index = index_path(m);
	if (m->side)
		m->advice = xasprintf("it only says which UID each file of %s has. Remove it and "
				      "run once with --rebind",
				      m->path);
	m->db = (struct database){ .name = m->index, .advice = m->side ? m->advice : advice };
	if (file_is_link(m->index))
		return err_set(err, ERR_FATAL, "%s is a symbolic link", m->index);
	if (open_index(m, create || m->side, err) < 0 || set_modes(m, err) < 0 ||
	    database_version(&m->db, INDEX_SCHEMA, &m->schema, err) < 0)
		return -1;
	if (m->schema > 0 && check_layout(m, err) < 0)
		return -1;
	if (m->schema > 0)
		return writes && m->schema < INDEX_SCHEMA ? upgrade_schema(m, err) : 0;
	m->schema = INDEX_SCHEMA;
	if (make_schema(m, err) < 0)
		return -1;
	return m->side ? dir_sync_parent(m->index, err) : 0;
}

void index_close(struct maildir *m)
{
	database_close(&m->db);
	free(m->advice);
	m->advice = NULL;
}
