#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/sync/job_internal.h"

/* Plans that outlive a run: what a dry run tells, and carrying one out. */

/* The UIDVALIDITY that the lane's source UIDs belong to. */
static uint32_t lane_uidvalidity(const struct lane *lane)
{
	if (lane->source_unchanged || lane->gone)
		return lane->base.token.uidvalidity;
	return lane->source_changes.token.known ? lane->source_changes.token.uidvalidity
						: lane->from->token.uidvalidity;
}

/* Dry run: what would be done, for the report and for who wants it in a file. */
void job_tell_lane(struct lane *lane)
{
	struct job_mailbox *line = lane_line(lane);
	struct plan_file aside = { 0 };
	bool asked = lane->job->set->plan_out &&
		     (!lane->to || lane->gone || !plan_is_empty(&lane->plan));
	struct planned_mailbox *m =
		plan_file_add(asked ? lane->job->set->plan_out : &aside, line->name);

	m->uidvalidity = lane_uidvalidity(lane);
	m->removed = lane->gone;
	planned_from_plan(m, &lane->plan, &lane->source_changes, &lane->target_changes);
	line->new_messages = lane->plan.expect;
	line->flags_changed = lane->plan.flags_changed;
	line->bytes = m->bytes;
	plan_file_release(&aside);
}

/* Carrying out a plan that was made earlier: do what it says, and nothing else. */
void job_hold_to_plan(struct lane *lane)
{
	const struct plan_file *file = lane->job->set->apply;
	const struct planned_mailbox *wanted = plan_file_find(file, lane_line(lane)->name);
	bool all_new = plan_file_removes(file);
	struct err err;

	if (lane->gone ? !wanted || !wanted->removed : !wanted && !all_new) {
		lane->skipped = true; /* and nothing said of it: it was not asked for */
		lane->partial = !lane->to || lane->gone || !plan_is_empty(&lane->plan);
	} else if (wanted && wanted->removed && !lane->gone) {
		lane_skip(lane, "since the plan was made it came back; left as it is. Make a new plan");
	} else if (plan_restrict(&lane->plan, &lane->target_changes, lane_uidvalidity(lane), wanted,
				 all_new, &lane->partial, &err) < 0) {
		lane_skip(lane, err.text);
	}
}

/* A plan is for one job, one account and one store. */
int job_check_plan(const struct job *job, struct err *err)
{
	const struct plan_file *plan = job->set->apply;

	if (!plan)
		return 0;
	if (strcmp(plan->account, job->source_config.account) != 0)
		return err_set(err, ERR_HELD, "the plan is for %s, and this job reads %s; make a new one",
			       plan->account, job->source_config.account);
	if (*plan->store && strcmp(plan->store, job->record.uuid) != 0)
		return err_set(err, ERR_HELD,
			       "the plan was made for another %s than %s; make a new one",
			       job_writes_account(job) ? "ledger" : "store", job_target_path(job));
	return 0;
}

/* For whom settings.plan_out is: what the plan is for. */
static void head_plan(const struct job *job, int64_t now)
{
	struct plan_file *plan = job->set->plan_out;

	plan->job = xstrdup(job->set->name);
	plan->account = xstrdup(job->source_config.account);
	snprintf(plan->store, sizeof(plan->store), "%s", job->target ? job->record.uuid : "");
	plan->made = now;
}

void job_tell_plan(struct job *job, int64_t now)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < job->report->n; i++)
		bytes += job->report->v[i].bytes;
	if (bytes)
		job->report->estimate = record_estimate(&job->record, bytes);
	if (job->set->plan_out)
		head_plan(job, now);
}

void job_name_left_out(struct job *job)
{
	bool partial = false;

	for (size_t i = 0; i < job->n; i++)
		partial |= job->lanes[i].partial;
	if (partial)
		job_note(job, "what changed since the plan was made is left to the next run");
	if (plan_file_removes(job->set->apply))
		job_note(job, "new messages were %s whether the plan names them or not, as one "
			      "that it removes may be among them",
			 job_writes_account(job) ? "copied" : "stored");
}
