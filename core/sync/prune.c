#include "core/sync/prune_private.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/mem.h"

/*
 * The order, in which a stop at any point costs nothing:
 *
 * 1. What may go is chosen, read and weighed by the guard.
 * 2. Which messages these are is written down (JOB.run, leaving.h): with that, no backup fetches them again while they are
 *    at the account still, and it is known whose \Deleted they may carry.
 * 3. The store keeps them, in one commit, and the base no longer knows of them.
 * 4. The account removes them, mailbox by mailbox.
 * 5. JOB.run forgets that they were leaving.
 *
 * A run begins with what an earlier one had written down: what is kept by then (3) is read once more and removed (4),
 * and all else is as if nothing had happened.
 */

void prune_report_init(struct prune_report *r)
{
	*r = (struct prune_report){ 0 };
	job_report_init(&r->job);
}

void prune_report_release(struct prune_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].name);
		free(r->v[i].source);
		free(r->v[i].problem);
	}
	free(r->v);
	job_report_release(&r->job);
	prune_report_init(r);
}

struct prune_mailbox *pruned_line(const struct pruned *m)
{
	return &m->run->report->v[m->line];
}

static void add_problem(struct pruned *m, const char *why)
{
	struct prune_mailbox *line = pruned_line(m);

	if (!line->problem)
		line->problem = xstrdup(why);
	m->run->report->job.incomplete = true;
}

void pruned_skip(struct pruned *m, const char *why)
{
	m->skipped = true;
	m->n = 0;
	pruned_line(m)->skipped = true;
	add_problem(m, why);
}

void pruned_filter(struct pruned *m, bool (*keep)(void *ctx, const struct candidate *c), void *ctx)
{
	size_t to = 0;

	for (size_t i = 0; i < m->n; i++)
		if (keep(ctx, &m->v[i]))
			m->v[to++] = m->v[i];
	m->n = to;
}

void pruned_uids(const struct pruned *m, struct uidset *source, struct uidset *stored)
{
	struct uidset_builder there, here;

	uidset_builder_init(&there);
	uidset_builder_init(&here);
	for (size_t i = 0; i < m->n; i++) {
		uidset_builder_add(&there, m->v[i].uid, m->v[i].uid);
		uidset_builder_add(&here, m->v[i].stored_uid, m->v[i].stored_uid);
	}
	if (source)
		uidset_builder_finish(&there, source);
	if (stored)
		uidset_builder_finish(&here, stored);
	uidset_builder_release(&there);
	uidset_builder_release(&here);
}

static int compare_candidate(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

const struct candidate *pruned_find(const struct pruned *m, uint32_t uid)
{
	const struct candidate key = { .uid = uid };

	return m->n ? bsearch(&key, m->v, m->n, sizeof(*m->v), compare_candidate) : NULL;
}

/* --- writing down --- */

int prune_save(struct prune *p, struct err *err)
{
	struct job *job = &p->job;

	return job_note_identity(job, err) < 0
		       ? -1
		       : record_save(job->set->state_dir, job->set->name, &job->record, NULL, err);
}

static int write_down(struct prune *p, struct err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct pruned *m = &p->v[i];
		struct leaving *l;

		if (m->n == 0)
			continue;
		l = leaving_add(&p->job.record.leaving, pruned_line(m)->name, m->base.token.uidvalidity);
		for (size_t k = 0; k < m->n; k++)
			leaving_add_pair(l, m->v[k].uid, m->v[k].stored_uid);
	}
	return prune_save(p, err);
}

int prune_forget_uids(struct mailbox *target, struct base *base, const struct uidset *uids, struct err *err)
{
	uidset_subtract(&base->known, &base->known, uids);
	return mailbox_set_base(target, base, err);
}

/* --- one mailbox --- */

static bool is_as_chosen(void *ctx, uint32_t uid, const struct flags *now)
{
	const struct pruned *m = ctx;
	const struct candidate *c = pruned_find(m, uid);

	return c && flags_equal(now, flag_table_get(m->flags, c->flags));
}

/* What is there still is none of those that went, because of `why`. */
static void count_removed(struct pruned *m, const struct uidset *stay, enum prune_stay why)
{
	struct prune_mailbox *line = pruned_line(m);

	line->removed = line->bytes = 0;
	for (size_t i = 0; i < m->n; i++) {
		if (uidset_has(stay, m->v[i].uid)) {
			line->stay[why]++;
			continue;
		}
		line->removed++;
		line->bytes += m->v[i].size;
	}
}

static int prune_mailbox(struct pruned *m, struct err *err)
{
	struct uidset set = UIDSET_INIT, stay = UIDSET_INIT;
	int ret;

	pruned_uids(m, &set, NULL);
	ret = mailbox_prune(m->source, &set, false, is_as_chosen, m, &stay, err);
	count_removed(m, &stay, ret < 0 ? PRUNE_NOT_REMOVED : PRUNE_CHANGED);
	if (ret < 0 && err->kind == ERR_MAILBOX) {
		add_problem(m, err->text);
		ret = 0;
	}
	uidset_release(&set);
	uidset_release(&stay);
	return ret;
}

/* --- all of them --- */

static uint64_t count_candidates(const struct prune *p)
{
	uint64_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->v[i].n;
	return n;
}

