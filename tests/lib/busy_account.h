#ifndef TESTS_LIB_BUSY_ACCOUNT_H
#define TESTS_LIB_BUSY_ACCOUNT_H

#include <stdint.h>

#include "tests/lib/imap_oracle.h"

/*
 * An account in which things happen at random: mail comes, with content that was there before, too; flags
 * change, messages go and move. The same seed is the same history; SEED in the environment chooses it.
 */
struct busy_account {
	struct oracle *oracle; /* borrowed */
	uint64_t seed;
	uint32_t appended;
};

/* Makes the mailboxes, and prints the seed. */
void busy_begin(struct busy_account *b, struct oracle *oracle);
/* One change. */
void busy_change(struct busy_account *b);
/* A random number below `n`. */
uint32_t busy_roll(struct busy_account *b, uint32_t n);

#endif
