#include "backends/maildir/settle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/maildir/index.h"
#include "backends/maildir/rows.h"
#include "backends/maildir/scan.h"
#include "core/base/crash.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"

static int rename_into_cur(struct box *box, const char *from, const char *to)
{
	int tmp = box_dir_fd(box, DIR_TMP);
	int cur = tmp < 0 ? -1 : box_dir_fd(box, DIR_CUR);

	return cur < 0 ? -1 : renameat(tmp, from, cur, to);
}

/* 1 in cur or new (now), 0 nowhere, -1. */
static int place_one(struct box *box, const struct row *row, struct err *err)
{
	char from[NAME_MAX + 1], to[NAME_MAX + 1];
	struct place at;
	int found;

	if (!file_name_make(row->base, row->letters, to))
		return err_set(err, ERR_FATAL, "the index is damaged: a name is too long");
	snprintf(from, sizeof(from), "%.*s", (int)row->base.n, (const char *)row->base.p);
	if (rename_into_cur(box, from, to) == 0)
		return 1;
	if (errno != ENOENT)
		return box_sys(box, err, "rename a message into cur");
	/* Renamed before a crash, perhaps by a reader since; or taken over where it was. */
	found = box_find_file(box, row->uid, row->base, row->letters, &at, err);
	if (found <= 0 || at.which != DIR_TMP)
		return found;
	/* Still in tmp: somebody removed cur. */
	box_close_fds(box);
	if (box_make_dirs(box, err) < 0)
		return -1;
	return rename_into_cur(box, from, to) == 0
		       ? 1
		       : box_sys(box, err, "rename a message into cur");
}

static int forget_row(struct box *box, const struct row *row, void *ctx, struct err *err)
{
	(void)ctx;
	return row_delete(box, row, err);
}

static int place_box(struct maildir *m, struct box *box, struct err *err)
{
	sqlite3_stmt *st = index_stmt(m, ST_MESSAGES_FROM);
	struct uidset nowhere = UIDSET_INIT;
	struct row row;
	int got;

	database_bind(st, "ii", box->id, (int64_t)box->placed_to);
	while ((got = database_step(&m->db, st, err)) > 0) {
		int found;

		index_row(st, &row);
		crash_point("maildir: rename into cur");
		found = place_one(box, &row, err);
		if (found < 0) {
			sqlite3_reset(st);
			got = -1;
			break;
		}
		if (found == 0)
			uidset_add(&nowhere, row.uid);
	}
	if (got == 0 && !uidset_is_empty(&nowhere))
		got = rows_each(box, &nowhere, forget_row, NULL, err);
	if (got == 0)
		box->placed_to = box->next_uid;
	box->sync_cur = box->sync_tmp = true;
	uidset_release(&nowhere);
	return got;
}

int maildir_place(struct maildir *m, struct err *err)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->box[i]->placed_to == m->box[i]->next_uid)
			continue;
		m->unsettled = m->unsynced = true;
		if (place_box(m, m->box[i], err) < 0)
			return -1;
	}
	return 0;
}

/* Only what is empty: files that others put there stay. */
static void remove_dirs(struct maildir *m, const char *dir)
{
	static const char *const names[] = { "cur", "new", "tmp" };
	int fd = *dir ? open_below(m, dir, false) : -1;

	if (fd < 0)
		return;
	for (size_t i = 0; i < 3; i++)
		unlinkat(fd, names[i], AT_REMOVEDIR);
	if (m->layout == LAYOUT_PLUS)
		unlinkat(fd, "maildirfolder", 0);
	close(fd);
	unlinkat(m->root, dir, AT_REMOVEDIR);
}

static struct box *box_by_dir(struct maildir *m, const char *dir)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->box[i]->dir, dir) == 0)
			return m->box[i];
	for (size_t i = 0; i < m->n_gone; i++)
		if (strcmp(m->gone[i]->dir, dir) == 0)
			return m->gone[i];
	return NULL;
}

