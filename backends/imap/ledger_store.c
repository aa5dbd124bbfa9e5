#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/account.h"

#include "backends/imap/imap.h"
#include "backends/imap/ledger.h"

/* The store "ledger": see imap.h. All that it needs of its slots is what looks at no message. */

struct ledger_store {
	struct store store;
	struct ledger *ledger;
	struct ledger_mailbox *mailboxes;
};

struct ledger_mailbox {
	struct mailbox mailbox;
	struct ledger_box *box;
	struct ledger_mailbox *next;
};

static struct ledger_store *store_of(struct store *st)
{
	return (struct ledger_store *)st;
}

static struct ledger *ledger_of(struct mailbox *mb)
{
	return store_of(mb->store)->ledger;
}

static struct ledger_box *box_of(struct mailbox *mb)
{
	return ((struct ledger_mailbox *)mb)->box;
}

static int identify(const struct store_config *cfg, struct store_identity *out, struct err *err)
{
	char *fingerprint = imap_fingerprint(cfg->settings);
	int ret = ledger_identify(cfg->index, fingerprint, out, err);

	free(fingerprint);
	return ret;
}

static void close_store(struct store *base)
{
	struct ledger_store *st = store_of(base);

	while (st->mailboxes) {
		struct ledger_mailbox *mb = st->mailboxes;

		st->mailboxes = mb->next;
		mailbox_name_release(&mb->mailbox.name);
		free(mb);
	}
	ledger_close(st->ledger);
	free(st);
}

static int open_store(struct store **out, const struct store_config *cfg, enum store_mode mode,
		      struct err *err)
{
	struct ledger_store *st = xcalloc(1, sizeof(*st));
	char *fingerprint = imap_fingerprint(cfg->settings);
	int ret = ledger_open(&st->ledger, cfg->index, fingerprint, mode, err);

	free(fingerprint);
	if (ret == 0 && !st->ledger)
		ret = err_set(err, ERR_MISSING, "%s is not there", cfg->index);
	if (ret < 0) {
		free(st);
		return -1;
	}
	st->store = (struct store){ .ops = &imap_ledger_store, .cfg = cfg };
	*out = &st->store;
	return 0;
}

static int list(struct store *base, const char *hint, struct mailbox_list *out, struct err *err)
{
	size_t n;
	struct ledger_box *const *box = ledger_boxes(store_of(base)->ledger, &n);

	(void)hint;
	(void)err;
	for (size_t i = 0; i < n; i++) {
		struct mailbox_info *info = mailbox_list_add(out);

		mailbox_name_copy(&info->name, &box[i]->name);
		info->token = box[i]->token;
		info->known = box[i]->known;
		info->stored = box[i]->stored;
		info->adopted = box[i]->adopted;
		info->pending = box[i]->pending;
		info->kept = box[i]->kept;
		info->held = box[i]->held;
		info->bytes = box[i]->bytes;
	}
	mailbox_list_sort(out);
	out->complete = true;
	return 0;
}

static int open_mailbox(struct store *base, const struct mailbox_info *info, enum store_mode mode,
			struct mailbox **out, struct err *err)
{
	struct ledger_store *st = store_of(base);
	struct ledger_box *box = ledger_box_find(st->ledger, &info->name);
	struct ledger_mailbox *mb;

	(void)mode;
	if (!box)
		return err_set(err, ERR_MAILBOX, "nothing was copied to it");
	mb = xcalloc(1, sizeof(*mb));
	mb->mailbox.store = base;
	mailbox_name_copy(&mb->mailbox.name, &info->name);
	mb->box = box;
	mb->next = st->mailboxes;
	st->mailboxes = mb;
	*out = &mb->mailbox;
	return 0;
}

static int base_of(struct mailbox *mb, struct base *out, struct err *err)
{
	return ledger_base(ledger_of(mb), box_of(mb), out, err);
}

static int quarantine_of(struct mailbox *mb, struct base *out, struct err *err)
{
	return ledger_quarantine(ledger_of(mb), box_of(mb), out, err);
}

static int set_base(struct mailbox *mb, const struct base *b, struct err *err)
{
	return ledger_set_base(ledger_of(mb), box_of(mb), b, err);
}

static int commit(struct store *base, struct err *err)
{
	return ledger_commit(store_of(base)->ledger, err);
}

const struct store_ops imap_ledger_store = {
	.type = "ledger",
	.traits = STORE_HOLDS_BASE,
	.identify = identify,
	.open = open_store,
	.close = close_store,
	.list = list,
	.open_mailbox = open_mailbox,
	.base = base_of,
	.quarantine = quarantine_of,
	.set_base = set_base,
	.commit = commit,
};
