#include "cmd/mime.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

/* Where a part stands in the tree. */
struct position {
	const char *number; /* "" at the top */
	unsigned depth;
	bool top;   /* it begins a message: not one of several parts */
	bool inner; /* within an attached message */
	const char *otherwise; /* its type when it does not say */
};

/* The end of the line that begins at `at`: behind its LF, or the end of all. */
static size_t line_end(struct bytes b, size_t at)
{
	const uint8_t *lf = at < b.n ? memchr(b.p + at, '\n', b.n - at) : NULL;

	return lf ? (size_t)(lf - b.p) + 1 : b.n;
}

static bool is_empty_line(struct bytes b, size_t at)
{
	return at < b.n && (b.p[at] == '\n' || (b.p[at] == '\r' && at + 1 < b.n && b.p[at + 1] == '\n'));
}

size_t mime_header_length(struct bytes message)
{
	size_t at = 0;

	while (at < message.n && at < MIME_HEADER_MAX) {
		bool end = is_empty_line(message, at);

		at = line_end(message, at);
		if (end)
			break;
	}
	return at < MIME_HEADER_MAX ? at : MIME_HEADER_MAX;
}

/* Behind the field that begins at `at`, with the lines that continue it. */
static size_t field_end(struct bytes b, size_t at)
{
	do
		at = line_end(b, at);
	while (at < b.n && (b.p[at] == ' ' || b.p[at] == '\t'));
	return at;
}

bool mime_next_field(struct bytes *header, struct bytes *name, struct bytes *value)
{
	while (header->n > 0 && !is_empty_line(*header, 0)) {
		size_t end = field_end(*header, 0), n;
		struct bytes field = bytes_from(header->p, end);
		const uint8_t *colon = memchr(field.p, ':', field.n);

		*header = bytes_skip(*header, end);
		if (!colon)
			continue;
		*value = bytes_skip(field, (size_t)(colon - field.p) + 1);
		n = (size_t)(colon - field.p);
		while (n > 0 && (field.p[n - 1] == ' ' || field.p[n - 1] == '\t'))
			n--;
		*name = bytes_from(field.p, n);
		/* Not one name but a line of something else, such as mbox's From. */
		if (n == 0 || memchr(field.p, ' ', n) || memchr(field.p, '\n', n))
			continue;
		return true;
	}
	return false;
}

/* The first field of that name; .p NULL when there is none. */
static struct bytes field_value(struct bytes header, const char *wanted)
{
	struct bytes name, value;

	while (mime_next_field(&header, &name, &value))
		if (bytes_is_nocase(name, wanted))
			return value;
	return bytes_from(NULL, 0);
}

static void read_entity(struct mime *m, struct bytes entity, const struct position *pos);

/*
 * The next line that is `--boundary` or `--boundary--`, from `from` on: where it begins, *after where
 * the next line does, *last whether it closes. b.n when there is none.
 */
static size_t find_delimiter(struct bytes b, size_t from, struct bytes mark, size_t *after,
			     bool *last)
{
	for (size_t at = from, end; at < b.n; at = end) {
		size_t rest = at + mark.n;

		end = line_end(b, at);
		if (end - at < mark.n || memcmp(b.p + at, mark.p, mark.n) != 0)
			continue;
		*last = end - rest >= 2 && b.p[rest] == '-' && b.p[rest + 1] == '-';
		if (*last)
			rest += 2;
		while (rest < end && memchr(" \t\r\n", b.p[rest], 4))
			rest++;
		if (rest < end)
			continue; /* a longer boundary that begins like this one */
		*after = end;
		return at;
	}
	*after = b.n;
	*last = true;
	return b.n;
}

/* The line end before a delimiter belongs to the delimiter. */
static size_t before_delimiter(struct bytes b, size_t start, size_t at)
{
	if (at > start && at <= b.n && b.p[at - 1] == '\n')
		at--;
	if (at > start && b.p[at - 1] == '\r')
		at--;
	return at;
}

static char *child_number(const struct position *pos, unsigned i)
{
	return *pos->number ? xasprintf("%s.%u", pos->number, i) : xasprintf("%u", i);
}

