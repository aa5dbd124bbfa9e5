#ifndef BACKENDS_GIT_MAILBOX_TEXT_H
#define BACKENDS_GIT_MAILBOX_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/mail/mailbox_name.h"
#include "core/msgset/uidset.h"
#include "core/sync/store.h"

struct buf;
struct err;

/*
 * The file `mailbox` of a mailbox: lines `key: value` (README.md, Formats).
 *
 * known(base) = (source UIDs of live messages + quarantined UIDs + known_also) - known_not.
 */
#define MAILBOX_TEXT_MAX ((size_t)64 << 20) /* as LEAF_TEXT_MAX */

struct mailbox_text {
	struct mailbox_name name;
	unsigned attributes; /* enum mailbox_attributes, MAILBOX_SUBSCRIBED among them */
	struct token token;  /* of the last agreement */
	char mailboxid[MAILBOXID_SIZE];
	uint64_t live;       /* messages that are not kept */
	uint64_t bytes;      /* their sizes together */
	uint64_t stored;     /* of them, bound to a source UID */
	uint64_t known;      /* how many UIDs known(base) has: it cannot be told without the flags files */
	uint64_t remapped;   /* of `live`, whose source UID is not their UID (0 is not) */
	uint64_t kept;
	uint64_t held;       /* of `kept` */
	uint64_t pending;    /* quarantined and not accepted */
	struct uidset known_also, known_not;
	char *more_attributes; /* words we do not know, written back; owned, NULL for none */
	char *extra;           /* lines we do not know, written back; owned, NULL for none */
};

void mailbox_text_init(struct mailbox_text *m);
void mailbox_text_release(struct mailbox_text *m); /* as initialised afterwards */
/* Make *dst (initialised; its old value is dropped) equal to *src. */
void mailbox_text_copy(struct mailbox_text *dst, const struct mailbox_text *src);

/*
 * Replace *out (initialised) by what the file in directory `dir` (layout_dir()) says, which must
 * be the directory of that name. -1 with *err (ERR_FATAL, `line 3: ...`), *out being as it was.
 */
int mailbox_text_read(struct bytes text, const char *dir, struct mailbox_text *out,
		      struct err *err);
/* Add the file: the same content gives the same bytes. */
void mailbox_text_write(const struct mailbox_text *m, struct buf *out);
/* Whether nothing differs but how far the token went: all but token.known and uidvalidity. */
bool mailbox_text_same_but_token(const struct mailbox_text *a, const struct mailbox_text *b);

#endif
