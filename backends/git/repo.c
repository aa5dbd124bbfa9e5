#include "backends/git/repo.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git2.h>

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

static bool has_file(const struct repo *r, const char *name)
{
	char *path = xasprintf("%s/%s", r->dir, name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

/* Clones that hold less than all by intent are whole for git. False: it is no such. */
static bool is_partial(const struct repo *r, struct err *err)
{
	bool shared = has_file(r, "objects/info/alternates"), shallow = has_file(r, "shallow");
	char *dir = shell_word(r->dir);

	if (shared)
		err_set(err, ERR_FATAL,
			"%s borrows objects of another repository (git clone --shared), which mailcask does not. To "
			"have them all: git --git-dir=%s repack -a -d && rm %s/objects/info/alternates",
			r->path, dir, dir);
	else if (shallow)
		err_set(err, ERR_FATAL,
			"%s is a clone without its older snapshots (git clone --depth). To have them all: git "
			"--git-dir=%s fetch --unshallow", r->path, dir);
	free(dir);
	return shared || shallow;
}

static int missing(const struct repo *r, const struct object_id *id, struct err *err)
{
	struct err why;

	if (is_partial(r, err))
		return -1;
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
	struct git_odb *odb = repo_odb(r, call->err);
	git_odb_object *object = NULL;
	git_oid oid;
	int ret;

	if (!odb)
		return -1;
	git_oid_fromraw(&oid, id->b);
	ret = git_odb_read(&object, odb, &oid);
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
