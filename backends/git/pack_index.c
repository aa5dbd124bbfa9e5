#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/git/pack_set.h"

/* Version 2: head, 256 counts, ids, CRCs, offsets, large offsets, two checksums. */
enum { HEAD = 8, FANOUT = 256 * 4, TABLES = HEAD + FANOUT, TRAILER = 2 * OBJECT_ID_SIZE };
enum { PER_OBJECT = OBJECT_ID_SIZE + 4 + 4 };

static const uint8_t *ids(const struct pack *p)
{
	return p->idx + TABLES;
}

static const uint8_t *crcs(const struct pack *p)
{
	return ids(p) + (size_t)p->count * OBJECT_ID_SIZE;
}

static const uint8_t *offsets(const struct pack *p)
{
	return crcs(p) + (size_t)p->count * 4;
}

static const uint8_t *large_offsets(const struct pack *p)
{
	return offsets(p) + (size_t)p->count * 4;
}

/* How many ids begin with a byte up to this one. */
static uint32_t fanout(const uint8_t *idx, unsigned byte)
{
	return get_be32(idx + HEAD + (size_t)byte * 4);
}

/* Says what is wrong, NULL for nothing. Afterwards every look-up stays inside the file. */
static const char *wrong(struct pack *p, const uint8_t *idx, uint64_t size)
{
	static const uint8_t head[HEAD] = { 0xff, 't', 'O', 'c', 0, 0, 0, 2 };
	uint64_t fixed, rest;

	if (size < TABLES + TRAILER)
		return "is too short";
	if (memcmp(idx, head, HEAD) != 0)
		return "is not an index of version 2";
	for (unsigned byte = 1; byte < 256; byte++)
		if (fanout(idx, byte) < fanout(idx, byte - 1))
			return "has counts that do not ascend";
	p->count = fanout(idx, 255);
	fixed = TABLES + TRAILER + (uint64_t)p->count * PER_OBJECT;
	if (size < fixed)
		return "is too short for what it counts";
	rest = size - fixed;
	if (rest % 8 != 0 || rest / 8 > p->count)
		return "has a size that does not fit what it counts";
	p->large = (uint32_t)(rest / 8);
	return NULL;
}

void pack_index_open(struct pack *p)
{
	const char *what = NULL;
	void *map = MAP_FAILED;
	struct stat st;
	int fd = open(p->idx_path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_sys(&p->damage, ERR_FATAL, "open %s", p->idx_path);
		goto out;
	}
	p->idx_size = (size_t)st.st_size;
	if (p->idx_size > 0)
		map = mmap(NULL, p->idx_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p->idx_size > 0 && map == MAP_FAILED) {
		err_sys(&p->damage, ERR_FATAL, "map %s", p->idx_path);
		goto out;
	}
	what = p->idx_size ? wrong(p, map, p->idx_size) : "is empty";
	if (what)
		err_set(&p->damage, ERR_FATAL, "%s is damaged: it %s", p->idx_path, what);
	else
		p->idx = map;
out:
	if (!p->idx) {
		p->count = 0;
		if (map != MAP_FAILED)
			munmap(map, p->idx_size);
	}
	if (fd >= 0)
		close(fd);
}

void pack_index_close(struct pack *p)
{
	union {
		const uint8_t *mapped;
		void *map;
	} u = { .mapped = p->idx };

	if (p->idx)
		munmap(u.map, p->idx_size);
	p->idx = NULL;
	p->count = 0;
}

/* After the one before it, and where the counts say that its first byte is. */
static bool is_in_order(const struct pack *p, uint32_t at)
{
	const uint8_t *id = ids(p) + (size_t)at * OBJECT_ID_SIZE;

	return (at == 0 || memcmp(id - OBJECT_ID_SIZE, id, OBJECT_ID_SIZE) < 0) &&
	       at < fanout(p->idx, id[0]) && (id[0] == 0 || at >= fanout(p->idx, id[0] - 1u));
}

int pack_index_check(struct pack *p, struct err *err)
{
	struct object_id got, want;
	struct object_hash *hash;

	if (p->damage.kind != ERR_NONE) {
		*err = p->damage;
		return -1;
	}
	if (p->checked)
		return 0;
	hash = object_hash_new();
	object_hash_begin_raw(hash);
	object_hash_update(hash, bytes_from(p->idx, p->idx_size - OBJECT_ID_SIZE));
	object_hash_end(hash, &got);
	object_hash_free(hash);
	memcpy(want.b, p->idx + p->idx_size - OBJECT_ID_SIZE, OBJECT_ID_SIZE);
	if (!object_id_equal(&got, &want)) {
		err_set(err, ERR_FATAL, "%s is damaged: its checksum is wrong", p->idx_path);
		return pack_set_damaged(p, err);
	}
	for (uint32_t i = 0; i < p->count; i++)
		if (!is_in_order(p, i)) {
			err_set(err, ERR_FATAL, "%s is damaged: its ids are not in order", p->idx_path);
			return pack_set_damaged(p, err);
		}
	p->checked = true;
	return 0;
}

bool pack_index_find(const struct pack *p, const struct object_id *id, uint32_t *at)
{
	uint32_t lo, hi;

	if (!p->idx)
		return false;
	lo = id->b[0] ? fanout(p->idx, id->b[0] - 1u) : 0;
	hi = fanout(p->idx, id->b[0]);
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int order = memcmp(id->b, ids(p) + (size_t)mid * OBJECT_ID_SIZE, OBJECT_ID_SIZE);

		if (order == 0) {
			*at = mid;
			return true;
		}
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return false;
}

void pack_index_id(const struct pack *p, uint32_t at, struct object_id *id)
{
	memcpy(id->b, ids(p) + (size_t)at * OBJECT_ID_SIZE, OBJECT_ID_SIZE);
}

uint32_t pack_index_crc(const struct pack *p, uint32_t at)
{
	return get_be32(crcs(p) + (size_t)at * 4);
}

uint64_t pack_index_offset(const struct pack *p, uint32_t at)
{
	uint32_t word = get_be32(offsets(p) + (size_t)at * 4);
	uint64_t offset = word;

	if (word & UINT32_C(1) << 31) {
		word &= ~(UINT32_C(1) << 31);
		if (word >= p->large)
			return 0;
		offset = get_be64(large_offsets(p) + (size_t)word * 8);
	}
	return offset < pack_entries_end(p) ? offset : 0;
}

void pack_index_pack_checksum(const struct pack *p, struct object_id *id)
{
	memcpy(id->b, p->idx + p->idx_size - TRAILER, OBJECT_ID_SIZE);
}
