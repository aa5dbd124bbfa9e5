#include "core/imap/lexer_private.h"

static bool may_precede_value(uint8_t c)
{
	return c == 0 || is_blank(c) || c == '(' || c == '[';
}

void imap_lexer_gather_begin(struct imap_lexer *lx, bool section, bool literals)
{
	lx->g = (struct gather){ .section = section, .literals = literals };
	lx->state = LEX_GATHER;
	if (section)
		return;
	buf_clear(&lx->line);
	lx->g.quote = lx->in_string;
	lx->g.before = lx->in_atom ? 'a' : 0;
	lx->in_string = lx->in_atom = false;
}

static struct buf *gather_buf(struct imap_lexer *lx)
{
	return lx->g.section ? &lx->token : &lx->line;
}

static enum verdict gather_finish(struct imap_lexer *lx, struct imap_token *tok)
{
	struct bytes text = buf_bytes(&lx->line);

	lx->line_start = true;
	while (text.n > 0 && (is_blank(text.p[text.n - 1]) || text.p[text.n - 1] == '\r'))
		text.n--;
	give(lx, tok, IMAP_TOKEN_REST, text);
	tok->cut = lx->line.overflow;
	return DONE;
}

static void gather_literal_end(struct imap_lexer *lx)
{
	buf_add_byte(gather_buf(lx), '"');
	lx->g.before = '"';
	lx->state = LEX_GATHER;
}

static enum verdict gather_literal_begin(struct imap_lexer *lx)
{
	struct buf *b = gather_buf(lx);

	if (lx->g.overflow)
		return fatal(lx, "literal size out of range");
	if (!b->overflow) {
		b->n = lx->g.size_at;
		buf_add_byte(b, '"');
	}
	lx->g.size = SIZE_NONE;
	lx->state = LEX_GATHER_LITERAL;
	if (lx->left == 0)
		gather_literal_end(lx);
	return GO;
}

enum verdict imap_lexer_gather_literal(struct imap_lexer *lx, struct bytes *in)
{
	size_t n = in->n < lx->left ? in->n : (size_t)lx->left;
	struct buf *b = gather_buf(lx);

	for (size_t i = 0; i < n && !b->overflow; i++) {
		if (in->p[i] == '"' || in->p[i] == '\\')
			buf_add_byte(b, '\\');
		buf_add_byte(b, in->p[i]);
	}
	*in = bytes_skip(*in, n);
	lx->left -= n;
	if (lx->left == 0)
		gather_literal_end(lx);
	return GO;
}

static void gather_size(struct imap_lexer *lx, uint8_t c)
{
	struct gather *g = &lx->g;
	bool digit = ascii_is_digit(c);

	if (c == '{' && (may_precede_value(g->before) || g->before == '~')) {
		g->size = SIZE_OPEN;
		g->size_at = gather_buf(lx)->n - (g->before == '~');
		g->overflow = false;
		lx->left = 0;
	} else if (digit && (g->size == SIZE_OPEN || g->size == SIZE_DIGITS)) {
		g->size = SIZE_DIGITS;
		if (__builtin_mul_overflow(lx->left, (uint64_t)10, &lx->left) ||
		    __builtin_add_overflow(lx->left, (uint64_t)(c - '0'), &lx->left))
			g->overflow = true;
	} else if ((c == '+' || c == '-') && g->size == SIZE_DIGITS) {
		g->size = SIZE_SIGN;
	} else if (c == '}' && (g->size == SIZE_DIGITS || g->size == SIZE_SIGN)) {
		g->size = SIZE_CLOSED;
	} else {
		g->size = SIZE_NONE;
	}
}

/* A byte that is not in a quoted string. True when it ends a section. */
static bool gather_plain(struct imap_lexer *lx, enum imap_lex_mode mode, uint8_t c)
{
	struct gather *g = &lx->g;

	if (mode == IMAP_LEX_TEXT && g->before == 0 && c == '[')
		g->code = g->literals = true;
	if (g->literals)
		gather_size(lx, c);
	if (g->literals && c == '"' && may_precede_value(g->before))
		g->quote = true;
	if (c == '(')
		g->depth++;
	else if (c == ')' && g->depth > 0)
		g->depth--;
	else if (c == ']' && g->code && g->depth == 0)
		g->code = g->literals = false;
	return c == ']' && g->section;
}

static void gather_quoted(struct gather *g, uint8_t c)
{
	if (g->escape)
		g->escape = false;
	else if (c == '\\')
		g->escape = true;
	else if (c == '"')
		g->quote_end = true;
}

enum verdict imap_lexer_gather(struct imap_lexer *lx, enum imap_lex_mode mode, struct bytes *in,
			       struct imap_token *tok)
{
	struct gather *g = &lx->g;
	struct buf *b = gather_buf(lx);
	uint8_t c = *in->p;
	bool ends = false;

	if (g->quote_end) {
		g->quote_end = false;
		g->quote = !may_follow_string(c);
	}
	if (c == '\n') {
		take(lx, in);
		if (g->size == SIZE_CLOSED)
			return gather_literal_begin(lx);
		if (!g->section)
			return gather_finish(lx, tok);
		lx->line_start = true;
		return bad(lx, tok, "line ends inside a section");
	}
	if (c == '\r') {
		/* Taken off again when the line end or a literal follows. */
		buf_add_byte(b, c);
		take(lx, in);
		return GO;
	}
	if (!g->section && g->before == 0 && is_blank(c)) {
		take(lx, in);
		return GO;
	}
	if (g->quote)
		gather_quoted(g, c);
	else
		ends = gather_plain(lx, mode, c);
	buf_add_byte(b, c);
	g->before = c ? c : 1;
	take(lx, in);
	if (!ends)
		return GO;
	/* Not before its end: giving up inside a {n} would take the literal for lines. */
	if (b->overflow)
		return bad(lx, tok, "section too long");
	lx->state = LEX_ATOM;
	return GO;
}
