/* Whether an object that is being added is there already, with the same bytes; and reading what is pending. */
#include <string.h>

#include "backends/git/pack_private.h"
#include "core/base/log.h"

int own_bytes_next(struct own_bytes *o, struct bytes *piece, struct err *err)
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

/* --- what is pending --- */

/* w->stored at the beginning of an object that is pending. */
static int open_pending(struct pack_writer *w, const struct object_id *id, struct err *err)
{
	const struct pack_record *r = pack_table_find(&w->table, id);
	char hex[OBJECT_HEX_SIZE];
	struct out_file *f;

	if (!r)
		return err_set(err, ERR_FATAL, "object %s is not pending", object_id_hex(id, hex));
	f = r->where & PACK_ASIDE ? &w->aside : &w->pack;
	if (!w->stored)
		w->stored = entry_reader_new();
	entry_reader_forget(w->stored);
	return entry_reader_open(w->stored, out_file_read_at, f, f->path, r->where & ~PACK_ASIDE,
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

/* --- comparing --- */

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

		if (c->rest.n == 0 && own_bytes_next(&c->own, &c->rest, err) < 0) {
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

int pack_writer_knows(struct pack_writer *w, const struct object_id *id, enum git_type type,
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
