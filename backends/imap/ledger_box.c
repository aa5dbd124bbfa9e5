#include "backends/imap/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backends/imap/ledger_private.h"
#include "core/base/err.h"
#include "core/base/mem.h"

#define KNOWN_MAX ((size_t)256 * 1024 * 1024)

#define COLUMNS                                                                                  \
	"uidvalidity, agreed, source_uidvalidity, source_uidnext, source_messages,"  \
	" source_highestmodseq, known_count, live, stored, kept, held, pending, bytes, intents,"  \
	" missing, adopted, mailboxid"
#define NAME_COLUMNS "name, source_wire, source_delimiter, source_utf8"

/* --- in memory --- */

static void free_box(struct ledger_box *box)
{
	mailbox_name_release(&box->name);
	free(box);
}

void ledger_free_boxes(struct ledger *l)
{
	for (size_t i = 0; i < l->n; i++)
		free_box(l->box[i]);
	free(l->box);
}

/* Where a box of that name is, or belongs. */
static size_t place_of(const struct ledger *l, const struct mailbox_name *name, bool *found)
{
	size_t lo = 0, hi = l->n;

	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = mailbox_name_compare(&l->box[mid]->name, name);

		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void put_in(struct ledger *l, struct ledger_box *box)
{
	bool found;
	size_t at = place_of(l, &box->name, &found);

	assert(!found);
	l->box = xgrow(l->box, l->n, &l->cap, sizeof(struct ledger_box *));
	memmove(l->box + at + 1, l->box + at, (l->n - at) * sizeof(struct ledger_box *));
	l->box[at] = box;
	l->n++;
}

static void take_out(struct ledger *l, const struct ledger_box *box)
{
	bool found;
	size_t at = place_of(l, &box->name, &found);

	assert(found && l->box[at] == box);
	l->n--;
	memmove(l->box + at, l->box + at + 1, (l->n - at) * sizeof(struct ledger_box *));
}

struct ledger_box *const *ledger_boxes(const struct ledger *l, size_t *n)
{
	*n = l->n;
	return l->box;
}

struct ledger_box *ledger_box_find(const struct ledger *l, const struct mailbox_name *name)
{
	bool found;
	size_t at = place_of(l, name, &found);

	return found ? l->box[at] : NULL;
}

struct ledger_box *ledger_box_by_id(const struct ledger *l, int64_t id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->box[i]->id == id)
			return l->box[i];
	return NULL;
}

/* --- in the file --- */

static int take_name(struct ledger_box *box, sqlite3_stmt *st, int at, struct err *err)
{
	bool spelled = sqlite3_column_type(st, at + 1) != SQLITE_NULL;
	struct bytes wire = database_text(st, at + 1);

	if (spelled && !wire.n)
		wire = bytes_of("");
	return mailbox_name_unpack(&box->name, database_text(st, at), wire,
				   (uint8_t)sqlite3_column_int(st, at + 2),
				   sqlite3_column_int(st, at + 3) != 0, err);
}

static void take_columns(struct ledger_box *box, sqlite3_stmt *st, int at)
{
	box->uidvalidity = (uint32_t)sqlite3_column_int64(st, at++);
	box->token.known = sqlite3_column_int(st, at++) != 0;
	box->token.uidvalidity = (uint32_t)sqlite3_column_int64(st, at++);
	box->token.uidnext = (uint32_t)sqlite3_column_int64(st, at++);
	box->token.messages = (uint32_t)sqlite3_column_int64(st, at++);
	box->token.highestmodseq = (uint64_t)sqlite3_column_int64(st, at++);
	box->known = (uint64_t)sqlite3_column_int64(st, at++);
	box->live = (uint64_t)sqlite3_column_int64(st, at++);
	box->stored = (uint64_t)sqlite3_column_int64(st, at++);
	box->kept = (uint64_t)sqlite3_column_int64(st, at++);
	box->held = (uint64_t)sqlite3_column_int64(st, at++);
	box->pending = (uint64_t)sqlite3_column_int64(st, at++);
	box->bytes = (uint64_t)sqlite3_column_int64(st, at++);
	box->intents = (uint64_t)sqlite3_column_int64(st, at++);
	box->missing = (uint64_t)sqlite3_column_int64(st, at++);
	box->adopted = (uint64_t)sqlite3_column_int64(st, at++);
	mailboxid_take(box->mailboxid, database_text(st, at));
}

