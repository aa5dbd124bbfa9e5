#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/imap/transport.h"
#include "core/msgset/uidset.h"
#include "tests/lib/imap_play.h"

/* A session that is logged in already, against a script. What happens is written down in `log`. */
struct fixture {
	struct imap_account account;
	struct imap_play *play;
	struct loop *loop;
	struct imap_session *session;
	struct buf log;
	struct err err;
	/*
	 * One for each fetch(), numbered in the order submitted: the answer must reach the right
	 * one.
	 */
	struct fetcher {
		struct fixture *f;
		unsigned number;
	} fetchers[16];
	unsigned fetches;
};

static void fixture_open(struct fixture *f, const char *caps, const char *script)
{
	struct buf text = BUF_INIT(1 << 20);

	*f = (struct fixture){ .account = { .name = "test", .host = "mail.example",
					    .tls = IMAP_TLS_NONE, .user = "alice",
					    .timeout_ms = 2000 } };
	buf_addf(&text, "S: * PREAUTH [CAPABILITY IMAP4rev1 %s] hello\n%s", caps, script);
	f->play = play_new(buf_str(&text));
	buf_release(&text);
	buf_init(&f->log, 1 << 20);
	f->loop = loop_new(NULL, NULL);
	f->session = imap_session_new_on(f->loop, &f->account, NULL, play_transport(f->play));
	assert_int_equal(imap_session_open(f->session, &f->err), 0);
}

static void fixture_close(struct fixture *f)
{
	imap_session_free(f->session);
	loop_free(f->loop);
	buf_release(&f->log);
	play_finish(f->play);
}

static void expect_log(struct fixture *f, const char *want)
{
	assert_string_equal(buf_str(&f->log), want);
}

static void log_result(struct fixture *f, const char *what, const struct imap_result *r)
{
	static const char *const words[] = { "ok", "no", "bad", "lost" };

	buf_addf(&f->log, "%s %s%s", what, words[r->outcome], r->damaged ? " damaged" : "");
	if (r->mailbox)
		buf_addf(&f->log, " %s:%u", r->mailbox->name, r->mailbox->exists);
	buf_add_str(&f->log, "\n");
}

static void on_opened(void *ctx, const struct imap_result *r)
{
	log_result(ctx, "open", r);
}

static void on_refused(void *ctx, const struct imap_result *r)
{
	((struct fixture *)ctx)->err = *r->err;
}

static void on_noop(void *ctx, const struct imap_result *r)
{
	log_result(ctx, "noop", r);
}

static void on_fetched(void *ctx, const struct imap_result *r)
{
	struct fetcher *to = ctx;

	log_result(to->f, "fetch", r);
}

static void on_begin(void *ctx, const struct imap_fetch *m)
{
	struct fetcher *to = ctx;

	buf_addf(&to->f->log, "%u{%s", to->number, m->body.nil ? "nil" : "");
}

static void on_data(void *ctx, struct bytes piece)
{
	buf_add(&((struct fetcher *)ctx)->f->log, piece);
}

static void on_end(void *ctx, const struct imap_fetch *m)
{
	(void)m;
	buf_add_str(&((struct fetcher *)ctx)->f->log, "}");
}

static void on_message(void *ctx, const struct imap_fetch *m)
{
	buf_addf(&((struct fetcher *)ctx)->f->log, " uid %u\n", m->uid);
}

static void on_drop(void *ctx)
{
	buf_add_str(&((struct fetcher *)ctx)->f->log, " dropped\n");
}

static struct fetcher *new_fetcher(struct fixture *f)
{
	struct fetcher *to = &f->fetchers[f->fetches];

	*to = (struct fetcher){ .f = f, .number = ++f->fetches };
	return to;
}

static void examine(struct fixture *f, const char *name)
{
	assert_int_equal(imap_select(f->session, bytes_of(name), true, on_opened, f, &f->err), 0);
}

static void fetch(struct fixture *f, uint32_t lo, uint32_t hi)
{
	const struct imap_fetch_sink sink = { .body_begin = on_begin,
					      .body_data = on_data,
					      .body_end = on_end,
					      .message = on_message,
					      .drop = on_drop,
					      .done = on_fetched,
					      .ctx = new_fetcher(f) };
	struct uidset set = UIDSET_INIT;

	uidset_add_range(&set, lo, hi);
	assert_int_equal(imap_fetch(f->session,
				    &(struct imap_fetch_request){ .uids = &set, .section = "" },
				    &sink, &f->err), 0);
	uidset_release(&set);
}

static void drain(struct fixture *f)
{
	if (imap_session_drain(f->session, &f->err) < 0)
		buf_addf(&f->log, "session: %s\n", f->err.text);
}

/* --- several mailboxes in one flight --- */

