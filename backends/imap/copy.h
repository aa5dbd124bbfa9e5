#ifndef BACKENDS_IMAP_COPY_H
#define BACKENDS_IMAP_COPY_H

#include "core/mail/flags.h"
#include "core/mail/maildate.h"

#include "backends/imap/private.h"

/* Copies that the server makes of messages that it has, instead of an upload. */

enum copy_state {
	COPY_NONE,   /* there is no copy: it was refused, or the message is gone */
	COPY_DONE,   /* `uid` */
	COPY_UNTOLD, /* made, and the server does not tell its UID */
	COPY_LOST,   /* no answer: it may have been made */
};

struct copying {
	uint32_t from; /* in the mailbox that it is copied from; each once */
	/* Out: */
	uint32_t uid; /* in the other */
	enum copy_state state;
};
/* Once, never again by itself. Each has its state when it returns, also with -1 (as writer_fn). */
int copies_make(struct imap_store *st, struct imap_mailbox_handle *from, struct imap_mailbox_handle *to,
		struct copying *v, size_t n, struct err *err);

/* A message that is to have just these flags. All zero but for `uid`, `wants` and `date`. */
struct correction {
	uint32_t uid;
	struct flags wants;
	const struct maildate *date; /* NULL: of no interest */
	/* Out: */
	bool told;       /* it is there */
	bool other_date; /* than `date` */
	struct flags has;
	bool done;
};
void correction_release(struct correction *c);
/* Look at them, and give them their flags. */
int copies_correct(struct imap_mailbox_handle *mb, struct correction *v, size_t n, struct err *err);

int imap_store_copy(struct mailbox *base, const struct uidset *set, struct mailbox *to, struct err *err);
int imap_store_copy_as(const struct held *held, struct mailbox *base, const struct message *as,
		       enum outcome *what, uint32_t *new_uid, struct err *why, struct err *err);

#endif
