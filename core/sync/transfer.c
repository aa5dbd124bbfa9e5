#include <assert.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/sync/job_internal.h"

/*
 * Additions. The source pushes messages into job_sink, which hands each to its mailbox at the target. A
 * batch is committed when it is large or old enough, so that an interrupted run resumes where it
 * was and a power cut loses at most one batch of work.
 */
#define BATCH_BYTES ((uint64_t)32 << 20)
#define BATCH_MESSAGES 4096
#define BATCH_MS 15000

/* A message on its way: which mailbox, and the target's handle. */
struct passing {
	struct lane *lane;
	void *handle;
	uint64_t bytes;
};

int job_commit(struct job *job, struct err *err)
{
	if (store_commit(job->target, err) < 0)
		return -1;
	for (size_t i = 0; i < job->n; i++) {
		struct job_mailbox *line = lane_line(&job->lanes[i]);

		line->new_messages = job->lanes[i].new_messages;
		line->adopted = job->lanes[i].adopted;
		line->bytes = job->lanes[i].bytes;
	}
	job->open_messages = job->open_bytes = 0;
	job->committed_at = clock_ms();
	return 0;
}

static int pass_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		      struct err *err)
{
	struct lane *lane = tag;
	void *inner;
	struct passing *p;

	(void)ctx;
	if (lane->sink.begin(lane->sink.ctx, lane, msg, &inner, err) < 0)
		return -1;
	p = xcalloc(1, sizeof(*p));
	*p = (struct passing){ .lane = lane, .handle = inner };
	*handle = p;
	return 0;
}

static int pass_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct passing *p = handle;
	struct job *job = ctx;

	p->bytes += piece.n;
	job->progress.bytes += piece.n;
	return p->lane->sink.write(p->lane->sink.ctx, p->handle, piece, err);
}

static bool batch_is_full(const struct job *job)
{
	return job->open_bytes >= BATCH_BYTES || job->open_messages >= BATCH_MESSAGES ||
	       clock_ms() - job->committed_at >= BATCH_MS;
}

static int pass_end(void *ctx, void *handle, const struct message *msg, bool complete,
		    struct err *err)
{
	struct passing *p = handle;
	struct job *job = ctx;
	struct lane *lane = p->lane;
	uint64_t bytes = p->bytes;
	void *inner = p->handle;

	free(p);
	if (lane->sink.end(lane->sink.ctx, inner, msg, complete, err) < 0)
		return -1;
	if (!complete)
		return 0;
	lane->bytes += bytes;
	job->open_bytes += bytes;
	job->open_messages++;
	job->progress.messages++;
	job->progress.mailbox = lane_line(lane)->name;
	job_tell(job, JOB_TRANSFER);
	return batch_is_full(job) ? job_commit(job, err) : 0;
}

/* The first word on a message that could not be had or stored counts. */
static void add_failure(struct lane *lane, uint32_t uid, const struct err *why)
{
	for (size_t i = 0; i < lane->n_failed; i++)
		if (lane->failed[i].uid == uid)
			return;
	lane->failed = xgrow(lane->failed, lane->n_failed, &lane->cap_failed,
			     sizeof(*lane->failed));
	lane->failed[lane->n_failed++] = (struct quarantined){
		.uid = uid,
		.reason = xstrdup(why ? why->text : "refused without a reason"),
		.since = clock_unix(),
		.attempts = 1,
	};
}

/* The target's word on a message. */
static void on_stored(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		      const struct err *why)
{
	struct lane *lane = tag;

	(void)ctx;
	(void)new_uid;
	switch (what) {
	case OUTCOME_ADOPTED:
		lane->adopted++;
		uidset_add(&lane->stored, uid);
		break;
	case OUTCOME_DONE:
		lane->new_messages++;
		uidset_add(&lane->stored, uid);
		break;
	case OUTCOME_REFUSED:
		add_failure(lane, uid, why);
		break;
	case OUTCOME_UID_UNKNOWN:
	case OUTCOME_NO_ANSWER:
		lane->incomplete = true;
		break;
	}
}

/* The source's word. What it delivered, the target answers for. */
static void on_fetched(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		       const struct err *why)
{
	struct lane *lane = tag;

	(void)ctx;
	(void)new_uid;
	if (what == OUTCOME_REFUSED)
		add_failure(lane, uid, why);
	else if (what == OUTCOME_NO_ANSWER)
		lane->incomplete = true;
}

/* The target side of a lane: make the mailbox, and record which UIDVALIDITY its UIDs belong to. */
static int prepare_lane(struct job *job, struct lane *lane, struct err *err)
{
	const struct token *now = lane->source_changes.token.known ? &lane->source_changes.token
								   : &lane->from->token;
	struct mailbox_info info = { .attributes = lane->from->attributes };
	int ret;

	if (!lane->target) {
		mailbox_name_copy(&info.name, &lane->from->name);
		ret = store_create(job->target, &info.name, info.attributes, err);
		if (ret == 0)
			ret = mailbox_open(job->target, &info, STORE_WRITE, &lane->target, err);
		mailbox_name_release(&info.name);
		if (ret < 0)
			return -1;
	}
	if (!lane->base.token.known) {
		/* No UIDNEXT: this agrees with nothing, so the next run compares in full. */
		lane->base.token = (struct token){ .known = true,
						   .uidvalidity = now->uidvalidity };
		if (mailbox_set_base(lane->target, &lane->base, err) < 0)
			return -1;
	}
	return mailbox_append(lane->target, on_stored, job, lane, &lane->sink, err);
}

/* The wants of all lanes that lack messages. The caller frees *want. */
static int make_wants(struct job *job, struct want **want, size_t *n, struct err *err)
{
	*want = xcalloc(job->n, sizeof(**want));
	*n = 0;
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->skipped)
			continue;
		if (prepare_lane(job, lane, err) < 0) {
			if (err->kind != ERR_MAILBOX)
				return -1;
			lane_skip(lane, err->text);
			continue;
		}
		if (uidset_is_empty(&lane->plan.fetch))
			continue;
		(*want)[(*n)++] = (struct want){
			.mailbox = lane->source,
			.set = &lane->plan.fetch,
			.exact = lane->plan.fetch_exact,
			.expect = lane->plan.expect,
			.tag = lane,
		};
		job->progress.messages_total += lane->plan.expect;
	}
	return 0;
}

static void settle_wants(const struct want *want, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct lane *lane = want[i].tag;

		if (want[i].complete)
			continue;
		lane->incomplete = true;
		lane_problem(lane, want[i].err.kind != ERR_NONE
					   ? want[i].err.text
					   : "not all of its messages could be fetched; the next "
					     "run goes on");
	}
}

int job_transfer(struct job *job, struct err *err)
{
	static const struct message_sink sink_shape = {
		.begin = pass_begin, .write = pass_write, .end = pass_end
	};
	struct message_sink sink = sink_shape;
	struct want *want = NULL;
	struct err second = { 0 };
	size_t n = 0;
	int ret = -1;

	sink.ctx = job;
	job->committed_at = clock_ms();
	if (make_wants(job, &want, &n, err) < 0)
		goto out;
	ret = store_fetch(job->source, want, n, &sink, on_fetched, job, err);
	settle_wants(want, n);
	/*
	 * Also after a cut line or an interrupt: what has come is kept. But not on top of trouble at
	 * the target itself, whose last word would hide the first.
	 */
	if (ret < 0 && err->kind != ERR_RETRY && err->kind != ERR_STOPPED)
		goto out;
	if (job_commit(job, ret < 0 ? &second : err) < 0)
		ret = -1;
out:
	free(want);
	return ret;
}
