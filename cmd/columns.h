#ifndef CMD_COLUMNS_H
#define CMD_COLUMNS_H

#include <stddef.h>

struct buf;

/* How wide text is on a terminal, for tables. It was escaped before (log.h). */
size_t columns_of(const char *text);
/*
 * Add the text, cut to `width` columns with "..." at its end when it is longer, and followed by
 * blanks up to there when it is shorter.
 */
void columns_add(struct buf *out, const char *text, size_t width);
/* The same without the blanks: for the last column. `width` 0: never cut. */
void columns_add_last(struct buf *out, const char *text, size_t width);
/* How wide standard output is; 0: it is no terminal, so there is no limit. */
size_t columns_terminal(void);

#endif
