#include "cmd/html_text.h"

#include <string.h>

#include "core/base/buf.h"

static const struct {
	const char *name, *text;
} entities[] = {
	{ "amp", "&" },	     { "lt", "<" },	  { "gt", ">" },      { "quot", "\"" },
	{ "apos", "'" },     { "nbsp", " " },	  { "auml", "ä" },    { "ouml", "ö" },
	{ "uuml", "ü" },     { "Auml", "Ä" },	  { "Ouml", "Ö" },    { "Uuml", "Ü" },
	{ "szlig", "ß" },    { "eacute", "é" },	  { "egrave", "è" },  { "ecirc", "ê" },
	{ "agrave", "à" },   { "aacute", "á" },	  { "acirc", "â" },   { "ccedil", "ç" },
	{ "oacute", "ó" },   { "ocirc", "ô" },	  { "iacute", "í" },  { "icirc", "î" },
	{ "uacute", "ú" },   { "ugrave", "ù" },	  { "ntilde", "ñ" },  { "aring", "å" },
	{ "oslash", "ø" },   { "aelig", "æ" },	  { "euro", "€" },    { "Eacute", "É" },
	{ "rsquo", "’" },    { "shy", "" },	  { "zwnj", "" },
};

#define ENTITY_MAX 10

static void add_character(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_add_byte(out, c < 0x20 ? ' ' : (uint8_t)c);
	} else if (c < 0x800) {
		buf_add_byte(out, (uint8_t)(0xc0 | c >> 6));
		buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000 && (c < 0xd800 || c > 0xdfff)) {
		buf_add_byte(out, (uint8_t)(0xe0 | c >> 12));
		buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
	} else if (c >= 0x10000 && c < 0x110000) {
		buf_add_byte(out, (uint8_t)(0xf0 | c >> 18));
		buf_add_byte(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
	}
}

/* "#228" or "#xE4". False: it is none. */
static bool add_number(struct buf *out, struct bytes name)
{
	bool hex = name.n > 2 && (name.p[1] == 'x' || name.p[1] == 'X');
	uint32_t c = 0;

	if (name.n < 2 || name.p[0] != '#')
		return false;
	for (size_t i = hex ? 2 : 1; i < name.n; i++) {
		uint8_t d = ascii_lower(name.p[i]);

		if (ascii_is_digit(d))
			c = c * (hex ? 16 : 10) + (uint32_t)(d - '0');
		else if (hex && d >= 'a' && d <= 'f')
			c = c * 16 + (uint32_t)(d - 'a' + 10);
		else
			return false;
		if (c > 0x10ffff)
			return false;
	}
	add_character(out, c);
	return true;
}

/* `html` begins with '&'. Returns how much of it was an entity; 0: it is a character like others. */
static size_t add_entity(struct buf *out, struct bytes html)
{
	struct bytes window = bytes_from(html.p, html.n < ENTITY_MAX ? html.n : ENTITY_MAX), name;
	const uint8_t *end = memchr(window.p, ';', window.n);

	if (!end)
		return 0;
	name = bytes_from(html.p + 1, (size_t)(end - html.p) - 1);
	if (add_number(out, name))
		return name.n + 2;
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
		if (bytes_is(name, entities[i].name)) {
			buf_add_str(out, entities[i].text);
			return name.n + 2;
		}
	return 0;
}

static size_t find_from(struct bytes html, size_t at, const char *what)
{
	size_t n = strlen(what);

	for (const uint8_t *p; at < html.n; at = (size_t)(p - html.p) + 1) {
		p = memchr(html.p + at, what[0], html.n - at);
		if (!p)
			break;
		if (bytes_starts_nocase(bytes_skip(html, (size_t)(p - html.p)), what))
			return (size_t)(p - html.p) + n;
	}
	return html.n;
}

/* Behind the tag that begins at `at`, and behind all that belongs to it and is no text. */
static size_t skip_tag(struct bytes html, size_t at)
{
	struct bytes tag = bytes_skip(html, at);

	if (bytes_starts_nocase(tag, "<!--"))
		return find_from(html, at + 4, "-->");
	if (bytes_starts_nocase(tag, "<style"))
		at = find_from(html, at, "</style");
	else if (bytes_starts_nocase(tag, "<script"))
		at = find_from(html, at, "</script");
	return find_from(html, at, ">");
}

/* Tags within a line of text end no word. */
static bool is_inline(struct bytes tag)
{
	static const char *const names[] = { "b", "i", "u", "a", "em", "strong", "span", "font", "wbr" };
	size_t skip = tag.n > 1 && tag.p[1] == '/' ? 2 : 1, n = 0;
	struct bytes name = bytes_skip(tag, skip < tag.n ? skip : tag.n);

	while (n < name.n && n < 8 && ascii_lower(name.p[n]) >= 'a' && ascii_lower(name.p[n]) <= 'z')
		n++;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bytes_is_nocase(bytes_from(name.p, n), names[i]))
			return true;
	return false;
}

void html_text(struct bytes html, struct buf *out)
{
	for (size_t at = 0; at < html.n && !out->overflow;) {
		uint8_t c = html.p[at];
		size_t used = 0;

		if (c == '<') {
			if (!is_inline(bytes_skip(html, at)))
				buf_add_byte(out, ' ');
			at = skip_tag(html, at);
			continue;
		}
		if (c == '&')
			used = add_entity(out, bytes_skip(html, at));
		if (used == 0)
			buf_add_byte(out, c);
		at += used ? used : 1;
	}
}
