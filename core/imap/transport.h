#ifndef CORE_IMAP_TRANSPORT_H
#define CORE_IMAP_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct err;
struct pollfd;
struct transport;

/*
 * A two-way byte stream that never blocks: TCP, a command, TLS on top of any other transport,
 * or plain memory. Layers own what lies below them and are freed from the top.
 *
 *   deflate   transport_deflate_new(lower) once COMPRESS is in force
 *    |
 *   tls
 *    |          transport_tls_new(lower) at the start (implicit TLS) or later (STARTTLS)
 *   tcp | tunnel | memory
 *
 * An operation that cannot go on returns TRANSPORT_AGAIN; the caller then waits for what
 * transport_poll() asks for and repeats it. In TLS a read may have to wait until the socket can be
 * written and a write until it can be read: transport_poll() knows, the caller need not.
 */
enum transport_io {
	TRANSPORT_OK,     /* went on: bytes moved, or the stream is open */
	TRANSPORT_AGAIN,  /* wait, then call again */
	TRANSPORT_EOF,    /* the peer ended the stream (reads only) */
	/* *err is set: ERR_RETRY (network) or ERR_FATAL (certificate, settings) */
	TRANSPORT_FAILED,
};

/* What the caller means to do next; bits. */
enum { TRANSPORT_READ = 1 << 0, TRANSPORT_WRITE = 1 << 1 };

/* What ties a login to one TLS connection (RFC 5929, RFC 9266), so that nobody can relay it. */
struct transport_binding {
	const char *type; /* "tls-exporter", "tls-unique" or "tls-server-end-point"; static */
	uint8_t data[64];
	size_t n;
};

struct transport_ops {
	/*
	 * Go on with connecting or shaking hands until TRANSPORT_OK. Called again after every wait.
	 */
	enum transport_io (*open)(struct transport *t, struct err *err);
	/* Read 1 to `max` bytes into `p`; *n is how many. */
	enum transport_io (*read)(struct transport *t, void *p, size_t max, size_t *n,
				  struct err *err);
	/* Write some of `data`; *n is how much was taken. Never raises SIGPIPE. */
	enum transport_io (*write)(struct transport *t, struct bytes data, size_t *n,
				   struct err *err);
	/* As transport_poll(). */
	bool (*poll)(struct transport *t, unsigned intent, struct pollfd *out);
	/* Frees what lies below too. */
	void (*free)(struct transport *t);
	/* As transport_binding(). May be NULL. */
	bool (*binding)(struct transport *t, struct transport_binding *out);
	/* As transport_last_words(). May be NULL. */
	char *(*last_words)(struct transport *t);
};

/* First member of every transport. */
struct transport {
	const struct transport_ops *ops;
	/*
	 * While opening: call open() again at this time (clock_ms) even if nothing happened; 0:
	 * never.
	 */
	int64_t wake_at;
	/* Bytes cannot be read or changed on the way. */
	bool is_private;
	/* Both ends are on this machine. Known once open. */
	bool is_local;
	/* Whoever made it has logged in on the way (ssh), so the server may skip the login. */
	bool may_preauth;
};

static inline enum transport_io transport_open(struct transport *t, struct err *err)
{
	return t->ops->open(t, err);
}

static inline enum transport_io transport_read(struct transport *t, void *p, size_t max, size_t *n,
					       struct err *err)
{
	return t->ops->read(t, p, max, n, err);
}

static inline enum transport_io transport_write(struct transport *t, struct bytes data, size_t *n,
						struct err *err)
{
	return t->ops->write(t, data, n, err);
}

/*
 * Fill *out (fd -1: there is nothing to wait for) with what poll() should watch so that the
 * operations in `intent` can go on, also while opening. Returns true when one of them can go on
 * at once, whatever poll() would say: TLS may hold decrypted bytes already.
 */
static inline bool transport_poll(struct transport *t, unsigned intent, struct pollfd *out)
{
	return t->ops->poll(t, intent, out);
}

/* NULL is allowed. */
void transport_free(struct transport *t);

/*
 * Fill *out with the best channel binding that is safe on this connection; false when it has none.
 * The stream must be open.
 */
bool transport_binding(struct transport *t, struct transport_binding *out);

/*
 * What the other end said beside the stream that may explain its end (the standard error of a
 * tunnel's command), escaped. Owned by the caller; NULL: nothing.
 */
char *transport_last_words(struct transport *t);

/*
 * Connect to each address of `host` in turn until one answers, within `timeout_ms` together. The
 * name is looked up here, which blocks. Returns NULL with *err set when there is no such host.
 */
struct transport *transport_tcp_new(const char *host, const char *port, int64_t timeout_ms,
				    struct err *err);

/*
 * Run `command` by /bin/sh in a session of its own, without a terminal; the stream is its standard
 * input and output. It and all it started are ended and waited for when the transport is freed.
 * Returns NULL with *err set when it cannot be started.
 */
struct transport *transport_tunnel_new(const char *command, struct err *err);

/* All strings are borrowed for the call; NULL means not given. */
struct transport_tls_settings {
	const char *host;    /* name or IP address: SNI, and what the certificate must be for */
	/* PEM file, or a directory of hashed certificates; NULL: the system's */
	const char *ca_file;
	/*
	 * "sha256:" and the base64 SHA-256 of the server's public key (SPKI). When given it alone
	 * decides: chain, name and dates of the certificate are not looked at, another key is
	 * refused.
	 */
	const char *pin;
	const char *cert_file; /* client certificate (chain), PEM */
	const char *key_file;  /* its key; NULL: in cert_file */
};

/*
 * TLS 1.2 or later as client over `lower`, which it owns from then on, also on failure. A refused
 * certificate fails open() with ERR_FATAL, the reason, and the pin that would accept this server.
 * Returns NULL with *err set when the settings cannot be used.
 */
struct transport *transport_tls_new(struct transport *lower,
				    const struct transport_tls_settings *set, struct err *err);

/*
 * Compression on top of an open stream, which it owns from then on (RFC 4978). `received` is what
 * was read after the line that began it: compressed already, copied. A write that returns
 * TRANSPORT_AGAIN has to be repeated with the same bytes in front. A peer whose data expands
 * beyond what mail can (more than 256 MiB at 200:1) fails with ERR_RETRY.
 */
struct transport *transport_deflate_new(struct transport *lower, struct bytes received);

/*
 * A stream whose other end is the test itself. `peer` is called with everything that is written and
 * may call transport_memory_feed(), _end() and _limit() on the same transport.
 */
typedef void transport_peer_fn(void *ctx, struct transport *t, struct bytes written);

struct transport *transport_memory_new(transport_peer_fn *peer, void *ctx);
/* Bytes to be read next. */
void transport_memory_feed(struct transport *t, struct bytes data);
/* The stream ends after what was fed. */
void transport_memory_end(struct transport *t);
/* Move at most `read_max` and `write_max` bytes per call; a `write_max` of 0 blocks writing. */
void transport_memory_limit(struct transport *t, size_t read_max, size_t write_max);
/*
 * What is_private and is_local shall claim; no PREAUTH is taken on it any more, which one in memory
 * otherwise is.
 */
void transport_memory_claim(struct transport *t, bool is_private, bool is_local);

#endif
