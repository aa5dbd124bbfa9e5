#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/sync/batch.h"
#include "core/sync/job_internal.h"

/*
 * Additions. The source pushes messages into job_sink, which hands each to its mailbox at the
 * target, and which are committed in batches.
 */

/* A message on its way: which mailbox, and the target's handle. */
struct passing {
	struct lane *lane;
	void *handle;
	uint64_t bytes;
};

static void count_durable(struct job *job)
{
	for (size_t i = 0; i < job->n; i++) {
		struct job_mailbox *line = lane_line(&job->lanes[i]);

		line->new_messages = job->lanes[i].new_messages;
		line->adopted = job->lanes[i].adopted;
		line->copied = job->lanes[i].copied;
		line->bytes = job->lanes[i].bytes;
	}
	job->open_messages = job->open_bytes = 0;
	job->committed_at = clock_ms();
}

int job_commit(struct job *job, struct err *err)
{
	if (store_commit(job->target, err) < 0)
		return -1;
	count_durable(job);
	return 0;
}

int job_snapshot(struct job *job, struct err *err)
{
	if (store_snapshot(job->target, err) < 0)
		return -1;
	count_durable(job);
	return 0;
}

void job_keep_what_came(struct job *job)
{
	struct err second;

	if (!job->target_failed && job->open_messages > 0)
		job_commit(job, &second);
}

/*
 * A snapshot makes additions and deletions durable in one step, so that the last batch can wait
 * for it: one commit a day instead of two.
 */
static bool waits_for_snapshot(const struct job *job)
{
	return (job->set->target->traits & STORE_HAS_HISTORY) && job->set->target->snapshot;
}

/*
 * The target failed: with one message, with one mailbox (then that is skipped, and each message
 * still to come for it is turned away), or as a whole.
 */
int job_target_trouble(struct lane *lane, struct err *err)
{
	if (err->kind == ERR_MAILBOX) {
		lane_skip(lane, err->text);
		err->kind = ERR_MESSAGE;
	} else if (err->kind != ERR_MESSAGE) {
		lane->job->target_failed = true;
	}
	return -1;
}

/* Servers also send what was not asked for, or twice: stored, it would be a message too many. */
static bool is_wanted(const struct lane *lane, uint32_t uid)
{
	return uidset_contains(&lane->plan.fetch, uid) != UIDSET_NO &&
	       !uidset_has(&lane->passed, uid);
}

/* An identity means something in its account only. */
static struct message in_target(const struct lane *lane, const struct message *msg)
{
	struct message out = *msg;

	if (job_reads_store(lane->job))
		out.identity = (struct bytes){ 0 };
	return out;
}

static int pass_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		      struct err *err)
{
	struct lane *lane = tag;
	const struct message out = in_target(lane, msg);
	void *inner;
	struct passing *p;

	(void)ctx;
	if (lane->skipped)
		return err_set(err, ERR_MESSAGE, "its mailbox is skipped");
	if (!is_wanted(lane, msg->uid))
		return err_set(err, ERR_MESSAGE, "UID %u was not asked for", msg->uid);
	if (lane->sink.begin(lane->sink.ctx, lane, &out, &inner, err) < 0)
		return job_target_trouble(lane, err);
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
	if (p->lane->sink.write(p->lane->sink.ctx, p->handle, piece, err) < 0)
		return job_target_trouble(p->lane, err);
	return 0;
}

static bool batch_is_full(const struct job *job)
{
	return batch_is_due(job->open_messages, job->open_bytes, job->committed_at);
}

static int commit_batch(struct job *job, struct err *err)
{
	if (job_commit(job, err) == 0)
		return 0;
	job->target_failed = true;
	return -1;
}

int job_count_in(struct lane *lane, uint64_t bytes, struct err *err)
{
	struct job *job = lane->job;

	job->open_bytes += bytes;
	job->open_messages++;
	job->progress.messages++;
	job->progress.mailbox = lane_line(lane)->name;
	job_tell(job, JOB_TRANSFER);
	return batch_is_full(job) ? commit_batch(job, err) : 0;
}

static int pass_end(void *ctx, void *handle, const struct message *msg, bool complete,
		    struct err *err)
{
	struct passing *p = handle;
	struct lane *lane = p->lane;
	struct message out = { 0 };
	uint64_t bytes = p->bytes;
	void *inner = p->handle;

	(void)ctx;
	free(p);
	if (msg)
		out = in_target(lane, msg);
	complete = complete && is_wanted(lane, msg->uid); /* not one of two at the same time */
	if (complete)
		uidset_add(&lane->passed, msg->uid);
	if (lane->sink.end(lane->sink.ctx, inner, msg ? &out : NULL, complete, err) < 0) {
		if (complete)
			uidset_remove(&lane->passed, msg->uid); /* the source will report it */
		return job_target_trouble(lane, err);
	}
	if (!complete)
		return 0;
	lane->bytes += bytes;
	return job_count_in(lane, bytes, err);
}

