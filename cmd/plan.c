#include <getopt.h>
#include <stdlib.h>

#include "cmd/cmd.h"
#include "cmd/jobs.h"

enum { OPT_MAILBOX = 1, OPT_OUTPUT };

static const struct cmd_option options[] = {
	{ "mailbox", 0, "PATTERN", "Only these of the job's mailboxes; may be given again.",
	  OPT_MAILBOX },
	{ "output", 'o', "FILE", "Also write the plan of one job to FILE, for 'apply'.", OPT_OUTPUT },
	{ NULL, 0, NULL, NULL, 0 },
};

static int plan_run(struct app *app, int argc, char **argv)
{
	struct job_options opts = { .kind = JOBS_OF_ANY_KIND, .dry_run = true };
	int option, status = EXIT_USAGE;
	const char *arg;

	while ((option = cmd_next_option(app, &cmd_plan, argc, argv, &arg)) != CMD_OPTIONS_END)
		if (option == OPT_OUTPUT)
			opts.plan_path = arg;
		else if (option != OPT_MAILBOX || jobs_add_pattern(&opts, &cmd_plan, arg) < 0)
			goto out;
	if (opts.plan_path && argc - optind != 1) {
		cmd_usage_error(&cmd_plan, "with --output one JOB is needed");
		goto out;
	}
	status = jobs_run(app, &cmd_plan, argv + optind, (size_t)(argc - optind), &opts);
out:
	free(opts.only);
	return status;
}

const struct cmd cmd_plan = {
	.name = "plan",
	.args = "[JOB]...",
	.summary = "Show what backup or migrate would do, and change nothing.",
	.details =
		"The same as 'backup --dry-run', and of a migration 'migrate --dry-run'. It logs in,\n"
		"but only reads. With --output, what it shows can be carried out later: mailcask\n"
		"apply FILE.",
	.options = options,
	.run = plan_run,
};
