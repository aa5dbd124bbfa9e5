/*
 * The order of the system calls that make a pack durable, and of those that remove one, and each of them
 * failing. Calls are caught on their way to libc.
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
static int fail_at;   /* the n-th call fails; 0: none */
static bool unnamed; /* whether files without a name can be made */

/* True when this call is the one to fail. "sync .pack" or the like is noted. */
static bool event(const char *what, const char *path)
{
	static const char *const names[] = { "_pack_", "_idx_", "_keep_", ".pack", ".idx", ".keep",
					     ".rev", ".bitmap", ".mtimes", "multi-pack-index" };
	const char *name = strstr(path, " (deleted)") ? "file" : "directory";

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

int linkat(int old_fd, const char *old, int new_fd, const char *new, int flags)
{
	if (event("link", new)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_linkat, old_fd, old, new_fd, new, flags);
}

int unlink(const char *path)
{
	if (event("unlink", path)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int access(const char *path, int mode)
{
	if (!unnamed && strcmp(path, "/proc/self/fd") == 0) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

/* A rig in which a pack under way has a name or none. */
static void rig_open(struct pack_rig *r, void **state)
{
	struct name_list files = { 0 };

	unnamed = *state != NULL;
	pack_rig_open(r);
	pack_rig_add(r, GIT_BLOB, bytes_of("x"));
	dir_entries(r->packs, &files);
	assert_int_equal(files.n, unnamed ? 0 : 1);
	name_list_release(&files);
	buf_clear(&events);
	fail_at = 0;
}

static const char with_names[] = "sync _pack_\n"
				 "sync _idx_\n"
				 "sync _keep_\n"
				 "rename .keep\n"
				 "sync directory\n"
				 "rename .pack\n"
				 "rename .idx\n"
				 "sync directory\n";
static const char without_names[] = "sync file\n" /* the pack, its index, the keep file */
				    "sync file\n"
				    "sync file\n"
				    "link _keep_\n"
				    "rename .keep\n"
				    "sync directory\n"
				    "link _pack_\n"
				    "rename .pack\n"
				    "link _idx_\n"
				    "rename .idx\n"
				    "sync directory\n";
enum { STEPS_WITH_NAMES = 8, STEPS_WITHOUT_NAMES = 11 };

static void test_everything_is_durable_before_the_next_step(void **state)
{
	struct pack_rig r;

	rig_open(&r, state);
	pack_rig_publish(&r);
	assert_string_equal(buf_str(&events), unnamed ? without_names : with_names);
	buf_clear(&events);
	assert_int_equal(pack_publish(r.w, (char[PACK_NAME_SIZE]){ 0 }, &r.err), 0);
	assert_string_equal(buf_str(&events), ""); /* nothing to publish costs nothing */
	pack_rig_close(&r);
}

static void test_any_failing_step_leaves_no_file(void **state)
{
	const int steps = *state ? STEPS_WITHOUT_NAMES : STEPS_WITH_NAMES;

	for (int step = 1; step <= steps; step++) {
		char name[PACK_NAME_SIZE] = "x", *files;
		struct pack_rig r;

		rig_open(&r, state);
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

/* --- removal --- */

static const char says_it_with_names[] = "sync _keep_\n"
					 "rename .keep\n"
					 "sync directory\n";
static const char says_it_without_names[] = "sync file\n"
					    "link _keep_\n"
					    "rename .keep\n"
					    "sync directory\n";
/* Of the two without which there is no pack, the index goes first; last what says that it goes. */
static const char goes[] = "unlink multi-pack-index\n"
			   "unlink .idx\n"
			   "unlink .rev\n"
			   "unlink .bitmap\n"
			   "unlink .mtimes\n"
			   "unlink .pack\n"
			   "unlink .keep\n"
			   "sync directory\n";
enum { STEPS_SAY_WITH_NAMES = 3, STEPS_SAY_WITHOUT_NAMES = 4, STEPS_GO = 7 };

static void test_a_removal_is_noted_durably_before_anything_goes(void **state)
{
	struct pack_rig r;
	const char *name, *says;
	char *files;

	rig_open(&r, state);
	says = unnamed ? says_it_without_names : says_it_with_names;
	name = pack_rig_publish(&r);
	buf_clear(&events);
	assert_int_equal(pack_remove(r.packs, name, &r.err), 0);
	assert_int_equal(strncmp(buf_str(&events), says, strlen(says)), 0);
	assert_string_equal(buf_str(&events) + strlen(says), goes);
	files = dir_text(r.packs);
	assert_string_equal(files, "");
	free(files);
	/* Once more: there is nothing to note. */
	buf_clear(&events);
	assert_int_equal(pack_remove(r.packs, name, &r.err), 0);
	assert_string_equal(buf_str(&events), goes);
	pack_rig_close(&r);
}

/* The next run finds the pack whole, or ends its removal. */
static void test_a_removal_that_fails_leaves_the_pack_or_is_finished(void **state)
{
	const int says = *state ? STEPS_SAY_WITHOUT_NAMES : STEPS_SAY_WITH_NAMES;

	for (int step = 1; step <= says + STEPS_GO; step++) {
		struct pack_rig r;
		char *before, *after;
		const char *name;

		rig_open(&r, state);
		name = pack_rig_publish(&r);
		before = dir_text(r.packs);
		fail_at = step;
		assert_int_equal(pack_remove(r.packs, name, &r.err), -1);
		assert_int_equal(fail_at, 0);
		assert_int_equal(r.err.kind, ERR_FATAL);
		assert_int_equal(r.err.sys, EIO);
		assert_int_equal(pack_clean(r.packs, &r.err), 0);
		after = dir_text(r.packs);
		/* The last of these steps but one puts the note where it is found. */
		assert_string_equal(after, step < says ? before : "");
		free(before);
		free(after);
		pack_rig_close(&r);
	}
	buf_release(&events);
}

static bool yes = true;

#define EITHER_WAY(test) cmocka_unit_test(test), cmocka_unit_test_prestate(test, &yes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EITHER_WAY(test_everything_is_durable_before_the_next_step),
		EITHER_WAY(test_any_failing_step_leaves_no_file),
		EITHER_WAY(test_a_removal_is_noted_durably_before_anything_goes),
		EITHER_WAY(test_a_removal_that_fails_leaves_the_pack_or_is_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
