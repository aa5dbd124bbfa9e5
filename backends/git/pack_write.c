#include "backends/git/pack_write.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backends/git/deflate.h"
#include "backends/git/pack_private.h"
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define ASIDE (UINT64_C(1) << 63) /* in pack_record.where: an offset in w->aside */
#define HELD_MAX ((size_t)1 << 20) /* as the header says: larger objects are not held in memory */

/* --- one entry on its way into a file --- */

struct entry_out {
	struct out_file *f;
	struct deflater *deflater;
	uint64_t start;
	uint32_t crc;
};

static int entry_begin(struct entry_out *e, struct out_file *f, struct deflater *d,
		       enum git_type type, uint64_t size, struct err *err)
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

static int entry_write(struct entry_out *e, struct bytes in, bool last, struct err *err)
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

/* --- the bytes of an object that is being added, to be read as often as needed --- */

struct own_bytes {
	struct bytes memory;        /* these, or */
	struct entry_reader *entry; /* what comes from here, or */
	struct out_file *spool;     /* this file */
	uint64_t spool_at;
	uint8_t *scratch; /* PACK_CHUNK, for the latter two */
};

static int own_next(struct own_bytes *o, struct bytes *piece, struct err *err)
{
	size_t n = 0;

	if (o->entry || o->spool) {
		if (o->entry ? entry_reader_next(o->entry, o->scratch, PACK_CHUNK, &n, err)
			     : out_file_read_at(o->spool, o->spool_at, o->scratch, PACK_CHUNK, &n,
						err))
			return -1;
		o->spool_at += n;
		*piece = bytes_from(o->scratch, n);
		return 0;
	}
	*piece = o->memory;
	o->memory = bytes_skip(o->memory, o->memory.n);
	return 0;
}

/* --- is it there already? --- */

struct comparison {
	struct own_bytes own;
	struct bytes rest; /* of the piece of `own` that was read last */
	bool differs;
	bool failed; /* to read `own` */
};

/* Goes on after a difference: only an object that turns out whole at its end is another one. */
static int compare_piece(void *ctx, struct bytes piece, struct err *err)
{
	struct comparison *c = ctx;

	while (piece.n > 0 && !c->differs) {
		size_t n;

		if (c->rest.n == 0 && own_next(&c->own, &c->rest, err) < 0) {
			c->failed = true;
			return -1;
		}
		n = c->rest.n < piece.n ? c->rest.n : piece.n;
		c->differs = n == 0 || memcmp(c->rest.p, piece.p, n) != 0;
		c->rest = bytes_skip(c->rest, n);
		piece = bytes_skip(piece, n);
	}
	return 0;
}

static int open_pending(struct pack_writer *w, const struct object_id *id, struct err *err);

/* A source of what is pending. Its hash is not checked again: it was written a moment ago. */
static int read_pending(void *ctx, const struct object_id *id, enum git_type *type, uint64_t *size,
			object_sink *sink, void *sink_ctx, struct err *err)
{
	struct pack_writer *w = ctx;

	if (open_pending(w, id, err) < 0)
		return -1;
	*type = (enum git_type)entry_reader_type(w->stored);
	*size = entry_reader_size(w->stored);
	return entry_reader_give(w->stored, NULL, sink, sink_ctx, err);
}

/*
 * 1: it is pending or in the repository, with the same bytes. 0: it must be stored. -1 with *err
 * set: ERR_MESSAGE where the bytes differ.
 */
