#ifndef CORE_SYNC_STORE_H
#define CORE_SYNC_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/mail/mailbox_name.h"
#include "core/msgset/uidset.h"

/*
 * What core/sync knows of a place that holds mailboxes. Every backend fills one
 * struct store_ops; callers use the store_*() and mailbox_*() wrappers below, which hold the
 * checks all stores share. Nothing in here prints, and nothing starts a thread.
 *
 * Errors: 0 or -1 with *err set. ERR_MAILBOX spoils one mailbox, ERR_RETRY the connection,
 * anything else the store.
 */
struct check;
struct compaction;
struct store;
struct mailbox;

enum store_mode { STORE_READ, STORE_WRITE };

enum store_traits {
	STORE_HOLDS_BASE = 1 << 0,  /* base and set_base work: it remembers the last agreement */
	STORE_HAS_HISTORY = 1 << 1, /* what is expunged can still be found (git) */
	STORE_ADOPTS = 1 << 2,      /* open() knows cfg->adopt */
};

/* Shared by everything in one run. Stores look at `stop` between pieces and batches. */
struct run {
	const volatile int *stop; /* not 0: end soon with ERR_STOPPED; may be NULL */
	/*
	 * Something that went well and that the user should know all the same, such as a flag that the server does
	 * not keep: one sentence, ready to print. `mailbox` may be NULL: it is about the store. May be NULL.
	 */
	void (*note)(void *ctx, const struct mailbox_name *mailbox, const char *text);
	void *note_ctx;
};

struct store_config {
	const char *name;     /* section name in the config file, for messages */
	const char *path;     /* local stores: root directory */
	const char *layout;   /* maildir: "fs" or "maildir++"; NULL: as it is, "fs" for a new one */
	const char *account;  /* fingerprint of the account it belongs to: "user@host" */
	const void *settings; /* backend's own (struct imap_account for imap), or NULL */
	/*
	 * STORE_READ of a store that keeps history: which moment to look at, as the store names it
	 * (git: a commit's id in hexadecimal). NULL: what it holds now.
	 */
	const char *snapshot;
	const struct run *run;
	bool create;        /* make it when the path is missing or an empty directory */
	/*
	 * Take a directory that is not ours; its files are candidates for pairing. STORE_READ: only look at
	 * one, so that it can be told what would be taken.
	 */
	bool adopt;
	bool rebind;        /* its base belongs to another account: drop the base, pair by content */
	bool claim_foreign; /* files others put there become messages; STORE_READ: in this opening only */
	/*
	 * STORE_READ: a job reads it like an account. list() and changes() tell the state that is there
	 * now, and a UID means the same message in every run. `create` then allows to write `index`.
	 */
	bool as_source;
	/*
	 * as_source of a directory that is not ours: the file that keeps its UIDs. STORE_WRITE of an account: the
	 * file that remembers what was put there, and what is under way; it is made when it is missing.
	 */
	const char *index;
	bool older;        /* an older state of it came back: UIDs given out since mean nothing any more */
	bool with_kept;     /* STORE_READ: kept messages are listed and fetched like live ones */
	/*
	 * STORE_READ of an account: messages may be removed from it by prune(), and nothing else changed. ERR_CONFIG
	 * from open() where its server cannot do that.
	 */
	bool prunes;
};

/* What lies at a local store's path, found without changing anything. */
enum store_presence {
	STORE_MISSING, /* no such path */
	STORE_EMPTY,   /* an empty directory */
	STORE_FOREIGN, /* something, but without our identity */
	STORE_OURS,
};

struct store_identity {
	enum store_presence presence;
	char uuid[37];       /* "" unless STORE_OURS */
	char *account;       /* fingerprint it was last used for, owned; NULL unless STORE_OURS */
	uint64_t generation; /* grows with every commit */
};

void store_identity_release(struct store_identity *id);

