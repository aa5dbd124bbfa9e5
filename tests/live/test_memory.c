/* A message streams: memory does not grow with its size. */
#include <fcntl.h>
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

#include "core/base/file.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"

enum { RESIDENT_MAX_KB = 40 * 1024 };
#define HUGE_MESSAGE ((size_t)(TEST_SANITIZED ? 40 : 400) << 20)

static struct dovecot *server;

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

/* Put a message with LF line ends into a mailbox behind the server's back. */
static char *plant(const char *user, size_t size)
{
	char *maildir = dovecot_maildir(server, user);
	char *path = xasprintf("%s/new/1600000000.M1P1.huge", maildir);
	struct buf piece = BUF_INIT(1 << 21);
	int fd;

	for (unsigned i = 0; piece.n < 1 << 20; i++)
		buf_addf(&piece, "line %u of a message too large for anybody's memory\n", i);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, bytes_of("Subject: huge\n\n")), 0);
	for (size_t n = 0; n < size; n += piece.n)
		assert_int_equal(write_full(fd, buf_bytes(&piece)), 0);
	close(fd);
	dovecot_own(path);
	buf_release(&piece);
	free(maildir);
	return path;
}

static char *only_message(const char *root)
{
	struct archive a;
	char *path;

	archive_read(root, &a);
	assert_int_equal(archive_find(&a, "INBOX")->n, 1);
	path = path_join(root, archive_find(&a, "INBOX")->msg[0].path);
	archive_release(&a);
	return path;
}

/* The same of a git archive, with its line ends as in the file at the server. */
static void hash_in_git(const char *root, char out[SHA256_HEX_SIZE])
{
	struct proc_result res;

	proc_runl(&res, NULL, "sh", "-c",
		  "git -C \"$1\" cat-file blob \"main:$(git -C \"$1\" ls-tree -r --name-only main |"
		  " grep -F .eml)\" | tr -d '\\r' | sha256sum",
		  "sh", root, NULL);
	assert_int_equal(res.status, 0);
	assert_true(res.out.n > SHA256_HEX_SIZE);
	memcpy(out, res.out.p, SHA256_HEX_SIZE - 1);
	out[SHA256_HEX_SIZE - 1] = '\0';
	proc_result_release(&res);
}

static void store_huge_message(const char *type)
{
	struct oracle *o = oracle_open(server->port, "alice"); /* makes the Maildir */
	struct backup_config config = { .port = server->tls_port, .tls = "implicit",
					.type = type };
	char want[SHA256_HEX_SIZE], got[SHA256_HEX_SIZE];
	char *planted, *stored;
	struct backup_result res;
	struct backup job;

	oracle_command(o, "SELECT INBOX");
	oracle_close(o);
	planted = plant("alice", HUGE_MESSAGE);
	config.account = xasprintf("tls_ca_file = %s\n", server->ca_file);
	backup_init(&job, &config);
	backup_expect(&job, &res, 0, "");
	print_message("largest resident memory: %ld KB\n", res.max_rss_kb);
	assert_int_equal(res.new_messages, 1);
	assert_true(res.bytes > HUGE_MESSAGE);
	assert_true(TEST_SANITIZED || res.max_rss_kb < RESIDENT_MAX_KB);
	backup_result_release(&res);
	/* Both keep the message with LF line ends. */
	sha256_file_hex(planted, want);
	if (strcmp(type, "git") == 0) {
		hash_in_git(job.root, got);
	} else {
		stored = only_message(job.root);
		sha256_file_hex(stored, got);
		free(stored);
	}
	assert_string_equal(got, want);
	free((char *)(uintptr_t)config.account);
	free(planted);
	backup_release(&job);
}

static void test_a_message_of_400_MB_is_stored_in_40_MB_of_memory(void **state)
{
	(void)state;
	store_huge_message("maildir");
}

static void test_a_message_of_400_MB_is_archived_in_40_MB_of_memory(void **state)
{
	(void)state;
	store_huge_message("git");
}

static void test_many_messages_do_not_add_up_in_memory(void **state)
{
	struct oracle *o = oracle_open(server->port, "bob");
	struct backup_config config = { .port = server->port, .user = "bob" };
	struct backup_result res;
	struct backup job;

	(void)state;
	corpus_fill(o, "INBOX", 0, TEST_SANITIZED ? 20 : 120, 900000, 1000000);
	backup_init(&job, &config);
	backup_expect(&job, &res, 0, "");
	print_message("largest resident memory: %ld KB\n", res.max_rss_kb);
	assert_true(TEST_SANITIZED || res.max_rss_kb < RESIDENT_MAX_KB);
	backup_result_release(&res);
	archive_equals(job.root, o);
	backup_release(&job);
	oracle_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_of_400_MB_is_stored_in_40_MB_of_memory),
		cmocka_unit_test(test_a_message_of_400_MB_is_archived_in_40_MB_of_memory),
		cmocka_unit_test(test_many_messages_do_not_add_up_in_memory),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
