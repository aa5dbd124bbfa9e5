#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/imap/imap.h"
#include "core/base/mem.h"
#include "tests/lib/scripted.h"
#include "tests/lib/target_rig.h"

/* Uploads to servers that refuse, rewrite, forget and break off, word by word. */

#define LOGIN(caps)                                                                            \
	"S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN " caps "] ready\n"                    \
	"C: AUTHENTICATE PLAIN *\n"                                                            \
	"S: $TAG OK [CAPABILITY IMAP4rev1 LIST-EXTENDED LIST-STATUS " caps "] in\n"
#define LISTED                                                                                 \
	"C: LIST *\n"                                                                          \
	"S: * LIST () \"/\" INBOX\n"                                                           \
	"S: * STATUS INBOX (MESSAGES 0 UIDNEXT 5 UIDVALIDITY 7)\n"                             \
	"S: $TAG OK listed\n"
#define SELECT(flags)                                                                          \
	"C: SELECT INBOX\n"                                                                    \
	"S: * 0 EXISTS\n"                                                                      \
	"S: * FLAGS (\\\\Seen \\\\Flagged)\n"                                                  \
	"S: * OK [PERMANENTFLAGS (" flags ")] kept\n"                                          \
	"S: * OK [UIDVALIDITY 7] valid\n"                                                      \
	"S: * OK [UIDNEXT 5] next\n"                                                           \
	"S: $TAG OK [READ-WRITE] selected\n"
#define FIRST_SELECT(flags) "C: STATUS INBOX (UIDNEXT)\nS: $TAG OK\n" SELECT(flags)
#define ALL "\\\\Seen \\\\Flagged \\\\*"
#define BEGIN(caps) LOGIN(caps) LISTED FIRST_SELECT(ALL)
#define LOGOUT "C: LOGOUT\nS: * BYE\nS: $TAG OK bye\n"
/* A literal that waits, its message and what ends the command. */
#define ASKED(text, n) "S: + go\nC{" n "}: " text "\n"
#define END "C+: \n"
#define DATE " \" 1-Feb-2020 03:04:05 +0000\""
#define LOOK                                                                                   \
	"C(n): NOOP\n"                                                                         \
	"C: UID FETCH 5:4294967295 (UID INTERNALDATE RFC822.SIZE BODY.PEEK\\[HEADER.FIELDS "    \
	"(MESSAGE-ID)\\])\nS: $n OK\n"
#define OK "S: $TAG OK done\n"

struct scene {
	struct scripted *server;
	struct target_rig rig;
	struct mailbox *mb;
};

static void begin_run(struct scene *s, const char *text)
{
	s->server = scripted_start(text);
	free(s->rig.probe.port);
	s->rig.probe.port = xasprintf("%d", scripted_port(s->server));
	s->rig.probe.account.port = s->rig.probe.port;
	target_rig_open(&s->rig);
	imap_store_set_patience(s->rig.probe.store, 0); /* everything is looked for once */
	s->mb = target_rig_mailbox(&s->rig, "INBOX");
	if (!s->mb)
		fail_msg("%s", s->rig.err.text);
}

static void begin(struct scene *s, const char *text)
{
	target_rig_init(&s->rig, 1, "me");
	s->rig.probe.account.connections = 1;
	begin_run(s, text);
}

static void end_run(struct scene *s)
{
	target_rig_close(&s->rig);
	scripted_finish(s->server);
}

static void end(struct scene *s)
{
	end_run(s);
	target_rig_release(&s->rig);
}

static void add(struct scene *s, uint32_t uid, const char *flags, const char *text)
{
	if (target_rig_append(&s->rig, s->mb, &(struct target_message){
		    .uid = uid, .flags = flags, .body = bytes_of(text) }) < 0)
		fail_msg("%s", s->rig.err.text);
}

static void commit(struct scene *s)
{
	struct buf why = BUF_INIT(1 << 20);

	if (target_rig_commit(&s->rig) == 0)
		return;
	scripted_played(s->server, &why);
	fail_msg("%s\n%s", s->rig.err.text, buf_str(&why));
}

static void came_to(struct scene *s, uint32_t uid, enum outcome what, const char *why)
{
	const struct target_outcome *o = target_rig_outcome(&s->rig, uid);

	if (o->what != what)
		fail_msg("UID %u came to %d: %s", uid, (int)o->what, o->why ? o->why : "");
	if (why && (!o->why || !strstr(o->why, why)))
		fail_msg("UID %u: %s", uid, o->why ? o->why : "no reason");
}

