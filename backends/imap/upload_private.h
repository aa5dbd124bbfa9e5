#ifndef BACKENDS_IMAP_UPLOAD_PRIVATE_H
#define BACKENDS_IMAP_UPLOAD_PRIVATE_H

#include "core/imap/response.h"

#include "backends/imap/ledger.h"
#include "backends/imap/spool.h"
#include "backends/imap/write_private.h"

/* How long the session of a line that was lost may still be storing what it had got. */
#define SETTLE_MS ((int64_t)1000)

/*
 * Messages into an account. The way of one:
 *
 *   sink --> gathered --> batch, queued --> written down, sent --> answered --> a row in the ledger, told
 *     |                     ^                                        |
 *     | refused here        |  halved, or alone                      | refused
 *     |                     +----------------------------------------+--> told
 *     |                     ^                                        | no answer, or no UID with it
 *     |                     +--- is not there ---- looked for -------+
 *     |                                                \-- is there --> a row, told
 *     \-- told                                          \-- nobody can say which --> told, never sent again
 *
 *   upload.c         the sink, what is refused here, batches as they fill
 *   upload_copy.c    batches of what another mailbox has: copied at the server
 *   upload_send.c    batches out, one after the other; the pump
 *   upload_answer.c  what became of a batch
 *   upload_find.c    which of several messages are there
 *   upload_intents.c what an earlier run had begun
 *
 * Invariants
 *  1. Before the first byte of a message goes out, its intent is durable; it goes in the transaction that brings the
 *     message's row, or once it is proven that the message is not there.
 *  2. What has an intent and may have been stored is looked for before it is sent again.
 *  3. Every message is told of once.
 */

enum upload_state {
	UPLOAD_WAITING,
	UPLOAD_SENT,
	UPLOAD_STORED,   /* `uid` */
	UPLOAD_TAKEN,    /* the server said OK, and not under which UID */
	UPLOAD_REFUSED,  /* `why` */
	UPLOAD_LOST,     /* no answer */
	UPLOAD_UNCLEAR,  /* it may be there, and is not sent again: `why` */
};

/* Who is told of the messages that came by one append(). */
struct upload_sink {
	struct imap_mailbox_handle *mb;
	outcome_fn *report;
	void *ctx, *tag;
	struct upload_sink *next;
};

struct upload {
	struct upload *next, **link; /* of all that are not told yet */
	const struct upload_sink *by;
	struct imap_mailbox_handle *mb;
	uint32_t source_uid;   /* 0: it will be bound to none */
	uint32_t called;       /* what report() calls it */
	struct spool body;
	bool complete;         /* it counts in uploads.bytes, and has to be told of */
	uint64_t read_at;      /* so much of it was handed over */
	struct flags flags;    /* as they are sent */
	struct maildate date;
	struct buf text;       /* what the next three point into */
	struct bytes flags_text, date_text, identity; /* as the ledger has them */
	uint32_t from_uid;     /* in a batch of copies: of which message */
	int64_t intent;        /* 0: none is written down */
	enum upload_state state;
	uint32_t uid;
	enum ledger_how how;
	unsigned losses;       /* lines that were lost with it */
	bool without_keywords; /* they were dropped, since the server may have refused it for them */
	struct err why;
	enum imap_code code;   /* of a refusal */
	bool bad;              /* it was BAD, not NO */
};

struct upload_batch {
	struct upload_batch *next;
	struct imap_mailbox_handle *mb;
	struct upload *v[UPLOAD_BATCH_MESSAGES];
	size_t n;
	struct imap_mailbox_handle *from; /* copied from there at the server; NULL: they are sent */
	size_t unanswered;     /* commands under way */
	bool intended;         /* its intents are durable */
	bool multi;            /* it went out as one command */
	bool wait;             /* no literal goes before the server asks for it */
	bool alone;            /* nothing else is under way meanwhile */
	bool first;            /* nothing else follows before it is answered */
	bool throttled;
	bool moved;            /* an answer spoke of another UIDVALIDITY */
};

struct upload_batches {
	struct upload_batch *first, **last;
};

