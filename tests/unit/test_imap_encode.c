#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/imap/encode.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/msgset/uidset.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text) { .p = (const uint8_t *)(text), .n = sizeof(text) - 1 }

/* The finished command: `+` where it waits, <n> for a stream, [[...]] around secrets. */
static void show(struct imap_encoder *e, struct buf *out)
{
	for (size_t i = 0; i < imap_encoder_count(e); i++) {
		struct imap_chunk chunk = imap_encoder_chunk(e, i);

		if (chunk.secret)
			buf_add_str(out, "[[");
		if (chunk.stream)
			buf_addf(out, "<%llu>", (unsigned long long)chunk.stream_size);
		else
			buf_add(out, chunk.data);
		if (chunk.secret)
			buf_add_str(out, "]]");
		if (chunk.wait)
			buf_add_byte(out, '+');
	}
}

static void assert_command(struct imap_encoder *e, const char *want)
{
	struct buf got = BUF_INIT(1 << 16);
	struct err err;

	assert_int_equal(imap_encoder_finish(e, &err), 0);
	show(e, &got);
	assert_string_equal(buf_str(&got), want);
	buf_release(&got);
	imap_encoder_release(e);
}

static void assert_refused(struct imap_encoder *e, enum err_kind kind)
{
	struct err err;

	assert_int_equal(imap_encoder_finish(e, &err), -1);
	assert_int_equal(err.kind, kind);
	assert_int_equal(imap_encoder_count(e), 0);
	imap_encoder_release(e);
}

static void test_the_form_follows_from_the_content(void **state)
{
	static const struct {
		struct bytes text;
		const char *want;
	} cases[] = {
		{ BYTES("INBOX"), "X INBOX\r\n" },
		{ BYTES("&ZeVnLIqe-/x"), "X &ZeVnLIqe-/x\r\n" },
		{ BYTES(""), "X \"\"\r\n" },
		{ BYTES("a b"), "X \"a b\"\r\n" },
		{ BYTES("NIL"), "X \"NIL\"\r\n" },
		{ BYTES("nil"), "X \"nil\"\r\n" },
		{ BYTES("a\"b\\c"), "X \"a\\\"b\\\\c\"\r\n" },
		{ BYTES("(a)"), "X \"(a)\"\r\n" },
		{ BYTES("a*"), "X \"a*\"\r\n" },
		{ BYTES("50%"), "X \"50%\"\r\n" },
		{ BYTES("a{5}"), "X \"a{5}\"\r\n" },
		{ BYTES("a]b"), "X \"a]b\"\r\n" },
		{ BYTES("a\tb"), "X \"a\tb\"\r\n" },
		{ BYTES("a\r\nx LOGOUT"), "X {11+}\r\na\r\nx LOGOUT\r\n" },
		{ BYTES("a\nb"), "X {3+}\r\na\nb\r\n" },
		{ BYTES("a\rb"), "X {3+}\r\na\rb\r\n" },
		{ BYTES("\xc3\xa9"), "X {2+}\r\n\xc3\xa9\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_encoder e;

		imap_encoder_init(&e, IMAP_LITERALS_PLUS, 4096);
		imap_encode_word(&e, "X");
		imap_encode_astring(&e, cases[i].text);
		assert_command(&e, cases[i].want);
		imap_encoder_init(&e, IMAP_LITERALS_PLUS, 4096);
		imap_encode_word(&e, "X");
		imap_encode_mailbox(&e, cases[i].text);
		assert_command(&e, cases[i].want);
	}
}

static void test_strings_are_never_bare(void **state)
{
	struct imap_encoder e;

	(void)state;
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
	imap_encode_word(&e, "ID");
	imap_encode_open(&e);
	imap_encode_string(&e, bytes_of("name"));
	imap_encode_nstring(&e, bytes_of("x"));
	imap_encode_string(&e, bytes_of("NIL"));
	imap_encode_nstring(&e, bytes_from(NULL, 0));
	imap_encode_close(&e);
	assert_command(&e, "ID (\"name\" \"x\" \"NIL\" NIL)\r\n");
}

static void test_patterns_keep_their_wildcards(void **state)
{
	struct imap_encoder e;

	(void)state;
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
	imap_encode_word(&e, "LIST");
	imap_encode_mailbox(&e, bytes_of(""));
	imap_encode_open(&e);
	imap_encode_pattern(&e, bytes_of("INBOX"));
	imap_encode_pattern(&e, bytes_of("a/%]*"));
	imap_encode_pattern(&e, bytes_of("a b*"));
	imap_encode_pattern(&e, bytes_of(""));
	imap_encode_close(&e);
	imap_encode_word(&e, "RETURN");
	imap_encode_open(&e);
	imap_encode_close(&e);
	assert_command(&e, "LIST \"\" (INBOX a/%]* \"a b*\" \"\") RETURN ()\r\n");
}

/* S15: `{n+}` only as far as the server offers it. */
static void test_literals_wait_unless_the_server_offers_not_to(void **state)
{
	static const struct {
		enum imap_literals literals;
		size_t size;
		bool waits;
	} cases[] = {
		{ IMAP_LITERALS_SYNC, 1, true },    { IMAP_LITERALS_MINUS, 4096, false },
		{ IMAP_LITERALS_MINUS, 4097, true }, { IMAP_LITERALS_PLUS, 4097, false },
	};
	static uint8_t text[5000];

	(void)state;
	memset(text, 0xe9, sizeof(text));
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_encoder e;
		struct err err;

		imap_encoder_init(&e, cases[i].literals, 8000);
		imap_encode_word(&e, "X");
		imap_encode_astring(&e, bytes_from(text, cases[i].size));
		assert_int_equal(imap_encoder_finish(&e, &err), 0);
		assert_int_equal(e.nonsync, !cases[i].waits);
		assert_int_equal(imap_encoder_chunk(&e, 0).wait, cases[i].waits);
		assert_int_equal(imap_encoder_count(&e), cases[i].waits ? 2 : 1);
		imap_encoder_release(&e);
	}
}

