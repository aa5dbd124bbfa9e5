#ifndef BACKENDS_MAILDIR_READ_H
#define BACKENDS_MAILDIR_READ_H

#include "backends/maildir/box.h"

/*
 * A file as the bytes it had on the wire. Without help from the index: a file that holds a CRLF, or
 * has `,X` in its base name, is exact; in any other a CR goes before each LF.
 */
typedef int piece_fn(void *ctx, struct bytes piece, struct err *err);

/* FORM_UNKNOWN is found out from `base` and the content. *size is as on the wire. */
int read_form(int fd, struct bytes base, enum row_form *form, uint64_t *size, struct err *err);
/* From the start of the file to its end, in pieces. `fn`'s -1 ends it. */
int read_wire(int fd, enum row_form form, piece_fn *fn, void *ctx, struct err *err);

/* What a file holds, as on the wire. */
struct file_content {
	uint8_t sha256[SHA256_SIZE];
	uint64_t size;
	enum row_form form;
};
int read_content(int fd, struct bytes base, struct file_content *out, struct err *err);

/*
 * Give the message of a row to a sink. 0 with *outcome, -1: ERR_MESSAGE spoils this message only. Without
 * `body` no write() comes. Also one whose hash is not that of the row is spoiled.
 */
int read_row(struct box *box, const struct row *row, bool body, void *tag,
	     const struct message_sink *sink, enum outcome *outcome, struct err *err);

int maildir_fetch(struct store *st, struct want *want, size_t n,
		  const struct message_sink *sink, outcome_fn *report, void *ctx,
		  struct err *err);

#endif
