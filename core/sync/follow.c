#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/sync/follow.h"

/*
 * Mailboxes that were renamed at the source are renamed here, before anything is compared. What the lists
 * say makes them possible (renames.h); then it is asked whether the old name is really gone, and some
 * messages are looked at on both sides. Each rename is durable by itself, and everything is found out
 * anew from what the target holds: a run that is stopped in between is continued by the next.
 */

/* --- which is which: also for the rest of a run --- */

static struct followed *find_followed(const struct job *job, const struct mailbox_info *from,
				      const struct mailbox_info *to)
{
	for (size_t i = 0; i < job->n_followed; i++)
		if (job->followed[i].from == from || job->followed[i].to == to)
			return &job->followed[i];
	return NULL;
}

struct mailbox_info *job_target_of(const struct job *job, const struct mailbox_info *from)
{
	const struct followed *f = find_followed(job, from, NULL);
	struct mailbox_info *to;

	if (f)
		return f->to;
	to = mailbox_list_find(&job->to, &from->name);
	return to && find_followed(job, NULL, to) ? NULL : to;
}

struct mailbox_info *job_source_of(const struct job *job, const struct mailbox_info *to)
{
	const struct followed *f = find_followed(job, NULL, to);
	struct mailbox_info *from;

	if (f)
		return f->from;
	from = mailbox_list_find(&job->from, &to->name);
	return from && find_followed(job, from, NULL) ? NULL : from;
}

/* --- what the lists say --- */

static bool is_selectable(const struct mailbox_info *info)
{
	return info && !(info->attributes & MAILBOX_NOSELECT);
}

/* What a mailbox of the target was called at the last agreement. */
static void old_name(const struct mailbox_info *to, struct mailbox_name *out)
{
	if (!renames_is_moving(&to->name, out))
		mailbox_name_copy(out, &to->name);
}

/* Whether the source has it under its name, as far as the lists tell. */
static bool has_its_name(const struct mailbox_info *to, const struct mailbox_info *from)
{
	if (!is_selectable(from) || mailboxid_differs(from->mailboxid, to->mailboxid))
		return false;
	return !from->token.known || from->token.uidvalidity == to->token.uidvalidity ||
	       (*from->mailboxid && *to->mailboxid);
}

static bool may_be_renamed(const struct job *job, const struct mailbox_info *to)
{
	struct mailbox_info was = *to;
	bool may;

	if (!to->token.known || !is_selectable(to) || mailbox_name_is_inbox(&to->name) ||
	    job_must_leave(job, to) || has_its_name(to, mailbox_list_find(&job->from, &to->name)))
		return false;
	mailbox_name_init(&was.name);
	old_name(to, &was.name);
	may = job_selects(job, &was); /* whatever part of the job this run looks at */
	mailbox_name_release(&was.name);
	return may;
}

/*
 * The target has it as another mailbox, or not at all; what was never agreed on, or comes from elsewhere
 * by `map`, is left as it is.
 */
static bool may_be_new_name(const struct job *job, const struct mailbox_info *from)
{
	const struct mailbox_info *to = mailbox_list_find(&job->to, &from->name);

	return is_selectable(from) && from->token.known && !mailbox_name_is_inbox(&from->name) &&
	       (!to || (to->token.known && !job_must_leave(job, to) && !has_its_name(to, from) &&
			mailbox_name_same_source(&to->name, &from->name))) &&
	       job_selects(job, from);
}

static void find_pairs(struct following *f)
{
	const struct job *job = f->job;
	bool *new_name = xcalloc(job->from.n, sizeof(*new_name)), any = false;

	for (size_t k = 0; k < job->from.n; k++)
		any |= new_name[k] = may_be_new_name(job, &job->from.v[k]);
	for (size_t i = 0; i < job->to.n; i++) {
		if (!any || !may_be_renamed(job, &job->to.v[i]))
			continue;
		for (size_t k = 0; k < job->from.n; k++) {
			bool one_id;

			if (!new_name[k] ||
			    !renames_possible(&job->to.v[i], &job->from.v[k], &one_id))
				continue;
			f->pair = xgrow(f->pair, f->n, &f->cap, sizeof(*f->pair));
			f->pair[f->n++] = (struct rename_pair){ .to = i, .from = k,
								.one_id = one_id };
		}
	}
	free(new_name);
}

/* A run that looks at a part only renames nothing that has to do with the rest alone. */
static bool concerns_this_run(const struct following *f)
{
	bool concerns = false;

	for (size_t i = 0; i < f->n; i++)
		concerns |= job_in_scope(f->job, &f->job->from.v[f->pair[i].from]);
	return concerns;
}

/* --- asking --- */