/* What the source said of a mailbox at one moment; all of it from one answer. 0: not told. */
struct token {
	bool known; /* false: not told at all; compare in full */
	uint32_t uidvalidity;
	uint32_t uidnext;
	uint32_t messages;
	uint64_t highestmodseq; /* 0: none, so flags may have changed unseen */
};

/*
 * What a mailbox is known by, whatever it is called (RFC 8474, MAILBOXID): up to 255 letters, digits, `_` and
 * `-`, ended by NUL. "": not told.
 */
#define MAILBOXID_SIZE 256

/* Take over what a server said. False, and out is "", when it is no such id. */
bool mailboxid_take(char out[MAILBOXID_SIZE], struct bytes id);
/* Whether both are told and differ. */
bool mailboxid_differs(const char *a, const char *b);

enum mailbox_attributes {
	MAILBOX_NOSELECT = 1 << 0, /* a name only; holds no messages (also \NonExistent) */
	MAILBOX_SUBSCRIBED = 1 << 1,
	MAILBOX_ALL = 1 << 2, /* special use, RFC 6154 */
	MAILBOX_ARCHIVE = 1 << 3,
	MAILBOX_DRAFTS = 1 << 4,
	MAILBOX_FLAGGED = 1 << 5,
	MAILBOX_JUNK = 1 << 6,
	MAILBOX_SENT = 1 << 7,
	MAILBOX_TRASH = 1 << 8,
};

struct mailbox_info {
	struct mailbox_name name;
	unsigned attributes; /* enum mailbox_attributes */
	/*
	 * A source: its state now. A store that holds a base: the source's state at the last
	 * agreement (token.known false: never agreed).
	 */
	struct token token;
	char mailboxid[MAILBOXID_SIZE]; /* as the token: the source's, now or at the last agreement */
	/*
	 * A source: why it may show only a part of the mailbox, though it says that this is all of it; borrowed from
	 * the program, a clause to print. NULL: nothing makes one think so.
	 */
	const char *limit;
	bool limited; /* with `limit`: it is not likely to be chance */
	/* The rest only of a store that holds a base. */
	uint64_t known;   /* how many source messages the base knows */
	uint64_t stored;  /* live messages bound to a source UID, known to the base or not yet */
	uint64_t adopted; /* of the stored ones, those that were there and were taken over, where the store can tell */
	uint64_t pending; /* quarantined and not accepted: to be tried again */
	uint64_t kept;    /* gone at the source, and kept */
	uint64_t held;    /* of these, because the guard held their deletion back */
	uint64_t bytes;   /* of the live messages; 0: not told without counting */
	bool touched;     /* its files changed since we last looked: compare with changes() */
};

struct mailbox_list {
	struct mailbox_info *v; /* sorted by name */
	size_t n, cap;
	bool complete; /* the answer ended as it should: absence from it means something */
	/*
	 * What the store wants to be handed back next time as `hint` of list(), so that it need
	 * not ask again (imap: the namespaces). Owned, may be NULL. Never needed for correctness.
	 */
	char *hint;
	/*
	 * Below what this server puts everything of the user's ("INBOX" of Courier and others); without components:
	 * below nothing. A list for writing names its mailboxes without it, one for reading as they are.
	 */
	struct mailbox_name prefix;
};

void mailbox_list_release(struct mailbox_list *list);
/*
 * Add an empty entry and return it; mailbox_list_sort() when all are there. It also makes one
 * of entries with the same name: some servers list a mailbox twice, and backing it up twice
 * doubles it.
 */
struct mailbox_info *mailbox_list_add(struct mailbox_list *list);
void mailbox_list_sort(struct mailbox_list *list);
/* By binary search in a sorted list; NULL when absent. */
struct mailbox_info *mailbox_list_find(const struct mailbox_list *list,
				       const struct mailbox_name *name);

/* A live message as an index knows it: small, because a mailbox may have a million. */
struct entry {
	uint32_t uid;        /* this store's */
	uint32_t source_uid; /* base holders: the source's UID it is bound to, 0 for none. Others: 0 */
	uint32_t flags;      /* as they are now: id in changes.flags */
	uint32_t base_flags; /* base holders: as last agreed, id in changes.flags. Others: 0 */
	uint32_t size;       /* bytes as on the wire, UINT32_MAX for that or more; 0: not told */
};

