#ifndef CORE_BASE_BYTES_H
#define CORE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes. Not NUL-terminated, may hold NULs: no str*() on them. */
struct bytes {
	const uint8_t *p;
	size_t n;
};

/* View a C string, or `n` bytes at `p`, as bytes. Nothing is copied. */
static inline struct bytes bytes_of(const char *s)
{
	return (struct bytes){ .p = (const uint8_t *)s, .n = strlen(s) };
}

static inline struct bytes bytes_from(const void *p, size_t n)
{
	return (struct bytes){ .p = (const uint8_t *)p, .n = n };
}

/* The rest of `b` from offset `at` (at <= b.n). */
static inline struct bytes bytes_skip(struct bytes b, size_t at)
{
	return (struct bytes){ .p = at ? b.p + at : b.p, .n = b.n - at };
}

bool bytes_equal(struct bytes a, struct bytes b);
/* ASCII only: locale never changes what a protocol keyword is. */
bool bytes_equal_nocase(struct bytes a, struct bytes b);
bool bytes_is(struct bytes a, const char *s);
bool bytes_is_nocase(struct bytes a, const char *s);
bool bytes_starts_nocase(struct bytes a, const char *prefix);
/* As memcmp() of the common part, then the shorter first. */
int bytes_compare(struct bytes a, struct bytes b);

/* A NUL-terminated copy, owned by the caller. Bytes after a NUL are still copied. */
char *bytes_dup(struct bytes b);

/* Decimal digits only, no sign, no blank, at least one: false on anything else or overflow. */
bool bytes_to_u64(struct bytes b, uint64_t *out);
bool bytes_to_u32(struct bytes b, uint32_t *out);

/* ASCII classification and case, independent of the locale. */
static inline bool ascii_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static inline uint8_t ascii_upper(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
}

static inline uint8_t ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

#endif
