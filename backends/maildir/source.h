#ifndef BACKENDS_MAILDIR_SOURCE_H
#define BACKENDS_MAILDIR_SOURCE_H

#include "backends/maildir/box.h"

/*
 * A Maildir as the source of a job: it tells what it holds now, and a message keeps its UID from
 * one run to the next. A store of ours has UIDs in its index, and only what has a row there is told:
 * the UIDs of anything else would be given out again. One that is not ours has its index elsewhere
 * (cfg->index), where each base name that was ever seen has a UID of its own.
 */

/* Tell list() of a source, in place of what was last agreed. False: it is not there any more. */
bool source_info(struct box *box, struct mailbox_info *info);
/* Whether a mailbox moved on since it was compared, or there is more than was listed. */
int source_has_moved(struct maildir *m, bool *out, struct err *err);
/* A file without a row, about to get one: its size, so that a UID is known to be another's by it. */
void source_look_at(struct box *box, const char *name, struct row *row);
/* The rows of files that are gone. */
int source_forget(struct box *box, const struct uidset *gone, struct err *err);
/* UIDs are given out for good, before anything is stored under them. */
int source_keep_uids(struct maildir *m, struct err *err);

#endif
