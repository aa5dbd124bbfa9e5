#include "backends/maildir/index.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/maildir/box.h"
#include "core/base/err.h"
#include "core/base/mem.h"

#define MESSAGE_COLUMNS                                                                    \
	"uid, source_uid, base, letters, size, form, state, date, flags, keywords, sha256, held,"     \
	" identity"
#define BOX_COLUMNS                                                                        \
	"attributes, agreed, source_uidvalidity, source_uidnext, source_messages,"         \
	" source_highestmodseq, known_count, uidvalidity, next_uid, placing_from,"         \
	" max_source, stored, held, kept, pending, digest, extra, extra_known, stamp, mailboxid"
/* Of a store that is read, and older than schema 4. */
#define BOX_COLUMNS_3                                                                      \
	"attributes, agreed, source_uidvalidity, source_uidnext, source_messages,"         \
	" source_highestmodseq, known_count, uidvalidity, next_uid, placing_from,"         \
	" max_source, stored, held, kept, pending, digest, extra, extra_known, stamp, NULL"
#define BOX_HEAD "SELECT id, name, wire, delimiter, utf8, directory, moved_from,"

static const char *const statements[ST_COUNT] = {
	[ST_MESSAGE_INSERT] = "INSERT INTO messages (mailbox, " MESSAGE_COLUMNS
			      ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,0,?)",
	[ST_MESSAGE_BY_UID] =
		"SELECT " MESSAGE_COLUMNS " FROM messages WHERE mailbox = ? AND uid = ?",
	/* Left alone, SQLite walks the whole mailbox by its primary key: it takes the index for no better. */
	[ST_MESSAGE_BY_SOURCE] = "SELECT " MESSAGE_COLUMNS
				 " FROM messages INDEXED BY messages_source"
				 " WHERE mailbox = ? AND source_uid = ?",
	[ST_MESSAGES_FROM] = "SELECT " MESSAGE_COLUMNS
			     " FROM messages WHERE mailbox = ? AND uid >= ? ORDER BY uid",
	[ST_MESSAGE_KEPT_BY_CONTENT] =
		"SELECT " MESSAGE_COLUMNS
		" FROM messages INDEXED BY messages_kept"
		" WHERE mailbox = ? AND state = 1 AND sha256 = ? AND size = ?"
		" ORDER BY uid LIMIT 1",
	[ST_MESSAGE_UNBOUND_BY_CONTENT] =
		"SELECT " MESSAGE_COLUMNS
		" FROM messages INDEXED BY messages_content"
		" WHERE substr(sha256, 1, 8) = substr(?2, 1, 8) AND sha256 = ?2 AND mailbox = ?1"
		" AND size = ?3 AND state = 0 AND source_uid IS NULL ORDER BY uid LIMIT 1",
	[ST_MESSAGES_BY_IDENTITY] =
		"SELECT mailbox, uid, source_uid, sha256 FROM messages"
		" INDEXED BY messages_identity WHERE identity = ? ORDER BY state, mailbox, uid",
	[ST_MESSAGE_WITH_IDENTITY] = "SELECT 1 FROM messages INDEXED BY messages_identity"
				     " WHERE identity IS NOT NULL LIMIT 1",
	[ST_MESSAGE_SET_FLAGS] = "UPDATE messages SET letters = ?, flags = ?, keywords = ?"
				 " WHERE mailbox = ? AND uid = ?",
	[ST_MESSAGE_SET_STATE] = "UPDATE messages SET state = ?, held = ?, source_uid = NULL"
				 " WHERE mailbox = ? AND uid = ?",
	[ST_MESSAGE_TAKE] =
		"UPDATE messages SET state = 0, held = 0, source_uid = ?, letters = ?,"
		" date = ?, flags = ?, keywords = ?, identity = coalesce(?, identity)"
		" WHERE mailbox = ? AND uid = ?",
	[ST_MESSAGE_DELETE] = "DELETE FROM messages WHERE mailbox = ? AND uid = ?",
	[ST_REMOVAL_INSERT] =
		"INSERT INTO removals (directory, base, letters) VALUES (?,?,?)",
	[ST_REMOVALS] = "SELECT id, directory, base, letters FROM removals WHERE id > ?"
			" ORDER BY id",
	[ST_REMOVALS_DONE] = "DELETE FROM removals WHERE id <= ?",
	[ST_REMOVALS_MOVE] = "UPDATE removals SET directory = ? WHERE directory = ?",
	[ST_BOX_INSERT] = "INSERT INTO mailboxes (name, wire, delimiter, utf8, directory, "
			  BOX_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[ST_BOX_UPDATE] = "UPDATE mailboxes SET (" BOX_COLUMNS
			  ") = (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) WHERE id = ?",
	[ST_BOX_KNOWN] = "SELECT known FROM mailboxes WHERE id = ?",
	[ST_BOX_SET_KNOWN] = "UPDATE mailboxes SET known = ? WHERE id = ?",
	[ST_BOX_RENAME] = "UPDATE mailboxes SET name = ?, wire = ?, delimiter = ?, utf8 = ?,"
			  " directory = ?, moved_from = ? WHERE id = ?",
	[ST_BOX_DELETE] = "DELETE FROM mailboxes WHERE id = ?",
	[ST_HELD] = "SELECT uid FROM messages WHERE mailbox = ? AND state = 1 AND held = 1"
		    " ORDER BY uid",
	/* All columns, because schema 1 has no `last`, which comes last. */
	[ST_QUARANTINE] = "SELECT * FROM quarantine WHERE mailbox = ? ORDER BY uid",
	[ST_QUARANTINE_INSERT] = "INSERT OR REPLACE INTO quarantine (mailbox, uid, size,"
				 " reason, since, attempts, accepted, last)"
				 " VALUES (?,?,?,?,?,?,?,?)",
	[ST_QUARANTINE_DELETE] = "DELETE FROM quarantine WHERE mailbox = ?",
	[ST_META_SET] = "INSERT OR REPLACE INTO meta (key, value) VALUES (?,?)",
};

