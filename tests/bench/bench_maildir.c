/*
 * Messages into a Maildir store against a writer that does no more than write the same files,
 * one system call after the other, and sync once. Prints seconds by the clock and of the
 * processor, and their ratios; judges nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/maildir/maildir.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/mail/flags.h"

enum { MESSAGES = 20000, SIZE = 6144, ROUNDS = 5 };

static char root[] = "bench-maildir.XXXXXX";

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static void must(int ret, const struct err *err)
{
	if (ret == 0)
		return;
	fprintf(stderr, "%s\n", err->text);
	exit(EXIT_FAILURE);
}

struct cost {
	double clock, processor;
};

static struct cost cost_since(struct cost then)
{
	struct timespec t;
	struct rusage used;
	struct cost now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	getrusage(RUSAGE_SELF, &used);
	now.clock = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	now.processor = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
			(double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
	return (struct cost){ now.clock - then.clock, now.processor - then.processor };
}

static struct bytes message(uint32_t n)
{
	static char text[SIZE];

	if (!text[0]) {
		memset(text, 'x', SIZE);
		for (size_t i = 76; i + 1 < SIZE; i += 78)
			memcpy(text + i, "\r\n", 2);
	}
	snprintf(text, 76, "Message-ID: <%u@bench>", n);
	text[strlen(text)] = ' ';
	return bytes_from(text, SIZE);
}

static void with_files_only(const char *path)
{
	const struct timespec times[2] = { { .tv_sec = 837596665 }, { .tv_sec = 837596665 } };
	char name[64], placed[72];
	int dir = -1, tmp, cur;

	if (mkdir(path, 0700) < 0 || (dir = open(path, O_RDONLY | O_DIRECTORY)) < 0 ||
	    mkdirat(dir, "tmp", 0700) < 0 || mkdirat(dir, "cur", 0700) < 0)
		die(path);
	tmp = openat(dir, "tmp", O_RDONLY | O_DIRECTORY);
	cur = openat(dir, "cur", O_RDONLY | O_DIRECTORY);
	for (uint32_t n = 1; n <= MESSAGES; n++) {
		struct bytes body = message(n);
		int fd;

		snprintf(name, sizeof(name), "1700000000.M0P1Q%uR0000000.host,S=6000", n);
		snprintf(placed, sizeof(placed), "%s:2,S", name);
		fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || write(fd, body.p, body.n) != (ssize_t)body.n ||
		    futimens(fd, times) < 0 || close(fd) < 0 ||
		    renameat(tmp, name, cur, placed) < 0)
			die(name);
	}
	if (syncfs(dir) < 0)
		die("syncfs");
	close(tmp);
	close(cur);
	close(dir);
}

static void put(const struct message_sink *sink, uint32_t uid, const struct flags *flags,
		const struct maildate *date)
{
	const struct message msg = { .uid = uid, .flags = flags, .date = date, .size = SIZE };
	struct err err;
	void *handle;

	must(sink->begin(sink->ctx, NULL, &msg, &handle, &err), &err);
	must(sink->write(sink->ctx, handle, message(uid), &err), &err);
	must(sink->end(sink->ctx, handle, &msg, true, &err), &err);
}

static void with_the_store(const char *path)
{
	const struct store_config cfg = { .name = "bench", .path = path, .create = true };
	struct mailbox_info info = { .name = MAILBOX_NAME_INIT };
	struct flags seen = { .bits = FLAG_SEEN };
	struct message_sink sink;
	struct mailbox *mb;
	struct maildate date;
	struct store *st;
	struct err err;

	maildate_init(&date);
	maildate_set(&date, 837596665, -420);
	must(store_open(&maildir_store, &st, &cfg, STORE_WRITE, &err), &err);
	must(mailbox_name_from_display(&info.name, bytes_of("INBOX"), &err), &err);
	must(store_create(st, &info.name, 0, &err), &err);
	must(mailbox_open(st, &info, STORE_WRITE, &mb, &err), &err);
	must(mailbox_append(mb, NULL, NULL, NULL, &sink, &err), &err);
	for (uint32_t uid = 1; uid <= MESSAGES; uid++)
		put(&sink, uid, &seen, &date);
	must(store_commit(st, &err), &err);
	store_close(st);
	maildate_release(&date);
	mailbox_name_release(&info.name);
}

/* The fewest of several rounds: other work on the machine only ever adds. */
static void measure(void (*run)(const char *), const char *kind, int round, struct cost *best)
{
	char path[64];
	struct cost start, took;

	snprintf(path, sizeof(path), "%s/%s-%d", root, kind, round);
	sync(); /* what lies about from before is nobody's */
	start = cost_since((struct cost){ 0 });
	run(path);
	took = cost_since(start);
	if (round == 0 || took.clock < best->clock)
		best->clock = took.clock;
	if (round == 0 || took.processor < best->processor)
		best->processor = took.processor;
}

int main(void)
{
	struct cost files = { 0 }, store = { 0 };
	char *clean;

	if (!mkdtemp(root))
		die(root);
	for (int i = 0; i < ROUNDS; i++) {
		measure(with_files_only, "files", i, &files);
		measure(with_the_store, "store", i, &store);
	}
	printf("%d messages of %d bytes, best of %d: by the clock, of the processor\n", MESSAGES,
	       SIZE, ROUNDS);
	printf("%9.3f s %9.3f s  files and one sync\n", files.clock, files.processor);
	printf("%9.3f s %9.3f s  the store\n", store.clock, store.processor);
	printf("%9.2f   %9.2f    ratio\n", store.clock / files.clock,
	       store.processor / files.processor);
	if (asprintf(&clean, "rm -rf '%s'", root) < 0 || system(clean) != 0)
		die(root);
	free(clean);
	return 0;
}
