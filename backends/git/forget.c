#include "backends/git/forget.h"

#include <stdlib.h>
#include <string.h>

#include <git2.h>

#include "backends/git/commit.h"
#include "backends/git/compact.h"
#include "backends/git/git.h"
#include "backends/git/history.h"
#include "backends/git/internal.h"
#include "backends/git/kept_list.h"
#include "backends/git/mirror.h"
#include "backends/git/pack_read.h"
#include "backends/git/pack_write.h"
#include "backends/git/prune.h"
#include "backends/git/reach.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/mem.h"

struct work {
	struct gitstore *g;
	struct history *h;
	struct forgetting *f;
	unsigned *reasons; /* by number of the snapshot */
	bool wip_is_behind; /* its parent is main's tip under an older id: a call before was stopped */
	const volatile int *stop; /* NULL: nobody can interrupt it */
	struct reach live;
};

/* --- kept messages --- */

static int drop_kept_of(struct gitbox *box, struct forgetting *f, struct err *err)
{
	if (box->text.kept == 0)
		return 0;
	if (kept_list_load(box, err) < 0)
		return -1;
	for (size_t i = 0; i < box->kept.n; i++) {
		struct kept_item *item = &box->kept.v[i];
		int64_t time = kept_time(&item->line);

		if (item->gone || item->line.held || time == 0 || time >= f->kept_before)
			continue;
		f->messages++;
		if (f->dry_run)
			continue;
		kept_list_remove(box, item);
		box->tally.removed++;
	}
	return 0;
}

static int drop_kept(struct gitstore *g, struct forgetting *f, struct err *err)
{
	for (size_t i = 0; i < g->n && f->kept_before; i++)
		if (drop_kept_of(g->box[i], f, err) < 0)
			return -1;
	if (f->messages == 0 || f->dry_run)
		return 0;
	return gitstore_commit_change(&g->st, "kept messages removed", err);
}

/* --- the history --- */

static int look_at_wip(struct work *w, struct err *err)
{
	const struct repo_tips *t = &w->g->tips;
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	struct commit_text c;
	int ret = 0;

	if (t->on_wip && (ret = repo_read_commit(w->g->repo, &t->wip, &text, &c, err)) == 0)
		w->wip_is_behind = t->has_main && !object_id_equal(&c.parent, &t->main);
	buf_release(&text);
	return ret;
}

/* --- which stay --- */

static int decide(struct work *w, struct err *err)
{
	size_t n = history_count(w->h), more = w->f->one_more;
	int64_t *times = xcalloc(n + 2, sizeof(*times));
	int ret = 0;

	w->reasons = xcalloc(n + 2, sizeof(*w->reasons));
	times[0] = clock_unix(); /* of one more; else not looked at */
	for (size_t i = 0; i < n; i++)
		times[i + more] = history_snapshot(w->h, i)->time;
	retention_apply(w->f->keep, times, n + more, clock_unix(), w->reasons);
	free(times);
	w->f->kept = more;
	memmove(w->reasons, w->reasons + more, n * sizeof(*w->reasons));
	for (size_t i = 0; i < n && ret == 0; i++) {
		if (w->reasons[i])
			w->f->kept++;
		else
			w->f->dropped++;
		if (w->f->tell)
			ret = w->f->tell(w->f->ctx, history_snapshot(w->h, i), w->reasons[i], err);
	}
	return ret;
}

static void id_of(const struct work *w, size_t i, struct object_id *id)
{
	object_id_parse(id, bytes_of(history_snapshot(w->h, i)->id));
}

