#ifndef CMD_DECODE_H
#define CMD_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/err.h"

struct maildate;

/*
 * What mail says in its many encodings, as UTF-8: the one place that uses GMime. All of it comes
 * from strangers, so nothing here can fail: what means nothing stays as it stands, and every
 * text that is returned is valid UTF-8 without NUL. It is not fit for a terminal before it went
 * through log.h.
 *
 * Header values come as they stand in the message, folded or not. Only the first
 * DECODE_VALUE_MAX bytes of one are looked at.
 */
#define DECODE_VALUE_MAX ((size_t)16 * 1024)

/* Text with encoded words (RFC 2047), such as Subject. Owned by the caller, as all that follow. */
char *decode_words(struct bytes raw);
/* A text for comparing without regard to case: equal for texts that are. */
char *decode_fold(const char *text);
/* Addresses, such as From: "Anna <anna@example.org>, ...". */
char *decode_addresses(struct bytes raw);
/* The name of the first address, or the address when it has none: for lists. */
char *decode_first_name(struct bytes raw);
/* Date (RFC 5322, section 3.3). False, and *out (initialised) untouched, when it is none. */
bool decode_date(struct bytes raw, struct maildate *out);

/* Content-Type (RFC 2045, section 5) with parameters decoded (RFC 2231); NULL: not given. */
struct content_type {
	char *type; /* "text/plain": in lower case, never NULL */
	char *charset, *boundary, *name;
};

/* `raw`.p NULL: there is none, so `otherwise` is the type. */
void content_type_read(struct content_type *out, struct bytes raw, const char *otherwise);
void content_type_release(struct content_type *ct);

/* Content-Disposition (RFC 2183): whether it says attachment; the file name, or NULL. */
bool decode_disposition(struct bytes raw, char **name);

/* Content-Transfer-Encoding (RFC 2045, section 6). */
enum encoding {
	ENCODING_NONE, /* 7bit, 8bit, binary */
	ENCODING_BASE64,
	ENCODING_QUOTED,
	ENCODING_UU,
	ENCODING_UNKNOWN, /* cannot be undone: the bytes are given as they are */
};

enum encoding decode_encoding(struct bytes raw);

/* -1 ends it. */
typedef int decoded_fn(void *ctx, struct bytes piece, struct err *err);

/* The bytes that are encoded, in pieces. -1 only when `fn` said so. */
int decode_body(enum encoding encoding, struct bytes body, decoded_fn *fn, void *ctx,
		struct err *err);
/*
 * The text: as decode_body(), and from `charset` (NULL: not told, taken as UTF-8) to UTF-8, in
 * pieces of whole characters. U+FFFD stands for what the charset does not know, and *known is
 * false when the charset itself is not known; NULs stay.
 */
int decode_text(enum encoding encoding, const char *charset, struct bytes body, bool *known,
		decoded_fn *fn, void *ctx, struct err *err);

#endif