static int is_known(struct pack_writer *w, const struct object_id *id, enum git_type type,
		    uint64_t size, const struct own_bytes *own, struct err *err)
{
	const struct object_source mine = { .ctx = w, .read = read_pending };
	const struct object_source *from = &mine;
	struct comparison c = { .own = *own };
	enum git_type stored_type = type;
	uint64_t stored_size = size;
	char hex[OBJECT_HEX_SIZE];
	int ret;

	if (!pack_table_find(&w->table, id)) {
		from = &w->repo;
		ret = from->has ? from->has(from->ctx, id, err) : 0;
		if (ret <= 0)
			return ret;
	}
	ret = from->read(from->ctx, id, &stored_type, &stored_size, compare_piece, &c, err);
	if (c.failed)
		return -1;
	if (ret == 0 && (c.differs || stored_type != type || stored_size != size))
		return err_set(err, ERR_MESSAGE,
			       "another object than the one stored as %s has the same id",
			       object_id_hex(id, hex));
	if (ret < 0 && from == &w->repo && err->kind == ERR_FATAL) {
		log_warn("%s: object %s is stored again", err->text, object_id_hex(id, hex));
		return 0;
	}
	return ret < 0 ? -1 : 1;
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

	if (pack_writer_begin(w, f, err) < 0 || entry_begin(&e, f, w->deflater, type, size, err) < 0)
		return -1;
	do {
		if (own_next(&own, &piece, err) < 0)
			return -1;
		if (entry_write(&e, piece, piece.n == 0, err) < 0)
			return -1;
	} while (piece.n > 0);
	record.crc = e.crc;
	record.where = e.start | (w->direct ? ASIDE : 0);
	pack_table_add(&w->table, &record);
	return 0;
}

static int hash_of(struct pack_writer *w, struct object_id *id, enum git_type type, uint64_t size,
		   struct own_bytes own, struct err *err)
{
	struct bytes piece;

	object_hash_begin(w->hash, type, size);
	do {
		if (own_next(&own, &piece, err) < 0)
			return -1;
		object_hash_update(w->hash, piece);
	} while (piece.n > 0);
	object_hash_end(w->hash, id);
	return 0;
}

static int add_own(struct pack_writer *w, enum git_type type, uint64_t size,
		   const struct own_bytes *own, struct object_id *id, bool *added, struct err *err)
{
	int known;

	if (hash_of(w, id, type, size, *own, err) < 0)
		return -1;
	known = is_known(w, id, type, size, own, err);
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
	if (add_own(w, type, data.n, &own, id, added, err) < 0)
		return pack_writer_spoil(w, err);
	return 0;
}

/* --- streams --- */

struct pack_stream {
	struct pack_writer *w;
	enum git_type type;
	uint64_t size, got;
	struct buf held; /* of an object that is small so far */
	struct out_file spool;
	struct entry_out out; /* of the one that goes straight into the pack */
	struct deflater *deflater;
	struct object_hash *hash;
	object_sink *twin_sink; /* NULL: none */
	void *twin_ctx;
	struct err failed; /* kind ERR_NONE: nothing did */
};

static int begin_direct(struct pack_stream *s, struct err *err)
{
	struct pack_writer *w = s->w;

	if (pack_writer_begin(w, &w->pack, err) < 0)
		return -1;
	s->deflater = deflater_new(NULL);
	s->hash = object_hash_new();
	object_hash_begin(s->hash, s->type, s->size);
	w->direct = s;
	w->first_aside = w->table.n;
	return entry_begin(&s->out, &w->pack, s->deflater, s->type, s->size, err);
}

/* Frees it; whatever it wrote into the pack must have been settled. */
static void stream_free(struct pack_stream *s)
{
	s->w->open_streams--;
	buf_release(&s->held);
	out_file_discard(&s->spool);
	deflater_free(s->deflater);
	object_hash_free(s->hash);
	free(s);
}

struct pack_stream *pack_stream_begin(struct pack_writer *w, enum git_type type, uint64_t size,
				      struct err *err)
{
	struct pack_stream *s;

	if (pack_writer_check(w, err) < 0)
		return NULL;
	s = xcalloc(1, sizeof(*s));
	s->w = w;
	s->type = type;
	s->size = size;
	s->spool = (struct out_file)OUT_FILE_INIT;
	buf_init(&s->held, HELD_MAX);
	w->open_streams++;
	if (size != PACK_SIZE_UNKNOWN && size > HELD_MAX && !w->direct && begin_direct(s, err) < 0) {
		pack_writer_spoil(w, err);
		w->direct = NULL;
		stream_free(s);
		return NULL;
	}
	return s;
}

static int spool_write(struct pack_stream *s, struct bytes piece, struct err *err)
{
	if (s->spool.fd < 0) {
		if (out_file_create(&s->spool, s->w->dir, "spool", true, err) < 0 ||
		    out_file_put(&s->spool, buf_bytes(&s->held), err) < 0)
			return -1;
		buf_release(&s->held);
	}
	return out_file_put(&s->spool, piece, err);
}

