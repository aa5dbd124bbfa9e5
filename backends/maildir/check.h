#ifndef BACKENDS_MAILDIR_CHECK_H
#define BACKENDS_MAILDIR_CHECK_H

#include "backends/maildir/box.h"
#include "core/sync/check.h"

struct stat;

/*
 * The index in itself, then the directories against the index, then (read_data) every file. A run
 * that writes meanwhile moves files and rows, so what looks wrong is looked at again, by the index as
 * it is then, before it is told.
 */
int maildir_check(const struct store_config *cfg, struct check *ck, struct err *err);

/* The rest is between check.c and check_files.c. */

/* What counting comes to over all mailboxes. */
struct leftovers {
	uint64_t unplaced; /* rows whose file is still in tmp */
	uint64_t litter;   /* files of ours in tmp without a row */
};

/* `at` NULL: there is no file. */
void check_message(struct check *ck, struct box *box, enum finding_kind kind, const struct row *row,
		   const struct place *at, const char *what);
/* About a mailbox; `uid` 0: all of it. The fault lies in the index. */
void check_index_finding(struct check *ck, const struct box *box, uint32_t uid, const char *what);
void check_mailbox(struct check *ck, const struct box *box, enum finding_kind kind,
		   const char *what, const char *advice);

/*
 * All rows of a mailbox against cur and new: that the files are there, and as long as they should be.
 * Something wrong with the mailbox is told as a finding; -1: with the store.
 */
int check_files(struct check *ck, struct box *box, struct leftovers *left, struct err *err);
/* Whether that comparison has nothing to say of a file as long as this one. */
bool check_length_fits(struct box *box, const struct row *row, const struct stat *sb);

#endif
