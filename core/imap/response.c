#include "core/imap/response.h"

#include <stdlib.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/response_private.h"

struct imap_parser *imap_parser_new(const char *tag_prefix)
{
	struct imap_parser *p = xcalloc(1, sizeof(*p));

	p->lexer = imap_lexer_new(PARSE_MAX_TOKEN, PARSE_MAX_LINE);
	p->tag_prefix = xstrdup(tag_prefix);
	buf_init(&p->tag, PARSE_MAX_TOKEN);
	buf_init(&p->name, PARSE_MAX_TOKEN);
	buf_init(&p->line, PARSE_MAX_LINE);
	buf_init(&p->search_tag, PARSE_MAX_TOKEN);
	buf_init(&p->search_range, PARSE_MAX_TOKEN);
	buf_init(&p->item, PARSE_MAX_TOKEN);
	buf_init(&p->date_text, MAILDATE_RAW_MAX);
	buf_init(&p->email_id, PARSE_MAX_TOKEN);
	buf_init(&p->thread_id, PARSE_MAX_TOKEN);
	buf_init(&p->save_date_text, MAILDATE_RAW_MAX);
	buf_init(&p->preview, PARSE_MAX_TOKEN);
	buf_init(&p->word, PARSE_MAX_TOKEN);
	buf_init(&p->gm_labels, PARSE_MAX_LINE);
	buf_init(&p->envelope, PARSE_MAX_LINE);
	buf_init(&p->structure, PARSE_MAX_LINE);
	uidset_builder_init(&p->builder);
	uidset_init(&p->set);
	uidlist_init(&p->source);
	uidlist_init(&p->target);
	flags_init(&p->flags);
	maildate_init(&p->date);
	maildate_init(&p->save_date);
	return p;
}

void imap_parser_free(struct imap_parser *p)
{
	if (!p)
		return;
	imap_lexer_free(p->lexer);
	free(p->tag_prefix);
	buf_release(&p->tag);
	buf_release(&p->name);
	buf_release(&p->line);
	buf_release(&p->search_tag);
	buf_release(&p->search_range);
	buf_release(&p->item);
	buf_release(&p->date_text);
	buf_release(&p->email_id);
	buf_release(&p->thread_id);
	buf_release(&p->save_date_text);
	buf_release(&p->preview);
	buf_release(&p->word);
	buf_release(&p->gm_labels);
	buf_release(&p->envelope);
	buf_release(&p->structure);
	uidset_builder_release(&p->builder);
	uidset_release(&p->set);
	uidlist_release(&p->source);
	uidlist_release(&p->target);
	flags_release(&p->flags);
	maildate_release(&p->date);
	maildate_release(&p->save_date);
	free(p);
}

enum parse_verdict imap_parse_bad(struct imap_parser *p, const char *why)
{
	p->why = why;
	return PARSE_BAD;
}

enum parse_verdict imap_parse_skip_list(struct imap_parser *p, const struct imap_token *tok,
					enum parse_state next)
{
	switch (tok->type) {
	case IMAP_TOKEN_OPEN:
		if (++p->depth > PARSE_MAX_DEPTH)
			return imap_parse_bad(p, "lists too deep");
		return PARSE_GO;
	case IMAP_TOKEN_CLOSE:
		if (--p->depth == 0)
			p->state = next;
		return PARSE_GO;
	case IMAP_TOKEN_EOL:
		return imap_parse_bad(p, "line ends inside a list");
	default:
		return PARSE_GO;
	}
}

struct bytes imap_parse_copy(struct imap_parser *p, struct bytes text)
{
	buf_clear(&p->line);
	buf_add(&p->line, text);
	return buf_bytes(&p->line);
}

static void set_buf(struct buf *b, struct bytes text)
{
	buf_clear(b);
	buf_add(b, text);
}

static enum parse_verdict on_first(struct imap_parser *p, const struct imap_token *tok,
				   struct imap_response *out)
{
	size_t prefix = strlen(p->tag_prefix);

