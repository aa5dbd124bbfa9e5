#include "cmd/render.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

#include "cmd/columns.h"
#include "cmd/imap_cli.h"
#include "cmd/mime.h"
#include "cmd/report.h"

/* The fields that are shown without --headers, in this order. */
static const char *const usual[] = { "Date", "From", "To", "Cc", "Subject" };

static bool holds_addresses(struct bytes name)
{
	static const char *const names[] = { "From", "Sender",	    "Reply-To", "To",	     "Cc",
					     "Bcc",  "Resent-From", "Resent-To", "Resent-Cc" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bytes_is_nocase(name, names[i]))
			return true;
	return false;
}

static char *decode_field(struct bytes name, struct bytes value)
{
	return holds_addresses(name) ? decode_addresses(value) : decode_words(value);
}

/* --- for people --- */

static void print_field(FILE *file, struct bytes name, struct bytes value)
{
	char *text = decode_field(name, value);
	char *safe_name = escape_text(name, 200), *safe = escape_text(bytes_of(text), SIZE_MAX);

	fprintf(file, "%s: %s%s\n", safe_name, safe,
		value.n > DECODE_VALUE_MAX ? "... (longer; --raw has all of it)" : "");
	free(text);
	free(safe_name);
	free(safe);
}

static void print_header(FILE *file, struct bytes message)
{
	struct bytes left = bytes_from(message.p, mime_header_length(message)), name, value;

	while (mime_next_field(&left, &name, &value))
		print_field(file, name, value);
}

/* Each of the usual fields, as often as it is there. */
static void print_usual(FILE *file, struct bytes message)
{
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		struct bytes left = bytes_from(message.p, mime_header_length(message));
		struct bytes name, value;

		while (mime_next_field(&left, &name, &value))
			if (bytes_is_nocase(name, usual[i]))
				print_field(file, bytes_of(usual[i]), value);
	}
}

static void print_where(FILE *file, const struct shown_message *m)
{
	struct buf size = BUF_INIT(64), date = BUF_INIT(1024), flags = BUF_INIT(1 << 20);
	struct buf shown = BUF_INIT(1 << 22);
	bool cr = false;
	char *mailbox = escape_text(bytes_of(m->mailbox), 1000), *safe;

	report_bytes(&size, m->size);
	fprintf(file, "%s %u, %s", mailbox, m->uid, buf_str(&size));
	if (!maildate_format_rfc3339(m->date, &date))
		maildate_format(m->date, &date);
	safe = escape_text(buf_bytes(&date), 300);
	fprintf(file, ", arrived %s", safe);
	free(safe);
	flags_format(m->flags, &flags);
	escape_add_lines(&shown, buf_bytes(&flags), &cr); /* the backslash is part of the word */
	fprintf(file, "%s%s\n", flags.n ? ", flags " : "", buf_str(&shown));
	free(mailbox);
	buf_release(&shown);
	buf_release(&size);
	buf_release(&date);
	buf_release(&flags);
}

/* Text on its way to the file. */
struct output {
	FILE *file;
	struct buf escaped;
	bool cr;
	bool line_open;
};

static int flush_output(struct output *o, struct err *err)
{
	struct buf *b = &o->escaped;

	if (b->n == 0)
		return 0;
	o->line_open = b->p[b->n - 1] != '\n';
	if (fwrite(b->p, 1, b->n, o->file) != b->n)
		return err_sys(err, ERR_FATAL, "write to standard output");
	buf_clear(b);
	return 0;
}

static int on_text(void *ctx, struct bytes piece, struct err *err)
{
	struct output *o = ctx;

	escape_add_lines(&o->escaped, piece, &o->cr);
	return flush_output(o, err);
}

static int print_text(FILE *file, const struct mime_part *part, struct err *err)
{
	struct output o = { .file = file, .escaped = BUF_INIT(1 << 22) };
	const char *charset = part->type.charset;
	char *safe = escape_text(bytes_of(charset ? charset : ""), 100);
	bool known;
	int ret;

	fputc('\n', file);
	if (mime_is_html(part))
		fprintf(file, "[Part %s is HTML; this is its source.]\n", part->number);
	ret = decode_text(part->encoding, charset, part->body, &known, on_text, &o, err);
	escape_add_lines_end(&o.escaped, &o.cr);
	if (ret == 0)
		ret = flush_output(&o, err);
	if (o.line_open)
		fputc('\n', file);
	if (!known)
		fprintf(file, "[The charset %s is not known: only its ASCII and UTF-8 is right.]\n",
			safe);
	if (part->encoding == ENCODING_UNKNOWN)
		fprintf(file, "[How it is encoded is not known: this is how it is stored.]\n");
	free(safe);
	buf_release(&o.escaped);
	return ret;
}

static int add_size(void *ctx, struct bytes piece, struct err *err)
{
	(void)err;
	*(uint64_t *)ctx += piece.n;
	return 0;
}

