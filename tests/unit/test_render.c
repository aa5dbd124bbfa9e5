#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cmd/mime.h"
#include "cmd/render.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "tests/lib/support.h"

/* A message without flags that arrived at the turn of the year. */
struct shown {
	struct shown_message about;
	struct flags flags;
	struct maildate date;
	struct mime parts;
};

static void begin(struct shown *s, struct bytes message)
{
	*s = (struct shown){ 0 };
	maildate_set(&s->date, 1704067200, 60);
	mime_read(&s->parts, message);
	s->about = (struct shown_message){ .mailbox = "Work/\x1b", .uid = 7, .size = message.n,
					   .flags = &s->flags, .date = &s->date,
					   .bytes = message, .parts = &s->parts };
}

static void end(struct shown *s)
{
	mime_release(&s->parts);
	maildate_release(&s->date);
	flags_release(&s->flags);
}

/* Owned by the caller. */
static char *text_of(struct bytes message, bool headers)
{
	struct shown s;
	struct err err = { 0 };
	char *out = NULL;
	size_t n;
	FILE *file = open_memstream(&out, &n);

	begin(&s, message);
	assert_int_equal(render_text(&s.about, headers, file, &err), 0);
	fclose(file);
	end(&s);
	return out;
}

static const struct {
	const char *message, *text; /* `text` below the line that says which message it is */
} cases[] = {
	{ "Subject: none\n\n", "Subject: none\n\n" },
	{ "Content-Type: text/html; charset=iso-8859-1\n\n<p>\xe4</p>",
	  "\n[Part 1 is HTML; this is its source.]\n<p>\xc3\xa4</p>\n" },
	{ "Content-Type: text/plain; charset=klingon\x1b\n\nqapla'\n",
	  "\nqapla'\n"
	  "[The charset klingon\\x1B is not known: only its ASCII and UTF-8 is right.]\n" },
	{ "Content-Transfer-Encoding: rot13\n\nuryyb\n",
	  "\nuryyb\n[How it is encoded is not known: this is how it is stored.]\n" },
	{ "Content-Type: application/pdf; name=\"a/../b.pdf\"\nContent-Transfer-Encoding: base64\n\n"
	  "JVBERg==",
	  "\nParts not shown (--part writes one):\n"
	  "  1               4 B  application/pdf             a/../b.pdf\n" },
	/* Both texts of a mixed one; of alternatives the plain one, the other is listed. */
	{ "Content-Type: multipart/mixed; boundary=m\n\n--m\n"
	  "Content-Type: multipart/alternative; boundary=a\n\n--a\n\nplain\n--a\n"
	  "Content-Type: text/html\n\n<b>\n--a--\n--m\n\nfooter\n--m--\n",
	  "\nplain\n\nfooter\n\nParts not shown (--part writes one):\n"
	  "  1.2             3 B  text/html\n" },
	/* The same field twice is suspicious, so both are shown; others only with --headers. */
	{ "From: a@b\nX-Mailer: x\nFrom: c@d\nTo: e@f\nDate: soon\n\nx\n",
	  "Date: soon\nFrom: a@b\nFrom: c@d\nTo: e@f\n\nx\n" },
};

static void test_a_message_is_shown_as_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = text_of(bytes_of(cases[i].message), false);
		char *want = xasprintf("Work/\\x1B 7, %zu B, arrived 2024-01-01T01:00:00+01:00\n%s",
				       strlen(cases[i].message), cases[i].text);

		if (strcmp(got, want) != 0)
			test_die("case %zu:\n%sinstead of\n%s", i, got, want);
		free(got);
		free(want);
	}
}

static void test_a_long_field_is_cut_and_says_so(void **state)
{
	struct buf message = BUF_INIT(1 << 20);
	char *got;

	(void)state;
	buf_add_str(&message, "X: ");
	while (message.n < 20000)
		buf_add_byte(&message, 'x');
	buf_add_str(&message, "\nY: y\n\n");
	got = text_of(buf_bytes(&message), true);
	assert_true(strlen(got) < 17000);
	assert_non_null(strstr(got, "xxx... (longer; --raw has all of it)\nY: y\n"));
	free(got);
	buf_release(&message);
}

static void test_parts_beyond_the_limit_are_told_of(void **state)
{
	struct buf message = BUF_INIT(1 << 20);
	char *got;

	(void)state;
	buf_add_str(&message, "Content-Type: multipart/mixed; boundary=b\n\n");
	for (unsigned i = 0; i < 2 * MIME_PARTS_MAX; i++)
		buf_add_str(&message, "--b\nContent-Type: a/b\n\n");
	got = text_of(buf_bytes(&message), false);
	assert_non_null(strstr(got, "[There are more parts"));
	free(got);
	buf_release(&message);
}

static void test_long_text_is_cut_in_json_and_says_so(void **state)
{
	struct buf message = BUF_INIT(1 << 24);
	struct shown s;
	json_t *event;

	(void)state;
	buf_add_str(&message, "\n");
	while (message.n < 3 * RENDER_TEXT_MAX)
		buf_add_str(&message, "line after line after line\n");
	begin(&s, buf_bytes(&message));
	event = render_event(&s.about, false);
	assert_true(json_is_true(json_object_get(event, "text_is_cut")));
	assert_true(json_string_length(json_object_get(event, "text")) <= RENDER_TEXT_MAX);
	assert_true(json_string_length(json_object_get(event, "text")) > RENDER_TEXT_MAX / 2);
	json_decref(event);
	event = render_event(&s.about, true);
	assert_null(json_object_get(event, "text"));
	json_decref(event);
	end(&s);
	buf_release(&message);
}

static void test_a_full_disk_is_an_error(void **state)
{
	struct buf message = BUF_INIT(1 << 24);
	FILE *full = fopen("/dev/full", "w");
	struct err err = { 0 };
	struct shown s;

	(void)state;
	assert_non_null(full);
	buf_add_str(&message, "\n");
	while (message.n < 1000000)
		buf_add_str(&message, "line after line after line\n");
	begin(&s, buf_bytes(&message));
	assert_int_equal(render_text(&s.about, false, full, &err), -1);
	assert_int_equal(err.kind, ERR_FATAL);
	end(&s);
	fclose(full);
	buf_release(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_is_shown_as_text),
		cmocka_unit_test(test_a_long_field_is_cut_and_says_so),
		cmocka_unit_test(test_parts_beyond_the_limit_are_told_of),
		cmocka_unit_test(test_long_text_is_cut_in_json_and_says_so),
		cmocka_unit_test(test_a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