	(void)out;
	if (bytes_is(tok->text, "*")) {
		p->state = PARSE_STAR;
		return PARSE_GO;
	}
	if (bytes_is(tok->text, "+")) {
		p->state = PARSE_CONTINUE;
		return PARSE_GO;
	}
	if (tok->text.n < prefix || memcmp(tok->text.p, p->tag_prefix, prefix) != 0)
		return imap_parse_bad(p, "neither `*`, `+` nor a tag of ours");
	set_buf(&p->tag, tok->text);
	p->tagged = true;
	p->state = PARSE_TAG;
	return PARSE_GO;
}

static bool read_condition(struct bytes word, bool tagged, enum imap_condition *out)
{
	static const char *const names[] = { "OK", "NO", "BAD", "BYE", "PREAUTH" };

	for (int i = IMAP_OK; i <= (tagged ? IMAP_BAD : IMAP_PREAUTH); i++)
		if (bytes_is_nocase(word, names[i])) {
			*out = (enum imap_condition)i;
			return true;
		}
	return false;
}

static enum parse_verdict on_tag(struct imap_parser *p, const struct imap_token *tok,
				 struct imap_response *out)
{
	(void)out;
	if (tok->type != IMAP_TOKEN_ATOM || !read_condition(tok->text, true, &p->condition))
		return imap_parse_bad(p, "a tag without OK, NO or BAD");
	p->state = PARSE_TEXT;
	return PARSE_GO;
}

static bool take_name(struct imap_parser *p, struct bytes name)
{
	uint8_t c = ascii_upper(name.p[0]);

	set_buf(&p->name, name);
	return c >= 'A' && c <= 'Z';
}

static enum parse_verdict on_star(struct imap_parser *p, const struct imap_token *tok,
				  struct imap_response *out)
{
	(void)out;
	if (tok->type == IMAP_TOKEN_BRACKET) {
		p->condition = IMAP_OK;
		p->malformed = true;
		p->state = PARSE_TEXT;
		return PARSE_GO;
	}
	if (tok->type != IMAP_TOKEN_ATOM)
		return imap_parse_bad(p, "no name of a response");
	if (read_condition(tok->text, false, &p->condition)) {
		p->state = PARSE_TEXT;
		return PARSE_GO;
	}
	if (ascii_is_digit(tok->text.p[0])) {
		if (!bytes_to_u32(tok->text, &p->number))
			return imap_parse_bad(p, "number out of range");
		p->numbered = true;
		p->state = PARSE_NUMBERED;
		return PARSE_GO;
	}
	if (!take_name(p, tok->text))
		return imap_parse_bad(p, "no name of a response");
	if (bytes_is_nocase(tok->text, "SEARCH"))
		imap_parse_search_begin(p, PARSE_SEARCH);
	else if (bytes_is_nocase(tok->text, "ESEARCH"))
		imap_parse_search_begin(p, PARSE_ESEARCH);
	else if (bytes_is_nocase(tok->text, "VANISHED"))
		imap_parse_search_begin(p, PARSE_VANISHED);
	else
		p->state = PARSE_LINE;
	return PARSE_GO;
}

static enum parse_verdict on_numbered(struct imap_parser *p, const struct imap_token *tok,
				      struct imap_response *out)
{
	(void)out;
	if (tok->type != IMAP_TOKEN_ATOM || !take_name(p, tok->text))
		return imap_parse_bad(p, "a number and no name");
	if (bytes_is_nocase(tok->text, "FETCH"))
		imap_parse_fetch_begin(p, false);
	else if (bytes_is_nocase(tok->text, "UIDFETCH"))
		imap_parse_fetch_begin(p, true);
	else
		p->state = PARSE_LINE;
	return PARSE_GO;
}

