#ifndef TESTS_LIB_SCRIPTED_H
#define TESTS_LIB_SCRIPTED_H

#include <stdbool.h>

struct buf;

/*
 * A server that plays a transcript, in a process of its own, on a free port of 127.0.0.1.
 * The language is in tests/scripted/README.md.
 */
struct scripted;

/* `transcript` is the text; a mistake in it fails the test at once. */
struct scripted *scripted_start(const char *transcript);
struct scripted *scripted_start_file(const char *path);
int scripted_port(const struct scripted *s);
/*
 * Wait for the end of the transcript and release the server. Fails the test, showing expected
 * and got, unless every line was played.
 */
void scripted_finish(struct scripted *s);
/* The same, for a test that expects a mismatch: false with the report in `why` (may be NULL). */
bool scripted_played(struct scripted *s, struct buf *why);
/* End it wherever it is and release it; NULL is allowed. For a test's teardown. */
void scripted_abandon(struct scripted *s);

#endif
