#ifndef CMD_INDEX_MAKER_H
#define CMD_INDEX_MAKER_H

#include <stdbool.h>

struct buf;
struct index_text;

/*
 * Makes index texts on a thread of its own, so that messages are decoded while others are read and put into the
 * index: these take about as long. The thread sees messages and texts only, never a store or SQLite; it alone uses decode.h
 * until it is freed (GMime registers its types without a lock). A few messages are under way at once.
 */
struct index_maker;

/* `words`: index_text_read(), else index_text_read_header(). */
struct index_maker *index_maker_new(bool words);
/* What was not taken is thrown away. NULL is allowed. */
void index_maker_free(struct index_maker *mk);
/* Full: something has to be taken first. */
bool index_maker_is_full(const struct index_maker *mk);
/* `tag`, not NULL, comes back with the text. The bytes of *message go with it: it is empty after that. */
void index_maker_put(struct index_maker *mk, void *tag, struct buf *message);
/* The tag of what was put first, and its text, owned by the caller; waits for it. NULL: nothing is under way. */
void *index_maker_take(struct index_maker *mk, struct index_text *out);

#endif
