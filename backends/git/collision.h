#ifndef BACKENDS_GIT_COLLISION_H
#define BACKENDS_GIT_COLLISION_H

#include "backends/git/repo.h"
#include "core/base/bytes.h"

/*
 * A message that has the SHA-1 of another one, which git could not tell from it: its bytes
 * go to a file of their own in mailcask/collisions, one for each content.
 */
struct collision;

/* NULL: *err is set. */
struct collision *collision_begin(const struct repo *r, struct err *err);
/* An object_sink. */
int collision_write(void *collision, struct bytes piece, struct err *err);
/* Make it durable, and say in *err (ERR_MESSAGE) where it is. Frees it and returns -1. */
int collision_end(struct collision *c, const struct object_id *id, struct err *err);
/* Forget it. NULL is allowed. */
void collision_abort(struct collision *c);

#endif
