#ifndef BACKENDS_GIT_GIT_H
#define BACKENDS_GIT_GIT_H

#include "core/sync/store.h"

/*
 * A store in a bare git repository: one commit for each run that changed something, so that every
 * state it ever had can be looked at. See README.md for what lies in it.
 */
extern const struct store_ops git_store;

#endif
