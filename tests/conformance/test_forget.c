/* Forgetting snapshots: what goes is gone from the disk, all else is as it was, wherever it is stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/git/git.h"
#include "backends/git/identify.h"
#include "backends/maildir/maildir.h"
#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/check_rig.h"
#include "tests/lib/conformance.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

#define DAY 86400

/* What this program takes for the time. */
static time_t now = 1700000000;

time_t time(time_t *out)
{
	if (out)
		*out = now;
	return now;
}

static void put(struct bench *b, uint32_t uid)
{
	char text[64];

	snprintf(text, sizeof(text), "Subject: %u\r\n\r\nmessage %u\r\n", uid, uid);
	bench_put_text(bench_mailbox(b, "INBOX"), uid, text);
}

static void expunge(struct bench *b, uint32_t uid)
{
	struct uidset one = UIDSET_INIT;
	struct err err = { 0 };

	uidset_add(&one, uid);
	must(mailbox_expunge(bench_find(b, "INBOX"), &one, &err), &err);
	uidset_release(&one);
}

/* In memory, since a year of days is many files. */
static int setup(void **state)
{
	static const struct store_under_test git = { "git", &git_store, NULL };
	struct bench *b = xcalloc(1, sizeof(*b));
	char *name;

	bench_init(b, &git);
	name = strrchr(b->path, '/') + 1;
	name = path_join(tmp_dir_in_memory(), name);
	free(b->path);
	b->cfg.path = b->path = name;
	bench_open(b);
	*state = b;
	return 0;
}
#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, setup, git_teardown)

/* A snapshot a day; each has a new message and lacks the one of `lives` days ago. */
static void days(struct bench *b, uint32_t first, uint32_t last, uint32_t lives)
{
	for (uint32_t day = first; day <= last; day++) {
		put(b, day);
		if (day > lives)
			expunge(b, day - lives);
		now += DAY;
		bench_snapshot(b);
	}
}

/* The blob of a message in a snapshot; the caller frees it. */
static char *blob_of(const char *repo, const char *rev, uint32_t uid)
{
	char *spec = xasprintf("%s:mailboxes/INBOX/messages/%06u/%02u/%010u.eml", rev, uid / 10000,
			       uid / 100 % 100, uid);
	char *id = git_id(repo, spec);

	free(spec);
	id[strcspn(id, "\n")] = '\0';
	return id;
}

/* In any pack or loose, reachable or not. */
static bool is_on_disk(const char *repo, const char *id)
{
	return git_try(repo, "cat-file", "-e", id, NULL);
}

/* As if git had written its loose objects long ago. */
static void age_loose_objects(const char *repo)
{
	char *objects = path_join(repo, "objects");
	struct proc_result res;

	proc_runl(&res, NULL, "find", objects, "-type", "f", "-path", "*/objects/[0-9a-f][0-9a-f]/*", "-exec", "touch", "-d",
		  "2023-11-14", "{}", "+", NULL);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	free(objects);
}

struct said {
	int status;
	char *out, *err;
};

static struct said run_forget(const char *path, const char *at, const char *const *words)
{
	const char *argv[12] = { program_path(), "forget" };
	const char *env[] = { at ? at : "CRASH_AT", "TZ=UTC", NULL };
	struct proc_result res;
	struct said said;
	size_t n = 2;

	for (; *words; words++)
		argv[n++] = *words;
	argv[n] = path;
	proc_run(&res, &(struct proc_opts){ .env = env }, argv);
	said = (struct said){ res.status, xstrdup(buf_str(&res.out)), xstrdup(buf_str(&res.err)) };
	proc_result_release(&res);
	return said;
}

static void said_release(struct said *s)
{
	free(s->out);
	free(s->err);
}

/* It ends with `status`, and says `out` and `err` somewhere. */
#define forgets(path, status, out, err, ...) \
	check_forgets(path, status, out, err, (const char *const[]){ __VA_ARGS__, NULL })
static void check_forgets(const char *path, int status, const char *out, const char *err,
			  const char *const *words)
{
	struct said s = run_forget(path, NULL, words);

	if (s.status != status || !strstr(s.out, out) || !strstr(s.err, err) || (!*err && *s.err))
		test_die("exit %d, not %d, and this:\n%s%s", s.status, status, s.out, s.err);
	said_release(&s);
}

static void is_whole(struct bench *b)
{
	struct checked got;

	check_now(b, &got, true);
	check_says(&got, "");
	checked_release(&got);
	git_check_all(b->path);
}

/* All that lies there, by name, with what refs say. */
static char *picture(const char *repo)
{
	struct name_list files = { 0 };
	struct buf out = BUF_INIT(1 << 20);
	char *refs = git_out(repo, "for-each-ref", NULL), *text;

	tree_files(repo, &files);
	for (size_t i = 0; i < files.n; i++)
		if (strcmp(files.name[i], "mailcask.lock") != 0)
			buf_addf(&out, "%s\n", files.name[i]);
	buf_add_str(&out, refs);
	text = xstrdup(buf_str(&out));
	name_list_release(&files);
	buf_release(&out);
	free(refs);
	return text;
}

