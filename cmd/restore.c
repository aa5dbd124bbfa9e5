#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "backends/git/deleted.h"
#include "backends/git/git.h"
#include "backends/maildir/maildir.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/when.h"
#include "core/sync/restore.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/jobs.h"
#include "cmd/progress.h"
#include "cmd/report.h"
#include "cmd/restore_report.h"
#include "cmd/snapshot_arg.h"
#include "cmd/store_arg.h"

enum {
	OPT_DRY_RUN = 1,
	OPT_MAILBOX,
	OPT_UID,
	OPT_DELETED_SINCE,
	OPT_WITHOUT_KEPT,
	OPT_LAYOUT,
	OPT_ADOPT
};

static const struct cmd_option options[] = {
	{ "dry-run", 'n', NULL, "Show what would be added and change nothing.", OPT_DRY_RUN },
	{ "mailbox", 0, "PATTERN", "Only these mailboxes; may be given again.", OPT_MAILBOX },
	{ "uid", 0, "SET", "Of the one mailbox, only these messages: 7 or 7,9:12.", OPT_UID },
	{ "deleted-since", 0, "TIME", "Only what was deleted from the archive since then.",
	  OPT_DELETED_SINCE },
	{ "without-kept", 0, NULL, "Leave out what was gone at the account, but kept.",
	  OPT_WITHOUT_KEPT },
	{ "layout", 0, "LAYOUT", "fs or maildir++, for a new directory.", OPT_LAYOUT },
	{ "adopt", 0, NULL, "Add to a directory that mailcask did not make.", OPT_ADOPT },
	{ NULL, 0, NULL, NULL, 0 },
};

struct wishes {
	struct job_options common;
	struct uidset uids;
	bool uids_given, without_kept, deleted_given;
	struct git_deleted deleted;
	const char *layout;
};

static int take_uids(struct wishes *w, const char *text)
{
	struct err err = { 0 };

	w->uids_given = true;
	if (uidset_parse(&w->uids, bytes_of(text), UIDSET_STRICT, NULL, &err) == 0)
		return 0;
	cmd_usage_error(&cmd_restore, "--uid: %s", err.text);
	return -1;
}

static int take_since(struct wishes *w, const char *text)
{
	struct when when;
	struct err err = { 0 };

	w->deleted_given = true;
	if (when_parse(text, clock_unix(), &when, &err) < 0) {
		cmd_usage_error(&cmd_restore, "--deleted-since: %s", err.text);
		return -1;
	}
	w->deleted.since = when.first;
	return 0;
}

static int take_layout(struct wishes *w, const char *text)
{
	for (const struct config_choice *c = config_layout_words; c->word; c++)
		if (strcmp(c->word, text) == 0) {
			w->layout = c->word;
			return 0;
		}
	cmd_usage_error(&cmd_restore, "--layout: fs or maildir++, not '%s'", text);
	return -1;
}

static int take_option(struct wishes *w, int option, const char *arg)
{
	switch (option) {
	case OPT_DRY_RUN:
		w->common.dry_run = true;
		return 0;
	case OPT_MAILBOX:
		return jobs_add_pattern(&w->common, &cmd_restore, arg);
	case OPT_UID:
		return take_uids(w, arg);
	case OPT_DELETED_SINCE:
		return take_since(w, arg);
	case OPT_WITHOUT_KEPT:
		w->without_kept = true;
		return 0;
	case OPT_LAYOUT:
		return take_layout(w, arg);
	case OPT_ADOPT:
		w->common.adopt = true;
		return 0;
	default:
		return -1;
	}
}

/* A name that the configuration gives something else is no directory, unless it says ./NAME. */
static int check_target_name(struct app *app, const char *target, struct err *err)
{
	app_config_if_sound(app);
	if (strchr(target, '/'))
		return 0;
	if (config_section(app->config, CONFIG_ACCOUNT, target))
		return err_set(err, ERR_CONFIG,
			       "%s is an account, and this version restores into a directory only; "
			       "a directory of that name is ./%s",
			       target, target);
	if (config_section(app->config, CONFIG_STORE, target))
		return err_set(err, ERR_CONFIG,
			       "%s is a store of the configuration, which backups fill; a directory "
			       "of that name is ./%s",
			       target, target);
	return 0;
}

