#ifndef TESTS_LIB_SERVING_H
#define TESTS_LIB_SERVING_H

#include <signal.h>

/*
 * For tools that serve until nobody needs them any more. Begin before anything is started: from then on
 * no signal that asks to stop can leave it behind.
 */
void serving_begin(sigset_t *set);
/* Until such a signal, or until nobody holds the other end of stdin any more. */
void serving_wait(const sigset_t *set);

#endif
