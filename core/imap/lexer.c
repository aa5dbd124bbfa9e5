#include "core/imap/lexer.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define SEEN_MAX 256

enum lex_state {
	LEX_BETWEEN,
	LEX_ATOM,
	LEX_STRING,
	LEX_ESCAPE,
	LEX_STRING_QUOTE, /* after a quote that may be the closing one */
	LEX_TILDE,
	LEX_SIZE,     /* digits of {size} */
	LEX_SIZE_END, /* after its '}' */
	LEX_LITERAL,
	LEX_CR,
	LEX_GATHER,         /* TEXT, PLAIN, LINE, and the brackets of an ITEM */
	LEX_GATHER_LITERAL, /* a literal inside one of these */
};

/* {n} at the end of a line being gathered; only the line end shows that it was a literal. */
enum size_state { SIZE_NONE, SIZE_OPEN, SIZE_DIGITS, SIZE_SIGN, SIZE_CLOSED };

struct gather {
	bool section; /* the brackets of an ITEM: ends at ']' */
	bool quote, escape, quote_end;
	bool literals; /* a literal may come here */
	bool code;     /* TEXT: inside the leading [...] */
	bool overflow; /* the digits of {n} passed u64 */
	unsigned depth;
	uint8_t before; /* the byte before this one, 0 at the start */
	enum size_state size;
	size_t size_at; /* where the {n} begins in the buffer */
};

struct imap_lexer {
	enum lex_state state;
	bool line_start; /* nothing of a response since the last line end */
	/* Where a BAD was, so that LINE goes on from there and takes no brace for a literal. */
	bool in_string, in_atom;
	bool digits, binary;
	bool after_literal; /* nothing since the end of one */
	uint64_t left; /* size of the literal, then what is still to come of it */
	struct gather g;
	struct buf token, line;
	const char *why; /* reason of BAD or of an error */
	size_t seen_n;
	uint8_t seen[SEEN_MAX];
};

/* What handling one byte came to. */
enum verdict { GO, DONE, FATAL };

struct imap_lexer *imap_lexer_new(size_t max_token, size_t max_line)
{
	struct imap_lexer *lx = xcalloc(1, sizeof(*lx));

	buf_init(&lx->token, max_token);
	buf_init(&lx->line, max_line);
	lx->line_start = true;
	return lx;
}

void imap_lexer_free(struct imap_lexer *lx)
{
	if (!lx)
		return;
	buf_release(&lx->token);
	buf_release(&lx->line);
	free(lx);
}

bool imap_lexer_at_line_start(const struct imap_lexer *lx)
{
	return lx->line_start && lx->state == LEX_BETWEEN;
}

struct bytes imap_lexer_seen(const struct imap_lexer *lx)
{
	struct bytes seen = bytes_from(lx->seen, lx->seen_n);

	while (seen.n > 0 && (seen.p[seen.n - 1] == '\r' || seen.p[seen.n - 1] == '\n'))
		seen.n--;
	return seen;
}

static void take(struct imap_lexer *lx, struct bytes *in)
{
	if (lx->line_start)
		lx->seen_n = 0;
	lx->line_start = false;
	if (lx->seen_n < SEEN_MAX)
		lx->seen[lx->seen_n++] = *in->p;
	*in = bytes_skip(*in, 1);
}

