#ifndef TESTS_LIB_TARGET_RIG_H
#define TESTS_LIB_TARGET_RIG_H

#include "core/base/buf.h"
#include "tests/lib/store_probe.h"

/*
 * An account on a test server, opened as a target: messages go in, and what became of each is remembered. The
 * ledger lies in a directory of its own and stays when the store is closed, so that a later opening
 * is a later run.
 */
struct target_rig {
	struct store_probe probe;
	char *index;
	struct buf notes; /* "MAILBOX: text\n" */
	struct target_outcome {
		uint32_t uid; /* the source's */
		enum outcome what;
		uint32_t new_uid;
		char *why; /* NULL: none */
	} *outcome;
	size_t n, cap;
	struct err err; /* of the call that failed last */
};

struct target_message {
	uint32_t uid;
	const char *flags; /* NULL: none */
	const char *date;  /* NULL: " 1-Feb-2020 03:04:05 +0000" */
	struct bytes body;
};

/* Nothing is opened yet: change rig->probe.account. */
void target_rig_init(struct target_rig *rig, int port, const char *user);
void target_rig_release(struct target_rig *rig);
/* A run begins; 0 or -1 (rig->err). */
int target_rig_try_open(struct target_rig *rig);
void target_rig_open(struct target_rig *rig);
void target_rig_close(struct target_rig *rig);
/* Made if need be, and opened to be written; NULL: rig->err. */
struct mailbox *target_rig_mailbox(struct target_rig *rig, const char *name);
/* Through a sink of its own; -1: rig->err. */
int target_rig_append(struct target_rig *rig, struct mailbox *mb, const struct target_message *m);
int target_rig_commit(struct target_rig *rig);
/* What was told of the message: exactly once, or the test fails. */
const struct target_outcome *target_rig_outcome(const struct target_rig *rig, uint32_t uid);
/* How many live messages the store says that it has there. */
size_t target_rig_count(struct target_rig *rig, struct mailbox *mb);

/* Which source UIDs it has there. *out is replaced. */
void target_rig_bound(struct target_rig *rig, struct mailbox *mb, struct uidset *out);

#endif
