#include "backends/imap/upload_private.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

/* What an earlier run had begun: found, or forgotten, or set aside; never sent again on suspicion. */

/* A server may still be storing what was sent so many seconds ago. */
#define YOUNG_S 10

static const char unclear_reason[] =
	"an earlier run sent it and was cut off, and the account has several messages any of which may be it; it "
	"is not sent again";

static int set_aside(struct imap_store *st, struct imap_mailbox_handle *mb,
		     const struct ledger_intent *in, struct err *err)
{
	char reason[] = "an earlier run sent it and was cut off, and the account has several messages any of "
			"which may be it; it is not sent again";
	const struct quarantined q = { .uid = in->source_uid, .size = in->size, .reason = reason,
				       .since = clock_unix(), .attempts = 1, .last = clock_unix() };

	if (in->source_uid)
		return ledger_quarantine_add(st->ledger, mb->box, &q, err);
	imap_note(st, &mb->mailbox.name, "one message is not sent again: %s", unclear_reason);
	return 0;
}

static int add_row(struct imap_store *st, struct imap_mailbox_handle *mb, const struct ledger_intent *in,
		   const struct claim *c, struct err *err)
{
	struct ledger_copy other = { 0 };
	struct ledger_row row = {
		.uid = c->uid, .source_uid = in->source_uid, .size = in->size,
		.how = c->altered ? LEDGER_ALTERED : LEDGER_COPIED, .flags = in->flags, .date = in->date,
		.identity = in->identity, .sha256 = bytes_from(in->sha256, CONTENT_HASH_SIZE),
	};
	int got = in->source_uid ? ledger_find_source(st->ledger, mb->box, in->source_uid, &other, err) : 0;

	ledger_copy_release(&other);
	if (got > 0)
		row.source_uid = 0; /* it has one already */
	return got < 0 ? -1 : ledger_insert(st->ledger, mb->box, &row, err);
}

static int settle_intent(struct imap_store *st, struct imap_mailbox_handle *mb,
			 const struct ledger_intent *in, const struct claim *c, struct err *err)
{
	if ((c->uid && add_row(st, mb, in, c, err) < 0) ||
	    (c->unclear && set_aside(st, mb, in, err) < 0))
		return -1;
	return ledger_intent_delete(st->ledger, mb->box, in->id, err);
}

static int settle_all(struct imap_store *st, struct imap_mailbox_handle *mb,
		      const struct ledger_intents *in, struct err *err)
{
	struct claim *claims = xcalloc(in->n + 1, sizeof(*claims));
	struct maildate *dates = xcalloc(in->n + 1, sizeof(*dates));
	int64_t wait_ms = 0, now = clock_unix();
	uint32_t least = UINT32_MAX;
	size_t altered = 0;
	int ret;

	for (size_t i = 0; i < in->n; i++) {
		const struct ledger_intent *it = &in->v[i];

		maildate_parse(&dates[i], it->date);
		claims[i] = (struct claim){ .size = it->size, .sha256 = it->sha256, .date = &dates[i],
					    .message_id = it->message_id };
		if (it->uidnext < least)
			least = it->uidnext;
		if (it->created <= now && it->created + YOUNG_S > now)
			wait_ms = SETTLE_MS * st->patience / 100;
	}
	ret = claims_find(st, mb, least, claims, in->n, false, wait_ms, err);
	for (size_t i = 0; ret == 0 && i < in->n; i++) {
		ret = settle_intent(st, mb, &in->v[i], &claims[i], err);
		altered += claims[i].altered;
	}
	if (ret == 0)
		ret = ledger_commit(st->ledger, err);
	if (ret == 0 && altered)
		imap_note(st, &mb->mailbox.name, "the server keeps %zu of the messages in other bytes than "
			  "they were sent", altered);
	for (size_t i = 0; i < in->n; i++)
		maildate_release(&dates[i]);
	free(dates);
	free(claims);
	return ret;
}

int uploads_settle_intents(struct imap_store *st, struct imap_mailbox_handle *mb, struct err *err)
{
	struct ledger_intents in = { 0 };
	int ret = ledger_intents(st->ledger, mb->box, &in, err);

	if (ret == 0 && in.n)
		ret = settle_all(st, mb, &in, err);
	ledger_intents_release(&in);
	return ret;
}
