#include "cmd/report.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/sync/job.h"
#include "core/sync/quarantine.h"

#include "cmd/cmd.h"
#include "cmd/columns.h"
#include "cmd/progress.h"
#include "cmd/report_counts.h"

typedef unsigned long long ull;

void report_line(const struct app *app, const char *job, const char *fmt, ...)
{
	bool colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
	va_list ap;

	(void)app;
	progress_clear();
	fprintf(stderr, "%smailcask:%s ", colour ? "\033[1m" : "", colour ? "\033[0m" : "");
	if (job)
		fprintf(stderr, "%s: ", job);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void report_event(json_t *event)
{
	json_dumpf(event, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	fflush(stdout);
	json_decref(event);
}

void report_bytes(struct buf *out, uint64_t bytes)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB" };
	double value = (double)bytes / 1000;
	size_t unit = 0;

	if (bytes < 1000) {
		buf_addf(out, "%llu B", (ull)bytes);
		return;
	}
	while (value >= 999.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		unit++;
	}
	buf_addf(out, "%.1f %s", value, units[unit]);
}

FILE *report_private_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *file;

	if (fd < 0)
		return NULL;
	file = fdopen(fd, "w");
	if (!file)
		close(fd);
	return file;
}

/* What to do about it; NULL where the text of the error says so itself. */
static const char *advice(enum err_kind kind)
{
	switch (kind) {
	case ERR_AUTH:
		return "Check 'user' and where the password comes from in the account's section.";
	case ERR_RETRY:
		return "This often passes: run it again later. What was stored is kept.";
	case ERR_LOCKED:
		return "Wait for the other run to end, or end it.";
	case ERR_MISSING:
		return "Check the names in the command and the configuration.";
	case ERR_STOPPED:
		return "Run it again to go on from here.";
	case ERR_FATAL:
		return "Put this right and run it again; what was stored is kept.";
	case ERR_MESSAGE:
	case ERR_MAILBOX:
		return "Run it again; what was stored is kept.";
	case ERR_NONE:
	case ERR_CONFIG:
	case ERR_HELD:
		break;
	}
	return NULL;
}

const char *report_kind(enum err_kind kind)
{
	static const char *const words[] = {
		[ERR_NONE] = "none",	   [ERR_MESSAGE] = "message", [ERR_MAILBOX] = "mailbox",
		[ERR_RETRY] = "temporary", [ERR_FATAL] = "fatal",     [ERR_CONFIG] = "config",
		[ERR_AUTH] = "auth",	   [ERR_LOCKED] = "locked",   [ERR_MISSING] = "missing",
		[ERR_HELD] = "held",	   [ERR_STOPPED] = "stopped",
	};

	return words[kind];
}

/* A store that is named by its path begins what is said of it. */
static bool begins_with(const char *text, const char *label)
{
	size_t n = strlen(label);

	return strncmp(text, label, n) == 0 && (text[n] == ':' || text[n] == ' ');
}

static bool ends_a_sentence(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && strchr(".?!", text[n - 1]);
}

void report_failure(const struct app *app, const char *label, const struct err *err)
{
	const char *what_to_do = advice(err->kind);

	if (begins_with(err->text, label))
		label = NULL;
	if (what_to_do)
		report_line(app, label, "%s%s %s", err->text, ends_a_sentence(err->text) ? "" : ".",
			    what_to_do);
	else
		report_line(app, label, "%s", err->text);
}

static void add_count(struct buf *out, uint64_t n, const char *what)
{
	if (n)
		buf_addf(out, "%s%llu %s", out->n ? ", " : "", (ull)n, what);
}

