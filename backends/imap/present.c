#include "core/imap/commands.h"

#include "backends/imap/upload_private.h"

/*
 * What the ledger says of a message is what was true when we last knew. Mail that is taken for being there and is not
 * would be lost, so a kept message is looked for before it is taken over: once for each mailbox and run.
 */
struct searching {
	struct uidset *found;
	bool ok;
	struct err err;
};

static void on_found(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	struct searching *s = ctx;

	s->ok = found && !r->damaged;
	s->err = *r->err;
	if (s->ok)
		uidset_copy(s->found, found);
}

static int do_search(void *ctx, struct connection *c, struct err *err)
{
	struct searching *s = ctx;

	s->ok = false;
	if (imap_search(c->session, "ALL", NULL, on_found, s, err) < 0 || writer_wait(c, err) < 0)
		return -1;
	if (s->ok)
		return 0;
	*err = s->err;
	if (err->kind == ERR_NONE)
		err_set(err, ERR_MAILBOX, "the server does not say which messages are there");
	return -1;
}

/* What a search leaves out though it is there is sent a second time: better than not at all. */
static int is_present(struct imap_store *st, struct imap_mailbox_handle *mb, uint32_t uid, bool *out,
		      struct err *err)
{
	struct writing *w = writing_of(mb);
	struct searching s = { .found = &w->present };

	if (!w->present_below) {
		if (writer_do(st, mb, do_search, &s, err) < 0)
			return -1;
		w->present_below = w->uid_next;
	}
	*out = uid >= w->present_below || uidset_has(&w->present, uid);
	return 0;
}

static int forget(struct imap_store *st, struct imap_mailbox_handle *mb, uint32_t uid, struct err *err)
{
	struct uidset one = UIDSET_INIT;
	int ret;

	uidset_add(&one, uid);
	ret = ledger_delete(st->ledger, mb->box, &one, err);
	uidset_release(&one);
	return ret;
}

int present_find_free(struct imap_store *st, struct imap_mailbox_handle *mb,
		      const uint8_t sha256[CONTENT_HASH_SIZE], uint64_t size, struct ledger_copy *out,
		      struct err *err)
{
	bool there = false;
	int got = 0;

	while (!there && (got = ledger_find_free(st->ledger, mb->box, sha256, size, out, err)) > 0) {
		/* A live one that the account's user removed is one that they do not want there. */
		if (out->row.state == LEDGER_LIVE)
			return got;
		if (is_present(st, mb, out->row.uid, &there, err) < 0 ||
		    (!there && forget(st, mb, out->row.uid, err) < 0))
			return -1;
	}
	return got;
}
