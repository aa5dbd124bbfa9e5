#ifndef BACKENDS_MAILDIR_INDEX_H
#define BACKENDS_MAILDIR_INDEX_H

#include "backends/maildir/internal.h"

/* `mailcask.db`: every query on it stands in index*.c, or names one of these statements. */
#define INDEX_FILE "mailcask.db"
#define INDEX_SCHEMA 4
extern const char index_schema[]; /* what makes an empty one */

enum statement {
	ST_MESSAGE_INSERT,
	ST_MESSAGE_BY_UID,
	ST_MESSAGE_BY_SOURCE,
	ST_MESSAGES_FROM, /* all rows, in ascending order of uid, from one on */
	ST_MESSAGE_KEPT_BY_CONTENT,
	ST_MESSAGE_UNBOUND_BY_CONTENT, /* live, and bound to no source UID */
	ST_MESSAGES_BY_IDENTITY, /* mailbox, uid, source_uid and sha256, live ones first */
	ST_MESSAGE_WITH_IDENTITY, /* any */
	ST_MESSAGE_SET_FLAGS,
	ST_MESSAGE_SET_STATE,
	ST_MESSAGE_TAKE, /* a kept row becomes live */
	ST_MESSAGE_DELETE,
	ST_REMOVAL_INSERT,
	ST_REMOVALS,
	ST_REMOVALS_DONE,
	ST_REMOVALS_MOVE,
	ST_BOX_INSERT,
	ST_BOX_UPDATE,
	ST_BOX_KNOWN,
	ST_BOX_SET_KNOWN,
	ST_BOX_RENAME,
	ST_BOX_DELETE,
	ST_HELD,
	ST_QUARANTINE,
	ST_QUARANTINE_INSERT,
	ST_QUARANTINE_DELETE,
	ST_META_SET,
	ST_COUNT,
};

/* Ready to be bound; used as by database_statement(). */
sqlite3_stmt *index_stmt(struct maildir *m, enum statement which);
/* The columns of a ST_MESSAGE... query. */
void index_row(sqlite3_stmt *st, struct row *out);
/* What the file at `path` (not opened for writing, nothing created) says of itself. */
enum index_kind { INDEX_NONE, INDEX_OURS };
int index_identify(const char *path, enum index_kind *kind, struct store_identity *out,
		   struct err *err);
/*
 * Open, making it when `create`. With m->memory the index lives in a temporary file of SQLite's and
 * starts as a copy of the one in the store, if there is one.
 */
int index_open(struct maildir *m, bool create, struct err *err);
void index_close(struct maildir *m);
/* Every mailbox, into m->box. */
int index_load(struct maildir *m, struct err *err);
int index_save_box(struct maildir *m, struct box *box, struct err *err);
int index_insert_box(struct maildir *m, struct box *box, struct err *err);
/* The first four parameters of ST_BOX_INSERT and ST_BOX_RENAME; `text` is of mailbox_name_pack(). */
void index_bind_name(sqlite3_stmt *st, const struct mailbox_name *name, struct bytes text);
int index_set_meta(struct maildir *m, const char *key, struct bytes value, struct err *err);

#endif
