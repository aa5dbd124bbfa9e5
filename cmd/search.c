#include "cmd/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/when.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/sync/store.h"

#include "cmd/decode.h"
#include "cmd/mime.h"

enum argument { NO_ARGUMENT, A_TEXT, A_DATE, A_SIZE };

/* What has to be known of a message to tell. */
enum need { NEED_ENTRY, NEED_DATE, NEED_HEADER };

struct criterion {
	const char *name;
	enum argument argument;
	enum need need;
	const char *shown; /* the argument, for help */
	const char *help;
};

enum {
	FROM,
	TO,
	SUBJECT,
	HEADER,
	MESSAGE_ID,
	SINCE,
	BEFORE,
	LARGER,
	SMALLER,
	SEEN,
	UNSEEN,
	ANSWERED,
	FLAGGED,
	DRAFT,
	DELETED,
	KEYWORD,
	CRITERIA
};

static const struct criterion criteria[CRITERIA] = {
	[FROM] = { "from", A_TEXT, NEED_HEADER, "TEXT", "it is from somebody whose name or address has that" },
	[TO] = { "to", A_TEXT, NEED_HEADER, "TEXT", "the same of To, Cc and Bcc" },
	[SUBJECT] = { "subject", A_TEXT, NEED_HEADER, "TEXT", "the subject has that" },
	[HEADER] = { "header", A_TEXT, NEED_HEADER, "TEXT", "a line of the header, such as 'List-Id: dev', has that" },
	[MESSAGE_ID] = { "message-id", A_TEXT, NEED_HEADER, "ID", "this very message" },
	[SINCE] = { "since", A_DATE, NEED_DATE, "DATE", "it arrived on that day, or at that time, or later" },
	[BEFORE] = { "before", A_DATE, NEED_DATE, "DATE", "it arrived earlier" },
	[LARGER] = { "larger", A_SIZE, NEED_ENTRY, "SIZE", "it has more bytes: 5000, 20k, 3M" },
	[SMALLER] = { "smaller", A_SIZE, NEED_ENTRY, "SIZE", "it has fewer" },
	[SEEN] = { "seen", NO_ARGUMENT, NEED_ENTRY, "", "it was read" },
	[UNSEEN] = { "unseen", NO_ARGUMENT, NEED_ENTRY, "", "it was not" },
	[ANSWERED] = { "answered", NO_ARGUMENT, NEED_ENTRY, "", "it was answered" },
	[FLAGGED] = { "flagged", NO_ARGUMENT, NEED_ENTRY, "", "it is flagged" },
	[DRAFT] = { "draft", NO_ARGUMENT, NEED_ENTRY, "", "it is a draft" },
	[DELETED] = { "deleted", NO_ARGUMENT, NEED_ENTRY, "", "it is marked as deleted" },
	[KEYWORD] = { "keyword", A_TEXT, NEED_ENTRY, "NAME", "it has that keyword" },
};

struct search_term {
	int what; /* index in `criteria` */
	bool not;
	char *text;     /* as it was given, without <> around an ID */
	char *folded;   /* the same, to be compared with what was folded */
	uint64_t size;
	int64_t moment; /* the first second of the date */
};

void search_release(struct search *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].text);
		free(s->v[i].folded);
	}
	free(s->v);
	*s = (struct search){ 0 };
}

void search_show(void)
{
	printf("\ncriteria of --search (all of them must hold; with 'not' before it, one must not):\n");
	for (size_t i = 0; i < CRITERIA; i++) {
		char left[40];

		snprintf(left, sizeof(left), "%s %s", criteria[i].name, criteria[i].shown);
		printf("  %-16s  %s\n", left, criteria[i].help);
	}
	printf("A word with blanks in it stands in double quotes: 'subject \"new house\" since 2024-02'.\n");
}

/* --- words --- */

/* The next word into *word, owned by the caller: 1, 0 at the end, -1. */
static int next_word(const char **at, char **word, struct err *err)
{
	const char *p = *at + strspn(*at, " \t\n");
	bool quoted = *p == '"';
	size_t n;

	if (!*p)
		return 0;
	p += quoted;
	n = strcspn(p, quoted ? "\"" : " \t\n");
	if (quoted && p[n] != '"')
		return err_set(err, ERR_CONFIG, "a quotation mark is missing at the end of a word");
	*word = bytes_dup(bytes_from(p, n));
	*at = p + n + quoted;
	return 1;
}

