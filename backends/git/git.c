#include "backends/git/git.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/git/append.h"
#include "backends/git/box.h"
#include "backends/git/check.h"
#include "backends/git/commit.h"
#include "backends/git/compact.h"
#include "backends/git/contents.h"
#include "backends/git/edit.h"
#include "backends/git/held.h"
#include "backends/git/identify.h"
#include "backends/git/mailboxes.h"
#include "backends/git/read.h"
#include "backends/git/scan.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/lockfile.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/uuid.h"

static void free_all(struct gitstore *g)
{
	appenders_release(g);
	identities_release(g);
	for (size_t i = 0; i < g->n; i++)
		gitbox_free(g->box[i]);
	for (size_t i = 0; i < g->n_gone; i++)
		gitbox_free(g->gone[i]);
	for (size_t i = 0; i < g->n_old_dirs; i++)
		free(g->old_dirs[i]);
	free(g->box);
	free(g->gone);
	free(g->old_dirs);
	buf_release(&g->notes);
	format_text_release(&g->format);
	repo_free(g->repo);
	if (g->dir >= 0)
		close(g->dir);
	lockfile_unlock(g->lock, true);
	free(g->path);
	free(g);
}

static int refuse_work_tree(const char *path, struct err *err)
{
	return err_set(err, ERR_FATAL,
		       "%s has a work tree, and mailcask writes to bare repositories only: "
		       "git clone --bare makes one of it",
		       path);
}

static bool has_work_tree(const char *path)
{
	char *git = xasprintf("%s/.git", path);
	bool there = access(git, F_OK) == 0;

	free(git);
	return there;
}

/* Whether what lies there may be opened like this; *make says that it is to be made ours. */
static int check_presence(const struct store_config *cfg, enum store_mode mode, bool *make,
			  struct err *err)
{
	struct store_identity id;
	enum store_presence is;

	*make = false;
	if (gitstore_identify(cfg, &id, err) < 0)
		return -1;
	is = id.presence;
	store_identity_release(&id);
	if (is == STORE_OURS) /* before a lock file is put among somebody's files */
		return mode == STORE_WRITE && has_work_tree(cfg->path)
			       ? refuse_work_tree(cfg->path, err)
			       : 0;
	if (mode == STORE_READ)
		return err_set(err, ERR_MISSING, "%s: there is no mailcask archive", cfg->path);
	if (is == STORE_FOREIGN)
		return err_set(err, ERR_HELD,
			       "%s is not empty and not a mailcask archive; it was left alone. A "
			       "store of type git needs a path of its own",
			       cfg->path);
	*make = true;
	if (!cfg->create)
		return err_set(err, ERR_MISSING, "%s is %s: is a disk missing?", cfg->path,
			       is == STORE_MISSING ? "not there" : "empty");
	return 0;
}

/* Under the lock it may be another picture: another run may just have made or changed it. */
static int lock_path(struct gitstore *g, bool *make, struct err *err)
{
	bool unclean;

	if (*make && dir_make(g->path, 0700, err) < 0)
		return -1;
	g->dir = open(g->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->dir < 0)
		return err_sys(err, ERR_FATAL, "open %s", g->path);
	if (lockfile_lock(g->dir, g->path, &g->lock, &unclean, err) < 0)
		return -1;
	return check_presence(g->st.cfg, g->mode, make, err);
}

static int open_repo(struct gitstore *g, struct err *err)
{
	enum repo_kind kind;

	if (repo_open(g->path, &g->repo, &kind, err) < 0)
		return -1;
	if (!g->repo)
		return err_set(err, ERR_FATAL, "%s is no git repository any more", g->path);
	if (g->mode == STORE_READ)
		return 0;
	if (!g->repo->bare)
		return refuse_work_tree(g->path, err);
	return repo_prepare(g->repo, err);
}

/* The moment that the caller named, by the id of its commit. */
static int find_snapshot(struct gitstore *g, const char *snapshot, struct err *err)
{
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	struct commit_text c;
	int ret = -1;

	if (!object_id_parse(&g->tips.tip, bytes_of(snapshot)))
		err_set(err, ERR_MISSING, "%s: \"%s\" is not the id of a snapshot", g->path,
			snapshot);
	else if (repo_read_commit(g->repo, &g->tips.tip, &text, &c, err) == 0) {
		g->tips.root = c.tree;
		g->tips.generation = c.generation;
		ret = 0;
	}
	buf_release(&text);
	return ret;
}

/* A run that was interrupted counted what it did; this one goes on. */
static int resume(struct gitstore *g, struct err *err)
{
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	struct commit_text c;
	int ret = 0;

	if (g->tips.has_wip && !g->tips.on_wip) {
		log_info("%s: dropping what an interrupted run began on an older state", g->path);
		ret = repo_ref_remove(g->repo, REPO_WIP, err);
		g->tips.has_wip = false;
		g->tips.wip = (struct object_id){ 0 };
	} else if (g->tips.on_wip) {
		ret = repo_read_commit(g->repo, &g->tips.wip, &text, &c, err);
		if (ret == 0)
			message_resume(g, c.message);
	}
	buf_release(&text);
	return ret;
}

