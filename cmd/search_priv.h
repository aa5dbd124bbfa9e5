#ifndef CMD_SEARCH_PRIV_H
#define CMD_SEARCH_PRIV_H

/*
 * Shared by search.c (words into criteria), search_select.c (criteria against messages) and find_select.c (criteria
 * against an index).
 */

#include <stdbool.h>

#include "core/base/bytes.h"

#include "cmd/search.h"

enum argument { NO_ARGUMENT, A_TEXT, A_DATE, A_SIZE };

/* What has to be known of a message to tell. */
enum need { NEED_ENTRY, NEED_DATE, NEED_HEADER, NEED_TEXT };

struct flags;
struct maildate;

/* One kind of criterion. */
struct criterion {
	const char *name;
	enum argument argument;
	enum need need;
	const char *shown; /* the argument, for help */
	const char *help;
};

/* Indexes in search_criteria. */
enum {
	SEARCH_FROM,
	SEARCH_TO,
	SEARCH_SUBJECT,
	SEARCH_HEADER,
	SEARCH_MESSAGE_ID,
	SEARCH_TEXT,
	SEARCH_SINCE,
	SEARCH_BEFORE,
	SEARCH_LARGER,
	SEARCH_SMALLER,
	SEARCH_SEEN,
	SEARCH_UNSEEN,
	SEARCH_ANSWERED,
	SEARCH_FLAGGED,
	SEARCH_DRAFT,
	SEARCH_DELETED,
	SEARCH_KEYWORD,
	CRITERIA
};

extern const struct criterion search_criteria[CRITERIA];

struct search_term {
	int what; /* index in search_criteria */
	bool not;
	char *text;     /* as it was given, without <> around an ID */
	char *folded;   /* the same, to be compared with what was folded */
	uint64_t size;
	int64_t moment; /* the first second of the date */
};

/* What is known of a message. */
struct facts {
	const struct flags *flags;
	uint64_t size;
	const struct maildate *date;
	struct bytes header;
};

/* Whether it holds, leaving `not` aside. Not for SEARCH_TEXT. */
bool search_holds(const struct search_term *t, const struct facts *f);
/* Whether all criteria hold that need no more than `most`. */
bool search_all_hold(const struct search *s, enum need most, const struct facts *f);

/* <ID> and ID are the same. */
void search_strip_brackets(char *text);

#endif
