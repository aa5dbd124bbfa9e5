#include "tests/lib/archive.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/archive_private.h"
#include "tests/lib/imap_oracle.h"

#define MESSAGE_MAX ((size_t)1 << 30)

/* --- files --- */

static void hash_message(const char *path, const char *base, size_t base_n,
			 char out[SHA256_HEX_SIZE])
{
	struct buf file = BUF_INIT(MESSAGE_MAX), wire = BUF_INIT(2 * MESSAGE_MAX);
	struct bytes rest;

	read_file(path, &file);
	if (memmem(base, base_n, ",X", 2) || (file.n > 1 && memmem(file.p, file.n, "\r\n", 2))) {
		sha256_hex(buf_bytes(&file), out);
		buf_release(&file);
		return;
	}
	for (rest = buf_bytes(&file); rest.n > 0;) {
		const uint8_t *nl = memchr(rest.p, '\n', rest.n);
		size_t n = nl ? (size_t)(nl - rest.p) : rest.n;

		buf_add(&wire, bytes_from(rest.p, n));
		if (nl)
			buf_add_str(&wire, "\r\n");
		rest = bytes_skip(rest, n + (nl != NULL));
	}
	sha256_hex(buf_bytes(&wire), out);
	buf_release(&wire);
	buf_release(&file);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *archive_join(struct name_list *l)
{
	struct buf out = BUF_INIT(65536);

	if (l->n > 0)
		qsort(l->name, l->n, sizeof(*l->name), by_text);
	for (size_t i = 0; i < l->n; i++)
		buf_addf(&out, "%s%s", i ? " " : "", l->name[i]);
	name_list_release(l);
	return out.n ? buf_take(&out) : xstrdup("");
}

static char *flags_of_letters(const char *letters)
{
	static const struct {
		char letter;
		const char *flag;
	} table[] = { { 'D', "\\Draft" },    { 'F', "\\Flagged" }, { 'P', "$Forwarded" },
		      { 'R', "\\Answered" }, { 'S', "\\Seen" },	   { 'T', "\\Deleted" } };
	struct name_list words = { 0 };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strchr(letters, table[i].letter))
			name_list_add(&words, table[i].flag);
	return archive_join(&words);
}

static struct archive_message *add_file(struct archive_mailbox *mb, const char *root,
					const char *sub, const char *name)
{
	const char *info = strstr(name, ":2,");
	struct archive_message *m;
	struct stat st;
	char *full;

	mb->msg = xgrow(mb->msg, mb->n, &mb->cap, sizeof(*mb->msg));
	m = &mb->msg[mb->n++];
	*m = (struct archive_message){
		.path = xasprintf("%s%s%s/%s", mb->directory, *mb->directory ? "/" : "", sub, name),
		.file_flags = flags_of_letters(info ? info + 3 : ""),
		.flags = xstrdup(""),
		.date = xstrdup(""),
	};
	full = path_join(root, m->path);
	if (stat(full, &st) < 0)
		test_die_sys("look at %s", full);
	m->mtime = st.st_mtime;
	hash_message(full, name, info ? (size_t)(info - name) : strlen(name), m->sha256);
	free(full);
	return m;
}

static void add_files(struct archive_mailbox *mb, const char *root)
{
	static const char *const subs[] = { "cur", "new", "tmp" };

	for (size_t i = 0; i < 3; i++) {
		char *dir = xasprintf("%s/%s/%s", root, mb->directory, subs[i]);
		struct name_list names = { 0 };

		if (access(dir, F_OK) == 0)
			dir_entries(dir, &names);
		if (i == 2 && names.n > 0)
			test_die("%s/%s was left behind", dir, names.name[0]);
		for (size_t k = 0; k < names.n; k++)
			add_file(mb, root, subs[i], names.name[k]);
		name_list_release(&names);
		free(dir);
	}
}

/* --- database --- */

static sqlite3_stmt *query(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		test_die("%s: %s", sql, sqlite3_errmsg(db));
	return st;
}

static char *column(sqlite3_stmt *st, int i)
{
	const void *p = sqlite3_column_blob(st, i);

	return bytes_dup(bytes_from(p ? p : "", (size_t)sqlite3_column_bytes(st, i)));
}

static char *flags_of_columns(unsigned bits, const char *keywords)
{
	static const char *const system[] = { "\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
					      "\\Draft" };
	char *copy = xstrdup(keywords), *save = NULL;
	struct name_list words = { 0 };

	for (size_t i = 0; i < 5; i++)
		if (bits & 1U << i)
			name_list_add(&words, system[i]);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		name_list_add(&words, w);
	free(copy);
	return archive_join(&words);
}