static void test_of_a_batch_that_is_refused_only_the_one_message_is(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, BEGIN("UIDPLUS LITERAL+ MULTIAPPEND")
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("A: 1\\r\\n", "6")
	      "C+: " DATE " {6+}\nC{6}: B: 2\\r\\n\nC+: " DATE " {6+}\nC{6}: C: 3\\r\\n\n" END
	      "S: $TAG NO one of them is ugly\n"
	      /* Halved, and asked for. */
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("A: 1\\r\\n", "6") END
	      "S: $TAG OK [APPENDUID 7 5] done\n"
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("B: 2\\r\\n", "6")
	      "C+: " DATE " {6}\nS: $TAG NO C is ugly\n"
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("B: 2\\r\\n", "6") END
	      "S: $TAG OK [APPENDUID 7 6] done\n"
	      "C: APPEND INBOX" DATE " {6}\nS: $TAG NO C is ugly\n" LOGOUT);
	add(&s, 1, "", "A: 1\r\n");
	add(&s, 2, "", "B: 2\r\n");
	add(&s, 3, "", "C: 3\r\n");
	commit(&s);
	came_to(&s, 1, OUTCOME_DONE, NULL);
	came_to(&s, 2, OUTCOME_DONE, NULL);
	came_to(&s, 3, OUTCOME_REFUSED, "C is ugly");
	assert_int_equal(target_rig_count(&s.rig, s.mb), 2);
	end(&s);
}

static void test_flags_that_a_server_refuses_with_bad_cost_no_command_and_no_message(void **state)
{
	struct scene s;

	(void)state;
	/* The first with these flags is asked for: nothing of it was sent when BAD comes. */
	begin(&s, BEGIN("UIDPLUS LITERAL+ MULTIAPPEND")
	      "C: APPEND INBOX ($Evil)" DATE " {18}\nS: $TAG BAD no such flag\n"
	      "C: APPEND INBOX ($Evil)" DATE " {18}\nS: $TAG BAD no such flag\n"
	      "C: APPEND INBOX" DATE " {18}\n" ASKED("x DELETE INBOX\\r\\n\\r\\n", "18") END
	      "S: $TAG OK [APPENDUID 7 5] done\n" LOGOUT);
	add(&s, 1, "$Evil", "x DELETE INBOX\r\n\r\n");
	commit(&s);
	came_to(&s, 1, OUTCOME_DONE, NULL);
	assert_non_null(strstr(buf_str(&s.rig.notes), "only without its keywords"));
	end(&s);
}

static void test_after_bad_to_a_literal_that_did_not_wait_the_connection_ends(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, BEGIN("UIDPLUS LITERAL+")
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("A: 1\\r\\n", "6") END
	      "S: $TAG OK [APPENDUID 7 5] done\n"
	      "C: APPEND INBOX" DATE " {18+}\nC{18}: x DELETE INBOX\\r\\n\\r\\n\n" END
	      "S: $TAG BAD what is that\nCLOSED\nACCEPT\n" LOGIN("UIDPLUS LITERAL+") SELECT(ALL)
	      "C: APPEND INBOX" DATE " {18}\n" ASKED("x DELETE INBOX\\r\\n\\r\\n", "18") END
	      "S: $TAG BAD never\n" LOGOUT);
	add(&s, 1, "", "A: 1\r\n");
	commit(&s);
	add(&s, 2, "", "x DELETE INBOX\r\n\r\n");
	commit(&s);
	came_to(&s, 2, OUTCOME_REFUSED, "BAD never");
	end(&s);
}

static void test_keywords_that_a_mailbox_does_not_keep_are_left_out_and_told_once(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, LOGIN("UIDPLUS LITERAL+ MULTIAPPEND") LISTED FIRST_SELECT("\\\\Seen \\\\Flagged $Known")
	      "C: APPEND INBOX (\\\\Seen $Known)" DATE " {6}\n" ASKED("A: 1\\r\\n", "6")
	      "C+:  (\\\\Seen)" DATE " {6}\n" ASKED("B: 2\\r\\n", "6") END
	      "S: $TAG OK [APPENDUID 7 5:6] done\n" LOGOUT);
	add(&s, 1, "\\Seen \\Answered $Known $Other", "A: 1\r\n");
	add(&s, 2, "\\Seen \\Answered $Other", "B: 2\r\n");
	commit(&s);
	came_to(&s, 1, OUTCOME_DONE, NULL);
	assert_string_equal(buf_str(&s.rig.notes),
			    "INBOX: the account does not keep the flag \\\\Answered there\n"
			    "INBOX: the account does not keep the flag $Other there\n");
	end(&s);
}

