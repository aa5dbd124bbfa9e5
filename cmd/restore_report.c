#include "cmd/restore_report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/sync/restore.h"

#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/report.h"

typedef unsigned long long ull;

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* "12 messages added, 45.1 kB, 3 there already, flags of 2 changed"; "would add nothing" */
static void add_counts(struct buf *out, const struct restore_told *told, uint64_t added,
		       uint64_t bytes, uint64_t present, uint64_t flags)
{
	buf_add_str(out, told->dry_run ? "would add " : "");
	if (added)
		buf_addf(out, "%llu message%s", (ull)added, plural(added));
	else
		buf_add_str(out, "nothing");
	buf_add_str(out, told->dry_run ? "" : " added");
	if (added) {
		buf_add_str(out, ", ");
		report_bytes(out, bytes);
	}
	if (present)
		buf_addf(out, ", %llu there already", (ull)present);
	if (flags)
		buf_addf(out, ", %sflags of %llu%s", told->dry_run ? "would change " : "", (ull)flags,
			 told->dry_run ? "" : " changed");
}

static bool something_happened(const struct restore_mailbox *m)
{
	return m->created || m->added || m->flags_changed || m->problem || m->n_failed;
}

static void print_mailbox(const struct restore_told *told, const struct restore_mailbox *m)
{
	struct buf line = BUF_INIT(4096);
	char *whole = m->target ? xasprintf("%s -> %s", m->name, m->target) : xstrdup(m->name);
	char *name = escape_text(bytes_of(whole), 800);

	if (m->created)
		buf_add_str(&line, told->dry_run ? "would create, " : "created, ");
	if (m->skipped)
		buf_add_str(&line, "skipped");
	else
		add_counts(&line, told, m->added, m->bytes, m->present, m->flags_changed);
	if (m->n_failed)
		buf_addf(&line, ", %zu failed", m->n_failed);
	report_row(name, buf_str(&line));
	free(name);
	free(whole);
	buf_release(&line);
}

static void print_summary(const struct app *app, const struct restore_told *told,
			  const struct restore_report *r)
{
	struct buf line = BUF_INIT(4096);

	for (size_t i = 0; i < r->n; i++)
		if ((app->verbose || told->dry_run) && something_happened(&r->v[i]))
			print_mailbox(told, &r->v[i]);
	add_counts(&line, told, r->added, r->bytes, r->present, r->flags_changed);
	printf("%s%s%s%s to %s: %s in %zu mailbox%s", told->store, told->moment ? " (" : "",
	       told->moment ? told->moment : "", told->moment ? ")" : "", told->target,
	       buf_str(&line), r->n, r->n == 1 ? "" : "es");
	if (!told->dry_run)
		printf(" (%.1f s)", (double)told->took_ms / 1000);
	putchar('\n');
	buf_release(&line);
}

/* How many mailboxes before this one, and after it, have the same problem. */
static size_t count_same(const struct restore_report *r, const struct restore_mailbox *m, bool before)
{
	const struct restore_mailbox *from = before ? r->v : m + 1, *to = before ? m : r->v + r->n;
	size_t n = 0;

	for (; from < to; from++)
		n += from->problem && strcmp(from->problem, m->problem) == 0;
	return n;
}

/* What ended the run, or holds for many mailboxes, is told once. */
static void complain_problem(const struct app *app, const struct restore_told *told,
			     const struct restore_report *r, const struct restore_mailbox *m,
			     const char *name, const struct err *err)
{
	char more[64] = "";
	size_t n;

	if (!m->problem || strcmp(m->problem, err->text) == 0 || count_same(r, m, true) > 0)
		return;
	n = count_same(r, m, false);
	if (n > 0)
		snprintf(more, sizeof(more), " (and %zu more mailbox%s)", n, n == 1 ? "" : "es");
	report_line(app, told->store, "%s%s: %s%s", name, more, m->skipped ? "skipped: " : "", m->problem);
}

static void complain_mailbox(const struct app *app, const struct restore_told *told,
			     const struct restore_report *r, const struct restore_mailbox *m,
			     const struct err *err)
{
	char *name = escape_text(bytes_of(m->name), 400);

	complain_problem(app, told, r, m, name, err);
	for (size_t i = 0; i < m->n_failed; i++)
		report_line(app, told->store, "%s: message with UID %u could not be %s: %s",
			    name, m->failed[i].uid, told->done, m->failed[i].reason);
	free(name);
}

static json_t *mailbox_event(const struct restore_told *told, const struct restore_mailbox *m)
{
	json_t *event = json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I}", "event", "mailbox",
				  "store", told->store, "mailbox", m->name, "created", m->created,
				  "skipped", m->skipped, "added", (json_int_t)m->added, "present",
				  (json_int_t)m->present, "bytes", (json_int_t)m->bytes, "flags",
				  (json_int_t)m->flags_changed);
	json_t *failed = json_array();

	if (m->target)
		json_object_set_new(event, "target_mailbox", json_string(m->target));
	if (m->problem)
		json_object_set_new(event, "problem", json_string(m->problem));
	for (size_t i = 0; i < m->n_failed; i++)
		json_array_append_new(failed, json_pack("{s:I, s:s}", "uid",
							(json_int_t)m->failed[i].uid, "reason",
							m->failed[i].reason));
	json_object_set_new(event, "failed", failed);
	return event;
}

static void print_events(const struct restore_told *told, const struct restore_report *r,
			 const struct err *err)
{
	for (size_t i = 0; i < r->n; i++)
		if (something_happened(&r->v[i]))
			report_event(mailbox_event(told, &r->v[i]));
	if (err->kind != ERR_NONE)
		report_event(json_pack("{s:s, s:s, s:s, s:s}", "event", "error", "store",
				       told->store, "kind", report_kind(err->kind), "text",
				       err->text));
	for (size_t i = 0; i < r->n_notes; i++)
		report_event(json_pack("{s:s, s:s, s:s}", "event", "note", "store", told->store, "text",
				       r->notes[i]));
	report_event(json_pack("{s:s, s:s, s:s, s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:b, s:I}", "event",
			       "summary", "store", told->store, "target", told->target, "dry_run",
			       told->dry_run, "exit", (int)told->status, "mailboxes",
			       (json_int_t)r->n, "added", (json_int_t)r->added, "present",
			       (json_int_t)r->present, "bytes", (json_int_t)r->bytes, "flags",
			       (json_int_t)r->flags_changed, "incomplete",
			       r->incomplete, "ms", (json_int_t)told->took_ms));
}

void restore_report(const struct app *app, const struct restore_told *told,
		    const struct restore_report *report, const struct err *err)
{
	progress_clear();
	for (size_t i = 0; i < report->n; i++)
		complain_mailbox(app, told, report, &report->v[i], err);
	for (size_t i = 0; i < report->n_notes && !app->quiet; i++)
		report_line(app, told->store, "%s", report->notes[i]);
	if (err->kind != ERR_NONE)
		report_failure(app, told->store, err);
	if (app->json)
		print_events(told, report, err);
	else if (!app->quiet && (err->kind == ERR_NONE || report->added))
		print_summary(app, told, report);
}
