#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands_message.h"
#include "core/imap/commands_private.h"
#include "core/msgset/uidlist.h"
#include "core/msgset/uidset.h"

/* One COPY or MOVE as the caller sees it; a long set takes several commands. */
struct copy_call {
	struct uidset set;  /* UIDs asked for; empty when they were not UIDs */
	bool by_uid;
	unsigned coded;     /* codes that came */
	bool contradictory; /* the codes speak of different mailboxes */
	uint32_t uid_validity;
	struct uidlist source, target;
	struct tally tally;
	imap_copy_fn *done;
	void *ctx;
};

static void add_all(struct uidlist *to, const struct uidlist *from)
{
	for (size_t i = 0; i < uidlist_range_count(from); i++)
		uidlist_add(to, uidlist_range(from, i).lo, uidlist_range(from, i).hi);
}

static void take_code(struct copy_call *call, const struct imap_status *st)
{
	if (!st->source || !st->target || st->number == 0 || st->number > UINT32_MAX ||
	    (call->coded && st->number != call->uid_validity)) {
		call->contradictory = true;
		return;
	}
	call->uid_validity = (uint32_t)st->number;
	add_all(&call->source, st->source);
	add_all(&call->target, st->target);
	call->coded++;
}

/* MOVE has its pairs in an untagged OK, before the EXPUNGEs (RFC 6851, section 4.3). */
static bool move_claims(void *ctx, const struct imap_response *r)
{
	(void)ctx;
	return r->u.status.condition == IMAP_OK && r->u.status.code == IMAP_CODE_COPYUID;
}

static void on_moved(void *ctx, const struct imap_response *r)
{
	take_code(ctx, &r->u.status);
}

static bool is_paired(const struct copy_call *call)
{
	struct uidlist_pairs pairs;
	struct err why;

	/* Fewer codes than commands is as it should be when nothing was left to copy. */
	return call->coded > 0 && !call->contradictory &&
	       uidlist_pairs_init(&pairs, &call->source, &call->target,
				  call->by_uid ? &call->set : NULL, &why) == 0;
}

static void on_copy_done(void *ctx, const struct imap_result *r)
{
	struct copy_call *call = ctx;
	struct imap_result result;

	if (r->outcome == IMAP_DONE_OK && r->status->code == IMAP_CODE_COPYUID)
		take_code(call, r->status);
	if (!tally_note(&call->tally, r, &result))
		return;
	call->done(call->ctx, &(struct imap_copy_answer){
		.known = is_paired(call), .uid_validity = call->uid_validity,
		.source = &call->source, .target = &call->target }, &result);
	uidset_release(&call->set);
	uidlist_release(&call->source);
	uidlist_release(&call->target);
	free(call);
}

static int encode_copy(void *ctx, const struct imap_session *s, struct imap_encoder *e,
		       const struct uidset *piece, struct err *err)
{
	const struct imap_copy_request *q = ctx;

	command_encode_set(s, e, q->move ? "MOVE" : "COPY", q->numbering, piece);
	imap_encode_mailbox(e, q->mailbox);
	return imap_encoder_finish(e, err);
}

int imap_copy(struct imap_session *s, const struct imap_copy_request *request, imap_copy_fn *done,
	      void *ctx, struct err *err)
{
	struct imap_copy_request q = *request;
	struct split_command split = { .encode = encode_copy, .ctx = &q };
	const char *word = q.move ? "MOVE" : "COPY";
	struct copy_call *call;

	if (command_check_set(s, word, q.numbering, q.set, err) < 0 ||
	    (q.move && command_needs(s, IMAP_CAP_MOVE, word, err) < 0) ||
	    split_command_encode(&split, s, q.numbering == IMAP_SAVED ? NULL : q.set, err) < 0)
		return -1;
	call = xcalloc(1, sizeof(*call));
	call->by_uid = q.numbering == IMAP_UIDS;
	if (call->by_uid)
		uidset_copy(&call->set, q.set);
	call->done = done;
	call->ctx = ctx;
	call->tally.left = (unsigned)split.n;
	split_command_submit(&split, s, &(struct imap_request){
		.what = q.move ? "UID MOVE" : "UID COPY",
		.flags = command_set_flags(q.numbering),
		.wants = q.move ? IMAP_WANT(IMAP_RESPONSE_STATUS) : 0,
		.claims = q.move ? move_claims : NULL,
		.handler = { .on_response = on_moved, .on_done = on_copy_done, .ctx = call } });
	return 0;
}