static struct archive_message *file_of_base(struct archive_mailbox *mb, const char *base)
{
	size_t n = strlen(base);

	for (size_t i = 0; i < mb->n; i++) {
		const char *name = strrchr(mb->msg[i].path, '/') + 1;

		if (strncmp(name, base, n) == 0 && (name[n] == '\0' || name[n] == ':'))
			return &mb->msg[i];
	}
	test_die("%s: the database has %s, but there is no such file", mb->text, base);
}

static void read_rows(sqlite3 *db, int64_t id, struct archive_mailbox *mb)
{
	sqlite3_stmt *st = query(db, "SELECT base, source_uid, state, date, flags, keywords"
				     " FROM messages WHERE mailbox = ?");

	sqlite3_bind_int64(st, 1, id);
	while (sqlite3_step(st) == SQLITE_ROW) {
		char *base = column(st, 0), *keywords = column(st, 5);
		struct archive_message *m = file_of_base(mb, base);

		if (m->indexed)
			test_die("%s: two rows say %s", mb->text, base);
		m->indexed = true;
		m->source_uid = (uint32_t)sqlite3_column_int64(st, 1);
		m->kept = sqlite3_column_int(st, 2) != 0;
		free(m->date);
		m->date = column(st, 3);
		free(m->flags);
		m->flags = flags_of_columns((unsigned)sqlite3_column_int(st, 4), keywords);
		free(base);
		free(keywords);
	}
	sqlite3_finalize(st);
}

int archive_by_uid(const void *a, const void *b)
{
	const struct archive_message *x = a, *y = b;

	return (x->source_uid > y->source_uid) - (x->source_uid < y->source_uid);
}

static void read_mailbox(const char *root, sqlite3 *db, sqlite3_stmt *st, struct archive *a)
{
	struct archive_mailbox *mb;
	size_t n = (size_t)sqlite3_column_bytes(st, 1);

	a->v = xgrow(a->v, a->n, &a->cap, sizeof(*a->v));
	mb = &a->v[a->n++];
	*mb = (struct archive_mailbox){ .directory = column(st, 2),
					.uidvalidity = (uint32_t)sqlite3_column_int64(st, 3) };
	mb->name = bytes_from(column(st, 1), n);
	mb->wire = bytes_from(column(st, 4), (size_t)sqlite3_column_bytes(st, 4));
	mb->attributes = (unsigned)sqlite3_column_int(st, 5);
	mb->text = bytes_dup(bytes_from(mb->name.p, n ? n - 1 : 0));
	for (size_t i = 0; i + 1 < n; i++)
		if (mb->text[i] == '\0')
			mb->text[i] = '/';
	add_files(mb, root);
	read_rows(db, sqlite3_column_int64(st, 0), mb);
	if (mb->n > 0)
		qsort(mb->msg, mb->n, sizeof(*mb->msg), archive_by_uid);
}

void archive_read(const char *root, struct archive *out)
{
	char *path = path_join(root, "mailcask.db");
	sqlite3_stmt *st;
	sqlite3 *db;

	*out = (struct archive){ 0 };
	if (archive_is_git(root)) {
		archive_git_read(root, out);
		free(path);
		return;
	}
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		test_die("open %s: %s", path, sqlite3_errmsg(db));
	st = query(db, "SELECT id, name, directory, source_uidvalidity, wire, attributes FROM mailboxes"
		       " ORDER BY name");
	while (sqlite3_step(st) == SQLITE_ROW)
		read_mailbox(root, db, st, out);
	sqlite3_finalize(st);
	sqlite3_close(db);
	free(path);
}

void archive_release(struct archive *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct archive_mailbox *mb = &a->v[i];

		for (size_t k = 0; k < mb->n; k++) {
			free(mb->msg[k].path);
			free(mb->msg[k].file_flags);
			free(mb->msg[k].flags);
			free(mb->msg[k].date);
		}
		free(mb->msg);
		free((char *)(uintptr_t)mb->name.p);
		free((char *)(uintptr_t)mb->wire.p);
		free(mb->text);
		free(mb->directory);
	}
	free(a->v);
	*a = (struct archive){ 0 };
}

const struct archive_mailbox *archive_find(const struct archive *a, const char *text)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].text, text) == 0)
			return &a->v[i];
	return NULL;
}

/* The name of a message file, or NULL: the last two components are cur or new and a name. */
static const char *message_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (n < 3 || (strncmp(slash - 3, "cur", 3) != 0 && strncmp(slash - 3, "new", 3) != 0) ||
	    (n > 3 && slash[-4] != '/'))
		return NULL;
	return slash + 1;
}