static uint64_t disk(const char *repo)
{
	struct proc_result res;
	uint64_t n;

	proc_runl(&res, NULL, "du", "-sb", repo, NULL);
	n = strtoull(buf_str(&res.out), NULL, 10);
	proc_result_release(&res);
	return n;
}

/* Every message of the snapshot is read, and is the one that was put there. */
static void restores(const struct bench *b, const char *commit, uint32_t first, uint32_t last)
{
	struct bench then = *b;
	struct gots got;

	then.cfg.path = b->path;
	then.cfg.snapshot = commit;
	then.cfg.create = false;
	bench_open_as(&then, STORE_READ);
	bench_fetch_all(bench_find(&then, "INBOX"), &got);
	assert_int_equal(got.n, last - first + 1);
	for (size_t i = 0; i < got.n; i++) {
		char text[64];

		snprintf(text, sizeof(text), "Subject: %u\r\n\r\nmessage %u\r\n", first + (uint32_t)i,
			 first + (uint32_t)i);
		assert_string_equal(buf_str(&got.v[i].body), text);
	}
	gots_release(&got);
	bench_close(&then);
}

/* 2023-01-01 to 2023-12-31: seven days and twelve ends of months, as restic's rules have it. */
static void test_of_a_year_of_days_a_week_and_twelve_months_stay(void **state)
{
	static const char want[] =
		"2023-12-31 2023-12-30 2023-12-29 2023-12-28 2023-12-27 2023-12-26 2023-12-25 2023-11-30 "
		"2023-10-31 2023-09-30 2023-08-31 2023-07-31 2023-06-30 2023-05-31 2023-04-30 2023-03-31 "
		"2023-02-28 2023-01-31 ";
	const uint32_t lives = 10;
	struct bench *b = git_bench(state);
	char *blob[366], *commits, *trees, *after, *got = xstrdup("");
	uint64_t before;
	size_t gone = 0;

	now = 1672572600; /* 2023-01-01 11:30 UTC, and a day earlier for days() */
	now -= DAY;
	for (uint32_t day = 1; day <= 365; day++) {
		days(b, day, day, lives);
		blob[day] = blob_of(b->path, "main", day);
	}
	bench_close(b);
	before = disk(b->path);
	trees = git_out(b->path, "log", "--format=%at %ct %T %B", NULL);
	forgets(b->path, 0, "347 of 365 snapshots forgotten", "", "-v", "--keep-daily=7", "--keep-monthly=12");
	commits = git_out(b->path, "log", "--format=%H %cs %ct", "main", NULL);
	for (char *line = strtok(commits, "\n"); line; line = strtok(NULL, "\n")) {
		char id[41] = "", date[12] = "", *more;
		long when = 0;
		uint32_t day;

		assert_int_equal(sscanf(line, "%40s %11s %ld", id, date, &when), 3);
		more = xasprintf("%s%s ", got, date);
		free(got);
		got = more;
		day = (uint32_t)((when - 1672572600) / DAY) + 1;
		restores(b, id, day > lives ? day - lives + 1 : 1, day);
		for (uint32_t i = 1; i <= day; i++)
			if (blob[i] && i + lives > day) {
				assert_true(is_on_disk(b->path, blob[i]));
				free(blob[i]);
				blob[i] = NULL;
			}
	}
	assert_string_equal(got, want);
	/* Text, dates and trees of those that stay are what they were. */
	after = git_out(b->path, "log", "--format=%at %ct %T %B", NULL);
	for (char *line = strtok(after, "\n"); line; line = strtok(NULL, "\n"))
		assert_non_null(strstr(trees, line));
	for (uint32_t day = 1; day <= 365; day++) {
		if (blob[day]) {
			assert_false(is_on_disk(b->path, blob[day]));
			gone++;
		}
		free(blob[day]);
	}
	assert_in_range(gone, 200, 365);
	print_message("%zu messages gone; %llu kB before, %llu kB after\n", gone,
		      (unsigned long long)before / 1024, (unsigned long long)disk(b->path) / 1024);
	assert_true(disk(b->path) < before / 2);
	is_whole(b);
	/* Again: nothing to do. */
	forgets(b->path, 0, "0 of 18 snapshots forgotten", "", "-v", "--keep-daily=7", "--keep-monthly=12");
	free(commits);
	free(trees);
	free(after);
	free(got);
}

