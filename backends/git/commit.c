#include "backends/git/commit.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/box.h"
#include "backends/git/compact.h"
#include "backends/git/kept_list.h"
#include "backends/git/leaf.h"
#include "backends/git/pack_write.h"
#include "backends/git/quarantine_text.h"
#include "backends/git/tokens_text.h"
#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"

/* The parts of known that source UIDs and quarantine do not tell already. */
static void settle_known(struct gitbox *box)
{
	struct uidset told = UIDSET_INIT;

	if (!box->base_loaded)
		return; /* then nothing of it changed */
	uidset_copy(&told, &box->sources);
	for (size_t i = 0; i < box->n_quarantine; i++)
		uidset_add(&told, box->quarantine[i].uid);
	uidset_subtract(&box->text.known_also, &box->known, &told);
	uidset_subtract(&box->text.known_not, &told, &box->known);
	uidset_release(&told);
}

static bool token_differs(const struct gitbox *box)
{
	const struct token *a = &box->text.token, *b = &box->saved.token;

	return a->known != b->known || a->uidvalidity != b->uidvalidity ||
	       a->uidnext != b->uidnext || a->messages != b->messages ||
	       a->highestmodseq != b->highestmodseq;
}

/* More than how far the token went. */
static bool box_differs(const struct gitbox *box)
{
	return box->dirty || !box->in_tip ||
	       !mailbox_text_same_but_token(&box->text, &box->saved);
}

struct differences {
	bool any, tokens;
};

static struct differences find_differences(const struct gitstore *g)
{
	struct differences d = { .any = g->format_dirty || g->n_old_dirs > 0 };

	for (size_t i = 0; i < g->n; i++) {
		d.any |= box_differs(g->box[i]);
		d.tokens |= token_differs(g->box[i]);
	}
	return d;
}

/* --- trees --- */

static int add_text(struct gitstore *g, const struct buf *text, struct object_id *id,
		    struct err *err)
{
	if (text->overflow)
		return err_set(err, ERR_FATAL, "%s: a file of the archive is too long", g->path);
	return pack_add(g->repo->writer, GIT_BLOB, buf_bytes(text), id, NULL, err);
}

static int add_tree(struct gitstore *g, const struct tree *t, struct object_id *id,
		    struct err *err)
{
	struct buf data = BUF_INIT(TREE_MAX);
	int ret;

	tree_format(t, &data);
	ret = data.overflow ? err_set(err, ERR_FATAL, "%s: too many mailboxes", g->path)
			    : pack_add(g->repo->writer, GIT_TREE, buf_bytes(&data), id, NULL, err);
	buf_release(&data);
	return ret;
}

static int write_messages(struct gitbox *box, struct err *err)
{
	struct object_id messages, flags;

	if (leaf_write(box, true, err) < 0 || leaf_write_tops(box, &messages, &flags, err) < 0)
		return -1;
	tree_put(&box->slots, MODE_TREE, LAYOUT_MESSAGES, &messages);
	tree_put(&box->slots, MODE_TREE, LAYOUT_FLAGS, &flags);
	return 0;
}

static int write_quarantine(struct gitbox *box, struct err *err)
{
	struct buf text = BUF_INIT(QUARANTINE_TEXT_MAX);
	struct object_id id = { 0 };
	int ret = 0;

	quarantine_text_write(box->quarantine, box->n_quarantine, &text);
	if (box->n_quarantine > 0)
		ret = add_text(gitstore_of(box), &text, &id, err);
	if (ret == 0)
		tree_put(&box->slots, MODE_FILE, LAYOUT_QUARANTINE, &id);
	buf_release(&text);
	return ret;
}

static int write_kept(struct gitbox *box, struct err *err)
{
	struct object_id id;

	if (kept_list_write(box, &id, err) < 0)
		return -1;
	tree_put(&box->slots, MODE_TREE, LAYOUT_KEPT, &id);
	return 0;
}

