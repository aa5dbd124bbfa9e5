#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include "cmd/cmd.h"
#include "cmd/config.h"

enum { OPT_CONFIG = 1000, OPT_ACCOUNTS, OPT_VERBOSE, OPT_QUIET, OPT_TRACE, OPT_JSON, OPT_HELP, OPT_VERSION };

const struct cmd_option cmd_global_options[] = {
	{ "config", 'c', "FILE", "Read this configuration instead of the usual one.", OPT_CONFIG },
	{ "accounts", 0, "FILE", "The CSV file with the accounts of templates such as [account %].",
	  OPT_ACCOUNTS },
	{ "verbose", 'v', NULL, "Say more; twice: how it is done.", OPT_VERBOSE },
	{ "quiet", 'q', NULL, "Say nothing unless something is wrong.", OPT_QUIET },
	{ "json", 0, NULL, "Print one JSON object per line.", OPT_JSON },
	{ "trace", 0, "FILE", "Write what goes over the wire to FILE, without secrets.",
	  OPT_TRACE },
	{ "help", 'h', NULL, "Show help.", OPT_HELP },
	{ "version", 0, NULL, "Show the version.", OPT_VERSION },
	{ NULL, 0, NULL, NULL, 0 },
};

const struct cmd *const cmd_all[] = {
	&cmd_backup,  &cmd_migrate, &cmd_plan,  &cmd_apply,   &cmd_restore, &cmd_snapshots,
	&cmd_ls,      &cmd_show,  &cmd_find, &cmd_diff, &cmd_stats, &cmd_export, &cmd_import, &cmd_check,   &cmd_compact, &cmd_forget, &cmd_prune_server, &cmd_status, &cmd_quarantine, &cmd_imap,
	&cmd_config_check, &cmd_help, &cmd_version,
	NULL,
};

const struct cmd *cmd_lookup(int argc, char **argv, int *words)
{
	for (size_t i = 0; cmd_all[i]; i++) {
		const char *name = cmd_all[i]->name, *blank = strchr(name, ' ');
		size_t first = blank ? (size_t)(blank - name) : strlen(name);

		if (argc < 1 || strlen(argv[0]) != first || strncmp(argv[0], name, first) != 0)
			continue;
		if (blank && (argc < 2 || strcmp(argv[1], blank + 1) != 0))
			continue;
		*words = blank ? 2 : 1;
		return cmd_all[i];
	}
	return NULL;
}

const char *cmd_nearest(const char *wrong)
{
	const char *words[32];
	size_t n = 0;

	for (; cmd_all[n]; n++)
		words[n] = cmd_all[n]->name;
	return nearest_word(wrong, words, n);
}

int cmd_usage_error(const struct cmd *cmd, const char *fmt, ...)
{
	struct buf line = BUF_INIT(4096);
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	escape_add(&line, bytes_of(text), 1000);
	fprintf(stderr, "mailcask: %s (see 'mailcask help%s%s')\n", buf_str(&line), cmd ? " " : "",
		cmd ? cmd->name : "");
	buf_release(&line);
	free(text);
	return EXIT_USAGE;
}

#define OPTIONS_MAX 32

struct option_set {
	struct option longs[OPTIONS_MAX];
	const struct cmd_option *by_index[OPTIONS_MAX];
	char letters[3 * OPTIONS_MAX];
	size_t n;
};

static void add_options(struct option_set *set, const struct cmd_option *opt)
{
	size_t at = strlen(set->letters);

	for (; opt && opt->name; opt++) {
		set->longs[set->n] = (struct option){
			opt->name, opt->arg ? required_argument : no_argument, NULL, opt->id
		};
		set->by_index[set->n++] = opt;
		if (!opt->letter)
			continue;
		set->letters[at++] = opt->letter;
		if (opt->arg)
			set->letters[at++] = ':';
	}
}

static const struct cmd_option *by_result(const struct option_set *set, int result)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->by_index[i]->id == result ||
		    (set->by_index[i]->letter && set->by_index[i]->letter == result))
			return set->by_index[i];
	return NULL;
}

/* True when it was a global one. */
static bool take_global(struct app *app, const struct cmd *cmd, int id)
{
	switch (id) {
	case OPT_CONFIG:
		app->config_path = optarg;
		return true;
	case OPT_ACCOUNTS:
		app->accounts_path = optarg;
		return true;
	case OPT_VERBOSE:
		app->verbose++;
		return true;
	case OPT_QUIET:
		app->quiet = true;
		return true;
	case OPT_JSON:
		app->json = true;
		return true;
	case OPT_TRACE:
		app->trace_path = optarg;
		return true;
	case OPT_HELP:
		help_show(cmd);
		exit(EXIT_DONE);
	case OPT_VERSION:
		version_show(app);
		exit(EXIT_DONE);
	default:
		return false;
	}
}

static void bad_option(const struct cmd *cmd, const struct option_set *set, int result, char **argv)
{
	const char *given = argv[optind - 1];
	const char *words[OPTIONS_MAX], *near;
	char *name;

	for (size_t i = 0; i < set->n; i++)
		words[i] = set->longs[i].name;
	if (result == ':') {
		cmd_usage_error(cmd, "option '%s' needs an argument", given);
		return;
	}
	if (strncmp(given, "--", 2) != 0) {
		cmd_usage_error(cmd, "unknown option '-%c'", optopt);
		return;
	}
	name = bytes_dup(bytes_from(given + 2, strcspn(given + 2, "=")));
	near = nearest_word(name, words, set->n);
	if (by_result(set, optopt) && optopt)
		cmd_usage_error(cmd, "option '--%s' takes no argument", name);
	else if (near)
		cmd_usage_error(cmd, "unknown option '--%s'; did you mean '--%s'?", name, near);
	else
		cmd_usage_error(cmd, "unknown option '--%s'", name);
	free(name);
}

int cmd_next_option(struct app *app, const struct cmd *cmd, int argc, char **argv,
		    const char **arg)
{
	/* Before the command's name the first operand ends the options: '+'. */
	struct option_set set = { .letters = ":" };

	if (!cmd)
		memcpy(set.letters, "+:", 3);
	add_options(&set, cmd_global_options);
	if (cmd)
		add_options(&set, cmd->options);
	opterr = 0;
	for (;;) {
		int result = getopt_long(argc, argv, set.letters, set.longs, NULL);
		const struct cmd_option *opt;

		if (result == -1)
			return CMD_OPTIONS_END;
		opt = by_result(&set, result);
		if (!opt) {
			bad_option(cmd, &set, result, argv);
			return CMD_OPTIONS_BAD;
		}
		*arg = optarg;
		if (!take_global(app, cmd, opt->id))
			return opt->id;
	}
}

int cmd_no_operands(struct app *app, const struct cmd *cmd, int argc, char **argv)
{
	const char *arg;

	if (cmd_next_option(app, cmd, argc, argv, &arg) == CMD_OPTIONS_BAD)
		return -1;
	if (optind < argc) {
		cmd_usage_error(cmd, "'%s' takes no '%s'", cmd->name, argv[optind]);
		return -1;
	}
	return 0;
}
