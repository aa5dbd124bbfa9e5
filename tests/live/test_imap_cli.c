/*
 * `mailcask imap` against Dovecot over TLS: every command, which is every method of Python's imaplib
 * that has a meaning outside of it (authenticate, login, starttls, socket and the like happen in each).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "cmd/imap_cli.h"
#include "cmd/imap_words.h"
#include "core/base/mem.h"
#include "tests/lib/backup.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static struct dovecot *server;
static struct backup user; /* only its configuration is used */
static struct name_list ran; /* commands that some test ran */

static int start_server(void **state)
{
	static const struct dovecot_opts opts = {
		.extra_imap = "  mail_plugins = zlib imap_zlib quota imap_quota acl imap_acl",
		.extra = "plugin {\n  quota = count:User quota\n  quota_rule = *:storage=100M\n"
			 "  quota_vsizes = yes\n  acl = vfile\n}\n",
	};

	(void)state;
	server = dovecot_start(&opts);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	dovecot_stop(server);
	name_list_release(&ran);
	return 0;
}

static void use(const char *name)
{
	char *account = xasprintf("tls_ca_file = %s\n", server->ca_file);
	const struct backup_config config = { .port = server->tls_port, .tls = "implicit",
					      .user = name, .account = account };

	backup_init(&user, &config);
	free(account);
}

static int forget_user(void **state)
{
	(void)state;
	backup_release(&user);
	return 0;
}

/* `line` as after `mailcask`: quoted as in a shell. `input` may be NULL. */
static void run_line(struct proc_result *res, const char *line, const char *input)
{
	const char *vars[] = { user.env[0], user.env[1], NULL };
	struct proc_opts opts = { .env = vars };
	const char *argv[64] = { program_path() };
	struct words words = { 0 };
	struct err err;

	if (input)
		opts.input = bytes_of(input);
	assert_int_equal(words_split(&words, bytes_of(line), &err), 0);
	assert_true(words.n < 60);
	for (size_t i = 0; i < words.n; i++) {
		argv[i + 1] = words.v[i];
		if (imap_sub_find(words.v[i]) && !name_list_has(&ran, words.v[i]))
			name_list_add(&ran, words.v[i]);
	}
	proc_run(res, &opts, argv);
	words_release(&words);
}

struct step {
	const char *line, *input;
	int status;
	const char *want; /* of standard output: a pattern with * */
};

static void run_steps(const struct step *steps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct proc_result res;

		run_line(&res, steps[i].line, steps[i].input);
		if (res.status != steps[i].status ||
		    fnmatch(steps[i].want, buf_str(&res.out), FNM_NOESCAPE) != 0)
			test_die("%s\nwanted %d:\n%s\ngot %d:\n%s%s", steps[i].line, steps[i].status,
				 steps[i].want, res.status, buf_str(&res.out), buf_str(&res.err));
		proc_result_release(&res);
	}
}

#define RUN(steps) run_steps(steps, sizeof(steps) / sizeof((steps)[0]))

static void test_the_session_tells_what_the_server_is_and_can(void **state)
{
	static const struct step steps[] = {
		{ "imap far noop", NULL, 0, "" },
		{ "imap far capability", NULL, 0, "*IMAP4rev1\n*\nUIDPLUS\n*" },
		{ "--json imap far capability", NULL, 0,
		  "{\"event\":\"capability\",*\"protocol\":\"IMAP4rev1\",\"limits\":{*}}\n*" },
		{ "imap far unauthenticate", NULL, 2, "" }, /* Dovecot has not got it */
		{ "imap far id", NULL, 0, "*name: Dovecot\n*" },
		{ "imap far namespace", NULL, 0, "personal: prefix \"\", delimiter \"/\"\n" },
		{ "imap far enable QRESYNC CONDSTORE", NULL, 0,
		  "QRESYNC enabled\nCONDSTORE enabled\n" },
		{ "imap far compress", NULL, 0, "" },
		{ "imap far -", "compress\nlist\n", 0, "INBOX  (*)\n" },
		{ "imap far logout", NULL, 0, "" },
		{ "imap far xatom STATUS INBOX '(' MESSAGES ')'", NULL, 0,
		  "messages 0\nOK Status completed*" },
		{ "imap far xatom NAMESPACE", NULL, 0, "NAMESPACE ((\"\" \"/\")) NIL NIL\nOK *" },
		{ "--json imap far xatom ID NIL", NULL, 0,
		  "{\"event\":\"xatom\",\"name\":\"ID\",\"text\":\"(*Dovecot*\","
		  "\"values\":*\"name\",\"Dovecot\"*}\n*" },
		{ "imap far -", "select INBOX\nxatom UID SORT '(' DATE ')' UTF-8 ALL\n", 0,
		  "*SORT \nOK *" },
		{ "imap far xatom FROBNICATE", NULL, 1, "" },
		{ "imap far xatom SELECT INBOX", NULL, 2, "" },
	};

	(void)state;
	use("session");
	RUN(steps);
}

