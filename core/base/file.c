#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/crash.h"
#include "core/base/err.h"
#include "core/base/mem.h"

int write_full(int fd, struct bytes data)
{
	while (data.n > 0) {
		ssize_t n = write(fd, data.p, data.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data = bytes_skip(data, (size_t)n);
	}
	return 0;
}

int dir_sync(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return err_sys(err, ERR_FATAL, "open directory %s", path);
	if (fsync(fd) < 0)
		ret = err_sys(err, ERR_FATAL, "sync directory %s", path);
	close(fd);
	return ret;
}

char *path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return bytes_dup(bytes_from(path, slash == path ? 1 : (size_t)(slash - path)));
}

/* POSIX makes a rename durable only once its directory is synced. */
int dir_sync_parent(const char *path, struct err *err)
{
	char *dir = path_parent(path);
	int ret = dir_sync(dir, err);

	free(dir);
	return ret;
}

int file_replace(const char *path, struct bytes data, mode_t mode, struct err *err)
{
	char *tmp = xasprintf("%s.XXXXXX", path);
	const char *litter = NULL; /* temporary file that `out` must remove */
	int ret = -1;
	int fd = mkostemp(tmp, O_CLOEXEC);

	if (fd < 0) {
		err_sys(err, ERR_FATAL, "create %s", tmp);
		goto out;
	}
	litter = tmp;
	crash_point("replace: write");
	if (fchmod(fd, mode) < 0 || write_full(fd, data) < 0 || fsync(fd) < 0) {
		err_sys(err, ERR_FATAL, "write %s", tmp);
		goto out;
	}
	crash_point("replace: rename");
	if (rename(tmp, path) < 0) {
		err_sys(err, ERR_FATAL, "rename %s to %s", tmp, path);
		goto out;
	}
	litter = NULL;
	crash_point("replace: sync directory");
	ret = dir_sync_parent(path, err);
out:
	if (fd >= 0)
		close(fd);
	if (litter)
		unlink(litter);
	free(tmp);
	return ret;
}

int file_read(const char *path, struct buf *out, struct err *err)
{
	int ret = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, ERR_FATAL, "open %s", path);
	for (;;) {
		uint8_t piece[16384];
		ssize_t n = read(fd, piece, sizeof(piece));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, ERR_FATAL, "read %s", path);
			goto out;
		}
		if (n == 0)
			break;
		if (!buf_add(out, bytes_from(piece, (size_t)n))) {
			err_set(err, ERR_FATAL, "%s: larger than %zu bytes", path,
				out->max);
			goto out;
		}
	}
	ret = 0;
out:
	close(fd);
	return ret;
}

int dir_make(const char *path, mode_t mode, struct err *err)
{
	char *part = xstrdup(path);
	int ret = -1;

	for (char *p = part + 1;; p++) {
		bool last = *p == '\0';

		if (!last && *p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, mode) == 0) {
			if (dir_sync_parent(part, err) < 0)
				goto out;
		} else if (errno != EEXIST && errno != EISDIR) {
			err_sys(err, ERR_FATAL, "create directory %s", part);
			goto out;
		}
		if (last)
			break;
		*p = '/';
	}
	ret = 0;
out:
	free(part);
	return ret;
}

bool sync_can_batch(int fd)
{
	/* statfs(2) f_type of those whose syncfs() waits for the device and reports write errors. */
	static const unsigned long good[] = {
		0xef53,     /* ext2, ext3, ext4 */
		0x58465342, /* xfs */
		0x9123683e, /* btrfs */
		0xf2f52010, /* f2fs */
		0x2fc12fc1, /* zfs */
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if ((unsigned long)fs.f_type == good[i])
			return true;
	return false;
}

int sync_batch(int fd, struct err *err)
{
	if (syncfs(fd) < 0)
		return err_sys(err, ERR_FATAL, "sync the file system");
	return 0;
}
