#include "core/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	err->kind = kind;
	err->sys = 0;
	err->retry_after_ms = 0;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

int err_sys(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	int sys = errno;
	va_list ap;
	size_t n;

	err->kind = kind;
	err->sys = sys;
	err->retry_after_ms = 0;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(sys));
	return -1;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	struct err was = *err;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text) / 2, fmt, ap); /* the cause keeps its half */
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %.*s",
		 (int)(sizeof(err->text) - n - 3), was.text);
	return -1;
}

int err_add(struct err *err, const char *text)
{
	size_t n = strlen(err->text);

	snprintf(err->text + n, sizeof(err->text) - n, "%s", text);
	return -1;
}
