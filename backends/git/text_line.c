#include "backends/git/text_line.h"

#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"

#define SHOWN_MAX 80

int text_line(struct bytes *rest, size_t *number, struct bytes *line, struct err *err)
{
	if (rest->n == 0)
		return 0;
	++*number;
	if (!text_take_until(rest, '\n', line))
		return text_fail(*number, "the text ends in the middle of a line", *rest, err);
	return 1;
}

int text_fail(size_t number, const char *what, struct bytes shown, struct err *err)
{
	char *text = escape_text(shown, SHOWN_MAX);

	err_set(err, ERR_FATAL, "line %zu: %s: \"%s\"", number, what, text);
	free(text);
	return -1;
}

bool text_take_number(struct bytes *in, uint64_t most, uint64_t *out)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; n < in->n && ascii_is_digit(in->p[n]); n++)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(in->p[n] - '0'), &v))
			return false;
	if (n == 0 || (in->p[0] == '0' && n > 1) || v > most)
		return false;
	*in = bytes_skip(*in, n);
	*out = v;
	return true;
}

bool text_take_until(struct bytes *in, uint8_t end, struct bytes *out)
{
	const uint8_t *at = in->n ? memchr(in->p, end, in->n) : NULL;

	if (!at)
		return false;
	*out = bytes_from(in->p, (size_t)(at - in->p));
	*in = bytes_skip(*in, out->n + 1);
	return true;
}

bool text_number(struct bytes in, uint64_t most, uint64_t *out)
{
	return text_take_number(&in, most, out) && in.n == 0;
}

static bool is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

bool text_has_control(struct bytes in)
{
	for (size_t i = 0; i < in.n; i++)
		if (is_control(in.p[i]))
			return true;
	return false;
}

bool text_is_word(struct bytes in)
{
	for (size_t i = 0; i < in.n; i++)
		if (!ascii_is_digit(in.p[i]) && !(in.p[i] >= 'a' && in.p[i] <= 'z') &&
		    in.p[i] != '-')
			return false;
	return in.n > 0;
}

void text_add_number(uint64_t v, struct buf *out)
{
	char digits[20]; /* UINT64_MAX */
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + v % 10);
	while (v /= 10);
	buf_add(out, bytes_from(digits + at, sizeof(digits) - at));
}

void text_escape(struct bytes in, unsigned how, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = in.p[i];
		const char text[] = { '%', hex[c >> 4], hex[c & 15] };

		if (is_control(c) || c == '%' || (c == '"' && (how & TEXT_QUOTED)) ||
		    (c > 0x7f && (how & TEXT_ASCII)))
			buf_add(out, bytes_from(text, sizeof(text)));
		else
			buf_add_byte(out, c);
	}
}

static int hex_value(uint8_t c)
{
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The next byte that `in` stands for and how much of `in` says so; -1 when it is not ours. */
static int next_byte(struct bytes in, size_t *used)
{
	int high, low;

	*used = 1;
	if (in.p[0] != '%')
		return is_control(in.p[0]) ? -1 : in.p[0];
	if (in.n < 3)
		return -1;
	*used = 3;
	high = hex_value(in.p[1]);
	low = hex_value(in.p[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool text_unescape(struct bytes in, struct buf *out)
{
	while (in.n > 0) {
		size_t used;
		int c = next_byte(in, &used);

		if (c < 0)
			return false;
		buf_add_byte(out, (uint8_t)c);
		in = bytes_skip(in, used);
	}
	return true;
}

size_t text_unescaped_size(struct bytes in)
{
	size_t n = 0;

	for (; in.n > 0; n++) {
		size_t used;

		if (next_byte(in, &used) <= 0)
			return SIZE_MAX;
		in = bytes_skip(in, used);
	}
	return n;
}
