#ifndef CORE_IMAP_COMMANDS_MESSAGE_H
#define CORE_IMAP_COMMANDS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/imap/commands.h"
#include "core/imap/session.h"

struct flags;
struct imap_url;
struct maildate;
struct uidlist;
struct uidset;

/*
 * Messages changed, copied, added, searched for. All but APPEND run in the mailbox opened by the
 * last imap_select(), and all are submitted: `done` comes from the loop, or
 * imap_session_drain() waits for it. A set too long for one command is spread over several, and
 * `done` comes once, with the first result that is not OK. -1 (*err): nothing was submitted and
 * `done` is not called; ERR_CONFIG when the server lacks the extension, ERR_MESSAGE for a flag or
 * date that cannot be sent.
 */

/* --- STORE --- */

enum imap_store_how {
	IMAP_STORE_ADD,
	IMAP_STORE_REMOVE,
	/* Whatever others set meanwhile is lost: not for synchronisation (RFC 4549, 4.2.3). */
	IMAP_STORE_REPLACE,
};

struct imap_store_request {
	const struct uidset *set; /* not empty, not open; NULL for IMAP_SAVED */
	enum imap_numbering numbering;
	enum imap_store_how how;
	const struct flags *flags; /* not empty unless REPLACE */
	bool silent; /* .SILENT: the new flags are not told, a new modseq is */
	/* Only messages that did not change since then (CONDSTORE, RFC 7162, section 3.1.3). */
	bool conditional;
	uint64_t unchanged_since;
};

struct imap_store_sink {
	/* New flags or modseq of a message of the set, as far as the server tells; may be NULL. */
	void (*message)(void *ctx, const struct imap_fetch *f);
	/*
	 * `modified`: those that were left as they are, since they had changed; numbers as in the
	 * request. Can come with OK and with NO, and others were changed all the same.
	 */
	void (*done)(void *ctx, const struct uidset *modified, const struct imap_result *result);
	void *ctx;
};
int imap_store_flags(struct imap_session *s, const struct imap_store_request *request,
	       const struct imap_store_sink *sink, struct err *err);

/* --- EXPUNGE --- */

struct imap_expunge_answer {
	uint64_t removed; /* messages the server said are gone, by whomever */
	const struct uidset *uids; /* of those that it told by UID (QRESYNC enabled) */
};
typedef void imap_expunge_fn(void *ctx, const struct imap_expunge_answer *answer,
			     const struct imap_result *result);
/*
 * UID EXPUNGE (UIDPLUS): remove those of `uids` that are marked \Deleted, no others. NULL: EXPUNGE,
 * all that are, whoever marked them.
 */
int imap_expunge(struct imap_session *s, const struct uidset *uids, imap_expunge_fn *done,
		 void *ctx, struct err *err);

/* --- COPY, MOVE --- */

struct imap_copy_request {
	const struct uidset *set; /* as in struct imap_store_request */
	enum imap_numbering numbering;
	bool move; /* MOVE (RFC 6851): gone from here once it is there */
	struct bytes mailbox; /* wire name of the target; [TRYCREATE] when there is none */
};

struct imap_copy_answer {
	/*
	 * COPYUID came and makes sense, so the lists pair: uidlist_pairs_init(). Messages that were
	 * gone already are in neither.
	 */
	bool known;
	uint32_t uid_validity; /* of the target */
	const struct uidlist *source, *target;
};
/*
 * Not OK: some may have been copied or moved (the pairs tell, as far as they came). COPY is not
 * idempotent: after LOST look before trying again.
 */
typedef void imap_copy_fn(void *ctx, const struct imap_copy_answer *answer,
			  const struct imap_result *result);
int imap_copy(struct imap_session *s, const struct imap_copy_request *request, imap_copy_fn *done,
	      void *ctx, struct err *err);

/* --- SEARCH --- */

#define IMAP_SEARCH_SAVE (1u << 16) /* beside enum imap_search_item: remember it as IMAP_SAVED */

struct imap_search_request {
	enum imap_numbering numbering; /* UIDs or NUMBERS: what is answered */
	/*
	 * Criteria as a person types them, a word each: "FROM" "Zoë" "SINCE" "2024-02-29". They
	 * are checked and encoded by criteria.h; parentheses are words of their own.
	 */
	const struct bytes *words;
	size_t n;
	const char *charset; /* of the words; NULL: UTF-8, named only when it matters */
	/* ALL, COUNT, MIN, MAX, PARTIAL of enum imap_search_item, and IMAP_SEARCH_SAVE. 0: ALL. */
	unsigned items;
	/* PARTIAL: from the first-th to the last-th found; negative: counted from the end */
	int64_t first, last;
};

