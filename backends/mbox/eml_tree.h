#ifndef BACKENDS_MBOX_EML_TREE_H
#define BACKENDS_MBOX_EML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"

/*
 * A directory of .eml files and what lies below it. Names are whatever somebody called them, so nothing is
 * opened by a path: one component after the other, and no symbolic link.
 */
#define EML_DEPTH_MAX 64

/* A directory that holds messages. */
struct eml_dir {
	char **path; /* the directories on the way to it, from the root; the root: none */
	size_t depth;
};

struct eml_tree {
	struct eml_dir *v;
	size_t n, cap;
};

/* Find all of them, below a directory that is open. `stop` is asked now and then, and may say -1. */
int eml_tree_find(int root, const char *root_path, struct eml_tree *out,
		  int (*stop)(void *ctx, struct err *err), void *ctx, struct err *err);
void eml_tree_release(struct eml_tree *tree);

/* Open the directory: a descriptor, or -1 with errno. */
int eml_dir_open(int root, const struct eml_dir *dir);
/* Whether its name says that the file is the message byte for byte, whatever its line ends: `,X.eml` (eml_write.h). */
bool eml_name_says_exact(const char *name);
/* The names of its messages, sorted. *v and the names are the caller's. -1 with errno. */
int eml_dir_names(int fd, char ***v, size_t *n);
void eml_names_free(char **v, size_t n);

#endif
