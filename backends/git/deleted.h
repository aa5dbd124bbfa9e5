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

#endif
