#include "backends/imap/ledger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
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

static const char advice[] =
	"the mail in the account is not. Move it away with the files that are named like it, and run "
	"again: what the account holds is then found by its content";

void ledger_take_row(sqlite3_stmt *st, struct ledger_row *out)
{
	*out = (struct ledger_row){
		.uid = (uint32_t)sqlite3_column_int64(st, 0),
		.source_uid = (uint32_t)sqlite3_column_int64(st, 1),
		.state = (enum ledger_state)sqlite3_column_int(st, 2),
		.how = (enum ledger_how)sqlite3_column_int(st, 3),
		.size = (uint64_t)sqlite3_column_int64(st, 4),
		.flags = database_text(st, 5),
		.date = database_text(st, 6),
		.sha256 = database_text(st, 7),
		.identity = database_text(st, 8),
	};
	if (out->sha256.n != CONTENT_HASH_SIZE)
		out->sha256 = (struct bytes){ 0 };
}

/* --- identity --- */

/* `target`: what it is to be; ERR_HELD when it is another. */
static int read_meta(struct database *db, const char *target, struct store_identity *out,
		     struct err *err)
{
	sqlite3_stmt *st = database_statement(db, "SELECT key, value FROM meta");
	int got, ret = 0;

	while ((got = database_step(db, st, err)) > 0) {
		const char *key = (const char *)sqlite3_column_text(st, 0);
		struct bytes value = database_text(st, 1);

		if (strcmp(key, "uuid") == 0 && value.n == sizeof(out->uuid) - 1) {
			memcpy(out->uuid, value.p, value.n);
			out->uuid[value.n] = '\0';
		} else if (strcmp(key, "account") == 0) {
			free(out->account);
			out->account = bytes_dup(value);
		} else if (strcmp(key, "generation") == 0) {
			out->generation = (uint64_t)sqlite3_column_int64(st, 1);
		} else if (strcmp(key, "target") == 0 && !bytes_is(value, target)) {
			ret = err_set(
				err, ERR_HELD,
				"%s remembers what was copied to %.*s, and not to %s; move it away "
				"to begin anew",
				db->name, (int)value.n, (const char *)value.p, target);
		}
	}
	return got < 0 ? -1 : ret;
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

int ledger_identify(const char *path, const char *target, struct store_identity *out, struct err *err)
{
	struct database db = { .name = path, .advice = advice };
	int version, there, ret = -1;

	*out = (struct store_identity){ .presence = STORE_MISSING };
	if (!path || (there = look_at(path, err)) == 0)
		return 0;
	if (there < 0 || database_open(&db, path, DATABASE_LOOK, err) < 0)
		return -1;
	if (database_version(&db, SCHEMA, &version, err) == 0 &&
	    (version == 0 || read_meta(&db, target, out, err) == 0))
		ret = 0;
	if (ret == 0 && version > 0)
		out->presence = STORE_OURS;
	database_close(&db);
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

/* The directory it lies in, durably. */
static int make_parent(const char *path, struct err *err)
{
	char *dir = path_parent(path);
	int ret = dir_make(dir, 0700, err) < 0 ? -1 : dir_sync(dir, err);

	free(dir);
	return ret;
}

static int open_to_write(struct ledger *l, struct err *err)
{
	return database_make_file(l->path, err) < 0 ||
			       database_open(&l->db, l->path, DATABASE_WRITE, err) < 0 ||
			       database_set_durable(&l->db, true, err) < 0
		       ? -1
		       : 0;
}

static int set_meta(struct ledger *l, const char *key, struct bytes value, struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&l->db, "INSERT OR REPLACE INTO meta (key, value) VALUES (?,?)");

	database_bind(st, "tt", bytes_of(key), value);
	return database_run(&l->db, st, err);
}

static int make_schema(struct ledger *l, const char *target, struct err *err)
{
	char uuid[UUID_SIZE];

	uuid_make(uuid);
	if (database_begin(&l->db, err) < 0 || database_exec(&l->db, schema, err) < 0 ||
	    set_meta(l, "uuid", bytes_of(uuid), err) < 0 ||
	    set_meta(l, "target", bytes_of(target), err) < 0)
		return -1;
	crash_point("ledger: make it");
	return database_commit(&l->db, err) < 0 ? -1 : make_parent(l->path, err);
}

/* Opened: who it is of, and its mailboxes. */
static int begin_with(struct ledger *l, const char *target, bool make, struct err *err)
{
	struct store_identity id = { .presence = STORE_MISSING };
	int version, ret = -1;

	if (database_version(&l->db, SCHEMA, &version, err) < 0)
		return -1;
	if (version > 0)
		ret = read_meta(&l->db, target, &id, err);
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
	l->db = (struct database){ .name = l->path, .advice = advice };
	l->lock = -1;
	if (mode == STORE_WRITE) {
		if (make_parent(path, err) < 0 || lock(l, err) < 0 || open_to_write(l, err) < 0)
			goto fail;
	} else if (database_open(&l->db, path, DATABASE_LOOK, err) < 0) {
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
	database_close(&l->db);
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

int ledger_commit(struct ledger *l, struct err *err)
{
	sqlite3_stmt *st;

	if (!l->db.in_tx)
		return database_is_broken(&l->db, err) ? -1 : 0;
	st = database_statement(&l->db,
				"INSERT OR REPLACE INTO meta (key, value) VALUES ('generation', ?)");
	database_bind(st, "i", (int64_t)l->generation + 1);
	if (ledger_save_boxes(l, err) < 0 || database_run(&l->db, st, err) < 0)
		return -1;
	crash_point("ledger: commit");
	if (database_commit(&l->db, err) < 0)
		return -1;
	l->generation++;
	return 0;
}

int ledger_set_account(struct ledger *l, const char *account, struct err *err)
{
	if (l->account && strcmp(l->account, account) == 0)
		return 0;
	if (database_begin(&l->db, err) < 0 || set_meta(l, "account", bytes_of(account), err) < 0)
		return -1;
	free(l->account);
	l->account = xstrdup(account);
	return 0;
}
