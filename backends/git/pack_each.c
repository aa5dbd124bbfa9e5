/* Packs as wholes: all entries, their raw bytes, the checksum. */
#include <stdlib.h>
#include <string.h>

#include "backends/git/deflate.h"
#include "backends/git/pack_set.h"
#include "core/base/mem.h"

/* pack_pin() for a pack that nothing can stand in for. */
static int pin(struct pack_set *set, struct pack *p, struct err *err)
{
	int ret = pack_pin(set, p, err);

	return ret > 0 ? err_set(err, ERR_FATAL, "%s is not there any more", p->path) : ret;
}

struct position {
	uint64_t offset;
	uint32_t at; /* in the index */
};

static int by_offset(const void *a, const void *b)
{
	const struct position *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Where the entries lie, ascending; NULL when that is not possible. */
static struct position *positions(const struct pack *p, struct err *err)
{
	struct position *v = xmalloc((size_t)p->count * sizeof(*v));

	for (uint32_t i = 0; i < p->count; i++)
		v[i] = (struct position){ .offset = pack_index_offset(p, i), .at = i };
	if (p->count > 1)
		qsort(v, p->count, sizeof(*v), by_offset);
	for (uint32_t i = 0; i < p->count; i++)
		if (v[i].offset < PACK_HEAD_SIZE || (i > 0 && v[i].offset == v[i - 1].offset)) {
			err_set(err, ERR_FATAL, "%s is damaged: it has impossible offsets", p->idx_path);
			free(v);
			return NULL;
		}
	return v;
}

static int one_entry(struct entry_reader *r, struct pack *p, const struct position *at,
		     uint64_t end, pack_entry_fn *fn, void *ctx, struct err *err)
{
	struct pack_entry e = { .offset = at->offset, .span = end - at->offset };
	unsigned type;

	/* One damaged head must not hide those behind it: their places are known. */
	if (entry_reader_open(r, pack_read_at, p, p->path, at->offset, end, err) == 0) {
		type = entry_reader_type(r);
		e.type = type >= GIT_DELTA ? GIT_DELTA : (enum git_type)type;
		e.size = entry_reader_size(r);
	}
	e.crc = pack_index_crc(p, at->at);
	pack_index_id(p, at->at, &e.id);
	return fn(ctx, &e, err);
}

int pack_each(struct pack_set *set, struct pack *p, pack_entry_fn *fn, void *ctx, struct err *err)
{
	struct entry_reader *r = NULL;
	struct position *v;
	int ret = -1;

	if (pack_index_check(p, err) < 0 || pin(set, p, err) < 0)
		return -1;
	v = positions(p, err);
	if (!v)
		goto out;
	r = entry_reader_new();
	for (uint32_t i = 0; i < p->count; i++) {
		uint64_t end = i + 1 < p->count ? v[i + 1].offset : pack_entries_end(p);

		if (one_entry(r, p, &v[i], end, fn, ctx, err) < 0)
			goto out;
	}
	ret = 0;
out:
	entry_reader_free(r);
	free(v);
	pack_unpin(p);
	return ret;
}

/* Bytes of the file, piece by piece, to something that looks at them. */
static int each_piece(struct pack *p, uint64_t from, uint64_t to, object_sink *sink, void *ctx,
		      struct err *err)
{
	uint8_t *piece = xmalloc(PACK_CHUNK);
	int ret = 0;
	size_t n;

	for (uint64_t at = from; ret == 0 && at < to; at += n) {
		n = to - at < PACK_CHUNK ? (size_t)(to - at) : PACK_CHUNK;
		ret = pack_read_at(p, at, piece, n, &n, err);
		if (ret == 0 && n == 0)
			ret = err_set(err, ERR_FATAL, "%s is damaged: it became shorter", p->path);
		if (ret == 0)
			ret = sink(ctx, bytes_from(piece, n), err);
	}
	free(piece);
	return ret;
}

struct copying {
	object_sink *sink;
	void *ctx;
	uint32_t crc;
};

static int copy_piece(void *ctx, struct bytes piece, struct err *err)
{
	struct copying *c = ctx;

	c->crc = crc32_of(c->crc, piece);
	return c->sink(c->ctx, piece, err);
}

int pack_entry_copy(struct pack_set *set, struct pack *p, const struct pack_entry *e,
		    object_sink *sink, void *ctx, struct err *err)
{
	struct copying c = { .sink = sink, .ctx = ctx };
	char hex[OBJECT_HEX_SIZE];
	int ret;

	if (pin(set, p, err) < 0)
		return -1;
	ret = each_piece(p, e->offset, e->offset + e->span, copy_piece, &c, err);
	if (ret == 0 && c.crc != e->crc)
		ret = err_set(err, ERR_FATAL, "%s is damaged: the bytes of object %s changed", p->path,
			      object_id_hex(&e->id, hex));
	pack_unpin(p);
	return ret;
}

static int hash_piece(void *ctx, struct bytes piece, struct err *err)
{
	(void)err;
	object_hash_update(ctx, piece);
	return 0;
}

int pack_check_file(struct pack_set *set, struct pack *p, struct err *err)
{
	struct object_hash *hash;
	struct object_id got, want;
	int ret;

	if (pack_index_check(p, err) < 0 || pin(set, p, err) < 0)
		return -1;
	hash = object_hash_new();
	object_hash_begin_raw(hash);
	ret = each_piece(p, 0, pack_entries_end(p), hash_piece, hash, err);
	object_hash_end(hash, &got);
	object_hash_free(hash);
	pack_unpin(p);
	pack_index_pack_checksum(p, &want);
	if (ret == 0 && !object_id_equal(&got, &want))
		ret = err_set(err, ERR_FATAL, "%s is damaged: its checksum is wrong", p->path);
	return ret;
}
