/* The mirror of an archive: pushed after each run, never overwriting what is not from here. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/git/git.h"
#include "core/base/crash.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "tests/lib/conformance.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

/* A backup of a Maildir into an archive with a mirror, as a user has it. */
struct rig {
	char *dir, *config, *archive, *mirror, *state;
	char *path; /* "PATH=...", see stand_in_for_git(); NULL: as it is */
	unsigned n; /* messages delivered */
};

static void put_file(const char *dir, const char *name, const char *text)
{
	char *path = path_join(dir, name);

	write_file(path, bytes_of(text));
	free(path);
}

static void deliver(struct rig *r)
{
	char *name = xasprintf("source/cur/%u.M1P1.host:2,S", 1700000000 + ++r->n);
	char *text = xasprintf("Subject: %u\n\nmessage %u\n", r->n, r->n);

	put_file(r->dir, name, text);
	free(name);
	free(text);
}

static void write_config(const struct rig *r, const char *mirror)
{
	char *text = xasprintf("[store source]\ntype = maildir\nlayout = maildir++\npath = %s/source\n"
			       "[store archive]\ntype = git\npath = %s\nmirror = %s\n"
			       "[job nightly]\nkind = backup\nfrom = source\nto = archive\n",
			       r->dir, r->archive, mirror);

	write_file(r->config, bytes_of(text));
	free(text);
}

static int setup(void **state)
{
	static unsigned number;
	static const char *const dirs[] = { "source/cur", "source/new", "source/tmp", "state" };
	struct rig *r = xcalloc(1, sizeof(*r));
	char *name = xasprintf("mirror-%u", ++number);
	struct err err = { 0 };

	r->dir = path_join(tmp_dir_in_memory(), name);
	r->config = path_join(r->dir, "config.ini");
	r->archive = path_join(r->dir, "archive");
	r->mirror = path_join(r->dir, "mirror.git");
	r->state = xasprintf("XDG_STATE_HOME=%s/state", r->dir);
	for (size_t i = 0; i < 4; i++) {
		char *dir = path_join(r->dir, dirs[i]);

		must(dir_make(dir, 0700, &err), &err);
		free(dir);
	}
	git_do(r->dir, "init", "-q", "--bare", r->mirror);
	write_config(r, "mirror.git"); /* from where the configuration lies */
	free(name);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	remove_tree(r->dir);
	free(r->dir);
	free(r->config);
	free(r->archive);
	free(r->mirror);
	free(r->state);
	free(r->path);
	free(r);
	return 0;
}

/* `mailcask WORDS`: its status. What it says is in `said`, when that is not NULL. */
static int run(const struct rig *r, const char *at, char **said, const char *const *words)
{
	const char *argv[12] = { program_path(), "-c", r->config };
	const char *env[] = { r->state, at ? at : "CRASH_AT", "GIT_CONFIG_GLOBAL=/dev/null",
			      "GIT_CONFIG_SYSTEM=/dev/null", "GIT_DIR=/nowhere",
			      r->path ? r->path : "NONE", NULL };
	struct proc_result res;
	size_t n = 3;
	int status;

	for (; *words; words++)
		argv[n++] = *words;
	proc_run(&res, &(struct proc_opts){ .env = env }, argv);
	status = res.status;
	if (said)
		*said = xasprintf("%s%s", buf_str(&res.out), buf_str(&res.err));
	else if (status != 0 && status != CRASH_STATUS)
		test_die("exit %d: %s", status, buf_str(&res.err));
	proc_result_release(&res);
	return status;
}

#define RUN(r, ...) assert_int_equal(run(r, NULL, NULL, (const char *const[]){ __VA_ARGS__, NULL }), 0)
/* It exits with `status` and says `text`. */
#define SAYS(r, status, text, ...) says(r, status, text, (const char *const[]){ __VA_ARGS__, NULL })
static void says(const struct rig *r, int status, const char *text, const char *const *words)
{
	char *said;
	int got = run(r, NULL, &said, words);

	if (got != status || !strstr(said, text))
		test_die("exit %d, not %d, and this: %s", got, status, said);
	free(said);
}

static void backs_up(struct rig *r)
{
	deliver(r);
	RUN(r, "backup");
}

static void is_mirrored(const struct rig *r)
{
	char *here = git_id(r->archive, "refs/heads/main"), *there = git_id(r->mirror, "refs/heads/main");
	char *refs = git_out(r->mirror, "for-each-ref", "--format=%(refname)", NULL);

	assert_string_equal(here, there);
	assert_string_equal(refs, "refs/heads/main");
	git_check_all(r->mirror);
	free(here);
	free(there);
	free(refs);
}

