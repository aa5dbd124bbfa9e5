#include "tests/lib/maildir_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/imap_oracle.h"

/* The message a file holds, in place. */
static void to_wire(const char *name, struct buf *body)
{
	const char *info = strchr(name, ':'), *mark = strstr(name, ",X");
	struct buf wire = BUF_INIT(body->max);

	if ((mark && (!info || mark < info)) ||
	    (body->n > 0 && memmem(body->p, body->n, "\r\n", 2)))
		return;
	buf_reserve(&wire, body->n + body->n / 16 + 64);
	for (size_t at = 0; at < body->n;) {
		const uint8_t *nl = memchr(body->p + at, '\n', body->n - at);
		size_t n = nl ? (size_t)(nl - body->p) - at : body->n - at;

		buf_add(&wire, bytes_from(body->p + at, n));
		if (nl)
			buf_add_str(&wire, "\r\n");
		at += n + (nl != NULL);
	}
	buf_release(body);
	*body = wire;
}

static int by_byte(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

static void set_flags(const char *name, char *out, size_t size)
{
	const char *info = strstr(name, ":2,");
	size_t n = 0;

	for (const char *p = info ? info + 3 : ""; *p && n + 1 < size; p++)
		if (*p >= 'A' && *p <= 'Z')
			out[n++] = *p;
	out[n] = '\0';
	qsort(out, n, 1, by_byte);
}

static void add_folder(const char *dir, const char *folder, struct maildir_dump *out)
{
	char *path = path_join(dir, folder);
	struct name_list files = { 0 };

	dir_entries(path, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *file = path_join(path, files.name[i]);
		struct maildir_message m = { .name = xstrdup(files.name[i]) };
		struct buf body = BUF_INIT((size_t)1 << 30);
		struct stat st;

		if (stat(file, &st) < 0)
			test_die_sys("look at %s", file);
		read_file(file, &body);
		to_wire(m.name, &body);
		m.mtime = st.st_mtime;
		m.size = body.n;
		set_flags(m.name, m.flags, sizeof(m.flags));
		sha256_hex(buf_bytes(&body), m.sha256);
		out->msg = xgrow(out->msg, out->n, &out->cap, sizeof(*out->msg));
		out->msg[out->n++] = m;
		buf_release(&body);
		free(file);
	}
	name_list_release(&files);
	free(path);
}

static int by_content(const void *a, const void *b)
{
	const struct maildir_message *x = a, *y = b;
	int c = strcmp(x->sha256, y->sha256);

	if (c == 0)
		c = strcmp(x->flags, y->flags);
	return c ? c : (x->mtime > y->mtime) - (x->mtime < y->mtime);
}

void maildir_dump(const char *dir, struct maildir_dump *out)
{
	char *tmp = path_join(dir, "tmp");
	struct name_list unfinished = { 0 };

	*out = (struct maildir_dump){ 0 };
	add_folder(dir, "cur", out);
	add_folder(dir, "new", out);
	dir_entries(tmp, &unfinished);
	out->in_tmp = unfinished.n;
	name_list_release(&unfinished);
	free(tmp);
	if (out->n > 0)
		qsort(out->msg, out->n, sizeof(*out->msg), by_content);
}

void maildir_dump_release(struct maildir_dump *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->msg[i].name);
	free(d->msg);
	*d = (struct maildir_dump){ 0 };
}

/* What a Maildir should say of a message on the server. */
static struct maildir_message expected(const struct oracle_message *m)
{
	static const struct {
		const char *flag;
		char letter;
	} letters[] = { { "\\Draft", 'D' },   { "\\Flagged", 'F' }, { "\\Answered", 'R' },
			{ "\\Seen", 'S' },    { "\\Deleted", 'T' } };
	struct maildir_message want = { .size = m->size };
	struct tm tm = { 0 };
	long offset;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (strstr(m->flags, letters[i].flag))
			want.flags[n++] = letters[i].letter;
	if (!strptime(m->date, "%d-%b-%Y %H:%M:%S %z", &tm))
		test_die("the server sent the date %s", m->date);
	offset = tm.tm_gmtoff;
	want.mtime = timegm(&tm) - offset;
	memcpy(want.sha256, m->sha256, sizeof(want.sha256));
	return want;
}

static void describe(const char *whose, const struct maildir_message *m, struct buf *why)
{
	if (!m) {
		buf_addf(why, "  %s: none\n", whose);
		return;
	}
	buf_addf(why, "  %s: %s, %llu bytes, flags \"%s\", date %lld%s%s\n", whose, m->sha256,
		 (unsigned long long)m->size, m->flags, (long long)m->mtime,
		 m->name ? ", file " : "", m->name ? m->name : "");
}

bool maildir_matches(const char *dir, const struct oracle_dump *want, struct buf *why)
{
	struct maildir_message *sorted = xcalloc(want->n, sizeof(*sorted));
	struct maildir_dump got;
	size_t i = 0;

	for (size_t k = 0; k < want->n; k++)
		sorted[k] = expected(&want->msg[k]);
	qsort(sorted, want->n, sizeof(*sorted), by_content);
	maildir_dump(dir, &got);
	while (i < want->n && i < got.n && by_content(&sorted[i], &got.msg[i]) == 0)
		i++;
	if (i < want->n || i < got.n) {
		buf_addf(why, "%s has %zu messages, the server %zu; the first difference:\n", dir,
			 got.n, want->n);
		describe("server", i < want->n ? &sorted[i] : NULL, why);
		describe("here", i < got.n ? &got.msg[i] : NULL, why);
	}
	maildir_dump_release(&got);
	free(sorted);
	return why->n == 0;
}

void maildir_must_match(const char *dir, const struct oracle_dump *want)
{
	struct buf why = BUF_INIT(65536);

	if (!maildir_matches(dir, want, &why))
		test_die("%s", buf_str(&why));
	buf_release(&why);
}
