#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/mime.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/mail/maildate.h"
#include "tests/lib/support.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static int take(void *ctx, struct bytes piece, struct err *err)
{
	(void)err;
	assert_true(buf_add(ctx, piece));
	return 0;
}

/* "1 text/plain 5; 2.1 image/png 3 attachment=logo.png": the decoded size of each part. */
static void describe(const struct mime *m, struct buf *out)
{
	buf_init(out, 1 << 20);
	for (size_t i = 0; i < m->n; i++) {
		struct buf body = BUF_INIT((size_t)1 << 30);
		struct err err;

		decode_body(m->v[i].encoding, m->v[i].body, take, &body, &err);
		buf_addf(out, "%s%s %s %zu", i ? "; " : "", m->v[i].number, m->v[i].type.type,
			 body.n);
		if (m->v[i].attachment || m->v[i].name)
			buf_addf(out, " %s=%s", m->v[i].attachment ? "attachment" : "inline",
				 m->v[i].name ? m->v[i].name : "");
		if (m->v[i].inner)
			buf_add_str(out, " inner");
		buf_release(&body);
	}
}

static const struct {
	const char *message, *parts;
} structures[] = {
	/* RFC 2045, section 5.2: without a header it is text. */
	{ "Subject: x\r\n\r\nhello", "1 text/plain 5" },
	{ "\r\nhello", "1 text/plain 5" },
	{ "Subject: no body", "1 text/plain 0" },
	{ "", "1 text/plain 0" },
	{ "Content-Type: TEXT/HTML\n\n<p>", "1 text/html 3" },
	{ "Content-Type: nonsense\n\nx", "1 application/octet-stream 1" },
	{ "Content-Transfer-Encoding: base64\n\naGVsbG8=\n", "1 text/plain 5" },
	{ "Content-Transfer-Encoding: Quoted-Printable\n\na=3Db=\r\nc", "1 text/plain 4" },
	{ "Content-Transfer-Encoding: rot13\n\nabc", "1 text/plain 3" },
	/* RFC 2046, section 5.1.1: preamble and epilogue are no parts; the line end before a delimiter
	 * is the delimiter's. */
	{ "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--b \t\r\n"
	  "Content-Type: image/png; name=\"a b.png\"\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue\r\n--b\r\n",
	  "1 text/plain 3; 2 image/png 5 inline=a b.png" },
	{ "Content-Type: multipart/mixed; boundary=\"a b\"\n\n--a b\n\none\n--a b--\n",
	  "1 text/plain 3" },
	/* A boundary that begins like another is another. */
	{ "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--bb\n--b-\nx --b\n--b\n\n2\n--b--",
	  "1 text/plain 15; 2 text/plain 1" },
	/* The end is missing; a delimiter right after another. */
	{ "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none", "1 text/plain 3" },
	{ "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n1\n--b--",
	  "1 text/plain 0; 2 text/plain 1" },
	/* No delimiter, no boundary, an encoded multipart: looked at as one part. */
	{ "Content-Type: multipart/mixed; boundary=b\n\nabc", "1 multipart/mixed 3" },
	{ "Content-Type: multipart/mixed\n\n--\nabc", "1 multipart/mixed 6" },
	{ "Content-Type: multipart/mixed; boundary*=%0A\n\n--\n\nabc", "1 multipart/mixed 7" },
	{ "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n"
	  "aGVsbG8=",
	  "1 multipart/mixed 5" },
	/* Numbers as IMAP counts (the example of RFC 9051, section 6.4.5). */
	{ "Content-Type: multipart/mixed; boundary=o\n\n--o\n\n1\n--o\n"
	  "Content-Type: application/octet-stream\n\n2\n--o\nContent-Type: message/rfc822\n\n"
	  "Content-Type: multipart/mixed; boundary=i\n\n--i\n\n31\n--i\n\n32\n--i--\n--o\n"
	  "Content-Type: multipart/mixed; boundary=p\n\n--p\nContent-Type: image/gif\n\n41\n--p\n"
	  "Content-Type: message/rfc822\n\nSubject: x\n\n421\n--p--\n--o--\n",
	  "1 text/plain 1; 2 application/octet-stream 1; 3 message/rfc822 64; "
	  "3.1 text/plain 2 inner; 3.2 text/plain 2 inner; 4.1 image/gif 2; "
	  "4.2 message/rfc822 15; 4.2.1 text/plain 3 inner" },
	{ "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: x\n\nbody\n--d--\n",
	  "1 message/rfc822 16; 1.1 text/plain 4 inner" },
	{ "Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nSubject: x\n\nb",
	  "1 message/rfc822 43; 1.1 message/rfc822 13 inner; 1.1.1 text/plain 1 inner" },
	/* RFC 2183, RFC 2231, and file names in encoded words, which many send. */
	{ "Content-Disposition: attachment; filename*=UTF-8''na%C3%AFve.txt\n\nx",
	  "1 text/plain 1 attachment=na\xc3\xafve.txt" },
	{ "Content-Disposition: attachment;\r\n filename*0=\"a\";\r\n filename*1=\"b.c\"\r\n\r\nx",
	  "1 text/plain 1 attachment=ab.c" },
	{ "Content-Disposition: attachment; filename=\"=?utf-8?B?w6QucGRm?=\"\n\nx",
	  "1 text/plain 1 attachment=\xc3\xa4.pdf" },
	{ "Content-Disposition: inline; filename=../../etc/passwd\n\nx",
	  "1 text/plain 1 inline=../../etc/passwd" },
};

