/*
 * The order of the system calls that make a delivery durable. Crash points cannot see it, because
 * what a stopped process wrote is still in the kernel; so calls are caught on their way to libc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/maildir/maildir.h"
#include "core/base/buf.h"
#include "core/mail/flags.h"
#include "tests/lib/conformance.h"

/* What happened, a letter each; the same one again counts once. */
static struct buf events = BUF_INIT(65536);
static bool watching;

static void event(char c)
{
	if (watching && (events.n == 0 || events.p[events.n - 1] != (uint8_t)c))
		buf_add_byte(&events, (uint8_t)c);
}

/* I: the index, S: anything else. */
static void sync_event(int fd)
{
	char link[64], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	event(strstr(path, "mailcask.db") ? 'I' : 'S');
}

int syncfs(int fd)
{
	event('S');
	return (int)syscall(SYS_syncfs, fd);
}

int fsync(int fd)
{
	sync_event(fd);
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fildes)
{
	sync_event(fildes);
	return (int)syscall(SYS_fdatasync, fildes);
}

int renameat(int oldfd, const char *old, int newfd, const char *new)
{
	event('R');
	return (int)syscall(SYS_renameat2, oldfd, old, newfd, new, 0);
}

int renameat2(int oldfd, const char *old, int newfd, const char *new, unsigned flags)
{
	event('R');
	return (int)syscall(SYS_renameat2, oldfd, old, newfd, new, flags);
}

int unlinkat(int fd, const char *name, int flag)
{
	event('U');
	return (int)syscall(SYS_unlinkat, fd, name, flag);
}

int futimens(int fd, const struct timespec times[2])
{
	event('D'); /* the last thing done to a file in tmp */
	return (int)syscall(SYS_utimensat, fd, NULL, times, 0);
}

static void expect(const char *want)
{
	assert_string_equal(buf_str(&events), want);
	buf_clear(&events);
}

static void test_bodies_are_durable_before_the_index_and_renames_after(void **state)
{
	static const struct store_under_test sut = { "maildir", &maildir_store, "fs" };
	struct flag_delta delta = { FLAGS_INIT, FLAGS_INIT };
	struct uidset one = set_of("1");
	struct bench b;
	struct mailbox *mb;
	struct err err = { 0 };

	(void)state;
	bench_init(&b, &sut);
	bench_open(&b);
	mb = bench_mailbox(&b, "INBOX");
	bench_commit(&b);
	bench_commit(&b);
	watching = true;
	bench_put_text(mb, 1, "one\r\n");
	bench_commit(&b);
	expect("DSIR"); /* body, sync, index, only then into cur */
	bench_commit(&b);
	expect("SI"); /* the rename is durable before the index relies on it */
	delta.add.bits = FLAG_SEEN;
	must(mailbox_change_flags(mb, &one, &delta, &err), &err);
	bench_commit(&b);
	expect("RSI"); /* the file first, then what we say of it */
	must(mailbox_expunge(mb, &one, &err), &err);
	bench_commit(&b);
	expect("SIU"); /* the intent first */
	bench_commit(&b);
	expect("SI");
	watching = false;
	uidset_release(&one);
	bench_release(&b);
	buf_release(&events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies_are_durable_before_the_index_and_renames_after),
	};

	return cmocka_run_group_tests_name("order of system calls", tests, NULL, NULL);
}