static int load(struct gitstore *g, struct err *err)
{
	const char *snapshot = g->mode == STORE_READ ? g->st.cfg->snapshot : NULL;
	int got = snapshot ? find_snapshot(g, snapshot, err)
			   : repo_find_tips(g->repo, &g->tips, err);

	if (got >= 0)
		got = identify_format(g->repo, &g->tips.root, &g->format, err);
	if (got == 0)
		got = err_set(err, ERR_FATAL, "%s: this commit is not an archive's", g->path);
	return got < 0 ? -1 : gitstore_load(g, err);
}

/* The identity is durable before the first message is. */
static int make_archive(struct gitstore *g, struct err *err)
{
	g->format.version = FORMAT_VERSION;
	uuid_make(g->format.uuid);
	g->format_dirty = true;
	if (gitstore_commit(&g->st, err) < 0)
		return -1;
	return repo_init_done(g->repo, err);
}

static int open_archive(struct gitstore *g, bool make, struct err *err)
{
	if ((make && repo_init(g->path, err) < 0) || open_repo(g, err) < 0)
		return -1;
	if (make)
		return make_archive(g, err);
	if (load(g, err) < 0)
		return -1;
	if (g->mode == STORE_READ)
		return 0;
	if (repo_init_done(g->repo, err) < 0 || resume(g, err) < 0)
		return -1;
	return g->st.cfg->rebind ? gitstore_rebind(g, err) : 0;
}

static int gitstore_open(struct store **out, const struct store_config *cfg,
			 enum store_mode mode, struct err *err)
{
	struct gitstore *g;
	bool make;

	if (check_presence(cfg, mode, &make, err) < 0)
		return -1;
	g = xcalloc(1, sizeof(*g));
	g->st = (struct store){ .ops = &git_store, .cfg = cfg };
	g->mode = mode;
	g->dir = g->lock = -1;
	g->path = xstrdup(cfg->path);
	buf_init(&g->notes, COMMIT_TEXT_MAX / 4);
	format_text_init(&g->format);
	if ((mode == STORE_WRITE && lock_path(g, &make, err) < 0) ||
	    open_archive(g, make, err) < 0) {
		free_all(g);
		return -1;
	}
	*out = &g->st;
	return 0;
}

static void gitstore_close(struct store *st)
{
	free_all((struct gitstore *)st);
}

static int gitstore_exists(struct store *st, const struct mailbox_name *name, bool *out,
			   struct err *err)
{
	(void)err;
	*out = gitbox_find((struct gitstore *)st, name) != NULL;
	return 0;
}

static int gitstore_open_mailbox(struct store *st, const struct mailbox_info *info,
				 enum store_mode mode, struct mailbox **out, struct err *err)
{
	struct gitstore *g = (struct gitstore *)st;
	struct gitbox *box = gitbox_find(g, &info->name);

	assert(mode == STORE_READ || g->mode == STORE_WRITE);
	if (!box)
		return err_set(err, ERR_MAILBOX, "it does not exist in %s", g->path);
	if (box->text.attributes & MAILBOX_NOSELECT)
		return err_set(err, ERR_MAILBOX, "it is a name only and holds no messages");
	*out = &box->mb;
	return 0;
}

const struct store_ops git_store = {
	.type = "git",
	.traits = STORE_HOLDS_BASE | STORE_HAS_HISTORY,
	.identify = gitstore_identify,
	.open = gitstore_open,
	.close = gitstore_close,
	.check = gitstore_check,
	.compact = gitstore_compact,
	.list = gitstore_list,
	.exists = gitstore_exists,
	.open_mailbox = gitstore_open_mailbox,
	.base = gitstore_base,
	.quarantine = gitstore_quarantine,
	.changes = gitstore_changes,
	.fetch = gitstore_fetch,
	.append = gitstore_append,
	.holds_identities = gitstore_holds_identities,
	.find_identity = gitstore_find_identity,
	.copy_as = gitstore_copy_as,
	.change_flags = gitstore_change_flags,
	.copy = gitstore_copy,
	.expunge = gitstore_expunge,
	.keep = gitstore_keep,
	.count_lost = gitstore_count_lost,
	.set_base = gitstore_set_base,
	.renumber = gitstore_renumber,
	.contents = gitstore_contents,
	.create = gitstore_create,
	.rename = gitstore_rename,
	.remove = gitstore_remove,
	.subscribe = gitstore_subscribe,
	.commit = gitstore_commit,
	.snapshot = gitstore_snapshot,
	.commit_change = gitstore_commit_change,
};
