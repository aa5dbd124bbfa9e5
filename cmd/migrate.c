#include <getopt.h>
#include <stdlib.h>

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/jobs.h"

enum { OPT_DRY_RUN = 1, OPT_MAILBOX, OPT_DELETE, OPT_ALLOW_DELETES, OPT_WORKERS };

static const struct cmd_option options[] = {
	{ "dry-run", 'n', NULL, "Show what would be done and change nothing.", OPT_DRY_RUN },
	{ "mailbox", 0, "PATTERN", "Only these of the job's mailboxes; may be given again.",
	  OPT_MAILBOX },
	{ "delete", 0, NULL, "Also remove copies of what is gone at the source.", OPT_DELETE },
	{ "allow-deletes", 0, "N", "With --delete: let the guard pass up to N deletions.",
	  OPT_ALLOW_DELETES },
	{ "workers", 0, "N", "Run N jobs at a time, each in a process of its own.", OPT_WORKERS },
	{ NULL, 0, NULL, NULL, 0 },
};

static int take_option(struct job_options *opts, int option, const char *arg)
{
	switch (option) {
	case OPT_DRY_RUN:
		opts->dry_run = true;
		return 0;
	case OPT_MAILBOX:
		return jobs_add_pattern(opts, &cmd_migrate, arg);
	case OPT_DELETE:
		opts->delete = true;
		return 0;
	case OPT_ALLOW_DELETES:
		return jobs_allow_deletes(opts, &cmd_migrate, arg);
	case OPT_WORKERS:
		return jobs_workers(opts, &cmd_migrate, arg);
	default:
		return -1;
	}
}

static int migrate_run(struct app *app, int argc, char **argv)
{
	struct job_options opts = { .kind = CONFIG_JOB_MIGRATE, .by_workers = true };
	int option, status = EXIT_USAGE;
	const char *arg;

	while ((option = cmd_next_option(app, &cmd_migrate, argc, argv, &arg)) != CMD_OPTIONS_END)
		if (take_option(&opts, option, arg) < 0)
			goto out;
	status = jobs_run(app, &cmd_migrate, argv + optind, (size_t)(argc - optind), &opts);
out:
	free(opts.only);
	return status;
}

const struct cmd cmd_migrate = {
	.name = "migrate",
	.args = "[JOB]...",
	.summary = "Copy an account to another server.",
	.details =
		"Runs the jobs of kind migrate that are named, or all. Messages go from one server\n"
		"to the other with flags, keywords and dates; what the target holds already counts\n"
		"as copied. A run that was interrupted goes on when it is run again, and one after\n"
		"that carries only what changed since. What was changed or deleted at the target\n"
		"stays so. Nothing is removed there without --delete; with it, copies of what is\n"
		"gone at the source are, unless there are suspiciously many of them (max_delete).\n"
		"\n"
		"In the end every message of the source is accounted for: copied, there already\n"
		"(adopted), or in quarantine. If that does not add up, the exit status is 3.",
	.options = options,
	.run = migrate_run,
};
