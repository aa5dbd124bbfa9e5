#include "backends/git/mailbox_text.h"

#include <stdlib.h>

#include "backends/git/layout.h"
#include "backends/git/text_line.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"

/* As they are written. */
enum key {
	KEY_NAME,
	KEY_WIRE,
	KEY_DELIMITER,
	KEY_UTF8,
	KEY_ATTRIBUTES,
	KEY_SUBSCRIBED,
	KEY_AGREED,
	KEY_UIDVALIDITY,
	KEY_UIDNEXT,
	KEY_MESSAGES,
	KEY_HIGHESTMODSEQ,
	KEY_LIVE,
	KEY_BYTES,
	KEY_STORED,
	KEY_KNOWN,
	KEY_REMAPPED,
	KEY_KEPT,
	KEY_HELD,
	KEY_PENDING,
	KEY_KNOWN_ALSO,
	KEY_KNOWN_NOT,
	KEY_MAILBOXID,
	KEYS
};

static const char *const keys[KEYS] = {
	"name",     "wire",	   "delimiter", "utf8",	    "attributes",    "subscribed",
	"agreed",   "uidvalidity", "uidnext",	"messages", "highestmodseq", "live",
	"bytes",    "stored",	   "known",	"remapped", "kept",	     "held",
	"pending",  "known-also",  "known-not", "mailboxid",
};

static const struct {
	enum mailbox_attributes bit;
	const char *word;
} attributes[] = {
	{ MAILBOX_NOSELECT, "noselect" }, { MAILBOX_ALL, "all" },
	{ MAILBOX_ARCHIVE, "archive" },	  { MAILBOX_DRAFTS, "drafts" },
	{ MAILBOX_FLAGGED, "flagged" },	  { MAILBOX_JUNK, "junk" },
	{ MAILBOX_SENT, "sent" },	  { MAILBOX_TRASH, "trash" },
};

#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

/* No more than the text can hold, which has a limit. */
static const struct uidset_limits set_limits = { .bytes = MAILBOX_TEXT_MAX,
						 .ranges = MAILBOX_TEXT_MAX / 2 };

/* The lines of a file, before they are understood. */
struct lines {
	struct bytes value[KEYS];
	size_t number[KEYS]; /* 0: there is no such line */
	struct buf extra;
};

void mailbox_text_init(struct mailbox_text *m)
{
	*m = (struct mailbox_text){ 0 };
}

void mailbox_text_release(struct mailbox_text *m)
{
	mailbox_name_release(&m->name);
	uidset_release(&m->known_also);
	uidset_release(&m->known_not);
	free(m->more_attributes);
	free(m->extra);
	mailbox_text_init(m);
}

void mailbox_text_copy(struct mailbox_text *dst, const struct mailbox_text *src)
{
	struct mailbox_text copy = *src;

	mailbox_name_init(&copy.name);
	mailbox_name_copy(&copy.name, &src->name);
	uidset_init(&copy.known_also);
	uidset_copy(&copy.known_also, &src->known_also);
	uidset_init(&copy.known_not);
	uidset_copy(&copy.known_not, &src->known_not);
	if (src->more_attributes)
		copy.more_attributes = xstrdup(src->more_attributes);
	if (src->extra)
		copy.extra = xstrdup(src->extra);
	mailbox_text_release(dst);
	*dst = copy;
}

static int fail(const struct lines *l, enum key key, const char *what, struct err *err)
{
	return text_fail(l->number[key], what, l->value[key], err);
}

static enum key find_key(struct bytes word)
{
	enum key key = 0;

	while (key < KEYS && !bytes_is(word, keys[key]))
		key++;
	return key;
}

static int sort_line(struct lines *l, size_t number, struct bytes line, struct err *err)
{
	struct bytes rest = line, word;
	enum key key;

	if (!text_take_until(&rest, ':', &word) || !text_is_word(word) ||
	    !text_take(&rest, " "))
		return text_fail(number, "not a line `key: value`", line, err);
	if (text_has_control(rest))
		return text_fail(number, "holds a control byte", line, err);
	key = find_key(word);
	if (key == KEYS) {
		buf_add(&l->extra, line);
		buf_add_byte(&l->extra, '\n');
		return 0;
	}
	if (l->number[key])
		return text_fail(number, "a second line of its kind", line, err);
	l->number[key] = number;
	l->value[key] = rest;
	return 0;
}

