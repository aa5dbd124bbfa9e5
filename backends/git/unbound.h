#ifndef BACKENDS_GIT_UNBOUND_H
#define BACKENDS_GIT_UNBOUND_H

#include "backends/git/internal.h"

/*
 * Live messages that are bound to no source UID, found by their content: what was stored before the
 * source's UIDs changed, and could not be recognised by less.
 */

/*
 * Give a live, unbound message with this blob what `line` says (but for its own UID, which goes into
 * line->uid) and take it out of the counters. 1, 0 there is none, -1 as in leaf.h.
 */
int unbound_take(struct gitbox *box, struct entry_line *line, const struct object_id *id,
		 struct err *err);
/* There may be others than there were. */
void unbound_forget(struct gitbox *box);

#endif
