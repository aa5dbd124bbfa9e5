#include "core/sync/job.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/sync/flagged.h"
#include "core/sync/job_internal.h"
#include "core/sync/scope.h"

void job_report_init(struct job_report *r)
{
	*r = (struct job_report){ 0 };
}

void job_report_release(struct job_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		for (size_t k = 0; k < r->v[i].quarantined && r->v[i].quarantine; k++)
			free(r->v[i].quarantine[k].reason);
		free(r->v[i].quarantine);
		free(r->v[i].name);
		free(r->v[i].source);
		free(r->v[i].problem);
	}
	free(r->v);
	for (size_t i = 0; i < r->n_renames; i++) {
		free(r->renames[i].from);
		free(r->renames[i].to);
	}
	free(r->renames);
	for (size_t i = 0; i < r->n_notes; i++)
		free(r->notes[i]);
	free(r->notes);
	for (size_t i = 0; i < r->n_counts; i++) {
		free(r->counts[i].name);
		free(r->counts[i].source);
	}
	free(r->counts);
	job_report_init(r);
}

struct job_mailbox *lane_line(const struct lane *lane)
{
	return &lane->job->report->v[lane->line];
}

char *job_source_text(const struct mailbox_name *name)
{
	struct mailbox_name source = MAILBOX_NAME_INIT;
	char *text;

	if (!name->mapped)
		return NULL;
	mailbox_name_source(&source, name);
	text = mailbox_name_text(&source);
	mailbox_name_release(&source);
	return text;
}

size_t job_add_line(struct job *job, const struct mailbox_name *name)
{
	struct job_report *r = job->report;

	r->v = xgrow(r->v, r->n, &r->cap, sizeof(*r->v));
	r->v[r->n] = (struct job_mailbox){ .name = mailbox_name_text(name), .source = job_source_text(name) };
	return r->n++;
}

void lane_problem(struct lane *lane, const char *why)
{
	struct job_mailbox *line = lane_line(lane);

	if (!line->problem)
		line->problem = xstrdup(why);
	lane->job->report->incomplete = true;
}

void lane_skip(struct lane *lane, const char *why)
{
	lane->skipped = true;
	lane_line(lane)->skipped = true;
	lane_problem(lane, why);
}

void job_note(struct job *job, const char *fmt, ...)
{
	struct job_report *r = job->report;
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	r->notes = xgrow(r->notes, r->n_notes, &r->cap_notes, sizeof(*r->notes));
	r->notes[r->n_notes++] = text;
}

void job_tell(struct job *job, enum job_phase phase)
{
	job->progress.phase = phase;
	if (job->set->progress)
		job->set->progress(job->set->progress_ctx, &job->progress);
}

bool job_matches(const char *const *patterns, size_t n, const struct mailbox_info *info)
{
	struct mailbox_name source = MAILBOX_NAME_INIT;
	bool in;

	mailbox_name_source(&source, &info->name);
	in = scope_contains(patterns, n, &source, info->attributes);
	mailbox_name_release(&source);
	return in;
}

bool job_selects(const struct job *job, const struct mailbox_info *info)
{
	const struct job_settings *set = job->set;

	return job_matches(set->mailboxes, set->n_mailboxes, info) && job_leads_to(job, &info->name);
}

bool job_in_scope(const struct job *job, const struct mailbox_info *info)
{
	return job_selects(job, info) && job_matches(job->set->only, job->set->n_only, info);
}

/* Where there are two accounts, which of them it is about. */
static int failed_of(const struct job *job, const struct store_config *cfg, struct err *err)
{
	return job_writes_account(job) && err->kind != ERR_STOPPED ? err_prefix(err, "%s", cfg->name) : -1;
}

