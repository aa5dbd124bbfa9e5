/* The main job: a real server's mail in a Maildir, byte for byte, and kept so. */
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

enum { MESSAGES = TEST_SANITIZED ? 150 : 1000, LARGEST = TEST_SANITIZED ? 2 << 20 : 25 << 20 };

static struct dovecot *server;
static struct oracle *oracle;
static struct backup job;

/* 1,000 messages over all mailboxes, some with two of the largest; one stays empty. */
static void fill(void)
{
	uint32_t share = MESSAGES / (uint32_t)(corpus_mailboxes_n - 1), next = 499 - share / 2;

	for (size_t i = 0; i < corpus_mailboxes_n; i++) {
		if (strcmp(corpus_mailboxes[i].wire, "INBOX") != 0)
			oracle_create(oracle, corpus_mailboxes[i].wire);
		if (corpus_mailboxes[i].messages == 0)
			continue;
		corpus_fill_mixed(oracle, corpus_mailboxes[i].wire, next, share, LARGEST);
		next += share;
	}
	corpus_fill_mixed(oracle, "INBOX", next, MESSAGES % (uint32_t)(corpus_mailboxes_n - 1),
			  LARGEST);
}

static int start(void **state)
{
	struct backup_config config = { .tls = "implicit" };

	(void)state;
	server = dovecot_start(NULL);
	oracle = oracle_open(server->port, "alice");
	fill();
	config.port = server->tls_port;
	config.account = xasprintf("tls_ca_file = %s\n", server->ca_file);
	backup_init(&job, &config);
	free((char *)(uintptr_t)config.account);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	oracle_close(oracle);
	dovecot_stop(server);
	backup_release(&job);
	return 0;
}

static void test_every_message_is_stored_byte_for_byte_with_flags_keywords_and_date(void **state)
{
	struct backup_result res;

	(void)state;
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.new_messages, MESSAGES);
	assert_string_equal(buf_str(&res.err), "");
	backup_result_release(&res);
	archive_equals(job.root, oracle);
}

static void test_a_second_run_transfers_and_touches_nothing(void **state)
{
	struct buf before = BUF_INIT(1 << 24), after = BUF_INIT(1 << 24);

	(void)state;
	archive_snapshot(job.root, &before);
	backup_idle(&job);
	archive_snapshot(job.root, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	buf_release(&before);
	buf_release(&after);
}

/* The archive for a reader that may write: a copy, so that the original stays as we made it. */
static char *copy_archive(void)
{
	char *copy = path_join(tmp_dir(), "copy");
	struct proc_result res;

	proc_runl(&res, NULL, "cp", "-a", job.root, copy, NULL);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	return copy;
}

static void words_beginning(const char *flags, char first, char *out)
{
	for (const char *w = flags; *w; w += strcspn(w, " "), w += *w == ' ')
		if (*w == first)
			out += sprintf(out, "%.*s ", (int)strcspn(w, " "), w);
	*out = '\0';
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Hash and system flags of every message, sorted: UIDs of another server say nothing. */
static void lines_of(struct oracle *o, const char *mailbox, struct name_list *out)
{
	struct oracle_dump d;

	oracle_dump(o, mailbox, &d);
	for (size_t i = 0; i < d.n; i++) {
		char flags[1024], *line;

		words_beginning(d.msg[i].flags, '\\', flags);
		line = xasprintf("%s %llu %s", d.msg[i].sha256, (unsigned long long)d.msg[i].size,
				 flags);
		name_list_add(out, line);
		free(line);
	}
	if (out->n)
		qsort(out->name, out->n, sizeof(*out->name), compare_text);
	oracle_dump_release(&d);
}

static void test_dovecot_serves_the_maildir_as_the_same_mail(void **state)
{
	struct dovecot_opts opts = { 0 };
	struct name_list names = { 0 };
	char *copy = copy_archive();
	struct dovecot *reader;
	struct oracle *o;

	(void)state;
	dovecot_own(copy);
	opts.extra = xasprintf("mail_location = maildir:%s:LAYOUT=fs:UTF-8:INBOX=%s/INBOX\n", copy,
			       copy);
	reader = dovecot_start(&opts);
	o = oracle_open(reader->port, "anyone");
	oracle_list(oracle, &names);
	for (size_t i = 0; i < names.n; i++) {
		struct name_list got = { 0 }, want = { 0 };

		lines_of(oracle, names.name[i], &want);
		lines_of(o, names.name[i], &got);
		assert_int_equal(got.n, want.n);
		for (size_t k = 0; k < want.n; k++)
			assert_string_equal(got.name[k], want.name[k]);
		name_list_release(&got);
		name_list_release(&want);
	}
	name_list_release(&names);
	oracle_close(o);
	dovecot_stop(reader);
	free((char *)(uintptr_t)opts.extra);
	remove_tree(copy);
	free(copy);
}

static size_t count_with(const struct oracle_dump *d, const char *flag)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		n += strstr(d->msg[i].flags, flag) != NULL;
	return n;
}

static void test_mutt_counts_the_messages_and_flags_of_the_maildir(void **state)
{
	char *copy = copy_archive(), *fifo = path_join(copy, "typed"), *command, *wanted;
	struct oracle_dump want;
	struct proc_result res;

	(void)state;
	oracle_dump(oracle, "INBOX", &want);
	wanted = xasprintf("all %zu flagged %zu deleted %zu.", want.n, count_with(&want, "\\Flagged"),
			   count_with(&want, "\\Deleted"));
	/* mutt wants a terminal: script gives it one, and no end of input, which would be typed as Control-D. */
	/* In a bare file tree nobody may have mounted the terminals that mutt needs. */
	command = xasprintf("HOME=%s mutt -n -R -F /dev/null -f %s/INBOX "
			    "-e 'set status_format=\"all %%m flagged %%F deleted %%d.\"' "
			    "-e 'set folder=%s' -e 'push <exit>'", copy, copy, copy);
	proc_runl(&res, &(struct proc_opts){ .env = (const char *[]){ "TERM=xterm", NULL } },
		  "sh", "-c",
		  "mkfifo \"$2\" && [ -e /dev/pts/ptmx ] || exec unshare -m sh -c '"
		  "mount -t devpts -o ptmxmode=0666 none /dev/pts && "
		  "mount --bind /dev/pts/ptmx /dev/ptmx && "
		  "exec script -q -e -c \"$1\" /dev/null <>\"$2\"' sh \"$1\" \"$2\"\n"
		  "exec script -q -e -c \"$1\" /dev/null <>\"$2\"", "sh",
		  command, fifo, NULL);
	if (res.status != 0 || !strstr(buf_str(&res.out), wanted))
		fail_msg("not \"%s\", exit %d: %s", wanted, res.status, buf_str(&res.out));
	proc_result_release(&res);
	oracle_dump_release(&want);
	free(wanted);
	free(command);
	free(fifo);
	remove_tree(copy);
	free(copy);
}

static void test_new_mail_changed_flags_and_deletions_follow(void **state)
{
	const char *mailbox = corpus_mailboxes[2].wire;
	struct backup_result res;

	(void)state;
	corpus_fill(oracle, mailbox, 5000, 7, 100, 3000);
	corpus_fill(oracle, "INBOX", 5100, 2, 100, 3000);
	oracle_store(oracle, mailbox, "2:4", "FLAGS", "\\Seen $Later NonJunk");
	oracle_store(oracle, mailbox, "5", "FLAGS", "");
	oracle_expunge(oracle, mailbox, "6,8:9");
	oracle_create(oracle, "Neu/&AOQ-");
	corpus_fill(oracle, "Neu/&AOQ-", 5200, 3, 0, 200);
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.new_messages, 12);
	assert_int_equal(res.removed, 3);
	assert_in_range(res.flags_changed, 1, 4); /* some may have had these flags before */
	backup_result_release(&res);
	archive_equals(job.root, oracle);
	backup_idle(&job);
}