#define FLIGHT "C: a EXAMINE one\n"                              \
	       "C: b UID FETCH 1:9 (UID BODY.PEEK[])\n"        \
	       "C: c EXAMINE two\n"                            \
	       "C: d UID FETCH 1:9 (UID BODY.PEEK[])\n"
#define FLIGHT_LOG "open ok one:2\n1{first} uid 1\nfetch ok one:2\n" \
		   "open ok two:1\n2{other} uid 1\nfetch ok two:1\n"

static void test_data_belongs_to_the_right_one_of_several_mailboxes_in_flight(void **state)
{
	static const char *const scripts[] = {
		/* With [CLOSED]. */
		FLIGHT "S: * 2 EXISTS\nS: a OK [READ-ONLY] in\n"
		       "S: * 1 FETCH (UID 1 BODY[] {5}\nS: first)\nS: b OK fetched\n"
		       "S: * OK [CLOSED] left\nS: * 1 EXISTS\nS: c OK in\n"
		       "S: * 1 FETCH (UID 1 BODY[] {5}\nS: other)\nS: d OK fetched\n",
		/* Without. */
		FLIGHT "S: * 2 EXISTS\nS: a OK in\n"
		       "S: * 1 FETCH (BODY[] {5}\nS: first UID 1)\nS: b OK fetched\n"
		       "S: * 1 EXISTS\nS: c OK in\n"
		       "S: * 1 FETCH (BODY[] {5}\nS: other UID 1)\nS: d OK fetched\n",
		/* News of the old mailbox between the last answer and [CLOSED]. */
		FLIGHT "S: * 2 EXISTS\nS: a OK in\n"
		       "S: * 1 FETCH (UID 1 BODY[] {5}\nS: first)\nS: b OK fetched\n"
		       "S: * 77 EXISTS\nS: * OK [UIDNEXT 99] old\n"
		       "S: * OK [CLOSED] left\nS: * 1 EXISTS\nS: c OK in\n"
		       "S: * 1 FETCH (UID 1 BODY[] {5}\nS: other)\nS: d OK fetched\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		struct fixture f;

		fixture_open(&f, "", scripts[i]);
		examine(&f, "one");
		fetch(&f, 1, 9);
		examine(&f, "two");
		fetch(&f, 1, 9);
		drain(&f);
		expect_log(&f, FLIGHT_LOG);
		assert_int_equal(imap_session_mailbox(f.session)->uid_next, 0);
		fixture_close(&f);
	}
}

static void test_what_follows_a_mailbox_that_does_not_open_fails_and_reaches_nobody(void **state)
{
	struct fixture f;

	(void)state;
	/* The server ignores the failed EXAMINE and answers from the mailbox it had. */
	fixture_open(&f, "", FLIGHT "S: * 2 EXISTS\nS: a OK in\n"
				   "S: b OK fetched\n"
				   "S: c NO [NONEXISTENT] no such\n"
				   "S: * 1 FETCH (UID 1 BODY[] {5}\nS: wrong)\nS: d OK fetched\n");
	examine(&f, "one");
	fetch(&f, 1, 9);
	examine(&f, "two");
	fetch(&f, 1, 9);
	drain(&f);
	assert_int_equal(imap_session_state(f.session), IMAP_STATE_AUTHENTICATED);
	fetch(&f, 1, 9); /* not even sent */
	drain(&f);
	expect_log(&f, "open ok one:2\nfetch ok one:2\nopen no two:0\nfetch no two:0\n"
		       "fetch lost damaged two:0\n");
	fixture_close(&f);
}

