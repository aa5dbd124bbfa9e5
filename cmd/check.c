#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/when.h"
#include "core/sync/check.h"

#include "cmd/check_against.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/report.h"
#include "cmd/store_arg.h"

typedef unsigned long long ull;

enum { OPT_READ_DATA = 1, OPT_MAX_DURATION, OPT_AGAINST, OPT_SAMPLE };

#define SAMPLE 20

static const struct cmd_option options[] = {
	{ "read-data", 0, NULL, "Read every message and compare it with what was stored.",
	  OPT_READ_DATA },
	{ "max-duration", 0, "TIME", "End after that: 90s, 10m or 2h.", OPT_MAX_DURATION },
	{ "against", 0, "ACCOUNT", "Compare with what the server holds now, instead.", OPT_AGAINST },
	{ "sample", 0, "N", "With --against: fetch N messages and compare every byte (20).", OPT_SAMPLE },
	{ NULL, 0, NULL, NULL, 0 },
};

#define FINDINGS_SHOWN 100 /* without -v; a disk that is gone has as many as messages */
#define ADVICES_MAX 16

/* A check under way, as it is told to a person or a program. */
struct checking {
	struct app *app;
	struct check check;
	struct progress progress;
	char *name; /* of the store, escaped */
	uint64_t told;
	const char *advice[ADVICES_MAX]; /* each once, told at the end */
	size_t n_advice;
};

static void keep_advice(struct checking *c, const char *advice)
{
	for (size_t i = 0; i < c->n_advice; i++)
		if (strcmp(c->advice[i], advice) == 0)
			return;
	if (c->n_advice < ADVICES_MAX)
		c->advice[c->n_advice++] = advice;
}

static void add_place(struct buf *out, const struct finding *f)
{
	if (f->mailbox) {
		escape_add(out, bytes_of(f->mailbox), 400);
		if (f->uid)
			buf_addf(out, ", UID %u", f->uid);
		buf_add_str(out, ": ");
	}
	buf_add_str(out, f->what);
	if (f->file) {
		buf_add_str(out, ": ");
		escape_add(out, bytes_of(f->file), 1000);
	}
}

static const char *kind_word(enum finding_kind kind)
{
	static const char *const words[] = {
		[FINDING_DAMAGE] = "damage",
		[FINDING_UNCHECKED] = "unchecked",
		[FINDING_HARMLESS] = "harmless",
	};

	return words[kind];
}

static void tell(const struct checking *c, const struct finding *f)
{
	/* A file's name may be any bytes. */
	char *file = f->file ? escape_text(bytes_of(f->file), 1000) : NULL;

	report_event(json_pack("{s:s, s:s, s:s, s:s*, s:I, s:s*, s:s, s:s*}", "event", "finding",
			       "store", c->name, "kind", kind_word(f->kind), "mailbox", f->mailbox,
			       "uid", (json_int_t)f->uid, "file", file, "text", f->what, "advice",
			       f->advice));
	free(file);
}

static void on_found(void *ctx, const struct finding *f)
{
	struct checking *c = ctx;
	struct buf line = BUF_INIT(16 * 1024);
	bool harmless = f->kind == FINDING_HARMLESS;

	if (c->app->json) {
		tell(c, f);
		return;
	}
	/* Nothing to do about it, so nothing for cron to mail. */
	if (harmless && (c->app->quiet || !(c->app->verbose || isatty(STDERR_FILENO))))
		return;
	if (f->advice)
		keep_advice(c, f->advice);
	if (!c->app->verbose && c->told++ >= FINDINGS_SHOWN)
		return;
	add_place(&line, f);
	report_line(c->app, c->name, "%s", buf_str(&line));
	buf_release(&line);
}

static void on_progress(void *ctx, const struct check *ck)
{
	struct checking *c = ctx;
	struct buf line = BUF_INIT(1024);
	int64_t ms;

	if (!progress_is_due(&c->progress))
		return;
	ms = c->progress.drawn - c->progress.started;
	if (!c->progress.on_terminal) {
		report_event(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "event",
				       "progress", "store", c->name, "messages",
				       (json_int_t)ck->messages, "compared",
				       (json_int_t)ck->compared, "read", (json_int_t)ck->read,
				       "to_read", (json_int_t)ck->to_read, "read_bytes",
				       (json_int_t)ck->read_bytes, "bytes_to_read",
				       (json_int_t)ck->bytes_to_read));
		return;
	}
	buf_addf(&line, "%s: ", c->name);
	if (ck->read_bytes == 0)
		buf_addf(&line, "comparing, %llu/%llu messages", (ull)ck->compared,
			 (ull)ck->messages);
	else {
		buf_addf(&line, "reading, %llu/%llu %s, ", (ull)ck->read, (ull)ck->to_read,
			 ck->things);
		report_bytes(&line, ck->read_bytes);
		progress_add_rate(&line, ck->read_bytes, ms);
		progress_add_time_left(&line, ck->read_bytes, ck->bytes_to_read, ms);
	}
	progress_draw(&line);
	buf_release(&line);
}

