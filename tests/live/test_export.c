/* `mailcask export`: an mbox that mutt and Python read, and from which the same messages come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"

static struct dovecot *server;
static struct oracle *oracle;
static struct backup job; /* a git store with two snapshots */
static char *dir, *mbox, *plain; /* the mailbox as an mbox, and restored as a Maildir */

enum { FIRST = 40, ODD = 6, LATER = 3 };

static void append_odd(void)
{
	static const char *const text[ODD] = {
		"Subject: 1\r\n\r\nFrom here on\r\n>From there\r\n>>From anywhere\r\n",
		"From me Thu Feb 29 13:05:09 2024\r\nSubject: 2\r\n\r\nmangled\r\n",
		"Subject: 3\r\n\r\nno last line end",
		"Subject: 4\r\nStatus: RO\r\nX-Keywords: a b\r\nContent-Length: 3\r\n\r\n\r\n\r\n\r\n",
		"Subject: 5\r\n\r\nFrom ann Thu Feb 29 13:05:09 2024\r\nSubject: forwarded\r\n\r\nx\r\n",
		"Subject: 6\r\n\r\nFrom ann some day\r\nReceived: from nowhere\r\n\r\nx\r\n",
	};
	struct oracle_new odd[ODD] = { 0 };

	for (size_t i = 0; i < ODD; i++)
		odd[i] = (struct oracle_new){ .body = bytes_of(text[i]),
					      .flags = i % 2 ? "\\Seen $Work" : "",
					      .date = " 7-Feb-1994 21:52:25 -0800" };
	oracle_append(oracle, "INBOX", odd, ODD);
}

static int start(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	oracle = oracle_open(server->port, "alice");
	corpus_fill_mixed(oracle, "INBOX", 480, FIRST, 3 << 20);
	append_odd();
	oracle_store(oracle, "INBOX", "3:9", "+FLAGS", "$Work $Forwarded \\Answered");
	oracle_create(oracle, "Other");
	corpus_fill(oracle, "Other", 0, 2, 0, 500);
	backup_init(&job, &(struct backup_config){ .port = server->port, .type = "git" });
	backup_ends_with(&job, 0, "");
	corpus_fill(oracle, "INBOX", 900, LATER, 0, 3000);
	backup_ends_with(&job, 0, "");
	dir = path_join(job.dir, "out");
	mkdir(dir, 0700);
	mbox = path_join(dir, "INBOX.mbox");
	plain = path_join(dir, "plain");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	oracle_close(oracle);
	dovecot_stop(server);
	backup_release(&job);
	free(dir);
	free(mbox);
	free(plain);
	return 0;
}

static void test_an_exported_mailbox_comes_back_the_same(void **state)
{
	char *back = path_join(dir, "back"), *said, *want, *got;

	(void)state;
	said = program_says(&job, 0, "export", "--mailbox INBOX near %s", mbox);
	assert_non_null(strstr(said, "\"messages\":49"));
	free(said);
	free(program_says(&job, 0, "restore", "--mailbox INBOX near %s", plain));
	free(program_says(&job, 0, "restore", "--into INBOX %s %s", mbox, back));
	want = archive_contents(plain, "INBOX");
	got = archive_contents(back, "INBOX");
	assert_string_equal(got, want);
	assert_non_null(strstr(got, "$Work \\Seen 8-Feb-1994 05:52:25 +0000"));
	free(want);
	free(got);
	said = program_says(&job, 0, "restore", "--into INBOX %s %s", mbox, back);
	assert_non_null(strstr(said, "\"added\":0"));
	free(said);
	free(back);
}

