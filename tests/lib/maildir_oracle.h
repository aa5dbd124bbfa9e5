#ifndef TESTS_LIB_MAILDIR_ORACLE_H
#define TESTS_LIB_MAILDIR_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/lib/support.h"

struct buf;
struct oracle_dump;

/*
 * A second, independent reader of one Maildir (cur and new), by the documented rules and without
 * any index: a file that has a CRLF, or ",X" in its base name, is the message; any other becomes it
 * by a CR before each LF.
 */
struct maildir_message {
	char *name;     /* file name */
	char flags[16]; /* letters behind ":2,", upper case only, sorted */
	int64_t mtime;
	uint64_t size; /* as on the wire */
	char sha256[SHA256_HEX_SIZE];
};

struct maildir_dump {
	struct maildir_message *msg; /* by digest, then flags, then time */
	size_t n, cap;
	size_t in_tmp; /* files in tmp */
};

void maildir_dump(const char *dir, struct maildir_dump *out);
void maildir_dump_release(struct maildir_dump *d);

/*
 * Does the Maildir hold exactly the server's messages: bytes, flags (not keywords) and
 * INTERNALDATE as mtime, each as often as there? If not, the first difference is in `why`.
 */
bool maildir_matches(const char *dir, const struct oracle_dump *want, struct buf *why);
/* The same, failing the test. */
void maildir_must_match(const char *dir, const struct oracle_dump *want);

#endif
