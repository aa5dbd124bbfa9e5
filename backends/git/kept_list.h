#ifndef BACKENDS_GIT_KEPT_LIST_H
#define BACKENDS_GIT_KEPT_LIST_H

#include "backends/git/internal.h"

/* The kept messages of a mailbox. All of these load the list first; errors as leaf.h. */
/* It ascends by UID until something is added. */
int kept_list_load(struct gitbox *box, struct err *err);
void kept_list_release(struct kept_list *k);
/* 1 and *out, which is borrowed until the next change; 0 none; -1. */
int kept_list_by_uid(struct gitbox *box, uint32_t uid, struct kept_item **out, struct err *err);
int kept_list_by_content(struct gitbox *box, const struct object_id *id, uint64_t size,
			 struct kept_item **out, struct err *err);
/* Counters included, but for those of the live message it was or becomes. */
int kept_list_add(struct gitbox *box, const struct item *item, bool held, struct err *err);
void kept_list_remove(struct gitbox *box, struct kept_item *item);
/* Into the pack under way: the id of the tree `kept`, zeros for none. */
int kept_list_write(struct gitbox *box, struct object_id *tree, struct err *err);

#endif
