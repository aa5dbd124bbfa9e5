#ifndef BACKENDS_GIT_APPEND_H
#define BACKENDS_GIT_APPEND_H

#include "backends/git/internal.h"

/* Messages in. */
int gitstore_append(struct mailbox *mb, outcome_fn *report, void *ctx, void *tag,
		    struct message_sink *sink, struct err *err);
void appenders_release(struct gitstore *g);

#endif