static int stream_take(struct pack_stream *s, struct bytes piece, struct err *err)
{
	if (s->size != PACK_SIZE_UNKNOWN && piece.n > s->size - s->got)
		return err_set(err, ERR_MESSAGE, "more than the %llu bytes that were announced",
			       (unsigned long long)s->size);
	s->got += piece.n;
	if (s->w->direct == s) {
		object_hash_update(s->hash, piece);
		return entry_write(&s->out, piece, false, err);
	}
	if (s->got <= HELD_MAX) {
		buf_add(&s->held, piece);
		return 0;
	}
	return spool_write(s, piece, err);
}

int pack_stream_write(struct pack_stream *s, struct bytes piece, struct err *err)
{
	if (pack_writer_check(s->w, err) < 0)
		return -1;
	if (s->failed.kind != ERR_NONE) {
		*err = s->failed;
		return -1;
	}
	if (stream_take(s, piece, err) == 0)
		return 0;
	s->failed = *err;
	return pack_writer_spoil(s->w, err);
}

static int copy_rest(struct out_file *from, uint64_t at, struct out_file *to, struct err *err)
{
	uint64_t size = out_file_size(from);

	while (at < size) {
		uint8_t *room;
		size_t n;

		if (out_file_room(to, &room, err) < 0 ||
		    out_file_read_at(from, at, room, PACK_CHUNK, &n, err) < 0)
			return -1;
		out_file_came(to, n);
		at += n;
	}
	return 0;
}

/* The direct stream has ended, one way or the other: move what had to wait behind it. */
static int settle_aside(struct pack_writer *w, struct err *err)
{
	uint64_t moved = out_file_size(&w->pack) - PACK_HEAD_SIZE;

	w->direct = NULL;
	if (w->aside.fd < 0)
		return 0;
	if (copy_rest(&w->aside, PACK_HEAD_SIZE, &w->pack, err) < 0)
		return -1;
	for (size_t i = w->first_aside; i < w->table.n; i++)
		w->table.v[i].where = (w->table.v[i].where & ~ASIDE) + moved;
	return out_file_truncate(&w->aside, PACK_HEAD_SIZE, err);
}

static int drop_direct(struct pack_stream *s, struct err *err)
{
	if (out_file_truncate(&s->w->pack, s->out.start, err) < 0)
		return -1;
	return settle_aside(s->w, err);
}

int pack_writer_carry(struct pack_writer *w, struct out_file *next, struct err *err)
{
	struct pack_stream *s = w->direct;

	if (pack_writer_begin(w, next, err) < 0 ||
	    copy_rest(&w->pack, s->out.start, next, err) < 0 ||
	    out_file_truncate(&w->pack, s->out.start, err) < 0 || settle_aside(w, err) < 0)
		return -1;
	s->out.start = PACK_HEAD_SIZE; /* `next` becomes w->pack */
	return 0;
}

void pack_stream_save_twin(struct pack_stream *s, object_sink *sink, void *ctx)
{
	s->twin_sink = sink;
	s->twin_ctx = ctx;
}

/* The object is refused with *err: its bytes to whom they may concern. */
static int give_twin(const struct pack_stream *s, struct own_bytes own, struct err *err)
{
	struct bytes piece;
	struct err failed;

	if (!s->twin_sink || err->kind != ERR_MESSAGE)
		return -1;
	for (;;) {
		if (own_next(&own, &piece, &failed) < 0)
			break;
		if (piece.n == 0)
			return -1;
		if (s->twin_sink(s->twin_ctx, piece, &failed) < 0)
			break;
	}
	*err = failed;
	return -1;
}

/* The bytes at the end of the pack, from their beginning. */
static int open_direct(struct pack_stream *s, struct own_bytes *own, struct err *err)
{
	struct pack_writer *w = s->w;

	if (!w->own)
		w->own = entry_reader_new();
	entry_reader_forget(w->own);
	own->entry = w->own;
	return entry_reader_open(w->own, out_file_read_at, &w->pack, w->pack.path, s->out.start,
				 out_file_size(&w->pack), err);
}

