#ifndef BACKENDS_GIT_HISTORY_PRIVATE_H
#define BACKENDS_GIT_HISTORY_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "backends/git/entry_text.h"
#include "backends/git/history.h"
#include "backends/git/object.h"
#include "core/base/bytes.h"

/* What the files of history.h share. */
struct buf;
struct mailbox_text;
struct repo;

struct history {
	struct repo *repo; /* NULL: an archive in which no run has ended yet */
	struct snapshot *v; /* newest first */
	struct object_id *roots; /* the tree of each */
	size_t n, cap, cap_roots;
	struct err cut; /* why the list ends before the first snapshot; ERR_NONE: it does not */
};

/* --- comparing two snapshots (history_diff.c) --- */

/* The ids of one thing before and after; zeros: it is not there. */
struct pair {
	struct object_id old, now;
};

/* A name of which the ids differ. */
struct entry_difference {
	struct bytes name;
	struct pair ids;
	bool old_is_tree, is_tree;
};
typedef int entry_fn(void *ctx, const struct entry_difference *d, struct err *err);

/* The entries of two trees that are not the same; zeros are the empty tree. */
int history_diff_trees(struct history *h, const struct pair *trees, entry_fn *fn, void *ctx,
		       struct err *err);

/* A leaf (layout.h) of which the ids differ. `dir` is the mailbox's directory. All borrowed. */
struct leaf_difference {
	struct bytes dir;
	uint32_t leaf;
	struct pair ids;
};
typedef int leaf_fn(void *ctx, const struct leaf_difference *d, struct err *err);

/*
 * All leaves of one kind that differ; `what` says which: LAYOUT_FLAGS or LAYOUT_MESSAGES. A mailbox that
 * was only renamed does not.
 */
int history_diff(struct history *h, const struct pair *roots, const char *what, leaf_fn *fn,
		 void *ctx, struct err *err);

/* A flags file being read, and its line in work. */
struct flags_lines {
	struct entry_reader reader;
	struct entry_line line;
	bool there; /* false: after the last one */
};
/*
 * The first line of the leaf with this id, zeros being an empty one. `text` is for reading it, and holds what
 * the lines point into.
 */
int flags_lines_open(struct flags_lines *l, struct history *h, const struct object_id *id, uint32_t leaf,
		     struct buf *text, struct err *err);
int flags_lines_next(struct flags_lines *l, struct err *err);

/* The tree with all mailboxes of a root; zeros when there is none. */
int history_mailboxes(struct history *h, const struct object_id *root, struct object_id *out,
		      struct err *err);
/*
 * The file `mailbox` of the directory `dir`, which has this tree, into *out (initialised). `data` is
 * for reading it.
 */
int history_read_mailbox(struct history *h, const struct object_id *tree, const char *dir,
			 struct buf *data, struct mailbox_text *out, struct err *err);
/* How many there are. */
int history_count_mailboxes(struct history *h, const struct object_id *root, uint64_t *n,
			    struct err *err);

#endif
