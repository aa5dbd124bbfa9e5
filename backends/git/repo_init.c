#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <git2.h>

#include "backends/git/pack_write.h"
#include "backends/git/repo_private.h"
#include "core/base/buf.h"
#include "core/base/crash.h"
#include "core/base/file.h"
#include "core/base/mem.h"

/*
 * A bare repository is a few files. They are written here and not by libgit2, which leaves HEAD
 * and the configuration to a later sync: after a power cut git refused the repository.
 */
#define BEGUN "mailcask/new" /* there from the first step of repo_init() until repo_init_done() */

static const char config_text[] = "[core]\n"
				  "\trepositoryformatversion = 0\n"
				  "\tfilemode = true\n"
				  "\tbare = true\n"
				  "\tbigFileThreshold = 1m\n"
				  "[gc]\n"
				  "\tauto = 0\n";
static const char attributes_text[] = "*.eml -delta\n";
static const char head_text[] = "ref: " REPO_MAIN "\n";

bool repo_is_begun(const char *path)
{
	char *mark = xasprintf("%s/" BEGUN, path);
	bool begun = access(mark, F_OK) == 0;

	free(mark);
	return begun;
}

static int make_below(const char *path, const char *name, struct err *err)
{
	char *dir = xasprintf("%s/%s", path, name);
	int ret;

	crash_point("git: make a directory of the repository");
	ret = dir_make(dir, 0700, err);
	free(dir);
	return ret;
}

static int write_below(const char *path, const char *name, const char *text, struct err *err)
{
	char *file = xasprintf("%s/%s", path, name);
	int ret;

	crash_point("git: write a file of the repository");
	ret = file_replace(file, bytes_of(text), 0600, err);
	free(file);
	return ret;
}

static bool is_there(const char *path, const char *name)
{
	char *file = xasprintf("%s/%s", path, name);
	bool there = access(file, F_OK) == 0;

	free(file);
	return there;
}

int repo_init(const char *path, struct err *err)
{
	static const char *const dirs[] = { "objects/info", "objects/pack", "refs/heads", "info" };
	bool users = is_there(path, "config") && !repo_is_begun(path);

	if (make_below(path, "mailcask", err) < 0 || write_below(path, BEGUN, "", err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (make_below(path, dirs[i], err) < 0)
			return -1;
	/* Of an empty repository that the user made, the configuration stays: repo_prepare() sets ours. */
	if (!users && write_below(path, "config", config_text, err) < 0)
		return -1;
	if (write_below(path, "info/attributes", attributes_text, err) < 0)
		return -1;
	return write_below(path, "HEAD", head_text, err);
}

static bool says(const char *path, const char *name, const char *text)
{
	char *file = xasprintf("%s/%s", path, name);
	struct buf got = BUF_INIT(4096);
	struct err ignored;
	bool does = file_read(file, &got, &ignored) == 0 && bytes_is(buf_bytes(&got), text);

	buf_release(&got);
	free(file);
	return does;
}

/* Somebody else's may have been made to look so: git trusts none of another user, nor do we. */
bool repo_is_plain(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_uid == geteuid() && !is_there(path, ".git") &&
	       !is_there(path, "commondir") && is_there(path, "objects") &&
	       is_there(path, "refs") && says(path, "config", config_text) &&
	       says(path, "HEAD", head_text);
}

int repo_init_done(const struct repo *r, struct err *err)
{
	char *dir = xasprintf("%s/mailcask", r->dir), *mark = xasprintf("%s/" BEGUN, r->dir);
	int ret = 0;

	if (unlink(mark) == 0)
		ret = dir_sync(dir, err);
	else if (errno != ENOENT)
		ret = err_sys(err, ERR_FATAL, "remove %s", mark);
	free(dir);
	free(mark);
	return ret;
}

/* gc would repack what is fine as it is; a delta of mail costs much and gains little. */
static int set_config(const struct repo *r, struct err *err)
{
	struct git_repository *git;
	git_config *config = NULL;
	int64_t threshold = 0;
	int32_t automatic = -1;
	int ret = 0;

	if (r->plain)
		return 0;
	git = repo_git(r, err);
	if (!git)
		return -1;
	if (git_repository_config(&config, git) < 0)
		return repo_error(err, r->path, "read its configuration");
	if (git_config_get_int64(&threshold, config, "core.bigfilethreshold") < 0 ||
	    threshold != (int64_t)1 << 20)
		ret = git_config_set_string(config, "core.bigfilethreshold", "1m");
	if (ret == 0 && (git_config_get_int32(&automatic, config, "gc.auto") < 0 || automatic != 0))
		ret = git_config_set_int32(config, "gc.auto", 0);
	git_config_free(config);
	return ret < 0 ? repo_error(err, r->path, "write its configuration") : 0;
}

/* A clone comes without info/attributes. What the user wrote there stays. */
static int set_attributes(const struct repo *r, struct err *err)
{
	char *path = xasprintf("%s/info/attributes", r->dir), *dir = xasprintf("%s/info", r->dir);
	struct buf text = BUF_INIT(1 << 20);
	int ret = 0;

	if (dir_make(dir, 0700, err) < 0 ||
	    (file_read(path, &text, err) < 0 && err->sys != ENOENT)) {
		ret = -1;
	} else if (!memmem(buf_str(&text), text.n, attributes_text, strlen(attributes_text))) {
		if (text.n > 0 && text.p[text.n - 1] != '\n')
			buf_add_byte(&text, '\n');
		buf_add_str(&text, attributes_text);
		ret = file_replace(path, buf_bytes(&text), 0600, err);
	}
	buf_release(&text);
	free(path);
	free(dir);
	return ret;
}

int repo_prepare(struct repo *r, struct err *err)
{
	char *pack_dir = xasprintf("%s/objects/pack", r->dir);
	struct object_source source = repo_source(r);
	int ret = -1;

	repo_unlock_refs(r);
	if (set_config(r, err) == 0 && set_attributes(r, err) == 0 &&
	    make_below(r->dir, "mailcask", err) == 0 && pack_clean(pack_dir, err) == 0)
		ret = 0;
	if (ret == 0)
		r->writer = pack_writer_new(pack_dir, &source);
	free(pack_dir);
	return ret;
}