static void test_the_next_run_goes_on_as_if_nothing_had_happened(void **state)
{
	struct bench *b = git_bench(state);
	struct store_identity was, is;
	struct err err = { 0 };
	struct uidset two = set_of("2");
	struct buf tokens = BUF_INIT(1 << 20);
	char *file = path_join(b->path, "mailcask/tokens"), *tip;
	struct changes c;
	struct gots got;

	days(b, 1, 3, 10);
	must(mailbox_keep(bench_find(b, "INBOX"), &two, false, &err), &err);
	days(b, 4, 6, 10);
	bench_close(b);
	must(gitstore_identify(&b->cfg, &was, &err), &err);
	age_loose_objects(b->path);
	forgets(b->path, 0, "", "", "--keep-last=1");
	must(gitstore_identify(&b->cfg, &is, &err), &err);
	assert_true(is.generation >= was.generation);
	assert_string_equal(is.uuid, was.uuid);
	assert_int_equal(git_snapshots(b->path), 1);
	/* How far mailboxes were compared is known for the new id, too. */
	read_file(file, &tokens);
	tip = git_id(b->path, "main");
	assert_non_null(strstr(buf_str(&tokens), tip));
	bench_open(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 5);
	assert_true(uidset_is_empty(&c.missing));
	/* What is kept stays until it is asked for. */
	put(b, 20);
	bench_put_text(bench_find(b, "INBOX"), 21, "Subject: 2\r\n\r\nmessage 2\r\n");
	bench_snapshot(b);
	bench_fetch_all(bench_find(b, "INBOX"), &got);
	assert_int_equal(got.n, 7);
	gots_release(&got);
	changes_release(&c);
	assert_int_equal(git_snapshots(b->path), 2);
	store_identity_release(&was);
	store_identity_release(&is);
	uidset_release(&two);
	buf_release(&tokens);
	free(file);
	free(tip);
}

static void keep(struct bench *b, const char *set, bool held)
{
	struct uidset uids = set_of(set);
	struct err err = { 0 };

	must(mailbox_keep(bench_find(b, "INBOX"), &uids, held, &err), &err);
	uidset_release(&uids);
}

static size_t kept_now(struct bench *b)
{
	char *list = git_out(b->path, "ls-tree", "-r", "--name-only", "main", "mailboxes/INBOX/kept/", NULL);
	size_t n = 0;

	for (const char *at = list; (at = strstr(at, ".eml")); at++)
		n++;
	free(list);
	return n;
}

static void test_messages_that_were_kept_long_enough_go(void **state)
{
	struct bench *b = git_bench(state);
	char *old, *recent;

	now = 1700000000; /* 2023-11-14 */
	days(b, 1, 5, 10);
	old = blob_of(b->path, "main", 1);
	recent = blob_of(b->path, "main", 4);
	keep(b, "1:2", false);
	keep(b, "3", true); /* by the guard: not for this to decide */
	days(b, 6, 6, 10);
	now = 1720000000; /* 2024-07-03 */
	keep(b, "4", false);
	days(b, 7, 7, 10);
	bench_close(b);
	assert_int_equal(kept_now(b), 4);
	forgets(b->path, 2, "", "--kept-before: 'soon' is no time", "--kept-before=soon");
	forgets(b->path, 0, "; 0 kept messages removed", "", "-v", "--kept-before=2023-11-01");
	forgets(b->path, 0, "; 2 kept messages would be removed", "", "-n", "--kept-before=2024-01-01");
	assert_int_equal(kept_now(b), 4);
	assert_int_equal(git_snapshots(b->path), 7);
	forgets(b->path, 0, "\"kept_messages_removed\":2", "", "--json", "--kept-before=2024-01-01");
	assert_int_equal(kept_now(b), 2);
	assert_int_equal(git_snapshots(b->path), 8);
	is_whole(b);
	/* What earlier snapshots have is on the disk as long as these are. */
	assert_true(is_on_disk(b->path, old));
	forgets(b->path, 0, "", "", "--keep-last=1");
	assert_false(is_on_disk(b->path, old));
	assert_true(is_on_disk(b->path, recent));
	is_whole(b);
	/* One that is live again was not kept since then. */
	bench_open(b);
	bench_put_text(bench_find(b, "INBOX"), 40, "Subject: 4\r\n\r\nmessage 4\r\n");
	bench_snapshot(b);
	assert_int_equal(kept_now(b), 1);
	now = 1740000000; /* 2025-02-19 */
	keep(b, "4", false);
	bench_snapshot(b);
	bench_close(b);
	forgets(b->path, 0, "; 0 kept messages removed", "", "-v", "--kept-before=2025-01-01");
	/* It makes a snapshot, which is one of the last: a dry run counts it, too. */
	forgets(b->path, 0, "3 of 4 snapshots would be forgotten, and ", "", "-n", "--kept-before=2025-03-01",
		"--keep-last=1");
	forgets(b->path, 0, "; 1 kept message would be removed, which makes one more snapshot", "", "-n",
		"--kept-before=2025-03-01", "--keep-last=1");
	forgets(b->path, 0, "3 of 4 snapshots forgotten; ", "", "-v", "--kept-before=2025-03-01", "--keep-last=1");
	assert_int_equal(kept_now(b), 1);
	assert_false(is_on_disk(b->path, recent));
	is_whole(b);
	free(old);
	free(recent);
}

