#include "cmd/find_index.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/git/history.h"
#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/msgset/uidset.h"

#include "cmd/config.h"
#include "cmd/index_text.h"
#include "cmd/store_arg.h"

#define VERSION "2"
#define WAIT_MS 10000     /* for another find that adds to it */
#define BATCH 10000u      /* messages in one transaction */
#define PLACES 3
#define IN_GIT "find.db"
#define IN_MAILDIR "mailcask-find.db"

enum statement { ST_FIND, ST_ADD, ST_ADD_WORDS, ST_HAS_WORDS, ST_ROW, ST_WORDS, STATEMENTS };

static const char *const sql[STATEMENTS] = {
	[ST_FIND] = "SELECT id, has_words FROM message WHERE content = ?",
	[ST_ADD] = "INSERT INTO message (content, name, sender, subject, message_id, sent, from_folded,"
		   " to_folded, subject_folded, ids) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ST_ADD_WORDS] = "INSERT INTO words (rowid, head, body) VALUES (?, ?, ?)",
	[ST_HAS_WORDS] = "UPDATE message SET has_words = 1 WHERE id = ?",
	[ST_ROW] = "SELECT name, sender, subject, message_id, sent, from_folded, to_folded,"
		   " subject_folded, ids FROM message WHERE id = ?",
	[ST_WORDS] = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid",
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, content BLOB UNIQUE, name TEXT,"
	" sender TEXT, subject TEXT, message_id TEXT, sent TEXT, from_folded TEXT, to_folded TEXT,"
	" subject_folded TEXT, ids TEXT, has_words INTEGER DEFAULT 0);"
	/* The texts themselves are in the store. */
	"CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(head, body, content='',"
	" tokenize=\"unicode61 remove_diacritics 2\");"
	/* Fewer and larger pieces to merge. */
	"INSERT INTO words (words, rank) VALUES ('hashsize', 16777216);";

struct find_index {
	sqlite3 *db;
	sqlite3_stmt *st[STATEMENTS];
	char *places[PLACES]; /* paths; the last is memory: "" */
	size_t place;
	const struct history *history;
	const char *uuid;
	bool open;      /* a transaction is */
	unsigned added; /* in it */
	bool damaged, mended; /* this place: what went wrong; it was begun anew once */
	struct buf row;       /* what find_index_row() gave */
};

static int fail(struct find_index *ix, struct err *err)
{
	int rc = sqlite3_errcode(ix->db) & 0xff;

	ix->damaged = rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB || rc == SQLITE_ERROR ||
		      rc == SQLITE_MISMATCH || rc == SQLITE_CONSTRAINT;
	return err_set(err, ERR_FATAL, "the search index %s: %s",
		       *ix->places[ix->place] ? ix->places[ix->place] : "in memory",
		       sqlite3_errmsg(ix->db));
}

static void close_db(struct find_index *ix)
{
	for (size_t i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(ix->st[i]);
		ix->st[i] = NULL;
	}
	sqlite3_close(ix->db);
	ix->db = NULL;
	ix->open = false;
	ix->added = 0;
}

static int run(struct find_index *ix, const char *text, struct err *err)
{
	return sqlite3_exec(ix->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(ix, err);
}

/* --- what it says of itself --- */

/* Into *value, owned by the caller; "" when it says nothing. -1, also when there is no such table. */
static int about(struct find_index *ix, const char *key, char **value, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(ix->db, "SELECT value FROM about WHERE key = ?", -1, &st, NULL);

	*value = NULL;
	if (rc == SQLITE_OK) {
		sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
		rc = sqlite3_step(st);
	}
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		*value = xstrdup(rc == SQLITE_ROW && sqlite3_column_type(st, 0) == SQLITE_TEXT ?
					 (const char *)sqlite3_column_text(st, 0) :
					 "");
	else
		fail(ix, err);
	sqlite3_finalize(st);
	return *value ? 0 : -1;
}

static int say(struct find_index *ix, const char *key, const char *value, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(ix->db, "INSERT OR REPLACE INTO about VALUES (?, ?)", -1, &st,
				    NULL);

	if (rc == SQLITE_OK) {
		sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, value, -1, SQLITE_STATIC);
		rc = sqlite3_step(st);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? 0 : fail(ix, err);
}

static const char *tip(const struct find_index *ix)
{
	return ix->history && history_count(ix->history) > 0 ? history_snapshot(ix->history, 0)->id :
							       "";
}

/* Whether the snapshot that was the newest when it was written to is still one of them. */
static bool knows_tip(const struct find_index *ix, const char *then)
{
	if (!*then || !ix->history)
		return true;
	for (size_t i = 0; i < history_count(ix->history); i++)
		if (strcmp(history_snapshot(ix->history, i)->id, then) == 0)
			return true;
	return history_cut(ix->history) != NULL; /* it may be one of those that cannot be read */
}

/* 1: it can be used. 0: it is damaged, or of something else. -1: it cannot be told. */
static int is_ours(struct find_index *ix, struct err *err)
{
	char *version = NULL, *uuid = NULL, *then = NULL;
	int ret = 0;

	if (about(ix, "version", &version, err) < 0 || about(ix, "uuid", &uuid, err) < 0 ||
	    about(ix, "tip", &then, err) < 0)
		ret = ix->damaged ? 0 : -1;
	else if (strcmp(version, VERSION) == 0 && strcmp(uuid, ix->uuid) == 0)
		ret = knows_tip(ix, then);
	free(version);
	free(uuid);
	free(then);
	return ret;
}

/* --- opening --- */

static void remove_files(const char *path)
{
	char *journal = xasprintf("%s-journal", path);

	unlink(path);
	unlink(journal);
	free(journal);
}

/* The file is made here, so that only its owner can read it. */
static int make_file(const char *path, struct err *err)
{
	const int how = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	int fd = open(path, how, 0600);

	if (fd < 0 && errno == ENOENT) {
		char *dir = bytes_dup(bytes_from(path, (size_t)(strrchr(path, '/') - path)));
		int made = dir_make(dir, 0700, err);

		free(dir);
		if (made < 0)
			return -1;
		fd = open(path, how, 0600);
	}
	if (fd < 0)
		return err_sys(err, ERR_FATAL, "open %s", path);
	close(fd);
	return 0;
}

static int open_file(struct find_index *ix, struct err *err)
{
	const char *path = ix->places[ix->place];

	if (*path && make_file(path, err) < 0)
		return -1;
	if (sqlite3_open_v2(*path ? path : ":memory:", &ix->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return fail(ix, err);
	sqlite3_busy_timeout(ix->db, WAIT_MS);
	if (sqlite3_db_readonly(ix->db, "main") > 0)
		return err_set(err, ERR_FATAL, "%s cannot be written", path);
	return run(ix, "PRAGMA page_size = 16384; PRAGMA cache_size = -32000; PRAGMA trusted_schema = OFF", err);
}

static int prepare(struct find_index *ix, struct err *err)
{
	for (size_t i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v2(ix->db, sql[i], -1, &ix->st[i], NULL) != SQLITE_OK)
			return fail(ix, err);
	return 0;
}

static int make_tables(struct find_index *ix, struct err *err)
{
	if (run(ix, "BEGIN IMMEDIATE", err) < 0 || run(ix, schema, err) < 0 ||
	    say(ix, "version", VERSION, err) < 0 || say(ix, "uuid", ix->uuid, err) < 0 ||
	    say(ix, "tip", tip(ix), err) < 0)
		return -1;
	return run(ix, "COMMIT", err);
}

/* The file goes, too: words of messages that are gone shall not stay in it. */
static int begin_anew(struct find_index *ix, struct err *err)
{
	close_db(ix);
	if (*ix->places[ix->place])
		remove_files(ix->places[ix->place]);
	return open_file(ix, err) < 0 || make_tables(ix, err) < 0 ? -1 : prepare(ix, err);
}

/* Just made, by us or by another find. */
static bool is_empty(const struct find_index *ix)
{
	struct stat sb;

	return !*ix->places[ix->place] ||
	       (stat(ix->places[ix->place], &sb) == 0 && sb.st_size == 0);
}

static int open_place(struct find_index *ix, struct err *err)
{
	int ours;

	if (open_file(ix, err) < 0 || (is_empty(ix) && make_tables(ix, err) < 0))
		return -1;
	ours = is_ours(ix, err);
	if (ours > 0 && prepare(ix, err) == 0)
		return 0;
	return ours < 0 ? -1 : begin_anew(ix, err);
}

/* The first that can be opened, from ix->place on. */
static int open_next(struct find_index *ix, struct err *err)
{
	for (; ix->place < PLACES; ix->place++) {
		ix->damaged = ix->mended = false;
		if (open_place(ix, err) == 0)
			return 0;
		log_debug("%s", err->text);
		close_db(ix);
	}
	ix->place = PLACES - 1;
	return -1;
}

bool find_index_is_file(const char *name)
{
	return strcmp(name, IN_GIT) == 0 || strcmp(name, IN_MAILDIR) == 0;
}

static char *place_in_store(const struct store_arg *arg)
{
	char *dir, *path;
	struct stat sb;

	/* Where the repository is, as repo_open() finds it. */
	if (!(arg->ops->traits & STORE_HAS_HISTORY))
		return xasprintf("%s/" IN_MAILDIR, arg->path);
	dir = xasprintf("%s/.git", arg->path);
	if (stat(dir, &sb) < 0 || !S_ISDIR(sb.st_mode)) {
		free(dir);
		dir = xstrdup(arg->path);
	}
	path = xasprintf("%s/mailcask/" IN_GIT, dir);
	free(dir);
	return path;
}

static char *place_in_cache(const struct store_arg *arg)
{
	const char *xdg = getenv("XDG_CACHE_HOME");
	char *home = config_path("~", ""), *path;

	path = xdg && *xdg == '/' ?
		       xasprintf("%s/mailcask/find-%s.db", xdg, arg->identity.uuid) :
		       xasprintf("%s/.cache/mailcask/find-%s.db", home, arg->identity.uuid);
	free(home);
	return path;
}

struct find_index *find_index_open(const struct store_arg *arg, const struct history *h,
				   struct err *err)
{
	struct find_index *ix = xcalloc(1, sizeof(*ix));

	buf_init(&ix->row, SIZE_MAX / 4);
	ix->history = h;
	ix->uuid = arg->identity.uuid;
	ix->places[0] = place_in_store(arg);
	ix->places[1] = place_in_cache(arg);
	ix->places[2] = xstrdup("");
	if (open_next(ix, err) == 0)
		return ix;
	find_index_close(ix);
	return NULL;
}

void find_index_close(struct find_index *ix)
{
	if (!ix)
		return;
	close_db(ix);
	for (size_t i = 0; i < PLACES; i++)
		free(ix->places[i]);
	buf_release(&ix->row);
	free(ix);
}

bool find_index_again(struct find_index *ix, struct err *err)
{
	log_debug("%s", err->text);
	if (ix->damaged && !ix->mended) {
		ix->mended = true;
		if (begin_anew(ix, err) == 0)
			return true;
	}
	close_db(ix);
	if (ix->place == PLACES - 1)
		return false;
	ix->place++;
	return open_next(ix, err) == 0;
}

void find_index_remove(const struct store_arg *arg)
{
	char *places[] = { place_in_store(arg), place_in_cache(arg) };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		remove_files(places[i]);
		free(places[i]);
	}
}

/* --- using it --- */

static int64_t integer_at(sqlite3_stmt *st, int column)
{
	return sqlite3_column_int64(st, column);
}

/* As find_index_find(), but *id is told, too, when only words are missing. */
static int look_up(struct find_index *ix, struct bytes content, bool words, uint32_t *id,
		   struct err *err)
{
	sqlite3_stmt *st = ix->st[ST_FIND];
	bool whole;
	int rc;

	sqlite3_bind_blob(st, 1, content.p, (int)content.n, SQLITE_STATIC);
	rc = sqlite3_step(st);
	*id = rc == SQLITE_ROW ? (uint32_t)integer_at(st, 0) : 0;
	whole = rc == SQLITE_ROW && (!words || integer_at(st, 1));
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		fail(ix, err);
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? whole : -1;
}

int find_index_find(struct find_index *ix, struct bytes content, bool words, uint32_t *id,
		    struct err *err)
{
	int there = look_up(ix, content, words, id, err);

	if (there <= 0)
		*id = 0;
	return there;
}

static int begin(struct find_index *ix, struct err *err)
{
	if (ix->open)
		return 0;
	if (run(ix, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	ix->open = true;
	return 0;
}

static int step_once(struct find_index *ix, sqlite3_stmt *st, struct err *err)
{
	int rc = sqlite3_step(st);

	if (rc != SQLITE_DONE)
		fail(ix, err);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

static void bind(sqlite3_stmt *st, int at, struct bytes text)
{
	sqlite3_bind_text(st, at, text.n ? (const char *)text.p : "", (int)text.n, SQLITE_STATIC);
}

static int add_words(struct find_index *ix, int64_t id, const struct index_text *text,
		     struct err *err)
{
	sqlite3_stmt *st = ix->st[ST_ADD_WORDS];

	sqlite3_bind_int64(st, 1, id);
	bind(st, 2, buf_bytes(&text->head));
	bind(st, 3, buf_bytes(&text->body));
	if (step_once(ix, st, err) < 0)
		return -1;
	st = ix->st[ST_HAS_WORDS];
	sqlite3_bind_int64(st, 1, id);
	return step_once(ix, st, err);
}

static int add_row(struct find_index *ix, struct bytes content, const struct index_text *text,
		   uint32_t *id, struct err *err)
{
	sqlite3_stmt *st = ix->st[ST_ADD];

	sqlite3_bind_blob(st, 1, content.p, (int)content.n, SQLITE_STATIC);
	bind(st, 2, bytes_of(text->name));
	bind(st, 3, bytes_of(text->from));
	bind(st, 4, bytes_of(text->subject));
	bind(st, 5, bytes_of(text->message_id));
	bind(st, 6, bytes_of(text->sent));
	bind(st, 7, buf_bytes(&text->from_folded));
	bind(st, 8, buf_bytes(&text->to_folded));
	bind(st, 9, buf_bytes(&text->subject_folded));
	bind(st, 10, buf_bytes(&text->ids));
	if (step_once(ix, st, err) < 0)
		return -1;
	*id = (uint32_t)sqlite3_last_insert_rowid(ix->db);
	return 0;
}

int find_index_add(struct find_index *ix, struct bytes content, const struct index_text *text,
		   bool words, uint32_t *id, struct err *err)
{
	int there;

	if (begin(ix, err) < 0)
		return -1;
	/* Another find may have been faster, or the same content came twice. */
	there = look_up(ix, content, words, id, err);
	if (there != 0)
		return there < 0 ? -1 : 0;
	if ((*id == 0 && add_row(ix, content, text, id, err) < 0) ||
	    (words && add_words(ix, *id, text, err) < 0))
		return -1;
	return ++ix->added < BATCH ? 0 : find_index_commit(ix, err);
}

int find_index_commit(struct find_index *ix, struct err *err)
{
	if (!ix->open)
		return 0;
	if (say(ix, "tip", tip(ix), err) < 0 || run(ix, "COMMIT", err) < 0)
		return -1;
	ix->open = false;
	ix->added = 0;
	return 0;
}

/* Copies, so that no lock is held while somebody reads what is printed. */
static void copy_row(struct find_index *ix, sqlite3_stmt *st, struct index_row *out)
{
	const char **fields[] = { &out->name, &out->from, &out->subject, &out->message_id,
				  &out->sent, &out->from_folded, &out->to_folded,
				  &out->subject_folded, &out->ids };
	const char *next;

	buf_clear(&ix->row);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const unsigned char *text = sqlite3_column_text(st, (int)i);

		if (text)
			buf_add_str(&ix->row, (const char *)text);
		buf_add_byte(&ix->row, '\0');
	}
	next = buf_str(&ix->row);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++, next += strlen(next) + 1)
		*fields[i] = next;
}

int find_index_row(struct find_index *ix, uint32_t id, struct index_row *out, struct err *err)
{
	sqlite3_stmt *st = ix->st[ST_ROW];
	int rc;

	sqlite3_bind_int64(st, 1, id);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		copy_row(ix, st, out);
	} else if (rc == SQLITE_DONE) {
		ix->damaged = true;
		err_set(err, ERR_FATAL, "the search index has lost message %u", id);
	} else {
		fail(ix, err);
	}
	sqlite3_reset(st);
	return rc == SQLITE_ROW ? 0 : -1;
}

/* As a phrase of FTS5: nothing in it means anything but words. */
static char *phrase(const char *words)
{
	struct buf out = BUF_INIT(SIZE_MAX / 4);
	size_t n = strlen(words);
	bool prefix = n > 0 && words[n - 1] == '*';

	buf_add_byte(&out, '"');
	for (const char *p = words; *p; p++) {
		if (*p == '"')
			buf_add_byte(&out, '"');
		buf_add_byte(&out, (uint8_t)*p);
	}
	buf_add_str(&out, prefix ? "\" *" : "\"");
	return buf_take(&out);
}

int find_index_words(struct find_index *ix, const char *words, struct uidset *out,
		     struct err *err)
{
	sqlite3_stmt *st = ix->st[ST_WORDS];
	char *text = phrase(words);
	int rc;

	sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		uidset_add(out, (uint32_t)integer_at(st, 0));
	if (rc != SQLITE_DONE)
		fail(ix, err);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	free(text);
	return rc == SQLITE_DONE ? 0 : -1;
}