static enum exit_status status_of(const struct check *ck)
{
	if (ck->findings[FINDING_DAMAGE])
		return EXIT_FAILED;
	return ck->findings[FINDING_UNCHECKED] ? EXIT_INCOMPLETE : EXIT_DONE;
}

static void add_part(struct buf *out, const struct check *ck)
{
	if (ck->compared < ck->messages)
		buf_addf(out, "; %llu of %llu messages compared",
			 (ull)ck->compared, (ull)ck->messages);
	if (!ck->read_data)
		return;
	if (!ck->cut_short) {
		buf_addf(out, "; all %s read", ck->things);
		return;
	}
	buf_addf(out, "; %llu of %llu %s read (", (ull)ck->read, (ull)ck->to_read, ck->things);
	report_bytes(out, ck->read_bytes);
	buf_add_str(out, " of ");
	report_bytes(out, ck->bytes_to_read);
	buf_add_byte(out, ')');
}

static void print_summary(const struct checking *c, int64_t took_ms)
{
	const struct check *ck = &c->check;
	struct buf line = BUF_INIT(4096);

	if (ck->findings[FINDING_DAMAGE])
		buf_addf(&line, "%llu damaged or missing", (ull)ck->findings[FINDING_DAMAGE]);
	else
		buf_add_str(&line, "no damage found");
	buf_addf(&line, ": %llu messages in %llu mailbox%s, ", (ull)ck->messages,
		 (ull)ck->mailboxes, ck->mailboxes == 1 ? "" : "es");
	report_bytes(&line, ck->bytes);
	if (ck->snapshots)
		buf_addf(&line, "; %llu snapshot%s", (ull)ck->snapshots,
			 ck->snapshots == 1 ? "" : "s");
	add_part(&line, ck);
	if (ck->cut_short)
		buf_add_str(&line, "; then time was up");
	if (ck->unhashed)
		buf_addf(&line, "; %llu without a checksum", (ull)ck->unhashed);
	if (ck->foreign)
		buf_addf(&line, "; %llu files of others left out", (ull)ck->foreign);
	if (ck->in_use)
		buf_add_str(&line, "; a run is at work: what it had committed was checked");
	printf("%s: %s (%.1f s)\n", c->name, buf_str(&line), (double)took_ms / 1000);
	buf_release(&line);
}

static void print_event(const struct checking *c, enum exit_status status, int64_t took_ms)
{
	const struct check *ck = &c->check;

	report_event(json_pack(
		"{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:I, "
		"s:I, s:I, s:I}",
		"event", "summary", "store", c->name, "exit", (int)status, "mailboxes",
		(json_int_t)ck->mailboxes, "messages", (json_int_t)ck->messages, "bytes",
		(json_int_t)ck->bytes, "compared", (json_int_t)ck->compared, "read",
		(json_int_t)ck->read, "to_read", (json_int_t)ck->to_read, "read_bytes",
		(json_int_t)ck->read_bytes, "bytes_to_read", (json_int_t)ck->bytes_to_read,
		"snapshots", (json_int_t)ck->snapshots, "unhashed", (json_int_t)ck->unhashed, "cut_short", ck->cut_short, "in_use",
		ck->in_use, "foreign", (json_int_t)ck->foreign, "damage",
		(json_int_t)ck->findings[FINDING_DAMAGE], "unchecked",
		(json_int_t)ck->findings[FINDING_UNCHECKED], "ms", (json_int_t)took_ms));
}

static void tell_advice(const struct checking *c)
{
	if (!c->app->verbose && c->told > FINDINGS_SHOWN)
		report_line(c->app, c->name, "and %llu more; -v names them all",
			    (ull)(c->told - FINDINGS_SHOWN));
	for (size_t i = 0; i < c->n_advice; i++)
		report_line(c->app, c->name, "%s", c->advice[i]);
}

