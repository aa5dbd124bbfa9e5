#include "core/imap/response_private.h"

void imap_parse_fetch_begin(struct imap_parser *p, bool by_uid)
{
	flags_release(&p->flags);
	maildate_release(&p->date);
	maildate_release(&p->save_date);
	p->fetch = (struct imap_fetch){ .number = by_uid ? 0 : p->number };
	if (by_uid) {
		p->fetch.uid = p->number;
		p->fetch.present = IMAP_FETCH_UID;
	}
	p->state = PARSE_FETCH_OPEN;
}

enum parse_verdict imap_parse_fetch_open(struct imap_parser *p, const struct imap_token *tok,
					 struct imap_response *out)
{
	(void)out;
	if (tok->type != IMAP_TOKEN_OPEN)
		return imap_parse_bad(p, "FETCH without a list");
	p->state = PARSE_FETCH_ITEM;
	return PARSE_GO;
}

/* BODY[...]<n>, BINARY[...]<n> and the three of RFC 1730. False when `item` is none of them. */
static bool read_body_item(struct bytes item, struct imap_body *body)
{
	const uint8_t *open = memchr(item.p, '[', item.n), *close = memrchr(item.p, ']', item.n);
	struct bytes name, rest;

	*body = (struct imap_body){ .item = item };
	if (!open || !close || close < open) {
		body->whole = bytes_is_nocase(item, "RFC822");
		return body->whole || bytes_is_nocase(item, "RFC822.HEADER") ||
		       bytes_is_nocase(item, "RFC822.TEXT");
	}
	name = bytes_from(item.p, (size_t)(open - item.p));
	body->binary = bytes_is_nocase(name, "BINARY") || bytes_is_nocase(name, "BINARY.PEEK");
	if (!body->binary && !bytes_is_nocase(name, "BODY") && !bytes_is_nocase(name, "BODY.PEEK"))
		return false;
	body->section = bytes_from(open + 1, (size_t)(close - open - 1));
	rest = bytes_skip(item, (size_t)(close + 1 - item.p));
	if (rest.n > 2 && rest.p[0] == '<' && rest.p[rest.n - 1] == '>')
		body->partial = bytes_to_u64(bytes_from(rest.p + 1, rest.n - 2), &body->origin);
	body->whole = body->section.n == 0 && rest.n == 0;
	return true;
}

static enum fetch_value value_kind(struct bytes item, struct imap_body *body)
{
	static const struct {
		const char *name;
		enum fetch_value value;
	} items[] = {
		{ "UID", VALUE_UID },           { "FLAGS", VALUE_FLAGS },
		{ "MODSEQ", VALUE_MODSEQ },     { "INTERNALDATE", VALUE_DATE },
		{ "RFC822.SIZE", VALUE_SIZE },  { "EMAILID", VALUE_EMAILID },
		{ "THREADID", VALUE_THREADID }, { "SAVEDATE", VALUE_SAVEDATE },
		{ "PREVIEW", VALUE_PREVIEW },   { "X-GM-MSGID", VALUE_GM_MSGID },
		{ "X-GM-THRID", VALUE_GM_THRID }, { "X-GM-LABELS", VALUE_GM_LABELS },
		{ "ENVELOPE", VALUE_ENVELOPE }, { "BODYSTRUCTURE", VALUE_STRUCTURE },
	};

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		if (bytes_is_nocase(item, items[i].name))
			return items[i].value;
	return read_body_item(item, body) ? VALUE_BODY : VALUE_OTHER;
}

enum parse_verdict imap_parse_fetch_item(struct imap_parser *p, const struct imap_token *tok,
					 struct imap_response *out)
{
	(void)out;
	if (tok->type == IMAP_TOKEN_CLOSE) {
		p->state = PARSE_FETCH_END;
		return PARSE_GO;
	}
	if (tok->type != IMAP_TOKEN_ATOM || tok->glued)
		return imap_parse_bad(p, "no FETCH item where one must be");
	buf_clear(&p->item);
	buf_add(&p->item, tok->text);
	p->value = value_kind(buf_bytes(&p->item), &p->fetch.body);
	p->state = PARSE_FETCH_VALUE;
	return PARSE_GO;
}

static enum parse_verdict body_begin(struct imap_parser *p, struct imap_response *out)
{
	p->fetch.present |= IMAP_FETCH_BODY;
	p->body_open = true;
	out->type = IMAP_RESPONSE_BODY_BEGIN;
	out->u.fetch = p->fetch;
	return PARSE_READY;
}

/* A body that is here whole, or not at all: no more input is needed to give it out. */
static enum parse_verdict body_at_once(struct imap_parser *p, struct imap_response *out,
				       struct bytes text, bool nil)
{
	p->fetch.body.nil = nil;
	p->fetch.body.size = text.n;
	p->quoted = text; /* the lexer's, which is not asked again before this is given out */
	return body_begin(p, out);
}

