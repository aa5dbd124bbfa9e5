#include "backends/git/pack_write.h"

#include <assert.h>
#include <stdlib.h>

#include "backends/git/deflate.h"
#include "backends/git/pack_private.h"
#include "core/base/mem.h"

/* The writer, and objects that are added whole. */

/* --- the writer --- */

struct pack_writer *pack_writer_new(const char *pack_dir, const struct object_source *repo)
{
	struct pack_writer *w = xcalloc(1, sizeof(*w));

	w->dir = xstrdup(pack_dir);
	if (repo)
		w->repo = *repo;
	w->pack = w->aside = (struct out_file)OUT_FILE_INIT;
	pack_table_init(&w->table);
	w->deflater = deflater_new(NULL);
	w->hash = object_hash_new();
	return w;
}

void pack_writer_free(struct pack_writer *w)
{
	if (!w)
		return;
	assert(w->open_streams == 0);
	out_file_discard(&w->pack);
	out_file_discard(&w->aside);
	pack_table_release(&w->table);
	deflater_free(w->deflater);
	object_hash_free(w->hash);
	entry_reader_free(w->own);
	entry_reader_free(w->stored);
	free(w->dir);
	free(w);
}

int pack_writer_check(const struct pack_writer *w, struct err *err)
{
	if (w->broken.kind == ERR_NONE)
		return 0;
	*err = w->broken;
	return -1;
}

int pack_writer_spoil(struct pack_writer *w, const struct err *err)
{
	if (err->kind == ERR_FATAL && w->broken.kind == ERR_NONE)
		w->broken = *err;
	return -1;
}

uint32_t pack_pending_count(const struct pack_writer *w)
{
	return (uint32_t)w->table.n;
}

uint64_t pack_pending_bytes(const struct pack_writer *w)
{
	uint64_t n = out_file_size(&w->pack);

	return w->aside.fd < 0 ? n : n + out_file_size(&w->aside) - PACK_HEAD_SIZE;
}

bool pack_pending_has(const struct pack_writer *w, const struct object_id *id)
{
	return pack_table_find(&w->table, id) != NULL;
}

/* --- one entry on its way into a file --- */

int entry_out_begin(struct entry_out *e, struct out_file *f, struct deflater *d, enum git_type type,
		    uint64_t size, struct err *err)
{
	uint8_t head[ENTRY_HEAD_MAX];
	struct bytes b = bytes_from(head, entry_head_encode(head, type, size));

	deflater_reset(d);
	*e = (struct entry_out){ .f = f,
				 .deflater = d,
				 .start = out_file_size(f),
				 .crc = crc32_of(0, b) };
	return out_file_put(f, b, err);
}

int entry_out_write(struct entry_out *e, struct bytes in, bool last, struct err *err)
{
	bool whole;

	do {
		uint8_t *room;
		size_t n;

		if (out_file_room(e->f, &room, err) < 0)
			return -1;
		n = deflater_run(e->deflater, &in, last, room, PACK_CHUNK, &whole);
		e->crc = crc32_of(e->crc, bytes_from(room, n));
		out_file_came(e->f, n);
	} while (in.n > 0 || (last && !whole));
	return 0;
}

/* --- whole objects --- */

int pack_writer_begin(struct pack_writer *w, struct out_file *f, struct err *err)
{
	static const uint8_t head[PACK_HEAD_SIZE] = { 'P', 'A', 'C', 'K', 0, 0, 0, 2 };

	if (f->fd >= 0)
		return 0;
	if (out_file_create(f, w->dir, "pack", f == &w->aside, err) < 0)
		return -1;
	return out_file_put(f, bytes_from(head, sizeof(head)), err);
}

static int store(struct pack_writer *w, const struct object_id *id, enum git_type type,
		 uint64_t size, struct own_bytes own, struct err *err)
{
	struct out_file *f = w->direct ? &w->aside : &w->pack;
	struct pack_record record = { .id = *id };
	struct entry_out e;
	struct bytes piece;

	if (pack_writer_begin(w, f, err) < 0 ||
	    entry_out_begin(&e, f, w->deflater, type, size, err) < 0)
		return -1;
	do {
		if (own_bytes_next(&own, &piece, err) < 0)
			return -1;
		if (entry_out_write(&e, piece, piece.n == 0, err) < 0)
			return -1;
	} while (piece.n > 0);
	record.crc = e.crc;
	record.where = e.start | (w->direct ? PACK_ASIDE : 0);
	pack_table_add(&w->table, &record);
	return 0;
}

static int hash_of(struct pack_writer *w, struct object_id *id, enum git_type type, uint64_t size,
		   struct own_bytes own, struct err *err)
{
	struct bytes piece;

	object_hash_begin(w->hash, type, size);
	do {
		if (own_bytes_next(&own, &piece, err) < 0)
			return -1;
		object_hash_update(w->hash, piece);
	} while (piece.n > 0);
	object_hash_end(w->hash, id);
	return 0;
}

int pack_writer_add(struct pack_writer *w, enum git_type type, uint64_t size,
		    const struct own_bytes *own, struct object_id *id, bool *added, struct err *err)
{
	int known;

	if (hash_of(w, id, type, size, *own, err) < 0)
		return -1;
	known = pack_writer_knows(w, id, type, size, own, err);
	if (known == 0 && store(w, id, type, size, *own, err) < 0)
		known = -1;
	if (added)
		*added = known == 0;
	return known < 0 ? -1 : 0;
}

int pack_add(struct pack_writer *w, enum git_type type, struct bytes data, struct object_id *id,
	     bool *added, struct err *err)
{
	const struct own_bytes own = { .memory = data };

	if (pack_writer_check(w, err) < 0)
		return -1;
	if (pack_writer_add(w, type, data.n, &own, id, added, err) < 0)
		return pack_writer_spoil(w, err);
	return 0;
}
