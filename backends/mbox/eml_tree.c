#include "backends/mbox/eml_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/mem.h"

struct names {
	char **v;
	size_t n, cap;
};

static void add_name(struct names *names, const char *name)
{
	names->v = xgrow(names->v, names->n, &names->cap, sizeof(*names->v));
	names->v[names->n++] = xstrdup(name);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_names(struct names *names)
{
	if (names->n > 0)
		qsort(names->v, names->n, sizeof(*names->v), compare_names);
}

void eml_names_free(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

static bool is_message(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && strcasecmp(name + n - 4, ".eml") == 0;
}

bool eml_name_says_exact(const char *name)
{
	size_t n = strlen(name);

	return n > 6 && strcasecmp(name + n - 6, ",X.eml") == 0;
}

/*
 * Its entries: messages, and directories. What is of another kind than its name or the file system says is found out
 * when it is opened.
 */
static int read_entries(int fd, struct names *messages, struct names *dirs)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	while (errno = 0, (e = readdir(dir))) {
		if (e->d_name[0] == '.' || e->d_type == DT_LNK)
			continue;
		if (e->d_type != DT_REG && dirs)
			add_name(dirs, e->d_name);
		if (e->d_type != DT_DIR && is_message(e->d_name))
			add_name(messages, e->d_name);
	}
	if (errno) {
		int kept = errno;

		closedir(dir);
		errno = kept;
		return -1;
	}
	closedir(dir);
	sort_names(messages);
	if (dirs)
		sort_names(dirs);
	return 0;
}

int eml_dir_names(int fd, char ***v, size_t *n)
{
	struct names messages = { 0 };

	if (read_entries(fd, &messages, NULL) < 0) {
		eml_names_free(messages.v, messages.n);
		return -1;
	}
	*v = messages.v;
	*n = messages.n;
	return 0;
}

static int open_below(int fd, const char *name)
{
	return openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int eml_dir_open(int root, const struct eml_dir *dir)
{
	int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);

	for (size_t i = 0; i < dir->depth && fd >= 0; i++) {
		int next = open_below(fd, dir->path[i]), kept = errno;

		close(fd);
		errno = kept;
		fd = next;
	}
	return fd;
}

/* --- the walk --- */

struct walk {
	struct eml_tree *out;
	const char *root_path;
	const char *path[EML_DEPTH_MAX];
	size_t depth;
	int (*stop)(void *ctx, struct err *err);
	void *ctx;
};

static void add_dir(struct walk *w)
{
	struct eml_tree *out = w->out;
	struct eml_dir *dir;

	out->v = xgrow(out->v, out->n, &out->cap, sizeof(*out->v));
	dir = &out->v[out->n++];
	dir->depth = w->depth;
	dir->path = xcalloc(w->depth + 1, sizeof(*dir->path));
	for (size_t i = 0; i < w->depth; i++)
		dir->path[i] = xstrdup(w->path[i]);
}

static int visit(struct walk *w, int fd, struct err *err);

static int visit_below(struct walk *w, int fd, const char *name, struct err *err)
{
	int below = open_below(fd, name), ret;

	if (below < 0 && (errno == ENOTDIR || errno == ELOOP || errno == ENOENT))
		return 0; /* no directory */
	if (below < 0)
		return err_sys(err, ERR_FATAL, "open the directory %s below %s", name, w->root_path);
	if (w->depth == EML_DEPTH_MAX) {
		close(below);
		return err_set(err, ERR_FATAL, "the directories below %s are nested more than %d deep",
			       w->root_path, EML_DEPTH_MAX);
	}
	w->path[w->depth++] = name;
	ret = visit(w, below, err);
	w->depth--;
	close(below);
	return ret;
}

static int visit(struct walk *w, int fd, struct err *err)
{
	struct names messages = { 0 }, dirs = { 0 };
	int ret = w->stop(w->ctx, err);

	if (ret == 0 && read_entries(fd, &messages, &dirs) < 0)
		ret = err_sys(err, ERR_FATAL, "read a directory of %s", w->root_path);
	if (ret == 0 && messages.n > 0)
		add_dir(w);
	eml_names_free(messages.v, messages.n);
	for (size_t i = 0; i < dirs.n && ret == 0; i++)
		ret = visit_below(w, fd, dirs.v[i], err);
	eml_names_free(dirs.v, dirs.n);
	return ret;
}

int eml_tree_find(int root, const char *root_path, struct eml_tree *out,
		  int (*stop)(void *ctx, struct err *err), void *ctx, struct err *err)
{
	struct walk w = { .out = out, .root_path = root_path, .stop = stop, .ctx = ctx };

	return visit(&w, root, err);
}

void eml_tree_release(struct eml_tree *tree)
{
	for (size_t i = 0; i < tree->n; i++)
		eml_names_free(tree->v[i].path, tree->v[i].depth);
	free(tree->v);
	*tree = (struct eml_tree){ 0 };
}
