#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/git/forget.h"
#include "backends/git/history.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/when.h"
#include "core/mail/maildate.h"

#include "cmd/cmd.h"
#include "cmd/find_index.h"
#include "cmd/report.h"
#include "cmd/snapshot_arg.h"
#include "cmd/store_arg.h"

typedef unsigned long long ull;

/* The rules that count have the ids 1 + enum retain. */
enum { OPT_RULES = 1, OPT_WITHIN = OPT_RULES + RETAIN_COUNTED, OPT_KEPT_BEFORE, OPT_DRY_RUN };

static const struct cmd_option options[] = {
	{ "keep-last", 0, "N", "The last N snapshots stay.", OPT_RULES + RETAIN_LAST },
	{ "keep-hourly", 0, "N", "Of the last N hours that have one, the newest of each stays.",
	  OPT_RULES + RETAIN_HOURLY },
	{ "keep-daily", 0, "N", "The same by days,", OPT_RULES + RETAIN_DAILY },
	{ "keep-weekly", 0, "N", "by weeks, which begin on Monday,", OPT_RULES + RETAIN_WEEKLY },
	{ "keep-monthly", 0, "N", "by months,", OPT_RULES + RETAIN_MONTHLY },
	{ "keep-yearly", 0, "N", "and by years.", OPT_RULES + RETAIN_YEARLY },
	{ "keep-within", 0, "SPAN", "All of this span before the newest stay: 2y5m7d3h (m: months).",
	  OPT_WITHIN },
	{ "kept-before", 0, "DATE",
	  "Messages that were kept here before that (2 years ago, 2024-02-29) go, too.", OPT_KEPT_BEFORE },
	{ "dry-run", 'n', NULL, "Say what would be done and change nothing.", OPT_DRY_RUN },
	{ NULL, 0, NULL, NULL, 0 },
};

struct request {
	struct app *app;
	const char *name; /* of the store, to be shown */
	struct retention keep;
	int64_t kept_before; /* 0: not given */
	bool dry_run;
};

static json_t *names_of(unsigned reasons)
{
	json_t *list = json_array();

	for (enum retain rule = 0; rule < RETAIN_RULES; rule++)
		if (reasons & 1u << rule)
			json_array_append_new(list, json_string(retain_name(rule)));
	return list;
}

static void print_event(const struct snapshot *s, unsigned reasons)
{
	struct buf time = BUF_INIT(100);
	struct maildate date = { 0 };

	maildate_set(&date, s->time, 0);
	maildate_format_rfc3339(&date, &time);
	report_event(json_pack("{s:s, s:s, s:s, s:b, s:o}", "event", "snapshot", "id", s->id, "time",
			       buf_str(&time), "kept", reasons != 0, "reasons", names_of(reasons)));
	maildate_release(&date);
	buf_release(&time);
}

static void print_row(const struct snapshot *s, unsigned reasons)
{
	time_t when = (time_t)s->time;
	const char *before = "  ";
	struct tm tm = { 0 };
	char text[64];

	localtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s  %.8s  %s", reasons ? "keep" : "drop", s->id, text);
	for (enum retain rule = 0; rule < RETAIN_RULES; rule++)
		if (reasons & 1u << rule) {
			printf("%s%s", before, retain_name(rule));
			before = ", ";
		}
	printf("\n");
}

static int tell(void *ctx, const struct snapshot *s, unsigned reasons, struct err *err)
{
	const struct request *q = ctx;

	(void)err;
	if (q->app->json)
		print_event(s, reasons);
	else if (!q->app->quiet && (q->dry_run || q->app->verbose))
		print_row(s, reasons);
	return 0;
}

static void print_summary_event(const struct request *q, const struct forgetting *f, int64_t ms)
{
	json_t *event = json_pack(
		"{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "event", "summary", "store",
		q->name, "dry_run", f->dry_run, "kept", (json_int_t)f->kept, "dropped",
		(json_int_t)f->dropped, "kept_messages_removed", (json_int_t)f->messages, "objects_removed", (json_int_t)f->objects, "bytes_removed",
		(json_int_t)f->bytes, "packs_before", (json_int_t)f->packs_before, "bytes_before",
		(json_int_t)f->bytes_before, "ms", (json_int_t)ms);

	if (!f->dry_run)
		json_object_update_new(event, json_pack("{s:I, s:I}", "packs_after",
							(json_int_t)f->packs_after, "bytes_after",
							(json_int_t)f->bytes_after));
	if (f->holder)
		json_object_set_new(event, "held_by", json_string(f->holder));
	report_event(event);
}

