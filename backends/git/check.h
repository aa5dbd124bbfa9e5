#ifndef BACKENDS_GIT_CHECK_H
#define BACKENDS_GIT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/git/pack_file.h"
#include "backends/git/repo.h"
#include "core/base/err.h"
#include "core/sync/check.h"
#include "core/sync/store.h"

/*
 * Checking an archive
 *
 *	1 packs and refs from outside: heads, ends, checksums of indexes (check_packs.c)
 *	2 the base, then main: every text and tree, that they agree, that every content is there
 *	  (check_tree.c, check_box.c); with read_data every snapshot
 *	3 with read_data: every object of every pack (check_packs.c)
 *	4 if 3 found something: 2 again, to say which messages need it
 *
 * Nothing is written and no lock taken. A run at work adds packs and moves refs; what the refs named
 * when the check began stays there. Packs that vanish meanwhile were merged: their objects are
 * looked for again, and what they were merged into is looked at in their place. Where damage was
 * found and snapshots were forgotten meanwhile, it is ERR_RETRY.
 */
int gitstore_check(const struct store_config *cfg, struct check *ck, struct err *err);

/* A stored object that is not what it should be. */
struct fault {
	struct object_id id;
	char *why;
	bool told; /* somebody needs it, and that was said */
	bool good_copy; /* readers find a sound copy in another pack */
};

/* What the messages of a tree come to. */
struct sums {
	uint64_t live, bytes, stored, remapped;
	bool gap; /* something of it could not be read, and was told */
};

struct checking {
	struct check *ck;
	const struct store_config *cfg;
	struct repo *repo;
	struct repo_tips tips;
	struct pack **pack; /* looked at from outside; the set keeps those that vanish */
	size_t n_packs, cap_packs;
	bool vanished; /* one of them before it was looked at, or read where all is read */
	struct fault *fault;
	size_t n_faults, cap_faults;
	struct pack_table faulty; /* `where`: index into `fault` */
	bool naming;              /* only to say who needs what is faulty */
	/* Of the snapshot being looked at. */
	uint64_t snapshot;  /* a number, ascending */
	bool is_base;       /* all of it is looked at: also what other snapshots have, too */
	char when[64];      /* " (in the snapshot ...)"; "" for the base */
	struct pack_table told;  /* objects that are named already; `where`: by which snapshot */
	struct pack_table seen;  /* trees and pairs of trees that are sound; `where`: index into sums */
	struct sums *sums;
	size_t n_sums, cap_sums;
};

/* Advices, in words that are true: tests/live/test_check_git.c follows them. */
extern const char check_advice_content[]; /* a message's bytes */
extern const char check_advice_lists[];   /* what the archive says of messages */
extern const char check_advice_texts[];   /* sound objects that say what cannot be */

/* `mailbox`, `id` may be NULL, `uid` 0. The snapshot's `when` is added to `what`. */
void check_tell(struct checking *c, const char *mailbox, uint32_t uid, const struct object_id *id,
		const char *what, const char *advice);
/* Something could not be read: an object's id, and why. Told once for each snapshot that comes first with it. */
void check_unreadable(struct checking *c, const char *mailbox, const struct object_id *id,
		      const char *what, const struct err *why);
/* Whether to tell of this object now: not when a newer snapshot had it, too. */
bool check_is_news(struct checking *c, const struct object_id *id);
/* Time is up, or the run is to be stopped: -1 with ERR_STOPPED for that, 1, or 0 to go on. */
int check_go_on(struct checking *c, struct err *err);

/* --- check_packs.c --- */

int check_pack_ends(struct checking *c, struct err *err);
int check_pack_data(struct checking *c, struct err *err);
/* Whether the object is there: 1, 0, -1. */
int check_is_there(struct checking *c, const struct object_id *id, struct err *err);
/* Packs whose index is missing, which may be all that is wrong. For when there is damage. */
void check_tell_lost_indexes(struct checking *c);

/* --- check_tree.c --- */

/* -1 for an archive of a newer mailcask: what this one would say of it is not true. */
int check_refuse_newer(struct checking *c, struct err *err);
/* A commit, with all that it holds and a newer one that was looked at did not. *parent: zeros, none. */
int check_commit(struct checking *c, const struct object_id *id, struct object_id *parent,
		 struct err *err);
/* A tree's bytes into `data`. False when they cannot be had, which is told. */
bool check_read_tree(struct checking *c, const char *mailbox, const struct object_id *id,
		     struct buf *data);

/* --- check_box.c --- */

/* The directory of a mailbox. */
int check_box(struct checking *c, const char *dir, const struct object_id *tree, struct err *err);

/* --- check_leaf.c --- */

struct uidset_builder;
/*
 * The trees `messages` and `flags` of a mailbox (zeros: there is none) against each other. *sources
 * takes the source UIDs, when this is the base.
 */
int check_messages(struct checking *c, const char *mailbox, const struct object_id *messages,
		   const struct object_id *flags, struct sums *sums,
		   struct uidset_builder *sources, struct err *err);
/* A message's content: that it is there, or, when naming, that it is not faulty. `size`: what is said of it. */
int check_content(struct checking *c, const char *mailbox, uint32_t uid, uint64_t size,
		  const struct object_id *id, struct err *err);

#endif
