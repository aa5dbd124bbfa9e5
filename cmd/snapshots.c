#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backends/git/history.h"
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/mail/maildate.h"

#include "cmd/cmd.h"
#include "cmd/report.h"
#include "cmd/snapshot_arg.h"
#include "cmd/store_arg.h"

typedef unsigned long long ull;

enum { OPT_LAST = 1 };

static const struct cmd_option options[] = {
	{ "last", 'n', "N", "Only the newest N.", OPT_LAST },
	{ NULL, 0, NULL, NULL, 0 },
};

struct listing {
	struct app *app;
	int digits;
};

static void print_event(const struct snapshot *s, const struct snapshot_stats *stats)
{
	struct buf time = BUF_INIT(100);
	struct maildate date = { 0 };
	char *summary = escape_text(bytes_of(s->summary), 1000);
	json_t *event;

	maildate_set(&date, s->time, 0);
	maildate_format_rfc3339(&date, &time);
	event = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "event", "snapshot", "id", s->id,
			  "time", buf_str(&time), "summary", summary, "mailboxes",
			  (json_int_t)stats->mailboxes, "messages", (json_int_t)stats->messages,
			  "bytes", (json_int_t)stats->bytes);
	if (!stats->alone)
		json_object_update_new(event, json_pack("{s:I, s:I, s:I}", "new",
							(json_int_t)stats->added, "removed",
							(json_int_t)stats->removed, "flags_changed",
							(json_int_t)stats->flags));
	report_event(event);
	free(summary);
	maildate_release(&date);
	buf_release(&time);
}

static void print_row(const struct listing *l, const struct snapshot *s,
		      const struct snapshot_stats *stats)
{
	struct buf size = BUF_INIT(64);
	time_t when = (time_t)s->time;
	struct tm tm = { 0 };
	char text[64];

	localtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	report_bytes(&size, stats->bytes);
	printf("%.*s  %s  %9llu  %9llu  %9s", l->digits, s->id, text, (ull)stats->mailboxes,
	       (ull)stats->messages, buf_str(&size));
	if (stats->alone)
		printf("  %8s  %8s  %8s\n", "?", "?", "?");
	else
		printf("  %8llu  %8llu  %8llu\n", (ull)stats->added, (ull)stats->removed,
		       (ull)stats->flags);
	buf_release(&size);
}

static int on_snapshot(void *ctx, const struct snapshot *s, const struct snapshot_stats *stats,
		       struct err *err)
{
	const struct listing *l = ctx;

	if (*l->app->stop)
		return err_set(err, ERR_STOPPED, "interrupted");
	if (l->app->quiet)
		return 0;
	if (l->app->json)
		print_event(s, stats);
	else
		print_row(l, s, stats);
	return 0;
}

static int list(struct app *app, const struct store_arg *arg, size_t most, struct err *err)
{
	struct listing l = { .app = app };
	struct history *h;
	int ret;

	if (snapshot_arg_open(arg, &h, err) < 0)
		return -1;
	l.digits = history_id_digits(h);
	if (history_count(h) == 0) {
		ret = err_set(err, ERR_MISSING,
			      "%s has no snapshots yet: its first run has not ended", arg->name);
	} else {
		if (!app->json && !app->quiet)
			printf("%-*s  %-19s  %9s  %9s  %9s  %8s  %8s  %8s\n", l.digits, "ID", "TIME",
			       "MAILBOXES", "MESSAGES", "SIZE", "NEW", "REMOVED", "FLAGS");
		ret = history_each(h, most, on_snapshot, &l, err);
	}
	if (ret == 0 && history_cut(h) && most >= history_count(h))
		ret = err_set(err, ERR_FATAL, "the snapshots before that cannot be read: %s",
			      history_cut(h)->text);
	history_close(h);
	return ret;
}

/* 0, or -1 after telling the user. */
static int read_options(struct app *app, int argc, char **argv, size_t *most)
{
	uint32_t n;
	const char *arg;
	int option;

	*most = SIZE_MAX;
	while ((option = cmd_next_option(app, &cmd_snapshots, argc, argv, &arg)) !=
	       CMD_OPTIONS_END) {
		if (option != OPT_LAST)
			return -1;
		if (!bytes_to_u32(bytes_of(arg), &n) || n == 0) {
			cmd_usage_error(&cmd_snapshots, "--last: '%s' is not a number above 0", arg);
			return -1;
		}
		*most = n;
	}
	if (argc - optind == 1)
		return 0;
	cmd_usage_error(&cmd_snapshots, "a STORE is needed, and nothing else");
	return -1;
}

static int snapshots_run(struct app *app, int argc, char **argv)
{
	struct store_arg arg = { 0 };
	struct err err = { 0 };
	size_t most;
	int ret;

	if (read_options(app, argc, argv, &most) < 0)
		return EXIT_USAGE;
	signal(SIGPIPE, SIG_DFL); /* nothing to put in order when nobody reads on */
	if (app_start(app) < 0)
		return EXIT_FAILED;
	ret = store_arg_find(&arg, app, argv[optind], &err);
	if (ret == 0 && arg.snapshot)
		ret = err_set(&err, ERR_CONFIG,
			      "all snapshots are listed: leave @ and what follows out");
	if (ret == 0)
		ret = list(app, &arg, most, &err);
	store_arg_release(&arg);
	return ret < 0 ? (int)report_error(app, &err) : EXIT_DONE;
}

const struct cmd cmd_snapshots = {
	.name = "snapshots",
	.args = "STORE",
	.summary = "List the moments that a git store can go back to.",
	.details = "Newest first, each with what it holds, and what came, went and changed flags since\n"
		   "the one before.",
	.options = options,
	.run = snapshots_run,
};
