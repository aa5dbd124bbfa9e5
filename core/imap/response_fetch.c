#include "core/imap/response_private.h"

void imap_parse_fetch_begin(struct imap_parser *p, bool by_uid)
{
	flags_release(&p->flags);
	maildate_release(&p->date);
	buf_clear(&p->date_text);
	buf_clear(&p->email_id);
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
		{ "RFC822.SIZE", VALUE_SIZE }, { "EMAILID", VALUE_EMAILID },
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

static void add_date(struct imap_parser *p, struct bytes text)
{
	size_t room = p->date_text.max - p->date_text.n;

	buf_add(&p->date_text, bytes_from(text.p, text.n < room ? text.n : room));
}

static void date_done(struct imap_parser *p, bool nil)
{
	p->fetch.present |= IMAP_FETCH_INTERNALDATE;
	p->fetch.date_text = nil ? bytes_from(NULL, 0) : buf_bytes(&p->date_text);
	p->fetch.date = &p->date;
	if (nil)
		maildate_release(&p->date);
	else
		maildate_parse(&p->date, p->fetch.date_text);
}

/* A value that is one word. One that makes no sense (`-1`, `9.3e+06`) counts as not sent. */
static void plain_value(struct imap_parser *p, const struct imap_token *tok)
{
	struct imap_fetch *f = &p->fetch;
	uint32_t uid;
	uint64_t n;

	switch (p->value) {
	case VALUE_UID:
		if (bytes_to_u32(tok->text, &uid) && uid > 0) {
			f->uid = uid;
			f->present |= IMAP_FETCH_UID;
		}
		return;
	case VALUE_SIZE:
		if (bytes_to_u64(tok->text, &n)) {
			f->size = n;
			f->present |= IMAP_FETCH_SIZE;
		}
		return;
	case VALUE_MODSEQ:
		if (bytes_to_u64(tok->text, &n)) {
			f->modseq = n;
			f->present |= IMAP_FETCH_MODSEQ;
		}
		return;
	case VALUE_EMAILID:
		if (is_nil(tok))
			return;
		buf_clear(&p->email_id);
		buf_add(&p->email_id, tok->text);
		f->email_id = buf_bytes(&p->email_id);
		f->present |= IMAP_FETCH_EMAILID;
		return;
	case VALUE_DATE:
		buf_clear(&p->date_text);
		add_date(p, tok->text);
		date_done(p, is_nil(tok));
		return;
	case VALUE_FLAGS:
	case VALUE_BODY:
	case VALUE_OTHER:
		return;
	}
}

static enum parse_verdict list_value(struct imap_parser *p)
{
	p->depth = 1;
	switch (p->value) {
	case VALUE_FLAGS:
		flags_release(&p->flags);
		p->state = PARSE_FETCH_FLAGS;
		break;
	case VALUE_MODSEQ:
	case VALUE_EMAILID:
		p->state = PARSE_FETCH_LIST;
		break;
	default:
		p->state = PARSE_FETCH_SKIP;
		break;
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
		buf_clear(&p->date_text);
		p->state = tok->size ? PARSE_FETCH_LITERAL : PARSE_FETCH_ITEM;
		return PARSE_GO;
	case IMAP_TOKEN_ATOM:
	case IMAP_TOKEN_STRING:
		plain_value(p, tok);
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
	if (p->value == VALUE_DATE)
		add_date(p, tok->text);
	if (tok->size > 0)
		return PARSE_GO;
	if (p->value == VALUE_DATE)
		date_done(p, false);
	p->state = PARSE_FETCH_ITEM;
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
	if (tok->type != IMAP_TOKEN_ATOM && tok->type != IMAP_TOKEN_STRING)
		return imap_parse_bad(p, "bad FETCH value");
	plain_value(p, tok);
	return PARSE_GO;
}

/* ENVELOPE, BODYSTRUCTURE and what else nobody reads: passed over by structure. */
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
