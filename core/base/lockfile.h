#ifndef CORE_BASE_LOCKFILE_H
#define CORE_BASE_LOCKFILE_H

#include <stdbool.h>

struct err;

/*
 * The lock of a directory that one writer at a time may change: flock() on the file LOCK_FILE in it.
 * While held it says whose it is (for the message; the kernel gives it back when the holder ends,
 * however it ends); an orderly unlock empties it.
 */
#define LOCK_FILE "mailcask.lock"

/*
 * `dir`: the directory; `path`: its name in messages. *fd is the lock. *unclean: the last holder
 * ended without lockfile_unlock() or had left something unfinished. ERR_LOCKED names the holder.
 */
int lockfile_lock(int dir, const char *path, int *fd, bool *unclean, struct err *err);
/* `clean`: all that was begun is finished. A negative `fd` is no lock. */
void lockfile_unlock(int fd, bool clean);

/*
 * Who seems to hold it, by what the file says. Taking the lock to find out could make a run fail
 * that starts at that moment. A process of another machine counts as not there.
 */
enum lock_holder {
	LOCK_FREE,
	LOCK_HELD,
	LOCK_ABANDONED, /* the holder was stopped, or left something unfinished */
};
enum lock_holder lockfile_holder(int dir);

#endif