bool imap_parse_fetch_pending(struct imap_parser *p, struct imap_response *out)
{
	if (!p->body_open || p->state == PARSE_FETCH_BODY)
		return false;
	if (p->quoted.n > 0) {
		out->type = IMAP_RESPONSE_BODY_DATA;
		out->u.text = p->quoted;
		p->quoted = bytes_from(NULL, 0);
		return true;
	}
	p->body_open = false;
	out->type = IMAP_RESPONSE_BODY_END;
	out->u.fetch = p->fetch;
	return true;
}

static bool is_nil(const struct imap_token *tok)
{
	return tok->type == IMAP_TOKEN_ATOM && bytes_is_nocase(tok->text, "NIL");
}

/* `BODY[])`: some servers leave the value out for a message that is gone. */
static enum parse_verdict value_missing(struct imap_parser *p, struct imap_response *out)
{
	if (p->value != VALUE_BODY)
		return imap_parse_bad(p, "FETCH item without a value");
	p->state = PARSE_FETCH_END;
	return body_at_once(p, out, bytes_from(NULL, 0), true);
}

static enum parse_verdict body_value(struct imap_parser *p, const struct imap_token *tok,
				     struct imap_response *out)
{
	p->state = PARSE_FETCH_ITEM;
	if (tok->type == IMAP_TOKEN_STRING)
		return body_at_once(p, out, tok->text, false);
	if (is_nil(tok))
		return body_at_once(p, out, bytes_from(NULL, 0), true);
	if (tok->type != IMAP_TOKEN_LITERAL)
		return imap_parse_bad(p, "no message body where one must be");
	if (tok->size == 0)
		return body_at_once(p, out, bytes_from(NULL, 0), false);
	p->fetch.body.nil = false;
	p->fetch.body.size = tok->size;
	p->state = PARSE_FETCH_BODY;
	return body_begin(p, out);
}

enum parse_verdict imap_parse_fetch_body(struct imap_parser *p, const struct imap_token *tok,
					 struct imap_response *out)
{
	out->type = IMAP_RESPONSE_BODY_DATA;
	out->u.text = tok->text;
	if (tok->size == 0)
		p->state = PARSE_FETCH_ITEM; /* the end is pending then */
	return PARSE_READY;
}

static void number_value(struct imap_parser *p, struct bytes text, unsigned bit, uint64_t *out)
{
	if (bytes_to_u64(text, out))
		p->fetch.present |= bit;
}

/* `kept` owns what *out shows; an empty text is not NIL. */
static void text_value(struct imap_parser *p, struct bytes text, bool nil, unsigned bit,
		       struct buf *kept, struct bytes *out)
{
	buf_clear(kept);
	buf_add(kept, text);
	p->fetch.present |= bit;
	*out = nil ? bytes_from(NULL, 0) : kept->n ? buf_bytes(kept) : bytes_of("");
}

static void date_value(struct imap_parser *p, struct bytes text, bool nil, unsigned bit,
		       struct buf *kept, struct bytes *out, struct maildate *date)
{
	text.n = text.n < kept->max ? text.n : kept->max;
	text_value(p, text, nil, bit, kept, out);
	if (nil)
		maildate_release(date);
	else
		maildate_parse(date, *out);
}

static void uid_value(struct imap_fetch *f, struct bytes text)
{
	uint32_t uid;

	if (!bytes_to_u32(text, &uid) || uid == 0)
		return;
	f->uid = uid;
	f->present |= IMAP_FETCH_UID;
}

/* A value that is one word. One that makes no sense (`-1`, `9.3e+06`) counts as not sent. */
static void plain_value(struct imap_parser *p, struct bytes text, bool nil)
{
	struct imap_fetch *f = &p->fetch;

	switch (p->value) {
	case VALUE_UID:
		uid_value(f, text);
		return;
	case VALUE_SIZE:
		number_value(p, text, IMAP_FETCH_SIZE, &f->size);
		return;
	case VALUE_MODSEQ:
		number_value(p, text, IMAP_FETCH_MODSEQ, &f->modseq);
		return;
	case VALUE_GM_MSGID:
		number_value(p, text, IMAP_FETCH_GM_MSGID, &f->gm_msgid);
		return;
	case VALUE_GM_THRID:
		number_value(p, text, IMAP_FETCH_GM_THRID, &f->gm_thrid);
		return;
	case VALUE_EMAILID:
		if (!nil)
			text_value(p, text, false, IMAP_FETCH_EMAILID, &p->email_id, &f->email_id);
		return;
	case VALUE_THREADID:
		text_value(p, text, nil, IMAP_FETCH_THREADID, &p->thread_id, &f->thread_id);
		return;
	case VALUE_PREVIEW:
		text_value(p, text, nil, IMAP_FETCH_PREVIEW, &p->preview, &f->preview);
		return;
	case VALUE_DATE:
		date_value(p, text, nil, IMAP_FETCH_INTERNALDATE, &p->date_text, &f->date_text,
			   &p->date);
		f->date = &p->date;
		return;
	case VALUE_SAVEDATE:
		date_value(p, text, nil, IMAP_FETCH_SAVEDATE, &p->save_date_text,
			   &f->save_date_text, &p->save_date);
		f->save_date = &p->save_date;
		return;
	case VALUE_FLAGS:
	case VALUE_GM_LABELS:
	case VALUE_ENVELOPE:
	case VALUE_STRUCTURE:
	case VALUE_BODY:
	case VALUE_OTHER:
		return;
	}
}

