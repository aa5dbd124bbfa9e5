#include "cmd/index_text.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/mail/maildate.h"

#include "cmd/decode.h"
#include "cmd/html_text.h"
#include "cmd/mime.h"
#include "cmd/search_priv.h"

/* HTML says little with many bytes. */
#define HTML_MAX (4 * INDEX_TEXT_MAX)

static void add_folded(struct buf *out, const char *decoded)
{
	char *folded = decode_fold(decoded);

	/* Past the ceiling nothing is added: what a header says in 65536 bytes will do. */
	buf_add_byte(out, '\n');
	buf_add_str(out, folded);
	free(folded);
}

/* Both ways to read it, as search_holds() looks at both. *shown, unless it is NULL or there is one,
 * becomes the first. */
static void add_addresses(struct buf *folded, struct buf *head, char **shown, struct bytes value)
{
	char *addresses, *words;

	if (folded->overflow)
		return; /* enough of a header with fields without end */
	addresses = decode_addresses(value);
	words = decode_words(value);

	add_folded(folded, addresses);
	add_folded(folded, words);
	buf_add_byte(head, '\n');
	buf_add_str(head, words);
	if (shown && !*shown)
		*shown = addresses;
	else
		free(addresses);
	free(words);
}

static void add_subject(struct index_text *t, struct bytes value)
{
	char *words;

	if (t->subject_folded.overflow)
		return;
	words = decode_words(value);
	add_folded(&t->subject_folded, words);
	buf_add_byte(&t->head, '\n');
	buf_add_str(&t->head, words);
	if (t->subject)
		free(words);
	else
		t->subject = words;
}

static void take_id(struct index_text *t, struct bytes value)
{
	char *text, *id;

	if (t->ids.overflow)
		return;
	text = decode_words(value);
	id = text + strspn(text, " ");
	for (size_t n = strlen(id); n > 0 && id[n - 1] == ' ';)
		id[--n] = '\0';
	if (!t->message_id)
		t->message_id = xstrdup(id);
	search_strip_brackets(id);
	buf_add_byte(&t->ids, '\n');
	buf_add_str(&t->ids, id);
	free(text);
}

/* Of several the first counts. */
static void take_date(struct index_text *t, struct bytes value)
{
	struct maildate date = { 0 };
	struct buf text = BUF_INIT(1024);

	if (t->sent)
		return;
	if (decode_date(value, &date) && maildate_format_rfc3339(&date, &text))
		t->sent = buf_take(&text);
	maildate_release(&date);
	buf_release(&text);
	if (!t->sent)
		t->sent = xstrdup("");
}

static void take_field(struct index_text *t, struct bytes name, struct bytes value)
{
	if (bytes_is_nocase(name, "From")) {
		if (!t->name)
			t->name = decode_first_name(value);
		add_addresses(&t->from_folded, &t->head, &t->from, value);
	} else if (bytes_is_nocase(name, "To") || bytes_is_nocase(name, "Cc") ||
		   bytes_is_nocase(name, "Bcc")) {
		add_addresses(&t->to_folded, &t->head, NULL, value);
	} else if (bytes_is_nocase(name, "Subject")) {
		add_subject(t, value);
	} else if (bytes_is_nocase(name, "Message-ID")) {
		take_id(t, value);
	} else if (bytes_is_nocase(name, "Date")) {
		take_date(t, value);
	}
}

/* -1 ends the decoding: there is enough. */
static int on_text(void *ctx, struct bytes piece, struct err *err)
{
	struct buf *out = ctx;
	size_t room = out->max - out->n;

	buf_add(out, bytes_from(piece.p, piece.n < room ? piece.n : room));
	return piece.n < room ? 0 : err_set(err, ERR_MESSAGE, "no more of it is needed");
}

static void add_part(struct buf *body, const struct mime_part *part)
{
	struct buf html = BUF_INIT(HTML_MAX);
	bool is_html = mime_is_html(part), known;
	struct err err;

	buf_add_byte(body, '\n');
	/* Only on_text() ends it, and what came until then counts. */
	decode_text(part->encoding, part->type.charset, part->body, &known, on_text,
		    is_html ? &html : body, &err);
	if (is_html)
		html_text(buf_bytes(&html), body);
	buf_release(&html);
}

static void take_parts(struct index_text *t, struct bytes message)
{
	struct mime m;

	mime_read(&m, message);
	for (size_t i = 0; i < m.n; i++)
		if (m.v[i].name) {
			buf_add_byte(&t->head, '\n');
			buf_add_str(&t->head, m.v[i].name);
		}
	for (const struct mime_part *p = mime_next_text(&m, NULL); p && t->body.n + 1 < t->body.max;
	     p = mime_next_text(&m, p))
		add_part(&t->body, p);
	mime_release(&m);
}

void index_text_read(struct index_text *out, struct bytes message)
{
	index_text_read_header(out, message);
	take_parts(out, message);
}

void index_text_read_header(struct index_text *out, struct bytes message)
{
	struct bytes header = bytes_from(message.p, mime_header_length(message)), name, value;
	char **shown[] = { &out->name, &out->from, &out->subject, &out->message_id, &out->sent };

	*out = (struct index_text){ 0 };
	buf_init(&out->from_folded, INDEX_FIELD_MAX);
	buf_init(&out->to_folded, INDEX_FIELD_MAX);
	buf_init(&out->subject_folded, INDEX_FIELD_MAX);
	buf_init(&out->ids, INDEX_FIELD_MAX);
	buf_init(&out->head, INDEX_FIELD_MAX);
	buf_init(&out->body, INDEX_TEXT_MAX);
	while (mime_next_field(&header, &name, &value))
		take_field(out, name, value);
	/* An ID is found with the line ends around it. */
	buf_add_byte(&out->ids, '\n');
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (!*shown[i])
			*shown[i] = xstrdup("");
}

void index_text_release(struct index_text *t)
{
	free(t->name);
	free(t->from);
	free(t->subject);
	free(t->message_id);
	free(t->sent);
	buf_release(&t->from_folded);
	buf_release(&t->to_folded);
	buf_release(&t->subject_folded);
	buf_release(&t->ids);
	buf_release(&t->head);
	buf_release(&t->body);
	*t = (struct index_text){ 0 };
}
