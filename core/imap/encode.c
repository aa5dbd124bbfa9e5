#include "core/imap/encode.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/msgset/uidset.h"

/* Longer text goes as a literal: servers limit quoted strings more than literals. */
#define MAX_QUOTED 1000
#define LITERAL_MINUS_MAX 4096

/* Where a chunk ends in the wire bytes; it begins where the one before ended. */
struct imap_chunk_mark {
	size_t end;
	bool wait, secret, stream;
	uint64_t stream_size;
};

void imap_encoder_init(struct imap_encoder *e, enum imap_literals literals, size_t max)
{
	*e = (struct imap_encoder){ .literals = literals, .wire = BUF_INIT(max) };
}

void imap_encoder_release(struct imap_encoder *e)
{
	buf_release_secret(&e->wire);
	free(e->marks);
	e->marks = NULL;
	e->mark_count = e->mark_cap = 0;
}

static bool failed(const struct imap_encoder *e)
{
	return e->err.kind != ERR_NONE;
}

static void mark(struct imap_encoder *e, struct imap_chunk_mark m)
{
	e->marks = xgrow(e->marks, e->mark_count, &e->mark_cap, sizeof(*e->marks));
	e->marks[e->mark_count++] = m;
}

static size_t mark_begin(const struct imap_encoder *e, size_t i)
{
	return i ? e->marks[i - 1].end : 0;
}

/* End the chunk here, unless it would be an empty one. */
static void cut(struct imap_encoder *e, bool wait)
{
	if (e->wire.n > mark_begin(e, e->mark_count) || wait)
		mark(e, (struct imap_chunk_mark){
				.end = e->wire.n, .wait = wait, .secret = e->secret });
}

static void separate(struct imap_encoder *e)
{
	if (e->wire.n > 0 && !e->glue)
		buf_add_byte(&e->wire, ' ');
	e->glue = false;
}

/* Every argument goes through here: nothing is added once something failed. */
static bool begin(struct imap_encoder *e)
{
	if (failed(e))
		return false;
	separate(e);
	return true;
}

static bool is_atom_byte(uint8_t c)
{
	return c > 0x20 && c < 0x7f && !memchr("(){%*\"\\]", c, 8);
}

static bool all_bytes(struct bytes text, bool (*is)(uint8_t))
{
	for (size_t i = 0; i < text.n; i++)
		if (!is(text.p[i]))
			return false;
	return true;
}

/* Whether text can stand bare and still be read as text: NIL would not. */
static bool is_bare(struct bytes text, bool (*is)(uint8_t))
{
	return text.n > 0 && text.n <= MAX_QUOTED && all_bytes(text, is) &&
	       !bytes_is_nocase(text, "NIL");
}

static bool is_quotable_byte(uint8_t c)
{
	return c != 0 && c != '\r' && c != '\n' && c < 0x80;
}

static void add_quoted(struct imap_encoder *e, struct bytes text)
{
	buf_add_byte(&e->wire, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_add_byte(&e->wire, '\\');
		buf_add_byte(&e->wire, text.p[i]);
	}
	buf_add_byte(&e->wire, '"');
}

static bool may_skip_wait(const struct imap_encoder *e, uint64_t size)
{
	return e->literals == IMAP_LITERALS_PLUS ||
	       (e->literals == IMAP_LITERALS_MINUS && size <= LITERAL_MINUS_MAX);
}

static void add_literal_size(struct imap_encoder *e, uint64_t size, bool binary, bool sync)
{
	bool wait = sync || !may_skip_wait(e, size);

	buf_addf(&e->wire, "%s{%" PRIu64 "%s}\r\n", binary ? "~" : "", size, wait ? "" : "+");
	if (!wait)
		e->nonsync = true;
	else
		cut(e, true);
}

static void add_string(struct imap_encoder *e, struct bytes text)
{
	if (text.n > 0 && memchr(text.p, '\0', text.n)) {
		err_set(&e->err, ERR_CONFIG, "text with a NUL byte cannot be sent");
		return;
	}
	if (text.n <= MAX_QUOTED && all_bytes(text, is_quotable_byte)) {
		add_quoted(e, text);
		return;
	}
	add_literal_size(e, text.n, false, false);
	buf_add(&e->wire, text);
}

