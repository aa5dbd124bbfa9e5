/*
 * A message from a stranger: its parts lie within it, one after the other, each with a number of its
 * own; what is decoded is text.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/mime.h"
#include "cmd/render.h"
#include "core/base/buf.h"
#include "core/base/utf8.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

static void must(bool promise)
{
	if (!promise)
		abort();
}

static int on_text(void *ctx, struct bytes piece, struct err *err)
{
	(void)ctx;
	(void)err;
	must(piece.n > 0 && utf8_is_valid(piece));
	return 0;
}

static void check_part(const struct mime *m, size_t i, struct bytes message)
{
	const struct mime_part *p = &m->v[i];
	struct err err = { 0 };
	bool known;

	must(p->body.n == 0 || (p->body.p >= message.p &&
				p->body.p + p->body.n <= message.p + message.n));
	must(mime_find(m, p->number) == p);
	must(utf8_is_valid(bytes_of(p->type.type)));
	must(!p->name || utf8_is_valid(bytes_of(p->name)));
	must(decode_text(p->encoding, p->type.charset, p->body, &known, on_text, NULL, &err) == 0);
}

/* Nothing that moves a cursor comes out. */
static void check_text(const struct mime *m, struct bytes message, bool headers)
{
	struct flags flags = FLAGS_INIT;
	struct maildate date = { 0 };
	struct shown_message s = { .mailbox = "INBOX", .uid = 1, .size = message.n, .flags = &flags,
				   .date = &date, .bytes = message, .parts = m };
	struct err err = { 0 };
	char *out = NULL;
	size_t n;
	FILE *file = open_memstream(&out, &n);

	must(file && render_text(&s, headers, file, &err) == 0 && fclose(file) == 0);
	must(utf8_is_valid(bytes_from(out, n)));
	for (size_t i = 0; i < n; i++)
		must(((uint8_t)out[i] >= ' ' && out[i] != 0x7f) || out[i] == '\n' || out[i] == '\t');
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes message = bytes_from(data, size);
	struct mime m;

	mime_read(&m, message);
	must(m.n <= MIME_PARTS_MAX + MIME_DEPTH_MAX && (m.n > 0 || m.cut));
	for (size_t i = 0; i < m.n; i++)
		check_part(&m, i, message);
	check_text(&m, message, false);
	check_text(&m, message, true);
	mime_release(&m);
	return 0;
}