static void test_an_answer_given_without_the_mailbox_open_is_none(void **state)
{
	static const struct {
		const char *script, *log;
	} cases[] = {
		/* [CLOSED] that nobody asked for: what follows is about nothing we know. */
		{ "C: a EXAMINE one\nC: b UID FETCH 1:9 (UID BODY.PEEK[])\n"
		  "S: * 2 EXISTS\nS: a OK in\nS: * OK [CLOSED] left\n"
		  "S: * 1 FETCH (UID 1 BODY[] {5}\nS: first)\nS: b OK fetched\n",
		  "open ok one:2\nfetch no one:2\n" },
		/* The next mailbox before the commands in this one are answered. */
		{ "C: a EXAMINE one\nC: b UID FETCH 1:9 (UID BODY.PEEK[])\nC: c EXAMINE two\n"
		  "S: * 2 EXISTS\nS: a OK in\nS: * OK [CLOSED] left\nS: * 1 EXISTS\n"
		  "S: c OK in\nS: * 1 FETCH (UID 1 BODY[] {5}\nS: other)\nS: b OK fetched\n",
		  "open ok one:2\nopen ok two:1\nfetch no one:2\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;

		fixture_open(&f, "", cases[i].script);
		examine(&f, "one");
		fetch(&f, 1, 9);
		if (i == 1)
			examine(&f, "two");
		drain(&f);
		expect_log(&f, cases[i].log);
		fixture_close(&f);
	}
}

/* --- messages --- */

static void test_a_body_goes_to_its_message_whatever_the_order(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "",
		     "C: a EXAMINE one\nC: b UID FETCH 5:7 (UID BODY.PEEK[])\n"
		     "S: * 9 EXISTS\nS: a OK in\n"
		     "S: * 3 FETCH (UID 7 BODY[] {3}\nS: sev)\n"
		     "S: * 1 FETCH (FLAGS (\\Seen))\n"               /* news without UID */
		     "S: * 2 FETCH (FLAGS () UID 3)\n"                /* not asked for */
		     "S: * 2 FETCH (BODY[] {3}\nS: fiv UID 5)\n"
		     "S: * 9 FETCH (BODY[] {5}\nS: alien UID 99)\n"   /* known too late */
		     "S: * 9 FETCH (UID 99 BODY[] {5}\nS: alien)\n" /* known in time */
		     "S: * 4 FETCH (UID 6 BODY[] NIL)\n"
		     "S: b OK done\n");
	examine(&f, "one");
	fetch(&f, 5, 7);
	drain(&f);
	expect_log(&f, "open ok one:9\n1{sev} uid 7\n1{fiv} uid 5\n1{alien} dropped\n1{nil} uid 6\n"
		       "fetch ok one:9\n");
	assert_true(imap_session_mailbox(f.session)->flags_dirty);
	fixture_close(&f);
}

static void test_mailbox_state_follows_what_the_server_says(void **state)
{
	const struct imap_mailbox *m;
	struct fixture f;

	(void)state;
	fixture_open(&f, "CONDSTORE",
		     "C: a EXAMINE one (CONDSTORE)\nS: * 9 EXISTS\nS: * FLAGS (\\Seen $Junk)\n"
		     "S: * OK [UIDVALIDITY 3857529045] uids\nS: * OK [UIDNEXT 4392] next\n"
		     "S: * OK [HIGHESTMODSEQ 715194045007] mod\n"
		     "S: * OK [PERMANENTFLAGS (\\Seen \\*)] keep\nS: a OK [READ-ONLY] in\n"
		     "C: b NOOP\nS: * OK [UIDVALIDITY 4294967297] too large\n"
		     "S: * OK [UIDNEXT 4294967297] too large\n"
		     "S: * 3 EXPUNGE\nS: * VANISHED 5:6\n"
		     "S: * VANISHED (EARLIER) 1:4\nS: b OK noop\n");
	examine(&f, "one");
	imap_noop(f.session, on_noop, &f);
	drain(&f);
	m = imap_session_mailbox(f.session);
	assert_true(m->open && m->examined && m->read_only && m->exists_known);
	assert_int_equal(m->exists, 6);
	assert_int_equal(m->removed, 3);
	assert_true(m->uid_validity == 3857529045 && m->uid_next == 4392);
	assert_true(m->highest_modseq == 715194045007);
	assert_true(m->permanent_known && m->new_keywords && flags_has(&m->flags, bytes_of("$junk")));
	fixture_close(&f);
}

/* --- the end, and trouble --- */

static void test_a_lost_connection_ends_every_command_once(void **state)
{
	static const struct {
		const char *script, *log;
	} cases[] = {
		{ "S: * BYE going down\nEND\n", "session: mail.example ended the session: going down\n" },
		{ "END\n", "session: mail.example closed the connection\n" },
		{ "S: zz\nS: * 1 FETCH (UID 1 BODY[] {100}\nS: half\nEND\n",
		  "session: mail.example closed the connection\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf script = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
		struct fixture f;

		buf_addf(&script, "C: a EXAMINE one\nC: b UID FETCH 1:9 (UID BODY.PEEK[])\n"
			 "C: c NOOP\nS: a OK in\n%s", cases[i].script);
		fixture_open(&f, "", buf_str(&script));
		examine(&f, "one");
		fetch(&f, 1, 9);
		imap_noop(f.session, on_noop, &f);
		drain(&f);
		buf_addf(&want, "open ok one:0\n%sfetch lost damaged one:0\nnoop lost damaged\n%s",
			 i == 2 ? "1{half\r\n dropped\n" : "", cases[i].log);
		expect_log(&f, buf_str(&want));
		assert_int_equal(imap_session_error(f.session)->kind, ERR_RETRY);
		imap_noop(f.session, on_noop, &f); /* on a closed session: at once */
		assert_non_null(strstr(buf_str(&f.log), "noop lost damaged\nsession"));
		buf_release(&script);
		buf_release(&want);
		fixture_close(&f);
	}
}

static void test_free_ends_what_is_under_way(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "", "C: a NOOP\nPAUSE\n");
	imap_noop(f.session, on_noop, &f);
	assert_int_equal(loop_step(f.loop, INT64_MAX, &f.err), 0);
	imap_noop(f.session, on_noop, &f);
	imap_session_free(f.session);
	f.session = NULL;
	assert_int_equal(strncmp(buf_str(&f.log), "noop lost", 9), 0);
	loop_free(f.loop);
	buf_release(&f.log);
	play_finish(f.play);
}