static int unknown_word(const char *word, struct err *err)
{
	char *safe = escape_text(bytes_of(word), 100);
	struct buf all = BUF_INIT(1000);

	for (size_t i = 0; i < CRITERIA; i++)
		buf_addf(&all, "%s%s", i ? ", " : "", criteria[i].name);
	err_set(err, ERR_CONFIG, "'%s' is no criterion; there are %s, and 'not' before one", safe,
		buf_str(&all));
	buf_release(&all);
	free(safe);
	return -1;
}

static bool parse_size(const char *text, uint64_t *out)
{
	size_t n = strspn(text, "0123456789");
	uint64_t unit = 1;

	if (!bytes_to_u64(bytes_from(text, n), out))
		return false;
	if (text[n] && !text[n + 1]) {
		unit = text[n] == 'k' || text[n] == 'K' ? 1000 :
		       text[n] == 'M'			 ? 1000000 :
		       text[n] == 'G'			 ? 1000000000 :
							   0;
		n++;
	}
	return unit && !text[n] && !__builtin_mul_overflow(*out, unit, out);
}

/* <ID> and ID are the same. */
static void strip_brackets(char *text)
{
	size_t n = strlen(text);

	if (n < 2 || text[0] != '<' || text[n - 1] != '>')
		return;
	memmove(text, text + 1, n - 2);
	text[n - 2] = '\0';
}

static int take_argument(struct search_term *t, int64_t now, struct err *err)
{
	const struct criterion *c = &criteria[t->what];
	struct when when;

	switch (c->argument) {
	case A_DATE:
		if (when_parse(t->text, now, &when, err) < 0)
			return err_prefix(err, "%s", c->name);
		t->moment = when.first;
		return 0;
	case A_SIZE:
		if (!parse_size(t->text, &t->size))
			return err_set(err, ERR_CONFIG, "%s: a size is such as 5000, 20k or 3M",
				       c->name);
		return 0;
	default:
		if (!*t->text)
			return err_set(err, ERR_CONFIG, "%s: there is nothing to look for", c->name);
		if (t->what == MESSAGE_ID)
			strip_brackets(t->text);
		t->folded = decode_fold(t->text);
		return 0;
	}
}

static int find_criterion(const char *word)
{
	for (int i = 0; i < CRITERIA; i++)
		if (bytes_is_nocase(bytes_of(word), criteria[i].name))
			return i;
	return -1;
}

/* The term whose first word is *word; that is freed or replaced. */
static int add_term(struct search *s, const char **at, char **word, int64_t now, struct err *err)
{
	struct search_term t = { 0 };
	int ret = 1;

	while (bytes_is_nocase(bytes_of(*word), "not") && ret == 1) {
		t.not = !t.not;
		free(*word);
		*word = NULL;
		ret = next_word(at, word, err);
		if (ret == 0)
			return err_set(err, ERR_CONFIG, "there is nothing after 'not'");
	}
	if (ret < 0)
		return -1;
	t.what = find_criterion(*word);
	if (t.what < 0)
		return unknown_word(*word, err);
	if (criteria[t.what].argument != NO_ARGUMENT) {
		ret = next_word(at, &t.text, err);
		if (ret <= 0)
			return ret < 0 ? -1
				       : err_set(err, ERR_CONFIG, "%s needs a %s",
						 criteria[t.what].name, criteria[t.what].shown);
	}
	s->v = xgrow(s->v, s->n, &s->cap, sizeof(*s->v));
	s->v[s->n++] = t;
	return t.text ? take_argument(&s->v[s->n - 1], now, err) : 0;
}

int search_add(struct search *s, const char *text, int64_t now, struct err *err)
{
	size_t before = s->n;

	for (;;) {
		char *word = NULL;
		int ret = next_word(&text, &word, err);

		if (ret == 1)
			ret = add_term(s, &text, &word, now, err) < 0 ? -1 : 1;
		free(word);
		if (ret < 0)
			return -1;
		if (ret == 0)
			break;
	}
	return s->n > before ? 0 : err_set(err, ERR_CONFIG, "there is no criterion in it");
}