/* A commit of somebody else's says no generation; it must not seem an older state when others go. */
static void test_commits_of_others_make_no_older_state(void **state)
{
	struct bench *b = git_bench(state);
	struct store_identity was, is;
	struct err err = { 0 };
	char *tree, *tip, *commit;

	days(b, 1, 3, 10);
	bench_close(b);
	tree = git_id(b->path, "main^{tree}");
	tree[40] = '\0';
	for (int i = 0; i < 3; i++) {
		tip = git_id(b->path, "main");
		tip[40] = '\0';
		commit = git_out(b->path, "commit-tree", "-p", tip, "-m", "by hand", tree, NULL);
		commit[40] = '\0';
		git_do(b->path, "update-ref", "refs/heads/main", commit);
		free(tip);
		free(commit);
	}
	must(gitstore_identify(&b->cfg, &was, &err), &err);
	age_loose_objects(b->path);
	forgets(b->path, 0, "", "", "--keep-last=1");
	must(gitstore_identify(&b->cfg, &is, &err), &err);
	assert_true(is.generation >= was.generation);
	assert_int_equal(git_snapshots(b->path), 1);
	store_identity_release(&was);
	store_identity_release(&is);
	free(tree);
	is_whole(b);
}

/* Nothing that compresses. */
static void put_large(struct bench *b, uint32_t uid, size_t size)
{
	struct put large = { .body = { .n = size } };
	uint8_t *data = xmalloc(size);
	uint32_t x = uid;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(x >> 24);
	}
	large.body.p = data;
	bench_put(bench_mailbox(b, "INBOX"), uid, &large, NULL);
	free(data);
}

/* main becomes a merge of what it was and of a branch of somebody's, which has no other name. */
static void merge_a_branch(const char *repo)
{
	char *tree = git_id(repo, "main^{tree}"), *tip = git_id(repo, "main"), *side, *merge;

	tree[40] = tip[40] = '\0';
	side = git_out(repo, "commit-tree", "-p", "main~1", "-m", "aside", tree, NULL);
	side[40] = '\0';
	merge = git_out(repo, "commit-tree", "-p", tip, "-p", side, "-m", "merge", tree, NULL);
	merge[40] = '\0';
	git_do(repo, "update-ref", "refs/heads/main", merge);
	age_loose_objects(repo);
	free(tree);
	free(tip);
	free(side);
	free(merge);
}

static void test_a_merge_of_somebody_elses_leaves_nothing_broken(void **state)
{
	struct bench *b = git_bench(state);

	days(b, 1, 3, 10);
	bench_close(b);
	merge_a_branch(b->path);
	bench_open(b);
	days(b, 4, 5, 10);
	bench_close(b);
	forgets(b->path, 0, "", "", "--keep-last=unlimited");
	assert_int_equal(git_snapshots(b->path), 6 + 1); /* as git counts, with the branch */
	is_whole(b);
	forgets(b->path, 0, "", "", "--keep-last=3");
	assert_int_equal(git_snapshots(b->path), 3);
	is_whole(b);
}

static void test_a_large_pack_is_written_anew_without_what_is_gone(void **state)
{
	struct bench *b = git_bench(state);
	char *one, *two;

	put(b, 1);
	put_large(b, 2, (size_t)33 << 20);
	bench_snapshot(b);
	one = blob_of(b->path, "main", 1);
	two = blob_of(b->path, "main", 2);
	expunge(b, 1);
	bench_snapshot(b);
	bench_close(b);
	assert_true(is_on_disk(b->path, one));
	forgets(b->path, 0, "", "", "--keep-last=1");
	assert_false(is_on_disk(b->path, one));
	assert_true(is_on_disk(b->path, two));
	is_whole(b);
	free(one);
	free(two);
}

/* There is less room than what stays takes: first goes what needs no room. */
static void test_it_makes_room_on_a_disk_that_is_nearly_full(void **state)
{
	struct bench *b = git_bench(state);
	char *disk_path = path_join(tmp_dir_in_memory(), "disk"), *script;
	struct proc_result res;

	for (uint32_t uid = 1; uid <= 8; uid++) {
		put_large(b, uid, 800000);
		if (uid > 1)
			expunge(b, uid - 1);
		bench_snapshot(b);
	}
	bench_close(b);
	script = xasprintf("set -e; mkdir '%s'; mount -t tmpfs -o size=10m none '%s'; cp -a '%s' '%s/archive'\n"
			   "free() { df --output=avail -k '%s' | tail -n 1; }\n"
			   "fallocate -l $(($(free) - 400))k '%s/filling'\n"
			   "'%s' forget --keep-last=1 '%s/archive'; free",
			   disk_path, disk_path, b->path, disk_path, disk_path, disk_path, program_path(),
			   disk_path);
	if (getuid() == 0)
		proc_runl(&res, NULL, "unshare", "-m", "sh", "-c", script, NULL);
	else
		proc_runl(&res, NULL, "unshare", "-rm", "sh", "-c", script, NULL);
	if (res.status != 0 || strtoull(buf_str(&res.out), NULL, 10) < 5000)
		test_die("exit %d: %s%s", res.status, buf_str(&res.out), buf_str(&res.err));
	proc_result_release(&res);
	free(script);
	free(disk_path);
}

