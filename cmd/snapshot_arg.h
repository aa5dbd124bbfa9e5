#ifndef CMD_SNAPSHOT_ARG_H
#define CMD_SNAPSHOT_ARG_H

#include "core/base/err.h"

struct history;
struct store_arg;

/*
 * The @SNAPSHOT of a store that was found: arg->config.snapshot becomes the commit it names
 * (history_resolve()), and arg->moment says which, or both are NULL when none was given. ERR_CONFIG for a store without history.
 */
int snapshot_arg_resolve(struct store_arg *arg, struct err *err);
/* The history of the store, the caller's. ERR_CONFIG for a store without. */
int snapshot_arg_open(const struct store_arg *arg, struct history **out, struct err *err);

#endif