static enum parse_verdict on_text(struct imap_parser *p, const struct imap_token *tok,
				  struct imap_response *out)
{
	out->type = p->tagged ? IMAP_RESPONSE_TAGGED : IMAP_RESPONSE_STATUS;
	out->u.status = (struct imap_status){
		.tag = p->tagged ? buf_bytes(&p->tag) : bytes_from(NULL, 0),
		.condition = p->condition,
		.malformed = p->malformed,
	};
	imap_parse_resp_text(p, tok->text, &out->u.status);
	p->state = PARSE_FIRST;
	return PARSE_READY;
}

static enum parse_verdict on_continue(struct imap_parser *p, const struct imap_token *tok,
				      struct imap_response *out)
{
	if (tok->cut)
		return imap_parse_bad(p, "continuation too long");
	out->type = IMAP_RESPONSE_CONTINUE;
	out->u.text = tok->text;
	p->state = PARSE_FIRST;
	return PARSE_READY;
}

/* The line is over, and could not be read. A tagged one must still end its command. */
static enum parse_verdict give_up(struct imap_parser *p, struct imap_response *out)
{
	struct bytes seen = imap_lexer_seen(p->lexer);

	p->state = PARSE_FIRST;
	if (!p->tagged) {
		out->type = IMAP_RESPONSE_BAD_LINE;
		out->u.text = seen;
		return PARSE_READY;
	}
	out->type = IMAP_RESPONSE_TAGGED;
	out->u.status = (struct imap_status){
		.tag = buf_bytes(&p->tag),
		.condition = IMAP_BAD,
		.malformed = true,
		.text = seen,
	};
	return PARSE_READY;
}

static enum parse_verdict on_skip(struct imap_parser *p, const struct imap_token *tok,
				  struct imap_response *out)
{
	/* The rest of a literal that nobody wanted comes first. */
	return tok->type == IMAP_TOKEN_REST ? give_up(p, out) : PARSE_GO;
}

static const struct {
	enum imap_lex_mode mode;
	imap_parse_fn *take;
} states[PARSE_STATES] = {
	[PARSE_FIRST] = { IMAP_LEX_FIRST, on_first },
	[PARSE_TAG] = { IMAP_LEX_WORD, on_tag },
	[PARSE_STAR] = { IMAP_LEX_WORD, on_star },
	[PARSE_NUMBERED] = { IMAP_LEX_WORD, on_numbered },
	[PARSE_TEXT] = { IMAP_LEX_TEXT, on_text },
	[PARSE_CONTINUE] = { IMAP_LEX_PLAIN, on_continue },
	[PARSE_LINE] = { IMAP_LEX_LINE, imap_parse_line },
	[PARSE_SKIP_LINE] = { IMAP_LEX_LINE, on_skip },
	[PARSE_SKIP_PLAIN] = { IMAP_LEX_PLAIN, on_skip },
	[PARSE_SEARCH] = { IMAP_LEX_SET, imap_parse_search },
	[PARSE_SEARCH_EXTRA] = { IMAP_LEX_VALUE, imap_parse_search_extra },
	[PARSE_ESEARCH] = { IMAP_LEX_VALUE, imap_parse_esearch },
	[PARSE_ESEARCH_CORRELATOR] = { IMAP_LEX_VALUE, imap_parse_esearch_correlator },
	[PARSE_ESEARCH_VALUE] = { IMAP_LEX_VALUE, imap_parse_esearch_value },
	[PARSE_ESEARCH_SET] = { IMAP_LEX_SET, imap_parse_esearch_set },
	[PARSE_ESEARCH_PARTIAL] = { IMAP_LEX_VALUE, imap_parse_esearch_partial },
	[PARSE_ESEARCH_SKIP] = { IMAP_LEX_VALUE, imap_parse_esearch_skip },
	[PARSE_VANISHED] = { IMAP_LEX_SET, imap_parse_vanished },
	[PARSE_VANISHED_EARLIER] = { IMAP_LEX_VALUE, imap_parse_vanished_earlier },
	[PARSE_FETCH_OPEN] = { IMAP_LEX_VALUE, imap_parse_fetch_open },
	[PARSE_FETCH_ITEM] = { IMAP_LEX_ITEM, imap_parse_fetch_item },
	[PARSE_FETCH_VALUE] = { IMAP_LEX_VALUE, imap_parse_fetch_value },
	[PARSE_FETCH_FLAGS] = { IMAP_LEX_VALUE, imap_parse_fetch_flags },
	[PARSE_FETCH_LIST] = { IMAP_LEX_VALUE, imap_parse_fetch_list },
	[PARSE_FETCH_SKIP] = { IMAP_LEX_VALUE, imap_parse_fetch_skip },
	[PARSE_FETCH_LITERAL] = { IMAP_LEX_VALUE, imap_parse_fetch_literal },
	[PARSE_FETCH_TEXT] = { IMAP_LEX_VALUE, imap_parse_fetch_text },
	[PARSE_FETCH_TEXT_LITERAL] = { IMAP_LEX_VALUE, imap_parse_fetch_text_literal },
	[PARSE_FETCH_BODY] = { IMAP_LEX_VALUE, imap_parse_fetch_body },
	[PARSE_FETCH_END] = { IMAP_LEX_VALUE, imap_parse_fetch_end },
};

