#include "core/sync/restore_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/sync/batch.h"

/* Adding what is missing, in batches that are durable one by one. */

/* A message on its way: which mailbox, and the target's handle. */
struct passing {
	struct restore_lane *lane;
	void *handle;
	uint32_t uid;
	uint64_t bytes;
};

/* As it goes to the target: bound to no source. */
static struct message unbound(const struct message *msg)
{
	struct message out = *msg;

	out.identity = (struct bytes){ 0 }; /* it means something in its account only */
	out.number = msg->uid;
	out.uid = 0;
	return out;
}

static int target_trouble(struct restore_lane *lane, struct err *err)
{
	if (err->kind == ERR_MAILBOX) {
		restore_skip(lane, err->text);
		err->kind = ERR_MESSAGE;
	} else if (err->kind != ERR_MESSAGE) {
		lane->run->target_failed = true;
	}
	return -1;
}

static int pass_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		      struct err *err)
{
	struct restore_lane *lane = tag;
	struct message out = unbound(msg);
	struct passing *p;
	void *inner;

	(void)ctx;
	if (lane->skipped)
		return err_set(err, ERR_MESSAGE, "its mailbox is skipped");
	if (!uidset_has(&lane->missing, msg->uid) || uidset_has(&lane->passed, msg->uid))
		return err_set(err, ERR_MESSAGE, "UID %u was not asked for", msg->uid);
	if (lane->sink.begin(lane->sink.ctx, lane, &out, &inner, err) < 0)
		return target_trouble(lane, err);
	p = xcalloc(1, sizeof(*p));
	*p = (struct passing){ .lane = lane, .handle = inner, .uid = msg->uid };
	*handle = p;
	return 0;
}

static int pass_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct passing *p = handle;
	struct restore *r = ctx;

	p->bytes += piece.n;
	r->progress.bytes += piece.n;
	if (p->lane->sink.write(p->lane->sink.ctx, p->handle, piece, err) < 0)
		return target_trouble(p->lane, err);
	return 0;
}

/* What was added is kept from the moment on that it is there. */
static int commit_import(struct restore *r, struct err *err)
{
	uint64_t added = 0;
	char *why;
	int ret = 0;

	for (size_t i = 0; i < r->n && ret == 0; i++) {
		struct restore_lane *lane = &r->lanes[i];

		added += lane->added;
		if (!uidset_is_empty(&lane->imported))
			ret = mailbox_keep(lane->target, &lane->imported, false, err);
	}
	if (ret < 0 || added == 0)
		return ret;
	r->committing = true;
	why = xasprintf("%llu message%s imported from %s", (unsigned long long)added,
			added == 1 ? "" : "s", r->set->import_from);
	ret = store_commit_change(r->target, why, err);
	free(why);
	return ret;
}

static int commit(struct restore *r, struct err *err)
{
	if ((restore_is_import(r) ? commit_import(r, err) : store_commit(r->target, err)) < 0) {
		r->target_failed = true;
		return -1;
	}
	for (size_t i = 0; i < r->n; i++) {
		struct restore_mailbox *line = restore_line(&r->lanes[i]);

		line->created = !r->lanes[i].to && r->lanes[i].target;
		line->added = r->lanes[i].added;
		line->flags_changed = r->lanes[i].flags_changed;
		line->bytes = r->lanes[i].bytes;
	}
	r->open_messages = r->open_bytes = 0;
	r->committed_at = clock_ms();
	return 0;
}

/* How many bytes it has. The oldest comes first, mostly. */
static uint64_t take_given(struct restore_lane *lane, uint32_t uid)
{
	for (size_t i = 0; i < lane->n_given; i++) {
		uint64_t bytes = lane->given[i].bytes;

		if (lane->given[i].uid != uid)
			continue;
		memmove(&lane->given[i], &lane->given[i + 1],
			(--lane->n_given - i) * sizeof(*lane->given));
		return bytes;
	}
	return 0;
}

static int pass_end(void *ctx, void *handle, const struct message *msg, bool complete,
		    struct err *err)
{
	struct passing *p = handle, done = *p;
	struct restore *r = ctx;
	struct restore_lane *lane = p->lane;
	struct message out = complete ? unbound(msg) : (struct message){ 0 };
	int ret;