static void test_mailboxes_are_made_renamed_and_removed(void **state)
{
	static const struct step steps[] = {
		{ "imap far create 'Entwürfe/a b'", NULL, 0, "" },
		{ "imap far create 'Entwürfe/a b'", NULL, 1, "" },
		{ "imap far list", NULL, 0,
		  "Entwürfe  (*)\nEntwürfe/a b  (\\HasNoChildren)\nINBOX  (\\HasNoChildren)\n" },
		{ "imap far list Entwürfe/ %", NULL, 0, "Entwürfe/a b  (\\HasNoChildren)\n" },
		{ "--json imap far list '' '*b'", NULL, 0,
		  "{\"event\":\"list\",\"mailbox\":\"Entw\\u00FCrfe/a b\",\"wire\":\"Entw&APw-rfe/"
		  "a b\",*\"subscribed\":false}\n{\"event\":\"done\",\"command\":\"list\"}\n" },
		{ "imap far subscribe 'Entwürfe/a b'", NULL, 0, "" },
		{ "imap far lsub", NULL, 0, "Entwürfe/a b  (*)*\n" },
		{ "imap far unsubscribe 'Entwürfe/a b'", NULL, 0, "" },
		{ "imap far lsub", NULL, 0, "" },
		{ "imap far rename 'Entwürfe/a b' c", NULL, 0, "" },
		{ "imap far status c messages uidnext", NULL, 0, "messages 0\nuidnext 1\n" },
		{ "imap far status INBOX", NULL, 0, "messages 0\nrecent 0\nuidnext 1\n*" },
		{ "imap far status nowhere", NULL, 1, "" },
		{ "imap far select c", NULL, 0,
		  "messages 0\nuidvalidity *\nuidnext 1\n*access read-write\n" },
		{ "imap far examine c", NULL, 0, "messages 0\n*access read-only\n" },
		{ "imap far getquotaroot c", NULL, 0, "root \"User quota\" STORAGE 0 of 102400\n" },
		{ "imap far getquota 'User quota'", NULL, 0,
		  "root \"User quota\" STORAGE 0 of 102400\n" },
		{ "imap far myrights c", NULL, 0, "l*\n" },
		{ "imap far getacl c", NULL, 0, "*l*\n" },
		{ "imap far delete c", NULL, 0, "" },
		{ "imap far delete c", NULL, 1, "" },
	};

	(void)state;
	use("mailboxes");
	RUN(steps);
}

/* Whether it must be escaped, quoted, sent as a literal or with a charset, the server gets it. */
#define MESSAGE(subject) "Subject: " subject "\nFrom: anna@example.org\n\nbody of " subject "\n"