static void print_summary(const struct request *q, const struct forgetting *f, int64_t ms)
{
	struct buf line = BUF_INIT(1024);

	if (f->dry_run) {
		buf_addf(&line, "%llu of %llu snapshots would be forgotten, and ", (ull)f->dropped,
			 (ull)(f->kept + f->dropped));
		report_bytes(&line, f->bytes);
		buf_add_str(&line, " of ");
		report_bytes(&line, f->bytes_before);
		buf_add_str(&line, " be free");
	} else {
		buf_addf(&line, "%llu of %llu snapshots forgotten; ", (ull)f->dropped,
			 (ull)(f->kept + f->dropped));
		report_bytes(&line, f->bytes_before);
		buf_add_str(&line, " in packs before, ");
		report_bytes(&line, f->bytes_after);
		buf_add_str(&line, " after");
	}
	if (q->kept_before)
		buf_addf(&line, "; %llu kept message%s %s", (ull)f->messages, f->messages == 1 ? "" : "s",
			 f->one_more  ? "would be removed, which makes one more snapshot" :
			 f->dry_run   ? "would be removed" :
					"removed");
	printf("%s: %s (%.1f s)\n", q->name, buf_str(&line), (double)ms / 1000);
	buf_release(&line);
}

/* "worktrees/NAME/index" is of a work tree, "logs/REF" what git logged of a ref; else it is a ref. */
static char *command_against(const struct store_arg *arg, const char *holder)
{
	char *dir = shell_word(arg->path), *command, *word;

	if (strcmp(holder, "HEAD") == 0) {
		command = xasprintf("git --git-dir=%s symbolic-ref HEAD refs/heads/main", dir);
	} else if (strcmp(holder, "index") == 0) {
		command = xasprintf("git --git-dir=%s read-tree --empty", dir);
	} else if (strncmp(holder, "worktrees/", 10) == 0) {
		char *name = bytes_dup(bytes_from(holder + 10, strcspn(holder + 10, "/")));

		word = shell_word(name);
		command = xasprintf("git --git-dir=%s worktree remove %s", dir, word);
		free(word);
		free(name);
	} else if (strncmp(holder, "logs/", 5) == 0) {
		word = shell_word(holder + 5);
		command = xasprintf("git --git-dir=%s reflog expire --expire=now %s", dir, word);
		free(word);
	} else {
		word = shell_word(holder);
		command = xasprintf("git --git-dir=%s update-ref -d %s", dir, word);
		free(word);
	}
	free(dir);
	return command;
}

/* Somebody set it, so it is for them to remove. */
static void tell_holder(const struct request *q, const struct store_arg *arg, const char *holder)
{
	char *name = escape_text(bytes_of(holder), 400), *command = command_against(arg, holder);

	report_line(q->app, NULL,
		    "%s: %s holds what is not in the history any more, so that stays on the disk. To be "
		    "rid of it: %s, then forget again",
		    q->name, name, command);
	free(command);
	free(name);
}

static int forget(struct request *q, struct store_arg *arg, struct err *err)
{
	struct forgetting f = { .keep = &q->keep, .kept_before = q->kept_before, .dry_run = q->dry_run,
				.tell = tell, .ctx = q };
	int64_t started = clock_ms(), ms;
	struct history *h;
	int ret;

	if (arg->snapshot)
		return err_set(err, ERR_CONFIG,
			       "snapshots are chosen by rules: leave @ and what follows out");
	if (snapshot_arg_open(arg, &h, err) < 0) /* says what stores without a history are told */
		return -1;
	history_close(h);
	ret = gitstore_forget(&arg->config, &f, err);
	if (ret == 0 && !q->dry_run)
		find_index_remove(arg); /* with the words of what is gone */
	ms = clock_ms() - started;
	if (ret == 0 && q->app->json)
		print_summary_event(q, &f, ms);
	else if (ret == 0 && !q->app->quiet &&
		 (q->dry_run || q->app->verbose || isatty(STDOUT_FILENO)))
		print_summary(q, &f, ms);
	if (ret == 0 && f.holder && !q->app->json)
		tell_holder(q, arg, f.holder);
	free(f.holder);
	return ret;
}

