#ifndef BACKENDS_MAILDIR_IDENTITY_H
#define BACKENDS_MAILDIR_IDENTITY_H

#include "backends/maildir/internal.h"

int maildir_identify(const struct store_config *cfg, struct store_identity *out,
		     struct err *err);
/* This machine's name as it may stand in a file name. */
void identity_host(char *out, size_t size);

#endif
