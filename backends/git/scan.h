#ifndef BACKENDS_GIT_SCAN_H
#define BACKENDS_GIT_SCAN_H

#include "backends/git/internal.h"

/* What the store holds: its mailboxes, their messages, the last agreement. */
int gitstore_list(struct store *st, const char *hint, struct mailbox_list *out, struct err *err);
int gitstore_base(struct mailbox *mb, struct base *out, struct err *err);
int gitstore_quarantine(struct mailbox *mb, struct base *out, struct err *err);
int gitstore_set_base(struct mailbox *mb, const struct base *b, struct err *err);
int gitstore_changes(struct store *st, struct changes_request *req, size_t n, struct err *err);

#endif
