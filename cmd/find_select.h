#ifndef CMD_FIND_SELECT_H
#define CMD_FIND_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

struct find_index;
struct mailbox;
struct search;
struct uidset;

#define CONTENT_MAX 64 /* bytes that a store knows a message's bytes by; longer ones do not exist */

/* A message that was found, or may be. */
struct find_message {
	uint32_t uid;
	uint64_t size;
	struct flags flags;
	struct maildate date;
	uint8_t content[CONTENT_MAX];
	uint8_t content_size;
	uint32_t id; /* in the index; 0: not there yet, or it cannot be read */
};

struct find_messages {
	struct find_message *v; /* ascending by UID */
	size_t n, cap;
};

void find_messages_release(struct find_messages *f);

/* A message that cannot be read: it is one of those only if what the store says of it is enough to tell. */
typedef void find_trouble_fn(void *ctx, uint32_t uid, const struct err *why);

/*
 * Those of the messages `uids` of `mb` for which all of *s holds, into *out (zeroed), each in the index if it can be read. What is not in it
 * is read and added. When the index fails, it begins again with another one.
 */
int find_select(const struct search *s, struct find_index *ix, struct mailbox *mb,
		const struct uidset *uids, struct find_messages *out, find_trouble_fn *trouble,
		void *ctx, struct err *err);

#endif
