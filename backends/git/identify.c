#include "backends/git/identify.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/git/layout.h"
#include "core/base/buf.h"
#include "core/base/lockfile.h"
#include "core/base/mem.h"

/* What a crash may leave before there is a repository, and what a new file system holds. */
static bool means_nothing(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       strcmp(name, LOCK_FILE) == 0 || strcmp(name, "mailcask") == 0 ||
	       strcmp(name, "lost+found") == 0;
}

static int is_empty(const char *path, bool *out, struct err *err)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int failed;

	if (!dir)
		return err_sys(err, ERR_FATAL, "open directory %s", path);
	*out = true;
	errno = 0;
	while (*out && (e = readdir(dir)))
		*out = means_nothing(e->d_name);
	failed = *out ? errno : 0;
	closedir(dir);
	errno = failed;
	return failed ? err_sys(err, ERR_FATAL, "read directory %s", path) : 0;
}

int identify_format(const struct repo *r, const struct object_id *root,
		    struct format_text *out, struct err *err)
{
	struct buf text = BUF_INIT(FORMAT_TEXT_MAX);
	struct object_id id;
	int got = repo_lookup(r, root, LAYOUT_FORMAT, NULL, &id, err);

	if (got > 0 && repo_read(r, &id, GIT_BLOB, &text, err) < 0)
		got = -1;
	if (got > 0) {
		switch (format_text_read(buf_bytes(&text), out, err)) {
		case FORMAT_OURS:
			break;
		case FORMAT_FOREIGN:
			got = 0;
			break;
		case FORMAT_NEWER:
			got = err_set(err, ERR_FATAL,
				      "%s was written by a newer mailcask (its FORMAT is version "
				      "%u, this one knows %u): use that one",
				      r->path, out->version, FORMAT_VERSION);
			break;
		case FORMAT_DAMAGED:
			got = err_prefix(err, "%s: " LAYOUT_FORMAT, r->path);
			break;
		}
	}
	buf_release(&text);
	return got;
}

static int look_at_repo(const struct repo *r, struct store_identity *out, struct err *err)
{
	struct format_text format;
	struct repo_tips tips;
	int got = repo_find_tips(r, &tips, err);

	format_text_init(&format);
	out->presence = STORE_FOREIGN;
	if (got > 0)
		got = identify_format(r, &tips.root, &format, err);
	if (got > 0) {
		out->presence = STORE_OURS;
		memcpy(out->uuid, format.uuid, sizeof(out->uuid));
		out->account = xstrdup(format.account ? format.account : "");
		out->generation = tips.generation;
	}
	format_text_release(&format);
	return got < 0 ? -1 : 0;
}

static int look_inside(const char *path, struct store_identity *out, struct err *err)
{
	struct repo *r;
	enum repo_kind kind;
	bool empty = false;
	int ret = repo_open(path, &r, &kind, err);

	if (ret < 0)
		return -1;
	out->presence = STORE_EMPTY;
	if (kind == REPO_FULL)
		ret = look_at_repo(r, out, err);
	else if (kind == REPO_NONE && !repo_is_begun(path)) {
		ret = is_empty(path, &empty, err);
		out->presence = empty ? STORE_EMPTY : STORE_FOREIGN;
	}
	repo_free(r);
	return ret;
}

int gitstore_identify(const struct store_config *cfg, struct store_identity *out,
		      struct err *err)
{
	struct stat sb;

	*out = (struct store_identity){ .presence = STORE_MISSING };
	if (!cfg->path)
		return err_set(err, ERR_CONFIG, "%s: a git store needs a path", cfg->name);
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
