#include "core/base/bytes.h"

#include "core/base/mem.h"

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

bool bytes_is(struct bytes a, const char *s)
{
	return bytes_equal(a, bytes_of(s));
}

bool bytes_is_nocase(struct bytes a, const char *s)
{
	return bytes_equal_nocase(a, bytes_of(s));
}

bool bytes_starts_nocase(struct bytes a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.n >= n && bytes_equal_nocase(bytes_from(a.p, n), bytes_of(prefix));
}

int bytes_compare(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

char *bytes_dup(struct bytes b)
{
	char *s = xmalloc(b.n + 1);

	if (b.n)
		memcpy(s, b.p, b.n);
	s[b.n] = '\0';
	return s;
}

bool bytes_to_u64(struct bytes b, uint64_t *out)
{
	uint64_t v = 0;

	if (b.n == 0)
		return false;
	for (size_t i = 0; i < b.n; i++)
		if (!ascii_is_digit(b.p[i]) ||
		    __builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(b.p[i] - '0'), &v))
			return false;
	*out = v;
	return true;
}

bool bytes_to_u32(struct bytes b, uint32_t *out)
{
	uint64_t v;

	if (!bytes_to_u64(b, &v) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}
