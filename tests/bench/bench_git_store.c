/*
 * A git archive of one mailbox of 100,000 small messages: what one more message costs, how long it takes
 * to load what is known of all, and a year of daily runs, after which every snapshot is listed and read
 * and one of each month is restored whole. Prints; judges nothing but that what comes out is what went in.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "backends/git/git.h"
#include "backends/maildir/maildir.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/msgset/uidset.h"
#include "core/sync/restore.h"

enum { MESSAGES = 100000, DAYS = 365, NEW = 30, FLAGS = 60, RECENT = 48, GONE = 10, SAMPLE = 20,
       RESTORED = 30 /* every so many snapshots */ };

static char root[] = "bench-git.XXXXXX";
static char *path;

static void must(int ret, const struct err *err)
{
	if (ret == 0)
		return;
	fprintf(stderr, "%s\n", err->text);
	exit(EXIT_FAILURE);
}

static void wrong(const char *what)
{
	fprintf(stderr, "%s\n", what);
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

static uint32_t next_random(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 32);
}

/* --- the account as it should be --- */

static struct uidset live = UIDSET_INIT;
static uint32_t uidnext = 1;
static struct uidset live_on[DAYS + 2]; /* in each snapshot, oldest first */
static size_t snapshots;

static uint32_t some_uid(uint32_t from)
{
	for (;;) {
		uint32_t uid = from + next_random() % (uidnext - from);

		if (uid && uidset_has(&live, uid))
			return uid;
	}
}

static size_t message(uint32_t uid, char out[256])
{
	return (size_t)snprintf(out, 256,
				"Message-ID: <%u@bench.example>\r\nSubject: %u\r\n\r\n%08x %08x\r\n",
				uid, uid * 7, uid * 2654435761u, uid * 40503u);
}

/* --- the store --- */

static struct store *st;
static struct mailbox *mb;
static struct message_sink sink;
static struct mailbox_info info = { .name = MAILBOX_NAME_INIT };

static void open_archive(bool create)
{
	static struct store_config cfg;
	struct err err;

	cfg = (struct store_config){ .name = "bench", .path = path, .account = "user@bench",
				     .create = create };
	must(store_open(&git_store, &st, &cfg, STORE_WRITE, &err), &err);
	if (create)
		must(store_create(st, &info.name, 0, &err), &err);
	must(mailbox_open(st, &info, STORE_WRITE, &mb, &err), &err);
	must(mailbox_append(mb, NULL, NULL, NULL, &sink, &err), &err);
}

static void put_new(uint32_t n)
{
	struct flags flags = { .bits = n % 3 ? FLAG_SEEN : 0 };
	struct maildate date;
	char text[256];

	maildate_init(&date);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t uid = uidnext++;
		size_t size = message(uid, text);
		const struct message msg = { .uid = uid, .flags = &flags, .date = &date, .size = size };
		struct err err;
		void *handle;

		maildate_set(&date, 1700000000 + uid, 60);
		must(sink.begin(sink.ctx, NULL, &msg, &handle, &err), &err);
		must(sink.write(sink.ctx, handle, bytes_from(text, size), &err), &err);
		must(sink.end(sink.ctx, handle, &msg, true, &err), &err);
		uidset_add(&live, uid);
	}
	maildate_release(&date);
}

static void end_run(void)
{
	static uint64_t modseq;
	struct base base;
	struct err err;

	base_init(&base);
	uidset_copy(&base.known, &live);
	base.token = (struct token){ true, 77, uidnext, (uint32_t)uidset_count(&live), ++modseq };
	must(mailbox_set_base(mb, &base, &err), &err);
	base_release(&base);
	must(store_snapshot(st, &err), &err);
	store_close(st);
	uidset_copy(&live_on[snapshots++], &live);
}

static void change_flags(void)
{
	struct flag_delta delta = { FLAGS_INIT, FLAGS_INIT };
	struct uidset set = UIDSET_INIT;
	struct err err;

	for (int i = 0; i < FLAGS; i++)
		uidset_add(&set, some_uid(i < RECENT ? uidnext - 2000 : 1));
	*(next_random() % 2 ? &delta.add : &delta.remove) = (struct flags){ .bits = FLAG_SEEN };
	must(mailbox_change_flags(mb, &set, &delta, &err), &err);
	uidset_release(&set);
}

static void expunge(void)
{
	struct uidset set = UIDSET_INIT;
	struct err err;

	while (uidset_count(&set) < GONE)
		uidset_add(&set, some_uid(1));
	must(mailbox_expunge(mb, &set, &err), &err);
	uidset_subtract(&live, &live, &set);
	uidset_release(&set);
}

