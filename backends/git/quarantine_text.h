#ifndef BACKENDS_GIT_QUARANTINE_TEXT_H
#define BACKENDS_GIT_QUARANTINE_TEXT_H

#include <stddef.h>

#include "core/base/bytes.h"

struct buf;
struct err;
struct quarantined;

/* The file `quarantine` of a mailbox, one message a line, ascending by UID (README.md, Formats). */
#define QUARANTINE_TEXT_MAX ((size_t)64 << 20) /* as LEAF_TEXT_MAX */

/*
 * *v is the caller's, to be freed with quarantine_free() or put into a struct base. -1 with *err
 * (ERR_FATAL, `line 3: ...`).
 */
int quarantine_text_read(struct bytes text, struct quarantined **v, size_t *n, struct err *err);
/* Add the file; nothing when n is 0. `v` ascends by UID. */
void quarantine_text_write(const struct quarantined *v, size_t n, struct buf *out);
void quarantine_free(struct quarantined *v, size_t n);

#endif
