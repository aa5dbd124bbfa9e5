/* What of a message goes into the index of `find`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/html_text.h"
#include "cmd/index_maker.h"
#include "cmd/index_text.h"
#include "core/base/buf.h"
#include "core/base/clock.h"

static void test_html_becomes_its_words(void **state)
{
	static const struct {
		const char *html, *want;
	} cases[] = {
		{ "plain", "plain" },
		{ "<p>one</p><p>two</p>", " one  two " },
		{ "<b>o</b>ne", "one" },
		{ "<br>one", " one" },
		{ "a<!-- > no -->b", "a b" },
		{ "a<STYLE>no</STYLE >b", "a b" },
		{ "a<script x=y>if (1 < 2) no</script>b", "a b" },
		{ "&lt;&#228;&#xE4;&#x20ac;&auml;&amp;amp;", "<ää€ä&amp;" },
		{ "&unknown; & &; &#; &#x; &#xD800; &#1114112;", "&unknown; & &; &#; &#x;  &#1114112;" },
		{ "&#0;&#10;x", "  x" },
		{ "cut <b", "cut " },
		{ "cut &am", "cut &am" },
		{ "a<style>never ends", "a " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT(1000);

		html_text(bytes_of(cases[i].html), &out);
		assert_string_equal(buf_str(&out), cases[i].want);
		buf_release(&out);
	}
}

static void repeat(struct buf *out, const char *text, size_t n)
{
	while (out->n + strlen(text) <= n)
		buf_add_str(out, text);
}

/* A megabyte of each, in well under the second that one message may cost. */
static void test_hostile_mail_costs_little(void **state)
{
	static const struct {
		const char *before, *again;
	} cases[] = {
		{ "", "From:a\n" },
		{ "", "Subject: =?utf-8?q?=\n" },
		{ "", "Message-ID: <x>\n" },
		{ "", "Date: Thu, 29 Feb 2024 12:00:00 +0100\n" },
		{ "To: ", "a@b, " },
		{ "Content-Type: text/html\n\n", "<" },
		{ "Content-Type: text/html\n\n", "<!--" },
		{ "Content-Type: text/html\n\n", "<b>" },
		{ "Content-Type: text/html\n\n", "&x;" },
		{ "Content-Type: multipart/mixed; boundary=b\n\n", "--b\n\nx\n" },
		{ "Content-Type: multipart/mixed; boundary=b\n\n",
		  "--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=b\n\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf message = BUF_INIT(INDEX_MESSAGE_MAX);
		struct index_text t;
		int64_t start = clock_ms();

		buf_add_str(&message, cases[i].before);
		repeat(&message, cases[i].again, INDEX_MESSAGE_MAX);
		index_text_read(&t, buf_bytes(&message));
		assert_true(t.head.n <= INDEX_FIELD_MAX && t.from_folded.n <= INDEX_FIELD_MAX);
		assert_true(t.body.n <= INDEX_TEXT_MAX);
		if (clock_ms() - start > 8000)
			fail_msg("case %zu took %d ms", i, (int)(clock_ms() - start));
		index_text_release(&t);
		buf_release(&message);
	}
}

static void test_a_message_without_anything_has_no_words(void **state)
{
	struct index_text t;

	(void)state;
	index_text_read(&t, bytes_of(""));
	assert_string_equal(t.subject, "");
	assert_string_equal(t.sent, "");
	assert_int_equal(t.head.n, 0);
	index_text_release(&t);
	index_text_read(&t, bytes_of("Date: Thu, 29 Feb 2024 12:00:00 +0100\r\nMessage-ID: <a@b>"));
	assert_string_equal(t.sent, "2024-02-29T12:00:00+01:00");
	assert_string_equal(t.message_id, "<a@b>");
	assert_string_equal(buf_str(&t.ids), "\na@b\n");
	index_text_release(&t);
}

static void put_numbered(struct index_maker *mk, unsigned *n)
{
	struct buf message = BUF_INIT(INDEX_MESSAGE_MAX);

	buf_addf(&message, "Subject: number %u\r\n\r\nbody %u\r\n", *n, *n);
	index_maker_put(mk, n, &message);
	assert_int_equal(message.n, 0);
	buf_release(&message);
}

static void take_numbered(struct index_maker *mk, unsigned *n, bool words)
{
	struct index_text text;
	char want[64];

	assert_ptr_equal(index_maker_take(mk, &text), n);
	snprintf(want, sizeof(want), "number %u", *n);
	assert_string_equal(text.subject, want);
	snprintf(want, sizeof(want), "body %u", *n);
	assert_int_equal(strstr(buf_str(&text.body), want) != NULL, words);
	index_text_release(&text);
}

static void test_texts_that_are_made_apart_come_in_order(void **state)
{
	static unsigned n[1000];

	(void)state;
	for (int words = 0; words < 2; words++) {
		struct index_maker *mk = index_maker_new(words);
		struct index_text none;
		unsigned taken = 0;

		for (unsigned i = 0; i < 1000; i++) {
			n[i] = i;
			if (index_maker_is_full(mk))
				take_numbered(mk, &n[taken++], words);
			put_numbered(mk, &n[i]);
			if (i % 100 == 50)
				while (taken <= i)
					take_numbered(mk, &n[taken++], words);
		}
		while (taken < 1000)
			take_numbered(mk, &n[taken++], words);
		assert_null(index_maker_take(mk, &none));
		index_maker_free(mk);
	}
}

/* Nothing is left behind by what nobody took (the search for leaks would tell). */
static void test_making_texts_can_be_ended_at_any_time(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 16; n++) {
		struct index_maker *mk = index_maker_new(true);

		for (unsigned i = 0; i < n; i++)
			put_numbered(mk, &n);
		index_maker_free(mk);
	}
	index_maker_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_html_becomes_its_words),
		cmocka_unit_test(test_hostile_mail_costs_little),
		cmocka_unit_test(test_texts_that_are_made_apart_come_in_order),
		cmocka_unit_test(test_making_texts_can_be_ended_at_any_time),
		cmocka_unit_test(test_a_message_without_anything_has_no_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
