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

/* How to authenticate. All but AUTO mean: this or nothing. */
enum imap_auth {
	IMAP_AUTH_AUTO,  /* the best of what the server offers and the account can do */
	IMAP_AUTH_PLAIN,
	IMAP_AUTH_LOGIN, /* LOGIN; AUTHENTICATE LOGIN where the server forbids it (LOGINDISABLED) */
	IMAP_AUTH_SCRAM_SHA_256_PLUS,
	IMAP_AUTH_SCRAM_SHA_1_PLUS,
	IMAP_AUTH_SCRAM_SHA_256,
	IMAP_AUTH_SCRAM_SHA_1,
	IMAP_AUTH_EXTERNAL, /* the client certificate is the login */
	IMAP_AUTH_OAUTHBEARER,
	IMAP_AUTH_XOAUTH2,
	IMAP_AUTH_CRAM_MD5, /* never by AUTO */
};

/* COMPRESS=DEFLATE (RFC 4978), where the server offers it. */
enum imap_compress {
	IMAP_COMPRESS_AUTO, /* once the line turns out to be what everything waits for */
	IMAP_COMPRESS_YES,  /* right after the login */
	IMAP_COMPRESS_NO,
};

/*
 * How well a login by this mechanism guards the password, for comparing: 1 where whoever is at the
 * other end learns it (PLAIN, LOGIN), more for each kind of SCRAM, most for those bound to the
 * connection. 0: not compared (tokens, certificates, CRAM-MD5, unknown names).
 */
unsigned imap_login_strength(const char *mechanism);

/* What is known of earlier logins of an account; borrowed until the next call of `recall`. */
struct imap_login_memory {
	const char *mechanism; /* the strongest one of them was by, strength above 0; NULL: none known */
	const char *remedy;    /* what makes it forgotten, for messages: "remove FILE" */
};

/*
 * One login on one server. Plain data, borrowed by every session made with it until that
 * session is freed. NULL strings are not given.
 */
struct imap_account {
	const char *name; /* for messages */
	const char *host;
	const char *port; /* NULL: 993 or 143 */
	/*
	 * Instead of a connection: a command for /bin/sh whose standard input and output are the
	 * server's. `tls` is not looked at, and the server may skip the login. NULL: none.
	 */
	const char *tunnel;
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
	/*
	 * As `password`, for an OAuth access token; asked for at each login, since tokens expire.
	 * When it is set AUTO tries nothing but OAUTHBEARER and XOAUTH2.
	 */
	int (*token)(void *ctx, struct buf *out, struct err *err);
	void *token_ctx;
	/*
	 * Downgrades (S16): with AUTO a login with a password that is weaker than what `recall` tells
	 * is refused, before the password is asked for. Fills *out and returns 0, or -1 with *err set:
	 * no login. NULL: nothing is remembered.
	 */
	int (*recall)(void *ctx, struct imap_login_memory *out, struct err *err);
	/* Called after every login: by this mechanism ("LOGIN" for the command, too). May be NULL. */
	void (*remember)(void *ctx, const char *mechanism);
	void *memory_ctx; /* of both */
	int64_t timeout_ms;             /* for connecting, and for silence while waiting; 0: 60 s */
	const char *disable_extensions; /* "QRESYNC, MOVE": as if not advertised */
	enum imap_compress compress;
	unsigned connections; /* at most so many sessions at once, by those who use several; 0: 4 */
};

#endif
