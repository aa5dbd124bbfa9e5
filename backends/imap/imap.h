#ifndef BACKENDS_IMAP_IMAP_H
#define BACKENDS_IMAP_IMAP_H

#include "core/sync/store.h"

struct imap_account;

/*
 * The store "imap": an account on a server, through core/imap. store_config.settings is a
 * struct imap_account; `connections` of it are opened as the work asks for them, fewer when
 * the server does not grant more. Of an account that is read mailboxes are only ever opened with EXAMINE, unless
 * store_config.prunes.
 */
extern const struct store_ops imap_store;

/*
 * The store "ledger": what is remembered of an account that is written to, in store_config.index, without asking the
 * server. It tells what the mailboxes hold and what is in quarantine, which can be changed. Nothing of it can be read as
 * mail. store_config.settings as above.
 */
extern const struct store_ops imap_ledger_store;

/*
 * Whose mail it is, for store_config.account: "user@host", the host in lower case. The user is the
 * one acted for (authzid) where there is one. Owned by the caller.
 */
char *imap_fingerprint(const struct imap_account *account);

/*
 * For tests: the waits before a lost line is made anew, and before a message of which no answer came counts as not
 * stored, are `percent` of what they are otherwise.
 */
void imap_store_set_patience(struct store *st, unsigned percent);

#endif