static void test_a_mailbox_that_is_gone_at_the_append_is_made_once(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, BEGIN("UIDPLUS LITERAL+")
	      "C: APPEND INBOX" DATE " {6}\nS: $TAG NO [TRYCREATE] none\n"
	      "C: SELECT INBOX\nS: $TAG NO [NONEXISTENT] none\n"
	      "C: CREATE INBOX\nS: $TAG OK made\nC: SUBSCRIBE INBOX\nS: $TAG OK\n" SELECT(ALL)
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("A: 1\\r\\n", "6") END
	      "S: $TAG OK [APPENDUID 7 5] done\n" LOGOUT);
	add(&s, 1, "", "A: 1\r\n");
	commit(&s);
	came_to(&s, 1, OUTCOME_DONE, NULL);
	end(&s);
}

static void test_a_mailbox_that_takes_nothing_is_left_alone(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, BEGIN("UIDPLUS LITERAL+ MULTIAPPEND")
	      "C: APPEND INBOX" DATE " {6}\nS: $TAG NO [NOPERM] not you\n" LOGOUT);
	add(&s, 1, "", "A: 1\r\n");
	add(&s, 2, "", "B: 2\r\n");
	commit(&s);
	came_to(&s, 1, OUTCOME_NO_ANSWER, "not you");
	came_to(&s, 2, OUTCOME_NO_ANSWER, "not you");
	assert_int_equal(target_rig_append(&s.rig, s.mb, &(struct target_message){
		.uid = 3, .body = bytes_of("C: 3\r\n") }), -1);
	assert_int_equal(s.rig.err.kind, ERR_MAILBOX);
	end(&s);
}

static void test_a_mailbox_that_is_only_read_takes_nothing(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, LOGIN("UIDPLUS LITERAL+") LISTED
	      "C: STATUS INBOX (UIDNEXT)\nS: $TAG OK\nC: SELECT INBOX\nS: * 0 EXISTS\n"
	      "S: * OK [UIDVALIDITY 7] valid\nS: $TAG OK [READ-ONLY] selected\n" LOGOUT);
	assert_int_equal(target_rig_append(&s.rig, s.mb, &(struct target_message){
		.uid = 3, .body = bytes_of("C: 3\r\n") }), -1);
	assert_int_equal(s.rig.err.kind, ERR_MAILBOX);
	assert_non_null(strstr(s.rig.err.text, "read only"));
	end(&s);
}

#define ONE "Message-ID: <1@x>\r\n\r\n1\r\n"
#define ONE_SENT "Message-ID: <1@x>\\r\\n\\r\\n1\\r\\n"
#define ONE_ID "S+: Message-ID: <1@x>\\r\\n\\r\\n)\\r\\n\n"

/* The line is lost when all was sent and no answer had come. */
#define SENT_AND_LOST                                                                          \
	BEGIN("UIDPLUS LITERAL+ MULTIAPPEND")                                                  \
	"C: APPEND INBOX" DATE " {24}\n" ASKED(ONE_SENT, "24") END "CUT\n"
#define AGAIN "ACCEPT\n" LOGIN("UIDPLUS LITERAL+ MULTIAPPEND") SELECT(ALL)
#define FOUND(n, uid, size, date)                                                              \
	"S: * " n " FETCH (UID " uid " RFC822.SIZE " size " INTERNALDATE \"" date "\" "            \
	"BODY[HEADER.FIELDS (MESSAGE-ID)] {21}\n" ONE_ID
#define THEN " 1-Feb-2020 03:04:05 +0000"

static void test_what_arrived_though_its_answer_did_not_is_not_sent_again(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, SENT_AND_LOST AGAIN LOOK FOUND("1", "5", "24", THEN) OK
	      "C: UID FETCH 5 (UID BODY.PEEK\\[\\])\n"
	      "S: * 1 FETCH (UID 5 BODY[] {24}\nS+: " ONE_SENT ")\\r\\n\n" OK LOGOUT);
	add(&s, 1, "", ONE);
	commit(&s);
	came_to(&s, 1, OUTCOME_DONE, NULL);
	assert_int_equal(target_rig_outcome(&s.rig, 1)->new_uid, 5);
	end(&s);
}