int job_open_stores(struct job *job, struct err *err)
{
	const struct job_settings *set = job->set;
	bool fresh = job->target_config.create;

	job_tell(job, JOB_CONNECT);
	/* The source first: a wrong password must not leave an empty store behind. */
	if (store_open(set->source, &job->source, &job->source_config, STORE_READ, err) < 0)
		return failed_of(job, &job->source_config, err);
	job_tell(job, JOB_LIST);
	if (store_list(job->source, job->record.hint, &job->from, err) < 0)
		return -1;
	if (!job_writes_account(job) && job_apply_names(job, &job->from, err) < 0)
		return -1;
	if (job_reads_store(job) && job->from.n == 0)
		return err_set(err, ERR_MISSING, "there is no mailbox in %s",
			       job->source_config.path);
	if (!(set->dry_run && fresh) || job->target_config.adopt) {
		if (store_open(set->target, &job->target, &job->target_config,
			       set->dry_run ? STORE_READ : STORE_WRITE, err) < 0 ||
		    store_list(job->target, NULL, &job->to, err) < 0)
			return failed_of(job, &job->target_config, err);
	}
	if (job_writes_account(job)) {
		job_choose_names(job);
		if (job_apply_names(job, &job->from, err) < 0)
			return -1;
	}
	return job_check_account(job, err);
}

static int run_lanes(struct job *job, struct err *err)
{
	job_tell(job, JOB_COMPARE);
	if (job_follow_renames(job, err) < 0 || job_compare(job, err) < 0)
		return -1;
	job_compare_room(job);
	if (job->set->dry_run)
		return job_preview_transfer(job, err) < 0 ? -1 : job_preview(job, err);
	job_tell(job, JOB_TRANSFER);
	if (job_transfer(job, err) < 0)
		return -1;
	job_tell(job, JOB_FINISH);
	return job_finish(job, err);
}

/* Whether flags of every mailbox in scope are what the source said in this run. */
static bool flags_were_compared(const struct job *job)
{
	for (size_t i = 0; i < job->report->n; i++)
		if (job->report->v[i].skipped && !job->report->v[i].gone)
			return false;
	return job->flags_due && job->set->n_only == 0 && !job->set->apply;
}

/* Remember this run. `failed`: it did not come to its end. */
static int write_record(struct job *job, int64_t started, bool failed, struct err *err)
{
	struct job_report *r = job->report;
	struct record_run run = {
		.started = started,
		.ended = clock_unix(),
		.outcome = failed	 ? "failed"
			   : r->held	   ? "held"
			   : r->incomplete ? "incomplete"
					   : "done",
		.new_messages = r->new_messages,
		.removed = r->removed,
		.flags_changed = r->flags_changed,
		.bytes = r->bytes,
		.trouble = job->trouble,
	};

	if (job_note_identity(job, err) < 0)
		return -1;
	job->record.source_generation = job->source_generation;
	if (!failed && job->set->n_only == 0) { /* else what was left out was not named yet */
		free(job->record.scope);
		job->record.scope = job_scope_text(job->set);
	}
	if (!failed && flags_were_compared(job))
		job->record.flags_checked = started;
	if (!failed && !job->trouble && job->set->n_only == 0 && !job->set->apply)
		job->record.adopting = false;
	if (!failed) {
		free(job->record.hint);
		job->record.hint = job->from.hint ? xstrdup(job->from.hint) : NULL;
	}
	return record_save(job->set->state_dir, job->set->name, &job->record, &run, err);
}

/* A run that could not even begin, for who looks after the job. Of a job that never ran nothing is known. */
static void record_false_start(struct job *job, int64_t started)
{
	const struct record_run run = { .started = started, .ended = clock_unix(), .outcome = "failed" };
	struct err why;

	if (job->record.exists)
		record_save(job->set->state_dir, job->set->name, &job->record, &run, &why);
}

static void add_totals(struct job_report *r, bool adopting)
{
	for (size_t i = 0; i < r->n; i++) {
		struct job_mailbox *m = &r->v[i];

		/* What was taken over is no longer foreign, as it was when the target was compared. */
		if (adopting)
			m->foreign -= m->adopted < m->foreign ? m->adopted : m->foreign;
		r->new_messages += m->new_messages;
		r->adopted += m->adopted;
		r->copied += m->copied;
		r->flags_changed += m->flags_changed;
		r->removed += m->removed;
		r->kept += m->kept;
		r->held_messages += m->held;
		r->bytes += m->bytes;
		if (m->quarantined > 0)
			r->incomplete = true;
	}
}

