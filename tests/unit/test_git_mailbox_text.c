#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/git/format_text.h"
#include "backends/git/layout.h"
#include "backends/git/mailbox_text.h"
#include "backends/git/quarantine_text.h"
#include "backends/git/tokens_text.h"
#include "core/base/buf.h"
#include "core/base/err.h"

#define COUNTS "live: 4\nbytes: 90\nstored: 3\nknown: 5\nremapped: 1\nkept: 2\nheld: 1\npending: 0\n"
#define NEW "subscribed: no\nagreed: no\n" COUNTS

static int read_in(const char *text, const char *dir, struct mailbox_text *m, struct err *err)
{
	/* A copy of that very size, so that reading past its end is seen. */
	char *copy = bytes_dup(bytes_of(text));
	int ret = mailbox_text_read(bytes_from(copy, strlen(text)), dir, m, err);

	free(copy);
	return ret;
}

static void assert_writes(const struct mailbox_text *m, const char *want)
{
	struct buf text = BUF_INIT(MAILBOX_TEXT_MAX);

	mailbox_text_write(m, &text);
	assert_string_equal(buf_str(&text), want);
	buf_release(&text);
}

static const char full[] = "name: Entw\xc3\xbcrfe/2024\n"
			   "wire: Entw&APw-rfe.2024\n"
			   "delimiter: .\n"
			   "attributes: noselect drafts\n"
			   "subscribed: yes\n"
			   "agreed: yes\n"
			   "uidvalidity: 1720000000\n"
			   "uidnext: 4294967295\n"
			   "messages: 17\n"
			   "highestmodseq: 18446744073709551615\n"
			   "live: 18\nbytes: 987654\nstored: 17\nknown: 19\nremapped: 2\nkept: 5\nheld: 4\npending: 3\n"
			   "known-also: 3,7:9\n"
			   "known-not: 4294967295\n"
			   "mailboxid: F1\n"
			   "colour: a: b \xc3\xa4\n";
static const char full_dir[] = "Entw\xc3\xbcrfe%2F2024";

static void test_a_mailbox_file_says_all_of_a_mailbox(void **state)
{
	struct mailbox_text m, copy;
	struct err err;

	(void)state;
	mailbox_text_init(&m);
	mailbox_text_init(&copy);
	assert_int_equal(read_in(full, full_dir, &m, &err), 0);
	assert_int_equal(m.name.count, 2);
	assert_string_equal(m.name.components[0], "Entw\xc3\xbcrfe");
	assert_true(bytes_is(m.name.wire, "Entw&APw-rfe.2024"));
	assert_int_equal(m.name.delimiter, '.');
	assert_false(m.name.utf8);
	assert_int_equal(m.attributes, MAILBOX_NOSELECT | MAILBOX_DRAFTS | MAILBOX_SUBSCRIBED);
	assert_true(m.token.known);
	assert_int_equal(m.token.uidvalidity, 1720000000);
	assert_int_equal(m.token.uidnext, UINT32_MAX);
	assert_int_equal(m.token.messages, 17);
	assert_true(m.token.highestmodseq == UINT64_MAX);
	assert_int_equal(m.live, 18);
	assert_int_equal(m.bytes, 987654);
	assert_int_equal(m.known, 19);
	assert_int_equal(m.stored, 17);
	assert_int_equal(m.remapped, 2);
	assert_int_equal(m.kept, 5);
	assert_int_equal(m.held, 4);
	assert_int_equal(m.pending, 3);
	assert_int_equal(uidset_count(&m.known_also), 4);
	assert_true(uidset_has(&m.known_not, UINT32_MAX));
	assert_writes(&m, full);
	mailbox_text_copy(&copy, &m);
	mailbox_text_release(&m);
	assert_writes(&copy, full);
	mailbox_text_release(&copy);
}

