#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/jobs.h"

enum { OPT_DRY_RUN = 1, OPT_MAILBOX, OPT_ALLOW_DELETES, OPT_ADOPT, OPT_REBIND, OPT_WORKERS };

static const struct cmd_option options[] = {
	{ "dry-run", 'n', NULL, "Show what would be done and change nothing.", OPT_DRY_RUN },
	{ "mailbox", 0, "PATTERN", "Only these of the job's mailboxes; may be given again.",
	  OPT_MAILBOX },
	{ "allow-deletes", 0, "N", "Let the guard pass up to N deletions in this run.",
	  OPT_ALLOW_DELETES },
	{ "adopt", 0, NULL, "Take over a directory that mailcask did not make.", OPT_ADOPT },
	{ "rebind", 0, NULL, "Let the store belong to another account from now on.", OPT_REBIND },
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
		return jobs_add_pattern(opts, &cmd_backup, arg);
	case OPT_ALLOW_DELETES:
		return jobs_allow_deletes(opts, &cmd_backup, arg);
	case OPT_ADOPT:
		opts->adopt = true;
		return 0;
	case OPT_REBIND:
		opts->rebind = true;
		return 0;
	case OPT_WORKERS:
		return jobs_workers(opts, &cmd_backup, arg);
	default:
		return -1;
	}
}

static int backup_run(struct app *app, int argc, char **argv)
{
	struct job_options opts = { .kind = CONFIG_JOB_BACKUP, .by_workers = true };
	int option, status = EXIT_USAGE;
	const char *arg;

	while ((option = cmd_next_option(app, &cmd_backup, argc, argv, &arg)) != CMD_OPTIONS_END)
		if (take_option(&opts, option, arg) < 0)
			goto out;
	status = jobs_run(app, &cmd_backup, argv + optind, (size_t)(argc - optind), &opts);
out:
	free(opts.only);
	return status;
}

const struct cmd cmd_backup = {
	.name = "backup",
	.args = "[JOB]...",
	.summary = "Make the store hold what the account holds.",
	.details =
		"Runs the jobs named, or every backup of the configuration. A run that was\n"
		"interrupted goes on where it stopped when it is run again. Messages that are\n"
		"gone at the account are removed from the store, unless there are suspiciously\n"
		"many of them (max_delete): then they stay, the exit status is 4, and the number\n"
		"to give to --allow-deletes is shown.",
	.options = options,
	.run = backup_run,
};
