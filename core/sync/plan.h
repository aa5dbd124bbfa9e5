#ifndef CORE_SYNC_PLAN_H
#define CORE_SYNC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/store.h"

/*
 * The planner: what would make one target mailbox equal to its source. Pure: no I/O, three inputs
 * in, a plan out. One way: the source's word holds, the target's own changes are set back.
 */
struct plan_input {
	/*
	 * What the source holds now. NULL: proven unchanged since base->token, so that the base
	 * says it all: base->known is the set, the target's base flags are the flags.
	 */
	const struct changes *source;
	const struct base *base;
	const struct changes *target; /* NULL: the target has nothing of it */
	/*
	 * Both tell sizes exactly: two messages of one UID and of different sizes are not the same, so
	 * that the UIDs mean nothing. (Servers tell sizes that are not quite right.)
	 */
	bool check_sizes;
	int64_t now; /* Unix time: decides what of the quarantine is tried again */
	/*
	 * Source UIDs of messages that are kept, and that prune-server is removing from the source: not fetched
	 * again. NULL: none.
	 */
	const struct uidset *leaving;
};

/*
 * One STORE: the same flags for many messages. With nothing to add or remove it makes the flags
 * that both sides have the base's.
 */
struct flag_change {
	struct flag_delta delta;
	struct uidset set; /* target UIDs */
};

struct plan {
	struct uidset fetch; /* source UIDs to transfer */
	bool fetch_exact;    /* false: an upper bound, see struct want */
	uint64_t expect;     /* how many messages that will be */
	struct flag_change *flags;
	size_t n_flags, cap_flags;
	uint64_t flags_changed; /* messages in them */
	struct uidset gone;        /* target UIDs of messages proven gone at the source */
	struct uidset gone_source; /* their source UIDs */
	/*
	 * Target UIDs of live messages bound to no source UID, since what they were bound to is not
	 * recognised. What comes from the source may turn out to be one of them; those that are left are
	 * gone, so with proof they are in `gone`, too.
	 */
	struct uidset unbound;
	struct uidset present;     /* source UIDs stored at the target and still at the source */
	struct uidset leaving;     /* of in->leaving, those that are at the source still, and nowhere live here */
	uint64_t mismatched; /* see check_sizes: this plan must not be carried out */
	uint64_t resting; /* in quarantine, to be tried again, but not yet: not in `fetch` */
	bool doubt; /* the source's answer proves nothing about absence: no deletions planned */
};

void plan_init(struct plan *p);
void plan_release(struct plan *p);
void plan_mailbox(const struct plan_input *in, struct plan *out);

/* Whether there is nothing to do. */
bool plan_is_empty(const struct plan *p);

#endif
