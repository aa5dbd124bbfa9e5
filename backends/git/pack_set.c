#include "backends/git/pack_set.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/git/pack_private.h"
#include "core/base/log.h"
#include "core/base/mem.h"

enum { OPEN_MAX_PACKS = 16 };

int pack_set_damaged(struct pack *p, const struct err *err)
{
	if (p->damage.kind == ERR_NONE)
		log_warn("%s", err->text);
	p->damage = *err;
	return -1;
}

static void pack_close(struct pack_set *set, struct pack *p)
{
	if (p->fd < 0)
		return;
	close(p->fd);
	p->fd = -1;
	set->open--;
}

static void pack_free(struct pack_set *set, struct pack *p)
{
	pack_close(set, p);
	pack_index_close(p);
	free(p->name);
	free(p->path);
	free(p->idx_path);
	free(p);
}

void pack_set_free(struct pack_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n; i++)
		pack_free(set, set->v[i]);
	for (size_t i = 0; i < set->gone_n; i++)
		pack_free(set, set->gone[i]);
	entry_reader_free(set->idle);
	free(set->v);
	free(set->gone);
	free(set->dir);
	free(set);
}

/* --- which packs there are --- */

/* pack-NAME.idx with its .pack; NULL when it is not both. *lost: it was, and went meanwhile. */
static struct pack *pack_new(struct pack_set *set, const char *file, bool *lost)
{
	size_t n = strlen(file);
	struct stat idx, body;
	struct pack *p;

	if (n < 9 || strncmp(file, "pack-", 5) != 0 || strcmp(file + n - 4, ".idx") != 0)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->fd = -1;
	p->name = xasprintf("%.*s", (int)(n - 4), file);
	p->path = xasprintf("%s/%s.pack", set->dir, p->name);
	p->idx_path = xasprintf("%s/%s.idx", set->dir, p->name);
	if (stat(p->idx_path, &idx) == 0 && stat(p->path, &body) == 0) {
		p->mtime = idx.st_mtim;
		p->dev = idx.st_dev;
		p->ino = idx.st_ino;
		p->size = (uint64_t)body.st_size;
		p->ours = pack_keep_is_ours(set->dir, p->name);
		return p;
	}
	*lost |= access(p->idx_path, F_OK) < 0; /* of the two it goes first */
	pack_free(set, p);
	return NULL;
}

static bool is_same(const struct pack *a, const struct pack *b)
{
	return strcmp(a->name, b->name) == 0 && a->dev == b->dev && a->ino == b->ino &&
	       a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
	       a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* The one we knew already, out of the old list, or this new one with its index opened; NULL: it just went. */
static struct pack *keep_known(struct pack_set *set, struct pack **old, size_t n, struct pack *p)
{
	for (size_t i = 0; i < n; i++)
		if (old[i] && is_same(old[i], p)) {
			struct pack *known = old[i];

			old[i] = NULL;
			known->ours = p->ours;
			pack_free(set, p);
			return known;
		}
	pack_index_open(p);
	if (p->damage.sys == ENOENT) {
		pack_free(set, p);
		return NULL;
	}
	if (p->damage.kind != ERR_NONE)
		log_warn("%s", p->damage.text);
	return p;
}

static int newest_first(const void *a, const void *b)
{
	const struct pack *x = *(struct pack *const *)a, *y = *(struct pack *const *)b;

	if (x->mtime.tv_sec != y->mtime.tv_sec)
		return x->mtime.tv_sec < y->mtime.tv_sec ? 1 : -1;
	if (x->mtime.tv_nsec != y->mtime.tv_nsec)
		return x->mtime.tv_nsec < y->mtime.tv_nsec ? 1 : -1;
	return strcmp(x->name, y->name);
}

static int look(struct pack_set *set, bool *lost, struct err *err)
{
	DIR *d = opendir(set->dir);
	struct pack **old = set->v;
	size_t old_n = set->n;
	struct dirent *e;
	int ret = 0;

	*lost = false;
	if (!d)
		return err_sys(err, ERR_FATAL, "open directory %s", set->dir);
	set->v = NULL;
	set->n = set->cap = 0;
	while ((errno = 0, e = readdir(d)) != NULL) {
		struct pack *p = pack_new(set, e->d_name, lost);

		if (!p)
			continue;
		p = keep_known(set, old, old_n, p);
		*lost |= !p;
		if (!p)
			continue;
		set->v = xgrow(set->v, set->n, &set->cap, sizeof(struct pack *));
		set->v[set->n++] = p;
	}
	if (errno != 0)
		ret = err_sys(err, ERR_FATAL, "read directory %s", set->dir);
	for (size_t i = 0; i < old_n; i++)
		if (old[i]) { /* somebody may still hold a struct pack_at of it */
			old[i]->gone = true;
			set->gone = xgrow(set->gone, set->gone_n, &set->gone_cap, sizeof(struct pack *));
			set->gone[set->gone_n++] = old[i];
		}
	free(old);
	closedir(d);
	if (set->n > 1)
		qsort(set->v, set->n, sizeof(struct pack *), newest_first);
	return ret;
}

/*
 * A pack that goes while we look was merged, or repacked by git, into one that came before it went; we
 * may have looked too early for that one. Who looks again sees it.
 */
int pack_set_refresh(struct pack_set *set, struct err *err)
{
	bool lost = true;

	for (int tries = 0; lost && tries < 10; tries++)
		if (look(set, &lost, err) < 0)
			return -1;
	return 0;
}

void pack_set_close_gone(struct pack_set *set)
{
	for (size_t i = 0; i < set->gone_n; i++)
		if (set->gone[i]->pinned == 0)
			pack_close(set, set->gone[i]);
}

struct pack_set *pack_set_open(const char *pack_dir, struct err *err)
{
	struct pack_set *set = xcalloc(1, sizeof(*set));

	set->dir = xstrdup(pack_dir);
	if (pack_set_refresh(set, err) < 0) {
		pack_set_free(set);
		return NULL;
	}
	return set;
}

size_t pack_set_count(const struct pack_set *set)
{
	return set->n;
}

struct pack *pack_set_pack(const struct pack_set *set, size_t i)
{
	return set->v[i];
}

struct pack *pack_set_named(const struct pack_set *set, const char *name)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->v[i]->name, name) == 0)
			return set->v[i];
	return NULL;
}

