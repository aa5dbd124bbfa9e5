#ifndef TESTS_LIB_PACK_RIG_H
#define TESTS_LIB_PACK_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/git/object.h"
#include "backends/git/pack_read.h"
#include "backends/git/pack_write.h"
#include "core/base/buf.h"
#include "core/base/bytes.h"
#include "core/base/err.h"
#include "tests/lib/proc.h"

/* A bare repository that git made, a writer and a reader of its packs, and bytes of all shapes to put in. */
struct pack_rig {
	const char *repo;
	char *packs; /* objects/pack */
	struct pack_writer *w;
	struct pack_set *set; /* opened by pack_rig_look() */
	struct err err;
};

void pack_rig_open(struct pack_rig *r);
void pack_rig_close(struct pack_rig *r);
/* A new writer, which knows what `set` holds when there is one. */
void pack_rig_writer(struct pack_rig *r);
/* Open or refresh the set. */
void pack_rig_look(struct pack_rig *r);
/* Publish; the name is good until the next call. */
const char *pack_rig_publish(struct pack_rig *r);
/* Make a pack look older than those published after it, which may be in the same tick of the clock. */
void pack_rig_age(struct pack_rig *r, const char *name);
/* Add an object, which must work. */
struct object_id pack_rig_add(struct pack_rig *r, enum git_type type, struct bytes data);
/* The object must be there and be these bytes, as our reader sees it. */
void pack_rig_holds(struct pack_rig *r, const struct object_id *id, enum git_type type,
		    struct bytes want);

/* git with nobody's configuration; it must end well. `res` may be NULL. The list ends with NULL. */
void pack_rig_git(struct pack_rig *r, struct proc_result *res, ...) __attribute__((sentinel));
/* The same, input given, output as a string owned by the caller. */
char *pack_rig_git_text(struct pack_rig *r, struct bytes input, ...) __attribute__((sentinel));
/* git's fsck --full --strict, and verify-pack of every pack. */
void pack_rig_git_approves(struct pack_rig *r);

enum sample_shape { SAMPLE_TEXT, SAMPLE_BASE64, SAMPLE_RANDOM, SAMPLE_ZEROS, SAMPLE_MIXED, SAMPLE_SHAPES };
/* `n` bytes, the same for the same arguments; owned by the caller, sample_free(). */
struct bytes sample(enum sample_shape shape, size_t n, uint64_t seed);
void sample_free(struct bytes b);

/* The files in a directory, as one string "a b c" owned by the caller. */
char *dir_text(const char *path);

#endif
