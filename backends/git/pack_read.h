#ifndef BACKENDS_GIT_PACK_READ_H
#define BACKENDS_GIT_PACK_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/git/object.h"
#include "core/base/err.h"

struct buf;

/*
 * Reads the packs of a repository (index version 2): finds an object by its id, gives its bytes
 * in pieces with bounded memory, and believes nothing that the files say before checking it: no
 * offset or size leads outside the file, and bytes that do not hash to the id end in an
 * error. (The pieces given to a sink before that error are then worthless: the caller
 * throws them away.) Deltas, which only git's own packs have, are made in memory:
 * git makes none of large objects.
 *
 * Only the indexes are mapped; at most 16 packs are held open at once (and those being read). Loose objects are not seen.
 * What is missing an .idx or a .pack is ignored. A pack whose index is damaged is left out of
 * look-ups, logged as a warning, and pack_missing() says so.
 *
 * Errors are ERR_FATAL and name the file.
 */
struct pack_set;
struct pack; /* lives as long as its set, even after its files are gone */

struct pack_set *pack_set_open(const char *pack_dir, struct err *err); /* NULL: *err is set */
void pack_set_free(struct pack_set *set); /* NULL is allowed */
/* Look again which packs there are: after publishing one, removing one, or when others may have. */
int pack_set_refresh(struct pack_set *set, struct err *err);
/* Close what is open of packs that went: until then their room on the disk is not free. */
void pack_set_close_gone(struct pack_set *set);

/* Where an object is. Stays good across pack_set_refresh(). */
struct pack_at {
	struct object_id id;
	struct pack *pack;
	uint64_t offset;
};

/* The newest pack is asked first. Touches no directory: a miss is cheap. */
bool pack_set_find(struct pack_set *set, const struct object_id *id, struct pack_at *at);
/* Another copy of it, in an older pack: for when the first turned out damaged. */
bool pack_set_find_next(struct pack_set *set, struct pack_at *at);

/*
 * Type and size without reading the object. When the pack
 * vanished (a user's `git repack`) these three look for the object again and update *at.
 */
int pack_object_info(struct pack_set *set, struct pack_at *at, enum git_type *type,
		     uint64_t *size, struct err *err);
/*
 * Give the bytes to `sink` in pieces of at most 64 KiB, check size and SHA-1 at the end. `type` and `size`
 * (either may be NULL) are set before the first piece.
 */
int pack_object_stream(struct pack_set *set, struct pack_at *at, enum git_type *type,
		       uint64_t *size, object_sink *sink, void *ctx, struct err *err);
/* The whole object into `out` (cleared first), whose ceiling is the largest object taken. */
int pack_object_read(struct pack_set *set, struct pack_at *at, enum git_type *type,
		     struct buf *out, struct err *err);

/* The set as what a pack_writer looks objects up in (without loose objects). */
struct object_source pack_set_source(struct pack_set *set);

/*
 * For an object that should be there and was not found: sets *err (ERR_FATAL) to that, with the
 * damaged pack or index that may be the reason, after checking the checksums of all indexes. Returns -1.
 */
int pack_missing(struct pack_set *set, const struct object_id *id, struct err *err);

/* --- the packs as such --- */

size_t pack_set_count(const struct pack_set *set); /* those there at the last look, newest first */
struct pack *pack_set_pack(const struct pack_set *set, size_t i);
struct pack *pack_set_named(const struct pack_set *set, const char *name); /* NULL: none */
const char *pack_name(const struct pack *p); /* "pack-<40 digits>", without .pack */
uint32_t pack_count(const struct pack *p);   /* objects; 0 when the index is damaged */
uint64_t pack_file_size(const struct pack *p); /* of the .pack */
/* Published by pack_publish(): its .keep says so. Others (git's own) are not ours to remove. */
bool pack_is_ours(const struct pack *p);
/* Why it cannot be used; NULL while nothing is known against it. */
const struct err *pack_damage(const struct pack *p);

struct pack_entry {
	struct object_id id;
	enum git_type type; /* GIT_DELTA possible; GIT_NONE: its head is damaged, the size means nothing */
	uint64_t size;      /* inflated; of a delta: of the delta */
	uint64_t offset;    /* in the .pack: head and deflated bytes ... */
	uint64_t span;      /* ... are so long */
	uint32_t crc;       /* of them, as the index has it */
};

/* 0: go on. -1 with *err set stops and is handed on. */
typedef int pack_entry_fn(void *ctx, const struct pack_entry *e, struct err *err);
/*
 * All entries in the order of the file, after checking the index's own checksum. Memory: 16 bytes an
 * object. Entries that overlap or lie outside the pack are an error.
 */
int pack_each(struct pack_set *set, struct pack *p, pack_entry_fn *fn, void *ctx,
	      struct err *err);
/* The raw bytes of an entry (head and deflated), CRC checked at the end. */
int pack_entry_copy(struct pack_set *set, struct pack *p, const struct pack_entry *e,
		    object_sink *sink, void *ctx, struct err *err);
/* Hash the whole .pack and compare with its own last 20 bytes and what the index expects. */
int pack_check_file(struct pack_set *set, struct pack *p, struct err *err);

#endif
