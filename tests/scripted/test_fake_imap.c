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
#include "tests/lib/fake_imap.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/support.h"

static int setup(void **state)
{
	struct fake_imap *f = fake_new();
	struct fake_mailbox *mb = fake_mailbox(f, bytes_of("INBOX"));

	fake_message(mb, 3, "\\Seen", NULL, bytes_of("A: three\r\n\r\nbody"));
	fake_message(mb, 7, "", " 2-Feb-1999 01:02:03 -0330", bytes_of(""));
	fake_message(mb, 4294967295, "$Label", NULL, bytes_of("x"));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fake_free(*state);
	return 0;
}

/* Send `text`, which ends in LOGOUT or a cut, and read until the server closes. */
static void talk(struct fake_imap *f, const char *text, struct buf *got)
{
	int fd = connect_loopback(fake_port(f));
	char piece[4096];
	ssize_t n;

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, bytes_of(text)), 0);
	buf_clear(got);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_add(got, bytes_from(piece, (size_t)n));
	close(fd);
}

static void test_commands_get_their_answers(void **state)
{
	static const struct {
		const char *send, *want;
	} cases[] = {
		{ "a CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 LITERAL+ ID" },
		{ "a LOGIN {2+}\r\nme {2}\r\npw\r\n", "+ go on\r\na OK" },
		{ "a AUTHENTICATE PLAIN\r\nAG1lAHB3\r\n", "+ \r\na OK" },
		{ "a ID NIL\r\n", "* ID (" },
		{ "a NAMESPACE\r\n", "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n" },
		{ "a LIST \"\" \"*\"\r\n", "* LIST () \"/\" \"INBOX\"\r\na OK" },
		{ "a LIST \"\" x%\r\n", "fake server\r\na OK" },
		{ "a LIST (SUBSCRIBED) \"\" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY))\r\n",
		  "* STATUS \"INBOX\" (MESSAGES 3 UIDNEXT 4294967295 UIDVALIDITY 1)\r\na OK" },
		{ "a STATUS inbox (UNSEEN)\r\n", "* STATUS \"INBOX\" (UNSEEN 2)\r\na OK" },
		{ "a STATUS INBOX (HIGHESTMODSEQ)\r\n", "a BAD" },
		{ "a STATUS no (UNSEEN)\r\n", "a NO [NONEXISTENT]" },
		{ "a EXAMINE INBOX\r\n", "* 3 EXISTS\r\n" },
		{ "a SELECT INBOX\r\n", "[UIDVALIDITY 1]" },
		{ "a EXAMINE no\r\n", "a NO [NONEXISTENT]" },
		{ "a EXAMINE INBOX\r\nb UID SEARCH ALL\r\n", "* SEARCH 3 7 4294967295\r\nb OK" },
		{ "a EXAMINE INBOX\r\nb UID SEARCH RETURN (ALL) UID 4:*\r\n",
		  "* ESEARCH (TAG \"b\") UID ALL 7,4294967295\r\nb OK" },
		{ "a EXAMINE INBOX\r\nb UID FETCH 1:3 (UID FLAGS INTERNALDATE RFC822.SIZE)\r\n",
		  "* 1 FETCH (UID 3 FLAGS (\\Seen) INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" "
		  "RFC822.SIZE 16)\r\nb OK" },
		{ "a EXAMINE INBOX\r\nb UID FETCH 3,7 BODY.PEEK[]\r\n",
		  "* 1 FETCH (UID 3 BODY[] {16}\r\nA: three\r\n\r\nbody)\r\n"
		  "* 2 FETCH (UID 7 BODY[] {0}\r\n)\r\nb OK" },
		{ "a EXAMINE INBOX\r\nb FETCH 1 (BODY.PEEK[]<2.4> BODY.PEEK[HEADER])\r\n",
		  "BODY[]<2> {4}\r\n thr BODY[HEADER] {12}\r\nA: three\r\n\r\n)\r\n" },
		{ "a EXAMINE INBOX\r\nb UID FETCH * FLAGS\r\n", "UID 4294967295 FLAGS ($Label))" },
		{ "a EXAMINE INBOX\r\nb UID FETCH 1:* (FLAGS ODD)\r\n", "b BAD" },
		{ "a UID FETCH 1:* FLAGS\r\n", "a BAD" },
		{ "a NOOP\r\n", "a OK" },
		{ "a IDLE\r\n", "a BAD" },
	};
	struct buf got = BUF_INIT(1 << 20), send = BUF_INIT(65536);

	fake_start(*state);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&send);
		buf_addf(&send, "%sz LOGOUT\r\n", cases[i].send);
		talk(*state, buf_str(&send), &got);
		if (!strstr(buf_str(&got), cases[i].want))
			fail_msg("%s gave: %s", cases[i].send, buf_str(&got));
		assert_non_null(strstr(buf_str(&got), "z OK"));
	}
	buf_release(&got);
	buf_release(&send);
}

