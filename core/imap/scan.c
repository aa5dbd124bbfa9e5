#include "core/imap/scan.h"

#include <string.h>

#define MAX_DEPTH 32

struct imap_scan imap_scan_init(void *text, size_t n)
{
	uint8_t *p = text;

	return (struct imap_scan){ .p = p, .end = p ? p + n : p };
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(struct imap_scan *s)
{
	while (s->p < s->end && is_blank(*s->p))
		s->p++;
}

bool imap_scan_at_end(struct imap_scan *s)
{
	skip_blanks(s);
	return s->p == s->end;
}

uint8_t imap_scan_peek(struct imap_scan *s)
{
	return imap_scan_at_end(s) ? 0 : *s->p;
}

bool imap_scan_byte(struct imap_scan *s, char c)
{
	if (imap_scan_at_end(s) || *s->p != (uint8_t)c)
		return false;
	s->p++;
	return true;
}

bool imap_scan_atom(struct imap_scan *s, struct bytes *out)
{
	uint8_t *start;

	if (imap_scan_at_end(s) || *s->p == '(' || *s->p == ')' || *s->p == '"')
		return false;
	start = s->p;
	while (s->p < s->end && !is_blank(*s->p) && *s->p != '(' && *s->p != ')')
		s->p++;
	*out = bytes_from(start, (size_t)(s->p - start));
	return true;
}

/* The closing quote of the string that begins after `p`: the first that is not escaped and has a
 * delimiter behind it, as senders forget to escape inner ones. NULL when there is none. */
static uint8_t *closing_quote(const struct imap_scan *s, uint8_t *p)
{
	for (; p < s->end; p++) {
		if (*p == '\\' && p + 1 < s->end && (p[1] == '"' || p[1] == '\\'))
			p++;
		else if (*p == '"' && (p + 1 == s->end || is_blank(p[1]) || p[1] == ')' ||
				       p[1] == ']' || p[1] == '\r' || p[1] == '\n'))
			return p;
	}
	return NULL;
}

bool imap_scan_quoted(struct imap_scan *s, struct bytes *out)
{
	uint8_t *start, *end, *to;

	if (imap_scan_peek(s) != '"')
		return false;
	start = s->p + 1;
	end = closing_quote(s, start);
	if (!end)
		return false;
	to = start;
	for (uint8_t *p = start; p < end; p++) {
		if (*p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\'))
			p++;
		*to++ = *p;
	}
	*out = bytes_from(start, (size_t)(to - start));
	s->p = end + 1;
	return true;
}

bool imap_scan_astring(struct imap_scan *s, struct bytes *out)
{
	return imap_scan_quoted(s, out) || imap_scan_atom(s, out);
}

bool imap_scan_nstring(struct imap_scan *s, struct bytes *out)
{
	bool quoted = imap_scan_peek(s) == '"';

	if (!imap_scan_astring(s, out))
		return false;
	if (!quoted && bytes_is_nocase(*out, "NIL"))
		*out = bytes_from(NULL, 0);
	return true;
}

bool imap_scan_u64(struct imap_scan *s, uint64_t *out)
{
	uint8_t *start = s->p;
	struct bytes atom;

	if (imap_scan_atom(s, &atom) && bytes_to_u64(atom, out))
		return true;
	s->p = start;
	return false;
}

bool imap_scan_list(struct imap_scan *s, struct bytes *out)
{
	unsigned depth = 1;
	uint8_t *start;

	if (imap_scan_peek(s) != '(')
		return false;
	start = s->p + 1;
	for (uint8_t *p = start; p < s->end; p++) {
		bool value = is_blank(p[-1]) || p[-1] == '(';

		if (*p == '"' && value)
			p = closing_quote(s, p + 1);
		if (!p)
			return false;
		if (*p == '(' && ++depth > MAX_DEPTH)
			return false;
		if (*p == ')' && --depth == 0) {
			*out = bytes_from(start, (size_t)(p - start));
			s->p = p + 1;
			return true;
		}
	}
	return false;
}

bool imap_scan_skip(struct imap_scan *s)
{
	struct bytes ignored;

	if (imap_scan_peek(s) == '(')
		return imap_scan_list(s, &ignored);
	return imap_scan_astring(s, &ignored);
}

static bool scan_namespace(struct imap_scan *s, struct imap_namespace *out)
{
	struct bytes delimiter;

	if (!imap_scan_byte(s, '(') || !imap_scan_astring(s, &out->prefix) ||
	    !imap_scan_nstring(s, &delimiter) || delimiter.n > 1)
		return false;
	out->delimiter = delimiter.n ? delimiter.p[0] : 0;
	while (imap_scan_peek(s) != ')') /* extensions: a name and a list */
		if (!imap_scan_skip(s))
			return false;
	return imap_scan_byte(s, ')');
}

bool imap_scan_namespaces(struct imap_scan *s, struct imap_namespace *out, size_t max, size_t *n)
{
	*n = 0;
	for (int kind = IMAP_NAMESPACE_PERSONAL; kind <= IMAP_NAMESPACE_SHARED; kind++) {
		struct bytes nil;

		if (imap_scan_peek(s) != '(') {
			if (!imap_scan_nstring(s, &nil) || nil.p)
				return false;
			continue;
		}
		imap_scan_byte(s, '(');
		while (imap_scan_peek(s) == '(') {
			struct imap_namespace ns = { .kind = (enum imap_namespace_kind)kind };

			if (!scan_namespace(s, &ns))
				return false;
			if (*n < max)
				out[(*n)++] = ns;
		}
		if (!imap_scan_byte(s, ')'))
			return false;
	}
	return true;
}
