#include "backends/imap/imap.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/loop.h"
#include "core/imap/quirks.h"

#include "backends/imap/copy.h"
#include "backends/imap/private.h"
#include "backends/imap/write_private.h"

char *imap_fingerprint(const struct imap_account *account)
{
	char *host = xstrdup(account->host), *text;

	for (char *p = host; *p; p++)
		*p = (char)ascii_lower((uint8_t)*p);
	text = xasprintf("%s@%s", account->authzid ? account->authzid : account->user, host);
	free(host);
	return text;
}

void imap_store_set_patience(struct store *st, unsigned percent)
{
	imap_of(st)->patience = percent;
}

static bool is_stopped(void *ctx)
{
	const struct imap_store *st = ctx;
	const struct run *run = st->store.cfg->run;

	return run && run->stop && *run->stop;
}

static void imap_store_close(struct store *base)
{
	struct imap_store *st = imap_of(base);

	writer_close(st);
	pool_close(st);
	target_close(st);
	loop_free(st->loop);
	while (st->mailboxes) {
		struct imap_mailbox_handle *mb = st->mailboxes;

		st->mailboxes = mb->next;
		mailbox_name_release(&mb->mailbox.name);
		strangers_free(mb->strangers);
		buf_release(&mb->wire);
		writing_free(mb->writing);
		free(mb);
	}
	free(st);
}

static int imap_store_open(struct store **out, const struct store_config *cfg,
			   enum store_mode mode, struct err *err)
{
	struct imap_store *st;
	struct connection *c;
	unsigned allowed;

	if (mode == STORE_WRITE && !cfg->index)
		return err_set(err, ERR_CONFIG,
			       "%s: an account is only written to by what remembers what it put there",
			       cfg->name);
	st = xcalloc(1, sizeof(*st));
	st->store = (struct store){ .ops = &imap_store, .cfg = cfg };
	st->mode = mode;
	st->patience = 100;
	st->is_target = cfg->index != NULL;
	st->account = cfg->settings;
	st->loop = loop_new(is_stopped, st);
	st->trace.level = log_wants(LOG_TRACE) ? IMAP_TRACE_ALL : IMAP_TRACE_OFF;
	st->trace.name = st->account->name;
	st->most = st->account->connections ? st->account->connections : CONNECTIONS_DEFAULT;
	if (st->most > CONNECTIONS_MAX)
		st->most = CONNECTIONS_MAX;
	allowed = imap_quirk_connections(st->account->host);
	if (allowed && st->most > allowed)
		st->most = allowed;
	if (pool_one(st, &c, err) < 0 || target_open(st, err) < 0 ||
	    (cfg->prunes && prune_check_server(c->session, cfg->name, err) < 0)) {
		imap_store_close(&st->store);
		return -1;
	}
	*out = &st->store;
	return 0;
}

/*
 * What an earlier run had begun, before anybody counts what is there. Once: what is written down later is of this
 * run.
 */
static int settle_earlier_run(struct imap_store *st, struct imap_mailbox_handle *mb, struct err *err)
{
	for (struct imap_mailbox_handle *before = mb->next; before; before = before->next)
		if (before->box == mb->box && before->mode == STORE_WRITE)
			return 0;
	if (!mb->box->intents || uploads_settle_intents(st, mb, err) == 0)
		return 0;
	mb->mode = STORE_READ; /* nothing is written by this one, and the next settles it */
	return -1;
}

/* Takes `wire` over. */
static struct imap_mailbox_handle *new_handle(struct imap_store *st, const struct mailbox_info *info,
					      struct buf wire)
{
	struct imap_mailbox_handle *mb = xcalloc(1, sizeof(*mb));

	mb->mailbox.store = &st->store;
	mailbox_name_init(&mb->mailbox.name);
	mailbox_name_copy(&mb->mailbox.name, &info->name);
	mb->token = info->token;
	mb->wire = wire;
	mb->next = st->mailboxes;
	st->mailboxes = mb;
	return mb;
}

static int imap_store_open_mailbox(struct store *base, const struct mailbox_info *info,
				   enum store_mode mode, struct mailbox **out, struct err *err)
{
	struct imap_store *st = imap_of(base);
	struct imap_mailbox_handle *mb;
	struct buf wire = BUF_INIT(WIRE_NAME_MAX);

	assert(mode == STORE_READ || st->mode == STORE_WRITE);
	if (imap_wire_of(st, &info->name, &wire, err) < 0) {
		buf_release(&wire);
		return -1;
	}
	/* What is under way in a mailbox is written down in one place. */
	mb = target_handle(st, &info->name);
	if (mb)
		buf_release(&wire);
	else
		mb = new_handle(st, info, wire);
	if (mode == STORE_WRITE)
		mb->mode = mode;
	if (st->is_target && target_open_box(st, mb, err) < 0)
		return -1;
	if (mode == STORE_WRITE && settle_earlier_run(st, mb, err) < 0)
		return -1;
	*out = &mb->mailbox;
	return 0;
}

int imap_handle_of_box(struct imap_store *st, struct ledger_box *box, struct mailbox **out,
		       struct err *err)
{
	struct mailbox_info info = { .name = box->name };

	if (box->handle) {
		*out = &box->handle->mailbox;
		return 0;
	}
	return imap_store_open_mailbox(&st->store, &info, st->mode, out, err);
}

const struct store_ops imap_store = {
	.type = "imap",
	.traits = STORE_HOLDS_BASE | STORE_ADOPTS,
	.identify = target_identify,
	.open = imap_store_open,
	.close = imap_store_close,
	.list = imap_store_list,
	.exists = imap_store_exists,
	.open_mailbox = imap_store_open_mailbox,
	.base = target_base,
	.quarantine = target_quarantine,
	.changes = imap_store_changes,
	.fetch = imap_store_fetch,
	.tells_identities = imap_store_tells_identities,
	.holds_identities = target_holds_identities,
	.find_identity = target_find_identity,
	.strangers = target_strangers,
	.take = target_take,
	.keep = target_keep,
	.count_lost = target_count_lost,
	.set_base = target_set_base,
	.renumber = target_renumber,
	.contents = target_contents,
	.room = imap_store_room,
	.append = imap_store_append,
	.copy_as = imap_store_copy_as,
	.copy = imap_store_copy,
	.change_flags = imap_store_change_flags,
	.expunge = imap_store_expunge,
	.prunable = imap_store_prunable,
	.prune = imap_store_prune,
	.create = imap_store_create,
	.rename = imap_store_rename,
	.remove = imap_store_remove,
	.subscribe = imap_store_subscribe,
	.commit = imap_store_commit,
};