static void test_messages_are_added_searched_changed_copied_and_removed(void **state)
{
	static const struct step steps[] = {
		{ "imap far append --flags='\\Flagged $x' --date=2024-02-29T12:00:00+00:00 INBOX -",
		  MESSAGE("one"), 0, "uidvalidity *\nuids 1\n" },
		{ "imap far append INBOX -", MESSAGE("Grüße"), 0, "*uids 2\n" },
		{ "imap far append INBOX -", MESSAGE("three"), 0, "*uids 3\n" },
		{ "imap far append nowhere -", MESSAGE("four"), 1, "" },
		{ "imap far fetch INBOX 1:*", NULL, 0,
		  "uid 1 size 53 date 2024-02-29T12:00:00+00:00 flags \\Flagged $x\nuid 2 *\nuid 3 "
		  "*\n" },
		{ "imap far fetch INBOX 3 body", NULL, 0,
		  "Subject: three\r\nFrom: anna@example.org\r\n\r\nbody of three\r\n" },
		{ "imap far fetch INBOX 3 body<9.5>", NULL, 0, "three" },
		{ "imap far fetch INBOX 3 text", NULL, 0, "body of three\r\n" },
		{ "imap far fetch INBOX 3 'body[HEADER.FIELDS (FROM)]'", NULL, 0,
		  "From: anna@example.org\r\n\r\n" },
		{ "imap far fetch INBOX 3 header<0.7>", NULL, 0, "Subject" },
		{ "imap far fetch --seq INBOX 2:3 uid", NULL, 0, "uid 2\nuid 3\n" },
		{ "imap far fetch INBOX 1:* flags", NULL, 0, "uid 1 *\nuid 2 flags \nuid 3 flags \n" },
		{ "imap far fetch INBOX 77", NULL, 0, "" },
		{ "imap far search INBOX SUBJECT Grüße", NULL, 0, "2\n" },
		{ "imap far search INBOX SINCE 2025-01-01 NOT FLAGGED", NULL, 0, "2:3\n" },
		{ "imap far search --return=all,count,min,max INBOX FROM anna", NULL, 0,
		  "all 1:3\ncount 3\nmin 1\nmax 3\n" },
		{ "imap far search --partial=2:3 INBOX ALL", NULL, 0, "partial 2:3\n" },
		{ "imap far -", "search --return=save INBOX UNFLAGGED\nfetch INBOX $ uid\n", 0,
		  "*uid 2\nuid 3\n" },
		{ "imap far store INBOX 1:2 add '\\Seen' '$y'", NULL, 0,
		  "uid 1 *flags \\Seen \\Flagged $x $y\nuid 2 *flags \\Seen $y\n" },
		{ "imap far store INBOX 1 remove '$y' '$x'", NULL, 0,
		  "uid 1 *flags \\Seen \\Flagged\n" },
		{ "imap far store INBOX 2 set", NULL, 0, "uid 2 *flags \n" },
		{ "imap far store --unchanged-since=1 INBOX 2 add '\\Seen'", NULL, 0,
		  "modified 2\n" },
		{ "imap far create Archive", NULL, 0, "" },
		{ "imap far copy INBOX 1:2 Archive", NULL, 0, "uidvalidity *\n1:2 -> 1:2\n" },
		{ "imap far copy INBOX 1:2 nowhere", NULL, 1, "" },
		{ "imap far move INBOX 3 Archive", NULL, 0, "uidvalidity *\n3 -> 3\n" },
		{ "imap far status INBOX messages", NULL, 0, "messages 2\n" },
		{ "imap far store INBOX 1:2 add '\\Deleted'", NULL, 0, "*" },
		{ "imap far unselect INBOX", NULL, 0, "" },
		{ "imap far check INBOX", NULL, 0, "" },
		{ "imap far expunge INBOX 2", NULL, 0, "removed 1\n" },
		{ "imap far fetch INBOX 1:* uid", NULL, 0, "uid 1\n" },
		{ "imap far close INBOX", NULL, 0, "" },
		{ "imap far status INBOX messages", NULL, 0, "messages 0\n" },
		{ "imap far store Archive 2:3 set '\\Deleted'", NULL, 0, "*" },
		{ "imap far expunge Archive", NULL, 0, "removed 2\n" },
		{ "imap far -", "enable QRESYNC\nfetch --changed-since=1 --vanished Archive 1:* uid\n",
		  0, "QRESYNC enabled\nvanished *2:3\nuid 1*\n" },
		{ "imap far -", "enable QRESYNC\nexamine Archive 77 1\n", 0,
		  "QRESYNC enabled\nmessages 1\n*" },
	};

	(void)state;
	use("messages");
	RUN(steps);
}