/* Everything but the commits that will be written anew. */
static int mark(struct work *w, struct err *err)
{
	const struct repo_tips *t = &w->g->tips;
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	bool same = true; /* nothing older goes: it keeps its id */
	int ret = 0;

	for (size_t i = history_count(w->h); i-- > 0 && ret == 0;) {
		struct commit_text c;
		struct object_id id;

		if (w->stop && *w->stop)
			ret = err_set(err, ERR_STOPPED, "interrupted");
		same = same && w->reasons[i] != 0;
		if (!w->reasons[i] || ret < 0)
			continue;
		id_of(w, i, &id);
		if (same) { /* with all its parents, if another program made it */
			ret = reach_from(&w->live, &id, err);
			continue;
		}
		ret = repo_read_commit(w->g->repo, &id, &text, &c, err);
		if (ret == 0)
			ret = reach_from(&w->live, &c.tree, err);
	}
	if (ret == 0 && w->f->one_more) /* it would have the rest of what the newest has */
		ret = reach_from(&w->live, &t->main_root, err);
	if (ret == 0 && t->on_wip) {
		ret = reach_from(&w->live, &t->root, err);
		if (same && !w->wip_is_behind)
			reach_add(&w->live, &t->wip);
	}
	if (ret == 0)
		ret = reach_others(&w->live, &w->f->holder, err);
	buf_release(&text);
	return ret;
}

/* --- the history without the others --- */

/*
 * The commit `id` behind `parent` (NULL: none), with its text as it is. `generation` other than 0 goes to
 * the end of it.
 */
static int write_again(struct work *w, const struct object_id *id, const struct object_id *parent,
		       uint64_t generation, struct object_id *out, struct err *err)
{
	struct buf old = BUF_INIT(COMMIT_TEXT_MAX), new = BUF_INIT(COMMIT_TEXT_MAX);
	struct commit_text c;
	int ret = repo_read_commit(w->g->repo, id, &old, &c, err);

	if (ret == 0) {
		commit_text_move(buf_bytes(&old), parent, &new);
		if (c.generation == 0 && generation > 0)
			commit_text_add_generation(generation, &new);
		ret = new.overflow ? err_set(err, ERR_FATAL, "%s: a commit is too long", w->g->path)
				   : pack_add(w->g->repo->writer, GIT_COMMIT, buf_bytes(&new), out,
					      NULL, err);
	}
	if (ret == 0)
		reach_add(&w->live, out);
	buf_release(&old);
	buf_release(&new);
	return ret;
}

/*
 * Another program's commit says no generation: it is counted from ours behind it (repo_refs.c), of which
 * some go. So the tip says it itself from now on.
 */
static int write_history(struct work *w, struct object_id *tip, struct err *err)
{
	const struct repo_tips *t = &w->g->tips;
	bool same = true, any = false;

	for (size_t i = history_count(w->h); i-- > 0;) {
		struct object_id id, parent = *tip;

		same = same && w->reasons[i] != 0;
		if (!w->reasons[i])
			continue;
		id_of(w, i, &id);
		if (same)
			*tip = id;
		else if (write_again(w, &id, any ? &parent : NULL,
				     i == 0 && !t->on_wip ? t->generation : 0, tip, err) < 0)
			return -1;
		any = true;
	}
	return 0;
}

static int move_refs(struct work *w, const struct object_id *main, const struct object_id *wip,
		     struct err *err)
{
	struct repo_tips *t = &w->g->tips;

	if (!object_id_equal(&t->main, main) &&
	    (mirror_note_forgotten(w->g->repo, &t->main, main, err) < 0 ||
	     repo_ref_move(w->g->repo, REPO_MAIN, &t->main, main, err) < 0))
		return -1;
	t->main = *main;
	if (t->on_wip && repo_ref_move(w->g->repo, REPO_WIP, &t->wip, wip, err) < 0)
		return -1;
	if (t->on_wip)
		t->wip = *wip;
	t->tip = t->on_wip ? *wip : *main;
	return 0;
}

/* Where git was told to log what a ref named before, that would hold on to it. */
static int drop_logs(const struct repo *r, struct err *err)
{
	static const char *const refs[] = { "HEAD", REPO_MAIN, REPO_WIP };
	struct git_repository *git = repo_git(r, err);

	if (!git)
		return -1;
	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++)
		git_reflog_delete(git, refs[i]);
	return 0;
}