static int sort_lines(struct lines *l, struct bytes text, struct err *err)
{
	size_t number = 0;
	struct bytes line;
	int rc;

	while ((rc = text_line(&text, &number, &line, err)) > 0)
		if (sort_line(l, number, line, err) < 0)
			return -1;
	return rc;
}

static int need(const struct lines *l, enum key key, struct err *err)
{
	return l->number[key] ? 0 : err_set(err, ERR_FATAL, "no line `%s:`", keys[key]);
}

static int read_yes(const struct lines *l, enum key key, bool *out, struct err *err)
{
	*out = bytes_is(l->value[key], "yes");
	if (l->number[key] && !*out && !bytes_is(l->value[key], "no"))
		return fail(l, key, "neither `yes` nor `no`", err);
	return 0;
}

static int read_number(const struct lines *l, enum key key, uint64_t most, uint64_t *out,
		       struct err *err)
{
	if (need(l, key, err) < 0)
		return -1;
	return text_number(l->value[key], most, out) ? 0
						     : fail(l, key, "not a number it can be", err);
}

static int read_delimiter(const struct lines *l, uint8_t *out, struct err *err)
{
	struct buf byte = BUF_INIT(2);
	bool ok;

	*out = 0;
	if (bytes_is(l->value[KEY_DELIMITER], "NIL"))
		return 0;
	ok = text_unescape(l->value[KEY_DELIMITER], &byte) && byte.n == 1 && !byte.overflow;
	if (ok)
		*out = byte.p[0];
	buf_release(&byte);
	/* A NUL as it would be escaped is no delimiter either: that is NIL. */
	return ok && *out ? 0 : fail(l, KEY_DELIMITER, "neither one character nor NIL", err);
}

/* As the server spells it. */
static int read_wire(const struct lines *l, struct mailbox_name *name, struct err *err)
{
	struct buf wire = BUF_INIT(l->value[KEY_WIRE].n);
	uint8_t delimiter;
	bool utf8;
	int ret = -1;

	if (need(l, KEY_DELIMITER, err) < 0 || read_delimiter(l, &delimiter, err) < 0 ||
	    read_yes(l, KEY_UTF8, &utf8, err) < 0)
		goto out;
	if (!text_unescape(l->value[KEY_WIRE], &wire)) {
		fail(l, KEY_WIRE, "not escaped as it should be", err);
		goto out;
	}
	mailbox_name_from_wire(name, buf_bytes(&wire), delimiter, utf8);
	ret = 0;
out:
	buf_release(&wire);
	return ret;
}

/* What it is called here; where that is not how the server calls it, `name` knows both. */
static int read_both_names(const struct lines *l, struct mailbox_name *name, struct err *err)
{
	struct mailbox_name spelled = MAILBOX_NAME_INIT, given = MAILBOX_NAME_INIT;
	char *text = NULL;
	struct err why;
	int ret = -1;

	if (l->number[KEY_WIRE] && read_wire(l, &spelled, err) < 0)
		goto out;
	if (mailbox_name_from_display(&given, l->value[KEY_NAME], &why) < 0) {
		fail(l, KEY_NAME, "not the name of a mailbox", err);
		goto out;
	}
	text = mailbox_name_text(&given);
	if (!bytes_is(l->value[KEY_NAME], text)) {
		fail(l, KEY_NAME, "not how this mailbox is named", err);
		goto out;
	}
	if (l->number[KEY_WIRE])
		mailbox_name_map(name, &spelled, &given);
	else
		mailbox_name_copy(name, &given);
	ret = 0;
out:
	free(text);
	mailbox_name_release(&spelled);
	mailbox_name_release(&given);
	return ret;
}

static int read_name(const struct lines *l, const char *dir, struct mailbox_name *name,
		     struct err *err)
{
	char own_dir[LAYOUT_DIR_SIZE];

	if (need(l, KEY_NAME, err) < 0)
		return -1;
	if (!l->number[KEY_WIRE] && (l->number[KEY_DELIMITER] || l->number[KEY_UTF8]))
		return need(l, KEY_WIRE, err);
	if (read_both_names(l, name, err) < 0)
		return -1;
	layout_dir(name, own_dir);
	return strcmp(own_dir, dir) == 0
		       ? 0
		       : fail(l, KEY_NAME, "a mailbox that belongs in another directory", err);
}

static unsigned attribute_bit(struct bytes word)
{
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (bytes_is(word, attributes[i].word))
			return attributes[i].bit;
	return 0;
}