static void test_every_run_is_pushed_and_the_mirror_alone_restores_all(void **state)
{
	struct rig *r = *state;
	char *clone = path_join(r->dir, "clone"), *to = path_join(r->dir, "back");
	char *cur = path_join(to, "INBOX/cur");
	struct name_list files = { 0 };

	backs_up(r);
	is_mirrored(r);
	backs_up(r);
	is_mirrored(r);
	deliver(r);
	SAYS(r, 0, "nightly: pushed to the mirror\n", "backup", "-v");
	SAYS(r, 0, "\"outcome\":\"same\"", "--json", "backup");
	assert_int_equal(git_snapshots(r->mirror), 3);
	/* Another machine, that has the URL and nothing else. */
	git_do(r->dir, "clone", "-q", "--bare", r->mirror, clone);
	RUN(r, "restore", clone, to);
	dir_entries(cur, &files);
	assert_int_equal(files.n, 3);
	name_list_release(&files);
	free(clone);
	free(to);
	free(cur);
}

static void test_what_could_not_be_pushed_is_pushed_by_the_next_run(void **state)
{
	struct rig *r = *state;
	char *away = path_join(r->dir, "away");

	backs_up(r);
	assert_int_equal(rename(r->mirror, away), 0);
	deliver(r);
	SAYS(r, 75, "is the disk there? If the mirror was never made: git init --bare -b main", "backup");
	assert_int_equal(git_snapshots(r->archive), 2);
	assert_int_equal(rename(away, r->mirror), 0);
	RUN(r, "backup"); /* has nothing else to do */
	is_mirrored(r);
	free(away);
}

static void test_what_a_mirror_refuses_is_told_in_its_words(void **state)
{
	struct rig *r = *state;
	char *hook = path_join(r->mirror, "hooks/pre-receive");

	backs_up(r);
	write_file(hook, bytes_of("#!/bin/sh\necho 'closed for today' >&2\nexit 1\n"));
	assert_int_equal(chmod(hook, 0755), 0);
	deliver(r);
	SAYS(r, 75, "the mirror cannot be written, and the next run tries again. git says: remote: closed for today",
	     "backup");
	free(hook);
}

static void test_a_dry_run_pushes_nothing(void **state)
{
	struct rig *r = *state;

	backs_up(r);
	git_do(r->mirror, "update-ref", "-d", "refs/heads/main");
	RUN(r, "backup", "-n");
	assert_int_equal(git_snapshots(r->mirror), 0);
	RUN(r, "backup");
	is_mirrored(r);
}

/* A shell script that runs as git does, and may say `"$git" "$@"`; "$dir" is the rig's, "$verb" what is asked. */
static void stand_in_for_git(struct rig *r, const char *script)
{
	char *file = path_join(r->dir, "bin/git"), *bin = path_join(r->dir, "bin");
	char *text = xasprintf("#!/bin/sh\ndir='%s'\nPATH=${PATH#*:}\ngit=$(command -v git)\n"
			       "case \"$*\" in *ls-remote*) verb=look;; *) verb=push;; esac\n%s",
			       r->dir, script);
	struct err err = { 0 };

	must(dir_make(bin, 0700, &err), &err);
	write_file(file, bytes_of(text));
	assert_int_equal(chmod(file, 0755), 0);
	r->path = xasprintf("PATH=%s:%s", bin, getenv("PATH"));
	free(file);
	free(bin);
	free(text);
}

/* While one looks at the mirror, another backs up and pushes: nothing has diverged. */
static void test_two_runs_that_push_at_once_are_no_divergence(void **state)
{
	struct rig *r = *state;
	char *script = xasprintf("if [ $verb = look ] && mkdir \"$dir/once\" 2>/dev/null; then\n"
				 "printf 'Subject: x\\n\\nx\\n' >\"$dir/source/cur/1.M2P2.host:2,\"\n"
				 "( unset GIT_TERMINAL_PROMPT; '%s' -c '%s' backup ) || exit 1\nfi\n"
				 "exec \"$git\" \"$@\"\n",
				 program_path(), r->config);

	stand_in_for_git(r, script);
	backs_up(r);
	assert_int_equal(git_snapshots(r->archive), 2);
	is_mirrored(r);
	free(script);
}

/* As an ssh that stays for the next connection does. */
static void test_what_git_leaves_running_is_not_waited_for(void **state)
{
	struct rig *r = *state;

	stand_in_for_git(r, "( while [ -d \"$dir\" ]; do sleep 0.1; done ) &\nexec \"$git\" \"$@\"\n");
	backs_up(r);
	is_mirrored(r);
}

