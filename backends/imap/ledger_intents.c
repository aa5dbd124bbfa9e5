#include "backends/imap/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "backends/imap/ledger_private.h"
#include "core/base/err.h"
#include "core/base/mem.h"

int ledger_intent_add(struct ledger *l, struct ledger_box *box, struct ledger_intent *in, struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&l->db,
		"INSERT INTO intents (mailbox, batch, place, uidvalidity, uidnext, source_uid, size,"
		" sha256, message_id, date, flags, identity, created)"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)");

	if (database_begin(&l->db, err) < 0)
		return -1;
	database_bind(st, "iiiiiiibbttti", box->id, in->batch, (int64_t)in->order,
		      (int64_t)in->uidvalidity, (int64_t)in->uidnext, (int64_t)in->source_uid,
		      (int64_t)in->size, bytes_from(in->sha256, CONTENT_HASH_SIZE), in->message_id,
		      in->date, in->flags, in->identity, in->created);
	if (database_run(&l->db, st, err) < 0)
		return -1;
	in->id = sqlite3_last_insert_rowid(l->db.db);
	box->intents++;
	box->dirty = true;
	return 0;
}

int ledger_intent_delete(struct ledger *l, struct ledger_box *box, int64_t id, struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&l->db, "DELETE FROM intents WHERE id = ? AND mailbox = ?");

	if (database_begin(&l->db, err) < 0)
		return -1;
	database_bind(st, "ii", id, box->id);
	if (database_run(&l->db, st, err) < 0)
		return -1;
	box->intents -= (uint64_t)sqlite3_changes(l->db.db);
	box->dirty = true;
	return 0;
}

void ledger_intents_release(struct ledger_intents *in)
{
	for (size_t i = 0; i < in->n; i++)
		buf_release(&in->bytes[i]);
	free(in->bytes);
	free(in->v);
	*in = (struct ledger_intents){ 0 };
}

static struct bytes keep_bytes(struct buf *to, struct bytes b)
{
	size_t at = to->n;

	buf_add(to, b);
	return b.n ? bytes_from(to->p + at, b.n) : (struct bytes){ 0 };
}

static void take_intent(sqlite3_stmt *st, struct ledger_intents *out)
{
	struct bytes sha256 = database_text(st, 6), text[4];
	struct ledger_intent *in;
	struct buf *own;
	size_t need = 1;

	out->bytes = xgrow(out->bytes, out->n, &out->cap_bytes, sizeof(*out->bytes));
	out->v = xgrow(out->v, out->n, &out->cap, sizeof(*out->v));
	own = &out->bytes[out->n];
	in = &out->v[out->n++];
	for (int i = 0; i < 4; i++) {
		text[i] = database_text(st, 7 + i);
		need += text[i].n;
	}
	buf_init(own, SIZE_MAX / 4);
	buf_reserve(own, need); /* so that nothing moves while we point into it */
	*in = (struct ledger_intent){
		.id = sqlite3_column_int64(st, 0),
		.batch = sqlite3_column_int64(st, 1),
		.order = (uint32_t)sqlite3_column_int64(st, 2),
		.uidvalidity = (uint32_t)sqlite3_column_int64(st, 3),
		.uidnext = (uint32_t)sqlite3_column_int64(st, 4),
		.source_uid = (uint32_t)sqlite3_column_int64(st, 5),
		.message_id = keep_bytes(own, text[0]),
		.date = keep_bytes(own, text[1]),
		.flags = keep_bytes(own, text[2]),
		.identity = keep_bytes(own, text[3]),
		.created = sqlite3_column_int64(st, 11),
		.size = (uint64_t)sqlite3_column_int64(st, 12),
	};
	if (sha256.n == CONTENT_HASH_SIZE)
		memcpy(in->sha256, sha256.p, CONTENT_HASH_SIZE);
}

int ledger_intents(struct ledger *l, const struct ledger_box *box, struct ledger_intents *out,
		   struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&l->db,
		"SELECT id, batch, place, uidvalidity, uidnext, source_uid, sha256, message_id, date,"
		" flags, identity, created, size FROM intents WHERE mailbox = ?"
		" ORDER BY batch, place, id");
	int got;

	ledger_intents_release(out);
	database_bind(st, "i", box->id);
	while ((got = database_step(&l->db, st, err)) > 0)
		take_intent(st, out);
	return got;
}