static void test_the_same_content_gives_the_same_bytes(void **state)
{
	static const struct {
		const char *given, *written; /* written NULL: as given */
	} cases[] = {
		{ "name: INBOX\n" NEW, NULL },
		/* Any order is read. What we do not know comes last, in its order. */
		{ "z: 1\npending: 0\nheld: 1\na: 2\nkept: 2\nknown: 5\nremapped: 1\nbytes: 90\nstored: 3\nlive: 4\n"
		  "agreed: no\nsubscribed: no\nname: INBOX\n",
		  "name: INBOX\n" NEW "z: 1\na: 2\n" },
		{ "name: INBOX\nattributes: trash important noselect x-1\n" NEW,
		  "name: INBOX\nattributes: noselect trash important x-1\n" NEW },
		{ "name: INBOX\n" NEW "known-also: 9,1:3,4\nknown-not: 7:6\n",
		  "name: INBOX\n" NEW "known-also: 1:4,9\nknown-not: 6:7\n" },
		{ "name: INBOX\nmailboxid: F2212ea87-6097\n" NEW,
		  "name: INBOX\n" NEW "mailboxid: F2212ea87-6097\n" },
		{ "name: INBOX\nwire: in%62ox\ndelimiter: NIL\nutf8: no\n" NEW,
		  "name: INBOX\nwire: inbox\ndelimiter: NIL\n" NEW },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mailbox_text m;
		struct err err;

		mailbox_text_init(&m);
		if (read_in(cases[i].given, "INBOX", &m, &err) < 0)
			fail_msg("%s: %s", cases[i].given, err.text);
		assert_writes(&m, cases[i].written ? cases[i].written : cases[i].given);
		mailbox_text_release(&m);
	}
}

