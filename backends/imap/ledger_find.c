#include "backends/imap/ledger.h"

#include <string.h>

#include "backends/imap/ledger_private.h"
#include "core/base/err.h"

static struct bytes keep_bytes(struct buf *to, struct bytes b)
{
	size_t at = to->n;

	buf_add(to, b);
	return b.n ? bytes_from(to->p + at, b.n) : (struct bytes){ 0 };
}

static void copy_row(struct ledger_copy *c, int64_t box, const struct ledger_row *row)
{
	if (!c->bytes.max)
		buf_init(&c->bytes, SIZE_MAX / 4);
	buf_clear(&c->bytes);
	/* So that nothing moves while we point into it. */
	buf_reserve(&c->bytes, row->flags.n + row->date.n + row->sha256.n + row->identity.n + 1);
	c->box = box;
	c->row = *row;
	c->row.flags = keep_bytes(&c->bytes, row->flags);
	c->row.date = keep_bytes(&c->bytes, row->date);
	c->row.sha256 = keep_bytes(&c->bytes, row->sha256);
	c->row.identity = keep_bytes(&c->bytes, row->identity);
}

void ledger_copy_release(struct ledger_copy *c)
{
	buf_release(&c->bytes);
	*c = (struct ledger_copy){ 0 };
}

/* The first row of a statement that has the columns of a row, then its mailbox. */
static int first_row(struct ledger *l, sqlite3_stmt *st, struct ledger_copy *out, struct err *err)
{
	struct ledger_row row;
	int got = database_step(&l->db, st, err);

	if (got <= 0)
		return got;
	ledger_take_row(st, &row);
	copy_row(out, sqlite3_column_int64(st, 9), &row);
	sqlite3_reset(st);
	return 1;
}

int ledger_find(struct ledger *l, const struct ledger_box *box, uint32_t uid, struct ledger_copy *out,
		struct err *err)
{
	sqlite3_stmt *st = database_statement(&l->db, "SELECT " LEDGER_ROW ", mailbox FROM messages"
						      " WHERE mailbox = ? AND uid = ?");

	database_bind(st, "ii", box->id, (int64_t)uid);
	return first_row(l, st, out, err);
}

int ledger_find_source(struct ledger *l, const struct ledger_box *box, uint32_t source_uid,
		       struct ledger_copy *out, struct err *err)
{
	/* Left alone, SQLite walks the whole mailbox by its primary key: it takes the index for no better. */
	sqlite3_stmt *st = database_statement(&l->db, "SELECT " LEDGER_ROW ", mailbox FROM messages"
						      " INDEXED BY messages_source"
						      " WHERE mailbox = ? AND source_uid = ?");

	database_bind(st, "ii", box->id, (int64_t)source_uid);
	return first_row(l, st, out, err);
}

int ledger_find_free(struct ledger *l, const struct ledger_box *box,
		     const uint8_t sha256[CONTENT_HASH_SIZE], uint64_t size, struct ledger_copy *out,
		     struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&l->db, "SELECT " LEDGER_ROW ", mailbox FROM messages INDEXED BY messages_content"
			" WHERE substr(sha256, 1, 8) = substr(?1, 1, 8) AND sha256 = ?1 AND size = ?2"
			" AND mailbox = ?3 AND source_uid IS NULL ORDER BY state > 0, uid LIMIT 1");

	database_bind(st, "bii", bytes_from(sha256, CONTENT_HASH_SIZE), (int64_t)size, box->id);
	return first_row(l, st, out, err);
}

int ledger_find_elsewhere(struct ledger *l, const struct ledger_box *not_in,
			  const uint8_t sha256[CONTENT_HASH_SIZE], uint64_t size, struct bytes date,
			  struct ledger_copy *out, struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&l->db, "SELECT " LEDGER_ROW ", mailbox FROM messages INDEXED BY messages_content"
			" WHERE substr(sha256, 1, 8) = substr(?1, 1, 8) AND sha256 = ?1 AND size = ?2"
			" AND mailbox <> ?3 AND how <> 2 ORDER BY date <> ?4, mailbox, uid LIMIT 1");

	database_bind(st, "biit", bytes_from(sha256, CONTENT_HASH_SIZE), (int64_t)size, not_in->id,
		      date);
	return first_row(l, st, out, err);
}

