#ifndef BACKENDS_MBOX_WRITE_H
#define BACKENDS_MBOX_WRITE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/bytes.h"
#include "core/base/err.h"

struct flags;
struct maildate;

/*
 * Messages written one after the other as an mbox (mboxrd): each LF that a CR is before loses it, and a line that begins with
 * `From `, with or without `>` before it, gets a `>`. What is on the `From ` line besides is in mark.h; by that the "mbox" store
 * gives the same bytes, flags and date back, also where a message has other line ends or no last one.
 *
 * A message goes through a temporary file without a name, so memory does not grow with its size.
 */
struct mbox_writer;

/* `out` is the caller's, who also makes it durable. NULL with *err. */
struct mbox_writer *mbox_writer_new(FILE *out, struct err *err);
void mbox_writer_free(struct mbox_writer *w); /* NULL is allowed */
/* The next message; one that was not ended is forgotten, and nothing of it was written. */
int mbox_writer_begin(struct mbox_writer *w, struct err *err);
/* ERR_MESSAGE: it cannot be written as an mbox. */
int mbox_writer_add(struct mbox_writer *w, struct bytes piece, struct err *err);
/* The whole message is there: write it. *all_flags: none had to be left out. */
int mbox_writer_end(struct mbox_writer *w, const struct flags *flags, const struct maildate *date,
		    bool *all_flags, struct err *err);

#endif
