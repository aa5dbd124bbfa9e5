/* Taking an mbox apart: what begins a message, what it is on the wire, and its date. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/mbox/dates.h"
#include "backends/mbox/scan.h"
#include "backends/mbox/mark.h"
#include "backends/mbox/wire_form.h"
#include "backends/mbox/write.h"
#include "core/base/buf.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

/* --- a file in memory --- */

struct world {
	struct bytes file;
	struct buf told; /* "[FLAGS DATE] BODY" of every message */
	size_t piece;    /* how the bytes are fed to the wire form */
};

static int read_memory(void *ctx, uint64_t at, uint8_t *to, size_t n, struct err *err)
{
	const struct world *w = ctx;

	(void)err;
	assert_true(at + n <= w->file.n);
	if (n > 0)
		memcpy(to, w->file.p + at, n);
	return 0;
}

static int add_piece(void *ctx, struct bytes piece, struct err *err)
{
	(void)err;
	buf_add(ctx, piece);
	return 0;
}

static void add_body(struct world *w, const struct mbox_message *m)
{
	struct wire_form form = { .unquote = m->unquote, .add_cr = m->add_cr, .in_body = m->whole };
	struct bytes raw = bytes_from(w->file.p + m->start, (size_t)m->length);
	size_t before = w->told.n;
	struct err err;

	while (raw.n > 0) {
		size_t n = w->piece && w->piece < raw.n ? w->piece : raw.n;

		assert_int_equal(wire_form_feed(&form, bytes_from(raw.p, n), add_piece, &w->told, &err), 0);
		raw = bytes_skip(raw, n);
	}
	assert_int_equal(wire_form_end(&form, add_piece, &w->told, &err), 0);
	assert_int_equal(w->told.n - before, m->size);
}

static int tell(void *ctx, const struct mbox_message *m, struct err *err)
{
	struct world *w = ctx;

	(void)err;
	buf_add_byte(&w->told, '[');
	flags_format(m->flags, &w->told);
	buf_add_byte(&w->told, ' ');
	if (!maildate_format_rfc3339(m->date, &w->told))
		buf_add_byte(&w->told, '-');
	buf_add_str(&w->told, "] ");
	add_body(w, m);
	return 0;
}

static int scan(struct world *w, const char *file, size_t window, size_t piece, struct err *err)
{
	struct mbox_input in = { .read = read_memory, .ctx = w, .window = window };

	*err = (struct err){ 0 };
	w->file = bytes_of(file);
	w->piece = piece;
	in.size = w->file.n;
	buf_init(&w->told, 1 << 24);
	return mbox_scan(&in, tell, w, err);
}

#define ANN "From ann@example.org Thu Feb 29 13:05:09 2024\n"
#define BOB "From bob Fri Mar  1 00:00:00 2024\n"
#define ANN_DATE "2024-02-29T13:05:09+00:00"
#define BOB_DATE "2024-03-01T00:00:00+00:00"

