#include "core/imap/quirks.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct imap_quirk quirks[] = {
	{ .host = "mail.me.com", .disable = "QRESYNC",
	  .why = "iCloud never says ENABLED and its VANISHED cannot be read" },
	{ .host = "mail.icloud.com", .disable = "QRESYNC",
	  .why = "iCloud never says ENABLED and its VANISHED cannot be read" },
	{ .host = "imap.gmail.com", .disable = "MOVE",
	  .why = "Gmail ends the connection after MOVE to its Trash" },
	{ .host = "imap.googlemail.com", .disable = "MOVE",
	  .why = "Gmail ends the connection after MOVE to its Trash" },
	{ .greeting = "Microsoft Exchange IMAP4", .disable = "MOVE, IMAP4rev2",
	  .why = "Exchange 2013 loses messages on MOVE; where it offers IMAP4rev2 SEARCH fails" },
	{ .greeting = "Cyrus IMAP 3.6.", .disable = "STATUS=MAILBOXID",
	  .why = "Cyrus 3.6 takes the id that STATUS tells from memory already freed" },
};

static bool is_host(const char *host, const char *end)
{
	size_t n = strlen(host), m;

	while (n && host[n - 1] == '.') /* the root, written out */
		n--;
	m = strlen(end);
	return n >= m && strncasecmp(host + n - m, end, m) == 0 &&
	       (n == m || host[n - m - 1] == '.');
}

static bool fits(const struct imap_quirk *q, const char *host, struct bytes greeting)
{
	if (q->host && !is_host(host, q->host))
		return false;
	return !q->greeting ||
	       (greeting.n && memmem(greeting.p, greeting.n, q->greeting, strlen(q->greeting)));
}

const struct imap_quirk *imap_quirk_next(const char *host, struct bytes greeting, size_t *at)
{
	while (*at < sizeof(quirks) / sizeof(quirks[0])) {
		const struct imap_quirk *q = &quirks[(*at)++];

		if (fits(q, host, greeting))
			return q;
	}
	return NULL;
}
