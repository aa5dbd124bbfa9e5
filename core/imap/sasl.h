#ifndef CORE_IMAP_SASL_H
#define CORE_IMAP_SASL_H

#include <stdbool.h>

#include "core/base/bytes.h"

struct buf;
struct err;
struct sasl;

/*
 * The client's side of one SASL exchange (RFC 4422) in the base64 form IMAP uses, through libgsasl.
 */
struct sasl_login {
	const char *user;
	const char *authzid;   /* NULL: as `user` */
	struct bytes password; /* copied, wiped by sasl_free() */
};

/* Returns NULL with *err set (ERR_FATAL) when the mechanism is not supported. */
struct sasl *sasl_new(const char *mechanism, const struct sasl_login *login, struct err *err);
void sasl_free(struct sasl *sasl); /* NULL is allowed */

/*
 * Answer the server's base64 `challenge` (empty for the first step) with base64 appended to `out`,
 * which holds a secret. 0, or -1 with *err set: the exchange must be given up.
 */
int sasl_step(struct sasl *sasl, struct bytes challenge, struct buf *out, struct err *err);
/* Whether the mechanism has run its course: OK from the server now means success on both sides. */
bool sasl_is_done(const struct sasl *sasl);

#endif