void archive_hashes(const char *root, struct name_list *out)
{
	struct name_list files = { 0 };

	if (archive_is_git(root))
		archive_git_hashes(root, out);
	else
		tree_files(root, &files);
	for (size_t i = 0; i < files.n; i++) {
		const char *name = message_name(files.name[i]);
		char *full = path_join(root, files.name[i]);
		char hex[SHA256_HEX_SIZE];

		if (name) {
			hash_message(full, name, strcspn(name, ":"), hex);
			name_list_add(out, hex);
		}
		free(full);
	}
	name_list_release(&files);
	if (out->n > 0)
		qsort(out->name, out->n, sizeof(*out->name), by_text);
}

size_t archive_count(const char *root)
{
	struct name_list files = { 0 };
	size_t n = 0;

	if (archive_is_git(root))
		archive_git_hashes(root, &files);
	else
		tree_files(root, &files);
	for (size_t i = 0; i < files.n; i++)
		n += archive_is_git(root) || message_name(files.name[i]) != NULL;
	name_list_release(&files);
	return n;
}

/* --- comparing --- */

time_t archive_moment(const char *date)
{
	struct tm tm = { 0 };
	long offset;

	if (!strptime(date, "%d-%b-%Y %H:%M:%S %z", &tm))
		test_die("not a date: %s", date);
	offset = tm.tm_gmtoff;
	return timegm(&tm) - offset;
}

char *archive_lettered(const char *flags)
{
	char *copy = xstrdup(flags), *save = NULL;
	struct name_list words = { 0 };

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		if (*w == '\\' || strcasecmp(w, "$Forwarded") == 0)
			name_list_add(&words, w);
	free(copy);
	return archive_join(&words);
}

static void same_text(const struct archive_message *m, const char *what, const char *got,
		      const char *want)
{
	if (strcmp(got, want) != 0)
		test_die("%s: %s is \"%s\", at the server it is \"%s\"", m->path, what, got, want);
}

static void same_message(const struct archive_message *got, const struct oracle_message *want)
{
	char *letters = archive_lettered(want->flags);

	if (!got->indexed || got->kept || got->source_uid != want->uid)
		test_die("%s: UID %u, %s, %s, instead of a live message with UID %u", got->path,
			 got->source_uid, got->indexed ? "indexed" : "not indexed",
			 got->kept ? "kept" : "live", want->uid);
	same_text(got, "SHA-256", got->sha256, want->sha256);
	same_text(got, "flags by the database", got->flags, want->flags);
	same_text(got, "flags by the letters", got->file_flags, letters);
	same_text(got, "INTERNALDATE", got->date, want->date);
	if (got->mtime != archive_moment(want->date))
		test_die("%s: mtime is not %s", got->path, want->date);
	free(letters);
}

/* A wire name as text with '/' between the levels; by glibc, not by our own decoder. */
static char *text_of_wire(const char *wire, char delimiter)
{
	char *text = xcalloc(4, strlen(wire) + 1), *out = text;
	char *in = (char *)(uintptr_t)wire;
	size_t in_left = strlen(wire), out_left = 4 * in_left;
	iconv_t cd = iconv_open("UTF-8", "UTF-7-IMAP");

	if (cd == (iconv_t)-1 || iconv(cd, &in, &in_left, &out, &out_left) == (size_t)-1)
		test_die_sys("decode mailbox name %s", wire);
	iconv_close(cd);
	for (char *p = text; *p; p++)
		if (*p == delimiter)
			*p = '/';
	return text;
}

void archive_equals(const char *root, struct oracle *o)
{
	struct name_list names = { 0 };
	struct archive a;

	oracle_list(o, &names);
	archive_read(root, &a);
	for (size_t i = 0; a.n > names.n && i < a.n; i++)
		fprintf(stderr, "in the archive: %s, %zu messages, UIDVALIDITY %u\n", a.v[i].text, a.v[i].n,
			    a.v[i].uidvalidity);
	if (a.n != names.n)
		test_die("%zu mailboxes in the archive, %zu at the server", a.n, names.n);
	for (size_t i = 0; i < names.n; i++) {
		char *text = text_of_wire(names.name[i], oracle_delimiter(o));
		const struct archive_mailbox *mb = archive_find(&a, text);
		struct oracle_dump want;

		oracle_dump(o, names.name[i], &want);
		if (!mb)
			test_die("no mailbox %s in the archive", names.name[i]);
		if (mb->uidvalidity != want.uidvalidity || mb->n != want.n)
			test_die("%s: %zu messages with UIDVALIDITY %u; at the server %zu with %u",
				 names.name[i], mb->n, mb->uidvalidity, want.n, want.uidvalidity);
		for (size_t k = 0; k < want.n; k++)
			same_message(&mb->msg[k], &want.msg[k]);
		oracle_dump_release(&want);
		free(text);
	}
	archive_release(&a);
	name_list_release(&names);
}