#define CHANGES_NO_DATE INT64_MIN

/* What a mailbox holds. */
struct changes {
	struct entry *v; /* ascending by uid */
	size_t n, cap;
	/* With `described`, of each of v: its date in Unix time, or CHANGES_NO_DATE. Else NULL. */
	int64_t *dates;
	size_t cap_dates;
	bool described; /* as in the request */
	struct flag_table *flags; /* owned, made by changes_init() */
	/*
	 * Messages that may exist, without attributes: an upper bound (1:UIDNEXT-1) given instead
	 * of entries when the request said everything_new. Empty otherwise.
	 */
	struct uidset fresh;
	/*
	 * `v` holds only what came or has other flags than at request.since. Of those known then,
	 * `vanished` are gone, and all others are there with the flags they had.
	 */
	bool delta;
	struct uidset vanished; /* with `delta` only; members of request.known */
	struct token token;    /* of this answer */
	/*
	 * Absence from `v` (with `delta`: `vanished`) proves a message gone: tagged OK and counts
	 * agree.
	 */
	bool complete;
	uint64_t foreign;      /* files that are not ours and were left alone */
	struct uidset missing; /* base holders: source UIDs whose file is gone, though not by us */
	struct err err;        /* kind not ERR_NONE: this mailbox could not be compared, and why */
	bool absent;           /* that: the source says that there is no such mailbox, in so many words */
};

void changes_init(struct changes *c);
void changes_release(struct changes *c);
/* Append one entry (uid above the last one's). */
struct entry *changes_add(struct changes *c, uint32_t uid);
/* The entry of this UID, by binary search; NULL: there is none. */
const struct entry *changes_find(const struct changes *c, uint32_t uid);
/* ERR_MISSING unless each UID that stands alone in `uids` is there, and of its ranges at least one. */
int changes_check_uids(const struct uidset *uids, const struct changes *have, struct err *err);

struct flag_column {
	const char *flag; /* a keyword; NULL for a system flag */
	struct uidset set;
};

/* Messages by their flags. */
struct flagged {
	struct flag_column *v; /* the FLAG_BITS system flags in the order of enum flag_bit, then keywords */
	size_t n;
};

/* One mailbox to be compared. */
struct changes_request {
	struct mailbox *mailbox;
	bool everything_new; /* nothing of it is stored: `fresh` will do */
	/*
	 * The last agreement and every UID there was then; both NULL where there was none. The
	 * store may then tell what changed since (out->delta), or everything all the same.
	 */
	const struct token *since;
	const struct uidset *known;
	/* Without a mod-sequence to tell which flags changed, none did. */
	bool flags_as_then;
	bool sizes; /* fill in entry.size where it can be told */
	/*
	 * Which of the known had which flag at `since`. Where mod-sequences tell what changed, a store that can
	 * count flags at the source does so, and tells everything when one count does not agree with the
	 * changes it would tell; where there are none, it may compare flag by flag instead of
	 * message by message. NULL: neither is wanted, or not all of the known are stored.
	 */
	const struct flagged *flagged;
	/*
	 * Tell size and date of every message, too, though it costs more: what shows which message is
	 * which when UIDs do not mean what they did.
	 */
	bool describe;
	struct changes *out; /* initialised by the caller */
};

struct quarantined {
	uint32_t uid;  /* source UID */
	uint64_t size; /* 0: not told */
	char *reason;  /* owned; already escaped */
	int64_t since; /* Unix time of the first failure */
	uint32_t attempts;
	int64_t last; /* Unix time of the last attempt; 0: not known, or to be tried in the next run */
	bool accepted; /* the user said it is fine: no longer exit 3, not tried again */
};

