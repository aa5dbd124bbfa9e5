#ifndef CORE_BASE_ERR_H
#define CORE_BASE_ERR_H

#include <stdint.h>

/* Sorted by what the caller can still do; the text says what happened. */
enum err_kind {
	ERR_NONE,
	ERR_MESSAGE, /* skip this message, go on with the next */
	ERR_MAILBOX, /* skip this mailbox, go on with the next */
	ERR_RETRY,   /* connection lost or server busy: reconnect, try again */
	ERR_FATAL,   /* certificate, disk, protocol: a person must act */
	ERR_CONFIG,  /* usage or configuration is wrong */
	ERR_AUTH,    /* the login was refused, by the server or by us; do not try again */
	ERR_LOCKED,  /* another run holds the store */
	ERR_MISSING, /* a store or mailbox that was named does not exist */
	ERR_HELD,    /* not the expected store: nothing was done, to be safe */
	ERR_STOPPED, /* interrupted by the user */
};

struct err {
	enum err_kind kind;
	int sys; /* errno, or 0 */
	int64_t retry_after_ms; /* ERR_RETRY: how long the server wants to be left alone; or 0 */
	char text[512];
};

/*
 * Both fill *err and return -1, so failing code reads `return err_set(...)`. The layer
 * that knows fills it, once; upper layers pass it on; only cmd/ prints it.
 */
int err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* As err_set(), for a failed system call: keeps errno and adds its text. */
int err_sys(struct err *err, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Put this behind the text of an error that is already set. Returns -1. */
int err_add(struct err *err, const char *text);
/* Put "where: " before the text of an error that is already set. Returns -1. */
int err_prefix(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
