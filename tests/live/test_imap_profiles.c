/*
 * Servers that can do less, or other things: Dovecot with a capability list of its own each. It
 * still understands what it hides, so each test also looks at the wire: nothing may be there that
 * the server did not offer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/imap_tour.h"
#include "tests/lib/relay.h"

/* What is said on the wire only to a server that offered one of the words. */
static const struct {
	const char *said;
	const char *words[3];
} gated[] = {
	{ "QRESYNC", { "QRESYNC" } },
	{ "VANISHED", { "QRESYNC" } },
	{ "CONDSTORE", { "CONDSTORE", "QRESYNC" } },
	{ "MODSEQ", { "CONDSTORE", "QRESYNC" } },
	{ "CHANGEDSINCE", { "CONDSTORE", "QRESYNC" } },
	{ "ENABLE ", { "ENABLE" } },
	{ "SEARCH RETURN", { "ESEARCH" } },
	{ "RETURN (STATUS", { "LIST-STATUS" } },
	{ "LIST (", { "LIST-EXTENDED" } },
	{ "SUBSCRIBED", { "LIST-EXTENDED" } },
	{ "SPECIAL-USE", { "SPECIAL-USE" } },
	{ "UNSELECT", { "UNSELECT" } },
	{ "NAMESPACE", { "NAMESPACE" } },
	{ "ID (", { "ID" } },
	{ "IDLE", { "IDLE" } },
	{ "NOTIFY", { "NOTIFY" } },
	{ "COMPRESS", { "COMPRESS=DEFLATE" } },
	{ "UID EXPUNGE", { "UIDPLUS" } },
	{ "UID MOVE", { "MOVE" } },
	{ "MAILBOXID", { "OBJECTID" } },
	{ "EMAILID", { "OBJECTID" } },
	{ "BINARY", { "BINARY" } },
	{ "PREVIEW", { "PREVIEW" } },
	{ "SAVEDATE", { "SAVEDATE" } },
	{ "+}", { "LITERAL+", "LITERAL-" } },
	{ "APPENDLIMIT", { "APPENDLIMIT" } }, /* not with a limit for all */
	{ " SIZE", { "STATUS=SIZE" } },
};

static bool offers(const char *capability, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = capability; (p = strstr(p, word)); p += n)
		if ((p == capability || p[-1] == ' ') && (!p[n] || p[n] == ' '))
			return true;
	return false;
}

static bool may_say(const char *capability, const char *const words[3])
{
	for (int i = 0; i < 3 && words[i]; i++)
		if (offers(capability, words[i]))
			return true;
	return false;
}