static void test_fetch_shows_what_a_message_is_made_of(void **state)
{
	static const char message[] =
		"Date: Thu, 29 Feb 2024 12:00:00 +0000\nSubject: Gruesse (\"x\" \\)\nFrom: \"Anna B.\" "
		"<anna@example.org>\nTo: team: bob@example.org, Carl <c@example.org>;\n"
		"Message-ID: <m1@example.org>\nMIME-Version: 1.0\n"
		"Content-Type: multipart/mixed; boundary=q\n\n--q\nContent-Type: text/plain; "
		"charset=utf-8\n\nhello you\n\n--q\nContent-Type: message/rfc822\n\nSubject: in\n"
		"Content-Type: text/html\n\n<p>\n--q\nContent-Type: image/png; name=\"a b\"\n"
		"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; "
		"filename=\"c\\\"d\"\n\nAAAA\n--q--\n";
	static const struct step steps[] = {
		{ "imap far append INBOX -", message, 0, "*uids 1\n" },
		{ "imap far fetch INBOX 1 envelope", NULL, 0,
		  "uid 1\n  date Thu, 29 Feb 2024 12:00:00 +0000\n  subject Gruesse (\"x\" \\\\)\n"
		  "  from Anna B. <anna@example.org>\n  sender Anna B. <anna@example.org>\n"
		  "  reply-to Anna B. <anna@example.org>\n  to team:\n  to bob@example.org\n"
		  "  to Carl <c@example.org>\n  to ;\n  message-id <m1@example.org>\n" },
		{ "imap far fetch INBOX 1 bodystructure", NULL, 0,
		  "uid 1\n  part multipart/mixed boundary=\"q\"\n"
		  "  part 1 text/plain 7bit bytes 11 charset=\"utf-8\"\n"
		  "  part 2 message/rfc822 7bit bytes 43\n"
		  "  part 2.1 text/html 7bit bytes 3*\n"
		  "  part 3 image/png base64 bytes 4 name=\"a b\" attachment filename=\"c\"d\"\n" },
		{ "--json imap far fetch INBOX 1 envelope bodystructure", NULL, 0,
		  "{\"event\":\"fetch\",\"uid\":1,\"envelope\":{\"date\":\"Thu, 29 *\","
		  "\"from\":?{\"name\":\"Anna B.\",\"mailbox\":\"anna\",\"host\":\"example.org\"}?,*"
		  "\"to\":?{\"name\":null,\"mailbox\":\"team\",\"host\":null},*"
		  "\"in-reply-to\":null,\"message-id\":\"<m1@example.org>\"},"
		  "\"bodystructure\":?{\"section\":\"\",\"type\":\"multipart\",*"
		  "{\"section\":\"2.1\",\"type\":\"text\",\"subtype\":\"html\",*"
		  "\"disposition\":\"attachment\",\"disposition-params\":{\"filename\":\"c\\\"d\"}}?}\n"
		  "{\"event\":\"done\",*" },
		{ "imap far fetch INBOX 1 savedate preview", NULL, 0,
		  "uid 1 savedate 20*T*:*\n  preview hello you\n" },
		{ "--json imap far fetch INBOX 1 savedate preview", NULL, 0,
		  "{*\"savedate\":\"20*\",\"preview\":\"hello you\"}\n*" },
		/* Dovecot has neither of these. */
		{ "imap far fetch INBOX 1 x-gm-labels", NULL, 2, "" },
		{ "imap far fetch INBOX 1 threadid", NULL, 2, "" },
	};

	(void)state;
	use("content");
	RUN(steps);
}

static void test_a_message_is_made_of_parts_and_replaced(void **state)
{
	static const struct step steps[] = {
		{ "imap far create 'Entwürfe/a;b'", NULL, 0, "" },
		{ "imap far append 'Entwürfe/a;b' -", MESSAGE("one"), 0, "*uids 1\n" },
		{ "imap far catenate --flags='\\Seen' INBOX part 'Entwürfe/a;b' 1 header text - part "
		  "'Entwürfe/a;b' 1 text", "new text\n", 0, "*uids 1\n" },
		{ "imap far fetch INBOX 1 body", NULL, 0,
		  "Subject: one\r\nFrom: anna@example.org\r\n\r\nnew text\r\nbody of one\r\n" },
		{ "imap far fetch INBOX 1 flags", NULL, 0, "uid 1 flags \\Seen\n" },
		{ "imap far -", "select INBOX\ncatenate INBOX part INBOX 1 'body[HEADER.FIELDS (FROM)]'\n",
		  0, "*uids 2\n" },
		{ "imap far fetch INBOX 2 body", NULL, 0, "From: anna@example.org\r\n\r\n" },
		{ "imap far catenate INBOX part INBOX 77 body", NULL, 1, "" },
		{ "imap far catenate INBOX part nowhere 1 body", NULL, 1, "" },
		{ "imap far catenate INBOX part INBOX 1", NULL, 2, "" },
		{ "imap far catenate INBOX part INBOX 0 body", NULL, 2, "" },
		{ "imap far catenate INBOX part INBOX 1 'body<0.5>'", NULL, 2, "" },
		{ "imap far catenate INBOX url x", NULL, 2, "" },
		{ "imap far fetch INBOX 1:* uid", NULL, 0, "uid 1\nuid 2\n" },
		/* Dovecot 2.3 has neither of these. */
		{ "imap far replace INBOX 1 -", MESSAGE("two"), 2, "" },
		{ "imap far replace INBOX 1:2 -", MESSAGE("two"), 2, "" },
		{ "imap far replace INBOX x -", MESSAGE("two"), 2, "" },
		{ "imap far append --utf8 INBOX -", MESSAGE("two"), 2, "" },
		{ "imap far fetch INBOX 1:* uid", NULL, 0, "uid 1\nuid 2\n" },
	};

	(void)state;
	use("parts");
	RUN(steps);
}

