#include "core/imap/criteria.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/imap/encode.h"

#define DEPTH_MAX 32

enum argument { NOTHING, TEXT, KEYWORD, NUMBER, DATE, SET, OBJECT_ID, KEY };

struct key {
	const char *name;
	enum argument first, second;
};

static const struct key keys[] = {
	{ "ALL", NOTHING, NOTHING },	   { "ANSWERED", NOTHING, NOTHING },
	{ "BCC", TEXT, NOTHING },	   { "BEFORE", DATE, NOTHING },
	{ "BODY", TEXT, NOTHING },	   { "CC", TEXT, NOTHING },
	{ "DELETED", NOTHING, NOTHING },   { "DRAFT", NOTHING, NOTHING },
	{ "EMAILID", OBJECT_ID, NOTHING }, { "FLAGGED", NOTHING, NOTHING },
	{ "FROM", TEXT, NOTHING },	   { "HEADER", TEXT, TEXT },
	{ "KEYWORD", KEYWORD, NOTHING },   { "LARGER", NUMBER, NOTHING },
	{ "MODSEQ", NUMBER, NOTHING },	   { "NEW", NOTHING, NOTHING },
	{ "NOT", KEY, NOTHING },	   { "OLD", NOTHING, NOTHING },
	{ "OLDER", NUMBER, NOTHING },	   { "ON", DATE, NOTHING },
	{ "OR", KEY, KEY },		   { "RECENT", NOTHING, NOTHING },
	{ "SAVEDBEFORE", DATE, NOTHING },  { "SAVEDON", DATE, NOTHING },
	{ "SAVEDSINCE", DATE, NOTHING },   { "SEEN", NOTHING, NOTHING },
	{ "SENTBEFORE", DATE, NOTHING },   { "SENTON", DATE, NOTHING },
	{ "SENTSINCE", DATE, NOTHING },	   { "SINCE", DATE, NOTHING },
	{ "SMALLER", NUMBER, NOTHING },	   { "SUBJECT", TEXT, NOTHING },
	{ "TEXT", TEXT, NOTHING },	   { "THREADID", OBJECT_ID, NOTHING },
	{ "TO", TEXT, NOTHING },	   { "UID", SET, NOTHING },
	{ "UNANSWERED", NOTHING, NOTHING }, { "UNDELETED", NOTHING, NOTHING },
	{ "UNDRAFT", NOTHING, NOTHING },   { "UNFLAGGED", NOTHING, NOTHING },
	{ "UNKEYWORD", KEYWORD, NOTHING }, { "UNSEEN", NOTHING, NOTHING },
	{ "X-GM-LABELS", TEXT, NOTHING },  { "X-GM-MSGID", NUMBER, NOTHING },
	{ "X-GM-RAW", TEXT, NOTHING },	   { "X-GM-THRID", NUMBER, NOTHING },
	{ "YOUNGER", NUMBER, NOTHING },
};

struct reader {
	struct imap_encoder *e;
	const struct bytes *at, *end;
};

static void complain(struct reader *r, const char *what, struct bytes word)
{
	char *shown = escape_text(word, 100);

	if (!r->e->err.kind)
		err_set(&r->e->err, ERR_CONFIG, "search: %s \"%s\"", what, shown);
	free(shown);
}

static const struct key *find_key(struct bytes word)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (bytes_is_nocase(word, keys[i].name))
			return &keys[i];
	return NULL;
}

/* Digits up to `stop`, or to the end when it is 0; *text goes on behind. */
static bool take_number(struct bytes *text, uint8_t stop, int *out)
{
	size_t n = 0;
	uint32_t value;

	while (n < text->n && ascii_is_digit(text->p[n]))
		n++;
	if (!bytes_to_u32(bytes_from(text->p, n), &value) || value > 9999 ||
	    (stop ? n == text->n || text->p[n] != stop : n != text->n))
		return false;
	*out = (int)value;
	*text = bytes_skip(*text, stop ? n + 1 : n);
	return true;
}

static bool take_month(struct bytes *text, int *out)
{
	static const char *const names[] = { "Jan-", "Feb-", "Mar-", "Apr-", "May-", "Jun-",
					     "Jul-", "Aug-", "Sep-", "Oct-", "Nov-", "Dec-" };

	for (int i = 0; i < 12; i++) {
		if (!bytes_starts_nocase(*text, names[i]))
			continue;
		*out = i + 1;
		*text = bytes_skip(*text, 4);
		return true;
	}
	return false;
}

static void encode_date(struct reader *r, struct bytes word)
{
	struct bytes rest = word;
	int day, month, year;

	if (take_number(&rest, '-', &day) && take_month(&rest, &month) &&
	    take_number(&rest, 0, &year)) {
		imap_encode_date(r->e, day, month, year);
		return;
	}
	rest = word;
	if (take_number(&rest, '-', &year) && take_number(&rest, '-', &month) &&
	    take_number(&rest, 0, &day))
		imap_encode_date(r->e, day, month, year);
	else
		complain(r, "not a date:", word);
}

static void encode_criterion(struct reader *r, unsigned depth);

static void encode_argument(struct reader *r, enum argument kind, struct bytes key,
			    unsigned depth)
{
	struct bytes word;
	uint64_t n;

	if (kind == NOTHING)
		return;
	if (r->at == r->end) {
		complain(r, "something is missing after", key);
		return;
	}
	if (kind == KEY) {
		encode_criterion(r, depth + 1);
		return;
	}
	word = *r->at++;
	switch (kind) {
	case TEXT:
		imap_encode_astring(r->e, word);
		break;
	case KEYWORD:
	case OBJECT_ID:
		imap_encode_atom(r->e, word);
		break;
	case SET:
		imap_encode_set_text(r->e, word);
		break;
	case NUMBER:
		if (bytes_to_u64(word, &n))
			imap_encode_number(r->e, n);
		else
			complain(r, "not a number:", word);
		break;
	default:
		encode_date(r, word);
		break;
	}
}

static void encode_group(struct reader *r, unsigned depth)
{
	struct bytes open = *r->at++;
	const struct bytes *first = r->at;

	imap_encode_open(r->e);
	while (r->at < r->end && !bytes_is(*r->at, ")") && !r->e->err.kind)
		encode_criterion(r, depth + 1);
	if (r->at == r->end || r->at == first) {
		complain(r, "nothing closes, or nothing is in", open);
		return;
	}
	r->at++;
	imap_encode_close(r->e);
}

static void encode_criterion(struct reader *r, unsigned depth)
{
	struct bytes word = *r->at;
	const struct key *key = find_key(word);

	if (depth > DEPTH_MAX) {
		complain(r, "too deep at", word);
	} else if (bytes_is(word, "(")) {
		encode_group(r, depth);
	} else if (key) {
		r->at++;
		imap_encode_word(r->e, key->name);
		encode_argument(r, key->first, word, depth);
		encode_argument(r, key->second, word, depth);
	} else if (word.n && (ascii_is_digit(word.p[0]) || word.p[0] == '*' || word.p[0] == '$')) {
		r->at++;
		imap_encode_set_text(r->e, word);
	} else {
		complain(r, "no such criterion:", word);
	}
}

void imap_encode_criteria(struct imap_encoder *e, const struct bytes *words, size_t n)
{
	struct reader r = { .e = e, .at = words, .end = words + n };

	if (!n)
		imap_encode_word(e, "ALL");
	while (r.at < r.end && !e->err.kind)
		encode_criterion(&r, 0);
}

bool imap_criteria_are_8bit(const struct bytes *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < words[i].n; j++)
			if (words[i].p[j] >= 0x80)
				return true;
	return false;
}
