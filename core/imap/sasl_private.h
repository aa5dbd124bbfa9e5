#ifndef CORE_IMAP_SASL_PRIVATE_H
#define CORE_IMAP_SASL_PRIVATE_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/imap/sasl.h"
#include "core/imap/transport.h"

/*
 * What the mechanisms share; nobody else includes this.
 *
 *   sasl.c        the frame: which mechanism, base64; libgsasl's mechanisms
 *   sasl_scram.c  SCRAM-SHA-1 and -256, with and without -PLUS
 *   sasl_oauth.c  XOAUTH2 and OAUTHBEARER
 */
struct sasl_mechanism {
	const char *name;
	bool server_first;
	/* Make sasl->state. May be NULL. */
	int (*begin)(struct sasl *sasl, struct err *err);
	/*
	 * One step: `in` is the server's word, decoded (empty for the first word of a mechanism that
	 * is not `server_first`); append the answer to `out`. Sets sasl->done.
	 */
	int (*step)(struct sasl *sasl, struct bytes in, struct buf *out, struct err *err);
	/* Release sasl->state. May be NULL. */
	void (*end)(struct sasl *sasl);
};

struct sasl {
	const struct sasl_mechanism *how;
	void *state; /* the mechanism's */
	char *user, *authzid, *secret, *host, *port;
	struct transport_binding binding; /* type NULL: none */
	bool binding_offered;
	unsigned steps; /* done before this one */
	bool done;
	char *remark;
};

#define SASL_MESSAGE_MAX ((size_t)1 << 16)

extern const struct sasl_mechanism sasl_scram_sha_1, sasl_scram_sha_256, sasl_scram_sha_1_plus,
	sasl_scram_sha_256_plus, sasl_xoauth2, sasl_oauthbearer;

void sasl_add_base64(struct buf *out, struct bytes data);
/* Append what the base64 text stands for. False: it is none. */
bool sasl_decode_base64(struct bytes text, struct buf *out);
/* Append text as the names in SCRAM and GS2 headers are written (RFC 5802, section 5.1). */
void sasl_add_name(struct buf *out, const char *name);

#endif