/* --- judging --- */

/* What is known of a message. */
struct facts {
	const struct flags *flags;
	uint64_t size;
	const struct maildate *date;
	struct bytes header;
};

static bool contains(char *decoded, const char *folded)
{
	char *text = decode_fold(decoded);
	bool found = strstr(text, folded) != NULL;

	free(text);
	free(decoded);
	return found;
}

static bool is_one_of(struct bytes name, const char *const *names)
{
	for (; *names; names++)
		if (bytes_is_nocase(name, *names))
			return true;
	return false;
}

/* One of the fields has the text in it. */
static bool has_text(const struct search_term *t, struct bytes header, const char *const *names,
		     char *(*decode)(struct bytes raw))
{
	struct bytes name, value;

	while (mime_next_field(&header, &name, &value))
		if (is_one_of(name, names) &&
		    (contains(decode(value), t->folded) || contains(decode_words(value), t->folded)))
			return true;
	return false;
}

/* Name and value, as one reads them. */
static bool has_line(const struct search_term *t, struct bytes header)
{
	struct bytes name, value;

	while (mime_next_field(&header, &name, &value)) {
		char *field = bytes_dup(name), *text = decode_words(value);
		char *line = xasprintf("%s: %s", field, text + strspn(text, " "));

		free(field);
		free(text);
		if (contains(line, t->folded))
			return true;
	}
	return false;
}

static bool has_id(const struct search_term *t, struct bytes header)
{
	struct bytes name, value;

	while (mime_next_field(&header, &name, &value)) {
		char *text, *id;
		bool same;

		if (!bytes_is_nocase(name, "Message-ID"))
			continue;
		text = decode_words(value);
		id = text + strspn(text, " ");
		for (size_t n = strlen(id); n > 0 && id[n - 1] == ' ';)
			id[--n] = '\0';
		strip_brackets(id);
		same = strcmp(id, t->text) == 0;
		free(text);
		if (same)
			return true;
	}
	return false;
}

static bool holds(const struct search_term *t, const struct facts *f)
{
	static const char *const from[] = { "From", NULL }, *const to[] = { "To", "Cc", "Bcc", NULL },
				 *const subject[] = { "Subject", NULL };
	static const struct flags none;
	const struct flags *flags = f->flags ? f->flags : &none;

	switch (t->what) {
	case FROM:
		return has_text(t, f->header, from, decode_addresses);
	case TO:
		return has_text(t, f->header, to, decode_addresses);
	case SUBJECT:
		return has_text(t, f->header, subject, decode_words);
	case HEADER:
		return has_line(t, f->header);
	case MESSAGE_ID:
		return has_id(t, f->header);
	case SINCE:
		return f->date && f->date->known && f->date->unix_time >= t->moment;
	case BEFORE:
		return f->date && f->date->known && f->date->unix_time < t->moment;
	case LARGER:
		return f->size > t->size;
	case SMALLER:
		return f->size < t->size;
	case SEEN:
		return flags->bits & FLAG_SEEN;
	case UNSEEN:
		return !(flags->bits & FLAG_SEEN);
	case ANSWERED:
		return flags->bits & FLAG_ANSWERED;
	case FLAGGED:
		return flags->bits & FLAG_FLAGGED;
	case DRAFT:
		return flags->bits & FLAG_DRAFT;
	case DELETED:
		return flags->bits & FLAG_DELETED;
	default:
		return flags_has(flags, bytes_of(t->text));
	}
}

/* All criteria that need no more than `most`. */
static bool all_hold(const struct search *s, enum need most, const struct facts *f)
{
	for (size_t i = 0; i < s->n; i++)
		if (criteria[s->v[i].what].need <= most && holds(&s->v[i], f) == s->v[i].not)
			return false;
	return true;
}

static enum need need_of(const struct search *s)
{
	enum need need = NEED_ENTRY;

	for (size_t i = 0; i < s->n; i++)
		if (criteria[s->v[i].what].need > need)
			need = criteria[s->v[i].what].need;
	return need;
}

/* --- looking into messages --- */

/* Local stores give one message after the other. */
struct looking {
	const struct search *s;
	enum need need;
	struct uidset *out;
	struct buf header;
	size_t seen;  /* of the header: no line end before that */
	bool told;    /* begin() told flags and date, so the body need not be read to its end */
	uint32_t uid, judged; /* the message in work, and the one that was judged last */
	uint64_t size;
	struct flags flags;
	struct maildate date;
};

