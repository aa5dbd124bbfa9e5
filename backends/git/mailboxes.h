#ifndef BACKENDS_GIT_MAILBOXES_H
#define BACKENDS_GIT_MAILBOXES_H

#include "backends/git/internal.h"

/* Mailboxes as such: make, rename, remove, subscribe. */
int gitstore_create(struct store *st, const struct mailbox_name *name, unsigned attributes,
		    struct err *err);
int gitstore_rename(struct store *st, const struct mailbox_name *from,
		    const struct mailbox_name *to, struct err *err);
int gitstore_remove(struct store *st, const struct mailbox_name *name, struct err *err);
int gitstore_subscribe(struct store *st, const struct mailbox_name *name, bool on,
		       struct err *err);

#endif
