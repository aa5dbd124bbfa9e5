#ifndef BACKENDS_GIT_LEAF_PRIVATE_H
#define BACKENDS_GIT_LEAF_PRIVATE_H

#include "backends/git/leaf.h"

/* Shared by leaf.c (in memory) and leaf_io.c (from and into objects). */

int group_read(struct gitbox *box, const struct group *group, struct leaf_ref *out,
	       struct err *err);
int group_load(struct gitbox *box, struct group *group, struct err *err);
int leaf_load(struct gitbox *box, struct leaf_ref *ref, uint32_t number, struct err *err);
int leaf_load_ids(struct gitbox *box, struct leaf_ref *ref, struct err *err);
void leaf_free(struct leaf *leaf);
/* Errors about what was read; they return -1. */
int leaf_text_damaged(const struct gitbox *box, uint32_t number, struct err *err);
int tree_entry_strange(const struct gitbox *box, const struct tree_entry *e, struct err *err);

#endif
