#include "core/base/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/err.h"

static int refuse(const char *path, const char *holder, struct err *err)
{
	if (errno != EWOULDBLOCK)
		return err_sys(err, ERR_FATAL, "lock %s/" LOCK_FILE, path);
	return err_set(err, ERR_LOCKED, "%s is in use by process %s", path,
		       holder[0] && holder[strspn(holder, "0123456789")] == '\0' ? holder : "?");
}

int lockfile_lock(int dir, const char *path, int *fd, bool *unclean, struct err *err)
{
	char pid[32] = "";
	ssize_t n;
	int lock = openat(dir, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (lock < 0)
		return err_sys(err, ERR_FATAL, "open %s/" LOCK_FILE, path);
	n = pread(lock, pid, sizeof(pid) - 1, 0);
	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
		refuse(path, pid, err);
		close(lock);
		return -1;
	}
	*unclean = n > 0;
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* In this order: on a full disk the mark of a run that was stopped stays. */
	if (pwrite(lock, pid, (size_t)n, 0) != n || ftruncate(lock, n) < 0) {
		err_sys(err, ERR_FATAL, "write %s/" LOCK_FILE, path);
		close(lock);
		return -1;
	}
	*fd = lock;
	return 0;
}

void lockfile_unlock(int fd, bool clean)
{
	if (fd < 0)
		return;
	if (clean && ftruncate(fd, 0) < 0)
		clean = false; /* the next run looks for litter that is not there */
	close(fd);
}

enum lock_holder lockfile_holder(int dir)
{
	int fd = openat(dir, LOCK_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[32] = "";
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return LOCK_FREE;
	return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM) ? LOCK_HELD : LOCK_ABANDONED;
}
