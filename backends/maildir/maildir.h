#ifndef BACKENDS_MAILDIR_MAILDIR_H
#define BACKENDS_MAILDIR_MAILDIR_H

#include <stdbool.h>

#include "core/sync/store.h"

/*
 * Maildir on a local disk, with its index in `mailcask.db` in the root. Holds the base. Files that
 * others put there are never changed or removed.
 */
extern const struct store_ops maildir_store;

/* cfg->settings, or NULL. */
struct maildir_settings {
	/* Mailboxes that are made get a `dovecot-keywords`, so that up to 26 keywords have letters that others read. */
	bool keyword_letters;
};

/*
 * Make it a Maildir as any program leaves one: without index and lock, so no store of ours any more. It must be closed, and durable by
 * its last commit; this is not yet.
 */
int maildir_strip(const char *path, struct err *err);

#endif
