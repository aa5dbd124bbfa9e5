#ifndef BACKENDS_MBOX_EML_WRITE_H
#define BACKENDS_MBOX_EML_WRITE_H

#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/err.h"

struct maildate;

/*
 * Messages written as files of a directory, byte for byte: `0000000007.eml` is the one with UID 7, and its date the file's. One
 * without any CRLF, of which the store "eml" could not tell whether its line ends were so on the wire, is called
 * `0000000007,X.eml`. Nothing is written over, and nothing synced.
 */
struct eml_writer;

/* `dir` is there, and new. NULL with *err. */
struct eml_writer *eml_writer_new(const char *dir, struct err *err);
void eml_writer_free(struct eml_writer *w); /* NULL is allowed */
/* The next message; one that was not ended is removed. */
void eml_writer_begin(struct eml_writer *w);
int eml_writer_add(struct eml_writer *w, struct bytes piece, struct err *err);
/* The whole message is there. A date that is not known leaves the file's as it is. */
int eml_writer_end(struct eml_writer *w, uint32_t uid, const struct maildate *date, struct err *err);

#endif
