#ifndef CORE_BASE_MEM_H
#define CORE_BASE_MEM_H

#include <stddef.h>

/*
 * Allocation that ends the process when memory is gone. Never hand these a size
 * that came from the network before checking it against a limit.
 */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Make room for one more element in an array that grows by half: `*p` has `*cap`
 * elements of `size` bytes, `n` of them in use. Returns *p, possibly moved.
 */
void *xgrow(void *p, size_t n, size_t *cap, size_t size);

/* Overwrite `n` bytes in a way the compiler keeps: for passwords and tokens. */
void secret_wipe(void *p, size_t n);
/* Wipe a C string and free it. NULL is allowed. */
void secret_free(char *s);

#endif
