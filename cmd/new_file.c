#include "cmd/new_file.h"

#include <errno.h>
#include <fcntl.h>
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

/* Where the file system knows no such renaming, a second name does the same. */
static int give_name(struct new_file *f)
{
	if (renameat2(AT_FDCWD, f->part, AT_FDCWD, f->path, RENAME_NOREPLACE) == 0)
		return 0;
	if ((errno != EINVAL && errno != ENOSYS) || link(f->part, f->path) < 0)
		return -1;
	unlink(f->part);
	return 0;
}

int new_file_finish(struct new_file *f, struct err *err)
{
	char *dir;
	int ret;

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
	dir = path_parent(f->path);
	ret = dir_sync(dir, err);
	free(dir);
	return ret;
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
