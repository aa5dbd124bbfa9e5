#ifndef CORE_BASE_CRASH_H
#define CORE_BASE_CRASH_H

/*
 * A crash point: put one before every durable step (sync, rename, unlink, commit). In the
 * test build the process ends at the n-th one when CRASH_AT=n is in the environment, as if
 * it had been killed: no handler, no flush. In the product it is nothing at all.
 */
#ifdef MAILCASK_TEST
void crash_point(const char *step);
/* Called at every crash point of this process, unless NULL: what lies on the disk is what a crash would leave. */
extern void (*crash_watch)(const char *step);
#else
static inline void crash_point(const char *step)
{
	(void)step;
}
#endif

/* What the process exits with at a crash point. */
#define CRASH_STATUS 99

#endif