static void test_python_reads_the_same_messages(void **state)
{
	/* Lines end in LF there, and a last line without an end has got one. */
	static const char script[] =
		"import glob, mailbox, re, sys\n"
		"def plain(b): return b.replace(b'\\r\\n', b'\\n').rstrip(b'\\n')\n"
		"box = mailbox.mbox(sys.argv[1], create=False)\n"
		"got = sorted(plain(re.sub(rb'(?m)^>(>*From )', rb'\\1', box.get_bytes(k))) for k in box.keys())\n"
		"want = sorted(plain(open(f, 'rb').read()) for f in\n"
		"  glob.glob(sys.argv[2] + '/INBOX/cur/*') + glob.glob(sys.argv[2] + '/INBOX/new/*'))\n"
		"print(len(got), len(want), got == want)\n"
		"sys.exit(got != want)\n";
	struct proc_result res;

	(void)state;
	proc_runl(&res, NULL, "python3", "-c", script, mbox, plain, NULL);
	if (res.status != 0 || strcmp(buf_str(&res.out), "49 49 True\n") != 0)
		fail_msg("exit %d: %s%s", res.status, buf_str(&res.out), buf_str(&res.err));
	proc_result_release(&res);
}

static void test_mutt_counts_the_messages(void **state)
{
	char *fifo = path_join(dir, "typed"), *command;
	struct proc_result res;

	(void)state;
	/* As in test_backup.c: mutt wants a terminal, and no end of input. */
	command = xasprintf("HOME=%s mutt -n -R -F /dev/null -f %s -e 'set status_format=\"all %%m.\"' "
			    "-e 'set folder=%s' -e 'push <exit>'", dir, mbox, dir);
	proc_runl(&res, &(struct proc_opts){ .env = (const char *[]){ "TERM=xterm", NULL } },
		  "sh", "-c",
		  "mkfifo \"$2\" && [ -e /dev/pts/ptmx ] || exec unshare -m sh -c '"
		  "mount -t devpts -o ptmxmode=0666 none /dev/pts && "
		  "mount --bind /dev/pts/ptmx /dev/ptmx && "
		  "exec script -q -e -c \"$1\" /dev/null <>\"$2\"' sh \"$1\" \"$2\"\n"
		  "exec script -q -e -c \"$1\" /dev/null <>\"$2\"", "sh",
		  command, fifo, NULL);
	if (res.status != 0 || !strstr(buf_str(&res.out), "all 49."))
		fail_msg("exit %d: %s", res.status, buf_str(&res.out));
	proc_result_release(&res);
	free(command);
	free(fifo);
}

static void test_a_file_that_is_there_is_never_written_over(void **state)
{
	struct buf before = BUF_INIT(64 << 20), after = BUF_INIT(64 << 20);
	struct name_list names = { 0 };
	char *said;

	(void)state;
	read_file(mbox, &before);
	said = program_says(&job, 2, "export", "--mailbox Other near %s", mbox);
	assert_non_null(strstr(said, "is there already"));
	read_file(mbox, &after);
	assert_true(before.n == after.n && memcmp(before.p, after.p, before.n) == 0);
	dir_entries(dir, &names);
	for (size_t i = 0; i < names.n; i++)
		assert_null(strstr(names.name[i], ".part-"));
	name_list_release(&names);
	buf_release(&before);
	buf_release(&after);
	free(said);
}

static void test_an_mbox_that_could_not_be_written_to_its_end_is_not_there(void **state)
{
	char *cut = path_join(dir, "cut.mbox");
	struct name_list names = { 0 };
	struct proc_result res;

	(void)state;
	/* 512 kB at most, as when the disk is full; the mailbox has more, and so has its largest message. */
	proc_runl(&res, &(struct proc_opts){ .env = (const char *const *)job.env }, "sh", "-c",
		  "ulimit -f 1024; trap '' XFSZ; exec \"$@\"", "sh", program_path(), "--config", job.config,
		  "export", "--mailbox=INBOX", "near", cut, NULL);
	if (res.status != 1)
		fail_msg("exit %d: %s%s", res.status, buf_str(&res.out), buf_str(&res.err));
	assert_non_null(strstr(buf_str(&res.err), "File too large"));
	dir_entries(dir, &names);
	for (size_t i = 0; i < names.n; i++)
		assert_null(strstr(names.name[i], "cut.mbox"));
	name_list_release(&names);
	proc_result_release(&res);
	free(cut);
}

