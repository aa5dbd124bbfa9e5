#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/maildir/index.h"
#include "backends/maildir/mailboxes.h"
#include "backends/maildir/settle.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/mem.h"

#define DEPTH_MAX 32 /* directories below each other; more is not a mail store */

/* A path component back to what it stands for; others' names are taken as they are. */
static char *decode(struct bytes c)
{
	struct buf out = BUF_INIT(SIZE_MAX / 4);

	for (size_t i = 0; i < c.n; i++) {
		uint32_t hex = 0;
		bool ok = c.p[i] == '%' && i + 2 < c.n;

		for (size_t j = 1; ok && j <= 2; j++) {
			const char *digits = "0123456789ABCDEF", *at;

			at = memchr(digits, c.p[i + j], 16);
			ok = at != NULL;
			hex = hex * 16 + (ok ? (uint32_t)(at - digits) : 0);
		}
		buf_add_byte(&out, ok && hex ? (uint8_t)hex : c.p[i]);
		i += ok && hex ? 2 : 0;
	}
	return buf_take(&out);
}

static int name_of(const char *dir, enum maildir_layout layout, struct mailbox_name *out,
		   struct err *err)
{
	const char separator[] = { layout == LAYOUT_PLUS ? '.' : '/', '\0' };
	const char *inbox = "INBOX";
	char **parts = NULL;
	size_t n = 0, cap = 0;
	int ret;

	if (*dir == '\0')
		return mailbox_name_from_components(out, &inbox, 1, err);
	if (layout == LAYOUT_PLUS)
		dir++; /* the leading dot */
	for (;;) {
		size_t part = strcspn(dir, separator);

		parts = xgrow(parts, n, &cap, sizeof(*parts));
		parts[n++] = decode(bytes_from(dir, part));
		if (dir[part] == '\0')
			break;
		dir += part + 1;
	}
	ret = mailbox_name_from_components(out, (const char *const *)parts, n, err);
	for (size_t i = 0; i < n; i++)
		free(parts[i]);
	free(parts);
	return ret;
}

static bool is_known(const struct maildir *m, const char *dir)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->box[i]->dir, dir) == 0)
			return true;
	return false;
}

static bool is_maildir(int fd)
{
	struct stat sb;

	return fstatat(fd, "cur", &sb, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(sb.st_mode);
}

static int take(struct maildir *m, const char *dir, struct err *err)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct err why;
	struct box *box;
	int ret = 0;

	/* What is not UTF-8 cannot be a mailbox's name: it stays a stranger. */
	if (name_of(dir, m->layout, &name, &why) < 0 || box_find(m, &name)) {
		mailbox_name_release(&name);
		return 0;
	}
	box = box_new(m);
	mailbox_name_copy(&box->mb.name, &name);
	mailbox_name_release(&name);
	box->dir = xstrdup(dir);
	box->uidvalidity = (uint32_t)clock_unix();
	if (database_begin(&m->db, err) < 0 || index_insert_box(m, box, err) < 0) {
		box_free(m, box);
		ret = -1;
	} else {
		box_insert(m, box);
		/* A run that was stopped may have made it and not come as far as its row. */
		if (m->unclean && m->mode == STORE_WRITE)
			ret = maildir_clean_tmp(box, err);
	}
	return ret;
}

static int walk(struct maildir *m, const char *dir, unsigned depth, struct err *err);

static int visit(struct maildir *m, const char *dir, const char *name, unsigned depth,
		 struct err *err)
{
	bool plus = m->layout == LAYOUT_PLUS;
	char *below;
	int ret = 0;

	if (plus ? name[0] != '.' || strspn(name, ".") == strlen(name) : name[0] == '.')
		return 0;
	if (strcmp(name, "cur") == 0 || strcmp(name, "new") == 0 || strcmp(name, "tmp") == 0)
		return 0;
	below = *dir ? xasprintf("%s/%s", dir, name) : xstrdup(name);
	if (strlen(below) < MAILDIR_PATH_MAX)
		ret = walk(m, below, depth + 1, err);
	free(below);
	return ret;
}

static int walk(struct maildir *m, const char *dir, unsigned depth, struct err *err)
{
	int fd = open_below(m, dir, false), ret = 0;
	struct dirent *e;
	DIR *list;

	/* Links and files are not followed. */
	if (fd < 0)
		return 0;
	list = fdopendir(fd);
	if (!list) {
		close(fd);
		return err_sys(err, ERR_FATAL, "read directory %s/%s", m->path, dir);
	}
	rewinddir(list); /* of the root it may be a duplicate, read before */
	if (is_maildir(fd) && !is_known(m, dir))
		ret = take(m, dir, err);
	while (ret == 0 && depth < (m->layout == LAYOUT_PLUS ? 1 : DEPTH_MAX) &&
	       (e = readdir(list)))
		if (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN)
			ret = visit(m, dir, e->d_name, depth, err);
	closedir(list);
	return ret;
}

/* A Maildir `dir`/cur. */
static bool holds_maildir(const struct maildir *m, const char *dir)
{
	int fd = openat(m->root, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool is = fd >= 0 && is_maildir(fd);

	if (fd >= 0)
		close(fd);
	return is;
}

enum maildir_layout discover_layout(const struct maildir *m)
{
	/* A descriptor of its own: a duplicate would leave the root's read to its end. */
	int fd = openat(m->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	bool dots = false, plain = false;
	struct dirent *e;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return LAYOUT_FS;
	}
	while ((e = readdir(list))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    !holds_maildir(m, e->d_name))
			continue;
		dots |= e->d_name[0] == '.';
		plain |= e->d_name[0] != '.';
	}
	closedir(list);
	return is_maildir(m->root) && (dots || !plain) ? LAYOUT_PLUS : LAYOUT_FS;
}

int mailboxes_discover(struct maildir *m, struct err *err)
{
	return walk(m, "", 0, err);
}