/* What both sides were last known to agree on, of one mailbox. */
struct base {
	struct token token;  /* known false: never agreed */
	char mailboxid[MAILBOXID_SIZE];
	struct uidset known; /* every source UID at the token: stored, quarantined or filtered out */
	struct uidset held;  /* this store's UIDs kept because the guard held their deletion back */
	/* Where the store can tell (an account); not for set_base(). */
	struct uidset kept;  /* all kept ones, those held, too */
	uint64_t stored, adopted; /* as in struct mailbox_info, now */
	struct quarantined *quarantine; /* ascending by uid */
	size_t n_quarantine;
};

void base_init(struct base *b);
void base_release(struct base *b);

/* What travels with a message; all borrowed for the call. */
struct message {
	uint32_t uid; /* the source's */
	uint32_t number; /* append: what report() calls one whose uid is 0 */
	const struct flags *flags;
	const struct maildate *date;
	uint64_t size; /* bytes that will be written, if told; else 0 */
	struct bytes identity; /* see identity.h; nothing in it: not told */
	/*
	 * fetch, of a local store: what it knows the bytes by. Two messages of one store, whenever they are
	 * fetched, have the same bytes when they have the same. Nothing in it: not told.
	 */
	struct bytes content;
};

/* What append()'s report() calls it. */
static inline uint32_t message_called(const struct message *msg)
{
	return msg->uid ? msg->uid : msg->number;
}

enum outcome {
	OUTCOME_DONE,
	OUTCOME_ADOPTED,     /* append: paired with an existing equal message, not stored anew */
	OUTCOME_UID_UNKNOWN, /* the message does not exist (any more) */
	OUTCOME_REFUSED,     /* it exists, but the store would not give or take it: *why */
	OUTCOME_NO_ANSWER,   /* not tried to the end (line lost, stopped): ask again in a later run */
};

/*
 * Where messages go. fetch() pushes into one; append() hands one out. Several messages may be
 * open at once, told apart by *handle. Every begin() that returned 0 is followed by exactly one
 * end(). A failure of kind ERR_MESSAGE concerns this message only (the fetch goes on and
 * reports it OUTCOME_REFUSED; after a failed write() still comes end() with complete false);
 * any other ends the fetch.
 */
struct message_sink {
	void *ctx;
	/*
	 * `tag` is the want's. Attributes may be missing here (flags, date NULL); end() has
	 * them all.
	 */
	int (*begin)(void *ctx, void *tag, const struct message *msg, void **handle,
		     struct err *err);
	int (*write)(void *ctx, void *handle, struct bytes piece, struct err *err);
	/* complete false: the body was cut, forget it (msg may be NULL then). */
	int (*end)(void *ctx, void *handle, const struct message *msg, bool complete,
		   struct err *err);
};

/*
 * Tells the fate of a message. fetch: exactly once for each message asked for that exists, and
 * for each that is missing from an exact set; DONE means the sink's end() took it. append: once
 * per message, in end() or later, at latest in commit(). `uid` is the source's UID (append: or, of one that is
 * to be bound to none, msg->number), `new_uid` the UID in the store that took it (append only). `why` is NULL where
 * nothing went wrong.
 */
typedef void outcome_fn(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
			const struct err *why);

/* Messages of one mailbox to be fetched. */
struct want {
	struct mailbox *mailbox;
	const struct uidset *set;
	/*
	 * false: `set` is an upper bound and nothing of the mailbox is held yet. The store then
	 * proves that it delivered all there are (against the message count, asking for the list
	 * of UIDs on a mismatch) and says so in `complete`.
	 */
	bool exact;
	/*
	 * Of each message, the header fields Message-ID, Date, From and Subject are all that is looked
	 * at: what is given need not be more than a header with these.
	 */
	bool header;
	/*
	 * No message is wanted, only what is said of each: begin() and end(), which has date, flags,
	 * size and identity, without a write(). The size is then the one that the store announces.
	 */
	bool attributes;
	uint64_t expect; /* how many messages to expect, for batching and progress; 0: unknown */
	void *tag;       /* given to sink and report */
	/* Out: every message that exists had its outcome, and none was OUTCOME_NO_ANSWER. */
	bool complete;
	struct err err; /* out: why not; kind ERR_NONE otherwise */
};

