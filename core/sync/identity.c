#include "core/sync/identity.h"

#include <stddef.h>
#include <string.h>

static bool is_value(struct bytes v)
{
	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i], low = c | 0x20;

		if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
	}
	return v.n > 0 && v.n <= IDENTITY_VALUE_MAX;
}

static bool has_kind(struct bytes identity, const char *kind)
{
	return identity.n > strlen(kind) && memcmp(identity.p, kind, strlen(kind)) == 0;
}

bool identity_is_valid(struct bytes identity)
{
	/* Both prefixes have the same length. */
	_Static_assert(sizeof(IDENTITY_EMAIL) == sizeof(IDENTITY_GMAIL), "prefixes");

	return (has_kind(identity, IDENTITY_EMAIL) || has_kind(identity, IDENTITY_GMAIL)) &&
	       is_value(bytes_skip(identity, sizeof(IDENTITY_EMAIL) - 1));
}