static uint64_t bytes_in_packs(void)
{
	char *dir = xasprintf("%s/objects/pack", path);
	DIR *d = opendir(dir);
	struct dirent *e;
	uint64_t sum = 0;

	while (d && (e = readdir(d))) {
		char *file = xasprintf("%s/%s", dir, e->d_name);
		struct stat sb;

		if (stat(file, &sb) == 0 && S_ISREG(sb.st_mode))
			sum += (uint64_t)sb.st_size;
		free(file);
	}
	if (d)
		closedir(d);
	free(dir);
	return sum;
}

/* --- reading --- */

static int take_piece(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	(void)handle;
	(void)err;
	buf_add(ctx, piece);
	return 0;
}

static int take_begin(void *ctx, void *tag, const struct message *msg, void **handle, struct err *err)
{
	(void)tag;
	(void)msg;
	(void)err;
	buf_clear(ctx);
	*handle = ctx;
	return 0;
}

static int take_end(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	char text[256];

	(void)handle;
	(void)err;
	if (!complete || !bytes_equal(buf_bytes(ctx), bytes_from(text, message(msg->uid, text))))
		wrong("a message came out changed");
	return 0;
}

static void count_outcome(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
			  const struct err *why)
{
	(void)tag;
	(void)uid;
	(void)new_uid;
	(void)why;
	*(size_t *)ctx += what == OUTCOME_DONE;
}

static void read_some(struct store *at, struct mailbox *box, const struct changes *c)
{
	struct buf body = BUF_INIT(1024);
	const struct message_sink out = { &body, take_begin, take_piece, take_end };
	struct uidset set = UIDSET_INIT;
	struct want want = { .mailbox = box, .set = &set, .exact = true };
	struct err err;
	size_t done = 0;

	for (int i = 0; i < SAMPLE; i++)
		uidset_add(&set, c->v[next_random() % c->n].uid);
	must(store_fetch(at, &want, 1, &out, count_outcome, &done, &err), &err);
	if (done != uidset_count(&set))
		wrong("a message of a snapshot could not be read");
	uidset_release(&set);
	buf_release(&body);
}

/* What is known of all messages, at one commit (NULL: the newest). The processor's seconds for it. */
static double load(const char *snapshot, const struct uidset *expect, bool read)
{
	const struct store_config cfg = { .name = "bench", .path = path, .snapshot = snapshot };
	struct cost start = cost_since((struct cost){ 0 });
	struct changes c;
	struct changes_request req = { .out = &c };
	struct store *at;
	struct err err;
	double took;

	must(store_open(&git_store, &at, &cfg, STORE_READ, &err), &err);
	must(mailbox_open(at, &info, STORE_READ, &req.mailbox, &err), &err);
	changes_init(&c);
	must(store_changes(at, &req, 1, &err), &err);
	took = cost_since(start).processor;
	if (!c.complete || c.n != uidset_count(expect))
		wrong("a snapshot does not hold what the account held then");
	if (read)
		read_some(at, req.mailbox, &c);
	changes_release(&c);
	store_close(at);
	return took;
}

/* --- restoring --- */

static size_t without_returns(char *text, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++)
		if (text[i] != '\r')
			text[to++] = text[i];
	return to;
}

/* The message that a file of the Maildir holds, every byte of it, lines ended as files have them. */
static uint32_t uid_of_file(const char *dir, const char *name)
{
	char *file = xasprintf("%s/%s", dir, name), got[256], want[256];
	FILE *in = fopen(file, "r");
	size_t n = in ? without_returns(got, fread(got, 1, sizeof(got) - 1, in)) : 0;
	unsigned uid = 0;

	got[n] = '\0';
	if (!in || sscanf(got, "Message-ID: <%u@", &uid) != 1 ||
	    without_returns(want, message(uid, want)) != n || memcmp(got, want, n) != 0)
		wrong("a message was restored changed");
	fclose(in);
	free(file);
	return uid;
}

static struct uidset there = UIDSET_INIT; /* what the Maildir holds that is restored into */

static void check_restored(const char *target)
{
	struct uidset found = UIDSET_INIT;
	char *cur = xasprintf("%s/INBOX/cur", target);
	DIR *d = opendir(cur);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		uidset_add(&found, uid_of_file(cur, e->d_name));
		n++;
	}
	if (!d || n != uidset_count(&there) || !uidset_equal(&found, &there))
		wrong("not exactly the messages of a snapshot were restored");
	closedir(d);
	uidset_release(&found);
	free(cur);
}

static void remove_directory(const char *dir)
{
	char *command = xasprintf("rm -rf '%s'", dir);

	if (system(command) != 0)
		wrong("could not remove what was made");
	free(command);
}

/*
 * As `mailcask restore ARCHIVE@SNAPSHOT DIRECTORY`: into a new directory, or, which is quicker, on top of
 * an older snapshot. A message that is not the one restored before would then be there twice. The
 * directory before stays: see README.md on inodes that were just freed.
 */
