#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/sync/compact.h"

#include "cmd/cmd.h"
#include "cmd/report.h"
#include "cmd/store_arg.h"

typedef unsigned long long ull;

enum { OPT_DRY_RUN = 1, OPT_MEND };

static const struct cmd_option options[] = {
	{ "dry-run", 'n', NULL, "Say what would be done and change nothing.", OPT_DRY_RUN },
	{ "mend", 0, NULL, "Read everything; drop damaged copies of what is there undamaged, too.",
	  OPT_MEND },
	{ NULL, 0, NULL, NULL, 0 },
};

static void print_event(const char *name, const struct compaction *c, int64_t ms)
{
	report_event(json_pack(
		"{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "event", "summary", "store",
		name, "dry_run", c->dry_run, "merged", (json_int_t)c->merged, "dropped",
		(json_int_t)c->dropped, "packs_before", (json_int_t)c->files_before, "packs_after",
		(json_int_t)c->files_after, "bytes_before", (json_int_t)c->bytes_before,
		"bytes_after", (json_int_t)c->bytes_after, "ms", (json_int_t)ms));
}

static void add_packs(struct buf *out, uint64_t n)
{
	buf_addf(out, "%llu pack%s", (ull)n, n == 1 ? "" : "s");
}

static void print_summary(const char *name, const struct compaction *c, int64_t ms)
{
	struct buf line = BUF_INIT(1024);

	if (c->merged == 0) {
		buf_add_str(&line, "nothing to merge: ");
	} else {
		add_packs(&line, c->merged);
		buf_add_str(&line, c->dry_run ? " would be merged: " : " merged: ");
		add_packs(&line, c->files_before);
		buf_add_str(&line, ", ");
		report_bytes(&line, c->bytes_before);
		buf_add_str(&line, " before, ");
	}
	add_packs(&line, c->files_after);
	if (c->merged == 0 || !c->dry_run) {
		buf_add_str(&line, ", ");
		report_bytes(&line, c->bytes_after);
	}
	if (c->merged > 0)
		buf_add_str(&line, " after");
	if (c->dropped)
		buf_addf(&line, "; %llu damaged copies dropped", (ull)c->dropped);
	printf("%s: %s (%.1f s)\n", name, buf_str(&line), (double)ms / 1000);
	buf_release(&line);
}

static enum exit_status tell_failure(const struct app *app, const struct err *err)
{
	enum exit_status status = report_error(app, err);

	if (err->kind == ERR_FATAL)
		report_line(app, NULL, "what the archive holds is as it was; if it is damaged, 'mailcask "
				       "check --read-data' says what mends it");
	return status;
}

static enum exit_status compact_store(struct app *app, const char *text, struct compaction *c)
{
	int64_t started = clock_ms();
	struct run run = { .stop = app->stop };
	struct err err = { 0 };
	struct store_arg arg;
	char *name;
	int ret = store_arg_find(&arg, app, text, &err);

	if (ret == 0 && arg.snapshot)
		ret = err_set(&err, ERR_CONFIG,
			      "the whole of a store is compacted: leave @ and what follows out");
	if (ret == 0) {
		arg.config.run = &run;
		ret = store_compact(arg.ops, &arg.config, c, &err);
	}
	name = ret == 0 ? escape_text(bytes_of(arg.name), 400) : NULL;
	store_arg_release(&arg);
	if (ret < 0)
		return tell_failure(app, &err);
	if (app->json)
		print_event(name, c, clock_ms() - started);
	else if (!app->quiet && (c->dry_run || app->verbose || isatty(STDOUT_FILENO)))
		print_summary(name, c, clock_ms() - started);
	free(name);
	return EXIT_DONE;
}

static int compact_run(struct app *app, int argc, char **argv)
{
	struct compaction c = { 0 };
	const char *arg;
	int option;

	while ((option = cmd_next_option(app, &cmd_compact, argc, argv, &arg)) != CMD_OPTIONS_END) {
		if (option == CMD_OPTIONS_BAD)
			return EXIT_USAGE;
		c.dry_run |= option == OPT_DRY_RUN;
		c.mend |= option == OPT_MEND;
	}
	if (argc - optind != 1)
		return cmd_usage_error(&cmd_compact, "one STORE is needed");
	if (app_start(app) < 0)
		return EXIT_FAILED;
	return (int)compact_store(app, argv[optind], &c);
}

const struct cmd cmd_compact = {
	.name = "compact",
	.args = "STORE",
	.summary = "Merge the small packs of a git archive.",
	.details =
		"Every run that changed something leaves a pack. Backups merge them themselves when\n"
		"there are more than 16 small ones, so this is rarely needed. What the archive holds\n"
		"stays the same, history included, and git's own packs are left alone. With --mend\n"
		"everything is read, and a pack with a damaged object in it is written anew without,\n"
		"where another pack has the object undamaged: see 'check'.",
	.options = options,
	.run = compact_run,
};
