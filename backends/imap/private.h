#ifndef BACKENDS_IMAP_PRIVATE_H
#define BACKENDS_IMAP_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/imap/session.h"
#include "core/imap/trace.h"
#include "core/sync/store.h"

#include "backends/imap/ledger.h"

/*
 * What the parts of the store share; nobody else includes this. What those that change an account share is in
 * write_private.h and upload_private.h.
 *
 *   store.c        the table; opening, closing, names
 *   pool.c         the connections: opening, losing, keeping them busy
 *   throttle.c     servers that ask to be left alone for a while
 *   list.c         list(), exists(), which namespaces are ours
 *   target.c       an account as a target: opening, names, the list merged with the ledger
 *   target_base.c  what the ledger tells of it
 *   target_look.c  what is there in truth; target_contents.c: by content; target_strangers.c: what is not ours
 *   changes.c      changes(): what the mailboxes hold
 *   columns.c      flags, asked for one by one
 *   fetch.c        fetch(): what to ask next, and how it is cut
 *   fetch_settle.c what became of what was asked
 *   fetch_chunk.c  the answers to one command of it, and where their bytes go
 */
struct writer;
struct writing;

#define CONNECTIONS_DEFAULT 4
#define CONNECTIONS_MAX 16
#define WIRE_NAME_MAX 65536 /* bytes of a mailbox name as a server spells it */

struct imap_mailbox_handle {
	struct mailbox mailbox; /* first */
	/* Of list(), or of changes() since. A target's: what the account said in list(), known or not. */
	struct token token;
	struct buf wire;
	/*
	 * A target's: what is written down of it; opened STORE_WRITE it always has one. box->uidvalidity is the one that
	 * all UIDs are of; 0 until the mailbox was selected once. NULL: nothing, and always of a source.
	 */
	struct ledger_box *box;
	enum store_mode mode;
	struct strangers *strangers; /* of the last strangers(); NULL: none yet */
	struct writing *writing; /* NULL: nothing was written to it in this run */
	struct imap_mailbox_handle *next;
};

/* A session and what it is busy with. */
struct connection {
	struct imap_session *session;
	const struct imap_mailbox_handle *opened; /* by the last EXAMINE or SELECT submitted; NULL: none */
	unsigned load;   /* pieces of work under way */
	bool alone;      /* gets nothing else until that is done */
	bool was_ready;
	bool lost_head;  /* the oldest command under way when the line was lost has been told */
};

/* What the server said of asking too much. */
struct throttle {
	int64_t until;  /* nothing is asked before, in clock_ms() time */
	unsigned times; /* in a row, without anything completed in between */
	struct err why; /* kind ERR_RETRY: it is not worth waiting for */
};

struct imap_store {
	struct store store; /* first */
	const struct imap_account *account;
	struct loop *loop;
	struct imap_trace trace;
	struct connection *conn[CONNECTIONS_MAX];
	size_t n;
	size_t most; /* connections worth having; less once the server refused one */
	uint8_t delimiter; /* of the names list() gave; 0: none yet */
	bool utf8;
	struct imap_mailbox_handle *mailboxes;
	struct throttle throttle;
	bool identities_refused; /* the server says that it has them, and would not tell them */
	/*
	 * Opened with cfg->index: what jobs put mail into. Names are then those of the engine, without `prefix`; a STORE_READ
	 * of it (a dry run) gives the same answers and changes nothing.
	 */
	bool is_target;
	enum store_mode mode;
	unsigned patience; /* in percent: of the waits of what writes */
	struct writer *writer; /* NULL: nothing was changed in this run */
	struct ledger *ledger; /* NULL: no target, or (STORE_READ) none there yet */
	struct mailbox_name prefix; /* as in struct mailbox_list */
	/*
	 * Of a target: its mailboxes as of the last list() and what happened since, under the engine's names, with
	 * the target's wire form, attributes and token (not known of those made since).
	 */
	struct mailbox_list there;
	bool listed; /* `there` and `prefix` are known */
};

static inline struct imap_store *imap_of(struct store *st)
{
	return (struct imap_store *)st;
}

/* --- store.c --- */

/* The mailbox of a target that a box is of, opened if need be. */
int imap_handle_of_box(struct imap_store *st, struct ledger_box *box, struct mailbox **out,
		       struct err *err);

/* --- pool.c --- */

/* Work that can be spread over connections. */
struct pool_job {
	/* Submit one more piece on `c`, which is ready. False: there is none for it now. */
	bool (*feed)(void *ctx, struct connection *c);
	/* Nothing is left to do, or nothing can be done. */
	bool (*done)(void *ctx);
	/* How many connections it could keep busy. */
	size_t (*wants)(void *ctx);
	void *ctx;
	uint64_t progress; /* counted up with everything completed: a lost line is then worth a new try */
};

/*
 * Run `job` to its end. Lost connections are made anew, at most three times in a row without
 * progress in between (-1, ERR_RETRY). After -1, or when the job ended itself early,
 * pool_drop_busy().
 */
