#include "core/mail/mailbox_name.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/mail/mutf7.h"

#define ESCAPED 3 /* the length of `=XX` */

static int hex_value(uint8_t c, bool lower_too)
{
	if (ascii_is_digit(c))
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return lower_too && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that `=XX` or `%XX` at the front of `s` stands for, or -1. */
static int escaped_byte(struct bytes s, uint8_t mark, bool lower_too)
{
	int high, low;

	if (s.n < 3 || s.p[0] != mark)
		return -1;
	high = hex_value(s.p[1], lower_too);
	low = hex_value(s.p[2], lower_too);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static void add_escape(uint8_t mark, uint8_t c, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";
	const uint8_t text[] = { mark, (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15] };

	buf_add(out, bytes_from(text, sizeof(text)));
}

/* Text as a component: only a `=` that looks like an escape is one. */
static void add_text_escaped(struct bytes text, struct buf *out)
{
	for (; text.n > 0; text = bytes_skip(text, 1))
		if (escaped_byte(text, '=', false) >= 0)
			add_escape('=', '=', out);
		else
			buf_add_byte(out, text.p[0]);
}

static void add_bytes_escaped(struct bytes raw, struct buf *out)
{
	for (; raw.n > 0; raw = bytes_skip(raw, 1)) {
		uint8_t c = raw.p[0];

		if (c < 0x20 || c >= 0x7f || c == '&' || escaped_byte(raw, '=', false) >= 0)
			add_escape('=', c, out);
		else
			buf_add_byte(out, c);
	}
}

static void unescape(struct bytes component, struct buf *out)
{
	while (component.n > 0) {
		int c = escaped_byte(component, '=', false);

		buf_add_byte(out, c < 0 ? component.p[0] : (uint8_t)c);
		component = bytes_skip(component, c < 0 ? 1 : 3);
	}
}

/* Does a byte stand escaped that is not one of plain text's `=`? */
static bool holds_bytes(struct bytes component)
{
	while (component.n > 0) {
		int c = escaped_byte(component, '=', false);

		if (c >= 0 && c != '=')
			return true;
		component = bytes_skip(component, c < 0 ? 1 : 3);
	}
	return false;
}

/* One component of a server's name; true if it is plain text. */
static bool decode_component(struct bytes wire, bool utf8, struct buf *out)
{
	struct buf text;
	bool plain;

	buf_init(&text, wire.n);
	plain = utf8 ? utf8_is_valid(wire) && buf_add(&text, wire) : mutf7_decode(wire, &text);
	plain = plain && !(text.n > 0 && memchr(text.p, 0, text.n));
	if (plain)
		add_text_escaped(buf_bytes(&text), out);
	else
		add_bytes_escaped(wire, out);
	buf_release(&text);
	return plain;
}

static void encode_component(struct bytes component, bool utf8, struct buf *out)
{
	struct buf bytes;

	buf_init(&bytes, component.n);
	unescape(component, &bytes);
	if (utf8 || holds_bytes(component))
		buf_add(out, buf_bytes(&bytes));
	else
		mutf7_encode(buf_bytes(&bytes), out);
	buf_release(&bytes);
}

/*
 * A component given from outside, in the form decode_component() would have given it. One that is
 * in that form already stays; any other is plain text.
 */
static void canonical_component(struct bytes given, struct buf *out)
{
	struct buf wire, again;

	buf_init(&wire, given.n * MUTF7_GROWTH);
	buf_init(&again, wire.max * ESCAPED);
	encode_component(given, false, &wire);
	decode_component(buf_bytes(&wire), false, &again);
	if (bytes_equal(buf_bytes(&again), given))
		buf_add(out, given);
	else
		add_text_escaped(given, out);
	buf_release(&wire);
	buf_release(&again);
}

void mailbox_name_init(struct mailbox_name *m)
{
	*m = (struct mailbox_name)MAILBOX_NAME_INIT;
}

static void set_wire(struct mailbox_name *m, struct bytes wire)
{
	m->wire_copy = bytes_dup(wire);
	m->wire = bytes_from(m->wire_copy, wire.n);
}

void mailbox_name_release(struct mailbox_name *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->components[i]);
	free(m->components);
	free(m->wire_copy);
	mailbox_name_init(m);
}

void mailbox_name_copy(struct mailbox_name *out, const struct mailbox_name *src)
{
	struct mailbox_name copy = *src;

	copy.components = NULL;
	if (src->count > 0)
		copy.components = xcalloc(src->count, sizeof(*copy.components));
	for (size_t i = 0; i < src->count; i++)
		copy.components[i] = xstrdup(src->components[i]);
	if (src->wire.p)
		set_wire(&copy, src->wire);
	mailbox_name_release(out);
	*out = copy;
}

static void push_component(struct mailbox_name *m, size_t *cap, struct buf *text)
{
	if (m->count == 0 && bytes_is_nocase(buf_bytes(text), "INBOX")) {
		buf_clear(text);
		buf_add_str(text, "INBOX");
	}
	m->components = xgrow(m->components, m->count, cap, sizeof(*m->components));
	m->components[m->count++] = buf_take(text);
}

/*
 * The part of *rest before the next `delimiter` (none if `flat`), which is dropped; false at
 * the end.
 */
static bool next_part(struct bytes *rest, bool *more, uint8_t delimiter, bool flat,
		      struct bytes *part)
{
	const uint8_t *end = NULL;

	if (!*more)
		return false;
	if (!flat && rest->n > 0)
		end = memchr(rest->p, delimiter, rest->n);
	*more = end != NULL;
	*part = end ? bytes_from(rest->p, (size_t)(end - rest->p)) : *rest;
	if (end)
		*rest = bytes_skip(*rest, part->n + 1);
	return true;
}

void mailbox_name_from_wire(struct mailbox_name *out, struct bytes wire, uint8_t delimiter,
			    bool utf8)
{
	struct mailbox_name m = { .delimiter = delimiter, .utf8 = utf8, .exact = true };
	struct bytes rest = wire, part;
	bool more = true;
	size_t cap = 0;

	while (next_part(&rest, &more, delimiter, delimiter == 0, &part)) {
		struct buf text;

		buf_init(&text, part.n * ESCAPED);
		if (!decode_component(part, utf8, &text))
			m.exact = false;
		push_component(&m, &cap, &text);
	}
	set_wire(&m, wire);
	mailbox_name_release(out);
	*out = m;
}

static int add_given(struct mailbox_name *m, size_t *cap, struct bytes given, struct err *err)
{
	struct buf text;

	if (!utf8_is_valid(given) || (given.n > 0 && memchr(given.p, 0, given.n))) {
		char *shown = escape_text(given, 200);

		err_set(err, ERR_CONFIG, "mailbox name is not UTF-8 text: %s", shown);
		free(shown);
		return -1;
	}
	buf_init(&text, given.n * ESCAPED);
	canonical_component(given, &text);
	if (holds_bytes(buf_bytes(&text)))
		m->exact = false;
	push_component(m, cap, &text);
	return 0;
}

int mailbox_name_from_components(struct mailbox_name *out, const char *const *components,
				 size_t count, struct err *err)
{
	struct mailbox_name m = { .exact = true };
	size_t cap = 0;

	if (count == 0)
		return err_set(err, ERR_CONFIG, "a mailbox name needs a component");
	for (size_t i = 0; i < count; i++)
		if (add_given(&m, &cap, bytes_of(components[i]), err) < 0) {
			mailbox_name_release(&m);
			return -1;
		}
	mailbox_name_release(out);
	*out = m;
	return 0;
}

static void undo_percent(struct bytes text, struct buf *out)
{
	while (text.n > 0) {
		int c = escaped_byte(text, '%', true);

		buf_add_byte(out, c < 0 ? text.p[0] : (uint8_t)c);
		text = bytes_skip(text, c < 0 ? 1 : 3);
	}
}

int mailbox_name_from_display(struct mailbox_name *out, struct bytes text, struct err *err)
{
	struct mailbox_name m = { .exact = true };
	struct bytes rest = text, part;
	bool more = true;
	size_t cap = 0;
	int ret = 0;

	while (ret == 0 && next_part(&rest, &more, '/', false, &part)) {
		struct buf given;

		buf_init(&given, part.n);
		undo_percent(part, &given);
		ret = add_given(&m, &cap, buf_bytes(&given), err);
		buf_release(&given);
	}
	if (ret < 0) {
		mailbox_name_release(&m);
		return -1;
	}
	mailbox_name_release(out);
	*out = m;
	return 0;
}

static int cannot_say(const struct mailbox_name *m, uint8_t delimiter, struct err *err)
{
	char *text = mailbox_name_text(m);
	char *shown = escape_text(bytes_of(text), 200);
	char *mark = escape_text(bytes_from(&delimiter, 1), 1);

	if (delimiter)
		err_set(err, ERR_MAILBOX, "%s: cannot be named where \"%s\" separates levels",
			shown, mark);
	else
		err_set(err, ERR_MAILBOX, "%s: cannot be named where mailboxes have no levels",
			shown);
	free(text);
	free(shown);
	free(mark);
	return -1;
}

int mailbox_name_to_wire(const struct mailbox_name *m, uint8_t delimiter, bool utf8,
			 struct buf *out, struct err *err)
{
	struct buf wire, part;
	int ret = -1;

	assert(m->count > 0);
	if (m->wire.p && !m->mapped && m->delimiter == delimiter && m->utf8 == utf8) {
		buf_add(out, m->wire);
		return 0;
	}
	if (!delimiter && m->count > 1)
		return cannot_say(m, delimiter, err);
	buf_init(&wire, SIZE_MAX / 2);
	buf_init(&part, SIZE_MAX / 2);
	for (size_t i = 0; i < m->count; i++) {
		buf_clear(&part);
		encode_component(bytes_of(m->components[i]), utf8, &part);
		if (delimiter && part.n > 0 && memchr(part.p, delimiter, part.n)) {
			cannot_say(m, delimiter, err);
			goto out;
		}
		if (i > 0)
			buf_add_byte(&wire, delimiter);
		buf_add(&wire, buf_bytes(&part));
	}
	buf_add(out, buf_bytes(&wire));
	ret = 0;
out:
	buf_release(&wire);
	buf_release(&part);
	return ret;
}

/* A wire form for a name that no server gave, with a delimiter that is in none of its components. */
static void spell(const struct mailbox_name *m, struct mailbox_name *out)
{
	struct buf wire = BUF_INIT(SIZE_MAX / 2);
	uint8_t delimiter = '/';
	struct err err;

	while (mailbox_name_to_wire(m, delimiter, true, &wire, &err) < 0)
		delimiter = delimiter == '/' ? 1 : (uint8_t)(delimiter + 1);
	mailbox_name_from_wire(out, buf_bytes(&wire), delimiter, true);
	buf_release(&wire);
}

void mailbox_name_pack(const struct mailbox_name *m, struct buf *out)
{
	for (size_t i = 0; i < m->count; i++)
		buf_add(out, bytes_from(m->components[i], strlen(m->components[i]) + 1));
}

int mailbox_name_unpack(struct mailbox_name *out, struct bytes packed, struct bytes wire,
			uint8_t delimiter, bool utf8, struct err *err)
{
	struct mailbox_name spelled = MAILBOX_NAME_INIT;
	const char **parts = NULL;
	size_t n = 0, cap = 0;
	int ret;

	if (packed.n == 0 || packed.p[packed.n - 1] != '\0')
		return err_set(err, ERR_FATAL, "a mailbox has no name");
	for (size_t at = 0; at < packed.n; at += strlen(parts[n++]) + 1) {
		parts = xgrow(parts, n, &cap, sizeof(*parts));
		parts[n] = (const char *)packed.p + at;
	}
	ret = mailbox_name_from_components(out, parts, n, err);
	free(parts);
	if (ret < 0) {
		err->kind = ERR_FATAL;
		return -1;
	}
	if (wire.p) {
		mailbox_name_from_wire(&spelled, wire, delimiter, utf8);
		mailbox_name_map(out, &spelled, out);
		mailbox_name_release(&spelled);
	}
	return 0;
}

void mailbox_name_map(struct mailbox_name *out, const struct mailbox_name *source,
		      const struct mailbox_name *as)
{
	struct mailbox_name name = MAILBOX_NAME_INIT, spelled = MAILBOX_NAME_INIT;

	if (!source->wire.p)
		spell(source, &spelled);
	else
		mailbox_name_copy(&spelled, source);
	if (mailbox_name_equal(source, as)) {
		mailbox_name_copy(&name, source);
	} else {
		mailbox_name_copy(&name, as);
		free(name.wire_copy);
		set_wire(&name, spelled.wire);
		name.delimiter = spelled.delimiter;
		name.utf8 = spelled.utf8;
		name.mapped = true;
	}
	mailbox_name_release(&spelled);
	mailbox_name_release(out);
	*out = name;
}

void mailbox_name_source(struct mailbox_name *out, const struct mailbox_name *m)
{
	if (m->mapped)
		mailbox_name_from_wire(out, m->wire, m->delimiter, m->utf8);
	else
		mailbox_name_copy(out, m);
}

bool mailbox_name_same_source(const struct mailbox_name *a, const struct mailbox_name *b)
{
	struct mailbox_name x = MAILBOX_NAME_INIT, y = MAILBOX_NAME_INIT;
	bool same;

	mailbox_name_source(&x, a);
	mailbox_name_source(&y, b);
	same = mailbox_name_equal(&x, &y);
	mailbox_name_release(&x);
	mailbox_name_release(&y);
	return same;
}

static void add_displayed(struct bytes component, struct buf *out)
{
	while (component.n > 0) {
		uint32_t c = 0;
		size_t n = utf8_decode(component, &c);
		bool hide = c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == '/' || c == '%';

		assert(n > 0);
		if (!hide)
			buf_add(out, bytes_from(component.p, n));
		for (size_t i = 0; hide && i < n; i++)
			add_escape('%', component.p[i], out);
		component = bytes_skip(component, n);
	}
}

void mailbox_name_display(const struct mailbox_name *m, struct buf *out)
{
	for (size_t i = 0; i < m->count; i++) {
		if (i > 0)
			buf_add_byte(out, '/');
		add_displayed(bytes_of(m->components[i]), out);
	}
}

char *mailbox_name_text(const struct mailbox_name *m)
{
	struct buf out = BUF_INIT(SIZE_MAX / 2);

	mailbox_name_display(m, &out);
	return buf_take(&out);
}

int mailbox_name_compare(const struct mailbox_name *a, const struct mailbox_name *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++) {
		int d = strcmp(a->components[i], b->components[i]);

		if (d)
			return d;
	}
	return (a->count > b->count) - (a->count < b->count);
}

