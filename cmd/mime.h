#ifndef CMD_MIME_H
#define CMD_MIME_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/bytes.h"

#include "cmd/decode.h"

/*
 * The parts of a message (RFC 2045, RFC 2046). Reading it costs at most MIME_DEPTH_MAX times its
 * length and never more memory than MIME_PARTS_MAX parts take, whatever was written to make it
 * cost more. Nothing is copied: a part is a place in the message.
 */
#define MIME_DEPTH_MAX 30u
#define MIME_PARTS_MAX 1000u
/* A header longer than that ends there, and the rest counts as body. */
#define MIME_HEADER_MAX ((size_t)1 << 20)

/* A part that is not a multipart, or an attached message. */
struct mime_part {
	char *number; /* as IMAP counts them in BODY[2.1] (RFC 9051, section 6.4.5) */
	struct content_type type;
	char *name;        /* of the file, as the sender calls it, or NULL */
	bool attachment;   /* the sender says that it is not to be shown with the text */
	bool inner;        /* of an attached message, not of this one */
	enum encoding encoding;
	struct bytes body; /* as it stands in the message: still encoded */
};

struct mime {
	struct mime_part *v; /* in the order of the message */
	size_t n, cap;
	bool cut; /* there are more parts, or deeper ones, than this reads */
};

/* Borrows `message` until released. */
void mime_read(struct mime *out, struct bytes message);
void mime_release(struct mime *m);
/* By number; NULL when there is none. "1.0" and the like do not exist. */
const struct mime_part *mime_find(const struct mime *m, const char *number);
/*
 * What is to be shown as the text of the message: text/plain that is no attachment, or, without
 * any, text/html. Call it with `after` NULL, then with what it returned, until NULL.
 */
const struct mime_part *mime_next_text(const struct mime *m, const struct mime_part *after);
bool mime_is_html(const struct mime_part *part);

/* Where the header ends: everything before the body, the empty line included. */
size_t mime_header_length(struct bytes message);
/*
 * The next field of a header: name without the colon, value as it stands. Moves *header past it.
 * False at the end; lines that are no field are skipped.
 */
bool mime_next_field(struct bytes *header, struct bytes *name, struct bytes *value);

#endif
