#include "backends/maildir/index_check.h"

#include <stdlib.h>
#include <string.h>

#include "backends/maildir/index.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"

struct examination {
	struct maildir *m;
	index_problem_fn *problem;
	void *ctx;
	uint64_t found;
};

static void tell(struct examination *x, int64_t mailbox, const char *what)
{
	const struct box *box = NULL;

	for (size_t i = 0; i < x->m->n; i++)
		if (x->m->box[i]->id == mailbox)
			box = x->m->box[i];
	x->found++;
	x->problem(x->ctx, box, what);
}

typedef void take_fn(struct examination *x, sqlite3_stmt *st);

static int each_row(struct examination *x, const char *sql, take_fn *take, struct err *err)
{
	struct database *d = &x->m->db;
	sqlite3_stmt *st = database_statement(d, sql);
	int got;

	while ((got = database_step(d, st, err)) > 0)
		take(x, st);
	return got;
}

static const char *text_of(sqlite3_stmt *st, int column)
{
	const char *text = (const char *)sqlite3_column_text(st, column);

	return text ? text : "";
}

static void take_verdict(struct examination *x, sqlite3_stmt *st)
{
	const char *text = text_of(st, 0);
	char *safe, *what;

	if (strcmp(text, "ok") == 0)
		return;
	safe = escape_text(bytes_of(text), 300);
	what = xasprintf(INDEX_FILE " is damaged: %s", safe);
	tell(x, 0, what);
	free(what);
	free(safe);
}

/* Makes of the tables of a new database those of an older version. */
static const char *const downgrades[INDEX_SCHEMA] = {
	[1] = "ALTER TABLE quarantine DROP COLUMN last",
	[2] = "DROP INDEX messages_identity; ALTER TABLE messages DROP COLUMN identity",
	[3] = "ALTER TABLE mailboxes DROP COLUMN mailboxid",
};

static int make_empty(struct database *fresh, int version, struct err *err)
{
	if (database_open(fresh, ":memory:", DATABASE_WRITE, err) < 0 ||
	    database_exec(fresh, index_schema, err) < 0)
		return -1;
	for (int i = INDEX_SCHEMA - 1; i >= version && i >= 1; i--)
		if (database_exec(fresh, downgrades[i], err) < 0)
			return -1;
	return 0;
}

static void tell_missing(struct examination *x, sqlite3_stmt *want)
{
	char *what = xasprintf(INDEX_FILE " is damaged: the %s %s is missing or altered",
			       text_of(want, 0), text_of(want, 1));

	tell(x, 0, what);
	free(what);
}

/* The tables and indexes of a new database are what those of this one must be. */
static int check_schema(struct examination *x, struct err *err)
{
	struct database *d = &x->m->db, fresh = { .name = "a database to compare with", .advice = "" };
	sqlite3_stmt *want, *have;
	int64_t there;
	int got = make_empty(&fresh, x->m->schema, err), is = 0;

	if (got < 0)
		goto out;
	want = database_statement(&fresh,
				  "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL");
	have = database_statement(
		d, "SELECT 1 FROM sqlite_master WHERE type = ? AND name = ? AND sql = ?");
	while (is >= 0 && (got = database_step(&fresh, want, err)) > 0) {
		for (int i = 0; have && i < 3; i++)
			sqlite3_bind_value(have, i + 1, sqlite3_column_value(want, i));
		is = database_number(d, have, &there, err);
		if (is == 0)
			tell_missing(x, want);
	}
out:
	database_close(&fresh);
	return got < 0 || is < 0 ? -1 : 0;
}

static void take_orphans(struct examination *x, sqlite3_stmt *st)
{
	char *what;

	if (sqlite3_column_int64(st, 0) == 0)
		return;
	what = xasprintf("the index holds %lld %s of a mailbox that it does not know",
			 (long long)sqlite3_column_int64(st, 0), text_of(st, 1));
	tell(x, 0, what);
	free(what);
}

static void take_double(struct examination *x, sqlite3_stmt *st)
{
	char *what = xasprintf("the index has %lld messages for the account's UID %lld",
			       (long long)sqlite3_column_int64(st, 2),
			       (long long)sqlite3_column_int64(st, 1));

	tell(x, sqlite3_column_int64(st, 0), what);
	free(what);
}

/* What a mailbox's row says (even columns from 1 on) and what its messages come to (the next). */
static void take_counts(struct examination *x, sqlite3_stmt *st)
{
	static const char *const names[] = { "stored messages", "kept messages",
					     "messages held back", "messages in quarantine" };
	int64_t id = sqlite3_column_int64(st, 0);
	char *what;

	for (int i = 0; i < 4; i++) {
		long long says = sqlite3_column_int64(st, 1 + 2 * i);
		long long has = sqlite3_column_int64(st, 2 + 2 * i);

		if (says == has)
			continue;
		what = xasprintf("the index counts %lld %s and has %lld", says, names[i], has);
		tell(x, id, what);
		free(what);
	}
	if (sqlite3_column_int64(st, 10) >= sqlite3_column_int64(st, 9))
		tell(x, id, "the index would give out a UID that is taken");
	if (sqlite3_column_int64(st, 12) > sqlite3_column_int64(st, 11))
		tell(x, id, "the index has a message with a higher UID of the account than it says");
}