/* Files are set right, not trusted: the target is a mirror. */
static void test_files_removed_or_reflagged_by_hand_are_mended(void **state)
{
	struct archive a;
	const struct archive_mailbox *mb;
	char *from, *to, *gone;

	(void)state;
	archive_read(job.root, &a);
	mb = archive_find(&a, "INBOX");
	from = path_join(job.root, mb->msg[0].path);
	to = xasprintf("%.*s:2,FT", (int)strcspn(from, ":"), from);
	gone = path_join(job.root, mb->msg[1].path);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(remove(gone), 0);
	archive_release(&a);
	backup_ends_with(&job, 0, "");
	archive_equals(job.root, oracle);
	backup_idle(&job);
	free(from);
	free(to);
	free(gone);
}

static void test_files_of_others_are_counted_and_left_alone(void **state)
{
	char *path = path_join(job.root, "INBOX/new/1.somebody.else");
	struct backup_result res;
	struct buf text = BUF_INIT(100);

	(void)state;
	write_file(path, bytes_of("Subject: not yours\n\nx\n"));
	backup_expect(&job, &res, 0, "-v");
	assert_non_null(strstr(buf_str(&res.out), "\"foreign\":1"));
	backup_result_release(&res);
	read_file(path, &text);
	assert_string_equal(buf_str(&text), "Subject: not yours\n\nx\n");
	assert_int_equal(remove(path), 0);
	buf_release(&text);
	free(path);
	archive_equals(job.root, oracle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_every_message_is_stored_byte_for_byte_with_flags_keywords_and_date),
		cmocka_unit_test(test_a_second_run_transfers_and_touches_nothing),
		cmocka_unit_test(test_dovecot_serves_the_maildir_as_the_same_mail),
		cmocka_unit_test(test_mutt_counts_the_messages_and_flags_of_the_maildir),
		cmocka_unit_test(test_new_mail_changed_flags_and_deletions_follow),
		cmocka_unit_test(test_files_removed_or_reflagged_by_hand_are_mended),
		cmocka_unit_test(test_files_of_others_are_counted_and_left_alone),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