static int rewrite(struct work *w, struct err *err)
{
	struct gitstore *g = w->g;
	struct object_id main = { 0 }, wip = { 0 };
	char name[PACK_NAME_SIZE];

	if (write_history(w, &main, err) < 0 ||
	    (g->tips.on_wip && write_again(w, &g->tips.wip, &main, 0, &wip, err) < 0) ||
	    pack_publish(g->repo->writer, name, err) < 0 || repo_refresh(g->repo, err) < 0 ||
	    move_refs(w, &main, &wip, err) < 0)
		return -1;
	gitstore_write_tokens(g);
	return drop_logs(g->repo, err);
}

/* --- all of it --- */

static int sweep(struct work *w, struct err *err)
{
	struct pruning p = { .dry_run = w->f->dry_run, .stop = w->stop };
	struct compaction merging = { .dry_run = w->f->dry_run };
	struct compaction before = { .dry_run = true };

	/* Opening for writing may have ended a removal that was begun. */
	if (repo_refresh(w->g->repo, err) < 0 ||
	    repo_compact(w->g->repo, SIZE_MAX, &before, err) < 0)
		return -1;
	w->f->packs_before = before.files_before;
	w->f->bytes_before = before.bytes_before;
	if (repo_prune(w->g->repo, &w->live.seen, &p, err) < 0 ||
	    repo_compact(w->g->repo, 2, &merging, err) < 0)
		return -1;
	w->f->objects = p.objects;
	w->f->bytes = p.bytes;
	w->f->packs_after = merging.files_after;
	w->f->bytes_after = merging.bytes_after;
	return 0;
}

static int look_at_history(struct work *w, struct err *err)
{
	history_close(w->h);
	w->h = NULL;
	if (history_open(w->g->path, &w->h, err) < 0)
		return -1;
	if (history_count(w->h) == 0)
		return err_set(err, ERR_MISSING, "%s has no snapshots yet: its first run has not ended",
			       w->g->path);
	if (history_cut(w->h))
		return err_set(err, ERR_FATAL,
			       "%s: not all snapshots can be read, and nothing was forgotten: %s",
			       w->g->path, history_cut(w->h)->text);
	return 0;
}

static int forget(struct work *w, struct err *err)
{
	struct forgetting *f = w->f;

	if (look_at_history(w, err) < 0 || drop_kept(w->g, f, err) < 0)
		return -1;
	if (f->messages > 0 && !f->dry_run && look_at_history(w, err) < 0)
		return -1;
	f->one_more = f->messages > 0 && f->dry_run && !w->g->tips.on_wip;
	if (decide(w, err) < 0 || look_at_wip(w, err) < 0 || mark(w, err) < 0)
		return -1;
	if (!f->dry_run && (f->dropped > 0 || w->wip_is_behind) && rewrite(w, err) < 0)
		return -1;
	history_close(w->h); /* what it has open would take room after it is removed */
	w->h = NULL;
	if (sweep(w, err) == 0)
		return 0;
	if (!f->dry_run && f->dropped > 0)
		err_prefix(err, "the snapshots are forgotten, but not all that they held is off the disk: put this "
			   "right and forget again");
	return -1;
}

int gitstore_forget(const struct store_config *cfg, struct forgetting *f, struct err *err)
{
	enum store_mode mode = f->dry_run ? STORE_READ : STORE_WRITE;
	struct work w = { .f = f, .stop = cfg->run ? cfg->run->stop : NULL };
	struct store *st = NULL;
	int ret;

	f->kept = f->dropped = f->messages = 0;
	f->one_more = false;
	f->holder = NULL;
	if (store_open(&git_store, &st, cfg, mode, err) < 0)
		return -1;
	w.g = (struct gitstore *)st;
	reach_init(&w.live, w.g->repo);
	ret = forget(&w, err);
	history_close(w.h);
	reach_release(&w.live);
	free(w.reasons);
	store_close(st);
	return ret;
}