int ledger_load_boxes(struct ledger *l, struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&l->db, "SELECT id, " NAME_COLUMNS ", " COLUMNS " FROM mailboxes");
	int got;

	while ((got = database_step(&l->db, st, err)) > 0) {
		struct ledger_box *box = xcalloc(1, sizeof(*box));

		box->id = sqlite3_column_int64(st, 0);
		take_columns(box, st, 5);
		if (take_name(box, st, 1, err) < 0) {
			err_prefix(err, "%s is damaged", l->path);
			free_box(box);
			sqlite3_reset(st);
			return -1;
		}
		put_in(l, box);
	}
	return got;
}

static int save_box(struct ledger *l, struct ledger_box *box, struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&l->db, "UPDATE mailboxes SET (" COLUMNS
					   ") = (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) WHERE id = ?");

	database_bind(st, "iiiiiiiiiiiiiiiiti", (int64_t)box->uidvalidity, (int64_t)box->token.known,
		      (int64_t)box->token.uidvalidity, (int64_t)box->token.uidnext,
		      (int64_t)box->token.messages, (int64_t)box->token.highestmodseq,
		      (int64_t)box->known, (int64_t)box->live, (int64_t)box->stored, (int64_t)box->kept,
		      (int64_t)box->held, (int64_t)box->pending, (int64_t)box->bytes,
		      (int64_t)box->intents, (int64_t)box->missing, (int64_t)box->adopted,
		      bytes_of(box->mailboxid), box->id);
	if (database_run(&l->db, st, err) < 0)
		return -1;
	box->dirty = false;
	return 0;
}

int ledger_save_boxes(struct ledger *l, struct err *err)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->box[i]->dirty && save_box(l, l->box[i], err) < 0)
			return -1;
	return 0;
}

int ledger_box_touch(struct ledger *l, struct ledger_box *box, struct err *err)
{
	box->dirty = true;
	return database_begin(&l->db, err);
}

/* The name columns, then the id, into a statement that has them first. */
static int write_name(struct ledger *l, sqlite3_stmt *st, const struct mailbox_name *name, int64_t id,
		      struct err *err)
{
	struct buf text = BUF_INIT(SIZE_MAX / 4);
	int ret;

	mailbox_name_pack(name, &text);
	database_bind(st, "bBii", buf_bytes(&text), name->wire, (int64_t)name->delimiter,
		      (int64_t)name->utf8);
	if (name->wire.p && !name->wire.n)
		sqlite3_bind_zeroblob(st, 2, 0);
	if (id)
		sqlite3_bind_int64(st, 5, id);
	ret = database_run(&l->db, st, err);
	buf_release(&text);
	return ret;
}

int ledger_box_add(struct ledger *l, const struct mailbox_name *name, struct ledger_box **out,
		   struct err *err)
{
	static const char sql[] = "INSERT INTO mailboxes (" NAME_COLUMNS ", known, " COLUMNS
				  ") VALUES (?,?,?,?,'',0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,'')";
	struct ledger_box *box;

	if (database_begin(&l->db, err) < 0 ||
	    write_name(l, database_statement(&l->db, sql), name, 0, err) < 0)
		return -1;
	box = xcalloc(1, sizeof(*box));
	box->id = sqlite3_last_insert_rowid(l->db.db);
	mailbox_name_init(&box->name);
	mailbox_name_copy(&box->name, name);
	put_in(l, box);
	*out = box;
	return 0;
}

int ledger_box_rename(struct ledger *l, struct ledger_box *box, const struct mailbox_name *name,
		      struct err *err)
{
	static const char sql[] = "UPDATE mailboxes SET (" NAME_COLUMNS ") = (?,?,?,?) WHERE id = ?";

	if (database_begin(&l->db, err) < 0 ||
	    write_name(l, database_statement(&l->db, sql), name, box->id, err) < 0)
		return -1;
	take_out(l, box);
	mailbox_name_copy(&box->name, name);
	put_in(l, box);
	return 0;
}

static int run_with_box(struct ledger *l, const char *sql, const struct ledger_box *box,
			struct err *err)
{
	sqlite3_stmt *st = database_statement(&l->db, sql);

