#ifndef BACKENDS_GIT_TEXT_LINE_H
#define BACKENDS_GIT_TEXT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/bytes.h"

struct buf;
struct err;

/* What the readers and writers of the archive's text files share. Private to them. */

/*
 * The next line of *rest without its end, *number counting lines from 1. Returns 1, 0 at the end,
 * -1 with *err when the text stops in the middle of a line.
 */
int text_line(struct bytes *rest, size_t *number, struct bytes *line, struct err *err);
/* `line 3: WHAT: "shown"` as ERR_FATAL; `shown` is cut and made fit for a terminal. Returns -1. */
int text_fail(size_t number, const char *what, struct bytes shown, struct err *err);

/*
 * Take from the front of *in; false (and *in as it was) when it does not begin so. Inline,
 * for most of what is taken is one byte, and a mailbox has a million of those.
 */
static inline bool text_take(struct bytes *in, const char *what)
{
	size_t n = strlen(what);

	if (in->n < n || memcmp(in->p, what, n) != 0)
		return false;
	*in = bytes_skip(*in, n);
	return true;
}

/* A decimal number as written here: no sign, no leading zero, at most `most`. */
bool text_take_number(struct bytes *in, uint64_t most, uint64_t *out);
/* Everything before the first `end`, which is dropped too. */
bool text_take_until(struct bytes *in, uint8_t end, struct bytes *out);
/* All of `in`, as a number. */
bool text_number(struct bytes in, uint64_t most, uint64_t *out);
/* Control bytes and DEL. No line of ours holds one. */
bool text_has_control(struct bytes in);
/* Words as keys are: lower-case letters, digits and `-`. */
bool text_is_word(struct bytes in);

void text_add_number(uint64_t v, struct buf *out);

/*
 * Anything as one line: `%`, control bytes and DEL are %XX, and with TEXT_QUOTED `"`, with
 * TEXT_ASCII every byte of more than 7 bits.
 */
enum text_escape { TEXT_QUOTED = 1 << 0, TEXT_ASCII = 1 << 1 };
void text_escape(struct bytes in, unsigned how, struct buf *out);
/* And back; false when a `%` begins no escape or a control byte stands as it is. */
bool text_unescape(struct bytes in, struct buf *out);
/* Bytes text_unescape() would give, none of them NUL; SIZE_MAX where it would fail or one is. */
size_t text_unescaped_size(struct bytes in);

#endif
