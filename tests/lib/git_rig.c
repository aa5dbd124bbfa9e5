#include "tests/lib/git_rig.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/git/git.h"
#include "backends/git/pack_read.h"
#include "core/base/mem.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

#define ARGS_MAX 32

static const char *const git_env[] = { "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
				       "GIT_AUTHOR_NAME=somebody", "GIT_AUTHOR_EMAIL=s@localhost",
				       "GIT_COMMITTER_NAME=somebody",
				       "GIT_COMMITTER_EMAIL=s@localhost", "LC_ALL=C", NULL };

struct bench *git_bench(void **state)
{
	return *state;
}

int git_setup(void **state)
{
	static const struct store_under_test git = { "git", &git_store, NULL };
	struct bench *b = xcalloc(1, sizeof(*b));

	bench_init(b, &git);
	bench_open(b);
	*state = b;
	return 0;
}

int git_teardown(void **state)
{
	struct bench *b = *state;

	bench_close(b);
	git_check_all(b->path);
	bench_release(b);
	free(b);
	return 0;
}

static void run(struct proc_result *res, const char *repo, const char *arg, va_list ap)
{
	const struct proc_opts opts = { .env = git_env };
	const char *argv[ARGS_MAX] = { "git", "-C", repo };
	size_t n = 3;

	for (; arg; arg = va_arg(ap, const char *)) {
		if (n == ARGS_MAX - 1)
			test_die("too many words for git");
		argv[n++] = arg;
	}
	proc_run(res, &opts, argv);
}

char *git_out(const char *repo, const char *arg, ...)
{
	struct proc_result res;
	va_list ap;
	char *out;

	va_start(ap, arg);
	run(&res, repo, arg, ap);
	va_end(ap);
	if (res.status != 0)
		test_die("git %s: exit %d: %s%s", arg, res.status, buf_str(&res.out),
			 buf_str(&res.err));
	out = xstrdup(buf_str(&res.out));
	if (*out && out[strlen(out) - 1] == '\n') /* as $(...) does */
		out[strlen(out) - 1] = '\0';
	proc_result_release(&res);
	return out;
}

bool git_try(const char *repo, const char *arg, ...)
{
	struct proc_result res;
	va_list ap;
	bool ok;

	va_start(ap, arg);
	run(&res, repo, arg, ap);
	va_end(ap);
	ok = res.status == 0;
	proc_result_release(&res);
	return ok;
}

size_t git_number(const char *repo, const char *arg, ...)
{
	struct proc_result res;
	va_list ap;
	size_t n;

	va_start(ap, arg);
	run(&res, repo, arg, ap);
	va_end(ap);
	if (res.status != 0)
		test_die("git %s: %s", arg, buf_str(&res.err));
	n = strtoul(buf_str(&res.out), NULL, 10);
	proc_result_release(&res);
	return n;
}

void git_check_all(const char *repo)
{
	struct stat sb;
	char *head = path_join(repo, "HEAD"), *out;
	bool there = stat(head, &sb) == 0;

	free(head);
	if (!there)
		return;
	out = git_out(repo, "fsck", "--full", "--strict", "--no-dangling", "--no-progress", NULL);
	if (*out && !strstr(out, "notice: "))
		test_die("git fsck: %s", out);
	free(out);
}

size_t git_snapshots(const char *repo)
{
	if (!git_try(repo, "rev-parse", "-q", "--verify", "refs/heads/main", NULL))
		return 0;
	return git_number(repo, "rev-list", "--count", "refs/heads/main", NULL);
}

void git_show(const char *repo, const char *spec, struct buf *out)
{
	const struct proc_opts opts = { .env = git_env };
	struct proc_result res;

	proc_runl(&res, &opts, "git", "-C", repo, "cat-file", "blob", spec, NULL);
	if (res.status != 0)
		test_die("git cat-file %s: %s", spec, buf_str(&res.err));
	buf_clear(out);
	buf_add(out, buf_bytes(&res.out));
	proc_result_release(&res);
}

void bench_snapshot(struct bench *b)
{
	struct err err = { 0 };

	must(store_snapshot(b->st, &err), &err);
}

char *git_id(const char *repo, const char *rev)
{
	return git_out(repo, "rev-parse", rev, NULL);
}

/* --- damage --- */

void git_overwrite(const char *path, struct bytes data)
{
	if (chmod(path, 0600) < 0 && errno != ENOENT)
		test_die_sys("chmod %s", path);
	write_file(path, data);
}

struct where {
	char *path;
	uint64_t offset, span;
};

static int find_entry(void *ctx, const struct pack_entry *e, struct err *err)
{
	void **c = ctx;
	struct where *w = c[1];

	(void)err;
	if (object_id_equal(&e->id, c[0])) {
		w->offset = e->offset;
		w->span = e->span;
	}
	return 0;
}

/* Where the object of a revision lies. */
static struct where find_object(const char *repo, const char *rev)
{
	char *hex = git_id(repo, rev), *dir = path_join(repo, "objects/pack");
	struct err err = { 0 };
	struct pack_set *set = pack_set_open(dir, &err);
	struct where w = { 0 };
	struct object_id id;

	if (!set || !object_id_parse(&id, bytes_of(hex)))
		test_die("%s: %s", repo, err.text);
	for (size_t i = 0; i < pack_set_count(set) && w.span == 0; i++) {
		struct pack *p = pack_set_pack(set, i);
		void *ctx[] = { &id, &w };

		if (pack_each(set, p, find_entry, ctx, &err) == 0 && w.span)
			w.path = xasprintf("%s/%s.pack", dir, pack_name(p));
	}
	if (!w.path)
		test_die("%s: %s is in no pack", repo, rev);
	pack_set_free(set);
	free(hex);
	free(dir);
	return w;
}

void git_damage(const char *repo, const char *rev)
{
	struct where w = find_object(repo, rev);
	struct buf data = BUF_INIT(1 << 20);

	read_file(w.path, &data);
	data.p[w.offset + w.span - 3] ^= 0x10;
	git_overwrite(w.path, buf_bytes(&data));
	buf_release(&data);
	free(w.path);
}
