#ifndef BACKENDS_GIT_APPEND_H
#define BACKENDS_GIT_APPEND_H

#include "backends/git/internal.h"

/* Messages in. */
int gitstore_append(struct mailbox *mb, outcome_fn *report, void *ctx, void *tag,
		    struct message_sink *sink, struct err *err);
/*
 * A message bound to msg->uid whose content is the blob `id`, of `size` bytes: taken over, or new. 0 with
 * *what and *uid.
 */
int append_blob(struct gitbox *box, const struct message *msg, const struct object_id *id,
		uint64_t size, enum outcome *what, uint32_t *uid, struct err *err);
/* Whether a message is bound to this source UID: 1 and its UID, 0, -1. Loads the mailbox's base. */
int append_find(struct gitbox *box, uint32_t source_uid, uint32_t *uid, struct err *err);
void appenders_release(struct gitstore *g);

#endif
