#ifndef BACKENDS_GIT_HELD_H
#define BACKENDS_GIT_HELD_H

#include "backends/git/internal.h"

/* Messages by their identity, and one made of another: see store.h. */
int gitstore_holds_identities(struct store *st, bool *out, struct err *err);
int gitstore_find_identity(struct store *st, struct bytes identity, struct held *out,
			   struct err *err);
int gitstore_copy_as(const struct held *held, struct mailbox *mb, const struct message *as,
		     enum outcome *what, uint32_t *new_uid, struct err *why, struct err *err);
void identities_release(struct gitstore *g);

#endif