static const struct {
	const char *file, *want;
} cases[] = {
	{ "", "" },
	/* Two messages, LF becomes CRLF, and the empty line before the second is no part of the first. */
	{ ANN "Subject: a\n\none\n\n" BOB "Subject: b\n\ntwo\n\n",
	  "[ " ANN_DATE "] Subject: a\r\n\r\none\r\n[ " BOB_DATE "] Subject: b\r\n\r\ntwo\r\n" },
	/* Only one empty line; none at the end of the file, and a last line without an end. */
	{ ANN "Subject: a\n\none\n\n\n" BOB "Subject: b\n\ntwo",
	  "[ " ANN_DATE "] Subject: a\r\n\r\none\r\n\r\n[ " BOB_DATE "] Subject: b\r\n\r\ntwo" },
	/* CRLF all over. */
	{ "From ann Thu Feb 29 13:05:09 2024\r\nSubject: a\r\n\r\none\r\n\r\n"
	  "From bob Fri Mar  1 00:00:00 2024\r\nSubject: b\r\n\r\ntwo\r\n\r\n",
	  "[ " ANN_DATE "] Subject: a\r\n\r\none\r\n[ " BOB_DATE "] Subject: b\r\n\r\ntwo\r\n" },
	/* One that holds a CRLF stays as it is, also where it has a lone LF. */
	{ ANN "Subject: a\r\n\r\none\ntwo\r\n\n" BOB "Subject: b\n\nthree\n\n",
	  "[ " ANN_DATE "] Subject: a\r\n\r\none\ntwo\r\n[ " BOB_DATE "] Subject: b\r\n\r\nthree\r\n" },
	/* No empty line before it: others take it for a message, too, when a header follows. */
	{ ANN "Subject: a\n\none\n" BOB "Subject: b\n\ntwo\n\n",
	  "[ " ANN_DATE "] Subject: a\r\n\r\none\r\n[ " BOB_DATE "] Subject: b\r\n\r\ntwo\r\n" },
	/* Messages without a body, and without anything. */
	{ ANN "Subject: a\n\n" BOB "\n" BOB "Subject: b\n\n",
	  "[ " ANN_DATE "] Subject: a\r\n[ " BOB_DATE "] [ " BOB_DATE "] Subject: b\r\n" },
	{ ANN, "[ " ANN_DATE "] " },
	/* mboxrd. */
	{ ANN "Subject: a\n>From : stays in a header\n\n>From here\n>>From there\n> From\n>Fro\n>\n>>\n\n",
	  "[ " ANN_DATE "] Subject: a\r\n>From : stays in a header\r\n\r\nFrom here\r\n>From there\r\n"
	  "> From\r\n>Fro\r\n>\r\n>>\r\n" },
	/* Who leaves one as it is does not quote: text, with a date and without. */
	{ ANN "Subject: a\n\nFrom here on\n>From there\n\n",
	  "[ " ANN_DATE "] Subject: a\r\n\r\nFrom here on\r\n>From there\r\n" },
	{ ANN "Subject: a\n\n" BOB "said something.\n\n",
	  "[ " ANN_DATE "] Subject: a\r\n\r\n" "From bob Fri Mar  1 00:00:00 2024\r\nsaid something.\r\n" },
	{ ANN "Subject: a\n\nshe wrote\n\nFrom now on\nNote: that\n\n",
	  "[ " ANN_DATE "] Subject: a\r\n\r\nshe wrote\r\n\r\nFrom now on\r\nNote: that\r\n" },
	/* Content-Length that leads to the next one, or to the end: what is within is text. */
	{ ANN "Content-Length: 65\n\n" BOB "Subject: not one\n\ntext\n>From x\n" BOB "Subject: b\n\ntwo\n\n",
	  "[ " ANN_DATE "] Content-Length: 65\r\n\r\nFrom bob Fri Mar  1 00:00:00 2024\r\n"
	  "Subject: not one\r\n\r\ntext\r\n>From x\r\n" "[ " BOB_DATE "] Subject: b\r\n\r\ntwo\r\n" },
	{ ANN "Content-Length: 4\n\ntext\n\n" BOB "Subject: b\n\ntwo\n\n",
	  "[ " ANN_DATE "] Content-Length: 4\r\n\r\ntext[ " BOB_DATE "] Subject: b\r\n\r\ntwo\r\n" },
	/* One that leads elsewhere is not. */
	{ ANN "Content-Length: 3\n\ntext\n\n" BOB "Content-Length: 18446744073709551615\n\ntwo\n\n",
	  "[ " ANN_DATE "] Content-Length: 3\r\n\r\ntext\r\n[ " BOB_DATE
	  "] Content-Length: 18446744073709551615\r\n\r\ntwo\r\n" },
	/* Flags; the header stays as it is. */
	{ ANN "Status: RO\nX-Status: AF\nX-Keywords: $Work   later\n\n",
	  "[\\Seen \\Answered \\Flagged $Work later " ANN_DATE "] Status: RO\r\nX-Status: AF\r\n"
	  "X-Keywords: $Work   later\r\n" },
	{ ANN "X-Mozilla-Status: 0009\nX-Status: TD\n\n",
	  "[\\Seen \\Deleted \\Draft " ANN_DATE "] X-Mozilla-Status: 0009\r\nX-Status: TD\r\n" },
	/* The first line may say anything; then the header has the date. */
	{ "From nobody\nDate: Thu, 29 Feb 2024 13:05:09 +0100\n\n",
	  "[ 2024-02-29T13:05:09+01:00] Date: Thu, 29 Feb 2024 13:05:09 +0100\r\n" },
	{ "From ann\nDate: soon\n\n", "[ -] Date: soon\r\n" },
};

