/*
 * FETCH values that are lists and are kept as text (ENVELOPE, BODYSTRUCTURE, X-GM-LABELS): one blank
 * between two values, literals as quoted strings, so that scan.h and tree.h read them whatever the
 * server's form was. What does not fit counts as not sent, for the structure is known all the same.
 */
#include "core/imap/response_private.h"

struct kept {
	struct buf *text; /* NULL: the value is no list that is kept */
	struct bytes *out;
	unsigned bit;
};

static struct kept kept_of(struct imap_parser *p)
{
	struct imap_fetch *f = &p->fetch;

	switch (p->value) {
	case VALUE_GM_LABELS:
		return (struct kept){ &p->gm_labels, &f->gm_labels, IMAP_FETCH_GM_LABELS };
	case VALUE_ENVELOPE:
		return (struct kept){ &p->envelope, &f->envelope, IMAP_FETCH_ENVELOPE };
	case VALUE_STRUCTURE:
		return (struct kept){ &p->structure, &f->structure, IMAP_FETCH_STRUCTURE };
	default:
		return (struct kept){ .text = NULL };
	}
}

bool imap_parse_fetch_text_begin(struct imap_parser *p)
{
	struct kept kept = kept_of(p);

	if (!kept.text)
		return false;
	buf_clear(kept.text);
	p->fetch.present &= ~kept.bit; /* sent twice: the last one counts */
	p->state = PARSE_FETCH_TEXT;
	return true;
}

static void add_quoted(struct buf *text, struct bytes piece)
{
	for (size_t i = 0; i < piece.n && !text->overflow; i++) {
		if (piece.p[i] == '"' || piece.p[i] == '\\')
			buf_add_byte(text, '\\');
		buf_add_byte(text, piece.p[i]);
	}
}

/* The blank before a value, unless it is the first of its list. */
static void separate(struct buf *text)
{
	if (text->n > 0 && text->p[text->n - 1] != '(')
		buf_add_byte(text, ' ');
}

static enum parse_verdict list_close(struct imap_parser *p, const struct kept *kept)
{
	if (--p->depth > 0) {
		buf_add_byte(kept->text, ')');
		return PARSE_GO;
	}
	p->state = PARSE_FETCH_ITEM;
	if (kept->text->overflow)
		return PARSE_GO;
	p->fetch.present |= kept->bit;
	*kept->out = kept->text->n ? buf_bytes(kept->text) : bytes_of("");
	return PARSE_GO;
}

enum parse_verdict imap_parse_fetch_text(struct imap_parser *p, const struct imap_token *tok,
					 struct imap_response *out)
{
	struct kept kept = kept_of(p);

	(void)out;
	if (tok->type == IMAP_TOKEN_EOL)
		return imap_parse_bad(p, "line ends inside a list");
	if (tok->glued)
		return imap_parse_bad(p, "a word glued to a literal");
	if (tok->type == IMAP_TOKEN_CLOSE)
		return list_close(p, &kept);
	separate(kept.text);
	switch (tok->type) {
	case IMAP_TOKEN_OPEN:
		if (++p->depth > PARSE_MAX_DEPTH)
			return imap_parse_bad(p, "lists too deep");
		buf_add_byte(kept.text, '(');
		return PARSE_GO;
	case IMAP_TOKEN_ATOM:
		buf_add(kept.text, tok->text);
		return PARSE_GO;
	case IMAP_TOKEN_LITERAL:
		buf_add_byte(kept.text, '"');
		if (tok->size > 0)
			p->state = PARSE_FETCH_TEXT_LITERAL;
		else
			buf_add_byte(kept.text, '"');
		return PARSE_GO;
	default: /* STRING */
		buf_add_byte(kept.text, '"');
		add_quoted(kept.text, tok->text);
		buf_add_byte(kept.text, '"');
		return PARSE_GO;
	}
}

enum parse_verdict imap_parse_fetch_text_literal(struct imap_parser *p,
						 const struct imap_token *tok,
						 struct imap_response *out)
{
	struct kept kept = kept_of(p);

	(void)out;
	add_quoted(kept.text, tok->text);
	if (tok->size > 0)
		return PARSE_GO;
	buf_add_byte(kept.text, '"');
	p->state = PARSE_FETCH_TEXT;
	return PARSE_GO;
}
