#include "core/base/err.h"
#include "core/imap/response_private.h"
#include "core/imap/scan.h"

/* What follows the name of a code. */
enum code_args {
	ARGS_NONE, /* nothing, or what we do not need: kept raw */
	ARGS_NUMBER,
	ARGS_FLAGS,
	ARGS_SET,
	ARGS_ID,
	ARGS_APPENDUID,
	ARGS_COPYUID,
	ARGS_MESSAGELIMIT,
};

static const struct {
	const char *name;
	enum imap_code code;
	enum code_args args;
} codes[] = {
	{ "ALERT", IMAP_CODE_ALERT, ARGS_NONE },
	{ "ALREADYEXISTS", IMAP_CODE_ALREADYEXISTS, ARGS_NONE },
	{ "APPENDUID", IMAP_CODE_APPENDUID, ARGS_APPENDUID },
	{ "AUTHENTICATIONFAILED", IMAP_CODE_AUTHENTICATIONFAILED, ARGS_NONE },
	{ "AUTHORIZATIONFAILED", IMAP_CODE_AUTHORIZATIONFAILED, ARGS_NONE },
	{ "BADCHARSET", IMAP_CODE_BADCHARSET, ARGS_NONE },
	{ "BADEVENT", IMAP_CODE_BADEVENT, ARGS_NONE },
	{ "BADURL", IMAP_CODE_BADURL, ARGS_NONE },
	{ "CANNOT", IMAP_CODE_CANNOT, ARGS_NONE },
	{ "CAPABILITY", IMAP_CODE_CAPABILITY, ARGS_NONE },
	{ "CLIENTBUG", IMAP_CODE_CLIENTBUG, ARGS_NONE },
	{ "CLOSED", IMAP_CODE_CLOSED, ARGS_NONE },
	{ "COMPRESSIONACTIVE", IMAP_CODE_COMPRESSIONACTIVE, ARGS_NONE },
	{ "CONTACTADMIN", IMAP_CODE_CONTACTADMIN, ARGS_NONE },
	{ "COPYUID", IMAP_CODE_COPYUID, ARGS_COPYUID },
	{ "CORRUPTION", IMAP_CODE_CORRUPTION, ARGS_NONE },
	{ "EXPIRED", IMAP_CODE_EXPIRED, ARGS_NONE },
	{ "EXPUNGEISSUED", IMAP_CODE_EXPUNGEISSUED, ARGS_NONE },
	{ "HASCHILDREN", IMAP_CODE_HASCHILDREN, ARGS_NONE },
	{ "HIGHESTMODSEQ", IMAP_CODE_HIGHESTMODSEQ, ARGS_NUMBER },
	{ "INPROGRESS", IMAP_CODE_INPROGRESS, ARGS_NONE },
	{ "INUSE", IMAP_CODE_INUSE, ARGS_NONE },
	{ "LIMIT", IMAP_CODE_LIMIT, ARGS_NONE },
	{ "MAILBOXID", IMAP_CODE_MAILBOXID, ARGS_ID },
	{ "MESSAGELIMIT", IMAP_CODE_MESSAGELIMIT, ARGS_MESSAGELIMIT },
	{ "MODIFIED", IMAP_CODE_MODIFIED, ARGS_SET },
	{ "NOMODSEQ", IMAP_CODE_NOMODSEQ, ARGS_NONE },
	{ "NONEXISTENT", IMAP_CODE_NONEXISTENT, ARGS_NONE },
	{ "NOPERM", IMAP_CODE_NOPERM, ARGS_NONE },
	{ "NOTIFICATIONOVERFLOW", IMAP_CODE_NOTIFICATIONOVERFLOW, ARGS_NONE },
	{ "NOTSAVED", IMAP_CODE_NOTSAVED, ARGS_NONE },
	{ "NOUPDATE", IMAP_CODE_NOUPDATE, ARGS_NONE },
	{ "OVERQUOTA", IMAP_CODE_OVERQUOTA, ARGS_NONE },
	{ "PARSE", IMAP_CODE_PARSE, ARGS_NONE },
	{ "PERMANENTFLAGS", IMAP_CODE_PERMANENTFLAGS, ARGS_FLAGS },
	{ "PRIVACYREQUIRED", IMAP_CODE_PRIVACYREQUIRED, ARGS_NONE },
	{ "READ-ONLY", IMAP_CODE_READ_ONLY, ARGS_NONE },
	{ "READ-WRITE", IMAP_CODE_READ_WRITE, ARGS_NONE },
	{ "REFERRAL", IMAP_CODE_REFERRAL, ARGS_NONE },
	{ "SERVERBUG", IMAP_CODE_SERVERBUG, ARGS_NONE },
	{ "THROTTLED", IMAP_CODE_THROTTLED, ARGS_NONE },
	{ "TOOBIG", IMAP_CODE_TOOBIG, ARGS_NONE },
	{ "TOOFEW", IMAP_CODE_TOOFEW, ARGS_NONE },
	{ "TOOMANY", IMAP_CODE_TOOMANY, ARGS_NONE },
	{ "TRYCREATE", IMAP_CODE_TRYCREATE, ARGS_NONE },
	{ "UIDNEXT", IMAP_CODE_UIDNEXT, ARGS_NUMBER },
	{ "UIDNOTSTICKY", IMAP_CODE_UIDNOTSTICKY, ARGS_NONE },
	{ "UIDREQUIRED", IMAP_CODE_UIDREQUIRED, ARGS_NONE },
	{ "UIDVALIDITY", IMAP_CODE_UIDVALIDITY, ARGS_NUMBER },
	{ "UNAVAILABLE", IMAP_CODE_UNAVAILABLE, ARGS_NONE },
	{ "UNKNOWN-CTE", IMAP_CODE_UNKNOWN_CTE, ARGS_NONE },
	{ "UNSEEN", IMAP_CODE_UNSEEN, ARGS_NUMBER },
	{ "USEATTR", IMAP_CODE_USEATTR, ARGS_NONE },
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct bytes trim(struct bytes b)
{
	while (b.n > 0 && is_blank(b.p[0]))
		b = bytes_skip(b, 1);
	while (b.n > 0 && is_blank(b.p[b.n - 1]))
		b.n--;
	return b;
}

/* The first `]` outside quotes and lists; text.n when there is none. */
static size_t code_end_by_grammar(struct bytes text)
{
	bool quote = false;
	unsigned depth = 0;

	for (size_t i = 1; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (quote) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quote = false;
		} else if (c == '"') {
			quote = true;
		} else if (c == '(') {
			depth++;
		} else if (c == ')' && depth > 0) {
			depth--;
		} else if (c == ']' && depth == 0) {
			return i;
		}
	}
	return text.n;
}