static void test_messages_are_taken_apart_at_any_window_and_in_any_pieces(void **state)
{
	static const size_t windows[] = { MBOX_WINDOW_MIN, MBOX_WINDOW_MIN + 1, 65536 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t k = 0; k < 3; k++)
			for (size_t piece = 0; piece < 4; piece++) {
				struct world w;
				struct err err;

				if (scan(&w, cases[i].file, windows[k], piece, &err) < 0)
					fail_msg("%s: %s", cases[i].file, err.text);
				if (strcmp(buf_str(&w.told), cases[i].want) != 0)
					fail_msg("of\n%s\nwas made\n%s\nnot\n%s", cases[i].file,
						 buf_str(&w.told), cases[i].want);
				buf_release(&w.told);
			}
}

static void test_lines_longer_than_the_window_are_lines(void **state)
{
	struct buf file = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);

	(void)state;
	buf_add_str(&file, ANN "Subject: a\n\n>From ");
	buf_add_str(&want, "[ " ANN_DATE "] Subject: a\r\n\r\nFrom ");
	for (size_t i = 0; i < 5000; i++) {
		buf_add_byte(&file, 'x');
		buf_add_byte(&want, 'x');
	}
	buf_add_str(&file, "\n\n" BOB "Subject: b\n\n");
	buf_add_str(&want, "\r\n[ " BOB_DATE "] Subject: b\r\n");
	for (size_t window = MBOX_WINDOW_MIN; window < MBOX_WINDOW_MIN + 40; window++) {
		struct world w;
		struct err err;

		assert_int_equal(scan(&w, buf_str(&file), window, 0, &err), 0);
		assert_string_equal(buf_str(&w.told), buf_str(&want));
		buf_release(&w.told);
	}
	buf_release(&file);
	buf_release(&want);
}