static uint64_t decoded_size(const struct mime_part *part)
{
	struct err err;
	uint64_t n = 0;

	decode_body(part->encoding, part->body, add_size, &n, &err);
	return n;
}

static void print_part(FILE *file, const struct mime_part *part)
{
	struct buf line = BUF_INIT(1 << 16), size = BUF_INIT(64);
	char *type = escape_text(bytes_of(part->type.type), 100);
	char *name = escape_text(bytes_of(part->name ? part->name : ""), 400);

	report_bytes(&size, decoded_size(part));
	buf_addf(&line, "  %-8s  %9s  ", part->number, buf_str(&size));
	if (*name) {
		columns_add(&line, type, columns_of(type) > 26 ? columns_of(type) : 26);
		buf_addf(&line, "  %s", name);
	} else {
		buf_add_str(&line, type);
	}
	fprintf(file, "%s\n", buf_str(&line));
	free(type);
	free(name);
	buf_release(&line);
	buf_release(&size);
}

static bool was_shown(const struct mime *m, const struct mime_part *part)
{
	for (const struct mime_part *t = NULL; (t = mime_next_text(m, t)) != NULL;)
		if (t == part)
			return true;
	return false;
}

static void print_parts(FILE *file, const struct mime *m)
{
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		if (was_shown(m, &m->v[i]))
			continue;
		if (!any)
			fputs("\nParts not shown (--part writes one):\n", file);
		any = true;
		print_part(file, &m->v[i]);
	}
	if (m->cut)
		fprintf(file, "\n[There are more parts, or deeper ones, than are looked at; --raw has "
			      "the message.]\n");
}

int render_text(const struct shown_message *m, bool headers, FILE *file, struct err *err)
{
	if (headers) {
		print_header(file, m->bytes);
		return 0;
	}
	print_where(file, m);
	print_usual(file, m->bytes);
	for (const struct mime_part *t = NULL; (t = mime_next_text(m->parts, t)) != NULL;)
		if (print_text(file, t, err) < 0)
			return -1;
	print_parts(file, m->parts);
	return 0;
}

/* --- for programs --- */

static json_t *header_json(struct bytes message)
{
	struct bytes left = bytes_from(message.p, mime_header_length(message)), name, value;
	json_t *list = json_array();

	while (mime_next_field(&left, &name, &value)) {
		char *text = decode_field(name, value);

		json_array_append_new(list, json_pack("{s:o, s:o}", "name", imap_json_text(name),
						      "value", imap_json_text(bytes_of(text))));
		free(text);
	}
	return list;
}

static json_t *parts_json(const struct mime *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->n; i++) {
		const struct mime_part *part = &m->v[i];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s*, s:s*, s:I, s:b}", "part", part->number,
					"type", part->type.type, "charset", part->type.charset,
					"name", part->name, "size",
					(json_int_t)decoded_size(part), "attachment",
					part->attachment));
	}
	return list;
}

static int keep_text(void *ctx, struct bytes piece, struct err *err)
{
	struct buf *text = ctx;
	size_t room = RENDER_TEXT_MAX - text->n;

	if (piece.n <= room) {
		buf_add(text, piece);
		return 0;
	}
	return err_set(err, ERR_MESSAGE, "enough");
}

static void add_text(json_t *event, const struct mime *m)
{
	struct buf text = BUF_INIT(RENDER_TEXT_MAX);
	struct err err;
	bool known, cut = false;
	const struct mime_part *first = mime_next_text(m, NULL);

	if (!first)
		return;
	for (const struct mime_part *t = first; t && !cut; t = mime_next_text(m, t))
		cut = decode_text(t->encoding, t->type.charset, t->body, &known, keep_text, &text,
				  &err) < 0;
	json_object_set_new(event, "text", json_stringn(buf_str(&text), text.n));
	json_object_set_new(event, "text_type", json_string(first->type.type));
	json_object_set_new(event, "text_is_cut", json_boolean(cut));
	buf_release(&text);
}

json_t *render_event(const struct shown_message *m, bool headers)
{
	json_t *event = imap_json_event("message");
	struct buf date = BUF_INIT(1024);

	json_object_set_new(event, "mailbox", imap_json_text(bytes_of(m->mailbox)));
	json_object_set_new(event, "uid", json_integer(m->uid));
	json_object_set_new(event, "size", json_integer((json_int_t)m->size));
	if (!maildate_format_rfc3339(m->date, &date))
		maildate_format(m->date, &date);
	json_object_set_new(event, "date", imap_json_text(buf_bytes(&date)));
	json_object_set_new(event, "flags", imap_json_flags(m->flags));
	json_object_set_new(event, "headers", header_json(m->bytes));
	if (!headers) {
		add_text(event, m->parts);
		json_object_set_new(event, "parts", parts_json(m->parts));
		json_object_set_new(event, "parts_are_cut", json_boolean(m->parts->cut));
	}
	buf_release(&date);
	return event;
}