bool mailbox_name_equal(const struct mailbox_name *a, const struct mailbox_name *b)
{
	return a->count == b->count && mailbox_name_compare(a, b) == 0;
}

uint64_t mailbox_name_hash(const struct mailbox_name *m)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a, each component with its NUL */

	for (size_t i = 0; i < m->count; i++)
		for (size_t j = 0, n = strlen(m->components[i]); j <= n; j++)
			hash = (hash ^ (uint8_t)m->components[i][j]) * 1099511628211u;
	return hash;
}

bool mailbox_name_is_inbox(const struct mailbox_name *m)
{
	return m->count == 1 && strcmp(m->components[0], "INBOX") == 0;
}

bool mailbox_name_is_below(const struct mailbox_name *m, const struct mailbox_name *top)
{
	if (m->count < top->count)
		return false;
	for (size_t i = 0; i < top->count; i++)
		if (strcmp(m->components[i], top->components[i]) != 0)
			return false;
	return true;
}

static bool same_wire_kind(const struct mailbox_name *a, const struct mailbox_name *b)
{
	return a->wire.p && b->wire.p && a->delimiter == b->delimiter && a->utf8 == b->utf8;
}

/* Give `out` the wire form that the source does: what lies below goes along as it is spelled. */
static void move_wire(struct mailbox_name *out, const struct mailbox_name *m,
		      const struct mailbox_name *from, const struct mailbox_name *to)
{
	struct mailbox_name source = MAILBOX_NAME_INIT;
	struct buf wire = BUF_INIT(SIZE_MAX / 4);
	size_t n = from->wire.n;

	if (!same_wire_kind(m, from) || !same_wire_kind(m, to) || m->wire.n <= n ||
	    m->wire.p[n] != m->delimiter || !bytes_equal(bytes_from(m->wire.p, n), from->wire))
		return;
	buf_add(&wire, to->wire);
	buf_add(&wire, bytes_from(m->wire.p + n, m->wire.n - n));
	mailbox_name_from_wire(&source, buf_bytes(&wire), m->delimiter, m->utf8);
	buf_release(&wire);
	if (m->mapped || from->mapped || to->mapped)
		mailbox_name_map(out, &source, out);
	else if (mailbox_name_equal(out, &source))
		mailbox_name_copy(out, &source);
	mailbox_name_release(&source);
}