static void test_what_is_no_mbox_is_named_by_line_and_byte(void **state)
{
	static const struct {
		const char *file, *text;
	} bad[] = {
		{ "Subject: a\n\nFrom me\n", "line 1 (byte 0) does not begin with 'From '" },
		{ "\n" ANN "Subject: a\n\n", "line 1 (byte 0)" },
		{ "From ann", "line 1 (byte 0)" },
		/* 46 + 11 + 1 + 4 + 1 */
		{ ANN "Subject: a\n\none\n\nFrom ann at noon\nReceived: by x\n\ntwo\n\n",
		  "line 6 (byte 63) begins with 'From '" },
		{ ANN "Content-Length: 4\n\none\n" BOB "Subject: b\n\n\nFrom x\nDate: y\n",
		  "line 9 (byte 116) " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct world w;
		struct err err;

		assert_int_equal(scan(&w, bad[i].file, 65536, 0, &err), -1);
		assert_int_equal(err.kind, ERR_FATAL);
		if (!strstr(err.text, bad[i].text))
			fail_msg("of\n%s\nis said: %s", bad[i].file, err.text);
		buf_release(&w.told);
	}
}

/* --- what is written comes back --- */

static const struct {
	const char *message, *flags, *date, *want; /* `want`: "[FLAGS DATE] " before the message */
} written[] = {
	{ "Subject: a\r\n\r\none\r\n", "\\Seen $Work \"a b\"", "2024-02-29T13:05:09+01:00",
	  "\\Seen $Work \"a b\" 2024-02-29T13:05:09+01:00" },
	/* Status says nothing of it, nor does a Content-Length that leads to the end of the file. */
	{ "Status: RO\r\nContent-Length: 1\r\n\r\n\r\n", "", "1969-12-31T23:59:59-08:00",
	  " 1969-12-31T23:59:59-08:00" },
	/* No last line end, no line end at all, nothing at all, only empty lines. */
	{ "Subject: a\r\n\r\none", "", "9999-01-01T00:00:00+00:00", " 9999-01-01T00:00:00+00:00" },
	{ "hello", "", "2024-02-29T13:05:09+00:00", " 2024-02-29T13:05:09+00:00" },
	{ "", "\\Deleted", "2024-02-29T13:05:09+00:00", "\\Deleted 2024-02-29T13:05:09+00:00" },
	{ "\r\n", "", "2024-02-29T13:05:09+00:00", " 2024-02-29T13:05:09+00:00" },
	{ "\r\n\r\n\r\n", "", "2024-02-29T13:05:09+00:00", " 2024-02-29T13:05:09+00:00" },
	/* Line ends of other kinds. */
	{ "Subject: a\n\none\n", "", "2024-02-29T13:05:09+00:00", " 2024-02-29T13:05:09+00:00" },
	{ "Subject: a\r\n\r\none\ntwo\r\n", "", "2024-02-29T13:05:09+00:00", " 2024-02-29T13:05:09+00:00" },
	{ "Subject: a\r\r\n\r\none\r\n", "", "2024-02-29T13:05:09+00:00", " 2024-02-29T13:05:09+00:00" },
	{ "Subject: a\rb\r\n\r\none\r", "", "2024-02-29T13:05:09+00:00", " 2024-02-29T13:05:09+00:00" },
	/* `From ` in header and body, as text and as the beginning of a message. */
	{ "From ann Thu Feb 29 13:05:09 2024\r\nSubject: a\r\n>From b\r\n\r\nFrom here\r\n>From\r\n>>From there\r\n\r\n"
	  "From bob Fri Mar  1 00:00:00 2024\r\nSubject: b\r\n\r\nFro\r\n> From x\r\nFrom ",
	  "", "2024-02-29T13:05:09+00:00", " 2024-02-29T13:05:09+00:00" },
	{ "Subject: a\r\n\r\n>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>From 63\r\n"
	  ">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>From 65\r\n"
	  ">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>64\r\n",
	  "", "2024-02-29T13:05:09+00:00", " 2024-02-29T13:05:09+00:00" },
	/* Without a date it has that of its header. */
	{ "Date: Thu, 29 Feb 2024 13:05:09 +0100\r\n\r\nx\r\n", "\\Draft", "",
	  "\\Draft 2024-02-29T13:05:09+01:00" },
};

enum { WRITTEN = sizeof(written) / sizeof(written[0]) };

static int write_one(struct mbox_writer *w, const char *message, const char *flags_text,
		     const char *date_text, size_t piece, bool *all_flags, struct err *err)
{
	struct flags flags = FLAGS_INIT;
	struct maildate date = { 0 };
	struct bytes rest = bytes_of(message);
	int ret = mbox_writer_begin(w, err);

	flags_add_list(&flags, bytes_of(flags_text));
	maildate_parse_rfc3339(&date, bytes_of(date_text));
	while (ret == 0 && rest.n > 0) {
		size_t n = piece && piece < rest.n ? piece : rest.n;

		ret = mbox_writer_add(w, bytes_from(rest.p, n), err);
		rest = bytes_skip(rest, n);
	}
	if (ret == 0)
		ret = mbox_writer_end(w, &flags, &date, all_flags, err);
	flags_release(&flags);
	maildate_release(&date);
	return ret;
}

/* All of them in one file, in an order that puts each one after each other one, owned by the caller. */
static char *write_all(size_t shift, size_t piece, struct buf *want)
{
	char *file = NULL;
	size_t n;
	FILE *out = open_memstream(&file, &n);
	struct err err = { 0 };
	struct mbox_writer *w = mbox_writer_new(out, &err);
	bool all_flags;

	for (size_t k = 0; k < 2 * (size_t)WRITTEN; k++) {
		size_t i = (k * (1 + shift) + shift) % WRITTEN;

		if (write_one(w, written[i].message, written[i].flags, written[i].date, piece,
			      &all_flags, &err) < 0)
			fail_msg("%s: %s", written[i].message, err.text);
		assert_true(all_flags);
		buf_addf(want, "[%s] %s", written[i].want, written[i].message);
	}
	mbox_writer_free(w);
	fclose(out);
	return file;
}

static void test_what_is_written_comes_back_byte_for_byte_with_flags_and_dates(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < WRITTEN; shift++)
		for (size_t piece = 0; piece < 4; piece++) {
			struct buf want = BUF_INIT(1 << 20);
			char *file = write_all(shift, piece, &want);
			struct world w;
			struct err err;

			if (scan(&w, file, piece % 2 ? MBOX_WINDOW_MIN : 65536, piece, &err) < 0)
				fail_msg("%s\n%s", err.text, file);
			if (strcmp(buf_str(&w.told), buf_str(&want)) != 0)
				fail_msg("of\n%s\nwas made\n%s\nnot\n%s", file, buf_str(&w.told),
					 buf_str(&want));
			buf_release(&w.told);
			buf_release(&want);
			free(file);
		}
}

