#include "backends/maildir/source.h"

#include <unistd.h>

#include "backends/maildir/index.h"
#include "backends/maildir/mailboxes.h"
#include "backends/maildir/read.h"
#include "backends/maildir/rows.h"
#include "core/base/crash.h"
#include "core/base/err.h"

bool source_info(struct box *box, struct mailbox_info *info)
{
	struct stamp now;
	struct err err;

	/* A name with nothing behind it is gone, as a mailbox of a server would be. */
	if (!(box->attributes & MAILBOX_NOSELECT) &&
	    box_stamp(box, &now, &err) == 0 && !stamp_is_set(&now))
		return false;
	info->token = (struct token){ .known = true, .uidvalidity = box->uidvalidity,
				      .uidnext = box->next_uid };
	return true;
}

static int read_generation(struct maildir *m, uint64_t *out, struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&m->db, "SELECT value FROM meta WHERE key = 'generation'");
	int64_t n = 0;

	if (database_number(&m->db, st, &n, err) < 0)
		return -1;
	*out = (uint64_t)n;
	return 0;
}

int source_has_moved(struct maildir *m, bool *out, struct err *err)
{
	uint64_t generation;
	bool compared = false;

	*out = false;
	for (size_t i = 0; i < m->n; i++) {
		struct stamp now;

		if (!stamp_is_set(&m->box[i]->compared))
			continue;
		compared = true;
		if (box_stamp(m->box[i], &now, err) < 0)
			return -1;
		*out |= !stamp_equal(&now, &m->box[i]->compared);
	}
	if (!compared)
		return 0;
	if (m->claim)
		return mailboxes_discover(m, err); /* a new one is told by its name */
	if (read_generation(m, &generation, err) < 0)
		return -1;
	*out |= generation != m->generation;
	return 0;
}

void source_look_at(struct box *box, const char *name, struct row *row)
{
	static const enum box_dir dirs[] = { DIR_CUR, DIR_NEW };
	struct err err;

	for (size_t i = 0; i < 2; i++) {
		int dir = box_dir_fd(box, dirs[i]);
		int fd = dir < 0 ? -1 : open_message(dir, name);
		bool read = fd >= 0 && read_form(fd, row->base, &row->form, &row->size, &err) == 0;

		if (fd >= 0)
			close(fd);
		if (read)
			return;
	}
	row->form = FORM_UNKNOWN;
	row->size = 0;
}

static int forget(struct box *box, const struct row *row, void *ctx, struct err *err)
{
	(void)ctx;
	return row_delete(box, row, err);
}

int source_forget(struct box *box, const struct uidset *gone, struct err *err)
{
	return rows_each(box, gone, forget, NULL, err);
}

int source_keep_uids(struct maildir *m, struct err *err)
{
	if (!m->db.in_tx)
		return 0;
	for (size_t i = 0; i < m->n; i++) {
		struct box *box = m->box[i];

		if (box->placing_from != box->next_uid) {
			box->placing_from = box->placed_to = box->next_uid;
			box->dirty = true;
		}
		if (box->dirty && index_save_box(m, box, err) < 0)
			return -1;
	}
	crash_point("maildir: keep UIDs");
	return database_commit(&m->db, err);
}
