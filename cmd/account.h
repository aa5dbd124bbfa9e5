#ifndef CMD_ACCOUNT_H
#define CMD_ACCOUNT_H

#include <stdbool.h>

#include "core/imap/account.h"

#include "cmd/login_memory.h"
#include "cmd/password.h"

struct config_account;

/* An `[account NAME]` as core/imap wants it, with what it points to. Do not move it once made. */
struct account {
	struct imap_account imap;
	struct password_source password;
	struct login_memory memory;
	char *port;
};

/* `ac` is borrowed. With `dry_run` its logins leave no trace in the state. */
void account_init(struct account *a, const struct config_account *ac, bool dry_run);
void account_release(struct account *a); /* wipes the password */

#endif
