#ifndef BACKENDS_GIT_REPO_H
#define BACKENDS_GIT_REPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/git/commit_text.h"
#include "backends/git/object.h"
#include "core/base/err.h"

struct buf;
struct git_repository;
struct git_odb;
struct repo_library;
struct pack_set;
struct pack_writer;

/*
 * A git repository: its refs and its objects, wherever they are. Objects are read by our own
 * reader of packs; loose ones, which only git makes, by libgit2. Nothing here knows of mail.
 */
#define REPO_MAIN "refs/heads/main"
#define REPO_WIP "refs/mailcask/wip"

struct repo {
	char *path; /* as given, for messages */
	char *dir;  /* where HEAD and objects lie: the same, or PATH/.git */
	bool bare;
	bool plain; /* as repo_init() made it: nothing that only libgit2 could make out */
	struct repo_library *library; /* see repo_git() */
	struct pack_set *packs;
	struct pack_writer *writer; /* may hold objects that are not published; NULL: none */
};

/* What lies at a path. */
enum repo_kind {
	REPO_NONE,  /* no repository, or one that repo_init() had begun and not finished */
	REPO_EMPTY, /* a repository without refs and objects, or begun by repo_init() */
	REPO_FULL,
};

/*
 * Open what lies at `path` (itself, or a .git in it; no parent directory is tried). 0: *out is the
 * caller's, or NULL for REPO_NONE. -1: it is there and cannot be opened (owned by somebody
 * else, damaged).
 */
int repo_open(const char *path, struct repo **out, enum repo_kind *kind, struct err *err);
void repo_free(struct repo *r); /* NULL is allowed */
/*
 * As libgit2 has it, and of its objects the loose ones: borrowed, NULL with *err set. They are opened at their
 * first use: libgit2 begins by reading the certificates of all authorities, which takes longer than
 * a run that finds nothing to do.
 */
struct git_repository *repo_git(const struct repo *r, struct err *err);
struct git_odb *repo_odb(const struct repo *r, struct err *err);
/*
 * Make a bare repository in a directory that is empty, holds an empty repository, or one begun
 * by an earlier call. Durable, and harmless to repeat after a crash. It counts as unfinished until
 * repo_init_done().
 */
int repo_init(const char *path, struct err *err);
int repo_init_done(const struct repo *r, struct err *err);
bool repo_is_begun(const char *path);
/* For writing, under our lock: our settings, and no stale locks of refs. */
int repo_prepare(struct repo *r, struct err *err);

/* 1 with the id that `ref` names, 0 when there is no such ref, -1. */
int repo_ref(const struct repo *r, const char *ref, struct object_id *id, struct err *err);
/*
 * Make `ref` name `id`, durably, if it still names `old` (zeros: if it does not exist). ERR_FATAL
 * says so when somebody else moved it meanwhile.
 */
int repo_ref_move(const struct repo *r, const char *ref, const struct object_id *old,
		  const struct object_id *id, struct err *err);
/* Remove it; none is fine. */
int repo_ref_remove(const struct repo *r, const char *ref, struct err *err);

/*
 * Give an object's bytes to `sink` in pieces. *type and *size are set before the first; either may
 * be NULL. ERR_FATAL when it is missing or damaged, with what to do; what the sink said stays.
 */
int repo_stream(const struct repo *r, const struct object_id *id, enum git_type *type,
		uint64_t *size, object_sink *sink, void *ctx, struct err *err);
/* All of an object, which must be of that type, into `out` (cleared first) up to its ceiling. */
int repo_read(const struct repo *r, const struct object_id *id, enum git_type type,
	      struct buf *out, struct err *err);
/* A commit; `text` holds its bytes, which *out borrows. */
int repo_read_commit(const struct repo *r, const struct object_id *id, struct buf *text,
		     struct commit_text *out, struct err *err);
/* 1 with the entry `name` of a tree, 0 when it has none, -1. *mode may be NULL. */
int repo_lookup(const struct repo *r, const struct object_id *tree, const char *name,
		uint32_t *mode, struct object_id *id, struct err *err);
/* The repository as what a pack_writer looks objects up in. */
struct object_source repo_source(struct repo *r);
/* Look again what packs there are: after publishing one. */
int repo_refresh(struct repo *r, struct err *err);

/*
 * What the store holds: its base. `tip` is a valid wip (its only parent is main's tip, or what that was
 * before gitstore_forget(); none while there is no main), else main.
 */
struct repo_tips {
	struct object_id tip, main, wip;
	bool has_main, has_wip; /* has_wip: a ref of that name, valid or not */
	bool on_wip;            /* tip is wip */
	struct object_id root, main_root; /* trees of tip and main */
	uint64_t generation;              /* of the tip */
};

/* 1, 0 when there is neither, -1. */
int repo_find_tips(const struct repo *r, struct repo_tips *out, struct err *err);

#endif