static void test_silence_ends_the_session_but_not_while_paused(void **state)
{
	int64_t started;
	struct fixture f;

	(void)state;
	fixture_open(&f, "", "C: a NOOP\nPAUSE\n");
	f.account.timeout_ms = 60;
	imap_noop(f.session, on_noop, &f);
	assert_int_equal(loop_step(f.loop, INT64_MAX, &f.err), 0);
	imap_session_pause(f.session, true);
	started = clock_ms();
	while (clock_ms() < started + 120)
		assert_int_equal(loop_step(f.loop, started + 120, &f.err), 0);
	assert_int_equal(imap_session_pending(f.session), 1);
	imap_session_pause(f.session, false);
	drain(&f);
	assert_non_null(strstr(buf_str(&f.log), "noop lost"));
	assert_non_null(strstr(buf_str(&f.log), "does not answer"));
	fixture_close(&f);
}

static void deaf_peer(void *ctx, struct transport *t, struct bytes written)
{
	(void)ctx;
	(void)t;
	(void)written;
}

/* "Still here" for ever, byte by byte or line by line, is no answer. */
static void test_a_server_that_talks_without_answering_is_left(void **state)
{
	static const struct {
		bool logged_in;
		const char *talk;
	} cases[] = {
		{ true, "* OK still here\r\n" },
		{ true, "* 7 FETCH (FLAGS ())\r\n" },
		{ true, "x" },
		{ true, "* SEARCH 1\r\n" },
		{ false, "* OK still here\r\n" },
		{ false, "x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_account a = { .name = "test", .host = "mail.example",
					  .tls = IMAP_TLS_NONE, .user = "alice", .timeout_ms = 10 };
		struct loop *loop = loop_new(NULL, NULL);
		struct transport *t = transport_memory_new(deaf_peer, NULL);
		struct imap_session *s = imap_session_new_on(loop, &a, NULL, t);
		struct err err = { 0 };
		int64_t started = clock_ms();

		if (cases[i].logged_in) {
			transport_memory_feed(t, bytes_of("* PREAUTH [CAPABILITY IMAP4rev1] x\r\n"));
			assert_int_equal(imap_session_open(s, &err), 0);
			imap_noop(s, NULL, NULL);
		}
		while (imap_session_state(s) != IMAP_STATE_CLOSED && clock_ms() < started + 5000) {
			transport_memory_feed(t, bytes_of(cases[i].talk));
			assert_int_equal(loop_step(loop, clock_ms() + 1, &err), 0);
		}
		assert_int_equal(imap_session_state(s), IMAP_STATE_CLOSED);
		if (cases[i].logged_in || cases[i].talk[0] == 'x')
			assert_non_null(strstr(imap_session_error(s)->text, "does not answer"));
		if (cases[i].logged_in) /* not at the first silence of the command itself */
			assert_true(clock_ms() - started >= 290);
		imap_session_free(s);
		loop_free(loop);
	}
}

static void ignore_found(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	(void)ctx;
	(void)found;
	(void)r;
}

static void test_an_answer_may_take_its_time(void **state)
{
	struct imap_account a = { .name = "test", .host = "mail.example", .tls = IMAP_TLS_NONE,
				  .user = "alice", .timeout_ms = 10 };
	struct loop *loop = loop_new(NULL, NULL);
	struct transport *t = transport_memory_new(deaf_peer, NULL);
	struct imap_session *s = imap_session_new_on(loop, &a, NULL, t);
	struct err err = { 0 };
	int64_t started;

	(void)state;
	transport_memory_feed(t, bytes_of("* PREAUTH [CAPABILITY IMAP4rev1] x\r\n"));
	assert_int_equal(imap_session_open(s, &err), 0);
	imap_search(s, "ALL", NULL, ignore_found, NULL, &err);
	started = clock_ms();
	while (clock_ms() < started + 400) {
		transport_memory_feed(t, bytes_of("* SEARCH 1\r\n"));
		assert_int_equal(loop_step(loop, clock_ms() + 1, &err), 0);
	}
	assert_int_equal(imap_session_pending(s), 1);
	imap_session_free(s);
	loop_free(loop);
}

