#ifndef CORE_IMAP_SCAN_H
#define CORE_IMAP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

/*
 * Reads values off text that is complete and has no literals: a response code, an
 * IMAP_RESPONSE_OTHER. Escapes in quoted strings are removed in place, so the text must be the
 * caller's own; what is handed out points into it. Blanks before a value are skipped. Each
 * returns false, taking nothing, when the next thing is something else.
 */
struct imap_scan {
	uint8_t *p, *end;
};

struct imap_scan imap_scan_init(void *text, size_t n);
bool imap_scan_at_end(struct imap_scan *s); /* nothing but blanks left */
/* The next byte that is not blank, or 0 at the end. */
uint8_t imap_scan_peek(struct imap_scan *s);
bool imap_scan_byte(struct imap_scan *s, char c);
/* Bytes up to a blank or parenthesis. */
bool imap_scan_atom(struct imap_scan *s, struct bytes *out);
bool imap_scan_quoted(struct imap_scan *s, struct bytes *out);
/* Atom or quoted string: a name. NIL is one. */
bool imap_scan_astring(struct imap_scan *s, struct bytes *out);
/* As astring, but an unquoted NIL leaves out->p NULL. */
bool imap_scan_nstring(struct imap_scan *s, struct bytes *out);
bool imap_scan_u64(struct imap_scan *s, uint64_t *out);
/* What stands between the next pair of parentheses, as sent; at most 32 deep. */
bool imap_scan_list(struct imap_scan *s, struct bytes *out);
/* Pass over one value of any kind, at most 32 lists deep. */
bool imap_scan_skip(struct imap_scan *s);

/* NAMESPACE (RFC 9051, section 7.3.4). */
enum imap_namespace_kind { IMAP_NAMESPACE_PERSONAL, IMAP_NAMESPACE_OTHER, IMAP_NAMESPACE_SHARED };
struct imap_namespace {
	enum imap_namespace_kind kind;
	uint8_t delimiter;   /* 0 = NIL */
	struct bytes prefix; /* as on the wire, borrowed from the text */
};
/*
 * Read the text of `* NAMESPACE` in place. At most `max` are stored, *n says how many. False when
 * it is not one; what came before the fault is stored all the same.
 */
bool imap_scan_namespaces(struct imap_scan *s, struct imap_namespace *out, size_t max, size_t *n);

#endif