static int write_text(struct gitbox *box, struct err *err)
{
	struct buf text = BUF_INIT(MAILBOX_TEXT_MAX);
	struct object_id id;
	int ret;

	mailbox_text_write(&box->text, &text);
	ret = add_text(gitstore_of(box), &text, &id, err);
	if (ret == 0)
		tree_put(&box->slots, MODE_FILE, LAYOUT_MAILBOX, &id);
	buf_release(&text);
	return ret;
}

static const char *const parts[] = { LAYOUT_MESSAGES, LAYOUT_FLAGS, LAYOUT_KEPT,
				     LAYOUT_QUARANTINE };
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static void list_parts(const struct gitbox *box, struct object_id out[PARTS])
{
	for (size_t i = 0; i < PARTS; i++) {
		const struct tree_slot *slot = tree_find(&box->slots, parts[i]);

		out[i] = slot ? slot->id : (struct object_id){ 0 };
	}
}

/* All but the text into objects. What was changed and changed back is not dirty any more. */
static int settle_box(struct gitbox *box, struct err *err)
{
	struct object_id before[PARTS], after[PARTS];

	settle_known(box);
	if (!box->dirty)
		return 0;
	if (gitbox_load(box, err) < 0)
		return -1;
	list_parts(box, before);
	if (write_messages(box, err) < 0 || (box->kept.dirty && write_kept(box, err) < 0) ||
	    (box->quarantine_dirty && write_quarantine(box, err) < 0))
		return -1;
	list_parts(box, after);
	box->quarantine_dirty = false;
	box->dirty = box->slots_differ |= memcmp(before, after, sizeof(before)) != 0;
	return 0;
}

static int settle_boxes(struct gitstore *g, struct err *err)
{
	for (size_t i = 0; i < g->n; i++)
		if (settle_box(g->box[i], err) < 0)
			return -1;
	return 0;
}

static int write_box(struct gitbox *box, struct err *err)
{
	if (gitbox_load(box, err) < 0 || write_text(box, err) < 0)
		return -1;
	return add_tree(gitstore_of(box), &box->slots, &box->tree, err);
}

static int read_tree(struct gitstore *g, const struct object_id *id, struct tree *t,
		     struct err *err)
{
	struct buf data = BUF_INIT(TREE_MAX);
	int ret = 0;

	if (!object_id_is_zero(id) &&
	    (repo_read(g->repo, id, GIT_TREE, &data, err) < 0 ||
	     tree_parse(t, buf_bytes(&data), err) < 0))
		ret = -1;
	buf_release(&data);
	return ret;
}

static int write_mailboxes(struct gitstore *g, const struct tree_slot *old,
			   struct object_id *id, struct err *err)
{
	static const struct object_id none;
	struct tree t;
	int ret;

	tree_init(&t);
	ret = old ? read_tree(g, &old->id, &t, err) : 0;
	for (size_t i = 0; i < g->n_old_dirs; i++)
		tree_put(&t, MODE_TREE, g->old_dirs[i], &none);
	for (size_t i = 0; i < g->n && ret == 0; i++) {
		struct gitbox *box = g->box[i];

		if (!box_differs(box) && !token_differs(box))
			continue;
		ret = write_box(box, err);
		tree_put(&t, MODE_TREE, box->dir, &box->tree);
	}
	*id = none;
	if (ret == 0 && t.n > 0)
		ret = add_tree(g, &t, id, err);
	tree_release(&t);
	return ret;
}

static int write_format(struct gitstore *g, struct tree *root, struct err *err)
{
	struct buf text = BUF_INIT(FORMAT_TEXT_MAX);
	struct object_id id;
	int ret;

	format_text_write(&g->format, &text);
	ret = add_text(g, &text, &id, err);
	if (ret == 0) {
		tree_put(root, MODE_FILE, LAYOUT_FORMAT, &id);
		ret = pack_add(g->repo->writer, GIT_BLOB, bytes_of(LAYOUT_ATTRIBUTES_TEXT), &id,
			       NULL, err);
	}
	if (ret == 0)
		tree_put(root, MODE_FILE, LAYOUT_ATTRIBUTES, &id);
	buf_release(&text);
	return ret;
}