/* After PARSE_BAD: find the end of the line, or end the stream when that cannot be done safely. */
static enum imap_step resync(struct imap_parser *p, struct imap_response *out, struct err *err)
{
	bool body = p->fetch.present & IMAP_FETCH_BODY;
	char *seen;

	if (!body) {
		if (imap_lexer_at_line_start(p->lexer)) {
			give_up(p, out);
			return IMAP_STEP_READY;
		}
		/* Outside a response a brace is no literal, and taking it for one would
		 * swallow the lines after it. */
		p->state = p->state == PARSE_FIRST || p->tagged ? PARSE_SKIP_PLAIN
								: PARSE_SKIP_LINE;
		return IMAP_STEP_MORE;
	}
	seen = escape_text(imap_lexer_seen(p->lexer), IMAP_EXCERPT_MAX);
	err_set(err, ERR_RETRY, "protocol error after a message body (%s): %s", p->why, seen);
	free(seen);
	return IMAP_STEP_ERROR;
}

static void begin_line(struct imap_parser *p)
{
	p->tagged = p->numbered = p->malformed = false;
	p->fetch.present = 0;
}

static enum imap_step advance(struct imap_parser *p, struct bytes *in, struct imap_response *out,
			      struct err *err)
{
	for (;;) {
		struct imap_token tok;
		enum parse_verdict v;
		enum imap_step step;

		step = imap_lexer_next(p->lexer, states[p->state].mode, in, &tok, err);
		if (step != IMAP_STEP_READY)
			return step;
		if (p->state == PARSE_FIRST)
			begin_line(p);
		if (tok.type == IMAP_TOKEN_BAD)
			v = imap_parse_bad(p, (const char *)tok.text.p);
		else
			v = states[p->state].take(p, &tok, out);
		if (v == PARSE_READY)
			return IMAP_STEP_READY;
		if (v == PARSE_BAD && (step = resync(p, out, err)) != IMAP_STEP_MORE)
			return step;
	}
}

enum imap_step imap_parser_next(struct imap_parser *p, struct bytes *in,
				struct imap_response *out, struct err *err)
{
	enum imap_step step;

	if (p->broken) {
		err_set(err, ERR_RETRY, "protocol error: nothing can be read any more");
		return IMAP_STEP_ERROR;
	}
	if (imap_parse_fetch_pending(p, out))
		return IMAP_STEP_READY;
	step = advance(p, in, out, err);
	p->broken = step == IMAP_STEP_ERROR;
	return step;
}

bool imap_parser_is_idle(const struct imap_parser *p)
{
	return p->state == PARSE_FIRST && !p->body_open && imap_lexer_at_line_start(p->lexer);
}