/* The mailbox is gone, too: something to look for its files with. */
static struct box *ghost(struct maildir *m, const char *dir)
{
	struct box *box = box_new(m);

	box->dir = xstrdup(dir);
	m->gone = xgrow(m->gone, m->n_gone, &m->cap_gone, sizeof(struct box *));
	m->gone[m->n_gone++] = box;
	return box;
}

static int remove_file(struct box *box, struct bytes base, struct bytes letters,
		       struct err *err)
{
	struct place at;
	int found = box_find_file(box, UINT32_MAX, base, letters, &at, err);

	if (found <= 0)
		return found;
	box->written = true;
	box->sync_cur |= at.which == DIR_CUR;
	box->sync_new |= at.which == DIR_NEW;
	box->sync_tmp |= at.which == DIR_TMP;
	if (unlinkat(at.dir, at.name, 0) < 0 && errno != ENOENT)
		return box_sys(box, err, "remove a message");
	return 0;
}

int maildir_remove_files(struct maildir *m, struct err *err)
{
	sqlite3_stmt *st = index_stmt(m, ST_REMOVALS);
	struct box *box = NULL;
	int got;

	database_bind(st, "i", m->removed_to);
	while ((got = database_step(&m->db, st, err)) > 0) {
		const char *dir = (const char *)sqlite3_column_text(st, 1);
		struct bytes base = database_text(st, 2);

		crash_point("maildir: unlink");
		m->unsettled = m->unsynced = true;
		if (!box || strcmp(box->dir, dir) != 0)
			box = box_by_dir(m, dir);
		if (!box)
			box = ghost(m, dir);
		if (base.n == 0) {
			box_close_fds(box);
			remove_dirs(m, dir);
		} else if (remove_file(box, base, database_text(st, 3), err) < 0) {
			sqlite3_reset(st);
			return -1;
		}
		m->removed_to = sqlite3_column_int64(st, 0);
	}
	return got;
}

/* Rename a/b to c/d below the root. 0 also when that was done before. */
static int move_dir(struct maildir *m, const char *from, const char *to, struct err *err)
{
	const char *from_name = strrchr(from, '/'), *to_name = strrchr(to, '/');
	char *from_parent = xasprintf("%.*s", (int)(from_name ? from_name - from : 0), from);
	char *to_parent = xasprintf("%.*s", (int)(to_name ? to_name - to : 0), to);
	int a = open_below(m, from_parent, false), b = open_below(m, to_parent, true);
	int ret = 0;

	crash_point("maildir: rename directory");
	if (b < 0 || (a < 0 && errno != ENOENT) ||
	    (a >= 0 && renameat(a, from_name ? from_name + 1 : from, b,
				to_name ? to_name + 1 : to) < 0 && errno != ENOENT))
		ret = err_sys(err, ERR_FATAL, "rename %s/%s to %s", m->path, from, to);
	else if (!m->batch && (fsync(b) < 0 || (a >= 0 && fsync(a) < 0)))
		ret = err_sys(err, ERR_FATAL, "sync %s", m->path);
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	free(from_parent);
	free(to_parent);
	return ret;
}

int maildir_move_dirs(struct maildir *m, struct err *err)
{
	for (size_t i = 0; i < m->n; i++) {
		struct box *box = m->box[i];

		if (!box->moved_from)
			continue;
		m->unsettled = m->unsynced = true;
		if (move_dir(m, box->moved_from, box->dir, err) < 0)
			return -1;
		free(box->moved_from);
		box->moved_from = NULL;
	}
	return 0;
}

/* The order in which files follow what the database says. */
static int work_on_files(struct maildir *m, struct err *err)
{
	if (maildir_move_dirs(m, err) < 0 || maildir_place(m, err) < 0 ||
	    maildir_remove_files(m, err) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++)
		box_forget_listing(m->box[i]);
	return 0;
}

