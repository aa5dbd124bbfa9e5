/*
 * The order of the system calls that make a pack durable, and each of them failing. Calls are
 * caught on their way to libc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/pack_rig.h"
#include "tests/lib/support.h"

static struct buf events = BUF_INIT(65536);
static int fail_at; /* the n-th call fails; 0: none */

/* True when this call is the one to fail. "sync .pack" or the like is noted. */
static bool event(const char *what, const char *path)
{
	static const char *const names[] = { "_pack_", "_idx_", "_keep_", ".pack", ".idx", ".keep" };
	const char *name = "directory";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strstr(path, names[i]))
			name = names[i];
	buf_addf(&events, "%s %s\n", what, name);
	return fail_at > 0 && --fail_at == 0;
}

int fsync(int fd)
{
	char link[64], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (event("sync", path)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

int rename(const char *old, const char *new)
{
	if (event("rename", new)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0);
}

static void test_everything_is_durable_before_the_next_step(void **state)
{
	struct pack_rig r;

	(void)state;
	pack_rig_open(&r);
	pack_rig_add(&r, GIT_BLOB, bytes_of("x"));
	buf_clear(&events);
	fail_at = 0;
	pack_rig_publish(&r);
	assert_string_equal(buf_str(&events), "sync _pack_\n"
					      "sync _idx_\n"
					      "sync _keep_\n"
					      "rename .keep\n"
					      "sync directory\n"
					      "rename .pack\n"
					      "rename .idx\n"
					      "sync directory\n");
	buf_clear(&events);
	assert_int_equal(pack_publish(r.w, (char[PACK_NAME_SIZE]){ 0 }, &r.err), 0);
	assert_string_equal(buf_str(&events), ""); /* nothing to publish costs nothing */
	pack_rig_close(&r);
}

static void test_any_failing_step_leaves_no_file(void **state)
{
	(void)state;
	for (int step = 1; step <= 8; step++) {
		char name[PACK_NAME_SIZE] = "x", *files;
		struct pack_rig r;

		pack_rig_open(&r);
		pack_rig_add(&r, GIT_BLOB, bytes_of("x"));
		fail_at = step;
		assert_int_equal(pack_publish(r.w, name, &r.err), -1);
		assert_string_equal(name, "");
		assert_int_equal(r.err.kind, ERR_FATAL);
		assert_int_equal(r.err.sys, EIO);
		assert_non_null(strstr(r.err.text, r.packs));
		pack_writer_free(r.w);
		r.w = NULL;
		files = dir_text(r.packs);
		assert_string_equal(files, "");
		free(files);
		pack_rig_close(&r);
	}
	buf_release(&events);
}

/* What is removed must be gone, index first, before anyone is told. */
static void test_a_removal_is_durable(void **state)
{
	struct pack_rig r;

	(void)state;
	pack_rig_open(&r);
	pack_rig_add(&r, GIT_BLOB, bytes_of("x"));
	{
		char *name = xstrdup(pack_rig_publish(&r));

		buf_clear(&events);
		assert_int_equal(pack_remove(r.packs, name, &r.err), 0);
		free(name);
	}
	assert_string_equal(buf_str(&events), "sync directory\n");
	buf_release(&events);
	pack_rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_durable_before_the_next_step),
		cmocka_unit_test(test_any_failing_step_leaves_no_file),
		cmocka_unit_test(test_a_removal_is_durable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
