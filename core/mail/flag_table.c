/* A hash table of ids over an array of flag values; ids are positions in the array. */
#include <assert.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/mail/flags.h"

struct flag_table {
	struct flags *values;
	uint64_t *hashes; /* of values[], so that growing need not compute them again */
	size_t count;
	size_t cap, hash_cap;
	uint32_t *slots; /* id + 1, 0 is free; the size is a power of two */
	size_t slot_count;
};

static uint64_t mix(uint64_t hash, uint8_t c)
{
	return (hash ^ c) * 1099511628211u; /* FNV-1a */
}

static uint64_t hash_of(const struct flags *f)
{
	uint64_t hash = mix(14695981039346656037u, (uint8_t)f->bits);

	for (size_t i = 0; i < f->count; i++) {
		for (const char *s = f->keywords[i]; *s; s++)
			hash = mix(hash, ascii_lower((uint8_t)*s));
		hash = mix(hash, 0);
	}
	return hash ^ hash >> 32;
}

static void put_slot(struct flag_table *t, uint64_t hash, uint32_t id)
{
	size_t at = hash & (t->slot_count - 1);

	while (t->slots[at])
		at = (at + 1) & (t->slot_count - 1);
	t->slots[at] = id + 1;
}

static void grow_slots(struct flag_table *t)
{
	t->slot_count = t->slot_count ? t->slot_count * 2 : 32;
	free(t->slots);
	t->slots = xcalloc(t->slot_count, sizeof(*t->slots));
	for (size_t id = 0; id < t->count; id++)
		put_slot(t, t->hashes[id], (uint32_t)id);
}

struct flag_table *flag_table_new(void)
{
	struct flag_table *t = xcalloc(1, sizeof(*t));
	struct flags none = FLAGS_INIT;

	grow_slots(t);
	flag_table_intern(t, &none);
	return t;
}

void flag_table_free(struct flag_table *t)
{
	if (!t)
		return;
	for (size_t id = 0; id < t->count; id++)
		flags_release(&t->values[id]);
	free(t->values);
	free(t->hashes);
	free(t->slots);
	free(t);
}

uint32_t flag_table_intern(struct flag_table *t, const struct flags *f)
{
	uint64_t hash = hash_of(f);
	size_t at = hash & (t->slot_count - 1);

	for (; t->slots[at]; at = (at + 1) & (t->slot_count - 1)) {
		uint32_t id = t->slots[at] - 1;

		if (t->hashes[id] == hash && flags_equal(&t->values[id], f))
			return id;
	}
	assert(t->count < UINT32_MAX - 1);
	t->values = xgrow(t->values, t->count, &t->cap, sizeof(*t->values));
	t->hashes = xgrow(t->hashes, t->count, &t->hash_cap, sizeof(*t->hashes));
	flags_init(&t->values[t->count]);
	flags_copy(&t->values[t->count], f);
	t->hashes[t->count] = hash;
	t->count++;
	if (t->count * 2 > t->slot_count)
		grow_slots(t);
	else
		t->slots[at] = (uint32_t)t->count;
	return (uint32_t)(t->count - 1);
}

const struct flags *flag_table_get(const struct flag_table *t, uint32_t id)
{
	assert(id < t->count);
	return &t->values[id];
}

uint32_t flag_table_count(const struct flag_table *t)
{
	return (uint32_t)t->count;
}