static enum parse_verdict list_value(struct imap_parser *p)
{
	p->depth = 1;
	if (imap_parse_fetch_text_begin(p))
		return PARSE_GO;
	switch (p->value) {
	case VALUE_FLAGS:
		flags_release(&p->flags);
		p->state = PARSE_FETCH_FLAGS;
		break;
	case VALUE_MODSEQ:
	case VALUE_EMAILID:
	case VALUE_THREADID:
	case VALUE_PREVIEW: /* `(FUZZY "text")`, before it was a standard */
		p->state = PARSE_FETCH_LIST;
		break;
	default:
		p->state = PARSE_FETCH_SKIP;
		break;
	}
	return PARSE_GO;
}

/* A literal that is one value; the bytes come next. */
static enum parse_verdict literal_begin(struct imap_parser *p, const struct imap_token *tok,
					enum parse_state next)
{
	buf_clear(&p->word);
	p->after_literal = next;
	p->state = PARSE_FETCH_LITERAL;
	if (tok->size == 0) {
		plain_value(p, bytes_of(""), false);
		p->state = next;
	}
	return PARSE_GO;
}

enum parse_verdict imap_parse_fetch_value(struct imap_parser *p, const struct imap_token *tok,
					  struct imap_response *out)
{
	if (tok->type == IMAP_TOKEN_CLOSE)
		return value_missing(p, out);
	if (p->value == VALUE_BODY)
		return body_value(p, tok, out);
	switch (tok->type) {
	case IMAP_TOKEN_OPEN:
		return list_value(p);
	case IMAP_TOKEN_LITERAL:
		return literal_begin(p, tok, PARSE_FETCH_ITEM);
	case IMAP_TOKEN_ATOM:
	case IMAP_TOKEN_STRING:
		plain_value(p, tok->text, is_nil(tok));
		p->state = PARSE_FETCH_ITEM;
		return PARSE_GO;
	default:
		return imap_parse_bad(p, "line ends inside FETCH");
	}
}

enum parse_verdict imap_parse_fetch_literal(struct imap_parser *p, const struct imap_token *tok,
					    struct imap_response *out)
{
	(void)out;
	buf_add(&p->word, tok->text);
	if (tok->size > 0)
		return PARSE_GO;
	if (!p->word.overflow)
		plain_value(p, buf_bytes(&p->word), false);
	p->state = p->after_literal;
	return PARSE_GO;
}

enum parse_verdict imap_parse_fetch_flags(struct imap_parser *p, const struct imap_token *tok,
					  struct imap_response *out)
{
	(void)out;
	if (tok->type == IMAP_TOKEN_CLOSE) {
		p->fetch.flags = &p->flags;
		p->fetch.present |= IMAP_FETCH_FLAGS;
		p->state = PARSE_FETCH_ITEM;
		return PARSE_GO;
	}
	if (tok->type != IMAP_TOKEN_ATOM && tok->type != IMAP_TOKEN_STRING)
		return imap_parse_bad(p, "bad flag list");
	if (p->flags.count >= PARSE_MAX_KEYWORDS || tok->text.n > PARSE_MAX_KEYWORD)
		return imap_parse_bad(p, "too many flags");
	flags_add(&p->flags, tok->text); /* \Recent and what is no flag is left out */
	return PARSE_GO;
}

enum parse_verdict imap_parse_fetch_list(struct imap_parser *p, const struct imap_token *tok,
					 struct imap_response *out)
{
	(void)out;
	if (tok->type == IMAP_TOKEN_CLOSE) {
		p->state = PARSE_FETCH_ITEM;
		return PARSE_GO;
	}
	if (tok->type == IMAP_TOKEN_LITERAL)
		return literal_begin(p, tok, PARSE_FETCH_LIST);
	if (tok->type != IMAP_TOKEN_ATOM && tok->type != IMAP_TOKEN_STRING)
		return imap_parse_bad(p, "bad FETCH value");
	plain_value(p, tok->text, is_nil(tok));
	return PARSE_GO;
}

/* What nobody reads: passed over by structure. */
enum parse_verdict imap_parse_fetch_skip(struct imap_parser *p, const struct imap_token *tok,
					 struct imap_response *out)
{
	(void)out;
	return imap_parse_skip_list(p, tok, PARSE_FETCH_ITEM);
}

enum parse_verdict imap_parse_fetch_end(struct imap_parser *p, const struct imap_token *tok,
					struct imap_response *out)
{
	if (tok->type != IMAP_TOKEN_EOL)
		return imap_parse_bad(p, "more after the end of FETCH");
	out->type = IMAP_RESPONSE_FETCH;
	out->u.fetch = p->fetch;
	out->u.fetch.body = (struct imap_body){ .nil = false };
	p->state = PARSE_FIRST;
	return PARSE_READY;
}