static void test_hostile_messages_and_names_arrive_as_they_are(void **state)
{
	struct fake_imap *f = *state;
	struct fake_mailbox *mb = fake_mailbox(f, bytes_of("odd"));
	struct name_list names = { 0 };
	struct oracle_dump d;
	struct oracle *o;
	char hex[SHA256_HEX_SIZE];
	size_t n;
	const struct bytes *name = fake_hostile_names(&n);

	fake_hostile_messages(mb, 10);
	fake_hostile_mailboxes(f);
	fake_start(f);
	o = oracle_open(fake_port(f), "me");
	oracle_dump(o, "odd", &d);
	assert_int_equal(d.n, 18);
	sha256_hex(bytes_of("Subject: bare LF\n\nonly\nLF\n"), hex);
	assert_string_equal(d.msg[0].sha256, hex);
	sha256_hex(bytes_from("Subject: NUL\r\n\r\na\0b\0\r\n", 22), hex);
	assert_string_equal(d.msg[5].sha256, hex);
	oracle_dump_release(&d);
	oracle_list(o, &names);
	assert_int_equal(names.n, n + 2);
	for (size_t i = 0; i < n; i++) {
		char *s = bytes_dup(name[i]);

		assert_true(name_list_has(&names, s));
		free(s);
	}
	name_list_release(&names);
	oracle_close(o);
}

static void test_it_misbehaves_as_told_and_as_often(void **state)
{
	static const char fetch[] = "a EXAMINE INBOX\r\nb UID FETCH 1:* BODY.PEEK[]\r\n"
				    "z LOGOUT\r\n";
	static const char list[] = "a LIST \"\" *\r\nz LOGOUT\r\n";
	static const struct {
		enum fake_trick what;
		bool in_mailbox;
		uint32_t uid;
		int64_t at;
		const char *send, *has, *lacks;
	} cases[] = {
		{ FAKE_OMIT, true, 7, 0, fetch, "b OK", "UID 7" },
		{ FAKE_NO, true, 7, 0, fetch, "b NO [SERVERBUG]", "UID 7" },
		{ FAKE_CUT, true, 3, 4, fetch, "{16}\r\nA: t", "hree" },
		{ FAKE_EXISTS, true, 0, -2, fetch, "* 1 EXISTS", "* 3 EXISTS" },
		{ FAKE_UNLISTED, true, 0, 0, list, "a OK", "INBOX" },
		{ FAKE_LIST_NO, false, 0, 0, list, "a NO", "a OK" },
		{ FAKE_LIST_SHORT, false, 0, 0, list, "* LIST (", "a OK" },
		{ FAKE_LOGIN_NO, false, 0, 0, "a LOGIN x y\r\nz LOGOUT\r\n",
		  "a NO [AUTHENTICATIONFAILED]", "a OK" },
		{ FAKE_BYE, true, 0, 0, fetch, "* BYE", "a OK" },
	};
	struct fake_imap *f = *state;
	struct fake_mailbox *mb = fake_find(f, bytes_of("INBOX"));
	struct buf got = BUF_INIT(1 << 20);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_trick(f, cases[i].in_mailbox ? mb : NULL, cases[i].what, cases[i].uid,
			   cases[i].at, 1);
		fake_start(f);
		talk(f, cases[i].send, &got);
		if (!strstr(buf_str(&got), cases[i].has) || strstr(buf_str(&got), cases[i].lacks))
			fail_msg("trick %zu gave: %s", i, buf_str(&got));
		talk(f, cases[i].send, &got); /* once only */
		assert_non_null(strstr(buf_str(&got), cases[i].lacks));
		fake_tricks_clear(f);
	}
	buf_release(&got);
}

static void test_the_model_can_change_between_runs_on_the_same_port(void **state)
{
	struct fake_imap *f = *state;
	int port = fake_port(f);
	struct oracle_dump d;
	struct oracle *o;

	fake_start(f);
	o = oracle_open(port, "me");
	oracle_close(o);
	fake_stop(f);
	fake_expunge(fake_find(f, bytes_of("INBOX")), 3);
	fake_flags(fake_find(f, bytes_of("INBOX")), 7, "\\Flagged \\Answered");
	fake_uidvalidity(fake_find(f, bytes_of("INBOX")), 99);
	fake_mailbox(f, bytes_of("passing"));
	fake_remove(f, bytes_of("passing"));
	fake_start(f);
	o = oracle_open(port, "me");
	oracle_dump(o, "INBOX", &d);
	assert_int_equal(d.uidvalidity, 99);
	assert_int_equal(d.n, 2);
	assert_string_equal(d.msg[0].flags, "\\Answered \\Flagged");
	oracle_dump_release(&d);
	oracle_close(o);
}

static void test_every_command_is_on_record(void **state)
{
	struct fake_imap *f = *state;
	struct buf got = BUF_INIT(65536);

	fake_start(f);
	talk(f, "a1 NOOP\r\na2 LOGIN {1+}\r\nx \"y z\"\r\na3 LOGOUT\r\n", &got);
	buf_clear(&got);
	fake_commands(f, &got);
	assert_string_equal(buf_str(&got), "NOOP\nLOGIN {1+} \"y z\"\nLOGOUT\n");
	fake_forget(f);
	buf_clear(&got);
	fake_commands(f, &got);
	assert_int_equal(got.n, 0);
	buf_release(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_commands_get_their_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_messages_and_names_arrive_as_they_are,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_misbehaves_as_told_and_as_often, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_the_model_can_change_between_runs_on_the_same_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_command_is_on_record, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
