#ifndef CORE_SYNC_FOLLOW_H
#define CORE_SYNC_FOLLOW_H

#include "core/sync/job_internal.h"
#include "core/sync/renames.h"

/* Shared by follow.c (what may have been renamed, and renaming it) and follow_sample.c (is it the same?). */

#define SAMPLE_MAX 12

/* A message that both sides may have. */
struct sample {
	uint32_t own, uid; /* the target's UID, the source's */
	bool told;
	uint8_t header[CONTENT_HASH_SIZE];
};

/* A mailbox of the target that may be called otherwise at the source. */
struct candidate {
	struct mailbox *mailbox; /* NULL: not opened */
	struct changes changes;  /* with `mailbox` only */
	struct sample sample[SAMPLE_MAX];
	size_t n_samples;
};

struct following {
	struct job *job;
	struct rename_pair *pair; /* indices in job->to and job->from */
	size_t n, cap;
	struct candidate *candidate; /* of each in job->to; NULL: there is no pair */
};

/* Whether the target's mailbox `to` may be any of the source's; and no longer. */
bool follow_has(const struct following *f, size_t to);
void follow_drop(struct following *f, size_t to);
/* Look at some messages of every pair, on both sides: fills in same and other. Needs at least one pair. */
int follow_sample(struct following *f, struct err *err);

#endif
