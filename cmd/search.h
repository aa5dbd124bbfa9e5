#ifndef CMD_SEARCH_H
#define CMD_SEARCH_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct changes;
struct mailbox;
struct uidset;

/*
 * Messages of a local store by what they are. A search is words, as a person types them: criteria that must all hold,
 * each with `not` before it if it must not. Words are separated by blanks, and one with blanks in it stands in
 * double quotes. What criteria there are is in one table, which `help` shows (search_show()).
 *
 * Texts are compared decoded and without regard to case; dates are those of arrival (INTERNALDATE), in the forms of
 * when.h, where `_` may stand for a blank; sizes may end in k, M or G.
 */
struct search {
	struct search_term *v;
	size_t n, cap;
};

/* Add the criteria of one text to *s (zeroed at first). `now`: Unix time. ERR_CONFIG says what is wrong. */
int search_add(struct search *s, const char *text, int64_t now, struct err *err);
void search_release(struct search *s);

/*
 * Add to *out the UIDs of those in `have` for which all holds. Headers are read only where flags and sizes leave it
 * open. What cannot be read is added, too, so that it is named by who goes on with it.
 */
int search_select(const struct search *s, struct mailbox *mb, const struct changes *have,
		  struct uidset *out, struct err *err);

/* Print the criteria, for `help`. */
void search_show(void);

#endif