struct uploads {
	struct upload_sink *sinks;
	struct upload *all;
	struct upload_batches queued, sent[WRITER_LINES]; /* sent: over each line, to one mailbox */
	unsigned scan;         /* of the queue, the last one */
	uint64_t bytes;        /* of all messages that were not told of yet and are complete */
	int64_t number;        /* of the last batch, for the ledger */
	unsigned overquota;    /* messages refused for that, in a row */
	bool full;             /* the account is: `words` */
	struct err words;
	unsigned bad_multis;   /* MULTIAPPENDs that were answered by BAD */
	char *dir;             /* for large messages */
	bool no_copies;        /* the server does not keep dates when it copies */
	struct err failed;     /* nothing goes any more; kind ERR_NONE: it does */
};

/* --- upload.c --- */

/* The account has it under that UID: a row, and the outcome told. Frees it, but with -1. */
int upload_done(struct imap_store *st, struct upload *u, struct err *err);
/* It was not stored, for sure or as far as can be told: the intent goes. Frees it. */
int upload_not_done(struct imap_store *st, struct upload *u, enum outcome what, const struct err *why,
		    struct err *err);
/* Nothing more for this mailbox in this run: what waits for it is told, and who brings more. */
int uploads_fail_mailbox(struct imap_store *st, struct imap_mailbox_handle *mb, const struct err *why,
			 struct err *err);
/* The same, and what `b` has is told; it may be there, so its intents stay for the next run. Not freed. */
int batch_give_up(struct imap_store *st, struct upload_batch *b, const struct err *why, struct err *err);
/* The same for all of the account. */
int uploads_set_full(struct imap_store *st, const struct err *words, struct err *err);

/*
 * A message that the mailbox has becomes the one that the rest is of: its flags do, at the server too; its date
 * cannot.
 */
int upload_take_over(struct imap_mailbox_handle *mb, const struct ledger_row *found, uint32_t source_uid,
		     struct bytes flags, struct bytes date, struct bytes identity, struct err *err);

/* --- upload_send.c --- */

struct upload_batch *batch_new(struct imap_mailbox_handle *mb);
void batch_free(struct upload_batch *b); /* not the messages; NULL is allowed */
void batches_append(struct upload_batches *list, struct upload_batch *b);
/*
 * Serve the connection, without waiting for it; then wait until at most `most` bytes are not answered.
 * UINT64_MAX: do not wait.
 */
int uploads_pump(struct imap_store *st, uint64_t most, struct err *err);

/* --- upload_copy.c --- */

/* A batch of copies, waited for. Frees it; what could not be copied is queued to be sent. */
int batch_copy(struct imap_store *st, struct upload_batch *b, struct err *err);

/* --- upload_answer.c --- */

/* Messages that are sent (again) before all others, in their order. */
void batch_requeue(struct imap_store *st, struct upload **v, size_t n);

/* All commands of `b` were answered, or the line was lost. Frees it. */
int batch_settle(struct imap_store *st, struct upload_batch *b, struct err *err);

/* --- upload_find.c --- */

/* A message that may have come to a mailbox. */
struct claim {
	uint64_t size;
	const uint8_t *sha256;
	struct bytes message_id; /* n is 0: none */
	const struct maildate *date;
	/* Out: */
	uint32_t uid; /* 0: it is not there */
	bool altered; /* in other bytes, but it can only be this one */
	bool unclear; /* several could be it */
};
/*
 * Find each among what came to `mb` under `least` or a higher UID and has no row. `certain`: the server said that
 * it has them, so size and Message-ID will do where they fit one only. `wait_ms`: look again for so long while one
 * is missing.
 */
int claims_find(struct imap_store *st, struct imap_mailbox_handle *mb, uint32_t least, struct claim *v,
		size_t n, bool certain, int64_t wait_ms, struct err *err);

/* --- present.c --- */

/* As ledger_find_free(), of what is there: a kept message that is not any more is forgotten. */
int present_find_free(struct imap_store *st, struct imap_mailbox_handle *mb,
		      const uint8_t sha256[CONTENT_HASH_SIZE], uint64_t size, struct ledger_copy *out,
		      struct err *err);

#endif
