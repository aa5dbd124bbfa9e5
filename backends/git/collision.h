#ifndef BACKENDS_GIT_COLLISION_H
#define BACKENDS_GIT_COLLISION_H

#include "backends/git/repo.h"
#include "core/base/bytes.h"

/*
 * A message that has the SHA-1 of another one, which git could not tell from it: its bytes
 * go to a file of their own in mailcask/collisions, and *err (ERR_MESSAGE) says where. Returns -1.
 */
int collision_keep(const struct repo *r, const struct object_id *id, struct bytes body,
		   struct err *err);

#endif