static void assert_only_what_is_offered(const struct relay *relay, const char *capability)
{
	struct buf said = BUF_INIT(1 << 22);
	char *save = NULL;

	relay_commands(relay, &said);
	for (char *l = strtok_r((char *)said.p, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		for (size_t i = 0; i < sizeof(gated) / sizeof(gated[0]); i++)
			if (strstr(l, gated[i].said) && !may_say(capability, gated[i].words))
				fail_msg("said to a server with %s: %s", capability, l);
	}
	buf_release(&said);
}

/* --- the program --- */

static void fill(struct oracle *o)
{
	static const struct oracle_new mail[] = {
		{ "\\Seen", " 1-Feb-2020 03:04:05 +0000", { (const uint8_t *)"A: b\r\n\r\none\r\n", 13 } },
		{ "$Forwarded", NULL, { (const uint8_t *)"A: b\r\n\r\ntwo\n", 12 } },
		{ "", NULL, { (const uint8_t *)"A: b\r\n\r\nthree", 13 } },
	};

	oracle_append(o, "INBOX", mail, 3);
	oracle_create(o, "Work/R&AOk-sum&AOk-");
	oracle_append(o, "Work/R&AOk-sum&AOk-", mail, 2);
	oracle_create(o, "empty");
}

static void change(struct oracle *o)
{
	static const struct oracle_new more = {
		"\\Answered", NULL, { (const uint8_t *)"A: b\r\n\r\nfour\r\n", 14 } };

	oracle_append(o, "INBOX", &more, 1);
	oracle_store(o, "INBOX", "1", "-FLAGS", "\\Seen");
	oracle_store(o, "INBOX", "3", "+FLAGS", "\\Flagged Later");
	oracle_expunge(o, "INBOX", "2");
	oracle_append(o, "empty", &more, 1);
}

static void backs_up(const struct dovecot *server, const char *capability)
{
	struct relay *relay = relay_start(&(struct relay_opts){ .port = server->port });
	struct oracle *o = oracle_open(server->port, "alice");
	struct backup b;

	backup_init(&b, &(struct backup_config){ .port = relay_port(relay),
						 .account = offers(capability, "COMPRESS=DEFLATE") ?
							"compress = no\n" : "compress = yes\n",
						 .job = "max_delete = 100\nflag_check = 0s\n" });
	fill(o);
	backup_ends_with(&b, 0, "");
	archive_equals(b.root, o);
	change(o);
	backup_ends_with(&b, 0, "");
	archive_equals(b.root, o);
	backup_idle(&b);
	assert_only_what_is_offered(relay, capability);
	backup_release(&b);
	oracle_close(o);
	relay_stop(relay);
}

/* --- the layer below: whatever is asked for, only what the server knows is sent --- */

static void reads(const struct dovecot *server, const char *capability)
{
	bool condstore = offers(capability, "CONDSTORE") || offers(capability, "QRESYNC");
	struct relay *relay = relay_start(&(struct relay_opts){ .port = server->port });
	struct imap_tour t;

	imap_tour(relay_port(relay), "alice", &t);
	assert_int_equal(t.mailboxes, 4); /* INBOX, Work, its child, empty */
	assert_int_equal(t.status_messages, 3);
	assert_int_equal(t.exists, 3);
	assert_int_equal(t.uid_next, 5);
	assert_true(t.uid_validity);
	assert_int_equal(t.found, 3);
	assert_int_equal(t.seen, 0);
	assert_int_equal(t.fetched, 3);
	assert_int_equal(t.with_modseq, condstore ? 3 : 0);
	assert_int_equal(t.with_email_id, 0);
	/* With CHANGEDSINCE nothing is new; without it all flags come. */
	assert_int_equal(t.changed, condstore ? 0 : 3);
	assert_int_equal(t.has_id, offers(capability, "ID"));
	assert_int_equal(t.namespaces, 1);
	assert_only_what_is_offered(relay, capability);
	relay_stop(relay);
}

static void profile(const char *capability, const char *told)
{
	const struct dovecot_opts opts = { .imap_capability = told,
					   .extra_imap = "  mail_plugins = zlib imap_zlib" };
	struct dovecot *server = dovecot_start(&opts);

	backs_up(server, capability);
	reads(server, capability);
	dovecot_stop(server);
}

static void test_everything(void **state)
{
	static const char capability[] =
		"IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES "
		"THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT "
		"CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH "
		"ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY "
		"PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE COMPRESS=DEFLATE NOTIFY SPECIAL-USE";

	(void)state;
	profile(capability, NULL); /* Dovecot's own list */
}

#define PROFILE(name, list)                    \
	static void test_##name(void **state)  \
	{                                      \
		(void)state;                   \
		profile(list, list);           \
	}

PROFILE(qresync_with_short_literals, "IMAP4rev1 ENABLE CONDSTORE QRESYNC UIDPLUS LITERAL-")
PROFILE(condstore_and_esearch, "IMAP4rev1 ENABLE CONDSTORE ESEARCH UIDPLUS LITERAL+ UNSELECT")
PROFILE(esearch_alone, "IMAP4rev1 ESEARCH UIDPLUS")
PROFILE(uidplus_as_office_servers, "IMAP4rev1 UIDPLUS MOVE IDLE")
PROFILE(nothing_but_imap4rev1, "IMAP4rev1")
PROFILE(what_gmail_offers,
	"IMAP4rev1 UIDPLUS MOVE CONDSTORE ENABLE ESEARCH LIST-EXTENDED LIST-STATUS SPECIAL-USE "
	"LITERAL- COMPRESS=DEFLATE UNSELECT NAMESPACE ID IDLE APPENDLIMIT=35651584")

/* Else the tests above would pass with a table that matches nothing. */
static void test_the_witness_sees_what_was_not_offered(void **state)
{
	size_t hits = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(gated) / sizeof(gated[0]); i++)
		hits += strstr("LIST (SUBSCRIBED) \"\" \"*\" RETURN (STATUS (MESSAGES HIGHESTMODSEQ))",
			       gated[i].said) && !may_say("IMAP4rev1 LIST-EXTENDEDX", gated[i].words);
	assert_int_equal(hits, 4);
	assert_true(offers("A B-C D", "D"));
	assert_true(offers("A B-C D", "A"));
	assert_false(offers("A B-C D", "B"));
	assert_false(offers("A B-C D", "C"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_qresync_with_short_literals),
		cmocka_unit_test(test_condstore_and_esearch),
		cmocka_unit_test(test_esearch_alone),
		cmocka_unit_test(test_uidplus_as_office_servers),
		cmocka_unit_test(test_nothing_but_imap4rev1),
		cmocka_unit_test(test_what_gmail_offers),
		cmocka_unit_test(test_the_witness_sees_what_was_not_offered),
	};

	return cmocka_run_group_tests_name("imap_profiles", tests, NULL, NULL);
}
