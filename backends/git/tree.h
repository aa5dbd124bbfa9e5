#ifndef BACKENDS_GIT_TREE_H
#define BACKENDS_GIT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/git/object.h"
#include "core/base/bytes.h"

struct buf;
struct err;

/* The bytes of a tree object: reading, writing in order, and changing a few entries. */
#define MODE_TREE 040000u
#define MODE_FILE 0100644u

#define TREE_MAX ((size_t)512 << 20) /* more than this is no tree of ours */

struct tree_entry {
	uint32_t mode;
	struct bytes name; /* borrowed from the tree's bytes */
	struct object_id id;
};

/*
 *	struct bytes rest = data;
 *	while ((rc = tree_next(&rest, &e, err)) > 0)
 *		...
 * 1 with the next entry, 0 at the end, -1 with *err (ERR_FATAL: it is damaged).
 */
int tree_next(struct bytes *rest, struct tree_entry *e, struct err *err);

/* Add an entry to a tree's bytes; the caller adds them in the order of git. */
void tree_add(struct buf *out, uint32_t mode, const char *name, const struct object_id *id);

/* A tree to be changed: what is not touched stays as it was. */
struct tree_slot {
	uint32_t mode;
	char *name;
	struct object_id id;
};

struct tree {
	struct tree_slot *v; /* in the order of git */
	size_t n, cap;
};

void tree_init(struct tree *t);
void tree_release(struct tree *t); /* as initialised afterwards */
/* Replace *t (initialised) by what `data` says. */
int tree_parse(struct tree *t, struct bytes data, struct err *err);
/* NULL: there is none. Borrowed until the next change. */
const struct tree_slot *tree_find(const struct tree *t, const char *name);
/* Put an entry there, in place of one of that name. An id of zeros takes it out. */
void tree_put(struct tree *t, uint32_t mode, const char *name, const struct object_id *id);
void tree_format(const struct tree *t, struct buf *out);

#endif
