#ifndef BACKENDS_GIT_EDIT_H
#define BACKENDS_GIT_EDIT_H

#include "backends/git/internal.h"

/* Changes of messages that are there already. */
int gitstore_change_flags(struct mailbox *mb, const struct uidset *set,
			  const struct flag_delta *delta, struct err *err);
int gitstore_copy(struct mailbox *mb, const struct uidset *set, struct mailbox *to,
		  struct err *err);
int gitstore_expunge(struct mailbox *mb, const struct uidset *set, struct err *err);
int gitstore_keep(struct mailbox *mb, const struct uidset *set, bool held, struct err *err);
int gitstore_renumber(struct mailbox *mb, const uint32_t *from, const uint32_t *to, size_t n,
		      struct err *err);
/* Every live message of every mailbox becomes kept, every base is dropped. */
int gitstore_rebind(struct gitstore *g, struct err *err);
int gitstore_count_lost(struct store *st, struct removal *r, size_t n, struct err *err);

#endif
