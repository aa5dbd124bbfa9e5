#include "backends/maildir/rows.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/maildir/index.h"
#include "backends/maildir/keywords.h"
#include "backends/maildir/mailboxes.h"
#include "core/base/crash.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

int row_insert(struct box *box, struct row *row, struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st;

	if (box->next_uid == UINT32_MAX)
		return err_set(err, ERR_MAILBOX, "the mailbox has used up its numbers");
	if (database_begin(&m->db, err) < 0)
		return -1;
	st = index_stmt(m, ST_MESSAGE_INSERT);
	row->uid = box->next_uid;
	database_bind(st, "iiIbbiiibibBT", box->id, (int64_t)row->uid, (int64_t)row->source_uid,
		      row->base, row->letters, (int64_t)row->size, (int64_t)row->form,
		      (int64_t)row->state, row->date, (int64_t)row->bits, row->keywords, row->sha256,
		      row->identity);
	if (database_run(&m->db, st, err) < 0)
		return -1;
	box_touch(box);
	box_expect(box, row->base, row->letters);
	box->next_uid++;
	if (row->source_uid)
		box->stored++;
	if (row->source_uid > box->max_source)
		box->max_source = row->source_uid;
	return 0;
}

/* Counters as they were when the row was not there. */
static void uncount(struct box *box, const struct row *row)
{
	if (row->state == ROW_KEPT) {
		box->kept--;
		box->held -= row->held;
	} else if (row->source_uid) {
		box->stored--;
	}
}

int row_delete(struct box *box, const struct row *row, struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st;

	if (database_begin(&m->db, err) < 0)
		return -1;
	st = index_stmt(m, ST_MESSAGE_DELETE);
	database_bind(st, "ii", box->id, (int64_t)row->uid);
	if (database_run(&m->db, st, err) < 0)
		return -1;
	box_touch(box);
	box_unexpect(box, row->base, row->letters);
	uncount(box, row);
	return 0;
}

static int one_row(struct box *box, enum statement which, uint32_t number, struct row *out,
		   struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st = index_stmt(m, which);
	int got;

	database_bind(st, "ii", box->id, (int64_t)number);
	got = database_step(&m->db, st, err);
	if (got > 0)
		index_row(st, out);
	return got;
}

int row_by_source(struct box *box, uint32_t source_uid, struct row *out, struct err *err)
{
	/* Sources hand messages out in ascending order: mostly there is nothing to look up. */
	if (source_uid == 0 || source_uid > box->max_source)
		return 0;
	return one_row(box, ST_MESSAGE_BY_SOURCE, source_uid, out, err);
}

int row_by_uid(struct box *box, uint32_t uid, struct row *out, struct err *err)
{
	return one_row(box, ST_MESSAGE_BY_UID, uid, out, err);
}

void row_done(struct box *box)
{
	sqlite3_reset(index_stmt(maildir_of(box), ST_MESSAGE_BY_SOURCE));
	sqlite3_reset(index_stmt(maildir_of(box), ST_MESSAGE_BY_UID));
}

static struct bytes keep_bytes(struct buf *to, struct bytes b)
{
	size_t at = to->n;

	buf_add(to, b);
	return bytes_from(to->p + at, b.n);
}

void row_copy(struct row_copy *c, const struct row *row)
{
	size_t need = row->base.n + row->letters.n + row->date.n + row->keywords.n +
		      row->identity.n;

	buf_clear(&c->bytes);
	buf_reserve(&c->bytes, need + 1); /* so that nothing moves while we point into it */
	c->row = *row;
	c->row.base = keep_bytes(&c->bytes, row->base);
	c->row.letters = keep_bytes(&c->bytes, row->letters);
	c->row.date = keep_bytes(&c->bytes, row->date);
	c->row.keywords = keep_bytes(&c->bytes, row->keywords);
	c->row.identity = keep_bytes(&c->bytes, row->identity);
	c->row.sha256 = (struct bytes){ 0 };
	if (row->sha256.n == SHA256_SIZE) {
		memcpy(c->sha256, row->sha256.p, SHA256_SIZE);
		c->row.sha256 = bytes_from(c->sha256, SHA256_SIZE);
	}
}

