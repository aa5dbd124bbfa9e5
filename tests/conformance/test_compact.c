/* Merging the packs of a git archive: fewer files, the same archive, whatever happens meanwhile. */
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

#include "backends/git/compact.h"
#include "backends/git/git.h"
#include "backends/git/pack_read.h"
#include "backends/maildir/maildir.h"
#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/lib/check_rig.h"
#include "tests/lib/conformance.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

#define FIRST "main:mailboxes/INBOX/messages/000000/00/0000000001.eml"

/* Damaged on purpose, so without git_check_all(). */
static int teardown(void **state)
{
	struct bench *b = *state;

	bench_release(b);
	free(b);
	return 0;
}

static size_t packs(const char *repo)
{
	char *dir = path_join(repo, "objects/pack");
	struct name_list files = { 0 };
	size_t n = 0;

	dir_entries(dir, &files);
	for (size_t i = 0; i < files.n; i++)
		n += strstr(files.name[i], ".pack") != NULL;
	name_list_release(&files);
	free(dir);
	return n;
}

/* One snapshot, and one pack, for each message from `first` to `last`. */
static void add(struct bench *b, uint32_t first, uint32_t last)
{
	for (uint32_t uid = first; uid <= last; uid++) {
		char text[64];

		snprintf(text, sizeof(text), "Subject: %u\r\n\r\nmessage %u\r\n", uid, uid);
		bench_put_text(bench_mailbox(b, "INBOX"), uid, text);
		bench_snapshot(b);
	}
}

/* `mailcask compact`: its exit status, and on standard output `out`. */
static void compacts(const struct bench *b, const char *option, int status, const char *out)
{
	const char *argv[] = { program_path(), "compact", option, b->path, NULL };
	struct proc_result res;

	proc_run(&res, NULL, argv);
	if (res.status != status || !strstr(buf_str(&res.out), out))
		test_die("exit %d, not %d, and this:\n%s%s", res.status, status, buf_str(&res.out),
			 buf_str(&res.err));
	proc_result_release(&res);
}

static void is_whole(struct bench *b, size_t messages)
{
	struct checked got;

	check_now(b, &got, true);
	check_says(&got, "");
	assert_int_equal(got.ck.messages, messages);
	checked_release(&got);
	git_check_all(b->path);
}

static void test_small_packs_become_one(void **state)
{
	struct bench *b = git_bench(state);
	char *before, *after;
	size_t n;

	add(b, 1, 9);
	bench_close(b);
	n = packs(b->path);
	assert_true(n >= 9 && n <= COMPACT_MOST);
	before = git_out(b->path, "rev-list", "--all", NULL);
	compacts(b, "--dry-run", 0, " would be merged: ");
	assert_int_equal(packs(b->path), n);
	compacts(b, "-v", 0, " merged: ");
	assert_int_equal(packs(b->path), 1);
	after = git_out(b->path, "rev-list", "--all", NULL);
	assert_string_equal(before, after);
	is_whole(b, 9);
	compacts(b, "-v", 0, "nothing to merge: 1 pack, ");
	bench_open(b);
	add(b, 10, 10);
	bench_close(b);
	is_whole(b, 10);
	free(before);
	free(after);
}

static void test_runs_merge_packs_when_they_become_many(void **state)
{
	struct bench *b = git_bench(state);
	size_t most = 0, n = 0;

	for (uint32_t uid = 1; uid <= 40; uid++) {
		add(b, uid, uid);
		n = packs(b->path);
		most = n > most ? n : most;
	}
	assert_true(most <= COMPACT_MOST);
	assert_true(n < 15);
	bench_close(b);
	is_whole(b, 40);
}

static void test_the_old_packs_have_their_keep_until_they_go(void **state)
{
	struct bench *b = git_bench(state);

	add(b, 1, 5);
	bench_close(b);
	compacts(b, "-v", 0, " merged: ");
	/* The merged one is ours, too: git leaves it alone. */
	git_do(b->path, "gc", "-q", "--prune=now");
	is_whole(b, 5);
	assert_int_equal(packs(b->path), 1);
}

static void test_packs_of_git_and_large_ones_stay(void **state)
{
	struct bench *b = git_bench(state);
	char *dir = path_join(b->path, "objects/pack"), *body = xmalloc(COMPACT_SMALL + 1);
	struct name_list files = { 0 };
	uint32_t seed = 1;

	add(b, 1, 3);
	bench_close(b);
	dir_entries(dir, &files);
	for (size_t i = 0; i < files.n; i++)
		if (strstr(files.name[i], ".keep")) {
			char *keep = path_join(dir, files.name[i]);

			assert_int_equal(unlink(keep), 0);
			free(keep);
		}
	git_do(b->path, "repack", "-adq");
	assert_int_equal(packs(b->path), 1);
	for (size_t i = 0; i < COMPACT_SMALL; i++) /* what cannot be compressed */
		body[i] = (char)((seed = seed * 1103515245 + 12345) >> 24);
	bench_open(b);
	bench_put(bench_mailbox(b, "INBOX"), 4,
		  &(struct put){ .body = bytes_from(body, COMPACT_SMALL) }, NULL);
	bench_snapshot(b);
	add(b, 5, 7);
	bench_close(b);
	assert_int_equal(packs(b->path), 5);
	compacts(b, "-v", 0, "3 packs merged: 5 packs, ");
	assert_int_equal(packs(b->path), 3);
	is_whole(b, 7);
	name_list_release(&files);
	free(dir);
	free(body);
}