const char *pack_name(const struct pack *p)
{
	return p->name;
}

uint32_t pack_count(const struct pack *p)
{
	return p->count;
}

uint64_t pack_file_size(const struct pack *p)
{
	return p->size;
}

bool pack_is_ours(const struct pack *p)
{
	return p->ours;
}

const struct err *pack_damage(const struct pack *p)
{
	return p->damage.kind == ERR_NONE ? NULL : &p->damage;
}

/* --- the .pack --- */

uint64_t pack_entries_end(const struct pack *p)
{
	return p->size < PACK_TRAILER_SIZE ? 0 : p->size - PACK_TRAILER_SIZE;
}

int pack_read_at(void *pack, uint64_t offset, uint8_t *buf, size_t n, size_t *got, struct err *err)
{
	struct pack *p = pack;

	return pread_full(p->fd, p->path, offset, buf, n, got, err);
}

static void close_oldest(struct pack_set *set)
{
	struct pack *oldest = NULL;

	for (size_t i = 0; i < set->n + set->gone_n; i++) {
		struct pack *p = i < set->n ? set->v[i] : set->gone[i - set->n];

		if (p->fd >= 0 && p->pinned == 0 && (!oldest || p->used < oldest->used))
			oldest = p;
	}
	if (oldest)
		pack_close(set, oldest);
}

/* Says what is wrong with head and end, NULL for nothing. */
static const char *wrong(const struct pack *p, const uint8_t *head, const uint8_t *trailer)
{
	struct object_id want;
	uint32_t version = get_be32(head + 4);

	pack_index_pack_checksum(p, &want);
	if (memcmp(head, "PACK", 4) != 0 || (version != 2 && version != 3))
		return "is not a pack of version 2";
	if (get_be32(head + 8) != p->count)
		return "has another number of objects than its index";
	if (memcmp(trailer, want.b, OBJECT_ID_SIZE) != 0)
		return "has another checksum than its index expects";
	return NULL;
}

static int check_ends(struct pack *p, struct err *err)
{
	uint8_t head[PACK_HEAD_SIZE], trailer[PACK_TRAILER_SIZE];
	const char *what = NULL;
	struct stat st;
	size_t n;

	if (fstat(p->fd, &st) < 0)
		return err_sys(err, ERR_FATAL, "open %s", p->path);
	p->size = (uint64_t)st.st_size;
	if (p->size < PACK_HEAD_SIZE + PACK_TRAILER_SIZE)
		what = "is too short";
	if (!what && (pack_read_at(p, 0, head, sizeof(head), &n, err) < 0 ||
		      pack_read_at(p, pack_entries_end(p), trailer, sizeof(trailer), &n, err) < 0))
		return -1;
	if (!what)
		what = wrong(p, head, trailer);
	if (what)
		return err_set(err, ERR_FATAL, "%s is damaged: it %s", p->path, what);
	return 0;
}

int pack_pin(struct pack_set *set, struct pack *p, struct err *err)
{
	if (p->damage.kind != ERR_NONE) {
		*err = p->damage;
		return -1;
	}
	if (p->fd < 0) {
		if (set->open >= OPEN_MAX_PACKS)
			close_oldest(set);
		p->fd = open(p->path, O_RDONLY | O_CLOEXEC);
		if (p->fd < 0 && errno == ENOENT)
			return 1;
		if (p->fd < 0)
			return err_sys(err, ERR_FATAL, "open %s", p->path);
		set->open++;
		if (check_ends(p, err) < 0) {
			pack_close(set, p);
			return pack_set_damaged(p, err);
		}
	}
	p->used = ++set->clock;
	p->pinned++;
	return 0;
}

void pack_unpin(struct pack *p)
{
	p->pinned--;
}