/* A store of an older version that is only read: what it has no column for is NULL. */
static char *without_identity(const char *sql)
{
	const char *at = strstr(sql, " identity FROM");

	return at ? xasprintf("%.*s NULL%s", (int)(at - sql), sql, at + strlen(" identity"))
		  : xstrdup(sql);
}

sqlite3_stmt *index_stmt(struct maildir *m, enum statement which)
{
	sqlite3_stmt *st;
	char *old;

	if (m->schema >= 3)
		return database_statement(&m->db, statements[which]);
	old = without_identity(statements[which]);
	st = database_statement_as(&m->db, statements[which], old);
	free(old);
	return st;
}

void index_row(sqlite3_stmt *st, struct row *out)
{
	*out = (struct row){
		.uid = (uint32_t)sqlite3_column_int64(st, 0),
		.source_uid = (uint32_t)sqlite3_column_int64(st, 1),
		.base = database_text(st, 2),
		.letters = database_text(st, 3),
		.size = (uint64_t)sqlite3_column_int64(st, 4),
		.form = (enum row_form)sqlite3_column_int(st, 5),
		.state = (enum row_state)sqlite3_column_int(st, 6),
		.date = database_text(st, 7),
		.bits = (unsigned)sqlite3_column_int(st, 8),
		.keywords = database_text(st, 9),
		.sha256 = database_text(st, 10),
		.held = sqlite3_column_int(st, 11) != 0,
		.identity = database_text(st, 12),
	};
}

static void take_box_columns(struct box *box, sqlite3_stmt *st, int at)
{
	struct bytes stamp;

	box->attributes = (unsigned)sqlite3_column_int(st, at++);
	box->token.known = sqlite3_column_int(st, at++) != 0;
	box->token.uidvalidity = (uint32_t)sqlite3_column_int64(st, at++);
	box->token.uidnext = (uint32_t)sqlite3_column_int64(st, at++);
	box->token.messages = (uint32_t)sqlite3_column_int64(st, at++);
	box->token.highestmodseq = (uint64_t)sqlite3_column_int64(st, at++);
	box->known = (uint64_t)sqlite3_column_int64(st, at++);
	box->uidvalidity = (uint32_t)sqlite3_column_int64(st, at++);
	box->next_uid = (uint32_t)sqlite3_column_int64(st, at++);
	box->placing_from = (uint32_t)sqlite3_column_int64(st, at++);
	box->max_source = (uint32_t)sqlite3_column_int64(st, at++);
	box->stored = (uint64_t)sqlite3_column_int64(st, at++);
	box->held = (uint64_t)sqlite3_column_int64(st, at++);
	box->kept = (uint64_t)sqlite3_column_int64(st, at++);
	box->pending = (uint64_t)sqlite3_column_int64(st, at++);
	box->digest = (uint64_t)sqlite3_column_int64(st, at++);
	box->extra = (uint64_t)sqlite3_column_int64(st, at++);
	box->extra_known = sqlite3_column_int(st, at++) != 0;
	stamp = database_text(st, at);
	if (stamp.n == sizeof(box->stamp))
		memcpy(&box->stamp, stamp.p, stamp.n);
	mailboxid_take(box->mailboxid, database_text(st, at + 1));
	box->placed_to = box->placing_from;
}

