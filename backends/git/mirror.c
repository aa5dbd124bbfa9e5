#include "backends/git/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/git/git_command.h"
#include "backends/git/identify.h"
#include "backends/git/repo.h"
#include "core/base/buf.h"
#include "core/base/crash.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define FIRST_LINE "mailcask mirror 1"
#define TEXT_MAX ((size_t)1 << 20)
#define LOOK_MS 120000 /* what is there is told in seconds; a push may take hours */

struct forgotten {
	struct object_id before, after;
};

struct memory {
	bool there; /* the file is */
	struct object_id *at;
	size_t n_at, cap_at;
	struct forgotten *v;
	size_t n, cap;
};

static void memory_release(struct memory *m)
{
	free(m->at);
	free(m->v);
	*m = (struct memory){ 0 };
}

static void add_at(struct memory *m, const struct object_id *id)
{
	m->at = xgrow(m->at, m->n_at, &m->cap_at, sizeof(*m->at));
	m->at[m->n_at++] = *id;
}

static void add_forgotten(struct memory *m, const struct object_id *before,
			  const struct object_id *after)
{
	m->v = xgrow(m->v, m->n, &m->cap, sizeof(*m->v));
	m->v[m->n++] = (struct forgotten){ *before, *after };
}

/* Lines that mean nothing are none: with less known, less is replaced. */
static void read_line(struct memory *m, const char *line)
{
	struct object_id a, b;
	size_t n = strlen(line), digits = 2 * OBJECT_ID_SIZE;

	if (n == 3 + digits && strncmp(line, "at ", 3) == 0 &&
	    object_id_parse(&a, bytes_from(line + 3, digits)))
		add_at(m, &a);
	else if (n == 8 + 2 * digits && strncmp(line, "forgot ", 7) == 0 && line[7 + digits] == ' ' &&
		 object_id_parse(&a, bytes_from(line + 7, digits)) &&
		 object_id_parse(&b, bytes_from(line + 8 + digits, digits)))
		add_forgotten(m, &a, &b);
}

static int memory_read(const struct repo *r, struct memory *m, struct err *err)
{
	char *path = xasprintf("%s/mailcask/mirror", r->dir), *save = NULL, *text;
	struct buf data = BUF_INIT(TEXT_MAX);
	struct err why = { 0 };
	int ret = 0;

	*m = (struct memory){ 0 };
	m->there = file_read(path, &data, &why) == 0;
	if (!m->there && why.sys != ENOENT) {
		*err = why;
		ret = -1;
	}
	text = bytes_dup(buf_bytes(&data));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		read_line(m, line);
	free(text);
	free(path);
	buf_release(&data);
	return ret;
}

static int memory_write(const struct repo *r, const struct memory *m, struct err *err)
{
	char *path = xasprintf("%s/mailcask/mirror", r->dir), a[OBJECT_HEX_SIZE], b[OBJECT_HEX_SIZE];
	struct buf data = BUF_INIT(TEXT_MAX);
	int ret;

	buf_add_str(&data, FIRST_LINE "\n");
	for (size_t i = 0; i < m->n_at; i++)
		buf_addf(&data, "at %s\n", object_id_hex(&m->at[i], a));
	for (size_t i = 0; i < m->n; i++)
		buf_addf(&data, "forgot %s %s\n", object_id_hex(&m->v[i].before, a),
			 object_id_hex(&m->v[i].after, b));
	crash_point("git: note what the mirror has");
	ret = data.overflow ? err_set(err, ERR_FATAL, "%s: too long", path)
			    : file_replace(path, buf_bytes(&data), 0600, err);
	buf_release(&data);
	free(path);
	return ret;
}

