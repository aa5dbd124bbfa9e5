#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "backends/git/deleted.h"
#include "backends/git/git.h"
#include "backends/imap/imap.h"
#include "backends/maildir/maildir.h"
#include "backends/mbox/mbox.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/when.h"
#include "core/mail/mailbox_name.h"
#include "core/sync/restore.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/jobs.h"
#include "cmd/progress.h"
#include "cmd/report.h"
#include "cmd/restore_ends.h"
#include "cmd/restore_report.h"
#include "cmd/search.h"
#include "cmd/snapshot_arg.h"
#include "cmd/store_arg.h"

enum {
	OPT_DRY_RUN = 1,
	OPT_MAILBOX,
	OPT_UID,
	OPT_DELETED_SINCE,
	OPT_SEARCH,
	OPT_INTO,
	OPT_FLAGS,
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
	{ "search", 0, "CRITERIA", "Only messages like that: 'from anna since 2024-02'.", OPT_SEARCH },
	{ "into", 0, "MAILBOX", "Put mailboxes below this one; an mbox file into it.", OPT_INTO },
	{ "flags", 0, NULL, "Also give messages that are there the flags they had.", OPT_FLAGS },
	{ "without-kept", 0, NULL, "Leave out kept messages: gone at the account, or imported.",
	  OPT_WITHOUT_KEPT },
	{ "layout", 0, "LAYOUT", "fs or maildir++, for a new directory.", OPT_LAYOUT },
	{ "adopt", 0, NULL, "Add to a directory that mailcask did not make.", OPT_ADOPT },
	{ NULL, 0, NULL, NULL, 0 },
};

