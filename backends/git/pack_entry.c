#include <stdlib.h>
#include <string.h>

#include "backends/git/deflate.h"
#include "backends/git/pack_file.h"
#include "core/base/err.h"
#include "core/base/mem.h"

struct entry_reader {
	struct inflater *inflater;
	struct object_hash *hash;
	uint8_t *piece; /* both for entry_reader_give() */
	uint8_t *window; /* what was read last: `window_n` bytes from `window_at` of `ctx` */
	size_t window_n;
	uint64_t window_at;
	read_at_fn *read_at;
	void *ctx;
	const char *path;
	uint64_t start, at, end; /* of this entry, its next raw byte, of all entries */
	unsigned type;
	uint64_t size, left;
	bool done;
};

struct entry_reader *entry_reader_new(void)
{
	struct entry_reader *r = xcalloc(1, sizeof(*r));

	r->inflater = inflater_new(NULL);
	r->window = xmalloc(PACK_CHUNK);
	r->piece = xmalloc(PACK_CHUNK);
	r->hash = object_hash_new();
	return r;
}

void entry_reader_free(struct entry_reader *r)
{
	if (!r)
		return;
	inflater_free(r->inflater);
	object_hash_free(r->hash);
	free(r->window);
	free(r->piece);
	free(r);
}

void entry_reader_forget(struct entry_reader *r)
{
	r->window_n = 0;
}

unsigned entry_reader_type(const struct entry_reader *r)
{
	return r->type;
}

uint64_t entry_reader_size(const struct entry_reader *r)
{
	return r->size;
}

static int damaged(const struct entry_reader *r, const char *what, struct err *err)
{
	return err_set(err, ERR_FATAL, "%s is damaged: the object at %llu %s", r->path,
		       (unsigned long long)r->start, what);
}

/*
 * The raw bytes from r->at on: at least `want`, unless the entries end before that. Small
 * objects lie side by side and are often wanted one after the other, so a little more is read.
 */
static int look(struct entry_reader *r, size_t want, struct bytes *view, struct err *err)
{
	uint64_t left = r->end - r->at;
	bool inside = r->at >= r->window_at && r->at - r->window_at < r->window_n;

	if (want > left)
		want = (size_t)left;
	if (!inside || r->window_n - (size_t)(r->at - r->window_at) < want) {
		/* A first look reads little: most objects are small and lie anywhere. */
		size_t n = r->at == r->start ? PACK_CHUNK / 8 : PACK_CHUNK;

		r->window_n = 0;
		if (r->read_at(r->ctx, r->at, r->window, left < n ? (size_t)left : n, &n, err) < 0)
			return -1;
		r->window_at = r->at;
		r->window_n = n;
		if (n < want)
			return damaged(r, "lies beyond the end of the file", err);
	}
	*view = bytes_skip(bytes_from(r->window, r->window_n), (size_t)(r->at - r->window_at));
	if (view->n > left)
		view->n = (size_t)left;
	return 0;
}

int entry_reader_open(struct entry_reader *r, read_at_fn *read_at, void *ctx, const char *path,
		      uint64_t offset, uint64_t end, struct err *err)
{
	struct bytes view;
	size_t head;

	if (r->ctx != ctx)
		entry_reader_forget(r);
	r->read_at = read_at;
	r->ctx = ctx;
	r->path = path;
	r->start = r->at = offset;
	r->end = end;
	r->done = false;
	if (offset < PACK_HEAD_SIZE || offset >= end)
		return damaged(r, "lies outside the file", err);
	if (look(r, ENTRY_HEAD_MAX, &view, err) < 0)
		return -1;
	head = entry_head_decode(view, &r->type, &r->size);
	if (head == 0 || r->type == 0 || r->type == 5)
		return damaged(r, "has no sound head", err);
	r->at += head;
	r->left = r->size;
	inflater_reset(r->inflater);
	return 0;
}

/* How far back: seven bits a byte, the highest first, each but the last plus one. */
static size_t decode_distance(struct bytes in, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < in.n && i < 9; i++) {
		*out = (*out << 7) + (in.p[i] & 0x7f);
		if (!(in.p[i] & 0x80))
			return i + 1;
		++*out;
	}
	return 0;
}

int entry_reader_base(struct entry_reader *r, uint64_t *offset, struct object_id *id, struct err *err)
{
	struct bytes view;
	uint64_t back;
	size_t n = OBJECT_ID_SIZE;

	*offset = 0;
	if (look(r, OBJECT_ID_SIZE, &view, err) < 0)
		return -1;
	if (r->type == 6) {
		n = decode_distance(view, &back);
		if (n == 0 || back == 0 || back > r->start - PACK_HEAD_SIZE)
			return damaged(r, "is made from one outside the file", err);
		*offset = r->start - back;
	} else if (view.n < n) {
		return damaged(r, "ends too early", err);
	} else {
		memcpy(id->b, view.p, OBJECT_ID_SIZE);
	}
	r->at += n;
	return 0;
}

int entry_reader_next(struct entry_reader *r, uint8_t *out, size_t room, size_t *got,
		      struct err *err)
{
	uint8_t beyond; /* where a byte too many would show */
	enum inflate_step step;

	*got = 0;
	while (!r->done && *got == 0) {
		bool full = r->left == 0;
		struct bytes view;
		size_t before, put;

		if (look(r, 1, &view, err) < 0)
			return -1;
		before = view.n;
		step = inflater_run(r->inflater, &view, full ? &beyond : out,
				    full ? 1 : (r->left < room ? (size_t)r->left : room), &put);
		r->at += before - view.n;
		if (step == INFLATE_DAMAGED)
			return damaged(r, "cannot be inflated", err);
		if (full && put > 0)
			return damaged(r, "is longer than its head says", err);
		r->left -= full ? 0 : put;
		*got += full ? 0 : put;
		r->done = step == INFLATE_END;
		if (r->done && r->left > 0)
			return damaged(r, "is shorter than its head says", err);
		if (!r->done && put == 0 && before == view.n)
			return damaged(r, "ends too early", err);
	}
	return 0;
}

int entry_reader_give(struct entry_reader *r, const struct object_id *id, object_sink *sink, void *ctx,
		      struct err *err)
{
	char hex[OBJECT_HEX_SIZE];
	struct object_id got;
	size_t n;

	object_hash_begin(r->hash, (enum git_type)r->type, r->size);
	do {
		if (entry_reader_next(r, r->piece, PACK_CHUNK, &n, err) < 0)
			return -1;
		object_hash_update(r->hash, bytes_from(r->piece, n));
		if (n > 0 && sink(ctx, bytes_from(r->piece, n), err) < 0)
			return -1;
	} while (n > 0);
	object_hash_end(r->hash, &got);
	if (id && !object_id_equal(&got, id))
		return err_set(err, ERR_FATAL, "%s is damaged: the object at %llu is not %s", r->path,
			       (unsigned long long)r->start, object_id_hex(id, hex));
	return 0;
}