static void test_what_the_server_keeps_in_other_bytes_is_recognised_if_it_can_only_be_that(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, SENT_AND_LOST AGAIN LOOK FOUND("1", "5", "26", THEN)
	      FOUND("2", "6", "26", " 1-Feb-2020 03:04:06 +0000") OK LOGOUT);
	add(&s, 1, "", ONE);
	commit(&s);
	came_to(&s, 1, OUTCOME_DONE, NULL);
	assert_int_equal(target_rig_outcome(&s.rig, 1)->new_uid, 5);
	assert_non_null(strstr(buf_str(&s.rig.notes), "in other bytes"));
	end(&s);
}

static void test_of_several_that_it_could_be_none_is_taken_and_nothing_sent(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, SENT_AND_LOST AGAIN LOOK FOUND("1", "5", "26", THEN) FOUND("2", "6", "26", THEN) OK
	      LOGOUT);
	add(&s, 1, "", ONE);
	commit(&s);
	came_to(&s, 1, OUTCOME_REFUSED, "not sent again");
	assert_int_equal(target_rig_count(&s.rig, s.mb), 0);
	end(&s);
}

static void test_a_mailbox_that_was_made_anew_under_its_name_is_left_to_the_next_run(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, BEGIN("UIDPLUS LITERAL+")
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("A: 1\\r\\n", "6") END
	      "S: $TAG OK [APPENDUID 7 5] done\n"
	      "C: APPEND INBOX" DATE " {6+}\nC{6}: B: 2\\r\\n\n" END
	      "S: $TAG OK [APPENDUID 8 1] done\n"
	      "C: SELECT INBOX\nS: * 1 EXISTS\nS: * OK [UIDVALIDITY 8] valid\n"
	      "S: * OK [UIDNEXT 2] next\nS: $TAG OK [READ-WRITE] selected\n" LOGOUT);
	add(&s, 1, "", "A: 1\r\n");
	commit(&s);
	add(&s, 2, "", "B: 2\r\n");
	commit(&s);
	came_to(&s, 2, OUTCOME_NO_ANSWER, "made it anew");
	assert_int_equal(target_rig_append(&s.rig, s.mb, &(struct target_message){
		.uid = 3, .body = bytes_of("C: 3\r\n") }), -1);
	assert_int_equal(s.rig.err.kind, ERR_MAILBOX);
	end(&s);
}

/* Bound to it, a later run would change or remove the other message. */
static void test_a_uid_that_was_there_before_is_not_taken_for_that_of_a_new_message(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, BEGIN("UIDPLUS LITERAL+")
	      "C: APPEND INBOX" DATE " {24}\n" ASKED(ONE_SENT, "24") END
	      "S: $TAG OK [APPENDUID 7 3] done\n" LOOK FOUND("4", "5", "24", THEN) OK LOGOUT);
	add(&s, 1, "", ONE);
	commit(&s);
	came_to(&s, 1, OUTCOME_DONE, NULL);
	assert_int_equal(target_rig_outcome(&s.rig, 1)->new_uid, 5);
	end(&s);
}

static void test_of_two_messages_with_one_uid_the_second_counts_only_where_it_is_shown(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, BEGIN("UIDPLUS LITERAL+")
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("A: 1\\r\\n", "6") END
	      "S: $TAG OK [APPENDUID 7 5] done\n"
	      "C: APPEND INBOX" DATE " {6+}\nC{6}: B: 2\\r\\n\n" END
	      "S: $TAG OK [APPENDUID 7 5] done\n"
	      "C(n): NOOP\nC: UID FETCH 6:4294967295 *\nS: $n OK\n" OK LOGOUT);
	add(&s, 1, "", "A: 1\r\n");
	commit(&s);
	add(&s, 2, "", "B: 2\r\n");
	commit(&s);
	came_to(&s, 2, OUTCOME_REFUSED, "does not show it");
	assert_int_equal(target_rig_count(&s.rig, s.mb), 1);
	end(&s);
}

