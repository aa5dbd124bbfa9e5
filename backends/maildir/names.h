#ifndef BACKENDS_MAILDIR_NAMES_H
#define BACKENDS_MAILDIR_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct buf;
struct mailbox_name;

enum maildir_layout {
	LAYOUT_FS,     /* a directory below its parent's */
	LAYOUT_PLUS,   /* Maildir++: `.A.B` in the root, which itself is INBOX */
};

/* False when `text` names no layout; NULL is `fs`. */
bool layout_from_text(const char *text, enum maildir_layout *out);
const char *layout_text(enum maildir_layout layout);

/*
 * Add the directory of a mailbox, relative to the root and made of components without control
 * bytes that are none of `.`, `..`, `cur`, `new`, `tmp`, `.git` or our own and Dovecot's files, at
 * most 255 bytes each.
 * "" is the root itself. Distinct names give distinct directories, also where they are told apart
 * only by hash; the database, not the directory, says what the name is.
 *
 * `apart`: a spelling with a hash of the whole name, for when the plain one is taken
 * by another that differs only in case.
 */
void maildir_directory(const struct mailbox_name *name, enum maildir_layout layout, bool apart,
		       struct buf *out);

/* As `fs` has it for names that are too long: it lies in no other mailbox's directory. */
void maildir_directory_in_root(const struct mailbox_name *name, struct buf *out);

/* The longest path maildir_directory() makes. */
#define MAILDIR_PATH_MAX 1200

/* A component's encoding by itself, as `fs` has it: for tests and messages. */
void maildir_component(struct bytes component, enum maildir_layout layout, struct buf *out);

/*
 * A file name in cur or new: what stays the same for the life of a message, and its flag
 * letters. Info other than `2,` is no letters.
 */
struct file_name {
	struct bytes base, letters;
};
struct file_name file_name_split(struct bytes name);

/* Sorted letters for the system flags and $Forwarded, without keywords. */
struct flags;
#define LETTERS_MAX 40
void letters_from_flags(const struct flags *flags, char out[LETTERS_MAX]);
/* Whether the reader must give a file's bytes as they are: `,X` in the base name. */
bool base_says_exact(struct bytes base);

/*
 * A 64-bit mark of a file name. Sums of them stand for whole directories, so `letters` in
 * another order is another mark.
 */
uint64_t name_hash(struct bytes base, uint64_t key);
uint64_t name_mark(struct bytes base, struct bytes letters, uint64_t key);

#endif
