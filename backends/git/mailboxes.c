#include "backends/git/mailboxes.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/box.h"
#include "backends/git/commit.h"
#include "core/base/err.h"
#include "core/base/mem.h"

static int unknown(const struct gitstore *g, struct err *err)
{
	return err_set(err, ERR_MAILBOX, "it does not exist in %s", g->path);
}

int gitstore_create(struct store *st, const struct mailbox_name *name, unsigned attributes,
		    struct err *err)
{
	struct gitstore *g = (struct gitstore *)st;
	struct gitbox *box = gitbox_find(g, name);

	if (gitstore_is_broken(g, err))
		return -1;
	if (!box) {
		box = gitbox_new(g, name);
		gitbox_insert(g, box);
		message_note(g, box, "created");
	}
	if (name->wire.p) {
		mailbox_name_copy(&box->mb.name, name);
		mailbox_name_copy(&box->text.name, name);
	}
	box->text.attributes = attributes;
	return 0;
}

int gitstore_subscribe(struct store *st, const struct mailbox_name *name, bool on,
		       struct err *err)
{
	struct gitstore *g = (struct gitstore *)st;
	struct gitbox *box = gitbox_find(g, name);

	if (!box)
		return unknown(g, err);
	box->text.attributes &= ~(unsigned)MAILBOX_SUBSCRIBED;
	box->text.attributes |= on ? MAILBOX_SUBSCRIBED : 0;
	return 0;
}

/* The tip's entry of this directory has to go. */
static void leave_dir(struct gitstore *g, const struct gitbox *box)
{
	g->old_dirs = xgrow(g->old_dirs, g->n_old_dirs, &g->cap_old_dirs, sizeof(char *));
	g->old_dirs[g->n_old_dirs++] = xstrdup(box->dir);
}

int gitstore_remove(struct store *st, const struct mailbox_name *name, struct err *err)
{
	struct gitstore *g = (struct gitstore *)st;
	struct gitbox *box = gitbox_find(g, name);

	if (!box)
		return 0;
	if (box->text.live > 0 || box->text.kept > 0)
		return err_set(err, ERR_MAILBOX, "it still holds messages");
	if (gitstore_is_broken(g, err))
		return -1;
	message_note(g, box, "removed");
	leave_dir(g, box);
	gitbox_take_out(g, box);
	g->gone = xgrow(g->gone, g->n_gone, &g->cap_gone, sizeof(struct gitbox *));
	g->gone[g->n_gone++] = box;
	return gitstore_commit(st, err);
}

static int rename_box(struct gitstore *g, struct gitbox *box, const struct mailbox_name *from,
		      const struct mailbox_name *to, struct err *err)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	char *text;

	/* While its directory is known by its old name. */
	if (gitbox_load(box, err) < 0 ||
	    mailbox_name_move(&name, &box->mb.name, from, to, err) < 0)
		return -1;
	text = mailbox_name_text(&name);
	message_note(g, box, "renamed to %s", text);
	free(text);
	leave_dir(g, box);
	gitbox_take_out(g, box);
	mailbox_name_copy(&box->mb.name, &name);
	mailbox_name_copy(&box->text.name, &name);
	layout_dir(&name, box->dir);
	box->dirty = true;
	gitbox_insert(g, box);
	mailbox_name_release(&name);
	return 0;
}

int gitstore_rename(struct store *st, const struct mailbox_name *from,
		    const struct mailbox_name *to, struct err *err)
{
	struct gitstore *g = (struct gitstore *)st;
	struct gitbox **todo;
	size_t n = 0;
	int ret = 0;

	if (!gitbox_find(g, from))
		return unknown(g, err);
	if (gitbox_find(g, to))
		return err_set(err, ERR_MAILBOX, "the new name exists already");
	if (mailbox_name_is_inbox(from) || mailbox_name_is_inbox(to))
		return err_set(err, ERR_MAILBOX, "INBOX cannot be renamed");
	if (gitstore_is_broken(g, err))
		return -1;
	todo = xcalloc(g->n, sizeof(struct gitbox *));
	for (size_t i = 0; i < g->n; i++)
		if (mailbox_name_is_below(&g->box[i]->mb.name, from))
			todo[n++] = g->box[i];
	for (size_t i = 0; i < n && ret == 0; i++)
		ret = rename_box(g, todo[i], from, to, err);
	free(todo);
	return ret < 0 ? -1 : gitstore_commit(st, err);
}
