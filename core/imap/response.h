#ifndef CORE_IMAP_RESPONSE_H
#define CORE_IMAP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/imap/lexer.h"

struct err;
struct flags;
struct maildate;
struct uidset;
struct uidlist;

/*
 * The response parser: bytes in, one typed response at a time out (RFC 9051, section 7, and the
 * extensions named below). Does no I/O and knows nothing of commands: which response belongs
 * to which, and whether it may come now (S6, S11), is for the session to say. However
 * the stream is cut, the same responses come out, except for the sizes of BODY_DATA pieces.
 *
 * Memory does not depend on what the server sends: bodies are not held, lines and tokens have
 * ceilings, sets are held as ranges up to a ceiling. What goes past one becomes a BAD_LINE.
 *
 * Everything a response points to is borrowed until the next call. Text is as the
 * server sent it: escape it before showing it (S17).
 */
struct imap_parser;

enum imap_response_type {
	IMAP_RESPONSE_STATUS,     /* `* OK`, NO, BAD, BYE or PREAUTH: u.status. The greeting too. */
	IMAP_RESPONSE_TAGGED,     /* a command has ended: u.status */
	IMAP_RESPONSE_CONTINUE,   /* `+`: u.text is what follows, base64 or free text */
	IMAP_RESPONSE_CAPABILITY, /* u.text: the words, for imap_caps_set() */
	IMAP_RESPONSE_ENABLED,    /* u.text: the words */
	IMAP_RESPONSE_LIST,       /* u.list; LSUB has lsub set */
	IMAP_RESPONSE_MAILBOX,    /* `* STATUS name (...)`: u.mailbox */
	IMAP_RESPONSE_SEARCH,     /* u.search; one command may be answered by several */
	IMAP_RESPONSE_ESEARCH,    /* u.search */
	IMAP_RESPONSE_FLAGS,      /* u.flags */
	IMAP_RESPONSE_EXISTS,     /* u.number */
	IMAP_RESPONSE_RECENT,     /* u.number */
	IMAP_RESPONSE_EXPUNGE,    /* u.number, never 0 */
	IMAP_RESPONSE_VANISHED,   /* u.vanished */
	/*
	 * A FETCH comes as any number of BODY_BEGIN, BODY_DATA..., BODY_END, and then FETCH with
	 * all attributes. Attributes may come after the body, the UID too.
	 */
	IMAP_RESPONSE_BODY_BEGIN, /* u.fetch, whose `body` is set and attributes are those so far */
	IMAP_RESPONSE_BODY_DATA,  /* u.text: never empty, borrowed from *in */
	IMAP_RESPONSE_BODY_END,   /* u.fetch as at BODY_BEGIN; every byte of it was given out */
	IMAP_RESPONSE_FETCH,      /* u.fetch; UIDFETCH too, with number 0 */
	/*
	 * Any other untagged response (ID, NAMESPACE, QUOTA, ACL, METADATA, THREAD...): u.other.
	 * Literals in it are turned into quoted strings, so it can be read with core/imap/scan.h.
	 */
	IMAP_RESPONSE_OTHER,
	/*
	 * Could not be read; skipped to its end, u.text is its beginning (at most 256 bytes, no
	 * literals). Anything may have been in it: an answer that must be complete is not.
	 */
	IMAP_RESPONSE_BAD_LINE,
};

enum imap_condition {
	IMAP_OK,
	IMAP_NO,
	IMAP_BAD,
	IMAP_BYE,
	IMAP_PREAUTH,
};

