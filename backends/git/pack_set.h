#ifndef BACKENDS_GIT_PACK_SET_H
#define BACKENDS_GIT_PACK_SET_H

#include <sys/types.h>
#include <time.h>

#include "backends/git/pack_file.h"
#include "backends/git/pack_read.h"

/* The packs of a repository, as pack_set.c, pack_index.c and pack_read.c share them. */

struct pack {
	char *name, *path, *idx_path; /* path: of the .pack */
	bool gone;                    /* its files are not there any more */
	bool ours;
	struct timespec mtime; /* of the .idx */
	dev_t dev;
	ino_t ino;
	uint64_t size; /* of the .pack */
	struct err damage; /* kind ERR_NONE: nothing is known against it */

	/* The index, mapped; NULL when it is damaged. Checked once: nothing in it leads outside. */
	const uint8_t *idx;
	size_t idx_size;
	uint32_t count;
	uint32_t large; /* entries in the table of 64-bit offsets */
	bool checked;   /* its checksum, too */

	int fd; /* of the .pack, -1: not open */
	uint64_t used; /* when, for closing the one that was not for longest */
	unsigned pinned;
};

struct pack_set {
	char *dir;
	struct pack **v; /* there at the last look, newest first */
	size_t n, cap;
	struct pack **gone;
	size_t gone_n, gone_cap;
	unsigned open;
	uint64_t clock;
	struct entry_reader *idle; /* kept for the next read */
};

/* --- pack_index.c --- */

/* Map and check the index; failing sets p->damage. */
void pack_index_open(struct pack *p);
void pack_index_close(struct pack *p);
/* Its own checksum, the order of its ids. */
int pack_index_check(struct pack *p, struct err *err);
bool pack_index_find(const struct pack *p, const struct object_id *id, uint32_t *at);
void pack_index_id(const struct pack *p, uint32_t at, struct object_id *id);
uint32_t pack_index_crc(const struct pack *p, uint32_t at);
/* 0: the index points nowhere; every true offset is at least PACK_HEAD_SIZE. */
uint64_t pack_index_offset(const struct pack *p, uint32_t at);
/* What the last 20 bytes of the .pack must be. */
void pack_index_pack_checksum(const struct pack *p, struct object_id *id);

/* --- pack_resolve.c, for entries that are deltas --- */

/* The whole object, checked, into `out` (initialised here; release it whatever happens). */
int pack_delta_read(struct pack_set *set, const struct pack_at *at, enum git_type *type,
		    struct buf *out, struct err *err);
int pack_delta_info(struct pack_set *set, const struct pack_at *at, enum git_type *type,
		    uint64_t *size, struct err *err);

/* --- pack_set.c --- */

/*
 * Open the .pack and keep it open until pack_unpin(). 1: it is not there any more. -1: *err is set, and so
 * is p->damage when that is what is wrong.
 */
int pack_pin(struct pack_set *set, struct pack *p, struct err *err);
void pack_unpin(struct pack *p);
int pack_read_at(void *pack, uint64_t offset, uint8_t *buf, size_t n, size_t *got, struct err *err);
/* Where the entries of the .pack end. */
uint64_t pack_entries_end(const struct pack *p);
/* Remember why it cannot be used, and warn. Returns -1. */
int pack_set_damaged(struct pack *p, const struct err *err);

#endif
