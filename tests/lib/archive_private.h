#ifndef TESTS_LIB_ARCHIVE_PRIVATE_H
#define TESTS_LIB_ARCHIVE_PRIVATE_H

#include "tests/lib/archive.h"

/* Shared by archive.c (Maildirs) and archive_git.c. */

/* The words of a list sorted, blanks between; empties the list. */
char *archive_join(struct name_list *l);
/* The words of `flags` that a Maildir's letters can say. */
char *archive_lettered(const char *flags);
time_t archive_moment(const char *date);
int archive_by_uid(const void *a, const void *b);

/* Whether a git repository lies there. */
bool archive_is_git(const char *root);
void archive_git_read(const char *root, struct archive *out);
/* Unsorted, live and kept. */
void archive_git_hashes(const char *root, struct name_list *out);

#endif