/* Response codes (RFC 9051, section 7.1; RFC 5530; the extensions' own). */
enum imap_code {
	IMAP_CODE_NONE,
	IMAP_CODE_UNKNOWN, /* `name` and `args` have it, raw; also a known one with bad arguments */
	IMAP_CODE_ALERT,
	IMAP_CODE_ALREADYEXISTS,
	IMAP_CODE_APPENDUID, /* number = UIDVALIDITY, target */
	IMAP_CODE_AUTHENTICATIONFAILED,
	IMAP_CODE_AUTHORIZATIONFAILED,
	IMAP_CODE_BADCHARSET,
	IMAP_CODE_BADEVENT,
	IMAP_CODE_BADURL, /* args: the URL, as sent */
	IMAP_CODE_CANNOT,
	IMAP_CODE_CAPABILITY, /* args: the words */
	IMAP_CODE_CLIENTBUG,
	IMAP_CODE_CLOSED,
	IMAP_CODE_COMPRESSIONACTIVE,
	IMAP_CODE_CONTACTADMIN,
	IMAP_CODE_COPYUID, /* number = UIDVALIDITY, source, target; see uidlist_pairs_init() */
	IMAP_CODE_CORRUPTION,
	IMAP_CODE_EXPIRED,
	IMAP_CODE_EXPUNGEISSUED,
	IMAP_CODE_HASCHILDREN,
	IMAP_CODE_HIGHESTMODSEQ, /* number */
	IMAP_CODE_INPROGRESS,
	IMAP_CODE_INUSE,
	IMAP_CODE_LIMIT,
	IMAP_CODE_MAILBOXID,    /* args: the id, without parentheses */
	IMAP_CODE_MESSAGELIMIT, /* number; uid: the last that was dealt with, 0 = not said */
	IMAP_CODE_MODIFIED,     /* set */
	IMAP_CODE_NOMODSEQ,
	IMAP_CODE_NONEXISTENT,
	IMAP_CODE_NOPERM,
	IMAP_CODE_NOTIFICATIONOVERFLOW,
	IMAP_CODE_NOTSAVED,
	IMAP_CODE_NOUPDATE,
	IMAP_CODE_OVERQUOTA,
	IMAP_CODE_PARSE,
	IMAP_CODE_PERMANENTFLAGS, /* flags, any_keyword */
	IMAP_CODE_PRIVACYREQUIRED,
	IMAP_CODE_READ_ONLY,
	IMAP_CODE_READ_WRITE,
	IMAP_CODE_REFERRAL,
	IMAP_CODE_SERVERBUG,
	IMAP_CODE_THROTTLED,
	IMAP_CODE_TOOBIG,
	IMAP_CODE_TOOFEW,
	IMAP_CODE_TOOMANY,
	IMAP_CODE_TRYCREATE,
	IMAP_CODE_UIDNEXT,     /* number */
	IMAP_CODE_UIDNOTSTICKY,
	IMAP_CODE_UIDREQUIRED,
	IMAP_CODE_UIDVALIDITY, /* number; 0 is what some servers send */
	IMAP_CODE_UNAVAILABLE,
	IMAP_CODE_UNKNOWN_CTE,
	IMAP_CODE_UNSEEN, /* number */
	IMAP_CODE_USEATTR,
};

struct imap_status {
	struct bytes tag; /* TAGGED only */
	enum imap_condition condition;
	/*
	 * TAGGED: nothing readable followed the tag. The condition is BAD, so that the command
	 * fails instead of waiting for ever; the connection should not be trusted further.
	 * STATUS: there was no condition word, only a code; taken as OK.
	 */
	bool malformed;
	enum imap_code code;
	struct bytes name, args; /* of the code, as sent */
	uint64_t number;
	uint32_t uid;
	const struct uidlist *source, *target; /* COPYUID, APPENDUID; else NULL */
	const struct uidset *set;              /* MODIFIED; else NULL */
	const struct flags *flags;             /* PERMANENTFLAGS; else NULL */
	bool any_keyword;                      /* `\*`: new keywords can be made */
	struct bytes text;                     /* for a person; may be empty */
};

