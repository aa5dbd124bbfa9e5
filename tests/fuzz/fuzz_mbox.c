/*
 * An mbox from a stranger. How much of it is held at a time changes nothing, messages lie one after the other
 * and have the size that they are said to have; and what others write as an mboxrd, and export does, comes back.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/mbox/scan.h"
#include "backends/mbox/wire_form.h"
#include "backends/mbox/write.h"
#include "core/base/buf.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

static void must(bool promise)
{
	if (!promise)
		abort();
}

struct world {
	struct bytes file;
	uint64_t after;  /* where the last message ended */
	struct buf told; /* what came of every message */
	size_t piece, messages;
	struct buf last; /* the body of the last one */
};

static int read_memory(void *ctx, uint64_t at, uint8_t *to, size_t n, struct err *err)
{
	const struct world *w = ctx;

	(void)err;
	must(at <= w->file.n && n <= w->file.n - at);
	if (n > 0)
		memcpy(to, w->file.p + at, n);
	return 0;
}

static int add_piece(void *ctx, struct bytes piece, struct err *err)
{
	(void)err;
	must(buf_add(ctx, piece));
	return 0;
}

static int tell(void *ctx, const struct mbox_message *m, struct err *err)
{
	struct world *w = ctx;
	struct wire_form form = { .unquote = m->unquote, .add_cr = m->add_cr, .in_body = m->whole };
	struct bytes raw;

	must(m->start > w->after || w->messages == 0);
	must(m->start <= w->file.n && m->length <= w->file.n - m->start);
	w->after = m->start + m->length;
	w->messages++;
	buf_clear(&w->last);
	raw = bytes_from(w->file.p + m->start, (size_t)m->length);
	while (raw.n > 0) {
		size_t n = raw.n < w->piece ? raw.n : w->piece;

		wire_form_feed(&form, bytes_from(raw.p, n), add_piece, &w->last, err);
		raw = bytes_skip(raw, n);
	}
	wire_form_end(&form, add_piece, &w->last, err);
	must(w->last.n == m->size);
	flags_format(m->flags, &w->told);
	maildate_format(m->date, &w->told);
	buf_add(&w->told, buf_bytes(&w->last));
	buf_add_byte(&w->told, '\n');
	return 0;
}

static int scan(struct world *w, struct bytes file, size_t window, size_t piece)
{
	const struct mbox_input in = { .size = file.n, .read = read_memory, .ctx = w,
				       .window = window };
	struct err err = { 0 };
	int ret;

	*w = (struct world){ .file = file, .piece = piece, .told = BUF_INIT(1 << 26),
			     .last = BUF_INIT(1 << 24) };
	ret = mbox_scan(&in, tell, w, &err);
	must((ret == 0) == (err.kind == ERR_NONE));
	return ret;
}

static void release(struct world *w)
{
	buf_release(&w->told);
	buf_release(&w->last);
}

static void check_window(struct bytes file)
{
	struct world small, large;
	int a = scan(&small, file, MBOX_WINDOW_MIN, 1), b = scan(&large, file, 65536, 65536);

	must(a == b && bytes_equal(buf_bytes(&small.told), buf_bytes(&large.told)));
	release(&small);
	release(&large);
}

/* One message with these lines in its body, as mboxrd quotes them, and a plain one after it. */
static void check_written(struct bytes body)
{
	struct buf file = BUF_INIT(1 << 24), want = BUF_INIT(1 << 24);
	struct world w;
	size_t before;

	buf_add_str(&file, "From ann Fri Mar  1 13:05:09 2024\nSubject: a\n\n");
	while (body.n > 0) {
		const uint8_t *lf = memchr(body.p, '\n', body.n);
		struct bytes line = bytes_from(body.p, lf ? (size_t)(lf - body.p) : body.n);
		size_t quotes = 0;

		while (quotes < line.n && line.p[quotes] == '>')
			quotes++;
		if (quotes >= WIRE_QUOTES_MAX)
			break; /* nobody means these */
		body = bytes_skip(body, lf ? line.n + 1 : line.n);
		if (line.n > 0 && memchr(line.p, '\r', line.n))
			continue; /* a CRLF would make it one that is given as it stands */
		buf_add(&want, line);
		buf_add_str(&want, "\r\n");
		if (line.n - quotes >= 5 && memcmp(line.p + quotes, "From ", 5) == 0)
			buf_add_byte(&file, '>');
		buf_add(&file, line);
		buf_add_byte(&file, '\n');
	}
	buf_add_str(&file, "\nFrom bob Fri Mar  1 13:05:09 2024\nSubject: b\n\n");
	must(scan(&w, buf_bytes(&file), 4096, 7) == 0);
	must(w.messages == 2 && bytes_is(buf_bytes(&w.last), "Subject: b\r\n"));
	before = strlen(" 1-Mar-2024 13:05:09 +0000Subject: a\r\n\r\n");
	must(w.told.n >= before + want.n &&
	     bytes_equal(bytes_from(w.told.p + before, want.n), buf_bytes(&want)));
	release(&w);
	buf_release(&file);
	buf_release(&want);
}

/* Any bytes as a message, in pieces; *want: what is told of it later, or nothing where an mbox cannot hold it. */
static void export(struct mbox_writer *w, struct bytes message, struct buf *want)
{
	struct flags flags = { .bits = FLAG_SEEN };
	struct maildate date = { .unix_time = 1709298309, .zone_minutes = 60, .known = true };
	struct bytes rest = message;
	struct err err = { 0 };
	bool all_flags;
	int ret = mbox_writer_begin(w, &err);

	while (ret == 0 && rest.n > 0) {
		size_t n = rest.n < 7 ? rest.n : 7;

		ret = mbox_writer_add(w, bytes_from(rest.p, n), &err);
		rest = bytes_skip(rest, n);
	}
	if (ret == 0)
		ret = mbox_writer_end(w, &flags, &date, &all_flags, &err);
	must(ret == 0 || err.kind == ERR_MESSAGE);
	if (ret < 0)
		return;
	must(all_flags);
	flags_format(&flags, want);
	maildate_format(&date, want);
	buf_add(want, message);
	buf_add_byte(want, '\n');
}

/* A message of any bytes, before and after another one, comes back as it was. */
static void check_exported(struct bytes message)
{
	struct buf want = BUF_INIT(1 << 26);
	struct err err = { 0 };
	struct world w;
	char *file = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&file, &n);
	struct mbox_writer *writer = mbox_writer_new(out, &err);

	must(out && writer);
	export(writer, message, &want);
	export(writer, bytes_of("Subject: b\r\n\r\nFrom b\r\n"), &want);
	export(writer, message, &want);
	mbox_writer_free(writer);
	must(fclose(out) == 0);
	must(scan(&w, bytes_from(file, n), MBOX_WINDOW_MIN, 11) == 0);
	must(bytes_equal(buf_bytes(&w.told), buf_bytes(&want)));
	release(&w);
	buf_release(&want);
	free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_window(bytes_from(data, size));
	check_written(bytes_from(data, size));
	check_exported(bytes_from(data, size));
	return 0;
}
