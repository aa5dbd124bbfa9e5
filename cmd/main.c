#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <getopt.h>

#include "core/base/log.h"
#include "core/base/mem.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/report.h"

static volatile int stop_requested;

/* The first signal asks the run to end well, the second one ends it here. */
static void on_signal(int sig)
{
	if (stop_requested)
		_exit(EXIT_INTERRUPTED);
	stop_requested = sig;
}

static void catch_signals(void)
{
	/* No SA_RESTART: what waits must wake up. */
	struct sigaction act = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

static int unknown_command(int argc, char **argv)
{
	const char *near = cmd_nearest(argv[0]);

	if (argc > 0 && strcmp(argv[0], "config") == 0)
		return cmd_usage_error(NULL, "'config' is followed by 'check'");
	if (near)
		return cmd_usage_error(NULL, "unknown command '%s'; did you mean '%s'?", argv[0],
				       near);
	return cmd_usage_error(NULL, "unknown command '%s'", argv[0]);
}

static int run(struct app *app, int argc, char **argv)
{
	const struct cmd *cmd;
	const char *arg;
	int words;

	if (cmd_next_option(app, NULL, argc, argv, &arg) == CMD_OPTIONS_BAD)
		return EXIT_USAGE;
	argc -= optind;
	argv += optind;
	if (argc == 0) {
		help_show(NULL);
		return EXIT_USAGE;
	}
	cmd = cmd_lookup(argc, argv, &words);
	if (!cmd)
		return unknown_command(argc, argv);
	optind = 0; /* getopt begins anew, after the command's name */
	return cmd->run(app, argc - words + 1, argv + words - 1);
}

int main(int argc, char **argv)
{
	struct app app = { .stop = &stop_requested };
	int status;

	setlocale(LC_CTYPE, ""); /* only for how wide characters are on the terminal */
	catch_signals();
	status = run(&app, argc, argv);
	config_free(app.config);
	if (app.trace && fclose(app.trace) != 0) {
		report_line(&app, NULL, "%s: %s", app.trace_path, strerror(errno));
		status = (int)exit_worse((enum exit_status)status, EXIT_FAILED);
	}
	/* A full disk or a closed pipe must not look like success; why an earlier write failed is no longer known. */
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		report_line(&app, NULL, "writing the output: %s", errno ? strerror(errno) : "not all of it was written");
		status = (int)exit_worse((enum exit_status)status, EXIT_FAILED);
	}
	return status;
}
