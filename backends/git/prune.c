#include "backends/git/prune.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/git/compact.h"
#include "backends/git/pack_file.h"
#include "backends/git/pack_read.h"
#include "core/base/crash.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define ROOM ((uint64_t)256 << 10) /* so much may be written before anything is freed */

struct sweep {
	struct repo *repo;
	const struct pack_table *live;
	struct pruning *p;
	uint64_t live_bytes, dead_bytes; /* of the pack being looked at */
	time_t oldest; /* loose objects older than that may go */
};

/* A pack to be written anew. */
struct victim {
	const char *name; /* borrowed from the set */
	uint64_t live, dead; /* how much of it is wanted, and how much is not */
	bool large;
};

static int count_entry(void *ctx, const struct pack_entry *e, struct err *err)
{
	struct sweep *s = ctx;

	(void)err;
	if (pack_table_find(s->live, &e->id)) {
		s->live_bytes += e->span;
		return 0;
	}
	s->dead_bytes += e->span;
	s->p->objects++;
	s->p->bytes += e->span;
	return 0;
}

static bool has_file(const struct repo *r, const struct pack *p, const char *ending)
{
	char *path = xasprintf("%s/objects/pack/%s%s", r->dir, pack_name(p), ending);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

/* Somebody else's wish, or nothing that can be told apart. */
static bool must_stay(const struct repo *r, const struct pack *p)
{
	return pack_damage(p) || has_file(r, p, ".promisor") ||
	       (!pack_is_ours(p) && has_file(r, p, ".keep"));
}

static int go_on(const struct sweep *s, struct err *err)
{
	return s->p->stop && *s->p->stop ? err_set(err, ERR_STOPPED, "interrupted") : 0;
}

/* Those first of which little is wanted: they need little room, and give much. */
static int by_live(const void *a, const void *b)
{
	const struct victim *x = a, *y = b;

	return x->live != y->live ? (x->live > y->live) - (x->live < y->live) : strcmp(x->name, y->name);
}

static int choose(struct sweep *s, struct victim *v, size_t *n, struct err *err)
{
	size_t count = pack_set_count(s->repo->packs);

	*n = 0;
	for (size_t i = 0; i < count; i++) {
		struct pack *p = pack_set_pack(s->repo->packs, i);

		if (must_stay(s->repo, p)) {
			s->p->left++;
			continue;
		}
		s->live_bytes = s->dead_bytes = 0;
		if (go_on(s, err) < 0 || pack_each(s->repo->packs, p, count_entry, s, err) < 0)
			return -1;
		if (s->dead_bytes > 0)
			v[(*n)++] = (struct victim){ pack_name(p), s->live_bytes, s->dead_bytes,
						     pack_file_size(p) >= COMPACT_SMALL };
	}
	qsort(v, *n, sizeof(*v), by_live);
	return 0;
}

/* How many from v[0] on become one: small ones, as long as what is written fits into `room`. */
static size_t group(const struct victim *v, size_t n, uint64_t room)
{
	uint64_t live = v[0].live;
	size_t k = 1;

	while (k < n && !v[0].large && !v[k].large && live + v[k].live <= room)
		live += v[k++].live;
	return k;
}

static int replace(struct sweep *s, const struct victim *v, size_t n, struct err *err)
{
	const char **names = xcalloc(n, sizeof(*names));
	uint64_t dropped;
	int ret;

	for (size_t i = 0; i < n; i++)
		names[i] = v[i].name;
	ret = repo_replace_packs(s->repo, names, n, s->live, &dropped, err);
	free(names);
	return ret;
}

static int sweep_packs(struct sweep *s, struct err *err)
{
	struct victim *v = xcalloc(pack_set_count(s->repo->packs) + 1, sizeof(*v));
	uint64_t freed = 0;
	size_t n = 0;
	int ret = choose(s, v, &n, err);

	for (size_t i = 0; ret == 0 && i < n && !s->p->dry_run;) {
		size_t k = group(v + i, n - i, freed > ROOM ? freed : ROOM);

		if (go_on(s, err) < 0 || replace(s, v + i, k, err) < 0)
			ret = -1;
		for (size_t end = i + k; i < end; i++)
			freed += v[i].dead;
	}
	free(v);
	return ret;
}

/* --- loose objects --- */

static int sweep_loose(struct sweep *s, const char *dir, const char *first, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool removed = false;
	int ret = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(err, ERR_FATAL, "open directory %s", dir);
	while (ret == 0 && (errno = 0, e = readdir(d)) != NULL) {
		char hex[300];
		struct object_id id;
		struct stat st;

		snprintf(hex, sizeof(hex), "%s%s", first, e->d_name);
		if (!object_id_parse(&id, bytes_of(hex)) || pack_table_find(s->live, &id) ||
		    fstatat(dirfd(d), e->d_name, &st, 0) < 0)
			continue;
		if (st.st_mtime > s->oldest) {
			s->p->young++;
			continue;
		}
		s->p->objects++;
		s->p->bytes += (uint64_t)st.st_size;
		if (s->p->dry_run)
			continue;
		crash_point("git: remove a loose object");
		removed = true;
		if (unlinkat(dirfd(d), e->d_name, 0) < 0 && errno != ENOENT)
			ret = err_sys(err, ERR_FATAL, "remove %s/%s", dir, e->d_name);
	}
	closedir(d);
	return ret == 0 && removed ? dir_sync(dir, err) : ret;
}

static int sweep_all_loose(struct sweep *s, struct err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < 256 && ret == 0; i++) {
		char first[3], *dir;

		snprintf(first, sizeof(first), "%02x", i);
		dir = xasprintf("%s/objects/%s", s->repo->dir, first);
		ret = sweep_loose(s, dir, first, err);
		free(dir);
	}
	return ret;
}

/* git's memory of which commits there are, which it makes anew: it would name some that went. */
static int remove_graph(const struct repo *r, struct err *err)
{
	char *file = xasprintf("%s/objects/info/commit-graph", r->dir);
	char *list = xasprintf("%s/objects/info/commit-graphs/commit-graph-chain", r->dir);
	int ret = 0;

	if ((unlink(file) < 0 && errno != ENOENT) ||
	    (unlink(list) < 0 && errno != ENOENT && errno != ENOTDIR))
		ret = err_sys(err, ERR_FATAL, "remove %s", file);
	free(file);
	free(list);
	return ret;
}

int repo_prune(struct repo *r, const struct pack_table *live, struct pruning *p, struct err *err)
{
	struct sweep s = { .repo = r, .live = live, .p = p, .oldest = time(NULL) - PRUNE_YOUNG };

	p->objects = p->bytes = p->young = p->left = 0;
	if (!p->dry_run && remove_graph(r, err) < 0)
		return -1;
	if (sweep_packs(&s, err) < 0 || sweep_all_loose(&s, err) < 0)
		return -1;
	if (p->young)
		log_warn("%s: %llu loose object%s that nothing names %s younger than an hour, and may be about "
			 "to be used by another git. To be rid of them as well, forget again later",
			 r->path, (unsigned long long)p->young, p->young == 1 ? "" : "s",
			 p->young == 1 ? "is" : "are");
	if (p->left)
		log_warn("%s: %llu packs stay as they are, with whatever nobody needs in them: they are "
			 "damaged, or git was told to keep them. See objects/pack",
			 r->path, (unsigned long long)p->left);
	return 0;
}