static bool is_there(void *ctx)
{
	return access(ctx, F_OK) == 0;
}

static void test_an_interruption_ends_a_push_that_hangs(void **state)
{
	struct rig *r = *state;
	char *begun = path_join(r->dir, "begun");
	const char *argv[] = { program_path(), "-c", r->config, "backup", NULL }, *env[] = { r->state, NULL, NULL };
	pid_t pid;

	stand_in_for_git(r, "( while [ -d \"$dir\" ]; do sleep 0.1; done ) &\n: >\"$dir/begun\"\nwait\n");
	env[1] = r->path;
	deliver(r);
	pid = proc_spawn(argv, &(struct proc_spawn){ .env = env, .out_fd = -1, .err_fd = -1 });
	assert_true(test_until(is_there, begun, 20000));
	assert_int_equal(proc_end(pid, SIGINT), 130);
	free(begun);
}

static void test_the_archive_itself_is_no_mirror(void **state)
{
	struct rig *r = *state;
	char *url = xasprintf("file://%s", r->archive);

	deliver(r);
	write_config(r, "archive");
	SAYS(r, 2, "the mirror is the archive itself", "backup");
	write_config(r, url);
	SAYS(r, 2, "the mirror is the archive itself", "backup");
	free(url);
}

/* As a mirror of a mirror has it. */
static void test_of_refs_that_end_alike_main_counts(void **state)
{
	struct rig *r = *state;

	backs_up(r);
	git_do(r->mirror, "update-ref", "refs/a/refs/heads/main", "refs/heads/main");
	backs_up(r);
	git_do(r->mirror, "update-ref", "-d", "refs/a/refs/heads/main");
	is_mirrored(r);
	git_do(r->mirror, "update-ref", "refs/a/refs/heads/main", "refs/heads/main~1");
	RUN(r, "forget", "--keep-last=1", "archive");
	RUN(r, "backup");
	git_do(r->mirror, "update-ref", "-d", "refs/a/refs/heads/main");
	is_mirrored(r);
}

/* Both ids are said, the exit status is 3, and nothing is changed there. */
static void is_refused(struct rig *r, const char *text)
{
	char *here, *there = git_id(r->mirror, "refs/heads/main"), *after;

	deliver(r);
	SAYS(r, 3, text, "backup");
	here = git_id(r->archive, "refs/heads/main");
	here[40] = there[40] = '\0';
	SAYS(r, 3, here, "backup");
	SAYS(r, 3, there, "backup");
	SAYS(r, 3, "\"outcome\":\"diverged\"", "--json", "backup");
	after = git_id(r->mirror, "refs/heads/main");
	after[40] = '\0';
	assert_string_equal(there, after);
	git_check_all(r->mirror);
	free(here);
	free(there);
	free(after);
}

/* A commit of somebody else's on top of what the mirror has. */
static void move_ahead(const char *repo)
{
	char *id = git_out(repo, "commit-tree", "-p", "refs/heads/main", "-m", "elsewhere",
			   "refs/heads/main^{tree}", NULL);

	id[40] = '\0';
	git_do(repo, "update-ref", "refs/heads/main", id);
	free(id);
}

static void test_a_mirror_that_is_ahead_is_left_alone(void **state)
{
	struct rig *r = *state;

	backs_up(r);
	move_ahead(r->mirror);
	is_refused(r, "which is not in the history of this archive");
	/* Forgetting here makes it no less. */
	RUN(r, "forget", "--keep-last=1", "archive");
	is_refused(r, "which is not in the history of this archive");
}

static void test_the_mirror_of_another_archive_is_left_alone(void **state)
{
	struct rig *r = *state;
	char *other = path_join(r->dir, "other"), *state_dir = path_join(r->dir, "state/mailcask");

	backs_up(r);
	assert_int_equal(rename(r->archive, other), 0);
	remove_tree(state_dir);
	deliver(r);
	is_refused(r, "It is another archive");
	free(other);
	free(state_dir);
}

/* An archive that was put back from an older copy goes on by itself; the mirror has what it lost. */
static void test_an_older_copy_of_the_archive_overwrites_nothing(void **state)
{
	struct rig *r = *state;
	char *old = path_join(r->dir, "old");
	struct proc_result res;

	backs_up(r);
	proc_runl(&res, NULL, "cp", "-a", r->archive, old, NULL);
	proc_result_release(&res);
	backs_up(r);
	backs_up(r);
	remove_tree(r->archive);
	assert_int_equal(rename(old, r->archive), 0);
	is_refused(r, "which is not in the history of this archive");
	RUN(r, "forget", "--keep-last=1", "archive");
	is_refused(r, "which is not in the history of this archive");
	free(old);
}

