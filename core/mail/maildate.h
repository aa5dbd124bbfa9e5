#ifndef CORE_MAIL_MAILDATE_H
#define CORE_MAIL_MAILDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct buf;

/*
 * INTERNALDATE (RFC 3501 date-time: ` 7-Feb-1994 21:52:25 -0800`, without the quotes). What the
 * server sent always comes back, byte for byte: `raw` keeps it when `unix_time` and
 * `zone_minutes` alone would not give it (`07-Feb`, `-0000`, second 60, a zone beyond 23:59,
 * year above 9999, garbage). A zeroed struct is the date NIL.
 */
struct maildate {
	int64_t unix_time; /* seconds since 1970-01-01 UTC, also outside the years 0-9999 */
	int zone_minutes;  /* east of UTC */
	bool known;         /* false: `unix_time` and `zone_minutes` are 0 and mean nothing */
	char *raw;          /* owned; NULL when maildate_format() can do without */
};

#define MAILDATE_RAW_MAX 256

void maildate_init(struct maildate *d);
void maildate_release(struct maildate *d); /* NIL afterwards */
/* Make *dst (initialised; its old value is dropped) equal to *src. */
void maildate_copy(struct maildate *dst, const struct maildate *src);

/*
 * Replace *d (initialised) by what `text` says; NIL, the atom, is the text `NIL`. Never fails: a
 * text that is no date at all is kept raw and not `known`. Returns d->known. Text is cut at a
 * NUL and after MAILDATE_RAW_MAX bytes: longer than any date.
 */
bool maildate_parse(struct maildate *d, struct bytes text);
/* Replace *d by a moment, brought to the nearest one that date-time can say (years 0-9999, zone
 * within 23:59). */
void maildate_set(struct maildate *d, int64_t unix_time, int zone_minutes);

/* What maildate_parse() was given; `NIL` for an unknown date without raw text. */
void maildate_format(const struct maildate *d, struct buf *out);
/*
 * A date-time any server takes, for APPEND, without the quotes: made anew from the moment when
 * there is raw text. False, adding nothing, when the date is not known.
 */
bool maildate_format_append(const struct maildate *d, struct buf *out);
/* For people and JSON: `1994-02-07T21:52:25-08:00`. False, adding nothing, when not known. */
bool maildate_format_rfc3339(const struct maildate *d, struct buf *out);
/*
 * The inverse, fast: replace *d (initialised) by the date without raw text for which
 * maildate_format_rfc3339() gives exactly this. False, leaving *d alone, for any other text (one
 * that is valid RFC 3339 but not written so, a year beyond 9999).
 */
bool maildate_parse_rfc3339(struct maildate *d, struct bytes text);

/* Same text, same moment, same zone. To compare moments only, compare `known` and `unix_time`. */
bool maildate_equal(const struct maildate *a, const struct maildate *b);

#endif
