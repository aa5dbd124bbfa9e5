#include "core/imap/response_private.h"

void imap_parse_search_begin(struct imap_parser *p, enum parse_state state)
{
	uidset_builder_release(&p->builder);
	uidset_builder_init(&p->builder);
	uidset_clear(&p->set);
	buf_clear(&p->search_tag);
	buf_clear(&p->search_range);
	p->search = (struct imap_search){ .set = &p->set };
	p->earlier = false;
	p->state = state;
}

static bool read_range(struct bytes text, uint32_t *lo, uint32_t *hi)
{
	const uint8_t *colon = memchr(text.p, ':', text.n);
	size_t n = colon ? (size_t)(colon - text.p) : text.n;

	if (!bytes_to_u32(bytes_from(text.p, n), lo))
		return false;
	*hi = *lo;
	return !colon || bytes_to_u32(bytes_skip(text, n + 1), hi);
}

/* Add one number or range. `*` means nothing in an answer. */
static enum parse_verdict add_range(struct imap_parser *p, const struct imap_token *tok)
{
	uint32_t lo, hi;

	if (tok->type != IMAP_TOKEN_ATOM || !read_range(tok->text, &lo, &hi))
		return imap_parse_bad(p, "bad set");
	uidset_builder_add(&p->builder, lo, hi);
	if (p->builder.n > PARSE_MAX_RANGES)
		return imap_parse_bad(p, "set too large");
	return PARSE_GO;
}

static enum parse_verdict finish(struct imap_parser *p, struct imap_response *out,
				 enum imap_response_type type)
{
	uidset_builder_finish(&p->builder, &p->set);
	p->search.partial_range = buf_bytes(&p->search_range);
	out->type = type;
	out->u.search = p->search;
	p->state = PARSE_FIRST;
	return PARSE_READY;
}

enum parse_verdict imap_parse_search(struct imap_parser *p, const struct imap_token *tok,
				     struct imap_response *out)
{
	if (tok->type == IMAP_TOKEN_EOL) {
		p->search.present |= IMAP_SEARCH_ALL;
		return finish(p, out, IMAP_RESPONSE_SEARCH);
	}
	if (tok->type != IMAP_TOKEN_OPEN)
		return add_range(p, tok);
	p->state = PARSE_SEARCH_EXTRA;
	return PARSE_GO;
}

enum parse_verdict imap_parse_search_extra(struct imap_parser *p, const struct imap_token *tok,
					   struct imap_response *out)
{
	(void)out;
	if (tok->type == IMAP_TOKEN_CLOSE) {
		p->state = PARSE_SEARCH;
		return PARSE_GO;
	}
	if (tok->type != IMAP_TOKEN_ATOM)
		return imap_parse_bad(p, "bad SEARCH");
	if (bytes_to_u64(tok->text, &p->search.modseq))
		p->search.present |= IMAP_SEARCH_MODSEQ;
	return PARSE_GO;
}

static unsigned esearch_item(struct bytes name)
{
	static const struct {
		const char *name;
		unsigned item;
	} items[] = {
		{ "ALL", IMAP_SEARCH_ALL },       { "COUNT", IMAP_SEARCH_COUNT },
		{ "MIN", IMAP_SEARCH_MIN },       { "MAX", IMAP_SEARCH_MAX },
		{ "MODSEQ", IMAP_SEARCH_MODSEQ }, { "PARTIAL", IMAP_SEARCH_PARTIAL },
	};

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		if (bytes_is_nocase(name, items[i].name))
			return items[i].item;
	return 0;
}

enum parse_verdict imap_parse_esearch(struct imap_parser *p, const struct imap_token *tok,
				      struct imap_response *out)
{
	switch (tok->type) {
	case IMAP_TOKEN_EOL:
		return finish(p, out, IMAP_RESPONSE_ESEARCH);
	case IMAP_TOKEN_OPEN:
		p->state = PARSE_ESEARCH_CORRELATOR;
		return PARSE_GO;
	case IMAP_TOKEN_ATOM:
		if (bytes_is_nocase(tok->text, "UID")) {
			p->search.uid = true;
			return PARSE_GO;
		}
		p->search_item = (enum imap_search_item)esearch_item(tok->text);
		p->state = p->search_item == IMAP_SEARCH_ALL ? PARSE_ESEARCH_SET
							     : PARSE_ESEARCH_VALUE;
		return PARSE_GO;
	default:
		return imap_parse_bad(p, "bad ESEARCH");
	}
}