/* As realpath(), also of what does not exist yet. NULL with errno. */
static char *true_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent, *base, *out = realpath(path, NULL);

	if (out || errno != ENOENT)
		return out;
	if (!slash)
		parent = xstrdup(".");
	else
		parent = bytes_dup(bytes_from(path, slash == path ? 1 : (size_t)(slash - path)));
	base = true_path(parent);
	free(parent);
	if (!base)
		return NULL;
	out = xasprintf("%s%s%s", base, strcmp(base, "/") == 0 ? "" : "/",
			slash ? slash + 1 : path);
	free(base);
	return out;
}

static bool is_within(const char *path, const char *root)
{
	size_t n = strlen(root);

	return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Neither in the other: what is restored would be part of what is read. */
static int check_paths(const struct store_arg *store, const char *target, struct err *err)
{
	char *from = true_path(store->path), *to = true_path(target);
	int ret = 0;

	if (!from || !to)
		ret = err_sys(err, ERR_FATAL, "look at %s", from ? target : store->path);
	else if (strcmp(from, to) == 0)
		ret = err_set(err, ERR_CONFIG, "%s is the store itself", target);
	else if (is_within(to, from) || is_within(from, to))
		ret = err_set(err, ERR_CONFIG, "%s and %s lie one within the other", store->path,
			      target);
	free(from);
	free(to);
	return ret;
}

/* A directory that is a store of another type is no directory to put a Maildir into. */
static int check_target_type(const char *target, struct err *err)
{
	const struct store_config cfg = { .name = target, .path = target };

	for (size_t i = 0; store_types[i]; i++) {
		struct store_identity id = { 0 };
		struct err why;
		bool ours = store_types[i] != &maildir_store &&
			    store_types[i]->identify(&cfg, &id, &why) == 0 &&
			    id.presence == STORE_OURS;

		store_identity_release(&id);
		if (ours)
			return err_set(err, ERR_CONFIG,
				       "%s is a store of type %s; mail is restored into a Maildir, "
				       "so name another directory",
				       target, store_types[i]->type);
	}
	return 0;
}

/* What is gone has no UID that still means it, lies in no single snapshot, and may have been kept. */
static int check_wishes(const struct wishes *w)
{
	if (!w->deleted_given || !(w->uids_given || w->without_kept))
		return 0;
	cmd_usage_error(&cmd_restore, "--deleted-since does not go with %s",
			w->uids_given ? "--uid" : "--without-kept");
	return -1;
}

static int check_deleted(const struct wishes *w, const struct store_arg *store, struct err *err)
{
	if (!w->deleted_given)
		return 0;
	if (store->snapshot)
		return err_set(err, ERR_CONFIG,
			       "--deleted-since looks at all snapshots from then on: leave out @%s",
			       store->snapshot);
	if (store->ops != &git_store)
		return err_set(err, ERR_CONFIG,
			       "%s keeps no history, so what was deleted is not in it", store->name);
	return 0;
}

static int check_operands(struct app *app, const struct store_arg *store, const char *target,
			  struct err *err)
{
	if (store->snapshot && !(store->ops->traits & STORE_HAS_HISTORY))
		return err_set(err, ERR_CONFIG,
			       "%s keeps no history: it is as it is now, without @%s", store->name,
			       store->snapshot);
	if (check_target_name(app, target, err) < 0 || check_target_type(target, err) < 0)
		return -1;
	return check_paths(store, target, err);
}

static int restore(struct app *app, const struct wishes *w, const struct store_arg *store,
		   const char *target, struct restore_report *report, struct err *err)
{
	struct progress progress;
	struct restore_settings set = {
		.source = w->deleted_given ? &git_deleted_store : store->ops,
		.target = &maildir_store,
		.source_config = store->config,
		.target_config = { .name = target, .path = target, .layout = w->layout },
		.mailboxes = w->common.only,
		.n_mailboxes = w->common.n_only,
		.uids = w->uids_given ? &w->uids : NULL,
		.without_kept = w->without_kept,
		.adopt = w->common.adopt,
		.dry_run = w->common.dry_run,
		.stop = app->stop,
		.progress = progress_show,
		.progress_ctx = &progress,
	};
	int ret;

	if (w->deleted_given)
		set.source_config.settings = &w->deleted;
	progress_begin(&progress, app, store->name);
	progress.member = "store";
	ret = restore_run(&set, report, err);
	progress_end(&progress);
	if (ret == 0)
		*err = (struct err){ 0 }; /* what was tried on the way and did not matter */
	return ret;
}

static enum exit_status run(struct app *app, const struct wishes *w, const char *store_text,
			    const char *target)
{
	struct restore_report report = { 0 };
	struct restore_told told = { .dry_run = w->common.dry_run };
	struct store_arg store;
	struct err err = { 0 };
	int64_t started = clock_ms();
	char *from = escape_text(bytes_of(store_text), 400);
	char *to = escape_text(bytes_of(target), 400);
	int ret;

	told.store = from;
	told.target = to;
	ret = store_arg_find(&store, app, store_text, &err);
	if (ret == 0)
		ret = check_operands(app, &store, target, &err);
	if (ret == 0)
		ret = check_deleted(w, &store, &err);
	if (ret == 0)
		ret = snapshot_arg_resolve(&store, &err);
	told.moment = store.moment;
	if (ret == 0)
		ret = restore(app, w, &store, target, &report, &err);
	told.status = ret < 0 ? exit_of_err(err.kind)
			      : report.incomplete ? EXIT_INCOMPLETE : EXIT_DONE;
	told.took_ms = clock_ms() - started;
	restore_report(app, &told, &report, &err);
	restore_report_release(&report);
	store_arg_release(&store);
	free(from);
	free(to);
	return told.status;
}

static int restore_command(struct app *app, int argc, char **argv)
{
	struct wishes w = { 0 };
	int option, status = EXIT_USAGE;
	const char *arg;

	while ((option = cmd_next_option(app, &cmd_restore, argc, argv, &arg)) != CMD_OPTIONS_END)
		if (take_option(&w, option, arg) < 0)
			goto out;
	if (check_wishes(&w) < 0)
		goto out;
	if (argc - optind != 2)
		cmd_usage_error(&cmd_restore, "a store and a directory are needed");
	else if (app_start(app) == 0)
		status = (int)run(app, &w, argv[optind], argv[optind + 1]);
out:
	free(w.common.only);
	uidset_release(&w.uids);
	return status;
}

const struct cmd cmd_restore = {
	.name = "restore",
	.args = "STORE[@SNAPSHOT] DIRECTORY",
	.summary = "Add to a Maildir what a store holds and it lacks.",
	.details =
		"STORE is the name of a [store], NAME/ACCOUNT where its path has %a, or a path; a\n"
		"path needs no configuration. DIRECTORY is made when it is not there. What lies in\n"
		"it is never changed or removed: messages are compared by content, mailbox by\n"
		"mailbox, and those that are missing are added, with flags, keywords and dates.\n"
		"Run it again to go on after an interruption, or to bring back what you deleted.\n"
		"--deleted-since brings back what is gone from a git archive since then, whichever\n"
		"snapshots it lies in; what was only moved is not gone.\n"
		"The store is only read, also while a backup writes to it.\n"
		"\n"
		"Kept messages (gone at the account, but kept by 'deletions = keep' or by the guard)\n"
		"are restored, too. UIDs are the store's own.",
	.options = options,
	.run = restore_command,
};