/* As is_known() of them. */
static int is_direct_known(struct pack_stream *s, const struct object_id *id, struct err *err)
{
	struct own_bytes own = { .scratch = xmalloc(PACK_CHUNK) };
	struct err second;
	int known = -1;

	if (open_direct(s, &own, err) == 0)
		known = is_known(s->w, id, s->type, s->size, &own, err);
	if (known < 0 && err->kind == ERR_MESSAGE) {
		if (open_direct(s, &own, &second) < 0)
			*err = second;
		else
			give_twin(s, own, err);
	}
	free(own.scratch);
	return known;
}

static int end_direct(struct pack_stream *s, struct object_id *id, bool *added, struct err *err)
{
	struct pack_record record;
	int known;

	if (entry_write(&s->out, bytes_from(NULL, 0), true, err) < 0)
		return -1;
	object_hash_end(s->hash, id);
	known = is_direct_known(s, id, err);
	if (known == 0) {
		if (settle_aside(s->w, err) < 0)
			return -1;
		record = (struct pack_record){ .id = *id, .crc = s->out.crc, .where = s->out.start };
		pack_table_add(&s->w->table, &record);
	} else {
		struct err why = *err;

		if (drop_direct(s, err) < 0)
			return -1;
		*err = why;
	}
	if (added)
		*added = known == 0;
	return known < 0 ? -1 : 0;
}

static int end_gathered(struct pack_stream *s, struct object_id *id, bool *added, struct err *err)
{
	struct own_bytes own = { .memory = buf_bytes(&s->held) };
	int ret;

	if (s->spool.fd >= 0)
		own = (struct own_bytes){ .spool = &s->spool, .scratch = xmalloc(PACK_CHUNK) };
	ret = add_own(s->w, s->type, s->got, &own, id, added, err);
	if (ret < 0)
		give_twin(s, own, err);
	free(own.scratch);
	return ret;
}

int pack_stream_end(struct pack_stream *s, struct object_id *id, bool *added, struct err *err)
{
	struct pack_writer *w = s->w;
	int ret = pack_writer_check(w, err);

	if (ret == 0 && s->failed.kind != ERR_NONE) {
		*err = s->failed;
		ret = -1;
	} else if (ret == 0 && s->size != PACK_SIZE_UNKNOWN && s->got != s->size) {
		ret = err_set(err, ERR_MESSAGE, "%llu of the %llu bytes that were announced",
			      (unsigned long long)s->got, (unsigned long long)s->size);
	} else if (ret == 0) {
		ret = w->direct == s ? end_direct(s, id, added, err) : end_gathered(s, id, added, err);
		if (ret < 0)
			pack_writer_spoil(w, err);
	}
	pack_stream_abort(s); /* of what is settled already only memory is left */
	return ret;
}

void pack_stream_abort(struct pack_stream *s)
{
	struct err err;

	if (!s)
		return;
	if (s->w->direct == s) {
		if (s->w->broken.kind == ERR_NONE && drop_direct(s, &err) < 0)
			pack_writer_spoil(s->w, &err);
		s->w->direct = NULL;
	}
	stream_free(s);
}

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

/* w->stored at the beginning of an object that is pending. */
static int open_pending(struct pack_writer *w, const struct object_id *id, struct err *err)
{
	const struct pack_record *r = pack_table_find(&w->table, id);
	char hex[OBJECT_HEX_SIZE];
	struct out_file *f;

	if (!r)
		return err_set(err, ERR_FATAL, "object %s is not pending", object_id_hex(id, hex));
	f = r->where & ASIDE ? &w->aside : &w->pack;
	if (!w->stored)
		w->stored = entry_reader_new();
	entry_reader_forget(w->stored);
	return entry_reader_open(w->stored, out_file_read_at, f, f->path, r->where & ~ASIDE,
				 out_file_size(f), err);
}

int pack_pending_read(struct pack_writer *w, const struct object_id *id, enum git_type *type,
		      uint64_t *size, object_sink *sink, void *sink_ctx, struct err *err)
{
	if (pack_writer_check(w, err) < 0 || open_pending(w, id, err) < 0)
		return -1;
	*type = (enum git_type)entry_reader_type(w->stored);
	*size = entry_reader_size(w->stored);
	return entry_reader_give(w->stored, id, sink, sink_ctx, err);
}