enum imap_mailbox_attribute {
	IMAP_MAILBOX_NOSELECT = 1 << 0, /* NonExistent sets it too */
	IMAP_MAILBOX_NONEXISTENT = 1 << 1,
	IMAP_MAILBOX_NOINFERIORS = 1 << 2, /* sets HASNOCHILDREN too */
	IMAP_MAILBOX_MARKED = 1 << 3,
	IMAP_MAILBOX_UNMARKED = 1 << 4,
	IMAP_MAILBOX_HASCHILDREN = 1 << 5,
	IMAP_MAILBOX_HASNOCHILDREN = 1 << 6,
	IMAP_MAILBOX_SUBSCRIBED = 1 << 7, /* set for LSUB without \Noselect, too */
	IMAP_MAILBOX_REMOTE = 1 << 8,
	/* RFC 6154, RFC 8457 and what providers use. */
	IMAP_MAILBOX_ALL = 1 << 9,
	IMAP_MAILBOX_ARCHIVE = 1 << 10,
	IMAP_MAILBOX_DRAFTS = 1 << 11,
	IMAP_MAILBOX_FLAGGED = 1 << 12,
	IMAP_MAILBOX_IMPORTANT = 1 << 13,
	IMAP_MAILBOX_JUNK = 1 << 14, /* \Spam too */
	IMAP_MAILBOX_SENT = 1 << 15,
	IMAP_MAILBOX_TRASH = 1 << 16,
};

struct imap_list {
	bool lsub;
	unsigned attributes;   /* enum imap_mailbox_attribute */
	struct bytes raw_attributes; /* as sent, without the parentheses */
	uint8_t delimiter;     /* 0 = NIL: no hierarchy */
	struct bytes name;     /* as on the wire, not decoded; never empty for a mailbox */
	struct bytes old_name; /* OLDNAME; p is NULL when absent */
	struct bytes child_info; /* CHILDINFO's list, without parentheses; p is NULL when absent */
	/* The name was not legal (unquoted blanks or controls): the rest of the line was taken. */
	bool dubious;
};

enum imap_mailbox_item {
	IMAP_ITEM_MESSAGES = 1 << 0,
	IMAP_ITEM_RECENT = 1 << 1,
	IMAP_ITEM_UIDNEXT = 1 << 2,
	IMAP_ITEM_UIDVALIDITY = 1 << 3,
	IMAP_ITEM_UNSEEN = 1 << 4,
	IMAP_ITEM_HIGHESTMODSEQ = 1 << 5,
	IMAP_ITEM_SIZE = 1 << 6,
	IMAP_ITEM_DELETED = 1 << 7,
	IMAP_ITEM_APPENDLIMIT = 1 << 8, /* NIL is UINT64_MAX: no limit */
	IMAP_ITEM_MAILBOXID = 1 << 9,
};

/* The values are true only where `present` has their bit. */
struct imap_mailbox_status {
	struct bytes name; /* as on the wire */
	unsigned present;  /* enum imap_mailbox_item */
	uint32_t messages, recent, uid_next, uid_validity, unseen, deleted;
	uint64_t highest_modseq, size, append_limit;
	struct bytes mailbox_id;
};

enum imap_search_item {
	IMAP_SEARCH_ALL = 1 << 0, /* SEARCH: always */
	IMAP_SEARCH_COUNT = 1 << 1,
	IMAP_SEARCH_MIN = 1 << 2,
	IMAP_SEARCH_MAX = 1 << 3,
	IMAP_SEARCH_MODSEQ = 1 << 4,
	IMAP_SEARCH_PARTIAL = 1 << 5,
};

struct imap_search {
	struct bytes tag; /* ESEARCH's correlator; p is NULL when absent */
	bool uid;         /* ESEARCH: the numbers are UIDs. SEARCH does not say. */
	unsigned present; /* enum imap_search_item */
	/* SEARCH's numbers, ALL, or the result part of PARTIAL; never NULL, empty when absent. */
	const struct uidset *set;
	uint32_t count, min, max;
	uint64_t modseq;
	struct bytes partial_range; /* as sent, such as "-1:-100" */
};

struct imap_vanished {
	bool earlier; /* not an EXPUNGE: numbers do not move (RFC 7162, section 3.2.10) */
	const struct uidset *uids;
};

