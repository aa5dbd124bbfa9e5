#include "core/imap/response_private.h"
#include "core/imap/scan.h"

static const struct {
	const char *name;
	unsigned bits;
} attributes[] = {
	{ "\\Noselect", IMAP_MAILBOX_NOSELECT },
	{ "\\NonExistent", IMAP_MAILBOX_NONEXISTENT | IMAP_MAILBOX_NOSELECT },
	{ "\\Noinferiors", IMAP_MAILBOX_NOINFERIORS | IMAP_MAILBOX_HASNOCHILDREN },
	{ "\\Marked", IMAP_MAILBOX_MARKED },
	{ "\\Unmarked", IMAP_MAILBOX_UNMARKED },
	{ "\\HasChildren", IMAP_MAILBOX_HASCHILDREN },
	{ "\\HasNoChildren", IMAP_MAILBOX_HASNOCHILDREN },
	{ "\\Subscribed", IMAP_MAILBOX_SUBSCRIBED },
	{ "\\Remote", IMAP_MAILBOX_REMOTE },
	{ "\\All", IMAP_MAILBOX_ALL },
	{ "\\AllMail", IMAP_MAILBOX_ALL },
	{ "\\Archive", IMAP_MAILBOX_ARCHIVE },
	{ "\\Drafts", IMAP_MAILBOX_DRAFTS },
	{ "\\Flagged", IMAP_MAILBOX_FLAGGED },
	{ "\\Starred", IMAP_MAILBOX_FLAGGED },
	{ "\\Important", IMAP_MAILBOX_IMPORTANT },
	{ "\\Junk", IMAP_MAILBOX_JUNK },
	{ "\\Spam", IMAP_MAILBOX_JUNK },
	{ "\\Sent", IMAP_MAILBOX_SENT },
	{ "\\Trash", IMAP_MAILBOX_TRASH },
};

static unsigned read_attributes(struct bytes list)
{
	unsigned bits = 0;

	for (size_t i = 0, end; i < list.n; i = end + 1) {
		for (end = i; end < list.n && list.p[end] != ' ' && list.p[end] != '\t';)
			end++;
		for (size_t k = 0; k < sizeof(attributes) / sizeof(attributes[0]); k++)
			if (bytes_is_nocase(bytes_from(list.p + i, end - i), attributes[k].name))
				bits |= attributes[k].bits;
	}
	return bits;
}

static bool read_delimiter(struct imap_scan *s, uint8_t *out)
{
	struct bytes text;

	/* A backslash whose sender forgot to double it would swallow the closing quote. */
	if (imap_scan_peek(s) == '"' && s->end - s->p > 3 && memcmp(s->p, "\"\\\" ", 4) == 0) {
		*out = '\\';
		s->p += 3;
		return true;
	}
	if (!imap_scan_nstring(s, &text) || text.n > 1)
		return false;
	*out = text.n ? text.p[0] : 0; /* "" is meant as NIL */
	return true;
}

/* mbox-list-extended: pairs of a name and a value. */
static bool read_extended(struct imap_scan *s, struct imap_list *list)
{
	struct bytes name, value;

	if (!imap_scan_byte(s, '('))
		return false;
	while (imap_scan_peek(s) != ')') {
		if (!imap_scan_astring(s, &name))
			return false;
		if (imap_scan_peek(s) != '(') {
			if (!imap_scan_skip(s))
				return false;
			continue;
		}
		if (!imap_scan_list(s, &value))
			return false;
		if (bytes_is_nocase(name, "CHILDINFO")) {
			list->child_info = value;
		} else if (bytes_is_nocase(name, "OLDNAME")) {
			struct imap_scan in = { .p = s->p - 1 - value.n, .end = s->p - 1 };

			imap_scan_astring(&in, &list->old_name);
		}
	}
	return imap_scan_byte(s, ')') && imap_scan_at_end(s);
}

static bool has_controls(struct bytes name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] < 0x20 || name.p[i] == 0x7f)
			return true;
	return false;
}

/* The name and what follows it. False when it is not in a form that a server may send. */
static bool read_list_name(struct imap_scan *s, struct imap_list *list)
{
	bool quoted = imap_scan_peek(s) == '"';

	if (!imap_scan_astring(s, &list->name))
		return false;
	list->dubious = !quoted && has_controls(list->name);
	return imap_scan_at_end(s) || (imap_scan_peek(s) == '(' && read_extended(s, list));
}

static enum parse_verdict parse_list(struct imap_parser *p, struct bytes text,
				     struct imap_response *out)
{
	struct bytes copy = imap_parse_copy(p, text);
	struct imap_scan s = imap_scan_init(p->line.p, copy.n);
	struct imap_list list = { .lsub = bytes_is_nocase(buf_bytes(&p->name), "LSUB") };
	size_t at;