/* The first word on a message that could not be had or stored counts. */
static void add_failure(struct lane *lane, uint32_t uid, const char *why)
{
	if (uidset_has(&lane->failed_uids, uid))
		return;
	uidset_add(&lane->failed_uids, uid);
	lane->failed = xgrow(lane->failed, lane->n_failed, &lane->cap_failed,
			     sizeof(*lane->failed));
	lane->failed[lane->n_failed++] = (struct quarantined){
		.uid = uid,
		.reason = xstrdup(why),
		.since = clock_unix(),
		.attempts = 1,
		.last = clock_unix(),
	};
}

static const char *reason(const struct err *why)
{
	return why ? why->text : "refused without a reason";
}

void job_stored(struct lane *lane, uint32_t uid, enum outcome what, uint32_t new_uid,
		const struct err *why)
{
	switch (what) {
	case OUTCOME_ADOPTED:
		lane->adopted++;
		/* Live and bound: not to be removed. */
		uidset_remove(&lane->base.held, new_uid);
		uidset_remove(&lane->plan.unbound, new_uid);
		uidset_remove(&lane->plan.gone, new_uid);
		uidset_add(&lane->stored, uid);
		break;
	case OUTCOME_DONE:
		lane->new_messages++;
		uidset_add(&lane->stored, uid);
		break;
	case OUTCOME_REFUSED:
		add_failure(lane, uid, reason(why));
		break;
	case OUTCOME_UID_UNKNOWN:
	case OUTCOME_NO_ANSWER:
		lane->incomplete = true;
		break;
	}
}

/* The target's word on a message. */
static void on_stored(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		      const struct err *why)
{
	(void)ctx;
	job_stored(tag, uid, what, new_uid, why);
	if (what == OUTCOME_DONE || what == OUTCOME_ADOPTED)
		job_joined(tag, uid, new_uid);
}

/* The source's word. What it delivered, the target answers for. */
static void on_fetched(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		       const struct err *why)
{
	struct lane *lane = tag;

	(void)ctx;
	(void)new_uid;
	if (what == OUTCOME_NO_ANSWER)
		lane->incomplete = true;
	else if (lane->skipped || !is_wanted(lane, uid))
		return; /* of one that was turned away, or came all the same */
	else if (what == OUTCOME_REFUSED)
		add_failure(lane, uid, reason(why));
	else if (what == OUTCOME_UID_UNKNOWN)
		uidset_add(&lane->unknown, uid);
}

/*
 * Before anything is done, say in the base which UIDVALIDITY the UIDs belong to, and that both
 * sides do not agree: a run that ends early leaves something that the next one compares in
 * full, also where the source did not change and only files here are being mended.
 */
static int open_base(struct lane *lane, struct err *err)
{
	const struct token *now = lane->source_changes.token.known ? &lane->source_changes.token
								   : &lane->from->token;
	struct base open = lane->base;

	if (plan_is_empty(&lane->plan) && lane->base.token.known && !lane->rebinding)
		return 0;
	open.token = (struct token){ .known = true, .uidvalidity = now->uidvalidity };
	return mailbox_set_base(lane->target, &open, err);
}

/* An account has one mailbox of each special use. */
static unsigned attributes_at_target(const struct job *job, const struct mailbox_info *from)
{
	const unsigned plain = MAILBOX_NOSELECT | MAILBOX_SUBSCRIBED;
	unsigned out = from->attributes;

	for (size_t i = 0; job_writes_account(job) && i < job->to.n; i++)
		out &= ~job->to.v[i].attributes | plain;
	return out;
}

/*
 * What it holds was not compared, as it is not in the account's list: left out, or spelled otherwise by a server
 * to which both are one.
 */
static int refuse_unlisted(struct job *job, const struct mailbox_name *name, struct err *err)
{
	bool exists;

	if (store_exists(job->target, name, &exists, err) < 0)
		return -1;
	if (!exists)
		return 0;
	return err_set(err, ERR_MAILBOX,
		       "the target has such a mailbox, but its list leaves it out or spells it otherwise; nothing "
		       "was copied to it. Give this one another name under 'map'");
}

static int create_target(struct job *job, struct lane *lane, struct err *err)
{
	struct mailbox_info info = { .attributes = attributes_at_target(job, lane->from) };
	int ret = 0;

	mailbox_name_copy(&info.name, &lane->from->name);
	if (job_writes_account(job))
		ret = refuse_unlisted(job, &info.name, err);
	if (ret == 0)
		ret = store_create(job->target, &info.name, info.attributes, err);
	if (ret == 0)
		ret = mailbox_open(job->target, &info, STORE_WRITE, &lane->target, err);
	mailbox_name_release(&info.name);
	return ret;
}

/*
 * In one commit with the base that says which UIDVALIDITY these UIDs are of. Half of it would be a
 * lie: so trouble ends the job, with nothing committed.
 */
static int bind_anew(struct lane *lane, struct err *err)
{
	if (mailbox_renumber(lane->target, lane->bind_from, lane->bind_to, lane->n_bind, err) == 0)
		return 0;
	err->kind = ERR_FATAL;
	return -1;
}

