#ifndef BACKENDS_GIT_TOKENS_TEXT_H
#define BACKENDS_GIT_TOKENS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/git/layout.h"
#include "core/base/bytes.h"

struct buf;

/*
 * The file `mailcask/tokens` in the repository: of every mailbox its directory and its whole
 * `mailbox` text, newer than the one in the tree perhaps. It belongs to one tip, and only
 * saves work: one that is damaged (it ends in a SHA-256 of itself) or of another tip is as none.
 */
#define TOKENS_TEXT_MAX ((size_t)1 << 30) /* as LEAF_TEXT_MAX */

struct tokens_reader {
	struct bytes rest;
};

/* Whether `text` is whole and belongs to the commit `tip`. It stays borrowed. */
bool tokens_reader_init(struct tokens_reader *r, struct bytes text,
			const uint8_t tip[LAYOUT_ID_SIZE]);
/* The next mailbox, ascending by directory, bytewise; false at the end. */
bool tokens_next(struct tokens_reader *r, struct bytes *dir, struct bytes *mailbox);

/* Begin in an empty buf, add mailboxes ascending by directory, each once, and end. */
void tokens_begin(struct buf *out, const uint8_t tip[LAYOUT_ID_SIZE]);
void tokens_add(struct buf *out, const char *dir, struct bytes mailbox);
void tokens_end(struct buf *out);

#endif
