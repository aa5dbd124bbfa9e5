#include "backends/maildir/identity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "backends/maildir/index.h"
#include "core/base/err.h"
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

void identity_make(char out[37])
{
	uint8_t r[16];

	if (RAND_bytes(r, sizeof(r)) != 1)
		abort(); /* no random numbers: nothing that follows could be trusted */
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40); /* RFC 4122, version 4 */
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	for (size_t i = 0, at = 0; i < 16; i++) {
		at += (size_t)snprintf(out + at, 37 - at, "%02x", r[i]);
		if (i == 3 || i == 5 || i == 7 || i == 9)
			out[at++] = '-';
	}
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

int identity_lock(struct maildir *m, struct err *err)
{
	char pid[32] = "";
	ssize_t n;

	m->lock = openat(m->root, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (m->lock < 0)
		return err_sys(err, ERR_FATAL, "open %s/" LOCK_FILE, m->path);
	n = pread(m->lock, pid, sizeof(pid) - 1, 0);
	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	if (flock(m->lock, LOCK_EX | LOCK_NB) < 0) {
		int sys = errno;

		close(m->lock);
		m->lock = -1;
		errno = sys;
		if (sys != EWOULDBLOCK)
			return err_sys(err, ERR_FATAL, "lock %s/" LOCK_FILE, m->path);
		return err_set(err, ERR_LOCKED, "%s is in use by process %s", m->path,
			       pid[strspn(pid, "0123456789")] == '\0' && pid[0] ? pid : "?");
	}
	m->unclean = n > 0;
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* In this order: on a full disk the mark of a run that was stopped stays. */
	if (pwrite(m->lock, pid, (size_t)n, 0) != n || ftruncate(m->lock, n) < 0)
		return err_sys(err, ERR_FATAL, "write %s/" LOCK_FILE, m->path);
	return 0;
}

void identity_unlock(struct maildir *m, bool clean)
{
	if (m->lock < 0)
		return;
	if (clean && ftruncate(m->lock, 0) < 0)
		clean = false; /* the next run looks for litter that is not there */
	close(m->lock);
	m->lock = -1;
}
