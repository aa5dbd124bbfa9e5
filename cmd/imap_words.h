#ifndef CMD_IMAP_WORDS_H
#define CMD_IMAP_WORDS_H

#include <stddef.h>

#include "core/base/bytes.h"

struct err;

/*
 * One line of a script as words, quoted as in a shell: '...' as it is, "..." with \" and \\, a
 * backslash before a character that is to mean nothing. `#` at the beginning of a word makes the
 * rest a comment. Nothing is expanded.
 */
struct words {
	char **v; /* ends with NULL */
	size_t n, cap;
};

/* Replace *out, initialised. 0, or -1 (ERR_CONFIG); a NUL is refused, too. */
int words_split(struct words *out, struct bytes line, struct err *err);
void words_release(struct words *w);

#endif
