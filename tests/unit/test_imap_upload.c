/*
 * What APPEND can say beyond a plain message, and REPLACE: RFC 6855, RFC 8508, RFC 4469. Their literals
 * always wait, even with LITERAL+.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"
#include "core/imap/commands_message.h"
#include "core/imap/url.h"
#include "core/msgset/uidlist.h"
#include "tests/lib/imap_rig.h"

static struct bytes b(const char *s)
{
	return bytes_of(s);
}

static int read_text(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	struct bytes *left = ctx;

	(void)err;
	*n = left->n < max ? left->n : max;
	if (*n > 3)
		*n = 3; /* in pieces */
	memcpy(p, left->p, *n);
	*left = bytes_skip(*left, *n);
	return 0;
}

static void on_added(void *ctx, const struct imap_append_answer *a, const struct imap_result *r)
{
	struct imap_rig *rig = ctx;

	if (a->known) {
		buf_addf(&rig->log, "%u/", a->uid_validity);
		uidlist_format(a->uids, &rig->log);
		buf_add_byte(&rig->log, ' ');
	} else {
		assert_int_equal(uidlist_count(a->uids), 0);
	}
	if (a->bad_url.p) {
		buf_add_str(&rig->log, "bad-url=");
		buf_add(&rig->log, a->bad_url);
		buf_add_byte(&rig->log, ' ');
	}
	imap_rig_note(ctx, r);
}

static int add(struct imap_rig *rig, struct imap_append_message m)
{
	struct bytes text = b("S: x\r\n\r\n");
	int ret;

	if (!m.parts) {
		m.size = text.n;
		m.read = read_text;
		m.ctx = &text;
	}
	ret = imap_append(rig->session, &(struct imap_append_request){
		.mailbox = b("INBOX"), .messages = &m, .n = 1 }, on_added, rig, &rig->err);
	if (ret == 0)
		imap_rig_drain(rig);
	return ret;
}

/* --- UTF8 --- */

static void test_utf8_headers_need_utf8_enabled_and_wait_for_their_literal(void **state)
{
	const struct imap_append_message message = { .utf8 = true };
	const enum imap_cap utf8 = IMAP_CAP_UTF8_ACCEPT;
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "UTF8=ACCEPT LITERAL+",
		      "C: e ENABLE UTF8=ACCEPT\nS: * ENABLED UTF8=ACCEPT\nS: e OK\n"
		      "C: a APPEND INBOX UTF8 (~{8}\nS: + go\nC= S: x\nC= \nC= )\n"
		      "S: a OK [APPENDUID 7 41]\n"
		      "C: b APPEND INBOX UTF8 (~{8}\nS: + go\nC= S: x\nC= \nC= )\nS: b OK\n"
		      "C: c APPEND INBOX UTF8 (~{8}\nS: c BAD what is UTF8\n"
		      /* A plain one has not been accepted yet. */
		      "C: d APPEND INBOX {8}\nS: + go\nC= S: x\nC= \nC= \nS: d OK\n"
		      "C: f APPEND INBOX {8+}\nC= S: x\nC= \nC= \nS: f OK\n");
	assert_int_equal(add(&rig, message), -1);
	assert_int_equal(rig.err.kind, ERR_CONFIG);
	assert_non_null(strstr(rig.err.text, "UTF8=ACCEPT"));
	assert_int_equal(imap_enable_wait(rig.session, &utf8, 1, &rig.err), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(add(&rig, message), 0);
	imap_rig_expect(&rig, "7/41 ok ok bad ");
	for (int i = 0; i < 2; i++)
		assert_int_equal(add(&rig, (struct imap_append_message){ .utf8 = false }), 0);
	imap_rig_expect(&rig, "ok ok ");
	imap_rig_close(&rig);
}

/* --- REPLACE --- */

static int replace(struct imap_rig *rig, struct imap_replace_request q, const char *text)
{
	struct bytes left = b(text);
	struct flags flags = FLAGS_INIT;
	const struct imap_append_message m = { .size = left.n, .read = read_text, .ctx = &left,
					       .flags = &flags };
	int ret;

	flags_add_list(&flags, b("\\Draft"));
	q.mailbox = b("INBOX");
	q.message = &m;
	ret = imap_replace(rig->session, &q, on_added, rig, &rig->err);
	if (ret == 0)
		imap_rig_drain(rig);
	flags_release(&flags);
	return ret;
}