static size_t code_end(struct bytes text)
{
	size_t end = code_end_by_grammar(text);
	const uint8_t *p;

	if (end < text.n)
		return end;
	/* A lone quote or parenthesis in a code we do not know must not hide its end. */
	p = memchr(text.p, ']', text.n);
	return p ? (size_t)(p - text.p) : text.n;
}

bool imap_parse_flag_list(struct imap_parser *p, struct bytes list, bool *any_keyword)
{
	struct bytes copy = imap_parse_copy(p, list), flag;
	struct imap_scan s = imap_scan_init(p->line.p, copy.n);
	size_t n = 0;

	flags_release(&p->flags);
	while (imap_scan_astring(&s, &flag)) {
		if (++n > PARSE_MAX_KEYWORDS)
			return false;
		if (bytes_is(flag, "\\*"))
			*any_keyword = true;
		else
			flags_add(&p->flags, flag); /* \Recent and what is no flag is left out */
	}
	return imap_scan_at_end(&s);
}

static bool read_flags(struct imap_parser *p, struct imap_status *st)
{
	struct bytes list = st->args;

	if (list.n < 2 || list.p[0] != '(' || list.p[list.n - 1] != ')')
		return false;
	list = bytes_from(list.p + 1, list.n - 2);
	if (!imap_parse_flag_list(p, list, &st->any_keyword))
		return false;
	st->flags = &p->flags;
	return true;
}

static bool read_list(struct uidlist *list, struct bytes text)
{
	struct err ignored;

	return uidlist_parse(list, text, UIDSET_TOLERANT, NULL, &ignored) == 0;
}

/* The next word of *args; empty when there is none. */
static struct bytes word(struct bytes *args)
{
	struct bytes w;

	*args = trim(*args);
	w = bytes_from(args->p, 0);
	while (w.n < args->n && !is_blank(w.p[w.n]))
		w.n++;
	*args = bytes_skip(*args, w.n);
	return w;
}

static bool read_uids(struct imap_parser *p, struct imap_status *st, bool copy)
{
	struct bytes args = st->args;
	uint32_t uid_validity;

	if (!bytes_to_u32(word(&args), &uid_validity))
		return false;
	st->number = uid_validity;
	if (copy) {
		if (!read_list(&p->source, word(&args)))
			return false;
		st->source = &p->source;
	}
	if (!read_list(&p->target, word(&args)))
		return false;
	st->target = &p->target;
	return trim(args).n == 0;
}

static bool read_set(struct imap_parser *p, struct imap_status *st)
{
	struct err ignored;

	if (uidset_parse(&p->set, st->args, UIDSET_TOLERANT, NULL, &ignored) < 0)
		return false;
	st->set = &p->set;
	return true;
}

static bool read_args(struct imap_parser *p, struct imap_status *st, enum code_args kind)
{
	struct bytes args = st->args;

	switch (kind) {
	case ARGS_NONE:
		return true;
	case ARGS_NUMBER:
		return bytes_to_u64(args, &st->number);
	case ARGS_FLAGS:
		return read_flags(p, st);
	case ARGS_SET:
		return read_set(p, st);
	case ARGS_ID:
		if (args.n < 3 || args.p[0] != '(' || args.p[args.n - 1] != ')')
			return false;
		st->args = trim(bytes_from(args.p + 1, args.n - 2));
		return true;
	case ARGS_APPENDUID:
		return read_uids(p, st, false);
	case ARGS_COPYUID:
		return read_uids(p, st, true);
	case ARGS_MESSAGELIMIT:
		if (!bytes_to_u64(word(&args), &st->number))
			return false;
		args = trim(args);
		return args.n == 0 || bytes_to_u32(args, &st->uid);
	}
	return false;
}

static void read_code(struct imap_parser *p, struct imap_status *st)
{
	st->code = IMAP_CODE_UNKNOWN;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct imap_status tried = *st;

		if (!bytes_is_nocase(st->name, codes[i].name))
			continue;
		tried.code = codes[i].code;
		if (read_args(p, &tried, codes[i].args))
			*st = tried;
		return;
	}
}

void imap_parse_resp_text(struct imap_parser *p, struct bytes text, struct imap_status *st)
{
	struct bytes code;
	size_t end;

	st->text = text;
	if (text.n == 0 || text.p[0] != '[' || (end = code_end(text)) == text.n)
		return;
	st->text = trim(bytes_skip(text, end + 1));
	code = bytes_from(text.p + 1, end - 1);
	st->name = word(&code);
	st->args = trim(code);
	if (st->name.n > 0)
		read_code(p, st);
}
