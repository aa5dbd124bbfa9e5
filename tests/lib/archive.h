#ifndef TESTS_LIB_ARCHIVE_H
#define TESTS_LIB_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/base/bytes.h"
#include "tests/lib/support.h"

struct buf;

/*
 * A second, independent reader of what a backup makes. Of a Maildir the bytes come from the
 * files alone, by the documented rule: a file that holds a CRLF, or has `,X` in its base name, is exact;
 * any other gets a CR before each LF. Names, UIDs, keywords and dates come from mailcask.db. Of a
 * git repository all of it comes out of git: of the run under way, if there is one, else of main.
 */
struct archive_message {
	char *path; /* below the root */
	char sha256[SHA256_HEX_SIZE];
	char *file_flags; /* what the letters of the file name say: "\\Flagged \\Seen", sorted */
	time_t mtime;     /* these two of a Maildir's file; in git made up from flags and date */
	bool indexed; /* false: the database does not know this file; the rest is empty then */
	bool kept;    /* gone at the source */
	uint32_t source_uid;
	char *flags; /* with keywords, as in struct oracle_message */
	char *date;  /* INTERNALDATE */
};

struct archive_mailbox {
	struct bytes name; /* owned: the components, each ended by NUL */
	char *text;        /* the components with '/' between */
	struct bytes wire; /* owned: the name as the server sent it */
	char *directory;
	uint32_t uidvalidity;
	unsigned attributes; /* as in store.h */
	struct archive_message *msg; /* by source UID, those without one first */
	size_t n, cap;
};

struct archive {
	struct archive_mailbox *v;
	size_t n, cap;
};

/* Fails the test when a row has no file, two rows have the same, or something lies in tmp. */
void archive_read(const char *root, struct archive *out);
void archive_release(struct archive *a);
/* By `text`; NULL when there is none. */
const struct archive_mailbox *archive_find(const struct archive *a, const char *text);
/* Sorted SHA-256 of every message below the root, read without the database. */
void archive_hashes(const char *root, struct name_list *out);
/* How many message files there are below the root. */
size_t archive_count(const char *root);

struct oracle;
/*
 * Fail the test unless the archive holds exactly what the account holds: the same mailboxes, and
 * in each the same UIDs with the same bytes, flags, keywords and dates.
 */
void archive_equals(const char *root, struct oracle *o);

/*
 * Fail the test unless both hold the same: mailboxes with their attributes, and in each the same
 * messages with the same flags, keywords and dates, whichever files they are in.
 */
void archives_equal(const char *root, const char *other);

/*
 * Bytes, flags and date of every message of a mailbox, one a line, sorted; how a day below 10 is spelled does not count. Owned by
 * the caller.
 */
char *archive_contents(const char *root, const char *mailbox);
/* Fail the test unless so many messages are live and kept, in all mailboxes. */
void archive_holds(const char *root, size_t live, size_t kept);

/* Every file and directory below, with type, inode, size and mtime; without the database and the lock. */
void archive_snapshot(const char *root, struct buf *out);

#endif
