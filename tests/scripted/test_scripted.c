#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "tests/lib/scripted.h"
#include "tests/lib/support.h"

/* Send `text` and read until the server closes. */
static void talk(const struct scripted *s, const char *text, struct buf *got)
{
	int fd = connect_loopback(scripted_port(s));
	char piece[4096];
	ssize_t n;

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, bytes_of(text)), 0);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_add(got, bytes_from(piece, (size_t)n));
	close(fd);
}

static void test_a_transcript_is_played(void **state)
{
	static const struct {
		const char *transcript, *send, *want;
	} cases[] = {
		{ "S: * OK hi\nC: NOOP\nS: $TAG OK\n", "x7 NOOP\r\n", "* OK hi\r\nx7 OK\r\n" },
		{ "C(one): LOGIN * \"p*\"\nC(two): NOOP\nS: $two OK\nS: $one OK $5 $$\n",
		  "1 LOGIN me \"pw\"\r\n2 NOOP\r\n", "2 OK\r\n1 OK $5 $$\r\n" },
		{ "C: A {3+}\nC{3}: a\\r*\nC+:  B\nS+: \\x00\\xff\\\\\\*\n",
		  "t A {3+}\r\na\r\n B\r\n", NULL },
		{ "# comment\n\nPIECES 1\nS{7}: abc\nCUT\n", "", "abcabca" },
		{ "CUT-AFTER 5\nS: 12345678\n", "", "12345" },
		{ "C+: DONE\nS: ok\n", "DONE\r\n", "ok\r\n" },
		{ "C: NOOP \\* x\nS: ok\n", "a NOOP * x\r\n", "ok\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scripted *s = scripted_start(cases[i].transcript);
		struct buf got = BUF_INIT(65536);

		talk(s, cases[i].send, &got);
		scripted_finish(s);
		if (cases[i].want)
			assert_string_equal(buf_str(&got), cases[i].want);
		else
			assert_true(bytes_equal(buf_bytes(&got), bytes_from("\0\xff\\*", 4)));
		buf_release(&got);
	}
}

static void test_a_mismatch_is_reported_with_expected_and_got(void **state)
{
	static const struct {
		const char *transcript, *send, *want;
	} cases[] = {
		{ "C: NOOP\nS: ok\n", "a NOOP x\r\n", "line 1" },
		{ "\nC: LIST \"\" *\n", "a LSUB \"\" *\r\n", "expected: LIST \"\" *" },
		{ "C: NOOP\n", "a LIST\r\n", "got:      LIST" },
		{ "C: NOOP\n", "a NOOP\n", "does not end in CRLF" },
		{ "C: NOOP\n", "NOOP\r\n", "without tag" },
		{ "C: NOOP\nS: $TAG OK\n", "a NOOP\r\nb MORE\r\n", "the client sends more" },
		{ "C{3}: abc\n", "abd", "got:      abd" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scripted *s = scripted_start(cases[i].transcript);
		struct buf got = BUF_INIT(65536), why = BUF_INIT(65536);

		talk(s, cases[i].send, &got);
		assert_false(scripted_played(s, &why));
		if (!strstr(buf_str(&why), cases[i].want))
			fail_msg("no \"%s\" in: %s", cases[i].want, buf_str(&why));
		buf_release(&got);
		buf_release(&why);
	}
}

static void test_a_client_that_closes_early_is_a_mismatch(void **state)
{
	struct scripted *s = scripted_start("S: * OK\nC: NOOP\nS: $TAG OK\n");

	(void)state;
	close(connect_loopback(scripted_port(s)));
	assert_false(scripted_played(s, NULL));
}

static void test_further_connections_are_accepted_where_the_transcript_says(void **state)
{
	struct scripted *s = scripted_start("S: one\nCUT\nACCEPT\nS: two\nCLOSED\n");
	struct buf got = BUF_INIT(65536);
	char piece[16] = "";
	int fd;

	(void)state;
	talk(s, "", &got);
	assert_string_equal(buf_str(&got), "one\r\n");
	fd = connect_loopback(scripted_port(s));
	assert_true(read(fd, piece, sizeof(piece) - 1) > 0);
	assert_string_equal(piece, "two\r\n");
	close(fd);
	scripted_finish(s);
	buf_release(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_transcript_is_played),
		cmocka_unit_test(test_a_mismatch_is_reported_with_expected_and_got),
		cmocka_unit_test(test_a_client_that_closes_early_is_a_mismatch),
		cmocka_unit_test(test_further_connections_are_accepted_where_the_transcript_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