	if (!imap_scan_list(&s, &list.raw_attributes) || !read_delimiter(&s, &list.delimiter) ||
	    imap_scan_at_end(&s))
		return imap_parse_bad(p, "bad LIST");
	at = (size_t)(s.p - p->line.p);
	if (!read_list_name(&s, &list)) {
		/* From the text again: reading has taken escapes out of the copy. */
		list.name = bytes_skip(text, at);
		list.child_info = list.old_name = bytes_from(NULL, 0);
		list.dubious = true;
	}
	if (list.name.n > PARSE_MAX_NAME)
		return imap_parse_bad(p, "mailbox name too long");
	list.attributes = read_attributes(list.raw_attributes);
	if (list.lsub && !(list.attributes & IMAP_MAILBOX_NOSELECT))
		list.attributes |= IMAP_MAILBOX_SUBSCRIBED;
	out->type = IMAP_RESPONSE_LIST;
	out->u.list = list;
	return PARSE_READY;
}

static bool set_u32(uint64_t value, uint32_t *field)
{
	if (value > UINT32_MAX)
		return false;
	*field = (uint32_t)value;
	return true;
}

/* Store one value; false when it does not fit the item (then the item counts as not sent). */
static bool set_item(struct imap_mailbox_status *st, unsigned item, uint64_t value)
{
	switch (item) {
	case IMAP_ITEM_MESSAGES:
		return set_u32(value, &st->messages);
	case IMAP_ITEM_RECENT:
		return set_u32(value, &st->recent);
	case IMAP_ITEM_UIDNEXT:
		return set_u32(value, &st->uid_next);
	case IMAP_ITEM_UIDVALIDITY:
		return set_u32(value, &st->uid_validity);
	case IMAP_ITEM_UNSEEN:
		return set_u32(value, &st->unseen);
	case IMAP_ITEM_DELETED:
		return set_u32(value, &st->deleted);
	case IMAP_ITEM_HIGHESTMODSEQ:
		st->highest_modseq = value;
		return true;
	case IMAP_ITEM_SIZE:
		st->size = value;
		return true;
	case IMAP_ITEM_APPENDLIMIT:
		st->append_limit = value;
		return true;
	default:
		return false;
	}
}

static unsigned status_item(struct bytes name)
{
	static const struct {
		const char *name;
		unsigned item;
	} items[] = {
		{ "MESSAGES", IMAP_ITEM_MESSAGES },
		{ "RECENT", IMAP_ITEM_RECENT },
		{ "UIDNEXT", IMAP_ITEM_UIDNEXT },
		{ "UIDVALIDITY", IMAP_ITEM_UIDVALIDITY },
		{ "UNSEEN", IMAP_ITEM_UNSEEN },
		{ "HIGHESTMODSEQ", IMAP_ITEM_HIGHESTMODSEQ },
		{ "SIZE", IMAP_ITEM_SIZE },
		{ "DELETED", IMAP_ITEM_DELETED },
		{ "APPENDLIMIT", IMAP_ITEM_APPENDLIMIT },
		{ "MAILBOXID", IMAP_ITEM_MAILBOXID },
	};

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		if (bytes_is_nocase(name, items[i].name))
			return items[i].item;
	return 0;
}

static bool read_status_item(struct imap_scan *s, struct imap_mailbox_status *st, unsigned item)
{
	struct bytes text;
	uint64_t value;

	if (imap_scan_peek(s) == '(') {
		if (!imap_scan_list(s, &text))
			return false;
		if (item == IMAP_ITEM_MAILBOXID) {
			st->mailbox_id = text;
			st->present |= item;
		}
		return true;
	}
	if (!imap_scan_nstring(s, &text))
		return false;
	if (!text.p && item == IMAP_ITEM_APPENDLIMIT) {
		st->append_limit = UINT64_MAX;
		st->present |= item;
	} else if (bytes_to_u64(text, &value) && set_item(st, item, value)) {
		st->present |= item;
	} /* else "-1", "9.3e+06", NIL: as if the item had not been sent */
	return true;
}

/* Where the list that ends the text begins; NULL when none does. */
static const uint8_t *last_list(struct bytes text)
{
	unsigned depth = 0;

	for (const uint8_t *p = text.p + text.n; p > text.p; p--) {
		if (p[-1] == ')')
			depth++;
		else if (p[-1] == '(' && depth > 0 && --depth == 0)
			return p - 1;
		if (depth == 0)
			return NULL;
	}
	return NULL;
}

/* A name that should have been quoted ends where the last list begins. */
static bool read_status_name(struct imap_parser *p, struct imap_scan *s, struct bytes text,
			     struct bytes *name)
{
	struct bytes ignored;
	const uint8_t *open;