/* What Dovecot 2.3 has not got, from a server that is a few lines of shell. */
#define TUNNEL_SERVER                                                                              \
	"say() { printf '%s\\r\\n' \"$*\"; }\n"                                                    \
	"say '* PREAUTH [CAPABILITY IMAP4rev1 UTF8=ACCEPT REPLACE X-GM-EXT-1 OBJECTID] hi'\n"      \
	"while read -r tag line; do\n"                                                             \
	"	line=${line%?}\n"                                                                  \
	"	case $line in\n"                                                                   \
	"	ENABLE*) say '* ENABLED UTF8=ACCEPT' ;;\n"                                         \
	"	SELECT* | EXAMINE*) say '* 1 EXISTS' ;;\n"                                         \
	"	*UTF8*) say + go; head -c 11 >>\"$1\" ;;\n"                                        \
	"	*'{8}') say + go; head -c 10 >>\"$1\"; say '* OK [APPENDUID 7 9] x' ;;\n"          \
	"	*FETCH*) say '* 1 FETCH (UID 5 X-GM-MSGID 18446744073709551615 X-GM-THRID 2 THREADID NIL '\\\n" \
	"		'X-GM-LABELS (\"\\\\Inbox\" \"a b\" &AOQ-))' ;;\n"                    \
	"	LOGOUT) say '* BYE x' ;;\n"                                                        \
	"	esac\n"                                                                            \
	"	printf '%s\\n' \"$line\" >>\"$1\"\n"                                               \
	"	say \"$tag OK done\"\n"                                                            \
	"done\n"

static void test_what_a_newer_server_has_is_used(void **state)
{
	static const struct step steps[] = {
		{ "imap far replace --flags='\\Draft' INBOX 5 -", "S: x\n\n", 0,
		  "uidvalidity 7\nuids 9\n" },
		{ "imap far append --utf8 INBOX -", "S: x\n\n", 0, "" },
		{ "imap far replace INBOX 5:6 -", "S: x\n\n", 2, "" },
		{ "imap far fetch INBOX 5 x-gm-msgid x-gm-thrid x-gm-labels threadid", NULL, 0,
		  "uid 5 threadid NIL x-gm-msgid 18446744073709551615 x-gm-thrid 2\n"
		  "  label \\Inbox\n  label a b\n  label ä\n" },
		{ "--json imap far fetch INBOX 5 x-gm-msgid x-gm-labels threadid", NULL, 0,
		  "{\"event\":\"fetch\",\"uid\":5,\"threadid\":null,\"x-gm-msgid\":"
		  "\"18446744073709551615\",\"x-gm-thrid\":\"2\",\"x-gm-labels\":?\"\\\\Inbox\",\"a b\","
		  "\"\\u00E4\"?}\n*" },
	};
	struct buf got = BUF_INIT(10000);
	char *script, *log, *config;

	(void)state;
	use("tunnel");
	script = path_join(user.dir, "server.sh");
	log = path_join(user.dir, "server.log");
	config = xasprintf("[account far]\nhost = x\nuser = anna\ntunnel = sh %s %s\n", script, log);
	write_file(script, bytes_of(TUNNEL_SERVER));
	write_file(user.config, bytes_of(config));
	RUN(steps);
	read_file(log, &got);
	assert_non_null(strstr(buf_str(&got), "S: x\r\n\r\n\r\nUID REPLACE 5 INBOX (\\Draft) {8}\n"));
	assert_non_null(strstr(buf_str(&got), "ENABLE UTF8=ACCEPT\nS: x\r\n\r\n)\r\n"
					      "APPEND INBOX UTF8 (~{8}\n"));
	assert_null(strstr(buf_str(&got), "5:6"));
	buf_release(&got);
	free(script);
	free(log);
	free(config);
}