static void test_parts_are_found_and_numbered_as_imap_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(structures); i++) {
		struct mime m;
		struct buf got;

		mime_read(&m, bytes_of(structures[i].message));
		describe(&m, &got);
		if (strcmp(buf_str(&got), structures[i].parts) != 0)
			test_die("case %zu:\n%s\ninstead of\n%s", i, buf_str(&got),
				 structures[i].parts);
		assert_false(m.cut);
		buf_release(&got);
		mime_release(&m);
	}
}

static void test_any_beginning_of_a_message_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(structures); i++)
		for (size_t n = 0; n <= strlen(structures[i].message); n++) {
			/* Of exactly that size, so that a sanitizer sees a look beyond it. */
			uint8_t *copy = xmalloc(n ? n : 1);
			struct mime m;
			struct buf got;

			memcpy(copy, structures[i].message, n);
			mime_read(&m, bytes_from(copy, n));
			describe(&m, &got);
			assert_true(m.n > 0);
			buf_release(&got);
			mime_release(&m);
			free(copy);
		}
}

static void test_the_text_is_plain_or_else_html_and_no_attachment(void **state)
{
	static const struct {
		const char *message, *texts;
	} cases[] = {
		{ "Content-Type: multipart/alternative; boundary=b\n\n--b\n\np\n--b\n"
		  "Content-Type: text/html\n\nh\n--b--",
		  "1 " },
		{ "Content-Type: text/html\n\nh", "1 " },
		{ "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
		  "Content-Disposition: attachment\n\na\n--b\nContent-Type: text/html\n\nh\n--b\n"
		  "Content-Type: message/rfc822\n\n\ninner text\n--b--",
		  "2 " },
		{ "Content-Type: multipart/mixed; boundary=b\n\n--b\n\na\n--b\n\nb\n--b--", "1 2 " },
		{ "Content-Type: image/png\n\nx", "" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct buf got = BUF_INIT(1000);
		struct mime m;

		mime_read(&m, bytes_of(cases[i].message));
		for (const struct mime_part *t = NULL; (t = mime_next_text(&m, t)) != NULL;)
			buf_addf(&got, "%s ", t->number);
		assert_string_equal(buf_str(&got), cases[i].texts);
		buf_release(&got);
		mime_release(&m);
	}
}

/* --- harm --- */

/* `n` times `text` at the end of `out`. */
static void repeat(struct buf *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_true(buf_add_str(out, text));
}

static void read_hostile(struct buf *message, bool cut, size_t most_parts)
{
	int64_t start = clock_ms();
	struct mime m;
	struct buf got;

	mime_read(&m, buf_bytes(message));
	describe(&m, &got);
	assert_true(m.n > 0 || m.cut);
	assert_true(m.n <= most_parts);
	assert_int_equal(m.cut, cut);
	assert_true(clock_ms() - start < 20000); /* with sanitizers: without it a blink */
	buf_release(&got);
	mime_release(&m);
	buf_release(message);
}

static void test_deep_nesting_ends_at_a_limit(void **state)
{
	struct buf multi = BUF_INIT(1 << 26), messages = BUF_INIT(1 << 26);

	(void)state;
	for (unsigned i = 0; i < 20000; i++)
		buf_addf(&multi, "Content-Type: multipart/mixed; boundary=b%u\n\n--b%u\n", i, i);
	read_hostile(&multi, true, 0);
	repeat(&messages, "Content-Type: message/rfc822\n\n", 100000);
	read_hostile(&messages, true, MIME_DEPTH_MAX + 1);
}

static void test_a_million_parts_end_at_a_limit(void **state)
{
	struct buf b = BUF_INIT(1 << 26);

	(void)state;
	buf_add_str(&b, "Content-Type: multipart/mixed; boundary=b\n\n");
	repeat(&b, "--b\n\n", 1000000);
	read_hostile(&b, true, MIME_PARTS_MAX);
}

static void test_a_body_that_nearly_always_is_a_boundary_costs_linear_time(void **state)
{
	struct buf dashes = BUF_INIT(1 << 26), lines = BUF_INIT(1 << 26);

	(void)state;
	buf_add_str(&dashes, "Content-Type: multipart/mixed; boundary=\"----------\"\n\n");
	repeat(&dashes, "--------------------------------", 500000);
	read_hostile(&dashes, false, 1);
	buf_add_str(&lines, "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n");
	repeat(&lines, "--b c\n", 2000000);
	read_hostile(&lines, false, 1);
}

static void test_a_huge_header_ends_at_a_limit(void **state)
{
	struct buf b = BUF_INIT(1 << 26), fields = BUF_INIT(1 << 26);
	struct bytes left, name, value;
	size_t n = 0;

	(void)state;
	buf_add_str(&b, "Subject: ");
	repeat(&b, "=?utf-8?Q?=C3=A4?=\n ", 1000000);
	assert_int_equal(mime_header_length(buf_bytes(&b)), MIME_HEADER_MAX);
	left = bytes_from(b.p, MIME_HEADER_MAX);
	while (mime_next_field(&left, &name, &value)) {
		char *text = decode_words(value);

		assert_true(strlen(text) <= DECODE_VALUE_MAX);
		free(text);
		n++;
	}
	assert_int_equal(n, 1);
	read_hostile(&b, false, 1);
	repeat(&fields, "a:\n", 5000000);
	read_hostile(&fields, false, 1);
}

static void test_nonsense_in_headers_is_read_without_harm(void **state)
{
	static const char *const values[] = {
		"", " ", ";", "=?", "=?utf-8?B?", "=?utf-8?B?////?=", "=?x?Q?=FF=FE?=", "\xff\xfe\x80",
		"\"", "(", "(((((((", "<", "<@", "a@b, ", "\"a\\", "multipart/mixed; boundary=\"",
		"text/plain; charset=", "text/plain; charset*0*=x'y'%", "text/plain; a*9999999999=b",
		"attachment; filename*1=b; filename*0=a", "=?../../x?Q?a?=", ":;:;", "Group: a@b, c@d;",
		"Thu, 99 Foo 99999999999 99:99:99 +9999", "1", "=?utf-8?Q?=00=0D=0A?=",
	};

	(void)state;
	for (size_t i = 0; i < N(values); i++) {
		struct bytes raw = bytes_of(values[i]);
		struct content_type ct;
		struct maildate date = { 0 };
		char *text[] = { decode_words(raw), decode_addresses(raw), decode_first_name(raw),
				 NULL };

		decode_disposition(raw, &text[3]);
		for (size_t k = 0; k < N(text); k++) {
			assert_true(!text[k] || utf8_is_valid(bytes_of(text[k])));
			free(text[k]);
		}
		content_type_read(&ct, raw, "text/plain");
		assert_non_null(ct.type);
		content_type_release(&ct);
		decode_date(raw, &date);
		decode_encoding(raw);
		maildate_release(&date);
	}
}

/* --- decoding --- */

static void test_header_text_is_decoded(void **state)
{
	static const struct {
		char *(*decode)(struct bytes raw);
		const char *raw, *text;
	} cases[] = {
		{ decode_words, " =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n =?iso-8859-1?B?/A==?= x\r\n",
		  "Gr\xc3\xbc\xc3\x9f""e\xc3\xbc x" },
		{ decode_words, "plain", "plain" },
		{ decode_words, "from a (b)\r\n\tby c;\r\n\t today", "from a (b) by c;  today" },
		{ decode_words, "raw \xc3\xa4", "raw \xc3\xa4" },
		{ decode_words, "raw \xe4", "raw \xc3\xa4" }, /* taken as ISO 8859-1 */
		{ decode_words, "=?unknown?Q?x?=", "x" },
		{ decode_addresses, "=?utf-8?Q?J=C3=B6rg?= <j@example.org>, b@example.org",
		  "J\xc3\xb6rg <j@example.org>, b@example.org" },
		/* Words that decode to an address do not become one. */
		{ decode_addresses, "=?utf-8?Q?boss=40corp=2Ecom_=3C?= <x@evil.example>",
		  "\"boss@corp.com <\" <x@evil.example>" },
		{ decode_addresses, "no address at all <", "no address at all <" },
		{ decode_first_name, "\"Anna B.\" <a@example.org>", "Anna B." },
		{ decode_first_name, "a@example.org", "a@example.org" },
		{ decode_first_name, "Team: a@example.org;", "Team" },
		{ decode_first_name, "", "" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		char *got = cases[i].decode(bytes_of(cases[i].raw));

		if (strcmp(got, cases[i].text) != 0)
			test_die("case %zu: '%s' instead of '%s'", i, got, cases[i].text);
		free(got);
	}
}

/* They are not shown to GMime by themselves; an encoded word behind them makes that happen. */
static void test_plain_values_are_what_gmime_makes_of_them(void **state)
{
	static const char characters[] = "ab =?_q.,\"()<>@:;\\[]-=?  utf-8?q?AZ";

	(void)state;
	srand(1);
	for (int i = 0; i < 20000; i++) {
		char value[64], *got;
		size_t n = 1 + (size_t)rand() % 16;

		for (size_t k = 0; k < n; k++)
			value[k] = characters[(size_t)rand() % (sizeof(characters) - 1)];
		value[n] = '\0';
		if (strstr(value, "=?") || value[0] == ' ' || value[n - 1] == ' ')
			continue;
		strcpy(value + n, " =?us-ascii?q?X?=");
		got = decode_words(bytes_of(value));
		strcpy(value + n, " X");
		assert_string_equal(got, value);
		free(got);
		value[n] = '\0';
		got = decode_words(bytes_of(value));
		assert_string_equal(got, value);
		free(got);
	}
}

static void test_a_nul_in_a_header_does_not_cut_it(void **state)
{
	static const char raw[] = "a\0b";
	char *got = decode_words(bytes_from(raw, 3));

	(void)state;
	assert_string_equal(got, "a b");
	free(got);
}

static void test_a_date_is_read_with_its_zone(void **state)
{
	struct maildate date = { 0 };
	struct buf text = BUF_INIT(100);

	(void)state;
	assert_true(decode_date(bytes_of(" Thu, 29 Feb 2024 12:00:00 +0530 (IST)"), &date));
	assert_true(maildate_format_rfc3339(&date, &text));
	assert_string_equal(buf_str(&text), "2024-02-29T12:00:00+05:30");
	assert_false(decode_date(bytes_of("soon"), &date));
	buf_release(&text);
	maildate_release(&date);
}

static const struct {
	const char *charset, *body, *text;
	bool known;
} texts[] = {
	{ NULL, "a\xc3\xa4\xff", "a\xc3\xa4\xef\xbf\xbd", true },
	{ "us-ascii", "\xc3\xa4", "\xc3\xa4", true },
	{ "UTF-8", "\xe2\x82\xac\xe2\x82", "\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd", true },
	{ "UTF-8", "\xf5\x90\x80\x80.", /* beyond Unicode */
	  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.", true },
	{ "iso-8859-1", "\xe4\xf6", "\xc3\xa4\xc3\xb6", true },
	{ "windows-1252", "\x80", "\xe2\x82\xac", true },
	{ "iso-2022-jp", "\x1b$B$\"\x1b(B.", "\xe3\x81\x82.", true },
	{ "utf-7", "+AOQ-.", "\xc3\xa4.", true },
	{ "GB18030", "\x81\x30\x81\x30", "\xc2\x80", true },
	{ "no-such-charset", "a\xc3\xa4", "a\xc3\xa4", false },
	{ "../../evil//TRANSLIT", "a", "a", false },
};

static void test_text_becomes_utf8_wherever_it_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(texts); i++)
		/* So much before it that a piece ends within the case, at each place. */
		for (size_t before = 65536 - strlen(texts[i].body); before <= 65536; before++) {
			struct buf body = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);
			struct err err;
			bool known;

			repeat(&body, ".", before);
			buf_add_str(&body, texts[i].body);
			assert_int_equal(decode_text(ENCODING_NONE, texts[i].charset,
						     buf_bytes(&body), &known, take, &got, &err),
					 0);
			assert_int_equal(known, texts[i].known);
			assert_true(got.n > before);
			if (strcmp(buf_str(&got) + before, texts[i].text) != 0)
				test_die("case %zu after %zu bytes: '%s' instead of '%s'", i, before,
					 buf_str(&got) + before, texts[i].text);
			buf_release(&body);
			buf_release(&got);
		}
}