/* 0, or -1 after telling the user. */
static int take_count(struct request *q, int option, const char *arg)
{
	enum retain rule = (enum retain)(option - OPT_RULES);
	uint32_t n;

	if (strcmp(arg, "unlimited") == 0) {
		q->keep.count[rule] = RETAIN_ALL;
		return 0;
	}
	if (!bytes_to_u32(bytes_of(arg), &n) || n == 0) {
		cmd_usage_error(&cmd_forget, "--keep-%s: '%s' is neither a number above 0 nor 'unlimited'",
				retain_name(rule), arg);
		return -1;
	}
	q->keep.count[rule] = n;
	return 0;
}

static int take_date(struct request *q, const char *arg)
{
	struct err err = { 0 };
	struct when when;

	if (when_parse(arg, clock_unix(), &when, &err) < 0) {
		cmd_usage_error(&cmd_forget, "--kept-before: %s", err.text);
		return -1;
	}
	q->kept_before = when.first;
	if (when.first > 0)
		return 0;
	cmd_usage_error(&cmd_forget, "--kept-before: '%s' was before there was any", arg);
	return -1;
}

static int read_options(struct request *q, int argc, char **argv)
{
	const char *arg;
	int option;

	while ((option = cmd_next_option(q->app, &cmd_forget, argc, argv, &arg)) != CMD_OPTIONS_END) {
		if (option == CMD_OPTIONS_BAD)
			return -1;
		if (option == OPT_DRY_RUN) {
			q->dry_run = true;
		} else if (option == OPT_KEPT_BEFORE) {
			if (take_date(q, arg) < 0)
				return -1;
		} else if (option != OPT_WITHIN) {
			if (take_count(q, option, arg) < 0)
				return -1;
		} else if (!retention_span_parse(arg, &q->keep.within)) {
			cmd_usage_error(&cmd_forget,
					"--keep-within is such as 30d or 1y6m (m: months), not '%s'", arg);
			return -1;
		}
	}
	if (q->kept_before && retention_is_empty(&q->keep))
		q->keep.count[RETAIN_LAST] = RETAIN_ALL; /* it is about messages only */
	if (argc - optind != 1)
		cmd_usage_error(&cmd_forget, "one STORE is needed");
	else if (retention_is_empty(&q->keep))
		cmd_usage_error(&cmd_forget,
				"every snapshot would go: say which stay, for instance --keep-daily=30 "
				"--keep-monthly=24");
	else
		return 0;
	return -1;
}

static int forget_run(struct app *app, int argc, char **argv)
{
	struct request q = { .app = app };
	struct run run = { .stop = app->stop };
	struct err err = { 0 };
	struct store_arg arg = { 0 };
	char *name = NULL;
	int ret;

	if (read_options(&q, argc, argv) < 0)
		return EXIT_USAGE;
	if (app_start(app) < 0)
		return EXIT_FAILED;
	ret = store_arg_find(&arg, app, argv[optind], &err);
	if (ret == 0) {
		q.name = name = escape_text(bytes_of(arg.name), 400);
		arg.config.run = &run;
		ret = forget(&q, &arg, &err);
	}
	free(name);
	store_arg_release(&arg);
	return ret < 0 ? (int)report_error(app, &err) : EXIT_DONE;
}

const struct cmd cmd_forget = {
	.name = "forget",
	.args = "STORE",
	.summary = "Drop old snapshots of a git store, and what only they held.",
	.details =
		"Snapshots that any --keep rule wants stay, the others go: from the history, and what\n"
		"nothing else needs from the disk, for good. The rules are those of restic: hours, days,\n"
		"weeks, months and years are those of the calendar, and one without a snapshot does not\n"
		"count. While a rule has not found its N, it wants the oldest snapshot, too. N may be\n"
		"'unlimited'. What the store holds now always stays, and so does what an interrupted run\n"
		"has begun. Messages kept in it (deletions = keep) stay until --kept-before says otherwise;\n"
		"then they are off the disk when the snapshots that have them are forgotten, too.\n"
		"The ids of snapshots change. A clone of the archive still has the old ones; one that\n"
		"borrows objects from it (git clone --shared) must not be used any more.",
	.options = options,
	.run = forget_run,
};
