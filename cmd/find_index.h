#ifndef CMD_FIND_INDEX_H
#define CMD_FIND_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/err.h"

struct history;
struct index_text;
struct store_arg;
struct uidset;

/*
 * What `find` remembers of messages, by their content (struct message): their headers and words, in a SQLite
 * file with FTS5. It is a cache: which messages there are, where, with which flags, is always asked of the store. So it may be
 * removed at any time, an old one is never wrong, and what is not in it is read and added. Words are added when they
 * are first looked for: they cost several times as much as the header.
 *
 * It lies in the store (`mailcask/find.db` in a repository, `mailcask-find.db` in a Maildir), never in history; where that
 * cannot be written, in $XDG_CACHE_HOME/mailcask; and where that cannot either, in memory. One that is damaged, of
 * another archive, of another version or from before snapshots were dropped is begun anew.
 *
 * Errors here are of the index alone: find_index_again() says whether to begin again with another.
 */
struct find_index;

/* The first place that can be used. `h`: the store's history, or NULL; borrowed. NULL with *err: not even in memory. */
struct find_index *find_index_open(const struct store_arg *arg, const struct history *h,
				   struct err *err);
void find_index_close(struct find_index *ix); /* NULL is allowed; what was not committed is lost */
/*
 * After a failure: go on with an empty one, in the same place if it was damaged there, or in the next. IDs
 * mean nothing any more. False: there is no further place.
 */
bool find_index_again(struct find_index *ix, struct err *err);

/*
 * Before and after many questions: they then lock the file once, which takes half of their time otherwise.
 * Nothing is added in between, and nothing printed: others wait that long to add to it.
 */
int find_index_hold(struct find_index *ix, struct err *err);
void find_index_let_go(struct find_index *ix); /* fine after a failure, and when it was not held */

/* 1 and *id, above 0; or 0: this content is not in it, or, with `words`, only its header. */
int find_index_find(struct find_index *ix, struct bytes content, bool words, uint32_t *id,
		    struct err *err);
/* Without `words` only what index_text_read_header() gives. */
int find_index_add(struct find_index *ix, struct bytes content, const struct index_text *text,
		   bool words, uint32_t *id, struct err *err);
/* For good. Cheap when nothing was added. */
int find_index_commit(struct find_index *ix, struct err *err);

/* As in struct index_text. Borrowed until the next call of find_index_row(). */
struct index_row {
	const char *name, *from, *subject, *message_id, *sent;
	const char *from_folded, *to_folded, *subject_folded, *ids;
};
int find_index_row(struct find_index *ix, uint32_t id, struct index_row *out, struct err *err);
/* Add to *out all IDs of messages with these words, one after the other; a `*` at the end: the last begins so. */
int find_index_words(struct find_index *ix, const char *words, struct uidset *out,
		     struct err *err);

/*
 * Remove what lies in the store or the cache of it: for who takes messages out of history, so that their words
 * go, too. What cannot be removed is recognised by the next find as from before that.
 */
void find_index_remove(const struct store_arg *arg);

/* Whether a file of this name, without directories, is such an index. */
bool find_index_is_file(const char *name);

#endif
