#ifndef BACKENDS_IMAP_LEDGER_PRIVATE_H
#define BACKENDS_IMAP_LEDGER_PRIVATE_H

#include "backends/imap/ledger.h"
#include "core/base/database.h"

/* What the files of the ledger share; nobody else includes this. */

/* Columns that ledger_take_row() reads, in this order. */
#define LEDGER_ROW "uid, source_uid, state, how, size, flags, date, sha256, identity"

struct ledger {
	struct database db;
	char *path;
	int lock;    /* -1: none */
	uint64_t generation;
	char *account; /* NULL: not said */
	struct ledger_box **box; /* sorted by name */
	size_t n, cap;
};

/* --- ledger_file.c --- */

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
