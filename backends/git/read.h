#ifndef BACKENDS_GIT_READ_H
#define BACKENDS_GIT_READ_H

#include "backends/git/internal.h"

/* Messages out. */
int gitstore_fetch(struct store *st, struct want *want, size_t n,
		   const struct message_sink *sink, outcome_fn *report, void *ctx,
		   struct err *err);

#endif
