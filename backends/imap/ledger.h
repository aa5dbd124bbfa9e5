#ifndef BACKENDS_IMAP_LEDGER_H
#define BACKENDS_IMAP_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/sync/store.h"

/*
 * The ledger: what was put into an account, where it came from, and what is on its way there. An account cannot
 * keep that itself. One SQLite file, of one source and one target; its directory belongs to us.
 *
 *	ledger_file.c      the file: identity, schema, lock, modes, transactions
 *	ledger_box.c       mailboxes, the base, quarantine
 *	ledger_messages.c  messages
 *	ledger_find.c      messages by what they are; what removing them would lose
 *	ledger_intents.c   uploads that were begun
 *
 * A transaction begins by itself with the first change and ends with ledger_commit(), which syncs. Reading
 * sees what is not committed yet. All errors are ERR_FATAL unless it is said otherwise: a ledger that
 * cannot be trusted must not be worked with. After a failed commit only ledger_close() is left.
 *
 * Rows say what was there when we last knew; only a command to the server can tell whether it still is.
 */
struct ledger;

enum ledger_state {
	LEDGER_LIVE = 0,
	LEDGER_KEPT = 1, /* gone at the source, and kept */
	LEDGER_HELD = 2, /* the same, because the guard held the deletion back */
};

/* How a message came to be there. */
enum ledger_how {
	LEDGER_COPIED = 0,
	LEDGER_ADOPTED = 1, /* it was there, and is one of the source */
	LEDGER_ALTERED = 2, /* sent; the server keeps it in other bytes */
	LEDGER_FOUND = 3,   /* it was there; looked at only for its content */
};

/* A mailbox of the target that is written down. Read freely; see ledger_box_touch() for what may be set. */
struct ledger_box {
	int64_t id;
	struct mailbox_name name; /* as the engine calls it, with the wire form of the source */
	uint32_t uidvalidity;     /* the target's, which all UIDs here are of; 0: not known */
	struct token token;       /* the source's, at the last agreement */
	char mailboxid[MAILBOXID_SIZE];
	/* Counted with every change. `live`: all, bound to a source UID or not. `bytes`: of these. */
	uint64_t known, live, stored, kept, held, pending, bytes;
	uint64_t adopted; /* of the stored ones */
	uint64_t intents; /* uploads that were begun and not settled */
	uint64_t missing; /* how many of its rows the user was told were removed at the target */
	bool dirty;       /* to be written with the next commit */
	/* Not written down; for who asks the account. */
	bool gone;          /* the account had no such mailbox in the last list() */
	struct token there; /* what the account said of it in the last list(), if token.known */
	struct imap_mailbox_handle *handle; /* that is open on it; NULL: none */
};

/* A message. Bytes are borrowed; see where one is given out for how long. */
struct ledger_row {
	uint32_t uid;        /* the target's */
	uint32_t source_uid; /* 0: bound to none */
	enum ledger_state state;
	enum ledger_how how;
	uint64_t size;          /* bytes as on the wire, of the source's message */
	struct bytes flags;     /* as last agreed, a text of flags_format() */
	struct bytes date;      /* a text of maildate_format() */
	struct bytes sha256;    /* n is 0: not known */
	struct bytes identity;  /* as in struct message; n is 0: none */
};

/* A row in memory of its own; all zero before the first use. */
struct ledger_copy {
	int64_t box;
	struct ledger_row row;
	struct buf bytes;
};
void ledger_copy_release(struct ledger_copy *c);

/* --- ledger_file.c --- */

/*
 * What the file at `path` says of itself, changing nothing; see store_ops.identify. STORE_MISSING where there is none or `path`
 * is NULL. `target`: fingerprint of the account; ERR_HELD when the file belongs to another.
 */
int ledger_identify(const char *path, const char *target, struct store_identity *out, struct err *err);
/*
 * STORE_WRITE makes it when it is missing (its directory, too), locks it (ERR_LOCKED) and upgrades an older one. STORE_READ of
 * one that is missing is *out NULL. ERR_HELD as above.
 */
