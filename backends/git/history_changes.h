#ifndef BACKENDS_GIT_HISTORY_CHANGES_H
#define BACKENDS_GIT_HISTORY_CHANGES_H

#include <stddef.h>
#include <stdint.h>

#include "backends/git/history.h"
#include "core/base/bytes.h"

enum change_kind {
	CHANGE_ADDED,
	CHANGE_REMOVED,
	CHANGE_MOVED,   /* gone from one mailbox and come to another, with the same content */
	CHANGE_FLAGS,
	CHANGE_CREATED, /* a mailbox; one that was renamed and changed is created, and its messages moved */
	CHANGE_DELETED,
	CHANGE_RENAMED, /* a mailbox, with all it holds unchanged */
};

/* What is different in one snapshot from another. Borrowed for the call. */
struct change {
	enum change_kind kind;
	const struct mailbox_name *mailbox; /* where it is, or where it was */
	uint32_t uid;
	/* CHANGE_MOVED, CHANGE_RENAMED: where it is now. */
	const struct mailbox_name *to;
	uint32_t to_uid;
	/* CHANGE_FLAGS: as flags_add_list() takes them. */
	struct bytes old_flags, flags;
};

typedef int change_fn(void *ctx, const struct change *c, struct err *err);
/*
 * Everything live that differs in snapshot number `now` from number `old`, which may be the newer one: mailboxes, then messages
 * removed and moved, added, and with other flags, each by mailbox (its directory) and UID. A message of the same content
 * under another UID of the same mailbox is no difference. -1 of `fn` ends it.
 */
int history_changes(struct history *h, size_t old, size_t now, change_fn *fn, void *ctx,
		    struct err *err);

#endif
