#ifndef CORE_IMAP_LEXER_PRIVATE_H
#define CORE_IMAP_LEXER_PRIVATE_H

#include "core/base/buf.h"
#include "core/imap/lexer.h"

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

static inline void take(struct imap_lexer *lx, struct bytes *in)
{
	if (lx->line_start)
		lx->seen_n = 0;
	lx->line_start = false;
	if (lx->seen_n < SEEN_MAX)
		lx->seen[lx->seen_n++] = *in->p;
	*in = bytes_skip(*in, 1);
}

static inline bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* What must follow the closing quote; before anything else a quote is one the sender did not
 * escape. */
static inline bool may_follow_string(uint8_t c)
{
	return is_blank(c) || c == ')' || c == ']' || c == '\r' || c == '\n';
}

static inline enum verdict give(struct imap_lexer *lx, struct imap_token *tok,
				enum imap_token_type type, struct bytes text)
{
	*tok = (struct imap_token){ .type = type, .text = text };
	lx->state = LEX_BETWEEN;
	lx->after_literal = false;
	return DONE;
}

static inline enum verdict bad(struct imap_lexer *lx, struct imap_token *tok, const char *why)
{
	return give(lx, tok, IMAP_TOKEN_BAD, bytes_of(why));
}

static inline enum verdict fatal(struct imap_lexer *lx, const char *why)
{
	lx->why = why;
	return FATAL;
}

/*
 * lexer_gather.c: TEXT, PLAIN, LINE and the brackets of an ITEM, gathered whole, with literals
 * turned into quoted strings.
 */
void imap_lexer_gather_begin(struct imap_lexer *lx, bool section, bool literals);
enum verdict imap_lexer_gather(struct imap_lexer *lx, enum imap_lex_mode mode, struct bytes *in,
			       struct imap_token *tok);
enum verdict imap_lexer_gather_literal(struct imap_lexer *lx, struct bytes *in);

#endif
