#ifndef BACKENDS_GIT_REPO_PRIVATE_H
#define BACKENDS_GIT_REPO_PRIVATE_H

#include <stdbool.h>

#include "backends/git/repo.h"

/* Shared by repo.c (objects), repo_open.c, repo_refs.c and repo_init.c. */

/* What libgit2 says of the call that just failed. Returns -1. */
int repo_error(struct err *err, const char *path, const char *what);
/*
 * Whether what lies there is bare, ours as the file system says, and HEAD and the configuration are word for
 * word what repo_init() writes.
 */
bool repo_is_plain(const char *path);
/* Under our lock: remove what killed programs left beside refs. */
void repo_unlock_refs(const struct repo *r);

#endif