int ledger_open(struct ledger **out, const char *path, const char *target, enum store_mode mode,
		struct err *err);
/* What was not committed is lost. NULL is allowed. */
void ledger_close(struct ledger *l);
const char *ledger_path(const struct ledger *l);
/* Durable when it returns: everything so far. The generation grows by one. Nothing to do: nothing done. */
int ledger_commit(struct ledger *l, struct err *err);
/* Whose mail it holds (fingerprint of the source). */
int ledger_set_account(struct ledger *l, const char *account, struct err *err);
/*
 * Drop what ties it to a source: every live message becomes a kept one, bases, identities, quarantine and intents go.
 */
int ledger_rebind(struct ledger *l, struct err *err);

/* --- ledger_box.c --- */

/* All, sorted by name; pointers to boxes hold until the box is removed or the ledger closed. */
struct ledger_box *const *ledger_boxes(const struct ledger *l, size_t *n);
/* NULL: none. */
struct ledger_box *ledger_box_find(const struct ledger *l, const struct mailbox_name *name);
struct ledger_box *ledger_box_by_id(const struct ledger *l, int64_t id);
/* A new one, without messages. There is none of that name. */
int ledger_box_add(struct ledger *l, const struct mailbox_name *name, struct ledger_box **out,
		   struct err *err);
/*
 * Another name, or the same with another wire form; there is no other box of that name. Boxes below it are not
 * touched.
 */
int ledger_box_rename(struct ledger *l, struct ledger_box *box, const struct mailbox_name *name,
		      struct err *err);
/* With all that it holds. `box` is freed. */
int ledger_box_remove(struct ledger *l, struct ledger_box *box, struct err *err);
/*
 * Its UIDs mean nothing any more: forget messages, base, quarantine and intents. `uidvalidity`: the one
 * that counts from now on, 0: not known.
 */
int ledger_box_void(struct ledger *l, struct ledger_box *box, uint32_t uidvalidity, struct err *err);
/* To be called after members were set that are written down: uidvalidity, missing. */
int ledger_box_touch(struct ledger *l, struct ledger_box *box, struct err *err);

/* As mailbox_base() and mailbox_quarantine() have it. *out is replaced. */
int ledger_base(struct ledger *l, struct ledger_box *box, struct base *out, struct err *err);
int ledger_quarantine(struct ledger *l, struct ledger_box *box, struct base *out, struct err *err);
/* As mailbox_set_base(). ERR_MAILBOX when the known UIDs lie too scattered to be remembered. */
int ledger_set_base(struct ledger *l, struct ledger_box *box, const struct base *b, struct err *err);
/*
 * One more (or one replaced) in quarantine, which the base then knows, too: found out between two
 * agreements, as when an earlier run's upload turns out to be unclear.
 */
int ledger_quarantine_add(struct ledger *l, struct ledger_box *box, const struct quarantined *q,
			  struct err *err);

/* --- ledger_messages.c --- */

/* A new row. ERR_MAILBOX when there is one of that UID. */
int ledger_insert(struct ledger *l, struct ledger_box *box, const struct ledger_row *row,
		  struct err *err);
/*
 * The row of that UID becomes what *row says: all but sha256 and identity where row->... has none, which stay. Nothing
 * happens when there is none.
 */
int ledger_replace(struct ledger *l, struct ledger_box *box, const struct ledger_row *row,
		   struct err *err);
/* Forget those of `set` that have a row. */
int ledger_delete(struct ledger *l, struct ledger_box *box, const struct uidset *set, struct err *err);
/* LEDGER_KEPT: live ones only, which are bound to nothing then. LEDGER_HELD: kept ones, too. */
int ledger_keep(struct ledger *l, struct ledger_box *box, const struct uidset *set, bool held,
		struct err *err);
/* As mailbox_renumber(). */
int ledger_renumber(struct ledger *l, struct ledger_box *box, const uint32_t *from, const uint32_t *to,
		    size_t n, struct err *err);
/* What was last agreed of the live ones in `set` moves by the delta. */
int ledger_change_flags(struct ledger *l, struct ledger_box *box, const struct uidset *set,
			const struct flag_delta *delta, struct err *err);
