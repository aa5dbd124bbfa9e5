#ifndef BACKENDS_GIT_GIT_COMMAND_H
#define BACKENDS_GIT_GIT_COMMAND_H

#include <stdint.h>

#include "core/base/err.h"

struct buf;

/*
 * Run `git --git-dir=DIR ARGS...` (NULL-terminated) to its end: for what only it can do. It reads nothing, asks
 * nobody at a terminal for passwords (credential helpers, ssh agents and keys work), and knows no repository but this. What
 * it prints goes into `out`, up to its ceiling. *stop not 0 (NULL: never) ends it, and so does its taking longer
 * than `limit_ms` (0: as long as it likes). Programs that it started and that go on without it are not waited for.
 *
 * 0: it succeeded. ERR_RETRY: it did not, and its last words are the text, escaped; or it took too long.
 * ERR_FATAL: it could not be started. ERR_STOPPED.
 */
int git_command(const char *dir, const char *const *args, int64_t limit_ms, const volatile int *stop,
		struct buf *out, struct err *err);

#endif