/* One message as it stands in the file, owned by the caller; NULL: it was refused. */
static char *write_alone(const char *message, const char *flags, bool *all_flags, struct err *err)
{
	char *file = NULL;
	size_t n;
	FILE *out = open_memstream(&file, &n);
	struct mbox_writer *w = mbox_writer_new(out, err);
	int ret = write_one(w, message, flags, "2024-02-29T13:05:09+01:00", 0, all_flags, err);

	mbox_writer_free(w);
	fclose(out);
	if (ret == 0)
		return file;
	assert_int_equal(n, 0);
	free(file);
	return NULL;
}

static void test_an_mbox_is_written_as_others_read_it(void **state)
{
	struct err err = { 0 };
	bool all;
	char *file = write_alone("Subject: a\r\n\r\nFrom one\r\n>From two", "\\Seen", &all, &err);

	(void)state;
	assert_string_equal(file, "From MAILER-DAEMON Thu Feb 29 12:05:09 2024 mailcask length=32 lines=crlf "
				  "date=2024-02-29T13:05:09+01:00 flags=\\Seen\n"
				  "Subject: a\n\n>From one\n>>From two\n\n");
	free(file);
}

static void test_a_written_mbox_that_others_changed_is_read_as_any_other(void **state)
{
	struct world w;
	struct err err;

	(void)state;
	assert_int_equal(scan(&w,
			      "From MAILER-DAEMON Thu Feb 29 12:05:09 2024 mailcask length=22 lines=crlf "
			      "date=2024-02-29T13:05:09+01:00 flags=\\Seen\n"
			      "Subject: a\nStatus: RO\n\n>From one\n\n" BOB "Subject: b\n\ntwo\n\n",
			      65536, 0, &err),
			 0);
	assert_string_equal(buf_str(&w.told),
			    "[\\Seen 2024-02-29T13:05:09+01:00] Subject: a\r\nStatus: RO\r\n\r\nFrom one\r\n"
			    "[ " BOB_DATE "] Subject: b\r\n\r\ntwo\r\n");
	buf_release(&w.told);
}

static void test_what_an_mbox_cannot_hold_is_said_and_not_written(void **state)
{
	struct buf text = BUF_INIT(1 << 16);
	struct err err = { 0 };
	bool all = true;
	struct world w;
	char *file;

	(void)state;
	for (int i = 0; i < WIRE_QUOTES_MAX; i++)
		buf_add_byte(&text, '>');
	buf_add_str(&text, "From x");
	assert_null(write_alone(buf_str(&text), "", &all, &err));
	assert_int_equal(err.kind, ERR_MESSAGE);
	buf_clear(&text);
	buf_add_str(&text, "\\Seen");
	for (int i = 0; i < 300; i++)
		buf_addf(&text, " keyword%d", i);
	file = write_alone("x", buf_str(&text), &all, &err);
	assert_non_null(file);
	assert_false(all);
	assert_int_equal(scan(&w, file, MBOX_WINDOW_MIN, 0, &err), 0);
	assert_non_null(strstr(buf_str(&w.told), "[\\Seen keyword0 keyword1 "));
	buf_release(&w.told);
	buf_release(&text);
	free(file);
}

