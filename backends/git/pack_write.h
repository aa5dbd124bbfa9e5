#ifndef BACKENDS_GIT_PACK_WRITE_H
#define BACKENDS_GIT_PACK_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/git/object.h"
#include "core/base/bytes.h"

struct err;
struct pack_set;
struct pack_table;

/*
 * Objects into a new pack (version 2, without deltas) and its index (version 2). Nothing is
 * visible to anyone before pack_publish(), and all of it afterwards. Memory: about 48 bytes for
 * every object of the pack, and buffers; never a whole large object.
 *
 * An object that the pack or the repository holds already is not added again, and that is
 * believed only after comparing the bytes: two contents with one SHA-1 can be made, and mail is
 * written by strangers. Where they differ the call fails with ERR_MESSAGE and a text with the id
 * (which is also set in *id), nothing is added, and the writer goes on. A stored copy that
 * cannot be read or does not hash to its id (ERR_FATAL from the source) counts as none: the object
 * is added anew and a warning logged.
 *
 * Errors: ERR_MESSAGE spoils that one object, as above or because its size was not the one
 * announced. What a source says with another kind than ERR_FATAL is handed on and spoils that
 * one call. Everything else (no space, I/O) is ERR_FATAL and spoils the writer: every later
 * call fails with the same error, and freeing it leaves no file.
 */
struct pack_writer;
struct pack_stream;

#define PACK_SIZE_UNKNOWN UINT64_MAX
/* "pack-" and the 40 digits of the pack's checksum, without ".pack"; with its NUL. */
#define PACK_NAME_SIZE 46

/*
 * `pack_dir`: the repository's objects/pack, which exists. `repo` (copied; NULL: nothing) tells what it holds.
 * No file is made before the first object is added.
 */
struct pack_writer *pack_writer_new(const char *pack_dir, const struct object_source *repo);
/* What was not published is removed. Open streams must have ended. NULL is allowed. */
void pack_writer_free(struct pack_writer *w);

/*
 * Add a whole object from memory. *id is set on success and in case of ERR_MESSAGE; *added (NULL
 * is allowed): whether it was new to pack and repository. Allowed while streams are open.
 */
int pack_add(struct pack_writer *w, enum git_type type, struct bytes data, struct object_id *id,
	     bool *added, struct err *err);

/*
 * Add an object in pieces. Any number of streams may be open at once, of any size, in any
 * order: up to 1 MiB is held in memory; the first larger one of known size goes straight into the
 * pack; others wait in a temporary file. PACK_SIZE_UNKNOWN costs writing a large object twice,
 * so say the size where it is known. NULL: failed, *err set.
 */
struct pack_stream *pack_stream_begin(struct pack_writer *w, enum git_type type, uint64_t size,
				      struct err *err);
/* After a failure the stream must still be ended or aborted. */
int pack_stream_write(struct pack_stream *s, struct bytes piece, struct err *err);
/*
 * All bytes are in. Results as pack_add(); ERR_MESSAGE also when there were more or fewer
 * bytes than announced. Frees the stream whatever happens.
 */
int pack_stream_end(struct pack_stream *s, struct object_id *id, bool *added, struct err *err);
/*
 * Where pack_stream_end() finds other bytes stored under the object's id, give the object's own to `sink`
 * before they are dropped. If that fails, its error is the result.
 */
void pack_stream_save_twin(struct pack_stream *s, object_sink *sink, void *ctx);
/* Take back what was written of it and free it. NULL is allowed. */
void pack_stream_abort(struct pack_stream *s);

/* Of the objects added since the last publication: how many, and their bytes in the pack file so far. */
uint32_t pack_pending_count(const struct pack_writer *w);
uint64_t pack_pending_bytes(const struct pack_writer *w);
bool pack_pending_has(const struct pack_writer *w, const struct object_id *id);
/*
 * Read back an object that is not published yet: as object_source.read. One that is not
 * pending is an ERR_FATAL.
 */
int pack_pending_read(struct pack_writer *w, const struct object_id *id, enum git_type *type,
		      uint64_t *size, object_sink *sink, void *sink_ctx, struct err *err);

/*
 * Make the objects durable under the final names NAME.keep, NAME.pack and NAME.idx in
 * pack_dir, the index last; the .keep holds a user's `git gc` off. `name` is "" when nothing was
 * pending: then no file is made. Streams that are open stay open and go into the next pack. The
 * writer is otherwise empty afterwards and may be used for it; `repo` must know the published objects from then on
 * (pack_set_refresh()).
 */
int pack_publish(struct pack_writer *w, char name[PACK_NAME_SIZE], struct err *err);

/*
 * Under the repository's lock, before writing: remove temporary files, and what publications and
 * removals of ours left that were killed. Those of others are not touched, nor is a pack of ours
 * that lost its index (or an index its pack): a warning says so, since there may be mail in it.
 */
int pack_clean(const char *pack_dir, struct err *err);

/*
 * One new pack of everything in packs `names[0..n)` of `set`, each object once, copied without
 * inflating (the CRC of each entry is checked) and published as above. `wanted` (NULL: all): only
 * these objects; `name` is "" when there is none of them. For packs without
 * deltas, ours: one with deltas fails and nothing changes; with `wanted` they are made whole. A damaged copy is left out (*dropped
 * counts them) when there is a sound one, here or in a pack that is not listed; else it fails. The
 * old packs stay: the caller removes them (pack_remove()) after pack_set_refresh(). `name` may be
 * that of one of the old ones, when that one held everything: do not remove it.
 */
int pack_merge(struct pack_set *set, const char *const *names, size_t n,
	       const struct pack_table *wanted, char name[PACK_NAME_SIZE], uint64_t *dropped,
	       struct err *err);
/* Remove a pack for good: the index first, the .keep last, durable. None is fine. */
int pack_remove(const char *pack_dir, const char *name, struct err *err);

#endif