static int refuse(void *ctx, struct bytes piece, struct err *err)
{
	(void)ctx;
	(void)piece;
	return err_set(err, ERR_FATAL, "full");
}

static void test_decoding_ends_when_its_reader_has_enough(void **state)
{
	struct buf body = BUF_INIT(1 << 20);
	struct err err = { 0 };
	bool known;

	(void)state;
	repeat(&body, "\xff", 300000);
	assert_int_equal(decode_body(ENCODING_NONE, buf_bytes(&body), refuse, NULL, &err), -1);
	assert_int_equal(
		decode_text(ENCODING_NONE, NULL, buf_bytes(&body), &known, refuse, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_FATAL);
	buf_release(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_are_found_and_numbered_as_imap_does),
		cmocka_unit_test(test_any_beginning_of_a_message_is_read),
		cmocka_unit_test(test_the_text_is_plain_or_else_html_and_no_attachment),
		cmocka_unit_test(test_deep_nesting_ends_at_a_limit),
		cmocka_unit_test(test_a_million_parts_end_at_a_limit),
		cmocka_unit_test(
			test_a_body_that_nearly_always_is_a_boundary_costs_linear_time),
		cmocka_unit_test(test_a_huge_header_ends_at_a_limit),
		cmocka_unit_test(test_nonsense_in_headers_is_read_without_harm),
		cmocka_unit_test(test_header_text_is_decoded),
		cmocka_unit_test(test_plain_values_are_what_gmime_makes_of_them),
		cmocka_unit_test(test_a_nul_in_a_header_does_not_cut_it),
		cmocka_unit_test(test_a_date_is_read_with_its_zone),
		cmocka_unit_test(test_text_becomes_utf8_wherever_it_is_cut),
		cmocka_unit_test(test_decoding_ends_when_its_reader_has_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
