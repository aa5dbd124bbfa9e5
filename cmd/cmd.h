#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cmd/exit_status.h"

struct config;

/* What every command is given: the options that stand before or after its name. */
struct app {
	const char *config_path; /* --config, or NULL */
	const char *accounts_path; /* --accounts, or NULL */
	const char *trace_path;
	FILE *trace;
	int verbose;
	bool quiet, json;
	struct config *config; /* see app_config() */
	bool config_is_missing;
	const volatile int *stop;
	const char *worker; /* the job that this process was started for (workers.h); NULL: it is the first one */
};

struct cmd_option {
	const char *name; /* without the dashes */
	char letter;      /* 0: none */
	const char *arg;  /* what its argument is called; NULL: it takes none */
	const char *help;
	int id; /* what cmd_next_option() returns; above 0 */
};

/* One subcommand, one file, ending in one object, from which usage, help and the checks come. */
struct cmd {
	const char *name; /* one or two words */
	const char *args; /* what follows the name in the usage line, without options */
	const char *summary;
	const char *details;              /* for `help NAME`; NULL: nothing more to say */
	void (*more)(void); /* prints what a table says of it, for `help NAME`; NULL: nothing */
	const struct cmd_option *options; /* ends with name NULL; NULL: none of its own */
	/* argv[0] is the name. Returns an exit status. */
	int (*run)(struct app *app, int argc, char **argv);
};

extern const struct cmd cmd_backup, cmd_migrate, cmd_plan, cmd_apply, cmd_restore, cmd_snapshots, cmd_ls,
	cmd_show, cmd_find, cmd_diff, cmd_stats, cmd_export, cmd_import, cmd_check, cmd_compact, cmd_forget, cmd_prune_server, cmd_status, cmd_quarantine, cmd_imap,
	cmd_config_check, cmd_help, cmd_version;

/* In the order `help` shows them; ends with NULL. */
extern const struct cmd *const cmd_all[];
extern const struct cmd_option cmd_global_options[];
/* The command whose name `argv` begins with; *words is how many of them. NULL: none. */
const struct cmd *cmd_lookup(int argc, char **argv, int *words);
/* Names of commands, for "did you mean". */
const char *cmd_nearest(const char *wrong);

enum { CMD_OPTIONS_END = -1, CMD_OPTIONS_BAD = -2 };

/*
 * The next option of `cmd`'s own, its argument in *arg; global ones are taken into `app`. After
 * CMD_OPTIONS_END the operands begin at argv[optind]; CMD_OPTIONS_BAD was explained to the user
 * already. `cmd` NULL: those before the command's name.
 */
int cmd_next_option(struct app *app, const struct cmd *cmd, int argc, char **argv,
		    const char **arg);
/* Print help for one command, or (NULL) for all. */
void help_show(const struct cmd *cmd);
void version_show(const struct app *app);

/* For commands without options and operands of their own. 0, or -1 after telling the user. */
int cmd_no_operands(struct app *app, const struct cmd *cmd, int argc, char **argv);
/* Say what is wrong with the command line and how to learn more. Returns EXIT_USAGE. */
int cmd_usage_error(const struct cmd *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Open the trace and the log: for commands that need no configuration. -1 after telling why not. */
int app_start(struct app *app);
/*
 * app_start(), and read the configuration. NULL after telling all that is wrong with it. The
 * config belongs to `app`.
 */
const struct config *app_config(struct app *app);
/*
 * In a worker, for the job of this name: its events are read by the first process, what it says is said of the job, and its
 * trace is a file of its own, FILE.NAME. -1 after telling why not.
 */
int app_become_worker(struct app *app, const char *job);
/* The configuration for commands that can do without: NULL, and no word, when it is of no use. */
const struct config *app_config_if_sound(struct app *app);

#endif