static void judge(struct looking *l, uint32_t uid)
{
	const struct facts f = { .flags = &l->flags, .size = l->size, .date = &l->date,
				 .header = buf_bytes(&l->header) };

	l->judged = uid;
	if (all_hold(l->s, l->need, &f))
		uidset_add(l->out, uid);
}

static void take_attributes(struct looking *l, const struct message *msg)
{
	l->size = msg->size;
	l->told = msg->flags && msg->date;
	if (msg->flags)
		flags_copy(&l->flags, msg->flags);
	if (msg->date)
		maildate_copy(&l->date, msg->date);
}

static int on_begin(void *ctx, void *tag, const struct message *msg, void **handle, struct err *err)
{
	struct looking *l = ctx;

	(void)tag;
	(void)err;
	*handle = l;
	l->uid = msg->uid;
	buf_clear(&l->header);
	l->seen = 0;
	take_attributes(l, msg);
	return 0;
}

/* Whether an empty line has come. */
static bool is_whole(struct looking *l)
{
	struct bytes all = buf_bytes(&l->header);

	for (const uint8_t *lf; l->seen < all.n; l->seen = (size_t)(lf - all.p) + 1) {
		struct bytes rest;

		lf = memchr(all.p + l->seen, '\n', all.n - l->seen);
		if (!lf)
			return false;
		rest = bytes_from(all.p + l->seen, (size_t)(lf - all.p) - l->seen);
		if (rest.n == 0 || (rest.n == 1 && *rest.p == '\r'))
			return true;
	}
	return false;
}

/* Once the header was seen, the rest need not be read: refusing the message ends it. */
static int on_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct looking *l = ctx;

	(void)handle;
	if (!l->header.overflow)
		buf_add(&l->header, piece);
	if (!l->told || (!l->header.overflow && !is_whole(l)))
		return 0;
	judge(l, l->uid);
	return err_set(err, ERR_MESSAGE, "no more of it is needed");
}

static int on_end(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	struct looking *l = ctx;

	(void)handle;
	(void)err;
	if (!complete)
		return 0;
	take_attributes(l, msg);
	judge(l, msg->uid);
	return 0;
}

static void on_outcome(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		       const struct err *why)
{
	struct looking *l = ctx;

	(void)tag;
	(void)new_uid;
	(void)why;
	if (what == OUTCOME_REFUSED && l->judged != uid)
		uidset_add(l->out, uid);
}

static int look_into(const struct search *s, enum need need, struct mailbox *mb,
		     const struct uidset *set, struct uidset *out, struct err *err)
{
	struct looking l = { .s = s, .need = need, .out = out, .header = BUF_INIT(MIME_HEADER_MAX) };
	const struct message_sink sink = { &l, on_begin, on_write, on_end };
	struct want want = { .mailbox = mb, .set = set, .exact = true, .header = need == NEED_HEADER,
			     .attributes = need != NEED_HEADER };
	int ret = store_fetch(mb->store, &want, 1, &sink, on_outcome, &l, err);

	buf_release(&l.header);
	flags_release(&l.flags);
	maildate_release(&l.date);
	if (ret == 0 && want.err.kind != ERR_NONE) {
		*err = want.err;
		ret = -1;
	}
	return ret;
}

int search_select(const struct search *s, struct mailbox *mb, const struct changes *have,
		  struct uidset *out, struct err *err)
{
	enum need need = need_of(s);
	struct uidset open = UIDSET_INIT;
	int ret = 0;

	for (size_t i = 0; i < have->n; i++) {
		const struct entry *e = &have->v[i];
		const struct facts f = { .flags = flag_table_get(have->flags, e->flags), .size = e->size };
		bool told = e->size != 0 && e->size != UINT32_MAX; /* else flags may not be, either */

		if (told && !all_hold(s, NEED_ENTRY, &f))
			continue;
		uidset_add(told && need == NEED_ENTRY ? out : &open, e->uid);
	}
	if (!uidset_is_empty(&open))
		ret = look_into(s, need, mb, &open, out, err);
	uidset_release(&open);
	return ret;
}