static int read_attributes(const struct lines *l, struct mailbox_text *m, struct err *err)
{
	struct bytes rest = l->value[KEY_ATTRIBUTES], word;
	struct buf more = BUF_INIT(rest.n);
	int ret = 0;
	bool last = l->number[KEY_ATTRIBUTES] == 0;

	while (!last && ret == 0) {
		unsigned bit;

		last = !text_take_until(&rest, ' ', &word);
		if (last)
			word = rest;
		bit = attribute_bit(word);
		m->attributes |= bit;
		if (!text_is_word(word)) {
			ret = fail(l, KEY_ATTRIBUTES, "not words with a space between", err);
		} else if (!bit) {
			if (more.n > 0)
				buf_add_byte(&more, ' ');
			buf_add(&more, word);
		}
	}
	if (more.n > 0)
		m->more_attributes = buf_take(&more);
	buf_release(&more);
	return ret;
}

/* Without an agreement there is nothing to say about how far it went. */
static int read_token(const struct lines *l, struct token *t, struct err *err)
{
	uint64_t uidvalidity, uidnext, messages;

	if (need(l, KEY_AGREED, err) < 0 || read_yes(l, KEY_AGREED, &t->known, err) < 0)
		return -1;
	for (enum key key = KEY_UIDVALIDITY; !t->known && key <= KEY_HIGHESTMODSEQ; key++)
		if (l->number[key])
			return fail(l, key, "stands where nothing was agreed", err);
	if (!t->known)
		return 0;
	if (read_number(l, KEY_UIDVALIDITY, UINT32_MAX, &uidvalidity, err) < 0 ||
	    read_number(l, KEY_UIDNEXT, UINT32_MAX, &uidnext, err) < 0 ||
	    read_number(l, KEY_MESSAGES, UINT32_MAX, &messages, err) < 0 ||
	    read_number(l, KEY_HIGHESTMODSEQ, UINT64_MAX, &t->highestmodseq, err) < 0)
		return -1;
	t->uidvalidity = (uint32_t)uidvalidity;
	t->uidnext = (uint32_t)uidnext;
	t->messages = (uint32_t)messages;
	return 0;
}

static int read_set(const struct lines *l, enum key key, struct uidset *out, struct err *err)
{
	struct err why;

	if (!l->number[key] ||
	    uidset_parse(out, l->value[key], UIDSET_STRICT, &set_limits, &why) == 0)
		return 0;
	return fail(l, key, "not a set of UIDs", err);
}

static int understand(const struct lines *l, const char *dir, struct mailbox_text *m,
		      struct err *err)
{
	const struct {
		enum key key;
		uint64_t *out;
	} counts[] = {
		{ KEY_LIVE, &m->live },		{ KEY_BYTES, &m->bytes },
		{ KEY_STORED, &m->stored },	{ KEY_KNOWN, &m->known },
		{ KEY_REMAPPED, &m->remapped }, { KEY_KEPT, &m->kept },
		{ KEY_HELD, &m->held },		{ KEY_PENDING, &m->pending },
	};
	bool subscribed;

	if (read_name(l, dir, &m->name, err) < 0 || read_attributes(l, m, err) < 0 ||
	    need(l, KEY_SUBSCRIBED, err) < 0 ||
	    read_yes(l, KEY_SUBSCRIBED, &subscribed, err) < 0 ||
	    read_token(l, &m->token, err) < 0)
		return -1;
	if (subscribed)
		m->attributes |= MAILBOX_SUBSCRIBED;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (read_number(l, counts[i].key, UINT64_MAX, counts[i].out, err) < 0)
			return -1;
	if (l->number[KEY_MAILBOXID] && !mailboxid_take(m->mailboxid, l->value[KEY_MAILBOXID]))
		return fail(l, KEY_MAILBOXID, "not what a server can call a mailbox", err);
	if (read_set(l, KEY_KNOWN_ALSO, &m->known_also, err) < 0)
		return -1;
	return read_set(l, KEY_KNOWN_NOT, &m->known_not, err);
}

int mailbox_text_read(struct bytes text, const char *dir, struct mailbox_text *out,
		      struct err *err)
{
	struct lines l = { .extra = BUF_INIT(text.n) };
	struct mailbox_text m;
	int ret;

	mailbox_text_init(&m);
	ret = sort_lines(&l, text, err);
	if (ret == 0)
		ret = understand(&l, dir, &m, err);
	if (ret == 0 && l.extra.n > 0)
		m.extra = buf_take(&l.extra);
	if (ret == 0) {
		mailbox_text_release(out);
		*out = m;
	} else {
		mailbox_text_release(&m);
	}
	buf_release(&l.extra);
	return ret;
}