/* Sent because of it, the message would be there twice. */
static void test_a_copy_whose_uid_is_not_told_is_looked_for(void **state)
{
	static const char *const answers[] = { "OK done", "OK [COPYUID 7 5 3] done" };

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		char *script = xasprintf("%s%s%s", BEGIN("UIDPLUS LITERAL+")
			"C: APPEND INBOX" DATE " {24}\n" ASKED(ONE_SENT, "24") END
			"S: $TAG OK [APPENDUID 7 5] done\nC: UID COPY 5 INBOX\nS: $TAG ", answers[i],
			"\nC(n): NOOP\nC: UID FETCH 6:4294967295 *\nS: $n OK\n" FOUND("2", "6", "24", THEN) OK
			"C: UID FETCH 6 (UID BODY.PEEK\\[\\])\n"
			"S: * 2 FETCH (UID 6 BODY[] {24}\nS+: " ONE_SENT ")\\r\\n\n" OK
			"C: UID FETCH 6 (UID FLAGS INTERNALDATE)\n"
			"S: * 2 FETCH (UID 6 FLAGS () INTERNALDATE \"" THEN "\")\n" OK LOGOUT);
		struct maildate date;
		const struct flags flags = FLAGS_INIT;
		struct message as = { .uid = 2, .size = 24, .flags = &flags, .date = &date };
		struct held held = { .uid = 5, .source_uid = 1 };
		enum outcome what = OUTCOME_REFUSED;
		uint32_t uid = 0;
		struct scene s;
		struct err why;

		begin(&s, script);
		add(&s, 1, "", ONE);
		commit(&s);
		held.mailbox = s.mb;
		maildate_init(&date);
		assert_true(maildate_parse(&date, bytes_of(THEN)));
		if (mailbox_copy_as(&held, s.mb, &as, &what, &uid, &why, &s.rig.err) < 0)
			fail_msg("%s", s.rig.err.text);
		assert_int_equal(what, OUTCOME_DONE);
		assert_int_equal(uid, 6);
		maildate_release(&date);
		commit(&s);
		end(&s);
		free(script);
	}
}

static void test_a_server_that_cannot_just_now_is_asked_again(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, BEGIN("UIDPLUS LITERAL+")
	      "C: APPEND INBOX" DATE " {6}\nS: $TAG NO [UNAVAILABLE] busy\n"
	      "C: APPEND INBOX" DATE " {6}\nS: $TAG NO [INUSE] busy\n"
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("A: 1\\r\\n", "6") END
	      "S: $TAG OK [APPENDUID 7 5] done\n" LOGOUT);
	add(&s, 1, "", "A: 1\r\n");
	commit(&s);
	came_to(&s, 1, OUTCOME_DONE, NULL);
	end(&s);
}

#define LOST_AT_A                                                                              \
	"C: APPEND INBOX" DATE " {6}\n" ASKED("A: 1\\r\\n", "6") "C+: " DATE " {6+}\nCUT\nACCEPT\n"  \
	LOGIN("UIDPLUS LITERAL+ MULTIAPPEND") SELECT(ALL) LOOK OK
static void test_a_message_on_which_every_line_is_lost_is_refused_and_the_others_are_not(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, BEGIN("UIDPLUS LITERAL+ MULTIAPPEND") LOST_AT_A LOST_AT_A
	      /* Now each by itself. */
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("A: 1\\r\\n", "6") END
	      "S: $TAG OK [APPENDUID 7 5] done\n"
	      "C: APPEND INBOX" DATE " {6+}\nC{3}: B: \nCUT\nACCEPT\n"
	      LOGIN("UIDPLUS LITERAL+ MULTIAPPEND") SELECT(ALL)
	      "C(n): NOOP\nC: UID FETCH 6:4294967295 *\nS: $n OK\n" OK LOGOUT);
	add(&s, 1, "", "A: 1\r\n");
	add(&s, 2, "", "B: 2\r\n");
	commit(&s);
	came_to(&s, 1, OUTCOME_DONE, NULL);
	came_to(&s, 2, OUTCOME_REFUSED, "the line was lost 3 times");
	end(&s);
}

static void test_all_of_a_flight_that_find_no_mailbox_are_sent_again_once_it_is_made(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, BEGIN("UIDPLUS LITERAL+")
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("A: 1\\r\\n", "6") END
	      "S: $TAG OK [APPENDUID 7 5] done\n"
	      "C(b): APPEND INBOX" DATE " {6+}\nC{6}: B: 2\\r\\n\n" END
	      "C(c): APPEND INBOX" DATE " {6+}\nC{6}: C: 3\\r\\n\n" END
	      "S: $b NO [TRYCREATE] none\nS: $c NO [TRYCREATE] none\n" SELECT(ALL)
	      "C: APPEND INBOX" DATE " {6+}\nC{6}: B: 2\\r\\n\n" END
	      "S: $TAG OK [APPENDUID 7 6] done\n"
	      "C: APPEND INBOX" DATE " {6+}\nC{6}: C: 3\\r\\n\n" END
	      "S: $TAG OK [APPENDUID 7 7] done\n" LOGOUT);
	add(&s, 1, "", "A: 1\r\n");
	commit(&s);
	add(&s, 2, "", "B: 2\r\n");
	add(&s, 3, "", "C: 3\r\n");
	commit(&s);
	came_to(&s, 2, OUTCOME_DONE, NULL);
	came_to(&s, 3, OUTCOME_DONE, NULL);
	end(&s);
}

