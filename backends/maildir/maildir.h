#ifndef BACKENDS_MAILDIR_MAILDIR_H
#define BACKENDS_MAILDIR_MAILDIR_H

#include "core/sync/store.h"

/*
 * Maildir on a local disk, with its index in `mailcask.db` in the root. Holds the base. Files that
 * others put there are never changed or removed.
 */
extern const struct store_ops maildir_store;

#endif