	database_bind(st, "i", box->id);
	return database_run(&l->db, st, err);
}

static int empty_box(struct ledger *l, const struct ledger_box *box, struct err *err)
{
	return database_begin(&l->db, err) < 0 ||
			       run_with_box(l, "DELETE FROM messages WHERE mailbox = ?", box, err) <
				       0 ||
			       run_with_box(l, "DELETE FROM quarantine WHERE mailbox = ?", box, err) <
				       0 ||
			       run_with_box(l, "DELETE FROM intents WHERE mailbox = ?", box, err) < 0
		       ? -1
		       : 0;
}

int ledger_box_void(struct ledger *l, struct ledger_box *box, uint32_t uidvalidity, struct err *err)
{
	if (empty_box(l, box, err) < 0 ||
	    run_with_box(l, "UPDATE mailboxes SET known = '' WHERE id = ?", box, err) < 0)
		return -1;
	box->uidvalidity = uidvalidity;
	box->token = (struct token){ 0 };
	box->mailboxid[0] = '\0';
	box->known = box->live = box->stored = box->kept = box->held = 0;
	box->pending = box->bytes = box->intents = box->missing = box->adopted = 0;
	return ledger_box_touch(l, box, err);
}

int ledger_box_remove(struct ledger *l, struct ledger_box *box, struct err *err)
{
	if (empty_box(l, box, err) < 0 ||
	    run_with_box(l, "DELETE FROM mailboxes WHERE id = ?", box, err) < 0)
		return -1;
	take_out(l, box);
	free_box(box);
	return 0;
}

int ledger_rebind(struct ledger *l, struct err *err)
{
	if (database_begin(&l->db, err) < 0 ||
	    database_exec(&l->db,
			  "UPDATE messages SET state = 1 WHERE state = 0;"
			  "UPDATE messages SET source_uid = NULL, identity = NULL;"
			  "UPDATE mailboxes SET known = '';"
			  "DELETE FROM quarantine; DELETE FROM intents",
			  err) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		struct ledger_box *box = l->box[i];

		box->kept += box->live;
		box->live = box->stored = box->known = box->pending = box->bytes = box->intents = 0;
		box->adopted = 0;
		box->token = (struct token){ 0 };
		box->mailboxid[0] = '\0';
		box->dirty = true;
	}
	return 0;
}

/* --- what was agreed --- */

static int read_known(struct ledger *l, const struct ledger_box *box, struct uidset *out,
		      struct err *err)
{
	static const struct uidset_limits any = { SIZE_MAX, SIZE_MAX };
	sqlite3_stmt *st = database_statement(&l->db, "SELECT known FROM mailboxes WHERE id = ?");
	int got;

	database_bind(st, "i", box->id);
	got = database_step(&l->db, st, err);
	if (got <= 0)
		return got;
	if (database_text(st, 0).n > 0 &&
	    uidset_parse(out, database_text(st, 0), UIDSET_STRICT, &any, err) < 0) {
		err->kind = ERR_FATAL;
		got = err_prefix(err, "%s is damaged", l->path);
	}
	sqlite3_reset(st);
	return got < 0 ? -1 : 0;
}

/* Known UIDs, and how many. */
static int write_known(struct ledger *l, struct ledger_box *box, const struct uidset *known,
		       struct err *err)
{
	sqlite3_stmt *st = database_statement(&l->db, "UPDATE mailboxes SET known = ? WHERE id = ?");
	struct buf text = BUF_INIT(KNOWN_MAX);
	int ret = -1;

	if (!uidset_format(known, &text)) {
		err_set(err, ERR_MAILBOX, "too many separate UIDs to remember");
	} else {
		database_bind(st, "ti", buf_bytes(&text), box->id);
		ret = database_run(&l->db, st, err);
	}
	buf_release(&text);
	box->known = uidset_count(known);
	return ret;
}

static int read_kept(struct ledger *l, const struct ledger_box *box, struct base *out, struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&l->db, "SELECT uid, state FROM messages WHERE mailbox = ?"
					   " AND state > 0 ORDER BY uid");
	int got;

	database_bind(st, "i", box->id);
	while ((got = database_step(&l->db, st, err)) > 0) {
		uint32_t uid = (uint32_t)sqlite3_column_int64(st, 0);

		uidset_add(&out->kept, uid);
		if (sqlite3_column_int(st, 1) == LEDGER_HELD)
			uidset_add(&out->held, uid);
	}
	return got;
}

