#include "tests/lib/pack_rig.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utime.h>

#include "core/base/mem.h"
#include "tests/lib/support.h"

enum { ARGS = 24 };

static const char *const clean_env[] = {
	"GIT_CONFIG_GLOBAL=/dev/null",
	"GIT_CONFIG_NOSYSTEM=1",
	"GIT_TERMINAL_PROMPT=0",
	"GIT_AUTHOR_NAME=a",
	"GIT_AUTHOR_EMAIL=a@example.org",
	"GIT_COMMITTER_NAME=a",
	"GIT_COMMITTER_EMAIL=a@example.org",
	"HOME=/nonexistent",
	"LC_ALL=C",
	"GIT_DIR",
	"GIT_WORK_TREE",
	"GIT_OBJECT_DIRECTORY",
	NULL,
};

static void run_git(struct pack_rig *r, struct proc_result *res, struct bytes input, va_list ap)
{
	const struct proc_opts opts = { .env = clean_env, .dir = r->repo, .input = input };
	const char *argv[ARGS] = { "git" };
	size_t n = 1;

	while (n + 1 < ARGS && (argv[n] = va_arg(ap, const char *)) != NULL)
		n++;
	proc_run(res, &opts, argv);
	if (res->status != 0)
		test_die("git %s: %d %s%s", argv[1], res->status, buf_str(&res->out),
			 buf_str(&res->err));
}

void pack_rig_git(struct pack_rig *r, struct proc_result *res, ...)
{
	struct proc_result own;
	va_list ap;

	va_start(ap, res);
	run_git(r, res ? res : &own, bytes_from(NULL, 0), ap);
	va_end(ap);
	if (!res)
		proc_result_release(&own);
}

char *pack_rig_git_text(struct pack_rig *r, struct bytes input, ...)
{
	struct proc_result res;
	va_list ap;
	char *text;

	va_start(ap, input);
	run_git(r, &res, input, ap);
	va_end(ap);
	text = xstrdup(buf_str(&res.out));
	proc_result_release(&res);
	return text;
}

void pack_rig_git_approves(struct pack_rig *r)
{
	struct name_list files = { 0 };

	pack_rig_git(r, NULL, "fsck", "--full", "--strict", "--no-dangling", NULL);
	dir_entries(r->packs, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *path = path_join(r->packs, files.name[i]);
		size_t n = strlen(path);

		if (n > 4 && strcmp(path + n - 4, ".idx") == 0)
			pack_rig_git(r, NULL, "verify-pack", path, NULL);
		free(path);
	}
	name_list_release(&files);
}

void pack_rig_open(struct pack_rig *r)
{
	*r = (struct pack_rig){ .repo = tmp_dir() };
	r->packs = path_join(r->repo, "objects/pack");
	pack_rig_git(r, NULL, "init", "-q", "--bare", ".", NULL);
	pack_rig_writer(r);
}

void pack_rig_writer(struct pack_rig *r)
{
	struct object_source source;

	pack_writer_free(r->w);
	if (r->set)
		source = pack_set_source(r->set);
	r->w = pack_writer_new(r->packs, r->set ? &source : NULL);
}

void pack_rig_close(struct pack_rig *r)
{
	pack_writer_free(r->w);
	pack_set_free(r->set);
	remove_tree(r->repo);
	free(r->packs);
}

void pack_rig_look(struct pack_rig *r)
{
	if (!r->set)
		r->set = pack_set_open(r->packs, &r->err);
	else if (pack_set_refresh(r->set, &r->err) < 0)
		test_die("refresh: %s", r->err.text);
	if (!r->set)
		test_die("open packs: %s", r->err.text);
}

const char *pack_rig_publish(struct pack_rig *r)
{
	static char name[PACK_NAME_SIZE];

	if (pack_publish(r->w, name, &r->err) < 0)
		test_die("publish: %s", r->err.text);
	return name;
}

void pack_rig_age(struct pack_rig *r, const char *name)
{
	char *path = xasprintf("%s/%s.idx", r->packs, name);
	const time_t then = time(NULL) - 1000;

	if (utime(path, &(struct utimbuf){ .actime = then, .modtime = then }) < 0)
		test_die_sys("%s", path);
	free(path);
}

struct object_id pack_rig_add(struct pack_rig *r, enum git_type type, struct bytes data)
{
	struct object_id id;

	if (pack_add(r->w, type, data, &id, NULL, &r->err) < 0)
		test_die("add: %s", r->err.text);
	return id;
}

void pack_rig_holds(struct pack_rig *r, const struct object_id *id, enum git_type type,
		    struct bytes want)
{
	struct buf got = BUF_INIT((size_t)1 << 30);
	char hex[OBJECT_HEX_SIZE];
	enum git_type is, info;
	struct pack_at at;
	uint64_t size;

	object_id_hex(id, hex);
	if (!pack_set_find(r->set, id, &at))
		test_die("%s is not there", hex);
	if (pack_object_info(r->set, &at, &info, &size, &r->err) < 0 ||
	    pack_object_read(r->set, &at, &is, &got, &r->err) < 0)
		test_die("%s: %s", hex, r->err.text);
	if (is != type || info != type || size != want.n || !bytes_equal(buf_bytes(&got), want))
		test_die("%s is something else", hex);
	buf_release(&got);
}

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static uint8_t byte_of(enum sample_shape shape, size_t i, uint64_t *seed)
{
	static const uint8_t words[] = "the mail of a stranger is not what it says in the head; ";
	static const uint8_t base64[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t r = next_random(seed);

	switch (shape) {
	case SAMPLE_TEXT:
		return (uint8_t)(r % 7 ? words[i % (sizeof(words) - 1)] : 'a' + r / 7 % 26);
	case SAMPLE_BASE64:
		return (uint8_t)(i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : base64[r % 64]);
	case SAMPLE_RANDOM:
		return (uint8_t)r;
	case SAMPLE_ZEROS:
		return 0;
	default: /* changes within and at the edges of what a coder looks at */
		return byte_of(i / 5000 % 2 ? SAMPLE_BASE64 : SAMPLE_TEXT, i, seed);
	}
}

struct bytes sample(enum sample_shape shape, size_t n, uint64_t seed)
{
	uint8_t *p = xmalloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = byte_of(shape, i, &seed);
	return bytes_from(p, n);
}

void sample_free(struct bytes b)
{
	free((void *)(uintptr_t)b.p);
}

char *dir_text(const char *path)
{
	struct name_list files = { 0 };
	struct buf text = BUF_INIT(1 << 20);

	dir_entries(path, &files);
	for (size_t i = 0; i < files.n; i++)
		buf_addf(&text, "%s%s", i ? " " : "", files.name[i]);
	name_list_release(&files);
	return text.n ? buf_take(&text) : xstrdup("");
}
