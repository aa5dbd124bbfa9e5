#ifndef TESTS_LIB_CHECK_RIG_H
#define TESTS_LIB_CHECK_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/sync/check.h"
#include "tests/lib/conformance.h"

/* What store_check() told of a bench's store, as text. */
struct checked {
	struct check ck;
	const char *text;   /* a line per finding: kind, mailbox or -, UID, what */
	const char *files;  /* a line per file named */
	const char *advice; /* a line per finding that has one */
	struct buf text_buf, files_buf, advice_buf;
	uint64_t most; /* time is up when so many were read; 0: never */
	unsigned calm; /* signs of progress before `meanwhile` */
	void (*meanwhile)(struct bench *b);
	struct bench *b;
};

/* -1 when the store could not be checked at all. */
int check_try(struct bench *b, struct checked *out, bool read_data);
/* The same, which must work. */
void check_now(struct bench *b, struct checked *out, bool read_data);
/* Reads everything, and time is up when `most` things were. */
void check_part(struct bench *b, struct checked *out, uint64_t most);
/* Reads everything; after `n` signs of progress something else happens. False when there were not as many. */
bool check_beside(struct bench *b, struct checked *out, unsigned n, void (*meanwhile)(struct bench *b));
/* The same where it may fail: err->kind says of what, ERR_NONE: it did not. */
bool check_try_beside(struct bench *b, struct checked *out, unsigned n,
		      void (*meanwhile)(struct bench *b), struct err *err);
/* The findings, all of them. */
void check_says(const struct checked *c, const char *want);
/* Every finding has an advice, and this is in it. */
void check_advises(const struct checked *c, const char *part);
void checked_release(struct checked *c);

#endif