static void take_known(struct examination *x, sqlite3_stmt *st)
{
	static const struct uidset_limits any = { SIZE_MAX, SIZE_MAX };
	struct uidset known = UIDSET_INIT;
	struct bytes text = database_text(st, 1);
	struct err err;

	if (text.n > 0 && uidset_parse(&known, text, UIDSET_STRICT, &any, &err) < 0)
		tell(x, sqlite3_column_int64(st, 0),
		     "the index cannot say which of the account's messages are known");
	else if (uidset_count(&known) != (uint64_t)sqlite3_column_int64(st, 2))
		tell(x, sqlite3_column_int64(st, 0),
		     "the index counts the account's known messages wrongly");
	uidset_release(&known);
}

/* Each in one statement, so that a run that writes meanwhile is seen before or after, never both. */
static int check_sense(struct examination *x, struct err *err)
{
	if (each_row(x,
		     "SELECT count(*), 'messages' FROM messages"
		     " WHERE mailbox NOT IN (SELECT id FROM mailboxes)"
		     " UNION ALL SELECT count(*), 'quarantined messages' FROM quarantine"
		     " WHERE mailbox NOT IN (SELECT id FROM mailboxes)",
		     take_orphans, err) < 0 ||
	    each_row(x,
		     "SELECT mailbox, source_uid, count(*)"
		     " FROM messages INDEXED BY messages_source WHERE source_uid IS NOT NULL"
		     " GROUP BY mailbox, source_uid HAVING count(*) > 1",
		     take_double, err) < 0 ||
	    each_row(x,
		     "SELECT b.id, b.stored, ifnull(m.stored, 0), b.kept, ifnull(m.kept, 0),"
		     " b.held, ifnull(m.held, 0), b.pending, ifnull(q.pending, 0),"
		     " b.next_uid, ifnull(m.uid, 0), b.max_source, ifnull(m.source, 0)"
		     " FROM mailboxes b LEFT JOIN"
		     " (SELECT mailbox, sum(state = 0 AND source_uid IS NOT NULL) stored,"
		     "  sum(state = 1) kept, sum(state = 1 AND held = 1) held, max(uid) uid,"
		     "  max(source_uid) source FROM messages GROUP BY mailbox) m"
		     " ON m.mailbox = b.id LEFT JOIN"
		     " (SELECT mailbox, sum(accepted = 0) pending FROM quarantine GROUP BY mailbox) q"
		     " ON q.mailbox = b.id",
		     take_counts, err) < 0)
		return -1;
	return each_row(x, "SELECT id, known, known_count FROM mailboxes", take_known, err);
}

int index_check(struct maildir *m, index_problem_fn *problem, void *ctx, struct err *err)
{
	struct examination x = { .m = m, .problem = problem, .ctx = ctx };

	if (each_row(&x, "PRAGMA integrity_check(20)", take_verdict, err) < 0)
		return -1;
	if (check_schema(&x, err) < 0)
		return -1;
	if (x.found > 0)
		return 0;
	return check_sense(&x, err) < 0 ? -1 : 1;
}

int index_removals(struct maildir *m, uint64_t *out, struct err *err)
{
	int64_t n = 0;
	int got = database_number(&m->db, database_statement(&m->db, "SELECT count(*) FROM removals"),
				  &n, err);

	*out = (uint64_t)n;
	return got < 0 ? -1 : 0;
}

int index_totals(struct maildir *m, uint64_t *rows, uint64_t *messages, uint64_t *bytes,
		 struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&m->db, "SELECT mailbox, count(*), total(size) FROM messages GROUP BY mailbox");
	int got;

	while ((got = database_step(&m->db, st, err)) > 0)
		for (size_t i = 0; i < m->n; i++)
			if (m->box[i]->id == sqlite3_column_int64(st, 0)) {
				rows[i] = (uint64_t)sqlite3_column_int64(st, 1);
				*messages += rows[i];
				*bytes += (uint64_t)sqlite3_column_int64(st, 2);
			}
	return got;
}

int index_still_lies(struct maildir *m, const struct box *box, struct err *err)
{
	sqlite3_stmt *st = database_statement(&m->db, "SELECT directory FROM mailboxes WHERE id = ?");
	int got;

	database_bind(st, "i", box->id);
	got = database_step(&m->db, st, err);
	if (got > 0)
		got = strcmp(text_of(st, 0), box->dir) == 0;
	sqlite3_reset(st);
	return got;
}
