#ifndef CORE_IMAP_LEXER_H
#define CORE_IMAP_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct err;

/*
 * Splits what a server sends into tokens (RFC 9051, section 9; tolerant where servers are
 * known to differ). Does no I/O. The stream may be cut into calls anywhere: the tokens that
 * come out are the same, apart from where a literal is cut into pieces. A literal passes
 * through in pieces of the caller's own bytes and is never gathered as a token; everything
 * else is held up to a ceiling given at birth.
 */
struct imap_lexer;

/* What one step of the lexer or the parser came to; one meaning of "more", everywhere. */
enum imap_step {
	IMAP_STEP_MORE,  /* *in is used up: read from the server and come back */
	IMAP_STEP_READY, /* one token or response is filled in; call again with the same *in */
	IMAP_STEP_ERROR, /* *err is set; the stream cannot be resynchronised: drop the connection */
};

/*
 * What the reader expects where the next token begins. IMAP is not context-free: the same
 * bytes are a section, free text or a set depending on what came before. The mode counts
 * from the first byte of a token to its end; it must stay the same while next() says MORE.
 */
enum imap_lex_mode {
	IMAP_LEX_FIRST, /* first word of a response: `*`, `+` or a tag; NULs and blank lines go */
	IMAP_LEX_WORD,  /* an atom, whatever it begins with; but `[` gives BRACKET and stays */
	IMAP_LEX_VALUE, /* any value; `[` is an atom byte as any other (flags) */
	IMAP_LEX_ITEM,  /* FETCH item name: `BODY[HEADER.FIELDS ("X")]<0>` is one atom */
	IMAP_LEX_SET,   /* as VALUE, but a comma ends an atom and is dropped */
	IMAP_LEX_TEXT,  /* rest of the line as free text; literals only inside a leading `[...]` */
	IMAP_LEX_PLAIN, /* rest of the line as free text, no literals at all */
	IMAP_LEX_LINE,  /* rest of the line as raw data; a literal in it becomes a quoted string */
};

enum imap_token_type {
	IMAP_TOKEN_ATOM,    /* NIL too: only the reader knows whether it is a name */
	IMAP_TOKEN_STRING,  /* quoted string, escapes removed */
	IMAP_TOKEN_LITERAL, /* a literal of `size` bytes begins; PIECEs follow unless it is empty */
	IMAP_TOKEN_PIECE,   /* some of it, borrowed from *in; `size` bytes are still to come */
	IMAP_TOKEN_OPEN,
	IMAP_TOKEN_CLOSE,
	IMAP_TOKEN_BRACKET,
	IMAP_TOKEN_EOL,  /* CRLF or bare LF */
	IMAP_TOKEN_REST, /* answer to TEXT, PLAIN, LINE: what stands before the line end */
	IMAP_TOKEN_BAD,  /* not IMAP; `text` says why. Go on with LINE to the line end, see below */
};

struct imap_token {
	enum imap_token_type type;
	struct bytes text; /* borrowed until the next call, and from *in */
	uint64_t size;
	bool comma;  /* SET: the atom ended at a comma */
	bool binary; /* LITERAL: `~{n}` */
	bool cut;    /* REST: longer than the ceiling, the tail is missing */
	/* ATOM: came right behind a literal, no blank between, as when the literal is longer than
	 * its size said. */
	bool glued;
};

/* `max_token` is the ceiling of an atom or quoted string, `max_line` that of a REST. */
struct imap_lexer *imap_lexer_new(size_t max_token, size_t max_line);
void imap_lexer_free(struct imap_lexer *lx); /* NULL is allowed */

/*
 * Take bytes from *in, moving it forward over what was used. Returns ERROR only for a literal
 * whose size cannot be known. After BAD the reader either asks for LINE, which skips to the end
 * of the line past literals, or goes on with FIRST if imap_lexer_at_line_start() is true already.
 */
enum imap_step imap_lexer_next(struct imap_lexer *lx, enum imap_lex_mode mode, struct bytes *in,
			       struct imap_token *tok, struct err *err);

/* Bytes of what cannot be read that a message shows. */
#define IMAP_EXCERPT_MAX 200

/* No byte of a response was taken since the last line end. */
bool imap_lexer_at_line_start(const struct imap_lexer *lx);

/*
 * The beginning of the current line (or of the one just ended), at most 256 bytes, without
 * the contents of literals and the line end: for messages about what could not be read. Not
 * escaped.
 */
struct bytes imap_lexer_seen(const struct imap_lexer *lx);

#endif
