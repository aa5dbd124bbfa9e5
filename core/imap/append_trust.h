#ifndef CORE_IMAP_APPEND_TRUST_H
#define CORE_IMAP_APPEND_TRUST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/bytes.h"

struct flags;

/*
 * Which combinations of mailbox and flags a server has already accepted with a literal it was asked
 * for first. Only those may go with one that does not wait: a server that refuses an argument
 * before it has read the literal takes the message for commands. Zero-initialise.
 */
struct append_trust {
	char **keys; /* sorted */
	size_t n, cap;
};

void append_trust_release(struct append_trust *t);
/* As text to compare by; owned by the caller. */
char *append_trust_key(struct bytes wire_name, const struct flags *flags);
bool append_trust_has(const struct append_trust *t, const char *key);
void append_trust_add(struct append_trust *t, const char *key);

#endif
