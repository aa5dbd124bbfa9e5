#include <stdlib.h>

#include "core/base/mem.h"
#include "core/sync/job_internal.h"

/* An account as target: does what there is fit it, and, in the end, what became of every message. */

/* --- before --- */

/* Of what is to be copied, as far as the source told sizes. */
static uint64_t bytes_to_copy(const struct lane *lane)
{
	const struct changes *source = &lane->source_changes;
	uint64_t sum = 0;

	for (size_t i = 0; !lane->skipped && i < source->n; i++)
		if (uidset_has(&lane->plan.fetch, source->v[i].uid))
			sum += source->v[i].size;
	return sum;
}

void job_compare_room(struct job *job)
{
	uint64_t need = 0, room = UINT64_MAX;
	struct err ignored;

	if (!job_writes_account(job) || !job->target)
		return;
	for (size_t i = 0; i < job->n; i++)
		need += bytes_to_copy(&job->lanes[i]);
	if (need > 0 && store_room(job->target, &room, &ignored) == 0 && need > room)
		job_note(job, "the target account has room for %llu more bytes, and there are %llu to be copied: "
			      "not all will fit",
			 (unsigned long long)room, (unsigned long long)need);
}

/* --- afterwards --- */

/* Messages that were removed at the source while the run was under way. */
static uint64_t count_vanished(const struct lane *lane)
{
	struct uidset gone = UIDSET_INIT;
	uint64_t n;

	uidset_subtract(&gone, &lane->unknown, &lane->failed_uids);
	uidset_subtract(&gone, &gone, &lane->stored);
	n = lane->incomplete ? 0 : uidset_count(&gone);
	uidset_release(&gone);
	return n;
}

/* How many messages the source has. */
static uint64_t count_source(const struct mailbox_info *from, const struct lane *lane)
{
	const struct changes *told = lane ? &lane->source_changes : NULL;
	struct uidset came = UIDSET_INIT;
	uint64_t n;

	if (!told || !told->token.known)
		return from->token.messages;
	if (!lane->plan.fetch_exact && !lane->incomplete && !lane->skipped) {
		/* The source proved that these are all, whatever it had when it was asked first. */
		uidset_union(&came, &lane->stored, &lane->failed_uids);
		n = uidset_count(&came);
		uidset_release(&came);
		return n;
	}
	n = told->token.messages;
	return n - (count_vanished(lane) < n ? count_vanished(lane) : n);
}

/* By what the store says that is open; false: it cannot tell. */
static bool count_now(struct mailbox *mb, struct job_count *c)
{
	struct base now;
	struct err ignored;
	bool told;

	base_init(&now);
	told = mailbox_base(mb, &now, &ignored) == 0;
	if (told) {
		c->adopted = now.adopted;
		c->copied = now.stored - now.adopted;
		c->quarantined = now.n_quarantine;
	}
	base_release(&now);
	return told;
}

/* By the list, from before the run, and what of the run is durable. */
static void count_then(struct job *job, const struct mailbox_info *to, struct lane *lane,
		       struct job_count *c)
{
	struct base base;
	struct err ignored;
	struct mailbox *mb = lane ? lane->target : NULL;

	c->adopted = to->adopted + c->adopted_now;
	c->copied = to->stored - to->adopted + c->copied_now;
	c->quarantined = to->pending;
	if (to->known == to->stored + to->pending)
		return;
	/* The list leaves out those that were accepted. */
	base_init(&base);
	if ((mb || mailbox_open(job->target, to, STORE_READ, &mb, &ignored) == 0) &&
	    mailbox_quarantine(mb, &base, &ignored) == 0)
		c->quarantined = base.n_quarantine;
	base_release(&base);
}

static void count_mailbox(struct job *job, const struct mailbox_info *from, struct lane *lane, bool failed,
			  struct job_count *c)
{
	const struct mailbox_info *to = lane ? lane->to : job_target_of(job, from);
	const struct job_mailbox *line = lane ? lane_line(lane) : NULL;
	struct mailbox_name source = MAILBOX_NAME_INIT;

	c->name = mailbox_name_text(&from->name);
	if (from->name.mapped) {
		mailbox_name_source(&source, &from->name);
		c->source = mailbox_name_text(&source);
		mailbox_name_release(&source);
	}
	c->messages = count_source(from, lane);
	if (line) {
		c->copied_now = line->new_messages;
		c->adopted_now = line->adopted;
	}
	if (lane && (failed || job->waiting || lane->skipped))
		c->gone = uidset_count(&lane->plan.gone_source);
	if (!failed && lane && lane->target && count_now(lane->target, c))
		;
	else if (to && (lane || mailbox_name_same_source(&from->name, &to->name)))
		count_then(job, to, lane, c);
	else
		c->copied = c->copied_now; /* a mailbox that this run made */
	c->missing = (int64_t)(c->messages + c->gone) - (int64_t)(c->copied + c->adopted + c->quarantined);
}

static void add(struct job_count *sum, const struct job_count *c)
{
	sum->messages += c->messages;
	sum->copied += c->copied;
	sum->adopted += c->adopted;
	sum->quarantined += c->quarantined;
	sum->gone += c->gone;
	sum->missing += c->missing;
	sum->copied_now += c->copied_now;
	sum->adopted_now += c->adopted_now;
}

void job_count(struct job *job, bool failed)
{
	struct job_report *r = job->report;
	size_t k = 0; /* lanes are in the order of job.from */

	if (!job_writes_account(job) || job->set->dry_run || job->set->apply)
		return;
	r->counts = xcalloc(job->from.n, sizeof(*r->counts));
	for (size_t i = 0; i < job->from.n; i++) {
		struct mailbox_info *from = &job->from.v[i];
		struct lane *lane = k < job->n && job->lanes[k].from == from ? &job->lanes[k++] : NULL;
		struct job_count *c = &r->counts[r->n_counts];

		if ((from->attributes & MAILBOX_NOSELECT) || !job_in_scope(job, from))
			continue;
		if (lane && lane_line(lane)->gone)
			continue; /* a name that was listed, and no mailbox */
		r->n_counts++;
		count_mailbox(job, from, lane, failed, c);
		add(&r->total, c);
		r->incomplete |= c->missing != 0;
	}
}
