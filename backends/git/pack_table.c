#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "backends/git/pack_file.h"
#include "core/base/mem.h"

void pack_table_init(struct pack_table *t)
{
	*t = (struct pack_table){ 0 };
	if (getrandom(&t->secret, sizeof(t->secret), 0) < 0)
		t->secret = (uintptr_t)t; /* slower in the hands of an attacker, still right */
	t->secret |= 1;
}

void pack_table_release(struct pack_table *t)
{
	free(t->v);
	free(t->slot);
	*t = (struct pack_table){ 0 };
}

void pack_table_clear(struct pack_table *t)
{
	t->n = 0;
	if (t->slot)
		memset(t->slot, 0, (t->mask + 1) * sizeof(*t->slot));
}

/* Where the id is or would be put. */
static size_t place_of(const struct pack_table *t, const struct object_id *id)
{
	size_t at = (size_t)(get_be64(id->b) * t->secret >> t->shift);

	while (t->slot[at] && !object_id_equal(&t->v[t->slot[at] - 1].id, id))
		at = (at + 1) & t->mask;
	return at;
}

struct pack_record *pack_table_find(const struct pack_table *t, const struct object_id *id)
{
	size_t at;

	if (t->n == 0)
		return NULL;
	at = place_of(t, id);
	return t->slot[at] ? &t->v[t->slot[at] - 1] : NULL;
}

static void more_slots(struct pack_table *t)
{
	size_t n = t->slot ? 2 * (t->mask + 1) : 256;

	free(t->slot);
	t->slot = xcalloc(n, sizeof(*t->slot));
	t->mask = n - 1;
	t->shift = 64 - (unsigned)__builtin_ctzll(n);
	for (size_t i = 0; i < t->n; i++)
		t->slot[place_of(t, &t->v[i].id)] = (uint32_t)(i + 1);
}

void pack_table_add(struct pack_table *t, const struct pack_record *record)
{
	assert(t->n < UINT32_MAX / 2);
	if (!t->slot || t->n >= (t->mask + 1) / 4 * 3)
		more_slots(t);
	t->v = xgrow(t->v, t->n, &t->cap, sizeof(*t->v));
	t->v[t->n++] = *record;
	t->slot[place_of(t, &record->id)] = (uint32_t)t->n;
}

static int by_id(const void *a, const void *b)
{
	const struct pack_record *x = a, *y = b;

	return object_id_compare(&x->id, &y->id);
}

/* Everything put into the index is hashed, for the checksum at its end. */
struct index_out {
	struct out_file *f;
	struct object_hash *hash;
};

static int index_put(struct index_out *o, const void *p, size_t n, struct err *err)
{
	object_hash_update(o->hash, bytes_from(p, n));
	return out_file_put(o->f, bytes_from(p, n), err);
}

static int index_put_u32(struct index_out *o, uint32_t v, struct err *err)
{
	uint8_t b[4];

	put_be32(b, v);
	return index_put(o, b, sizeof(b), err);
}

static int put_fanout(struct index_out *o, const struct pack_record *v, size_t n, struct err *err)
{
	size_t upto = 0;

	for (unsigned byte = 0; byte < 256; byte++) {
		while (upto < n && v[upto].id.b[0] <= byte)
			upto++;
		if (index_put_u32(o, (uint32_t)upto, err) < 0)
			return -1;
	}
	return 0;
}

static int put_offsets(struct index_out *o, const struct pack_record *v, size_t n, uint64_t large,
		       struct err *err)
{
	uint32_t count = 0;

	for (size_t i = 0; i < n; i++) {
		bool is_large = v[i].where >= large;
		uint32_t word = is_large ? UINT32_C(1) << 31 | count++ : (uint32_t)v[i].where;

		if (index_put_u32(o, word, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (v[i].where >= large &&
		    (index_put_u32(o, (uint32_t)(v[i].where >> 32), err) < 0 ||
		     index_put_u32(o, (uint32_t)v[i].where, err) < 0))
			return -1;
	return 0;
}

static int put_tables(struct index_out *o, const struct pack_record *v, size_t n, uint64_t large,
		      struct err *err)
{
	static const uint8_t head[] = { 0xff, 't', 'O', 'c', 0, 0, 0, 2 };

	if (index_put(o, head, sizeof(head), err) < 0 || put_fanout(o, v, n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (index_put(o, v[i].id.b, OBJECT_ID_SIZE, err) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		if (index_put_u32(o, v[i].crc, err) < 0)
			return -1;
	return put_offsets(o, v, n, large, err);
}

int pack_index_write(struct out_file *f, struct pack_record *v, size_t n, uint64_t large,
		     const struct object_id *pack_checksum, struct err *err)
{
	struct index_out o = { .f = f, .hash = object_hash_new() };
	struct object_id checksum;
	int ret = -1;

	if (n > 0)
		qsort(v, n, sizeof(*v), by_id);
	object_hash_begin_raw(o.hash);
	if (put_tables(&o, v, n, large, err) < 0 ||
	    index_put(&o, pack_checksum->b, OBJECT_ID_SIZE, err) < 0)
		goto out;
	object_hash_end(o.hash, &checksum);
	ret = out_file_put(f, bytes_from(checksum.b, OBJECT_ID_SIZE), err);
out:
	object_hash_free(o.hash);
	return ret;
}
