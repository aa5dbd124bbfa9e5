#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/config.h"

static void show_options(const struct cmd_option *opt)
{
	for (; opt && opt->name; opt++) {
		char text[64];

		snprintf(text, sizeof(text), "--%s%s%s", opt->name, opt->arg ? "=" : "",
			 opt->arg ? opt->arg : "");
		if (opt->letter)
			printf("  -%c, %-20s %s\n", opt->letter, text, opt->help);
		else
			printf("      %-20s %s\n", text, opt->help);
	}
}

static void show_all(void)
{
	puts("mailcask keeps a faithful local copy of IMAP mailboxes.\n");
	puts("usage: mailcask [OPTION]... COMMAND [OPTION]... [ARGUMENT]...\n\ncommands:");
	for (size_t i = 0; cmd_all[i]; i++)
		printf("  %-14s %s\n", cmd_all[i]->name, cmd_all[i]->summary);
	puts("\noptions of every command:");
	show_options(cmd_global_options);
	puts("\n'mailcask help COMMAND' says more of one command, 'mailcask help config' lists\n"
	     "the keys of the configuration file, 'mailcask help exit-codes' the exit codes.");
}

void help_show(const struct cmd *cmd)
{
	if (!cmd) {
		show_all();
		return;
	}
	printf("usage: mailcask %s%s%s%s\n\n%s\n", cmd->name, cmd->options ? " [OPTION]..." : "",
	       *cmd->args ? " " : "", cmd->args, cmd->summary);
	if (cmd->details)
		printf("\n%s\n", cmd->details);
	if (cmd->more)
		cmd->more();
	if (cmd->options) {
		puts("\noptions:");
		show_options(cmd->options);
	}
	puts("\noptions of every command:");
	show_options(cmd_global_options);
}

static void show_keys(void)
{
	puts("Keys of the configuration file. Those of any section may stand in [global] as\n"
	     "defaults; there, or before the first section, 'include = conf.d/*.ini' reads more\n"
	     "files.");
	for (enum config_kind k = 0; k < CONFIG_KINDS; k++) {
		const struct config_section_type *type = &config_sections[k];

		printf("\n[%s NAME]\n", type->name);
		for (size_t i = 0; i < type->n_keys; i++) {
			const struct config_key *key = &type->keys[i];

			printf("  %-18s %s (%s%s)\n", key->name, key->help,
			       key->required ? "required; " : "", key->value);
		}
	}
}

static void show_exits(void)
{
	puts("Exit codes. Of several jobs the worst counts, in the order\n"
	     "1, 12, 11, 10, 4, 3, 75, 0.\n");
	for (const struct exit_meaning *m = exit_meanings; m->text; m++)
		printf("  %3d  %s\n", (int)m->status, m->text);
}

static int help_run(struct app *app, int argc, char **argv)
{
	const struct cmd *cmd;
	const char *arg;
	int words;

	if (cmd_next_option(app, &cmd_help, argc, argv, &arg) == CMD_OPTIONS_BAD)
		return EXIT_USAGE;
	argc -= optind;
	argv += optind;
	cmd = cmd_lookup(argc, argv, &words);
	if (argc == 0)
		help_show(NULL);
	else if (cmd && argc == words)
		help_show(cmd);
	else if (argc == 1 && strcmp(argv[0], "config") == 0)
		show_keys();
	else if (argc == 1 && strcmp(argv[0], "exit-codes") == 0)
		show_exits();
	else
		return cmd_usage_error(NULL, "there is no help on '%s'", argv[0]);
	return EXIT_DONE;
}

const struct cmd cmd_help = {
	.name = "help",
	.args = "[COMMAND|config|exit-codes]",
	.summary = "Show the commands, or what there is to know of one.",
	.run = help_run,
};