enum imap_fetch_item {
	IMAP_FETCH_UID = 1 << 0,
	IMAP_FETCH_FLAGS = 1 << 1,
	IMAP_FETCH_INTERNALDATE = 1 << 2, /* `date` is set, perhaps NIL or no date at all */
	IMAP_FETCH_SIZE = 1 << 3,
	IMAP_FETCH_MODSEQ = 1 << 4,
	IMAP_FETCH_EMAILID = 1 << 5,
	IMAP_FETCH_BODY = 1 << 6, /* at least one body item was given out */
	IMAP_FETCH_SAVEDATE = 1 << 7, /* RFC 8514; `save_date` is set, perhaps NIL */
	IMAP_FETCH_PREVIEW = 1 << 8,  /* RFC 8970 */
	IMAP_FETCH_THREADID = 1 << 9, /* RFC 8474 */
	IMAP_FETCH_GM_MSGID = 1 << 10, /* the three of Gmail: X-GM-MSGID, X-GM-THRID, X-GM-LABELS */
	IMAP_FETCH_GM_THRID = 1 << 11,
	IMAP_FETCH_GM_LABELS = 1 << 12,
	IMAP_FETCH_ENVELOPE = 1 << 13,
	IMAP_FETCH_STRUCTURE = 1 << 14, /* BODYSTRUCTURE */
};

struct imap_body {
	struct bytes item;    /* as sent: `BODY[HEADER]<0>`, `BINARY[1]`, `RFC822` */
	struct bytes section; /* between the brackets; empty for the whole message */
	bool binary;          /* BINARY[...]: content transfer encoding removed */
	bool whole;           /* BODY[], BINARY[] or RFC822 without an origin */
	bool partial;         /* `origin` was sent */
	uint64_t origin;
	/* NIL, or no value at all: the server has no such bytes. Not the same as an empty body. */
	bool nil;
	uint64_t size; /* bytes that will be given out: the truth, unlike RFC822.SIZE */
};

struct imap_fetch {
	uint32_t number;  /* message number; 0 is possible from broken servers: match by UID */
	unsigned present; /* enum imap_fetch_item: seen so far */
	uint32_t uid;
	const struct flags *flags;
	struct bytes date_text;      /* p is NULL for NIL or absent */
	const struct maildate *date; /* see its `known` */
	uint64_t size, modseq;
	struct bytes email_id;
	struct bytes thread_id;           /* p is NULL for NIL: in no thread */
	struct bytes save_date_text;      /* p is NULL for NIL or absent */
	const struct maildate *save_date; /* not known: the mailbox does not keep them */
	struct bytes preview;             /* UTF-8; p is NULL for NIL: there is none */
	uint64_t gm_msgid, gm_thrid;
	/*
	 * What stands between the outer parentheses, literals turned into quoted strings: for scan.h
	 * (labels are astrings in modified UTF-7) and envelope.h. A value larger than 256 KiB
	 * counts as not sent.
	 */
	struct bytes gm_labels, envelope, structure;
	struct imap_body body; /* BODY_BEGIN and BODY_END only */
};

struct imap_other {
	bool numbered;
	uint32_t number;   /* `* 5 NAME ...` */
	struct bytes name; /* as sent; compare without case */
	struct bytes text; /* the rest of the line, perhaps empty */
	bool cut;          /* longer than the ceiling: the tail is missing */
};

struct imap_response {
	enum imap_response_type type;
	union {
		struct imap_status status;
		struct imap_list list;
		struct imap_mailbox_status mailbox;
		struct imap_search search;
		struct imap_vanished vanished;
		struct imap_fetch fetch;
		struct imap_other other;
		const struct flags *flags;
		uint32_t number;
		struct bytes text;
	} u;
};

/*
 * `tag_prefix` is what this connection's tags begin with (compared with case). A line that
 * begins with it is a tagged response whatever follows, one that begins with anything else
 * is a BAD_LINE. "" makes every other first word a tag.
 */
struct imap_parser *imap_parser_new(const char *tag_prefix);
void imap_parser_free(struct imap_parser *p); /* NULL is allowed */

/*
 * Take bytes from *in, moving it forward. READY: *out is filled in; call again with the same *in
 * until MORE. ERROR (ERR_RETRY, with the offending text escaped) ends the stream: when a
 * literal's size cannot be known, or a FETCH breaks after a body was given out of it.
 */
enum imap_step imap_parser_next(struct imap_parser *p, struct bytes *in,
				struct imap_response *out, struct err *err);

/*
 * Nothing of a response was taken yet. After STARTTLS this and an empty input buffer are
 * what proves that no clear text was slipped in (S1); then use a new parser.
 */
bool imap_parser_is_idle(const struct imap_parser *p);

#endif