/* Names are chosen by servers, and go to a terminal. */
static void test_what_is_said_of_a_command_is_fit_to_be_shown(void **state)
{
	static const struct {
		const char *answer;
		enum err_kind kind;
		const char *text;
	} cases[] = {
		{ "S: a NO \033[2Jno\n", ERR_MAILBOX,
		  "EXAMINE a\\x1B[2J: the server says NO \\x1B[2Jno" },
		{ "S: a NO [NONEXISTENT] no\n", ERR_MISSING,
		  "EXAMINE a\\x1B[2J: the server says NO [NONEXISTENT] no" },
		{ "S: a NO [INUSE] no\n", ERR_RETRY,
		  "EXAMINE a\\x1B[2J: the server says NO [INUSE] no" },
		{ "S: a BAD User is authenticated but not connected.\n", ERR_AUTH,
		  "EXAMINE a\\x1B[2J: the server says BAD User is authenticated but not connected." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf script = BUF_INIT(1 << 20);
		struct fixture f;

		buf_addf(&script, "C: a EXAMINE \"a\033[2J\"\n%s", cases[i].answer);
		fixture_open(&f, "", buf_str(&script));
		assert_int_equal(imap_select(f.session, bytes_of("a\033[2J"), true, on_refused, &f,
					     &f.err), 0);
		imap_session_drain(f.session, &f.err);
		assert_string_equal(f.err.text, cases[i].text);
		assert_int_equal(f.err.kind, cases[i].kind);
		buf_release(&script);
		fixture_close(&f);
	}
}

/* `answer` with what comes before it; the error must blame the FETCH and show this excerpt. */
static void assert_blames_the_fetch(const char *answer, const char *excerpt)
{
	static const char blame[] = "mail.example: BAD server answer to \"UID FETCH\": ";
	struct buf script = BUF_INIT(1 << 20);
	struct fixture f;

	buf_addf(&script, "C: a EXAMINE one\nC: b UID FETCH 1:9 (UID BODY.PEEK[])\nS: a OK in\n%s",
		 answer);
	fixture_open(&f, "", buf_str(&script));
	examine(&f, "one");
	fetch(&f, 1, 9);
	assert_int_equal(imap_session_drain(f.session, &f.err), -1);
	assert_int_equal(f.err.kind, ERR_RETRY);
	assert_int_equal(strncmp(f.err.text, blame, strlen(blame)), 0);
	if (!strstr(f.err.text, excerpt))
		fail_msg("\"%s\" is not in: %s", excerpt, f.err.text);
	assert_null(strstr(f.err.text, "\033"));
	assert_true(strlen(f.err.text) < 400);
	buf_release(&script);
	fixture_close(&f);
}

static void test_an_unreadable_answer_is_shown_with_the_command_it_was_given_to(void **state)
{
	struct buf line = BUF_INIT(1 << 20);

	(void)state;
	assert_blames_the_fetch("S: b \033[2Jnonsense\n", " \\x1B[2Jnonsense");
	assert_blames_the_fetch("S: * 1 FETCH (BODY[] {99999999999999999999}\n",
				"* 1 FETCH (BODY[] {9999999999");
	assert_blames_the_fetch("S: * 1 FETCH (UID 1 BODY[] {3}\nS: abcdef)\n", "UID 1 BODY[] {3}");
	buf_add_str(&line, "S: b ");
	for (int i = 0; i < 5000; i++)
		buf_add_byte(&line, 'x');
	buf_add_str(&line, "\n");
	assert_blames_the_fetch(buf_str(&line), "xxxxx...");
	buf_release(&line);
}

static void test_nothing_is_sent_after_bye(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "", "C: a NOOP\nS: * BYE enough\nS: a OK done\nPAUSE\nEND\n");
	imap_noop(f.session, on_noop, &f);
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_step(f.loop, clock_ms() + 1, &f.err), 0);
	imap_noop(f.session, on_noop, &f); /* play_finish() would see it */
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_step(f.loop, clock_ms() + 1, &f.err), 0);
	play_resume(f.play);
	drain(&f);
	expect_log(&f, "noop ok\nnoop lost damaged\n"
		       "session: mail.example ended the session: enough\n");
	fixture_close(&f);
}

static void test_a_continuation_ahead_of_the_literal_is_not_believed(void **state)
{
	struct imap_account a = { .name = "test", .host = "mail.example", .tls = IMAP_TLS_NONE,
				  .user = "alice", .timeout_ms = 2000 };
	struct loop *loop = loop_new(NULL, NULL);
	struct transport *t = transport_memory_new(deaf_peer, NULL);
	struct imap_session *s = imap_session_new_on(loop, &a, NULL, t);
	struct err err = { 0 };

	(void)state;
	transport_memory_feed(t, bytes_of("* PREAUTH [CAPABILITY IMAP4rev1] x\r\n"));
	assert_int_equal(imap_session_open(s, &err), 0);
	transport_memory_limit(t, SIZE_MAX, 0);
	imap_select(s, bytes_of("\303\244"), true, NULL, NULL, &err);
	assert_int_equal(loop_step(loop, clock_ms() + 1, &err), 0);
	transport_memory_feed(t, bytes_of("+ go on\r\n"));
	assert_int_equal(imap_session_drain(s, &err), -1);
	assert_non_null(strstr(err.text, "asked to go on"));
	imap_session_free(s);
	loop_free(loop);
}

