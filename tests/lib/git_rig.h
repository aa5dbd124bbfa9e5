#ifndef TESTS_LIB_GIT_RIG_H
#define TESTS_LIB_GIT_RIG_H

#include "core/base/buf.h"
#include "tests/lib/conformance.h"

/*
 * A git store in a bench, and what git itself says of its repository. The user's git configuration
 * is left out.
 */
struct bench *git_bench(void **state);
int git_setup(void **state);
int git_teardown(void **state); /* with git_check_all() */
#define WITH_GIT(test) cmocka_unit_test_setup_teardown(test, git_setup, git_teardown)

/* Run git in a repository and return what it prints, owned by the caller; it must succeed. */
char *git_out(const char *repo, const char *arg, ...) __attribute__((sentinel));
/* The same where only success matters. */
#define git_do(repo, ...) free(git_out(repo, __VA_ARGS__, NULL))
/* Whether it succeeds. */
bool git_try(const char *repo, const char *arg, ...) __attribute__((sentinel));
/* The number that git prints. */
size_t git_number(const char *repo, const char *arg, ...) __attribute__((sentinel));

/* `git fsck --full --strict` finds nothing to say, dangling objects aside. */
void git_check_all(const char *repo);
/* How many commits main has; 0 when there is no main. */
size_t git_snapshots(const char *repo);
/* Exactly the bytes of REV:PATH. */
void git_show(const char *repo, const char *spec, struct buf *out);

void bench_snapshot(struct bench *b);
/* The id of a revision, owned by the caller. */
char *git_id(const char *repo, const char *rev);

/* Change a file that was made read-only. */
void git_overwrite(const char *path, struct bytes data);
/* Change a bit of what is stored of an object ("main:FORMAT"), in the first pack that has it. */
void git_damage(const char *repo, const char *rev);

#endif
