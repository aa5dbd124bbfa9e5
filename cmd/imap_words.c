#include "cmd/imap_words.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"

void words_release(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct words){ 0 };
}

static void add_word(struct words *w, char *word)
{
	w->v = xgrow(w->v, w->n + 1, &w->cap, sizeof(*w->v));
	w->v[w->n++] = word;
	w->v[w->n] = NULL;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Append one word from *line, moving it forward; false when a quote is not closed. */
static bool take_word(struct bytes *line, struct buf *word)
{
	uint8_t quote = 0;

	for (; line->n && (quote || !is_blank(*line->p)); *line = bytes_skip(*line, 1)) {
		uint8_t c = *line->p, next = line->n > 1 ? line->p[1] : 0;

		if (c == '\\' && quote != '\'' && (!quote || next == '"' || next == '\\')) {
			if (line->n == 1)
				return false;
			buf_add_byte(word, next);
			*line = bytes_skip(*line, 1);
		} else if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? 0 : c;
		} else {
			buf_add_byte(word, c);
		}
	}
	return !quote;
}

int words_split(struct words *out, struct bytes line, struct err *err)
{
	words_release(out);
	if (line.n && memchr(line.p, 0, line.n))
		return err_set(err, ERR_CONFIG, "a NUL byte");
	for (;;) {
		struct buf word = BUF_INIT(line.n + 1);

		while (line.n && is_blank(*line.p))
			line = bytes_skip(line, 1);
		if (!line.n || *line.p == '#')
			return 0;
		if (!take_word(&line, &word)) {
			buf_release(&word);
			return err_set(err, ERR_CONFIG, "a quote is not closed");
		}
		add_word(out, buf_take(&word));
	}
}
