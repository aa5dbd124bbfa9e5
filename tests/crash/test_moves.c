/*
 * 500 messages are moved from one mailbox to another at the account, and the run that follows is
 * stopped before each of its durable steps. At no such moment does the store lack one of them, and
 * the next run makes it what the account is.
 *
 * Stopped means: held there while what lies on the disk is looked at and copied, which is what a crash
 * would have left. The next run then works on the copy and the first one goes on to its next step; so one
 * run has all of its steps looked at.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "backends/git/git.h"
#include "backends/maildir/maildir.h"
#include "core/base/buf.h"
#include "core/base/crash.h"
#include "core/base/mem.h"
#include "core/sync/job.h"
#include "tests/lib/archive.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/memory_store.h"
#include "tests/lib/proc.h"

enum {
	MOVED = 500,
	STAYING = 7, /* in A */
	WAITING = 5, /* in B */
	ALL = MOVED + STAYING + WAITING,
	BODY_MAX = 100,
	AT_ONCE = 4, /* next runs; they wait for the clock most of the time */
};

static struct memory_world account;
static const struct store_ops *target;

/* Where a run works: a store and the job's record. */
struct place {
	char *root, *state;
};

static struct place place_below(const char *dir)
{
	return (struct place){ .root = path_join(dir, "store"), .state = path_join(dir, "state") };
}

static void place_release(struct place *p)
{
	free(p->root);
	free(p->state);
}

static void body_of(int number, char out[BODY_MAX])
{
	snprintf(out, BODY_MAX, "Subject: number %d\r\n\r\nbody %d\r\n", number, number);
}

static void deliver(const char *mailbox, int from, int to)
{
	char body[BODY_MAX];

	for (int i = from; i < to; i++) {
		body_of(i, body);
		memory_deliver(&account, mailbox, body, i % 3 ? "\\Seen" : "$Work");
	}
}

static void move_them(void)
{
	struct memory_mailbox *from = memory_mailbox_get(&account, "A");

	for (int i = 0; i < MOVED; i++)
		memory_delete(&account, "A", from->v[0].uid);
	deliver("B", 0, MOVED);
}

/* A run, in this process. */
static void run(const struct place *at)
{
	const struct job_settings set = {
		.name = "job",
		.source = &memory_store,
		.target = target,
		.source_config = { .name = "source", .account = "ann@host", .settings = &account },
		.target_config = { .name = "target", .path = at->root },
		.state_dir = at->state,
		.max_delete = GUARD_LIMITS_DEFAULT,
		.flag_check = 24 * 3600,
	};
	struct job_report report;
	struct err err;

	job_report_init(&report);
	if (job_run(&set, &report, &err) < 0)
		test_die("the run failed: %s", err.text);
	if (report.held || report.incomplete)
		test_die("the run is incomplete: %s", report.n_notes ? report.notes[0] : "");
	job_report_release(&report);
}

static void wait_for(pid_t pid)
{
	int status;

	if (!proc_wait(pid, 60000, &status) || status != 0)
		test_die("the run did not end well");
}

/* --- what lies there --- */

/* Which message a file of a Maildir is: file names stay with their content. In order. */
static struct known_file {
	char *name; /* without flags */
	int number;
} known_files[2 * ALL];
static size_t n_known;

static void forget_files(void)
{
	while (n_known > 0)
		free(known_files[--n_known].name);
}

static int read_number(const char *dir, const char *name)
{
	struct buf text = BUF_INIT(BODY_MAX);
	char *path = path_join(dir, name);
	int number;

	read_file(path, &text);
	if (sscanf(buf_str(&text), "Subject: number %d\n", &number) != 1)
		test_die("%s is not one of the messages", path);
	buf_release(&text);
	free(path);
	return number;
}

static int number_in(const char *dir, const char *name)
{
	size_t n = strcspn(name, ":"), lo = 0, hi = n_known;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = strncmp(known_files[mid].name, name, n);

		if (order == 0 && known_files[mid].name[n] == '\0')
			return known_files[mid].number;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	assert_true(n_known < sizeof(known_files) / sizeof(known_files[0]));
	memmove(&known_files[lo + 1], &known_files[lo], (n_known++ - lo) * sizeof(*known_files));
	known_files[lo].name = bytes_dup(bytes_from(name, n));
	return known_files[lo].number = read_number(dir, name);
}

/* How often each message is in a mailbox of a Maildir. */
static void count_in(const char *root, const char *mailbox, unsigned *times)
{
	static const char *const subs[] = { "cur", "new" };

	for (size_t i = 0; i < 2; i++) {
		char *dir = xasprintf("%s/%s/%s", root, mailbox, subs[i]);
		struct name_list files = { 0 };

		dir_entries(dir, &files);
		for (size_t k = 0; k < files.n; k++)
			times[number_in(dir, files.name[k])]++;
		name_list_release(&files);
		free(dir);
	}
}

