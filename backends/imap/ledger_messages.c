#include "backends/imap/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "backends/imap/ledger_private.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

/* --- counting --- */

static int tally(struct ledger *l, struct ledger_box *box, uint32_t lo, uint32_t hi, bool add,
		 struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&l->db, "SELECT coalesce(sum(state = 0), 0),"
			" coalesce(sum(state = 0 AND source_uid IS NOT NULL), 0),"
			" coalesce(sum(state > 0), 0), coalesce(sum(state = 2), 0),"
			" coalesce(sum(size * (state = 0)), 0),"
			" coalesce(sum(state = 0 AND source_uid IS NOT NULL AND how = 1), 0)"
			" FROM messages WHERE mailbox = ? AND uid BETWEEN ? AND ?");
	uint64_t *const counters[] = { &box->live, &box->stored, &box->kept, &box->held, &box->bytes,
				       &box->adopted };
	int got;

	box->dirty = true;
	database_bind(st, "iii", box->id, (int64_t)lo, (int64_t)hi);
	if ((got = database_step(&l->db, st, err)) < 0)
		return -1;
	for (int i = 0; got > 0 && i < 6; i++) {
		uint64_t n = (uint64_t)sqlite3_column_int64(st, i);

		*counters[i] = add ? *counters[i] + n : *counters[i] - n;
	}
	sqlite3_reset(st);
	return 0;
}

int ledger_uncount(struct ledger *l, struct ledger_box *box, uint32_t lo, uint32_t hi, struct err *err)
{
	return tally(l, box, lo, hi, false, err);
}

int ledger_count(struct ledger *l, struct ledger_box *box, uint32_t lo, uint32_t hi, struct err *err)
{
	return tally(l, box, lo, hi, true, err);
}

/* --- one row --- */

/* The nine columns of a row, from the second parameter on. */
static void bind_row(sqlite3_stmt *st, const struct ledger_box *box, const struct ledger_row *row)
{
	database_bind(st, "iiIiiittBT", box->id, (int64_t)row->uid, (int64_t)row->source_uid,
		      (int64_t)row->state, (int64_t)row->how, (int64_t)row->size, row->flags, row->date,
		      row->sha256, row->identity);
}

int ledger_insert(struct ledger *l, struct ledger_box *box, const struct ledger_row *row,
		  struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&l->db, "INSERT OR IGNORE INTO messages (mailbox, " LEDGER_ROW
					   ") VALUES (?,?,?,?,?,?,?,?,?,?)");

	if (database_begin(&l->db, err) < 0)
		return -1;
	bind_row(st, box, row);
	if (database_run(&l->db, st, err) < 0)
		return -1;
	if (sqlite3_changes(l->db.db) == 0)
		return err_set(err, ERR_MAILBOX,
			       "the server gave a new message the UID %u, which another one has", row->uid);
	return ledger_count(l, box, row->uid, row->uid, err);
}

int ledger_replace(struct ledger *l, struct ledger_box *box, const struct ledger_row *row,
		   struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&l->db,
		"UPDATE messages SET source_uid = ?3, state = ?4, how = ?5, size = ?6, flags = ?7,"
		" date = ?8, sha256 = coalesce(?9, sha256), identity = coalesce(?10, identity)"
		" WHERE mailbox = ?1 AND uid = ?2");

	if (database_begin(&l->db, err) < 0 || ledger_uncount(l, box, row->uid, row->uid, err) < 0)
		return -1;
	bind_row(st, box, row);
	return database_run(&l->db, st, err) < 0 ? -1 : ledger_count(l, box, row->uid, row->uid, err);
}

int ledger_set_hash(struct ledger *l, struct ledger_box *box, uint32_t uid,
		    const uint8_t sha256[CONTENT_HASH_SIZE], struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&l->db, "UPDATE messages SET sha256 = ? WHERE mailbox = ? AND uid = ?");

	if (database_begin(&l->db, err) < 0)
		return -1;
	database_bind(st, "bii", bytes_from(sha256, CONTENT_HASH_SIZE), box->id, (int64_t)uid);
	return database_run(&l->db, st, err);
}

/* --- many --- */

/* A statement with mailbox, lo and hi as its first parameters, for each range of `set`. */
static int run_over(struct ledger *l, struct ledger_box *box, const struct uidset *set, const char *sql,
		    struct err *err)
{
	sqlite3_stmt *st = database_statement(&l->db, sql);

	if (database_begin(&l->db, err) < 0)
		return -1;
	for (size_t i = 0; i < uidset_range_count(set); i++) {
		struct uidrange r = uidset_range(set, i);

		if (ledger_uncount(l, box, r.lo, r.hi, err) < 0)
			return -1;
		database_bind(st, "iii", box->id, (int64_t)r.lo, (int64_t)r.hi);
		if (database_run(&l->db, st, err) < 0 || ledger_count(l, box, r.lo, r.hi, err) < 0)
			return -1;
	}
	return 0;
}

int ledger_delete(struct ledger *l, struct ledger_box *box, const struct uidset *set, struct err *err)
{
	return run_over(l, box, set, "DELETE FROM messages WHERE mailbox = ? AND uid BETWEEN ? AND ?", err);
}

int ledger_keep(struct ledger *l, struct ledger_box *box, const struct uidset *set, bool held,
		struct err *err)
{
	static const char kept[] = "UPDATE messages SET state = 1, source_uid = NULL"
				   " WHERE mailbox = ? AND uid BETWEEN ? AND ? AND state = 0";
	static const char by_guard[] = "UPDATE messages SET state = 2, source_uid = NULL"
				       " WHERE mailbox = ? AND uid BETWEEN ? AND ? AND state < 2";

