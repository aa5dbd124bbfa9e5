#include "cmd/look.h"

#include <signal.h>
#include <stdlib.h>

#include "backends/git/history.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/snapshot_arg.h"

/* The kind of store that shows what is asked for. */
static const struct store_ops *kind_of(struct look *lk, enum look_what what, struct err *err)
{
	struct history *h;

	lk->arg.config.with_kept = what == LOOK_KEPT;
	if (what != LOOK_DELETED)
		return lk->arg.ops;
	if (lk->arg.snapshot) {
		err_set(err, ERR_CONFIG,
			"what was deleted is looked for in all snapshots: leave @ and what follows out");
		return NULL;
	}
	if (snapshot_arg_open(&lk->arg, &h, err) < 0)
		return NULL;
	history_close(h);
	lk->deleted.since = INT64_MIN;
	lk->arg.config.settings = &lk->deleted;
	return &git_deleted_store;
}

int look_open_at(struct look *lk, struct app *app, const char *text, enum look_what what,
		 struct err *err)
{
	struct store_arg *arg = &lk->arg;
	const struct store_ops *ops;

	*lk = (struct look){ .app = app, .run = { .stop = app->stop } };
	signal(SIGPIPE, SIG_DFL); /* nothing to put in order when nobody reads on */
	if (app_start(app) < 0)
		return err_set(err, ERR_FATAL, "the trace could not be opened");
	if (store_arg_find(arg, app, text, err) < 0)
		return -1;
	arg->config.run = &lk->run;
	ops = kind_of(lk, what, err);
	if (!ops || snapshot_arg_resolve(arg, err) < 0)
		return -1;
	if (store_open(ops, &lk->store, &arg->config, STORE_READ, err) < 0)
		return -1;
	return store_list(lk->store, NULL, &lk->list, err);
}

int look_open(struct look *lk, struct app *app, const char *text, struct err *err)
{
	return look_open_at(lk, app, text, LOOK_LIVE, err);
}

void look_close(struct look *lk)
{
	mailbox_list_release(&lk->list);
	store_close(lk->live);
	store_close(lk->store);
	store_arg_release(&lk->arg);
	*lk = (struct look){ 0 };
}

/* Returns the name of a mailbox that someone who wrote `wrong` may have meant, or NULL. */
static char *nearest_mailbox(const struct look *lk, const char *wrong)
{
	char **names = xcalloc(lk->list.n + 1, sizeof(*names)), *near = NULL;
	const char *found;

	for (size_t i = 0; i < lk->list.n; i++)
		names[i] = mailbox_name_text(&lk->list.v[i].name);
	found = nearest_word(wrong, (const char *const *)names, lk->list.n);
	if (found)
		near = escape_text(bytes_of(found), 400);
	for (size_t i = 0; i < lk->list.n; i++)
		free(names[i]);
	free(names);
	return near;
}

int look_mailbox(struct look *lk, const char *name, struct mailbox **mb, struct err *err)
{
	struct mailbox_name wanted = MAILBOX_NAME_INIT;
	const struct mailbox_info *info = NULL;
	char *safe, *near;

	if (mailbox_name_from_display(&wanted, bytes_of(name), err) < 0)
		return -1;
	info = mailbox_list_find(&lk->list, &wanted);
	mailbox_name_release(&wanted);
	if (info)
		return mailbox_open(lk->store, info, STORE_READ, mb, err);
	safe = escape_text(bytes_of(name), 400);
	near = nearest_mailbox(lk, name);
	err_set(err, ERR_MISSING, "there is no mailbox '%s'%s%s%s", safe,
		near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	free(safe);
	free(near);
	return -1;
}

int look_contents(struct mailbox *mb, struct changes *out, struct err *err)
{
	struct changes_request req = { .mailbox = mb, .out = out };

	if (store_changes(mb->store, &req, 1, err) < 0)
		return -1;
	if (out->err.kind == ERR_NONE)
		return 0;
	*err = out->err;
	return -1;
}

static int open_live(struct look *lk, struct err *err)
{
	if (lk->live)
		return 0;
	lk->live_config = lk->arg.config;
	lk->live_config.with_kept = false;
	return store_open(lk->arg.ops, &lk->live, &lk->live_config, STORE_READ, err);
}

int look_kept(struct look *lk, const struct mailbox_info *info, const struct uidset *all, struct uidset *out,
	      struct err *err)
{
	struct uidset live = UIDSET_INIT;
	struct mailbox *mb;
	struct changes held;
	int ret = -1;

	if (info->kept == 0)
		return 0;
	changes_init(&held);
	if (open_live(lk, err) == 0 && mailbox_open(lk->live, info, STORE_READ, &mb, err) == 0)
		ret = look_contents(mb, &held, err);
	for (size_t i = 0; i < held.n && ret == 0; i++)
		uidset_add(&live, held.v[i].uid);
	if (ret == 0)
		uidset_subtract(out, all, &live);
	changes_release(&held);
	uidset_release(&live);
	return ret;
}
