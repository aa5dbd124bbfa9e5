#include "core/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (!p) {
		fputs("mailcask: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *xmalloc(size_t n)
{
	return must(malloc(n ? n : 1));
}

void *xcalloc(size_t n, size_t size)
{
	return must(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
	return must(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
	return must(strdup(s));
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return must(s);
}

void *xgrow(void *p, size_t n, size_t *cap, size_t size)
{
	size_t want, total;

	if (n < *cap)
		return p;
	want = *cap + *cap / 2 + 8;
	if (__builtin_mul_overflow(want, size, &total))
		must(NULL);
	*cap = want;
	return xrealloc(p, total);
}

void secret_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

void secret_free(char *s)
{
	if (s)
		secret_wipe(s, strlen(s));
	free(s);
}
