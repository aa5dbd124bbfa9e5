/*
 * The lexer alone: the first byte says how the stream is cut, the second begins the order in which
 * the reader's modes follow each other. However it is cut, the same tokens come out, and none is
 * larger than its ceiling.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/imap/lexer.h"

#define TOKEN_MAX 64
#define LINE_MAX_BYTES 256

struct run {
	struct imap_lexer *lexer;
	uint32_t order; /* of the modes */
	enum imap_lex_mode mode;
	struct buf log;
};

static void must(bool promise)
{
	if (!promise)
		abort();
}

static void next_mode(struct run *r, const struct imap_token *tok)
{
	/* The readers ask for the rest of a line they cannot read, and begin anew behind it. */
	if (tok->type == IMAP_TOKEN_BAD && !imap_lexer_at_line_start(r->lexer)) {
		r->mode = IMAP_LEX_LINE;
	} else if (imap_lexer_at_line_start(r->lexer)) {
		r->mode = IMAP_LEX_FIRST;
	} else if (tok->type != IMAP_TOKEN_PIECE && tok->type != IMAP_TOKEN_LITERAL) {
		r->order = r->order * 1664525 + 1013904223;
		r->mode = IMAP_LEX_WORD + (r->order >> 16) % (IMAP_LEX_LINE - IMAP_LEX_WORD + 1);
	}
}

static void note(struct run *r, const struct imap_token *tok)
{
	if (tok->type == IMAP_TOKEN_PIECE) { /* pieces of one literal run together */
		buf_add(&r->log, tok->text);
		return;
	}
	must(tok->type == IMAP_TOKEN_REST ? tok->text.n <= LINE_MAX_BYTES :
	     tok->type == IMAP_TOKEN_BAD || tok->text.n <= TOKEN_MAX);
	buf_addf(&r->log, "\n%d %" PRIu64 " %d%d%d%d ", tok->type, tok->size, tok->comma,
		 tok->binary, tok->cut, tok->glued);
	buf_add(&r->log, tok->text);
}

static void run(struct run *r, struct bytes in, size_t step, uint8_t order)
{
	enum imap_step res = IMAP_STEP_MORE;
	struct imap_token tok;
	struct err err;

	r->lexer = imap_lexer_new(TOKEN_MAX, LINE_MAX_BYTES);
	r->order = order;
	r->mode = IMAP_LEX_FIRST;
	buf_init(&r->log, SIZE_MAX / 2);
	while (in.n && res != IMAP_STEP_ERROR) {
		size_t n = step && step < in.n ? step : in.n;
		char *copy = bytes_dup(bytes_from(in.p, n));
		struct bytes piece = bytes_from(copy, n);

		in = bytes_skip(in, n);
		while ((res = imap_lexer_next(r->lexer, r->mode, &piece, &tok, &err)) ==
		       IMAP_STEP_READY) {
			note(r, &tok);
			next_mode(r, &tok);
		}
		free(copy);
	}
	if (res == IMAP_STEP_ERROR)
		buf_addf(&r->log, "\n%s", err.text);
	must(imap_lexer_seen(r->lexer).n <= 256);
	imap_lexer_free(r->lexer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run whole, cut;

	if (size < 3)
		return 0;
	run(&whole, bytes_from(data + 2, size - 2), 0, data[1]);
	run(&cut, bytes_from(data + 2, size - 2), 1 + data[0] % 13u, data[1]);
	must(bytes_equal(buf_bytes(&whole.log), buf_bytes(&cut.log)));
	buf_release(&whole.log);
	buf_release(&cut.log);
	return 0;
}
