#ifndef BACKENDS_IMAP_PRIVATE_H
#define BACKENDS_IMAP_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/imap/session.h"
#include "core/imap/trace.h"
#include "core/sync/store.h"

/*
 * What the parts of the store share; nobody else includes this.
 *
 *   store.c        the table; opening, closing, names
 *   pool.c         the connections: opening, losing, keeping them busy
 *   throttle.c     servers that ask to be left alone for a while
 *   list.c         list(), exists(), which namespaces are ours
 *   changes.c      changes(): what the mailboxes hold
 *   columns.c      flags, asked for one by one
 *   fetch.c        fetch(): what to ask next, and how it is cut
 *   fetch_settle.c what became of what was asked
 *   fetch_chunk.c  the answers to one command of it, and where their bytes go
 */
#define CONNECTIONS_DEFAULT 4
#define CONNECTIONS_MAX 16

struct imap_mailbox_handle {
	struct mailbox mailbox; /* first */
	struct token token;     /* of list(), or of changes() since */
	struct buf wire;
	struct imap_mailbox_handle *next;
};

/* A session and what it is busy with. */
struct connection {
	struct imap_session *session;
	const struct imap_mailbox_handle *opened; /* by the last EXAMINE submitted; NULL: none */
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
};

static inline struct imap_store *imap_of(struct store *st)
{
	return (struct imap_store *)st;
}

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

/* --- throttle.c --- */

/*
 * To be called with every result: true when the command was refused for asking too much. It is
 * then to be asked again, as it is: the pool hands out nothing until the time has come.
 */
bool throttle_note(struct throttle *t, const struct imap_result *r);
/* -1 (ERR_RETRY, saying when to try again) when `ms` is more than a run should wait. */
int throttle_check_wait(int64_t ms, const char *text, struct err *err);

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
