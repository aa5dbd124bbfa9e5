#include "core/sync/prune_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/*
 * Messages that an earlier run kept, and did not see go. What is kept is read once more, and they go unless somebody
 * gave one \Flagged or \Draft meanwhile, or what is stored is damaged: then they stay, without our \Deleted, and the next
 * backup takes them for new mail, which takes over what is kept. What that run had not kept yet is no matter of ours: it
 * is chosen again, or not.
 */

struct resumed {
	const struct leaving *leaving;
	struct mailbox *source, *target;
	struct uidset uids; /* at the account, of those that are kept */
	struct uidset good; /* of these: what is kept is what it should be */
};

static bool may_still_go(void *ctx, uint32_t uid, const struct flags *now)
{
	const struct resumed *r = ctx;

	return uidset_has(&r->good, uid) && !(now->bits & (FLAG_FLAGGED | FLAG_DRAFT | FLAG_DELETED));
}

static struct mailbox_info *find_named(struct mailbox_list *list, const char *text)
{
	struct mailbox_info *found = NULL;

	for (size_t i = 0; i < list->n && !found; i++) {
		char *name = mailbox_name_text(&list->v[i].name);

		if (strcmp(name, text) == 0)
			found = &list->v[i];
		free(name);
	}
	return found;
}

/* A message that was to go, in the order of the pairs. */
struct pair {
	uint32_t uid;        /* at the account */
	struct proof stored; /* here; size 0: nothing is */
};

/* Those of the pairs that are no longer bound to the account's message; the caller frees them. */
static struct pair *kept_pairs(const struct leaving *l, const struct changes *stored, size_t *n)
{
	struct pair *v = xcalloc((size_t)uidlist_count(&l->source), sizeof(*v));
	struct uidlist_pairs pairs;
	struct uidlist_run run;
	struct err err;

	*n = 0;
	if (uidlist_pairs_init(&pairs, &l->source, &l->stored, NULL, &err) < 0)
		return v; /* then the next backup finds them at the account */
	while (uidlist_pairs_next(&pairs, &run))
		for (uint32_t i = 0; i < run.n; i++) {
			const struct entry *e = changes_find(stored, run.target + i);

			if (e && e->source_uid == run.source + i)
				continue; /* live: it was not kept yet */
			v[(*n)++] = (struct pair){
				.uid = run.source + i,
				.stored = { .uid = run.target + i, .size = e && !e->source_uid ? e->size : 0 },
			};
		}
	return v;
}

/* Read what is kept, and say of which messages that is sound. */
static int verify(struct prune *p, struct resumed *r, struct mailbox *kept, const struct changes *stored,
		  struct err *err)
{
	size_t n, m = 0;
	struct pair *pair = kept_pairs(r->leaving, stored, &n);
	struct proof *proof = xcalloc(n, sizeof(*proof));
	struct uidset good = UIDSET_INIT;
	int ret;

	for (size_t i = 0; i < n; i++)
		if (pair[i].stored.size > 0)
			proof[m++] = pair[i].stored;
	ret = prune_verify(p, kept, r->leaving->mailbox, proof, m, err);
	for (size_t i = 0; i < m && ret == 0; i++)
		if (proof[i].good)
			uidset_add(&good, proof[i].uid);
	for (size_t i = 0; i < n && ret == 0; i++) {
		uidset_add(&r->uids, pair[i].uid);
		if (uidset_has(&good, pair[i].stored.uid))
			uidset_add(&r->good, pair[i].uid);
	}
	uidset_release(&good);
	free(pair);
	free(proof);
	return ret;
}

static int look_at_kept(struct prune *p, struct resumed *r, struct store *view, const struct mailbox_info *info,
			struct err *err)
{
	struct changes stored;
	struct mailbox *kept;
	struct changes_request req = { .out = &stored };
	int ret = mailbox_open(view, info, STORE_READ, &kept, err);

