#ifndef CMD_RESTORE_ENDS_H
#define CMD_RESTORE_ENDS_H

#include <stdbool.h>

#include "core/base/err.h"

#include "cmd/account.h"
#include "cmd/store_arg.h"

struct app;
struct cmd;
struct mbox_settings;
struct restore_settings;

/* Where `restore` reads and where it adds. */

/*
 * The source: a store as store_arg_find() finds it, or what other programs left at a path: an mbox file, a Maildir, or a directory
 * of .eml files. Of these the identity's presence is STORE_FOREIGN. Errors as store_arg_find(). Released by store_arg_release().
 */
int restore_source_find(struct store_arg *out, struct app *app, const char *text, struct err *err);
/* --into MAILBOX: 0, or -1 after telling the user. */
int restore_read_into(struct mailbox_name *out, const struct cmd *cmd, const char *text);
/*
 * Files of other programs name their mailboxes themselves: set->into becomes theirs. Nothing happens with another source. `files`
 * must outlive the settings.
 */
void restore_source_into(const struct store_arg *source, struct restore_settings *set,
			 struct mbox_settings *files);
/* Neither lies in the other: what is added would be part of what is read. */
int restore_check_apart(const struct store_arg *source, const char *target, struct err *err);

/* The target: a directory, or an account of the configuration. Must not move. */
struct restore_target {
	const char *text; /* as it was named */
	bool is_account;
	struct account account; /* if it is one */
	char *fingerprint, *state_dir;
};

/* ERR_CONFIG: it is a store of the configuration. */
int restore_target_find(struct restore_target *out, struct app *app, const char *text, bool dry_run,
			struct err *err);
/* Whether mail of the source may be put there. */
int restore_target_check(const struct restore_target *target, const struct store_arg *source,
			 struct err *err);
void restore_target_release(struct restore_target *target); /* also after a failure */

#endif
