/* `mailcask import`: mail of other programs in an archive, once, whole, and in no backup's way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/lockfile.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"

enum { INBOX = 40, ODD = 4, WORK = 12, OLD = INBOX + ODD };

static struct dovecot *server;

/* An account with its backup, and a mailbox of it as an mbox. */
struct scene {
	struct oracle *o;
	struct backup job;
	char *mbox; /* Old.mbox */
};

static int start(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	dovecot_stop(server);
	return 0;
}

static void append_odd(struct oracle *o)
{
	static const char *const text[ODD] = {
		"Subject: 1\r\n\r\nFrom here on\r\n>From there\r\n",
		"Subject: 2\r\n\r\nno last line end",
		"Subject: 3\r\nStatus: RO\r\nX-Keywords: a b\r\n\r\ntwice\r\n",
		"Subject: 3\r\nStatus: RO\r\nX-Keywords: a b\r\n\r\ntwice\r\n",
	};
	struct oracle_new odd[ODD] = { 0 };

	for (size_t i = 0; i < ODD; i++)
		odd[i] = (struct oracle_new){ .body = bytes_of(text[i]),
					      .flags = i % 2 ? "\\Seen $Work" : "\\Flagged",
					      .date = " 7-Feb-1994 21:52:25 -0800" };
	oracle_append(o, "INBOX", odd, ODD);
}

static void begin(struct scene *s, const char *user, const char *type)
{
	char *more = xasprintf("[account other]\nhost = 127.0.0.1\nport = %d\ntls = none\nuser = %s-other\n"
			       "password = pw\n", server->port, user);

	*s = (struct scene){ .o = oracle_open(server->port, user) };
	corpus_fill_mixed(s->o, "INBOX", 0, INBOX, 2 << 20);
	append_odd(s->o);
	oracle_store(s->o, "INBOX", "3:9", "+FLAGS", "$Work $Forwarded \\Answered");
	oracle_create(s->o, "Work");
	corpus_fill(s->o, "Work", 700, WORK, 0, 2000);
	backup_init(&s->job, &(struct backup_config){ .port = server->port, .user = user, .type = type,
						      .job = more });
	backup_ends_with(&s->job, 0, "");
	s->mbox = path_join(s->job.dir, "Old.mbox");
	free(program_says(&s->job, 0, "export", "--mailbox INBOX near %s", s->mbox));
	free(more);
}

static void end(struct scene *s)
{
	backup_release(&s->job);
	oracle_close(s->o);
	free(s->mbox);
}

/* Fails the test unless that many were added, and as many were there. */
static void import(struct scene *s, const char *args, size_t added, size_t present)
{
	char *said = program_says(&s->job, 0, "import", "%s", args), *want;

	want = xasprintf("\"added\":%zu,\"present\":%zu,", added, present);
	if (!strstr(said, want))
		test_die("import %s: not %s but %s", args, want, said);
	free(want);
	free(said);
}

static void import_old(struct scene *s, const char *options, size_t added, size_t present)
{
	char *args = xasprintf("%s %s near", options, s->mbox);

	import(s, args, added, present);
	free(args);
}

static void same_contents(struct scene *s, const char *a, const char *b)
{
	char *x = archive_contents(s->job.root, a), *y = archive_contents(s->job.root, b);

	assert_string_equal(x, y);
	free(x);
	free(y);
}

static void same_files(const char *a, const char *b)
{
	struct buf x = BUF_INIT(64 << 20), y = BUF_INIT(64 << 20);

	read_file(a, &x);
	read_file(b, &y);
	assert_true(x.n > 0 && bytes_equal(buf_bytes(&x), buf_bytes(&y)));
	buf_release(&x);
	buf_release(&y);
}

/* By every command. */
static void everything_knows_of(struct scene *s, const char *mailbox)
{
	char *again = path_join(s->job.dir, "again.mbox"), *said;

	said = program_says(&s->job, 0, "ls", "near %s", mailbox);
	assert_non_null(strstr(said, "\"kept\":true"));
	assert_null(strstr(said, "\"kept\":false"));
	free(said);
	said = program_says(&s->job, 0, "find", "--mailbox %s near subject 3", mailbox);
	assert_non_null(strstr(said, "\"kept\":true"));
	free(said);
	free(program_says(&s->job, 0, "check", "--read-data near"));
	free(program_says(&s->job, 0, "export", "--mailbox %s near %s", mailbox, again));
	same_files(s->mbox, again);
	free(again);
}