static void keep_tag(void *ctx, struct transport *t, struct bytes written)
{
	(void)t;
	if (!buf_bytes(ctx).n)
		buf_add(ctx, bytes_from(written.p, 6));
}

static void test_tags_of_two_sessions_differ(void **state)
{
	struct imap_account a = { .name = "test", .host = "mail.example", .tls = IMAP_TLS_NONE,
				  .user = "alice", .timeout_ms = 2000 };
	struct buf tags[2] = { BUF_INIT(100), BUF_INIT(100) };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct loop *loop = loop_new(NULL, NULL);
		struct transport *t = transport_memory_new(keep_tag, &tags[i]);
		struct imap_session *s = imap_session_new_on(loop, &a, NULL, t);
		struct err err = { 0 };

		transport_memory_feed(t, bytes_of("* PREAUTH [CAPABILITY IMAP4rev1] x\r\n"));
		assert_int_equal(imap_session_open(s, &err), 0);
		imap_noop(s, NULL, NULL);
		assert_int_equal(loop_step(loop, clock_ms() + 1, &err), 0);
		imap_session_free(s);
		loop_free(loop);
	}
	assert_string_not_equal(buf_str(&tags[0]), buf_str(&tags[1]));
	buf_release(&tags[0]);
	buf_release(&tags[1]);
}

static void test_an_unreadable_line_makes_answers_in_flight_damaged(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "", "C: a NOOP\nS: * 5 FETCH (((\nS: a OK done\nC: b NOOP\nS: b OK done\n");
	imap_noop(f.session, on_noop, &f);
	drain(&f);
	imap_noop(f.session, on_noop, &f);
	drain(&f);
	expect_log(&f, "noop ok damaged\nnoop ok\n");
	fixture_close(&f);
}

static void test_bad_to_a_literal_already_sent_closes_the_connection(void **state)
{
	struct imap_encoder e;
	struct fixture f;

	(void)state;
	fixture_open(&f, "LITERAL+", "C: a CREATE {2+}\nC= \303\244\nS: a BAD what\n");
	imap_session_encoder(f.session, &e);
	imap_encode_word(&e, "CREATE");
	imap_encode_string(&e, bytes_of("\303\244"));
	assert_int_equal(imap_encoder_finish(&e, &f.err), 0);
	imap_raw(f.session, &e, &(struct imap_handler){ .on_done = on_noop, .ctx = &f });
	imap_noop(f.session, on_noop, &f);
	drain(&f);
	expect_log(&f, "noop bad\nnoop lost damaged\n"
		       "session: CREATE: refused with a literal under way\n");
	fixture_close(&f);
}

/* --- flow --- */

static void test_commands_in_flight_are_limited(void **state)
{
	struct imap_traffic t;
	struct buf script = BUF_INIT(1 << 20);
	struct fixture f;

	(void)state;
	buf_add_str(&script, "C: a EXAMINE one\nS: a OK in\nC: b0 UID FETCH ...\nC: b1 UID FETCH ...\n"
			     "C: b2 UID FETCH ...\nC: b3 UID FETCH ...\nPAUSE\n");
	for (int i = 0; i < 4; i++)
		buf_addf(&script, "S: b%d OK done\nC: c%d UID FETCH ...\nS: c%d OK done\n", i, i, i);
	fixture_open(&f, "", buf_str(&script));
	examine(&f, "one");
	drain(&f);
	for (int i = 0; i < 8; i++)
		fetch(&f, 1, 9);
	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_step(f.loop, clock_ms() + 1, &f.err), 0);
	play_resume(f.play);
	drain(&f);
	t = imap_session_traffic(f.session);
	assert_int_equal(t.most_data_in_flight, 4);
	buf_release(&script);
	fixture_close(&f);
}

/* A server that stops reading until its own data is taken must find us reading. */
static void test_reading_goes_on_while_writing_is_blocked(void **state)
{
	struct imap_account a = { .name = "test", .host = "mail.example", .tls = IMAP_TLS_NONE,
				  .user = "alice", .timeout_ms = 2000 };
	struct loop *loop = loop_new(NULL, NULL);
	struct transport *blocked;
	struct imap_session *s;
	struct err err = { 0 };

	(void)state;
	blocked = transport_memory_new(deaf_peer, NULL);
	transport_memory_feed(blocked, bytes_of("* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n"));
	s = imap_session_new_on(loop, &a, NULL, blocked);
	assert_int_equal(imap_session_open(s, &err), 0);
	transport_memory_limit(blocked, 1, 0);
	imap_noop(s, NULL, NULL);
	transport_memory_feed(blocked, bytes_of("* CAPABILITY IMAP4rev1 MOVE\r\n"));
	for (int i = 0; i < 20 && !imap_session_has(s, IMAP_CAP_MOVE); i++)
		assert_int_equal(loop_step(loop, clock_ms() + 1, &err), 0);
	assert_true(imap_session_has(s, IMAP_CAP_MOVE));
	assert_int_equal(imap_session_pending(s), 1);
	imap_session_free(s);
	loop_free(loop);
}

