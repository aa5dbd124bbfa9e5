#ifndef TESTS_LIB_MAILDIR_RIG_H
#define TESTS_LIB_MAILDIR_RIG_H

#include "tests/lib/conformance.h"

/* A Maildir store in a bench, and what other programs do in its directory. Paths are below its root. */
struct bench *mdir_bench(void **state);
int mdir_setup(void **state);
int mdir_teardown(void **state);
char *mdir_path(const struct bench *b, const char *rest);
char *mdir_file(const struct bench *b, const char *dir, size_t n);
size_t mdir_count(const struct bench *b, const char *dir);
void mdir_put(const struct bench *b, const char *name, const char *body);
void mdir_make_foreign(struct bench *b);
void mdir_sql_file(const char *path, const char *sql);
void mdir_sql(struct bench *b, const char *sql);

#define FOR(sut, test) { #test, test, mdir_setup, mdir_teardown, (void *)(uintptr_t)(sut) }

#endif