static void report(const struct checking *c, enum exit_status status, int64_t took_ms)
{
	if (c->app->json)
		print_event(c, status, took_ms);
	else if (!c->app->quiet && (c->app->verbose || isatty(STDOUT_FILENO)))
		print_summary(c, took_ms);
}

static int check_store(struct checking *c, const char *text, struct err *err)
{
	struct run run = { .stop = c->app->stop };
	struct store_arg arg;
	struct err unopened = { 0 };
	int ret = store_arg_find(&arg, c->app, text, err);

	/* What cannot even be opened is worth looking into most. */
	if (ret < 0 && arg.ops) {
		unopened = *err;
		ret = 0;
	}
	if (ret == 0 && arg.snapshot)
		ret = err_set(err, ERR_CONFIG,
			      "the whole of a store is checked: leave @ and what follows out");
	if (ret == 0) {
		c->name = escape_text(bytes_of(arg.name), 400);
		arg.config.run = &run;
		progress_begin(&c->progress, c->app, c->name);
		ret = store_check(arg.ops, &arg.config, &c->check, err);
		progress_end(&c->progress);
	}
	if (ret == 0 && unopened.kind != ERR_NONE && !c->check.findings[FINDING_DAMAGE]) {
		*err = unopened;
		ret = -1;
	}
	store_arg_release(&arg);
	return ret;
}

/* What the command line asks for. */
struct request {
	bool read_data, sample_given;
	int64_t limit; /* seconds; 0: none */
	const char *against;
	uint64_t sample;
};

/* 0, or -1 after telling the user. */
static int take_option(struct request *r, int option, const char *arg)
{
	if (option == OPT_READ_DATA)
		r->read_data = true;
	else if (option == OPT_AGAINST)
		r->against = arg;
	else if (option == OPT_SAMPLE && bytes_to_u64(bytes_of(arg), &r->sample))
		r->sample_given = true;
	else if (option == OPT_SAMPLE)
		return cmd_usage_error(&cmd_check, "--sample needs a number, not '%s'", arg) ? -1 : 0;
	else if (option != OPT_MAX_DURATION)
		return -1;
	else if (!duration_parse(arg, &r->limit) || r->limit == 0)
		return cmd_usage_error(&cmd_check, "--max-duration is such as 90s, 10m or 2h, not '%s'",
				       arg) ? -1 : 0;
	return 0;
}

static int check_run(struct app *app, int argc, char **argv)
{
	struct checking c = { .app = app };
	struct request r = { .sample = SAMPLE };
	int64_t started = clock_ms();
	enum exit_status status;
	struct err err = { 0 };
	const char *arg;
	int option, ret;

	while ((option = cmd_next_option(app, &cmd_check, argc, argv, &arg)) != CMD_OPTIONS_END)
		if (take_option(&r, option, arg) < 0)
			return EXIT_USAGE;
	if (argc - optind != 1)
		return cmd_usage_error(&cmd_check, "one STORE is needed");
	if (r.against && (r.read_data || r.limit))
		return cmd_usage_error(&cmd_check, "--against is a check of its own: run the other one "
						   "by itself");
	if (r.sample_given && !r.against)
		return cmd_usage_error(&cmd_check, "--sample belongs to --against");
	if (r.against)
		return (int)check_against(app, argv[optind], r.against, r.sample);
	if (app_start(app) < 0)
		return EXIT_FAILED;
	c.check.read_data = r.read_data;
	c.check.deadline = r.limit ? started + r.limit * 1000 : 0;
	c.check.found = on_found;
	c.check.progress = on_progress;
	c.check.ctx = &c;
	ret = check_store(&c, argv[optind], &err);
	tell_advice(&c);
	status = status_of(&c.check);
	if (ret < 0)
		status = exit_worse(status, report_error(app, &err));
	else
		report(&c, status, clock_ms() - started);
	free(c.name);
	return (int)status;
}

const struct cmd cmd_check = {
	.name = "check",
	.args = "STORE",
	.summary = "Look whether all that a store holds is there and sound.",
	.details =
		"Compares what the store knows of its messages with what lies on the disk; with\n"
		"--read-data also every byte. It changes nothing and may run beside a backup. What\n"
		"is wrong is named with what to do about it, and the exit status is 1; 3 when some\n"
		"of it could not be looked at. With --max-duration each run reads a part that begins\n"
		"at random, so that runs every night come to read all.\n"
		"\n"
		"With --against it compares with what the account holds now, reading only: which\n"
		"messages, sizes, flags, and of some every byte. What came or went since the last\n"
		"backup is told, but no error.",
	.options = options,
	.run = check_run,
};
