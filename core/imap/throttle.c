#include "core/imap/throttle.h"

#include <string.h>

#include "core/imap/response.h"

#define BACKOFF_MAX_MS ((int64_t)24 * 60 * 60 * 1000)

int64_t imap_backoff_ms(struct bytes text)
{
	static const char words[] = "Suggested Backoff Time: ";
	uint64_t ms = 0;
	size_t n = 0;

	while (text.n && !bytes_starts_nocase(text, words))
		text = bytes_skip(text, 1);
	if (!text.n)
		return 0;
	text = bytes_skip(text, strlen(words));
	while (n < text.n && ascii_is_digit(text.p[n]))
		n++;
	if (n && (!bytes_to_u64(bytes_from(text.p, n), &ms) || ms > (uint64_t)BACKOFF_MAX_MS))
		return BACKOFF_MAX_MS;
	return (int64_t)ms;
}

bool imap_is_throttled(const struct imap_status *st)
{
	static const char mark[] = "[THROTTLED]";

	return st->code == IMAP_CODE_THROTTLED || imap_backoff_ms(st->text) ||
	       (st->text.n && memmem(st->text.p, st->text.n, mark, strlen(mark)));
}
