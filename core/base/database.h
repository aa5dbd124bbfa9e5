#ifndef CORE_BASE_DATABASE_H
#define CORE_BASE_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/err.h"

/*
 * A SQLite file as the program uses one: one connection, one thread, statements that are compiled once,
 * and a transaction that is begun before the first change and ended when the caller says so.
 *
 * Every function that fails gives ERR_FATAL with the file's name. Where SQLite gives a transaction up
 * by itself (a full or broken disk), what followed would be committed statement by statement. So the
 * database is broken then: nothing more is begun or committed, and only closing it is left.
 */
struct database {
	const char *name;   /* in errors; borrowed, and so is the next */
	const char *advice; /* after "NAME is damaged; " */
	sqlite3 *db;        /* NULL: not open */
	bool in_tx, broken;
	int code; /* SQLite's, of the last failure */
	struct database_statement *statement;
	size_t n_statements, cap_statements;
};

enum database_access {
	DATABASE_LOOK,  /* as it is, touching nothing; a writer's log is read where there is one */
	DATABASE_READ,  /* beside a writer, who may be making a log; where that cannot be, as above */
	DATABASE_WRITE, /* the file is there: database_make_file() */
};

/*
 * `d` is zeroed but for name and advice. `file`: as SQLite takes it, ":memory:" and "" (a temporary
 * file) are private ones. What another connection has locked is waited for, 5 seconds. After a failure
 * there is nothing to close.
 */
int database_open(struct database *d, const char *file, enum database_access access, struct err *err);
/* Rolls back. Zeroed or closed already is fine. */
void database_close(struct database *d);
/* An empty file, unless it is there, that only its owner can read; so is SQLite's log. No symbolic link is followed. */
int database_make_file(const char *path, struct err *err);
/*
 * Commits are to outlive a power cut. With `log` through a write-ahead log, which readers do not wait
 * for; but not where other machines may see the file: its shared memory would not work there.
 */
int database_set_durable(struct database *d, bool log, struct err *err);
/* The schema's version, 0 of an empty file; an error when it is above `newest`. */
int database_version(struct database *d, int newest, int *version, struct err *err);

/* Several statements without parameters. */
int database_exec(struct database *d, const char *sql, struct err *err);
/* Unless a transaction is open. */
int database_begin(struct database *d, struct err *err);
/* When it fails, the database is broken. */
int database_commit(struct database *d, struct err *err);
/* True, with *err set. */
bool database_is_broken(const struct database *d, struct err *err);

/*
 * Compiled once for each address of `sql`, which lives as long as the database, and owned by it. Run it
 * to its end or reset it before it is asked for again. NULL, where it cannot be compiled, is an error
 * that stepping reports.
 */
sqlite3_stmt *database_statement(struct database *d, const char *sql);
/* The same, where what is compiled is `text`, which need not live on. */
sqlite3_stmt *database_statement_as(struct database *d, const char *sql, const char *text);
/*
 * Bind values in order: 'i' int64_t, 'I' the same, but NULL for 0; 'b' struct bytes (blob), 't' struct
 * bytes (text), 'B' and 'T' the same, but NULL where it has none; 's' C string (text) or NULL; 'n'
 * NULL, without a value. Bytes are borrowed until the statement is reset.
 */
void database_bind(sqlite3_stmt *st, const char *types, ...);
/* 1 a row, 0 no more (it is reset then), -1 (reset too). */
int database_step(struct database *d, sqlite3_stmt *st, struct err *err);
/* Run it to its end, without looking at rows, and reset it. */
int database_run(struct database *d, sqlite3_stmt *st, struct err *err);
/* The first column of its first row, if there is one (1, else 0 and *out as it was); and reset it. */
int database_number(struct database *d, sqlite3_stmt *st, int64_t *out, struct err *err);
/* Of either kind. Borrowed until the statement is stepped or reset. */
struct bytes database_text(sqlite3_stmt *st, int column);

/* What SQLite said last: -1. For who calls it by itself. */
int database_fail(struct database *d, struct err *err);

#endif