/* In the lines: what may go, and where the guard says no, what might have. */
static void tell_candidates(struct prune *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct pruned *m = &p->v[i];
		struct prune_mailbox *line = pruned_line(m);

		line->removed = m->n;
		for (size_t k = 0; k < m->n; k++)
			line->bytes += m->v[k].size;
	}
}

static int keep(struct pruned *m, struct err *err)
{
	struct uidset there = UIDSET_INIT, stored = UIDSET_INIT;
	int ret;

	pruned_uids(m, &there, &stored);
	ret = mailbox_keep(m->target, &stored, false, err) < 0
		      ? -1
		      : prune_forget_uids(m->target, &m->base, &there, err);
	uidset_release(&there);
	uidset_release(&stored);
	return ret;
}

/* A snapshot, also of what an interrupted backup had begun: that alone is not in a clone, and may be dropped. */
static int keep_all(struct prune *p, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < p->n && ret == 0; i++)
		ret = p->v[i].n > 0 ? keep(&p->v[i], err) : 0;
	return ret < 0 ? -1 : store_snapshot(p->job.target, err);
}

static int carry_out(struct prune *p, struct err *err)
{
	struct leaving_list *leaving = &p->job.record.leaving;
	size_t others = leaving->n; /* which could not be seen to in this run */

	if (count_candidates(p) == 0)
		return 0;
	for (size_t i = 0; i < p->n; i++) /* nothing of it is true yet */
		if (!pruned_line(&p->v[i])->held)
			pruned_line(&p->v[i])->removed = pruned_line(&p->v[i])->bytes = 0;
	if (write_down(p, err) < 0 || keep_all(p, err) < 0)
		return -1;
	crash_point("prune: kept, and nothing removed yet");
	for (size_t i = 0; i < p->n; i++) {
		p->job.progress.mailbox = pruned_line(&p->v[i])->name;
		job_tell(&p->job, JOB_PRUNE);
		if (p->v[i].n > 0 && prune_mailbox(&p->v[i], err) < 0)
			return -1;
	}
	crash_point("prune: removed, and not settled yet");
	while (leaving->n > others)
		leaving_remove(leaving, leaving->n - 1);
	return prune_save(p, err);
}

/* --- the run --- */

/* Nothing is removed at the account while it is not sure what the store holds of it. */
static int check_sure(const struct job *job, struct err *err)
{
	const struct store_config *cfg = &job->target_config;

	if (cfg->create && !cfg->adopt)
		return err_set(err, ERR_MISSING, "nothing was backed up by this job yet: mailcask backup %s",
			       job->set->name);
	if (cfg->create || cfg->adopt || cfg->rebind || job->no_deletions)
		return err_set(err, ERR_HELD,
			       "%s first has to be compared with the account, since it is not as this job left it. "
			       "Nothing was touched. Run: mailcask backup %s",
			       cfg->path, job->set->name);
	return 0;
}

static void add_total(struct prune_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct prune_mailbox *m = &r->v[i];

		r->total.messages += m->messages;
		r->total.removed += m->held ? 0 : m->removed;
		r->total.bytes += m->held ? 0 : m->bytes;
		for (int why = 0; why < PRUNE_STAYS; why++)
			r->total.stay[why] += m->stay[why];
	}
}

/* What a backup would make ready to go. */
static void note_unready(struct prune *p)
{
	uint64_t n = 0;

	for (size_t i = 0; i < p->report->n; i++)
		n += p->report->v[i].stay[PRUNE_NOT_STORED] + p->report->v[i].stay[PRUNE_CHANGED];
	if (n > 0)
		job_note(&p->job, "%llu message%s old enough, and not stored as %s now: mailcask backup %s, then this again",
			 (unsigned long long)n, n == 1 ? " is" : "s are", n == 1 ? "it is" : "they are",
			 p->job.set->name);
}

static int run(struct prune *p, struct err *err)
{
	struct job *job = &p->job;

	if (job_begin(job, err) < 0 || check_sure(job, err) < 0 || job_open_stores(job, err) < 0)
		return -1;
	if (!job->from.complete)
		return err_set(err, ERR_RETRY, "the server did not list all mailboxes");
	if (prune_resume(p, err) < 0)
		return -1;
	job_tell(job, JOB_COMPARE);
	if (prune_choose(p, err) < 0)
		return -1;
	job_tell(job, JOB_VERIFY);
	if (prune_verify_candidates(p, err) < 0)
		return -1;
	tell_candidates(p);
	note_unready(p);
	if (prune_guard(p, err) < 0)
		return -1;
	return job->set->dry_run ? 0 : carry_out(p, err);
}

int prune_run(const struct job_settings *set, int64_t before, struct prune_report *report, struct err *err)
{
	struct prune p = { .report = report, .before = before };
	int ret;

	job_init(&p.job, set, &report->job);
	p.job.source_config.prunes = true;
	ret = run(&p, err);
	job_judge_failure(ret, err);
	add_total(report);
	for (size_t i = 0; i < p.n; i++) {
		base_release(&p.v[i].base);
		flag_table_free(p.v[i].flags);
		free(p.v[i].v);
	}
	free(p.v);
	job_end(&p.job);
	return ret;
}
