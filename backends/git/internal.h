#ifndef BACKENDS_GIT_INTERNAL_H
#define BACKENDS_GIT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/git/entry_text.h"
#include "backends/git/format_text.h"
#include "backends/git/layout.h"
#include "backends/git/mailbox_text.h"
#include "backends/git/object.h"
#include "backends/git/repo.h"
#include "backends/git/tree.h"
#include "core/base/buf.h"
#include "core/sync/store.h"

/*
 * What the files of this folder share
 *
 * A mailbox is known by its `mailbox` text; its trees are read when something in it is asked for.
 * Messages are worked on in leaves of 100 UIDs, loaded when touched. What is changed stays in
 * memory until there is much of it, then goes as objects into the pack that is being written
 * (leaf.c), and becomes part of the store with the ref that commit() moves last (commit.c).
 *
 *	blobs -> leaf trees -> group trees -> mailbox trees -> root -> commit -> pack published -> ref
 *
 * A crash before the ref leaves objects that nothing names, and the store as it was.
 */

/* A message: its line in the flags file, and its blob. */
struct item {
	struct entry_line line; /* its spans point into the leaf's text or into `own` */
	struct object_id id;    /* only when the leaf's ids are loaded */
	char *own;              /* NULL: the line is as it was read */
};

struct leaf {
	uint32_t number;
	struct buf text;
	struct item *v; /* ascending by UID */
	size_t n, cap;
	bool ids; /* the tree of messages was read */
	bool flags_dirty, messages_dirty;
};

/* Ids of zeros: there is none. */
struct leaf_ref {
	struct object_id flags, messages;
	struct leaf *leaf; /* NULL: not in memory */
};

struct group {
	uint32_t number;
	struct object_id flags, messages;
	struct leaf_ref *leaves; /* 100; NULL: not in memory */
	bool dirty;
};

/* A kept message; as struct item. */
struct kept_item {
	struct kept_line line;
	char *own;
	bool gone;
};

struct kept_list {
	bool loaded, dirty;
	struct buf text;
	struct kept_item *v; /* ascending by UID, unless `unsorted` */
	size_t n, cap;
	bool unsorted; /* until kept_list_load() */
	uint32_t *by_id; /* indexes into v of those not gone; NULL: not sorted yet */
	size_t n_by_id;
};

/* What happened to a mailbox since the last snapshot, for the message of the next. */
struct tally {
	uint64_t new_messages, adopted, removed, kept, flags;
};

struct gitbox {
	struct mailbox mb; /* first */
	char dir[LAYOUT_DIR_SIZE];
	struct mailbox_text text;
	struct mailbox_text saved; /* as the tip has it, but perhaps for the token */
	bool in_tip;               /* the tip has this directory */
	struct object_id tree;     /* of the directory; zeros: none, or not known yet */
	/* Of the trees; `loaded` says that they were read. */
	bool loaded;
	struct tree slots;
	struct group *groups; /* ascending by number */
	size_t n_groups, cap_groups;
	struct kept_list kept;
	bool dirty; /* something but the text changed */
	bool slots_differ; /* `slots` is not what the tip has */
	/* The base, see gitbox_load_base(). */
	bool base_loaded, quarantine_dirty;
	struct uidset sources; /* source UIDs of live messages */
	struct uidset known;
	struct quarantined *quarantine;
	size_t n_quarantine;
	struct changes *stash; /* made by the way, for changes(); NULL: none */
	struct unbound *unbound; /* by content; see unbound.h */
	size_t n_unbound;
	bool unbound_known;
	uint32_t max_uid;      /* no message, live or kept, has a higher one; valid with max_known */
	bool max_known;
	struct tally tally;
};

struct gitstore {
	struct store st; /* first */
	enum store_mode mode;
	char *path;
	int dir, lock; /* -1: not open */
	struct repo *repo;
	struct repo_tips tips;
	struct format_text format;
	bool format_dirty;
	struct gitbox **box; /* sorted by name */
	size_t n, cap;
	bool trees_known; /* the mailboxes' tree ids were read */
	char **old_dirs;  /* directories of mailboxes that went or were renamed */
	size_t n_old_dirs, cap_old_dirs;
	struct gitbox **gone; /* removed mailboxes that callers may still hold */
	size_t n_gone, cap_gone;
	size_t open_leaves, open_groups; /* in memory */
	struct appender *appenders; /* what append() handed out */
	struct identities *identities; /* see held.c; NULL: not gathered yet */
	struct delivery *spare;     /* one delivery's memory, for the next */
	const char *why;  /* during commit_change() */
	struct buf notes; /* lines for the message of the next snapshot: mailboxes that came and went */
	bool broken;      /* a commit failed: only close() is left */
};

static inline struct gitstore *gitstore_of(const struct gitbox *box)
{
	return (struct gitstore *)box->mb.store;
}

#endif
