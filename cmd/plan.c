#include <getopt.h>
#include <stdlib.h>

#include "cmd/cmd.h"
#include "cmd/jobs.h"

enum { OPT_MAILBOX = 1 };

static const struct cmd_option options[] = {
	{ "mailbox", 0, "PATTERN", "Only these of the job's mailboxes; may be given again.",
	  OPT_MAILBOX },
	{ NULL, 0, NULL, NULL, 0 },
};

static int plan_run(struct app *app, int argc, char **argv)
{
	struct job_options opts = { .dry_run = true };
	int option, status = EXIT_USAGE;
	const char *arg;

	while ((option = cmd_next_option(app, &cmd_plan, argc, argv, &arg)) != CMD_OPTIONS_END)
		if (option != OPT_MAILBOX || jobs_add_pattern(&opts, &cmd_plan, arg) < 0)
			goto out;
	status = jobs_run(app, &cmd_plan, argv + optind, (size_t)(argc - optind), &opts);
out:
	free(opts.only);
	return status;
}

const struct cmd cmd_plan = {
	.name = "plan",
	.args = "[JOB]...",
	.summary = "Show what backup would do, and change nothing.",
	.details = "The same as 'backup --dry-run'. It logs in, but only reads.",
	.options = options,
	.run = plan_run,
};
