#ifndef BACKENDS_GIT_PACK_FILE_H
#define BACKENDS_GIT_PACK_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/git/object.h"
#include "core/base/bytes.h"

struct err;

/*
 * What pack_write.c, pack_read.c and their neighbours share: the parts of a pack file
 * (gitformat-pack(5)), the file that is being written, and the reader of one entry.
 */

enum {
	PACK_HEAD_SIZE = 12, /* "PACK", version, number of objects */
	PACK_TRAILER_SIZE = OBJECT_ID_SIZE,
	ENTRY_HEAD_MAX = 10, /* type and 64 bits of size */
	PACK_CHUNK = 64 * 1024,
};

void put_be32(uint8_t *p, uint32_t v);
uint32_t get_be32(const uint8_t *p);
uint64_t get_be64(const uint8_t *p);

/* Returns how many bytes of `out` it takes. */
size_t entry_head_encode(uint8_t out[ENTRY_HEAD_MAX], enum git_type type, uint64_t size);
/*
 * Returns how many bytes the head takes, 0 when it is not all there or not one. *type is what the
 * three bits say: 6 and 7 are deltas, 0 and 5 are nothing.
 */
size_t entry_head_decode(struct bytes in, unsigned *type, uint64_t *size);

/* --- a file that grows at its end --- */

struct out_file {
	char *path; /* NULL: not created */
	bool named; /* it is to be found under `path` */
	int fd;
	uint64_t flushed; /* bytes in the file; what follows is in `buf` */
	uint8_t *buf;
	size_t n;
};

#define OUT_FILE_INIT { .fd = -1 }

/*
 * A new file in `dir`, called DIR/tmp_mailcask_KIND_<random> in messages. It has no name yet where the
 * file system can do that: `git gc --prune=now` removes what is called tmp_*. `hidden`: it never
 * gets one.
 */
int out_file_create(struct out_file *f, const char *dir, const char *kind, bool hidden,
		    struct err *err);
/* Give it the name `path`, in place of what has it. */
int out_file_rename(struct out_file *f, const char *path, struct err *err);
uint64_t out_file_size(const struct out_file *f);
int out_file_put(struct out_file *f, struct bytes data, struct err *err);
int out_file_flush(struct out_file *f, struct err *err);
/* Cut it off at `size`, which lies within it. */
int out_file_truncate(struct out_file *f, uint64_t size, struct err *err);
/* Room to put bytes at directly, PACK_CHUNK of it, and say how many came. */
int out_file_room(struct out_file *f, uint8_t **room, struct err *err);
void out_file_came(struct out_file *f, size_t n);
/* Close it, remove it if it has a name, and be as new. */
void out_file_discard(struct out_file *f);

/* --- reading --- */

/* Up to `n` bytes at `offset` into `buf`; *got less than `n` only at the end of the file. */
typedef int read_at_fn(void *ctx, uint64_t offset, uint8_t *buf, size_t n, size_t *got,
		       struct err *err);
/* pread() through short reads. `path` is for the message. */
int pread_full(int fd, const char *path, uint64_t offset, uint8_t *buf, size_t n, size_t *got,
	       struct err *err);
int out_file_read_at(void *file, uint64_t offset, uint8_t *buf, size_t n, size_t *got,
		     struct err *err);

/*
 * Gives the bytes of one entry in pieces as the caller wants them. Keeps what it read of a file
 * for the next entry.
 */
struct entry_reader;
struct entry_reader *entry_reader_new(void);
void entry_reader_free(struct entry_reader *r); /* NULL is allowed */
/* Forget what was read: the file changed. */
void entry_reader_forget(struct entry_reader *r);
/*
 * Begin with the entry at `offset` of a file whose entries end before `end`. `path` is borrowed, for
 * messages. Sets type and size. Of a delta entry_reader_base() comes next, and its bytes are the delta's.
 */
int entry_reader_open(struct entry_reader *r, read_at_fn *read_at, void *ctx, const char *path,
		      uint64_t offset, uint64_t end, struct err *err);
unsigned entry_reader_type(const struct entry_reader *r); /* as entry_head_decode() */
uint64_t entry_reader_size(const struct entry_reader *r);
/*
 * Of a delta, before its bytes: what it is made from, as the place of an entry in the same file, or
 * (*offset 0) as an id.
 */
int entry_reader_base(struct entry_reader *r, uint64_t *offset, struct object_id *id, struct err *err);
/*
 * The next bytes, at most `room`; *got is 0 when all have come and there were neither fewer nor more
 * than the head says.
 */
int entry_reader_next(struct entry_reader *r, uint8_t *out, size_t room, size_t *got,
		      struct err *err);
/* All of it into `sink`, in pieces of at most PACK_CHUNK; at the end: is it the object `id` (NULL: any)? */
int entry_reader_give(struct entry_reader *r, const struct object_id *id, object_sink *sink, void *ctx,
		      struct err *err);

/* --- the objects of a pack that is being written --- */

struct pack_record {
	struct object_id id;
	uint32_t crc;
	uint64_t where;
};

struct pack_table {
	struct pack_record *v; /* in the order they were added */
	size_t n, cap;
	uint32_t *slot; /* open addressing: index + 1, 0 is free */
	size_t mask;
	unsigned shift;
	uint64_t secret; /* so that ids cannot be chosen to fall into one place */
};

void pack_table_init(struct pack_table *t);
void pack_table_release(struct pack_table *t);
struct pack_record *pack_table_find(const struct pack_table *t, const struct object_id *id);
/* Not there yet. The pointers from before are no longer good. */
void pack_table_add(struct pack_table *t, const struct pack_record *record);
void pack_table_clear(struct pack_table *t); /* keeps the memory */

/*
 * Write the index of these records (which get sorted by id) into `f`. Offsets of `large` (at most 2^31)
 * and above go into the table of 64-bit ones.
 */
int pack_index_write(struct out_file *f, struct pack_record *v, size_t n, uint64_t large,
		     const struct object_id *pack_checksum, struct err *err);

#endif