int pool_run(struct imap_store *st, struct pool_job *job, struct err *err);
/* A connection that is ready, for a command or two. */
int pool_one(struct imap_store *st, struct connection **out, struct err *err);
/* Close those that still have work under way, which ends with LOST. */
void pool_drop_busy(struct imap_store *st);
/* With LOGOUT where that can be said. */
void pool_close(struct imap_store *st);
/*
 * A connection out of the pool, to keep: one that is ready and idle, or a new one that is not connected yet. It is
 * given back, or freed with connection_free().
 */
struct connection *pool_take(struct imap_store *st);
void pool_give_back(struct imap_store *st, struct connection *c);
void connection_free(struct connection *c);
/* How long to wait after so many losses in a row; -1: no longer. */
int64_t pool_backoff_ms(unsigned losses);

/* --- throttle.c --- */

/*
 * To be called with every result: true when the command was refused for asking too much. It is
 * then to be asked again, as it is: the pool hands out nothing until the time has come.
 */
bool throttle_note(struct throttle *t, const struct imap_result *r);
/* -1 (ERR_RETRY, saying when to try again) when `ms` is more than a run should wait. */
int throttle_check_wait(int64_t ms, const char *text, struct err *err);

/* --- target.c, see there --- */

int target_identify(const struct store_config *cfg, struct store_identity *out, struct err *err);
/* After the first login, so that a ledger is not made for nothing. */
int target_open(struct imap_store *st, struct err *err);
void target_close(struct imap_store *st);
/*
 * Add the name as this server spells it: of a target the engine's name, of any other store the name as it is. A target
 * that was not listed yet is. ERR_MAILBOX where it cannot have that name.
 */
int imap_wire_of(struct imap_store *st, const struct mailbox_name *name, struct buf *out,
		 struct err *err);
/* `e` into *out (initialised) as the engine calls it. False: it has no such name. */
bool target_name(const struct imap_store *st, const struct mailbox_name *wire,
		 struct mailbox_name *out);
/* st->there is what the account has: tell it together with the ledger. */
int target_list(struct imap_store *st, struct mailbox_list *out, struct err *err);
/* The handle that is open on a mailbox of a target; NULL: none, and of any other store. */
struct imap_mailbox_handle *target_handle(const struct imap_store *st, const struct mailbox_name *name);
/* The box of a mailbox that is opened. */
int target_open_box(struct imap_store *st, struct imap_mailbox_handle *mb, struct err *err);
/*
 * To be called after the account was changed so: created (or given another wire form of `name`), renamed with all below it,
 * removed. With `attributes` MAILBOX_NOSELECT it is a name only.
 */
int target_created(struct imap_store *st, const struct mailbox_name *name, unsigned attributes,
		   struct err *err);
int target_renamed(struct imap_store *st, const struct mailbox_name *from,
		   const struct mailbox_name *to, struct err *err);
int target_removed(struct imap_store *st, const struct mailbox_name *name, struct err *err);

/* --- target_base.c: the slots of struct store_ops that the ledger fills --- */

int target_base(struct mailbox *mb, struct base *out, struct err *err);
int target_quarantine(struct mailbox *mb, struct base *out, struct err *err);
int target_changes(struct store *st, struct changes_request *req, size_t n, struct err *err);
int target_holds_identities(struct store *st, bool *out, struct err *err);
int target_find_identity(struct store *st, struct bytes identity, struct held *out, struct err *err);
int target_keep(struct mailbox *mb, const struct uidset *set, bool held, struct err *err);
int target_count_lost(struct store *st, struct removal *r, size_t n, struct err *err);
int target_set_base(struct mailbox *mb, const struct base *b, struct err *err);
int target_renumber(struct mailbox *mb, const uint32_t *from, const uint32_t *to, size_t n,
		    struct err *err);
/* The ledger as it is now, and cfg->account as the source's, durable. */
int target_commit(struct store *st, struct err *err);

/* --- target_contents.c, target_strangers.c --- */

int target_contents(struct mailbox *mb, const struct uidset *set, content_fn *each, void *ctx,
		    struct err *err);
int target_strangers(struct mailbox *mb, const struct uidset *sizes, void *tag,
		     const struct message_sink *sink, struct err *err);
int target_take(struct mailbox *mb, uint32_t stranger, const struct message *msg, uint32_t *uid,
		struct err *err);
/* Give those that were taken the flags they were taken with. */
int strangers_correct(struct imap_mailbox_handle *mb, struct err *err);
void strangers_free(struct strangers *s); /* NULL is allowed */

/* --- list.c --- */

int imap_store_list(struct store *st, const char *hint, struct mailbox_list *out,
		    struct err *err);
int imap_store_exists(struct store *st, const struct mailbox_name *name, bool *out,
		      struct err *err);
/* Whether a command was refused because there is no such mailbox: by its code, or in words (Dovecot). */
bool imap_says_absent(const struct imap_result *r);

/* --- changes.c, fetch.c --- */

int imap_store_changes(struct store *st, struct changes_request *req, size_t n, struct err *err);
bool imap_store_tells_identities(struct store *st);
int imap_store_fetch(struct store *st, struct want *want, size_t n,
		     const struct message_sink *sink, outcome_fn *report, void *ctx,
		     struct err *err);

#endif
