#include "cmd/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"

static int is_there(const char *path, struct err *err)
{
	char *safe = escape_text(bytes_of(path), 400);

	err_set(err, ERR_CONFIG, "%s is there already, and was left as it is: name another file, or move it away",
		safe);
	free(safe);
	return -1;
}

static int failed(const char *what, const char *path, struct err *err)
{
	int why = errno;
	char *safe = escape_text(bytes_of(path), 400);

	errno = why;
	err_sys(err, ERR_FATAL, "%s %s", what, safe);
	free(safe);
	return -1;
}

int new_file_open(struct new_file *f, const char *path, struct err *err)
{
	struct stat sb;
	char *part;
	int fd;

	*f = (struct new_file){ .path = xstrdup(path) };
	if (strcmp(path, "-") == 0) {
		f->out = stdout;
		return 0;
	}
	if (lstat(path, &sb) == 0)
		return is_there(path, err);
	part = xasprintf("%s.part-XXXXXX", path);
	fd = mkostemp(part, O_CLOEXEC); /* only its owner can read it */
	if (fd < 0) {
		free(part);
		return failed("create", path, err);
	}
	f->part = part;
	f->out = fdopen(fd, "w");
	if (f->out)
		return 0;
	close(fd);
	return failed("create", path, err);
}

static bool can_rename_only(void)
{
	return errno != EINVAL && errno != ENOSYS;
}

/* Where the file system knows no such renaming, a second name does the same. */
static int give_name(struct new_file *f)
{
	if (renameat2(AT_FDCWD, f->part, AT_FDCWD, f->path, RENAME_NOREPLACE) == 0)
		return 0;
	if (can_rename_only() || link(f->part, f->path) < 0)
		return -1;
	unlink(f->part);
	return 0;
}

/* `path` has its name: for good. */
static int sync_name(const char *path, struct err *err)
{
	char *dir = path_parent(path);
	int ret = dir_sync(dir, err);

	free(dir);
	return ret;
}

int new_file_finish(struct new_file *f, struct err *err)
{
	if (fflush(f->out) != 0)
		return failed("write", f->part ? f->path : "to standard output", err);
	if (!f->part)
		return 0;
	if (fsync(fileno(f->out)) < 0)
		return failed("write", f->path, err);
	if (give_name(f) < 0)
		return errno == EEXIST ? is_there(f->path, err) : failed("create", f->path, err);
	free(f->part);
	f->part = NULL;
	return sync_name(f->path, err);
}

void new_file_close(struct new_file *f)
{
	if (f->out && f->out != stdout)
		fclose(f->out);
	if (f->part)
		unlink(f->part);
	free(f->part);
	free(f->path);
	*f = (struct new_file){ 0 };
}

/* --- directories --- */

int new_dir_open(struct new_dir *d, const char *path, struct err *err)
{
	struct stat sb;
	char *part;

	*d = (struct new_dir){ .path = xstrdup(path) };
	if (lstat(path, &sb) == 0)
		return is_there(path, err);
	part = xasprintf("%s.part-XXXXXX", path);
	if (!mkdtemp(part)) { /* only its owner can read it */
		free(part);
		return failed("create", path, err);
	}
	d->part = part;
	return 0;
}

/* Everything in it: `each` says -1 with errno. Directories come after what is in them. */
static int each_in(const char *dir, int (*each)(const FTSENT *e))
{
	char *paths[] = { xstrdup(dir), NULL };
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	int ret = walk ? 0 : -1, why = errno;
	FTSENT *e;

	while (ret == 0 && (errno = 0, e = fts_read(walk))) {
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS) {
			errno = e->fts_errno;
			ret = -1;
		} else if (e->fts_info != FTS_D) {
			ret = each(e);
		}
		why = errno;
	}
	if (walk)
		fts_close(walk);
	free(paths[0]);
	errno = why;
	return ret;
}

static int remove_one(const FTSENT *e)
{
	remove(e->fts_accpath); /* as much as can be */
	return 0;
}

static int sync_one(const FTSENT *e)
{
	int fd = open(e->fts_accpath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int ret = fd < 0 ? -1 : fsync(fd), why = errno;

	if (fd >= 0)
		close(fd);
	errno = why;
	return ret;
}

static int sync_all(const struct new_dir *d, struct err *err)
{
	int fd = open(d->part, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd < 0)
		return failed("open", d->part, err);
	if (sync_can_batch(fd))
		ret = sync_batch(fd, err);
	else
		ret = each_in(d->part, sync_one) < 0 ? failed("write", d->path, err) : 0;
	close(fd);
	return ret;
}

static int give_dir_name(struct new_dir *d)
{
	struct stat sb;

	if (renameat2(AT_FDCWD, d->part, AT_FDCWD, d->path, RENAME_NOREPLACE) == 0)
		return 0;
	if (can_rename_only())
		return -1;
	/* What comes in between can be an empty directory at most: no other is replaced. */
	if (lstat(d->path, &sb) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(d->part, d->path);
}

int new_dir_finish(struct new_dir *d, struct err *err)
{
	if (sync_all(d, err) < 0)
		return -1;
	if (give_dir_name(d) < 0)
		return errno == EEXIST || errno == ENOTEMPTY ? is_there(d->path, err) :
							       failed("create", d->path, err);
	free(d->part);
	d->part = NULL;
	return sync_name(d->path, err);
}

void new_dir_close(struct new_dir *d)
{
	if (d->part)
		each_in(d->part, remove_one);
	free(d->part);
	free(d->path);
	*d = (struct new_dir){ 0 };
}