/* --- dates --- */

static void check_date(bool (*read)(struct bytes, struct maildate *), const char *text,
		       const char *want)
{
	struct buf got = BUF_INIT(100);
	struct maildate date = { 0 };

	if (read(bytes_of(text), &date) != (want != NULL))
		fail_msg("'%s' is %s", text, want ? "no date" : "a date");
	maildate_format_rfc3339(&date, &got);
	assert_string_equal(buf_str(&got), want ? want : "");
	buf_release(&got);
	maildate_release(&date);
}

static void test_dates_of_from_lines_are_read_in_every_known_form(void **state)
{
	(void)state;
	check_date(date_of_from_line, "a@b Thu Feb 29 13:05:09 2024", "2024-02-29T13:05:09+00:00");
	check_date(date_of_from_line, "- Thu Feb 29 13:05:09 2024", "2024-02-29T13:05:09+00:00");
	check_date(date_of_from_line, "Thu Feb  9 03:05 2024", "2024-02-09T03:05:00+00:00");
	check_date(date_of_from_line, "\"a b\"@c  Thu Feb 29 13:05:09 2024 remote from uu",
		   "2024-02-29T13:05:09+00:00");
	check_date(date_of_from_line, "17@xxx Thu Feb 29 13:05:09 +0000 2024",
		   "2024-02-29T13:05:09+00:00");
	check_date(date_of_from_line, "a Thu Feb 29 13:05:09 2024 -0130",
		   "2024-02-29T13:05:09-01:30");
	check_date(date_of_from_line, "a Thu Feb 29 13:05:09 PST 2024", "2024-02-29T13:05:09-08:00");
	check_date(date_of_from_line, "Sun Thu Feb 29 13:05:60 2024", "2024-02-29T13:05:59+00:00");
	check_date(date_of_from_line, "a Thu Feb 30 13:05:09 2024", NULL);
	check_date(date_of_from_line, "a Thu Feb 29 25:05:09 2024", NULL);
	check_date(date_of_from_line, "a Thu Feb 29 13:05:09", NULL);
	check_date(date_of_from_line, "a Thu Feb 13:05:09 2024", NULL);
	check_date(date_of_from_line, "a 29 Feb 2024 13:05:09", NULL);
	check_date(date_of_from_line, "", NULL);
}

static void test_dates_of_headers_are_read(void **state)
{
	(void)state;
	check_date(date_of_header, "Thu, 29 Feb 2024 13:05:09 +0100", "2024-02-29T13:05:09+01:00");
	check_date(date_of_header, "29 Feb 2024 13:05 GMT (today)", "2024-02-29T13:05:00+00:00");
	check_date(date_of_header, "Wed,  7 Feb 94 21:52:25 PST", "1994-02-07T21:52:25-08:00");
	check_date(date_of_header, "1 Jan 01 00:00:00", "2001-01-01T00:00:00+00:00");
	check_date(date_of_header, "Thu, 29 Feb 2023 13:05:09 +0100", NULL);
	check_date(date_of_header, "Thu, 29 Feb 2024 13:05:09 +9900", NULL);
	check_date(date_of_header, "yesterday", NULL);
	check_date(date_of_header, ",", NULL);
	check_date(date_of_header, "", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_are_taken_apart_at_any_window_and_in_any_pieces),
		cmocka_unit_test(test_lines_longer_than_the_window_are_lines),
		cmocka_unit_test(test_what_is_no_mbox_is_named_by_line_and_byte),
		cmocka_unit_test(test_what_is_written_comes_back_byte_for_byte_with_flags_and_dates),
		cmocka_unit_test(test_an_mbox_is_written_as_others_read_it),
		cmocka_unit_test(test_a_written_mbox_that_others_changed_is_read_as_any_other),
		cmocka_unit_test(test_what_an_mbox_cannot_hold_is_said_and_not_written),
		cmocka_unit_test(test_dates_of_from_lines_are_read_in_every_known_form),
		cmocka_unit_test(test_dates_of_headers_are_read),
	};

	return cmocka_run_group_tests_name("mbox", tests, NULL, NULL);
}
