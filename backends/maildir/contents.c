#include "backends/maildir/contents.h"

#include <stdlib.h>

#include "backends/maildir/adopt.h"
#include "backends/maildir/index.h"
#include "backends/maildir/listing.h"
#include "backends/maildir/read.h"
#include "core/base/err.h"
#include "core/base/mem.h"

#define TRIES 5

/*
 * A listing of one moment: a file that is renamed while the directory is read may be overlooked, and
 * what is overlooked here is restored a second time.
 */
static int list_at_rest(struct box *box, struct listing **out, struct err *err)
{
	for (int i = 0; i < TRIES; i++) {
		struct stamp before, after;

		if (box_stamp(box, &before, err) < 0 || listing_make(box, out, err) < 0)
			return -1;
		if (box_stamp(box, &after, err) == 0 && stamp_equal(&before, &after))
			return 0;
		listing_free(*out);
		*out = NULL;
	}
	return err_set(err, ERR_MAILBOX,
		       "another program keeps changing it; run again when it has finished");
}

struct telling {
	content_fn *each;
	void *ctx;
};

static int tell_foreign(void *ctx, const char *name, int fd, struct err *err)
{
	struct telling *t = ctx;
	struct file_content content;
	struct err why;

	if (read_content(fd, file_name_split(bytes_of(name)).base, &content, &why) < 0)
		return 0;
	return t->each(t->ctx, 0, content.size, content.sha256, err);
}

/* Those that have a file. What was claimed and never hashed is hashed like a stranger's. */
static int tell_rows(struct box *box, const struct listing *l, bool *ours, struct telling *t,
		     struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st = index_stmt(m, ST_MESSAGES_FROM);
	struct row row;
	int got;

	database_bind(st, "ii", box->id, (int64_t)1);
	while ((got = database_step(&m->db, st, err)) > 0) {
		const struct listed *e;

		index_row(st, &row);
		if (row.sha256.n != SHA256_SIZE)
			continue;
		e = listing_find(l, row.base, m->key);
		if (e)
			ours[e - l->v] = true;
		else if (row.uid < box->placed_to)
			continue;
		if (t->each(t->ctx, row.uid, row.size, row.sha256.p, err) < 0) {
			sqlite3_reset(st);
			return -1;
		}
	}
	return got;
}

int maildir_contents(struct mailbox *mb, const struct uidset *set, content_fn *each, void *ctx,
		     struct err *err)
{
	struct box *box = (struct box *)mb;
	struct telling t = { .each = each, .ctx = ctx };
	struct listing *l = NULL;
	bool *ours = NULL;
	int ret = -1;

	(void)set;
	if (list_at_rest(box, &l, err) < 0)
		return -1;
	ours = xcalloc(l->n + 1, sizeof(*ours));
	if (tell_rows(box, l, ours, &t, err) == 0)
		ret = foreign_each(box, l, ours, tell_foreign, &t, err);
	free(ours);
	listing_free(l);
	return ret;
}
