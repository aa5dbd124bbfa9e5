#ifndef CORE_IMAP_ACCOUNT_H
#define CORE_IMAP_ACCOUNT_H

#include <stdint.h>

struct buf;
struct err;

enum imap_tls {
	IMAP_TLS_IMPLICIT, /* from the first byte (port 993) */
	IMAP_TLS_STARTTLS, /* port 143; a server that cannot is refused */
	IMAP_TLS_NONE,     /* clear text, password included: only where a person asked for it */
};

/* How to authenticate. */
enum imap_auth {
	IMAP_AUTH_AUTO,  /* the best that the server offers */
	IMAP_AUTH_PLAIN, /* AUTHENTICATE PLAIN or nothing */
	IMAP_AUTH_LOGIN, /* LOGIN or nothing */
};

/* COMPRESS=DEFLATE (RFC 4978), where the server offers it. */
enum imap_compress {
	IMAP_COMPRESS_AUTO, /* once the line turns out to be what everything waits for */
	IMAP_COMPRESS_YES,  /* right after the login */
	IMAP_COMPRESS_NO,
};

/*
 * One login on one server. Plain data, borrowed by every session made with it until that
 * session is freed. NULL strings are not given.
 */
struct imap_account {
	const char *name; /* for messages */
	const char *host;
	const char *port; /* NULL: 993 or 143 */
	enum imap_tls tls;
	const char *tls_ca_file; /* file or directory; NULL: the system's */
	const char *tls_pin;     /* sha256:BASE64, accepted instead of the chain */
	const char *tls_client_cert;
	const char *tls_client_key;
	const char *user;
	const char *authzid; /* act as this user (administrators) */
	enum imap_auth auth;
	/*
	 * Where the password comes from: asked for when it is about to be sent, once per login; the
	 * session wipes its copy right after. Appends to `out`; 0, or -1 with *err set. NULL: there
	 * is none, which only a server that asks for none (PREAUTH) accepts.
	 */
	int (*password)(void *ctx, struct buf *out, struct err *err);
	void *password_ctx;
	int64_t timeout_ms;             /* for connecting, and for silence while waiting; 0: 60 s */
	const char *disable_extensions; /* "QRESYNC, MOVE": as if not advertised */
	enum imap_compress compress;
	unsigned connections; /* at most so many sessions at once, by those who use several; 0: 4 */
};

#endif