/* A push takes no lock of the store, so forget may come meanwhile. Never long. -1, or what to close. */
static int hold_memory(const struct repo *r, struct err *err)
{
	char *path = xasprintf("%s/mailcask", r->dir);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		err_sys(err, ERR_FATAL, "lock %s", path);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

int mirror_note_forgotten(const struct repo *r, const struct object_id *before,
			  const struct object_id *after, struct err *err)
{
	struct memory m = { 0 };
	int fd = hold_memory(r, err), ret;

	if (fd < 0)
		return -1;
	ret = memory_read(r, &m, err);
	if (ret == 0 && m.there) {
		add_forgotten(&m, before, after);
		ret = memory_write(r, &m, err);
	}
	memory_release(&m);
	close(fd);
	return ret;
}

/* --- a push --- */

struct pushing {
	struct repo *repo;
	struct mirroring *m;
	struct memory memory;
	struct object_id here, there; /* zeros: none */
	bool replace;
};

/* Whether `id` is `tip` or before it: 1, 0, -1. */
static int leads_to(const struct repo *r, const struct object_id *id, struct object_id tip,
		    struct err *err)
{
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	struct commit_text c = { .parents = 1 };
	int ret = 0;

	while (ret == 0 && c.parents > 0) {
		if (object_id_equal(id, &tip))
			ret = 1;
		else if (repo_read_commit(r, &tip, &text, &c, err) < 0)
			ret = -1;
		tip = c.parent;
	}
	buf_release(&text);
	return ret;
}

static int failed(struct pushing *p, struct err *err)
{
	bool missing = strstr(err->text, "does not appear to be a git repository") != NULL;

	p->m->outcome = MIRROR_FAILED;
	if (err->kind == ERR_FATAL)
		return err_prefix(err, "nothing was pushed to the mirror");
	if (err->kind != ERR_RETRY)
		return -1;
	if (missing)
		return err_set(err, ERR_RETRY,
			       "there is no git repository at %s: is the disk there? If the mirror was never made: git "
			       "init --bare -b main, at that place. The next run tries again",
			       p->m->url);
	return err_prefix(err, "the mirror cannot be written, and the next run tries again. git says");
}

/* "ID<TAB>REF", a line each: other refs may end in that name, too. */
static int read_there(struct pushing *p, struct bytes rest, struct err *err)
{
	const size_t digits = 2 * OBJECT_ID_SIZE;

	while (rest.n > 0) {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		size_t n = end ? (size_t)(end - rest.p) : rest.n;

		if (n < digits + 1 || !object_id_parse(&p->there, bytes_from(rest.p, digits)))
			return err_set(err, ERR_FATAL, "git ls-remote does not say what the mirror has");
		if (bytes_is(bytes_from(rest.p + digits + 1, n - digits - 1), REPO_MAIN))
			return 0;
		rest = bytes_skip(rest, n + (end != NULL));
	}
	p->there = (struct object_id){ 0 };
	return 0;
}

static int look_there(struct pushing *p, struct err *err)
{
	const char *const args[] = { "ls-remote", "--refs", "--", p->m->url, REPO_MAIN, NULL };
	struct buf out = BUF_INIT(1 << 20);
	int ret = git_command(p->repo->dir, args, LOOK_MS, p->m->stop, &out, err);

	if (ret < 0)
		failed(p, err);
	else
		ret = read_there(p, buf_bytes(&out), err);
	buf_release(&out);
	return ret;
}

/* After look_there(): what another run pushed before that is in the history here by now. */
static int look_here(struct pushing *p, struct err *err)
{
	int got = repo_refresh(p->repo, err);

	if (got == 0)
		got = repo_ref(p->repo, REPO_MAIN, &p->here, err);
	if (got == 0)
		return err_set(err, ERR_FATAL, "%s: main was removed", p->repo->path);
	return got < 0 ? -1 : 0;
}

static bool is_ours(const struct memory *m, const struct object_id *id)
{
	for (size_t i = 0; i < m->n_at; i++)
		if (object_id_equal(&m->at[i], id))
			return true;
	for (size_t i = 0; i < m->n; i++)
		if (object_id_equal(&m->v[i].before, id))
			return true;
	return false;
}

/* Whether main is a history that forget made, since something of ours was pushed: 1, 0, -1. */
static int was_rewritten(const struct pushing *p, struct err *err)
{
	int got = 0;

	for (size_t i = 0; i < p->memory.n && got == 0; i++)
		got = leads_to(p->repo, &p->memory.v[i].after, p->here, err);
	return got;
}

/* The account and the id of the archive that lies at a path, when it can be seen from here. */
static void name_other(const struct pushing *p, struct buf *text)
{
	const struct store_config there = { .name = "mirror", .path = p->m->url },
				  here = { .name = "store", .path = p->repo->path };
	struct store_identity a, b;
	struct err ignored;

	if (p->m->url[0] != '/' || gitstore_identify(&there, &a, &ignored) < 0)
		return;
	if (gitstore_identify(&here, &b, &ignored) == 0) {
		if (a.presence == STORE_OURS && strcmp(a.uuid, b.uuid) != 0)
			buf_addf(text, "It is another archive: that of %s (%s, here %s). ",
				 a.account && *a.account ? a.account : "another account", a.uuid, b.uuid);
		store_identity_release(&b);
	}
	store_identity_release(&a);
}

static int diverged(struct pushing *p, struct err *err)
{
	struct buf text = BUF_INIT(4096);

	p->m->outcome = MIRROR_DIVERGED;
	name_other(p, &text);
	err_set(err, ERR_HELD,
		"the mirror has main at %s, which is not in the history of this archive, whose main is %s. "
		"%sNothing was pushed and nothing changed there. If another machine backs up into it, or it is "
		"another archive, give this one a mirror of its own",
		p->m->there, p->m->here, buf_str(&text));
	buf_release(&text);
	return -1;
}

/* 1: push; 0: nothing to do; -1. */
static int decide(struct pushing *p, struct err *err)
{
	int got;

	if (object_id_equal(&p->there, &p->here)) {
		p->m->outcome = MIRROR_SAME;
		return 0;
	}
	if (object_id_is_zero(&p->there))
		return 1;
	got = leads_to(p->repo, &p->there, p->here, err);
	if (got != 0)
		return got;
	p->replace = is_ours(&p->memory, &p->there);
	if (p->replace && (got = was_rewritten(p, err)) != 0)
		return got;
	return diverged(p, err);
}

/* How many of what was forgotten, the oldest first, are part of what was pushed. */
static size_t told_by_now(const struct pushing *p, const struct memory *now)
{
	size_t n = now->n;
	struct err ignored;

	while (n > 0 && leads_to(p->repo, &now->v[n - 1].after, p->here, &ignored) != 1)
		n--;
	return n;
}

/*
 * Before the push, what is there and what will be; after it (done) only the latter, and what was
 * forgotten meanwhile.
 */
static int remember(struct pushing *p, bool done, struct err *err)
{
	struct memory now;
	int fd = hold_memory(p->repo, err), ret;
	size_t told = 0;

	if (fd < 0)
		return -1;
	ret = memory_read(p->repo, &now, err);
	now.n_at = 0;
	if (!done && !object_id_is_zero(&p->there))
		add_at(&now, &p->there);
	add_at(&now, &p->here);
	if (done && now.n > 0) {
		told = told_by_now(p, &now);
		now.n -= told;
		memmove(now.v, now.v + told, now.n * sizeof(*now.v));
	}
	if (ret == 0)
		ret = memory_write(p->repo, &now, err);
	memory_release(&now);
	close(fd);
	return ret;
}

static int push(struct pushing *p, struct err *err)
{
	char *refspec = xasprintf("%s:" REPO_MAIN, p->m->here);
	char *lease = xasprintf("--force-with-lease=" REPO_MAIN ":%s", p->m->there);
	const char *args[] = { "push", "-q", "--", p->m->url, refspec, NULL, NULL };
	struct buf out = BUF_INIT(4096);
	int ret;

	if (p->replace) {
		const char *const with_lease[] = { "push", "-q", lease, "--", p->m->url, refspec, NULL };

		memcpy(args, with_lease, sizeof(with_lease));
	}
	crash_point("git: push to the mirror");
	ret = git_command(p->repo->dir, args, 0, p->m->stop, &out, err);
	if (ret < 0)
		failed(p, err);
	else
		p->m->outcome = p->replace ? MIRROR_REPLACED : MIRROR_PUSHED;
	buf_release(&out);
	free(refspec);
	free(lease);
	return ret;
}

/* The directory that a path (or its URL) means, itself or a .git in it, against the repository's own. */
static int refuse_itself(const struct pushing *p, struct err *err)
{
	const char *path = strncmp(p->m->url, "file://", 7) == 0 ? p->m->url + 7 : p->m->url;
	char *below = xasprintf("%s/.git", path);
	struct stat here, there;
	bool same = stat(p->repo->dir, &here) == 0 &&
		    ((stat(path, &there) == 0 && there.st_ino == here.st_ino && there.st_dev == here.st_dev) ||
		     (stat(below, &there) == 0 && there.st_ino == here.st_ino && there.st_dev == here.st_dev));

	free(below);
	if (!same)
		return 0;
	return err_set(err, ERR_CONFIG, "the mirror is the archive itself: name another place, on another disk");
}

static int mirror(struct pushing *p, struct err *err)
{
	int got;

	if (refuse_itself(p, err) < 0 || look_there(p, err) < 0 || look_here(p, err) < 0)
		return -1;
	object_id_hex(&p->here, p->m->here);
	if (!object_id_is_zero(&p->there))
		object_id_hex(&p->there, p->m->there);
	if (memory_read(p->repo, &p->memory, err) < 0)
		return -1;
	got = decide(p, err);
	if (got < 0)
		return -1;
	if (got > 0 && (remember(p, false, err) < 0 || push(p, err) < 0))
		return -1;
	if (got == 0 && p->memory.n == 0 && p->memory.n_at == 1 &&
	    object_id_equal(&p->memory.at[0], &p->here))
		return 0; /* it is known already */
	return remember(p, true, err);
}

int gitstore_mirror(const char *path, struct mirroring *m, struct err *err)
{
	struct pushing p = { .m = m };
	enum repo_kind kind;
	int got;

	m->outcome = MIRROR_NOTHING;
	m->here[0] = m->there[0] = '\0';
	if (repo_open(path, &p.repo, &kind, err) < 0) {
		m->outcome = MIRROR_FAILED;
		return -1;
	}
	got = p.repo ? repo_ref(p.repo, REPO_MAIN, &p.here, err) : 0;
	if (got > 0)
		got = mirror(&p, err);
	if (got < 0 && m->outcome != MIRROR_DIVERGED)
		m->outcome = MIRROR_FAILED;
	memory_release(&p.memory);
	repo_free(p.repo);
	return got < 0 ? -1 : 0;
}
