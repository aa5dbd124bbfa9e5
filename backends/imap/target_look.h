#ifndef BACKENDS_IMAP_TARGET_LOOK_H
#define BACKENDS_IMAP_TARGET_LOOK_H

#include "backends/imap/private.h"

/* What is in a mailbox of a target now, whoever put it there. */
struct seen {
	uint32_t uid;
	uint32_t flags; /* id in seen_list.flags */
	uint64_t size;  /* RFC822.SIZE */
};

struct seen_list {
	struct seen *v; /* ascending by uid */
	size_t n, cap;
	struct flag_table *flags;
};

void seen_list_release(struct seen_list *l);
/*
 * All of it but the UIDs in `but`, proven against the message count: what is not in the answer is not there. Nothing is
 * asked when `but` has all that there were at the last list(). *out is initialised here, to be released in any case. ERR_MAILBOX:
 * the mailbox is in trouble.
 */
int target_look(struct imap_mailbox_handle *mb, const struct uidset *but, struct seen_list *out,
		struct err *err);
/* NULL: it is not there. */
const struct seen *seen_find(const struct seen_list *l, uint32_t uid);

/*
 * These messages, or no more than their headers, into the sink; what cannot be read, or went meanwhile, is left out. -1
 * also when not all of them could be asked for.
 */
int target_fetch(struct imap_mailbox_handle *mb, const struct uidset *set, bool header,
		 const struct message_sink *sink, struct err *err);

#endif