static void remove_keeps(const char *repo)
{
	char *dir = path_join(repo, "objects/pack");
	struct name_list files = { 0 };

	dir_entries(dir, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *path = path_join(dir, files.name[i]);

		if (strstr(path, ".keep"))
			assert_int_equal(unlink(path), 0);
		free(path);
	}
	name_list_release(&files);
	free(dir);
}

static void test_what_git_packed_itself_goes_too(void **state)
{
	struct bench *b = git_bench(state);
	char *gone, *stays, *loose;

	days(b, 1, 60, 5);
	bench_close(b);
	gone = blob_of(b->path, "main~30", 30);
	stays = blob_of(b->path, "main", 60);
	remove_keeps(b->path);
	/* With deltas, a map of reachable objects, and a list of commits. */
	git_do(b->path, "-c", "pack.writeReverseIndex=true", "repack", "-q", "-adFb", "--depth=50");
	git_do(b->path, "commit-graph", "write", "--reachable");
	git_do(b->path, "multi-pack-index", "write");
	write_file("loose.txt", bytes_of("nobody needs this\n"));
	loose = git_out(b->path, "hash-object", "-w", "--stdin", NULL);
	loose[40] = '\0';
	unlink("loose.txt");
	assert_true(is_on_disk(b->path, loose));
	/* Another git may have written it a moment ago, and is about to name it. */
	forgets(b->path, 0, "", "1 loose object that nothing names is younger than an hour", "--keep-last=2");
	assert_false(is_on_disk(b->path, gone));
	assert_true(is_on_disk(b->path, loose));
	age_loose_objects(b->path);
	forgets(b->path, 0, "", "", "--keep-last=2");
	assert_false(is_on_disk(b->path, loose));
	assert_true(is_on_disk(b->path, stays));
	is_whole(b);
	git_do(b->path, "commit-graph", "verify");
	free(gone);
	free(stays);
	free(loose);
}

static void test_what_another_ref_names_stays_and_that_is_said(void **state)
{
	struct bench *b = git_bench(state);
	char *one;

	days(b, 1, 6, 1);
	bench_close(b);
	one = blob_of(b->path, "main~4", 2);
	git_do(b->path, "tag", "-a", "-m", "before the move", "mine", "main~4");
	forgets(b->path, 0, "", "refs/tags/mine holds what", "--keep-last=1");
	assert_true(is_on_disk(b->path, one));
	is_whole(b);
	git_do(b->path, "update-ref", "-d", "refs/tags/mine");
	age_loose_objects(b->path);
	forgets(b->path, 0, "", "", "--keep-last=1");
	assert_false(is_on_disk(b->path, one));
	is_whole(b);
	free(one);
}

/* A file in the index, then a stash of it, before that another; the caller frees the id of the first. */
static char *stash_twice(const char *tree)
{
	char *file = path_join(tree, "mine.txt"), *id;

	write_file(file, bytes_of("one\n"));
	git_do(tree, "add", "mine.txt");
	id = git_id(tree, ":mine.txt");
	git_do(tree, "stash", "-q");
	write_file(file, bytes_of("two\n"));
	git_do(tree, "add", "mine.txt");
	git_do(tree, "stash", "-q");
	free(file);
	return id;
}

/* What git's own gc keeps is somebody's, too. */
static void test_what_work_trees_and_logs_hold_stays_and_that_is_said(void **state)
{
	struct bench *b = git_bench(state);
	char *tree = xasprintf("%s-tree", b->path), *file, *one, *stashed, *staged;

	days(b, 1, 6, 1);
	bench_close(b);
	git_do(b->path, "worktree", "add", "-q", "--detach", tree, "main");
	stashed = stash_twice(tree);
	git_do(tree, "checkout", "-q", "--detach", "main~4");
	file = path_join(tree, "staged.txt");
	write_file(file, bytes_of("staged\n"));
	git_do(tree, "add", "staged.txt");
	staged = git_id(tree, ":staged.txt");
	age_loose_objects(b->path);
	one = blob_of(b->path, "main~4", 2);
	forgets(b->path, 0, "", "refs/stash holds", "--keep-last=1");
	assert_true(is_on_disk(b->path, stashed));
	assert_true(is_on_disk(b->path, staged));
	assert_true(is_on_disk(b->path, one));
	is_whole(b);
	git_do(tree, "stash", "show", "-p", "stash@{1}");
	git_do(b->path, "update-ref", "-d", "refs/stash");
	forgets(b->path, 0, "", "' worktree remove '", "--keep-last=1");
	assert_true(is_on_disk(b->path, staged));
	assert_true(is_on_disk(b->path, one));
	git_do(b->path, "worktree", "remove", "--force", tree);
	age_loose_objects(b->path);
	forgets(b->path, 0, "", "", "--keep-last=1");
	assert_false(is_on_disk(b->path, staged));
	assert_false(is_on_disk(b->path, stashed));
	assert_false(is_on_disk(b->path, one));
	is_whole(b);
	free(tree);
	free(file);
	free(one);
	free(stashed);
	free(staged);
}