static void blob_id(const char *body, char out[41])
{
	char object[BODY_MAX + 20];
	uint8_t sha[20];
	int head = snprintf(object, sizeof(object), "blob %zu", strlen(body)) + 1;

	strcpy(object + head, body);
	EVP_Digest(object, (size_t)head + strlen(body), sha, NULL, EVP_sha1(), NULL);
	for (size_t i = 0; i < sizeof(sha); i++)
		snprintf(out + 2 * i, 3, "%02x", sha[i]);
}

/* By git alone: of the run under way, if there is one, else of main. */
static void count_in_git(const char *root, unsigned *times)
{
	bool wip = git_try(root, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL);
	char *tree = git_out(root, "ls-tree", "-r", wip ? "refs/mailcask/wip" : "refs/heads/main", NULL);
	char body[BODY_MAX], id[41];

	git_check_all(root); /* what the tree names is there */
	for (int i = 0; i < MOVED; i++) {
		body_of(i, body);
		blob_id(body, id);
		times[i] = strstr(tree, id) != NULL;
	}
	free(tree);
}

static void assert_none_is_missing(const char *root, const char *step)
{
	unsigned times[ALL] = { 0 };

	if (target == &git_store) {
		count_in_git(root, times);
	} else {
		count_in(root, "A", times);
		count_in(root, "B", times);
	}
	for (int i = 0; i < MOVED; i++)
		if (!times[i])
			test_die("before \"%s\" message %d is in neither mailbox", step, i);
}

static void same_mailbox(const struct memory_mailbox *want, const struct archive_mailbox *got)
{
	if (!got || got->n != want->n)
		test_die("%s: %zu messages, at the account %zu", want->name, got ? got->n : 0, want->n);
	for (size_t i = 0; i < got->n; i++) {
		const struct archive_message *m = &got->msg[i];
		char hex[SHA256_HEX_SIZE];

		sha256_hex(bytes_of(want->v[i].body), hex);
		if (!m->indexed || m->kept || m->source_uid != want->v[i].uid ||
		    strcmp(m->sha256, hex) != 0 ||
		    strcmp(m->flags, want->v[i].flags.bits ? "\\Seen" : "$Work") != 0)
			test_die("%s: UID %u is not as at the account", want->name, want->v[i].uid);
	}
}

/* All that is stored of it, by the database or git. */
static void assert_equals_account(const char *root)
{
	struct archive a;

	archive_read(root, &a);
	if (a.n != account.stable.n)
		test_die("%zu mailboxes, at the account %zu", a.n, account.stable.n);
	for (size_t i = 0; i < a.n; i++)
		same_mailbox(&account.stable.v[i], archive_find(&a, account.stable.v[i].name));
	archive_release(&a);
}

/* Of a Maildir: each message once, where it belongs. */
static void assert_files_are_right(const char *root)
{
	unsigned in_a[ALL] = { 0 }, in_b[ALL] = { 0 };

	count_in(root, "A", in_a);
	count_in(root, "B", in_b);
	for (int i = 0; i < ALL; i++) {
		bool stays = i >= MOVED && i < MOVED + STAYING;

		if (in_a[i] != stays || in_b[i] != !stays)
			test_die("message %d is %u times in A, %u times in B", i, in_a[i], in_b[i]);
	}
}

/* --- a copy of it --- */

/* Files that are never written to again are linked, not copied: there are a thousand each time. */
static bool never_changes(const char *dir, const char *name)
{
	size_t n = strlen(dir);
	const char *end = n > 4 ? dir + n - 4 : "", *dot = strrchr(name, '.');

	return strcmp(end, "/cur") == 0 || strcmp(end, "/new") == 0 || strcmp(end, "/tmp") == 0 ||
	       (dot && (strcmp(dot, ".pack") == 0 || strcmp(dot, ".idx") == 0));
}

static void keep_times(const char *from, const char *to)
{
	struct stat st;

	if (stat(from, &st) < 0 ||
	    utimensat(AT_FDCWD, to, (struct timespec[]){ st.st_atim, st.st_mtim }, 0) < 0)
		test_die_sys("copy the times of %s", from);
}

static void copy_file(const char *from, const char *to)
{
	struct buf text = BUF_INIT(1 << 26);

	read_file(from, &text);
	write_file(to, buf_bytes(&text));
	keep_times(from, to);
	buf_release(&text);
}

