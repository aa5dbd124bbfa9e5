#include "backends/imap/write_private.h"

#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"

#include "backends/imap/ledger.h"

/* Mailboxes as a whole. What the server did counts, and is then written down. */

/* One mailbox, or two, as the account spells them. */
struct managing {
	struct imap_store *st;
	struct buf wire, second;
	unsigned attributes;
	uint32_t uidvalidity; /* of `wire`; 0: not known */
	bool on;
	/* Out: */
	bool made; /* it was not there */
	bool left; /* it stays, since there are messages in it */
	uint64_t room;
};

static struct managing managing_of(struct imap_store *st)
{
	return (struct managing){ .st = st, .wire = BUF_INIT(WIRE_NAME_MAX),
				  .second = BUF_INIT(WIRE_NAME_MAX) };
}

static void managing_release(struct managing *m)
{
	buf_release(&m->wire);
	buf_release(&m->second);
}

/* --- create --- */

/* What a mailbox is for that can be said when it is made. \All and \Flagged are views, not mailboxes. */
static unsigned use_of(unsigned attributes)
{
	static const struct {
		unsigned ours, imap;
	} table[] = {
		{ MAILBOX_ARCHIVE, IMAP_MAILBOX_ARCHIVE }, { MAILBOX_DRAFTS, IMAP_MAILBOX_DRAFTS },
		{ MAILBOX_JUNK, IMAP_MAILBOX_JUNK },	   { MAILBOX_SENT, IMAP_MAILBOX_SENT },
		{ MAILBOX_TRASH, IMAP_MAILBOX_TRASH },
	};
	unsigned use = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (attributes & table[i].ours)
			use |= table[i].imap;
	return use;
}

struct asked_status {
	bool there;
	bool counted;
	uint32_t messages;
	uint32_t uidvalidity; /* 0: not told */
};

static void on_status(void *ctx, const struct imap_mailbox_status *status,
		      const struct imap_result *r)
{
	struct asked_status *s = ctx;

	s->there = r->outcome == IMAP_DONE_OK;
	s->counted = s->there && status && (status->present & IMAP_ITEM_MESSAGES);
	s->messages = s->counted ? status->messages : 0;
	s->uidvalidity = s->there && status && (status->present & IMAP_ITEM_UIDVALIDITY) ?
				 status->uid_validity : 0;
}

static int ask_status(struct connection *c, struct bytes wire, struct asked_status *out,
		      struct err *err)
{
	*out = (struct asked_status){ 0 };
	if (imap_status(c->session, wire, IMAP_ITEM_MESSAGES | IMAP_ITEM_UIDVALIDITY, on_status, out,
			err) < 0)
		return -1;
	return writer_wait(c, err);
}

int manage_create(struct imap_store *st, struct connection *c, struct bytes wire, unsigned attributes,
		  bool *made, struct err *err)
{
	unsigned use = imap_session_has(c->session, IMAP_CAP_CREATE_SPECIAL_USE) ? use_of(attributes) : 0;
	struct imap_created created = { 0 };
	struct asked_status status;
	struct err words;
	int ret;

	(void)st;
	ret = imap_create_wait(c->session, wire, use, &created, err);
	if (ret < 0 && use && err->kind == ERR_MAILBOX) { /* [USEATTR]: there is one for that already */
		free(created.mailbox_id);
		ret = imap_create_wait(c->session, wire, 0, &created, err);
	}
	free(created.mailbox_id);
	*made = ret == 0 && !created.existed;
	if (ret < 0 && err->kind == ERR_MAILBOX) {
		/* Servers without codes say NO to what is there, too. */
		words = *err;
		if (ask_status(c, wire, &status, err) < 0)
			return -1;
		if (!status.there) {
			*err = words;
			return err_prefix(err, "it cannot be made there (`map` can give it another name)");
		}
		ret = 0;
	}
	if (ret == 0 && (attributes & MAILBOX_SUBSCRIBED) &&
	    imap_subscribe_wait(c->session, wire, err) < 0 && err->kind != ERR_MAILBOX &&
	    err->kind != ERR_MISSING)
		return -1; /* a refusal is no reason to go without the mailbox */
	return ret;
}