/* What the files went through is synced: say so in the transaction. */
static int write_settled(struct maildir *m, struct err *err)
{
	sqlite3_stmt *st = index_stmt(m, ST_REMOVALS_DONE);

	for (size_t i = 0; i < m->n; i++) {
		struct box *box = m->box[i];

		if (box->placing_from != box->placed_to) {
			box->placing_from = box->placed_to;
			box->dirty = true;
		}
		if (box->dirty && index_save_box(m, box, err) < 0)
			return -1;
	}
	if (m->unsettled && database_exec(&m->db,
					  "UPDATE mailboxes SET moved_from = NULL"
					  " WHERE moved_from IS NOT NULL",
					  err) < 0)
		return -1;
	database_bind(st, "i", m->removed_to);
	return m->removed_to ? database_run(&m->db, st, err) : 0;
}

static int end_transaction(struct maildir *m, struct err *err)
{
	crash_point("maildir: commit");
	if (database_commit(&m->db, err) < 0)
		return -1;
	m->unsettled = false;
	return 0;
}

static int write_meta(struct maildir *m, struct err *err)
{
	const char *account = m->st.cfg->account;
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, m->generation + 1);
	if (index_set_meta(m, "generation", bytes_of(number), err) < 0)
		return -1;
	m->generation++;
	if (!account || (m->account && strcmp(m->account, account) == 0))
		return 0;
	free(m->account);
	m->account = xstrdup(account);
	return index_set_meta(m, "account", bytes_of(account), err);
}

/* Files first: the rows of this transaction say what is durable. */
static int write_transaction(struct maildir *m, struct err *err)
{
	if (database_begin(&m->db, err) < 0)
		return -1;
	if (m->unsynced && maildir_sync(m, err) < 0)
		return -1;
	m->unsynced = false;
	if (write_settled(m, err) < 0 || write_meta(m, err) < 0)
		return -1;
	return end_transaction(m, err);
}

int maildir_commit(struct store *st, struct err *err)
{
	struct maildir *m = (struct maildir *)st;
	const char *account = st->cfg->account;
	bool renamed = account && (!m->account || strcmp(m->account, account) != 0);

	if (database_is_broken(&m->db, err))
		return -1;
	if (!m->db.in_tx && !m->unsettled && !renamed)
		return 0;
	if (write_transaction(m, err) < 0 || work_on_files(m, err) < 0) {
		m->db.broken = true;
		return -1;
	}
	return 0;
}

int maildir_finish(struct maildir *m, struct err *err)
{
	bool anything = m->unsettled;

	for (size_t i = 0; i < m->n; i++)
		anything |= m->box[i]->dirty || (m->box[i]->written && m->box[i]->extra_known);
	if (!anything)
		return 0;
	if (m->unsynced && maildir_sync(m, err) < 0)
		return -1;
	m->unsynced = false;
	if (database_begin(&m->db, err) < 0 || write_settled(m, err) < 0 || maildir_seal(m, err) < 0)
		return -1;
	return end_transaction(m, err);
}

static int remove_litter(void *ctx, enum box_dir dir, struct bytes name)
{
	struct box *box = ctx;
	int fd = box_dir_fd(box, dir);

	if (fd >= 0 && base_is_ours(maildir_of(box), name))
		unlinkat(fd, (const char *)name.p, 0);
	return 0;
}

int maildir_clean_tmp(struct box *box, struct err *err)
{
	return box_each_file(box, DIR_TMP, remove_litter, box, err);
}

static int clean_all(struct maildir *m, struct err *err)
{
	for (size_t i = 0; i < m->n; i++) {
		struct box *box = m->box[i];

		if (!(box->attributes & MAILBOX_NOSELECT) && maildir_clean_tmp(box, err) < 0)
			return -1;
	}
	return 0;
}

int maildir_settle(struct maildir *m, struct err *err)
{
	if (work_on_files(m, err) < 0)
		return -1;
	if (m->unsettled || m->db.in_tx) {
		log_info("%s: finishing what an interrupted run began", m->path);
		if (write_transaction(m, err) < 0)
			return -1;
	}
	return m->unclean ? clean_all(m, err) : 0;
}
