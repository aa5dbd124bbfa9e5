#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "tests/lib/fake_imap.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"
#include "tests/lib/support.h"

static struct fake_imap *server;

static int setup(void **state)
{
	size_t n = 3 << 20;
	char *big = xmalloc(n);
	struct fake_mailbox *mb;

	(void)state;
	memset(big, 'x', n);
	server = fake_new();
	mb = fake_mailbox(server, bytes_of("INBOX"));
	fake_message(mb, 1, "", NULL, bytes_of("A: b\r\n\r\nT9 OK not an answer\r\n"));
	fake_message(mb, 2, "", NULL, bytes_from(big, n));
	fake_start(server);
	free(big);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_free(server);
	return 0;
}

/* Send, then read until the end; how much came. */
static size_t talk(const struct relay *r, const char *text, struct buf *got)
{
	int fd = connect_loopback(relay_port(r));
	char piece[65536];
	size_t all = 0;
	ssize_t n;

	assert_true(fd >= 0);
	(void)!write(fd, text, strlen(text));
	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		all += (size_t)n;
		if (got)
			buf_add(got, bytes_from(piece, (size_t)n));
	}
	close(fd);
	return all;
}

static const char session[] = "T1 LOGIN a b\r\nT2 EXAMINE INBOX\r\nT3 UID FETCH 1 BODY.PEEK[]\r\n"
			      "T4 LOGOUT\r\n";

static void test_bytes_pass_unchanged_whatever_the_pieces(void **state)
{
	static const size_t pieces[] = { 0, 1, 7 };
	struct buf direct = BUF_INIT(1 << 20);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct relay_opts opts = { .port = fake_port(server), .piece = pieces[i] };
		struct relay *r = relay_start(&opts);
		struct buf got = BUF_INIT(1 << 20);

		talk(r, session, &got);
		if (i == 0)
			buf_add(&direct, buf_bytes(&got));
		assert_true(bytes_equal(buf_bytes(&got), buf_bytes(&direct)));
		assert_non_null(strstr(buf_str(&got), "T4 OK"));
		assert_int_equal(relay_stats(r).to_client, got.n);
		assert_int_equal(relay_stats(r).to_server, strlen(session));
		assert_int_equal(relay_stats(r).cuts, 0);
		buf_release(&got);
		relay_stop(r);
	}
	buf_release(&direct);
}

static void test_a_large_body_passes_whole(void **state)
{
	struct relay_opts opts = { .port = fake_port(server), .delay_ms = 5 };
	struct relay *r = relay_start(&opts);
	struct oracle *o = oracle_open(relay_port(r), "me");
	struct oracle_dump d;

	(void)state;
	oracle_dump(o, "INBOX", &d);
	assert_int_equal(d.msg[1].size, 3 << 20);
	oracle_dump_release(&d);
	oracle_close(o);
	relay_stop(r);
}

static void test_delay_is_paid_once_per_turn(void **state)
{
	struct relay_opts opts = { .port = fake_port(server), .delay_ms = 20 };
	struct relay *r = relay_start(&opts);
	int64_t start = clock_ms();
	struct oracle *o = oracle_open(relay_port(r), "me"); /* greeting 20, login 40 */

	(void)state;
	for (int i = 0; i < 3; i++)
		oracle_command(o, "NOOP");
	assert_true(clock_ms() - start >= 20 + 4 * 40);
	assert_int_equal(relay_stats(r).max_in_flight, 1);
	oracle_close(o);
	start = clock_ms();
	talk(r, session, NULL); /* all in one flight */
	assert_true(clock_ms() - start >= 40);
	assert_int_equal(relay_stats(r).max_in_flight, 4);
	assert_int_equal(relay_stats(r).in_flight, 0);
	relay_stop(r);
}

static void test_the_stream_is_cut_at_the_very_byte_as_often_as_told(void **state)
{
	struct relay_opts opts = { .port = fake_port(server), .cut_to_client = 100,
				   .cut_times = 2 };
	struct relay *r = relay_start(&opts);

	(void)state;
	assert_int_equal(talk(r, session, NULL), 100);
	assert_int_equal(talk(r, session, NULL), 100);
	assert_true(talk(r, session, NULL) > 100);
	assert_int_equal(relay_stats(r).cuts, 2);
	assert_int_equal(relay_stats(r).connections, 3);
	relay_stop(r);
	opts = (struct relay_opts){ .port = fake_port(server), .cut_to_server = 20 };
	r = relay_start(&opts);
	for (int i = 0; i < 3; i++) {
		struct buf got = BUF_INIT(1 << 20);

		talk(r, session, &got);
		assert_null(strstr(buf_str(&got), "T2"));
		buf_release(&got);
	}
	assert_int_equal(relay_stats(r).to_server, 60);
	relay_stop(r);
}

static void test_the_transcript_shows_lines_without_literals(void **state)
{
	struct relay_opts opts = { .port = fake_port(server), .piece = 3 };
	struct relay *r = relay_start(&opts);
	struct buf got = BUF_INIT(1 << 20), text = BUF_INIT(1 << 20);

	(void)state;
	talk(r, "T1 LOGIN {1+}\r\na b\r\nT2 EXAMINE INBOX\r\nT3 UID FETCH 1 BODY.PEEK[]\r\n"
		"T4 LOGOUT\r\n", &got);
	relay_transcript(r, &text);
	assert_non_null(strstr(buf_str(&text), " 1 C: T2 EXAMINE INBOX\n"));
	assert_non_null(strstr(buf_str(&text), " 1 S: * 1 FETCH (UID 1 BODY[] {29}\n"));
	assert_null(strstr(buf_str(&text), "T9"));
	buf_clear(&text);
	relay_commands(r, &text);
	assert_string_equal(buf_str(&text), "LOGIN {1+}\nEXAMINE INBOX\n"
					    "UID FETCH 1 BODY.PEEK[]\nLOGOUT\n");
	assert_int_equal(relay_stats(r).in_flight, 0);
	buf_release(&got);
	buf_release(&text);
	relay_stop(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_pass_unchanged_whatever_the_pieces),
		cmocka_unit_test(test_a_large_body_passes_whole),
		cmocka_unit_test(test_delay_is_paid_once_per_turn),
		cmocka_unit_test(test_the_stream_is_cut_at_the_very_byte_as_often_as_told),
		cmocka_unit_test(test_the_transcript_shows_lines_without_literals),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
