#ifndef BACKENDS_IMAP_CHANGES_PRIVATE_H
#define BACKENDS_IMAP_CHANGES_PRIVATE_H

#include "core/imap/commands.h"
#include "core/msgset/uidset.h"

#include "backends/imap/private.h"

/*
 * One changes(): changes.c asks, a look at a time; changes_judge.c makes of the answers what to ask
 * next, or what to tell.
 */
struct listed {
	uint32_t uid;
	uint32_t flags;
	uint32_t size; /* as struct entry has it */
	size_t order; /* the last word on a message counts */
};

enum stage { STAGE_WAITS, STAGE_ASKED, STAGE_DONE };

/* What the mailbox is asked. */
enum look {
	LOOK_CHANGES, /* what came or changed since the last agreement */
	LOOK_SAMPLE,  /* then perhaps: the UIDs of some message numbers */
	LOOK_LEFT,    /* and which of the known UIDs are left */
	LOOK_COUNTS,  /* and how many have each flag, when that is wanted */
	LOOK_COLUMNS, /* or which messages do, where no mod-sequence tells of changes */
	LOOK_FLAGS,   /* then: the flags of those where that is another answer than it was */
	LOOK_ALL,     /* everything */
};

struct comparison {
	struct comparing *all;
	struct changes_request *req;
	struct imap_mailbox_handle *mb;
	struct connection *conn; /* while ASKED */
	enum stage stage;
	enum look look;
	bool only_examine;
	bool examined; /* `now` is filled in */
	bool from_scratch_once;
	unsigned changes_tries;
	bool turned_away; /* EXAMINE was refused for asking too much */
	bool uids_moved;  /* UIDVALIDITY is not what it was when `v` began */
	unsigned looks;
	unsigned losses; /* of the line, while this was the next to be answered */
	uint32_t asked_below; /* UIDs below this one were asked for, or need not be */
	uint32_t ask_below;   /* what this look asks up to */
	uint64_t modseq;      /* of the first EXAMINE */
	struct imap_mailbox now; /* numbers of the last EXAMINE; nothing in it is owned */
	struct listed *v;
	size_t n, cap;
	int64_t *dates; /* by listed.order, when asked to describe; else NULL */
	size_t cap_dates;
	/* LOOK_CHANGES and what follows. */
	struct uidset vanished;         /* of those known */
	uint32_t came;                  /* how many of `v` were not known */
	uint32_t left;                  /* how many of the known there must be */
	struct uidset numbers, unclear; /* as in vanished.h */
	struct uidset_builder found;    /* by the searches of this look */
	unsigned searches;              /* of them, under way */
	bool doubtful;                  /* one of them failed, or something stirred meanwhile */
	uint64_t counts[FLAG_BITS];     /* told in this look */
	/* LOOK_COLUMNS: see columns.c. */
	struct flags in_use; /* FLAGS of the last EXAMINE, kept only where it is needed */
	struct column *columns;
	size_t n_columns;
	struct uidset differ; /* UIDs that have a flag they had not, or the other way round */
};

/* A flag to be asked for. */
struct column {
	char *criteria;
	const struct uidset *then; /* who had it; NULL: nobody */
	bool listed; /* the server's FLAGS has it, or it is a system flag */
};

struct comparing {
	struct imap_store *st;
	struct comparison *v;
	size_t n, left;
	size_t waiting; /* none before this one waits */
	size_t to_ask;
	struct pool_job job;
};

/* It asks about what was known, whatever UIDNEXT is. */
static inline bool comparison_asks_known(const struct comparison *k)
{
	return k->look != LOOK_CHANGES && k->look != LOOK_ALL;
}

/* --- changes.c --- */

/* Told: nothing more is asked of it. */
void comparison_finish(struct comparison *k);
/* It will be asked again, with k->look. */
void comparison_wait(struct comparison *k);

/* --- changes_judge.c --- */

/* From the start, with this look. */
void comparison_begin(struct comparison *k, enum look look);
/* All below UIDNEXT was asked for: tell it, or say what else to ask. */
void comparison_judge(struct comparison *k, bool damaged, bool expunged);
/* The searches of this look found these; false: one of them failed. The same. */
void comparison_judge_search(struct comparison *k, const struct uidset *found, bool good,
			     bool expunged);
/* The counts of this look are in k->counts, if `good`. The same. */
void comparison_judge_counts(struct comparison *k, bool good, bool expunged);
/* The searches of LOOK_COLUMNS were answered; the flags of k->differ were. The same. */
void comparison_judge_columns(struct comparison *k, bool good, bool expunged);
void comparison_judge_flags(struct comparison *k, bool damaged, bool expunged);

/* --- columns.c --- */

/* Whether flag by flag is less to tell than message by message, as far as the base shows. */
bool columns_pay(const struct comparison *k);
/* What LOOK_COLUMNS has to ask, from k->in_use. False: a flag cannot be searched for. */
bool columns_prepare(struct comparison *k);
/* Who has the flag of this column: note who had not. False: the server does not list what it uses. */
bool columns_take(struct comparison *k, size_t column, const struct uidset *found);
/* Whether a flag is in use that was not asked for. */
bool columns_outdated(const struct comparison *k);
void columns_release(struct comparison *k);

/* The token of the last EXAMINE into the answer. */
void comparison_tell_token(struct comparison *k);

#endif
