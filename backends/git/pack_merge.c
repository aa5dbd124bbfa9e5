/* Several packs into one, by copying their entries as they are. */
#include <stdlib.h>
#include <string.h>

#include "backends/git/pack_private.h"
#include "backends/git/pack_set.h"
#include "core/base/buf.h"
#include "core/base/mem.h"

struct merging {
	struct pack_writer *w;
	struct pack_set *set;
	struct pack *from;
	const struct pack_table *wanted; /* NULL: everything */
	bool cannot_write;
	struct object_id *damaged; /* left out: their copies here are damaged */
	size_t n, cap;
	struct err why; /* of the first of them */
};

static int append(void *ctx, struct bytes piece, struct err *err)
{
	struct merging *m = ctx;

	m->cannot_write = out_file_put(&m->w->pack, piece, err) < 0;
	return m->cannot_write ? -1 : 0;
}

static int leave_out(struct merging *m, const struct object_id *id, uint64_t size,
		     const struct err *why, struct err *err)
{
	if (m->n == 0)
		m->why = *why;
	m->damaged = xgrow(m->damaged, m->n, &m->cap, sizeof(*m->damaged));
	m->damaged[m->n++] = *id;
	return out_file_truncate(&m->w->pack, size, err);
}

/* The object that git stored as a delta, whole. */
static int add_delta(struct merging *m, const struct pack_entry *e, struct err *err)
{
	struct pack_at at = { .id = e->id, .pack = m->from, .offset = e->offset };
	struct object_id id;
	enum git_type type;
	struct buf data;
	int ret;

	if (!m->wanted)
		return err_set(err, ERR_FATAL, "%s holds deltas: it cannot be merged", m->from->path);
	ret = pack_delta_read(m->set, &at, &type, &data, err);
	if (ret == 0)
		ret = pack_add(m->w, type, buf_bytes(&data), &id, NULL, err);
	buf_release(&data);
	return ret;
}

static int merge_entry(void *ctx, const struct pack_entry *e, struct err *err)
{
	struct merging *m = ctx;
	struct pack_record record = { .id = e->id, .crc = e->crc };
	struct err why;

	if ((m->wanted && !pack_table_find(m->wanted, &e->id)) ||
	    pack_table_find(&m->w->table, &e->id))
		return 0;
	if (e->type == GIT_DELTA)
		return add_delta(m, e, err);
	if (pack_writer_begin(m->w, &m->w->pack, err) < 0)
		return -1;
	record.where = out_file_size(&m->w->pack);
	if (pack_entry_copy(m->set, m->from, e, append, m, &why) < 0) {
		if (!m->cannot_write)
			return leave_out(m, &e->id, record.where, &why, err);
		*err = why;
		return -1;
	}
	pack_table_add(&m->w->table, &record);
	return 0;
}

static bool is_listed(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int drop(void *ctx, struct bytes piece, struct err *err)
{
	(void)ctx;
	(void)piece;
	(void)err;
	return 0;
}

/* Whether a pack that stays has it, sound. */
static bool stays(struct merging *m, const char *const *names, size_t n, const struct object_id *id)
{
	struct pack_at at;
	bool found = pack_set_find(m->set, id, &at);

	for (; found; found = pack_set_find_next(m->set, &at)) {
		struct pack_at here = at;
		struct err why;

		if (!is_listed(names, n, at.pack->name) &&
		    pack_object_stream(m->set, &here, NULL, NULL, drop, NULL, &why) == 0)
			return true;
	}
	return false;
}

/* What was left out must be there otherwise. */
static int account_for(struct merging *m, const char *const *names, size_t n, struct err *err)
{
	for (size_t i = 0; i < m->n; i++)
		if (!pack_table_find(&m->w->table, &m->damaged[i]) &&
		    !stays(m, names, n, &m->damaged[i])) {
			*err = m->why;
			return -1;
		}
	return 0;
}

int pack_merge(struct pack_set *set, const char *const *names, size_t n,
	       const struct pack_table *wanted, char name[PACK_NAME_SIZE], uint64_t *dropped,
	       struct err *err)
{
	struct merging m = { .set = set, .wanted = wanted };
	int ret = -1;

	*dropped = 0;
	for (size_t i = 0; i < n; i++)
		if (!pack_set_named(set, names[i]))
			return err_set(err, ERR_FATAL, "%s/%s is not there any more", set->dir, names[i]);
	m.w = pack_writer_new(set->dir, NULL);
	/* Newest first: where an object was stored again, the older copy may be damaged. */
	for (size_t i = 0; i < set->n; i++) {
		m.from = set->v[i];
		if (is_listed(names, n, m.from->name) && pack_each(set, m.from, merge_entry, &m, err) < 0)
			goto out;
	}
	if (account_for(&m, names, n, err) < 0)
		goto out;
	*dropped = m.n;
	ret = pack_publish(m.w, name, err);
out:
	pack_writer_free(m.w);
	free(m.damaged);
	return ret;
}
