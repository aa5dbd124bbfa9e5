/* Removing messages from an account that is read: what is asked before and after, word by word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/imap/imap.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/store_script.h"

#define IN(caps)                                                                                                \
	"S: * OK [CAPABILITY IMAP4rev1 " caps " SASL-IR AUTH=PLAIN] ready\n"                                     \
	"C: AUTHENTICATE PLAIN *\n"                                                                             \
	"S: $TAG OK [CAPABILITY IMAP4rev1 " caps "] in\n"
#define SELECTED(validity, kept, mode)                                                                          \
	"S: * STATUS INBOX (UIDNEXT 4)\nS: $st OK done\nS: * 3 EXISTS\nS: * OK [UIDVALIDITY " validity "] x\n"   \
	"S: * OK [UIDNEXT 4] x\nS: * OK [PERMANENTFLAGS (" kept ")] x\nS: $sel OK [" mode "] done\n"
#define SELECT "C(st): STATUS INBOX (UIDNEXT)\nC(sel): SELECT INBOX\n" SELECTED("7", "\\\\Deleted \\\\*", "READ-WRITE")
#define AGAIN                                                                                                   \
	"C: SELECT INBOX\nS: * 3 EXISTS\nS: * OK [UIDVALIDITY 7] x\nS: * OK [UIDNEXT 4] x\n"                      \
	"S: $TAG OK [READ-WRITE] done\n"
#define OK "S: $TAG OK done\n"
#define LOOK "C: UID FETCH 1:3 (UID FLAGS)\n"
#define HAS(uid, flags) "S: * " uid " FETCH (UID " uid " FLAGS (" flags "))\n"
#define MARK(set) "C: UID STORE " set " +FLAGS.SILENT (\\\\Deleted)\n"
#define UNMARK(set) "C: UID STORE " set " -FLAGS.SILENT (\\\\Deleted)\n" OK
#define EXPUNGE(set) "C: UID EXPUNGE " set "\n"

static bool may_go(void *ctx, uint32_t uid, const struct flags *now)
{
	(void)ctx;
	(void)uid;
	return !(now->bits & (FLAG_FLAGGED | FLAG_DELETED));
}

static struct scripted *begin(struct store_probe *p, const char *script)
{
	struct scripted *server = scripted_start(script);

	probe_init(p, scripted_port(server), "me");
	p->account.connections = 1;
	p->cfg.prunes = true;
	return server;
}

static const struct {
	const char *name, *script;
	bool again;
	const char *stay, *err; /* `err` NULL: it succeeds */
} cases[] = {
	{ "just these, and the proof",
	  SELECT LOOK HAS("1", "") HAS("2", "\\\\Seen") HAS("3", "") OK MARK("1:3") OK
	  EXPUNGE("1:3") "S: * 1 EXPUNGE\nS: * 1 EXPUNGE\nS: * 1 EXPUNGE\n" OK LOOK OK,
	  false, "", NULL },
	{ "what changed since it was chosen stays, and so does what others marked",
	  SELECT LOOK HAS("1", "\\\\Flagged") HAS("2", "\\\\Deleted") HAS("3", "") OK MARK("3") OK
	  EXPUNGE("3") "S: * 3 EXPUNGE\n" OK LOOK HAS("1", "\\\\Flagged") HAS("2", "\\\\Deleted") OK,
	  false, "1:2", NULL },
	{ "what changed while the server answered, too",
	  SELECT LOOK HAS("1", "") HAS("2", "") HAS("3", "") "S: * 2 FETCH (UID 2 FLAGS (\\\\Flagged))\n" OK
	  MARK("1,3") OK EXPUNGE("1,3") OK LOOK HAS("2", "\\\\Flagged") OK,
	  false, "2", NULL },
	{ "nothing is there any more",
	  SELECT LOOK OK, false, "", NULL },
	{ "our own mark of an earlier run is none of a user's",
	  SELECT LOOK HAS("1", "\\\\Deleted") HAS("3", "") OK MARK("1,3") OK EXPUNGE("1,3") OK LOOK OK,
	  true, "", NULL },
	{ "and is taken back where the message stays",
	  SELECT LOOK HAS("1", "\\\\Deleted \\\\Flagged") HAS("3", "\\\\Deleted") OK MARK("3") OK EXPUNGE("3") OK
	  LOOK HAS("1", "\\\\Deleted \\\\Flagged") OK UNMARK("1"),
	  true, "1", NULL },
	{ "OK, and it is there still",
	  SELECT LOOK HAS("1", "") HAS("2", "") OK MARK("1:2") OK EXPUNGE("1:2") OK
	  LOOK HAS("2", "\\\\Deleted") OK UNMARK("2"),
	  false, "2", NULL },
	{ "the line is lost before EXPUNGE is heard of",
	  SELECT LOOK HAS("1", "") HAS("2", "") HAS("3", "") OK MARK("1:3") "CUT\nACCEPT\n" IN("UIDPLUS") AGAIN
	  LOOK HAS("1", "\\\\Deleted") HAS("2", "\\\\Deleted") HAS("3", "") OK MARK("1:3") OK EXPUNGE("1:3") OK LOOK OK,
	  false, "", NULL },
	{ "the line is lost after it was done",
	  SELECT LOOK HAS("1", "") HAS("2", "") HAS("3", "") OK MARK("1:3") OK EXPUNGE("1:3")
	  "CUT\nACCEPT\n" IN("UIDPLUS") AGAIN LOOK OK,
	  false, "", NULL },
	{ "STORE is refused",
	  SELECT LOOK HAS("1", "") HAS("2", "") HAS("3", "") OK MARK("1:3") "S: $TAG NO [NOPERM] not you\n" UNMARK("1:3"),
	  false, "1:3", "not you" },
	{ "EXPUNGE is refused",
	  SELECT LOOK HAS("1", "") HAS("2", "") HAS("3", "") OK MARK("1:3") OK
	  EXPUNGE("1:3") "S: $TAG NO [NOPERM] not you\n" UNMARK("1:3"),
	  false, "1:3", "not you" },
	{ "the mailbox was made anew",
	  "C(st): STATUS INBOX (UIDNEXT)\nC(sel): SELECT INBOX\n" SELECTED("8", "\\\\Deleted", "READ-WRITE"),
	  false, "1:3", "changed from 7 to 8" },
	{ "it can only be read",
	  "C(st): STATUS INBOX (UIDNEXT)\nC(sel): SELECT INBOX\n" SELECTED("7", "", "READ-ONLY"),
	  false, "1:3", "read only" },
};