static void test_no_more_is_sent_ahead_than_a_server_can_hold(void **state)
{
	struct imap_account a = { .name = "test", .host = "mail.example", .tls = IMAP_TLS_NONE,
				  .user = "alice", .timeout_ms = 2000 };
	char name[3000];
	struct err err = { 0 };

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (int big = 0; big < 2; big++) {
		struct loop *loop = loop_new(NULL, NULL);
		struct transport *t = transport_memory_new(deaf_peer, NULL);
		struct imap_session *s;

		transport_memory_feed(t, bytes_of("* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+] x\r\n"));
		s = imap_session_new_on(loop, &a, NULL, t);
		assert_int_equal(imap_session_open(s, &err), 0);
		for (int i = 0; i < 40; i++) {
			if (big)
				imap_select(s, bytes_of(name), true, NULL, NULL, &err);
			else
				imap_noop(s, NULL, NULL);
		}
		for (int i = 0; i < 5; i++)
			assert_int_equal(loop_step(loop, clock_ms() + 1, &err), 0);
		if (big)
			assert_in_range(imap_session_traffic(s).written, 12000, 16384 + 100);
		else
			assert_int_equal(imap_session_traffic(s).most_in_flight, 16);
		imap_session_free(s);
		loop_free(loop);
	}
}

static void on_data_pause(void *ctx, struct bytes piece)
{
	struct fetcher *to = ctx;

	on_data(ctx, piece);
	imap_session_pause(to->f->session, true);
}

static void test_a_busy_consumer_gets_nothing_until_it_goes_on(void **state)
{
	const struct imap_fetch_sink sink = { .body_data = on_data_pause, .message = on_message,
					      .done = on_fetched };
	struct imap_fetch_sink mine = sink;
	struct uidset set = UIDSET_INIT;
	struct fixture f;

	(void)state;
	fixture_open(&f, "", "C: a EXAMINE one\nC: b UID FETCH 1 (UID BODY.PEEK[])\nS: a OK in\n"
			    "S: * 1 FETCH (UID 1 BODY[] {5}\nS: hello)\nS: b OK done\n");
	mine.ctx = new_fetcher(&f);
	uidset_add(&set, 1);
	examine(&f, "one");
	assert_int_equal(imap_fetch(f.session, &(struct imap_fetch_request){ .uids = &set,
			.section = "" }, &mine, &f.err), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_step(f.loop, clock_ms() + 1, &f.err), 0);
	expect_log(&f, "open ok one:0\nhello");
	imap_session_pause(f.session, false);
	drain(&f);
	expect_log(&f, "open ok one:0\nhello uid 1\nfetch ok one:0\n");
	uidset_release(&set);
	fixture_close(&f);
}

/* What the handlers of one that closes the session see afterwards is the end, once. */
static void close_now(struct fetcher *to)
{
	struct err why;

	err_set(&why, ERR_RETRY, "enough");
	imap_session_close(to->f->session, &why);
}

static void on_message_close(void *ctx, const struct imap_fetch *m)
{
	on_message(ctx, m);
	close_now(ctx);
}

static void on_begin_close(void *ctx, const struct imap_fetch *m)
{
	on_begin(ctx, m);
	close_now(ctx);
}

static void on_data_close(void *ctx, struct bytes piece)
{
	on_data(ctx, piece);
	close_now(ctx);
}

