#include "core/sync/prune_private.h"

#include <stdlib.h>

#include "core/base/mem.h"
#include "core/sync/bound.h"

/* What may go: both sides are compared in full, message by message. */

#define BATCH 50 /* mailboxes compared in one call, so that memory does not grow with the account */

/* Both sides of a mailbox, while they are compared. */
struct sides {
	struct changes source, target;
};

/* --- one message --- */

static bool is_quarantined(const struct base *base, uint32_t uid)
{
	for (size_t i = 0; i < base->n_quarantine; i++)
		if (base->quarantine[i].uid == uid)
			return true;
	return false;
}

/* PRUNE_STAYS: nothing keeps it there. */
static enum prune_stay judge_flags(const struct pruned *m, const struct flags *there, const struct flags *stored)
{
	if (there->bits & FLAG_FLAGGED)
		return PRUNE_FLAGGED;
	if ((there->bits & FLAG_DRAFT) || (m->from->attributes & MAILBOX_DRAFTS))
		return PRUNE_DRAFT;
	if (there->bits & FLAG_DELETED)
		return PRUNE_DELETED;
	return flags_equal(there, stored) ? PRUNE_STAYS : PRUNE_CHANGED;
}

/* Number s at the account, and number t here. */
static enum prune_stay judge_stored(const struct pruned *m, const struct sides *both, size_t s, size_t t)
{
	const struct entry *there = &both->source.v[s], *stored = &both->target.v[t];

	if (both->source.dates[s] != both->target.dates[t] || there->size != stored->size || there->size == 0)
		return PRUNE_UNLIKE;
	return judge_flags(m, flag_table_get(both->source.flags, there->flags),
			   flag_table_get(both->target.flags, stored->flags));
}

static void add_candidate(struct pruned *m, const struct entry *there, const struct entry *stored)
{
	m->v = xgrow(m->v, m->n, &m->cap, sizeof(*m->v));
	m->v[m->n++] = (struct candidate){ .uid = there->uid, .stored_uid = stored->uid, .flags = there->flags,
					   .size = stored->size };
}

/* What an interrupted run had begun with: it is kept, and in a line of its own. */
static const struct leaving *leaving_of(const struct pruned *m)
{
	return leaving_find(&m->run->job.record.leaving, pruned_line(m)->name, m->base.token.uidvalidity);
}

static void choose(struct pruned *m, const struct sides *both)
{
	const struct changes *src = &both->source;
	uint64_t *stay = pruned_line(m)->stay;
	size_t n, b = 0;
	struct bound *bound = bound_messages(&both->target, &n);
	struct uidset leaving = UIDSET_INIT;

	if (leaving_of(m)) /* in a dry run only */
		uidlist_to_set(&leaving_of(m)->source, &leaving);
	for (size_t s = 0; s < src->n; s++) {
		uint32_t uid = src->v[s].uid;
		bool dated = src->dates[s] != CHANGES_NO_DATE;
		enum prune_stay why;

		while (b < n && bound[b].source_uid < uid)
			b++;
		if (uidset_has(&leaving, uid))
			continue;
		if (dated && src->dates[s] >= m->run->before)
			why = PRUNE_YOUNG;
		else if (b < n && bound[b].source_uid == uid)
			why = dated ? judge_stored(m, both, s, bound[b].index) : PRUNE_UNLIKE;
		else
			why = is_quarantined(&m->base, uid) ? PRUNE_QUARANTINED : PRUNE_NOT_STORED;
		if (why == PRUNE_STAYS)
			add_candidate(m, &src->v[s], &both->target.v[bound[b].index]);
		else
			stay[why]++;
	}
	uidset_release(&leaving);
	free(bound);
}

/* --- one mailbox --- */

/* Why its messages cannot be told apart; NULL where they can. */
static const char *incomparable(const struct pruned *m, const struct sides *both)
{
	const struct token *now = &both->source.token;

	if (both->source.err.kind != ERR_NONE)
		return both->source.err.text;
	if (both->target.err.kind != ERR_NONE)
		return both->target.err.text;
	if (!both->target.complete)
		return "what is stored could not be read in full";
	if (!both->source.complete)
		return "the server's answer does not account for all messages";
	if (now->uidvalidity == 0)
		return "the server does not say its UIDVALIDITY, so its messages cannot be told from those stored";
	if (job_uids_moved(m->from, m->to, &m->base.token, now))
		return "its UIDs do not mean what they did at the last backup: run a backup first";
	if (leaving_of(m) && !m->run->job.set->dry_run)
		return "what an interrupted run had begun there could not be finished yet";
	return NULL;
}

/* As far as that can be told, before anything is done for it. */
static int check_removable(struct pruned *m, struct err *err)
{
	enum store_mode mode = m->run->job.set->dry_run ? STORE_READ : STORE_WRITE;

	if (m->n == 0 || mailbox_prunable(m->source, mode, err) == 0)
		return 0;
	if (err->kind != ERR_MAILBOX)
		return -1;
	pruned_skip(m, err->text);
	return 0;
}

static int judge(struct pruned *m, struct sides *both, struct err *err)
{
	const char *why = incomparable(m, both);

	pruned_line(m)->messages = both->source.n;
	if (why) {
		pruned_skip(m, why);
		return 0;
	}
	choose(m, both);
	m->flags = both->source.flags; /* what the candidates have */
	both->source.flags = NULL;
	return check_removable(m, err);
}

