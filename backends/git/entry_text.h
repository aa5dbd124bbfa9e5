#ifndef BACKENDS_GIT_ENTRY_TEXT_H
#define BACKENDS_GIT_ENTRY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/git/layout.h"
#include "core/base/bytes.h"

struct buf;
struct err;
struct flag_table;
struct maildate;

/*
 * The lines of a flags file, which hold all of a message but its bytes, and of `kept/list`
 * (README.md, Formats). Nothing is allocated for reading: spans point into the text.
 *
 * A repository may come from anywhere, so readers believe nothing: -1 is ERR_FATAL, its text
 * `line 3: ...`, before which the caller puts the path.
 */

/*
 * More than this is no file of ours: look at a blob's size before reading it. A writer gives its
 * buf this ceiling.
 */
#define LEAF_TEXT_MAX ((size_t)64 << 20)
#define KEPT_TEXT_MAX ((size_t)1 << 30)

struct entry_line {
	uint32_t uid;
	uint32_t source_uid; /* 0: bound to none */
	uint64_t size;
	struct bytes date;  /* the field as it stands; entry_date_read() */
	struct bytes flags; /* between the parentheses: flags_add_list(), or flag_memo_id() */
	struct bytes extra; /* pairs we do not know, each with a space before it; written back */
};

/*
 *	struct entry_reader r;
 *
 *	entry_reader_init(&r, text, leaf);
 *	while ((rc = entry_next(&r, &e, err)) > 0)
 *		...
 */
struct entry_reader {
	struct bytes rest;
	size_t line;    /* number of the line read last, from 1 */
	uint64_t low;   /* UIDs that the next line may have */
	uint32_t high;
};

void entry_reader_init(struct entry_reader *r, struct bytes text, uint32_t leaf);
/* 1 with the next line, UIDs ascending and of this leaf; 0 at the end; -1 with *err. */
int entry_next(struct entry_reader *r, struct entry_line *e, struct err *err);
/* Add a line with its end. What was read is written as it was; no field may hold a line end. */
void entry_write(const struct entry_line *e, struct buf *out);

/*
 * The identity of a message (core/sync/identity.h) is one of its pairs, which stands in `extra` as any that
 * this version does not know. Nothing where there is none.
 */
struct bytes entry_identity(const struct entry_line *e);
/* Add `extra` with this identity in place of the one it has; an empty one takes it out. */
void entry_extra_write(struct bytes extra, struct bytes identity, struct buf *out);

/*
 * Give `line`, which takes the place of `old`, the pairs of that but for when it was kept, and keep its identity
 * if it has one.
 */
void entry_take_pairs(struct entry_line *line, const struct entry_line *old, struct buf *text);

/* A kept message. Lines ascend by UID; the same id may stand in several. */
struct kept_line {
	uint8_t id[LAYOUT_ID_SIZE]; /* of the blob */
	bool held;                  /* by the guard */
	struct entry_line entry;    /* source_uid is 0 */
};

/* When it was kept, in seconds since 1970, from its pair `kept=`; 0: not said. */
int64_t kept_time(const struct kept_line *k);
/* Add `extra` with this time in place of the one it has; 0 takes it out. */
void kept_extra_write(struct bytes extra, int64_t time, struct buf *out);

void kept_reader_init(struct entry_reader *r, struct bytes text);
int kept_next(struct entry_reader *r, struct kept_line *k, struct err *err); /* as entry_next() */
void kept_write(const struct kept_line *k, struct buf *out);

/* Add the date field of a line. */
void entry_date_write(const struct maildate *d, struct buf *out);
/* Replace *d (initialised) by what a date field taken from a reader says. */
void entry_date_read(struct bytes field, struct maildate *d);

/*
 * Flags of many lines as ids of a table. Few texts come again and again, so the last ones are
 * remembered.
 */
#define FLAG_MEMO_SLOTS 64
struct flag_memo {
	struct flag_table *table; /* borrowed */
	struct flag_memo_slot {
		char *text; /* owned; NULL: free */
		size_t n;
		uint32_t id;
	} slots[FLAG_MEMO_SLOTS];
};

void flag_memo_init(struct flag_memo *m, struct flag_table *table);
void flag_memo_release(struct flag_memo *m);
/* -1 with *err (ERR_FATAL, naming the UID) when the field is not a list of flags. */
int flag_memo_id(struct flag_memo *m, const struct entry_line *e, uint32_t *id, struct err *err);

#endif