/* What is an account's is subscribed to as the source is when it is copied first; then its user decides. */
static int subscribe_first(struct job *job, struct lane *lane, struct err *err)
{
	unsigned there = lane->to ? lane->to->attributes : 0;

	if (!job_writes_account(job) || !job->set->target->subscribe || lane->base.token.known ||
	    !(lane->from->attributes & ~there & MAILBOX_SUBSCRIBED))
		return 0;
	return store_subscribe(job->target, &lane->from->name, true, err);
}

static int prepare_lane(struct job *job, struct lane *lane, struct err *err)
{
	if (!lane->target && create_target(job, lane, err) < 0)
		return -1;
	if (lane->to && !mailbox_name_same_source(&lane->to->name, &lane->from->name) &&
	    store_create(job->target, &lane->from->name, lane->from->attributes, err) < 0)
		return -1;
	if (subscribe_first(job, lane, err) < 0)
		return -1;
	if (lane->rebinding && bind_anew(lane, err) < 0)
		return -1;
	if (open_base(lane, err) < 0)
		return -1;
	if (mailbox_append(lane->target, on_stored, job, lane, &lane->sink, err) < 0)
		return -1;
	return job_take_strangers(lane, on_stored, err);
}

static int prepare_lanes(struct job *job, struct err *err)
{
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->skipped || lane->gone || prepare_lane(job, lane, err) == 0)
			continue;
		if (err->kind != ERR_MAILBOX)
			return -1;
		lane_skip(lane, err->text);
	}
	return 0;
}

/* The wants of all lanes that lack messages. The caller frees *want. */
static void make_wants(struct job *job, struct want **want, size_t *n)
{
	*want = xcalloc(job->n, sizeof(**want));
	*n = 0;
	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (lane->skipped || lane->gone || uidset_is_empty(&lane->plan.fetch))
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

/* What the source says it does not have: is it still on its list? Then it hides mail from us. */
static void judge_unknown(struct lane *lane, const struct changes *again)
{
	if (again->err.kind != ERR_NONE || !again->complete) {
		lane->incomplete = true;
		lane_problem(lane, again->err.kind != ERR_NONE
					   ? again->err.text
					   : "the server did not deliver messages it had listed");
		return;
	}
	for (size_t i = 0; i < again->n; i++)
		if (uidset_has(&lane->unknown, again->v[i].uid))
			add_failure(lane, again->v[i].uid,
				    "the server lists it, but does not deliver it");
}

/*
 * Messages listed and then not there: removed meanwhile, or left out? Ask again about those
 * mailboxes.
 */
static int look_again(struct job *job, struct err *err)
{
	struct changes_request *req = xcalloc(job->n, sizeof(*req));
	struct changes *again = xcalloc(job->n, sizeof(*again));
	struct lane **lane = xcalloc(job->n, sizeof(struct lane *));
	size_t n = 0;
	int ret;

	for (size_t i = 0; i < job->n; i++) {
		if (job->lanes[i].skipped || uidset_is_empty(&job->lanes[i].unknown))
			continue;
		changes_init(&again[n]);
		lane[n] = &job->lanes[i];
		req[n] = (struct changes_request){ .mailbox = lane[n]->source, .out = &again[n] };
		n++;
	}
	ret = store_changes(job->source, req, n, err);
	for (size_t i = 0; i < n; i++) {
		if (ret == 0)
			judge_unknown(lane[i], &again[i]);
		changes_release(&again[i]);
	}
	free(req);
	free(again);
	free(lane);
	return ret;
}

static int fetch_wants(struct job *job, struct want *want, size_t n,
		       const struct message_sink *sink, struct err *err)
{
	int ret = store_fetch(job->source, want, n, sink, on_fetched, job, err);

	settle_wants(want, n);
	return ret;
}

int job_preview_transfer(struct job *job, struct err *err)
{
	struct want *want;
	size_t n;
	int ret;

	make_wants(job, &want, &n);
	ret = job_join(job, want, n, err);
	free(want);
	return ret;
}

int job_transfer(struct job *job, struct err *err)
{
	const struct message_sink sink = {
		.ctx = job, .begin = pass_begin, .write = pass_write, .end = pass_end
	};
	struct want *want = NULL;
	struct err second = { 0 };
	size_t n = 0;
	int ret = -1;

	job->committed_at = clock_ms();
	if (prepare_lanes(job, err) < 0)
		goto out;
	make_wants(job, &want, &n);
	ret = job_join(job, want, n, err);
	if (ret == 0)
		ret = fetch_wants(job, want, n, &sink, err);
	if (ret == 0)
		ret = job_join_rest(job, want, n, err);
	if (ret == 0 && job->join)
		ret = fetch_wants(job, want, n, &sink, err);
	if (ret == 0)
		ret = look_again(job, err);
	/*
	 * What has come is kept, however it ended: else a server that fails at the same place
	 * stops all.
	 */
	if (!job->target_failed && (ret < 0 || !waits_for_snapshot(job)) &&
	    job_commit(job, ret < 0 ? &second : err) < 0)
		ret = -1;
out:
	free(want);
	return ret;
}