/* The messages of a mailbox without what differs from one store to the next, sorted. */
static void describe(const struct archive_mailbox *mb, struct name_list *out)
{
	for (size_t i = 0; i < mb->n; i++) {
		const struct archive_message *m = &mb->msg[i];
		char *line = xasprintf("%s (%s) (%s) %s %lld", m->sha256, m->flags, m->file_flags,
				       m->date, (long long)m->mtime);

		if (!m->indexed)
			test_die("%s is not in the database", m->path);
		name_list_add(out, line);
		free(line);
	}
	if (out->n > 0)
		qsort(out->name, out->n, sizeof(*out->name), by_text);
}

static void same_mailbox(const struct archive_mailbox *a, const struct archive_mailbox *b)
{
	struct name_list x = { 0 }, y = { 0 };

	if (a->attributes != b->attributes || !bytes_equal(a->wire, b->wire))
		test_die("%s: attributes %x and %x, or other bytes on the wire", a->text,
			 a->attributes, b->attributes);
	if (a->n != b->n)
		test_die("%s: %zu messages and %zu", a->text, a->n, b->n);
	describe(a, &x);
	describe(b, &y);
	for (size_t i = 0; i < x.n; i++)
		if (strcmp(x.name[i], y.name[i]) != 0)
			test_die("%s:\n%s\n%s", a->text, x.name[i], y.name[i]);
	name_list_release(&x);
	name_list_release(&y);
}

void archives_equal(const char *root, const char *other)
{
	struct archive a, b;

	archive_read(root, &a);
	archive_read(other, &b);
	if (a.n != b.n)
		test_die("%zu mailboxes in %s, %zu in %s", a.n, root, b.n, other);
	for (size_t i = 0; i < a.n; i++) {
		const struct archive_mailbox *mb = archive_find(&b, a.v[i].text);

		if (!mb)
			test_die("no mailbox %s in %s", a.v[i].text, other);
		same_mailbox(&a.v[i], mb);
	}
	archive_release(&a);
	archive_release(&b);
}

static struct buf *snapshot;
static const char *snapshot_root;

/* Such a directory changes with the files that the database makes beside itself. */
static bool holds_database(const char *dir)
{
	char *path = path_join(dir, "mailcask.db");
	bool holds = access(path, F_OK) == 0;

	free(path);
	return holds;
}

static int snapshot_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)type;
	if (strncmp(path + ftw->base, "mailcask.", 9) == 0)
		return 0;
	if (!S_ISDIR(st->st_mode) || !holds_database(path))
		buf_addf(snapshot, "%s %o %llu %lld %lld.%09ld\n", path + strlen(snapshot_root),
			 st->st_mode, (unsigned long long)st->st_ino,
			 S_ISREG(st->st_mode) ? (long long)st->st_size : 0LL,
			 (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	return 0;
}

void archive_snapshot(const char *root, struct buf *out)
{
	snapshot = out;
	snapshot_root = root;
	if (nftw(root, snapshot_one, 16, FTW_PHYS) != 0 && errno != ENOENT)
		test_die_sys("walk %s", root);
}

char *archive_contents(const char *root, const char *mailbox)
{
	struct buf out = BUF_INIT(64 << 20);
	struct name_list lines = { 0 };
	const struct archive_mailbox *box;
	struct archive a;

	archive_read(root, &a);
	box = archive_find(&a, mailbox);
	if (!box)
		test_die("%s: there is no mailbox %s", root, mailbox);
	for (size_t i = 0; i < box->n; i++) {
		const char *date = box->msg[i].date;
		char *line = xasprintf("%s %s %s\n", box->msg[i].sha256, box->msg[i].flags,
				       date + (*date == ' ' || *date == '0'));

		name_list_add(&lines, line);
		free(line);
	}
	if (lines.n > 0)
		qsort(lines.name, lines.n, sizeof(*lines.name), by_text);
	for (size_t i = 0; i < lines.n; i++)
		buf_add_str(&out, lines.name[i]);
	name_list_release(&lines);
	archive_release(&a);
	return buf_take(&out);
}

void archive_holds(const char *root, size_t live, size_t kept)
{
	size_t n[2] = { 0, 0 };
	struct archive a;

	archive_read(root, &a);
	for (size_t i = 0; i < a.n; i++)
		for (size_t k = 0; k < a.v[i].n; k++)
			n[a.v[i].msg[k].kept]++;
	archive_release(&a);
	if (n[0] != live || n[1] != kept)
		test_die("%s: %zu live and %zu kept, not %zu and %zu", root, n[0], n[1], live, kept);
}