#define SENT "C: a UID REPLACE 5 INBOX (\\Draft) {8}\nS: + go\nC= S: x\nC= \nC= \n"

static void test_replace_tells_the_uid_of_the_new_message(void **state)
{
	static const struct {
		const char *script, *want;
	} cases[] = {
		{ SENT "S: * OK [UIDNEXT 41] x\nS: * OK [APPENDUID 7 41] there\nS: * OK still here\n"
		       "S: * 10 EXISTS\nS: * 4 EXPUNGE\nS: a OK done\n",
		  "7/41 ok " },
		/* Not as the standard has it, and as clear. */
		{ SENT "S: * 4 EXPUNGE\nS: a OK [APPENDUID 7 41] done\n", "7/41 ok " },
		{ SENT "S: a OK done\n", "ok " },
		/* What cannot be true was not said. */
		{ SENT "S: * OK [APPENDUID 7 41] x\nS: a OK [APPENDUID 7 42] x\n", "ok " },
		{ SENT "S: * OK [APPENDUID 7 41:42] x\nS: a OK done\n", "ok " },
		{ SENT "S: * OK [APPENDUID 0 41] x\nS: a OK done\n", "ok " },
		{ SENT "S: * NO [APPENDUID 7 41] x\nS: a OK done\n", "ok " },
		{ SENT "S: * OK [COPYUID 7 5 41] x\nS: a OK [COPYUID 7 5 41] done\n", "ok " },
		/* The new one is there, the old one stays. */
		{ SENT "S: * OK [APPENDUID 7 41] x\nS: a NO may not expunge\n", "7/41 no " },
		{ SENT "S: a NO [APPENDUID 7 41] refused\n", "no " },
		{ SENT "S: a BAD what\n", "bad " },
		{ "C: a UID REPLACE 5 INBOX (\\Draft) {8}\nS: a NO [NONEXISTENT] no such message\n",
		  "no " },
		{ SENT "S: * OK [APPENDUID 7 41] x\nEND\n", "7/41 lost " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_rig rig;

		imap_rig_open_inbox(&rig, "REPLACE UIDPLUS LITERAL+", false, cases[i].script);
		assert_int_equal(replace(&rig, (struct imap_replace_request){ .number = 5 },
					 "S: x\r\n\r\n"), 0);
		imap_rig_expect(&rig, cases[i].want);
		imap_rig_close(&rig);
	}
}

static void test_replace_never_sends_a_message_before_it_is_asked_for(void **state)
{
	struct flags draft = FLAGS_INIT;
	struct imap_rig rig;

	(void)state;
	flags_add_list(&draft, b("\\Draft"));
	imap_rig_open_inbox(&rig, "REPLACE LITERAL+", false,
			    /* What earns an APPEND trust earns REPLACE none. */
			    "C: x APPEND INBOX (\\Draft) {8}\nS: + go\nC= S: x\nC= \nC= \n"
			    "S: x OK\n" SENT "S: * 9 EXPUNGE\nS: a OK\n"
			    "C: b UID REPLACE 5 INBOX (\\Draft) {8}\nS: + go\nC= S: x\nC= \nC= \n"
			    "S: b OK\nC: c REPLACE 9 INBOX (\\Draft) {8}\nS: + go\n"
			    "C= S: x\nC= \nC= \nS: c OK\n");
	assert_int_equal(add(&rig, (struct imap_append_message){ .flags = &draft }), 0);
	flags_release(&draft);
	assert_int_equal(replace(&rig, (struct imap_replace_request){ .number = 5 },
				 "S: x\r\n\r\n"), 0);
	assert_int_equal(replace(&rig, (struct imap_replace_request){ .number = 5 },
				 "S: x\r\n\r\n"), 0);
	assert_int_equal(replace(&rig, (struct imap_replace_request){
		.number = 9, .numbering = IMAP_NUMBERS }, "S: x\r\n\r\n"), 0);
	imap_rig_expect(&rig, "ok ok ok ok ");
	imap_rig_close(&rig);
}

static void test_a_replace_that_cannot_be_said_is_not_sent(void **state)
{
	const struct imap_replace_request q = { .number = 5 };
	struct imap_rig rig;

	(void)state;
	imap_rig_open_inbox(&rig, "UIDPLUS", false, "");
	assert_int_equal(replace(&rig, q, "x"), -1);
	assert_int_equal(rig.err.kind, ERR_CONFIG);
	assert_non_null(strstr(rig.err.text, "does not offer REPLACE"));
	imap_rig_close(&rig);
	imap_rig_open(&rig, "REPLACE", "");
	assert_int_equal(replace(&rig, q, "x"), -1);
	assert_non_null(strstr(rig.err.text, "no mailbox is selected"));
	imap_rig_close(&rig);
	imap_rig_open_inbox(&rig, "REPLACE APPENDLIMIT=100", false, "");
	assert_int_equal(replace(&rig, (struct imap_replace_request){ .number = 0 }, "x"), -1);
	assert_int_equal(replace(&rig, (struct imap_replace_request){
		.number = 1, .numbering = IMAP_SAVED }, "x"), -1);
	assert_int_equal(replace(&rig, q, ""), -1);
	assert_int_equal(rig.err.kind, ERR_MESSAGE);
	imap_rig_close(&rig);
}

/* It would be refused before the literal was read, and the message's lines were commands. */
static void test_a_replace_is_not_sent_when_its_mailbox_did_not_open(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "REPLACE LITERAL+", "C: s SELECT gone\nS: s NO no\n");
	assert_int_equal(imap_select(rig.session, b("gone"), false, NULL, NULL, &rig.err), 0);
	assert_int_equal(replace(&rig, (struct imap_replace_request){ .number = 5 }, "x"), 0);
	imap_rig_expect(&rig, "lost ");
	imap_rig_close(&rig);
}

