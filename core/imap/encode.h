#ifndef CORE_IMAP_ENCODE_H
#define CORE_IMAP_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/bytes.h"
#include "core/base/err.h"

struct flags;
struct maildate;
struct uidset;

/*
 * Builds one command. Every argument is encoded by what is in it (atom, quoted string or
 * literal), never pasted, so no name, keyword or search text can end the command and begin
 * another. Blanks between arguments are put in by the encoder.
 *
 *	struct imap_encoder e;
 *
 *	imap_encoder_init(&e, literals, 8000);
 *	imap_encode_word(&e, "SELECT");
 *	imap_encode_mailbox(&e, name);
 *	if (imap_encoder_finish(&e, err) < 0)
 *		...
 *
 * The first thing that cannot be sent safely is kept as the error and reported by
 * imap_encoder_finish(); what is added after it is ignored. The tag is not part of it: the
 * session sends tag and blank, then the chunks in order.
 */
enum imap_literals {
	IMAP_LITERALS_SYNC,  /* wait for `+` before each literal */
	IMAP_LITERALS_MINUS, /* LITERAL-: no wait up to 4096 bytes */
	IMAP_LITERALS_PLUS,  /* LITERAL+: never wait */
};

struct imap_chunk {
	struct bytes data; /* borrowed from the encoder; ignored when `stream` */
	bool wait;         /* after this chunk: go on only when the server has sent `+` */
	bool secret;       /* never to be logged or traced, not even its length */
	bool stream;       /* the caller provides `stream_size` bytes here (message body) */
	uint64_t stream_size;
};

struct imap_chunk_mark; /* private */

struct imap_encoder {
	enum imap_literals literals;
	struct buf wire;
	struct imap_chunk_mark *marks;
	size_t mark_count, mark_cap;
	bool glue;   /* no blank before the next argument */
	bool secret; /* what is being added is secret */
	bool nonsync; /* a literal that does not wait is in it: BAD means close (S15) */
	struct err err;
};

/* `max` is the ceiling of the command's bytes, streams not counted: servers have line limits. */
void imap_encoder_init(struct imap_encoder *e, enum imap_literals literals, size_t max);
/* Wipes, since there may be a secret in it. */
void imap_encoder_release(struct imap_encoder *e);

/* Trusted protocol text of this program: command and keyword names, fetch items. No CR, LF, NUL. */
void imap_encode_word(struct imap_encoder *e, const char *word);
void imap_encode_open(struct imap_encoder *e);  /* ( */
void imap_encode_close(struct imap_encoder *e); /* ) */
void imap_encode_number(struct imap_encoder *e, uint64_t n);

/* Text from outside that must be an atom (a mechanism, a criterion, a raw command's name). */
void imap_encode_atom(struct imap_encoder *e, struct bytes text);
/* Any text: atom, quoted string or literal, whichever is the first that can carry it. */
void imap_encode_astring(struct imap_encoder *e, struct bytes text);
/* Quoted string or literal. */
void imap_encode_string(struct imap_encoder *e, struct bytes text);
/* NIL when text.p is NULL, else as string. */
void imap_encode_nstring(struct imap_encoder *e, struct bytes text);
/* Password or token: as astring, in chunks of its own marked secret. */
void imap_encode_secret(struct imap_encoder *e, struct bytes text);
/* SASL initial response, base64 already ("=" when empty), marked secret. */
void imap_encode_secret_base64(struct imap_encoder *e, struct bytes text);

/* A mailbox name as on the wire (modified UTF-7 already, or raw bytes a server gave us). */
void imap_encode_mailbox(struct imap_encoder *e, struct bytes wire_name);
/* LIST pattern: as mailbox, `*` and `%` are wildcards. */
void imap_encode_pattern(struct imap_encoder *e, struct bytes pattern);
/* Must not be empty nor hold an unresolved `*` unless that is meant: it is sent as it is. */
void imap_encode_uidset(struct imap_encoder *e, const struct uidset *set);
/* A set as text, which must be set grammar (digits : , * $). */
void imap_encode_set_text(struct imap_encoder *e, struct bytes text);
/* Parenthesised flag list; \Recent is left out, an illegal keyword refused (ERR_MESSAGE). */
void imap_encode_flags(struct imap_encoder *e, const struct flags *flags);
/* date-time, as in APPEND. */
void imap_encode_datetime(struct imap_encoder *e, const struct maildate *date);
/* date, as in SEARCH SINCE: month 1 to 12. */
void imap_encode_date(struct imap_encoder *e, int day, int month, int year);

/*
 * A literal whose bytes the caller sends itself; `binary` for `~{n}`. `sync` forces waiting
 * whatever the server offers.
 */
void imap_encode_stream(struct imap_encoder *e, uint64_t size, bool binary, bool sync);

/* End the command with CRLF. Returns 0, or -1 with *err set and nothing to send. */
int imap_encoder_finish(struct imap_encoder *e, struct err *err);

size_t imap_encoder_count(const struct imap_encoder *e);
struct imap_chunk imap_encoder_chunk(const struct imap_encoder *e, size_t i);
/*
 * The command for the trace: secrets as ***, streams by size, without the last CRLF. Not escaped.
 */
void imap_encoder_describe(const struct imap_encoder *e, struct buf *out);

#endif