/* The list leaves the old name out: without proof of that, too, the mailbox is not renamed. */
static int ask_for_old_name(struct job *job, const struct mailbox_name *name, bool *exists,
			    struct err *err)
{
	*exists = false;
	if (is_selectable(mailbox_list_find(&job->from, name)))
		return 0; /* another's now */
	*exists = true;
	if (!job->from.complete || job_ask_source(job, name, exists, err) == 0)
		return 0;
	*exists = true;
	return err->kind == ERR_MAILBOX ? 0 : -1;
}

static int ask_for_old_names(struct following *f, struct err *err)
{
	struct job *job = f->job;
	struct mailbox_name name = MAILBOX_NAME_INIT;
	int ret = 0;

	for (size_t i = 0; i < job->to.n && ret == 0; i++) {
		bool exists;

		if (!follow_has(f, i))
			continue;
		old_name(&job->to.v[i], &name);
		ret = ask_for_old_name(job, &name, &exists, err);
		if (ret == 0 && exists)
			follow_drop(f, i);
	}
	mailbox_name_release(&name);
	return ret;
}

/* Nothing stored is nothing to look at; a UIDVALIDITY that is a time says enough then. */
static void note_trivial(struct following *f)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct mailbox_info *to = &f->job->to.v[f->pair[i].to];

		f->pair[i].trivial = to->stored == 0 &&
				     to->token.uidvalidity >= UIDVALIDITY_TELLING;
	}
}

static int find_out(struct following *f, struct err *err)
{
	find_pairs(f);
	if (f->n == 0 || !concerns_this_run(f))
		return 0;
	f->candidate = xcalloc(f->job->to.n, sizeof(*f->candidate));
	if (ask_for_old_names(f, err) < 0)
		return -1;
	if (f->n == 0)
		return 0;
	if (follow_sample(f, err) < 0)
		return -1;
	note_trivial(f);
	renames_choose(f->pair, f->n);
	return 0;
}

/* --- what follows from it --- */

static const struct rename_pair *chosen_for(const struct following *f,
					    const struct mailbox_name *new_name)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->pair[i].chosen &&
		    mailbox_name_equal(&f->job->from.v[f->pair[i].from].name, new_name))
			return &f->pair[i];
	return NULL;
}

/* --- carrying it out --- */

static bool is_called(const struct rename_item *v, size_t n, const struct mailbox_name *name)
{
	for (size_t i = 0; i < n; i++)
		if (mailbox_name_equal(v[i].want.count ? &v[i].want : &v[i].name, name))
			return true;
	return false;
}

/*
 * A mailbox of which the source says nothing any more. Where another takes its name, it takes the name that
 * becomes free by that; one that an earlier run left on its way goes back.
 */
static void make_way(const struct following *f, const struct mailbox_info *to,
		     struct rename_item *item, const struct rename_item *v)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	const struct rename_pair *taker;

	old_name(to, &name);
	for (size_t left = f->n; left > 0 && (taker = chosen_for(f, &name)); left--)
		old_name(&f->job->to.v[taker->to], &name);
	if (!mailbox_name_equal(&name, &to->name) && !is_called(v, f->job->to.n, &name))
		mailbox_name_copy(&item->want, &name);
	mailbox_name_release(&name);
}

/* The source has it under its name: so it has to come back to it, should it be taken along. */
static bool keeps_name(const struct job *job, const struct mailbox_info *to)
{
	const struct mailbox_info *from = mailbox_list_find(&job->from, &to->name);

	return is_selectable(from) && (!to->token.known || has_its_name(to, from));
}

static struct rename_item *wanted_names(const struct following *f)
{
	const struct job *job = f->job;
	struct rename_item *v = xcalloc(job->to.n, sizeof(*v));

	for (size_t i = 0; i < job->to.n; i++)
		mailbox_name_copy(&v[i].name, &job->to.v[i].name);
	for (size_t i = 0; i < f->n; i++)
		if (f->pair[i].chosen)
			mailbox_name_copy(&v[f->pair[i].to].want,
					  &job->from.v[f->pair[i].from].name);
	for (size_t i = 0; i < job->to.n; i++)
		if (v[i].want.count == 0 && keeps_name(job, &job->to.v[i]))
			mailbox_name_copy(&v[i].want, &v[i].name);
	for (size_t i = 0; i < job->to.n; i++)
		if (v[i].want.count == 0)
			make_way(f, &job->to.v[i], &v[i], v);
	return v;
}

/* What was looked at counts as looked at: so it has to be compared now. */
static void touch(struct following *f, const struct rename_item *v, size_t n)
{
	for (size_t i = 0; i < n && f->candidate; i++) {
		struct mailbox_info *info = mailbox_list_find(&f->job->to, &v[i].name);

		if (info && f->candidate[i].mailbox)
			info->touched = true;
	}
}

static bool anything_to_rename(const struct following *f)
{
	struct mailbox_name was = MAILBOX_NAME_INIT;
	bool any = false;

	for (size_t i = 0; i < f->n; i++)
		any |= f->pair[i].chosen;
	for (size_t i = 0; i < f->job->to.n; i++)
		any |= renames_is_moving(&f->job->to.v[i].name, &was);
	mailbox_name_release(&was);
	return any;
}