/* "12 new, 3 flag changes" of one mailbox or of all; empty when nothing happened. */
static void add_counts(struct buf *out, const struct job_mailbox *m)
{
	if (m->created)
		buf_add_str(out, "created");
	if (m->gone)
		buf_add_str(out, "gone at the source");
	add_count(out, m->new_messages, "new");
	add_count(out, m->adopted, "taken over");
	add_count(out, m->copied, "of them copied here, not downloaded");
	add_count(out, m->recognised, "recognised under new UIDs");
	add_count(out, m->flags_changed, "with changed flags");
	add_count(out, m->removed, "removed");
	add_count(out, m->kept, "kept though gone at the source");
	add_count(out, m->held, "held back by the guard");
	add_count(out, m->waiting, "deletions waiting for the next run");
}

void report_row(const char *mailbox, const char *text)
{
	size_t width = columns_of(mailbox);

	printf("  %s%*s  %s\n", mailbox, width < 30 ? 30 - (int)width : 0, "", text);
}

char *report_mailbox_name(const char *name, const char *source)
{
	char *both = source ? xasprintf("%s (from %s)", name, source) : xstrdup(name);
	char *shown = escape_text(bytes_of(both), 400);

	free(both);
	return shown;
}

static void print_mailbox(const struct app *app, const struct job_mailbox *m)
{
	struct buf line = BUF_INIT(16 * 1024);
	char *name;

	add_counts(&line, m);
	add_count(&line, m->quarantined, "in quarantine");
	if (app->verbose)
		add_count(&line, m->accepted, "accepted in quarantine");
	add_count(&line, m->foreign, "not ours, left alone");
	if (m->skipped)
		buf_add_str(&line, line.n ? ", skipped" : "skipped");
	if (m->bytes) {
		buf_add_str(&line, ", ");
		report_bytes(&line, m->bytes);
	}
	name = report_mailbox_name(m->name, m->source);
	report_row(name, buf_str(&line));
	free(name);
	buf_release(&line);
}

static void print_renames(const struct job_settings *job, const struct job_report *r)
{
	for (size_t i = 0; i < r->n_renames; i++) {
		char *from = escape_text(bytes_of(r->renames[i].from), 400);
		char *to = escape_text(bytes_of(r->renames[i].to), 400);
		char *text = xasprintf("is now called %s: %s, and nothing of it downloaded again", to,
				       job->dry_run ? "would be renamed here too"
						    : "renamed here too");

		report_row(from, text);
		free(text);
		free(to);
		free(from);
	}
}

/* Worth a line: what was looked at and found in order is not. */
static bool something_happened(const struct job_mailbox *m)
{
	return m->created || m->gone || m->rebound || m->skipped || m->problem || m->new_messages || m->adopted ||
	       m->flags_changed || m->removed || m->kept || m->held || m->waiting ||
	       m->quarantined || m->foreign;
}

static uint64_t count_unchanged(const struct job_report *r)
{
	uint64_t n = r->mailboxes_unchanged;

	for (size_t i = 0; i < r->n; i++)
		n += !something_happened(&r->v[i]);
	return n;
}

static void print_estimate(int64_t seconds)
{
	if (seconds < 120)
		printf(", about %lld s", (long long)seconds);
	else
		printf(", about %lld min", (long long)(seconds + 59) / 60);
}

static void print_summary(const struct app *app, const struct job_settings *job,
			  const struct job_report *r, int64_t took_ms)
{
	struct job_mailbox sum = {
		.new_messages = r->new_messages,
		.adopted = r->adopted,
		.copied = r->copied,
		.flags_changed = r->flags_changed,
		.removed = r->removed,
		.kept = r->kept,
		.held = r->held_messages,
	};
	struct buf line = BUF_INIT(4096);
	uint64_t mailboxes = r->n + r->mailboxes_unchanged;
	bool nothing;

	if (app->verbose || job->dry_run)
		print_renames(job, r);
	for (size_t i = 0; i < r->n; i++)
		if ((app->verbose || job->dry_run) &&
		    (something_happened(&r->v[i]) || (app->verbose && r->v[i].accepted)))
			print_mailbox(app, &r->v[i]);
	if (r->n_renames)
		buf_addf(&line, "%zu mailbox%s renamed", r->n_renames, r->n_renames == 1 ? "" : "es");
	add_counts(&line, &sum);
	nothing = line.n == 0;
	if (nothing)
		buf_add_str(&line, "nothing to do");
	if (r->bytes) {
		buf_add_str(&line, ", ");
		report_bytes(&line, r->bytes);
	}
	printf("%s: %s%s in %llu mailbox%s", job->name,
	       job->dry_run && !nothing ? "would do: " : "", buf_str(&line), (ull)mailboxes,
	       mailboxes == 1 ? "" : "es");
	if (!job->dry_run)
		printf(" (%.1f s)", (double)took_ms / 1000);
	else if (r->estimate)
		print_estimate(r->estimate);
	putchar('\n');
	buf_release(&line);
	report_counts(app, job, r);
}