	changes_init(&stored);
	req.mailbox = kept;
	if (ret == 0)
		ret = store_changes(view, &req, 1, err);
	if (ret == 0 && stored.err.kind != ERR_NONE) {
		*err = stored.err;
		ret = -1;
	}
	if (ret == 0)
		ret = verify(p, r, kept, &stored, err);
	changes_release(&stored);
	return ret;
}

static int remove_kept(struct prune *p, struct resumed *r, struct err *err)
{
	struct uidset stay = UIDSET_INIT;
	struct base base;
	int ret = 0;

	base_init(&base);
	if (!uidset_is_empty(&r->uids)) {
		job_tell(&p->job, JOB_PRUNE);
		ret = mailbox_prune(r->source, &r->uids, true, may_still_go, r, &stay, err);
		p->report->finished += uidset_count(&r->uids) - uidset_count(&stay);
	}
	if (ret == 0)
		ret = mailbox_base(r->target, &base, err);
	if (ret == 0)
		ret = prune_forget_uids(r->target, &base, &r->uids, err);
	if (!uidset_is_empty(&stay) && ret == 0)
		job_note(&p->job, "%s: %llu messages that an interrupted run was about stay at the account after all: "
				  "they changed since, or what is stored of them did",
			 r->leaving->mailbox, (unsigned long long)uidset_count(&stay));
	base_release(&base);
	uidset_release(&stay);
	return ret;
}

static int resume_mailbox(struct prune *p, const struct leaving *l, struct store *view, struct mailbox_list *kept,
			  struct err *err)
{
	struct job *job = &p->job;
	struct mailbox_info *from = find_named(&job->from, l->mailbox), *to = find_named(&job->to, l->mailbox);
	struct mailbox_info *info = find_named(kept, l->mailbox);
	struct resumed r = { .leaving = l };
	int ret;

	if (from && (!from->token.known || from->token.uidvalidity == 0))
		return err_set(err, ERR_MAILBOX, "the server does not say its UIDVALIDITY");
	/* Of another UIDVALIDITY, or another name: to the next backup they are mail as any other. */
	if (!from || !to || !info || from->token.uidvalidity != l->uidvalidity)
		return 0;
	ret = look_at_kept(p, &r, view, info, err);
	if (ret == 0 &&
	    (job_open_source(job, from, &r.source, err) < 0 ||
	     mailbox_open(job->target, to, STORE_WRITE, &r.target, err) < 0 || remove_kept(p, &r, err) < 0))
		ret = -1;
	uidset_release(&r.uids);
	uidset_release(&r.good);
	return ret;
}

static int try_later(struct prune *p, const struct leaving *l, const struct err *why)
{
	job_note(&p->job, "%s: what an interrupted run had begun is left to the next: %s", l->mailbox, why->text);
	p->report->job.incomplete = true;
	return 0;
}

int prune_resume(struct prune *p, struct err *err)
{
	struct job *job = &p->job;
	struct leaving_list *leaving = &job->record.leaving;
	size_t at = 0;
	struct store_config cfg = job->target_config;
	struct mailbox_list kept = { 0 };
	struct store *view = NULL;
	int ret;

	if (leaving->n == 0)
		return 0;
	if (job->set->dry_run) {
		job_note(job, "an interrupted run has %llu messages to remove yet, which are kept: they would go first",
			 (unsigned long long)leaving_count(leaving));
		return 0;
	}
	/* We hold the store's lock, so what is read there is what it holds. */
	cfg.with_kept = true;
	ret = store_open(job->set->target, &view, &cfg, STORE_READ, err);
	if (ret == 0)
		ret = store_list(view, NULL, &kept, err);
	while (at < leaving->n && ret == 0) {
		ret = resume_mailbox(p, &leaving->v[at], view, &kept, err);
		if (ret == 0)
			leaving_remove(leaving, at);
		else if (err->kind == ERR_MAILBOX)
			ret = try_later(p, &leaving->v[at++], err);
	}
	store_close(view);
	mailbox_list_release(&kept);
	return ret < 0 || store_commit(job->target, err) < 0 ? -1 : prune_save(p, err);
}