static void add_astring(struct imap_encoder *e, struct bytes text)
{
	if (is_bare(text, is_atom_byte))
		buf_add(&e->wire, text);
	else
		add_string(e, text);
}

void imap_encode_word(struct imap_encoder *e, const char *word)
{
	if (begin(e))
		buf_add_str(&e->wire, word);
}

void imap_encode_open(struct imap_encoder *e)
{
	if (!begin(e))
		return;
	buf_add_byte(&e->wire, '(');
	e->glue = true;
}

void imap_encode_close(struct imap_encoder *e)
{
	if (failed(e))
		return;
	buf_add_byte(&e->wire, ')');
	e->glue = false;
}

void imap_encode_number(struct imap_encoder *e, uint64_t n)
{
	if (begin(e))
		buf_addf(&e->wire, "%" PRIu64, n);
}

static void refuse(struct imap_encoder *e, enum err_kind kind, const char *what,
		   struct bytes text)
{
	char *shown = escape_text(text, 100);

	err_set(&e->err, kind, "%s: \"%s\"", what, shown);
	free(shown);
}

void imap_encode_atom(struct imap_encoder *e, struct bytes text)
{
	if (!begin(e))
		return;
	if (text.n == 0 || !all_bytes(text, is_atom_byte))
		refuse(e, ERR_CONFIG, "not a word that IMAP allows here", text);
	else
		buf_add(&e->wire, text);
}

void imap_encode_astring(struct imap_encoder *e, struct bytes text)
{
	if (begin(e))
		add_astring(e, text);
}

void imap_encode_string(struct imap_encoder *e, struct bytes text)
{
	if (begin(e))
		add_string(e, text);
}

void imap_encode_nstring(struct imap_encoder *e, struct bytes text)
{
	if (!begin(e))
		return;
	if (text.p)
		add_string(e, text);
	else
		buf_add_str(&e->wire, "NIL");
}

/* Room for all of it, escaped, and for what ends the command: growing leaves copies behind. */
static bool secret_begin(struct imap_encoder *e, struct bytes text)
{
	if (!begin(e))
		return false;
	cut(e, false);
	buf_reserve(&e->wire, 2 * text.n + 64);
	e->secret = true;
	return true;
}

static void secret_end(struct imap_encoder *e)
{
	cut(e, false);
	e->secret = false;
}

void imap_encode_secret(struct imap_encoder *e, struct bytes text)
{
	if (!secret_begin(e, text))
		return;
	add_astring(e, text);
	secret_end(e);
}

static bool is_base64_byte(uint8_t c)
{
	return ascii_is_digit(c) || (ascii_upper(c) >= 'A' && ascii_upper(c) <= 'Z') || c == '+' ||
	       c == '/' || c == '=';
}

void imap_encode_secret_base64(struct imap_encoder *e, struct bytes text)
{
	if (!secret_begin(e, text))
		return;
	if (text.n == 0 || !all_bytes(text, is_base64_byte))
		err_set(&e->err, ERR_CONFIG, "initial response is not base64"); /* it is secret */
	else
		buf_add(&e->wire, text);
	secret_end(e);
}

void imap_encode_mailbox(struct imap_encoder *e, struct bytes wire_name)
{
	if (!begin(e))
		return;
	if (wire_name.n > 0 && memchr(wire_name.p, '\0', wire_name.n))
		refuse(e, ERR_MAILBOX, "mailbox name with a NUL byte", wire_name);
	else
		add_astring(e, wire_name);
}

static bool is_pattern_byte(uint8_t c)
{
	return is_atom_byte(c) || c == '*' || c == '%' || c == ']';
}

void imap_encode_pattern(struct imap_encoder *e, struct bytes pattern)
{
	if (!begin(e))
		return;
	if (is_bare(pattern, is_pattern_byte))
		buf_add(&e->wire, pattern);
	else
		add_string(e, pattern);
}

