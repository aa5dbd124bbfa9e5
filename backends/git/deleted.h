#ifndef BACKENDS_GIT_DELETED_H
#define BACKENDS_GIT_DELETED_H

#include "core/sync/store.h"

/*
 * What was deleted from an archive, as a store that can only be read: in each mailbox the messages
 * that history_deleted_since() names, without those that were moved, each as the last snapshot had
 * it that had it. UIDs are numbers from 1 on and mean something in this opening only. For restoring
 * all of them as one multiset, whichever snapshots they lie in.
 *
 * cfg->settings points to a struct git_deleted.
 */
struct git_deleted {
	int64_t since; /* Unix time */
};

extern const struct store_ops git_deleted_store;

struct snapshot;

/* Where a message of such a store lies in the archive: under `uid` in the snapshots from `first` to `last`. */
struct git_deleted_place {
	const struct snapshot *first, *last; /* borrowed from the store */
	uint32_t uid;
};

/* `uid`: the store's, of a message that is in `mb`. */
void git_deleted_where(const struct mailbox *mb, uint32_t uid, struct git_deleted_place *out);

#endif