static void test_a_mailbox_is_opened_with_what_happened_since(void **state)
{
	struct proc_result res;
	unsigned validity;
	char *script;

	(void)state;
	use("resync");
	for (int i = 0; i < 3; i++) {
		run_line(&res, "imap far append INBOX -", MESSAGE("one"));
		assert_int_equal(sscanf(buf_str(&res.out), "uidvalidity %u", &validity), 1);
		proc_result_release(&res);
	}
	run_line(&res, "imap far -", "store INBOX 2 add '\\Deleted'\nexpunge INBOX 2\n");
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	script = xasprintf("enable QRESYNC\nselect INBOX %u 1\n", validity);
	run_line(&res, "imap far -", script);
	assert_int_equal(res.status, 0);
	assert_non_null(strstr(buf_str(&res.out), "\nvanished 2\n"));
	assert_non_null(strstr(buf_str(&res.out), "\nuid 3 modseq "));
	assert_non_null(strstr(buf_str(&res.out), "\nmessages 2\n"));
	proc_result_release(&res);
	free(script);
}

static void test_a_script_ends_at_the_first_line_that_fails(void **state)
{
	static const struct step steps[] = {
		{ "imap far -", "# nothing\n\ncreate 'a b'\ncreate \"c \\\" d\" # a name\n", 0, "" },
		{ "imap far list", NULL, 0, "INBOX *\na b *\nc \" d *\n" },
		{ "imap far -", "delete 'a b'\ndelete x\ndelete 'c \" d'\n", 1, "" },
		{ "imap far list", NULL, 0, "INBOX *\nc \" d *\n" },
		{ "imap far -", "delete 'c \" d\n", 2, "" },
		{ "imap far -", "logout\nnoop\n", 2, "" },
		{ "imap far -", "noop --json\n", 2, "" },
		{ "imap far -", "--seq list\n", 2, "" },
		{ "--json imap far -", "noop\nstatus x\n", 1,
		  "{\"event\":\"done\",\"command\":\"noop\",\"line\":1}\n"
		  "{\"event\":\"error\",\"command\":\"status\",\"line\":2,\"text\":\"*\"}\n" },
	};

	(void)state;
	use("script");
	RUN(steps);
}

static void test_messages_are_written_to_files_and_none_is_overwritten(void **state)
{
	struct proc_result res;
	struct name_list names = { 0 };
	struct buf text = BUF_INIT(1000);
	char *dir, *path, *line;

	(void)state;
	use("files");
	dir = path_join(user.dir, "out");
	path = path_join(dir, "1.eml");
	line = xasprintf("--json imap far fetch --output=%s INBOX 1:9 body size", dir);
	run_line(&res, "imap far append INBOX -", MESSAGE("one"));
	proc_result_release(&res);
	run_line(&res, line, NULL);
	assert_int_equal(res.status, 0);
	assert_non_null(strstr(buf_str(&res.out), "\"event\":\"fetch\",\"uid\":1,\"size\":53,"));
	proc_result_release(&res);
	read_file(path, &text);
	assert_int_equal(text.n, 53);
	write_file(path, bytes_of("mine"));
	run_line(&res, line, NULL);
	assert_int_equal(res.status, 1);
	assert_non_null(strstr(buf_str(&res.err), "1.eml: File exists"));
	proc_result_release(&res);
	buf_clear(&text);
	read_file(path, &text);
	assert_string_equal(buf_str(&text), "mine");
	dir_entries(dir, &names);
	assert_int_equal(names.n, 1); /* no litter */
	name_list_release(&names);
	buf_release(&text);
	free(dir);
	free(path);
	free(line);
}

/* --- listening --- */

struct listener {
	char *out, *trace;
	pid_t pid;
	const char *waits_for; /* in `file` */
	const char *file;
};

static bool has_come(void *ctx)
{
	const struct listener *l = ctx;
	struct buf text = BUF_INIT(1 << 20);
	bool come;

	if (access(l->file, F_OK) < 0)
		return false;
	read_file(l->file, &text);
	come = strstr(buf_str(&text), l->waits_for) != NULL;
	buf_release(&text);
	return come;
}

