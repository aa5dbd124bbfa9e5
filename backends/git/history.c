#include "backends/git/history.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/git/history_private.h"
#include "backends/git/repo.h"
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/when.h"

#define LEAST_DIGITS 4
#define USUAL_DIGITS 8

static void add_snapshot(struct history *h, const struct object_id *id,
			 const struct commit_text *c)
{
	struct snapshot *s;
	const uint8_t *end = c->message.n ? memchr(c->message.p, '\n', c->message.n) : NULL;

	h->v = xgrow(h->v, h->n, &h->cap, sizeof(*h->v));
	h->roots = xgrow(h->roots, h->n, &h->cap_roots, sizeof(*h->roots));
	s = &h->v[h->n];
	object_id_hex(id, s->id);
	s->time = c->time;
	s->summary = bytes_dup(bytes_from(
		c->message.p, end ? (size_t)(end - c->message.p) : c->message.n));
	h->roots[h->n++] = c->tree;
}

static int read_list(struct history *h, struct err *err)
{
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	struct object_id id;
	struct commit_text c;
	int more = repo_ref(h->repo, REPO_MAIN, &id, err);

	while (more > 0) {
		if (repo_read_commit(h->repo, &id, &text, &c, err) < 0) {
			more = h->n > 0 ? 0 : -1;
			if (h->n > 0)
				h->cut = *err;
			break;
		}
		add_snapshot(h, &id, &c);
		more = c.parents > 0;
		id = c.parent;
	}
	buf_release(&text);
	return more;
}

int history_open(const char *path, struct history **out, struct err *err)
{
	struct history *h = xcalloc(1, sizeof(*h));
	enum repo_kind kind;

	if (repo_open(path, &h->repo, &kind, err) < 0 || (h->repo && read_list(h, err) < 0)) {
		history_close(h);
		return -1;
	}
	*out = h;
	return 0;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++)
		free(h->v[i].summary);
	free(h->v);
	free(h->roots);
	repo_free(h->repo);
	free(h);
}

const struct err *history_cut(const struct history *h)
{
	return h->cut.kind != ERR_NONE ? &h->cut : NULL;
}

size_t history_count(const struct history *h)
{
	return h->n;
}

const struct snapshot *history_snapshot(const struct history *h, size_t i)
{
	return &h->v[i];
}

static int by_id(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int history_id_digits(const struct history *h)
{
	const char **ids = xcalloc(h->n + 1, sizeof(*ids));
	int digits = USUAL_DIGITS;

	for (size_t i = 0; i < h->n; i++)
		ids[i] = h->v[i].id;
	qsort(ids, h->n, sizeof(*ids), by_id);
	for (size_t i = 1; i < h->n; i++)
		while (strncmp(ids[i - 1], ids[i], (size_t)digits) == 0 && digits < SNAPSHOT_ID_SIZE - 1)
			digits++;
	free(ids);
	return digits;
}

/* "4f2a91c0 of 2024-02-29 02:17" */
static void describe(const struct history *h, size_t i, struct buf *out)
{
	time_t when = (time_t)h->v[i].time;
	struct tm tm = { 0 };
	char text[64];

	localtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	buf_addf(out, "%.*s of %s", history_id_digits(h), h->v[i].id, text);
}

/* ERR_MISSING: `fmt`'s text, and which snapshots there are. */
static int none(const struct history *h, const char *what, const char *text, struct err *err)
{
	char *safe = escape_text(bytes_of(text), 100);
	struct buf there = BUF_INIT(4096);

	if (h->n == 0) {
		err_set(err, ERR_MISSING, "there are no snapshots yet: the first run has not ended");
	} else {
		buf_add_str(&there, "the oldest is ");
		describe(h, h->n - 1, &there);
		buf_add_str(&there, ", the newest ");
		describe(h, 0, &there);
		if (history_cut(h))
			buf_addf(&there, "; older ones cannot be read: %s", h->cut.text);
		err_set(err, history_cut(h) ? ERR_FATAL : ERR_MISSING, "there is no snapshot %s%s; %s",
			what, safe, buf_str(&there));
	}
	free(safe);
	buf_release(&there);
	return -1;
}

static bool is_hex(const char *text)
{
	size_t n = strspn(text, "0123456789abcdefABCDEF");

	return n >= LEAST_DIGITS && n < SNAPSHOT_ID_SIZE && text[n] == '\0';
}

static int several(const struct history *h, const char *text, struct err *err)
{
	struct buf list = BUF_INIT(4096);
	size_t shown = 0;

	for (size_t i = 0; i < h->n && shown < 6; i++) {
		if (strncasecmp(h->v[i].id, text, strlen(text)) != 0)
			continue;
		buf_add_str(&list, shown++ ? ", " : "");
		describe(h, i, &list);
	}
	err_set(err, ERR_CONFIG, "several snapshots begin with %s: %s", text, buf_str(&list));
	buf_release(&list);
	return -1;
}

static int by_prefix(const struct history *h, const char *text, size_t *out, struct err *err)
{
	size_t found = 0;

	for (size_t i = 0; i < h->n; i++)
		if (strncasecmp(h->v[i].id, text, strlen(text)) == 0 && found++ == 0)
			*out = i;
	if (found > 1)
		return several(h, text, err);
	return found == 1 ? 0 : none(h, "that begins with ", text, err);
}

/* Clocks may have been wrong: the newest that says it is old enough. n: there is none. */
static size_t in_force(const struct history *h, int64_t at)
{
	size_t i = 0;

	while (i < h->n && h->v[i].time > at)
		i++;
	return i;
}

static int by_time(const struct history *h, const char *text, int64_t now, size_t *out,
		   struct err *err)
{
	struct when when;

	if (when_parse(text, now, &when, err) < 0) {
		char *safe = escape_text(bytes_of(text), 100);

		err_set(err, ERR_CONFIG,
			"'%s' names no snapshot: say latest, latest~2, the first digits of its id, "
			"or a time such as 2024-02-29, '2024-02-29 13:05', yesterday or "
			"'2 weeks ago'",
			safe);
		free(safe);
		return -1;
	}
	*out = in_force(h, when.last);
	return *out < h->n ? 0 : none(h, "as old as ", text, err);
}

/* What stands in front of ~N. */
static int resolve_name(const struct history *h, const char *text, int64_t now, size_t *out,
			struct err *err)
{
	*out = 0;
	if (h->n == 0)
		return none(h, "", text, err);
	if (strcasecmp(text, "latest") == 0)
		return 0;
	return is_hex(text) ? by_prefix(h, text, out, err) : by_time(h, text, now, out, err);
}

int history_resolve(const struct history *h, const char *text, int64_t now, size_t *i,
		    struct err *err)
{
	const char *tilde = strrchr(text, '~');
	uint32_t back = 0;
	char *name;
	int ret;

	if (tilde && !bytes_to_u32(bytes_of(tilde + 1), &back))
		tilde = NULL;
	name = bytes_dup(bytes_from(text, tilde ? (size_t)(tilde - text) : strlen(text)));
	ret = resolve_name(h, name, now, i, err);
	free(name);
	if (ret < 0)
		return -1;
	if (back >= h->n - *i)
		return none(h, "", text, err);
	*i += back;
	return 0;
}