/* A command that removed HEAD itself would leave no repository. */
static void test_a_detached_head_is_told_how_to_be_rid_of(void **state)
{
	struct bench *b = git_bench(state);

	days(b, 1, 4, 1);
	bench_close(b);
	git_do(b->path, "update-ref", "--no-deref", "HEAD", "main~2");
	forgets(b->path, 0, "", "symbolic-ref HEAD refs/heads/main, then", "--keep-last=1");
	git_do(b->path, "symbolic-ref", "HEAD", "refs/heads/main");
	forgets(b->path, 0, "", "", "--keep-last=1");
	is_whole(b);
}

static void test_where_git_logs_what_refs_named_that_holds_nothing(void **state)
{
	struct bench *b = git_bench(state);
	char *one;

	git_do(b->path, "config", "core.logAllRefUpdates", "always");
	bench_reopen(b);
	days(b, 1, 4, 1);
	bench_close(b);
	one = blob_of(b->path, "main~2", 2);
	forgets(b->path, 0, "", "", "--keep-last=1");
	assert_false(is_on_disk(b->path, one));
	is_whole(b);
	free(one);
}

static void test_a_dry_run_changes_nothing(void **state)
{
	struct bench *b = git_bench(state);
	char *before, *after;

	days(b, 1, 6, 1);
	bench_close(b);
	before = picture(b->path);
	forgets(b->path, 0, "4 of 6 snapshots would be forgotten", "", "--dry-run", "--keep-last=2");
	forgets(b->path, 0, "\"kept\":false,\"reasons\":[]", "", "--dry-run", "--json", "--keep-last=2");
	forgets(b->path, 0, "\"kept\":true,\"reasons\":[\"last\",\"daily\"]", "", "-n", "--json",
		"--keep-last=2", "--keep-daily=1");
	after = picture(b->path);
	assert_string_equal(before, after);
	/* Beside a run, too. */
	bench_open(b);
	forgets(b->path, 0, "4 of 6 snapshots would be forgotten", "", "-n", "--keep-last=2");
	free(before);
	free(after);
}

static void test_what_cannot_be_forgotten_is_refused(void **state)
{
	static const struct store_under_test maildir = { "maildir", &maildir_store, "fs" };
	struct bench *b = git_bench(state), other;
	char *before, *after, *nowhere = path_join(tmp_dir(), "nowhere");

	bench_close(b);
	forgets(b->path, 10, "", "no snapshots yet", "--keep-last=1");
	bench_open(b);
	days(b, 1, 4, 1);
	/* A run holds it. */
	forgets(b->path, 11, "", "is in use", "--keep-last=1");
	bench_close(b);
	before = picture(b->path);
	forgets(b->path, 2, "", "every snapshot would go", "-v");
	forgets(b->path, 2, "", "--keep-last: '0' is neither", "--keep-last=0");
	forgets(b->path, 2, "", "--keep-within is such as", "--keep-within=1w");
	after = picture(b->path);
	assert_string_equal(before, after);
	forgets(nowhere, 10, "", "there is no store and no directory", "--keep-last=1");
	bench_init(&other, &maildir);
	bench_open(&other);
	bench_close(&other);
	forgets(other.path, 2, "", "has no snapshots", "--keep-last=1");
	bench_release(&other);
	free(before);
	free(after);
	free(nowhere);
}

static void copy(const char *from, const char *to)
{
	struct proc_result res;

	remove_tree(to);
	proc_runl(&res, NULL, "cp", "-a", from, to, NULL);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
}

/* What is wanted of a pack and cannot be copied out of it stays there, and is told apart from what was done. */
static void test_what_cannot_be_taken_off_the_disk_goes_when_it_is_mended(void **state)
{
	struct bench *b = git_bench(state);
	char *copy_path = path_join(tmp_dir_in_memory(), "sound"), *one, *script;
	struct proc_result res;

	days(b, 1, 6, 3);
	bench_close(b);
	copy(b->path, copy_path);
	one = blob_of(b->path, "main~5", 1);
	git_damage(b->path, "main:mailboxes/INBOX/messages/000000/00/0000000004.eml");
	forgets(b->path, 1, "", "the snapshots are forgotten, but not all that they held is off the disk",
		"--keep-last=1");
	assert_int_equal(git_snapshots(b->path), 1);
	script = xasprintf("cp -f '%s'/objects/pack/* '%s/objects/pack/'", copy_path, b->path);
	proc_runl(&res, NULL, "sh", "-c", script, NULL);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	forgets(b->path, 0, "", "", "--keep-last=1");
	assert_false(is_on_disk(b->path, one));
	is_whole(b);
	free(one);
	free(script);
	free(copy_path);
}