/* The content of a row turned out. */
int ledger_set_hash(struct ledger *l, struct ledger_box *box, uint32_t uid,
		    const uint8_t sha256[CONTENT_HASH_SIZE], struct err *err);

/*
 * Rows in ascending order of UID, kept ones too; `set` NULL: all. The row is borrowed for the call. `fn` must not
 * change rows nor look for others; -1 ends it.
 */
typedef int ledger_row_fn(void *ctx, const struct ledger_row *row, struct err *err);
int ledger_each(struct ledger *l, const struct ledger_box *box, const struct uidset *set,
		ledger_row_fn *fn, void *ctx, struct err *err);
/* All UIDs from `least` on that have a row. *out is replaced. */
int ledger_uids(struct ledger *l, const struct ledger_box *box, uint32_t least, struct uidset *out,
		struct err *err);

/* --- ledger_find.c; 1 and *out, 0 there is none, -1 --- */

int ledger_find(struct ledger *l, const struct ledger_box *box, uint32_t uid, struct ledger_copy *out,
		struct err *err);
int ledger_find_source(struct ledger *l, const struct ledger_box *box, uint32_t source_uid,
		       struct ledger_copy *out, struct err *err);
/* Of equal content and bound to nothing: a live one, else a kept one. The lowest UID. */
int ledger_find_free(struct ledger *l, const struct ledger_box *box,
		     const uint8_t sha256[CONTENT_HASH_SIZE], uint64_t size, struct ledger_copy *out,
		     struct err *err);
/*
 * Of equal content in another mailbox, live or kept, not altered; rather one with just this date text. out->box says
 * where.
 */
int ledger_find_elsewhere(struct ledger *l, const struct ledger_box *not_in,
			  const uint8_t sha256[CONTENT_HASH_SIZE], uint64_t size, struct bytes date,
			  struct ledger_copy *out, struct err *err);
/* As store_find_identity(): none when several have it, and not all of these the same known content. */
int ledger_find_identity(struct ledger *l, struct bytes identity, struct ledger_copy *out,
			 struct err *err);
/* Whether any row has an identity. */
int ledger_holds_identities(struct ledger *l, bool *out, struct err *err);

/* As removal.lost; set[i] lies in box[i]. Content that is not known counts as being nowhere else. */
int ledger_count_lost(struct ledger *l, struct ledger_box *const *box, const struct uidset *const *set,
		      uint64_t *lost, size_t n, struct err *err);

/* --- ledger_intents.c --- */

/*
 * A message that is about to be sent (or copied at the server) to a mailbox. To be committed before the first byte
 * goes out, and deleted in the transaction that has its row.
 */
struct ledger_intent {
	int64_t id;           /* given by ledger_intent_add() */
	int64_t batch;        /* those sent with one command, or together; any number */
	uint32_t order;       /* within the batch */
	uint32_t uidvalidity; /* the target's */
	uint32_t uidnext;     /* before it was sent: its UID will not be less */
	uint32_t source_uid;  /* 0: bound to none */
	uint64_t size;
	uint8_t sha256[CONTENT_HASH_SIZE];
	struct bytes message_id; /* as in the header; n is 0: it has none */
	struct bytes date, flags, identity; /* as in struct ledger_row */
	int64_t created;      /* Unix time */
};

/* intent->id is set. */
int ledger_intent_add(struct ledger *l, struct ledger_box *box, struct ledger_intent *intent,
		      struct err *err);
int ledger_intent_delete(struct ledger *l, struct ledger_box *box, int64_t id, struct err *err);

/* Those of one mailbox, by batch and order. All zero before the first use. */
struct ledger_intents {
	struct ledger_intent *v;
	size_t n, cap;
	struct buf *bytes; /* of each of v */
	size_t cap_bytes;
};
void ledger_intents_release(struct ledger_intents *in);
/* *out is replaced. */
int ledger_intents(struct ledger *l, const struct ledger_box *box, struct ledger_intents *out,
		   struct err *err);

#endif