/* S11: an APPENDUID that comes untagged is REPLACE's alone. */
static void test_append_takes_no_untagged_code(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "UIDPLUS", "C: a APPEND INBOX {8}\nS: * OK [APPENDUID 7 41] x\nS: + go\n"
		      "C= S: x\nC= \nC= \nS: a OK\n");
	assert_int_equal(add(&rig, (struct imap_append_message){ .utf8 = false }), 0);
	imap_rig_expect(&rig, "ok ");
	imap_rig_close(&rig);
}

/* --- CATENATE --- */

static const struct imap_url whole = { .mailbox = { (const uint8_t *)"Drafts", 6 },
				       .uid_validity = 9, .uid = 20 };
static const struct imap_url header = { .mailbox = { (const uint8_t *)"Entw&APw-rfe", 12 },
					.uid_validity = 9, .uid = 20, .section = "HEADER" };

/* A header that the server has, a text, a message that it has, a text. */
static int catenate(struct imap_rig *rig, bool utf8, bool binary)
{
	struct bytes one = b("hello\r\n"), two = b("end\r\n");
	const struct imap_append_part parts[] = {
		{ .url = &header },
		{ .size = one.n, .read = read_text, .ctx = &one, .binary = binary },
		{ .url = &whole },
		{ .size = two.n, .read = read_text, .ctx = &two },
	};

	return add(rig, (struct imap_append_message){ .parts = parts, .n_parts = 4,
						      .utf8 = utf8 });
}

#define URL_ONE "\"/Entw%C3%BCrfe;UIDVALIDITY=9/;UID=20/;SECTION=HEADER\""
#define URL_TWO "\"/Drafts;UIDVALIDITY=9/;UID=20\""
#define CATENATED "C: a APPEND INBOX CATENATE (URL " URL_ONE " TEXT {7}\nS: + go\nC= hello\n" \
		  "C=  URL " URL_TWO " TEXT {5}\n"

