#ifndef BACKENDS_GIT_REPO_PRIVATE_H
#define BACKENDS_GIT_REPO_PRIVATE_H

#include <stdbool.h>

#include "backends/git/repo.h"

/* Shared by repo.c (objects), repo_refs.c and repo_init.c. */

/* What libgit2 says of the call that just failed. Returns -1. */
int repo_error(struct err *err, const char *path, const char *what);
/* Under our lock: remove what killed programs left beside refs. */
void repo_unlock_refs(const struct repo *r);

#endif