/* SHA-256 of a message's bytes. */
#define CONTENT_HASH_SIZE 32

struct flag_delta {
	struct flags add, remove;
};

/* A message that a store holds. */
struct held {
	struct mailbox *mailbox; /* the store's own, open until the store is closed */
	uint32_t uid;            /* in it; live or kept */
	uint32_t source_uid;     /* that it is bound to; 0: to none, or kept */
};

/* Messages that a plan would remove from one mailbox. */
struct removal {
	struct mailbox *mailbox;
	const struct uidset *set; /* this store's UIDs */
	uint64_t lost; /* out: how many have content that would then be live nowhere in the store */
};

/*
 * One message of a mailbox by its content; `uid` 0: not told, or a file that others put there. -1 ends the call
 * that it is told in.
 */
typedef int content_fn(void *ctx, uint32_t uid, uint64_t size, const uint8_t sha256[CONTENT_HASH_SIZE],
		       struct err *err);

/* Of a message that was chosen to be removed: may it go, now that it has these flags? */
typedef bool still_fn(void *ctx, uint32_t uid, const struct flags *now);

struct store_ops {
	const char *type; /* as written in the config file */
	unsigned traits;  /* enum store_traits */

	/*
	 * Look at cfg->path, or of an account at what is remembered of it in cfg->index, changing and locking nothing, and
	 * without asking a server.
	 */
	int (*identify)(const struct store_config *cfg, struct store_identity *out,
			struct err *err);
	/*
	 * STORE_WRITE locks the store (ERR_LOCKED names the holder), settles what a crash left
	 * and, with cfg->create, makes it. *cfg and what it points to outlive the store. *out
	 * is the caller's.
	 */
	int (*open)(struct store **out, const struct store_config *cfg, enum store_mode mode,
		    struct err *err);
	/* Also closes its mailboxes. What was not committed may be lost. */
	void (*close)(struct store *st);
	/*
	 * Local stores: whether all that lies at cfg->path is sound. See check.h, also for the
	 * wrapper. NULL for remote ones.
	 */
	int (*check)(const struct store_config *cfg, struct check *ck, struct err *err);
	/* Local stores that collect files: see compact.h. NULL where there is nothing to do. */
	int (*compact)(const struct store_config *cfg, struct compaction *c, struct err *err);

	/*
	 * Every mailbox with its token, in as few round trips as it takes. `hint` from last
	 * time, or NULL.
	 */
	int (*list)(struct store *st, const char *hint, struct mailbox_list *out, struct err *err);
	/* How many bytes of mail still fit, UINT64_MAX where nothing says so. NULL: as many as there is disk. */
	int (*room)(struct store *st, uint64_t *bytes, struct err *err);
	/* Ask for one mailbox by name. */
	int (*exists)(struct store *st, const struct mailbox_name *name, bool *out,
		      struct err *err);
	/* Costs no round trip by itself; any number may be open. `info` is from list(). */
	int (*open_mailbox)(struct store *st, const struct mailbox_info *info,
			    enum store_mode mode, struct mailbox **out, struct err *err);
	/* The last agreement. Base holders only. */
	int (*base)(struct mailbox *mb, struct base *out, struct err *err);
	/* Of the base only what is in quarantine, without looking at any message. Base holders only. */
	int (*quarantine)(struct mailbox *mb, struct base *out, struct err *err);
	/*
	 * What the mailboxes hold now. Many in one call, so that a store can overlap round trips;
	 * trouble with one is left in its out->err. -1: the store itself failed.
	 */
	int (*changes)(struct store *st, struct changes_request *req, size_t n, struct err *err);
	/*
	 * Messages of several mailboxes into the sink. Trouble with one mailbox is left in its
	 * want; that also is a UIDVALIDITY other than that of the last changes() or, without
	 * one, of open_mailbox()'s info: the UIDs asked for would be those of other messages.
	 */
	int (*fetch)(struct store *st, struct want *want, size_t n,
		     const struct message_sink *sink, outcome_fn *report, void *ctx,
		     struct err *err);

