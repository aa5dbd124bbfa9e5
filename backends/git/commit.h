#ifndef BACKENDS_GIT_COMMIT_H
#define BACKENDS_GIT_COMMIT_H

#include "backends/git/internal.h"

/* Everything since the last commit becomes part of the store: on wip, or on main. */
int gitstore_commit(struct store *st, struct err *err);
int gitstore_snapshot(struct store *st, struct err *err);
int gitstore_commit_change(struct store *st, const char *why, struct err *err);
/* How far each mailbox was compared, for this tip. What cannot be noted is told as a warning: only work is lost. */
void gitstore_write_tokens(struct gitstore *g);

/*
 * The message of a commit (message.c). What happened since the last snapshot is counted in every mailbox;
 * a commit on wip carries it along for the run that takes over.
 */
void message_note(struct gitstore *g, const struct gitbox *box, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void message_write(const struct gitstore *g, bool snapshot, struct buf *out);
/* Take over what an interrupted run counted. */
void message_resume(struct gitstore *g, struct bytes message);
/* A snapshot was made: begin anew. */
void message_reset(struct gitstore *g);

#endif
