#ifndef BACKENDS_MAILDIR_SCAN_H
#define BACKENDS_MAILDIR_SCAN_H

#include "backends/maildir/box.h"

/*
 * What lies in the directories against what the index says. A mailbox whose cur and new look as
 * they did when all of it was compared is not read again; that look is only believed when it is
 * older than the comparison by the file system's tick (git's rule for racy entries).
 */
int maildir_list(struct store *st, const char *hint, struct mailbox_list *out,
		 struct err *err);
int maildir_changes(struct store *st, struct changes_request *req, size_t n,
		    struct err *err);
/*
 * After our own writes: the looks of those mailboxes that hold just what we expect, for next
 * time. Within the open transaction.
 */
int maildir_seal(struct maildir *m, struct err *err);

#endif
