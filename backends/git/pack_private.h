#ifndef BACKENDS_GIT_PACK_PRIVATE_H
#define BACKENDS_GIT_PACK_PRIVATE_H

#include "backends/git/pack_file.h"
#include "backends/git/pack_write.h"
#include "core/base/err.h"

/*
 * The writer, as pack_write.c, pack_publish.c and pack_merge.c share it.
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
/* Whether NAME.keep is there and one that pack_publish() made. */
bool pack_keep_is_ours(const char *dir, const char *name);

#endif
