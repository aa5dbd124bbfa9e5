#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/sync/prune.h"
#include "core/sync/retention.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/jobs.h"
#include "cmd/job_store.h"
#include "cmd/mirror.h"
#include "cmd/progress.h"
#include "cmd/prune_report.h"
#include "cmd/report.h"

enum { OPT_OLDER_THAN = 1, OPT_MAILBOX, OPT_DRY_RUN, OPT_ALLOW_DELETES };

static const struct cmd_option options[] = {
	{ "older-than", 0, "SPAN", "What came to the account before that: 2y, 18m (m: months), 90d.",
	  OPT_OLDER_THAN },
	{ "mailbox", 0, "PATTERN", "Only these of the job's mailboxes; may be given again.", OPT_MAILBOX },
	{ "dry-run", 'n', NULL, "Show what would go, and why the rest stays; change nothing.", OPT_DRY_RUN },
	{ "allow-deletes", 0, "N", "Let the guard pass up to N deletions in this run.", OPT_ALLOW_DELETES },
	{ NULL, 0, NULL, NULL, 0 },
};

struct request {
	struct app *app;
	const char *older_than; /* as given */
	int64_t before;
	struct job_options opts;
};

/* As a word of a shell. */
static void add_quoted(struct buf *out, const char *text)
{
	buf_add_byte(out, '\'');
	for (; *text; text++)
		if (*text == '\'')
			buf_add_str(out, "'\\''");
		else
			buf_add_byte(out, (uint8_t)*text);
	buf_add_byte(out, '\'');
}

/* The command once more, ready to print. */
static char *command_again(const struct request *q, const char *job)
{
	struct buf text = BUF_INIT(64 * 1024);
	char *shown;

	buf_addf(&text, "mailcask prune-server %s --older-than=%s", job, q->older_than);
	for (size_t i = 0; i < q->opts.n_only; i++) {
		buf_add_str(&text, " --mailbox=");
		add_quoted(&text, q->opts.only[i]);
	}
	shown = escape_text(buf_bytes(&text), 4000);
	buf_release(&text);
	return shown;
}

/* To another job that follows deletions, what goes here is deleted. */
static void tell_of_other(const struct app *app, bool dry_run, const char *job, const char *other)
{
	char *text = xasprintf("[job %s] backs up the same account and follows deletions: to it, what goes here is "
			       "deleted. 'deletions = keep' there makes it keep that, too", other);

	if (app->json)
		report_event(json_pack("{s:s, s:s, s:s}", "event", "note", "job", job, "text", text));
	if (!app->quiet && (dry_run || app->verbose || isatty(STDERR_FILENO)))
		report_line(app, job, "%s", text);
	free(text);
}

static void tell_of_others(const struct request *q, const struct config_job *job)
{
	const struct config *cfg = app_config(q->app);

	for (size_t i = 0; i < config_jobs(cfg); i++) {
		const struct config_job *other = config_job_at(cfg, i);

		if (other != job && other->kind == CONFIG_JOB_BACKUP && other->account == job->account &&
		    other->deletions == DELETIONS_MIRROR)
			tell_of_other(q->app, q->opts.dry_run, job->head.name, other->head.name);
	}
}

static enum exit_status prune(struct request *q, const struct config_job *job)
{
	char *again = command_again(q, job->head.name);
	struct prune_report report;
	struct progress progress;
	struct prepared_job p;
	struct err err = { 0 };
	int64_t started = clock_ms();
	enum exit_status status;
	int failed;

	jobs_prepare(&p, q->app, job, &q->opts);
	p.set.again = again;
	prune_report_init(&report);
	tell_of_others(q, job);
	progress_begin(&progress, q->app, job->head.name);
	p.set.progress = progress_show;
	p.set.progress_ctx = &progress;
	failed = prune_run(&p.set, q->before, &report, &err);
	progress_end(&progress);
	if (failed == 0)
		err = (struct err){ 0 }; /* what was tried on the way and did not matter */
	status = exit_of_job(failed, &err, &report.job);
	prune_report_show(q->app, &p.set, &report, &err, status, clock_ms() - started);
	if (!q->opts.dry_run && mirror_may_push(job, failed, &err))
		status = exit_worse(status, mirror_push(q->app, job));
	prune_report_release(&report);
	jobs_release(&p);
	free(again);
	return status;
}