static void test_an_index_of_all_packs_does_not_outlive_them(void **state)
{
	struct bench *b = git_bench(state);
	char *midx = path_join(b->path, "objects/pack/multi-pack-index");

	add(b, 1, 4);
	bench_close(b);
	git_do(b->path, "multi-pack-index", "write");
	assert_int_equal(access(midx, F_OK), 0);
	compacts(b, "-v", 0, " merged: ");
	assert_int_not_equal(access(midx, F_OK), 0);
	is_whole(b, 4);
	free(midx);
}

static void test_what_another_run_holds_is_left_alone(void **state)
{
	struct bench *b = git_bench(state);
	size_t n;

	add(b, 1, 3);
	n = packs(b->path);
	compacts(b, "-v", 11, "");
	assert_int_equal(packs(b->path), n);
}

static void test_only_archives_are_compacted(void **state)
{
	static const struct store_under_test maildir = { "maildir", &maildir_store, "fs" };
	struct bench *b = git_bench(state), other;
	struct bench nowhere = { .path = (char[]){ "/nonexistent/x" } };

	bench_close(b);
	bench_init(&other, &maildir);
	bench_open(&other);
	bench_put_text(bench_mailbox(&other, "INBOX"), 1, "x");
	bench_commit(&other);
	bench_close(&other);
	compacts(&other, "-v", 2, "");
	compacts(&nowhere, "-v", 10, "");
	bench_release(&other);
}

/* --- damage --- */

static void test_damage_stops_it_and_nothing_goes(void **state)
{
	struct bench *b = git_bench(state);
	size_t n;

	add(b, 1, 5);
	bench_close(b);
	n = packs(b->path);
	git_damage(b->path, FIRST);
	compacts(b, "-v", 1, "");
	assert_int_equal(packs(b->path), n);
	compacts(b, "--mend", 1, "");
	assert_int_equal(packs(b->path), n);
	/* And so does a run, which says so and ends well. */
	bench_open(b);
	add(b, 6, 30);
	assert_true(packs(b->path) > COMPACT_MOST);
	bench_close(b);
}

static void test_a_damaged_copy_goes_where_there_is_a_sound_one(void **state)
{
	struct bench *b = git_bench(state);
	char *clone = path_join(tmp_dir(), "clone"), *command;
	struct proc_result res;
	struct checked got;

	add(b, 1, 5);
	bench_close(b);
	compacts(b, "-v", 0, " merged: ");
	command = xasprintf("git clone -q --mirror file://'%s' '%s'", b->path, clone);
	proc_runl(&res, NULL, "sh", "-c", command, NULL);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	free(command);
	git_damage(b->path, FIRST);
	command = xasprintf("cp -f '%s'/objects/pack/* '%s'/objects/pack", clone, b->path);
	proc_runl(&res, NULL, "sh", "-c", command, NULL);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	check_now(b, &got, true);
	assert_int_equal(got.ck.findings[FINDING_DAMAGE], 0);
	assert_int_equal(got.ck.findings[FINDING_HARMLESS], 1);
	check_advises(&got, "compact --mend");
	checked_release(&got);
	assert_false(git_try(b->path, "fsck", "--full", "--strict", NULL));
	compacts(b, "--mend", 0, "");
	is_whole(b, 5);
	free(command);
	free(clone);
}

/* --- stopped --- */

static void copy(const char *from, const char *to)
{
	struct proc_result res;

	remove_tree(to);
	proc_runl(&res, NULL, "cp", "-a", from, to, NULL);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
}

static void test_stopped_anywhere_it_is_whole_and_goes_on(void **state)
{
	struct bench *b = git_bench(state), other = *b;
	unsigned n = 1;

	add(b, 1, 6);
	bench_close(b);
	other.path = path_join(tmp_dir(), "copy");
	for (;; n++) {
		char *at = xasprintf("CRASH_AT=%u", n);
		const char *env[] = { at, NULL };
		const struct proc_opts opts = { .env = env };
		struct proc_result res;
		int status;

		copy(b->path, other.path);
		proc_runl(&res, &opts, program_path(), "compact", other.path, NULL);
		status = res.status;
		proc_result_release(&res);
		free(at);
		if (status == 0)
			break;
		assert_int_equal(status, CRASH_STATUS);
		is_whole(&other, 6);
		compacts(&other, "-v", 0, "");
		assert_int_equal(packs(other.path), 1);
		is_whole(&other, 6);
	}
	print_message("%u steps\n", n - 1);
	assert_true(n > 10);
	free(other.path);
}

