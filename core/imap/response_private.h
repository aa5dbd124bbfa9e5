#ifndef CORE_IMAP_RESPONSE_PRIVATE_H
#define CORE_IMAP_RESPONSE_PRIVATE_H

#include "core/base/buf.h"
#include "core/imap/lexer.h"
#include "core/imap/response.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/msgset/uidlist.h"
#include "core/msgset/uidset.h"

/*
 * The parser is a state for each place in a response. A state names the lexer mode of the
 * token it wants and the function that takes it.
 *
 *	FIRST ─ "*" ─> STAR ─ OK.. ─> TEXT             ─> STATUS
 *	               │  ├─ 5 ─> NUMBERED ─ FETCH ─> FETCH_*  ─> BODY_*..., FETCH
 *	               │  │            └─ EXISTS.. ─> LINE     ─> EXISTS...
 *	               │  ├─ SEARCH, ESEARCH, VANISHED ─> their own states: large sets
 *	               │  └─ anything else ─> LINE             ─> LIST, FLAGS, ..., OTHER
 *	      ├─ "+" ─> CONTINUE                       ─> CONTINUE
 *	      └─ tag ─> TAG ─ OK.. ─> TEXT             ─> TAGGED
 *
 * Whatever goes wrong ends in SKIP_LINE or SKIP_PLAIN, which go to the line end and give BAD_LINE
 * (or a malformed TAGGED); after a body was given out it is an error instead, because
 * then nobody knows where the body ended.
 */
enum parse_state {
	PARSE_FIRST,
	PARSE_TAG,
	PARSE_STAR,
	PARSE_NUMBERED,
	PARSE_TEXT,
	PARSE_CONTINUE,
	PARSE_LINE,
	PARSE_SKIP_LINE,
	PARSE_SKIP_PLAIN,
	PARSE_SEARCH,
	PARSE_SEARCH_EXTRA, /* inside (MODSEQ n) */
	PARSE_ESEARCH,
	PARSE_ESEARCH_CORRELATOR,
	PARSE_ESEARCH_VALUE,
	PARSE_ESEARCH_SET,
	PARSE_ESEARCH_PARTIAL,
	PARSE_ESEARCH_SKIP,
	PARSE_VANISHED,
	PARSE_VANISHED_EARLIER,
	PARSE_FETCH_OPEN,
	PARSE_FETCH_ITEM,
	PARSE_FETCH_VALUE,
	PARSE_FETCH_FLAGS,
	PARSE_FETCH_LIST, /* the only value of a one-element list: MODSEQ, EMAILID */
	PARSE_FETCH_SKIP,
	PARSE_FETCH_LITERAL, /* of a value that is not a body */
	PARSE_FETCH_TEXT,    /* a list that is kept as text: ENVELOPE */
	PARSE_FETCH_TEXT_LITERAL,
	PARSE_FETCH_BODY,
	PARSE_FETCH_END,
	PARSE_STATES,
};

enum parse_verdict {
	PARSE_GO,
	PARSE_READY, /* *out is filled in */
	PARSE_BAD,   /* give this line up */
};

#define PARSE_MAX_DEPTH 32
#define PARSE_MAX_TOKEN (64 * 1024)
#define PARSE_MAX_LINE (256 * 1024)
#define PARSE_MAX_NAME 4096      /* bytes of a mailbox name */
#define PARSE_MAX_KEYWORDS 4096  /* flags in one list */
#define PARSE_MAX_KEYWORD 1024   /* bytes of each in a FETCH, whose lines have no limit */
#define PARSE_MAX_RANGES 1000000 /* ranges in one set */

/* What of a FETCH is being read. */
enum fetch_value {
	VALUE_OTHER,
	VALUE_UID,
	VALUE_FLAGS,
	VALUE_DATE,
	VALUE_SIZE,
	VALUE_MODSEQ,
	VALUE_EMAILID,
	VALUE_THREADID,
	VALUE_SAVEDATE,
	VALUE_PREVIEW,
	VALUE_GM_MSGID,
	VALUE_GM_THRID,
	VALUE_GM_LABELS,
	VALUE_ENVELOPE,
	VALUE_STRUCTURE,
	VALUE_BODY,
};

struct imap_parser {
	struct imap_lexer *lexer;
	char *tag_prefix;
	enum parse_state state;
	bool broken;        /* ERROR was returned */
	const char *why;    /* of PARSE_BAD */
	struct buf tag;     /* first word of the line */
	struct buf name;    /* name of an untagged response */
	struct buf line;    /* a line as a copy that may be written to */
	bool tagged, numbered;
	uint32_t number;
	enum imap_condition condition;
	bool malformed;
	unsigned depth;

	struct uidset_builder builder;
	struct uidset set;
	struct uidlist source, target;
	struct flags flags;
	struct maildate date;

	struct imap_search search;
	struct buf search_tag, search_range;
	enum imap_search_item search_item;
	bool earlier;

	struct imap_fetch fetch;
	enum fetch_value value;
	struct buf item, date_text, email_id, thread_id, save_date_text, preview;
	struct maildate save_date;
	struct buf word;                /* a literal that is one value */
	enum parse_state after_literal; /* where reading goes on behind it */
	struct buf gm_labels, envelope, structure;
	struct bytes quoted; /* body sent as quoted string, still to be given out */
	bool body_open;      /* BODY_BEGIN was given, BODY_END not yet */
};

enum parse_verdict imap_parse_bad(struct imap_parser *p, const char *why);
/* Pass over a list, begun with depth 1, and go to `next` behind it. */
enum parse_verdict imap_parse_skip_list(struct imap_parser *p, const struct imap_token *tok,
					enum parse_state next);

/* response_code.c: split resp-text into code and text. */
void imap_parse_resp_text(struct imap_parser *p, struct bytes text, struct imap_status *st);
/* Replace p->flags by a list's contents, in place. False when there are too many. */
bool imap_parse_flag_list(struct imap_parser *p, struct bytes list, bool *any_keyword);
/* A copy of `text` in p->line that may be written to. */
struct bytes imap_parse_copy(struct imap_parser *p, struct bytes text);

/* response_line.c: responses that are read from a whole line. */
enum parse_verdict imap_parse_line(struct imap_parser *p, const struct imap_token *tok,
				   struct imap_response *out);

typedef enum parse_verdict imap_parse_fn(struct imap_parser *p, const struct imap_token *tok,
					 struct imap_response *out);
/* response_search.c */
void imap_parse_search_begin(struct imap_parser *p, enum parse_state state);
imap_parse_fn imap_parse_search, imap_parse_search_extra, imap_parse_esearch,
	imap_parse_esearch_correlator, imap_parse_esearch_value, imap_parse_esearch_set,
	imap_parse_esearch_partial, imap_parse_esearch_skip, imap_parse_vanished,
	imap_parse_vanished_earlier;
/* response_fetch.c */
void imap_parse_fetch_begin(struct imap_parser *p, bool by_uid);
imap_parse_fn imap_parse_fetch_open, imap_parse_fetch_item, imap_parse_fetch_value,
	imap_parse_fetch_flags, imap_parse_fetch_list, imap_parse_fetch_skip,
	imap_parse_fetch_literal, imap_parse_fetch_body, imap_parse_fetch_end;
/* response_fetch_text.c: lists that are kept as text. False: the value is none of them. */
bool imap_parse_fetch_text_begin(struct imap_parser *p);
imap_parse_fn imap_parse_fetch_text, imap_parse_fetch_text_literal;
/* response_fetch.c: the next event of an open body that needs no input. False when there is none. */
bool imap_parse_fetch_pending(struct imap_parser *p, struct imap_response *out);

#endif