static void begin_line(enum key key, struct buf *out)
{
	buf_add_str(out, keys[key]);
	buf_add_str(out, ": ");
}

static void add_text(enum key key, const char *value, struct buf *out)
{
	begin_line(key, out);
	buf_add_str(out, value);
	buf_add_byte(out, '\n');
}

static void add_number(enum key key, uint64_t value, struct buf *out)
{
	begin_line(key, out);
	text_add_number(value, out);
	buf_add_byte(out, '\n');
}

static void add_escaped(enum key key, struct bytes value, struct buf *out)
{
	begin_line(key, out);
	text_escape(value, TEXT_ASCII, out);
	buf_add_byte(out, '\n');
}

static void add_set(enum key key, const struct uidset *set, struct buf *out)
{
	if (uidset_is_empty(set))
		return;
	begin_line(key, out);
	uidset_format(set, out);
	buf_add_byte(out, '\n');
}

static void write_name(const struct mailbox_name *name, struct buf *out)
{
	begin_line(KEY_NAME, out);
	mailbox_name_display(name, out);
	buf_add_byte(out, '\n');
	if (!name->wire.p)
		return;
	add_escaped(KEY_WIRE, name->wire, out);
	if (name->delimiter)
		add_escaped(KEY_DELIMITER, bytes_from(&name->delimiter, 1), out);
	else
		add_text(KEY_DELIMITER, "NIL", out);
	if (name->utf8)
		add_text(KEY_UTF8, "yes", out);
}

static void add_word(const char *word, bool *any, struct buf *out)
{
	if (*any)
		buf_add_byte(out, ' ');
	else
		begin_line(KEY_ATTRIBUTES, out);
	buf_add_str(out, word);
	*any = true;
}

static void write_attributes(const struct mailbox_text *m, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (m->attributes & attributes[i].bit)
			add_word(attributes[i].word, &any, out);
	if (m->more_attributes)
		add_word(m->more_attributes, &any, out);
	if (any)
		buf_add_byte(out, '\n');
	add_text(KEY_SUBSCRIBED, m->attributes & MAILBOX_SUBSCRIBED ? "yes" : "no", out);
}

static void write_token(const struct token *t, struct buf *out)
{
	add_text(KEY_AGREED, t->known ? "yes" : "no", out);
	if (!t->known)
		return;
	add_number(KEY_UIDVALIDITY, t->uidvalidity, out);
	add_number(KEY_UIDNEXT, t->uidnext, out);
	add_number(KEY_MESSAGES, t->messages, out);
	add_number(KEY_HIGHESTMODSEQ, t->highestmodseq, out);
}

void mailbox_text_write(const struct mailbox_text *m, struct buf *out)
{
	write_name(&m->name, out);
	write_attributes(m, out);
	write_token(&m->token, out);
	add_number(KEY_LIVE, m->live, out);
	add_number(KEY_BYTES, m->bytes, out);
	add_number(KEY_STORED, m->stored, out);
	add_number(KEY_KNOWN, m->known, out);
	add_number(KEY_REMAPPED, m->remapped, out);
	add_number(KEY_KEPT, m->kept, out);
	add_number(KEY_HELD, m->held, out);
	add_number(KEY_PENDING, m->pending, out);
	add_set(KEY_KNOWN_ALSO, &m->known_also, out);
	add_set(KEY_KNOWN_NOT, &m->known_not, out);
	if (*m->mailboxid)
		add_text(KEY_MAILBOXID, m->mailboxid, out);
	if (m->extra)
		buf_add_str(out, m->extra);
}

/* The file as it would be if the token had gone nowhere. */
static void write_at_start(const struct mailbox_text *m, struct buf *out)
{
	struct mailbox_text start = *m;

	start.token = (struct token){ .known = m->token.known,
				      .uidvalidity = m->token.uidvalidity };
	mailbox_text_write(&start, out);
}

bool mailbox_text_same_but_token(const struct mailbox_text *a, const struct mailbox_text *b)
{
	struct buf text_a = BUF_INIT(MAILBOX_TEXT_MAX), text_b = BUF_INIT(MAILBOX_TEXT_MAX);
	bool same;

	write_at_start(a, &text_a);
	write_at_start(b, &text_b);
	same = bytes_equal(buf_bytes(&text_a), buf_bytes(&text_b));
	buf_release(&text_a);
	buf_release(&text_b);
	return same;
}
