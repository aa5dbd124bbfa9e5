#include "cmd/find_index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/git/history.h"
#include "core/base/buf.h"
#include "core/base/database.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/msgset/uidset.h"

#include "cmd/config.h"
#include "cmd/index_text.h"
#include "cmd/store_arg.h"

#define VERSION "3"
#define WAIT_MS 10000     /* for another find that adds to it */
#define BATCH 25000u      /* messages in one transaction */
#define PLACES 3
#define IN_GIT "find.db"
#define IN_MAILDIR "mailcask-find.db"

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, content BLOB UNIQUE, name TEXT,"
	" sender TEXT, subject TEXT, message_id TEXT, sent TEXT, from_folded TEXT, to_folded TEXT,"
	" subject_folded TEXT, ids TEXT, has_words INTEGER DEFAULT 0);"
	/* The texts themselves are in the store. */
	"CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(head, body, content='',"
	" columnsize=0, tokenize=\"unicode61 remove_diacritics 2\");"
	/* Fewer and larger pieces to merge. */
	"INSERT INTO words (words, rank) VALUES ('hashsize', 33554432);";

struct find_index {
	struct database db;
	char *places[PLACES]; /* paths; the last is memory */
	size_t place;
	const struct history *history;
	const char *uuid;
	unsigned added; /* in the open transaction */
	bool mended;    /* this place was begun anew once */
	struct buf row; /* what find_index_row() gave */
};

static const char *place(const struct find_index *ix)
{
	return ix->places[ix->place];
}

static bool in_memory(const struct find_index *ix)
{
	return ix->place == PLACES - 1;
}

/* By what failed last: another schema is as good as damage. */
static bool is_damaged(const struct find_index *ix)
{
	int code = ix->db.code;

	return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR ||
	       code == SQLITE_MISMATCH || code == SQLITE_CONSTRAINT;
}

/* --- what it says of itself --- */

/* Into *value, owned by the caller; "" when it says nothing. -1, also when there is no such table. */
static int about(struct find_index *ix, const char *key, char **value, struct err *err)
{
	sqlite3_stmt *st = database_statement(&ix->db, "SELECT value FROM about WHERE key = ?");
	int got;

	database_bind(st, "s", key);
	got = database_step(&ix->db, st, err);
	*value = got < 0 ? NULL : bytes_dup(got > 0 ? database_text(st, 0) : bytes_of(""));
	sqlite3_reset(st);
	return got < 0 ? -1 : 0;
}