	/*
	 * Whether messages that fetch() gives come with an identity. Sources; NULL: they do not. To be
	 * asked after list().
	 */
	bool (*tells_identities)(struct store *st);

	/*
	 * These two of an account with cfg->prunes only; NULL: the store is no such.
	 *
	 * Whether messages can be removed from this mailbox: ERR_MAILBOX, and why not. With STORE_READ it is not
	 * opened for writing, so as far as that can be told without.
	 */
	int (*prunable)(struct mailbox *mb, enum store_mode mode, struct err *err);
	/*
	 * Remove these and no others, for good when it returns: those of which `still` says true, asked while the
	 * mailbox is open for writing under the UIDVALIDITY of the last changes(), or where there was none of
	 * open_mailbox()'s info. *stay (initialised) is what is there afterwards of the set; after -1 it may be too many.
	 *
	 * A message that goes is \Deleted for a moment, and longer where a line is lost: with `again` (an earlier call
	 * may have done so) that does not count as a flag of it. What was marked so and stays is unmarked, unless the
	 * account does not answer any more. ERR_MAILBOX spoils this mailbox.
	 */
	int (*prune)(struct mailbox *mb, const struct uidset *set, bool again, still_fn *still, void *ctx,
		     struct uidset *stay, struct err *err);

	/* The rest is for stores that can be written; NULL where this one cannot. */

	/*
	 * Fill *sink, which takes messages for `mb` until the store is closed. A base holder
	 * binds each to its source UID. One of equal content that is live but bound to none, as far as
	 * changes() told of it or renumber() made it so, or kept, is taken over: OUTCOME_ADOPTED, with
	 * the flags and the date that came. One without (msg->uid 0) is bound to none, and is
	 * never paired with what is there already. For good only after commit(). `tag` goes to report.
	 */
	int (*append)(struct mailbox *mb, outcome_fn *report, void *ctx, void *tag,
		      struct message_sink *sink, struct err *err);
	/*
	 * Whether any message here has an identity; and one, live or kept, that has just this: 1 and
	 * *out, 0 there is none, -1. There is none, either, when several have it and not all of
	 * these have the same content. A store that keeps what append() was told of it has these two and
	 * copy_as(), any other none of the three. A base that is dropped (cfg->rebind) takes all identities along.
	 */
	int (*holds_identities)(struct store *st, bool *out, struct err *err);
	int (*find_identity)(struct store *st, struct bytes identity, struct held *out,
			     struct err *err);
	/*
	 * As if the bytes of that message were appended to `mb` as the message *as, but with the identity
	 * of that message: as->identity is not looked at.
	 * *what: OUTCOME_DONE or OUTCOME_ADOPTED, and *new_uid; OUTCOME_UID_UNKNOWN, nothing done: it is not
	 * there; OUTCOME_REFUSED with *why, nothing done: it is damaged, which is looked at while copying,
	 * or has not the size as->size. -1: trouble with `mb` or the store.
	 */
	int (*copy_as)(const struct held *held, struct mailbox *mb, const struct message *as,
		       enum outcome *what, uint32_t *new_uid, struct err *why, struct err *err);
	/*
	 * Stores that adopt, opened so. What lies in the mailbox and is not ours ("strangers") into the sink,
	 * one after the other, as fetch() gives messages: msg->uid is a number, above the last one's, that
	 * means this stranger until the next strangers() or close(); msg->size is told, flags and date are
	 * not. What cannot be read is left out, and those that have none of `sizes` may be (a set of numbers of bytes; NULL:
	 * any size is of interest). Changes nothing, and needs no STORE_WRITE. NULL: there is never one
	 * that could be taken.
	 */
	int (*strangers)(struct mailbox *mb, const struct uidset *sizes, void *tag,
			 const struct message_sink *sink, struct err *err);
	/*
	 * Make a stranger the message that `msg` tells of, bound to source UID msg->uid, with these flags
	 * and this date, as if its content had come by append(); in an account it keeps its date, and the flags it
	 * has besides, which are its user's. *uid is its UID here, or 0: it is not what
	 * it was when strangers() gave it, and was left alone. For good only after commit().
	 */
	int (*take)(struct mailbox *mb, uint32_t stranger, const struct message *msg, uint32_t *uid,
		    struct err *err);
	/* Base holders make the outcome the base flags too. */
	int (*change_flags)(struct mailbox *mb, const struct uidset *set,
			    const struct flag_delta *delta, struct err *err);
	/* `to` is of the same store. Flags, date and content go along; source UIDs do not. */
	int (*copy)(struct mailbox *mb, const struct uidset *set, struct mailbox *to,
		    struct err *err);
	/*
	 * Remove exactly these, live or kept, at commit(). UIDs that are gone already are no
	 * error.
	 */
	int (*expunge)(struct mailbox *mb, const struct uidset *set, struct err *err);
	/*
	 * Turn live messages into kept ones, at commit(): the content stays, without source UID,
	 * not in known; a later append of equal content takes it over. `held`: by the guard; an account then holds
	 * those back that are kept already, too.
	 */
	int (*keep)(struct mailbox *mb, const struct uidset *set, bool held, struct err *err);
	/*
	 * Fill in removal.lost, looking at all of them together: a message moved elsewhere is
	 * not lost.
	 */
	int (*count_lost)(struct store *st, struct removal *r, size_t n, struct err *err);
	/*
	 * Replace the base at the next commit(), but not `held`: keep() and expunge() maintain
	 * that.
	 */
	int (*set_base)(struct mailbox *mb, const struct base *b, struct err *err);
	/* After a changed UIDVALIDITY: source UID from[i] becomes to[i]; all others are unbound. */
	int (*renumber)(struct mailbox *mb, const uint32_t *from, const uint32_t *to, size_t n,
			struct err *err);

