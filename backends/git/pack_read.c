#include "backends/git/pack_read.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/deflate.h"
#include "backends/git/pack_set.h"
#include "core/base/buf.h"
#include "core/base/mem.h"

static bool find_from(struct pack_set *set, size_t i, const struct object_id *id,
		      struct pack_at *at)
{
	for (; i < set->n; i++) {
		uint32_t n;

		if (set->v[i]->damage.kind == ERR_NONE && pack_index_find(set->v[i], id, &n)) {
			at->id = *id;
			at->pack = set->v[i];
			at->offset = pack_index_offset(set->v[i], n);
			return true;
		}
	}
	return false;
}

bool pack_set_find(struct pack_set *set, const struct object_id *id, struct pack_at *at)
{
	return find_from(set, 0, id, at);
}

bool pack_set_find_next(struct pack_set *set, struct pack_at *at)
{
	const struct object_id id = at->id;

	for (size_t i = 0; i < set->n; i++)
		if (set->v[i] == at->pack)
			return find_from(set, i + 1, &id, at);
	return false;
}

int pack_missing(struct pack_set *set, const struct object_id *id, struct err *err)
{
	const struct err *why = NULL;
	char hex[OBJECT_HEX_SIZE];

	for (size_t i = 0; i < set->n && !why; i++) {
		struct err found;

		if (pack_index_check(set->v[i], &found) < 0)
			why = pack_damage(set->v[i]);
	}
	object_id_hex(id, hex);
	if (!why)
		return err_set(err, ERR_FATAL, "object %s is not in %s", hex, set->dir);
	*err = *why;
	return err_prefix(err, "object %s was not found, and", hex);
}

/* --- one object --- */

/* Pin the pack that has it, looking for it again where that is not there any more or not sound. */
static int pin(struct pack_set *set, struct pack_at *at, struct err *err)
{
	const struct object_id id = at->id;
	int ret;

	for (int tries = 0; tries < 100; tries++) {
		ret = pack_pin(set, at->pack, err);
		if (ret == 0)
			return 0;
		if (ret < 0 && at->pack->damage.kind == ERR_NONE)
			return -1;
		if (ret > 0 && pack_set_refresh(set, err) < 0)
			return -1;
		if (!pack_set_find(set, &id, at))
			return ret > 0 ? pack_missing(set, &id, err) : -1;
	}
	return err_set(err, ERR_FATAL, "%s: packs vanish as fast as they are found", set->dir);
}

/* Open the entry; end_reading() gives all back. */
static struct entry_reader *begin_reading(struct pack_set *set, struct pack_at *at,
					  struct err *err)
{
	struct entry_reader *r;

	if (pin(set, at, err) < 0)
		return NULL;
	r = set->idle ? set->idle : entry_reader_new();
	set->idle = NULL; /* a sink may want to read, too */
	if (entry_reader_open(r, pack_read_at, at->pack, at->pack->path, at->offset,
			      pack_entries_end(at->pack), err) == 0)
		return r;
	pack_unpin(at->pack);
	entry_reader_free(r);
	return NULL;
}

static void end_reading(struct pack_set *set, struct pack *p, struct entry_reader *r)
{
	pack_unpin(p);
	if (set->idle)
		entry_reader_free(r);
	else
		set->idle = r;
}

static enum git_type type_of(const struct entry_reader *r)
{
	unsigned type = entry_reader_type(r);

	return type >= GIT_DELTA ? GIT_DELTA : (enum git_type)type;
}

int pack_object_info(struct pack_set *set, struct pack_at *at, enum git_type *type,
		     uint64_t *size, struct err *err)
{
	struct entry_reader *r = begin_reading(set, at, err);
	int ret = 0;

	if (!r)
		return -1;
	*type = type_of(r);
	*size = entry_reader_size(r);
	if (*type == GIT_DELTA)
		ret = pack_delta_info(set, at, type, size, err);
	end_reading(set, at->pack, r);
	return ret;
}

/* Made in memory, and checked before it is given away. */
static int give_delta(struct pack_set *set, const struct pack_at *at, enum git_type *type,
		      uint64_t *size, object_sink *sink, void *ctx, struct err *err)
{
	struct bytes rest;
	struct buf made;
	int ret = pack_delta_read(set, at, type, &made, err);

	*size = made.n;
	rest = buf_bytes(&made);
	while (ret == 0 && rest.n > 0) {
		size_t n = rest.n < PACK_CHUNK ? rest.n : PACK_CHUNK;

		ret = sink(ctx, bytes_from(rest.p, n), err);
		rest = bytes_skip(rest, n);
	}
	buf_release(&made);
	return ret;
}

int pack_object_stream(struct pack_set *set, struct pack_at *at, enum git_type *type,
		       uint64_t *size, object_sink *sink, void *ctx, struct err *err)
{
	struct entry_reader *r = begin_reading(set, at, err);
	enum git_type type_here;
	uint64_t size_here;
	struct pack *p;
	int ret;

	if (!r)
		return -1;
	p = at->pack;
	type = type ? type : &type_here;
	size = size ? size : &size_here;
	*type = type_of(r);
	*size = entry_reader_size(r);
	if (*type == GIT_DELTA)
		ret = give_delta(set, at, type, size, sink, ctx, err);
	else
		ret = entry_reader_give(r, &at->id, sink, ctx, err);
	end_reading(set, p, r);
	return ret;
}

static int into_buf(void *ctx, struct bytes piece, struct err *err)
{
	struct buf *b = ctx;

	if (!buf_add(b, piece))
		return err_set(err, ERR_FATAL, "larger than %zu bytes", b->max);
	return 0;
}

int pack_object_read(struct pack_set *set, struct pack_at *at, enum git_type *type,
		     struct buf *out, struct err *err)
{
	char hex[OBJECT_HEX_SIZE];

	buf_clear(out);
	if (pack_object_stream(set, at, type, NULL, into_buf, out, err) == 0)
		return 0;
	return out->overflow ? err_prefix(err, "%s: object %s", at->pack->path,
					  object_id_hex(&at->id, hex))
			     : -1;
}

/* --- as what a writer looks objects up in --- */

static int source_has(void *ctx, const struct object_id *id, struct err *err)
{
	struct pack_at at;

	(void)err;
	return pack_set_find(ctx, id, &at);
}

static int source_read(void *ctx, const struct object_id *id, enum git_type *type, uint64_t *size,
		       object_sink *sink, void *sink_ctx, struct err *err)
{
	struct pack_at at;

	if (!pack_set_find(ctx, id, &at))
		return pack_missing(ctx, id, err);
	return pack_object_stream(ctx, &at, type, size, sink, sink_ctx, err);
}

struct object_source pack_set_source(struct pack_set *set)
{
	return (struct object_source){ .ctx = set, .has = source_has, .read = source_read };
}