/* --- beside a check, which takes no lock --- */

static void merge_now(struct bench *b)
{
	const struct store_config cfg = { .name = "store", .path = b->path };
	struct compaction c = { 0 };
	struct err err = { 0 };

	must(gitstore_compact(&cfg, &c, &err), &err);
	assert_true(c.merged > 1);
}

static void merge_and_damage(struct bench *b)
{
	merge_now(b);
	git_damage(b->path, FIRST);
}

static void count_warnings(void *ctx, enum log_level level, const char *text)
{
	(void)level;
	(void)text;
	++*(unsigned *)ctx;
}

static void test_a_check_beside_it_finds_nothing_and_reads_all(void **state)
{
	struct bench *b = git_bench(state), other = *b;
	unsigned warned = 0, n = 0;
	struct checked got;
	size_t objects;
	bool beside;

	add(b, 1, 3);
	bench_close(b);
	check_now(b, &got, true);
	objects = got.ck.read;
	checked_release(&got);
	other.path = path_join(tmp_dir(), "copy");
	log_set(LOG_WARN, count_warnings, &warned);
	do {
		copy(b->path, other.path);
		beside = check_beside(&other, &got, n++, merge_now);
		check_says(&got, "");
		assert_int_equal(got.ck.messages, 3);
		assert_int_equal(got.ck.snapshots, 3);
		assert_int_equal(got.ck.read, got.ck.to_read);
		assert_true(got.ck.read >= objects);
		checked_release(&got);
	} while (beside);
	log_set(LOG_ERROR, NULL, NULL);
	print_message("%u moments\n", n - 1);
	assert_true(n > 50);
	assert_int_equal(warned, 0);
	free(other.path);
}

static void test_a_check_reads_what_was_merged_meanwhile(void **state)
{
	struct bench *b = git_bench(state);
	struct checked got;

	add(b, 1, 3);
	bench_close(b);
	assert_true(check_beside(b, &got, 0, merge_and_damage));
	assert_int_equal(got.ck.findings[FINDING_DAMAGE], 1);
	assert_memory_equal(got.text, "damage INBOX 1 ", 15);
	checked_release(&got);
}

/* The n-th time that somebody asks for an index, packs are merged as soon as it is known to be there. */
static unsigned merge_at;
static struct bench *merge_in;

int stat(const char *path, struct stat *st)
{
	size_t n = strlen(path);
	int ret = fstatat(AT_FDCWD, path, st, 0);

	if (merge_at > 0 && n > 4 && strcmp(path + n - 4, ".idx") == 0 && --merge_at == 0)
		merge_now(merge_in);
	return ret;
}

static void test_who_looks_for_packs_meanwhile_sees_the_merged_one(void **state)
{
	struct bench *b = git_bench(state), other = *b;
	unsigned warned = 0;
	size_t n;
	char *dir;

	add(b, 1, 4);
	bench_close(b);
	n = packs(b->path);
	other.path = path_join(tmp_dir(), "copy");
	dir = path_join(other.path, "objects/pack");
	merge_in = &other;
	log_set(LOG_WARN, count_warnings, &warned);
	for (unsigned i = 1; i <= n; i++) {
		struct err err = { 0 };
		struct pack_set *set;

		copy(b->path, other.path);
		merge_at = i;
		set = pack_set_open(dir, &err);
		must(set ? 0 : -1, &err);
		assert_int_equal(merge_at, 0);
		assert_int_equal(pack_set_count(set), 1);
		assert_null(pack_damage(pack_set_pack(set, 0)));
		pack_set_free(set);
	}
	log_set(LOG_ERROR, NULL, NULL);
	assert_int_equal(warned, 0);
	free(dir);
	free(other.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GIT(test_small_packs_become_one),
		WITH_GIT(test_runs_merge_packs_when_they_become_many),
		WITH_GIT(test_the_old_packs_have_their_keep_until_they_go),
		WITH_GIT(test_packs_of_git_and_large_ones_stay),
		WITH_GIT(test_an_index_of_all_packs_does_not_outlive_them),
		WITH_GIT(test_what_another_run_holds_is_left_alone),
		WITH_GIT(test_only_archives_are_compacted),
		cmocka_unit_test_setup_teardown(test_damage_stops_it_and_nothing_goes, git_setup,
						teardown),
		WITH_GIT(test_a_damaged_copy_goes_where_there_is_a_sound_one),
		WITH_GIT(test_a_check_beside_it_finds_nothing_and_reads_all),
		cmocka_unit_test_setup_teardown(test_a_check_reads_what_was_merged_meanwhile, git_setup,
						teardown),
		WITH_GIT(test_who_looks_for_packs_meanwhile_sees_the_merged_one),
		WITH_GIT(test_stopped_anywhere_it_is_whole_and_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
