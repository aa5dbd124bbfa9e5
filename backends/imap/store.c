#include "backends/imap/imap.h"

#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/loop.h"
#include "core/imap/quirks.h"

#include "backends/imap/private.h"

#define WIRE_NAME_MAX 65536

char *imap_fingerprint(const struct imap_account *account)
{
	char *host = xstrdup(account->host), *text;

	for (char *p = host; *p; p++)
		*p = (char)ascii_lower((uint8_t)*p);
	text = xasprintf("%s@%s", account->authzid ? account->authzid : account->user, host);
	free(host);
	return text;
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

	pool_close(st);
	loop_free(st->loop);
	while (st->mailboxes) {
		struct imap_mailbox_handle *mb = st->mailboxes;

		st->mailboxes = mb->next;
		mailbox_name_release(&mb->mailbox.name);
		buf_release(&mb->wire);
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

	if (mode == STORE_WRITE)
		return err_set(err, ERR_CONFIG, "%s: an account can only be read from", cfg->name);
	st = xcalloc(1, sizeof(*st));
	st->store = (struct store){ .ops = &imap_store, .cfg = cfg };
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
	if (pool_one(st, &c, err) < 0) {
		imap_store_close(&st->store);
		return -1;
	}
	*out = &st->store;
	return 0;
}

static int imap_store_open_mailbox(struct store *base, const struct mailbox_info *info,
				   enum store_mode mode, struct mailbox **out, struct err *err)
{
	struct imap_store *st = imap_of(base);
	struct imap_mailbox_handle *mb;
	struct buf wire = BUF_INIT(WIRE_NAME_MAX);

	if (mode == STORE_WRITE)
		return err_set(err, ERR_CONFIG, "%s: an account can only be read from",
			       base->cfg->name);
	if (mailbox_name_to_wire(&info->name, info->name.wire.p ? info->name.delimiter
								: st->delimiter,
				 st->utf8, &wire, err) < 0) {
		buf_release(&wire);
		return -1;
	}
	mb = xcalloc(1, sizeof(*mb));
	mb->mailbox.store = base;
	mailbox_name_init(&mb->mailbox.name);
	mailbox_name_copy(&mb->mailbox.name, &info->name);
	mb->token = info->token;
	mb->wire = wire;
	mb->next = st->mailboxes;
	st->mailboxes = mb;
	*out = &mb->mailbox;
	return 0;
}

const struct store_ops imap_store = {
	.type = "imap",
	.open = imap_store_open,
	.close = imap_store_close,
	.list = imap_store_list,
	.exists = imap_store_exists,
	.open_mailbox = imap_store_open_mailbox,
	.changes = imap_store_changes,
	.fetch = imap_store_fetch,
	.tells_identities = imap_store_tells_identities,
};
