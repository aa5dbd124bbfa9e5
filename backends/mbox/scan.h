#ifndef BACKENDS_MBOX_SCAN_H
#define BACKENDS_MBOX_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/err.h"

struct flags;
struct maildate;

/*
 * Taking an mbox (RFC 4155) apart. There is no one format, so this is what is taken for the beginning of
 * a message, besides the first line of the file: a line `From SENDER DATE` (dates.h) that is followed by
 * a field of a header, or by nothing at all where an empty line is before it. An empty line before it
 * does not belong to the message that ends there.
 *
 * Where Content-Length of a message leads just to the end of the file or to such a line (mboxcl), nothing in
 * between is one. A message whose body has a line that begins with `From ` all the same was not
 * quoted; of any other, `>From ` loses a `>` (wire_form.h).
 *
 * Where we wrote it ourselves (mark.h) and its length leads just there, too, all of this is known: nothing is guessed then.
 *
 * Memory does not depend on what is in the file.
 */
struct mbox_input {
	uint64_t size;
	/* Exactly `n` bytes at `at`, which are there; -1 ends the scan. */
	int (*read)(void *ctx, uint64_t at, uint8_t *to, size_t n, struct err *err);
	void *ctx;
	size_t window; /* how much to hold of it, at least MBOX_WINDOW_MIN */
};

#define MBOX_WINDOW_MIN ((size_t)1024)

struct mbox_message {
	uint64_t start, length; /* where it lies, as it stands there */
	uint64_t size;          /* on the wire */
	bool unquote, add_cr;   /* for struct wire_form */
	bool whole;             /* its header is quoted, too: struct wire_form begins in_body */
	const struct flags *flags;
	const struct maildate *date; /* of the line that begins it, or else of its header */
};

/* Borrowed for the call; -1 ends the scan. */
typedef int mbox_fn(void *ctx, const struct mbox_message *m, struct err *err);

/*
 * Tell every message. ERR_FATAL, which names line and byte: it is no mbox, or it has a line that must be
 * the beginning of a message, but is written in no known way.
 */
int mbox_scan(const struct mbox_input *in, mbox_fn *each, void *ctx, struct err *err);

#endif
