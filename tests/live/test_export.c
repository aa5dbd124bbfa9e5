/* `mailcask export`: an mbox that mutt and Python read, and from which the same messages come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/accounts.h"
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

/* What a script says of two of our files; it must print `want`. */
static void python(const char *script, const char *a, const char *b, const char *want)
{
	struct proc_result res;

	proc_runl(&res, NULL, "python3", "-c", script, a, b, NULL);
	if (res.status != 0 || strcmp(buf_str(&res.out), want) != 0)
		fail_msg("exit %d: %s%s", res.status, buf_str(&res.out), buf_str(&res.err));
	proc_result_release(&res);
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

	(void)state;
	python(script, mbox, plain, "49 49 True\n");
}

/* mutt opens the mbox, does what is typed, and leaves; it must have said `text`. */
static void mutt(const char *options, const char *typed, const char *text)
{
	char *fifo = path_join(dir, "typed"), *command;
	struct proc_result res;

	/* As in test_backup.c: mutt wants a terminal, and no end of input. */
	command = xasprintf("HOME=%s mutt -n -R -F /dev/null -f %s -e 'set status_format=\"all %%m.\"' "
			    "-e 'set folder=%s' %s -e 'push %s<exit>'", dir, mbox, dir, options, typed);
	proc_runl(&res, &(struct proc_opts){ .env = (const char *[]){ "TERM=xterm", NULL } },
		  "sh", "-c",
		  "mkfifo \"$2\" && [ -e /dev/pts/ptmx ] || exec unshare -m sh -c '"
		  "mount -t devpts -o ptmxmode=0666 none /dev/pts && "
		  "mount --bind /dev/pts/ptmx /dev/ptmx && "
		  "exec script -q -e -c \"$1\" /dev/null <>\"$2\"' sh \"$1\" \"$2\"\n"
		  "exec script -q -e -c \"$1\" /dev/null <>\"$2\"", "sh",
		  command, fifo, NULL);
	if (res.status != 0 || !strstr(buf_str(&res.out), text))
		fail_msg("exit %d: %s", res.status, buf_str(&res.out));
	proc_result_release(&res);
	unlink(fifo);
	free(command);
	free(fifo);
}

static void test_mutt_counts_the_messages(void **state)
{
	(void)state;
	mutt("", "", "all 49.");
}