struct wishes {
	struct job_options common;
	struct uidset uids;
	bool uids_given, without_kept, deleted_given, flags;
	struct git_deleted deleted;
	struct search search;
	struct mailbox_name into; /* without components: not given */
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

static int take_search(struct wishes *w, const char *text)
{
	struct err err = { 0 };

	if (search_add(&w->search, text, clock_unix(), &err) == 0)
		return 0;
	cmd_usage_error(&cmd_restore, "--search: %s", err.text);
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
	case OPT_SEARCH:
		return take_search(w, arg);
	case OPT_INTO:
		return restore_read_into(&w->into, &cmd_restore, arg);
	case OPT_FLAGS:
		w->flags = true;
		return 0;
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

/* What is gone has no UID that still means it, lies in no single snapshot, and may have been kept. */
static int check_wishes(const struct wishes *w)
{
	const char *other = w->uids_given ? "--uid" : w->without_kept ? "--without-kept" : "--flags";

	if (!w->deleted_given || !(w->uids_given || w->without_kept || w->flags))
		return 0;
	cmd_usage_error(&cmd_restore, "--deleted-since does not go with %s", other);
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

static int check_operands(const struct wishes *w, const struct store_arg *store,
			  const struct restore_target *target, struct err *err)
{
	if (store->snapshot && !(store->ops->traits & STORE_HAS_HISTORY))
		return err_set(err, ERR_CONFIG,
			       "%s keeps no history: it is as it is now, without @%s", store->name,
			       store->snapshot);
	if (target->is_account && (w->layout || w->common.adopt))
		return err_set(err, ERR_CONFIG, "%s is an account; %s is for directories", target->text,
			       w->layout ? "--layout" : "--adopt");
	if (restore_target_check(target, store, err) < 0)
		return -1;
	return check_deleted(w, store, err);
}

static int choose(void *ctx, struct mailbox *mb, const struct changes *have, struct uidset *out,
		  struct err *err)
{
	return search_select(ctx, mb, have, out, err);
}

/* Where it reads and where it adds. `files` must outlive the settings. */
static void set_ends(struct restore_settings *set, const struct wishes *w,
		     const struct store_arg *store, struct restore_target *target,
		     struct mbox_settings *files)
{
	set->source = w->deleted_given ? &git_deleted_store : store->ops;
	set->source_config = store->config;
	if (w->deleted_given)
		set->source_config.settings = &w->deleted;
	restore_source_into(store, set, files);
	set->target = target->is_account ? &imap_store : &maildir_store;
	if (target->is_account)
		set->target_config = (struct store_config){ .name = target->text,
							    .account = target->fingerprint,
							    .settings = &target->account.imap };
	else
		set->target_config = (struct store_config){ .name = target->text,
							    .path = target->text,
							    .layout = w->layout };
	set->state_dir = target->state_dir;
}

static int restore(struct app *app, struct wishes *w, const struct store_arg *store,
		   struct restore_target *target, struct restore_report *report, struct err *err)
{
	struct progress progress;
	struct mbox_settings files = { 0 };
	struct restore_settings set = {
		.mailboxes = w->common.only,
		.n_mailboxes = w->common.n_only,
		.uids = w->uids_given ? &w->uids : NULL,
		.choose = w->search.n ? choose : NULL,
		.choose_ctx = &w->search,
		.into = w->into.count ? &w->into : NULL,
		.flags = w->flags,
		.without_kept = w->without_kept,
		.adopt = w->common.adopt,
		.dry_run = w->common.dry_run,
		.stop = app->stop,
		.progress = progress_show,
		.progress_ctx = &progress,
	};
	int ret;

	set_ends(&set, w, store, target, &files);
	progress_begin(&progress, app, store->name);
	progress.member = "store";
	ret = restore_run(&set, report, err);
	progress_end(&progress);
	if (ret == 0)
		*err = (struct err){ 0 }; /* what was tried on the way and did not matter */
	return ret;
}

static enum exit_status run(struct app *app, struct wishes *w, const char *store_text,
			    const char *target_text)
{
	struct restore_report report = { 0 };
	struct restore_told told = { .done = "restored", .dry_run = w->common.dry_run };
	struct store_arg store;
	struct restore_target target = { 0 };
	struct err err = { 0 };
	int64_t started = clock_ms();
	char *from = escape_text(bytes_of(store_text), 400);
	char *to = escape_text(bytes_of(target_text), 400);
	int ret;

	told.store = from;
	told.target = to;
	ret = restore_source_find(&store, app, store_text, &err);
	if (ret == 0)
		ret = restore_target_find(&target, app, target_text, w->common.dry_run, &err);
	if (ret == 0)
		ret = check_operands(w, &store, &target, &err);
	if (ret == 0)
		ret = snapshot_arg_resolve(&store, &err);
	told.moment = store.moment;
	if (ret == 0)
		ret = restore(app, w, &store, &target, &report, &err);
	told.status = ret < 0 ? exit_of_err(err.kind)
			      : report.incomplete ? EXIT_INCOMPLETE : EXIT_DONE;
	told.took_ms = clock_ms() - started;
	restore_report(app, &told, &report, &err);
	restore_report_release(&report);
	restore_target_release(&target);
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
		cmd_usage_error(&cmd_restore, "a source and a target are needed");
	else if (app_start(app) == 0)
		status = (int)run(app, &w, argv[optind], argv[optind + 1]);
out:
	free(w.common.only);
	uidset_release(&w.uids);
	search_release(&w.search);
	mailbox_name_release(&w.into);
	return status;
}

const struct cmd cmd_restore = {
	.name = "restore",
	.args = "SOURCE[@SNAPSHOT] TARGET",
	.summary = "Add to an account or a Maildir what a store or a file holds and it lacks.",
	.details =
		"SOURCE is the name of a [store], NAME/ACCOUNT where its path has %a, or a path: of a\n"
		"store, a Maildir, an mbox file, or a directory of .eml files. TARGET is the name of an\n"
		"[account], or a directory, which is made when it is not there. What lies there is never\n"
		"removed, nor changed without --flags: messages are compared by content, mailbox by\n"
		"mailbox, and those that are missing are added, with flags, keywords and dates.\n"
		"Run it again to go on after an interruption, or to bring back what you deleted.\n"
		"--deleted-since brings back what is gone from a git archive since then, whichever\n"
		"snapshots it lies in; what was only moved is not gone.\n"
		"The source is only read, also while a backup writes to it.\n"
		"\n"
		"Kept messages (gone at the account, but kept by 'deletions = keep' or by the guard)\n"
		"are restored, too. UIDs are the store's own. An account's mailboxes go by its own names:\n"
		"\\Sent into its \\Sent, and so on.",
	.more = search_show,
	.options = options,
	.run = restore_command,
};