/* Pass over bytes between responses: they begin no line. */
static void drop(struct bytes *in)
{
	*in = bytes_skip(*in, 1);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* What must follow the closing quote; a quote before anything else was not escaped by its sender. */
static bool may_follow_string(uint8_t c)
{
	return is_blank(c) || c == ')' || c == ']' || c == '\r' || c == '\n';
}

static bool may_precede_value(uint8_t c)
{
	return c == 0 || is_blank(c) || c == '(' || c == '[';
}

static enum verdict give(struct imap_lexer *lx, struct imap_token *tok, enum imap_token_type type,
			 struct bytes text)
{
	*tok = (struct imap_token){ .type = type, .text = text };
	lx->state = LEX_BETWEEN;
	lx->after_literal = false;
	return DONE;
}

static enum verdict bad(struct imap_lexer *lx, struct imap_token *tok, const char *why)
{
	return give(lx, tok, IMAP_TOKEN_BAD, bytes_of(why));
}

static enum verdict fatal(struct imap_lexer *lx, const char *why)
{
	lx->why = why;
	return FATAL;
}

static enum verdict line_end(struct imap_lexer *lx, struct bytes *in, struct imap_token *tok)
{
	take(lx, in);
	lx->line_start = true;
	return give(lx, tok, IMAP_TOKEN_EOL, bytes_from(NULL, 0));
}

/* --- TEXT, LINE and sections: gathered whole, literals turned into quoted strings --- */

static void gather_begin(struct imap_lexer *lx, bool section, bool literals)
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

static enum verdict gather_literal(struct imap_lexer *lx, struct bytes *in)
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

static enum verdict gather(struct imap_lexer *lx, enum imap_lex_mode mode, struct bytes *in,
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

/* --- tokens --- */

static enum verdict keep(struct imap_lexer *lx, struct bytes *in, struct imap_token *tok,
			 enum lex_state next)
{
	if (!buf_add_byte(&lx->token, *in->p)) {
		lx->in_string = lx->state == LEX_STRING || lx->state == LEX_ESCAPE;
		lx->in_atom = lx->state == LEX_ATOM;
		return bad(lx, tok, "token too long");
	}
	take(lx, in);
	lx->state = next;
	return GO;
}

static enum verdict first(struct imap_lexer *lx, struct bytes *in, struct imap_token *tok)
{
	uint8_t c = *in->p;

	if (is_blank(c) || c == '\r' || c == '\n' || c == '\0') {
		drop(in);
		return GO;
	}
	if (c == '*' || c == '+') {
		buf_add_byte(&lx->token, c);
		take(lx, in);
		return give(lx, tok, IMAP_TOKEN_ATOM, buf_bytes(&lx->token));
	}
	return keep(lx, in, tok, LEX_ATOM);
}

static enum verdict punctuation(struct imap_lexer *lx, struct bytes *in, struct imap_token *tok,
				enum imap_token_type type)
{
	take(lx, in);
	return give(lx, tok, type, bytes_from(NULL, 0));
}

static enum verdict advance(struct imap_lexer *lx, struct bytes *in, enum lex_state next)
{
	take(lx, in);
	lx->state = next;
	return GO;
}

static enum verdict size_begin(struct imap_lexer *lx, struct bytes *in, bool binary)
{
	lx->left = 0;
	lx->digits = false;
	lx->binary = binary;
	return advance(lx, in, LEX_SIZE);
}

static enum verdict blank(struct imap_lexer *lx, struct bytes *in)
{
	lx->after_literal = false;
	return advance(lx, in, LEX_BETWEEN);
}

static enum verdict between(struct imap_lexer *lx, enum imap_lex_mode mode, struct bytes *in,
			    struct imap_token *tok)
{
	uint8_t c = *in->p;

	buf_clear(&lx->token);
	if (mode == IMAP_LEX_TEXT || mode == IMAP_LEX_PLAIN || mode == IMAP_LEX_LINE) {
		gather_begin(lx, false, mode == IMAP_LEX_LINE);
		return GO;
	}
	lx->in_string = lx->in_atom = false;
	if (mode == IMAP_LEX_FIRST)
		return first(lx, in, tok);
	if (mode == IMAP_LEX_WORD && memchr("({\"~)", c, 5))
		return keep(lx, in, tok, LEX_ATOM);
	switch (c) {
	case ',':
		if (mode != IMAP_LEX_SET)
			return keep(lx, in, tok, LEX_ATOM);
		__attribute__((fallthrough));
	case ' ':
	case '\t':
		return blank(lx, in);
	case '(':
		return punctuation(lx, in, tok, IMAP_TOKEN_OPEN);
	case ')':
		return punctuation(lx, in, tok, IMAP_TOKEN_CLOSE);
	case '[':
		if (mode == IMAP_LEX_WORD)
			return give(lx, tok, IMAP_TOKEN_BRACKET, bytes_from(NULL, 0));
		return keep(lx, in, tok, LEX_ATOM);
	case '"':
		return advance(lx, in, LEX_STRING);
	case '{':
		return size_begin(lx, in, false);
	case '~':
		return keep(lx, in, tok, LEX_TILDE);
	case '\r':
		return advance(lx, in, LEX_CR);
	case '\n':
		return line_end(lx, in, tok);
	default:
		return keep(lx, in, tok, LEX_ATOM);
	}
}

static bool ends_atom(enum imap_lex_mode mode, uint8_t c)
{
	if (is_blank(c) || c == '\r' || c == '\n')
		return true;
	if (mode == IMAP_LEX_FIRST)
		return false;
	if (mode == IMAP_LEX_ITEM && (c == '"' || c == '{'))
		return true; /* no blank between item and value */
	return c == '(' || c == ')' || (mode == IMAP_LEX_SET && c == ',');
}

static enum verdict atom(struct imap_lexer *lx, enum imap_lex_mode mode, struct bytes *in,
			 struct imap_token *tok)
{
	bool glued = lx->after_literal;
	uint8_t c = *in->p;

	if (ends_atom(mode, c)) {
		give(lx, tok, IMAP_TOKEN_ATOM, buf_bytes(&lx->token));
		tok->glued = glued;
		if (c == ',') {
			take(lx, in);
			tok->comma = true;
		}
		return DONE;
	}
	if (mode != IMAP_LEX_ITEM || c != '[')
		return keep(lx, in, tok, LEX_ATOM);
	if (keep(lx, in, tok, LEX_ATOM) == DONE)
		return DONE;
	gather_begin(lx, true, true);
	return GO;
}

static enum verdict string(struct imap_lexer *lx, struct bytes *in, struct imap_token *tok)
{
	uint8_t c = *in->p;

	if (c == '"')
		return advance(lx, in, LEX_STRING_QUOTE);
	if (c == '\\')
		return advance(lx, in, LEX_ESCAPE);
	if (c == '\r' || c == '\n')
		return bad(lx, tok, "quoted string without an end");
	return keep(lx, in, tok, LEX_STRING);
}

static enum verdict escape(struct imap_lexer *lx, struct bytes *in, struct imap_token *tok)
{
	uint8_t c = *in->p;

	if (c == '"' || c == '\\')
		return keep(lx, in, tok, LEX_STRING);
	/* No escape: the sender forgot to double its backslash. */
	if (!buf_add_byte(&lx->token, '\\')) {
		lx->in_string = true;
		return bad(lx, tok, "token too long");
	}
	lx->state = LEX_STRING;
	return GO;
}

static enum verdict string_quote(struct imap_lexer *lx, struct bytes *in, struct imap_token *tok)
{
	if (may_follow_string(*in->p))
		return give(lx, tok, IMAP_TOKEN_STRING, buf_bytes(&lx->token));
	if (!buf_add_byte(&lx->token, '"')) {
		lx->in_string = true;
		return bad(lx, tok, "token too long");
	}
	lx->state = LEX_STRING;
	return GO;
}

static enum verdict size(struct imap_lexer *lx, struct bytes *in, struct imap_token *tok)
{
	uint8_t c = *in->p;

	if (ascii_is_digit(c)) {
		lx->digits = true;
		if (__builtin_mul_overflow(lx->left, (uint64_t)10, &lx->left) ||
		    __builtin_add_overflow(lx->left, (uint64_t)(c - '0'), &lx->left))
			return fatal(lx, "literal size out of range");
		return advance(lx, in, LEX_SIZE);
	}
	if (!lx->digits)
		return bad(lx, tok, "literal without a size");
	if (c == '+' || c == '-')
		return advance(lx, in, LEX_SIZE); /* not for servers to send, and harmless */
	if (c == '}')
		return advance(lx, in, LEX_SIZE_END);
	return bad(lx, tok, "bad literal size");
}

static enum verdict size_end(struct imap_lexer *lx, struct bytes *in, struct imap_token *tok)
{
	uint64_t n = lx->left;

	if (*in->p == '\r')
		return advance(lx, in, LEX_SIZE_END);
	if (*in->p != '\n')
		return bad(lx, tok, "no line end after a literal size");
	take(lx, in);
	give(lx, tok, IMAP_TOKEN_LITERAL, bytes_from(NULL, 0));
	tok->size = n;
	tok->binary = lx->binary;
	lx->state = n > 0 ? LEX_LITERAL : LEX_BETWEEN;
	lx->after_literal = true;
	return DONE;
}

static enum verdict piece(struct imap_lexer *lx, struct bytes *in, struct imap_token *tok)
{
	size_t n = in->n < lx->left ? in->n : (size_t)lx->left;

	lx->left -= n;
	*tok = (struct imap_token){
		.type = IMAP_TOKEN_PIECE,
		.text = bytes_from(in->p, n),
		.size = lx->left,
	};
	*in = bytes_skip(*in, n);
	if (lx->left == 0)
		lx->state = LEX_BETWEEN;
	return DONE;
}

static enum verdict carriage_return(struct imap_lexer *lx, struct bytes *in,
				    struct imap_token *tok)
{
	if (*in->p == '\n')
		return line_end(lx, in, tok);
	if (*in->p == '\r')
		return advance(lx, in, LEX_CR);
	return bad(lx, tok, "CR without LF");
}

static enum verdict step(struct imap_lexer *lx, enum imap_lex_mode mode, struct bytes *in,
			 struct imap_token *tok)
{
	switch (lx->state) {
	case LEX_BETWEEN:
		return between(lx, mode, in, tok);
	case LEX_ATOM:
		return atom(lx, mode, in, tok);
	case LEX_STRING:
		return string(lx, in, tok);
	case LEX_ESCAPE:
		return escape(lx, in, tok);
	case LEX_STRING_QUOTE:
		return string_quote(lx, in, tok);
	case LEX_TILDE:
		if (*in->p == '{')
			return size_begin(lx, in, true);
		lx->state = LEX_ATOM;
		return GO;
	case LEX_SIZE:
		return size(lx, in, tok);
	case LEX_SIZE_END:
		return size_end(lx, in, tok);
	case LEX_LITERAL:
		return piece(lx, in, tok);
	case LEX_CR:
		return carriage_return(lx, in, tok);
	case LEX_GATHER:
		return gather(lx, mode, in, tok);
	case LEX_GATHER_LITERAL:
		return gather_literal(lx, in);
	}
	return fatal(lx, "lexer state");
}

enum imap_step imap_lexer_next(struct imap_lexer *lx, enum imap_lex_mode mode, struct bytes *in,
			       struct imap_token *tok, struct err *err)
{
	while (in->n > 0) {
		enum verdict v = step(lx, mode, in, tok);
		char *seen;

		if (v == DONE)
			return IMAP_STEP_READY;
		if (v == GO)
			continue;
		seen = escape_text(imap_lexer_seen(lx), SEEN_MAX);
		err_set(err, ERR_RETRY, "protocol error: %s: %s", lx->why, seen);
		free(seen);
		return IMAP_STEP_ERROR;
	}
	return IMAP_STEP_MORE;
}