/* A set's members one by one, or, where it is dense, row by row. */
int rows_each(struct box *box, const struct uidset *set, row_fn *fn, void *ctx,
	      struct err *err)
{
	struct maildir *m = maildir_of(box);
	struct row_copy c = { .bytes = BUF_INIT(SIZE_MAX / 4) };
	int got = 0;

	for (size_t i = 0; i < uidset_range_count(set) && got == 0; i++) {
		struct uidrange r = uidset_range(set, i);

		for (uint32_t uid = r.lo; uid <= r.hi && uid < box->next_uid; uid = c.row.uid + 1) {
			sqlite3_stmt *st = index_stmt(m, ST_MESSAGES_FROM);
			struct row row;

			database_bind(st, "ii", box->id, (int64_t)uid);
			got = database_step(&m->db, st, err);
			if (got <= 0)
				break;
			index_row(st, &row);
			row_copy(&c, &row);
			sqlite3_reset(st);
			got = c.row.uid > r.hi ? 0 : fn(box, &c.row, ctx, err);
			if (got < 0 || c.row.uid > r.hi)
				break;
		}
	}
	buf_release(&c.bytes);
	return got;
}

int row_place_letters(struct box *box, const struct row *row, const char *letters,
		      struct err *err)
{
	char name[NAME_MAX + 1];
	struct place at;
	int found, cur;

	if (row->uid >= box->placed_to)
		return 0; /* still in tmp: commit() gives it its name */
	if (!file_name_make(row->base, bytes_of(letters), name))
		return err_set(err, ERR_MAILBOX, "no room for flags in the file name %.*s",
			       (int)row->base.n, (const char *)row->base.p);
	found = box_find_file(box, row->uid, row->base, row->letters, &at, err);
	if (found <= 0)
		return found;
	if (at.which == DIR_CUR && strcmp(at.name, name) == 0)
		return 0;
	box_touch(box);
	box->sync_cur = true;
	box->sync_new |= at.which == DIR_NEW;
	crash_point("maildir: rename for flags");
	cur = at.which == DIR_CUR ? at.dir : box_dir_fd(box, DIR_CUR);
	/* The same base name twice: a copy somebody made. Both stay. */
	if (cur < 0 || (rename_apart(at.dir, at.name, cur, name) < 0 && errno != EEXIST))
		return box_sys(box, err, "change the flags of a file");
	return 0;
}

/* The flags a row's file says now. */
static int flags_now(struct box *box, const struct row *row, struct flags *out,
		     struct bytes *letters, struct place *at, struct err *err)
{
	int found = 0;

	flags_from_columns(row->bits, row->keywords, out);
	*letters = row->letters;
	if (row->uid < box->placed_to)
		found = box_find_file(box, row->uid, row->base, row->letters, at, err);
	if (found > 0) {
		*letters = file_name_split(bytes_of(at->name)).letters;
		keywords_follow_letters(box, row->letters, *letters, out);
	}
	return found;
}

static int update_flags(struct box *box, const struct row *row, const struct flags *flags,
			const char *letters, struct err *err)
{
	struct maildir *m = maildir_of(box);
	struct buf keywords = BUF_INIT(SIZE_MAX / 4);
	sqlite3_stmt *st = index_stmt(m, ST_MESSAGE_SET_FLAGS);
	int ret;

	flags_keywords_text(flags, &keywords);
	database_bind(st, "bibii", bytes_of(letters), (int64_t)flags->bits, buf_bytes(&keywords),
		      box->id, (int64_t)row->uid);
	ret = database_run(&m->db, st, err);
	buf_release(&keywords);
	if (ret < 0)
		return -1;
	box_touch(box);
	box_unexpect(box, row->base, row->letters);
	box_expect(box, row->base, bytes_of(letters));
	return 0;
}

