#ifndef TESTS_LIB_IMAP_CASE_H
#define TESTS_LIB_IMAP_CASE_H

#include <stdbool.h>
#include <stdint.h>

struct buf;

/* One case file; what may stand in it is in tests/cases/README.md. */
struct imap_case {
	char *path;
	char *script, *account, *wanted;
	char **deeds; /* the `do:` lines */
	unsigned deed_count;
	unsigned sent; /* server lines in the script */
};

void case_read(struct imap_case *c, const char *path);
void case_release(struct imap_case *c);

/* Change one line of the server, with CRLF. NULL: an honest server, which is strict. */
typedef void case_mangle_fn(void *ctx, struct buf *line);

/*
 * Play it, and add what came out to `log`. Time does not pass: a server that has nothing more to say
 * closes the connection. `dir` is for a certificate. Fails the test when a command did not
 * end, or ended twice.
 */
void case_play(const struct imap_case *c, const char *dir, case_mangle_fn *mangle, void *ctx,
	       struct buf *log);

#endif
