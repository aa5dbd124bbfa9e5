#include "core/mail/header.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

#define NO_FIELD SIZE_MAX

enum header_state {
	LINE_START, /* of a field, of the line after it, or of the empty line */
	LINE_CR,    /* after CRs at the start of a line */
	NAME,
	NAME_BLANK, /* blanks between the name and its colon (RFC 5322, section 4.5) */
	VALUE,
	SKIP,       /* the rest of this line is of no interest */
	DONE,
};

struct field {
	struct buf value;
	bool complete; /* read to its end; a value too long stays `overflow` */
};

struct header_reader {
	const char *const *names;
	size_t count;
	struct field *fields;
	size_t incomplete; /* fields not seen to their end yet */
	size_t current;    /* the field whose lines are being read, or NO_FIELD */
	enum header_state state;
	size_t seen; /* bytes so far */
	struct buf name;
};

struct header_reader *header_reader_new(const char *const *names, size_t count)
{
	struct header_reader *h = xcalloc(1, sizeof(*h));

	assert(count <= 32);
	h->names = names;
	h->count = count;
	h->fields = xcalloc(count, sizeof(*h->fields));
	for (size_t i = 0; i < count; i++) {
		assert(strlen(names[i]) <= HEADER_NAME_MAX);
		buf_init(&h->fields[i].value, HEADER_VALUE_MAX);
	}
	buf_init(&h->name, HEADER_NAME_MAX);
	header_reader_reset(h);
	return h;
}

void header_reader_free(struct header_reader *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->count; i++)
		buf_release(&h->fields[i].value);
	buf_release(&h->name);
	free(h->fields);
	free(h);
}

void header_reader_reset(struct header_reader *h)
{
	for (size_t i = 0; i < h->count; i++) {
		buf_clear(&h->fields[i].value);
		h->fields[i].complete = false;
	}
	h->incomplete = h->count;
	h->current = NO_FIELD;
	h->state = h->count > 0 ? LINE_START : DONE;
	h->seen = 0;
	buf_clear(&h->name);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* The current field's last line has ended. */
static void end_field(struct header_reader *h)
{
	if (h->current == NO_FIELD)
		return;
	h->fields[h->current].complete = true;
	h->current = NO_FIELD;
	h->incomplete--;
}

/* The name before a colon is complete: is it one of ours, for the first time? */
static void begin_field(struct header_reader *h)
{
	h->state = SKIP;
	for (size_t i = 0; i < h->count && !h->name.overflow; i++)
		if (!h->fields[i].complete && bytes_is_nocase(buf_bytes(&h->name), h->names[i])) {
			h->current = i;
			h->state = VALUE;
			return;
		}
}

static void end_header(struct header_reader *h)
{
	end_field(h);
	h->state = DONE;
}

static void at_line_start(struct header_reader *h, uint8_t c)
{
	if (is_blank(c) && h->state == LINE_START) {
		h->state = h->current == NO_FIELD ? SKIP : VALUE;
		if (h->state == VALUE)
			buf_add_byte(&h->fields[h->current].value, c);
		return;
	}
	if (c == '\r') {
		h->state = LINE_CR;
		return;
	}
	if (c == '\n') {
		end_header(h);
		return;
	}
	end_field(h);
	buf_clear(&h->name);
	buf_add_byte(&h->name, c);
	h->state = h->incomplete > 0 ? NAME : DONE;
}

static void in_name(struct header_reader *h, uint8_t c)
{
	if (c == ':')
		begin_field(h);
	else if (c == '\n')
		h->state = LINE_START; /* no field at all, an mbox "From " line perhaps */
	else if (is_blank(c))
		h->state = NAME_BLANK;
	else if (h->state == NAME_BLANK)
		h->state = SKIP;
	else
		buf_add_byte(&h->name, c);
}

/* The part of a value that is in *piece, up to the line end. */
static void take_value(struct header_reader *h, struct bytes *piece)
{
	struct buf *value = &h->fields[h->current].value;
	const uint8_t *end = memchr(piece->p, '\n', piece->n);
	size_t n = end ? (size_t)(end - piece->p) : piece->n;

	buf_add(value, bytes_from(piece->p, n));
	*piece = bytes_skip(*piece, n);
	if (!end)
		return;
	while (value->n > 0 && value->p[value->n - 1] == '\r')
		value->p[--value->n] = '\0';
	*piece = bytes_skip(*piece, 1);
	h->state = LINE_START;
}

static void skip_line(struct header_reader *h, struct bytes *piece)
{
	const uint8_t *end = memchr(piece->p, '\n', piece->n);

	*piece = bytes_skip(*piece, end ? (size_t)(end - piece->p) + 1 : piece->n);
	if (end)
		h->state = LINE_START;
}

static void take_byte(struct header_reader *h, struct bytes *piece)
{
	uint8_t c = piece->p[0];

	*piece = bytes_skip(*piece, 1);
	if (h->state == LINE_START || h->state == LINE_CR)
		at_line_start(h, c);
	else
		in_name(h, c);
}

enum header_step header_reader_feed(struct header_reader *h, struct bytes piece)
{
	size_t left = HEADER_MAX - h->seen;

	if (h->state != DONE)
		h->seen += piece.n < left ? piece.n : left;
	piece.n = piece.n < left ? piece.n : left;
	while (piece.n > 0 && h->state != DONE)
		if (h->state == VALUE)
			take_value(h, &piece);
		else if (h->state == SKIP)
			skip_line(h, &piece);
		else
			take_byte(h, &piece);
	if (h->seen == HEADER_MAX)
		h->state = DONE; /* a value cut here is not complete and stays absent */
	return h->state == DONE ? HEADER_DONE : HEADER_MORE;
}

void header_reader_finish(struct header_reader *h)
{
	if (h->state != DONE)
		end_header(h);
}

struct bytes header_reader_value(const struct header_reader *h, size_t i)
{
	const struct field *field;
	struct bytes v;

	assert(i < h->count);
	field = &h->fields[i];
	if (!field->complete || field->value.overflow)
		return (struct bytes){ 0 };
	v = bytes_from(buf_str(&field->value), field->value.n);
	while (v.n > 0 && (is_blank(v.p[0]) || v.p[0] == '\r'))
		v = bytes_skip(v, 1);
	while (v.n > 0 && (is_blank(v.p[v.n - 1]) || v.p[v.n - 1] == '\r'))
		v.n--;
	return v;
}