static void test_the_command_stops_at_each_literal_that_waits(void **state)
{
	struct imap_encoder e;

	(void)state;
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
	imap_encode_word(&e, "RENAME");
	imap_encode_mailbox(&e, bytes_of("\xc3\xa9"));
	imap_encode_mailbox(&e, bytes_of("a\nb"));
	assert_command(&e, "RENAME {2}\r\n+\xc3\xa9 {3}\r\n+a\nb\r\n");
}

static void test_long_text_is_a_literal(void **state)
{
	char text[1002];
	struct imap_encoder e;
	struct err err;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t n = 1000; n <= 1001; n++) {
		imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
		imap_encode_astring(&e, bytes_from(text, n));
		assert_int_equal(imap_encoder_finish(&e, &err), 0);
		assert_int_equal(imap_encoder_count(&e), n == 1000 ? 1 : 2);
		imap_encoder_release(&e);
	}
}

/* S14 */
static void test_what_could_become_a_command_is_refused(void **state)
{
	static const struct {
		void (*encode)(struct imap_encoder *e, struct bytes text);
		struct bytes text;
		enum err_kind kind;
	} cases[] = {
		{ imap_encode_atom, BYTES(""), ERR_CONFIG },
		{ imap_encode_atom, BYTES("a b"), ERR_CONFIG },
		{ imap_encode_atom, BYTES("a\r\nb LOGOUT"), ERR_CONFIG },
		{ imap_encode_atom, BYTES("a(b"), ERR_CONFIG },
		{ imap_encode_atom, BYTES("a{3}"), ERR_CONFIG },
		{ imap_encode_atom, BYTES("\""), ERR_CONFIG },
		{ imap_encode_atom, BYTES("\xc3\xa9"), ERR_CONFIG },
		{ imap_encode_atom, BYTES("a\0b"), ERR_CONFIG },
		{ imap_encode_atom, BYTES("a\x7f"), ERR_CONFIG },
		{ imap_encode_astring, BYTES("a\0b"), ERR_CONFIG },
		{ imap_encode_string, BYTES("\0"), ERR_CONFIG },
		{ imap_encode_nstring, BYTES("\0"), ERR_CONFIG },
		{ imap_encode_secret, BYTES("a\0b"), ERR_CONFIG },
		{ imap_encode_mailbox, BYTES("a\0b"), ERR_MAILBOX },
		{ imap_encode_pattern, BYTES("a\0b"), ERR_CONFIG },
		{ imap_encode_set_text, BYTES(""), ERR_CONFIG },
		{ imap_encode_set_text, BYTES("1:3 FLAGS"), ERR_CONFIG },
		{ imap_encode_set_text, BYTES("1\r\n"), ERR_CONFIG },
		{ imap_encode_secret_base64, BYTES(""), ERR_CONFIG },
		{ imap_encode_secret_base64, BYTES("abc\r\n"), ERR_CONFIG },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_encoder e;

		imap_encoder_init(&e, IMAP_LITERALS_PLUS, 4096);
		imap_encode_word(&e, "X");
		cases[i].encode(&e, cases[i].text);
		imap_encode_word(&e, "AFTER");
		assert_refused(&e, cases[i].kind);
	}
}