static void import_an_exported_mbox(const char *type)
{
	char *user = xasprintf("same-%s", type);
	struct scene s;

	begin(&s, user, type);
	import_old(&s, "--dry-run", OLD, 0);
	archive_holds(s.job.root, OLD + WORK, 0);
	import_old(&s, "", OLD, 0);
	archive_holds(s.job.root, OLD + WORK, OLD);
	same_contents(&s, "INBOX", "Old");
	everything_knows_of(&s, "Old");
	import_old(&s, "", 0, OLD);
	import_old(&s, "--into INBOX", 0, OLD); /* there, though not kept */
	archive_holds(s.job.root, OLD + WORK, OLD);
	end(&s);
	free(user);
}

static void backups_leave_imported_mail_alone(const char *type)
{
	char *user = xasprintf("backup-%s", type);
	struct oracle_dump work;
	struct scene s;

	begin(&s, user, type);
	import_old(&s, "", OLD, 0);
	import_old(&s, "--into Work", OLD, 0);
	backup_idle(&s.job);
	archive_holds(s.job.root, OLD + WORK, 2 * OLD);
	/* Mail comes and goes as ever. */
	oracle_expunge(s.o, "INBOX", "5");
	corpus_fill(s.o, "Work", 900, 2, 0, 500);
	backup_ends_with(&s.job, 0, "");
	archive_holds(s.job.root, OLD + WORK + 1, 2 * OLD);
	/* A mailbox with the same mail under another UIDVALIDITY, which later is gone. */
	oracle_dump(s.o, "Work", &work);
	oracle_create(s.o, "Spare");
	for (size_t i = 0; i < work.n; i++)
		oracle_command(s.o, "UID COPY %u Spare", work.msg[i].uid);
	oracle_command(s.o, "CLOSE");
	oracle_command(s.o, "DELETE Work");
	oracle_command(s.o, "RENAME Spare Work");
	backup_ends_with(&s.job, 0, "");
	archive_holds(s.job.root, OLD + WORK + 1, 2 * OLD);
	oracle_command(s.o, "DELETE Work");
	backup_ends_with(&s.job, 0, "--allow-deletes=100");
	archive_holds(s.job.root, OLD - 1, 2 * OLD);
	same_contents(&s, "Old", "Work");
	backup_idle(&s.job);
	oracle_dump_release(&work);
	end(&s);
	free(user);
}

static void restoring_gives_imported_mail_to_an_account(const char *type)
{
	char *user = xasprintf("account-%s", type), *other = xasprintf("%s-other", user);
	struct oracle_dump old, inbox;
	struct oracle *o;
	struct scene s;

	begin(&s, user, type);
	import_old(&s, "--into Archive/Old", OLD, 0);
	free(program_says(&s.job, 0, "restore", "near other"));
	o = oracle_open(server->port, other);
	oracle_dump(o, "Archive/Old", &old);
	oracle_dump(s.o, "INBOX", &inbox);
	assert_int_equal(old.n, inbox.n);
	for (size_t i = 0; i < old.n; i++) { /* in the order of the file */
		assert_string_equal(old.msg[i].sha256, inbox.msg[i].sha256);
		assert_string_equal(old.msg[i].flags, inbox.msg[i].flags);
	}
	oracle_dump_release(&old);
	oracle_dump_release(&inbox);
	oracle_close(o);
	end(&s);
	free(other);
	free(user);
}

/* What other programs kept first, and then the account: what both have is there once. */
static void an_archive_can_begin_with_an_import(const char *type)
{
	char *user = xasprintf("new-%s", type), *said;
	struct scene s;

	begin(&s, user, type);
	backup_reset(&s.job);
	said = program_says(&s.job, 10, "import", "%s near", s.mbox);
	assert_non_null(strstr(said, "--create="));
	free(said);
	said = program_says(&s.job, 2, "import", "--create=%s %s near", *type == 'g' ? "maildir" : "git", s.mbox);
	assert_non_null(strstr(said, "of type"));
	free(said);
	said = xasprintf("--create=%s --into INBOX %s near", type, s.mbox);
	import(&s, said, OLD, 0);
	free(said);
	archive_holds(s.job.root, 0, OLD);
	if (*type == 'g') {
		said = program_says(&s.job, 0, "snapshots", "near");
		assert_non_null(strstr(said, "snapshot"));
		free(said);
	}
	backup_ends_with(&s.job, 0, "");
	archive_holds(s.job.root, OLD + WORK, 0);
	archive_equals(s.job.root, s.o);
	backup_idle(&s.job);
	end(&s);
	free(user);
}