int index_load(struct maildir *m, struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&m->db, m->schema < 4 ? BOX_HEAD BOX_COLUMNS_3 " FROM mailboxes"
							 : BOX_HEAD BOX_COLUMNS " FROM mailboxes");
	int got;

	while ((got = database_step(&m->db, st, err)) > 0) {
		struct box *box = box_new(m);

		box->id = sqlite3_column_int64(st, 0);
		box->dir = bytes_dup(database_text(st, 5));
		if (sqlite3_column_type(st, 6) != SQLITE_NULL)
			box->moved_from = bytes_dup(database_text(st, 6));
		take_box_columns(box, st, 7);
		if (mailbox_name_unpack(&box->mb.name, database_text(st, 1), database_text(st, 2),
					(uint8_t)sqlite3_column_int(st, 3),
					sqlite3_column_int(st, 4) != 0, err) < 0) {
			err_prefix(err, "%s is damaged", m->db.name);
			box_free(m, box);
			sqlite3_reset(st);
			return -1;
		}
		box_insert(m, box);
	}
	return got;
}

static void bind_box(sqlite3_stmt *st, int at, const struct box *box)
{
	const int64_t values[] = {
		box->attributes, box->token.known, box->token.uidvalidity, box->token.uidnext,
		box->token.messages, (int64_t)box->token.highestmodseq, (int64_t)box->known,
		box->uidvalidity, box->next_uid, box->placing_from, box->max_source,
		(int64_t)box->stored, (int64_t)box->held, (int64_t)box->kept,
		(int64_t)box->pending, (int64_t)box->digest, (int64_t)box->extra,
		box->extra_known,
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		sqlite3_bind_int64(st, at++, values[i]);
	sqlite3_bind_blob(st, at++, &box->stamp, sizeof(box->stamp), SQLITE_STATIC);
	if (*box->mailboxid)
		sqlite3_bind_text(st, at, box->mailboxid, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, at);
}

int index_save_box(struct maildir *m, struct box *box, struct err *err)
{
	sqlite3_stmt *st = index_stmt(m, ST_BOX_UPDATE);

	bind_box(st, 1, box);
	sqlite3_bind_int64(st, 21, box->id);
	if (database_run(&m->db, st, err) < 0)
		return -1;
	box->dirty = false;
	return 0;
}

void index_bind_name(sqlite3_stmt *st, const struct mailbox_name *name, struct bytes text)
{
	sqlite3_bind_blob64(st, 1, text.p, text.n, SQLITE_STATIC);
	if (name->wire.p)
		sqlite3_bind_blob64(st, 2, name->wire.p, name->wire.n, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, 2);
	sqlite3_bind_int64(st, 3, name->delimiter);
	sqlite3_bind_int64(st, 4, name->utf8);
}

int index_insert_box(struct maildir *m, struct box *box, struct err *err)
{
	sqlite3_stmt *st = index_stmt(m, ST_BOX_INSERT);
	const struct mailbox_name *name = &box->mb.name;
	struct buf text = BUF_INIT(SIZE_MAX / 4);
	int ret;

	mailbox_name_pack(name, &text);
	index_bind_name(st, name, buf_bytes(&text));
	sqlite3_bind_text(st, 5, box->dir, -1, SQLITE_STATIC);
	bind_box(st, 6, box);
	ret = database_run(&m->db, st, err);
	if (ret == 0)
		box->id = sqlite3_last_insert_rowid(m->db.db);
	buf_release(&text);
	return ret;
}

int index_set_meta(struct maildir *m, const char *key, struct bytes value, struct err *err)
{
	sqlite3_stmt *st = index_stmt(m, ST_META_SET);

	database_bind(st, "st", key, value);
	return database_run(&m->db, st, err);
}