static void restore(const char *snapshot, const struct uidset *expect, bool anew)
{
	static unsigned directories;
	char *target = xasprintf("%s/restored-%u", root, directories += anew);
	const struct restore_settings set = {
		.source = &git_store,
		.target = &maildir_store,
		.source_config = { .name = "bench", .path = path, .snapshot = snapshot },
		.target_config = { .name = target, .path = target },
	};
	struct cost start = cost_since((struct cost){ 0 });
	struct restore_report report = { 0 };
	struct err err;

	if (anew)
		uidset_clear(&there);
	must(restore_run(&set, &report, &err), &err);
	uidset_union(&there, &there, expect);
	if (report.incomplete || report.added + report.present != uidset_count(expect))
		wrong("a snapshot was not restored whole");
	if (anew)
		printf("%9.3f s              snapshot with %llu messages restored into a new Maildir\n",
		       cost_since(start).clock, (unsigned long long)report.added);
	restore_report_release(&report);
	check_restored(target);
	free(target);
}

static void read_every_snapshot(void)
{
	char *command = xasprintf("git --git-dir='%s' rev-list --first-parent --reverse main", path);
	FILE *list = popen(command, "r");
	size_t n = 0, restored = 0;
	double reading = 0;
	char id[64];

	while (list && fgets(id, sizeof(id), list)) {
		struct cost start = cost_since((struct cost){ 0 });

		id[strcspn(id, "\n")] = '\0';
		if (n == snapshots)
			wrong("there are snapshots that nobody made");
		load(id, &live_on[n], true);
		reading += cost_since(start).processor;
		if (n % RESTORED == 0 || n + 1 == snapshots) {
			restore(id, &live_on[n], n == 0 || n + 1 == snapshots);
			restored++;
		}
		n++;
	}
	if (!list || pclose(list) != 0 || n != snapshots)
		wrong("snapshots are missing");
	printf("%9zu      snapshots, each listed in full and %d messages of it read: %.1f s of the "
	       "processor\n",
	       n, SAMPLE, reading);
	printf("%9zu      of them restored, every message compared\n", restored);
	uidset_release(&there);
	free(command);
}

static void first_run(void)
{
	struct cost start = cost_since((struct cost){ 0 }), took;

	open_archive(true);
	put_new(MESSAGES);
	end_run();
	took = cost_since(start);
	printf("%9.3f s %9.3f s  by the clock and of the processor: first run, %d small messages\n",
	       took.clock, took.processor, MESSAGES);
}

/* As a job does it: what both sides agreed on was read before, for the comparison. */
static void one_more(void)
{
	uint64_t before = bytes_in_packs();
	struct cost start, took;
	struct base base;
	struct err err;

	open_archive(false);
	base_init(&base);
	must(mailbox_base(mb, &base, &err), &err);
	base_release(&base);
	start = cost_since((struct cost){ 0 });
	put_new(1);
	end_run();
	took = cost_since(start);
	printf("%9.1f ms %8.1f ms  one message more, its snapshot and closing\n", took.clock * 1e3,
	       took.processor * 1e3);
	printf("%9.1f KB             added by it\n", (double)(bytes_in_packs() - before) / 1024);
}

static void a_year(void)
{
	uint64_t before = bytes_in_packs();
	struct cost start = cost_since((struct cost){ 0 }), took;

	for (int day = 0; day < DAYS; day++) {
		open_archive(false);
		put_new(NEW);
		change_flags();
		expunge();
		end_run();
	}
	took = cost_since(start);
	printf("%9.3f s %9.3f s  a year: %d runs with %d new, %d flags, %d gone\n", took.clock,
	       took.processor, DAYS, NEW, FLAGS, GONE);
	printf("%9.1f MB             added by it, after %.1f MB\n",
	       (double)(bytes_in_packs() - before) / 1e6, (double)before / 1e6);
}

int main(void)
{
	double best = 1e9;
	struct err err;

	if (!mkdtemp(root))
		wrong("no directory to work in");
	path = xasprintf("%s/archive", root);
	must(mailbox_name_from_display(&info.name, bytes_of("INBOX"), &err), &err);
	first_run();
	one_more();
	for (int i = 0; i < 5; i++) {
		double took = load(NULL, &live_on[snapshots - 1], false);

		best = took < best ? took : best;
	}
	printf("%9s    %8.1f ms  what is known of all messages, loaded; best of 5\n", "", best * 1e3);
	a_year();
	read_every_snapshot();
	remove_directory(root);
	free(path);
	mailbox_name_release(&info.name);
	for (size_t i = 0; i < snapshots; i++)
		uidset_release(&live_on[i]);
	uidset_release(&live);
	return 0;
}