static void copy_tree(const char *from, const char *to)
{
	DIR *dir = opendir(from);
	struct dirent *e;

	if (!dir || mkdir(to, 0700) < 0)
		test_die_sys("copy %s to %s", from, to);
	while ((e = readdir(dir))) {
		char *a, *b;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		a = path_join(from, e->d_name);
		b = path_join(to, e->d_name);
		if (never_changes(from, e->d_name)) {
			if (link(a, b) < 0)
				test_die_sys("link %s to %s", a, b);
		} else if (e->d_type == DT_DIR) {
			copy_tree(a, b);
		} else {
			copy_file(a, b);
		}
		free(a);
		free(b);
	}
	closedir(dir);
	keep_times(from, to);
}

/* --- the run that is held --- */

static int held_in, held_out; /* in its process: goes on, is there */

static void hold(const char *step)
{
	char go;

	if (write(held_out, step, strlen(step) + 1) < 0 || read(held_in, &go, 1) != 1)
		_exit(1);
}

static pid_t start_held_run(const struct place *at, int *go, FILE **steps)
{
	int down[2], up[2];
	pid_t pid;

	if (pipe(down) < 0 || pipe(up) < 0)
		test_die_sys("pipe");
	pid = proc_fork();
	if (pid == 0) {
		held_in = down[0];
		held_out = up[1];
		close(down[1]);
		close(up[0]);
		crash_watch = hold;
		run(at);
		_exit(0);
	}
	close(down[0]);
	close(up[1]);
	*go = down[1];
	*steps = fdopen(up[0], "r");
	return pid;
}

/* A next run, under way in a process of its own. */
struct next {
	struct place at;
	pid_t pid; /* 0: none */
};

/* On a copy, so that the run that is held does not notice. */
static void start_next_run(struct next *next, const struct place *from, bool read_all)
{
	copy_tree(from->root, next->at.root);
	copy_tree(from->state, next->at.state);
	next->pid = proc_fork();
	if (next->pid != 0)
		return;
	run(&next->at);
	if (target == &maildir_store)
		assert_files_are_right(next->at.root);
	if (read_all)
		assert_equals_account(next->at.root);
	_exit(0);
}

static void finish_next_run(struct next *next)
{
	if (!next->pid)
		return;
	wait_for(next->pid);
	next->pid = 0;
	remove_tree(next->at.root);
	remove_tree(next->at.state);
}

static unsigned stopped_at_every_step(const struct place *at)
{
	/* Reading a thousand files each time would take most of the time. */
	const unsigned read_each = target == &git_store ? 1 : 20;
	struct next next[AT_ONCE] = { 0 };
	unsigned n = 0;
	size_t cap = 0;
	char *step = NULL;
	FILE *steps;
	int go;
	pid_t pid = start_held_run(at, &go, &steps);

	for (size_t i = 0; i < AT_ONCE; i++)
		next[i].at = place_below(tmp_dir_in_memory());
	for (; getdelim(&step, &cap, '\0', steps) > 0; n++) {
		assert_none_is_missing(at->root, step);
		finish_next_run(&next[n % AT_ONCE]);
		start_next_run(&next[n % AT_ONCE], at, n % read_each == 0);
		if (write(go, "", 1) != 1)
			test_die_sys("let the run go on");
	}
	wait_for(pid);
	for (size_t i = 0; i < AT_ONCE; i++) {
		finish_next_run(&next[i]);
		place_release(&next[i].at);
	}
	free(step);
	fclose(steps);
	close(go);
	return n;
}

static void test_500_moved_messages_are_there_at_every_step_of_the_next_run(void **state)
{
	struct place at = place_below(tmp_dir_in_memory());
	unsigned steps;
	pid_t pid;

	target = *state;
	memory_world_init(&account);
	deliver("A", 0, MOVED + STAYING);
	deliver("B", MOVED + STAYING, ALL);
	pid = proc_fork();
	if (pid == 0) {
		run(&at);
		assert_equals_account(at.root);
		_exit(0);
	}
	wait_for(pid);
	move_them();
	steps = stopped_at_every_step(&at);
	print_message("%u steps\n", steps);
	assert_true(steps >= (target == &git_store ? 10 : 2 * MOVED)); /* one for each file */
	assert_equals_account(at.root);
	forget_files();
	memory_world_release(&account);
	place_release(&at);
}

#define FOR_STORE(name, ops)                                                               \
	{ name ": 500 moved messages are there at every step of the next run",             \
	  test_500_moved_messages_are_there_at_every_step_of_the_next_run, NULL, NULL,     \
	  (void *)(uintptr_t)&(ops) }

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOR_STORE("maildir", maildir_store),
		FOR_STORE("git", git_store),
	};

	return cmocka_run_group_tests_name("moved messages", tests, NULL, NULL);
}
