#include "backends/mbox/wire_form.h"

#include <string.h>

#define FROM "From "
#define FROM_SIZE (sizeof(FROM) - 1)

/* Pieces are gathered, since those made here may be of single bytes. */
struct gathered {
	uint8_t p[16384];
	size_t n;
	wire_fn *fn;
	void *ctx;
};

static int flush(struct gathered *out, struct err *err)
{
	size_t n = out->n;

	out->n = 0;
	return n ? out->fn(out->ctx, bytes_from(out->p, n), err) : 0;
}

static int put(struct gathered *out, const void *p, size_t n, struct err *err)
{
	const uint8_t *from = p;

	while (n > 0) {
		size_t room = sizeof(out->p) - out->n, part = n < room ? n : room;

		memcpy(out->p + out->n, from, part);
		out->n += part;
		from += part;
		n -= part;
		if (out->n == sizeof(out->p) && flush(out, err) < 0)
			return -1;
	}
	return 0;
}

/* What was held up, now that it is no quoted line. */
static int let_go(struct wire_form *w, struct gathered *out, struct err *err)
{
	bool held = w->quotes > 0;
	size_t matched = w->matched;

	w->quotes = w->matched = 0;
	w->in_line = true;
	if (held && put(out, ">", 1, err) < 0)
		return -1;
	return put(out, FROM, matched, err);
}

/* A byte that may belong to the quoting; *taken: it needs no further look. */
static int quoting(struct wire_form *w, uint8_t c, struct gathered *out, bool *taken,
		   struct err *err)
{
	*taken = true;
	if (c == '>' && w->matched == 0 && w->quotes < WIRE_QUOTES_MAX)
		return w->quotes++ ? put(out, ">", 1, err) : 0;
	if (w->quotes > 0 && c == (uint8_t)FROM[w->matched]) {
		if (++w->matched < FROM_SIZE)
			return 0;
		w->quotes = w->matched = 0;
		w->in_line = true;
		return put(out, FROM, FROM_SIZE, err);
	}
	*taken = false;
	return let_go(w, out, err);
}

static void line_ended(struct wire_form *w)
{
	if (w->came < 2)
		w->in_body = true;
	w->in_line = false;
	w->came = 0;
}

/* The rest of a line, or of the piece. */
static int in_line(struct wire_form *w, struct bytes *piece, struct gathered *out, struct err *err)
{
	const uint8_t *lf = memchr(piece->p, '\n', piece->n);
	size_t n = lf ? (size_t)(lf - piece->p) : piece->n;

	if (n > 0)
		w->came = n == 1 && w->came == 0 && *piece->p == '\r' ? 1 : 2;
	if (put(out, piece->p, n, err) < 0)
		return -1;
	*piece = bytes_skip(*piece, n);
	if (!lf)
		return 0;
	if (put(out, w->add_cr ? "\r\n" : "\n", w->add_cr ? 2 : 1, err) < 0)
		return -1;
	*piece = bytes_skip(*piece, 1);
	line_ended(w);
	return 0;
}

int wire_form_feed(struct wire_form *w, struct bytes piece, wire_fn *fn, void *ctx, struct err *err)
{
	struct gathered out = { .fn = fn, .ctx = ctx };

	while (piece.n > 0) {
		bool taken = false;

		if (w->unquote && w->in_body && !w->in_line &&
		    quoting(w, *piece.p, &out, &taken, err) < 0)
			return -1;
		if (taken)
			piece = bytes_skip(piece, 1);
		else if (in_line(w, &piece, &out, err) < 0)
			return -1;
	}
	return flush(&out, err);
}

int wire_form_end(struct wire_form *w, wire_fn *fn, void *ctx, struct err *err)
{
	struct gathered out = { .fn = fn, .ctx = ctx };

	if (let_go(w, &out, err) < 0)
		return -1;
	return flush(&out, err);
}

bool wire_is_quoted(struct bytes line)
{
	size_t n = 0;

	while (n < line.n && n <= WIRE_QUOTES_MAX && line.p[n] == '>')
		n++;
	return n > 0 && n <= WIRE_QUOTES_MAX && line.n - n >= FROM_SIZE &&
	       memcmp(line.p + n, FROM, FROM_SIZE) == 0;
}
