#ifndef BACKENDS_MAILDIR_CONTENTS_H
#define BACKENDS_MAILDIR_CONTENTS_H

#include "backends/maildir/box.h"

/* What a mailbox holds, by content: our rows' from the index, other files by hashing them. */
int maildir_contents(struct mailbox *mb, const struct uidset *set, content_fn *each,
		     void *ctx, struct err *err);

#endif
