#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <git2.h>

#include "backends/git/repo_private.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"

/* As repo_ref(), but -1: it takes libgit2 to say, for a ref may be packed, name another or be damaged. */
static int read_loose(const struct repo *r, const char *ref, struct object_id *id)
{
	char *path = xasprintf("%s/%s", r->dir, ref), *packed = xasprintf("%s/packed-refs", r->dir);
	struct buf text = BUF_INIT(64);
	struct err why = { 0 };
	int ret = -1;

	if (file_read(path, &text, &why) == 0) {
		if (text.n == 2 * OBJECT_ID_SIZE + 1 && text.p[text.n - 1] == '\n' &&
		    object_id_parse(id, bytes_from(text.p, text.n - 1)))
			ret = 1;
	} else if (why.sys == ENOENT && access(packed, F_OK) < 0 && errno == ENOENT) {
		ret = 0; /* packing a ref, git writes packed-refs before it removes the file */
	}
	buf_release(&text);
	free(path);
	free(packed);
	return ret;
}

int repo_ref(const struct repo *r, const char *ref, struct object_id *id, struct err *err)
{
	int code = r->plain ? read_loose(r, ref, id) : -1;
	struct git_repository *git;
	git_oid oid;

	if (code > 0)
		return 1;
	*id = (struct object_id){ 0 };
	if (code == 0)
		return 0;
	git = repo_git(r, err);
	if (!git)
		return -1;
	code = git_reference_name_to_id(&oid, git, ref);
	if (code == GIT_ENOTFOUND)
		return 0;
	if (code < 0)
		return repo_error(err, r->path, "read a ref");
	memcpy(id->b, oid.id, OBJECT_ID_SIZE);
	return 1;
}

static int moved(const struct repo *r, const char *ref, struct err *err)
{
	return err_set(err, ERR_FATAL,
		       "%s: another program moved %s while mailcask was writing. Nothing was lost: "
		       "what is in the repository stays there, and the next run starts from it. "
		       "Run again",
		       r->path, ref);
}

int repo_ref_move(const struct repo *r, const char *ref, const struct object_id *old,
		  const struct object_id *id, struct err *err)
{
	struct git_repository *git = repo_git(r, err);
	git_reference *made = NULL;
	bool fresh = object_id_is_zero(old);
	git_oid from, to;
	int code;

	if (!git)
		return -1;
	git_oid_fromraw(&from, old->b);
	git_oid_fromraw(&to, id->b);
	crash_point("git: move a ref");
	code = git_reference_create_matching(&made, git, ref, &to, !fresh,
					     fresh ? NULL : &from, "mailcask");
	git_reference_free(made);
	if (code == GIT_EMODIFIED || code == GIT_EEXISTS)
		return moved(r, ref, err);
	if (code == GIT_ELOCKED)
		return err_set(err, ERR_FATAL,
			       "%s: another program is writing %s (%s.lock is there). Nothing was "
			       "lost; run again when it has ended",
			       r->path, ref, ref);
	return code < 0 ? repo_error(err, r->path, "move a ref") : 0;
}

int repo_ref_remove(const struct repo *r, const char *ref, struct err *err)
{
	struct git_repository *git = repo_git(r, err);
	int code;

	if (!git)
		return -1;
	crash_point("git: remove a ref");
	code = git_reference_remove(git, ref);
	if (code < 0 && code != GIT_ENOTFOUND)
		return repo_error(err, r->path, "remove a ref");
	return 0;
}

/*
 * Whether the commit `id` is main's tip as it was before older snapshots were forgotten (forget.h): that was
 * stopped before it came to wip.
 */
static bool was_main(const struct repo *r, const struct repo_tips *t, uint64_t generation,
		     const struct object_id *id)
{
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	struct commit_text c;
	struct err err;
	bool was = repo_read_commit(r, id, &text, &c, &err) == 0 && c.generation > 0 &&
		   c.generation == generation && object_id_equal(&c.tree, &t->main_root);

	buf_release(&text);
	return was;
}

/* `generation`: of main's tip as it says itself. */
static bool wip_is_valid(const struct repo *r, const struct repo_tips *t, uint64_t generation,
			 const struct commit_text *wip)
{
	if (!t->has_main)
		return wip->parents == 0;
	return wip->parents == 1 && (object_id_equal(&wip->parent, &t->main) ||
				     was_main(r, t, generation, &wip->parent));
}

/* The next run can do without what an interrupted one began; the archive itself it cannot spare. */
static int wip_unreadable(const struct repo *r, struct err *err)
{
	char *dir = shell_word(r->dir);

	err_prefix(err, "%s: what an interrupted run began cannot be read (git --git-dir=%s update-ref -d "
		   REPO_WIP " gives it up: the next run fetches it again)", r->path, dir);
	free(dir);
	return -1;
}

/*
 * Of a commit that another program made and which therefore says none: one for each such commit more than
 * the newest of ours. Else the archive would seem to be an older state of itself.
 */
static uint64_t generation_behind(const struct repo *r, struct commit_text c)
{
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	uint64_t foreign = 0;
	struct err err;

	while (c.generation == 0 && c.parents > 0) {
		struct object_id parent = c.parent;

		foreign++;
		buf_clear(&text);
		if (repo_read_commit(r, &parent, &text, &c, &err) < 0)
			break;
	}
	buf_release(&text);
	return c.generation + foreign;
}

int repo_find_tips(const struct repo *r, struct repo_tips *out, struct err *err)
{
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	struct commit_text c;
	uint64_t generation = 0;
	int main, wip = 0, ret = -1;

	*out = (struct repo_tips){ 0 };
	main = repo_ref(r, REPO_MAIN, &out->main, err);
	if (main >= 0)
		wip = repo_ref(r, REPO_WIP, &out->wip, err);
	if (main < 0 || wip < 0)
		goto out;
	out->has_main = main > 0;
	out->has_wip = wip > 0;
	ret = 0;
	if (out->has_main) {
		if ((ret = repo_read_commit(r, &out->main, &text, &c, err)) < 0)
			goto out;
		out->tip = out->main;
		out->root = out->main_root = c.tree;
		generation = c.generation;
		out->generation = generation_behind(r, c);
	}
	if (out->has_wip) {
		if ((ret = repo_read_commit(r, &out->wip, &text, &c, err)) < 0) {
			wip_unreadable(r, err);
			goto out;
		}
		if (wip_is_valid(r, out, generation, &c)) {
			out->on_wip = true;
			out->tip = out->wip;
			out->root = c.tree;
			out->generation = c.generation;
		}
	}
	ret = out->has_main || out->on_wip;
out:
	buf_release(&text);
	return ret;
}

/*
 * A lock that a killed program left makes every later move of the ref fail. We hold the
 * repository's own lock, so it is not ours; a git that is at work gets a second to end.
 */
static void remove_stale_lock(const struct repo *r, const char *ref)
{
	char *path = xasprintf("%s/%s.lock", r->dir, ref);
	int64_t until = clock_ms() + 1000;
	struct timespec pause = { .tv_nsec = 10000000 };

	while (access(path, F_OK) == 0 && clock_ms() < until)
		nanosleep(&pause, NULL);
	if (unlink(path) == 0)
		log_warn("%s: removed the stale lock %s.lock", r->path, ref);
	free(path);
}

void repo_unlock_refs(const struct repo *r)
{
	remove_stale_lock(r, REPO_MAIN);
	remove_stale_lock(r, REPO_WIP);
	remove_stale_lock(r, "packed-refs");
}