/* Of a history that cannot be followed to its end nobody knows what goes. */
static void test_damage_is_no_reason_to_forget(void **state)
{
	struct bench *b = git_bench(state);
	char *before, *after;

	now = 1700000000; /* 2023-11-14 */
	days(b, 1, 5, 1);
	keep(b, "5", false);
	days(b, 6, 6, 10);
	bench_close(b);
	git_damage(b->path, "main~4");
	before = picture(b->path);
	forgets(b->path, 1, "", "nothing was forgotten", "--keep-last=1", "--kept-before=2024-01-01");
	after = picture(b->path);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/* --- interrupted runs, and being stopped itself --- */

/* What the interrupted run had stored is there, and the next run completes it. */
static void has_what_was_begun(struct bench *b, size_t messages)
{
	bench_open_as(b, STORE_READ);
	assert_int_equal(bench_live(b), messages);
	bench_close(b);
}

static void completes(struct bench *b, size_t messages)
{
	bench_open(b);
	assert_int_equal(bench_live(b), messages);
	put(b, 100);
	bench_commit(b);
	put(b, 101);
	bench_snapshot(b);
	assert_int_equal(bench_live(b), messages + 2);
	bench_close(b);
	assert_false(git_try(b->path, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL));
	is_whole(b);
}

/* Whether main has moved, and wip not yet. */
static bool wip_is_behind(const char *repo)
{
	char *main, *parent;
	bool behind = false;

	if (!git_try(repo, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL))
		return false;
	main = git_id(repo, "main");
	parent = git_id(repo, "refs/mailcask/wip^");
	behind = strcmp(main, parent) != 0;
	free(main);
	free(parent);
	return behind;
}

/* After a stop: a run comes first, or it is asked for again. */
static void goes_on(struct bench *b, bool run_first, size_t messages, const char *gone,
		    const char *stays)
{
	char *left;

	if (run_first) {
		completes(b, messages);
		forgets(b->path, 0, "", "", "--keep-last=3");
		assert_int_equal(git_snapshots(b->path), 3);
	}
	forgets(b->path, 0, "", "", "--keep-last=2");
	assert_int_equal(git_snapshots(b->path), 2);
	assert_false(is_on_disk(b->path, gone));
	assert_true(is_on_disk(b->path, stays));
	left = picture(b->path);
	assert_null(strstr(left, "tmp_"));
	assert_null(strstr(left, ".lock"));
	free(left);
	is_whole(b);
	if (!run_first) {
		has_what_was_begun(b, messages);
		completes(b, messages);
	}
}

/* The state after it was stopped at step n, looked at. */
static int stop_at(const struct bench *b, struct bench *other, unsigned n, size_t messages)
{
	char *at = xasprintf("CRASH_AT=%u", n);
	struct said s;
	int status;

	copy(b->path, other->path);
	s = run_forget(other->path, at, (const char *const[]){ "--keep-last=2", NULL });
	status = s.status;
	if (status != 0 && status != CRASH_STATUS)
		test_die("%s: exit %d: %s", at, status, s.err);
	said_release(&s);
	free(at);
	has_what_was_begun(other, messages);
	is_whole(other);
	return status;
}

static void stopped_anywhere(struct bench *b, bool wip)
{
	struct bench other = *b;
	size_t messages = 2 + wip;
	unsigned n = 1, old = 0, beside = 0, behind = 0;
	char *one, *kept;
	int status;

	days(b, 1, 6, 2);
	if (wip) {
		put(b, 50);
		bench_commit(b);
	}
	bench_close(b);
	one = blob_of(b->path, "main~4", 2);
	kept = blob_of(b->path, "main", 6);
	other.path = path_join(tmp_dir_in_memory(), "copy");
	other.cfg.path = other.path;
	for (;; n++) {
		size_t snapshots;

		status = stop_at(b, &other, n, messages);
		snapshots = git_snapshots(other.path);
		assert_true(snapshots == 6 || snapshots == 2);
		old += snapshots == 6;
		beside += snapshots == 2 && is_on_disk(other.path, one);
		if (wip_is_behind(other.path)) {
			behind++;
			goes_on(&other, n % 2 == 0, messages, one, kept);
			stop_at(b, &other, n, messages);
		}
		goes_on(&other, n % 2 != 0, messages, one, kept);
		if (status == 0)
			break;
	}
	print_message("%u steps, at %u the history was the old one, at %u the new one beside what goes\n",
		      n - 1, old, beside);
	assert_true(n > 15 && old > 3 && beside > 3);
	assert_true(!wip || behind > 0);
	free(one);
	free(kept);
	free(other.path);
}

/* They go from what it began: its end makes the snapshot without them. */
static void test_kept_messages_go_from_an_interrupted_run_too(void **state)
{
	struct bench *b = git_bench(state);
	char *one;

	now = 1700000000; /* 2023-11-14 */
	days(b, 1, 5, 10);
	one = blob_of(b->path, "main", 1);
	keep(b, "1:2", false);
	days(b, 6, 6, 10);
	put(b, 50);
	bench_commit(b);
	bench_close(b);
	assert_true(git_try(b->path, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL));
	forgets(b->path, 0, "3 of 6 snapshots would be forgotten, and ", "", "-n", "--keep-last=3",
		"--kept-before=2024-01-01");
	forgets(b->path, 0, "; 2 kept messages would be removed (", "", "-n", "--kept-before=2024-01-01");
	forgets(b->path, 0, "3 of 6 snapshots forgotten; ", "", "-v", "--keep-last=3", "--kept-before=2024-01-01");
	is_whole(b);
	has_what_was_begun(b, 5);
	assert_int_equal(kept_now(b), 2);
	completes(b, 5);
	assert_int_equal(kept_now(b), 0);
	forgets(b->path, 0, "", "", "--keep-last=1");
	assert_false(is_on_disk(b->path, one));
	is_whole(b);
	free(one);
}

static void test_stopped_anywhere_there_is_the_old_history_or_the_new_one(void **state)
{
	stopped_anywhere(git_bench(state), false);
}

static void test_what_an_interrupted_run_began_is_not_lost_wherever_it_is_stopped(void **state)
{
	stopped_anywhere(git_bench(state), true);
}

/* --- beside a check, which takes no lock --- */

static void forget_now(struct bench *b)
{
	forgets(b->path, 0, "", "", "--keep-last=1");
}

/* So many packs of git's that not all can be held open; none is needed. */
static void add_packs(const char *repo, unsigned n)
{
	char *file = path_join(repo, "x");

	for (unsigned i = 0; i < n; i++) {
		char *text = xasprintf("%u\n", i), *id;

		write_file(file, bytes_of(text));
		id = git_out(repo, "hash-object", "-w", file, NULL);
		id[strcspn(id, "\n")] = '\0';
		git_do(repo, "update-ref", "refs/x/y", id);
		git_do(repo, "repack", "-q", "-d");
		git_do(repo, "update-ref", "-d", "refs/x/y");
		free(text);
		free(id);
	}
	unlink(file);
	free(file);
}

/* What it read already was sound, what it missed afterwards is not called damaged. */
static void test_a_check_beside_it_says_no_more_than_that_it_must_be_done_again(void **state)
{
	struct bench *b = git_bench(state), other = *b;
	unsigned n = 0, again = 0;
	bool beside;

	put(b, 100);
	bench_snapshot(b);
	bench_close(b);
	add_packs(b->path, 20);
	bench_open(b);
	days(b, 1, 4, 1);
	bench_close(b);
	other.path = path_join(tmp_dir_in_memory(), "copy");
	do {
		struct checked got;
		struct err err;

		copy(b->path, other.path);
		beside = check_try_beside(&other, &got, n++, forget_now, &err);
		if (err.kind == ERR_NONE)
			check_says(&got, "");
		else if (err.kind != ERR_RETRY)
			test_die("%s", err.text);
		again += err.kind != ERR_NONE;
		checked_release(&got);
	} while (beside);
	print_message("%u moments, at %u of them again\n", n - 1, again);
	assert_true(n > 20 && again > 0);
	free(other.path);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	bench_release(b);
	free(b);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MEMORY(test_of_a_year_of_days_a_week_and_twelve_months_stay),
		IN_MEMORY(test_the_next_run_goes_on_as_if_nothing_had_happened),
		IN_MEMORY(test_messages_that_were_kept_long_enough_go),
		IN_MEMORY(test_commits_of_others_make_no_older_state),
		IN_MEMORY(test_a_merge_of_somebody_elses_leaves_nothing_broken),
		IN_MEMORY(test_a_large_pack_is_written_anew_without_what_is_gone),
		IN_MEMORY(test_it_makes_room_on_a_disk_that_is_nearly_full),
		IN_MEMORY(test_what_git_packed_itself_goes_too),
		IN_MEMORY(test_what_another_ref_names_stays_and_that_is_said),
		IN_MEMORY(test_what_work_trees_and_logs_hold_stays_and_that_is_said),
		IN_MEMORY(test_a_detached_head_is_told_how_to_be_rid_of),
		IN_MEMORY(test_where_git_logs_what_refs_named_that_holds_nothing),
		IN_MEMORY(test_a_dry_run_changes_nothing),
		IN_MEMORY(test_what_cannot_be_forgotten_is_refused),
		cmocka_unit_test_setup_teardown(test_damage_is_no_reason_to_forget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_taken_off_the_disk_goes_when_it_is_mended, setup,
						teardown),
		IN_MEMORY(test_a_check_beside_it_says_no_more_than_that_it_must_be_done_again),
		IN_MEMORY(test_kept_messages_go_from_an_interrupted_run_too),
		IN_MEMORY(test_stopped_anywhere_there_is_the_old_history_or_the_new_one),
		IN_MEMORY(test_what_an_interrupted_run_began_is_not_lost_wherever_it_is_stopped),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