/* ERR_MAILBOX is told; -1 for the rest. */
static int open_both(struct pruned *m, struct err *err)
{
	struct job *job = &m->run->job;

	if (job_open_source(job, m->from, &m->source, err) == 0 &&
	    mailbox_open(job->target, m->to, job->set->dry_run ? STORE_READ : STORE_WRITE, &m->target, err) == 0 &&
	    mailbox_base(m->target, &m->base, err) == 0)
		return 0;
	if (err->kind != ERR_MAILBOX)
		return -1;
	pruned_skip(m, err->text);
	return 0;
}

static int compare_batch(struct prune *p, struct pruned *m, size_t count, struct err *err)
{
	struct changes_request source[BATCH], target[BATCH];
	struct sides *both = xcalloc(count, sizeof(*both));
	size_t n = 0;
	int ret = 0;

	for (size_t i = 0; i < count; i++) {
		changes_init(&both[i].source);
		changes_init(&both[i].target);
	}
	for (size_t i = 0; i < count && ret == 0; i++) {
		ret = m[i].skipped ? 0 : open_both(&m[i], err);
		if (ret < 0 || m[i].skipped)
			continue;
		source[n] = (struct changes_request){ .mailbox = m[i].source, .describe = true,
						      .sizes = true, .out = &both[i].source };
		target[n++] = (struct changes_request){ .mailbox = m[i].target, .describe = true,
							.out = &both[i].target };
	}
	if (ret == 0)
		ret = store_changes(p->job.source, source, n, err);
	if (ret == 0)
		ret = store_changes(p->job.target, target, n, err);
	for (size_t i = 0; i < count; i++) {
		if (ret == 0 && !m[i].skipped)
			ret = judge(&m[i], &both[i], err);
		changes_release(&both[i].source);
		changes_release(&both[i].target);
	}
	free(both);
	return ret;
}

/* --- all of them --- */

static void add_mailbox(struct prune *p, struct mailbox_info *from)
{
	struct mailbox_info *to = mailbox_list_find(&p->job.to, &from->name);
	struct pruned *m = &p->v[p->n++];
	struct prune_report *r = p->report;

	*m = (struct pruned){ .run = p, .from = from, .to = to, .line = r->n };
	base_init(&m->base);
	r->v = xgrow(r->v, r->n, &r->cap, sizeof(*r->v));
	r->v[r->n++] = (struct prune_mailbox){ .name = mailbox_name_text(&from->name),
					       .source = job_source_text(&from->name) };
	if (to && to->token.known && mailbox_name_same_source(&from->name, &to->name))
		return;
	if (from->token.known && from->token.messages == 0)
		m->skipped = true; /* nothing to do, and nothing to say */
	else
		pruned_skip(m, "it is not in the store under this name: run a backup first");
}

int prune_choose(struct prune *p, struct err *err)
{
	struct job *job = &p->job;

	if (job_check_selected(job, err) < 0)
		return -1;
	p->v = xcalloc(job->from.n, sizeof(*p->v));
	for (size_t i = 0; i < job->from.n; i++)
		if (!(job->from.v[i].attributes & MAILBOX_NOSELECT) && job_in_scope(job, &job->from.v[i]))
			add_mailbox(p, &job->from.v[i]);
	for (size_t i = 0; i < p->n; i += BATCH)
		if (compare_batch(p, &p->v[i], p->n - i < BATCH ? p->n - i : BATCH, err) < 0)
			return -1;
	return 0;
}

/* --- the guard --- */

/*
 * What it weighs is the account: how much of it would be live nowhere there. That is told by the store, of which the
 * candidates' mailboxes are a mirror.
 */
static int weigh(struct prune *p, struct guard_mailbox *v, struct err *err)
{
	struct removal *r = xcalloc(p->n, sizeof(*r));
	struct uidset *set = xcalloc(p->n, sizeof(*set));
	size_t *at = xcalloc(p->n, sizeof(*at)), n = 0;
	int ret;

	for (size_t i = 0; i < p->n; i++) {
		const struct pruned *m = &p->v[i];

		v[i] = (struct guard_mailbox){ .before = pruned_line(m)->messages, .removed = m->n,
					       .exempt = job_exempt_from_guard(&p->job, m->from) };
		if (m->n == 0)
			continue;
		pruned_uids(m, NULL, &set[n]);
		r[n] = (struct removal){ .mailbox = m->target, .set = &set[n] };
		at[n++] = i;
	}
	ret = n ? store_count_lost(p->job.target, r, n, err) : 0;
	for (size_t i = 0; i < n; i++) {
		v[at[i]].lost = r[i].lost;
		uidset_release(&set[i]);
	}
	free(r);
	free(set);
	free(at);
	return ret;
}

int prune_guard(struct prune *p, struct err *err)
{
	const struct job_settings *set = p->job.set;
	struct job_report *r = &p->report->job;
	struct guard_mailbox *v = xcalloc(p->n, sizeof(*v));
	int ret = weigh(p, v, err);

	if (ret == 0) {
		guard_judge(v, p->n, &set->max_delete, false, &r->guard);
		r->deletes_shown = r->guard.held;
		r->held = r->guard.held > 0 && !(set->allow_deletes_given && r->guard.held <= set->allow_deletes);
	}
	for (size_t i = 0; i < p->n && ret == 0 && r->held; i++) {
		if (!v[i].held || p->v[i].n == 0)
			continue;
		pruned_line(&p->v[i])->held = true;
		p->v[i].n = 0;
	}
	free(v);
	return ret;
}
