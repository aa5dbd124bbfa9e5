#ifndef TESTS_LIB_TLS_PEER_H
#define TESTS_LIB_TLS_PEER_H

#include <stdbool.h>

#include "core/base/bytes.h"

struct ssl_st;
struct transport;
struct tls_peer;

/*
 * A TLS server in memory, with a certificate made to measure: what a real server cannot be
 * brought to do. No process, no socket, no clock.
 */
struct tls_peer_cert {
	const char *names;  /* subjectAltName as OpenSSL writes it: "DNS:a.example,IP:127.0.0.1" */
	bool expired;
	const char *key_password; /* of the key in tls_peer_key_file(); NULL: none */
	bool tls_1_1;             /* nothing else: obsolete */
	bool tls_1_2;             /* no later version */
	bool no_ems;              /* no extended master secret, as old servers */
};

/* Called with what the client said, decrypted. May call tls_peer_say(). */
typedef void tls_peer_fn(void *ctx, struct tls_peer *p, struct bytes said);

/* `dir` is where its certificate and key are written. */
struct tls_peer *tls_peer_new(const struct tls_peer_cert *cert, const char *dir, tls_peer_fn *fn,
			      void *ctx);
/* What lies below the client's TLS; owned by whoever gets it. */
struct transport *tls_peer_transport(struct tls_peer *p);
void tls_peer_say(struct tls_peer *p, struct bytes text);
/* Whether to speak clear text, as before STARTTLS. */
void tls_peer_clear(struct tls_peer *p, bool clear);
/* The server's end, for what both ends must agree on. */
struct ssl_st *tls_peer_ssl(struct tls_peer *p);
/* The certificate signs itself: as authority it makes itself good. */
const char *tls_peer_cert_file(const struct tls_peer *p);
const char *tls_peer_key_file(const struct tls_peer *p);
/* After the transport was freed. */
void tls_peer_free(struct tls_peer *p);

#endif
