#include "core/msgset/uidtext.h"

#include <stdlib.h>

#include "core/base/err.h"
#include "core/base/log.h"

const struct uidset_limits uidset_limits_default = { .bytes = 16u << 20, .ranges = 1000000 };

void uidtext_init(struct uidtext *t, struct bytes text, unsigned syntax,
		  const struct uidset_limits *limits)
{
	*t = (struct uidtext){ .text = text, .syntax = syntax,
			       .limits = limits ? *limits : uidset_limits_default };
}

int uidtext_fail(const struct uidtext *t, const char *what, struct err *err)
{
	/* Around the place: the start of a long set says nothing about its middle. */
	size_t from = t->at > 20 ? t->at - 20 : 0;
	char *near = escape_text(bytes_skip(t->text, from), 40);

	err_set(err, t->syntax & UIDSET_TOLERANT ? ERR_MAILBOX : ERR_CONFIG,
		"message set: %s at byte %zu, near '%s'", what, t->at + 1, near);
	free(near);
	return -1;
}

static bool tolerant(const struct uidtext *t)
{
	return t->syntax & UIDSET_TOLERANT;
}

static int peek(const struct uidtext *t)
{
	return t->at < t->text.n ? t->text.p[t->at] : -1;
}

static void skip_blanks(struct uidtext *t)
{
	while (tolerant(t) && (peek(t) == ' ' || peek(t) == '\t'))
		t->at++;
}

static bool at_digit(const struct uidtext *t)
{
	return t->at < t->text.n && ascii_is_digit(t->text.p[t->at]);
}

static int read_bound(struct uidtext *t, uint64_t *out, struct err *err)
{
	skip_blanks(t);
	*out = 0;
	if (peek(t) == '*') {
		if (!(t->syntax & UIDSET_ALLOW_STAR))
			return uidtext_fail(t, "'*' is not allowed here", err);
		t->at++;
		*out = UIDSET_STAR;
	} else {
		if (!at_digit(t))
			return uidtext_fail(t, "a number is missing", err);
		if (!tolerant(t) && peek(t) == '0')
			return uidtext_fail(t, "numbers begin with 1 to 9", err);
		for (; at_digit(t); t->at++) {
			*out = *out * 10 + (uint64_t)(t->text.p[t->at] - '0');
			if (*out > UINT32_MAX)
				return uidtext_fail(t, "number above 4294967295", err);
		}
	}
	skip_blanks(t);
	return 0;
}

/* At the end before any item: an empty text, which only a tolerant reader takes. */
static int at_start(struct uidtext *t, struct err *err)
{
	if (t->text.n > t->limits.bytes)
		return uidtext_fail(t, "too long", err);
	skip_blanks(t);
	if (t->at < t->text.n)
		return 1;
	return tolerant(t) ? 0 : uidtext_fail(t, "empty", err);
}

static int read_separator(struct uidtext *t, struct err *err)
{
	if (t->at == t->text.n)
		return 0;
	if (peek(t) != ',')
		return uidtext_fail(t, "',' expected", err);
	t->at++;
	return 1;
}

int uidtext_next(struct uidtext *t, uint64_t *a, uint64_t *b, struct err *err)
{
	int more = t->items == 0 ? at_start(t, err) : read_separator(t, err);

	*a = *b = 0;
	if (more <= 0)
		return more;
	if (t->items++ == t->limits.ranges)
		return uidtext_fail(t, "too many items", err);
	skip_blanks(t);
	if (tolerant(t) && (t->at == t->text.n || peek(t) == ','))
		return 1;
	if (read_bound(t, a, err) < 0)
		return -1;
	*b = *a;
	if (peek(t) == ':') {
		t->at++;
		if (read_bound(t, b, err) < 0)
			return -1;
	}
	if (*a > *b) {
		uint64_t swap = *a;

		*a = *b;
		*b = swap;
	}
	return 1;
}

static size_t digits(uint64_t v)
{
	size_t n = 1;

	if (v == UIDSET_STAR)
		return 1;
	for (; v >= 10; v /= 10)
		n++;
	return n;
}

size_t uidtext_size(uint64_t a, uint64_t b)
{
	return a == b ? digits(a) : digits(a) + 1 + digits(b);
}

static size_t write_bound(char *out, uint64_t v)
{
	size_t n = digits(v);

	if (v == UIDSET_STAR) {
		*out = '*';
		return n;
	}
	for (size_t i = n; i-- > 0; v /= 10)
		out[i] = (char)('0' + v % 10);
	return n;
}

size_t uidtext_write(char out[UIDTEXT_MAX], uint64_t a, uint64_t b)
{
	size_t n = write_bound(out, a);

	if (a == b)
		return n;
	out[n++] = ':';
	return n + write_bound(out + n, b);
}