static volatile int *interrupted;

static void on_alarm(int number)
{
	(void)number;
	*interrupted = 1;
}

/* As by a user, while the server is waited for. */
static void interrupt_soon(struct scene *s)
{
	interrupted = &s->rig.probe.stop;
	signal(SIGALRM, on_alarm);
	ualarm(200000, 0);
}

static void test_who_interrupts_keeps_what_was_answered_and_the_rest_is_looked_for_later(void **state)
{
	struct scene s;
	struct uidset has = UIDSET_INIT;

	(void)state;
	begin(&s, BEGIN("UIDPLUS LITERAL+ MULTIAPPEND")
	      "C: APPEND INBOX" DATE " {6}\n" ASKED("A: 1\\r\\n", "6") END
	      "S: $TAG OK [APPENDUID 7 5] done\n"
	      "C: APPEND INBOX" DATE " {24+}\nC{24}: " ONE_SENT "\n" END "CLOSED\n");
	add(&s, 1, "", "A: 1\r\n");
	commit(&s);
	add(&s, 2, "", ONE);
	interrupt_soon(&s);
	commit(&s);
	came_to(&s, 1, OUTCOME_DONE, NULL);
	came_to(&s, 2, OUTCOME_NO_ANSWER, "interrupted");
	end_run(&s);
	s.rig.probe.stop = 0;
	begin_run(&s, LOGIN("UIDPLUS LITERAL+ MULTIAPPEND")
		  "C: LIST *\nS: * LIST () \"/\" INBOX\n"
		  "S: * STATUS INBOX (MESSAGES 2 UIDNEXT 7 UIDVALIDITY 7)\nS: $TAG OK listed\n"
		  FIRST_SELECT(ALL)
		  "C(n): NOOP\nC: UID FETCH 6:4294967295 *\nS: $n OK\n" FOUND("2", "6", "24", THEN) OK
		  "C: UID FETCH 6 (UID BODY.PEEK\\[\\])\n"
		  "S: * 2 FETCH (UID 6 BODY[] {24}\nS+: " ONE_SENT ")\\r\\n\n" OK LOGOUT);
	target_rig_bound(&s.rig, s.mb, &has);
	assert_int_equal(uidset_count(&has), 2);
	uidset_release(&has);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_a_batch_that_is_refused_only_the_one_message_is),
		cmocka_unit_test(test_flags_that_a_server_refuses_with_bad_cost_no_command_and_no_message),
		cmocka_unit_test(test_after_bad_to_a_literal_that_did_not_wait_the_connection_ends),
		cmocka_unit_test(test_keywords_that_a_mailbox_does_not_keep_are_left_out_and_told_once),
		cmocka_unit_test(test_a_mailbox_that_is_gone_at_the_append_is_made_once),
		cmocka_unit_test(test_a_mailbox_that_takes_nothing_is_left_alone),
		cmocka_unit_test(test_a_mailbox_that_is_only_read_takes_nothing),
		cmocka_unit_test(test_what_arrived_though_its_answer_did_not_is_not_sent_again),
		cmocka_unit_test(test_what_the_server_keeps_in_other_bytes_is_recognised_if_it_can_only_be_that),
		cmocka_unit_test(test_a_mailbox_that_was_made_anew_under_its_name_is_left_to_the_next_run),
		cmocka_unit_test(test_a_uid_that_was_there_before_is_not_taken_for_that_of_a_new_message),
		cmocka_unit_test(test_of_two_messages_with_one_uid_the_second_counts_only_where_it_is_shown),
		cmocka_unit_test(test_a_copy_whose_uid_is_not_told_is_looked_for),
		cmocka_unit_test(test_a_server_that_cannot_just_now_is_asked_again),
		cmocka_unit_test(test_a_message_on_which_every_line_is_lost_is_refused_and_the_others_are_not),
		cmocka_unit_test(test_all_of_a_flight_that_find_no_mailbox_are_sent_again_once_it_is_made),
		cmocka_unit_test(test_who_interrupts_keeps_what_was_answered_and_the_rest_is_looked_for_later),
		cmocka_unit_test(test_of_several_that_it_could_be_none_is_taken_and_nothing_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