static void release_lanes(struct job *job)
{
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		changes_release(&lane->source_changes);
		changes_release(&lane->target_changes);
		flagged_release(&lane->flagged);
		base_release(&lane->base);
		plan_release(&lane->plan);
		pairing_free(lane->pairing);
		free(lane->bind_from);
		free(lane->bind_to);
		uidset_release(&lane->passed);
		uidset_release(&lane->stored);
		uidset_release(&lane->told);
		uidset_release(&lane->spared);
		uidset_release(&lane->ask);
		uidset_release(&lane->unknown);
		uidset_release(&lane->failed_uids);
		for (size_t k = 0; k < lane->n_failed; k++)
			free(lane->failed[k].reason);
		free(lane->failed);
	}
	job_join_free(job);
	free(job->lanes);
	free(job->followed);
}

static void note_of_store(void *ctx, const struct mailbox_name *mailbox, const char *text)
{
	char *name = mailbox ? mailbox_name_text(mailbox) : NULL;

	if (name)
		job_note(ctx, "%s: %s", name, text);
	else
		job_note(ctx, "%s", text);
	free(name);
}

static bool are_flags_due(const struct job *job, int64_t now)
{
	int64_t then = job->record.flags_checked;

	return then == 0 || now < then || now - then >= job->set->flag_check;
}

/* What concerns one message or mailbox only and yet ended the job is for a person to see. */
void job_judge_failure(int failed, struct err *err)
{
	if (failed < 0 && err->kind <= ERR_MAILBOX)
		err->kind = ERR_FATAL;
}

void job_init(struct job *job, const struct job_settings *set, struct job_report *report)
{
	*job = (struct job){
		.set = set,
		.report = report,
		.run = { .stop = set->stop, .note = note_of_store, .note_ctx = job },
		.source_config = set->source_config,
		.target_config = set->target_config,
		.now = clock_unix(),
		.lock = -1,
	};
	job->source_config.run = job->target_config.run = &job->run;
	job->target_config.account = job->source_config.account;
}

int job_begin(struct job *job, struct err *err)
{
	const struct job_settings *set = job->set;

	if (!set->dry_run && record_lock(set->state_dir, set->name, &job->lock, err) < 0)
		return -1;
	if (record_load(set->state_dir, set->name, &job->record, err) < 0 || job_look_at_source(job, err) < 0)
		return -1;
	return job_check_identity(job, err);
}

void job_end(struct job *job)
{
	release_lanes(job);
	free(job->account_then);
	free(job->fingerprint);
	free(job->source_index);
	store_close(job->target);
	store_close(job->source);
	mailbox_list_release(&job->from);
	mailbox_list_release(&job->to);
	naming_release(&job->names);
	record_release(&job->record);
	record_unlock(job->lock);
}

int job_run(const struct job_settings *set, struct job_report *report, struct err *err)
{
	struct job job;
	bool opened = false, failed;
	int ret = -1;

	job_init(&job, set, report);
	if (job_begin(&job, err) < 0 || job_open_stores(&job, err) < 0 || job_remember_store(&job, err) < 0)
		goto out;
	opened = true;
	if (job_check_plan(&job, err) < 0)
		goto out;
	job.flags_due = are_flags_due(&job, job.now);
	ret = run_lanes(&job, err);
	if (ret == 0 && set->dry_run)
		job_tell_plan(&job, job.now);
	if (ret == 0 && set->apply)
		job_name_left_out(&job);
out:
	if (opened)
		job_count(&job, ret < 0);
	job.trouble = report->incomplete;
	add_totals(report, job.target_config.adopt);
	failed = ret < 0;
	if (opened && !set->dry_run && !(failed && job.no_deletions)) {
		struct err second = { 0 };

		if (write_record(&job, job.now, failed, failed ? &second : err) < 0)
			ret = -1;
	} else if (!opened && job.lock >= 0) {
		record_false_start(&job, job.now);
	}
	job_judge_failure(ret, err);
	job_end(&job);
	return ret;
}
