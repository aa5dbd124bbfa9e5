#include "core/imap/lexer.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/lexer_private.h"

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

/* Pass over bytes between responses: they begin no line. */
static void drop(struct bytes *in)
{
	*in = bytes_skip(*in, 1);
}

static enum verdict line_end(struct imap_lexer *lx, struct bytes *in, struct imap_token *tok)
{
	take(lx, in);
	lx->line_start = true;
	return give(lx, tok, IMAP_TOKEN_EOL, bytes_from(NULL, 0));
}

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
		imap_lexer_gather_begin(lx, false, mode == IMAP_LEX_LINE);
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
	imap_lexer_gather_begin(lx, true, true);
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
		return imap_lexer_gather(lx, mode, in, tok);
	case LEX_GATHER_LITERAL:
		return imap_lexer_gather_literal(lx, in);
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
		seen = escape_text(imap_lexer_seen(lx), IMAP_EXCERPT_MAX);
		err_set(err, ERR_RETRY, "protocol error: %s: %s", lx->why, seen);
		free(seen);
		return IMAP_STEP_ERROR;
	}
	return IMAP_STEP_MORE;
}
