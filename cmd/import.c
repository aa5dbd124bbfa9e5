#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "backends/mbox/mbox.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/mail/mailbox_name.h"
#include "core/sync/restore.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/jobs.h"
#include "cmd/progress.h"
#include "cmd/restore_ends.h"
#include "cmd/restore_report.h"
#include "cmd/snapshot_arg.h"
#include "cmd/store_arg.h"

enum { OPT_DRY_RUN = 1, OPT_INTO, OPT_MAILBOX, OPT_CREATE };

static const struct cmd_option options[] = {
	{ "dry-run", 'n', NULL, "Show what would be added and change nothing.", OPT_DRY_RUN },
	{ "into", 0, "MAILBOX", "Put an mbox file into this mailbox, several below it.", OPT_INTO },
	{ "mailbox", 0, "PATTERN", "Only these mailboxes of SOURCE; may be given again.", OPT_MAILBOX },
	{ "create", 0, "TYPE", "git or maildir: make STORE if there is none.", OPT_CREATE },
	{ NULL, 0, NULL, NULL, 0 },
};

struct request {
	struct app *app;
	struct job_options common; /* --dry-run, --mailbox */
	struct mailbox_name into; /* without components: not given */
	const struct store_ops *create; /* NULL: STORE has to be there */
};

/* --- the store --- */

/* The section that the store was named by; NULL: it was named by its path. */
static const struct config_store *section_of(const struct request *q, const struct store_arg *arg)
{
	char *name = bytes_dup(bytes_from(arg->name, strcspn(arg->name, "/")));
	const struct config_store *st = NULL;

	if (strcmp(arg->name, arg->path) != 0 && app_config_if_sound(q->app))
		st = config_section(q->app->config, CONFIG_STORE, name);
	free(name);
	return st;
}

/* A store that is not there yet: where it is to be. False: nothing says that. */
static bool find_place(struct store_arg *arg, const char *text)
{
	if (arg->path)
		return arg->identity.presence == STORE_MISSING || arg->identity.presence == STORE_EMPTY;
	if (!strchr(text, '/'))
		return false; /* a slip in the name of a store */
	arg->name = xstrdup(text);
	arg->path = xstrdup(text);
	return true;
}

static int make_store(struct request *q, struct store_arg *arg, struct err *err)
{
	const struct config_store *st = section_of(q, arg);
	const struct store_ops *type =
		st ? store_type(config_choice_word(config_type_words, st->type)) : q->create;

	if (!q->create)
		return err_set(err, ERR_MISSING,
			       "%s is no store of mailcask yet. Is a disk missing? --create=%s makes a new store there",
			       arg->name, type ? type->type : "git");
	if (type != q->create)
		return err_set(err, ERR_CONFIG, "%s is a store of type %s in the configuration: --create=%s",
			       arg->name, type->type, type->type);
	arg->ops = type;
	arg->config = (struct store_config){ .name = arg->name, .path = arg->path, .create = true,
					     .layout = st ? config_store_layout(st) : NULL };
	return 0;
}

static int find_store(struct request *q, struct store_arg *arg, const char *text, struct err *err)
{
	int ret = store_arg_find(arg, q->app, text, err);

	if (ret == 0 && arg->snapshot)
		return err_set(err, ERR_CONFIG,
			       "mail is imported into a store as it is now: leave @ and what follows out");
	if (ret == 0 || err->kind != ERR_MISSING || arg->snapshot || !find_place(arg, text))
		return ret;
	*err = (struct err){ 0 };
	return make_store(q, arg, err);
}

/* --- importing --- */

static int import(struct request *q, struct store_arg *source, struct store_arg *store,
		  struct restore_report *report, struct err *err)
{
	char *file = escape_text(bytes_of(source->name), 400);
	struct mbox_settings files = { 0 };
	struct progress progress;
	struct restore_settings set = {
		.source = source->ops,
		.source_config = source->config,
		.target = store->ops,
		.target_config = store->config,
		.mailboxes = q->common.only,
		.n_mailboxes = q->common.n_only,
		.into = q->into.count ? &q->into : NULL,
		.dry_run = q->common.dry_run,
		.import_from = file,
		.stop = q->app->stop,
		.progress = progress_show,
		.progress_ctx = &progress,
	};
	int ret;

