#include "backends/git/repo.h"

#include <stdlib.h>
#include <string.h>

#include <git2.h>
#include <git2/sys/repository.h>

#include "backends/git/pack_read.h"
#include "backends/git/pack_write.h"
#include "backends/git/repo_private.h"
#include "backends/git/tree.h"
#include "core/base/buf.h"
#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/base/mem.h"

int repo_error(struct err *err, const char *path, const char *what)
{
	const git_error *e = git_error_last();

	return err_set(err, ERR_FATAL, "%s: %s: %s", path, what,
		       e && e->message ? e->message : "unknown error");
}

/*
 * Once for the life of the program: to begin anew costs libgit2 ten milliseconds. Its caches are for
 * programs that look at the same objects again.
 */
static void library_open(void)
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

void repo_free(struct repo *r)
{
	if (!r)
		return;
	pack_writer_free(r->writer);
	pack_set_free(r->packs);
	git_odb_free(r->odb);
	git_repository_free(r->git);
	free(r->path);
	free(r->dir);
	free(r);
}

static int stop_at_first(const git_oid *id, void *ctx)
{
	(void)id;
	(void)ctx;
	return 1;
}

static int has_refs(const struct repo *r, bool *out, struct err *err)
{
	git_strarray refs = { 0 };

	if (git_reference_list(&refs, r->git) < 0)
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
				git_odb_foreach(r->odb, stop_at_first, NULL) != 0))
		*kind = REPO_FULL;
	return 0;
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
	if (of_another)
		return err_set(err, ERR_FATAL,
			       "%s belongs to another user, and git trusts no such repository. Run "
			       "mailcask as that user, or, if it is yours: git config --global "
			       "--add safe.directory %s",
			       path, path);
	return repo_error(err, path, "cannot be opened");
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
static int open_objects(struct repo *r, struct err *err)
{
	char *dir = xasprintf("%s/objects", r->dir), *packs = xasprintf("%s/pack", dir);
	git_odb_backend *loose = NULL;
	int ret = -1;

	if (git_odb_new(&r->odb) < 0 || git_odb_backend_loose(&loose, dir, -1, 0, 0, 0) < 0 ||
	    git_odb_add_backend(r->odb, loose, 1) < 0 ||
	    git_repository_set_odb(r->git, r->odb) < 0)
		repo_error(err, r->path, "cannot be opened");
	else if ((r->packs = pack_set_open(packs, err)))
		ret = 0;
	free(dir);
	free(packs);
	return ret;
}

