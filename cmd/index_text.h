#ifndef CMD_INDEX_TEXT_H
#define CMD_INDEX_TEXT_H

#include "core/base/buf.h"

/*
 * What the index of `find` keeps of a message: its header as one reads it and as one compares it (decode_fold()), and
 * its words. However hostile the mail, it costs no more than a little work for each byte that is looked
 * at, and gives no more than the limits below.
 */
#define INDEX_MESSAGE_MAX ((size_t)1 << 20) /* of a message so much is looked at */
#define INDEX_FIELD_MAX ((size_t)1 << 16)   /* of all fields of a kind together */
#define INDEX_TEXT_MAX ((size_t)1 << 18)    /* of the text, decoded */

struct index_text {
	/* For showing. message_id and sent (RFC 3339) are "" where there is none. */
	char *name, *from, *subject, *message_id, *sent;
	/* For comparing: fields decoded and folded, one a line. Of IDs, without <>, not folded. */
	struct buf from_folded, to_folded, subject_folded, ids;
	/* For words: names and subject, with those of attached files; and the text. */
	struct buf head, body;
};

/* `message` is its beginning, INDEX_MESSAGE_MAX bytes or all of it. */
void index_text_read(struct index_text *out, struct bytes message);
/* The same of its header alone: `body` is empty, and names of attached files are not in `head`. */
void index_text_read_header(struct index_text *out, struct bytes message);
void index_text_release(struct index_text *t);

#endif