static bool is_migration(const struct job_settings *job)
{
	return !job->target_config.path;
}

/* Trouble with one mailbox, on standard error: cron mails it. */
static void complain_mailbox(const struct app *app, const struct job_settings *job,
			     const struct job_mailbox *m, const struct err *err)
{
	char *name = report_mailbox_name(m->name, m->source);

	/* What ended the whole job is told once, not again for every mailbox it cut short. */
	if (m->problem && strcmp(m->problem, err->text) != 0)
		report_line(app, job->name, "%s: %s%s", name, m->skipped ? "skipped: " : "",
			    m->problem);
	for (uint64_t i = 0; m->quarantine && i < m->quarantined; i++) {
		const struct quarantined *q = &m->quarantine[i];

		report_line(app, job->name,
			    "%s: message with UID %u could not be %s (%u attempts): %s", name, q->uid,
			    is_migration(job) ? "copied" : "stored", q->attempts,
			    q->reason ? q->reason : "no reason was given");
	}
	free(name);
}

void report_notes(const struct app *app, const struct job_settings *job, const struct job_report *r,
		  enum exit_status status)
{
	if (status == EXIT_DONE && !job->dry_run && !app->verbose && !isatty(STDERR_FILENO))
		return;
	for (size_t i = 0; i < r->n_notes && !app->quiet; i++)
		report_line(app, job->name, "%s", r->notes[i]);
}

void report_note_events(const struct job_settings *job, const struct job_report *r)
{
	for (size_t i = 0; i < r->n_notes; i++)
		report_event(json_pack("{s:s, s:s, s:s}", "event", "note", "job", job->name, "text",
				       r->notes[i]));
}

void report_failure_event(const struct job_settings *job, const struct err *err)
{
	if (err->kind != ERR_NONE)
		report_event(json_pack("{s:s, s:s, s:s, s:s}", "event", "error", "job", job->name,
				       "kind", report_kind(err->kind), "text", err->text));
}

static void complain(const struct app *app, const struct job_settings *job,
		     const struct job_report *r, const struct err *err, enum exit_status status)
{
	bool quarantined = false;

	for (size_t i = 0; i < r->n; i++) {
		complain_mailbox(app, job, &r->v[i], err);
		quarantined |= r->v[i].quarantine && r->v[i].quarantined;
	}
	report_uncounted(app, job, r, err->kind != ERR_NONE);
	if (quarantined)
		report_line(app, job->name,
			    "such messages are tried again later, at growing intervals. If you can do "
			    "without: mailcask quarantine %s accept UID",
			    job->name);
	report_notes(app, job, r, status);
	if (r->held)
		report_line(app, job->name,
			    "%llu messages that are gone at the source %s kept: more than "
			    "max_delete lets go at once. If they shall go: %s --allow-deletes=%llu",
			    (ull)r->deletes_shown, job->dry_run ? "would be" : "were", job->again,
			    (ull)r->deletes_shown);
	if (err->kind != ERR_NONE)
		report_failure(app, job->name, err);
}