static int write_root(struct gitstore *g, struct object_id *id, struct err *err)
{
	struct object_id mailboxes;
	struct tree root;
	int ret = -1;

	tree_init(&root);
	if (read_tree(g, &g->tips.root, &root, err) < 0 ||
	    (g->format_dirty && write_format(g, &root, err) < 0) ||
	    write_mailboxes(g, tree_find(&root, LAYOUT_MAILBOXES), &mailboxes, err) < 0)
		goto out;
	tree_put(&root, MODE_TREE, LAYOUT_MAILBOXES, &mailboxes);
	ret = add_tree(g, &root, id, err);
out:
	tree_release(&root);
	return ret;
}

/* --- commits --- */

static int write_commit(struct gitstore *g, bool snapshot, const struct object_id *root,
			struct object_id *id, struct err *err)
{
	struct buf message = BUF_INIT(COMMIT_TEXT_MAX / 2), text = BUF_INIT(COMMIT_TEXT_MAX);
	struct commit_text c = {
		.tree = *root,
		.parent = g->tips.main,
		.parents = g->tips.has_main,
		.time = clock_unix(),
		.generation = g->tips.generation + 1,
	};
	char name[PACK_NAME_SIZE];
	int ret;

	message_write(g, snapshot, &message);
	c.message = buf_bytes(&message);
	commit_text_write(&c, &text);
	ret = text.overflow ? err_set(err, ERR_FATAL, "%s: too many mailboxes", g->path)
			    : pack_add(g->repo->writer, GIT_COMMIT, buf_bytes(&text), id, NULL, err);
	buf_release(&message);
	buf_release(&text);
	if (ret < 0 || pack_publish(g->repo->writer, name, err) < 0)
		return -1;
	return repo_refresh(g->repo, err);
}

/* It has another parent than main's tip now, and counts for nothing: the snapshot does not fail with it. */
static void drop_wip(struct gitstore *g)
{
	struct repo_tips *t = &g->tips;
	struct err why;

	if (!t->has_wip)
		return;
	if (repo_ref_remove(g->repo, REPO_WIP, &why) < 0) {
		log_warn("%s. The snapshot is complete; the next run removes " REPO_WIP, why.text);
		return;
	}
	t->has_wip = false;
	t->wip = (struct object_id){ 0 };
}

static int move_main(struct gitstore *g, const struct object_id *id, struct err *err)
{
	struct repo_tips *t = &g->tips;

	if (repo_ref_move(g->repo, REPO_MAIN, &t->main, id, err) < 0)
		return -1;
	t->main = *id;
	t->has_main = true;
	t->main_root = t->root;
	t->on_wip = false;
	drop_wip(g);
	return 0;
}

static int move_wip(struct gitstore *g, const struct object_id *id, struct err *err)
{
	struct repo_tips *t = &g->tips;

	if (repo_ref_move(g->repo, REPO_WIP, &t->wip, id, err) < 0)
		return -1;
	t->wip = *id;
	t->has_wip = t->on_wip = true;
	return 0;
}

/* What is in memory is what the tip has. */
static void note_saved(struct gitstore *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct gitbox *box = g->box[i];

		if (!box_differs(box) && !token_differs(box))
			continue;
		mailbox_text_copy(&box->saved, &box->text);
		box->in_tip = true;
		box->dirty = box->slots_differ = false;
	}
	for (size_t i = 0; i < g->n_old_dirs; i++)
		free(g->old_dirs[i]);
	g->n_old_dirs = 0;
	g->format_dirty = false;
}

/*
 * Nothing fails with it, for all that was stored is durable without: tokens of another tip count for
 * nothing, since the tree has its own, and with older ones of this tip the next run asks for more changes.
 */