	/*
	 * Tell the content of every message that who reads the mailbox finds there: those in the
	 * index, kept ones too, and files that others put there. Changes no mail. What cannot be
	 * read is left out. For restoring, which adds what is not there. Only those in
	 * `set` are of interest (NULL: all are): an account, which has to fetch what it does not know of
	 * from before, tells of no others.
	 */
	int (*contents)(struct mailbox *mb, const struct uidset *set, content_fn *each, void *ctx,
			struct err *err);

	/* One that exists is given these attributes, and the wire form of `name` if it has one. */
	int (*create)(struct store *st, const struct mailbox_name *name, unsigned attributes,
		      struct err *err);
	int (*rename)(struct store *st, const struct mailbox_name *from,
		      const struct mailbox_name *to, struct err *err);
	/* Only an empty mailbox can be removed: expunge first. */
	int (*remove)(struct store *st, const struct mailbox_name *name, struct err *err);
	int (*subscribe)(struct store *st, const struct mailbox_name *name, bool on,
			 struct err *err);

	/*
	 * Returns once everything since the last commit would survive a crash. Messages still open
	 * in an append sink are not part of it and stay open. Also makes cfg->account the store's.
	 */
	int (*commit)(struct store *st, struct err *err);
	/*
	 * As commit(); and the run is complete: what the store holds now is a moment to come back to.
	 * NULL: the store keeps no moments, and commit() does.
	 */
	int (*snapshot)(struct store *st, struct err *err);
	/*
	 * As commit(), of a change that a user made outside of a run; `why` says what, in a few words, for
	 * who reads the history. A moment to come back to, unless a run was interrupted: then it
	 * becomes a part of what the next one completes. NULL: commit() does.
	 */
	int (*commit_change)(struct store *st, const char *why, struct err *err);
};

/* Implementations put these first in their own structs. */
struct store {
	const struct store_ops *ops;
	const struct store_config *cfg;
};

