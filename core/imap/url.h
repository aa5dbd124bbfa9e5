#ifndef CORE_IMAP_URL_H
#define CORE_IMAP_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct buf;
struct err;

/* A message on this server, or a part of it, for CATENATE. */
struct imap_url {
	struct bytes mailbox;  /* wire name */
	uint32_t uid_validity; /* not 0: a UID alone may mean another message by now */
	uint32_t uid;          /* not 0 */
	const char *section;   /* as in BODY[section]; NULL or "": the whole message */
};

/*
 * Add `/Drafts;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2` (RFC 5092, section 6, without a server:
 * it is this one). `utf8`: wire names are UTF-8, else modified UTF-7. Whatever is no letter, digit,
 * `-`, `.`, `_` or `~` is percent-encoded, so a name cannot become another part of the URL. -1
 * (ERR_CONFIG), adding nothing: no UID or UIDVALIDITY, or a name that no URL can say, since it is not
 * text or has a component that is empty, `.` or `..`, which URLs take for steps.
 */
int imap_url_add(const struct imap_url *url, bool utf8, struct buf *out, struct err *err);

#endif
