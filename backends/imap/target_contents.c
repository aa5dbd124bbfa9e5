#include <stdlib.h>

#include "core/base/buf.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/sync/hashing.h"

#include "backends/imap/target_look.h"

/*
 * What a mailbox holds by content, for restoring into it. What is there is asked for and not taken from the
 * ledger: a message that its user removed is to be restored. Its content is, and what had to be fetched to be hashed is
 * remembered, as a row that is bound to nothing.
 */
struct contents {
	struct imap_mailbox_handle *mb;
	const struct uidset *set; /* NULL: all */
	const struct seen_list *there;
	struct uidset_builder gone; /* rows of what is not there any more */
	struct uidset have;         /* rows */
	struct uidset told;
	content_fn *each;
	void *ctx;
};

static bool is_of_interest(const struct contents *c, uint32_t uid)
{
	return !c->set || uidset_has(c->set, uid);
}

static int tell_row(void *ctx, const struct ledger_row *row, struct err *err)
{
	struct contents *c = ctx;

	uidset_add(&c->have, row->uid);
	if (!seen_find(c->there, row->uid)) {
		uidset_builder_add(&c->gone, row->uid, row->uid);
		return 0;
	}
	if (!is_of_interest(c, row->uid) || !row->sha256.n)
		return 0;
	uidset_add(&c->told, row->uid);
	return c->each(c->ctx, row->uid, row->size, row->sha256.p, err);
}

static int remember(struct contents *c, const struct message *msg, uint64_t size,
		    const uint8_t sha256[CONTENT_HASH_SIZE], struct err *err)
{
	struct imap_store *st = imap_of(c->mb->mailbox.store);
	struct buf flags = BUF_INIT(SIZE_MAX / 4), date = BUF_INIT(SIZE_MAX / 4);
	struct ledger_row row = { .uid = msg->uid, .size = size, .how = LEDGER_FOUND,
				  .sha256 = bytes_from(sha256, CONTENT_HASH_SIZE) };
	int ret;

	if (c->mb->mode != STORE_WRITE)
		return 0;
	if (uidset_has(&c->have, msg->uid))
		return ledger_set_hash(st->ledger, c->mb->box, msg->uid, sha256, err);
	flags_format(msg->flags, &flags);
	maildate_format(msg->date, &date);
	row.flags = buf_bytes(&flags);
	row.date = buf_bytes(&date);
	ret = ledger_insert(st->ledger, c->mb->box, &row, err);
	buf_release(&flags);
	buf_release(&date);
	return ret;
}

static int hashed(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	struct contents *c = ctx;
	uint8_t sha256[CONTENT_HASH_SIZE];
	uint64_t size = hashing_end(handle, sha256);

	if (!complete)
		return 0;
	if (remember(c, msg, size, sha256, err) < 0)
		return -1;
	return c->each(c->ctx, msg->uid, size, sha256, err);
}

static int fetch_rest(struct contents *c, struct err *err)
{
	const struct message_sink sink = { .ctx = c, .begin = hashing_begin, .write = hashing_write,
					   .end = hashed };
	struct uidset rest = UIDSET_INIT;
	int ret;

	for (size_t i = 0; i < c->there->n; i++)
		if (is_of_interest(c, c->there->v[i].uid) && !uidset_has(&c->told, c->there->v[i].uid))
			uidset_add(&rest, c->there->v[i].uid);
	ret = target_fetch(c->mb, &rest, false, &sink, err);
	uidset_release(&rest);
	return ret;
}

static int forget_gone(struct contents *c, struct err *err)
{
	struct uidset gone = UIDSET_INIT;
	int ret = 0;

	uidset_builder_finish(&c->gone, &gone);
	if (c->mb->mode == STORE_WRITE && !uidset_is_empty(&gone))
		ret = ledger_delete(imap_of(c->mb->mailbox.store)->ledger, c->mb->box, &gone, err);
	uidset_release(&gone);
	return ret;
}

int target_contents(struct mailbox *mb, const struct uidset *set, content_fn *each, void *ctx,
		    struct err *err)
{
	struct imap_mailbox_handle *h = (struct imap_mailbox_handle *)mb;
	const struct uidset none = UIDSET_INIT;
	struct seen_list there;
	struct contents c = { .mb = h, .set = set, .there = &there, .each = each, .ctx = ctx };
	int ret = -1;

	uidset_builder_init(&c.gone);
	if (target_look(h, &none, &there, err) < 0 ||
	    (h->box && ledger_each(imap_of(mb->store)->ledger, h->box, NULL, tell_row, &c, err) < 0) ||
	    fetch_rest(&c, err) < 0 || forget_gone(&c, err) < 0)
		goto out;
	ret = 0;
out:
	seen_list_release(&there);
	uidset_builder_release(&c.gone);
	uidset_release(&c.have);
	uidset_release(&c.told);
	return ret;
}
