#ifndef BACKENDS_GIT_BOX_H
#define BACKENDS_GIT_BOX_H

#include "backends/git/internal.h"

#define TOKENS_FILE "mailcask/tokens"

struct gitbox *gitbox_new(struct gitstore *g, const struct mailbox_name *name);
void gitbox_free(struct gitbox *box);
struct gitbox *gitbox_find(const struct gitstore *g, const struct mailbox_name *name);
/* Into its place by name; out of it. */
void gitbox_insert(struct gitstore *g, struct gitbox *box);
void gitbox_take_out(struct gitstore *g, struct gitbox *box);

/* What is stored of this mailbox cannot be used: makes of *err an error of the mailbox. Returns -1. */
int gitbox_damaged(const struct gitbox *box, struct err *err);
/* ERR_FATAL once a commit failed. */
bool gitstore_is_broken(const struct gitstore *g, struct err *err);

/* Every mailbox's text, from the tokens file or the tree. */
int gitstore_load(struct gitstore *g, struct err *err);
/* All of them sorted by directory, bytewise; the caller frees the array. */
struct gitbox **gitstore_by_dir(const struct gitstore *g);
/* The id of every mailbox's tree, which the tokens file does not tell. */
int gitstore_know_trees(struct gitstore *g, struct err *err);
/* A mailbox's trees, once. ERR_MAILBOX when they are damaged. */
int gitbox_load(struct gitbox *box, struct err *err);
/*
 * Known set, quarantine, and which source UIDs are bound, once. Whatever binds or unbinds a message
 * or reads one of these needs it.
 */
int gitbox_load_base(struct gitbox *box, struct err *err);
/* The messages in quarantine as the tip has them; *v is the caller's, for quarantine_free(). */
int gitbox_read_quarantine(struct gitbox *box, struct quarantined **v, size_t *n, struct err *err);
/* What changes() tells of the live messages, into *out, and their source UIDs (NULL is allowed). */
int gitbox_scan(struct gitbox *box, struct uidset *sources, struct changes *out,
		struct err *err);
/* Something in it is about to change. */
void gitbox_touch(struct gitbox *box);

/* A message is live from now on, or no longer: counters and sources. */
void gitbox_count_in(struct gitbox *box, const struct entry_line *line);
void gitbox_count_out(struct gitbox *box, const struct entry_line *line);

/*
 * The UID for a new message bound to this source UID (0: to none): the same, unless a live or kept
 * one has it; then the next above all. -1: ERR_MAILBOX.
 */
int gitbox_choose_uid(struct gitbox *box, uint32_t source_uid, uint32_t *uid, struct err *err);

#endif
