#ifndef CORE_SYNC_RESTORE_H
#define CORE_SYNC_RESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/job.h"
#include "core/sync/store.h"

/*
 * Restoring: add to one store what another holds and it lacks. What is there is never removed, and not changed but for
 * `flags`. Messages are compared by content, mailbox by mailbox and as multisets: two equal ones of
 * the source are two in the target. So it can be stopped anywhere and run again, a second run adds
 * nothing, and a message deleted from the target comes back. Flags, keywords and INTERNALDATE go
 * along; mailboxes are made, also empty ones, with special use and subscription.
 *
 * A target made here has RESTORE_ACCOUNT as its account: no backup goes there, and here
 * no backup is written into.
 *
 * The target may be an account (it has no path). What was put into it is remembered in a ledger, so that what the server made
 * of it is known again; it is asked what it holds all the same. A message of an archive of this very account
 * is there if its UID is, in a mailbox with the UIDVALIDITY of then; of the others only
 * those are looked into whose size tells that they may be one that is wanted.
 *
 * Importing is the same into a local store that backups fill, or will. There what is added is kept (mailbox_keep()): bound to
 * no source, so no backup takes it for gone. It is one commit, at the end: nothing is added unless all of it is. Mailboxes
 * are made where something is added, and those that are there stay as they are.
 */
#define RESTORE_ACCOUNT "restore"

struct restore_settings {
	const struct store_ops *source, *target;
	/*
	 * restore_run() sets run of both, with_kept of the source, and the target's account,
	 * create, adopt, claim_foreign and index. An account's fingerprint is in target_config.account.
	 */
	struct store_config source_config, target_config;
	const char *state_dir; /* where the ledger of an account lies; needed for these only */
	const char *const *mailboxes; /* patterns, see scope.h; n 0: all */
	size_t n_mailboxes;
	/* Only these, by the UIDs that the source's changes() has; of exactly one mailbox. NULL: all. */
	const struct uidset *uids;
	/*
	 * Which messages of a mailbox, by what they are: adds their UIDs to *out (initialised, empty). `have`: all there are. May
	 * be NULL: all.
	 */
	int (*choose)(void *ctx, struct mailbox *mb, const struct changes *have, struct uidset *out,
		      struct err *err);
	void *choose_ctx;
	const struct mailbox_name *into; /* put everything below this mailbox; NULL: where it was */
	bool flags;         /* messages that are there get the flags that the source has of them */
	bool without_kept;  /* leave out what was gone at the account, and kept */
	bool adopt;         /* the target may be a directory that is not ours */
	bool dry_run;       /* find out what would be added, and change nothing */
	/*
	 * Import: where the mail comes from, for who reads the target's history. target_config.create then says whether the
	 * target may be made, and its account is as it was. NULL: restore.
	 */
	const char *import_from;
	const volatile int *stop; /* as struct run; may be NULL */
	void (*progress)(void *ctx, const struct job_progress *p); /* often; may be NULL */
	void *progress_ctx;
};

struct restore_failure {
	uint32_t uid; /* in the source */
	char *reason; /* ready to print */
};

/* What became of one mailbox, or with dry_run what would. */
struct restore_mailbox {
	char *name; /* display text, not escaped */
	bool created;
	uint64_t added, bytes;
	uint64_t present; /* messages that need not be added: they are there */
	uint64_t flags_changed; /* of these, whose flags were not those of the source */
	char *target;     /* what the target calls it, where that is another name; else NULL */
	bool skipped;     /* nothing of it was done */
	char *problem;    /* why it was skipped or is incomplete, ready to print; NULL: none */
	struct restore_failure *failed; /* messages that could not be had or stored */
	size_t n_failed, cap_failed;
};

struct restore_report {
	struct restore_mailbox *v;
	size_t n, cap;
	bool incomplete; /* something is missing: exit 3 */
	uint64_t added, bytes, present, flags_changed;
	char **notes; /* for the user, one sentence each, ready to print */
	size_t n_notes, cap_notes;
};

void restore_report_release(struct restore_report *r);

/*
 * Run it; *report is all zero. On -1 it still says what was added, and all of that is durable.
 * Kinds: ERR_MISSING (no such store, mailbox or message; nothing was done), ERR_CONFIG (the target is
 * not one to restore into), ERR_LOCKED, ERR_RETRY, ERR_STOPPED, ERR_FATAL.
 */
int restore_run(const struct restore_settings *set, struct restore_report *report,
		struct err *err);

#endif