static int change_one(struct box *box, const struct row *row, void *ctx, struct err *err)
{
	const struct flag_delta *delta = ctx;
	char letters[ALL_LETTERS_MAX];
	struct bytes was;
	struct place at;
	struct flags flags;
	int ret = -1;

	if (row->state != ROW_LIVE)
		return 0;
	if (flags_now(box, row, &flags, &was, &at, err) < 0)
		goto out;
	flags_remove_all(&flags, &delta->remove);
	flags_add_all(&flags, &delta->add);
	keywords_to_letters(box, &flags, was, letters);
	if (row_place_letters(box, row, letters, err) == 0 &&
	    database_begin(&maildir_of(box)->db, err) == 0)
		ret = update_flags(box, row, &flags, letters, err);
out:
	flags_release(&flags);
	return ret;
}

/* row_fn's context is not const because others write to theirs. */
int maildir_change_flags(struct mailbox *mb, const struct uidset *set,
			 const struct flag_delta *delta, struct err *err)
{
	struct flag_delta d = *delta;

	return rows_each((struct box *)mb, set, change_one, &d, err);
}

static int remove_one(struct box *box, const struct row *row, void *ctx, struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st;

	(void)ctx;
	if (row_delete(box, row, err) < 0)
		return -1;
	st = index_stmt(m, ST_REMOVAL_INSERT);
	database_bind(st, "sbb", box->dir, row->base, row->letters);
	return database_run(&m->db, st, err);
}

int maildir_expunge(struct mailbox *mb, const struct uidset *set, struct err *err)
{
	return rows_each((struct box *)mb, set, remove_one, NULL, err);
}

static int keep_one(struct box *box, const struct row *row, void *ctx, struct err *err)
{
	struct maildir *m = maildir_of(box);
	const bool *held = ctx;
	sqlite3_stmt *st;

	if (row->state != ROW_LIVE)
		return 0;
	if (database_begin(&m->db, err) < 0)
		return -1;
	st = index_stmt(m, ST_MESSAGE_SET_STATE);
	database_bind(st, "iiii", (int64_t)ROW_KEPT, (int64_t)*held, box->id, (int64_t)row->uid);
	if (database_run(&m->db, st, err) < 0)
		return -1;
	box->dirty = true;
	uncount(box, row);
	box->kept++;
	box->held += *held;
	return 0;
}

int maildir_keep(struct mailbox *mb, const struct uidset *set, bool held, struct err *err)
{
	return rows_each((struct box *)mb, set, keep_one, &held, err);
}

static int64_t count_stored(struct maildir *m, const struct box *box, struct err *err)
{
	sqlite3_stmt *st = database_statement(&m->db, "SELECT count(*) FROM messages"
						      " WHERE mailbox = ? AND source_uid IS NOT NULL");
	int64_t n = -1;

	database_bind(st, "i", box->id);
	return database_number(&m->db, st, &n, err) < 0 ? -1 : n;
}

static int fill_pairs(struct maildir *m, const uint32_t *from, const uint32_t *to, size_t n,
		      struct err *err)
{
	sqlite3_stmt *st = database_statement(&m->db, "INSERT OR REPLACE INTO temp.pairs VALUES (?,?)");
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++) {
		database_bind(st, "ii", (int64_t)from[i], (int64_t)to[i]);
		ret = database_run(&m->db, st, err);
	}
	return ret;
}

int maildir_renumber(struct mailbox *mb, const uint32_t *from, const uint32_t *to, size_t n,
		     struct err *err)
{
	struct box *box = (struct box *)mb;
	struct maildir *m = maildir_of(box);
	char *update = xasprintf(
		"UPDATE messages SET source_uid ="
		" (SELECT target FROM temp.pairs WHERE source = messages.source_uid)"
		" WHERE mailbox = %lld AND source_uid IS NOT NULL",
		(long long)box->id);
	const struct uidset none = UIDSET_INIT; /* of these UIDs will come any more */
	int64_t stored = -1;

