#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"
#include "tests/lib/imap_rig.h"

/* Commands on mailboxes as a whole, against a script. */

static struct bytes b(const char *s)
{
	return bytes_of(s);
}

/* `word` (one of the table below) on "a b" and "c". */
static int run_word(struct imap_rig *rig, const char *word)
{
	struct imap_session *s = rig->session;

	if (strcmp(word, "CREATE") == 0)
		return imap_create_wait(s, b("a b"), 0, NULL, &rig->err);
	if (strcmp(word, "DELETE") == 0)
		return imap_delete_wait(s, b("a b"), &rig->err);
	if (strcmp(word, "RENAME") == 0)
		return imap_rename_wait(s, b("a b"), b("c"), &rig->err);
	if (strcmp(word, "SUBSCRIBE") == 0)
		return imap_subscribe_wait(s, b("a b"), &rig->err);
	return imap_unsubscribe_wait(s, b("a b"), &rig->err);
}

static const struct {
	const char *word, *line;
} words[] = {
	{ "CREATE", "C: a CREATE \"a b\"\n" },
	{ "DELETE", "C: a DELETE \"a b\"\n" },
	{ "RENAME", "C: a RENAME \"a b\" c\n" },
	{ "SUBSCRIBE", "C: a SUBSCRIBE \"a b\"\n" },
	{ "UNSUBSCRIBE", "C: a UNSUBSCRIBE \"a b\"\n" },
};
#define WORDS (sizeof(words) / sizeof(words[0]))

static void test_mailbox_commands_encode_names_and_report_refusals(void **state)
{
	static const struct {
		const char *answer;
		int rc;
		enum err_kind kind;
		const char *text;
	} cases[] = {
		{ "S: a OK done\n", 0, ERR_NONE, "" },
		{ "S: a NO [NONEXISTENT] what?\n", -1, ERR_MISSING, "a b: the server says NO" },
		{ "S: a NO [NOPERM] yours not\n", -1, ERR_MAILBOX, "[NOPERM] yours not" },
		{ "S: a NO [INUSE] later\n", -1, ERR_RETRY, "later" },
		{ "S: a BAD what?\n", -1, ERR_MAILBOX, "the server says BAD what?" },
		{ "END\n", -1, ERR_RETRY, "closed" },
	};

	(void)state;
	for (size_t w = 0; w < WORDS; w++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct buf script = BUF_INIT(4096);
			struct imap_rig rig;

			buf_addf(&script, "%s%s", words[w].line, cases[i].answer);
			imap_rig_open(&rig, "", buf_str(&script));
			assert_int_equal(run_word(&rig, words[w].word), cases[i].rc);
			if (cases[i].rc < 0) {
				assert_int_equal(rig.err.kind, cases[i].kind);
				assert_non_null(strstr(rig.err.text, cases[i].text));
			}
			imap_rig_close(&rig);
			buf_release(&script);
		}
	}
}

static void test_names_cannot_end_the_command(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "",
		      "C: a CREATE {14}\nS: + go on\nC= x\nC= a3 DELETE y\nS: a OK done\n");
	assert_int_equal(imap_create_wait(rig.session, b("x\r\na3 DELETE y"), 0, NULL, &rig.err),
			 0);
	assert_int_equal(imap_create_wait(rig.session, bytes_from("x\0y", 3), 0, NULL, &rig.err),
			 -1);
	imap_rig_close(&rig);
}

static void test_create_tells_its_id_and_what_was_there(void **state)
{
	struct imap_created made;
	struct imap_rig rig;

	(void)state;
	imap_rig_open_inbox(&rig, "CREATE-SPECIAL-USE OBJECTID", false,
			    "C: a CREATE s (USE (\\Drafts \\Sent))\nS: a OK [MAILBOXID (F7)] made\n"
			    "C: b CREATE s\nS: b NO [ALREADYEXISTS] there\n"
			    "C: c CREATE s\nS: c NO [ALREADYEXISTS] there\n");
	assert_int_equal(imap_create_wait(rig.session, b("s"),
					  IMAP_MAILBOX_SENT | IMAP_MAILBOX_DRAFTS, &made,
					  &rig.err), 0);
	assert_string_equal(made.mailbox_id, "F7");
	assert_false(made.existed);
	free(made.mailbox_id);
	/* The id is that of the new mailbox, not of the selected one. */
	assert_null(imap_session_mailbox(rig.session)->mailbox_id);
	assert_int_equal(imap_create_wait(rig.session, b("s"), 0, &made, &rig.err), 0);
	assert_true(made.existed);
	assert_null(made.mailbox_id);
	assert_int_equal(imap_create_wait(rig.session, b("s"), 0, NULL, &rig.err), -1);
	imap_rig_close(&rig);
}

