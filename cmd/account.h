#ifndef CMD_ACCOUNT_H
#define CMD_ACCOUNT_H

#include "core/imap/account.h"

#include "cmd/password.h"

struct config_account;

/* An `[account NAME]` as core/imap wants it, with what it points to. Do not move it once made. */
struct account {
	struct imap_account imap;
	struct password_source password;
	char *port;
};

/* `ac` is borrowed. */
void account_init(struct account *a, const struct config_account *ac);
void account_release(struct account *a); /* wipes the password */

#endif
