#ifndef CMD_SEARCH_H
#define CMD_SEARCH_H

#include <stdbool.h>
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
	bool texts; /* the criterion `text` is one of them: for who has an index of words (find_index.h) */
};

/* Add the criteria of one text to *s (zeroed at first). `now`: Unix time. ERR_CONFIG says what is wrong. */
int search_add(struct search *s, const char *text, int64_t now, struct err *err);
/*
 * The same of the operands of a command, which the shell has split: each may hold several words, but what
 * stands for the argument of a criterion is one, blanks or not.
 */
int search_add_operands(struct search *s, char *const *argv, size_t n, int64_t now, struct err *err);
void search_release(struct search *s);

/*
 * Add to *out the UIDs of those in `have` for which all holds. Headers are read only where flags and sizes leave it
 * open. What cannot be read is added, too, so that it is named by who goes on with it.
 */
int search_select(const struct search *s, struct mailbox *mb, const struct changes *have,
		  struct uidset *out, struct err *err);

/* Print the criteria, for `help`: of `restore --search`, and of `find`, which has `text`. */
void search_show(void);
void search_show_find(void);

#endif
