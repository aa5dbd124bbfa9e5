#include <assert.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

#include "backends/imap/private.h"

/* The slots of struct store_ops that an account leaves to its ledger. No round trip is made here. */

static struct imap_mailbox_handle *handle_of(struct mailbox *mb)
{
	return (struct imap_mailbox_handle *)mb;
}

static struct ledger *ledger_of(struct mailbox *mb)
{
	return imap_of(mb->store)->ledger;
}

int target_base(struct mailbox *mb, struct base *out, struct err *err)
{
	struct imap_mailbox_handle *h = handle_of(mb);

	base_release(out);
	return h->box ? ledger_base(ledger_of(mb), h->box, out, err) : 0;
}

int target_quarantine(struct mailbox *mb, struct base *out, struct err *err)
{
	struct imap_mailbox_handle *h = handle_of(mb);

	base_release(out);
	return h->box ? ledger_quarantine(ledger_of(mb), h->box, out, err) : 0;
}

int target_set_base(struct mailbox *mb, const struct base *b, struct err *err)
{
	return ledger_set_base(ledger_of(mb), handle_of(mb)->box, b, err);
}

int target_keep(struct mailbox *mb, const struct uidset *set, bool held, struct err *err)
{
	return ledger_keep(ledger_of(mb), handle_of(mb)->box, set, held, err);
}

int target_renumber(struct mailbox *mb, const uint32_t *from, const uint32_t *to, size_t n,
		    struct err *err)
{
	return ledger_renumber(ledger_of(mb), handle_of(mb)->box, from, to, n, err);
}

/* --- what it holds --- */

struct telling {
	struct changes *out;
	struct buf text; /* of the row before */
	uint32_t flags;  /* its id */
	bool with_kept;
};

/* Most messages have the flags of the one before. */
static uint32_t flags_id(struct telling *t, struct bytes text)
{
	struct flags flags = FLAGS_INIT;

	if (bytes_equal(text, buf_bytes(&t->text)))
		return t->flags;
	flags_add_list(&flags, text);
	t->flags = flag_table_intern(t->out->flags, &flags);
	flags_release(&flags);
	buf_clear(&t->text);
	buf_add(&t->text, text);
	return t->flags;
}

static int64_t date_of(struct bytes text)
{
	struct maildate date;
	int64_t when;

	maildate_init(&date);
	when = maildate_parse(&date, text) ? date.unix_time : CHANGES_NO_DATE;
	maildate_release(&date);
	return when;
}

static int tell_row(void *ctx, const struct ledger_row *row, struct err *err)
{
	struct telling *t = ctx;
	struct entry *e;

	(void)err;
	if (row->state != LEDGER_LIVE && !t->with_kept)
		return 0;
	if (row->how == LEDGER_FOUND && !row->source_uid) /* the user's own */
		return 0;
	e = changes_add(t->out, row->uid);
	e->source_uid = row->source_uid;
	e->size = row->size < UINT32_MAX ? (uint32_t)row->size : UINT32_MAX;
	e->base_flags = e->flags = flags_id(t, row->flags);
	if (t->out->described)
		t->out->dates[t->out->n - 1] = date_of(row->date);
	return 0;
}

static int changes_of(struct imap_mailbox_handle *mb, struct changes *out, struct err *err)
{
	const struct imap_store *st = imap_of(mb->mailbox.store);
	struct telling t = { .out = out, .text = BUF_INIT(SIZE_MAX / 4),
			     .with_kept = st->store.cfg->with_kept };
	int ret = mb->box ? ledger_each(st->ledger, mb->box, NULL, tell_row, &t, err) : 0;

	buf_release(&t.text);
	out->complete = ret == 0;
	out->token = (struct token){ .known = mb->box && mb->box->uidvalidity,
				     .messages = (uint32_t)out->n };
	if (out->token.known)
		out->token.uidvalidity = mb->box->uidvalidity;
	if (out->n)
		out->token.uidnext = out->v[out->n - 1].uid + 1;
	return ret;
}

int target_changes(struct store *base, struct changes_request *req, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (store_check_stop(base, err) < 0 ||
		    changes_of(handle_of(req[i].mailbox), req[i].out, err) < 0)
			return -1;
	return 0;
}

/* --- which message is which --- */

int target_holds_identities(struct store *base, bool *out, struct err *err)
{
	struct imap_store *st = imap_of(base);

	*out = false;
	return st->ledger ? ledger_holds_identities(st->ledger, out, err) : 0;
}

int target_find_identity(struct store *base, struct bytes identity, struct held *out, struct err *err)
{
	struct imap_store *st = imap_of(base);
	struct ledger_copy found = { 0 };
	int got = st->ledger ? ledger_find_identity(st->ledger, identity, &found, err) : 0;

	*out = (struct held){ 0 };
	if (got > 0) {
		struct ledger_box *box = ledger_box_by_id(st->ledger, found.box);

		*out = (struct held){ .uid = found.row.uid, .source_uid = found.row.source_uid };
		if (!box)
			got = 0;
		else if (imap_handle_of_box(st, box, &out->mailbox, err) < 0)
			got = -1;
	}
	ledger_copy_release(&found);
	return got;
}

int target_count_lost(struct store *base, struct removal *r, size_t n, struct err *err)
{
	struct ledger_box **box = xcalloc(n, sizeof(struct ledger_box *));
	const struct uidset **set = xcalloc(n, sizeof(const struct uidset *));
	uint64_t *lost = xcalloc(n, sizeof(*lost));
	struct imap_store *st = imap_of(base);
	size_t some = 0;
	int ret;

	for (size_t i = 0; i < n; i++)
		if (handle_of(r[i].mailbox)->box) {
			box[some] = handle_of(r[i].mailbox)->box;
			set[some++] = r[i].set;
		}
	ret = some ? ledger_count_lost(st->ledger, box, set, lost, some, err) : 0;
	for (size_t i = 0, at = 0; i < n; i++)
		r[i].lost = handle_of(r[i].mailbox)->box ? lost[at++] : 0;
	free(box);
	free(set);
	free(lost);
	return ret;
}

int target_commit(struct store *base, struct err *err)
{
	struct imap_store *st = imap_of(base);

	for (struct imap_mailbox_handle *mb = st->mailboxes; mb; mb = mb->next)
		if (strangers_correct(mb, err) < 0)
			return -1;
	if (base->cfg->account && ledger_set_account(st->ledger, base->cfg->account, err) < 0)
		return -1;
	return ledger_commit(st->ledger, err);
}