static int take_age(struct request *q, const char *arg)
{
	struct retention_span span;

	if (retention_span_parse(arg, &span)) {
		q->older_than = arg;
		q->before = retention_span_before(clock_unix(), &span);
		return 0;
	}
	cmd_usage_error(&cmd_prune_server, "--older-than is such as 2y or 1y6m (m: months), not '%s'", arg);
	return -1;
}

static int take_option(struct request *q, int option, const char *arg)
{
	switch (option) {
	case OPT_OLDER_THAN:
		return take_age(q, arg);
	case OPT_MAILBOX:
		return jobs_add_pattern(&q->opts, &cmd_prune_server, arg);
	case OPT_ALLOW_DELETES:
		return jobs_allow_deletes(&q->opts, &cmd_prune_server, arg);
	case OPT_DRY_RUN:
		q->opts.dry_run = true;
		return 0;
	default:
		return -1;
	}
}

/* The job, if it is one that this can be done for; NULL after telling the user. */
static const struct config_job *find_job(struct request *q, int argc, char **argv)
{
	const struct config_job *job;

	if (argc != 1) {
		cmd_usage_error(&cmd_prune_server, "one JOB is needed");
		return NULL;
	}
	if (!q->older_than) {
		cmd_usage_error(&cmd_prune_server, "how old must they be? For instance --older-than=2y");
		return NULL;
	}
	job = job_named(q->app, &cmd_prune_server, argv[0]);
	if (!job)
		return NULL;
	if (job->kind == CONFIG_JOB_BACKUP && job->account)
		return job;
	cmd_usage_error(&cmd_prune_server,
			job->kind == CONFIG_JOB_BACKUP
				? "[job %s] backs up a store, not an account: there is no server to free"
				: "[job %s] is no backup: only what a store here holds may be removed from its server",
			job->head.name);
	return NULL;
}

static int prune_server_run(struct app *app, int argc, char **argv)
{
	struct request q = { .app = app, .opts = { .kind = CONFIG_JOB_BACKUP } };
	const struct config_job *job;
	int option, status = EXIT_USAGE;
	const char *arg;

	while ((option = cmd_next_option(app, &cmd_prune_server, argc, argv, &arg)) != CMD_OPTIONS_END)
		if (take_option(&q, option, arg) < 0)
			goto out;
	job = find_job(&q, argc - optind, argv + optind);
	if (job)
		status = (int)prune(&q, job);
out:
	free(q.opts.only);
	return status;
}

const struct cmd cmd_prune_server = {
	.name = "prune-server",
	.args = "JOB --older-than SPAN",
	.summary = "Free the server of old messages that the job's store holds for good.",
	.details =
		"Removes messages at the account of a backup job. A message goes only if the store has it as\n"
		"the account has it (UID, size, date, flags), and its stored bytes were read and found to be\n"
		"what was stored, in this very run. Before the first one goes, all that will are kept in the\n"
		"store: no later backup takes them for deleted, and only 'forget --kept-before' removes them.\n"
		"Nothing else is done: what is not stored yet, or changed, stays until a backup was run.\n"
		"\n"
		"Messages that are \\Flagged or drafts stay, and so do those that somebody marked as deleted.\n"
		"If more would go than max_delete allows, in a mailbox or in all, it is held back, the exit\n"
		"status is 4, and the number to give to --allow-deletes is shown. The server has to be able\n"
		"to remove single messages (UIDPLUS). Gmail is refused: removing a message from a mailbox\n"
		"there frees nothing.",
	.options = options,
	.run = prune_server_run,
};
