#include "backends/maildir/identity.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/maildir/index.h"
#include "core/base/err.h"
#include "core/base/lockfile.h"
#include "core/base/mem.h"

/* What a crash may leave before there is an identity, and what a new file system holds. */
static bool means_nothing(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       strcmp(name, LOCK_FILE) == 0 || strcmp(name, "lost+found") == 0 ||
	       strncmp(name, INDEX_FILE, strlen(INDEX_FILE)) == 0;
}

static int is_empty(const char *path, bool *out, struct err *err)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	if (!dir)
		return err_sys(err, ERR_FATAL, "open directory %s", path);
	*out = true;
	errno = 0;
	while (*out && (e = readdir(dir)))
		*out = means_nothing(e->d_name);
	if (*out && errno != 0) {
		closedir(dir);
		return err_sys(err, ERR_FATAL, "read directory %s", path);
	}
	closedir(dir);
	return 0;
}

static int look_inside(const char *path, struct store_identity *out, struct err *err)
{
	char *index = xasprintf("%s/" INDEX_FILE, path);
	enum index_kind kind = INDEX_NONE;
	struct stat sb;
	bool empty = false;
	int ret = 0;

	if (lstat(index, &sb) == 0) {
		if (!S_ISREG(sb.st_mode))
			ret = err_set(err, ERR_FATAL, "%s is not a regular file", index);
		else if (sb.st_size > 0)
			ret = index_identify(index, &kind, out, err);
	} else if (errno != ENOENT) {
		ret = err_sys(err, ERR_FATAL, "look at %s", index);
	}
	if (ret == 0 && kind == INDEX_OURS)
		out->presence = STORE_OURS;
	else if (ret == 0 && (ret = is_empty(path, &empty, err)) == 0)
		out->presence = empty ? STORE_EMPTY : STORE_FOREIGN;
	free(index);
	return ret;
}

int maildir_identify(const struct store_config *cfg, struct store_identity *out,
		     struct err *err)
{
	struct stat sb;

	*out = (struct store_identity){ .presence = STORE_MISSING };
	if (!cfg->path)
		return err_set(err, ERR_CONFIG, "%s: a maildir store needs a path", cfg->name);
	if (stat(cfg->path, &sb) < 0) {
		if (errno != ENOENT)
			return err_sys(err, ERR_FATAL, "look at %s", cfg->path);
		if (lstat(cfg->path, &sb) == 0)
			return err_set(err, ERR_FATAL,
				       "%s is a symbolic link to nothing: is a disk missing?",
				       cfg->path);
		return 0;
	}
	if (!S_ISDIR(sb.st_mode))
		return err_set(err, ERR_FATAL, "%s is not a directory", cfg->path);
	return look_inside(cfg->path, out, err);
}

void identity_host(char *out, size_t size)
{
	if (gethostname(out, size) < 0 || out[0] == '\0')
		snprintf(out, size, "localhost");
	out[size - 1] = '\0';
	for (char *p = out; *p; p++)
		if (!ascii_is_digit((uint8_t)*p) && *p != '-' && *p != '.' &&
		    !(ascii_upper((uint8_t)*p) >= 'A' && ascii_upper((uint8_t)*p) <= 'Z'))
			*p = '_';
}
