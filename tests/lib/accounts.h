#ifndef TESTS_LIB_ACCOUNTS_H
#define TESTS_LIB_ACCOUNTS_H

#include <stddef.h>

#include "tests/lib/imap_oracle.h"

/*
 * Whether two accounts hold the same mail, as multisets: in each mailbox the same bytes with the same flags, keywords
 * and dates (as moments: a server may tell another zone). UIDs say nothing.
 */

/* Names as on the wire of each. Fails the test where they differ. */
void mailboxes_equal(struct oracle *a, const char *in_a, struct oracle *b, const char *in_b);
/*
 * All mailboxes of `a`, under the names they have in `b`: with `prefix` in front (but of INBOX), and its delimiter. Other mailboxes
 * of `b` do not matter.
 */
void accounts_equal(struct oracle *a, struct oracle *b, const char *prefix);
/* How many messages a mailbox has. */
size_t mailbox_count(struct oracle *o, const char *mailbox);

#endif