	restore_source_into(source, &set, &files);
	progress_begin(&progress, q->app, source->name);
	progress.member = "source";
	ret = restore_run(&set, report, err);
	progress_end(&progress);
	if (ret == 0)
		*err = (struct err){ 0 }; /* what was tried on the way and did not matter */
	free(file);
	return ret;
}

static enum exit_status run(struct request *q, const char *from, const char *to)
{
	struct restore_told told = { .done = "imported", .dry_run = q->common.dry_run };
	struct store_arg source = { 0 }, store = { 0 };
	struct restore_report report = { 0 };
	struct err err = { 0 };
	int64_t started = clock_ms();
	char *from_text = escape_text(bytes_of(from), 400), *to_text = escape_text(bytes_of(to), 400);
	int ret = restore_source_find(&source, q->app, from, &err);

	told.store = from_text;
	told.target = to_text;
	if (ret == 0)
		ret = snapshot_arg_resolve(&source, &err);
	told.moment = source.moment;
	if (ret == 0)
		ret = find_store(q, &store, to, &err);
	if (ret == 0)
		ret = restore_check_apart(&source, store.path, &err);
	if (ret == 0)
		ret = import(q, &source, &store, &report, &err);
	told.status = ret < 0 ? exit_of_err(err.kind)
			      : report.incomplete ? EXIT_INCOMPLETE : EXIT_DONE;
	told.took_ms = clock_ms() - started;
	restore_report(q->app, &told, &report, &err);
	restore_report_release(&report);
	store_arg_release(&source);
	store_arg_release(&store);
	free(from_text);
	free(to_text);
	return told.status;
}

static int take_option(struct request *q, int option, const char *arg)
{
	switch (option) {
	case OPT_DRY_RUN:
		q->common.dry_run = true;
		return 0;
	case OPT_INTO:
		return restore_read_into(&q->into, &cmd_import, arg);
	case OPT_MAILBOX:
		return jobs_add_pattern(&q->common, &cmd_import, arg);
	case OPT_CREATE:
		q->create = store_type(arg);
		if (q->create)
			return 0;
		cmd_usage_error(&cmd_import, "--create: git or maildir, not '%s'", arg);
		return -1;
	default:
		return -1;
	}
}

static int import_run(struct app *app, int argc, char **argv)
{
	struct request q = { .app = app };
	int option, status = EXIT_USAGE;
	const char *arg;

	while ((option = cmd_next_option(app, &cmd_import, argc, argv, &arg)) != CMD_OPTIONS_END)
		if (take_option(&q, option, arg) < 0)
			goto out;
	if (argc - optind != 2)
		cmd_usage_error(&cmd_import, "a SOURCE and a STORE are needed");
	else if (app_start(app) == 0)
		status = (int)run(&q, argv[optind], argv[optind + 1]);
out:
	free(q.common.only);
	mailbox_name_release(&q.into);
	return status;
}

const struct cmd cmd_import = {
	.name = "import",
	.args = "SOURCE[@SNAPSHOT] STORE",
	.summary = "Add to a store what an mbox, .eml files or a Maildir hold and it lacks.",
	.details =
		"SOURCE is an mbox file, a directory of .eml files, a Maildir, or another store. Messages\n"
		"are compared by content, mailbox by mailbox, and those that are missing are added to\n"
		"STORE, with flags, keywords and dates, as kept ones: they belong to no account, so no\n"
		"backup takes them for deleted, uploads or doubles them. Run it again and nothing is\n"
		"added. 'ls', 'find', 'show', 'export' and 'restore' have them like all others;\n"
		"'forget --kept-before' is what removes them.\n"
		"All of it is added at once, or, when it does not come to its end, none. In a git archive\n"
		"it is one snapshot.\n"
		"The mailbox is called like the file, without .mbox, or like the directory.",
	.options = options,
	.run = import_run,
};