static void test_every_name_comes_back_as_the_server_spells_it(void **state)
{
	static const struct {
		struct bytes wire;
		uint8_t delimiter;
		bool utf8;
	} cases[] = {
		{ { (const uint8_t *)"INBOX", 5 }, '/', false },
		{ { (const uint8_t *)"inBOX", 5 }, '/', false },
		{ { (const uint8_t *)"", 0 }, 0, false },
		{ { (const uint8_t *)"a%b/c", 5 }, '/', false },
		{ { (const uint8_t *)"a/b", 3 }, '.', false },
		{ { (const uint8_t *)"a%2Fb", 5 }, '%', true },
		{ { (const uint8_t *)"a b ", 4 }, ' ', false },
		{ { (const uint8_t *)" ", 1 }, 0, false },
		{ { (const uint8_t *)"a\nb\0c\r", 6 }, '\n', false },
		{ { (const uint8_t *)"\xff\xfe&Jjo-", 7 }, 0xfe, false },
		{ { (const uint8_t *)"\xc3\xa4.\xe2\x80\x8c.git", 10 }, '.', true },
		{ { (const uint8_t *)"../.git\\x~1", 11 }, '\\', false },
		{ { (const uint8_t *)"&bad", 4 }, '\x01', false },
		{ { (const uint8_t *)"name: x", 7 }, ':', false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mailbox_text m, again;
		struct buf text = BUF_INIT(10000);
		char dir[LAYOUT_DIR_SIZE];
		struct err err;

		mailbox_text_init(&m);
		mailbox_text_init(&again);
		mailbox_name_from_wire(&m.name, cases[i].wire, cases[i].delimiter, cases[i].utf8);
		mailbox_text_write(&m, &text);
		layout_dir(&m.name, dir);
		if (mailbox_text_read(buf_bytes(&text), dir, &again, &err) < 0)
			fail_msg("%s: %s", buf_str(&text), err.text);
		assert_true(mailbox_name_equal(&m.name, &again.name));
		assert_true(again.name.wire.p != NULL);
		assert_true(bytes_equal(again.name.wire, cases[i].wire));
		assert_int_equal(again.name.delimiter, cases[i].delimiter);
		assert_int_equal(again.name.utf8, cases[i].utf8);
		assert_writes(&again, buf_str(&text));
		mailbox_text_release(&m);
		mailbox_text_release(&again);
		buf_release(&text);
	}
}

static void test_a_mapped_name_comes_back_with_what_it_was(void **state)
{
	static const char text[] = "name: Sent\nwire: INBOX.Gesendet\ndelimiter: .\n" NEW;
	struct mailbox_name source = MAILBOX_NAME_INIT;
	struct mailbox_text m;
	struct err err;
	char *was;

	(void)state;
	mailbox_text_init(&m);
	assert_int_equal(read_in(text, "Sent", &m, &err), 0);
	assert_string_equal(m.name.components[0], "Sent");
	mailbox_name_source(&source, &m.name);
	was = mailbox_name_text(&source);
	assert_string_equal(was, "INBOX/Gesendet");
	assert_writes(&m, text);
	free(was);
	mailbox_name_release(&source);
	mailbox_text_release(&m);
}

static void test_a_name_no_server_gave_has_no_wire_form(void **state)
{
	struct mailbox_text m;
	struct err err;

	(void)state;
	mailbox_text_init(&m);
	assert_int_equal(read_in("name: a%2Fb/c\n" NEW, "a%252Fb%2Fc", &m, &err), 0);
	assert_int_equal(m.name.count, 2);
	assert_string_equal(m.name.components[0], "a/b");
	assert_null(m.name.wire.p);
	assert_writes(&m, "name: a%2Fb/c\n" NEW);
	mailbox_text_release(&m);
}

static void test_a_bad_mailbox_file_is_refused_with_the_line(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", "no line `name:`" },
		{ "name: INBOX", "line 1: the text ends in the middle of a line: \"name: INBOX\"" },
		{ NEW, "no line `name:`" },
		{ "name: INBOX\n", "no line `subscribed:`" },
		{ "name: INBOX\nsubscribed: no\n" COUNTS, "no line `agreed:`" },
		{ "name: INBOX\nsubscribed: no\nagreed: no\n", "no line `live:`" },
		{ "name: INBOX\n\n" NEW, "line 2: not a line `key: value`: \"\"" },
		{ "name: INBOX\nrubbish\n" NEW, "line 2: not a line `key: value`" },
		{ "name: INBOX\nRubbish: x\n" NEW, "line 2: not a line `key: value`" },
		{ "name: INBOX\nx:y\n" NEW, "line 2: not a line `key: value`" },
		{ "name: INBOX\n: y\n" NEW, "line 2: not a line `key: value`" },
		{ "name: INBOX\r\n" NEW, "line 1: holds a control byte: \"name: INBOX\\x0D\"" },
		{ "name: INBOX\nx: \x1b[2J\n" NEW, "line 2: holds a control byte" },
		{ "name: INBOX\nname: INBOX\n" NEW, "line 2: a second line of its kind" },
		/* Names. */
		{ "name: inbox\n" NEW, "line 1: not how this mailbox is named: \"inbox\"" },
		{ "name: IN%42OX\n" NEW, "line 1: not how this mailbox is named" },
		{ "name: \xff\n" NEW, "line 1: not the name of a mailbox: \"\\xFF\"" },
		{ "name: a%00\n" NEW, "line 1: not the name of a mailbox" },
		{ "name: Work\n" NEW,
		  "line 1: a mailbox that belongs in another directory: \"Work\"" },
		{ "name: Work\nwire: INBOX\ndelimiter: /\n" NEW, "line 1: a mailbox that belongs in" },
		{ "name: INBOX\nwire: INBOX\n" NEW, "no line `delimiter:`" },
		{ "name: INBOX\ndelimiter: /\n" NEW, "no line `wire:`" },
		{ "name: INBOX\nutf8: yes\n" NEW, "no line `wire:`" },
		{ "name: INBOX\nwire: INBO%5\ndelimiter: /\n" NEW,
		  "line 2: not escaped as it should" },
		{ "name: INBOX\nwire: INBOX\ndelimiter: //\n" NEW,
		  "line 3: neither one character" },
		{ "name: INBOX\nwire: INBOX\ndelimiter: \n" NEW, "line 3: neither one character" },
		{ "name: INBOX\nwire: INBOX\ndelimiter: %00\n" NEW,
		  "line 3: neither one character" },
		{ "name: INBOX\nwire: INBOX\ndelimiter: nil\n" NEW,
		  "line 3: neither one character" },
		{ "name: INBOX\nwire: INBOX\ndelimiter: /\nutf8: maybe\n" NEW,
		  "line 4: neither `yes`" },
		/* The rest. */
		{ "name: INBOX\nattributes: \n" NEW, "line 2: not words with a space between" },
		{ "name: INBOX\nattributes: sent  junk\n" NEW, "line 2: not words" },
		{ "name: INBOX\nattributes: \\Sent\n" NEW, "line 2: not words" },
		{ "name: INBOX\nsubscribed: 1\nagreed: no\n" COUNTS,
		  "line 2: neither `yes` nor `no`" },
		{ "name: INBOX\nsubscribed: no\nagreed: \n" COUNTS,
		  "line 3: neither `yes` nor `no`" },
		{ "name: INBOX\nsubscribed: no\nagreed: yes\n" COUNTS, "no line `uidvalidity:`" },
		{ "name: INBOX\nuidnext: 4\n" NEW, "line 2: stands where nothing was agreed" },
		{ "name: INBOX\nsubscribed: no\nagreed: yes\nuidvalidity: 4294967296\n" COUNTS,
		  "line 4: not a number it can be: \"4294967296\"" },
		{ "name: INBOX\nsubscribed: no\nagreed: no\nlive: -1\n", "line 4: not a number" },
		{ "name: INBOX\nsubscribed: no\nagreed: no\nlive: 01\n", "line 4: not a number" },
		{ "name: INBOX\nsubscribed: no\nagreed: no\nlive: 1 \n", "line 4: not a number" },
		{ "name: INBOX\nsubscribed: no\nagreed: no\nlive: 18446744073709551616\n",
		  "line 4: not a number" },
		{ "name: INBOX\nknown-also: \n" NEW, "line 2: not a set of UIDs" },
		{ "name: INBOX\nknown-also: 1:*\n" NEW, "line 2: not a set of UIDs" },
		{ "name: INBOX\nmailboxid: a b\n" NEW, "line 2: not what a server can call a mailbox" },
		{ "name: INBOX\nknown-not: 0\n" NEW, "line 2: not a set of UIDs: \"0\"" },
	};
	struct mailbox_text m;
	struct err err;

	(void)state;
	mailbox_text_init(&m);
	assert_int_equal(read_in(full, full_dir, &m, &err), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (read_in(cases[i].text, "INBOX", &m, &err) == 0)
			fail_msg("taken: %s", cases[i].text);
		assert_int_equal(err.kind, ERR_FATAL);
		if (strncmp(err.text, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("%s: %s", cases[i].text, err.text);
	}
	/* What was there before is still there. */
	assert_writes(&m, full);
	mailbox_text_release(&m);
}

static void test_a_token_that_only_went_on_is_no_change(void **state)
{
	struct mailbox_text a, b;
	struct err err;

	(void)state;
	mailbox_text_init(&a);
	mailbox_text_init(&b);
	assert_int_equal(read_in(full, full_dir, &a, &err), 0);
	mailbox_text_copy(&b, &a);
	assert_true(mailbox_text_same_but_token(&a, &b));
	b.token.uidnext = 7;
	b.token.messages = 7;
	b.token.highestmodseq = 7;
	assert_true(mailbox_text_same_but_token(&a, &b));
	b.token.uidvalidity = 7;
	assert_false(mailbox_text_same_but_token(&a, &b));
	b.token = (struct token){ 0 };
	assert_false(mailbox_text_same_but_token(&a, &b));
	mailbox_text_copy(&b, &a);
	b.live++;
	assert_false(mailbox_text_same_but_token(&a, &b));
	mailbox_text_copy(&b, &a);
	uidset_add(&b.known_not, 5);
	assert_false(mailbox_text_same_but_token(&a, &b));
	mailbox_text_copy(&b, &a);
	b.attributes ^= MAILBOX_SUBSCRIBED;
	assert_false(mailbox_text_same_but_token(&a, &b));
	mailbox_text_release(&a);
	mailbox_text_release(&b);
}

static void test_quarantine_comes_back(void **state)
{
	static char reason[] = "NO \"100%\"\n\x1b \xc3\xa4", none[] = "";
	struct quarantined given[] = {
		{ .uid = 1, .reason = none, .since = INT64_MIN },
		{ .uid = 2, .size = UINT64_MAX, .reason = reason, .since = 1720000000,
		  .attempts = UINT32_MAX, .last = INT64_MAX, .accepted = true },
		{ .uid = UINT32_MAX, .size = 1, .reason = NULL, .since = -1, .attempts = 1,
		  .last = -2 },
	};
	struct buf text = BUF_INIT(1000), again = BUF_INIT(1000);
	struct quarantined *got = NULL;
	struct err err;
	size_t n = 7;

	(void)state;
	quarantine_text_write(given, 3, &text);
	assert_string_equal(buf_str(&text),
			    "1 0 -9223372036854775808 0 0 pending \n"
			    "2 18446744073709551615 1720000000 4294967295 9223372036854775807 accepted "
			    "NO \"100%25\"%0A%1B \xc3\xa4\n"
			    "4294967295 1 -1 1 -2 pending \n");
	assert_int_equal(quarantine_text_read(buf_bytes(&text), &got, &n, &err), 0);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(got[i].uid, given[i].uid);
		assert_true(got[i].size == given[i].size);
		assert_true(got[i].since == given[i].since);
		assert_int_equal(got[i].attempts, given[i].attempts);
		assert_true(got[i].last == given[i].last);
		assert_int_equal(got[i].accepted, given[i].accepted);
	}
	assert_string_equal(got[1].reason, reason);
	assert_string_equal(got[2].reason, "");
	quarantine_text_write(got, n, &again);
	assert_string_equal(buf_str(&again), buf_str(&text));
	quarantine_free(got, n);
	assert_int_equal(quarantine_text_read(bytes_of(""), &got, &n, &err), 0);
	assert_int_equal(n, 0);
	quarantine_free(got, n);
	buf_release(&text);
	buf_release(&again);
}

static void test_a_quarantine_of_before_last_attempts_were_written_is_read(void **state)
{
	struct quarantined *v;
	struct err err;
	size_t n;

	(void)state;
	assert_int_equal(quarantine_text_read(bytes_of("1 2 3 4 pending x\n7 0 3 1 accepted y\n"),
					      &v, &n, &err),
			 0);
	assert_int_equal(n, 2);
	assert_int_equal(v[0].attempts, 4);
	assert_int_equal(v[0].last, 0);
	assert_string_equal(v[0].reason, "x");
	assert_true(v[1].accepted);
	quarantine_free(v, n);
}

static void test_a_bad_quarantine_line_is_named_by_its_number(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "1 2 3 4 pending x", "line 1: the text ends in the middle of a line" },
		{ "\n", "line 1: does not begin with a UID" },
		{ "0 2 3 4 pending x\n", "line 1: does not begin with a UID" },
		{ "1 x 3 4 pending x\n", "line 1: not size, time and attempts" },
		{ "1 2 -0 4 pending x\n", "line 1: not size, time and attempts" },
		{ "1 2 9223372036854775808 4 pending x\n", "line 1: not size, time and attempts" },
		{ "1 2 -9223372036854775809 4 pending x\n", "line 1: not size, time and attempts" },
		{ "1 2 3 4294967296 pending x\n", "line 1: not size, time and attempts" },
		{ "1 2 3\n", "line 1: not size, time and attempts" },
		{ "1 2 3 4 waiting x\n", "line 1: neither `accepted` nor `pending`" },
		{ "1 2 3 4 5 6 pending x\n", "line 1: neither `accepted` nor `pending`" },
		{ "1 2 3 4 5pending x\n", "line 1: no blank after the time" },
		{ "1 2 3 4 -0 pending x\n", "line 1: neither `accepted` nor `pending`" },
		{ "1 2 3 4 pending\n", "line 1: neither `accepted` nor `pending`" },
		{ "1 2 3 4 pending 100%\n", "line 1: its reason is not escaped" },
		{ "1 2 3 4 pending a%00b\n", "line 1: its reason is not escaped" },
		{ "1 2 3 4 pending a\tb\n", "line 1: its reason is not escaped" },
		{ "1 2 3 4 pending x\n1 2 3 4 pending x\n", "line 2: its UID is out of place" },
		{ "2 2 3 4 pending x\n1 2 3 4 pending x\n", "line 2: its UID is out of place" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quarantined *v;
		struct err err;
		size_t n;

		if (quarantine_text_read(bytes_of(cases[i].text), &v, &n, &err) == 0)
			fail_msg("taken: %s", cases[i].text);
		assert_int_equal(err.kind, ERR_FATAL);
		if (strncmp(err.text, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

#define UUID "01234567-89ab-4def-8123-456789abcdef"
#define HEAD "mailcask archive\nversion 1\n"

static void test_format_tells_ours_from_newer_foreign_and_damaged(void **state)
{
	static const struct {
		const char *text;
		enum format_result result;
		const char *error;
	} cases[] = {
		{ HEAD "uuid " UUID "\naccount anna@example.org\n", FORMAT_OURS, NULL },
		{ HEAD "uuid " UUID "\n", FORMAT_OURS, NULL },
		{ HEAD "uuid " UUID "\naccount a%25%0Ab c\nx-1 y z\nw \n", FORMAT_OURS, NULL },
		{ "mailcask archive\nversion 2\nwhatever\x01", FORMAT_NEWER, NULL },
		{ "mailcask archive\nversion 4294967295\n", FORMAT_NEWER, NULL },
		{ "", FORMAT_FOREIGN, NULL },
		{ "mailcask archive", FORMAT_FOREIGN, NULL },
		{ "mailcask archives\nversion 1\n", FORMAT_FOREIGN, NULL },
		{ "# README\n", FORMAT_FOREIGN, NULL },
		{ "mailcask archive\n", FORMAT_DAMAGED, "line 2: not a version: \"\"" },
		{ "mailcask archive\nversion x\n", FORMAT_DAMAGED, "line 2: not a version" },
		{ "mailcask archive\nversion 0\n", FORMAT_DAMAGED, "line 2: not a version" },
		{ "mailcask archive\nversion 4294967296\n", FORMAT_DAMAGED,
		  "line 2: not a version" },
		{ "mailcask archive\nversion 1", FORMAT_DAMAGED, "line 3: the text ends" },
		{ HEAD, FORMAT_DAMAGED, "no line `uuid`" },
		{ HEAD "uuid " UUID, FORMAT_DAMAGED, "line 3: the text ends" },
		{ HEAD "uuid \n", FORMAT_DAMAGED, "line 3: not a UUID" },
		{ HEAD "uuid " UUID "0\n", FORMAT_DAMAGED, "line 3: not a UUID" },
		{ HEAD "uuid 0123456g-89ab-4def-8123-456789abcdef\n", FORMAT_DAMAGED,
		  "line 3: not a UUID" },
		{ HEAD "uuid 01234567089ab-4def-8123-456789abcdef\n", FORMAT_DAMAGED,
		  "line 3: not a UUID" },
		{ HEAD "uuid " UUID "\nuuid " UUID "\n", FORMAT_DAMAGED, "line 4: a second UUID" },
		{ HEAD "uuid " UUID "\nversion 1\n", FORMAT_DAMAGED, "line 4: a second version" },
		{ HEAD "uuid " UUID "\naccount a\naccount a\n", FORMAT_DAMAGED,
		  "line 5: a second account" },
		{ HEAD "uuid " UUID "\naccount 100%\n", FORMAT_DAMAGED, "line 4: not escaped" },
		{ HEAD "uuid " UUID "\naccount %00\n", FORMAT_DAMAGED, "line 4: not escaped" },
		{ HEAD "uuid " UUID "\n\n", FORMAT_DAMAGED, "line 4: not a key and a value" },
		{ HEAD "uuid " UUID "\nX y\n", FORMAT_DAMAGED, "line 4: not a key and a value" },
	};
	struct format_text f;

	(void)state;
	format_text_init(&f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text = BUF_INIT(FORMAT_TEXT_MAX);
		struct err err = { 0 };

		if (format_text_read(bytes_of(cases[i].text), &f, &err) != cases[i].result)
			fail_msg("%s: %s", cases[i].text, err.text);
		if (cases[i].error) {
			assert_int_equal(err.kind, ERR_FATAL);
			if (strncmp(err.text, cases[i].error, strlen(cases[i].error)) != 0)
				fail_msg("%s: %s", cases[i].text, err.text);
		}
		format_text_write(&f, &text);
		if (cases[i].result == FORMAT_OURS)
			assert_string_equal(buf_str(&text), cases[i].text);
		buf_release(&text);
	}
	format_text_read(bytes_of(cases[2].text), &f, NULL);
	assert_string_equal(f.uuid, UUID);
	assert_string_equal(f.account, "a%\nb c");
	format_text_read(bytes_of(cases[3].text), &f, NULL);
	assert_int_equal(f.version, 2);
	assert_null(f.account);
	format_text_release(&f);
}

static const uint8_t tip[LAYOUT_ID_SIZE] = { 0xab, 1, 2, 3 }, other_tip[LAYOUT_ID_SIZE] = { 0xab };

static void add_tokens(struct buf *out)
{
	tokens_begin(out, tip);
	tokens_add(out, "INBOX", bytes_of("name: INBOX\n"));
	tokens_add(out, "a b", bytes_of(""));
	tokens_add(out, "a b%2Fc", bytes_of("mailbox 5 x\nsum 00\n\n"));
	tokens_end(out);
}

static void test_tokens_come_back_for_their_tip_only(void **state)
{
	static const char *const dirs[] = { "INBOX", "a b", "a b%2Fc" };
	static const char *const texts[] = { "name: INBOX\n", "", "mailbox 5 x\nsum 00\n\n" };
	struct buf text = BUF_INIT(TOKENS_TEXT_MAX);
	struct tokens_reader r;
	struct bytes dir, mailbox;
	size_t n = 0;

	(void)state;
	add_tokens(&text);
	assert_false(tokens_reader_init(&r, buf_bytes(&text), other_tip));
	assert_false(tokens_next(&r, &dir, &mailbox));
	assert_true(tokens_reader_init(&r, buf_bytes(&text), tip));
	for (; tokens_next(&r, &dir, &mailbox); n++) {
		assert_true(bytes_is(dir, dirs[n]));
		assert_true(bytes_is(mailbox, texts[n]));
	}
	assert_int_equal(n, 3);
	buf_clear(&text);
	tokens_begin(&text, tip);
	tokens_end(&text);
	assert_true(tokens_reader_init(&r, buf_bytes(&text), tip));
	assert_false(tokens_next(&r, &dir, &mailbox));
	buf_release(&text);
}

static void test_damaged_tokens_are_as_none(void **state)
{
	struct buf text = BUF_INIT(TOKENS_TEXT_MAX);
	struct tokens_reader r;

	(void)state;
	add_tokens(&text);
	for (size_t i = 0; i < text.n; i++) {
		char *cut = bytes_dup(bytes_from(text.p, i));

		assert_false(tokens_reader_init(&r, bytes_from(cut, i), tip));
		free(cut);
		text.p[i] ^= 1;
		assert_false(tokens_reader_init(&r, buf_bytes(&text), tip));
		text.p[i] ^= 1;
	}
	assert_true(tokens_reader_init(&r, buf_bytes(&text), tip));
	buf_add_byte(&text, '\n');
	assert_false(tokens_reader_init(&r, buf_bytes(&text), tip));
	buf_release(&text);
}

/* With a sum that is right. */
static void test_forged_tokens_are_as_none(void **state)
{
	static const char *const bodies[] = {
		"x\n",
		"mailbox 1 a\n",
		"mailbox 2 a\nx",
		"mailbox 99999999999999999999 a\nx",
		"mailbox 18446744073709551615 a\nx",
		"mailbox -1 a\nx",
		"mailbox 1 a",
		"mailbox 1 b\nxmailbox 1 a\nx",
		"mailbox 1 a\nxmailbox 1 a\nx",
		"mailbox 1 \nx",
		"mailbox 1 a\x01\nx",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct buf text = BUF_INIT(TOKENS_TEXT_MAX);
		struct tokens_reader r;

		tokens_begin(&text, tip);
		buf_add_str(&text, bodies[i]);
		tokens_end(&text);
		if (tokens_reader_init(&r, buf_bytes(&text), tip))
			fail_msg("taken: %s", bodies[i]);
		buf_release(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_mailbox_file_says_all_of_a_mailbox),
		cmocka_unit_test(test_the_same_content_gives_the_same_bytes),
		cmocka_unit_test(test_every_name_comes_back_as_the_server_spells_it),
		cmocka_unit_test(test_a_mapped_name_comes_back_with_what_it_was),
		cmocka_unit_test(test_a_name_no_server_gave_has_no_wire_form),
		cmocka_unit_test(test_a_bad_mailbox_file_is_refused_with_the_line),
		cmocka_unit_test(test_a_token_that_only_went_on_is_no_change),
		cmocka_unit_test(test_quarantine_comes_back),
		cmocka_unit_test(test_a_quarantine_of_before_last_attempts_were_written_is_read),
		cmocka_unit_test(test_a_bad_quarantine_line_is_named_by_its_number),
		cmocka_unit_test(test_format_tells_ours_from_newer_foreign_and_damaged),
		cmocka_unit_test(test_tokens_come_back_for_their_tip_only),
		cmocka_unit_test(test_damaged_tokens_are_as_none),
		cmocka_unit_test(test_forged_tokens_are_as_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
