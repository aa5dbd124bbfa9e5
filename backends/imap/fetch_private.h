#ifndef BACKENDS_IMAP_FETCH_PRIVATE_H
#define BACKENDS_IMAP_FETCH_PRIVATE_H

#include "core/base/buf.h"
#include "core/imap/commands.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/msgset/uidset.h"
#include "core/sync/identity.h"

#include "backends/imap/private.h"

/*
 * One fetch(): its mailboxes, and the commands ("chunks") that are under way for them. A UID is,
 * at any moment, in exactly one of: a set of its box that is still to be asked, a chunk,
 * `settled`, or known not to matter.
 */
enum chunk_kind {
	CHUNK_BODIES,
	CHUNK_SINGLE,   /* BODIES of one message that gave trouble */
	CHUNK_ISOLATED, /* SINGLE on a line of its own, since the line was lost on it before */
	CHUNK_PRESENCE, /* which of them does the server know? */
	CHUNK_SEARCH,   /* which are there? */
};

struct cut {
	uint32_t uid;
	unsigned times;
};

struct fetch_box {
	struct fetch *fetch;
	struct want *want;
	struct imap_mailbox_handle *mb;
	bool over;
	bool members_known; /* `want->set` was exact, or a search told the members */
	bool doubtful;      /* not to be judged by the count alone */
	bool examined;
	bool search_first;  /* before anything else is asked */
	bool search_failed; /* it found fewer than there are */
	bool turned_away;   /* EXAMINE was refused for asking too much */
	uint32_t exists, uid_next; /* of the first EXAMINE */
	bool exists_known;
	uint64_t shown, removed; /* by the cross-check of a search */
	struct uidset todo;     /* to be asked in chunks */
	struct uidset *redo;    /* pieces of what was refused as a whole */
	size_t n_redo, cap_redo;
	struct uidset missing;  /* left out of an answer that said OK */
	struct uidset singles;  /* to be asked one by one */
	struct uidset isolated; /* the same, with nothing else on the line */
	struct uidset present;  /* in trouble, but the server answers about them */
	struct uidset found;    /* in trouble, but a search found them */
	struct uidset settled;  /* reported, or found not to exist */
	uint64_t delivered;
	unsigned refusals;      /* in a row */
	unsigned under_way;     /* chunks */
	unsigned asking_losses;   /* how often the line was lost at what is not about a message */
	struct cut *cuts;
	size_t n_cuts, cap_cuts;
};

struct fetch {
	struct imap_store *st;
	struct fetch_box *box;
	size_t n, left;
	struct fetch_box **open; /* those not known to be over, in order */
	size_t n_open;
	const struct message_sink *sink;
	outcome_fn *report;
	void *ctx;
	struct pool_job job;
	bool failed; /* the sink cannot go on: `fatal` */
	struct err fatal;
	unsigned commands;         /* for bodies, in all */
	size_t rests;              /* boxes with something in `todo` */
	uint64_t bytes, messages;  /* received */
	uint64_t expected;         /* messages still to come, as far as known */
};

enum passage {
	PASSAGE_NONE,  /* between messages, or this one is not for us */
	PASSAGE_HELD,  /* its UID is not known yet: kept in `held` */
	PASSAGE_OPEN,  /* into the sink */
	PASSAGE_WHOLE, /* all in the sink, but its flags did not come yet */
};

/* What a server said of a message in a response without the body, or without all the rest. */
struct told_apart {
	uint32_t uid; /* 0: nothing */
	bool flags_known, date_known, size_known;
	uint64_t size; /* RFC822.SIZE */
	struct flags flags;
	struct maildate date;
	char identity[IDENTITY_MAX + 1]; /* "": not told */
};

struct chunk {
	struct fetch_box *box;
	struct connection *conn;
	enum chunk_kind kind;
	struct uidset asked;
	struct uidset got; /* settled by this chunk; ascending, so that adding is cheap */
	enum passage passage;
	uint32_t uid;
	void *handle;
	struct buf held;
	struct told_apart apart;
	uint32_t empty_uid; /* whose body came with no bytes, and which is not settled yet; 0: none */
	uint32_t cut_uid; /* whose body was coming when the line was lost */
};

/* --- fetch_chunk.c --- */

/* The item that says which messages are the same; 0 where the server has no such thing. */
unsigned identity_items(const struct imap_session *s);
/* Submit on k->conn, whose mailbox is open or opening. Takes `k` over, also on -1. */
int chunk_submit(struct chunk *k, struct err *err);

/* --- fetch.c --- */

/* When nothing is left to be asked: it is complete. */
void box_check_end(struct fetch_box *b);

/* --- fetch_settle.c --- */

/* How often the line may be lost on a message, or on opening a mailbox, before that is to blame. */
#define CUTS_MAX 3

/* The fate of one message. `k` may be NULL. */
void box_settle(struct fetch_box *b, struct chunk *k, uint32_t uid, enum outcome what,
		const struct err *why);
void box_end(struct fetch_box *b);
/* As box_end(), with what is to be said of it. */
void box_fail(struct fetch_box *b, const struct err *err);
/* Changes of `todo` go through these, which count the boxes that have something there. */
void todo_add(struct fetch_box *b, const struct uidset *set);
void todo_subtract(struct fetch_box *b, const struct uidset *set);
/* A chunk ended; `k` is freed by the caller afterwards. */
void box_chunk_done(struct fetch_box *b, struct chunk *k, const struct imap_result *r);
/* The same for CHUNK_SEARCH. */
void box_found(struct fetch_box *b, struct chunk *k, const struct uidset *found,
	       const struct imap_result *r);
/* The server counts more messages than it can be made to show. */
bool box_falls_short(const struct fetch_box *b);
/* Between LIST, which gave the upper bound of what is wanted, and EXAMINE, which counted. */
static inline bool arrived_meanwhile(const struct fetch_box *b)
{
	return (uint64_t)b->uid_next != (uint64_t)uidset_max(b->want->set) + 1;
}

#endif