static int do_create(void *ctx, struct connection *c, struct err *err)
{
	struct managing *m = ctx;

	return manage_create(m->st, c, buf_bytes(&m->wire), m->attributes, &m->made, err);
}

static int cannot_hold(const struct mailbox_name *name, struct err *err)
{
	char *text = mailbox_name_text(name);

	err->kind = ERR_MAILBOX;
	err_prefix(err, "the account cannot have a mailbox called %s (`map` can give it another name there)",
		   text);
	free(text);
	return -1;
}

int imap_store_create(struct store *base, const struct mailbox_name *name, unsigned attributes,
		      struct err *err)
{
	struct imap_store *st = imap_of(base);
	struct managing m = managing_of(st);
	bool inbox = name->count == 1 && mailbox_name_is_inbox(name);
	int ret;

	m.attributes = attributes;
	ret = imap_wire_of(st, name, &m.wire, err) < 0 ? cannot_hold(name, err) : 0;
	/* A name that holds no messages comes with what lies below it. */
	if (ret == 0 && !inbox && !(attributes & MAILBOX_NOSELECT))
		ret = writer_do(st, NULL, do_create, &m, err);
	if (ret == 0)
		ret = target_created(st, name, attributes, err);
	managing_release(&m);
	return ret;
}

/* --- rename --- */

/*
 * A refusal of what was done already, by a command whose answer was lost, is none: the old name is gone then and
 * the new one has its UIDVALIDITY.
 */
static bool was_renamed(struct connection *c, const struct managing *m)
{
	struct asked_status from, to;
	struct err ignored;

	return m->uidvalidity && ask_status(c, buf_bytes(&m->wire), &from, &ignored) == 0 && !from.there &&
	       ask_status(c, buf_bytes(&m->second), &to, &ignored) == 0 && to.there &&
	       to.uidvalidity == m->uidvalidity;
}

static int do_rename(void *ctx, struct connection *c, struct err *err)
{
	struct managing *m = ctx;

	writer_leave_mailboxes(m->st); /* what they are called, or whether they are there, may change */
	if (imap_rename_wait(c->session, buf_bytes(&m->wire), buf_bytes(&m->second), err) == 0)
		return 0;
	if (err->kind != ERR_MISSING && err->kind != ERR_MAILBOX)
		return -1;
	err->kind = ERR_MAILBOX;
	return was_renamed(c, m) ? 0 : -1;
}

int imap_store_rename(struct store *base, const struct mailbox_name *from, const struct mailbox_name *to,
		      struct err *err)
{
	struct imap_store *st = imap_of(base);
	struct managing m = managing_of(st);
	const struct ledger_box *box = ledger_box_find(st->ledger, from);
	int ret = -1;

	if (!box)
		return err_set(err, ERR_MAILBOX, "it was not copied to the account");
	if (mailbox_name_is_inbox(from) || mailbox_name_is_inbox(to))
		return err_set(err, ERR_MAILBOX, "INBOX cannot be renamed");
	m.uidvalidity = box->uidvalidity;
	if (imap_wire_of(st, from, &m.wire, err) < 0 ||
	    imap_wire_of(st, to, &m.second, err) < 0 || ledger_commit(st->ledger, err) < 0)
		goto out;
	if (writer_do(st, NULL, do_rename, &m, err) == 0 && target_renamed(st, from, to, err) == 0)
		ret = ledger_commit(st->ledger, err);
out:
	managing_release(&m);
	return ret;
}

/* --- remove, subscribe --- */

/*
 * The mailbox is not ours alone: with messages in it that we know nothing of it stays. So does what was only marked
 * \Deleted, on a server without UIDPLUS.
 */
