#include "core/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/utf8.h"

static struct {
	enum log_level most;
	log_fn *fn;
	void *ctx;
} sink;

void log_set(enum log_level most, log_fn *fn, void *ctx)
{
	sink.most = most;
	sink.fn = fn;
	sink.ctx = ctx;
}

bool log_wants(enum log_level level)
{
	return sink.fn && level <= sink.most;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n >= 0)
		sink.fn(sink.ctx, level, text);
	free(text);
}

/* Characters that move the cursor, reorder or hide text on a terminal. */
static bool is_hostile(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x061c ||
	       c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	       c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe007f);
}

/* One character, or one byte that is none, taken from the front of *left. */
static void escape_one(struct buf *out, struct bytes *left)
{
	uint32_t c;
	size_t n = utf8_decode(*left, &c);

	if (n == 0) {
		buf_addf(out, "\\x%02X", left->p[0]);
		n = 1;
	} else if (c < 0x80 && is_hostile(c)) {
		buf_addf(out, "\\x%02X", (unsigned)c);
	} else if (is_hostile(c)) {
		buf_addf(out, "\\u{%X}", (unsigned)c);
	} else {
		buf_add(out, bytes_from(left->p, n));
	}
	*left = bytes_skip(*left, n);
}

void escape_add(struct buf *out, struct bytes text, size_t max)
{
	struct bytes left = bytes_from(text.p, text.n < max ? text.n : max);

	while (left.n > 0) {
		if (left.p[0] == '\\')
			buf_add_byte(out, '\\');
		escape_one(out, &left);
	}
	if (text.n > max)
		buf_add_str(out, "...");
}

void escape_add_lines_end(struct buf *out, bool *cr)
{
	if (*cr) /* not of a line end: it would go back to the start of the line */
		buf_add_str(out, "\\x0D");
	*cr = false;
}

void escape_add_lines(struct buf *out, struct bytes piece, bool *cr)
{
	struct bytes left = piece;

	while (left.n > 0) {
		uint8_t c = left.p[0];

		if (c != '\n')
			escape_add_lines_end(out, cr);
		*cr = c == '\r';
		if (c == '\n' || c == '\t')
			buf_add_byte(out, c);
		if (c == '\n' || c == '\t' || c == '\r')
			left = bytes_skip(left, 1);
		else
			escape_one(out, &left);
	}
}

char *escape_text(struct bytes text, size_t max)
{
	struct buf out = BUF_INIT(SIZE_MAX / 2);

	escape_add(&out, text, max);
	return buf_take(&out);
}

char *shell_word(const char *text)
{
	struct buf out = BUF_INIT(SIZE_MAX / 2);

	buf_add_byte(&out, '\'');
	for (; *text; text++)
		if (*text == '\'')
			buf_add_str(&out, "'\\''");
		else
			buf_add_byte(&out, (uint8_t)*text);
	buf_add_byte(&out, '\'');
	return buf_take(&out);
}