static int carry_out(struct following *f, struct err *err)
{
	struct job *job = f->job;
	struct rename_item *v = wanted_names(f);
	struct rename_steps steps = { 0 };
	size_t n = job->to.n;
	int ret = renames_plan(v, n, &steps, err);

	for (size_t i = 0; ret == 0 && i < steps.n; i++) {
		ret = store_check_stop(job->target, err);
		if (ret == 0)
			ret = store_rename(job->target, &steps.v[i].from, &steps.v[i].to, err);
	}
	if (ret == 0 && steps.n > 0) {
		mailbox_list_release(&job->to);
		ret = store_list(job->target, NULL, &job->to, err);
	}
	if (ret == 0)
		touch(f, v, n);
	for (size_t i = 0; i < n; i++) {
		mailbox_name_release(&v[i].name);
		mailbox_name_release(&v[i].want);
	}
	free(v);
	rename_steps_release(&steps);
	return ret;
}

/* --- plans --- */

static void names_of(const struct following *f, const struct rename_pair *p, char **from, char **to)
{
	struct mailbox_name was = MAILBOX_NAME_INIT;

	old_name(&f->job->to.v[p->to], &was);
	*from = mailbox_name_text(&was);
	*to = mailbox_name_text(&f->job->from.v[p->from].name);
	mailbox_name_release(&was);
}

/* Held to a plan: what it does not name is left to the next run, and so is all that hangs on it. */
static void hold_to_plan(struct following *f)
{
	const struct plan_file *plan = f->job->set->apply;
	bool more = false;

	for (size_t i = 0; i < f->n && plan; i++) {
		char *from, *to;

		if (!f->pair[i].chosen)
			continue;
		names_of(f, &f->pair[i], &from, &to);
		more |= !plan_file_renames(plan, from, to);
		free(from);
		free(to);
	}
	for (size_t i = 0; i < f->n && more; i++)
		f->pair[i].chosen = false;
	if (more)
		job_note(f->job, "mailboxes were renamed since the plan was made, so that none is renamed "
				 "here; the next run does it");
}

static bool has_name(const struct mailbox_list *list, const char *text)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct err ignored;
	bool has = mailbox_name_from_display(&name, bytes_of(text), &ignored) == 0 &&
		   mailbox_list_find(list, &name);

	mailbox_name_release(&name);
	return has;
}

/* Renames of the plan that are neither to be done nor done. */
static void name_refused(struct job *job)
{
	const struct plan_file *plan = job->set->apply;

	for (size_t i = 0; plan && i < plan->n_renames; i++) {
		const struct planned_rename *r = &plan->renames[i];
		bool done = false;

		for (size_t k = 0; k < job->report->n_renames && !done; k++)
			done = strcmp(job->report->renames[k].to, r->to) == 0;
		if (done || has_name(&job->to, r->to))
			continue;
		job_note(job, "%s is not to be called %s any more, as the plan has it; left as it is. "
			      "Make a new plan", r->from, r->to);
		job->report->incomplete = true;
	}
}

/* --- all of it --- */

static void report(struct following *f)
{
	struct job_report *r = f->job->report;

	for (size_t i = 0; i < f->n; i++) {
		struct job_rename *new;

		if (!f->pair[i].chosen)
			continue;
		r->renames = xgrow(r->renames, r->n_renames, &r->cap_renames, sizeof(*r->renames));
		new = &r->renames[r->n_renames++];
		names_of(f, &f->pair[i], &new->from, &new->to);
		if (f->job->set->plan_out)
			plan_file_add_rename(f->job->set->plan_out, new->from, new->to);
	}
}

/* For a run that renames nothing, and yet shall show what would be done. */
static void remember(struct following *f)
{
	struct job *job = f->job;

	job->followed = xcalloc(f->n, sizeof(*job->followed));
	for (size_t i = 0; i < f->n; i++)
		if (f->pair[i].chosen)
			job->followed[job->n_followed++] = (struct followed){
				.from = &job->from.v[f->pair[i].from], .to = &job->to.v[f->pair[i].to]
			};
}

int job_follow_renames(struct job *job, struct err *err)
{
	struct following f = { .job = job };
	size_t n = job->to.n;
	int ret;

	if (!job->target)
		return 0;
	ret = find_out(&f, err);
	if (ret == 0) {
		hold_to_plan(&f);
		report(&f);
		if (job->set->dry_run)
			remember(&f);
		else if (anything_to_rename(&f))
			ret = carry_out(&f, err);
		name_refused(job);
	}
	for (size_t i = 0; i < n && f.candidate; i++)
		changes_release(&f.candidate[i].changes);
	free(f.candidate);
	free(f.pair);
	return ret;
}