int mailbox_name_move(struct mailbox_name *out, const struct mailbox_name *m,
		      const struct mailbox_name *from, const struct mailbox_name *to,
		      struct err *err)
{
	size_t n = to->count + m->count - from->count;
	const char **parts;
	int ret;

	if (m->count == from->count) {
		mailbox_name_copy(out, to);
		return 0;
	}
	parts = xcalloc(n, sizeof(*parts));
	for (size_t i = 0; i < n; i++)
		parts[i] = i < to->count ? to->components[i]
					 : m->components[i - to->count + from->count];
	ret = mailbox_name_from_components(out, parts, n, err);
	free(parts);
	if (ret == 0)
		move_wire(out, m, from, to);
	return ret;
}

/*
 * Which prefixes of `text` the pattern read so far matches: one row of flags, moved on by one
 * pattern byte at a time, so that no pattern takes longer than pattern times text. The first
 * `fold` bytes of the text match in any case.
 */
static bool matches(struct bytes pattern, struct bytes text, size_t fold)
{
	bool *row = xcalloc(text.n + 1, sizeof(*row));
	bool ret;

	row[0] = true;
	for (size_t i = 0; i < pattern.n; i++) {
		uint8_t c = pattern.p[i];

		if (c == '*' || c == '%') {
			for (size_t j = 1; j <= text.n; j++)
				if (row[j - 1] && (c == '*' || text.p[j - 1] != '/'))
					row[j] = true;
			continue;
		}
		for (size_t j = text.n; j > 0; j--)
			row[j] = row[j - 1] &&
				 (c == text.p[j - 1] ||
				  (j <= fold && ascii_upper(c) == ascii_upper(text.p[j - 1])));
		row[0] = false;
	}
	ret = row[text.n];
	free(row);
	return ret;
}

bool mailbox_name_matches(const struct mailbox_name *m, struct bytes pattern)
{
	char *text = mailbox_name_text(m);
	bool inbox = m->count > 0 && strcmp(m->components[0], "INBOX") == 0;
	bool ret = matches(pattern, bytes_of(text), inbox ? strlen("INBOX") : 0);

	free(text);
	return ret;
}
