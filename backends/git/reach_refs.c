/*
 * What git's own gc keeps, too: refs, what they named before where git logs it (all but the newest stash is
 * nowhere else), and of each work tree what is checked out there and what is in its index.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <fts.h>
#include <git2.h>

#include "backends/git/pack_read.h"
#include "backends/git/reach.h"
#include "backends/git/repo_private.h"
#include "core/base/file.h"
#include "core/base/mem.h"

#define LOG_MAX ((size_t)256 << 20)

/* One place that may name objects, as the user knows it. */
struct holding {
	struct reach *x;
	const char *name;
	char **holder;
};

static int hold(struct holding *h, const struct object_id *id, struct err *err)
{
	if (!reach_has(h->x, id) && !*h->holder)
		*h->holder = xstrdup(h->name);
	return reach_from(h->x, id, err);
}

/* --- refs --- */

/* 1 with what a ref itself names, 0 when that is another ref, -1. */
static int direct_target(git_repository *git, const char *name, struct object_id *id)
{
	git_reference *ref = NULL;
	const git_oid *oid;

	if (git_reference_lookup(&ref, git, name) < 0)
		return -1;
	oid = git_reference_target(ref);
	if (oid)
		memcpy(id->b, oid->id, OBJECT_ID_SIZE);
	git_reference_free(ref);
	return oid != NULL;
}

static int reach_ref(struct reach *x, git_repository *git, const char *name, char **holder,
		     struct err *err)
{
	struct holding h = { x, name, holder };
	struct object_id id;
	int got;

	if (strcmp(name, REPO_MAIN) == 0 || strcmp(name, REPO_WIP) == 0)
		return 0;
	got = direct_target(git, name, &id);
	if (got <= 0)
		return got < 0 ? repo_error(err, x->repo->path, "read a ref") : 0;
	return hold(&h, &id, err);
}

static int reach_all_refs(struct reach *x, git_repository *git, char **holder, struct err *err)
{
	git_strarray refs = { 0 };
	int ret;

	if (git_reference_list(&refs, git) < 0)
		return repo_error(err, x->repo->path, "list the refs");
	ret = reach_ref(x, git, "HEAD", holder, err);
	for (size_t i = 0; i < refs.count && ret == 0; i++)
		ret = reach_ref(x, git, refs.strings[i], holder, err);
	git_strarray_dispose(&refs);
	return ret;
}

/* --- what lies in files that libgit2 does not read for us --- */

static bool is_there(const struct reach *x, const struct object_id *id)
{
	struct git_odb *odb;
	struct pack_at at;
	struct err ignored;
	git_oid oid;

	if (pack_set_find(x->repo->packs, id, &at))
		return true;
	odb = repo_odb(x->repo, &ignored);
	git_oid_fromraw(&oid, id->b);
	return odb && git_odb_exists(odb, &oid);
}

/*
 * The ids that each line begins with: one of a ref, two of a log. What is not there any more cannot be lost, and
 * git leaves such lines in its logs.
 */
static int hold_lines(struct holding *h, struct bytes rest, struct err *err)
{
	const size_t digits = 2 * OBJECT_ID_SIZE;

	while (rest.n >= digits) {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		size_t n = end ? (size_t)(end - rest.p) : rest.n;
		struct object_id id;

		for (size_t at = 0; at <= digits + 1 && at + digits <= n; at += digits + 1)
			if (object_id_parse(&id, bytes_from(rest.p + at, digits)) && is_there(h->x, &id) &&
			    hold(h, &id, err) < 0)
				return -1;
		rest = bytes_skip(rest, n + (end != NULL));
	}
	return 0;
}

static int hold_text(struct holding *h, const char *path, struct err *err)
{
	struct buf text = BUF_INIT(LOG_MAX);
	int ret = file_read(path, &text, err);

	if (ret == 0)
		ret = hold_lines(h, buf_bytes(&text), err);
	else if (err->sys == ENOENT)
		ret = 0; /* a git removed it meanwhile */
	buf_release(&text);
	return ret;
}

static int hold_index(struct holding *h, const char *path, struct err *err)
{
	git_index *index = NULL;
	int ret = 0;

	if (git_index_open(&index, path) < 0)
		return repo_error(err, path, "read it");
	for (size_t i = 0; i < git_index_entrycount(index) && ret == 0; i++) {
		const git_index_entry *e = git_index_get_byindex(index, i);
		struct object_id id;

		memcpy(id.b, e->id.id, OBJECT_ID_SIZE);
		if ((e->mode & 0170000) == 0160000 || reach_has(h->x, &id))
			continue;
		if (!*h->holder)
			*h->holder = xstrdup(h->name);
		reach_add(h->x, &id);
	}
	git_index_free(index);
	return ret;
}

/* `name`: of a file, from the repository's own directory. What forget itself moves or drops holds nothing. */
static int reach_file(struct reach *x, const char *path, const char *name, char **holder, struct err *err)
{
	static const char *const ours[] = { "logs/HEAD", "logs/" REPO_MAIN, "logs/" REPO_WIP };
	struct holding h = { x, name, holder };
	const char *last = strrchr(name, '/');

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(name, ours[i]) == 0)
			return 0;
	if (strcmp(last ? last + 1 : name, "index") == 0)
		return hold_index(&h, path, err);
	return hold_text(&h, path, err);
}

/* All files below `top`, which need not be there. */
static int reach_files(struct reach *x, const char *top, char **holder, struct err *err)
{
	char *path = xasprintf("%s/%s", x->repo->dir, top), *paths[] = { path, NULL };
	size_t skip = strlen(x->repo->dir) + 1;
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *e;
	int ret = 0;

	while (ret == 0 && walk && (e = fts_read(walk)))
		if (e->fts_info == FTS_F)
			ret = reach_file(x, e->fts_path, e->fts_path + skip, holder, err);
		else if ((e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS) &&
			 e->fts_errno != ENOENT)
			ret = err_set(err, ERR_FATAL, "read %s: %s", e->fts_path, strerror(e->fts_errno));
	if (walk)
		fts_close(walk);
	free(path);
	return ret;
}

/* Of one: its HEAD, index, refs of its own, and logs. */
static int reach_worktree(struct reach *x, const char *name, char **holder, struct err *err)
{
	static const char *const parts[] = { "HEAD", "index", "refs", "logs" };
	int ret = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && ret == 0; i++) {
		char *part = xasprintf("worktrees/%s/%s", name, parts[i]);

		ret = reach_files(x, part, holder, err);
		free(part);
	}
	return ret;
}

static int reach_worktrees(struct reach *x, char **holder, struct err *err)
{
	char *path = xasprintf("%s/worktrees", x->repo->dir);
	DIR *d = opendir(path);
	struct dirent *e;
	int ret = 0;

	if (!d && errno != ENOENT)
		ret = err_sys(err, ERR_FATAL, "open directory %s", path);
	while (d && ret == 0 && (e = readdir(d)))
		if (e->d_name[0] != '.')
			ret = reach_worktree(x, e->d_name, holder, err);
	if (d)
		closedir(d);
	free(path);
	return ret;
}

int reach_others(struct reach *x, char **holder, struct err *err)
{
	git_repository *git = repo_git(x->repo, err);

	*holder = NULL;
	if (!git || reach_all_refs(x, git, holder, err) < 0 || reach_files(x, "index", holder, err) < 0 ||
	    reach_files(x, "logs", holder, err) < 0)
		return -1;
	return reach_worktrees(x, holder, err);
}
