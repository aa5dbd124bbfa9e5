/* Objects that come in pieces: small ones are gathered in memory, large ones go straight into the pack. */
#include <stdlib.h>

#include "backends/git/deflate.h"
#include "backends/git/pack_private.h"
#include "core/base/buf.h"
#include "core/base/mem.h"

#define HELD_MAX ((size_t)1 << 20) /* as the header says: larger objects are not held in memory */

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
	return entry_out_begin(&s->out, &w->pack, s->deflater, s->type, s->size, err);
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
		return entry_out_write(&s->out, piece, false, err);
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
		w->table.v[i].where = (w->table.v[i].where & ~PACK_ASIDE) + moved;
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
		if (own_bytes_next(&own, &piece, &failed) < 0)
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

/* As pack_writer_knows() of them. */
static int is_direct_known(struct pack_stream *s, const struct object_id *id, struct err *err)
{
	struct own_bytes own = { .scratch = xmalloc(PACK_CHUNK) };
	struct err second;
	int known = -1;

	if (open_direct(s, &own, err) == 0)
		known = pack_writer_knows(s->w, id, s->type, s->size, &own, err);
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

	if (entry_out_write(&s->out, bytes_from(NULL, 0), true, err) < 0)
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
	ret = pack_writer_add(s->w, s->type, s->got, &own, id, added, err);
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