static void test_mutt_copies_the_same_messages(void **state)
{
	/* In a copy it leaves out what is its own: fields about status and length. The quoting of an mbox stays. */
	static const char script[] =
		"import glob, re, sys\n"
		"own = rb'(?mi)^(status|x-status|content-length|lines): .*\\n'\n"
		"def plain(f, quoted):\n"
		"  text = open(f, 'rb').read().replace(b'\\r\\n', b'\\n')\n"
		"  if quoted: text = re.sub(rb'(?m)^>(>*From )', rb'\\1', text)\n"
		"  head, sep, body = text.partition(b'\\n\\n')\n"
		"  return (re.sub(own, b'', head + b'\\n') + sep + body).strip(b'\\n')\n"
		"def read(d, quoted): return sorted(plain(f, quoted) for f in glob.glob(d + '/cur/*') + glob.glob(d + '/new/*'))\n"
		"got, want = read(sys.argv[1], True), read(sys.argv[2] + '/INBOX', False)\n"
		"print(len(got), got == want)\n";
	char *copy = path_join(dir, "copy"), *typed;

	(void)state;
	typed = xasprintf("<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>%s<enter>", copy);
	mutt("-e \"set confirmcreate=no confirmappend=no mbox_type=Maildir\"", typed, "all 49.");
	python(script, copy, plain, "49 True\n");
	free(typed);
	free(copy);
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
		{ 2, "--format=eml --uid 3 near %s", "2 are meant" },
		{ 2, "--format=mh near %s", "mbox, eml or maildir" },
		{ 2, "--format=eml near -", "standard output" },
		{ 10, "--mailbox Other --mailbox Inbocks near %s", "no such mailbox" },
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

/* Imported from there, a mailbox has the same messages as in the store; those of files have no flags. */
static void comes_back(const char *from, const char *mailbox, bool flags)
{
	static const char *const types[] = { "git", "maildir" };
	char *store = path_join(dir, "imported");

	for (size_t i = 0; i < 2; i++) {
		char *want = archive_contents(job.root, mailbox), *got;

		free(program_says(&job, 0, "import", "--create=%s --mailbox %s %s %s", types[i], mailbox, from,
				  store));
		got = archive_contents(store, mailbox);
		for (char *w = want, *g = got; *w || *g; w += strcspn(w, "\n") + 1, g += strcspn(g, "\n") + 1)
			if (strncmp(w, g, flags ? strcspn(w, "\n") + 1 : SHA256_HEX_SIZE - 1) != 0)
				fail_msg("%s as %s: got\n%snot\n%s", from, types[i], got, want);
		remove_tree(store);
		free(got);
		free(want);
	}
	free(store);
}

/* The names of what lies in a directory, with a blank behind each; owned by the caller. */
static char *names_in(const char *path)
{
	struct buf out = BUF_INIT(65536);
	struct name_list names = { 0 };

	dir_entries(path, &names);
	for (size_t i = 0; i < names.n; i++)
		buf_addf(&out, "%s ", names.name[i]);
	name_list_release(&names);
	return buf_take(&out);
}

static void test_several_mailboxes_become_a_directory_of_mboxes(void **state)
{
	char *to = path_join(dir, "boxes"), *names, *one = path_join(to, "INBOX.mbox");
	struct buf a = BUF_INIT(64 << 20), b = BUF_INIT(64 << 20);

	(void)state;
	free(program_says(&job, 0, "export", "near %s/", to));
	names = names_in(to);
	assert_string_equal(names, "INBOX.mbox Other.mbox ");
	read_file(mbox, &a);
	read_file(one, &b);
	assert_true(bytes_equal(buf_bytes(&a), buf_bytes(&b)));
	comes_back(one, "INBOX", true);
	buf_release(&a);
	buf_release(&b);
	free(names);
	free(one);
	free(to);
}

static void test_eml_files_have_the_bytes_and_the_date_of_their_messages(void **state)
{
	char *to = path_join(dir, "eml"), *said, *names, *file;
	struct stat sb;

	(void)state;
	said = program_says(&job, 0, "export", "--format eml near %s", to);
	assert_non_null(strstr(said, "\"mailboxes\":2,\"messages\":51,"));
	free(said);
	names = names_in(to);
	assert_string_equal(names, "INBOX Other ");
	comes_back(to, "INBOX", false);
	comes_back(to, "Other", false);
	file = path_join(to, "INBOX/0000000041.eml"); /* the first odd one */
	assert_int_equal(lstat(file, &sb), 0);
	assert_int_equal(sb.st_mtime, 760686745); /* 7 Feb 1994 21:52:25 -0800 */
	free(file);
	free(names);
	free(to);
}

/* And no index of ours in it. */
static void test_dovecot_serves_an_exported_maildir_as_the_same_mail(void **state)
{
	char *to = path_join(tmp_dir(), "maildir"), *names, *extra;
	struct dovecot *reader;
	struct oracle *o;

	(void)state;
	free(program_says(&job, 0, "export", "--format=maildir near %s", to));
	names = names_in(to);
	assert_string_equal(names, "INBOX Other ");
	comes_back(to, "INBOX", true);
	dovecot_own(to);
	extra = xasprintf("mail_location = maildir:%s:LAYOUT=fs:UTF-8:INBOX=%s/INBOX\n", to, to);
	reader = dovecot_start(&(struct dovecot_opts){ .extra = extra });
	o = oracle_open(reader->port, "anyone");
	mailboxes_equal(oracle, "INBOX", o, "INBOX");
	mailboxes_equal(oracle, "Other", o, "Other");
	oracle_close(o);
	dovecot_stop(reader);
	free(extra);
	free(names);
	free(to);
}

static void test_python_reads_an_exported_maildir(void **state)
{
	static const char script[] =
		"import mailbox, sys\n"
		"box = mailbox.Maildir(sys.argv[1] + '/INBOX', factory=None, create=False)\n"
		"print(len(box), sum('S' in m.get_flags() for m in box) > 0, sys.argv[2])\n";
	char *to = path_join(dir, "python");

	(void)state;
	free(program_says(&job, 0, "export", "--format=maildir --mailbox INBOX near@latest~1 %s", to));
	python(script, to, "read", "46 True read\n");
	free(to);
}

static void test_a_directory_that_is_there_is_never_written_into(void **state)
{
	static const char *const formats[] = { "mbox", "eml", "maildir" };
	char *to = path_join(dir, "occupied"), *names;

	(void)state;
	assert_int_equal(mkdir(to, 0700), 0);
	for (size_t i = 0; i < 3; i++) {
		char *said = program_says(&job, 2, "export", "--format=%s near %s/", formats[i], to);

		assert_non_null(strstr(said, "is there already"));
		free(said);
		names = names_in(to);
		assert_string_equal(names, "");
		free(names);
	}
	free(to);
}

static void test_a_directory_that_could_not_be_written_to_its_end_is_not_there(void **state)
{
	static const char *const formats[] = { "--format=mbox", "--format=eml", "--format=maildir" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char *to = path_join(dir, "cut/"), *names;
		struct proc_result res;

		proc_runl(&res, &(struct proc_opts){ .env = (const char *const *)job.env }, "sh", "-c",
			  "ulimit -f 256; trap '' XFSZ; exec \"$@\"", "sh", program_path(), "--config",
			  job.config, "export", formats[i], "near", to, NULL);
		if (res.status != 1)
			fail_msg("exit %d: %s%s", res.status, buf_str(&res.out), buf_str(&res.err));
		names = names_in(dir);
		if (strstr(names, "cut"))
			fail_msg("%s left %s", formats[i], names);
		proc_result_release(&res);
		free(names);
		free(to);
	}
}

static void test_only_mailboxes_with_messages_that_are_meant_are_made(void **state)
{
	char *to = path_join(dir, "chosen"), *names;

	(void)state;
	free(program_says(&job, 0, "export", "--format=eml --search larger\t100000 near %s", to));
	names = names_in(to);
	assert_string_equal(names, "INBOX ");
	free(names);
	free(to);
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
		cmocka_unit_test(test_mutt_copies_the_same_messages),
		cmocka_unit_test(test_a_file_that_is_there_is_never_written_over),
		cmocka_unit_test(test_an_mbox_that_could_not_be_written_to_its_end_is_not_there),
		cmocka_unit_test(test_a_damaged_message_is_named_and_the_others_are_written),
		cmocka_unit_test(test_what_cannot_be_meant_is_said_and_writes_nothing),
		cmocka_unit_test(test_a_snapshot_and_a_selection_are_written_to_standard_output),
		cmocka_unit_test(test_several_mailboxes_become_a_directory_of_mboxes),
		cmocka_unit_test(test_eml_files_have_the_bytes_and_the_date_of_their_messages),
		cmocka_unit_test(test_dovecot_serves_an_exported_maildir_as_the_same_mail),
		cmocka_unit_test(test_python_reads_an_exported_maildir),
		cmocka_unit_test(test_a_directory_that_is_there_is_never_written_into),
		cmocka_unit_test(test_a_directory_that_could_not_be_written_to_its_end_is_not_there),
		cmocka_unit_test(test_only_mailboxes_with_messages_that_are_meant_are_made),
	};

	return cmocka_run_group_tests_name("export", tests, start, stop);
}