/* False, adding nothing, when there is no part in it at all. */
static bool read_multipart(struct mime *m, struct bytes body, const struct content_type *ct,
			   const struct position *pos)
{
	char *mark = xasprintf("--%s", ct->boundary);
	size_t start, before = m->n;
	bool last;

	find_delimiter(body, 0, bytes_of(mark), &start, &last);
	for (unsigned i = 1; start < body.n && !last && !m->cut; i++) {
		char *number = child_number(pos, i);
		struct position child = {
			.number = number,
			.depth = pos->depth + 1,
			.inner = pos->inner,
			.otherwise = strcmp(ct->type, "multipart/digest") == 0 ? "message/rfc822"
									       : "text/plain",
		};
		size_t begin = start;
		size_t end = before_delimiter(
			body, begin,
			find_delimiter(body, begin, bytes_of(mark), &start, &last));

		read_entity(m, bytes_from(body.p + begin, end - begin), &child);
		free(number);
	}
	free(mark);
	return m->n > before || m->cut;
}

/* Adds the part; its type is taken over. */
static void add_part(struct mime *m, struct bytes header, struct bytes body, const char *number,
		     struct content_type *type, enum encoding encoding, const struct position *pos)
{
	struct mime_part *part;

	m->v = xgrow(m->v, m->n, &m->cap, sizeof(*m->v));
	part = &m->v[m->n++];
	*part = (struct mime_part){ .number = xstrdup(number),
				    .type = *type,
				    .inner = pos->inner,
				    .encoding = encoding,
				    .body = body };
	part->attachment =
		decode_disposition(field_value(header, "Content-Disposition"), &part->name);
	if (!part->name && type->name)
		part->name = xstrdup(type->name);
	*type = (struct content_type){ 0 };
}

/* A message in a message: its parts count on below its own number. */
static void read_message(struct mime *m, struct bytes body, const struct position *pos,
			 const char *number)
{
	struct position inside = { .number = number,
				   .depth = pos->depth + 1,
				   .top = true,
				   .inner = true,
				   .otherwise = "text/plain" };

	read_entity(m, body, &inside);
}

static bool is_message(const struct content_type *type)
{
	return strcmp(type->type, "message/rfc822") == 0 ||
	       strcmp(type->type, "message/global") == 0;
}

/* Recurses at most MIME_DEPTH_MAX times. Encoded multiparts and messages are not looked into. */
static void read_entity(struct mime *m, struct bytes entity, const struct position *pos)
{
	size_t split = mime_header_length(entity);
	struct bytes header = bytes_from(entity.p, split), body = bytes_skip(entity, split);
	enum encoding encoding =
		decode_encoding(field_value(header, "Content-Transfer-Encoding"));
	struct content_type type;
	char *number;
	bool inside;

	if (pos->depth > MIME_DEPTH_MAX || m->n >= MIME_PARTS_MAX) {
		m->cut = true;
		return;
	}
	content_type_read(&type, field_value(header, "Content-Type"), pos->otherwise);
	if (strncmp(type.type, "multipart/", 10) == 0 && type.boundary &&
	    encoding == ENCODING_NONE && read_multipart(m, body, &type, pos)) {
		content_type_release(&type);
		return;
	}
	number = pos->top ? child_number(pos, 1) : xstrdup(pos->number);
	inside = is_message(&type) && encoding == ENCODING_NONE;
	add_part(m, header, body, number, &type, encoding, pos);
	if (inside)
		read_message(m, body, pos, number);
	free(number);
}

void mime_read(struct mime *out, struct bytes message)
{
	struct position top = { .number = "", .top = true, .otherwise = "text/plain" };

	*out = (struct mime){ 0 };
	read_entity(out, message, &top);
}

void mime_release(struct mime *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].number);
		free(m->v[i].name);
		content_type_release(&m->v[i].type);
	}
	free(m->v);
	*m = (struct mime){ 0 };
}

const struct mime_part *mime_find(const struct mime *m, const char *number)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->v[i].number, number) == 0)
			return &m->v[i];
	return NULL;
}

bool mime_is_html(const struct mime_part *part)
{
	return strcmp(part->type.type, "text/html") == 0;
}

static bool is_text(const struct mime_part *part, const char *type)
{
	return !part->attachment && !part->inner && strcmp(part->type.type, type) == 0;
}

const struct mime_part *mime_next_text(const struct mime *m, const struct mime_part *after)
{
	const char *type = "text/html";

	for (size_t i = 0; i < m->n; i++)
		if (is_text(&m->v[i], "text/plain"))
			type = "text/plain";
	for (size_t i = after ? (size_t)(after - m->v) + 1 : 0; i < m->n; i++)
		if (is_text(&m->v[i], type))
			return &m->v[i];
	return NULL;
}