	if (database_begin(&m->db, err) == 0 && mailboxes_forget_missing(box, &none, err) == 0 &&
	    database_exec(&m->db,
			  "CREATE TEMP TABLE IF NOT EXISTS pairs"
			  " (source INTEGER PRIMARY KEY, target INTEGER);"
			  "DELETE FROM temp.pairs",
			  err) == 0 &&
	    fill_pairs(m, from, to, n, err) == 0 && database_exec(&m->db, update, err) == 0)
		stored = count_stored(m, box, err);
	free(update);
	if (stored < 0)
		return -1;
	box->unbound |= (uint64_t)stored < box->stored;
	box->stored = (uint64_t)stored;
	box->max_source = 0;
	for (size_t i = 0; i < n; i++)
		if (to[i] > box->max_source)
			box->max_source = to[i];
	box->dirty = true;
	return 0;
}

int maildir_rebind(struct maildir *m, struct err *err)
{
	if (database_begin(&m->db, err) < 0 ||
	    database_exec(&m->db,
			  "UPDATE messages SET state = 1, held = 0, source_uid = NULL,"
			  " identity = NULL",
			  err) < 0 ||
	    database_exec(&m->db, "UPDATE mailboxes SET known = NULL; DELETE FROM quarantine", err) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++) {
		struct box *box = m->box[i];
		sqlite3_stmt *st =
			database_statement(&m->db, "SELECT count(*) FROM messages WHERE mailbox = ?");
		int64_t n = 0;

		database_bind(st, "i", box->id);
		if (database_number(&m->db, st, &n, err) < 0)
			return -1;
		box->kept = (uint64_t)n;
		box->token = (struct token){ 0 };
		box->mailboxid[0] = '\0';
		box->known = box->stored = box->held = box->pending = 0;
		box->max_source = 0;
		box->dirty = true;
	}
	return 0;
}

static int doom(struct maildir *m, const struct removal *r, struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&m->db, "INSERT OR IGNORE INTO temp.doomed"
					   " SELECT mailbox, uid FROM messages WHERE mailbox = ?"
					   " AND uid BETWEEN ? AND ? AND state = 0");
	int ret = 0;

	for (size_t i = 0; i < uidset_range_count(r->set) && ret == 0; i++) {
		struct uidrange range = uidset_range(r->set, i);

		database_bind(st, "iii", ((const struct box *)r->mailbox)->id, (int64_t)range.lo,
			      (int64_t)range.hi);
		ret = database_run(&m->db, st, err);
	}
	return ret;
}

/* Content that is not hashed (a file others wrote) is nowhere else, as far as we know. */
static int count_doomed(struct maildir *m, struct removal *r, struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&m->db, "SELECT count(*) FROM temp.doomed AS d CROSS JOIN messages AS gone"
			" ON gone.mailbox = d.mailbox AND gone.uid = d.uid"
			" WHERE d.mailbox = ? AND NOT EXISTS (SELECT 1 FROM messages AS other"
			"  WHERE substr(other.sha256, 1, 8) = substr(gone.sha256, 1, 8)"
			"  AND other.sha256 = gone.sha256 AND other.state = 0"
			"  AND NOT EXISTS (SELECT 1 FROM temp.doomed AS too"
			"   WHERE too.mailbox = other.mailbox AND too.uid = other.uid))");
	int64_t n = 0;

	database_bind(st, "i", ((const struct box *)r->mailbox)->id);
	if (database_number(&m->db, st, &n, err) < 0)
		return -1;
	r->lost = (uint64_t)n;
	return 0;
}

int maildir_count_lost(struct store *st, struct removal *r, size_t n, struct err *err)
{
	struct maildir *m = (struct maildir *)st;

	if (database_exec(&m->db,
			  "CREATE TEMP TABLE IF NOT EXISTS doomed"
			  " (mailbox INTEGER, uid INTEGER, PRIMARY KEY (mailbox, uid))"
			  " WITHOUT ROWID; DELETE FROM temp.doomed",
			  err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (doom(m, &r[i], err) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		if (count_doomed(m, &r[i], err) < 0)
			return -1;
	return 0;
}
