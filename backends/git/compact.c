#include "backends/git/compact.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/git/identify.h"
#include "backends/git/pack_file.h"
#include "backends/git/pack_read.h"
#include "backends/git/pack_write.h"
#include "core/base/lockfile.h"
#include "core/base/mem.h"

struct names {
	const char **v; /* of packs, borrowed from the set */
	size_t n;
};

static void measure(const struct repo *r, uint64_t *files, uint64_t *bytes)
{
	*files = pack_set_count(r->packs);
	*bytes = 0;
	for (size_t i = 0; i < *files; i++)
		*bytes += pack_file_size(pack_set_pack(r->packs, i));
}

static bool is_ours(const struct pack *p)
{
	return pack_is_ours(p) && !pack_damage(p);
}

static int drop(void *ctx, struct bytes piece, struct err *err)
{
	(void)ctx;
	(void)piece;
	(void)err;
	return 0;
}

struct reading {
	struct repo *repo;
	struct pack *pack;
	bool damaged;
};

static int read_entry(void *ctx, const struct pack_entry *e, struct err *err)
{
	struct reading *r = ctx;
	struct err why;

	(void)err;
	r->damaged |= pack_entry_copy(r->repo->packs, r->pack, e, drop, NULL, &why) < 0;
	return 0;
}

static int has_damage(struct repo *repo, struct pack *p, bool *out, struct err *err)
{
	struct reading r = { .repo = repo, .pack = p };
	int ret = pack_each(repo->packs, p, read_entry, &r, err);

	*out = ret == 0 && r.damaged;
	return ret;
}

/* The small ones, if they are enough, and (mend) those with something damaged in them. */
static int choose(struct repo *r, size_t least, bool mend, struct names *out, struct err *err)
{
	size_t n = pack_set_count(r->packs), small = 0;

	*out = (struct names){ .v = xcalloc(n + 1, sizeof(*out->v)) };
	for (size_t i = 0; i < n; i++) {
		const struct pack *p = pack_set_pack(r->packs, i);

		small += is_ours(p) && pack_file_size(p) < COMPACT_SMALL;
	}
	for (size_t i = 0; i < n; i++) {
		struct pack *p = pack_set_pack(r->packs, i);
		bool wanted = small >= least && small > 1 && pack_file_size(p) < COMPACT_SMALL;

		if (!is_ours(p))
			continue;
		/* With a damaged index it is of no use for now; check says what to do. */
		if (!wanted && mend && has_damage(r, p, &wanted, err) < 0 && !pack_damage(p))
			return -1;
		if (wanted)
			out->v[out->n++] = pack_name(p);
	}
	return 0;
}

/* Each object of an old pack that is wanted must be found without it. */
struct presence {
	struct repo *repo;
	const char *const *old;
	size_t n;
	const struct pack_table *wanted;
	const char *merged;
};

static bool is_old(const struct presence *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->old[i], name) == 0 && strcmp(name, p->merged) != 0)
			return true;
	return false;
}

static int find_elsewhere(void *ctx, const struct pack_entry *e, struct err *err)
{
	const struct presence *p = ctx;
	char hex[OBJECT_HEX_SIZE];
	struct pack_at at;
	bool found;

	if (p->wanted && !pack_table_find(p->wanted, &e->id))
		return 0;
	found = pack_set_find(p->repo->packs, &e->id, &at);
	while (found && is_old(p, pack_name(at.pack)))
		found = pack_set_find_next(p->repo->packs, &at);
	if (found)
		return 0;
	return err_set(err, ERR_FATAL, "%s: object %s is not in the merged pack; the old ones were kept",
		       p->repo->path, object_id_hex(&e->id, hex));
}

static int remove_old(struct presence *p, struct err *err)
{
	char *dir = xasprintf("%s/objects/pack", p->repo->dir);
	int ret = 0;

	for (size_t i = 0; i < p->n && ret == 0; i++) {
		struct pack *pack = pack_set_named(p->repo->packs, p->old[i]);

		if (pack && is_old(p, p->old[i]))
			ret = pack_each(p->repo->packs, pack, find_elsewhere, p, err);
	}
	for (size_t i = 0; i < p->n && ret == 0; i++)
		if (is_old(p, p->old[i]))
			ret = pack_remove(dir, p->old[i], err);
	free(dir);
	return ret;
}

int repo_replace_packs(struct repo *r, const char *const *names, size_t n,
		       const struct pack_table *wanted, uint64_t *dropped, struct err *err)
{
	char merged[PACK_NAME_SIZE];
	struct presence p = { .repo = r, .old = names, .n = n, .wanted = wanted, .merged = merged };

	if (pack_merge(r->packs, names, n, wanted, merged, dropped, err) < 0 ||
	    repo_refresh(r, err) < 0 || remove_old(&p, err) < 0 || repo_refresh(r, err) < 0)
		return -1;
	pack_set_close_gone(r->packs); /* the next one may need the room */
	return 0;
}

int repo_compact(struct repo *r, size_t least, struct compaction *c, struct err *err)
{
	struct names old;
	int ret = choose(r, least, c->mend, &old, err);

	measure(r, &c->files_before, &c->bytes_before);
	c->files_after = c->files_before;
	c->bytes_after = c->bytes_before;
	if (ret == 0 && old.n > 0) {
		c->merged = old.n;
		c->files_after -= old.n - 1;
		if (!c->dry_run)
			ret = repo_replace_packs(r, old.v, old.n, NULL, &c->dropped, err);
	}
	if (ret == 0 && !c->dry_run)
		measure(r, &c->files_after, &c->bytes_after);
	free(old.v);
	return ret;
}

static int compact_archive(const struct store_config *cfg, struct compaction *c, struct err *err)
{
	struct store_identity id;
	enum repo_kind kind;
	struct repo *r = NULL;
	bool ours;
	int ret = gitstore_identify(cfg, &id, err);

	ours = id.presence == STORE_OURS;
	store_identity_release(&id);
	if (ret < 0)
		return -1;
	if (!ours)
		return err_set(err, ERR_MISSING, "%s: there is no mailcask archive", cfg->path);
	if (repo_open(cfg->path, &r, &kind, err) < 0)
		return -1;
	if (!r->bare)
		ret = err_set(err, ERR_CONFIG, "%s has a work tree: mailcask leaves it to its owner",
			      cfg->path);
	else if (c->dry_run || (ret = repo_prepare(r, err)) == 0)
		ret = repo_compact(r, 2, c, err);
	repo_free(r);
	return ret;
}

int gitstore_compact(const struct store_config *cfg, struct compaction *c, struct err *err)
{
	int dir = open(cfg->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), lock = -1, ret;
	bool unclean;

	if (dir < 0)
		return err_sys(err, ERR_FATAL, "open %s", cfg->path);
	ret = c->dry_run ? 0 : lockfile_lock(dir, cfg->path, &lock, &unclean, err);
	if (ret == 0)
		ret = compact_archive(cfg, c, err);
	lockfile_unlock(lock, true);
	close(dir);
	return ret;
}
