#ifndef CORE_SYNC_FLAGGED_H
#define CORE_SYNC_FLAGGED_H

#include "core/sync/store.h"

/*
 * What a base holder says of the flags of the messages in `known`, as changes_request.flagged wants it: by
 * source UIDs, and the base's flags. False, with nothing in *out, when it does not have all of them. Keywords
 * are borrowed from `stored`. *out is initialised by it.
 */
bool flagged_gather(struct flagged *out, const struct changes *stored, const struct uidset *known);
void flagged_release(struct flagged *f); /* an all zero one, too */

#endif