struct imap_search_answer {
	/* Which of the items came; without ESEARCH they are made from the list of all. */
	unsigned present;
	const struct uidset *found; /* ALL or PARTIAL; else empty */
	uint64_t count;
	uint32_t min, max;
	uint64_t modseq; /* 0: not told */
};
typedef void imap_search_answer_fn(void *ctx, const struct imap_search_answer *answer,
				   const struct imap_result *result);
/* SAVE needs SEARCHRES, PARTIAL needs PARTIAL (RFC 9394) or CONTEXT=SEARCH. */
int imap_search_for(struct imap_session *s, const struct imap_search_request *request,
		    imap_search_answer_fn *done, void *ctx, struct err *err);

/* --- APPEND, REPLACE --- */

/*
 * Put 1 to `max` bytes into `p`, *n is how many. -1 with *err ends the session, since the
 * announced size cannot be taken back.
 */
typedef int imap_append_read(void *ctx, void *p, size_t max, size_t *n, struct err *err);

/* A piece of a message that the server puts together (CATENATE, RFC 4469). */
struct imap_append_part {
	const struct imap_url *url; /* it has it already; NULL: as below */
	uint64_t size;              /* exactly what `read` will give; not 0 */
	bool binary;
	imap_append_read *read;
	void *ctx;
};

struct imap_append_message {
	const struct flags *flags;   /* NULL: none; \Recent is left out */
	const struct maildate *date; /* NULL or not known: now */
	/* Its pieces in order, instead of size, binary and read; needs CATENATE. NULL: it is whole. */
	const struct imap_append_part *parts;
	size_t n_parts;
	uint64_t size;               /* exactly what `read` will give; not 0 */
	bool binary;                 /* holds NUL bytes: needs BINARY, goes as literal8 */
	/*
	 * Header fields hold UTF-8: goes as UTF8 (~{n}), RFC 6855, section 4; UTF8=ACCEPT must be
	 * enabled. A server where it is enabled may refuse such headers otherwise; all others get
	 * the bytes as they are.
	 */
	bool utf8;
	imap_append_read *read;
	void *ctx;
};

struct imap_append_request {
	struct bytes mailbox; /* wire name; [TRYCREATE] when there is none */
	/* One, or several for MULTIAPPEND: all are added or none. The array is copied. */
	const struct imap_append_message *messages;
	size_t n;
	uint64_t limit; /* APPENDLIMIT of this mailbox, from STATUS; 0: not known */
	bool wait;      /* every literal waits for its `+`, whatever the server took before */
};

struct imap_append_answer {
	/* APPENDUID came, with one UID for each message. */
	bool known;
	uint32_t uid_validity;
	const struct uidlist *uids; /* in the order of the messages */
	struct bytes bad_url; /* [BADURL]: the one of CATENATE that is none here; p is NULL: not told */
};
typedef void imap_append_fn(void *ctx, const struct imap_append_answer *answer,
			    const struct imap_result *result);
/*
 * A literal that does not wait for its `+` is only used for a whole message without `binary` and
 * `utf8`, never the first time with these flags in this mailbox (in one command: of several messages with
 * the same flags the first waits), nor above the limits of LITERAL+ and LITERAL-: a server that refuses the command but not the literal would take the message's lines
 * for commands. That is also why all arguments are checked here, and a system flag of an extension is
 * refused unless the selected mailbox is the target and lists it. ERR_MESSAGE: too large for the
 * server. A command with such a literal that is refused while it is sent, or with BAD, has its result
 * told and then ends the session (ERR_RETRY).
 */
int imap_append(struct imap_session *s, const struct imap_append_request *request,
		imap_append_fn *done, void *ctx, struct err *err);

struct imap_replace_request {
	uint32_t number; /* of the message that goes, in the mailbox that is open; not 0 */
	enum imap_numbering numbering; /* UIDs or NUMBERS */
	struct bytes mailbox; /* wire name of where the new one goes, mostly the same */
	const struct imap_append_message *message;
	uint64_t limit; /* as in struct imap_append_request */
};
/*
 * REPLACE (RFC 8508): add the new message and remove the old one, both or neither. Nothing else is
 * in flight meanwhile, and no literal goes before its `+`: with the mailbox closed by then every
 * server refuses the command before it has read the message. answer->known can be true when the
 * outcome is not OK: the new message is there, and the old one, too. After LOST look before
 * trying again.
 */
int imap_replace(struct imap_session *s, const struct imap_replace_request *request,
		 imap_append_fn *done, void *ctx, struct err *err);

#endif
