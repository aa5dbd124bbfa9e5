#ifndef BACKENDS_MAILDIR_DELIVER_H
#define BACKENDS_MAILDIR_DELIVER_H

#include "backends/maildir/box.h"

/*
 * Taking messages in. A body up to GATHER_MAX is held in memory and written with one call; a
 * larger one goes to tmp as it comes. It is stored with LF line ends if and only if that can be
 * undone exactly without the index: no bare LF, no CR CR LF.
 */
#define GATHER_MAX (1024 * 1024)

/* What one append() handed out. */
struct appender {
	struct box *box;
	outcome_fn *report;
	void *ctx, *tag;
	struct appender *next;
};
/* Messages for a->box; `a` outlives it. */
struct message_sink appender_sink(struct appender *a);

int maildir_append(struct mailbox *mb, outcome_fn *report, void *ctx, void *tag,
		   struct message_sink *sink, struct err *err);
int maildir_take(struct mailbox *mb, uint32_t stranger, const struct message *msg, uint32_t *uid,
		 struct err *err);
int maildir_copy(struct mailbox *mb, const struct uidset *set, struct mailbox *to,
		 struct err *err);

struct delivery;
void delivery_free(struct delivery *d); /* NULL is allowed */
void appenders_free(struct maildir *m);

#endif
