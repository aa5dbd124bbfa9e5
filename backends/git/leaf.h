#ifndef BACKENDS_GIT_LEAF_H
#define BACKENDS_GIT_LEAF_H

#include "backends/git/internal.h"

/*
 * The live messages of a mailbox whose trees are loaded (gitbox_load()). Errors: ERR_MAILBOX when what
 * is stored cannot be read.
 */

/* The message with this UID: 1, 0 none, -1. With its id. Borrowed until the next call of this file. */
int leaf_find(struct gitbox *box, uint32_t uid, struct leaf **leaf, struct item **item,
	      struct err *err);
/* The highest UID of a live message, 0 when there is none. */
int leaf_max_uid(struct gitbox *box, uint32_t *uid, struct err *err);

/*
 * A new message, whose UID no other has. What `line` points to is copied. These three change the
 * messages only: counters are the caller's. A line too long to be stored is an ERR_MESSAGE.
 */
int leaf_insert(struct gitbox *box, const struct entry_line *line, const struct object_id *id,
		struct err *err);
void leaf_remove(struct leaf *leaf, struct item *item);
/* A new line for a message; what it points to is copied. ERR_MAILBOX: too long. */
int leaf_change(struct leaf *leaf, struct item *item, const struct entry_line *line,
		struct err *err);
/* Copy a line with what it points to: the result, one piece of memory, is the caller's. */
char *line_own(struct entry_line *to, const struct entry_line *from);

/* Every live message's line, ascending, without keeping anything in memory. */
typedef int line_fn(void *ctx, const struct entry_line *line, struct err *err);
int leaf_each_line(struct gitbox *box, line_fn *fn, void *ctx, struct err *err);
/* The same with messages' ids only: of all that are live. */
typedef int id_fn(void *ctx, uint32_t uid, const struct object_id *id, struct err *err);
int leaf_each_id(struct gitbox *box, id_fn *fn, void *ctx, struct err *err);

/*
 * The live messages of a set, ascending; `ids`: with their ids. The function may change or remove
 * the one it is given (returning 1 if it removed it) and may insert into other mailboxes.
 */
typedef int item_fn(struct gitbox *box, struct leaf *leaf, struct item *item, void *ctx,
		    struct err *err);
int leaf_each_in(struct gitbox *box, const struct uidset *set, bool ids, item_fn *fn, void *ctx,
		 struct err *err);

/*
 * Put changed leaves into the pack under way, and forget what is in memory. `groups`: groups, too.
 * ERR_FATAL when the pack cannot be written.
 */
int leaf_write(struct gitbox *box, bool groups, struct err *err);
/* Write when there is too much in memory: to be called between two messages. */
int leaf_bound(struct gitstore *g, struct err *err);
/* The trees `messages` and `flags` of a mailbox after leaf_write(); zeros for none. */
int leaf_write_tops(struct gitbox *box, struct object_id *messages, struct object_id *flags,
		    struct err *err);
/* Read the groups from these trees. */
int leaf_load_groups(struct gitbox *box, const struct object_id *messages,
		     const struct object_id *flags, struct err *err);
void leaf_forget(struct gitbox *box);

#endif