static void test_a_damaged_message_is_named_and_the_others_are_written(void **state)
{
	char *store = path_join(dir, "damaged"), *out = path_join(dir, "damaged.mbox"), *file, *said;
	struct archive a;

	(void)state;
	free(program_says(&job, 0, "restore", "--mailbox Other near %s", store));
	archive_read(store, &a);
	file = path_join(store, archive_find(&a, "Other")->msg[0].path);
	write_file(file, bytes_of("Subject: not what was stored\n\n"));
	said = program_says(&job, 3, "export", "%s %s", store, out);
	assert_non_null(strstr(said, "\"messages\":1"));
	assert_non_null(strstr(said, "message with UID 1 was left out"));
	free(said);
	said = program_says(&job, 0, "restore", "--dry-run %s %s/none", out, dir);
	assert_non_null(strstr(said, "\"added\":1"));
	free(said);
	archive_release(&a);
	free(file);
	free(out);
	free(store);
}

static void test_what_cannot_be_meant_is_said_and_writes_nothing(void **state)
{
	static const struct {
		int status;
		const char *args, *text;
	} bad[] = {
		{ 2, "near %s", "2 are meant" },
		{ 10, "--mailbox Inbocks near %s", "no such mailbox" },
		{ 10, "--mailbox INBOX --uid 77 near %s", "77" },
		{ 10, "no/where %s", "no/where" },
		{ 2, "--mailbox INBOX --uid x near %s", "--uid" },
		{ 2, "--mailbox INBOX near -", "--json" },
		{ 2, "near", "needed" },
	};
	char *none = path_join(dir, "none");
	struct stat sb;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *said;
		const char *at = strstr(bad[i].args, "%s");

		said = program_says(&job, bad[i].status, "export", "%.*s%s",
			       (int)(at ? (size_t)(at - bad[i].args) : strlen(bad[i].args)),
			       bad[i].args, at ? none : "");
		if (!strstr(said, bad[i].text))
			fail_msg("%s: %s", bad[i].args, said);
		free(said);
		assert_int_equal(lstat(none, &sb), -1);
	}
	free(none);
}

static void test_a_snapshot_and_a_selection_are_written_to_standard_output(void **state)
{
	static const struct {
		const char *args, *store;
		size_t want;
	} cases[] = {
		{ "--mailbox=INBOX", "near@latest~1", FIRST + ODD },
		{ "--mailbox=INBOX", "near", FIRST + ODD + LATER },
		{ "--search=not larger 0 not smaller 1 unseen seen", "near@latest~1", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct proc_result res;
		size_t n = 0;

		proc_runl(&res, &(struct proc_opts){ .env = (const char *const *)job.env },
			  program_path(), "--config", job.config, "export", "--mailbox=INBOX",
			  cases[i].args, cases[i].store, "-", NULL);
		if (res.status != 0)
			fail_msg("exit %d: %s", res.status, buf_str(&res.err));
		for (const char *at = buf_str(&res.out); (at = strstr(at, "From MAILER-DAEMON ")); at++)
			n += strstr(at, " mailcask length=") == at + strlen("From MAILER-DAEMON ") + 24;
		assert_int_equal(n, cases[i].want);
		proc_result_release(&res);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_exported_mailbox_comes_back_the_same),
		cmocka_unit_test(test_python_reads_the_same_messages),
		cmocka_unit_test(test_mutt_counts_the_messages),
		cmocka_unit_test(test_a_file_that_is_there_is_never_written_over),
		cmocka_unit_test(test_an_mbox_that_could_not_be_written_to_its_end_is_not_there),
		cmocka_unit_test(test_a_damaged_message_is_named_and_the_others_are_written),
		cmocka_unit_test(test_what_cannot_be_meant_is_said_and_writes_nothing),
		cmocka_unit_test(test_a_snapshot_and_a_selection_are_written_to_standard_output),
	};

	return cmocka_run_group_tests_name("export", tests, start, stop);
}
