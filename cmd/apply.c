#include <getopt.h>
#include <stdlib.h>

#include "core/sync/plan_file.h"

#include "cmd/cmd.h"
#include "cmd/jobs.h"
#include "cmd/report.h"

enum { OPT_DRY_RUN = 1, OPT_ALLOW_DELETES };

static const struct cmd_option options[] = {
	{ "dry-run", 'n', NULL, "Show what of it is still to be done, and change nothing.",
	  OPT_DRY_RUN },
	{ "allow-deletes", 0, "N", "Let the guard pass up to N deletions.", OPT_ALLOW_DELETES },
	{ NULL, 0, NULL, NULL, 0 },
};

static int apply_run(struct app *app, int argc, char **argv)
{
	struct job_options opts = { .kind = JOBS_OF_ANY_KIND };
	struct plan_file plan;
	struct err err;
	const char *arg;
	int option, status;

	while ((option = cmd_next_option(app, &cmd_apply, argc, argv, &arg)) != CMD_OPTIONS_END) {
		if (option == CMD_OPTIONS_BAD)
			return EXIT_USAGE;
		if (option == OPT_DRY_RUN)
			opts.dry_run = true;
		else if (jobs_allow_deletes(&opts, &cmd_apply, arg) < 0)
			return EXIT_USAGE;
	}
	if (argc - optind != 1)
		return cmd_usage_error(&cmd_apply, "one FILE is needed, as 'plan -o' writes it");
	if (app_start(app) < 0)
		return EXIT_FAILED;
	if (plan_file_read(argv[optind], &plan, &err) < 0)
		return (int)report_error(app, &err);
	opts.apply = &plan;
	status = jobs_run(app, &cmd_apply, &plan.job, 1, &opts);
	plan_file_release(&plan);
	return status;
}

const struct cmd cmd_apply = {
	.name = "apply",
	.args = "FILE",
	.summary = "Carry out a plan that 'plan -o FILE' wrote.",
	.details =
		"Does what the plan says and nothing else. A mailbox in which a message it names\n"
		"is no longer as it was is left alone and named, and the exit status is 3; mail\n"
		"that came since does not matter. The guard against mass deletion has its say here\n"
		"as in backup. What was done in the meantime counts as done.",
	.options = options,
	.run = apply_run,
};