void imap_encode_uidset(struct imap_encoder *e, const struct uidset *set)
{
	if (!begin(e))
		return;
	if (uidset_is_empty(set))
		err_set(&e->err, ERR_CONFIG, "an empty message set cannot be sent");
	else
		uidset_format(set, &e->wire);
}

static bool is_set_byte(uint8_t c)
{
	return ascii_is_digit(c) || c == ':' || c == ',' || c == '*' || c == '$';
}

void imap_encode_set_text(struct imap_encoder *e, struct bytes text)
{
	if (!begin(e))
		return;
	if (text.n == 0 || !all_bytes(text, is_set_byte))
		refuse(e, ERR_CONFIG, "not a message set", text);
	else
		buf_add(&e->wire, text);
}

static bool is_flag_list_byte(uint8_t c)
{
	return is_atom_byte(c) || c == '\\' || c == ']' || c == ' ';
}

void imap_encode_flags(struct imap_encoder *e, const struct flags *flags)
{
	struct buf text = BUF_INIT(64 * 1024);

	if (!begin(e))
		return;
	if (flags_format_imap(flags, &text) > 0 || text.overflow ||
	    !all_bytes(buf_bytes(&text), is_flag_list_byte)) {
		err_set(&e->err, ERR_MESSAGE, "a keyword of the message cannot be sent");
	} else {
		buf_add_byte(&e->wire, '(');
		buf_add(&e->wire, buf_bytes(&text));
		buf_add_byte(&e->wire, ')');
	}
	buf_release(&text);
}

void imap_encode_datetime(struct imap_encoder *e, const struct maildate *date)
{
	if (!begin(e))
		return;
	buf_add_byte(&e->wire, '"');
	if (!maildate_format_append(date, &e->wire))
		err_set(&e->err, ERR_MESSAGE, "the message has no date that a server would take");
	buf_add_byte(&e->wire, '"');
}

void imap_encode_date(struct imap_encoder *e, int day, int month, int year)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

	if (!begin(e))
		return;
	if (day < 1 || day > 31 || month < 1 || month > 12 || year < 0 || year > 9999)
		err_set(&e->err, ERR_CONFIG, "not a date: %04d-%02d-%02d", year, month, day);
	else
		buf_addf(&e->wire, "%d-%s-%04d", day, months[month - 1], year);
}

void imap_encode_stream(struct imap_encoder *e, uint64_t size, bool binary, bool sync)
{
	if (!begin(e))
		return;
	add_literal_size(e, size, binary, sync);
	cut(e, false);
	mark(e, (struct imap_chunk_mark){
			.end = e->wire.n, .stream = true, .stream_size = size });
}

int imap_encoder_finish(struct imap_encoder *e, struct err *err)
{
	buf_add_str(&e->wire, "\r\n");
	cut(e, false);
	if (!failed(e) && e->wire.overflow)
		err_set(&e->err, ERR_MAILBOX, "command is longer than %zu bytes", e->wire.max);
	if (!failed(e))
		return 0;
	*err = e->err;
	e->mark_count = 0;
	return -1;
}

size_t imap_encoder_count(const struct imap_encoder *e)
{
	return e->mark_count;
}

struct imap_chunk imap_encoder_chunk(const struct imap_encoder *e, size_t i)
{
	const struct imap_chunk_mark *m = &e->marks[i];
	size_t start = mark_begin(e, i);

	return (struct imap_chunk){
		.data = bytes_from(e->wire.p + start, m->end - start),
		.wait = m->wait,
		.secret = m->secret,
		.stream = m->stream,
		.stream_size = m->stream_size,
	};
}

void imap_encoder_describe(const struct imap_encoder *e, struct buf *out)
{
	bool secret = false;

	for (size_t i = 0; i < e->mark_count; i++) {
		struct imap_chunk chunk = imap_encoder_chunk(e, i);

		if (chunk.secret && !secret)
			buf_add_str(out, "***");
		secret = chunk.secret;
		if (chunk.stream)
			buf_addf(out, "<%" PRIu64 " bytes>", chunk.stream_size);
		if (secret || chunk.stream)
			continue;
		if (i + 1 == e->mark_count)
			chunk.data.n -= 2; /* CRLF */
		buf_add(out, chunk.data);
	}
}
