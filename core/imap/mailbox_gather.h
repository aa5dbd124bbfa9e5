#ifndef CORE_IMAP_MAILBOX_GATHER_H
#define CORE_IMAP_MAILBOX_GATHER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/imap/commands.h"

struct named_status;

/*
 * Brings together what LIST, LSUB and STATUS tell of mailboxes, in any order and repeated as
 * servers like. Set `out`, `max` and `utf8`, leave the rest zero.
 */
struct mailbox_gather {
	struct imap_mailbox_list *out; /* entries as they come; made fit by mailbox_gather_join() */
	size_t max;  /* of each kind; more are dropped, as what is more than 32 MiB of text */
	bool utf8;   /* names are UTF-8 */
	bool full;   /* something was dropped */
	size_t bytes; /* of text that is kept */
	bool unsure; /* a line was not legal: read by guessing */
	struct named_status *statuses;
	size_t status_count, status_cap;
	char **subscribed; /* names told by LSUB */
	size_t subscribed_count, subscribed_cap;
};

/* A LIST, LSUB or STATUS response: an entry, or something to be said of one. */
void mailbox_gather_add(struct mailbox_gather *g, const struct imap_response *r);
/* LIST or LSUB, either way an entry. */
void mailbox_gather_add_entry(struct mailbox_gather *g, const struct imap_list *told);
/*
 * Sort the entries, each once, and put to them what STATUS and LSUB told; that is forgotten then.
 */
void mailbox_gather_join(struct mailbox_gather *g);
/* Forget what was not joined; `out` stays. */
void mailbox_gather_release(struct mailbox_gather *g);

#endif
