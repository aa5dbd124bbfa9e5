#ifndef BACKENDS_GIT_REACH_H
#define BACKENDS_GIT_REACH_H

#include <stdbool.h>
#include <stddef.h>

#include "backends/git/pack_file.h"
#include "backends/git/repo.h"
#include "core/base/buf.h"

/*
 * Which objects can be reached. Commits, tags and trees are read, contents are not. Memory: about 50
 * bytes for every object.
 */
struct reach {
	const struct repo *repo;
	struct pack_table seen;
	struct object_id *todo; /* seen, and not looked into yet */
	size_t n, cap;
	enum git_type type; /* of the object being read, and what it holds */
	struct buf data;
};

void reach_init(struct reach *x, const struct repo *r);
void reach_release(struct reach *x);
bool reach_has(const struct reach *x, const struct object_id *id);
/* This one, without what it names. */
void reach_add(struct reach *x, const struct object_id *id);
/* A commit with all before it, a tag, a tree: with everything that it names. */
int reach_from(struct reach *x, const struct object_id *id, struct err *err);
/*
 * What anybody else holds on to (reach_refs.c): HEAD and all refs but main and wip, logs of those, work
 * trees. When something of that was not reached before, `holder` (owned by the caller) says where it is
 * named, as a path from the repository's directory: "refs/tags/x", "logs/refs/stash", "worktrees/x/index",
 * "index", "HEAD"; else NULL.
 */
int reach_others(struct reach *x, char **holder, struct err *err);

#endif
