#ifndef CORE_IMAP_SASL_H
#define CORE_IMAP_SASL_H

#include <stdbool.h>

#include "core/base/bytes.h"

struct buf;
struct err;
struct sasl;
struct transport_binding;

/*
 * The client's side of one SASL exchange (RFC 4422) in the base64 form IMAP uses. All is copied,
 * and what is secret wiped by sasl_free().
 */
struct sasl_login {
	const char *user;
	const char *authzid;    /* NULL: as `user` */
	struct bytes secret;    /* password or access token */
	const char *host, *port; /* of the server; OAUTHBEARER says them. NULL: not said */
	/* What SCRAM binds the login to. A -PLUS mechanism needs it; NULL: the connection has none. */
	const struct transport_binding *binding;
	/* The server offers channel binding (any -PLUS), whether or not it is used. */
	bool binding_offered;
};

/* Returns NULL with *err set (ERR_FATAL) when the mechanism is not supported. */
struct sasl *sasl_new(const char *mechanism, const struct sasl_login *login, struct err *err);
void sasl_free(struct sasl *sasl); /* NULL is allowed */

/* The client has the first word, so it may be sent along with AUTHENTICATE (SASL-IR). */
bool sasl_speaks_first(const struct sasl *sasl);
/*
 * Answer the server's base64 `challenge` (anything, for the first step of who speaks first) with
 * base64 appended to `out`, which holds a secret. 0, or -1 with *err set: the exchange must be
 * given up.
 */
int sasl_step(struct sasl *sasl, struct bytes challenge, struct buf *out, struct err *err);
/*
 * Whether the mechanism has run its course, the server's proof of itself included: OK from the
 * server now means success on both sides.
 */
bool sasl_is_done(const struct sasl *sasl);
/* Why the server does not take the token, in its own words, escaped; NULL: it did not say. */
const char *sasl_remark(const struct sasl *sasl);

#endif
