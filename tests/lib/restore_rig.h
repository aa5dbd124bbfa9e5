#ifndef TESTS_LIB_RESTORE_RIG_H
#define TESTS_LIB_RESTORE_RIG_H

#include "core/sync/restore.h"
#include "tests/lib/memory_store.h"

/* Restoring from one store in memory into another. */
struct restore_rig {
	struct memory_world source, target;
	struct restore_settings set; /* of a source "archive"; what the target is like is the test's to add */
	struct restore_report report; /* of the last run */
	struct err err;
};

/* `account`: whose the source says it is. */
struct restore_rig *restore_rig_new(const char *account);
void restore_rig_free(struct restore_rig *rig);
/* A run: 0 or -1 (rig->err). What is fetched and looked into is counted anew. */
int restore_rig_run(struct restore_rig *rig);
void restore_rig_succeed(struct restore_rig *rig);
/* What was reported of a mailbox; nothing is a failure. */
const struct restore_mailbox *restore_rig_line(const struct restore_rig *rig, const char *name);

#endif