static int read_quarantine(struct ledger *l, const struct ledger_box *box, struct base *out,
			   struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&l->db, "SELECT uid, size, reason, since, attempts, last, accepted"
					   " FROM quarantine WHERE mailbox = ? ORDER BY uid");
	size_t cap = 0;
	int got;

	database_bind(st, "i", box->id);
	while ((got = database_step(&l->db, st, err)) > 0) {
		out->quarantine = xgrow(out->quarantine, out->n_quarantine, &cap,
					sizeof(*out->quarantine));
		out->quarantine[out->n_quarantine++] = (struct quarantined){
			.uid = (uint32_t)sqlite3_column_int64(st, 0),
			.size = (uint64_t)sqlite3_column_int64(st, 1),
			.reason = bytes_dup(database_text(st, 2)),
			.since = sqlite3_column_int64(st, 3),
			.attempts = (uint32_t)sqlite3_column_int64(st, 4),
			.last = sqlite3_column_int64(st, 5),
			.accepted = sqlite3_column_int(st, 6) != 0,
		};
	}
	return got;
}

int ledger_quarantine(struct ledger *l, struct ledger_box *box, struct base *out, struct err *err)
{
	base_release(out);
	return read_quarantine(l, box, out, err);
}

int ledger_base(struct ledger *l, struct ledger_box *box, struct base *out, struct err *err)
{
	base_release(out);
	out->token = box->token;
	memcpy(out->mailboxid, box->mailboxid, sizeof(out->mailboxid));
	out->stored = box->stored;
	out->adopted = box->adopted;
	if (read_known(l, box, &out->known, err) < 0 ||
	    (box->kept > 0 && read_kept(l, box, out, err) < 0)) /* looks at all rows */
		return -1;
	return read_quarantine(l, box, out, err);
}

static int write_quarantined(struct ledger *l, struct ledger_box *box, const struct quarantined *q,
			     struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&l->db, "INSERT OR REPLACE INTO quarantine"
			" (mailbox, uid, size, reason, since, attempts, last, accepted)"
			" VALUES (?,?,?,?,?,?,?,?)");

	database_bind(st, "iiitiiii", box->id, (int64_t)q->uid, (int64_t)q->size,
		      bytes_of(q->reason ? q->reason : ""), q->since, (int64_t)q->attempts, q->last,
		      (int64_t)q->accepted);
	return database_run(&l->db, st, err);
}

int ledger_set_base(struct ledger *l, struct ledger_box *box, const struct base *b, struct err *err)
{
	if (ledger_box_touch(l, box, err) < 0 || write_known(l, box, &b->known, err) < 0 ||
	    run_with_box(l, "DELETE FROM quarantine WHERE mailbox = ?", box, err) < 0)
		return -1;
	box->pending = 0;
	for (size_t i = 0; i < b->n_quarantine; i++) {
		if (write_quarantined(l, box, &b->quarantine[i], err) < 0)
			return -1;
		box->pending += !b->quarantine[i].accepted;
	}
	box->token = b->token;
	memcpy(box->mailboxid, b->mailboxid, sizeof(box->mailboxid));
	return 0;
}

static int count_pending(struct ledger *l, struct ledger_box *box, struct err *err)
{
	sqlite3_stmt *st = database_statement(&l->db, "SELECT count(*) FROM quarantine"
						      " WHERE mailbox = ? AND accepted = 0");
	int64_t n = 0;

	database_bind(st, "i", box->id);
	if (database_number(&l->db, st, &n, err) < 0)
		return -1;
	box->pending = (uint64_t)n;
	return 0;
}

int ledger_quarantine_add(struct ledger *l, struct ledger_box *box, const struct quarantined *q,
			  struct err *err)
{
	struct uidset known = UIDSET_INIT;
	int ret = -1;

	if (ledger_box_touch(l, box, err) < 0 || write_quarantined(l, box, q, err) < 0 ||
	    count_pending(l, box, err) < 0 || read_known(l, box, &known, err) < 0)
		goto out;
	uidset_add(&known, q->uid);
	ret = write_known(l, box, &known, err);
out:
	uidset_release(&known);
	return ret;
}
