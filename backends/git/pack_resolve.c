/* Objects that are stored as deltas: find what they are made from, and make them. In memory. */
#include <stdlib.h>

#include "backends/git/pack_delta.h"
#include "backends/git/pack_set.h"
#include "core/base/buf.h"
#include "core/base/mem.h"

/* git makes chains of at most 4095, and none of objects above core.bigFileThreshold, 512 MB. */
#define CHAIN_MAX 4096
#define OBJECT_MAX ((size_t)512 << 20)

struct link {
	struct pack *pack;
	uint64_t offset;
};

struct chain {
	struct link *v; /* the object; what it is made from; ...; what is no delta */
	size_t n, cap;
	enum git_type type;
};

/* Every pin here is one of a pack that was just found. */
static int open_link(struct pack_set *set, const struct link *l, struct entry_reader *r, struct err *err)
{
	int ret = pack_pin(set, l->pack, err);

	if (ret > 0)
		return err_set(err, ERR_FATAL, "%s is not there any more", l->pack->path);
	if (ret == 0 && entry_reader_open(r, pack_read_at, l->pack, l->pack->path, l->offset,
					  pack_entries_end(l->pack), err) < 0) {
		pack_unpin(l->pack);
		return -1;
	}
	return ret;
}

static bool is_delta(const struct entry_reader *r)
{
	return entry_reader_type(r) >= GIT_DELTA;
}

/* What the entry at hand is made from. */
static int find_base(struct pack_set *set, const struct link *l, struct entry_reader *r,
		     struct link *out, struct err *err)
{
	char hex[OBJECT_HEX_SIZE];
	struct object_id id;
	struct pack_at at;

	*out = (struct link){ .pack = l->pack };
	if (entry_reader_base(r, &out->offset, &id, err) < 0)
		return -1;
	if (out->offset > 0)
		return 0;
	if (!pack_set_find(set, &id, &at))
		return err_set(err, ERR_FATAL, "%s is damaged: it has a delta from object %s, which is nowhere",
			       l->pack->path, object_id_hex(&id, hex));
	*out = (struct link){ .pack = at.pack, .offset = at.offset };
	return 0;
}

static int walk(struct pack_set *set, struct link l, struct entry_reader *r, struct chain *c,
		struct err *err)
{
	*c = (struct chain){ 0 };
	for (;;) {
		struct link next = l;
		int ret = 0;

		if (c->n == CHAIN_MAX)
			return err_set(err, ERR_FATAL, "%s is damaged: a delta of a delta without end",
				       l.pack->path);
		c->v = xgrow(c->v, c->n, &c->cap, sizeof(*c->v));
		c->v[c->n++] = l;
		if (open_link(set, &l, r, err) < 0)
			return -1;
		if (is_delta(r))
			ret = find_base(set, &l, r, &next, err);
		else
			c->type = (enum git_type)entry_reader_type(r);
		pack_unpin(l.pack);
		if (ret < 0 || c->type != GIT_NONE)
			return ret;
		l = next;
	}
}

/* All bytes of an entry: an object's or a delta's. */
static int inflate(struct pack_set *set, const struct link *l, struct entry_reader *r,
		   struct buf *out, struct err *err)
{
	struct object_id id;
	uint64_t offset;
	size_t n = 1;
	int ret = -1;

	buf_clear(out);
	if (open_link(set, l, r, err) < 0)
		return -1;
	if (is_delta(r) && entry_reader_base(r, &offset, &id, err) < 0)
		goto out;
	while (n > 0) {
		if (!buf_reserve(out, PACK_CHUNK)) {
			err_set(err, ERR_FATAL, "%s: an object made from a delta is larger than %zu bytes",
				l->pack->path, OBJECT_MAX);
			goto out;
		}
		if (entry_reader_next(r, out->p + out->n, PACK_CHUNK, &n, err) < 0)
			goto out;
		buf_grow(out, n);
	}
	ret = 0;
out:
	pack_unpin(l->pack);
	return ret;
}

static int make(struct pack_set *set, const struct chain *c, struct entry_reader *r,
		struct buf *out, struct err *err)
{
	struct buf delta = BUF_INIT(OBJECT_MAX + PACK_CHUNK);
	struct buf base = BUF_INIT(OBJECT_MAX + PACK_CHUNK);
	int ret = inflate(set, &c->v[c->n - 1], r, out, err);

	for (size_t i = c->n - 1; i > 0 && ret == 0; i--) {
		const struct link *l = &c->v[i - 1];
		struct buf from;

		ret = inflate(set, l, r, &delta, err);
		if (ret < 0)
			break;
		ret = delta_apply(buf_bytes(out), buf_bytes(&delta), &base, err);
		if (ret < 0)
			err_prefix(err, "%s is damaged: the object at %llu", l->pack->path,
				   (unsigned long long)l->offset);
		from = *out;
		*out = base;
		base = from;
	}
	buf_release(&delta);
	buf_release(&base);
	return ret;
}

int pack_delta_read(struct pack_set *set, const struct pack_at *at, enum git_type *type,
		    struct buf *out, struct err *err)
{
	struct entry_reader *r = entry_reader_new();
	struct object_id got;
	char hex[OBJECT_HEX_SIZE];
	struct chain c;
	int ret = walk(set, (struct link){ at->pack, at->offset }, r, &c, err);

	buf_init(out, OBJECT_MAX + PACK_CHUNK);
	if (ret == 0)
		ret = make(set, &c, r, out, err);
	if (ret == 0) {
		*type = c.type;
		object_id_of(&got, c.type, buf_bytes(out));
		if (!object_id_equal(&got, &at->id))
			ret = err_set(err, ERR_FATAL, "%s is damaged: the object at %llu is not %s",
				      at->pack->path, (unsigned long long)at->offset,
				      object_id_hex(&at->id, hex));
	}
	free(c.v);
	entry_reader_free(r);
	return ret;
}

/* Of the delta only the beginning is looked at. */
static int made_size(struct pack_set *set, const struct link *l, struct entry_reader *r,
		     uint64_t *size, struct err *err)
{
	uint8_t begin[32];
	struct object_id id;
	uint64_t offset, from;
	size_t have = 0, n = 1;
	int ret;

	if (open_link(set, l, r, err) < 0)
		return -1;
	ret = entry_reader_base(r, &offset, &id, err);
	for (; ret == 0 && n > 0 && have < sizeof(begin); have += n)
		ret = entry_reader_next(r, begin + have, sizeof(begin) - have, &n, err);
	pack_unpin(l->pack);
	if (ret == 0 && !delta_sizes(bytes_from(begin, have), &from, size))
		ret = err_set(err, ERR_FATAL, "%s is damaged: the delta at %llu has no sizes",
			      l->pack->path, (unsigned long long)l->offset);
	return ret;
}

int pack_delta_info(struct pack_set *set, const struct pack_at *at, enum git_type *type,
		    uint64_t *size, struct err *err)
{
	struct entry_reader *r = entry_reader_new();
	struct chain c;
	int ret = walk(set, (struct link){ at->pack, at->offset }, r, &c, err);

	*type = c.type;
	if (ret == 0)
		ret = made_size(set, &c.v[0], r, size, err);
	free(c.v);
	entry_reader_free(r);
	return ret;
}
