#include "cmd/prune_report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/sync/prune.h"

#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/report.h"

typedef unsigned long long ull;

static const struct {
	const char *key, *text;
} stays[PRUNE_STAYS] = {
	[PRUNE_YOUNG] = { "younger", "younger" },
	[PRUNE_FLAGGED] = { "flagged", "with \\Flagged" },
	[PRUNE_DRAFT] = { "drafts", "being drafted" },
	[PRUNE_DELETED] = { "marked", "with \\Deleted" },
	[PRUNE_QUARANTINED] = { "quarantined", "in quarantine" },
	[PRUNE_NOT_STORED] = { "not_stored", "not stored yet" },
	[PRUNE_CHANGED] = { "changed", "with other flags than are stored" },
	[PRUNE_UNLIKE] = { "unlike", "of another size or date than is stored" },
	[PRUNE_DAMAGED] = { "damaged", "damaged in the store" },
	[PRUNE_NOT_REMOVED] = { "not_removed", "not removed" },
};

/* "12 removed, 3.4 MB; 30 younger and 1 flagged stay" */
static void add_counts(struct buf *out, const struct prune_mailbox *m, const char *deed)
{
	const char *before = "; ";

	buf_addf(out, "%llu %s", (ull)m->removed, deed);
	if (m->bytes) {
		buf_add_str(out, ", ");
		report_bytes(out, m->bytes);
	}
	for (int why = 0; why < PRUNE_STAYS; why++) {
		if (!m->stay[why])
			continue;
		buf_addf(out, "%s%s%llu %s", before, *before == ';' ? "there stay " : "", (ull)m->stay[why],
			 stays[why].text);
		before = ", ";
	}
}

static void print_mailbox(const struct prune_mailbox *m, bool dry_run)
{
	struct buf line = BUF_INIT(4096);
	char *name = report_mailbox_name(m->name, m->source);

	if (m->skipped)
		buf_add_str(&line, "skipped");
	else
		add_counts(&line, m, m->held ? "held back by the guard" : dry_run ? "to remove" : "removed");
	report_row(name, buf_str(&line));
	free(name);
	buf_release(&line);
}

static void print_summary(const struct app *app, const struct job_settings *job, const struct prune_report *r,
			  int64_t took_ms)
{
	struct buf line = BUF_INIT(4096);

	for (size_t i = 0; i < r->n; i++)
		if ((app->verbose || job->dry_run) && (r->v[i].messages || r->v[i].skipped))
			print_mailbox(&r->v[i], job->dry_run);
	add_counts(&line, &r->total, job->dry_run ? "to remove at the account" : "removed at the account, and kept here");
	if (r->job.held)
		buf_addf(&line, "; %llu held back by the guard", (ull)r->job.deletes_shown);
	if (r->finished)
		buf_addf(&line, "; besides, %llu that an interrupted run had begun with", (ull)r->finished);
	printf("%s: %s", job->name, buf_str(&line));
	if (!job->dry_run)
		printf(" (%.1f s)", (double)took_ms / 1000);
	putchar('\n');
	buf_release(&line);
}

static void complain(const struct app *app, const struct job_settings *job, const struct prune_report *r,
		     const struct err *err, enum exit_status status)
{
	for (size_t i = 0; i < r->n; i++) {
		char *name = report_mailbox_name(r->v[i].name, r->v[i].source);

		if (r->v[i].problem)
			report_line(app, job->name, "%s: %s%s", name, r->v[i].skipped ? "skipped: " : "",
				    r->v[i].problem);
		free(name);
	}
	report_notes(app, job, &r->job, status);
	if (r->job.held)
		report_line(app, job->name,
			    "%llu messages %s left at the account: more than max_delete lets go at once. If they "
			    "shall go: %s --allow-deletes=%llu",
			    (ull)r->job.deletes_shown, job->dry_run ? "would be" : "were", job->again,
			    (ull)r->job.deletes_shown);
	if (err->kind != ERR_NONE)
		report_failure(app, job->name, err);
}

static json_t *stay_json(const struct prune_mailbox *m)
{
	json_t *out = json_object();

	for (int why = 0; why < PRUNE_STAYS; why++)
		json_object_set_new(out, stays[why].key, json_integer((json_int_t)m->stay[why]));
	return out;
}

static void print_events(const struct job_settings *job, const struct prune_report *r, const struct err *err,
			 enum exit_status status, int64_t took_ms)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct prune_mailbox *m = &r->v[i];

		report_event(json_pack("{s:s, s:s, s:s, s:s*, s:I, s:I, s:I, s:b, s:b, s:s*, s:o}", "event", "mailbox",
				       "job", job->name, "mailbox", m->name, "source", m->source, "messages",
				       (json_int_t)m->messages, "removed", (json_int_t)m->removed, "bytes",
				       (json_int_t)m->bytes, "held", m->held, "skipped", m->skipped, "problem",
				       m->problem, "stay", stay_json(m)));
	}
	report_note_events(job, &r->job);
	report_failure_event(job, err);
	report_event(json_pack("{s:s, s:s, s:b, s:i, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:I, s:o}", "event", "summary",
			       "job", job->name, "dry_run", job->dry_run, "exit", (int)status, "messages",
			       (json_int_t)r->total.messages, "removed", (json_int_t)r->total.removed, "bytes",
			       (json_int_t)r->total.bytes, "finished", (json_int_t)r->finished, "guard_tripped",
			       r->job.held, "incomplete", r->job.incomplete, "allow_deletes",
			       (json_int_t)r->job.deletes_shown, "ms", (json_int_t)took_ms, "stay",
			       stay_json(&r->total)));
}

void prune_report_show(const struct app *app, const struct job_settings *job, const struct prune_report *report,
		       const struct err *err, enum exit_status status, int64_t took_ms)
{
	bool show = job->dry_run || app->verbose || isatty(STDOUT_FILENO);

	progress_clear();
	complain(app, job, report, err, status);
	if (app->json)
		print_events(job, report, err, status, took_ms);
	else if (show && !app->quiet && err->kind == ERR_NONE)
		print_summary(app, job, report, took_ms);
}
