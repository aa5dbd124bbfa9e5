#ifndef CORE_MAIL_FLAGS_H
#define CORE_MAIL_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct buf;

/* The system flags that are stored as bits. \Recent belongs to a session and is never kept. */
enum flag_bit {
	FLAG_SEEN = 1 << 0,
	FLAG_ANSWERED = 1 << 1,
	FLAG_FLAGGED = 1 << 2,
	FLAG_DELETED = 1 << 3,
	FLAG_DRAFT = 1 << 4,
};

#define FLAG_ALL_BITS 0x1fu
#define FLAG_BITS 5 /* how many there are */

/*
 * The flags of one message: a value that owns its keywords. Keywords are compared without
 * regard to ASCII case, kept sorted that way, each once, in the spelling first seen. A system
 * flag of an extension (`\Foo`) is a keyword that begins with a backslash.
 *
 * Read the members freely; change them only through the functions (`bits` may be set directly).
 */
struct flags {
	unsigned bits; /* enum flag_bit */
	char **keywords;
	size_t count;
	size_t cap;
};

#define FLAGS_INIT { 0 }

void flags_init(struct flags *f);
void flags_release(struct flags *f); /* empty afterwards, may be used again */
/* Make *dst (initialised; its old value is dropped) equal to *src. */
void flags_copy(struct flags *dst, const struct flags *src);
bool flags_equal(const struct flags *a, const struct flags *b);
/* A total order, 0 exactly when flags_equal(). */
int flags_compare(const struct flags *a, const struct flags *b);
bool flags_is_empty(const struct flags *f);

/*
 * One flag as it stands in a flag list: `\Seen` (any case), `$Forwarded`, `\Foo`. Real servers'
 * keywords with `]`, spaces or 8-bit bytes are taken as they are. flags_add() returns false,
 * changing nothing, for what is not a flag to keep: empty, `\Recent`, `\*`, a lone backslash,
 * or anything holding a control character (NUL, CR, LF, ...). Adding what is there is true.
 */
bool flags_add(struct flags *f, struct bytes flag);
/* True if it was there. */
bool flags_remove(struct flags *f, struct bytes flag);
bool flags_has(const struct flags *f, struct bytes flag);

void flags_add_all(struct flags *f, const struct flags *add);
void flags_remove_all(struct flags *f, const struct flags *remove);

/*
 * Text, reversible: flags separated by one space, system flags first in the order of enum
 * flag_bit, then the keywords. A keyword that holds a space, `"`, `(`, `)` or a backslash other
 * than the first byte is quoted ("a b" with `\"` and `\\`), so that a list cannot be forged
 * with a keyword. Nothing is added for no flags.
 */
void flags_format(const struct flags *f, struct buf *out);
/*
 * Add every flag of such a text, with or without parentheses around it, blanks in any number.
 * False if something was left out (see flags_add()) or a quote was not closed; the rest is added.
 */
bool flags_add_list(struct flags *f, struct bytes text);

/*
 * The same for a server: only what an IMAP atom can carry (7 bits, no specials, but `]`, which
 * servers use, is let through). Returns how many keywords had to be left out.
 */
size_t flags_format_imap(const struct flags *f, struct buf *out);

/* What to add to and remove from `from` to get `to`. Both results are initialised by the caller
 * and replaced. */
void flags_diff(const struct flags *from, const struct flags *to, struct flags *add,
		struct flags *remove);
/*
 * Three ways, flag by flag: where a side differs from `base`, that side's word holds, and two
 * sides that both differ agree, so there are no conflicts. *out is replaced.
 */
void flags_merge(const struct flags *base, const struct flags *a, const struct flags *b,
		 struct flags *out);

/*
 * The distinct flag combinations of one mailbox, so that a message costs four bytes. Ids are
 * small, given in order of first sight, never reused; 0 is "no flags". Combinations that differ
 * only in the case of a keyword are one, in the first spelling.
 */
struct flag_table;

struct flag_table *flag_table_new(void);
void flag_table_free(struct flag_table *t); /* NULL is allowed */
uint32_t flag_table_intern(struct flag_table *t, const struct flags *f);
/* `id` must come from this table. Borrowed: valid until the next intern or free. */
const struct flags *flag_table_get(const struct flag_table *t, uint32_t id);
/* How many ids there are: 0 to count - 1. At least 1. */
uint32_t flag_table_count(const struct flag_table *t);

#endif
