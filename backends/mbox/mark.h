#ifndef BACKENDS_MBOX_MARK_H
#define BACKENDS_MBOX_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/mail/maildate.h"

struct buf;
struct flags;

/*
 * What we write after the date in a `From ` line, so that a message comes back as it was. Others take no notice of what
 * stands there, and the message itself needs no fields that it did not have:
 *
 *	From MAILER-DAEMON Thu Feb 29 12:05:09 2024 mailcask length=812 lines=crlf date=2024-02-29T13:05:09+01:00 flags=\Seen
 *
 * length: bytes of the message as they lie in the file. lines: `crlf`, a CR goes before each LF; `asis`, none does. date:
 * INTERNALDATE, or `none`. flags: as flags_format(), up to the end of the line.
 */
struct mbox_mark {
	uint64_t length;
	bool add_cr;
	struct maildate date; /* never with raw text, so nothing to release */
	struct bytes flags;   /* borrowed from the line, or for writing */
};

/* The longest line that begins a message, with `From ` and the LF. */
#define FROM_LINE_MAX ((size_t)880)

/* `line` is what follows `From `, without the line's end. False: there is no such mark in it. */
bool mbox_mark_read(struct bytes line, struct mbox_mark *out);
/*
 * Add the whole line. Its own date is in UTC, the nearest one from 1970 to 2105. False: not all of
 * `flags` have room in it, and keywords were left out.
 */
bool mbox_mark_write(const struct mbox_mark *m, const struct flags *flags, struct buf *out);

#endif