static void test_a_handler_may_close_the_session_at_any_moment(void **state)
{
	static const struct {
		struct imap_fetch_sink sink;
		const char *log;
	} cases[] = {
		{ { .body_begin = on_begin_close, .drop = on_drop },
		  "1{ dropped\nfetch lost damaged one:0\n" },
		{ { .body_data = on_data_close, .drop = on_drop },
		  "hello dropped\nfetch lost damaged one:0\n" },
		{ { .message = on_message_close, .drop = on_drop },
		  " uid 1\nfetch lost damaged one:0\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_fetch_sink sink = cases[i].sink;
		struct uidset set = UIDSET_INIT;
		struct fixture f;

		fixture_open(&f, "", "C: a EXAMINE one\nC: b UID FETCH 1 (UID BODY.PEEK[])\n"
				    "S: a OK in\nS: * 1 FETCH (UID 1 BODY[] {5}\nS: hello)\n"
				    "S: b OK done\n");
		sink.done = on_fetched;
		sink.ctx = new_fetcher(&f);
		uidset_add(&set, 1);
		examine(&f, "one");
		assert_int_equal(imap_fetch(f.session, &(struct imap_fetch_request){ .uids = &set,
				.section = "" }, &sink, &f.err), 0);
		assert_int_equal(imap_session_drain(f.session, &f.err), -1);
		assert_string_equal(f.err.text, "enough");
		assert_int_equal(strncmp(buf_str(&f.log), "open ok one:0\n", 14), 0);
		assert_string_equal(buf_str(&f.log) + 14, cases[i].log);
		uidset_release(&set);
		fixture_close(&f);
	}
}

/* --- streaming a message out, with and without waiting --- */

static int stream_bytes(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	(void)ctx;
	(void)err;
	*n = max < 3 ? max : 3; /* odd pieces */
	memcpy(p, "xyz", *n);
	return 0;
}

static int stream_close(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	struct fixture *f = ctx;
	struct err why;

	stream_bytes(ctx, p, max, n, err);
	err_set(&why, ERR_RETRY, "enough");
	imap_session_close(f->session, &why);
	return 0;
}

static void test_the_source_of_a_message_may_close_the_session(void **state)
{
	struct imap_encoder e;
	struct fixture f;

	(void)state;
	fixture_open(&f, "LITERAL+", "");
	imap_session_encoder(f.session, &e);
	imap_encode_word(&e, "APPEND");
	imap_encode_stream(&e, 8, false, false);
	assert_int_equal(imap_encoder_finish(&e, &f.err), 0);
	imap_session_submit(f.session, &(struct imap_request){
		.command = &e, .stream = stream_close,
		.handler = { .on_done = on_noop, .ctx = &f } });
	assert_int_equal(imap_session_drain(f.session, &f.err), -1);
	expect_log(&f, "noop lost damaged\n");
	fixture_close(&f);
}

static void test_a_message_is_streamed_after_its_continuation(void **state)
{
	static const struct {
		const char *caps, *script;
	} cases[] = {
		{ "", "C: a APPEND one {8}\nS: + go on\nC= xyzxyzxy\nS: a OK stored\n" },
		{ "LITERAL+", "C: a APPEND one {8+}\nC= xyzxyzxy\nS: a OK stored\n" },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct imap_encoder e;
		struct fixture f;

		fixture_open(&f, cases[i].caps, cases[i].script);
		imap_session_encoder(f.session, &e);
		imap_encode_word(&e, "APPEND");
		imap_encode_mailbox(&e, bytes_of("one"));
		imap_encode_stream(&e, 8, false, false);
		assert_int_equal(imap_encoder_finish(&e, &f.err), 0);
		imap_session_submit(f.session, &(struct imap_request){
			.command = &e, .stream = stream_bytes,
			.handler = { .on_done = on_noop, .ctx = &f } });
		drain(&f);
		expect_log(&f, "noop ok\n");
		fixture_close(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data_belongs_to_the_right_one_of_several_mailboxes_in_flight),
		cmocka_unit_test(
			test_what_follows_a_mailbox_that_does_not_open_fails_and_reaches_nobody),
		cmocka_unit_test(test_an_answer_given_without_the_mailbox_open_is_none),
		cmocka_unit_test(test_a_body_goes_to_its_message_whatever_the_order),
		cmocka_unit_test(test_mailbox_state_follows_what_the_server_says),
		cmocka_unit_test(test_a_lost_connection_ends_every_command_once),
		cmocka_unit_test(test_free_ends_what_is_under_way),
		cmocka_unit_test(test_silence_ends_the_session_but_not_while_paused),
		cmocka_unit_test(test_a_server_that_talks_without_answering_is_left),
		cmocka_unit_test(test_an_answer_may_take_its_time),
		cmocka_unit_test(
			test_an_unreadable_answer_is_shown_with_the_command_it_was_given_to),
		cmocka_unit_test(test_nothing_is_sent_after_bye),
		cmocka_unit_test(test_a_continuation_ahead_of_the_literal_is_not_believed),
		cmocka_unit_test(test_tags_of_two_sessions_differ),
		cmocka_unit_test(test_what_is_said_of_a_command_is_fit_to_be_shown),
		cmocka_unit_test(test_an_unreadable_line_makes_answers_in_flight_damaged),
		cmocka_unit_test(test_bad_to_a_literal_already_sent_closes_the_connection),
		cmocka_unit_test(test_commands_in_flight_are_limited),
		cmocka_unit_test(test_reading_goes_on_while_writing_is_blocked),
		cmocka_unit_test(test_no_more_is_sent_ahead_than_a_server_can_hold),
		cmocka_unit_test(test_a_busy_consumer_gets_nothing_until_it_goes_on),
		cmocka_unit_test(test_a_handler_may_close_the_session_at_any_moment),
		cmocka_unit_test(test_a_message_is_streamed_after_its_continuation),
		cmocka_unit_test(test_the_source_of_a_message_may_close_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
