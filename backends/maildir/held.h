#ifndef BACKENDS_MAILDIR_HELD_H
#define BACKENDS_MAILDIR_HELD_H

#include "backends/maildir/internal.h"

/* Messages by their identity, and one made of another: see store.h. */
int maildir_holds_identities(struct store *st, bool *out, struct err *err);
int maildir_find_identity(struct store *st, struct bytes identity, struct held *out,
			  struct err *err);
int maildir_copy_as(const struct held *held, struct mailbox *mb, const struct message *as,
		    enum outcome *what, uint32_t *new_uid, struct err *why, struct err *err);

#endif
