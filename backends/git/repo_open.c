/* Finding a repository and opening it; libgit2 comes in when it has something to do. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <git2.h>
#include <git2/sys/repository.h>

#include "backends/git/pack_read.h"
#include "backends/git/pack_write.h"
#include "backends/git/repo_private.h"
#include "core/base/log.h"
#include "core/base/mem.h"

/* On the heap, since a repository that is only read opens it, too. */
struct repo_library {
	git_repository *git;
	git_odb *odb; /* loose objects only */
};

/*
 * Once for the life of the program: to begin anew costs libgit2 ten milliseconds. Its caches are for
 * programs that look at the same objects again.
 */
static void library_begin(void)
{
	static bool is_open;

	if (is_open)
		return;
	is_open = true;
	git_libgit2_init();
	git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
	git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
	/* A ref may name what only we can see. */
	git_libgit2_opts(GIT_OPT_ENABLE_STRICT_OBJECT_CREATION, 0);
}

static void library_close(struct repo_library *l)
{
	git_odb_free(l->odb);
	git_repository_free(l->git);
	*l = (struct repo_library){ 0 };
}

void repo_free(struct repo *r)
{
	if (!r)
		return;
	pack_writer_free(r->writer);
	pack_set_free(r->packs);
	library_close(r->library);
	free(r->library);
	free(r->path);
	free(r->dir);
	free(r);
}

/*
 * libgit2 does not open a repository that belongs to somebody else, for such a one has a
 * configuration of a stranger; but it may call that "not found".
 */
static bool is_of_another(int code, const char *path)
{
	char *below = xasprintf("%s/.git", path);
	git_repository *git = NULL;
	bool there;

	there = code == GIT_EOWNER ||
		(code == GIT_ENOTFOUND && (git_repository_open_bare(&git, path) == 0 ||
					   git_repository_open_bare(&git, below) == 0));
	git_repository_free(git);
	free(below);
	return there;
}

static int open_failed(bool of_another, const char *path, struct err *err)
{
	char *whole, *word;

	if (!of_another)
		return repo_error(err, path, "cannot be opened");
	whole = realpath(path, NULL); /* git compares no other */
	word = shell_word(whole ? whole : path);
	err_set(err, ERR_FATAL,
		"%s belongs to another user, and git trusts no such repository. Run mailcask as that "
		"user, or, if it is yours: git config --global --add safe.directory %s",
		path, word);
	free(word);
	free(whole);
	return -1;
}

static char *without_slash(const char *dir)
{
	char *s = xstrdup(dir);
	size_t n = strlen(s);

	while (n > 1 && s[n - 1] == '/')
		s[--n] = '\0';
	return s;
}

/*
 * libgit2 sees the loose objects only, and through the repository, too: its reader of packs follows
 * what a damaged index says out of the file, and the program with it.
 */
static int library_open_objects(struct repo_library *l)
{
	char *dir = xasprintf("%sobjects", git_repository_path(l->git));
	git_odb_backend *loose = NULL;
	int code = git_odb_new(&l->odb);

	if (code == 0)
		code = git_odb_backend_loose(&loose, dir, -1, 0, 0, 0);
	if (code == 0)
		code = git_odb_add_backend(l->odb, loose, 1);
	if (code == 0)
		code = git_repository_set_odb(l->git, l->odb);
	free(dir);
	return code;
}

/* 0, or what libgit2 says. */
static int library_open(struct repo_library *l, const char *path)
{
	int code;

	library_begin();
	code = git_repository_open_ext(&l->git, path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
	if (code < 0)
		return code;
	code = library_open_objects(l);
	if (code < 0)
		library_close(l);
	return code;
}

static struct repo_library *library_of(const struct repo *r, struct err *err)
{
	int code;

	if (r->library->git)
		return r->library;
	code = library_open(r->library, r->path);
	if (code == 0)
		return r->library;
	open_failed(is_of_another(code, r->path), r->path, err);
	return NULL;
}

struct git_repository *repo_git(const struct repo *r, struct err *err)
{
	struct repo_library *l = library_of(r, err);

	return l ? l->git : NULL;
}

struct git_odb *repo_odb(const struct repo *r, struct err *err)
{
	struct repo_library *l = library_of(r, err);

	return l ? l->odb : NULL;
}

static int stop_at_first(const git_oid *id, void *ctx)
{
	(void)id;
	(void)ctx;
	return 1;
}

static int has_refs(const struct repo *r, bool *out, struct err *err)
{
	struct git_repository *git;
	git_strarray refs = { 0 };
	struct object_id id;
	struct err ignored;

	*out = repo_ref(r, REPO_MAIN, &id, &ignored) > 0;
	if (*out)
		return 0;
	git = repo_git(r, err);
	if (!git)
		return -1;
	if (git_reference_list(&refs, git) < 0)
		return repo_error(err, r->path, "list the refs");
	*out = refs.count > 0;
	git_strarray_dispose(&refs);
	return 0;
}

/* `begun`: repo_init() did not come to its end, so objects alone mean nothing. */
static int find_kind(const struct repo *r, bool begun, enum repo_kind *kind, struct err *err)
{
	bool refs = false;

	if (has_refs(r, &refs, err) < 0)
		return -1;
	*kind = refs ? REPO_FULL : REPO_EMPTY;
	if (!refs && !begun && (pack_set_count(r->packs) > 0 ||
				git_odb_foreach(r->library->odb, stop_at_first, NULL) != 0))
		*kind = REPO_FULL;
	return 0;
}

/* 1: it is open; 0: there is none; -1. Without libgit2 where all that it would say is known. */
static int find_dir(struct repo *r, bool begun, struct err *err)
{
	bool of_another;
	int code;

	r->plain = !begun && repo_is_plain(r->path);
	if (r->plain) {
		r->dir = realpath(r->path, NULL);
		r->bare = true;
		return r->dir ? 1 : err_sys(err, ERR_FATAL, "look at %s", r->path);
	}
	code = library_open(r->library, r->path);
	of_another = code < 0 && is_of_another(code, r->path);
	/* What repo_init() has begun is whole only at its end. */
	if (code < 0 && !of_another && (code == GIT_ENOTFOUND || begun))
		return 0;
	if (code < 0)
		return open_failed(of_another, r->path, err);
	r->dir = without_slash(git_repository_path(r->library->git));
	r->bare = git_repository_is_bare(r->library->git);
	return 1;
}

int repo_open(const char *path, struct repo **out, enum repo_kind *kind, struct err *err)
{
	struct repo *r = xcalloc(1, sizeof(*r));
	bool begun = repo_is_begun(path);
	char *packs = NULL;
	int ret;

	*out = NULL;
	*kind = REPO_NONE;
	r->path = xstrdup(path);
	r->library = xcalloc(1, sizeof(*r->library));
	ret = find_dir(r, begun, err);
	if (ret <= 0)
		goto out;
	packs = xasprintf("%s/objects/pack", r->dir);
	r->packs = pack_set_open(packs, err);
	ret = r->packs ? find_kind(r, begun, kind, err) : -1;
	if (ret == 0) {
		*out = r;
		r = NULL;
	}
out:
	free(packs);
	repo_free(r);
	return ret;
}
