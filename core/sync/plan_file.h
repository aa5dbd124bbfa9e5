#ifndef CORE_SYNC_PLAN_FILE_H
#define CORE_SYNC_PLAN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/mail/flags.h"
#include "core/msgset/uidset.h"
#include "core/sync/plan.h"

/*
 * A plan that is carried out later: what `plan -o` writes and `apply` reads. Messages are named by
 * the source's UIDs. Its text is JSON; a file is taken for hostile when it is read.
 */

/* The same flags for many messages: one item of a plan. */
struct planned_flags {
	struct flags add, remove;
	struct uidset set;
};

/* What is to be done in one mailbox. */
struct planned_mailbox {
	char *name; /* mailbox_name_text() */
	uint32_t uidvalidity;
	bool removed;   /* it no longer exists at the source: to be removed when nothing is left in it */
	uint64_t bytes; /* of what is to be fetched, as far as the source told sizes */
	struct uidset fetch, gone;
	struct planned_flags *flags;
	size_t n_flags, cap_flags;
};

/* A mailbox that is called otherwise at the source. */
struct planned_rename {
	char *from, *to; /* mailbox_name_text() */
};

struct plan_file {
	char *job;
	char *account;  /* fingerprint of the source */
	char store[37]; /* UUID of the target; "" when there was none yet */
	int64_t made;   /* Unix time */
	struct planned_rename *renames;
	size_t n_renames, cap_renames;
	struct planned_mailbox *v; /* by what they are called then */
	size_t n, cap;
};

void plan_file_release(struct plan_file *f);
/* A new, empty item; borrowed until the next one. `name` is copied. */
struct planned_mailbox *plan_file_add(struct plan_file *f, const char *name);
/* Both are copied. */
void plan_file_add_rename(struct plan_file *f, const char *from, const char *to);
bool plan_file_renames(const struct plan_file *f, const char *from, const char *to);
/* NULL when the plan says nothing of it. */
const struct planned_mailbox *plan_file_find(const struct plan_file *f, const char *name);
/* Whether any message is to be removed. */
bool plan_file_removes(const struct plan_file *f);

/* Written as a whole or not at all, readable for its owner only. */
int plan_file_write(const struct plan_file *f, const char *path, struct err *err);
/* ERR_CONFIG with what is wrong with it, ERR_MISSING when there is none. */
int plan_file_read(const char *path, struct plan_file *out, struct err *err);

/* What `plan` does, said in the source's UIDs; `target` is what it was made from. */
void planned_from_plan(struct planned_mailbox *out, const struct plan *plan,
		       const struct changes *source, const struct changes *target);

/*
 * Keep of `plan`, made now, only what `wanted` asked for; with `all_new` also everything to be
 * fetched. `wanted` NULL: it asked for nothing here. What was done since then counts as done. -1
 * (ERR_MAILBOX), saying which message: one is not as it was when the plan was made, and the mailbox
 * is to be left alone. *left_out: there was more to do.
 */
int plan_restrict(struct plan *plan, const struct changes *target, uint32_t uidvalidity,
		  const struct planned_mailbox *wanted, bool all_new, bool *left_out,
		  struct err *err);

#endif
