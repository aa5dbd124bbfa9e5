#ifndef CMD_ROW_H
#define CMD_ROW_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct flags;
struct json_t;
struct maildate;

/* Columns of a table of messages, for `ls` and `find`. */
#define ROW_NAME_WIDTH ((size_t)22)

/* "SAFDT+", a letter for each flag, the last for keywords. */
void row_add_letters(struct buf *out, const struct flags *flags);
/* In local time; of a date that is none, as much of its text as there is room for. */
void row_add_date(struct buf *out, const struct maildate *date);
/* Decoded text of a stranger, which is freed; `last` as columns_add_last(). */
void row_add_text(struct buf *out, char *decoded, size_t width, bool last);
/* A date as RFC 3339, or as it is; nothing when there is none. */
void row_json_moment(struct json_t *event, const char *name, const struct maildate *date);

#endif
