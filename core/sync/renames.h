#ifndef CORE_SYNC_RENAMES_H
#define CORE_SYNC_RENAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/store.h"

/*
 * Mailboxes that are called otherwise than they were. Pure, in two parts: which is which, and in what
 * order a store has to rename to get there. What has to be asked in between is follow.c's.
 */

/* --- which is which --- */

/*
 * A mailbox of the target and one of the source that may be the same under another name, by what the
 * lists say: one MAILBOXID, or, where not both tell theirs, one UIDVALIDITY, and no counter went back.
 */
struct rename_pair {
	size_t to, from; /* which of the target's and of the source's mailboxes */
	bool one_id;     /* by MAILBOXID: that says it all */
	/* Messages that both have under one UID: with the same header, and with others. */
	unsigned same, other;
	/* There was no message to look at, and the UIDVALIDITY alone says enough. */
	bool trivial;
	bool chosen; /* out */
};

/* Whether the lists allow it; *one_id as above. */
bool renames_possible(const struct mailbox_info *to, const struct mailbox_info *from, bool *one_id);
/*
 * Choose those that are the same: by MAILBOXID; with messages that agree and none that does not, or, where there are none,
 * trivially; and neither side has another of which as much can be said. (Servers that count UIDVALIDITY
 * from 1 have many; two copies of one mailbox look the same.)
 */
void renames_choose(struct rename_pair *v, size_t n);

/* --- in what order --- */

/* A mailbox of the target. */
struct rename_item {
	struct mailbox_name name;
	struct mailbox_name want; /* no components: what it comes to be called does not matter */
};

/* From one name to another, with all that lies below it. */
struct rename_step {
	struct mailbox_name from, to;
};

struct rename_steps {
	struct rename_step *v;
	size_t n, cap;
};

void rename_steps_release(struct rename_steps *steps);

/*
 * The renames that give every item what it wants. No two want the same, and none wants the name of one that
 * wants nothing. A mailbox that is in the way for a while is called MOVING/NAME meanwhile, NAME being
 * what it was called: should a run end there, the next knows what it was. Afterwards v[].name is what
 * each is called then.
 */
int renames_plan(struct rename_item *v, size_t n, struct rename_steps *out, struct err *err);

/* What a mailbox is called that is in the way for a while. */
#define RENAMES_MOVING "mailcask-moving"
/* Whether it is; *out is what it was called. Either knows what the source calls it (or did). */
bool renames_is_moving(const struct mailbox_name *name, struct mailbox_name *out);

#endif
