#ifndef CORE_IMAP_QUIRKS_H
#define CORE_IMAP_QUIRKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct imap_caps;

/*
 * Servers known to advertise what does not work there. Each row is a finding of users of such a
 * server, and has its case in tests/unit/test_imap_quirks.c.
 */
struct imap_quirk {
	const char *host;     /* the name ends in this, whole labels; NULL: any */
	const char *greeting; /* the greeting's text contains this; NULL: any */
	const char *disable;  /* as imap_account.disable_extensions */
	const char *why;
};

/*
 * The rows that fit, one per call: the first from `*at` on, which is moved behind it. Start with
 * *at = 0. `greeting` is empty before it came; rows that ask for one do not fit then. NULL: no
 * more.
 */
const struct imap_quirk *imap_quirk_next(const char *host, struct bytes greeting, size_t *at);

/*
 * Servers that show only the newest so many messages of a mailbox, to every program, and say that these are all.
 * So a mailbox with just as many is no proof that an older message is gone.
 */
struct imap_limit {
	const char *host;       /* as above */
	const char *capability; /* or a server that lists this */
	uint32_t counts[4];     /* 0: no more */
	bool always;            /* no setting that the user could turn off: so many messages are no chance */
	const char *why;        /* what the user may do; a clause */
};

/* The one that a mailbox with so many messages may be under, or NULL. `caps`: what the server lists. */
const struct imap_limit *imap_limit_find(const char *host, const struct imap_caps *caps,
					 uint32_t messages);

/* How many connections at once such a server allows to an account; 0: not known. */
unsigned imap_quirk_connections(const char *host);

#endif
