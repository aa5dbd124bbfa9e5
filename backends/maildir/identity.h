#ifndef BACKENDS_MAILDIR_IDENTITY_H
#define BACKENDS_MAILDIR_IDENTITY_H

#include "backends/maildir/internal.h"

#define LOCK_FILE "mailcask.lock"

int maildir_identify(const struct store_config *cfg, struct store_identity *out,
		     struct err *err);
/* A new random identity. */
void identity_make(char out[37]);
/* This machine's name as it may stand in a file name. */
void identity_host(char *out, size_t size);
/* Lock the store for writing. m->unclean tells whether the last writer ended without unlocking. */
int identity_lock(struct maildir *m, struct err *err);
/* `clean`: all that was begun is finished. */
void identity_unlock(struct maildir *m, bool clean);

#endif