/* (TAG "a1"), and MULTISEARCH's MAILBOX and UIDVALIDITY, which nobody asks for. */
enum parse_verdict imap_parse_esearch_correlator(struct imap_parser *p,
						 const struct imap_token *tok,
						 struct imap_response *out)
{
	(void)out;
	switch (tok->type) {
	case IMAP_TOKEN_CLOSE:
		p->state = PARSE_ESEARCH;
		return PARSE_GO;
	case IMAP_TOKEN_ATOM:
	case IMAP_TOKEN_STRING:
		if (tok->type == IMAP_TOKEN_STRING || !bytes_is_nocase(tok->text, "TAG")) {
			if (!p->search.tag.p && !buf_add(&p->search_tag, tok->text))
				return imap_parse_bad(p, "bad ESEARCH correlator");
			p->search.tag = buf_bytes(&p->search_tag);
		}
		return PARSE_GO;
	default:
		return imap_parse_bad(p, "bad ESEARCH correlator");
	}
}

static void set_value(struct imap_parser *p, struct bytes text)
{
	struct imap_search *s = &p->search;
	bool ok;

	switch (p->search_item) {
	case IMAP_SEARCH_COUNT:
		ok = bytes_to_u32(text, &s->count);
		break;
	case IMAP_SEARCH_MIN:
		ok = bytes_to_u32(text, &s->min);
		break;
	case IMAP_SEARCH_MAX:
		ok = bytes_to_u32(text, &s->max);
		break;
	case IMAP_SEARCH_MODSEQ:
		ok = bytes_to_u64(text, &s->modseq);
		break;
	default:
		return; /* an item we do not know */
	}
	if (ok)
		s->present |= p->search_item;
}

enum parse_verdict imap_parse_esearch_value(struct imap_parser *p, const struct imap_token *tok,
					    struct imap_response *out)
{
	(void)out;
	if (tok->type == IMAP_TOKEN_OPEN) {
		p->depth = 1;
		p->state = p->search_item == IMAP_SEARCH_PARTIAL ? PARSE_ESEARCH_PARTIAL
								 : PARSE_ESEARCH_SKIP;
		return PARSE_GO;
	}
	if (tok->type != IMAP_TOKEN_ATOM && tok->type != IMAP_TOKEN_STRING)
		return imap_parse_bad(p, "bad ESEARCH value");
	set_value(p, tok->text);
	p->state = PARSE_ESEARCH;
	return PARSE_GO;
}

static bool is_nil(const struct imap_token *tok)
{
	return tok->type == IMAP_TOKEN_ATOM && bytes_is_nocase(tok->text, "NIL");
}

/* ALL's set up to an atom that no comma follows, or PARTIAL's up to the parenthesis. */
enum parse_verdict imap_parse_esearch_set(struct imap_parser *p, const struct imap_token *tok,
					  struct imap_response *out)
{
	(void)out;
	if (p->search_item == IMAP_SEARCH_PARTIAL && tok->type == IMAP_TOKEN_CLOSE) {
		p->search.present |= IMAP_SEARCH_PARTIAL;
		p->state = PARSE_ESEARCH;
		return PARSE_GO;
	}
	if (!is_nil(tok) && add_range(p, tok) == PARSE_BAD)
		return PARSE_BAD;
	if (p->search_item == IMAP_SEARCH_ALL && !tok->comma) {
		p->search.present |= IMAP_SEARCH_ALL;
		p->state = PARSE_ESEARCH;
	}
	return PARSE_GO;
}

enum parse_verdict imap_parse_esearch_partial(struct imap_parser *p, const struct imap_token *tok,
					      struct imap_response *out)
{
	(void)out;
	if (tok->type != IMAP_TOKEN_ATOM)
		return imap_parse_bad(p, "bad PARTIAL");
	buf_clear(&p->search_range);
	buf_add(&p->search_range, tok->text);
	p->state = PARSE_ESEARCH_SET;
	return PARSE_GO;
}

enum parse_verdict imap_parse_esearch_skip(struct imap_parser *p, const struct imap_token *tok,
					   struct imap_response *out)
{
	(void)out;
	return imap_parse_skip_list(p, tok, PARSE_ESEARCH);
}

enum parse_verdict imap_parse_vanished(struct imap_parser *p, const struct imap_token *tok,
				       struct imap_response *out)
{
	if (tok->type == IMAP_TOKEN_OPEN) {
		p->state = PARSE_VANISHED_EARLIER;
		return PARSE_GO;
	}
	if (tok->type != IMAP_TOKEN_EOL)
		return add_range(p, tok);
	uidset_builder_finish(&p->builder, &p->set);
	out->type = IMAP_RESPONSE_VANISHED;
	out->u.vanished = (struct imap_vanished){ .earlier = p->earlier, .uids = &p->set };
	p->state = PARSE_FIRST;
	return PARSE_READY;
}

enum parse_verdict imap_parse_vanished_earlier(struct imap_parser *p,
					       const struct imap_token *tok,
					       struct imap_response *out)
{
	(void)out;
	if (tok->type == IMAP_TOKEN_CLOSE) {
		p->state = PARSE_VANISHED;
		return PARSE_GO;
	}
	if (tok->type != IMAP_TOKEN_ATOM || !bytes_is_nocase(tok->text, "EARLIER"))
		return imap_parse_bad(p, "bad VANISHED");
	p->earlier = true;
	return PARSE_GO;
}
