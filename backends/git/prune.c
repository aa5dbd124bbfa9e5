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

struct sweep {
	struct repo *repo;
	const struct pack_table *live;
	struct pruning *p;
	uint64_t dead; /* in the pack being looked at */
	time_t oldest; /* loose objects older than that may go */
};

static int count_dead(void *ctx, const struct pack_entry *e, struct err *err)
{
	struct sweep *s = ctx;

	(void)err;
	if (pack_table_find(s->live, &e->id))
		return 0;
	s->dead++;
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

/* Names of packs to be written anew: the small ones first. *small: how many of them. */
static int choose(struct sweep *s, const char **names, size_t *small, size_t *n, struct err *err)
{
	size_t count = pack_set_count(s->repo->packs);

	*n = 0;
	for (int large = 0; large < 2; large++) {
		for (size_t i = 0; i < count; i++) {
			struct pack *p = pack_set_pack(s->repo->packs, i);

			if ((pack_file_size(p) >= COMPACT_SMALL) != large)
				continue;
			if (must_stay(s->repo, p)) {
				s->p->left++;
				continue;
			}
			s->dead = 0;
			if (go_on(s, err) < 0 || pack_each(s->repo->packs, p, count_dead, s, err) < 0)
				return -1;
			if (s->dead > 0)
				names[(*n)++] = pack_name(p);
		}
		if (!large)
			*small = *n;
	}
	return 0;
}

static int sweep_packs(struct sweep *s, struct err *err)
{
	const char **names = xcalloc(pack_set_count(s->repo->packs) + 1, sizeof(*names));
	size_t small = 0, n = 0;
	uint64_t dropped;
	int ret = choose(s, names, &small, &n, err);

	if (ret == 0 && !s->p->dry_run && small > 0)
		ret = repo_replace_packs(s->repo, names, small, s->live, &dropped, err);
	for (size_t i = small; i < n && ret == 0 && !s->p->dry_run; i++) {
		ret = go_on(s, err);
		if (ret == 0)
			ret = repo_replace_packs(s->repo, &names[i], 1, s->live, &dropped, err);
	}
	free(names);
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