static int do_remove(void *ctx, struct connection *c, struct err *err)
{
	struct managing *m = ctx;
	struct asked_status status;

	writer_leave_mailboxes(m->st); /* what they are called, or whether they are there, may change */
	if (ask_status(c, buf_bytes(&m->wire), &status, err) < 0)
		return -1;
	m->left = status.there && (!status.counted || status.messages > 0);
	if (!status.there || m->left)
		return 0;
	if (imap_delete_wait(c->session, buf_bytes(&m->wire), err) < 0) {
		if (err->kind == ERR_MISSING)
			return 0;
		return -1;
	}
	if (imap_unsubscribe_wait(c->session, buf_bytes(&m->wire), err) < 0 && err->kind != ERR_MAILBOX &&
	    err->kind != ERR_MISSING)
		return -1;
	return 0;
}

int imap_store_remove(struct store *base, const struct mailbox_name *name, struct err *err)
{
	struct imap_store *st = imap_of(base);
	struct managing m = managing_of(st);
	struct ledger_box *box = ledger_box_find(st->ledger, name);
	int ret = -1;

	if (!box)
		return 0;
	/* First what was to be done in it. */
	if (imap_store_commit(base, err) < 0 || imap_wire_of(st, name, &m.wire, err) < 0)
		goto out;
	if (box->live + box->kept > 0) {
		err_set(err, ERR_MAILBOX, "it still holds messages");
		goto out;
	}
	if (writer_do(st, NULL, do_remove, &m, err) < 0)
		goto out;
	if (m.left)
		imap_note(st, name, "the account has other messages there, so the mailbox stays");
	if (target_removed(st, name, err) == 0)
		ret = ledger_commit(st->ledger, err);
out:
	managing_release(&m);
	return ret;
}

static int do_subscribe(void *ctx, struct connection *c, struct err *err)
{
	struct managing *m = ctx;
	struct bytes wire = buf_bytes(&m->wire);

	return m->on ? imap_subscribe_wait(c->session, wire, err) : imap_unsubscribe_wait(c->session, wire, err);
}

int imap_store_subscribe(struct store *base, const struct mailbox_name *name, bool on, struct err *err)
{
	struct imap_store *st = imap_of(base);
	struct managing m = managing_of(st);
	int ret = imap_wire_of(st, name, &m.wire, err);

	m.on = on;
	if (ret == 0)
		ret = writer_do(st, NULL, do_subscribe, &m, err);
	managing_release(&m);
	if (ret < 0 && err->kind == ERR_MISSING)
		err->kind = ERR_MAILBOX;
	return ret;
}

/* --- quota --- */

static int do_room(void *ctx, struct connection *c, struct err *err)
{
	struct managing *m = ctx;
	struct imap_quotas quotas = { 0 };

	m->room = UINT64_MAX;
	if (!imap_session_has(c->session, IMAP_CAP_QUOTA))
		return 0;
	if (imap_getquotaroot_wait(c->session, bytes_of("INBOX"), &quotas, err) < 0)
		return err->kind == ERR_RETRY || err->kind == ERR_STOPPED ? -1 : 0; /* nothing says so */
	for (size_t i = 0; i < quotas.n; i++)
		for (size_t k = 0; k < quotas.roots[i].n; k++) {
			const struct imap_quota_resource *r = &quotas.roots[i].resources[k];
			uint64_t left = r->limit > r->usage ? r->limit - r->usage : 0;

			if (strcasecmp(r->name, "STORAGE") != 0 || left > UINT64_MAX / 1024)
				continue;
			if (left * 1024 < m->room)
				m->room = left * 1024;
		}
	imap_quotas_release(&quotas);
	return 0;
}

int imap_store_room(struct store *base, uint64_t *bytes, struct err *err)
{
	struct managing m = { 0 };

	if (writer_do(imap_of(base), NULL, do_room, &m, err) < 0)
		return -1;
	*bytes = m.room;
	return 0;
}
