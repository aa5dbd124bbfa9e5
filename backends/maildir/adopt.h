#ifndef BACKENDS_MAILDIR_ADOPT_H
#define BACKENDS_MAILDIR_ADOPT_H

#include "backends/maildir/box.h"

/*
 * Pairing an incoming message with an equal one that is here already: a kept one or, with
 * cfg->adopt, a file that somebody else put here. One to one.
 */
struct foreign;
void foreign_free(struct foreign *f); /* NULL is allowed */

/* Every file of a listing that is not marked as ours and can be opened; `fd` is at its beginning. */
struct listing;
typedef int foreign_fn(void *ctx, const char *name, int fd, struct err *err);
int foreign_each(struct box *box, const struct listing *l, const bool *ours, foreign_fn *fn,
		 void *ctx, struct err *err);

struct incoming {
	uint32_t source_uid;
	const struct flags *flags;
	struct bytes date; /* as text */
	struct bytes sha256;
	struct bytes identity;
	uint64_t size;
};
/* 1 taken over (*uid is set), 0 there is none, -1 with *err set. */
int adopt(struct box *box, const struct incoming *in, uint32_t *uid, struct err *err);
/* The same with this one of maildir_strangers(), which tells content and size; `in` need not. */
int adopt_stranger(struct box *box, uint32_t stranger, struct incoming *in, uint32_t *uid,
		   struct err *err);
int maildir_strangers(struct mailbox *mb, const struct uidset *sizes, void *tag,
		      const struct message_sink *sink, struct err *err);

#endif