static int say(struct find_index *ix, const char *key, const char *value, struct err *err)
{
	sqlite3_stmt *st = database_statement(&ix->db, "INSERT OR REPLACE INTO about VALUES (?, ?)");

	database_bind(st, "ss", key, value);
	return database_run(&ix->db, st, err);
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
		ret = is_damaged(ix) ? 0 : -1;
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

static int make_file(const char *path, struct err *err)
{
	char *dir = path_parent(path);
	int ret = dir_make(dir, 0700, err) < 0 ? -1 : database_make_file(path, err);

	free(dir);
	return ret;
}

static int open_file(struct find_index *ix, struct err *err)
{
	const char *path = place(ix);

	ix->added = 0;
	ix->db = (struct database){ .name = path, .advice = "it may be removed" };
	if ((!in_memory(ix) && make_file(path, err) < 0) ||
	    database_open(&ix->db, path, DATABASE_WRITE, err) < 0)
		return -1;
	sqlite3_busy_timeout(ix->db.db, WAIT_MS);
	if (sqlite3_db_readonly(ix->db.db, "main") > 0)
		return err_set(err, ERR_FATAL, "%s cannot be written", path);
	return database_exec(&ix->db,
			     "PRAGMA page_size = 16384; PRAGMA cache_size = -32000;"
			     "PRAGMA trusted_schema = OFF",
			     err);
}

static int make_tables(struct find_index *ix, struct err *err)
{
	if (database_begin(&ix->db, err) < 0 || database_exec(&ix->db, schema, err) < 0 ||
	    say(ix, "version", VERSION, err) < 0 || say(ix, "uuid", ix->uuid, err) < 0 ||
	    say(ix, "tip", tip(ix), err) < 0)
		return -1;
	return database_commit(&ix->db, err);
}

/* The file goes, too: words of messages that are gone shall not stay in it. */
static int begin_anew(struct find_index *ix, struct err *err)
{
	database_close(&ix->db);
	if (!in_memory(ix))
		remove_files(place(ix));
	return open_file(ix, err) < 0 ? -1 : make_tables(ix, err);
}

/* Just made, by us or by another find. */
static bool is_empty(const struct find_index *ix)
{
	struct stat sb;

	return in_memory(ix) || (stat(place(ix), &sb) == 0 && sb.st_size == 0);
}

static int open_place(struct find_index *ix, struct err *err)
{
	int ours;

	if (open_file(ix, err) < 0 || (is_empty(ix) && make_tables(ix, err) < 0))
		return -1;
	ours = is_ours(ix, err);
	if (ours == 0)
		return begin_anew(ix, err);
	return ours < 0 ? -1 : 0;
}

/* The first that can be opened, from ix->place on. */
static int open_next(struct find_index *ix, struct err *err)
{
	for (; ix->place < PLACES; ix->place++) {
		ix->mended = false;
		if (open_place(ix, err) == 0)
			return 0;
		log_debug("%s", err->text);
		database_close(&ix->db);
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
	ix->places[2] = xstrdup(":memory:");
	if (open_next(ix, err) == 0)
		return ix;
	find_index_close(ix);
	return NULL;
}

void find_index_close(struct find_index *ix)
{
	if (!ix)
		return;
	database_close(&ix->db);
	for (size_t i = 0; i < PLACES; i++)
		free(ix->places[i]);
	buf_release(&ix->row);
	free(ix);
}

bool find_index_again(struct find_index *ix, struct err *err)
{
	log_debug("%s", err->text);
	if (is_damaged(ix) && !ix->mended) {
		ix->mended = true;
		if (begin_anew(ix, err) == 0)
			return true;
	}
	database_close(&ix->db);
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

int find_index_hold(struct find_index *ix, struct err *err)
{
	return database_exec(&ix->db, "BEGIN", err);
}

void find_index_let_go(struct find_index *ix)
{
	sqlite3_exec(ix->db.db, "COMMIT", NULL, NULL, NULL);
}

/* As find_index_find(), but *id is told, too, when only words are missing. */
static int look_up(struct find_index *ix, struct bytes content, bool words, uint32_t *id,
		   struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&ix->db, "SELECT id, has_words FROM message WHERE content = ?");
	int got;

	database_bind(st, "b", content);
	got = database_step(&ix->db, st, err);
	*id = got > 0 ? (uint32_t)sqlite3_column_int64(st, 0) : 0;
	if (got > 0 && words)
		got = sqlite3_column_int(st, 1) != 0;
	sqlite3_reset(st);
	return got;
}

int find_index_find(struct find_index *ix, struct bytes content, bool words, uint32_t *id,
		    struct err *err)
{
	int there = look_up(ix, content, words, id, err);

	if (there <= 0)
		*id = 0;
	return there;
}

static int add_words(struct find_index *ix, int64_t id, const struct index_text *text,
		     struct err *err)
{
	sqlite3_stmt *st =
		database_statement(&ix->db, "INSERT INTO words (rowid, head, body) VALUES (?, ?, ?)");

	database_bind(st, "itt", id, buf_bytes(&text->head), buf_bytes(&text->body));
	if (database_run(&ix->db, st, err) < 0)
		return -1;
	st = database_statement(&ix->db, "UPDATE message SET has_words = 1 WHERE id = ?");
	database_bind(st, "i", id);
	return database_run(&ix->db, st, err);
}

static int add_row(struct find_index *ix, struct bytes content, const struct index_text *text,
		   uint32_t *id, struct err *err)
{
	sqlite3_stmt *st = database_statement(
		&ix->db, "INSERT INTO message (content, name, sender, subject, message_id, sent,"
			 " from_folded, to_folded, subject_folded, ids) VALUES (?,?,?,?,?,?,?,?,?,?)");

	database_bind(st, "bssssstttt", content, text->name, text->from, text->subject,
		      text->message_id, text->sent, buf_bytes(&text->from_folded),
		      buf_bytes(&text->to_folded), buf_bytes(&text->subject_folded),
		      buf_bytes(&text->ids));
	if (database_run(&ix->db, st, err) < 0)
		return -1;
	*id = (uint32_t)sqlite3_last_insert_rowid(ix->db.db);
	return 0;
}

int find_index_add(struct find_index *ix, struct bytes content, const struct index_text *text,
		   bool words, uint32_t *id, struct err *err)
{
	int there;

	if (database_begin(&ix->db, err) < 0)
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
	if (!ix->db.in_tx)
		return 0;
	if (say(ix, "tip", tip(ix), err) < 0 || database_commit(&ix->db, err) < 0)
		return -1;
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
	sqlite3_stmt *st = database_statement(
		&ix->db, "SELECT name, sender, subject, message_id, sent, from_folded, to_folded,"
			 " subject_folded, ids FROM message WHERE id = ?");
	int got;

	database_bind(st, "i", (int64_t)id);
	got = database_step(&ix->db, st, err);
	if (got > 0) {
		copy_row(ix, st, out);
	} else if (got == 0) {
		ix->db.code = SQLITE_CORRUPT;
		err_set(err, ERR_FATAL, "%s has lost message %u", place(ix), id);
	}
	sqlite3_reset(st);
	return got > 0 ? 0 : -1;
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
	sqlite3_stmt *st = database_statement(
		&ix->db, "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid");
	char *text = phrase(words);
	int got;

	database_bind(st, "s", text);
	while ((got = database_step(&ix->db, st, err)) > 0)
		uidset_add(out, (uint32_t)sqlite3_column_int64(st, 0));
	free(text);
	return got;
}