	free(p);
	if (complete) {
		uidset_add(&lane->passed, done.uid);
		lane->given = xgrow(lane->given, lane->n_given, &lane->cap_given,
				    sizeof(*lane->given));
		lane->given[lane->n_given++] = (struct given){ .uid = done.uid, .bytes = done.bytes };
	}
	ret = lane->sink.end(lane->sink.ctx, done.handle, complete ? &out : NULL, complete, err);
	if (ret < 0) {
		uidset_remove(&lane->passed, done.uid); /* the source will report it */
		take_given(lane, done.uid);
		return target_trouble(lane, err);
	}
	if (!complete)
		return 0;
	r->open_bytes += done.bytes;
	r->open_messages++;
	r->progress.messages++;
	r->progress.mailbox = restore_line(lane)->name;
	restore_tell(r, JOB_RESTORE);
	if (restore_is_import(r))
		return 0; /* all of it or nothing */
	return batch_is_due(r->open_messages, r->open_bytes, r->committed_at) ? commit(r, err) : 0;
}

/* The target's word on a message, also long after it was given. */
static void on_stored(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		      const struct err *why)
{
	struct restore_lane *lane = tag;
	uint64_t bytes = take_given(lane, uid);

	(void)ctx;
	if (what == OUTCOME_DONE || what == OUTCOME_ADOPTED) {
		lane->added++;
		lane->bytes += bytes;
		if (restore_is_import(lane->run))
			uidset_add(&lane->imported, new_uid);
	} else if (what == OUTCOME_NO_ANSWER && why) {
		restore_problem(lane, why->text); /* nobody's refusal: the next run goes on with it */
	} else {
		restore_failed(lane, uid, why ? why->text : "the target did not say what became of it");
	}
}

/* The source's word. What it delivered, the target answers for. */
static void on_fetched(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		       const struct err *why)
{
	struct restore_lane *lane = tag;

	(void)ctx;
	(void)new_uid;
	if (lane->skipped || what == OUTCOME_DONE || what == OUTCOME_NO_ANSWER)
		return; /* what got no answer ended the run, and is told by that */
	if (uidset_has(&lane->missing, uid) && !uidset_has(&lane->passed, uid))
		restore_failed(lane, uid, why ? why->text : "it is no longer there");
}

static int make_wants(struct restore *r, struct want *want, size_t *n, struct err *err)
{
	*n = 0;
	for (size_t i = 0; i < r->n; i++) {
		struct restore_lane *lane = &r->lanes[i];

		if (lane->skipped || uidset_is_empty(&lane->missing))
			continue;
		if ((!lane->target && restore_open_target(lane, err) < 0) ||
		    mailbox_append(lane->target, on_stored, r, lane, &lane->sink, err) < 0) {
			if (err->kind != ERR_MAILBOX)
				return -1;
			restore_skip(lane, err->text);
			continue;
		}
		want[(*n)++] = (struct want){
			.mailbox = lane->source,
			.set = &lane->missing,
			.exact = true,
			.expect = uidset_count(&lane->missing),
			.tag = lane,
		};
		r->progress.messages_total += uidset_count(&lane->missing);
	}
	return 0;
}

static int change_flags(struct restore_lane *lane, struct err *err)
{
	for (size_t i = 0; i < lane->n_change; i++) {
		struct flag_reset *change = &lane->change[i];

		if (mailbox_change_flags(lane->target, &change->set, &change->delta, err) < 0)
			return -1;
		lane->flags_changed += uidset_count(&change->set);
	}
	return 0;
}

/* After all that was missing was added: that is what people are waiting for. */
static int change_all_flags(struct restore *r, struct err *err)
{
	for (size_t i = 0; i < r->n; i++) {
		struct restore_lane *lane = &r->lanes[i];

		if (lane->skipped || change_flags(lane, err) == 0)
			continue;
		if (err->kind != ERR_MAILBOX)
			return -1;
		restore_skip(lane, err->text);
	}
	return 0;
}

int restore_add(struct restore *r, struct err *err)
{
	const struct message_sink sink = {
		.ctx = r, .begin = pass_begin, .write = pass_write, .end = pass_end
	};
	struct want *want = xcalloc(r->n + 1, sizeof(*want));
	struct err second = { 0 };
	size_t n;
	int ret = -1;

	r->committed_at = clock_ms();
	restore_tell(r, JOB_RESTORE);
	if (make_wants(r, want, &n, err) < 0)
		goto out;
	ret = store_fetch(r->source, want, n, &sink, on_fetched, r, err);
	for (size_t i = 0; i < n; i++)
		if (!want[i].complete)
			restore_problem(want[i].tag, want[i].err.kind != ERR_NONE
							     ? want[i].err.text
							     : "not all of it could be added");
	if (ret == 0)
		ret = change_all_flags(r, err);
	/* What has come stays, however it ended; but what is imported comes as a whole. */
	if (ret < 0 && restore_is_import(r))
		goto out;
	if (!r->target_failed && commit(r, ret < 0 ? &second : err) < 0)
		ret = -1;
out:
	free(want);
	return ret;
}