/* A directory of messages, one of which cannot be read, and one a directory deeper. */
static void files_become_mailboxes(const char *type)
{
	static const struct {
		const char *name, *text;
	} files[] = {
		{ "eml/Top/1.eml", "Subject: one\nStatus: RO\n\nbody\n" },
		{ "eml/Top/2.eml", "Subject: two\r\nX-Keywords: blue\r\n\r\nbody\r\n" },
		{ "eml/Top/Below/3.eml", "Subject: three\n\nbody\n" },
	};
	static const char *const dirs[] = { "eml", "eml/Top", "eml/Top/Below" };
	char *user = xasprintf("eml-%s", type), *said, *args;
	struct scene s;

	begin(&s, user, type);
	for (size_t i = 0; i < 3; i++) {
		char *dir = path_join(s.job.dir, dirs[i]);

		assert_int_equal(mkdir(dir, 0700), 0);
		free(dir);
	}
	for (size_t i = 0; i < 3; i++) {
		char *file = path_join(s.job.dir, files[i].name);

		write_file(file, bytes_of(files[i].text));
		free(file);
	}
	args = xasprintf("%s/eml near", s.job.dir);
	import(&s, args, 3, 0);
	import(&s, args, 0, 3);
	said = archive_contents(s.job.root, "Top");
	assert_non_null(strstr(said, " \\Seen "));
	assert_non_null(strstr(said, " blue "));
	free(said);
	free(archive_contents(s.job.root, "Top/Below"));
	backup_idle(&s.job);
	free(args);
	end(&s);
	free(user);
}

static void refused(struct scene *s, int status, const char *text, const char *args)
{
	struct buf before = BUF_INIT(4 << 20), after = BUF_INIT(4 << 20);
	char *said;

	archive_snapshot(s->job.root, &before);
	said = program_says(&s->job, status, "import", "%s", args);
	if (!strstr(said, text))
		test_die("import %s: not %s but %s", args, text, said);
	archive_snapshot(s->job.root, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	free(said);
	buf_release(&before);
	buf_release(&after);
}

static void bad_input_changes_nothing(const char *type)
{
	static const struct {
		const char *name, *text;
	} files[] = {
		{ "torn.mbox", "From a Thu Feb 29 13:05:09 2024\nSubject: 1\n\nx\n\nFrom b some day\nReceived: y\n\nz\n" },
		{ "none.mbox", "Subject: no mbox\n\nx\n" },
	};
	char *user = xasprintf("bad-%s", type), *args, *lock;
	struct scene s;
	int fd;

	begin(&s, user, type);
	for (size_t i = 0; i < 2; i++) {
		char *file = path_join(s.job.dir, files[i].name);

		write_file(file, bytes_of(files[i].text));
		free(file);
	}
	args = xasprintf("%s/torn.mbox near", s.job.dir);
	refused(&s, 1, "line 6", args);
	free(args);
	args = xasprintf("%s/none.mbox near", s.job.dir);
	refused(&s, 1, "it is no mbox", args);
	free(args);
	args = xasprintf("%s/nowhere near", s.job.dir);
	refused(&s, 10, "nowhere", args);
	free(args);
	args = xasprintf("%s %s", s.mbox, s.job.dir);
	refused(&s, 10, "is not a store of mailcask", args);
	free(args);
	args = xasprintf("--mailbox Elsewhere %s near", s.mbox);
	refused(&s, 10, "Elsewhere", args);
	free(args);
	refused(&s, 2, "is the store itself", "near near");
	args = xasprintf("%s neer", s.mbox);
	refused(&s, 10, "did you mean", args);
	free(args);
	lock = path_join(s.job.root, LOCK_FILE);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
	args = xasprintf("%s near", s.mbox);
	refused(&s, 11, "lock", args);
	close(fd);
	free(args);
	free(lock);
	end(&s);
	free(user);
}

/* Of 300 kB that no compression makes less. */
static void write_large(const char *path)
{
	struct buf text = BUF_INIT(1 << 20);
	uint32_t random = 1;

	buf_add_str(&text, "From ann Thu Feb 29 13:05:09 2024\nSubject: large\n\n");
	for (size_t i = 0; i < 300000; i++) {
		random = random * 1103515245 + 12345;
		buf_add_byte(&text, i % 70 == 69 ? '\n' : (uint8_t)('!' + (random >> 16) % 90));
	}
	buf_add_byte(&text, '\n');
	write_file(path, buf_bytes(&text));
	buf_release(&text);
}

static void a_full_disk_changes_nothing(const char *type)
{
	char *user = xasprintf("full-%s", type);
	struct proc_result res;
	struct scene s;

	begin(&s, user, type);
	write_large(s.mbox);
	/* 64 kB at most in a file; the message has more, and so has a pack. */
	proc_runl(&res, &(struct proc_opts){ .env = (const char *const *)s.job.env }, "sh", "-c",
		  "ulimit -f 128; trap '' XFSZ; exec \"$@\"", "sh", program_path(), "--config", s.job.config,
		  "import", s.mbox, "near", NULL);
	if (res.status != 1)
		fail_msg("exit %d: %s%s", res.status, buf_str(&res.out), buf_str(&res.err));
	assert_non_null(strstr(buf_str(&res.err), "Nothing was imported"));
	proc_result_release(&res);
	archive_holds(s.job.root, OLD + WORK, 0);
	backup_idle(&s.job);
	import_old(&s, "", 1, 0);
	archive_holds(s.job.root, OLD + WORK, 1);
	end(&s);
	free(user);
}

static void test_what_cannot_be_meant_is_said(void **state)
{
	static const struct {
		const char *args, *text;
	} bad[] = {
		{ "near", "a SOURCE and a STORE are needed" },
		{ "--create=mbox a near", "git or maildir" },
		{ "--into= a near", "a mailbox has a name" },
	};
	struct scene s;

	(void)state;
	begin(&s, "words", "git");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *said = program_says(&s.job, 2, "import", "%s", bad[i].args);

		if (!strstr(said, bad[i].text))
			fail_msg("%s: %s", bad[i].args, said);
		free(said);
	}
	end(&s);
}

