#ifndef BACKENDS_MAILDIR_INTERNAL_H
#define BACKENDS_MAILDIR_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "backends/maildir/names.h"
#include "core/base/buf.h"
#include "core/base/database.h"
#include "core/sync/store.h"

/*
 * The life of a message (what the files of this folder share)
 *
 *	1 file complete in tmp -> 2 sync -> 3 row in a transaction -> 4 rename into cur -> 5 sync
 *	-> 6 the mailbox's `placing_from` passes it
 *
 * A row with uid >= placing_from may still have its file in tmp; opening for writing
 * finishes steps 4 to 6 (settle.c). A file in tmp without a row was never promised to anybody. A
 * removed message is a row of `removals` from the transaction on until its unlink was synced.
 * Flags are renamed first and written second: a crash in between shows the new flags as
 * a change that both sides made.
 *
 * One SQLite transaction is open from the first change to commit(): queries see what is pending.
 */

#define PIECE_SIZE (64 * 1024)

struct stamp {
	uint64_t inode[2];
	int64_t changed_ns[2], modified_ns[2]; /* of cur and new; 0, 0: none */
};

struct box_fds {
	int cur, new_, tmp; /* -1: not open */
	uint64_t used;      /* by the store's clock: the one used longest ago is closed first */
};

/* What the file names' letters mean: Dovecot's dovecot-keywords, when there is one. */
struct keyword_letters {
	bool loaded, present;
	char *name[26];
};

struct listing;
struct foreign;

/* A mailbox, as the database has it and as callers hold it. */
struct box {
	struct mailbox mb; /* first */
	int64_t id;
	char *dir; /* relative to the root; "" is the root */
	char *moved_from; /* the directory is still there, or was when we last knew; NULL */
	unsigned attributes;
	struct token token;
	char mailboxid[MAILBOXID_SIZE]; /* of the last agreement */
	uint64_t known, stored, held, kept, pending;
	uint32_t uidvalidity, next_uid;
	uint32_t placing_from; /* from here on rows may have their file in tmp: durable */
	uint32_t placed_to;    /* below this we have renamed, in this run */
	bool unbound;          /* there may be live rows that are bound to no source UID */
	uint32_t max_source;   /* no row is bound to a higher source UID */
	uint64_t digest;       /* sum of name_mark() over what our rows say cur holds */
	uint64_t extra;        /* the same of foreign files, when last compared */
	bool extra_known;
	struct stamp stamp; /* cur and new looked like this when they held just digest + extra */
	struct uidset missing; /* source UIDs whose file was gone when last compared */
	struct stamp compared; /* of a source, before it was last compared; not set: it was not */
	bool dirty;         /* to be written to the database */
	bool written;       /* we changed its files in this run */
	bool sync_tmp, sync_cur, sync_new;
	bool other_fs; /* something is mounted below the root: syncing the root's does not reach it */
	struct box_fds fds;
	struct keyword_letters letters;
	struct listing *listing; /* files by base, made when a file is not where its row says */
	struct foreign *foreign; /* files that adoption may take */
};

struct maildir {
	struct store st; /* first */
	enum store_mode mode;
	enum maildir_layout layout;
	char *path;
	char *index; /* path of the database */
	int root, lock;
	dev_t device; /* the root's */
	bool batch;   /* one sync does for the whole file system */
	bool unclean;   /* the last writer did not close */
	bool memory;    /* a foreign directory being read: the index is nowhere */
	bool side;      /* the same as a job's source: the index is cfg->index, and written */
	bool claim;     /* files without a row get one */
	char uuid[37];
	char host[64];  /* as it stands in our file names */
	uint64_t generation, key;
	uint64_t deliveries; /* names given out */
	int64_t removed_to;  /* removals up to this id were unlinked, but not synced */
	bool unsettled;      /* the last commit's work on files is not final */
	bool unsynced;       /* files were changed since the last sync */
	char *account;       /* as in the database, NULL: not said */
	int64_t tick_ns; /* how far apart two changes of a directory must be to be told apart */
	uint64_t clock;
	size_t open_fds;
	struct box **box; /* sorted by name */
	size_t n, cap;
	struct database db;         /* broken: only close() is left */
	char *advice;               /* of a side index: what to do when it is damaged */
	int schema;                 /* of the database as it is opened */
	struct appender *appenders; /* what append() handed out */
	struct delivery *spare; /* one delivery's memory, for the next */
	struct box **gone; /* removed mailboxes that callers may still hold */
	size_t n_gone, cap_gone;
};

static inline struct maildir *maildir_of(const struct box *box)
{
	return (struct maildir *)box->mb.store;
}

/* Whether its files must be synced one by one. */
static inline bool box_syncs_alone(const struct box *box)
{
	return box->other_fs || !maildir_of(box)->batch;
}

/* What a row of `messages` says. */
enum row_state { ROW_LIVE = 0, ROW_KEPT = 1 };
enum row_form { FORM_EXACT = 0, FORM_LF = 1, FORM_UNKNOWN = 2 };
#define SHA256_SIZE CONTENT_HASH_SIZE

struct row {
	uint32_t uid, source_uid;
	struct bytes base, letters; /* borrowed from the statement until its next step */
	uint64_t size;
	enum row_form form;
	enum row_state state;
	struct bytes date; /* text; n is 0: the file's mtime */
	unsigned bits;
	struct bytes keywords;
	struct bytes sha256;
	bool held;
	struct bytes identity; /* n is 0: none */
};

#endif