	if (imap_scan_astring(s, name)) {
		struct imap_scan rest = *s;

		if (imap_scan_list(&rest, &ignored) && imap_scan_at_end(&rest))
			return true;
	}
	open = last_list(text);
	if (!open)
		return false;
	*name = bytes_from(text.p, (size_t)(open - text.p));
	while (name->n > 0 && name->p[name->n - 1] == ' ')
		name->n--;
	imap_parse_copy(p, text);
	*s = imap_scan_init(p->line.p, text.n);
	s->p += open - text.p;
	return name->n > 0;
}

static enum parse_verdict parse_status(struct imap_parser *p, struct bytes text,
				       struct imap_response *out)
{
	struct bytes copy = imap_parse_copy(p, text), item;
	struct imap_scan s = imap_scan_init(p->line.p, copy.n);
	struct imap_mailbox_status st = { .present = 0 };

	if (text.n == 0 || !read_status_name(p, &s, text, &st.name) ||
	    st.name.n > PARSE_MAX_NAME || !imap_scan_byte(&s, '('))
		return imap_parse_bad(p, "bad STATUS");
	while (imap_scan_atom(&s, &item)) {
		unsigned bit = status_item(item);

		if (imap_scan_peek(&s) == ')')
			break; /* the last value is missing */
		if (!read_status_item(&s, &st, bit))
			return imap_parse_bad(p, "bad STATUS item");
	}
	if (!imap_scan_byte(&s, ')') || !imap_scan_at_end(&s))
		return imap_parse_bad(p, "bad STATUS list");
	out->type = IMAP_RESPONSE_MAILBOX;
	out->u.mailbox = st;
	return PARSE_READY;
}

static enum parse_verdict parse_flags(struct imap_parser *p, struct bytes text,
				      struct imap_response *out)
{
	bool any = false;

	if (text.n < 2 || text.p[0] != '(' || text.p[text.n - 1] != ')' ||
	    !imap_parse_flag_list(p, bytes_from(text.p + 1, text.n - 2), &any))
		return imap_parse_bad(p, "bad FLAGS");
	out->type = IMAP_RESPONSE_FLAGS;
	out->u.flags = &p->flags;
	return PARSE_READY;
}

static enum parse_verdict parse_numbered(struct imap_parser *p, struct imap_response *out)
{
	struct bytes name = buf_bytes(&p->name);

	out->u.number = p->number;
	if (bytes_is_nocase(name, "EXISTS")) {
		out->type = IMAP_RESPONSE_EXISTS;
	} else if (bytes_is_nocase(name, "RECENT")) {
		out->type = IMAP_RESPONSE_RECENT;
	} else if (bytes_is_nocase(name, "EXPUNGE")) {
		if (p->number == 0)
			return imap_parse_bad(p, "EXPUNGE of message 0");
		out->type = IMAP_RESPONSE_EXPUNGE;
	} else {
		return PARSE_GO;
	}
	return PARSE_READY;
}

static enum parse_verdict parse_named(struct imap_parser *p, const struct imap_token *tok,
				      struct imap_response *out)
{
	struct bytes name = buf_bytes(&p->name);
	bool capability = bytes_is_nocase(name, "CAPABILITY");

	if (capability || bytes_is_nocase(name, "ENABLED")) {
		if (tok->cut)
			return imap_parse_bad(p, "line too long");
		out->type = capability ? IMAP_RESPONSE_CAPABILITY : IMAP_RESPONSE_ENABLED;
		out->u.text = tok->text;
		return PARSE_READY;
	}
	/* A line cut at the ceiling does not end as these must end. */
	if (bytes_is_nocase(name, "LIST") || bytes_is_nocase(name, "LSUB"))
		return tok->cut ? imap_parse_bad(p, "LIST too long")
				: parse_list(p, tok->text, out);
	if (bytes_is_nocase(name, "STATUS"))
		return tok->cut ? imap_parse_bad(p, "STATUS too long")
				: parse_status(p, tok->text, out);
	if (bytes_is_nocase(name, "FLAGS"))
		return tok->cut ? imap_parse_bad(p, "FLAGS too long")
				: parse_flags(p, tok->text, out);
	return PARSE_GO;
}

enum parse_verdict imap_parse_line(struct imap_parser *p, const struct imap_token *tok,
				   struct imap_response *out)
{
	enum parse_verdict v = p->numbered ? parse_numbered(p, out) : parse_named(p, tok, out);

	if (v == PARSE_BAD)
		return v;
	p->state = PARSE_FIRST;
	if (v == PARSE_READY)
		return v;
	out->type = IMAP_RESPONSE_OTHER;
	out->u.other = (struct imap_other){
		.numbered = p->numbered,
		.number = p->numbered ? p->number : 0,
		.name = buf_bytes(&p->name),
		.text = tok->text,
		.cut = tok->cut,
	};
	return PARSE_READY;
}