static void test_a_refused_secret_is_not_in_the_message(void **state)
{
	struct imap_encoder e;
	struct err err;

	(void)state;
	imap_encoder_init(&e, IMAP_LITERALS_PLUS, 4096);
	imap_encode_secret_base64(&e, bytes_of("hunter2!"));
	assert_int_equal(imap_encoder_finish(&e, &err), -1);
	assert_null(strstr(err.text, "hunter2"));
	imap_encoder_release(&e);
	imap_encoder_init(&e, IMAP_LITERALS_PLUS, 4096);
	imap_encode_secret(&e, bytes_from("hunter2", 8)); /* with its NUL */
	assert_int_equal(imap_encoder_finish(&e, &err), -1);
	assert_null(strstr(err.text, "hunter2"));
	imap_encoder_release(&e);
}

/* S18 */
static void test_secrets_are_chunks_of_their_own_and_never_described(void **state)
{
	static const struct {
		const char *secret, *want;
	} cases[] = {
		{ "hunter2", "LOGIN me [[hunter2]]\r\n" },
		{ "hunter 2", "LOGIN me [[\"hunter 2\"]]\r\n" },
		{ "h\xc3\xbcnter2", "LOGIN me [[{8}\r\n]]+[[h\xc3\xbcnter2]]\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf trace = BUF_INIT(4096);
		struct imap_encoder e;
		struct err err;

		imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
		imap_encode_word(&e, "LOGIN");
		imap_encode_astring(&e, bytes_of("me"));
		imap_encode_secret(&e, bytes_of(cases[i].secret));
		assert_int_equal(imap_encoder_finish(&e, &err), 0);
		imap_encoder_describe(&e, &trace);
		assert_string_equal(buf_str(&trace), "LOGIN me ***");
		buf_clear(&trace);
		show(&e, &trace);
		assert_string_equal(buf_str(&trace), cases[i].want);
		buf_release(&trace);
		imap_encoder_release(&e);
	}
}

static void test_an_initial_response_is_secret(void **state)
{
	struct imap_encoder e;

	(void)state;
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
	imap_encode_word(&e, "AUTHENTICATE");
	imap_encode_atom(&e, bytes_of("PLAIN"));
	imap_encode_secret_base64(&e, bytes_of("AGEAYg=="));
	assert_command(&e, "AUTHENTICATE PLAIN [[AGEAYg==]]\r\n");
}

static void test_sets_and_numbers_are_written(void **state)
{
	struct uidset set = UIDSET_INIT;
	struct imap_encoder e;

	(void)state;
	uidset_add_range(&set, 1, 3);
	uidset_add(&set, 7);
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
	imap_encode_word(&e, "UID FETCH");
	imap_encode_uidset(&e, &set);
	imap_encode_open(&e);
	imap_encode_word(&e, "BODY.PEEK[]<0.100>");
	imap_encode_close(&e);
	imap_encode_open(&e);
	imap_encode_word(&e, "CHANGEDSINCE");
	imap_encode_number(&e, UINT64_MAX);
	imap_encode_close(&e);
	assert_command(&e, "UID FETCH 1:3,7 (BODY.PEEK[]<0.100>) (CHANGEDSINCE "
			   "18446744073709551615)\r\n");
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
	imap_encode_set_text(&e, bytes_of("2,4:7,9,12:*"));
	imap_encode_set_text(&e, bytes_of("$"));
	assert_command(&e, "2,4:7,9,12:* $\r\n");
	uidset_clear(&set);
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
	imap_encode_uidset(&e, &set);
	assert_refused(&e, ERR_CONFIG);
	uidset_release(&set);
}

static void test_flags_are_written_and_illegal_ones_refused(void **state)
{
	static const struct {
		const char *list, *want; /* NULL: refused */
	} cases[] = {
		{ "", "()\r\n" },
		{ "\\Recent \\Seen $Forwarded \\Draft", "(\\Seen \\Draft $Forwarded)\r\n" },
		{ "a]b", "(a]b)\r\n" },
		{ "\"a b\"", NULL },
		{ "\"a)b\"", NULL },
		{ "a\xc3\xa9", NULL },
		{ "a{3}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct flags flags = FLAGS_INIT;
		struct imap_encoder e;

		flags_add_list(&flags, bytes_of(cases[i].list));
		imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
		imap_encode_flags(&e, &flags);
		if (cases[i].want)
			assert_command(&e, cases[i].want);
		else
			assert_refused(&e, ERR_MESSAGE);
		flags_release(&flags);
	}
}

static void test_dates_are_written(void **state)
{
	struct maildate date = { .known = false };
	struct imap_encoder e;

	(void)state;
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
	maildate_parse(&date, bytes_of(" 7-Feb-1994 21:52:25 -0800"));
	imap_encode_datetime(&e, &date);
	imap_encode_word(&e, "SINCE");
	imap_encode_date(&e, 7, 2, 1994);
	assert_command(&e, "\" 7-Feb-1994 21:52:25 -0800\" SINCE 7-Feb-1994\r\n");
	maildate_parse(&date, bytes_of("x\" LOGOUT"));
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
	imap_encode_datetime(&e, &date);
	assert_refused(&e, ERR_MESSAGE);
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 4096);
	imap_encode_date(&e, 7, 13, 1994);
	assert_refused(&e, ERR_CONFIG);
	maildate_release(&date);
}

static void test_a_message_is_streamed_in_its_place(void **state)
{
	static const struct {
		enum imap_literals literals;
		bool binary, sync;
		const char *want;
	} cases[] = {
		{ IMAP_LITERALS_SYNC, false, false, "APPEND a {70000}\r\n+<70000>\r\n" },
		{ IMAP_LITERALS_MINUS, false, false, "APPEND a {70000}\r\n+<70000>\r\n" },
		{ IMAP_LITERALS_PLUS, false, false, "APPEND a {70000+}\r\n<70000>\r\n" },
		{ IMAP_LITERALS_PLUS, true, false, "APPEND a ~{70000+}\r\n<70000>\r\n" },
		{ IMAP_LITERALS_PLUS, false, true, "APPEND a {70000}\r\n+<70000>\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_encoder e;

		imap_encoder_init(&e, cases[i].literals, 100);
		imap_encode_word(&e, "APPEND");
		imap_encode_mailbox(&e, bytes_of("a"));
		imap_encode_stream(&e, 70000, cases[i].binary, cases[i].sync);
		assert_command(&e, cases[i].want);
	}
}

static void test_several_messages_go_in_one_append(void **state)
{
	struct buf trace = BUF_INIT(4096);
	struct imap_encoder e;
	struct err err;

	(void)state;
	imap_encoder_init(&e, IMAP_LITERALS_PLUS, 4096);
	imap_encode_word(&e, "APPEND a");
	imap_encode_stream(&e, 1, false, false);
	imap_encode_stream(&e, 0, false, true);
	assert_int_equal(imap_encoder_finish(&e, &err), 0);
	show(&e, &trace);
	assert_string_equal(buf_str(&trace), "APPEND a {1+}\r\n<1> {0}\r\n+<0>\r\n");
	buf_clear(&trace);
	imap_encoder_describe(&e, &trace);
	assert_string_equal(buf_str(&trace), "APPEND a {1+}\r\n<1 bytes> {0}\r\n<0 bytes>");
	buf_release(&trace);
	imap_encoder_release(&e);
}

static void test_a_command_beyond_its_ceiling_is_refused(void **state)
{
	struct imap_encoder e;

	(void)state;
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 10);
	imap_encode_word(&e, "SELECT");
	imap_encode_mailbox(&e, bytes_of("a"));
	assert_command(&e, "SELECT a\r\n");
	imap_encoder_init(&e, IMAP_LITERALS_SYNC, 10);
	imap_encode_word(&e, "SELECT");
	imap_encode_mailbox(&e, bytes_of("ab"));
	assert_refused(&e, ERR_MAILBOX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_form_follows_from_the_content),
		cmocka_unit_test(test_strings_are_never_bare),
		cmocka_unit_test(test_patterns_keep_their_wildcards),
		cmocka_unit_test(test_literals_wait_unless_the_server_offers_not_to),
		cmocka_unit_test(test_the_command_stops_at_each_literal_that_waits),
		cmocka_unit_test(test_long_text_is_a_literal),
		cmocka_unit_test(test_what_could_become_a_command_is_refused),
		cmocka_unit_test(test_a_refused_secret_is_not_in_the_message),
		cmocka_unit_test(test_secrets_are_chunks_of_their_own_and_never_described),
		cmocka_unit_test(test_an_initial_response_is_secret),
		cmocka_unit_test(test_sets_and_numbers_are_written),
		cmocka_unit_test(test_flags_are_written_and_illegal_ones_refused),
		cmocka_unit_test(test_dates_are_written),
		cmocka_unit_test(test_a_message_is_streamed_in_its_place),
		cmocka_unit_test(test_several_messages_go_in_one_append),
		cmocka_unit_test(test_a_command_beyond_its_ceiling_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