static void test_exactly_what_may_go_goes_and_nothing_is_believed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *script = xasprintf("%s%s" LOGOUT, IN("UIDPLUS"), cases[i].script);
		struct script t = { 0 };
		struct uidset set = UIDSET_INIT, stay = UIDSET_INIT;
		struct buf text = BUF_INIT(4096);
		struct err err = { 0 };
		int ret;

		print_message("           %s\n", cases[i].name);
		t.server = begin(&t.probe, script);
		probe_open(&t.probe);
		imap_store_set_patience(t.probe.store, 10);
		probe_sink_init(&t.sink);
		uidset_add_range(&set, 1, 3);
		ret = mailbox_prune(script_inbox(&t), &set, cases[i].again, may_go, NULL, &stay, &err);
		uidset_format(&stay, &text);
		assert_string_equal(buf_str(&text), cases[i].stay);
		assert_int_equal(ret, cases[i].err ? -1 : 0);
		if (cases[i].err) {
			assert_int_equal(err.kind, ERR_MAILBOX);
			assert_non_null(strstr(err.text, cases[i].err));
		}
		script_end(&t);
		buf_release(&text);
		uidset_release(&set);
		uidset_release(&stay);
		free(script);
	}
}

/* --- whether --- */

static void prunable(const char *script, enum store_mode mode, const char *want)
{
	struct script t = { 0 };
	struct err err = { 0 };
	int ret;

	t.server = begin(&t.probe, script);
	probe_open(&t.probe);
	probe_sink_init(&t.sink);
	ret = mailbox_prunable(script_inbox(&t), mode, &err);
	if (ret != (want ? -1 : 0) || (want && (err.kind != ERR_MAILBOX || !strstr(err.text, want))))
		fail_msg("%d, %s", ret, err.text);
	script_end(&t);
}

#define RIGHTS(rights) "C: MYRIGHTS INBOX\nS: * MYRIGHTS INBOX " rights "\nS: $TAG OK done\n"

static void test_what_may_not_be_removed_is_known_before_anything_is(void **state)
{
	(void)state;
	prunable(IN("UIDPLUS") SELECT LOGOUT, STORE_WRITE, NULL);
	prunable(IN("IMAP4rev2") SELECT LOGOUT, STORE_WRITE, NULL);
	prunable(IN("UIDPLUS") "C(st): STATUS INBOX (UIDNEXT)\nC(sel): SELECT INBOX\n"
		 SELECTED("7", "\\\\Seen", "READ-WRITE") LOGOUT, STORE_WRITE, "marked as deleted");
	/* RFC 4314: t is for \Deleted, e for EXPUNGE; RFC 2086 has d for both. */
	prunable(IN("UIDPLUS ACL") RIGHTS("lrswite") LOGOUT, STORE_READ, NULL);
	prunable(IN("UIDPLUS ACL") RIGHTS("lrswid") LOGOUT, STORE_READ, NULL);
	prunable(IN("UIDPLUS ACL") RIGHTS("lrswit") LOGOUT, STORE_READ, "rights");
	prunable(IN("UIDPLUS ACL") "C(st): STATUS INBOX (UIDNEXT)\nC(sel): SELECT INBOX\nC(my): MYRIGHTS INBOX\n"
		 SELECTED("7", "\\\\Deleted", "READ-WRITE") "S: * MYRIGHTS INBOX lrse\nS: $my OK done\n" LOGOUT,
		 STORE_WRITE, "rights");
}

static void test_a_server_that_cannot_remove_single_messages_is_told_no_more_than_goodbye(void **state)
{
	static const struct {
		const char *script, *why;
	} refused[] = {
		{ IN("MOVE CONDSTORE") LOGOUT, "it lacks UIDPLUS" },
		{ IN("UIDPLUS X-GM-EXT-1") LOGOUT, "is at Gmail" },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct store_probe p;
		struct scripted *server = begin(&p, refused[i].script);
		struct err err = { 0 };

		assert_int_equal(store_open(&imap_store, &p.store, &p.cfg, STORE_READ, &err), -1);
		assert_int_equal(err.kind, ERR_CONFIG);
		assert_non_null(strstr(err.text, refused[i].why));
		scripted_finish(server);
		p.store = NULL;
		probe_close(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exactly_what_may_go_goes_and_nothing_is_believed),
		cmocka_unit_test(test_what_may_not_be_removed_is_known_before_anything_is),
		cmocka_unit_test(test_a_server_that_cannot_remove_single_messages_is_told_no_more_than_goodbye),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
