#ifndef CMD_RESTORE_ENDS_H
#define CMD_RESTORE_ENDS_H

#include <stdbool.h>

#include "core/base/err.h"

#include "cmd/account.h"
#include "cmd/store_arg.h"

struct app;

/* Where `restore` reads and where it adds. */

/*
 * The source: a store as store_arg_find() finds it, or what other programs left at a path: an mbox file, a Maildir, or a directory
 * of .eml files. Of these the identity's presence is STORE_FOREIGN. Errors as store_arg_find(). Released by store_arg_release().
 */
int restore_source_find(struct store_arg *out, struct app *app, const char *text, struct err *err);
/* It is a file or files of another program, which name their mailboxes themselves. */
bool restore_source_is_files(const struct store_arg *source);

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
