#include "backends/mbox/write.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/mbox/mark.h"
#include "backends/mbox/wire_form.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

#define FROM "From "
#define FROM_SIZE (sizeof(FROM) - 1)

struct mbox_writer {
	FILE *out;
	FILE *spool; /* the message, quoted, with the line ends it came with */
	struct buf from_line;
	uint64_t size, lf; /* of what is in the spool */
	/* A LF without CR, or with two: then what other line ends mean cannot be told by taking CRs away. */
	bool odd_ends;
	uint8_t last[2]; /* the bytes that came last, the very last one second */
	bool in_line;    /* the beginning of the line is settled */
	size_t quotes, matched; /* what was held up of it: `>`, and how much of "From " */
};

struct mbox_writer *mbox_writer_new(FILE *out, struct err *err)
{
	FILE *spool = tmpfile();
	struct mbox_writer *w;

	if (!spool) {
		err_sys(err, ERR_FATAL, "create a temporary file");
		return NULL;
	}
	w = xcalloc(1, sizeof(*w));
	w->out = out;
	w->spool = spool;
	buf_init(&w->from_line, 2 * FROM_LINE_MAX);
	return w;
}

void mbox_writer_free(struct mbox_writer *w)
{
	if (!w)
		return;
	fclose(w->spool);
	buf_release(&w->from_line);
	free(w);
}

static int spool_failed(struct err *err)
{
	return err_sys(err, ERR_FATAL, "write a temporary file");
}

int mbox_writer_begin(struct mbox_writer *w, struct err *err)
{
	w->size = w->lf = w->quotes = w->matched = 0;
	w->odd_ends = w->in_line = false;
	w->last[0] = w->last[1] = 0;
	rewind(w->spool);
	return ftruncate(fileno(w->spool), 0) < 0 ? spool_failed(err) : 0;
}

static int keep(struct mbox_writer *w, const void *p, size_t n, struct err *err)
{
	w->size += n;
	return fwrite(p, 1, n, w->spool) == n ? 0 : spool_failed(err);
}

/* The beginning of the line is settled: what was held up goes on, quoted if it has to be. */
static int let_go(struct mbox_writer *w, struct err *err)
{
	char quotes[WIRE_QUOTES_MAX];
	bool quote = w->matched == FROM_SIZE;
	size_t n = w->quotes + quote, matched = w->matched;

	w->quotes = w->matched = 0;
	w->in_line = true;
	if (n > WIRE_QUOTES_MAX && quote)
		return err_set(err, ERR_MESSAGE,
			       "it has a line that an mbox cannot hold: %d times '>', then 'From '",
			       WIRE_QUOTES_MAX);
	memset(quotes, '>', n);
	return keep(w, quotes, n, err) < 0 ? -1 : keep(w, FROM, matched, err);
}

/* A byte at the beginning of a line; *taken: it is held up. */
static int at_beginning(struct mbox_writer *w, uint8_t c, bool *taken, struct err *err)
{
	*taken = true;
	if (c == '>' && w->matched == 0 && w->quotes < WIRE_QUOTES_MAX) {
		w->quotes++;
		return 0;
	}
	if (c == (uint8_t)FROM[w->matched]) {
		if (++w->matched < FROM_SIZE)
			return 0;
	} else {
		*taken = false;
	}
	return let_go(w, err);
}

/* The rest of a line, or of the piece. */
static int rest_of_line(struct mbox_writer *w, struct bytes *piece, struct err *err)
{
	const uint8_t *lf = memchr(piece->p, '\n', piece->n);
	size_t n = lf ? (size_t)(lf - piece->p) + 1 : piece->n;

	if (keep(w, piece->p, n, err) < 0)
		return -1;
	w->lf += lf != NULL;
	w->in_line = lf == NULL;
	*piece = bytes_skip(*piece, n);
	return 0;
}

/* What comes before each LF. */
static void look_at_ends(struct mbox_writer *w, struct bytes piece)
{
	for (size_t i = 0; i < piece.n; i++) {
		const uint8_t *lf = memchr(piece.p + i, '\n', piece.n - i);
		uint8_t before, second;

		if (!lf)
			break;
		i = (size_t)(lf - piece.p);
		before = i > 0 ? piece.p[i - 1] : w->last[1];
		second = i > 1 ? piece.p[i - 2] : w->last[i == 1];
		w->odd_ends |= before != '\r' || second == '\r';
	}
	if (piece.n > 0) {
		w->last[0] = piece.n > 1 ? piece.p[piece.n - 2] : w->last[1];
		w->last[1] = piece.p[piece.n - 1];
	}
}

int mbox_writer_add(struct mbox_writer *w, struct bytes piece, struct err *err)
{
	look_at_ends(w, piece);
	while (piece.n > 0) {
		bool taken = false;

		if (!w->in_line && at_beginning(w, *piece.p, &taken, err) < 0)
			return -1;
		if (taken)
			piece = bytes_skip(piece, 1);
		else if (rest_of_line(w, &piece, err) < 0)
			return -1;
	}
	return 0;
}

static int write_out(struct mbox_writer *w, const void *p, size_t n, struct err *err)
{
	if (fwrite(p, 1, n, w->out) == n)
		return 0;
	return err_sys(err, ERR_FATAL, "write the mbox");
}

/* Each LF loses the CR before it, which may be the last byte of the piece before. */
static int write_without_cr(struct mbox_writer *w, struct bytes piece, bool *cr, struct err *err)
{
	while (piece.n > 0) {
		const uint8_t *at = memchr(piece.p, '\r', piece.n);
		size_t n = at ? (size_t)(at - piece.p) : piece.n;

		if (*cr && *piece.p != '\n' && write_out(w, "\r", 1, err) < 0)
			return -1;
		*cr = at != NULL;
		if (write_out(w, piece.p, n, err) < 0)
			return -1;
		piece = bytes_skip(piece, at ? n + 1 : n);
	}
	return 0;
}

static int copy_spool(struct mbox_writer *w, bool take_cr, struct err *err)
{
	uint8_t piece[65536];
	bool cr = false;
	size_t n;

	rewind(w->spool);
	while ((n = fread(piece, 1, sizeof(piece), w->spool)) > 0)
		if ((take_cr ? write_without_cr(w, bytes_from(piece, n), &cr, err)
			     : write_out(w, piece, n, err)) < 0)
			return -1;
	if (ferror(w->spool))
		return err_sys(err, ERR_FATAL, "read a temporary file");
	return cr ? write_out(w, "\r", 1, err) : 0;
}

int mbox_writer_end(struct mbox_writer *w, const struct flags *flags, const struct maildate *date,
		    bool *all_flags, struct err *err)
{
	static const struct flags none;
	struct mbox_mark mark = { .add_cr = !w->odd_ends };
	bool ended = w->last[1] == '\n';

	if (let_go(w, err) < 0)
		return -1;
	if (fflush(w->spool) != 0)
		return spool_failed(err);
	mark.length = w->size - (mark.add_cr ? w->lf : 0);
	if (date)
		mark.date = *date; /* borrowed: only read */
	buf_clear(&w->from_line);
	*all_flags = mbox_mark_write(&mark, flags ? flags : &none, &w->from_line);
	if (write_out(w, w->from_line.p, w->from_line.n, err) < 0 ||
	    copy_spool(w, mark.add_cr, err) < 0)
		return -1;
	/* An empty line before the next one, and an end for a last line that has none. */
	return write_out(w, "\n\n", ended || w->size == 0 ? 1 : 2, err);
}