/* An import is a moment to go back to, and says what it was. */
static void test_an_import_is_one_snapshot_of_a_git_archive(void **state)
{
	struct scene s;
	char *said, *last;

	(void)state;
	begin(&s, "snapshot", "git");
	import_old(&s, "", OLD, 0);
	said = program_says(&s.job, 0, "snapshots", "near");
	last = strstr(said, "\"event\":\"snapshot\"");
	assert_non_null(last);
	assert_non_null(last = strstr(last + 1, "\"event\":\"snapshot\""));
	assert_null(strstr(last + 1, "\"event\":\"snapshot\""));
	free(said);
	said = git_out(s.job.root, "log", "-1", "--format=%s", "main", NULL);
	assert_non_null(strstr(said, "44 messages imported from "));
	assert_non_null(strstr(said, "Old.mbox"));
	free(said);
	/* Kept by it, gone by its rule. */
	free(program_says(&s.job, 0, "forget", "--keep-last 1 near"));
	archive_holds(s.job.root, OLD + WORK, OLD);
	free(program_says(&s.job, 0, "forget", "--kept-before 2000-01-01 near"));
	archive_holds(s.job.root, OLD + WORK, OLD);
	end(&s);
}

#define EACH(name)                                      \
	static void test_##name##_git(void **state)     \
	{                                               \
		(void)state;                            \
		name("git");                            \
	}                                               \
	static void test_##name##_maildir(void **state) \
	{                                               \
		(void)state;                            \
		name("maildir");                        \
	}
EACH(import_an_exported_mbox)
EACH(backups_leave_imported_mail_alone)
EACH(restoring_gives_imported_mail_to_an_account)
EACH(an_archive_can_begin_with_an_import)
EACH(files_become_mailboxes)
EACH(bad_input_changes_nothing)
EACH(a_full_disk_changes_nothing)

#define BOTH(name) cmocka_unit_test(test_##name##_git), cmocka_unit_test(test_##name##_maildir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(import_an_exported_mbox),
		BOTH(backups_leave_imported_mail_alone),
		BOTH(restoring_gives_imported_mail_to_an_account),
		BOTH(an_archive_can_begin_with_an_import),
		BOTH(files_become_mailboxes),
		BOTH(bad_input_changes_nothing),
		BOTH(a_full_disk_changes_nothing),
		cmocka_unit_test(test_what_cannot_be_meant_is_said),
		cmocka_unit_test(test_an_import_is_one_snapshot_of_a_git_archive),
	};

	return cmocka_run_group_tests_name("import", tests, start, stop);
}
