#include "cmd/report_counts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/sync/job.h"

#include "cmd/cmd.h"
#include "cmd/report.h"

typedef unsigned long long ull;

/* "13 messages = 12 copied + 1 adopted + 0 in quarantine" */
static void add_equation(struct buf *out, const struct job_count *c)
{
	buf_addf(out, "%llu message%s = %llu copied + %llu adopted + %llu in quarantine", (ull)c->messages,
		 c->messages == 1 ? "" : "s", (ull)c->copied, (ull)c->adopted, (ull)c->quarantined);
	if (c->gone)
		buf_addf(out, " - %llu gone at the source", (ull)c->gone);
	if (c->missing > 0)
		buf_addf(out, " + %llu not accounted for", (ull)c->missing);
	else if (c->missing < 0)
		buf_addf(out, " - %llu too many", (ull)-c->missing);
	if (c->copied_now || c->adopted_now)
		buf_addf(out, " (in this run %llu copied, %llu adopted)", (ull)c->copied_now,
			 (ull)c->adopted_now);
}

/* Ready for a terminal; the caller frees it. */
static char *counted_name(const struct job_count *c)
{
	char *both = c->source ? xasprintf("%s (from %s)", c->name, c->source) : xstrdup(c->name);
	char *shown = escape_text(bytes_of(both), 400);

	free(both);
	return shown;
}

void report_counts(const struct app *app, const struct job_settings *job, const struct job_report *r)
{
	for (size_t i = 0; app->verbose && i < r->n_counts; i++) {
		struct buf line = BUF_INIT(4096);
		char *name = counted_name(&r->counts[i]);

		add_equation(&line, &r->counts[i]);
		report_row(name, buf_str(&line));
		free(name);
		buf_release(&line);
	}
	if (r->n_counts) {
		struct buf line = BUF_INIT(4096);

		add_equation(&line, &r->total);
		printf("%s: %s\n", job->name, buf_str(&line));
		buf_release(&line);
	}
}

static void complain(const struct app *app, const struct job_settings *job, const char *name,
		     const struct job_count *c)
{
	struct buf line = BUF_INIT(4096);

	add_equation(&line, c);
	report_line(app, job->name, "%s%s%s", name, *name ? ": " : "", buf_str(&line));
	buf_release(&line);
}

void report_uncounted(const struct app *app, const struct job_settings *job, const struct job_report *r,
		      bool cut_short)
{
	if (cut_short && r->total.missing)
		complain(app, job, "", &r->total);
	for (size_t i = 0; i < r->n_counts && !cut_short; i++) {
		char *name = counted_name(&r->counts[i]);

		if (r->counts[i].missing)
			complain(app, job, name, &r->counts[i]);
		free(name);
	}
}

json_t *report_count_json(const struct job_count *c)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "messages", (json_int_t)c->messages,
			 "copied", (json_int_t)c->copied, "adopted", (json_int_t)c->adopted, "quarantined",
			 (json_int_t)c->quarantined, "gone", (json_int_t)c->gone, "missing",
			 (json_int_t)c->missing, "copied_now", (json_int_t)c->copied_now, "adopted_now",
			 (json_int_t)c->adopted_now);
}

void report_count_events(const struct job_settings *job, const struct job_report *r)
{
	for (size_t i = 0; i < r->n_counts; i++) {
		json_t *event = json_pack("{s:s, s:s, s:s, s:s*}", "event", "account", "job", job->name, "mailbox",
					  r->counts[i].name, "source", r->counts[i].source);

		json_object_update_new(event, report_count_json(&r->counts[i]));
		report_event(event);
	}
}