static json_t *mailbox_event(const struct job_settings *job, const struct job_mailbox *m)
{
	json_t *event = json_pack(
		"{s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"event", "mailbox", "job", job->name, "mailbox", m->name, "created", m->created,
		"gone", m->gone, "skipped", m->skipped, "new", (json_int_t)m->new_messages, "adopted",
		(json_int_t)m->adopted, "copied", (json_int_t)m->copied, "flags_changed",
		(json_int_t)m->flags_changed, "removed",
		(json_int_t)m->removed, "kept", (json_int_t)m->kept, "held", (json_int_t)m->held,
		"waiting", (json_int_t)m->waiting, "quarantined", (json_int_t)m->quarantined,
		"accepted", (json_int_t)m->accepted,
		"foreign", (json_int_t)m->foreign, "bytes", (json_int_t)m->bytes);
	json_t *list = json_array();

	if (m->rebound) {
		json_object_set_new(event, "recognised", json_integer((json_int_t)m->recognised));
		json_object_set_new(event, "to_recognise",
				    json_integer((json_int_t)m->to_recognise));
	}
	if (m->source)
		json_object_set_new(event, "source", json_string(m->source));
	if (m->problem)
		json_object_set_new(event, "problem", json_string(m->problem));
	for (uint64_t i = 0; m->quarantine && i < m->quarantined; i++) {
		const struct quarantined *q = &m->quarantine[i];

		json_array_append_new(list, json_pack("{s:I, s:I, s:s*, s:I, s:I}", "uid",
						      (json_int_t)q->uid, "attempts",
						      (json_int_t)q->attempts, "reason", q->reason,
						      "since", (json_int_t)q->since, "next_try",
						      (json_int_t)quarantine_next_try(q)));
	}
	json_object_set_new(event, "quarantine", list);
	return event;
}

static void print_events(const struct job_settings *job, const struct job_report *r,
			 const struct err *err, enum exit_status status, int64_t took_ms)
{
	json_t *summary;

	for (size_t i = 0; i < r->n_renames; i++)
		report_event(json_pack("{s:s, s:s, s:s, s:s}", "event", "rename", "job", job->name,
				       "from", r->renames[i].from, "to", r->renames[i].to));
	for (size_t i = 0; i < r->n; i++)
		if (something_happened(&r->v[i]))
			report_event(mailbox_event(job, &r->v[i]));
	report_note_events(job, r);
	report_count_events(job, r);
	report_failure_event(job, err);
	summary = json_pack(
		"{s:s, s:s, s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:I, "
		"s:I, s:I}",
		"event", "summary", "job", job->name, "dry_run", job->dry_run, "exit", (int)status,
		"renamed", (json_int_t)r->n_renames, "mailboxes",
		(json_int_t)(r->n + r->mailboxes_unchanged), "mailboxes_unchanged",
		(json_int_t)count_unchanged(r), "new", (json_int_t)r->new_messages,
		"copied", (json_int_t)r->copied, "flags_changed", (json_int_t)r->flags_changed,
		"removed", (json_int_t)r->removed,
		"kept", (json_int_t)r->kept, "held", (json_int_t)r->held_messages, "guard_tripped",
		r->held, "incomplete", r->incomplete, "allow_deletes",
		(json_int_t)r->deletes_shown, "bytes", (json_int_t)r->bytes, "ms",
		(json_int_t)took_ms);
	if (r->n_counts)
		json_object_set_new(summary, "account", report_count_json(&r->total));
	report_event(summary);
}

void report_job(const struct app *app, const struct job_settings *job,
		const struct job_report *report, const struct err *err, enum exit_status status,
		int64_t took_ms)
{
	bool show = job->dry_run || app->verbose || isatty(STDOUT_FILENO);

	progress_clear();
	complain(app, job, report, err, status);
	if (app->json)
		print_events(job, report, err, status, took_ms);
	else if (show && !app->quiet && err->kind == ERR_NONE)
		print_summary(app, job, report, took_ms);
}

enum exit_status report_error(const struct app *app, const struct err *err)
{
	progress_clear();
	report_line(app, NULL, "%s", err->text);
	if (app->json)
		report_event(json_pack("{s:s, s:s, s:s}", "event", "error", "kind",
				       report_kind(err->kind), "text", err->text));
	return exit_of_err(err->kind);
}
