#ifndef BACKENDS_MAILDIR_SETTLE_H
#define BACKENDS_MAILDIR_SETTLE_H

#include "backends/maildir/box.h"

/* What is done to files after the transaction that decided it, and after a crash again. */

/* Rename into cur what the rows from box->placed_to on say. */
int maildir_place(struct maildir *m, struct err *err);
/* Carry out `removals`, and rename directories. */
int maildir_remove_files(struct maildir *m, struct err *err);
int maildir_move_dirs(struct maildir *m, struct err *err);
/* When opening for writing: finish all of this, durably, and clean tmp. */
int maildir_settle(struct maildir *m, struct err *err);
/* Remove from tmp what a stopped run of ours left: only while no row has its file there. */
int maildir_clean_tmp(struct box *box, struct err *err);

int maildir_commit(struct store *st, struct err *err);
/* Before close(): make what the last commit() did to files final, and remember how they look. */
int maildir_finish(struct maildir *m, struct err *err);

#endif
