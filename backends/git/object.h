#ifndef BACKENDS_GIT_OBJECT_H
#define BACKENDS_GIT_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct err;

/* Types as the heads of pack entries number them (gitformat-pack(5)). */
enum git_type {
	GIT_NONE = 0, /* not to be told: damaged */
	GIT_COMMIT = 1,
	GIT_TREE = 2,
	GIT_BLOB = 3,
	GIT_TAG = 4,
	GIT_DELTA = 6, /* a difference from another object: only git's own packs hold these */
};

/* "commit", "tree", "blob", "tag", "delta". */
const char *git_type_name(enum git_type type);

/* The SHA-1 of an object's type, size and bytes. */
#define OBJECT_ID_SIZE 20
struct object_id {
	uint8_t b[OBJECT_ID_SIZE];
};

#define OBJECT_HEX_SIZE 41 /* with its NUL */
/* As 40 lower-case hexadecimal digits and a NUL; returns `out`. */
char *object_id_hex(const struct object_id *id, char out[OBJECT_HEX_SIZE]);
/* Exactly 40 hexadecimal digits of either case, else false. */
bool object_id_parse(struct object_id *id, struct bytes hex);
bool object_id_equal(const struct object_id *a, const struct object_id *b);
int object_id_compare(const struct object_id *a, const struct object_id *b); /* as memcmp() */
bool object_id_is_zero(const struct object_id *id);
/* The id that an object of these bytes has. */
void object_id_of(struct object_id *id, enum git_type type, struct bytes data);

/* The same in pieces: begin, update until `size` bytes are in, end. One may be used again and again. */
struct object_hash;
struct object_hash *object_hash_new(void);
void object_hash_free(struct object_hash *h); /* NULL is allowed */
void object_hash_begin(struct object_hash *h, enum git_type type, uint64_t size);
void object_hash_begin_raw(struct object_hash *h); /* of the bytes alone, as pack files are hashed */
void object_hash_update(struct object_hash *h, struct bytes piece);
void object_hash_end(struct object_hash *h, struct object_id *id);

/*
 * Takes the next piece of an object's bytes, borrowed. -1 with *err set stops the reading,
 * which hands the error on.
 */
typedef int object_sink(void *ctx, struct bytes piece, struct err *err);

/*
 * A place to look objects up in: what the repository holds already, seen by a writer. (pack_read.h
 * makes one of a set of packs; repo.h one of the whole repository.)
 */
struct object_source {
	void *ctx;
	/* 1: it is there; 0: it is not; -1: *err is set. No reading of directories for a miss, please. */
	int (*has)(void *ctx, const struct object_id *id, struct err *err);
	/*
	 * Give its bytes to `sink`; *type and *size are set before the first piece. An object that
	 * is damaged or cannot be read gives -1 with ERR_FATAL.
	 */
	int (*read)(void *ctx, const struct object_id *id, enum git_type *type, uint64_t *size,
		    object_sink *sink, void *sink_ctx, struct err *err);
};

#endif