static void wait_for(struct listener *l, const char *file, const char *what)
{
	l->file = file;
	l->waits_for = what;
	if (!test_until(has_come, l, 20000))
		test_die("%s did not come", what);
}

static void assert_told_while_it_happens(const char *command, const char *sent, const char *news)
{
	struct listener l = { .out = path_join(user.dir, "news"),
			      .trace = path_join(user.dir, "trace") };
	const char *argv[] = { program_path(), "--trace", l.trace, "imap", "far", command,
			       "--seconds=600", "INBOX", NULL };
	const char *vars[] = { user.env[0], user.env[1], NULL };
	struct proc_result res;
	int fd = open(l.out, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	l.pid = proc_spawn(argv, &(struct proc_spawn){ .env = vars, .out_fd = fd, .err_fd = -1 });
	wait_for(&l, l.trace, sent);
	run_line(&res, "imap far append INBOX -", MESSAGE("news"));
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	wait_for(&l, l.out, news);
	assert_int_equal(proc_end(l.pid, SIGINT), 130);
	name_list_add(&ran, command);
	close(fd);
	free(l.out);
	free(l.trace);
}

static void test_idle_tells_of_a_new_message(void **state)
{
	(void)state;
	use("idle");
	assert_told_while_it_happens("idle", "S: + ", "messages 1\n");
}

static void test_notify_tells_of_a_new_message(void **state)
{
	(void)state;
	use("notify");
	assert_told_while_it_happens("notify", "OK NOTIFY", "messages 1\n");
}

static void test_listening_ends_when_it_is_told_to(void **state)
{
	static const struct step steps[] = {
		{ "imap far idle --seconds=1 INBOX", NULL, 0, "" },
		{ "imap far notify --seconds=1 INBOX", NULL, 0, "" },
	};

	(void)state;
	use("listen");
	RUN(steps);
}

/* --- endings --- */

static void test_other_ends_have_the_usual_exit_codes(void **state)
{
	static const struct step refused[] = { { "imap far noop", NULL, 12, "" } };
	static const struct step down[] = { { "imap far noop", NULL, 75, "" } };
	struct backup_config config = { .port = server->tls_port, .tls = "implicit",
					.password = "wrong", .user = "wrong" };
	char *account = xasprintf("tls_ca_file = %s\n", server->ca_file);

	(void)state;
	config.account = account;
	backup_init(&user, &config);
	RUN(refused);
	config.port = free_port();
	backup_configure(&user, &config);
	RUN(down);
	free(account);
}

static void test_no_secret_is_in_the_trace(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	struct proc_result res;
	char *path, *line;

	(void)state;
	use("secret");
	path = path_join(user.dir, "trace");
	line = xasprintf("--trace=%s imap far noop", path);
	run_line(&res, line, NULL);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	read_file(path, &text);
	assert_non_null(strstr(buf_str(&text), "NOOP"));
	assert_null(strstr(buf_str(&text), "AHNlY3JldABwdw==")); /* \0secret\0pw */
	buf_release(&text);
	free(path);
	free(line);
}

/* Runs last. */
static void test_every_command_was_run(void **state)
{
	(void)state;
	use("nobody");
	for (size_t i = 0; imap_subs[i]; i++)
		if (!name_list_has(&ran, imap_subs[i]->name))
			test_die("no test runs %s", imap_subs[i]->name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, forget_user)
		T(test_the_session_tells_what_the_server_is_and_can),
		T(test_mailboxes_are_made_renamed_and_removed),
		T(test_messages_are_added_searched_changed_copied_and_removed),
		T(test_fetch_shows_what_a_message_is_made_of),
		T(test_a_message_is_made_of_parts_and_replaced),
		T(test_what_a_newer_server_has_is_used),
		T(test_a_mailbox_is_opened_with_what_happened_since),
		T(test_a_script_ends_at_the_first_line_that_fails),
		T(test_messages_are_written_to_files_and_none_is_overwritten),
		T(test_idle_tells_of_a_new_message),
		T(test_notify_tells_of_a_new_message),
		T(test_listening_ends_when_it_is_told_to),
		T(test_other_ends_have_the_usual_exit_codes),
		T(test_no_secret_is_in_the_trace),
		T(test_every_command_was_run),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