static void test_catenate_names_what_is_there_and_sends_the_rest(void **state)
{
	static const struct {
		const char *script, *want;
	} cases[] = {
		{ CATENATED "S: + go\nC= end\nC= )\nS: a OK [APPENDUID 7 41] x\n", "7/41 ok " },
		{ CATENATED "S: + go\nC= end\nC= )\nS: a OK [APPENDUID 7 41:42] x\n", "ok " },
		{ CATENATED "S: + go\nC= end\nC= )\nS: a NO [BADURL " URL_TWO "] gone\n",
		  "bad-url=" URL_TWO " no " },
		{ CATENATED "S: + go\nC= end\nC= )\nS: a NO [TOOBIG] too big\n", "no " },
		/* Known before all was sent: the rest stays here. */
		{ CATENATED "S: a NO [BADURL " URL_TWO "] gone\n", "bad-url=" URL_TWO " no " },
		{ "C: a APPEND INBOX CATENATE (URL " URL_ONE " TEXT {7}\nS: a BAD what\n", "bad " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf script = BUF_INIT(4096);
		struct imap_rig rig;

		/* The session goes on: nothing of a message was taken for a command. */
		buf_addf(&script, "%sC: n NOOP\nS: n OK\n", cases[i].script);
		imap_rig_open(&rig, "CATENATE UIDPLUS LITERAL+", buf_str(&script));
		assert_int_equal(catenate(&rig, false, false), 0);
		imap_rig_expect(&rig, cases[i].want);
		assert_int_equal(imap_noop_wait(rig.session, &rig.err), 0);
		imap_rig_close(&rig);
		buf_release(&script);
	}
}

static void test_catenate_with_utf8_headers_and_in_a_replace(void **state)
{
	const enum imap_cap utf8 = IMAP_CAP_UTF8_ACCEPT;
	const struct imap_append_part part = { .url = &whole };
	struct imap_rig rig;

	(void)state;
	/* With UTF-8 names the URL's is taken as it is. */
	imap_rig_open(&rig, "CATENATE UTF8=ACCEPT",
		      "C: e ENABLE UTF8=ACCEPT\nS: * ENABLED UTF8=ACCEPT\nS: e OK\n"
		      "C: a APPEND INBOX CATENATE (URL "
		      "\"/Entw%26APw-rfe;UIDVALIDITY=9/;UID=20/;SECTION=HEADER\" UTF8 (~{7}\n"
		      "S: + go\nC= hello\nC= ) URL " URL_TWO " UTF8 (~{5}\nS: + go\nC= end\nC= ))\n"
		      "S: a OK\n");
	assert_int_equal(imap_enable_wait(rig.session, &utf8, 1, &rig.err), 0);
	assert_int_equal(catenate(&rig, true, false), 0);
	imap_rig_expect(&rig, "ok ");
	imap_rig_close(&rig);
	imap_rig_open_inbox(&rig, "CATENATE REPLACE", false,
			    "C: a UID REPLACE 20 Drafts CATENATE (URL " URL_TWO ")\n"
			    "S: * OK [APPENDUID 9 21] x\nS: a OK\n");
	assert_int_equal(imap_replace(rig.session, &(struct imap_replace_request){
		.number = 20, .mailbox = b("Drafts"),
		.message = &(struct imap_append_message){ .parts = &part, .n_parts = 1 } },
		on_added, &rig, &rig.err), 0);
	imap_rig_drain(&rig);
	imap_rig_expect(&rig, "9/21 ok ");
	imap_rig_close(&rig);
}

static void test_a_catenate_that_cannot_be_said_is_not_sent(void **state)
{
	static const struct imap_url stepping = { .mailbox = { (const uint8_t *)"..", 2 },
						  .uid_validity = 9, .uid = 20 };
	struct imap_append_part part = { .url = &stepping };
	struct imap_append_part sized[2] = { { .size = 60, .read = read_text },
					     { .size = 60, .read = read_text } };
	struct imap_append_message m = { .parts = &part, .n_parts = 1 };
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "MULTIAPPEND", "");
	assert_int_equal(catenate(&rig, false, false), -1);
	assert_int_equal(rig.err.kind, ERR_CONFIG);
	assert_non_null(strstr(rig.err.text, "does not offer CATENATE"));
	imap_rig_close(&rig);
	imap_rig_open(&rig, "CATENATE APPENDLIMIT=100", "");
	assert_int_equal(catenate(&rig, false, true), -1);
	assert_non_null(strstr(rig.err.text, "BINARY"));
	assert_int_equal(catenate(&rig, true, false), -1);
	assert_non_null(strstr(rig.err.text, "UTF8=ACCEPT"));
	assert_int_equal(add(&rig, m), -1);
	assert_non_null(strstr(rig.err.text, "no URL can name"));
	m.n_parts = 0;
	assert_int_equal(add(&rig, m), -1);
	m = (struct imap_append_message){ .parts = sized, .n_parts = 2 };
	assert_int_equal(add(&rig, m), -1);
	assert_non_null(strstr(rig.err.text, "has 120 bytes, the server takes 100"));
	sized[1].size = UINT64_MAX;
	assert_int_equal(add(&rig, m), -1);
	sized[1].size = 0;
	assert_int_equal(add(&rig, m), -1);
	imap_rig_close(&rig);
	/* Together 0, if nobody looks. */
	sized[0].size = sized[1].size = UINT64_C(1) << 63;
	imap_rig_open(&rig, "CATENATE APPENDLIMIT=18446744073709551614", "");
	assert_int_equal(add(&rig, m), -1);
	assert_int_equal(rig.err.kind, ERR_MESSAGE);
	imap_rig_close(&rig);
}

