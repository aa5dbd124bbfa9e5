#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static void test_a_program_gives_status_output_and_errors(void **state)
{
	static const char *const env[] = { "WORD=three", "HOME", NULL };
	struct proc_opts opts = { .env = env, .dir = "/", .input = bytes_of("from stdin") };
	struct proc_result res;

	(void)state;
	proc_runl(&res, &opts, "sh", "-c",
		  "cat; pwd; echo $WORD >&2; echo ${HOME-unset} >&2; exit 3", NULL);
	assert_int_equal(res.status, 3);
	assert_string_equal(buf_str(&res.out), "from stdin/\n");
	assert_string_equal(buf_str(&res.err), "three\nunset\n");
	assert_true(res.max_rss_kb > 0);
	proc_result_release(&res);
	proc_runl(&res, NULL, "sh", "-c", "kill -9 $$", NULL);
	assert_int_equal(res.status, 128 + SIGKILL);
	proc_result_release(&res);
	proc_runl(&res, NULL, "/nowhere/none", NULL);
	assert_int_equal(res.status, 127);
	proc_result_release(&res);
}

static void test_much_output_on_both_sides_does_not_block(void **state)
{
	size_t n = 3 << 20;
	char *big = xmalloc(n);
	struct proc_opts opts = { .input = bytes_from(big, n) };
	struct proc_result res;

	(void)state;
	memset(big, 'x', n);
	proc_runl(&res, &opts, "sh", "-c", "tee /dev/stderr", NULL);
	assert_int_equal(res.out.n, n);
	assert_int_equal(res.err.n, n);
	assert_memory_equal(res.out.p, big, n);
	proc_result_release(&res);
	free(big);
}

static void test_memory_is_the_programs_own(void **state)
{
	size_t n = (size_t)100 << 20;
	char *big = xmalloc(n);
	struct proc_result res;

	(void)state;
	memset(big, 1, n); /* a fork of this has all of it */
	proc_runl(&res, NULL, "cat", NULL); /* waits for its stdin to close */
	assert_in_range(res.max_rss_kb, 1, 50 << 10);
	proc_result_release(&res);
	free(big);
	proc_runl(&res, NULL, "sh", "-c", "a=$(head -c 60000000 /dev/zero | tr '\\0' x); echo ${#a}",
		  NULL);
	assert_string_equal(buf_str(&res.out), "60000000\n");
	assert_true(res.max_rss_kb > 50 << 10);
	proc_result_release(&res);
}

static void test_waiting_has_a_deadline_and_a_group_dies_whole(void **state)
{
	static const char *const argv[] = { "sh", "-c", "sleep 100 & sleep 100", NULL };
	const struct proc_spawn how = { .out_fd = -1, .err_fd = -1, .group = true };
	pid_t pid = proc_spawn(argv, &how);

	(void)state;
	assert_false(proc_wait(pid, 5, NULL));
	proc_end_group(pid);
	assert_int_equal(kill(-pid, 0), -1);
}

static void test_a_forked_child_ends_by_signal_or_by_itself(void **state)
{
	int status = -1;
	pid_t pid = proc_fork();

	(void)state;
	if (pid == 0)
		_exit(7);
	assert_true(proc_wait(pid, 5000, &status));
	assert_int_equal(status, 7);
	pid = proc_fork();
	if (pid == 0)
		for (;;)
			pause();
	assert_int_equal(proc_end(pid, SIGTERM), 128 + SIGTERM);
}

static bool third_time(void *ctx)
{
	return ++*(int *)ctx == 3;
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static void test_polling_ends_when_ready_or_at_the_deadline(void **state)
{
	int asked = 0;
	int64_t start = clock_ms();

	(void)state;
	assert_true(test_until(third_time, &asked, 5000));
	assert_int_equal(asked, 3);
	assert_false(test_until(never, NULL, 20));
	assert_true(clock_ms() - start < 4000);
}

static bool is_gone(void *path)
{
	return access(path, F_OK) < 0;
}

static void test_a_temporary_directory_goes_with_its_process_however_it_ends(void **state)
{
	static const char *const how_to_end[] = { "exit", "kill" };
	struct stat st;

	(void)state;
	assert_int_equal(stat(tmp_dir(), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	for (int i = 0; i < 2; i++) {
		/* The directory of another process: this program, asked to make one and end. */
		const char *argv[] = { "/proc/self/exe", how_to_end[i], NULL };
		char path[64] = "";
		int pipes[2], status;
		pid_t pid;

		assert_int_equal(pipe(pipes), 0);
		pid = proc_spawn(argv, &(struct proc_spawn){ .out_fd = pipes[1], .err_fd = -1 });
		close(pipes[1]);
		assert_true(read(pipes[0], path, sizeof(path) - 1) > 0);
		close(pipes[0]);
		assert_true(proc_wait(pid, 5000, &status));
		assert_int_equal(status, i ? 128 + SIGKILL : 0);
		assert_int_equal(strncmp(path, "/tmp/", 5), 0);
		assert_true(test_until(is_gone, path, i ? 5000 : 0));
	}
}

static void test_trees_are_listed_sorted_and_removed(void **state)
{
	char *top = path_join(tmp_dir(), "t"), *sub = path_join(top, "b"), *file;
	struct name_list files = { 0 };

	(void)state;
	assert_int_equal(mkdir(top, 0755), 0);
	assert_int_equal(mkdir(sub, 0755), 0);
	file = path_join(sub, "z");
	write_file(file, bytes_of("abc"));
	free(file);
	file = path_join(top, "a");
	write_file(file, bytes_of("abc"));
	tree_files(top, &files);
	assert_int_equal(files.n, 2);
	assert_string_equal(files.name[0], "a");
	assert_string_equal(files.name[1], "b/z");
	assert_true(name_list_has(&files, "b/z"));
	assert_false(name_list_has(&files, "b"));
	name_list_release(&files);
	remove_tree(top);
	assert_int_equal(access(top, F_OK), -1);
	remove_tree(top);
	free(file);
	free(sub);
	free(top);
}

static void test_digests_are_sha256(void **state)
{
	static const char abc[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	char *path = path_join(tmp_dir(), "abc");
	char hex[SHA256_HEX_SIZE];

	(void)state;
	sha256_hex(bytes_of("abc"), hex);
	assert_string_equal(hex, abc);
	write_file(path, bytes_of("abc"));
	sha256_file_hex(path, hex);
	assert_string_equal(hex, abc);
	free(path);
}

/* What this program does as the subject of its own test. */
static int make_directory(const char *end)
{
	const char *dir = tmp_dir();
	char *file = path_join(dir, "f");

	write_file(file, bytes_of("x"));
	free(file);
	if (write(1, dir, strlen(dir)) < 0)
		return 1;
	if (strcmp(end, "kill") == 0)
		kill(getpid(), SIGKILL);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_program_gives_status_output_and_errors),
		cmocka_unit_test(test_much_output_on_both_sides_does_not_block),
		cmocka_unit_test(test_memory_is_the_programs_own),
		cmocka_unit_test(test_waiting_has_a_deadline_and_a_group_dies_whole),
		cmocka_unit_test(test_a_forked_child_ends_by_signal_or_by_itself),
		cmocka_unit_test(test_polling_ends_when_ready_or_at_the_deadline),
		cmocka_unit_test(
			test_a_temporary_directory_goes_with_its_process_however_it_ends),
		cmocka_unit_test(test_trees_are_listed_sorted_and_removed),
		cmocka_unit_test(test_digests_are_sha256),
	};

	return argc > 1 ? make_directory(argv[1])
			: cmocka_run_group_tests(tests, NULL, NULL);
}