	return run_over(l, box, set, held ? by_guard : kept, err);
}

static int fill_pairs(struct ledger *l, const uint32_t *from, const uint32_t *to, size_t n,
		      struct err *err)
{
	sqlite3_stmt *st;

	if (database_exec(&l->db,
			  "CREATE TEMP TABLE IF NOT EXISTS pairs"
			  " (source INTEGER PRIMARY KEY, target INTEGER); DELETE FROM temp.pairs",
			  err) < 0)
		return -1;
	st = database_statement(&l->db, "INSERT OR REPLACE INTO temp.pairs VALUES (?,?)");
	for (size_t i = 0; i < n; i++) {
		database_bind(st, "ii", (int64_t)from[i], (int64_t)to[i]);
		if (database_run(&l->db, st, err) < 0)
			return -1;
	}
	return 0;
}

int ledger_renumber(struct ledger *l, struct ledger_box *box, const uint32_t *from, const uint32_t *to,
		    size_t n, struct err *err)
{
	struct uidset all = UIDSET_INIT;
	int ret;

	if (database_begin(&l->db, err) < 0 || fill_pairs(l, from, to, n, err) < 0)
		return -1;
	uidset_add_range(&all, 1, UINT32_MAX);
	ret = run_over(l, box, &all,
		       "UPDATE messages SET source_uid ="
		       " (SELECT target FROM temp.pairs WHERE source = messages.source_uid)"
		       " WHERE mailbox = ? AND uid BETWEEN ? AND ? AND source_uid IS NOT NULL", err);
	uidset_release(&all);
	return ret;
}

/* --- reading --- */

static int each_between(struct ledger *l, const struct ledger_box *box, struct uidrange r,
			ledger_row_fn *fn, void *ctx, struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&l->db, "SELECT " LEDGER_ROW " FROM messages"
					   " WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid");
	struct ledger_row row;
	int got;

	database_bind(st, "iii", box->id, (int64_t)r.lo, (int64_t)r.hi);
	while ((got = database_step(&l->db, st, err)) > 0) {
		ledger_take_row(st, &row);
		if (fn(ctx, &row, err) < 0) {
			sqlite3_reset(st);
			return -1;
		}
	}
	return got;
}

int ledger_each(struct ledger *l, const struct ledger_box *box, const struct uidset *set,
		ledger_row_fn *fn, void *ctx, struct err *err)
{
	if (!set)
		return each_between(l, box, (struct uidrange){ 1, UINT32_MAX }, fn, ctx, err);
	for (size_t i = 0; i < uidset_range_count(set); i++)
		if (each_between(l, box, uidset_range(set, i), fn, ctx, err) < 0)
			return -1;
	return 0;
}

int ledger_uids(struct ledger *l, const struct ledger_box *box, uint32_t least, struct uidset *out,
		struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&l->db, "SELECT uid FROM messages WHERE mailbox = ? AND uid >= ?"
					   " ORDER BY uid");
	int got;

	uidset_clear(out);
	database_bind(st, "ii", box->id, (int64_t)least);
	while ((got = database_step(&l->db, st, err)) > 0)
		uidset_add(out, (uint32_t)sqlite3_column_int64(st, 0));
	return got;
}

/* --- flags --- */

/* Live rows with one text of flags. */
struct same_flags {
	char *text;
	struct uidset uids;
};

struct by_flags {
	struct same_flags *v;
	size_t n, cap;
};

static int sort_by_flags(void *ctx, const struct ledger_row *row, struct err *err)
{
	struct by_flags *by = ctx;
	size_t i = 0;

	(void)err;
	if (row->state != LEDGER_LIVE)
		return 0;
	while (i < by->n && !bytes_is(row->flags, by->v[i].text))
		i++;
	if (i == by->n) {
		by->v = xgrow(by->v, by->n, &by->cap, sizeof(*by->v));
		by->v[by->n++] = (struct same_flags){ .text = bytes_dup(row->flags) };
	}
	uidset_add(&by->v[i].uids, row->uid);
	return 0;
}

static int change_these(struct ledger *l, const struct ledger_box *box, const struct same_flags *same,
			const struct flag_delta *delta, struct err *err)
{
	sqlite3_stmt *st = database_statement(&l->db, "UPDATE messages SET flags = ? WHERE mailbox = ?"
						      " AND uid BETWEEN ? AND ?");
	struct flags flags = FLAGS_INIT;
	struct buf text = BUF_INIT(SIZE_MAX / 4);
	int ret = 0;

	flags_add_list(&flags, bytes_of(same->text));
	flags_remove_all(&flags, &delta->remove);
	flags_add_all(&flags, &delta->add);
	flags_format(&flags, &text);
	for (size_t i = 0; i < uidset_range_count(&same->uids) && ret == 0; i++) {
		struct uidrange r = uidset_range(&same->uids, i);

		database_bind(st, "tiii", buf_bytes(&text), box->id, (int64_t)r.lo, (int64_t)r.hi);
		ret = database_run(&l->db, st, err);
	}
	buf_release(&text);
	flags_release(&flags);
	return ret;
}

int ledger_change_flags(struct ledger *l, struct ledger_box *box, const struct uidset *set,
			const struct flag_delta *delta, struct err *err)
{
	struct by_flags by = { 0 };
	int ret = database_begin(&l->db, err);

	if (ret == 0)
		ret = ledger_each(l, box, set, sort_by_flags, &by, err);
	for (size_t i = 0; i < by.n; i++) {
		if (ret == 0)
			ret = change_these(l, box, &by.v[i], delta, err);
		uidset_release(&by.v[i].uids);
		free(by.v[i].text);
	}
	free(by.v);
	return ret;
}