/* Nothing goes out: the script ends with the greeting. */
static void test_what_is_not_offered_is_refused_without_a_byte(void **state)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;
	struct imap_quotas quotas;
	struct imap_acl acl;
	struct imap_rig rig;
	char *rights;

	(void)state;
	imap_rig_open(&rig, "", "");
	assert_int_equal(imap_create_wait(rig.session, b("x"), IMAP_MAILBOX_SENT, NULL, &rig.err),
			 -1);
	assert_non_null(strstr(rig.err.text, "CREATE-SPECIAL-USE"));
	assert_int_equal(imap_enable_wait(rig.session, &qresync, 1, &rig.err), -1);
	assert_non_null(strstr(rig.err.text, "ENABLE"));
	assert_int_equal(imap_getquota_wait(rig.session, b(""), &quotas, &rig.err), -1);
	assert_int_equal(imap_getquotaroot_wait(rig.session, b("x"), &quotas, &rig.err), -1);
	assert_non_null(strstr(rig.err.text, "QUOTA"));
	assert_int_equal(imap_myrights_wait(rig.session, b("x"), &rights, &rig.err), -1);
	assert_int_equal(imap_getacl_wait(rig.session, b("x"), &acl, &rig.err), -1);
	assert_non_null(strstr(rig.err.text, "ACL"));
	assert_int_equal(imap_check_wait(rig.session, &rig.err), -1);
	assert_int_equal(imap_close_wait(rig.session, &rig.err), -1);
	assert_non_null(strstr(rig.err.text, "no mailbox"));
	assert_int_equal(rig.err.kind, ERR_CONFIG);
	imap_rig_close(&rig);
}

static void test_enable_counts_only_what_the_server_confirms(void **state)
{
	const enum imap_cap caps[] = { IMAP_CAP_CONDSTORE, IMAP_CAP_QRESYNC,
				       IMAP_CAP_UTF8_ACCEPT };
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "ENABLE QRESYNC",
		      "C: a ENABLE CONDSTORE QRESYNC\nS: * ENABLED CONDSTORE\nS: a OK\n"
		      "C: b ENABLE QRESYNC\nS: b BAD no\n"
		      "C: c SELECT x (CONDSTORE)\nS: c OK\n");
	assert_int_equal(imap_enable_wait(rig.session, &caps[2], 1, &rig.err), 0); /* not sent */
	assert_int_equal(imap_enable_wait(rig.session, caps, 3, &rig.err), 0);
	assert_true(imap_session_enabled(rig.session, IMAP_CAP_CONDSTORE));
	assert_false(imap_session_enabled(rig.session, IMAP_CAP_QRESYNC));
	assert_int_equal(imap_enable_wait(rig.session, &caps[1], 1, &rig.err), -1);
	assert_int_equal(imap_select(rig.session, b("x"), false, NULL, NULL, &rig.err), 0);
	imap_rig_drain(&rig);
	assert_int_equal(imap_enable_wait(rig.session, caps, 1, &rig.err), -1);
	assert_non_null(strstr(rig.err.text, "while a mailbox is selected"));
	imap_rig_close(&rig);
}

static void test_check_and_close_run_in_the_selected_mailbox(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open_inbox(&rig, "", false,
			    "C: a CHECK\nS: a OK\nC: b CHECK\nS: b NO busy\n"
			    "C: c CLOSE\nS: c NO no\nC: d CLOSE\nS: d OK\n");
	assert_int_equal(imap_check_wait(rig.session, &rig.err), 0);
	assert_int_equal(imap_check_wait(rig.session, &rig.err), -1);
	assert_int_equal(imap_close_wait(rig.session, &rig.err), -1);
	assert_int_equal(rig.err.kind, ERR_MAILBOX);
	assert_int_equal(imap_session_state(rig.session), IMAP_STATE_SELECTED);
	assert_int_equal(imap_close_wait(rig.session, &rig.err), 0);
	assert_int_equal(imap_session_state(rig.session), IMAP_STATE_AUTHENTICATED);
	imap_rig_close(&rig);
}

static void test_quotas_are_read_and_refusals_leave_nothing(void **state)
{
	struct imap_quotas quotas;
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "QUOTA",
		      "C: a GETQUOTAROOT \"a b\"\n"
		      "S: * QUOTAROOT \"a b\" \"\" \"User quota\"\n"
		      "S: * QUOTA \"\" (STORAGE 10 512 MESSAGE 3 1000)\n"
		      "S: * QUOTA \"User quota\" ()\nS: a OK\n"
		      "C: b GETQUOTA \"\"\nS: * QUOTA \"\" (STORAGE 11 18446744073709551615)\n"
		      "S: b OK\n"
		      "C: c GETQUOTA x\nS: * QUOTA x (STORAGE broken 5\nS: c NO none\n"
		      "C: d GETQUOTA x\nS: * QUOTA x (STORAGE broken 5\nS: d OK none\n");
	assert_int_equal(imap_getquotaroot_wait(rig.session, b("a b"), &quotas, &rig.err), 0);
	assert_int_equal(quotas.n, 2);
	assert_int_equal(quotas.roots[0].n, 2);
	assert_string_equal(quotas.roots[0].root, "");
	assert_string_equal(quotas.roots[0].resources[1].name, "MESSAGE");
	assert_int_equal(quotas.roots[0].resources[1].usage, 3);
	assert_int_equal(quotas.roots[0].resources[1].limit, 1000);
	assert_string_equal(quotas.roots[1].root, "User quota");
	imap_quotas_release(&quotas);
	assert_int_equal(imap_getquota_wait(rig.session, b(""), &quotas, &rig.err), 0);
	assert_true(quotas.roots[0].resources[0].limit == UINT64_MAX);
	imap_quotas_release(&quotas);
	assert_int_equal(imap_getquota_wait(rig.session, b("x"), &quotas, &rig.err), -1);
	assert_int_equal(quotas.n, 0);
	assert_int_equal(imap_getquota_wait(rig.session, b("x"), &quotas, &rig.err), 0);
	assert_int_equal(quotas.roots[0].n, 0);
	imap_quotas_release(&quotas);
	imap_rig_close(&rig);
}

