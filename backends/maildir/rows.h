#ifndef BACKENDS_MAILDIR_ROWS_H
#define BACKENDS_MAILDIR_ROWS_H

#include "backends/maildir/box.h"

/*
 * Changes of `messages` that keep the mailbox's counters and digest right. All belong to the
 * open transaction.
 */

/* A new live row. row->uid is given out here. */
int row_insert(struct box *box, struct row *row, struct err *err);
/* Forget a row; its file is not touched. */
int row_delete(struct box *box, const struct row *row, struct err *err);
/* 1 and *out (see struct row for how long; row_done() ends it), 0 none, -1. */
int row_by_source(struct box *box, uint32_t source_uid, struct row *out, struct err *err);
int row_by_uid(struct box *box, uint32_t uid, struct row *out, struct err *err);
void row_done(struct box *box);

int maildir_change_flags(struct mailbox *mb, const struct uidset *set,
			 const struct flag_delta *delta, struct err *err);
int maildir_expunge(struct mailbox *mb, const struct uidset *set, struct err *err);
int maildir_keep(struct mailbox *mb, const struct uidset *set, bool held, struct err *err);
int maildir_renumber(struct mailbox *mb, const uint32_t *from, const uint32_t *to, size_t n,
		     struct err *err);
int maildir_count_lost(struct store *st, struct removal *r, size_t n, struct err *err);
/* Every live message of every mailbox becomes kept, every base is dropped. */
int maildir_rebind(struct maildir *m, struct err *err);

/* All members of `set` that have rows, one call each, with the statement reset. */
typedef int row_fn(struct box *box, const struct row *row, void *ctx, struct err *err);
int rows_each(struct box *box, const struct uidset *set, row_fn *fn, void *ctx,
	      struct err *err);
/* The row again, in memory of its own. */
struct row_copy {
	struct row row;
	struct buf bytes;
	uint8_t sha256[SHA256_SIZE];
};
void row_copy(struct row_copy *c, const struct row *row);
/* Rename the file of a row so that it says `letters`, which become the row's. */
int row_place_letters(struct box *box, const struct row *row, const char *letters,
		      struct err *err);

#endif