int ledger_find_identity(struct ledger *l, struct bytes identity, struct ledger_copy *out,
			 struct err *err)
{
	sqlite3_stmt *st = database_statement(&l->db, "SELECT " LEDGER_ROW ", mailbox FROM messages"
						      " INDEXED BY messages_identity WHERE identity = ?"
						      " ORDER BY state > 0, mailbox, uid");
	bool any = false, agree = true;
	int got = 0;

	database_bind(st, "t", identity);
	while (agree && (got = database_step(&l->db, st, err)) > 0) {
		struct ledger_row row;

		ledger_take_row(st, &row);
		agree = row.sha256.n && row.how != LEDGER_ALTERED &&
			(!any || bytes_equal(row.sha256, out->row.sha256));
		if (agree && !any)
			copy_row(out, sqlite3_column_int64(st, 9), &row);
		any |= agree;
	}
	sqlite3_reset(st);
	return got < 0 ? -1 : agree && any;
}

int ledger_holds_identities(struct ledger *l, bool *out, struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&l->db, "SELECT 1 FROM messages INDEXED BY messages_identity"
					   " WHERE identity IS NOT NULL LIMIT 1");
	int64_t one;
	int got = database_number(&l->db, st, &one, err);

	*out = got > 0;
	return got < 0 ? -1 : 0;
}

/* --- what removing would lose --- */

static int doom(struct ledger *l, const struct ledger_box *box, const struct uidset *set, struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&l->db, "INSERT OR IGNORE INTO temp.doomed"
					   " SELECT mailbox, uid FROM messages WHERE mailbox = ?"
					   " AND uid BETWEEN ? AND ?");

	for (size_t i = 0; i < uidset_range_count(set); i++) {
		struct uidrange r = uidset_range(set, i);

		database_bind(st, "iii", box->id, (int64_t)r.lo, (int64_t)r.hi);
		if (database_run(&l->db, st, err) < 0)
			return -1;
	}
	return 0;
}

static int count_doomed(struct ledger *l, const struct ledger_box *box, uint64_t *lost, struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&l->db, "SELECT count(*) FROM temp.doomed AS d CROSS JOIN messages AS gone"
			" ON gone.mailbox = d.mailbox AND gone.uid = d.uid"
			" WHERE d.mailbox = ? AND NOT EXISTS (SELECT 1 FROM messages AS other"
			"  INDEXED BY messages_content"
			"  WHERE substr(other.sha256, 1, 8) = substr(gone.sha256, 1, 8)"
			"  AND other.sha256 = gone.sha256 AND other.state = 0"
			"  AND NOT EXISTS (SELECT 1 FROM temp.doomed AS too"
			"   WHERE too.mailbox = other.mailbox AND too.uid = other.uid))");
	int64_t n = 0;

	database_bind(st, "i", box->id);
	if (database_number(&l->db, st, &n, err) < 0)
		return -1;
	*lost = (uint64_t)n;
	return 0;
}

int ledger_count_lost(struct ledger *l, struct ledger_box *const *box, const struct uidset *const *set,
		      uint64_t *lost, size_t n, struct err *err)
{
	if (database_exec(&l->db,
			  "CREATE TEMP TABLE IF NOT EXISTS doomed"
			  " (mailbox INTEGER, uid INTEGER, PRIMARY KEY (mailbox, uid))"
			  " WITHOUT ROWID; DELETE FROM temp.doomed",
			  err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (doom(l, box[i], set[i], err) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		if (count_doomed(l, box[i], &lost[i], err) < 0)
			return -1;
	return 0;
}
