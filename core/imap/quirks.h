#ifndef CORE_IMAP_QUIRKS_H
#define CORE_IMAP_QUIRKS_H

#include <stddef.h>

#include "core/base/bytes.h"

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

#endif
