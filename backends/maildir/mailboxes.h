#ifndef BACKENDS_MAILDIR_MAILBOXES_H
#define BACKENDS_MAILDIR_MAILBOXES_H

#include "backends/maildir/box.h"

/* Mailboxes as such: their rows, their directories, their base. */
int maildir_create(struct store *st, const struct mailbox_name *name, unsigned attributes,
		   struct err *err);
/* Those below it move along, as IMAP has it. Durable when it returns, as remove is. */
int maildir_rename(struct store *st, const struct mailbox_name *from,
		   const struct mailbox_name *to, struct err *err);
int maildir_remove(struct store *st, const struct mailbox_name *name, struct err *err);
int maildir_subscribe(struct store *st, const struct mailbox_name *name, bool on,
		      struct err *err);
int maildir_base(struct mailbox *mb, struct base *out, struct err *err);
int maildir_quarantine(struct mailbox *mb, struct base *out, struct err *err);
int maildir_set_base(struct mailbox *mb, const struct base *b, struct err *err);
/*
 * Forget the rows of files that are gone, though not by us, and whose source UIDs are not in `known`:
 * nothing is left to come back to them.
 */
int mailboxes_forget_missing(struct box *box, const struct uidset *known, struct err *err);

/* Make a mailbox of every Maildir below the root that is none yet: of a store others wrote. */
int mailboxes_discover(struct maildir *m, struct err *err);
/* Give every mailbox a new UIDVALIDITY: what its UIDs meant is not what they will mean. */
int mailboxes_renumber(struct maildir *m, struct err *err);
/* The layout that what lies in the root has, for those who did not say one. */
enum maildir_layout discover_layout(const struct maildir *m);

#endif