static void test_a_url_says_what_it_was_made_of_and_no_more(void **state)
{
	static const struct {
		const char *mailbox, *section;
		bool utf8;
		const char *want; /* NULL: refused */
	} cases[] = {
		{ "INBOX", NULL, false, "/INBOX;UIDVALIDITY=9/;UID=5" },
		{ "INBOX", "", false, "/INBOX;UIDVALIDITY=9/;UID=5" },
		{ "a/b.c", "1.2.MIME", false, "/a/b.c;UIDVALIDITY=9/;UID=5/;SECTION=1.2.MIME" },
		{ "a", "HEADER.FIELDS (TO)", false,
		  "/a;UIDVALIDITY=9/;UID=5/;SECTION=HEADER.FIELDS%20%28TO%29" },
		{ "a/;UID=7", NULL, false, "/a/%3BUID%3D7;UIDVALIDITY=9/;UID=5" },
		{ "a;UIDVALIDITY=1", "1/;PARTIAL=0.1", false,
		  "/a%3BUIDVALIDITY%3D1;UIDVALIDITY=9/;UID=5/;SECTION=1%2F%3BPARTIAL%3D0.1" },
		{ "imap://x@y:1", NULL, false, NULL }, /* an empty component */
		{ "x@y:1?#\"\\", NULL, false, "/x%40y%3A1%3F%23%22%5C;UIDVALIDITY=9/;UID=5" },
		{ "100%41&-", NULL, false, "/100%2541%26;UIDVALIDITY=9/;UID=5" },
		{ "Entw&APw-rfe", NULL, false, "/Entw%C3%BCrfe;UIDVALIDITY=9/;UID=5" },
		{ "Entw\303\274rfe\r\n", NULL, true, "/Entw%C3%BCrfe%0D%0A;UIDVALIDITY=9/;UID=5" },
		{ "a...b/.c", NULL, false, "/a...b/.c;UIDVALIDITY=9/;UID=5" },
		{ "a/..", NULL, false, NULL },
		{ "./a", NULL, false, NULL },
		{ "/a", NULL, false, NULL },
		{ "a/", NULL, false, NULL },
		{ "", NULL, false, NULL },
		{ "a&b", NULL, false, NULL }, /* no modified UTF-7 */
		{ "a\377", NULL, true, NULL },
	};
	struct buf got = BUF_INIT(4096);
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_url url = { .mailbox = b(cases[i].mailbox), .uid_validity = 9,
					.uid = 5, .section = cases[i].section };

		buf_clear(&got);
		assert_int_equal(imap_url_add(&url, cases[i].utf8, &got, &err),
				 cases[i].want ? 0 : -1);
		assert_string_equal(buf_str(&got), cases[i].want ? cases[i].want : "");
		url.uid = 0;
		assert_int_equal(imap_url_add(&url, cases[i].utf8, &got, &err), -1);
		url = (struct imap_url){ .mailbox = url.mailbox, .uid = 5 };
		assert_int_equal(imap_url_add(&url, cases[i].utf8, &got, &err), -1);
	}
	buf_release(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_headers_need_utf8_enabled_and_wait_for_their_literal),
		cmocka_unit_test(test_replace_tells_the_uid_of_the_new_message),
		cmocka_unit_test(test_replace_never_sends_a_message_before_it_is_asked_for),
		cmocka_unit_test(test_a_replace_that_cannot_be_said_is_not_sent),
		cmocka_unit_test(test_a_replace_is_not_sent_when_its_mailbox_did_not_open),
		cmocka_unit_test(test_append_takes_no_untagged_code),
		cmocka_unit_test(test_catenate_names_what_is_there_and_sends_the_rest),
		cmocka_unit_test(test_catenate_with_utf8_headers_and_in_a_replace),
		cmocka_unit_test(test_a_catenate_that_cannot_be_said_is_not_sent),
		cmocka_unit_test(test_a_url_says_what_it_was_made_of_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
