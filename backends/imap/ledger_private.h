#ifndef BACKENDS_IMAP_LEDGER_PRIVATE_H
#define BACKENDS_IMAP_LEDGER_PRIVATE_H

#include <sqlite3.h>

#include "backends/imap/ledger.h"

/* What the files of the ledger share; nobody else includes this. */

/* Columns that ledger_take_row() reads, in this order. */
#define LEDGER_ROW "uid, source_uid, state, how, size, flags, date, sha256, identity"

struct ledger {
	sqlite3 *db;
	char *path;
	bool in_tx;
	bool broken; /* a commit failed */
	int lock;    /* -1: none */
	uint64_t generation;
	char *account; /* NULL: not said */
	struct ledger_box **box; /* sorted by name */
	size_t n, cap;
	struct ledger_statement {
		const char *sql; /* by its address */
		sqlite3_stmt *st;
	} *statement;
	size_t n_statements, cap_statements;
};

/* --- ledger_file.c --- */

/* Compiled once for each place it is written at. NULL, where it cannot be, is an error that stepping reports. */
sqlite3_stmt *ledger_statement(struct ledger *l, const char *sql);
/*
 * Bind values in order: 'i' int64_t, 'b' struct bytes (blob), 't' struct bytes (text), 'T' and 'B' the same, but NULL
 * where it has none. Bytes are borrowed until the statement is reset.
 */
void ledger_bind(sqlite3_stmt *st, const char *types, ...);
/* 1 a row, 0 no more (it is reset then), -1 (reset too). */
int ledger_step(struct ledger *l, sqlite3_stmt *st, struct err *err);
/* Run it to its end, without looking at rows, and reset it. */
int ledger_run(struct ledger *l, sqlite3_stmt *st, struct err *err);
int ledger_exec(struct ledger *l, const char *sql, struct err *err);
/* Before the first change of a transaction, and of any. */
int ledger_begin(struct ledger *l, struct err *err);
struct bytes ledger_text(sqlite3_stmt *st, int column);
/* Borrowed from the statement until its next step. */
void ledger_take_row(sqlite3_stmt *st, struct ledger_row *out);

/* --- ledger_box.c --- */

int ledger_load_boxes(struct ledger *l, struct err *err);
int ledger_save_boxes(struct ledger *l, struct err *err);
void ledger_free_boxes(struct ledger *l);

/* --- ledger_messages.c --- */

/*
 * What the rows from `lo` to `hi` count for, taken from or added to the box: before and after what changes
 * them.
 */
int ledger_uncount(struct ledger *l, struct ledger_box *box, uint32_t lo, uint32_t hi, struct err *err);
int ledger_count(struct ledger *l, struct ledger_box *box, uint32_t lo, uint32_t hi, struct err *err);

#endif
