#include "backends/maildir/mailboxes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/maildir/index.h"
#include "backends/maildir/rows.h"
#include "backends/maildir/settle.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/mem.h"

#define KNOWN_MAX ((size_t)256 * 1024 * 1024)

static bool is_taken(const struct maildir *m, const char *dir)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcasecmp(m->box[i]->dir, dir) == 0)
			return true;
	return false;
}

/* Another mailbox has this very directory: a file system without case, or one that normalises. */
static bool is_shared(const struct maildir *m, const char *dir)
{
	struct stat mine, other;

	if (fstatat(m->root, *dir ? dir : ".", &mine, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	for (size_t i = 0; i < m->n; i++) {
		const char *d = m->box[i]->dir;

		if (fstatat(m->root, *d ? d : ".", &other, AT_SYMLINK_NOFOLLOW) == 0 &&
		    other.st_dev == mine.st_dev && other.st_ino == mine.st_ino)
			return true;
	}
	return false;
}

static bool lies_below(const char *dir, const char *top)
{
	size_t n = strlen(top);

	return strncmp(dir, top, n) == 0 && dir[n] == '/';
}

/* A directory can be renamed to it: nothing lies there, and it is not within the directory itself. */
static bool can_become(const struct maildir *m, const char *from, const char *to)
{
	struct stat sb;

	return !lies_below(to, from) && fstatat(m->root, to, &sb, AT_SYMLINK_NOFOLLOW) < 0;
}

/* `from`: the directory that is to be renamed to it; NULL: none. */
static char *choose_dir(const struct maildir *m, const struct mailbox_name *name,
			const char *from)
{
	struct buf dir = BUF_INIT(MAILDIR_PATH_MAX);

	maildir_directory(name, m->layout, false, &dir);
	if (is_taken(m, buf_str(&dir)) || is_shared(m, buf_str(&dir)) ||
	    (from && !can_become(m, from, buf_str(&dir)))) {
		buf_clear(&dir);
		maildir_directory(name, m->layout, true, &dir);
	}
	if (from && lies_below(buf_str(&dir), from)) {
		buf_clear(&dir);
		maildir_directory_in_root(name, &dir);
	}
	return buf_take(&dir);
}

static struct box *new_box(struct maildir *m, const struct mailbox_name *name, char *dir)
{
	struct box *box = box_new(m);

	mailbox_name_copy(&box->mb.name, name);
	box->dir = dir;
	box->uidvalidity = (uint32_t)clock_unix();
	return box;
}

static int insert(struct maildir *m, struct box *box, struct err *err)
{
	if (database_begin(&m->db, err) < 0 || index_insert_box(m, box, err) < 0) {
		box_free(m, box);
		return -1;
	}
	box_insert(m, box);
	return 0;
}

/* What foreign files may lie in a new mailbox's directory must be compared before it is trusted. */
static bool is_fresh(struct box *box)
{
	struct stamp s;
	struct err err;

	return box_stamp(box, &s, &err) == 0 && !stamp_is_set(&s);
}

static int write_name(struct maildir *m, const struct box *box, const struct mailbox_name *name,
		      const char *dir, const char *moved_from, struct err *err)
{
	sqlite3_stmt *st = index_stmt(m, ST_BOX_RENAME);
	struct buf text = BUF_INIT(SIZE_MAX / 4);
	int ret;

	mailbox_name_pack(name, &text);
	index_bind_name(st, name, buf_bytes(&text));
	sqlite3_bind_text(st, 5, dir, -1, SQLITE_STATIC);
	if (moved_from)
		sqlite3_bind_text(st, 6, moved_from, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, 6);
	sqlite3_bind_int64(st, 7, box->id);
	ret = database_run(&m->db, st, err);
	buf_release(&text);
	return ret;
}

int maildir_create(struct store *st, const struct mailbox_name *name, unsigned attributes,
		   struct err *err)
{
	struct maildir *m = (struct maildir *)st;
	struct box *box = box_find(m, name);
	bool selectable = !(attributes & MAILBOX_NOSELECT);

	if (!box) {
		box = new_box(m, name, choose_dir(m, name, NULL));
		box->attributes = attributes;
		box->extra_known = is_fresh(box);
		/* Directories without a row: a run was stopped before it committed them. */
		if (selectable && (box_make_dirs(box, err) < 0 ||
				   (!box->extra_known && maildir_clean_tmp(box, err) < 0))) {
			box_free(m, box);
			return -1;
		}
		m->unsynced = true;
		return insert(m, box, err);
	}
	if (database_begin(&m->db, err) < 0 || (selectable && box_make_dirs(box, err) < 0))
		return -1;
	m->unsynced = true;
	box->attributes = attributes;
	box->dirty = true;
	if (!name->wire.p)
		return 0;
	mailbox_name_copy(&box->mb.name, name);
	return write_name(m, box, name, box->dir, box->moved_from, err);
}

int maildir_subscribe(struct store *st, const struct mailbox_name *name, bool on,
		      struct err *err)
{
	struct maildir *m = (struct maildir *)st;
	struct box *box = box_find(m, name);

	if (!box)
		return err_set(err, ERR_MAILBOX, "it does not exist in %s", m->path);
	if (database_begin(&m->db, err) < 0)
		return -1;
	box->attributes &= ~(unsigned)MAILBOX_SUBSCRIBED;
	box->attributes |= on ? MAILBOX_SUBSCRIBED : 0;
	box->dirty = true;
	return 0;
}

static int count_rows(struct maildir *m, const struct box *box, bool *any, struct err *err)
{
	sqlite3_stmt *st = index_stmt(m, ST_MESSAGES_FROM);
	int64_t uid;
	int got;

	database_bind(st, "ii", box->id, (int64_t)1);
	got = database_number(&m->db, st, &uid, err);
	*any = got > 0;
	return got < 0 ? -1 : 0;
}

static int delete_rows(struct maildir *m, const struct box *box, struct err *err)
{
	sqlite3_stmt *st = index_stmt(m, ST_BOX_DELETE);

	database_bind(st, "i", box->id);
	if (database_run(&m->db, st, err) < 0)
		return -1;
	st = index_stmt(m, ST_QUARANTINE_DELETE);
	database_bind(st, "i", box->id);
	if (database_run(&m->db, st, err) < 0)
		return -1;
	st = index_stmt(m, ST_REMOVAL_INSERT);
	database_bind(st, "sbb", box->dir, (struct bytes){ 0 }, (struct bytes){ 0 });
	return database_run(&m->db, st, err);
}

int maildir_remove(struct store *st, const struct mailbox_name *name, struct err *err)
{
	struct maildir *m = (struct maildir *)st;
	struct box *box = box_find(m, name);
	bool any;

	if (!box)
		return 0;
	/* First what was to be done in it; then its end, by itself. */
	if (maildir_commit(st, err) < 0 || count_rows(m, box, &any, err) < 0)
		return -1;
	if (any)
		return err_set(err, ERR_MAILBOX, "it still holds messages");
	if (database_begin(&m->db, err) < 0 || delete_rows(m, box, err) < 0)
		return -1;
	box_take_out(m, box);
	m->gone = xgrow(m->gone, m->n_gone, &m->cap_gone, sizeof(struct box *));
	m->gone[m->n_gone++] = box;
	return maildir_commit(st, err);
}

int mailboxes_renumber(struct maildir *m, struct err *err)
{
	uint32_t now = (uint32_t)clock_unix();

	if (database_begin(&m->db, err) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++) {
		struct box *box = m->box[i];

		box->uidvalidity = box->uidvalidity < now ? now : box->uidvalidity + 1;
		box->dirty = true;
	}
	return 0;
}

static int rename_row(struct maildir *m, struct box *box, const struct mailbox_name *to,
		      char *dir, bool moves, struct err *err)
{
	if (write_name(m, box, to, dir, moves ? box->dir : NULL, err) < 0) {
		free(dir);
		return -1;
	}
	box_close_fds(box);
	box_take_out(m, box);
	if (moves)
		box->moved_from = box->dir;
	else
		free(box->dir);
	box->dir = dir;
	box->stamp = (struct stamp){ 0 };
	box->dirty = true;
	mailbox_name_copy(&box->mb.name, to);
	box_insert(m, box);
	return 0;
}

/* `dir` with `from` at its start replaced; NULL when it lies elsewhere. */
static char *dir_below(const char *dir, const char *from, const char *to)
{
	return lies_below(dir, from) ? xasprintf("%s%s", to, dir + strlen(from)) : NULL;
}

/*
 * In `fs` a directory takes along all that lies in it: also mailboxes of other names, which lie there since
 * an earlier rename.
 */
static int take_along(struct maildir *m, const char *old_top, const char *new_top, struct err *err)
{
	for (size_t i = 0; i < m->n; i++) {
		struct box *box = m->box[i];
		char *dir = dir_below(box->dir, old_top, new_top);
		struct mailbox_name name = MAILBOX_NAME_INIT;
		int ret;

		if (!dir)
			continue;
		mailbox_name_copy(&name, &box->mb.name);
		ret = rename_row(m, box, &name, dir, false, err);
		mailbox_name_release(&name);
		if (ret < 0)
			return -1;
	}
	return 0;
}

/*
 * The mailbox and those below it. A mailbox whose directory does not lie in that of the one above it, as
 * where a name had to be shortened, stays there.
 */
static int rename_tree(struct maildir *m, const struct mailbox_name *from,
		       const struct mailbox_name *to, struct err *err)
{
	struct box **todo = xcalloc(m->n, sizeof(struct box *));
	struct box *top = box_find(m, from);
	char *old_top = xstrdup(top->dir), *new_top = choose_dir(m, to, old_top);
	struct mailbox_name name;
	size_t n = 0;
	int ret = 0;

	mailbox_name_init(&name);
	for (size_t i = 0; i < m->n; i++)
		if (mailbox_name_is_below(&m->box[i]->mb.name, from))
			todo[n++] = m->box[i];
	for (size_t i = 0; i < n && ret == 0; i++) {
		bool fs = m->layout == LAYOUT_FS;
		char *dir = todo[i] == top ? xstrdup(new_top)
			    : fs	   ? dir_below(todo[i]->dir, old_top, new_top)
					   : NULL;
		bool moves = todo[i] == top || !fs;

		ret = mailbox_name_move(&name, &todo[i]->mb.name, from, to, err);
		if (!dir)
			dir = fs ? xstrdup(todo[i]->dir) : choose_dir(m, &name, todo[i]->dir);
		if (ret == 0)
			ret = rename_row(m, todo[i], &name, dir, moves, err);
		else
			free(dir);
	}
	if (ret == 0 && m->layout == LAYOUT_FS)
		ret = take_along(m, old_top, new_top, err);
	mailbox_name_release(&name);
	free(todo);
	free(old_top);
	free(new_top);
	return ret;
}

int maildir_rename(struct store *st, const struct mailbox_name *from,
		   const struct mailbox_name *to, struct err *err)
{
	struct maildir *m = (struct maildir *)st;

	if (!box_find(m, from))
		return err_set(err, ERR_MAILBOX, "it does not exist in %s", m->path);
	if (box_find(m, to))
		return err_set(err, ERR_MAILBOX, "the new name exists already");
	if (mailbox_name_is_inbox(from) || mailbox_name_is_inbox(to))
		return err_set(err, ERR_MAILBOX, "INBOX cannot be renamed");
	if (maildir_commit(st, err) < 0 || database_begin(&m->db, err) < 0 ||
	    rename_tree(m, from, to, err) < 0)
		return -1;
	return maildir_commit(st, err);
}

static int read_known(struct box *box, struct uidset *out, struct err *err)
{
	static const struct uidset_limits any = { SIZE_MAX, SIZE_MAX };
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st = index_stmt(m, ST_BOX_KNOWN);
	int got;

	database_bind(st, "i", box->id);
	got = database_step(&m->db, st, err);
	if (got <= 0)
		return got;
	if (database_text(st, 0).n > 0)
		got = uidset_parse(out, database_text(st, 0), UIDSET_STRICT, &any, err);
	sqlite3_reset(st);
	return got < 0 ? -1 : 0;
}

static int read_held(struct box *box, struct uidset *out, struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st = index_stmt(m, ST_HELD);
	int got;

	database_bind(st, "i", box->id);
	while ((got = database_step(&m->db, st, err)) > 0)
		uidset_add(out, (uint32_t)sqlite3_column_int64(st, 0));
	return got;
}

static int read_quarantine(struct box *box, struct base *out, struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st = index_stmt(m, ST_QUARANTINE);
	size_t cap = 0;
	int got;

	database_bind(st, "i", box->id);
	while ((got = database_step(&m->db, st, err)) > 0) {
		out->quarantine = xgrow(out->quarantine, out->n_quarantine, &cap,
					sizeof(*out->quarantine));
		out->quarantine[out->n_quarantine++] = (struct quarantined){
			.uid = (uint32_t)sqlite3_column_int64(st, 1),
			.size = (uint64_t)sqlite3_column_int64(st, 2),
			.reason = bytes_dup(database_text(st, 3)),
			.since = sqlite3_column_int64(st, 4),
			.attempts = (uint32_t)sqlite3_column_int64(st, 5),
			.accepted = sqlite3_column_int(st, 6) != 0,
			/* Written by an earlier version: not there. */
			.last = sqlite3_column_count(st) > 7 ? sqlite3_column_int64(st, 7) : 0,
		};
	}
	return got;
}

int maildir_quarantine(struct mailbox *mb, struct base *out, struct err *err)
{
	base_release(out);
	return read_quarantine((struct box *)mb, out, err);
}

int maildir_base(struct mailbox *mb, struct base *out, struct err *err)
{
	struct box *box = (struct box *)mb;

	base_release(out);
	out->token = box->token;
	memcpy(out->mailboxid, box->mailboxid, sizeof(out->mailboxid));
	if (read_known(box, &out->known, err) < 0 ||
	    (box->held > 0 && read_held(box, &out->held, err) < 0)) /* looks at all rows */
		return -1;
	return read_quarantine(box, out, err);
}

static int write_quarantine(struct box *box, const struct base *b, struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st;

	st = index_stmt(m, ST_QUARANTINE_DELETE);
	database_bind(st, "i", box->id);
	if (database_run(&m->db, st, err) < 0)
		return -1;
	box->pending = 0;
	for (size_t i = 0; i < b->n_quarantine; i++) {
		const struct quarantined *q = &b->quarantine[i];

		st = index_stmt(m, ST_QUARANTINE_INSERT);
		database_bind(st, "iiisiiii", box->id, (int64_t)q->uid, (int64_t)q->size,
			      q->reason ? q->reason : "", q->since, (int64_t)q->attempts,
			      (int64_t)q->accepted, q->last);
		if (database_run(&m->db, st, err) < 0)
			return -1;
		box->pending += !q->accepted;
	}
	return 0;
}

static int forget_row(struct box *box, uint32_t source_uid, struct err *err)
{
	struct row_copy c = { .bytes = BUF_INIT(SIZE_MAX / 4) };
	struct row row;
	int got = row_by_source(box, source_uid, &row, err);

	if (got > 0)
		row_copy(&c, &row);
	row_done(box);
	if (got > 0)
		got = row_delete(box, &c.row, err);
	buf_release(&c.bytes);
	return got;
}

int mailboxes_forget_missing(struct box *box, const struct uidset *known, struct err *err)
{
	struct uidset gone = UIDSET_INIT;
	int ret = 0;

	uidset_subtract(&gone, &box->missing, known);
	for (size_t i = 0; i < uidset_range_count(&gone) && ret == 0; i++) {
		struct uidrange r = uidset_range(&gone, i);

		for (uint64_t uid = r.lo; uid <= r.hi && ret == 0; uid++)
			ret = forget_row(box, (uint32_t)uid, err);
	}
	uidset_subtract(&box->missing, &box->missing, &gone);
	uidset_release(&gone);
	return ret;
}

int maildir_set_base(struct mailbox *mb, const struct base *b, struct err *err)
{
	struct box *box = (struct box *)mb;
	struct maildir *m = maildir_of(box);
	struct buf known = BUF_INIT(KNOWN_MAX);
	sqlite3_stmt *st;
	int ret;

	if (database_begin(&m->db, err) < 0)
		return -1;
	if (!uidset_format(&b->known, &known)) {
		buf_release(&known);
		return err_set(err, ERR_MAILBOX, "too many separate UIDs to remember");
	}
	st = index_stmt(m, ST_BOX_SET_KNOWN);
	database_bind(st, "ti", buf_bytes(&known), box->id);
	ret = database_run(&m->db, st, err);
	buf_release(&known);
	if (ret < 0 || mailboxes_forget_missing(box, &b->known, err) < 0 ||
	    write_quarantine(box, b, err) < 0)
		return -1;
	box->token = b->token;
	memcpy(box->mailboxid, b->mailboxid, sizeof(box->mailboxid));
	box->known = uidset_count(&b->known);
	box->dirty = true;
	return 0;
}