struct mailbox {
	struct store *store;
	struct mailbox_name name; /* a copy, made by the backend's open_mailbox() */
};

int store_open(const struct store_ops *ops, struct store **out, const struct store_config *cfg,
	       enum store_mode mode, struct err *err);
void store_close(struct store *st); /* NULL is allowed */
int store_list(struct store *st, const char *hint, struct mailbox_list *out, struct err *err);
int store_room(struct store *st, uint64_t *bytes, struct err *err);
int store_exists(struct store *st, const struct mailbox_name *name, bool *out,
		 struct err *err);
int store_changes(struct store *st, struct changes_request *req, size_t n, struct err *err);
int store_fetch(struct store *st, struct want *want, size_t n, const struct message_sink *sink,
		outcome_fn *report, void *ctx, struct err *err);
bool store_tells_identities(struct store *st);
/* Whether it keeps identities, and can make one message of another. */
bool store_keeps_identities(const struct store *st);
int store_holds_identities(struct store *st, bool *out, struct err *err);
int store_find_identity(struct store *st, struct bytes identity, struct held *out,
			struct err *err);
int store_count_lost(struct store *st, struct removal *r, size_t n, struct err *err);
int store_create(struct store *st, const struct mailbox_name *name, unsigned attributes,
		 struct err *err);
int store_rename(struct store *st, const struct mailbox_name *from,
		 const struct mailbox_name *to, struct err *err);
int store_remove(struct store *st, const struct mailbox_name *name, struct err *err);
int store_subscribe(struct store *st, const struct mailbox_name *name, bool on,
		    struct err *err);
int store_commit(struct store *st, struct err *err);
/* By commit() where there is no snapshot(). */
int store_snapshot(struct store *st, struct err *err);
int store_commit_change(struct store *st, const char *why, struct err *err);
/* ERR_STOPPED when the run was asked to end. Stores call it between pieces and batches. */
int store_check_stop(const struct store *st, struct err *err);

int mailbox_open(struct store *st, const struct mailbox_info *info, enum store_mode mode,
		 struct mailbox **out, struct err *err);
int mailbox_base(struct mailbox *mb, struct base *out, struct err *err);
int mailbox_quarantine(struct mailbox *mb, struct base *out, struct err *err);
int mailbox_prunable(struct mailbox *mb, enum store_mode mode, struct err *err);
int mailbox_prune(struct mailbox *mb, const struct uidset *set, bool again, still_fn *still, void *ctx,
		  struct uidset *stay, struct err *err);
int mailbox_append(struct mailbox *mb, outcome_fn *report, void *ctx, void *tag,
		   struct message_sink *sink, struct err *err);
int mailbox_copy_as(const struct held *held, struct mailbox *mb, const struct message *as,
		    enum outcome *what, uint32_t *new_uid, struct err *why, struct err *err);
/* None where the store has no such slot. */
int mailbox_strangers(struct mailbox *mb, const struct uidset *sizes, void *tag,
		      const struct message_sink *sink, struct err *err);
int mailbox_take(struct mailbox *mb, uint32_t stranger, const struct message *msg, uint32_t *uid,
		 struct err *err);
int mailbox_change_flags(struct mailbox *mb, const struct uidset *set,
			 const struct flag_delta *delta, struct err *err);
int mailbox_copy(struct mailbox *mb, const struct uidset *set, struct mailbox *to,
		 struct err *err);
int mailbox_expunge(struct mailbox *mb, const struct uidset *set, struct err *err);
int mailbox_keep(struct mailbox *mb, const struct uidset *set, bool held, struct err *err);
int mailbox_contents(struct mailbox *mb, const struct uidset *set, content_fn *each, void *ctx,
		     struct err *err);
int mailbox_set_base(struct mailbox *mb, const struct base *b, struct err *err);
int mailbox_renumber(struct mailbox *mb, const uint32_t *from, const uint32_t *to, size_t n,
		     struct err *err);

#endif
