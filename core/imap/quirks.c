#include "core/imap/quirks.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "core/imap/caps.h"

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

unsigned imap_quirk_connections(const char *host)
{
	return is_host(host, "imap.gmail.com") || is_host(host, "imap.googlemail.com") ? 15 : 0;
}

static const struct imap_limit limits[] = {
	{ .host = "gmail.com", .capability = "X-GM-EXT-1", .counts = { 1000, 2000, 5000, 10000 },
	  .why = "Gmail shows no more where \"Folder size limits\" is set (Settings, Forwarding and "
		 "POP/IMAP); if it is, choose \"Do not limit\" there" },
	/* The export server shows 100,000, with the same capabilities. */
	{ .host = "export.imap.mail.yahoo.com", .counts = { 100000 }, .always = true,
	  .why = "Yahoo shows no more of a mailbox on this server; move older mail into other mailboxes" },
	{ .host = "mail.yahoo.com", .capability = "XYMHIGHESTMODSEQ", .counts = { 10000 },
	  .always = true,
	  .why = "Yahoo shows no more of a mailbox; host = export.imap.mail.yahoo.com shows 100000, or "
		 "move older mail into other mailboxes" },
	{ .host = "imap.aol.com", .counts = { 10000 }, .always = true,
	  .why = "AOL shows no more of a mailbox; host = export.imap.aol.com shows 100000, or move "
		 "older mail into other mailboxes" },
};

static bool has_count(const struct imap_limit *l, uint32_t messages)
{
	for (size_t i = 0; i < sizeof(l->counts) / sizeof(l->counts[0]); i++)
		if (l->counts[i] && l->counts[i] == messages)
			return true;
	return false;
}

const struct imap_limit *imap_limit_find(const char *host, const struct imap_caps *caps,
					 uint32_t messages)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (is_host(host, limits[i].host) ||
		    (limits[i].capability && imap_caps_lists(caps, limits[i].capability)))
			return has_count(&limits[i], messages) ? &limits[i] : NULL;
	return NULL;
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
