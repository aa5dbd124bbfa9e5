#ifndef BACKENDS_MAILDIR_KEYWORDS_H
#define BACKENDS_MAILDIR_KEYWORDS_H

#include "backends/maildir/box.h"

/*
 * Flags as letters of a file name. System flags and $Forwarded have letters of their own;
 * keywords have a to z only where Dovecot keeps its `dovecot-keywords` file, and are otherwise in
 * the index alone. Because of that a name never says all: what a reader changed is the difference
 * between the letters we wrote and the letters found.
 */
void keyword_letters_release(struct keyword_letters *k);

/* Make an empty dovecot-keywords in the mailbox's directory, unless there is one. */
int keyword_letters_begin(int dir);

#define ALL_LETTERS_MAX 72
/*
 * Letters for `flags`, sorted. Keywords without a letter get one if there is a dovecot-keywords
 * file with room. Letters of `was` that mean nothing to us stay.
 */
struct flags;
void keywords_to_letters(struct box *box, const struct flags *flags, struct bytes was,
			 char out[ALL_LETTERS_MAX]);
/* *flags held what stands for `ours`; make it what stands for `found`. */
void keywords_follow_letters(struct box *box, struct bytes ours, struct bytes found,
			     struct flags *flags);

/* The two columns that hold flags. */
void flags_from_columns(unsigned bits, struct bytes keywords, struct flags *out);
void flags_keywords_text(const struct flags *flags, struct buf *out);

#endif