void gitstore_write_tokens(struct gitstore *g)
{
	char *path = xasprintf("%s/" TOKENS_FILE, g->repo->dir);
	struct gitbox **by_dir = gitstore_by_dir(g);
	struct buf text = BUF_INIT(TOKENS_TEXT_MAX), one = BUF_INIT(MAILBOX_TEXT_MAX);
	struct err why;
	int ret = 0;

	tokens_begin(&text, g->tips.tip.b);
	for (size_t i = 0; i < g->n; i++) {
		buf_clear(&one);
		mailbox_text_write(&by_dir[i]->text, &one);
		tokens_add(&text, by_dir[i]->dir, buf_bytes(&one));
	}
	tokens_end(&text);
	crash_point("git: write tokens");
	if (!text.overflow && !one.overflow)
		ret = file_replace(path, buf_bytes(&text), 0600, &why);
	if (ret < 0)
		log_warn("%s: how far each mailbox was compared could not be noted: %s. The archive "
			 "is complete; the next run only compares more", g->path, why.text);
	for (size_t i = 0; i < g->n && ret == 0; i++)
		g->box[i]->saved.token = g->box[i]->text.token;
	buf_release(&text);
	buf_release(&one);
	free(by_dir);
	free(path);
}

/* Trees, commit, pack, ref: in this order. Also when there is only an interrupted run to be completed. */
static int write_all(struct gitstore *g, bool snapshot, bool any, struct err *err)
{
	struct object_id root = g->tips.root, id;

	if (any && write_root(g, &root, err) < 0)
		return -1;
	if (write_commit(g, snapshot, &root, &id, err) < 0)
		return -1;
	g->tips.root = root;
	if (snapshot ? move_main(g, &id, err) < 0 : move_wip(g, &id, err) < 0)
		return -1;
	g->tips.tip = id;
	g->tips.generation++;
	note_saved(g);
	if (!snapshot)
		return 0;
	message_reset(g);
	gitstore_write_tokens(g);
	return 0;
}

static void claim_account(struct gitstore *g)
{
	const char *account = g->st.cfg->account;

	if (!account || (g->format.account && strcmp(g->format.account, account) == 0))
		return;
	free(g->format.account);
	g->format.account = xstrdup(account);
	g->format_dirty = true;
}

static int commit(struct gitstore *g, bool snapshot, struct err *err)
{
	struct differences d = { 0 };
	int ret;

	if (gitstore_is_broken(g, err))
		return -1;
	claim_account(g);
	ret = settle_boxes(g, err);
	if (ret == 0)
		d = find_differences(g);
	if (d.any || (snapshot && g->tips.on_wip))
		ret = write_all(g, snapshot, d.any, err);
	else if (d.tokens)
		gitstore_write_tokens(g);
	if (ret == 0)
		return 0;
	g->broken = true;
	err->kind = ERR_FATAL; /* whatever it was: nothing of this commit is there */
	return -1;
}

int gitstore_commit(struct store *st, struct err *err)
{
	return commit((struct gitstore *)st, false, err);
}

/* The run is complete whatever comes of this. */
static void merge_packs(struct gitstore *g)
{
	struct compaction c = { 0 };
	struct err why;

	if (repo_compact(g->repo, COMPACT_MOST + 1, &c, &why) < 0)
		log_warn("%s: its small packs could not be merged: %s. Look what is wrong with: "
			 "mailcask check",
			 g->path, why.text);
}

int gitstore_snapshot(struct store *st, struct err *err)
{
	struct gitstore *g = (struct gitstore *)st;

	if (commit(g, true, err) < 0)
		return -1;
	merge_packs(g);
	return 0;
}

int gitstore_commit_change(struct store *st, const char *why, struct err *err)
{
	struct gitstore *g = (struct gitstore *)st;
	/* A new archive begins with a commit on wip, which is no run's. */
	bool snapshot = !g->tips.on_wip || (!g->tips.has_main && g->tips.generation == 1);
	int ret;

	if (!snapshot)
		buf_addf(&g->notes, "%s\n", why); /* told when the run is completed */
	g->why = why;
	ret = commit(g, snapshot, err);
	g->why = NULL;
	return ret;
}