int repo_open(const char *path, struct repo **out, enum repo_kind *kind, struct err *err)
{
	struct repo *r = xcalloc(1, sizeof(*r));
	bool begun = repo_is_begun(path);
	bool of_another;
	int code;

	*out = NULL;
	*kind = REPO_NONE;
	library_open();
	r->path = xstrdup(path);
	code = git_repository_open_ext(&r->git, path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
	of_another = code < 0 && is_of_another(code, path);
	/* What repo_init() has begun is whole only at its end. */
	if (code < 0 && !of_another && (code == GIT_ENOTFOUND || begun)) {
		repo_free(r);
		return 0;
	}
	if (code < 0) {
		open_failed(of_another, path, err);
		goto fail;
	}
	r->dir = without_slash(git_repository_path(r->git));
	r->bare = git_repository_is_bare(r->git);
	if (open_objects(r, err) < 0 || find_kind(r, begun, kind, err) < 0)
		goto fail;
	*out = r;
	return 0;
fail:
	repo_free(r);
	return -1;
}

int repo_refresh(struct repo *r, struct err *err)
{
	return pack_set_refresh(r->packs, err);
}

/* --- objects --- */

struct sink_call {
	object_sink *sink;
	void *ctx;
	struct err *err;
	bool failed; /* the sink: its error is the caller's own */
};

static int pass_piece(void *ctx, struct bytes piece, struct err *err)
{
	struct sink_call *call = ctx;

	if (call->sink(call->ctx, piece, err) == 0)
		return 0;
	call->failed = true;
	return -1;
}

static int missing(const struct repo *r, const struct object_id *id, struct err *err)
{
	struct err why;

	pack_missing(r->packs, id, &why);
	return err_set(err, ERR_FATAL,
		       "%s is damaged: %s. Put the missing files back (from a copy, or a clone), or "
		       "move it away and back up anew",
		       r->path, why.text);
}

/* A loose object: whole, through libgit2. */
static int stream_loose(const struct repo *r, const struct object_id *id, enum git_type *type,
			uint64_t *size, struct sink_call *call)
{
	git_odb_object *object = NULL;
	git_oid oid;
	int ret;

	git_oid_fromraw(&oid, id->b);
	ret = git_odb_read(&object, r->odb, &oid);
	if (ret == GIT_ENOTFOUND)
		return missing(r, id, call->err);
	if (ret < 0)
		return repo_error(call->err, r->path, "read an object");
	*type = (enum git_type)git_odb_object_type(object);
	*size = git_odb_object_size(object);
	ret = pass_piece(call, bytes_from(git_odb_object_data(object), git_odb_object_size(object)),
			 call->err);
	git_odb_object_free(object);
	return ret;
}

/* 1: it is in a pack; 0: a loose object, if it is there at all; -1. */
static int find_in_packs(const struct repo *r, const struct object_id *id, struct pack_at *at,
			 struct err *err)
{
	if (pack_set_find(r->packs, id, at))
		return 1;
	/* A git of the user's may have repacked behind our back. */
	if (pack_set_refresh(r->packs, err) < 0)
		return -1;
	return pack_set_find(r->packs, id, at);
}

int repo_stream(const struct repo *r, const struct object_id *id, enum git_type *type,
		uint64_t *size, object_sink *sink, void *ctx, struct err *err)
{
	struct sink_call call = { .sink = sink, .ctx = ctx, .err = err };
	enum git_type type_here;
	uint64_t size_here;
	struct pack_at at;
	int found, ret;

	type = type ? type : &type_here;
	size = size ? size : &size_here;
	if (r->writer && pack_pending_has(r->writer, id))
		return pack_pending_read(r->writer, id, type, size, sink, ctx, err);
	found = find_in_packs(r, id, &at, err);
	if (found == 0)
		return stream_loose(r, id, type, size, &call);
	ret = found < 0 ? -1
			: pack_object_stream(r->packs, &at, type, size, pass_piece, &call, err);
	if (ret < 0 && !call.failed)
		err_prefix(err, "%s", r->path);
	return ret;
}

struct whole {
	struct buf *out;
	const struct object_id *id;
};

static int take_piece(void *ctx, struct bytes piece, struct err *err)
{
	struct whole *w = ctx;
	char hex[OBJECT_HEX_SIZE];

	if (buf_add(w->out, piece))
		return 0;
	return err_set(err, ERR_FATAL, "object %s is larger than anything mailcask writes there",
		       object_id_hex(w->id, hex));
}

int repo_read(const struct repo *r, const struct object_id *id, enum git_type type,
	      struct buf *out, struct err *err)
{
	struct whole w = { .out = out, .id = id };
	char hex[OBJECT_HEX_SIZE];
	enum git_type got;
	uint64_t size;

	buf_clear(out);
	if (repo_stream(r, id, &got, &size, take_piece, &w, err) < 0)
		return -1;
	if (got != type)
		return err_set(err, ERR_FATAL, "%s: object %s is a %s where a %s should be",
			       r->path, object_id_hex(id, hex), git_type_name(got),
			       git_type_name(type));
	return 0;
}

int repo_read_commit(const struct repo *r, const struct object_id *id, struct buf *text,
		     struct commit_text *out, struct err *err)
{
	char hex[OBJECT_HEX_SIZE];

	if (repo_read(r, id, GIT_COMMIT, text, err) < 0)
		return -1;
	if (commit_text_read(buf_bytes(text), out, err) < 0)
		return err_prefix(err, "%s: commit %s", r->path, object_id_hex(id, hex));
	return 0;
}

int repo_lookup(const struct repo *r, const struct object_id *tree, const char *name,
		uint32_t *mode, struct object_id *id, struct err *err)
{
	struct buf data = BUF_INIT(TREE_MAX);
	struct tree_entry e;
	struct bytes rest;
	int got = repo_read(r, tree, GIT_TREE, &data, err);

	rest = buf_bytes(&data);
	while (got == 0 && (got = tree_next(&rest, &e, err)) > 0) {
		if (!bytes_is(e.name, name)) {
			got = 0;
			continue;
		}
		*id = e.id;
		if (mode)
			*mode = e.mode;
		break;
	}
	buf_release(&data);
	return got;
}

static int source_has(void *ctx, const struct object_id *id, struct err *err)
{
	const struct repo *r = ctx;
	struct pack_at at;

	(void)err;
	/* A loose object of the user's is merely stored once more. */
	return pack_set_find(r->packs, id, &at);
}

static int source_read(void *ctx, const struct object_id *id, enum git_type *type,
		       uint64_t *size, object_sink *sink, void *sink_ctx, struct err *err)
{
	const struct repo *r = ctx;
	struct repo published = *r;

	published.writer = NULL; /* it is the one who asks */
	return repo_stream(&published, id, type, size, sink, sink_ctx, err);
}

struct object_source repo_source(struct repo *r)
{
	return (struct object_source){ .ctx = r, .has = source_has, .read = source_read };
}
