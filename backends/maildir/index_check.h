#ifndef BACKENDS_MAILDIR_INDEX_CHECK_H
#define BACKENDS_MAILDIR_INDEX_CHECK_H

#include "backends/maildir/internal.h"

/* `box` NULL: it is not about one mailbox. */
typedef void index_problem_fn(void *ctx, const struct box *box, const char *what);
/*
 * Whether the database is sound in itself: its pages, its tables, and that counters and rows agree.
 * 1; 0 when its pages or tables are damaged and it is of no use; -1 when that cannot be found out.
 */
int index_check(struct maildir *m, index_problem_fn *problem, void *ctx, struct err *err);

/* How many messages each mailbox has (rows[i]: of m->box[i]), and all of them. Adds to *messages, *bytes. */
int index_totals(struct maildir *m, uint64_t *rows, uint64_t *messages, uint64_t *bytes,
		 struct err *err);
/* How many removed messages may still have their files. */
int index_removals(struct maildir *m, uint64_t *out, struct err *err);
/* Whether the mailbox is still where it was when the store was opened: 1, 0, -1. */
int index_still_lies(struct maildir *m, const struct box *box, struct err *err);

#endif
