#ifndef TESTS_LIB_BUSY_ACCOUNT_H
#define TESTS_LIB_BUSY_ACCOUNT_H

#include <stdint.h>

#include "tests/lib/imap_oracle.h"

/*
 * An account in which things happen at random: mail comes, with content that was there before, too; flags
 * change, messages go and move; mailboxes come, go, are renamed with all below them, swap their names, and take
 * those of deleted ones; UIDs are lost. The same seed is the same history; SEED in the environment
 * chooses it. One message stays in INBOX, so that the account is never empty.
 */
struct busy_account {
	struct oracle *oracle; /* borrowed */
	const char *maildir; /* borrowed: where the server keeps it, for UIDs to be lost; NULL: they are not */
	uint64_t seed;
	uint32_t appended;
};

/* Makes the mailboxes, and prints the seed. */
void busy_begin(struct busy_account *b, struct oracle *oracle, const char *maildir);
/* One change. */
void busy_change(struct busy_account *b);
/* A random number below `n`. */
uint32_t busy_roll(struct busy_account *b, uint32_t n);

/*
 * Options for backups of it: a mailbox that is made anew and empty would be left alone, and one that lost
 * all would be held.
 */
#define BUSY_BACKUP "--allow-deletes=1000000"

#endif
