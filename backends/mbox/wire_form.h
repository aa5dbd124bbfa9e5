#ifndef BACKENDS_MBOX_WIRE_FORM_H
#define BACKENDS_MBOX_WIRE_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/err.h"

/*
 * A message as it stands in a file, made what it is on the wire, piece by piece: without the `>` that
 * keeps a line of the body from being taken for a separator (mboxrd, and mboxo where it has one), and
 * with CR before each LF.
 */
struct wire_form {
	bool unquote; /* `>From `, `>>From `, ... of the body loses one `>` */
	bool add_cr;  /* for messages that hold no CRLF */
	/* The rest is the state; zeroed at the start. */
	bool in_body;
	bool in_line;     /* the beginning of the line is settled */
	uint8_t came;     /* of a header's line: 0 nothing, 1 a CR, 2 more */
	uint8_t matched;  /* how much of "From " came, once a `>` did */
	uint8_t quotes;   /* how many `>` came, of which one is held up */
};

/* More than these before `From ` are no quoting. */
#define WIRE_QUOTES_MAX 64

typedef int wire_fn(void *ctx, struct bytes piece, struct err *err);

/* `fn`'s -1 ends it. */
int wire_form_feed(struct wire_form *w, struct bytes piece, wire_fn *fn, void *ctx, struct err *err);
/* After the last piece. */
int wire_form_end(struct wire_form *w, wire_fn *fn, void *ctx, struct err *err);

/* Whether a line that begins like this is quoted: 1 to WIRE_QUOTES_MAX `>`, then `From `. */
bool wire_is_quoted(struct bytes line);

#endif
