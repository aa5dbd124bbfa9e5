#include "core/sync/prune_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/sync/hashing.h"

/*
 * Whether the store has what it says. Stores compare what they read with what they wrote down of it (the blob's id, or
 * SHA-256), and refuse what is another; one that has nothing to compare it with is no proof.
 */

#define NAMED 20 /* damaged messages named one by one */

struct verifying {
	struct prune *p;
	const char *name;
	struct proof *v;
	size_t n;
	uint64_t bad;
};

static int compare_proof(const void *a, const void *b)
{
	const struct proof *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

static struct proof *find(const struct verifying *r, uint32_t uid)
{
	const struct proof key = { .uid = uid };

	return bsearch(&key, r->v, r->n, sizeof(*r->v), compare_proof);
}

static int read_end(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	struct verifying *r = ctx;
	uint8_t sum[CONTENT_HASH_SIZE];
	uint64_t size = hashing_end(handle, sum);
	struct proof *proof = complete ? find(r, msg->uid) : NULL;

	(void)err;
	if (!proof)
		return 0;
	proof->good = msg->content.n > 0 && (size < UINT32_MAX ? size : UINT32_MAX) == proof->size &&
		      (msg->content.n != CONTENT_HASH_SIZE || memcmp(msg->content.p, sum, msg->content.n) == 0);
	r->p->job.progress.messages++;
	r->p->job.progress.bytes += size;
	job_tell(&r->p->job, JOB_VERIFY);
	return 0;
}

static void name_bad(struct verifying *r, uint32_t uid, const char *why)
{
	if (r->bad++ < NAMED)
		job_note(&r->p->job, "%s, UID %u in the store: %s; it stays at the account. Run mailcask check", r->name,
			 uid, why);
}

static void on_read(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid, const struct err *why)
{
	struct verifying *r = ctx;
	const struct proof *proof = find(r, uid);

	(void)tag;
	(void)new_uid;
	if (what == OUTCOME_DONE && proof && !proof->good)
		name_bad(r, uid, "its content was never written down, or is not what was stored");
	else if (what != OUTCOME_DONE && what != OUTCOME_NO_ANSWER)
		name_bad(r, uid, why ? why->text : "it is not there");
}

int prune_verify(struct prune *p, struct mailbox *mb, const char *name, struct proof *v, size_t n,
		 struct err *err)
{
	struct verifying r = { .p = p, .name = name, .v = v, .n = n };
	const struct message_sink sink = { .ctx = &r, .begin = hashing_begin, .write = hashing_write,
					   .end = read_end };
	struct uidset_builder uids;
	struct uidset set = UIDSET_INIT;
	struct want want = { .mailbox = mb, .set = &set, .exact = true, .expect = n };
	int ret;

	if (n == 0)
		return 0;
	qsort(v, n, sizeof(*v), compare_proof);
	uidset_builder_init(&uids);
	for (size_t i = 0; i < n; i++)
		uidset_builder_add(&uids, v[i].uid, v[i].uid);
	uidset_builder_finish(&uids, &set);
	uidset_builder_release(&uids);
	ret = store_fetch(mb->store, &want, 1, &sink, on_read, &r, err);
	if (ret == 0 && want.err.kind != ERR_NONE) {
		*err = want.err;
		ret = -1;
	}
	uidset_release(&set);
	if (r.bad > 0)
		p->report->job.incomplete = true;
	return ret;
}

static bool is_good(void *ctx, const struct candidate *c)
{
	const struct proof *proof = find(ctx, c->stored_uid);

	return proof && proof->good;
}

static int verify_mailbox(struct prune *p, struct pruned *m, struct err *err)
{
	struct proof *v = xcalloc(m->n, sizeof(*v));
	size_t n = m->n;
	int ret;

	for (size_t i = 0; i < n; i++)
		v[i] = (struct proof){ .uid = m->v[i].stored_uid, .size = m->v[i].size };
	ret = prune_verify(p, m->target, pruned_line(m)->name, v, n, err);
	if (ret == 0) {
		pruned_filter(m, is_good, &(struct verifying){ .v = v, .n = n });
		pruned_line(m)->stay[PRUNE_DAMAGED] = n - m->n;
	} else if (err->kind == ERR_MAILBOX) {
		pruned_skip(m, err->text);
		ret = 0;
	}
	free(v);
	return ret;
}

int prune_verify_candidates(struct prune *p, struct err *err)
{
	struct job_progress *progress = &p->job.progress;

	for (size_t i = 0; i < p->n; i++)
		progress->messages_total += p->v[i].n;
	for (size_t i = 0; i < p->n; i++) {
		progress->mailbox = pruned_line(&p->v[i])->name;
		if (p->v[i].n > 0 && verify_mailbox(p, &p->v[i], err) < 0)
			return -1;
	}
	progress->mailbox = NULL;
	return 0;
}
