#include "core/base/crash.h"

#ifdef MAILCASK_TEST
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void (*crash_watch)(const char *step);

void crash_point(const char *step)
{
	static long left = -1;
	static int known;

	if (crash_watch)
		crash_watch(step);
	if (!known) {
		const char *at = getenv("CRASH_AT");

		left = at ? strtol(at, NULL, 10) : -1;
		known = 1;
	}
	if (left < 0)
		return;
	if (--left > 0)
		return;
	dprintf(STDERR_FILENO, "crash point: %s\n", step);
	_exit(CRASH_STATUS);
}
#else
typedef int crash_nothing_to_compile; /* ISO C wants a declaration in every file */
#endif