static void test_forgotten_snapshots_are_replaced_there_too(void **state)
{
	struct rig *r = *state;

	backs_up(r);
	backs_up(r);
	backs_up(r);
	RUN(r, "forget", "--keep-last=2", "archive");
	SAYS(r, 0, "\"outcome\":\"replaced\"", "--json", "backup");
	is_mirrored(r);
	assert_int_equal(git_snapshots(r->mirror), 2);
	backs_up(r);
	is_mirrored(r);
	/* Twice, with runs between that could not push. */
	git_do(r->mirror, "config", "receive.denyNonFastForwards", "true");
	RUN(r, "forget", "--keep-last=2", "archive");
	deliver(r);
	SAYS(r, 75, "git says", "backup");
	RUN(r, "forget", "--keep-last=2", "archive");
	deliver(r);
	SAYS(r, 75, "git says", "backup");
	git_do(r->mirror, "config", "receive.denyNonFastForwards", "false");
	SAYS(r, 0, "\"outcome\":\"replaced\"", "--json", "backup");
	is_mirrored(r);
	/* What was forgotten counts only until it was pushed. */
	move_ahead(r->mirror);
	is_refused(r, "which is not in the history of this archive");
}

static void test_stopped_anywhere_the_next_run_pushes(void **state)
{
	struct rig *r = *state;
	unsigned n = 1;
	int status;

	backs_up(r);
	do {
		char *at = xasprintf("CRASH_AT=%u", n++);

		backs_up(r);
		run(r, at, NULL, (const char *const[]){ "forget", "--keep-last=1", "archive", NULL });
		deliver(r);
		status = run(r, at, NULL, (const char *const[]){ "backup", NULL });
		RUN(r, "backup");
		is_mirrored(r);
		free(at);
	} while (status == CRASH_STATUS);
	assert_true(n > 10);
	print_message("%u steps\n", n - 2);
}

/* The push arrived, and that was not noted any more. */
static void test_what_may_have_arrived_there_counts_as_pushed(void **state)
{
	struct rig *r = *state;
	char *away = path_join(r->dir, "away");
	bool arrived = false;

	backs_up(r);
	for (unsigned n = 1; !arrived; n++) {
		char *at = xasprintf("CRASH_AT=%u", n), *before, *here, *there;

		RUN(r, "backup");
		before = git_id(r->archive, "refs/heads/main");
		deliver(r);
		assert_int_equal(run(r, at, NULL, (const char *const[]){ "backup", NULL }), CRASH_STATUS);
		here = git_id(r->archive, "refs/heads/main");
		there = git_id(r->mirror, "refs/heads/main");
		arrived = strcmp(before, here) != 0 && strcmp(here, there) == 0;
		free(before);
		free(here);
		free(there);
		free(at);
	}
	assert_int_equal(rename(r->mirror, away), 0);
	deliver(r);
	SAYS(r, 75, "there is no git repository", "backup");
	RUN(r, "forget", "--keep-last=1", "archive");
	assert_int_equal(rename(away, r->mirror), 0);
	SAYS(r, 0, "\"outcome\":\"replaced\"", "--json", "backup");
	is_mirrored(r);
	free(away);
}

/* What an interrupted run began is nobody's but ours. */
static void test_an_unfinished_run_is_not_pushed(void **state)
{
	struct rig *r = *state;

	backs_up(r);
	git_do(r->archive, "update-ref", "refs/mailcask/wip", "refs/heads/main");
	RUN(r, "backup");
	is_mirrored(r);
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG(test_every_run_is_pushed_and_the_mirror_alone_restores_all),
		RIG(test_what_could_not_be_pushed_is_pushed_by_the_next_run),
		RIG(test_what_a_mirror_refuses_is_told_in_its_words),
		RIG(test_a_dry_run_pushes_nothing),
		RIG(test_two_runs_that_push_at_once_are_no_divergence),
		RIG(test_what_git_leaves_running_is_not_waited_for),
		RIG(test_an_interruption_ends_a_push_that_hangs),
		RIG(test_the_archive_itself_is_no_mirror),
		RIG(test_of_refs_that_end_alike_main_counts),
		RIG(test_a_mirror_that_is_ahead_is_left_alone),
		RIG(test_the_mirror_of_another_archive_is_left_alone),
		RIG(test_an_older_copy_of_the_archive_overwrites_nothing),
		RIG(test_forgotten_snapshots_are_replaced_there_too),
		RIG(test_stopped_anywhere_the_next_run_pushes),
		RIG(test_what_may_have_arrived_there_counts_as_pushed),
		RIG(test_an_unfinished_run_is_not_pushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
