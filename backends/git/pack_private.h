#ifndef BACKENDS_GIT_PACK_PRIVATE_H
#define BACKENDS_GIT_PACK_PRIVATE_H

#include "backends/git/pack_file.h"
#include "backends/git/pack_write.h"
#include "core/base/err.h"

#define PACK_ASIDE (UINT64_C(1) << 63) /* in pack_record.where: an offset in `aside` */

/*
 * The writer, as pack_write.c, pack_known.c, pack_stream.c, pack_publish.c and pack_merge.c share it.
 *
 * Entries go to the end of `pack`. While a large stream is being put there, whole entries of other
 * objects go to `aside` instead, and are moved over when it has ended.
 */
struct pack_writer {
	char *dir;
	struct object_source repo; /* .has is NULL: none */
	struct out_file pack, aside;
	struct pack_table table;
	size_t first_aside; /* records from here on lie in `aside`, while `direct` is open */
	struct pack_stream *direct;
	unsigned open_streams;
	struct deflater *deflater;
	struct object_hash *hash;
	struct entry_reader *own, *stored; /* made at their first use */
	struct err broken;                 /* kind ERR_NONE: it is not */
};

/* Fail with the error that spoiled the writer, if one did. */
int pack_writer_check(const struct pack_writer *w, struct err *err);
/* Remember an ERR_FATAL. Returns -1. */
int pack_writer_spoil(struct pack_writer *w, const struct err *err);
/* See to it that `f` is there and has its head. */
int pack_writer_begin(struct pack_writer *w, struct out_file *f, struct err *err);
/*
 * Before publication: what has come of `direct` moves to the next pack, `next`, and what waited
 * behind it into its place.
 */
int pack_writer_carry(struct pack_writer *w, struct out_file *next, struct err *err);

/* --- an entry on its way into a file: pack_write.c --- */

struct entry_out {
	struct out_file *f;
	struct deflater *deflater;
	uint64_t start;
	uint32_t crc;
};

int entry_out_begin(struct entry_out *e, struct out_file *f, struct deflater *d, enum git_type type,
		    uint64_t size, struct err *err);
int entry_out_write(struct entry_out *e, struct bytes in, bool last, struct err *err);

/* --- an object that is being added --- */

/* Its bytes, to be read as often as needed: a copy of this begins anew, but for `entry`. */
struct own_bytes {
	struct bytes memory;        /* these, or */
	struct entry_reader *entry; /* what comes from here, or */
	struct out_file *spool;     /* this file */
	uint64_t spool_at;
	uint8_t *scratch; /* PACK_CHUNK, for the latter two */
};

/* The next piece, empty at the end. */
int own_bytes_next(struct own_bytes *o, struct bytes *piece, struct err *err);
/*
 * 1: it is pending or in the repository, with the same bytes. 0: it must be stored. -1 with *err
 * set: ERR_MESSAGE where the bytes differ.
 */
int pack_writer_knows(struct pack_writer *w, const struct object_id *id, enum git_type type,
		      uint64_t size, const struct own_bytes *own, struct err *err);
/* As pack_add(). */
int pack_writer_add(struct pack_writer *w, enum git_type type, uint64_t size,
		    const struct own_bytes *own, struct object_id *id, bool *added, struct err *err);

/* --- pack_publish.c --- */

/* Whether NAME.keep is there and one that pack_publish() made. */
bool pack_keep_is_ours(const char *dir, const char *name);

#endif
