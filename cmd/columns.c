#include "cmd/columns.h"

#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "core/base/buf.h"
#include "core/base/utf8.h"

/* What the locale does not know counts as one. */
static size_t width_at(struct bytes left, size_t *used)
{
	uint32_t c;
	size_t n = utf8_decode(left, &c);
	int width = n ? wcwidth((wchar_t)c) : 1;

	*used = n ? n : 1;
	return width < 0 ? 1 : (size_t)width;
}

/* The longest beginning of the text that is at most `most` columns wide; its width in *width. */
static size_t beginning(const char *text, size_t most, size_t *width)
{
	struct bytes left = bytes_of(text);
	size_t used, w;

	for (*width = 0; left.n > 0; left = bytes_skip(left, used)) {
		w = width_at(left, &used);
		if (w > most - *width)
			break;
		*width += w;
	}
	return (size_t)(left.p - (const uint8_t *)text);
}

size_t columns_of(const char *text)
{
	size_t width;

	beginning(text, SIZE_MAX, &width);
	return width;
}

/* Returns how wide what was added is. */
static size_t add_cut(struct buf *out, const char *text, size_t width)
{
	size_t w, n = beginning(text, width, &w);

	if (text[n] == '\0' || width < 3) {
		buf_add(out, bytes_from(text, n));
		return w;
	}
	n = beginning(text, width - 3, &w);
	buf_add(out, bytes_from(text, n));
	buf_add_str(out, "...");
	return w + 3;
}

void columns_add(struct buf *out, const char *text, size_t width)
{
	size_t w = add_cut(out, text, width);

	buf_addf(out, "%*s", (int)(width - w), "");
}

void columns_add_last(struct buf *out, const char *text, size_t width)
{
	add_cut(out, text, width ? width : SIZE_MAX);
}

size_t columns_terminal(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}