static void test_rights_are_read_and_silence_is_an_error(void **state)
{
	struct imap_acl acl;
	struct imap_rig rig;
	char *rights;

	(void)state;
	imap_rig_open(&rig, "ACL",
		      "C: a MYRIGHTS INBOX\nS: * MYRIGHTS INBOX lrsw\nS: a OK\n"
		      "C: b MYRIGHTS INBOX\nS: b OK\n"
		      "C: c MYRIGHTS INBOX\nS: * MYRIGHTS INBOX lr\nS: c NO no\n"
		      "C: d GETACL INBOX\nS: * ACL INBOX alice lrswipkxtea \"-b c\" w\nS: d OK\n"
		      "C: e GETACL INBOX\nS: e NO [NOPERM] no\n");
	assert_int_equal(imap_myrights_wait(rig.session, b("INBOX"), &rights, &rig.err), 0);
	assert_string_equal(rights, "lrsw");
	free(rights);
	assert_int_equal(imap_myrights_wait(rig.session, b("INBOX"), &rights, &rig.err), -1);
	assert_null(rights);
	assert_int_equal(imap_myrights_wait(rig.session, b("INBOX"), &rights, &rig.err), -1);
	assert_null(rights);
	assert_int_equal(imap_getacl_wait(rig.session, b("INBOX"), &acl, &rig.err), 0);
	assert_int_equal(acl.n, 2);
	assert_string_equal(acl.identifiers[1], "-b c");
	assert_string_equal(acl.rights[0], "lrswipkxtea");
	imap_acl_release(&acl);
	assert_int_equal(imap_getacl_wait(rig.session, b("INBOX"), &acl, &rig.err), -1);
	assert_int_equal(acl.n, 0);
	imap_rig_close(&rig);
}

static int give_password(void *ctx, struct buf *out, struct err *err)
{
	(void)ctx;
	(void)err;
	buf_add_str(out, "pw");
	return 0;
}

static void test_unauthenticate_forgets_everything_and_logs_in_again(void **state)
{
	static const struct {
		const char *answer;
		int rc;
		enum imap_state state;
	} cases[] = {
		{ "S: * ENABLED CONDSTORE\nS: b OK\n"
		  "C: c CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: c OK\n"
		  "C: d LOGIN alice pw\nS: d OK [CAPABILITY IMAP4rev1 IDLE] in\n", 0,
		  IMAP_STATE_AUTHENTICATED },
		{ "S: b OK\nC: c CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: c OK\n"
		  "C: d LOGIN alice pw\nS: d NO no\n", -1, IMAP_STATE_CLOSED },
		{ "S: b BAD no\n", -1, IMAP_STATE_SELECTED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf script = BUF_INIT(4096);
		struct imap_rig rig;

		buf_addf(&script, "C: b UNAUTHENTICATE\n%s", cases[i].answer);
		imap_rig_open_inbox(&rig, "UNAUTHENTICATE", false, buf_str(&script));
		rig.account.password = give_password;
		assert_int_equal(imap_unauthenticate_wait(rig.session, &rig.err), cases[i].rc);
		assert_int_equal(imap_session_state(rig.session), cases[i].state);
		if (cases[i].rc == 0) {
			assert_null(imap_session_mailbox(rig.session));
			assert_null(imap_session_submitted(rig.session));
			assert_true(imap_session_has(rig.session, IMAP_CAP_IDLE));
			assert_false(imap_session_enabled(rig.session, IMAP_CAP_CONDSTORE));
			assert_int_equal(imap_unauthenticate_wait(rig.session, &rig.err), -1);
		}
		imap_rig_close(&rig);
		buf_release(&script);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mailbox_commands_encode_names_and_report_refusals),
		cmocka_unit_test(test_names_cannot_end_the_command),
		cmocka_unit_test(test_create_tells_its_id_and_what_was_there),
		cmocka_unit_test(test_what_is_not_offered_is_refused_without_a_byte),
		cmocka_unit_test(test_enable_counts_only_what_the_server_confirms),
		cmocka_unit_test(test_check_and_close_run_in_the_selected_mailbox),
		cmocka_unit_test(test_quotas_are_read_and_refusals_leave_nothing),
		cmocka_unit_test(test_rights_are_read_and_silence_is_an_error),
		cmocka_unit_test(test_unauthenticate_forgets_everything_and_logs_in_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
