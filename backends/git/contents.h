#ifndef BACKENDS_GIT_CONTENTS_H
#define BACKENDS_GIT_CONTENTS_H

#include "backends/git/internal.h"

int gitstore_contents(struct mailbox *mb, const struct uidset *set, content_fn *each,
		      void *ctx, struct err *err);

#endif
