#ifndef BACKENDS_GIT_COMMIT_TEXT_H
#define BACKENDS_GIT_COMMIT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "backends/git/object.h"
#include "core/base/bytes.h"

struct buf;
struct err;

/* The bytes of a commit object. */
#define COMMIT_TEXT_MAX ((size_t)64 << 20)

struct commit_text {
	struct object_id tree, parent; /* the first parent */
	size_t parents;
	int64_t time; /* the committer's, Unix time */
	/* From the trailer `Generation: N`, which every commit of ours ends with; 0: there is none. */
	uint64_t generation;
	struct bytes message; /* borrowed */
};

int commit_text_read(struct bytes text, struct commit_text *out, struct err *err);
/*
 * Write one, by "mailcask <mailcask@localhost>" at c->time. c->message is all but the trailer; it
 * ends with a line end.
 */
void commit_text_write(const struct commit_text *c, struct buf *out);
/* The commit `text` with this one parent (NULL: none) and otherwise as it is. */
void commit_text_move(struct bytes text, const struct object_id *parent, struct buf *out);
/* To the end of a commit that has none. */
void commit_text_add_generation(uint64_t generation, struct buf *out);

#endif
